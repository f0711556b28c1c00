"""What somebody may have meant: the right owner of a parameter, a share for a percentage, a sweep for several."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from bench.specs.request import Request, options

OPTIONS = {"device", *options(Request)}
"""What is no parameter of an owner, but an option of its own."""
MANY = 4
"""More than so many offers are no help."""


def offers(name: str, known: Mapping[str, Iterable[Mapping[str, Any]]], near: bool = False) -> list[str]:
    """Every ``owner.name`` that has this parameter, or the option of this name.

    :param name: as it was given, with an owner or without.
    :param known: the parameters of each encoder, learner and task that is asked for, by owner.
    :param near: where there is none, the names that are written almost so.

    >>> offers("lr", {"encoder": [{"n": 400}], "learner": [{"lr": 0.1}]})
    ['learner.lr']
    >>> offers("learner.n", {"encoder": [{"n": 400}], "learner": [{"n": 1}, {"n": 2}]})
    ['encoder.n', 'learner.n']
    >>> offers("steps", {}), offers("widht", {"learner": [{"width": 64}]}, near=True)
    (['`steps`'], ['learner.width'])
    """
    plain = name.rpartition(".")[2].replace("-", "_")
    if plain in OPTIONS:
        return [f"`{plain}`"]
    full = {f"{owner}.{one}": one for owner, several in known.items() for names in several for one in names}
    found = [whole for whole, one in full.items() if one == plain]
    if found or not near:
        return found
    close = get_close_matches(plain, full.values(), n=MANY, cutoff=0.7)
    return [whole for whole, one in full.items() if one in close]


def or_rather(found: Iterable[str]) -> str:
    """The end of a message: ": did you mean A or B?", or nothing but its full stop."""
    named = list(found)
    quoted = [name if name.startswith("`") else repr(name) for name in named]
    return f": did you mean {' or '.join(quoted)}?" if 0 < len(named) <= MANY else "."


def share_hint(value: Any) -> str:
    """As `or_rather`, for a share that was given in percent.

    >>> share_hint(50), share_hint("12.5%"), share_hint(1.5)
    (': did you mean 0.5?', ': did you mean 0.125?', '.')
    """
    for percent in _percentages(value):
        if 0 < percent < 100:
            return f": did you mean {percent / 100:g}?"
    return "."


def _percentages(value: Any) -> Iterator[float]:
    marked = isinstance(value, str) and value.strip().endswith("%")
    try:
        number = float(value.strip().rstrip("% ") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return
    if math.isfinite(number) and (marked or number >= 2):
        yield number


def written_out(text: str) -> str:
    """As `or_rather`, for an integer that was written as 1e3 or 1,000.

    >>> written_out("1e3"), written_out("1,000"), written_out("0,1"), written_out("1.5")
    (': did you mean 1000?', ': did you mean 1000?', '.', '.')
    """
    grouped = re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", text.strip())
    try:
        number = float(text.replace(",", "") if grouped else text)
    except ValueError:
        return "."
    return f": did you mean {number:.0f}?" if number.is_integer() else "."


def for_several(field: str, given: str) -> str | None:
    """What to say where a list or "all" was given and one value is taken; None where it is neither.

    >>> for_several("encoder", "onehot,cycle")
    "`encoder` takes one, got 'onehot,cycle': a sweep takes several."
    """
    if "," not in given and given != "all":
        return None
    return f"`{field}` takes one, got {given!r}: a sweep takes several."
