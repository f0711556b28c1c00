"""Estimates with confidence intervals: of a median over runs, and of the probability that a run solves its task."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

LEVEL = 0.95
LEAST_LEVEL = 0.9
"""An interval of a lower confidence level than this is not given."""
FEWEST = 5
"""Fewest runs for an interval of the median, whose level is 93.75 % at five, and for an interval of the rank.
Of rows whose runs succeed with probability ½, one in 2^(n−1) has n equal runs: with n = 4, 7 % of the rows of a table
of 14 such rows would be found to differ from another."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value and its interval.

    :param value: None where there is none.
    :param low, high: None where there is no interval; ``high`` also where it has no upper end.
    :param level: the confidence level of the interval, a probability; None where there is no interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None


def median(values: ArrayLike) -> float:
    """The middle value; of an even number the midpoint of the two middle ones, infinite where one of them is.

    >>> median([28, 30, 29, 31])
    29.5
    >>> median([28, 30, float("inf"), float("inf")])
    inf
    """
    x = np.sort(_sample("median", values))
    low, high = float(x[(len(x) - 1) // 2]), float(x[len(x) // 2])
    return low if low == high else (low + high) / 2


def median_interval(
    values: ArrayLike, *, low: ArrayLike | None = None, high: ArrayLike | None = None, level: float = LEVEL
) -> Estimate:
    """Median of n runs, and the two order statistics that enclose the distribution's median whatever its shape.

    [x_(r), x_(n+1−r)] holds it with a probability of at least c_r = 1 − 2 P(Bin(n, ½) < r), and of exactly c_r without
    ties. r is the largest with c_r ≥ ``level``, or 1 where there is none: the range of five runs holds it with 93.75 %.
    With fewer than five runs it would be 87.5 % or less, and no interval is given.

    Of a run that is only known to lie between two numbers, the lower end of the interval takes the lower and the upper
    end the higher.

    Source: David and Nagaraja 2003, Order Statistics, section 7.1, doi:10.1002/0471722162.

    :param values: (n,), infinite for runs that count as worst.
    :param low, high: (n,), bounds of each value; the values themselves where they are None.
    :returns: value and ``high`` None where they are infinite.

    >>> median_interval([28, 30, 29, 31, 40])
    Estimate(value=30.0, low=28.0, high=40.0, level=0.9375)
    """
    x = _sample("median_interval", values)
    lows, highs = (np.sort(x if end is None else _sample("median_interval", end)) for end in (low, high))
    middle = _finite(median(x))
    rank, coverage = _order_statistic(len(x), level)
    low_end, high_end = _finite(lows[rank - 1]), _finite(highs[len(x) - rank])
    if coverage < LEAST_LEVEL or (low_end is None and high_end is None):
        return Estimate(middle)
    return Estimate(middle, low_end, high_end, coverage)


@lru_cache(maxsize=1024)
def _order_statistic(n: int, level: float) -> tuple[int, float]:
    """r of `median_interval`, and c_r."""
    coverage_R = 1 - 2 * stats.binom.cdf(np.arange(1, n // 2 + 1) - 1, n, 0.5)
    rank = max(int((coverage_R >= level).sum()), 1)
    return rank, float(coverage_R[rank - 1]) if len(coverage_R) else 0.0


def solved_interval(k: int, n: int, level: float = LEVEL) -> Estimate:
    """P(solved) from k of n runs: the exact interval, whose coverage is at least its level.

    low = B_{α/2}(k, n − k + 1),   high = B_{1−α/2}(k + 1, n − k),   B the quantiles of the Beta distribution.

    Wilson's interval is narrower, but for five runs that each succeed with probability 0.97 its coverage is 86 %.

    Source: Clopper and Pearson 1934, The use of confidence or fiducial limits, doi:10.1093/biomet/26.4.404.

    >>> solved_interval(5, 5)
    Estimate(value=1.0, low=0.478..., high=1.0, level=0.95)
    """
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"solved_interval takes 0 ≤ k ≤ n and n ≥ 1, got k={k}, n={n}.")
    tail = (1 - level) / 2
    low = float(special.betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Estimate(k / n, low, high, level)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _sample(owner: str, values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x) or np.isnan(x).any():
        raise ValueError(f"{owner} takes a non-empty list of numbers, got {values!r}.")
    return x
