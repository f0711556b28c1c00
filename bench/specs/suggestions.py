"""Suggestions in error messages: the right owner of a parameter, a fraction for a percentage, a sweep for a list."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from bench.specs.request import Request, options

OPTIONS = {"device", *options(Request)}
"""Names of options, which are no parameters of an encoder, a learner or a task."""
MOST_SUGGESTIONS = 4
"""With more suggestions than this, none is printed."""


def matching_parameters(name: str, known: Mapping[str, Iterable[Mapping[str, Any]]], near: bool = False) -> list[str]:
    """The option of this name, or ``owner.name`` for every owner that has a parameter of this name.

    :param name: as in the request, with an owner or without.
    :param known: by owner, the parameters of each encoder, learner or task in the request.
    :param near: where no name is equal, return similar ones.

    >>> matching_parameters("lr", {"encoder": [{"n": 400}], "learner": [{"lr": 0.1}]})
    ['learner.lr']
    >>> matching_parameters("learner.n", {"encoder": [{"n": 400}], "learner": [{"n": 1}, {"n": 2}]})
    ['encoder.n', 'learner.n']
    >>> matching_parameters("steps", {}), matching_parameters("widht", {"learner": [{"width": 64}]}, near=True)
    (['`steps`'], ['learner.width'])
    """
    plain = name.rpartition(".")[2].replace("-", "_")
    if plain in OPTIONS:
        return [f"`{plain}`"]
    full = {f"{owner}.{one}": one for owner, several in known.items() for names in several for one in names}
    found = [whole for whole, one in full.items() if one == plain]
    if found or not near:
        return found
    close = get_close_matches(plain, full.values(), n=MOST_SUGGESTIONS, cutoff=0.7)
    return [whole for whole, one in full.items() if one in close]


def did_you_mean(found: Iterable[str]) -> str:
    """The end of an error message: ": did you mean A or B?", or a full stop."""
    named = list(found)
    quoted = [name if name.startswith("`") else repr(name) for name in named]
    return f": did you mean {' or '.join(quoted)}?" if 0 < len(named) <= MOST_SUGGESTIONS else "."


def percent_hint(value: Any) -> str:
    """The end of an error message about a fraction that was written in percent.

    >>> percent_hint(50), percent_hint("12.5%"), percent_hint(1.5)
    (': did you mean 0.5?', ': did you mean 0.125?', '.')
    """
    text = str(value).strip()
    try:
        number = float(text.rstrip("% "))
    except ValueError:
        return "."
    is_percentage = (text.endswith("%") or number >= 2) and 0 < number < 100
    return f": did you mean {number / 100:g}?" if is_percentage else "."


def integer_hint(text: str) -> str:
    """The end of an error message about an integer that was written as 1e3 or 1,000.

    >>> integer_hint("1e3"), integer_hint("1,000"), integer_hint("0,1"), integer_hint("1.5")
    (': did you mean 1000?', ': did you mean 1000?', '.', '.')
    """
    grouped = re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", text.strip())
    try:
        number = float(text.replace(",", "") if grouped else text)
    except ValueError:
        return "."
    return f": did you mean {number:.0f}?" if number.is_integer() else "."


def several_message(field: str, given: str) -> str | None:
    """The error message for a list or "all" where one value is taken; None for a single value.

    >>> several_message("encoder", "onehot,cycle")
    "`encoder` takes one, got 'onehot,cycle': a sweep takes several."
    """
    if "," not in given and given != "all":
        return None
    return f"`{field}` takes one, got {given!r}: a sweep takes several."
