"""Ranges of numbers, and levels within them, given or learned from data."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from encoders._check import require

LEVELS: Final = 64
"""Levels that are learned from data at most."""
LARGEST_SIZE: Final = 2**31
"""Features of a code, at most."""
Values = NDArray[np.float64]


def unit_steps(given: Mapping[str, Any], *widths: str) -> Mapping[str, Any]:
    """Steps of 1 for the integers of the benchmark, where none of the widths is given."""
    return {} if any(given.get(name) is not None for name in widths) else {"resolution": 1.0}


def levels(values: Values, low: float, high: float) -> Values:
    """The numbers above ``low`` that tell the values apart: all where there are at most 64, or else 64 quantiles.

    They are the i/64-quantiles, i = 1 … 64, of the different values in [low, high], each a value (the inverse of the
    empirical distribution). A value that is there many times counts once: most numbers of many a table are 0, and the
    others shall be told apart, too. There is one level at least.
    """
    distinct = np.unique(values[(values >= low) & (values <= high)])
    if len(distinct) > LEVELS + 1:
        distinct = distinct[np.ceil(np.arange(1, LEVELS + 1) * len(distinct) / LEVELS).astype(np.intp) - 1]
    found = distinct[distinct > low]
    with np.errstate(over="ignore"):
        return found if len(found) else np.array([max(low + 1.0, float(np.nextafter(low, np.inf)))])


def spread(values: Values) -> float:
    """The distance of the 5 % and the 95 % quantile; of all values where that is 0, and 1 where that is 0, too."""
    ends = np.quantile(values, [0.05, 0.95, 0, 1], method="inverted_cdf")
    with np.errstate(over="ignore"):
        found = float(ends[1] - ends[0]) or float(ends[3] - ends[2]) or 1.0
    if not np.isfinite(found):
        raise ValueError(f"A resolution can be learned from a range below 1.8e308, got {ends[2]:g} to {ends[3]:g}.")
    return found


def places(values: Values, start: float, step: float) -> Values:
    """(x − start)/step, without the rounding errors next to whole numbers: 0.3 / 0.1 is 2.9999999999999996."""
    found = (values - start) / step
    nearest = np.rint(found)
    with np.errstate(over="ignore"):
        slack = 4 * np.finfo(np.float64).eps * ((np.abs(values) + abs(start)) / step + np.abs(found))
    return np.where(np.abs(found - nearest) <= np.minimum(slack, 1e-3), nearest, found)


def data_range(owner: Any, values: Values) -> tuple[float, float]:
    """The minimum and the maximum among the parameters of an encoder, or else those of the values.

    :raises ValueError: where only one is given and all values are beyond it.
    """
    low, high = float(values.min()), float(values.max())
    minimum, maximum = owner.minimum, owner.maximum
    if minimum is not None and maximum is None:
        require(owner, "minimum", high >= minimum, f"at most {high:g}, the largest value, unless maximum is given")
    if maximum is not None and minimum is None:
        require(owner, "maximum", low <= maximum, f"at least {low:g}, the smallest value, unless minimum is given")
    low, high = low if minimum is None else float(minimum), high if maximum is None else float(maximum)
    with np.errstate(over="ignore"):
        extent = np.float64(high) - low
    if not np.isfinite(extent):
        raise ValueError(f"{type(owner).__name__} takes ranges below 1.8e308, got one from {low:g} to {high:g}.")
    return low, high


def steps(owner: Any, extent: float, resolution: float) -> int:
    """How many steps of a resolution a range has, at least 1.

    :raises ValueError: where a code of so many features could not be numbered.
    """
    with np.errstate(over="ignore", divide="ignore"):
        found = np.ceil(np.float64(extent) / resolution)
    if not found < LARGEST_SIZE:
        raise ValueError(
            f"{type(owner).__name__} has codes of at most 2^31 features: resolution={resolution:g} is too small for a "
            f"range of {extent:g}."
        )
    return max(1, int(found))
