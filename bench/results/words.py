"""Numbers and amounts in words."""

from collections.abc import Sequence
from typing import Any

__all__ = ["NAMED", "few_of", "many", "percent", "ranges", "shown"]

NAMED = 3
"""So many things are named in a note."""


def few_of(names: Sequence[str], separator: str = ", ") -> str:
    """The first few names, and whether there are more: as "a, b, c, …"."""
    return separator.join(names[:NAMED]) + (f"{separator}…" if len(names) > NAMED else "")


def many(n: int, what: str) -> str:
    """As "1 row" or "1,000 rows"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def percent(accuracy: float | None) -> str:
    """An accuracy in percent with one decimal; 100.0% and 0.0% are said only where they are exact."""
    if accuracy is None:
        return "–"
    shown = 100 * accuracy if accuracy in (0, 1) else min(99.9, max(0.1, 100 * accuracy))
    return f"{shown:.1f}%"


def ranges(numbers: Sequence[int]) -> str:
    """As "0–4, 7"."""
    ordered = sorted(numbers)
    starts = [n for n in ordered if n - 1 not in ordered]
    ends = [n for n in ordered if n + 1 not in ordered]
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in zip(starts, ends, strict=True))


def shown(value: Any) -> str:
    """A parameter or a value with three significant digits, whole numbers with all of theirs.

    >>> [shown(value) for value in (0.0123456, 28.97, 2351.8, 1462.0, 1.23456e9, 128, "adamw")]
    ['0.0123', '29', '2,352', '1,462', '1.23e+09', '128', 'adamw']
    """
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
