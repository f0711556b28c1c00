"""Numbers as tables print them: with how many digits, and with which unit. `bench.results.words` makes sentences."""

import math
from collections.abc import Iterable


def significant(value: float, digits: int = 3) -> str:
    """A measurement with so many significant digits.

    >>> [significant(x) for x in (0.22914, 12.34, 1234.5, 0)]
    ['0.229', '12.3', '1,230', '0']
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def four_digits(value: float) -> str:
    """A setting with at most four significant digits.

    >>> [four_digits(x) for x in (0.020961900543150613, 0.1, 1e-05, 12345.678)]
    ['0.02096', '0.1', '1e-05', '12350.0']
    """
    return str(float(f"{value:.4g}"))


def exponential(value: float) -> str:
    """A large number, such as a count of FLOPs.

    >>> exponential(4.5512e10)
    '4.55e10'
    """
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{digits}e{int(exponent)}"


def known_mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are known; None where none is.

    >>> known_mean([0.5, None, 1.0]), known_mean([None])
    (0.75, None)
    """
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def short_duration(seconds: float) -> str:
    """Seconds, or minutes from ten minutes on.

    >>> [short_duration(x) for x in (0.123, 12.3, 1234)]
    ['0.12s', '12s', '21min']
    """
    return f"{seconds:.2g}s" if seconds < 10 else f"{seconds:.0f}s" if seconds < 600 else f"{seconds / 60:.0f}min"
