"""Numbers, durations and sizes as text."""

from collections.abc import Sequence
from typing import Any

NAMED = 3
"""How many things a note names."""


def about(seconds: float) -> str:
    """An estimated duration, at least a second.

    >>> about(0.2), about(3000.0)
    ('about 1 s', 'about 50 min')
    """
    return f"about {duration(max(1.0, seconds))}"


def canonical(name: str) -> str:
    """A name in its usual form: lower case, with ``-`` for ``_``."""
    return name.strip().lower().replace("_", "-")


def duration(seconds: float) -> str:
    """A rough duration.

    >>> [duration(s) for s in (40, 500, 9000, 400_000)]
    ['40 s', '8 min', '2.5 h', '4.6 days']
    """
    if seconds < 7200:
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def few_of(names: Sequence[str], separator: str = ", ") -> str:
    """The first few names, with an ellipsis where there are more: "a, b, c, …"."""
    return separator.join(names[:NAMED]) + (f"{separator}…" if len(names) > NAMED else "")


def many(n: int, what: str) -> str:
    """A number of things: "1 row" or "1,000 rows"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def percent(accuracy: float | None) -> str:
    """An accuracy in percent with one decimal; only exact ones are rounded to 100.0% or 0.0%."""
    if accuracy is None:
        return "–"
    shown = 100 * accuracy if accuracy in (0, 1) else min(99.9, max(0.1, 100 * accuracy))
    return f"{shown:.1f}%"


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as ranges.

    >>> ranges([7, 0, 1, 2, 1])
    '0–2, 7'
    """
    ordered = sorted(set(numbers))
    starts = [n for n in ordered if n - 1 not in ordered]
    ends = [n for n in ordered if n + 1 not in ordered]
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in zip(starts, ends, strict=True))


def shown(value: Any) -> str:
    """A parameter or a value: floats with three significant digits or, from 1,000 to a million, as whole numbers.

    >>> [shown(value) for value in (0.0123456, 28.97, 2351.8, 1462.0, 1.23456e9, 128, "adamw")]
    ['0.0123', '29', '2,352', '1,462', '1.23e+09', '128', 'adamw']
    """
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def size(n_bytes: int) -> str:
    """A number of bytes with three significant digits.

    >>> [size(n) for n in (0, 999, 12_345, 6_200_000, 3_000_000_000)]
    ['0 B', '999 B', '12.3 kB', '6.2 MB', '3 GB']
    """
    scaled, units = float(n_bytes), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while scaled >= 999.5 and unit != "GB":
        scaled, unit = scaled / 1000, next(units)
    return f"{scaled:,.0f} {unit}" if scaled >= 100 or unit == "B" else f"{scaled:.3g} {unit}"
