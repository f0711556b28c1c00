"""Checks of values in a request, and conversion of equal values to one form, so that they have one identity."""

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from bench.errors import RequestError, one_of
from bench.specs import registry
from bench.specs.suggestions import percent_hint
from bench.specs.values import LARGEST_SEED, listed

T = TypeVar("T")


_FLAGS = {"yes": True, "on": True, 1: True, "no": False, "off": False, 0: False}
"""What is taken for a truth value where the default is one."""


def call_plugin(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function of a plugin, and raise its errors about bad values as RequestError."""
    try:
        return call(*args, **kwargs)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(str(error) or type(error).__name__) from error


def as_integer(field: str, value: Any, at_least: int | None = None) -> int | None:
    """An integer of any library, or None.

    :param field: of a request, or a parameter with its owner: "seed", "task.operand_max".
    :raises RequestError: for anything else.
    """
    if value is None:
        return None
    number, named = None, field if "." in field else f"`{field}`"
    with suppress(TypeError):
        number = operator.index(value)
    if number is None or isinstance(value, bool):
        raise RequestError(f"{named} must be an integer, got {value!r}.")
    if at_least is not None and not at_least <= number <= LARGEST_SEED:
        raise RequestError(f"{named} must be an integer in [{at_least}, 2³¹), got {value!r}.")
    return number


def as_number(field: str, value: Any) -> float:
    """A number of any library.

    :raises RequestError: for anything else.
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise RequestError(f"`{field}` must be a number, got {value!r}.") from None


def as_share(part: str, value: Any) -> float:
    """A fraction of the pairs. `bench.specs.splits.split` checks that it leaves pairs for every part.

    :param part: "train" or "validation".
    :raises RequestError: for values that are not numbers, and for percentages.
    """
    return _as_fraction(f"{part}_fraction", value, "(0, 1)")


def as_label_noise(value: Any) -> float:
    """A share of the training answers.

    :raises RequestError: for values that are not numbers in [0, 1).
    """
    number = _as_fraction("label_noise", value, "[0, 1)")
    if not 0 <= number < 1:
        raise RequestError(f"`label_noise` must be in [0, 1), got {number:g}.")
    return number


def _as_fraction(field: str, value: Any, interval: str) -> float:
    """A number that is no percentage."""
    hint = percent_hint(value)
    if isinstance(value, str) and hint != ".":
        raise RequestError(f"`{field}` must be a number, got {value!r}{hint}")
    number = as_number(field, value)
    if hint != ".":
        raise RequestError(f"`{field}` must be in {interval}, got {number:g}{hint}")
    return number


@cache
def annotations(cls: type) -> dict[str, tuple[Any, ...]]:
    """For each constructor argument, the types and the words of a Literal that its annotation allows."""
    try:
        found = get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, TypeError):  # names that only a type checker knows
        return {}
    return {name: tuple(_allowed(hint)) for name, hint in found.items()}


def _allowed(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Literal, Union, UnionType):
        for one in get_args(hint):
            yield from _allowed(one)
    else:
        yield hint


def as_annotated(value: Any, allowed: Collection[Any]) -> Any:
    """The value in a type that the annotation allows, where that does not change it.

    None becomes the word "none" where that is allowed and None is not. An integer becomes a float where only floats
    are allowed, and a float without a fraction becomes an integer where only integers are.
    """
    if value is None and "none" in allowed and NoneType not in allowed:
        return "none"
    if isinstance(value, float) and value.is_integer() and int in allowed and float not in allowed:
        return int(value)
    whole_number = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole_number and float in allowed and int not in allowed else value


def like_default(value: Any, default: Any) -> Any:
    """The value in the type of the default, since 1 and 1.0, 1 and True, or 400 and (400,), are the same setting."""
    value = value.item() if isinstance(value, np.generic) else value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, bool) and value in _FLAGS:
        return _FLAGS[value]
    if number and isinstance(default, float):
        return float(value)
    if number and isinstance(default, int) and float(value).is_integer():
        return int(value)
    if isinstance(default, tuple) and default:
        values = [value] if number else value
        return [like_default(v, default[0]) for v in values] if isinstance(values, tuple | list) else value
    return listed(value)


def refuse_unknown(kind: str, name: str, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raise RequestError where a name is no parameter of the plugin."""
    for key in values:
        if not known:
            raise RequestError(f"The {kind} {registry.canonical(name)!r} has no parameters, got {key!r}.")
        if key not in known:
            raise RequestError(one_of(f"parameter of the {kind} {registry.canonical(name)!r}:", key, known))
