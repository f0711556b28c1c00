"""What a value of a recipe's file must be, and the one line about a value that is something else."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from bench.errors import RequestError, one_of

LONGEST = 80
"""So many characters of a wrong value are shown."""


class Form(NamedTuple):
    """What a value must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_text(value: Any) -> bool:
    """Whether a value is text, and not empty."""
    return isinstance(value, str) and bool(value.strip())


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


TEXT = Form("text", is_text)
TEXTS = Form("a list of names", _is_list_of_text)
INTEGER = Form("an integer", _is_integer)
COUNT = Form("an integer ≥ 1", lambda x: _is_integer(x) and x >= 1)
NUMBER = Form("a finite number", is_number)
TRUTH = Form("true or false", lambda x: isinstance(x, bool))
MAPPING = Form("a mapping", lambda x: isinstance(x, Mapping))
LIST = Form("a list", lambda x: isinstance(x, list))
SCALAR = Form(
    "text, a number or a truth value", lambda value: is_text(value) or is_number(value) or isinstance(value, bool)
)
NAMED = Form("a name or a list of names", lambda x: is_text(x) or _is_list_of_text(x))


def shown(value: Any) -> str:
    """A value as messages show it: a long one is cut.

    >>> shown("three")
    "'three'"
    """
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def in_words(what: str, error: RequestError) -> RequestError:
    """An error about a part of a recipe, which writes fields as its file does: the command line has no such options."""
    return RequestError(f"{what}: {str(error).replace('`', '')}")


def check(what: str, value: Any, form: Form) -> None:
    """Raise RequestError where a value is not of a form.

    :param what: what the message calls it, as "count of searches".
    """
    if not form.holds(value):
        raise RequestError(f"{what} must be {form.words}, got {shown(value)}.")


def check_keys(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise RequestError for a key that is not known.

    :param what: what the message calls a key, as "key of searches".
    """
    names = set(known)
    for key in given:
        if key not in names:
            raise RequestError(one_of(what, key, names))


def check_forms(what: str, given: Mapping[str, Any], forms: Mapping[str, Form]) -> None:
    """Raise RequestError for a key without a form, or a value that is not of the form of its key.

    :param what: what messages call the mapping, as "searches"; empty for the recipe itself.
    """
    of = f" of {what}" if what else ""
    check_keys(f"key{of}", given, forms)
    for key, value in given.items():
        check(f"{key}{of}", value, forms[key])


def mapping(what: str, value: Any) -> dict[str, Any]:
    """A mapping with its keys as text: an arm may be named 50.

    :raises RequestError: for another value, or a key that is neither text nor a number, as ``no`` is in YAML.
    """
    check(what, value, MAPPING)
    for key in value:
        if not is_text(key) and not is_number(key):
            raise RequestError(f"a key of {what} must be text or a number, got {shown(key)}.")
    found = {str(key): one for key, one in value.items()}
    if len(found) < len(value):
        raise RequestError(f"{what} has a key twice, as text and as a number, got {shown(list(value))}.")
    return found


def without_empty(given: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping without the keys that stand there with no value."""
    return {key: value for key, value in given.items() if value is not None}
