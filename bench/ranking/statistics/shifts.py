"""How far the runs of one row are from those of another, whatever their distribution: Hodges–Lehmann, Mann–Whitney.

On logarithms of costs a distance is the logarithm of a ratio.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import stats

from bench.ranking.statistics.comparisons import Bounds
from bench.ranking.statistics.estimates import FEWEST, LEVEL, Estimate, Floats

MOST_COUNTED = 10_000
"""The null distribution is counted up to so many pairs of runs, 100 × 100; for more, it is taken to be normal."""


def hodges_lehmann(x: Bounds, y: Bounds) -> tuple[float, float]:
    """The median of all mn differences xᵢ − yⱼ: two numbers between which it lies, equal where it is known.

    Each value is known to lie between two numbers, and so is each difference: the lower end is the median of the lower
    ends, the upper end that of the upper ends. Swapping x and y changes the sign alone.

    Source: Hodges and Lehmann 1963, Estimates of location based on rank tests, doi:10.1214/aoms/1177704172.

    >>> hodges_lehmann(Bounds(np.array([3.0, 5, 9]), np.array([3.0, 5, 9])), Bounds(np.array([1.0]), np.array([1.0])))
    (4.0, 4.0)
    """
    low, high = _differences(x, y)
    return _middle(low, -math.inf), _middle(high, math.inf)


def shift_interval(x: Bounds, y: Bounds, level: float = LEVEL, fewest: int = FEWEST) -> Estimate:
    """The shifts δ for which the Mann–Whitney test does not reject that x and y + δ have one distribution.

    [D₍ₖ₎, D₍ₘₙ₊₁₋ₖ₎] of the sorted differences D = xᵢ − yⱼ holds δ with a probability of at least 1 − 2 P(U < k), and
    of exactly that without ties, whatever the distribution; k is the largest for which this is at least ``level``, and
    U the Mann–Whitney statistic of two samples of one distribution. It supposes that the rows differ by a shift alone.
    Runs that share their seeds, and with them some of their luck, make it hold the shift more often.

    Of a value that is only known to lie between two numbers, the lower end of the interval takes the lower ends of the
    differences and the upper end the upper ones, so that the interval holds for all values that are possible. With
    fewer than ``fewest`` runs on either side, by default five, no interval is given.

    Source: Hollander, Wolfe and Chicken 2014, Nonparametric Statistical Methods, section 4.3,
    doi:10.1002/9781119196037; ties: Noether 1967, doi:10.1080/01621459.1967.10482897.

    :returns: without a value; ``low`` or ``high`` is None for an open end.

    >>> x, y = (np.arange(5.0) + shift for shift in (10, 0))
    >>> shift_interval(Bounds(x, x), Bounds(y, y))
    Estimate(value=None, low=7.0, high=13.0, level=0.968...)
    """
    n, m = len(x.low), len(y.low)
    if min(n, m) < fewest:
        return Estimate(None)
    k, coverage = _order_statistic(n, m, level)
    lows, highs = (np.sort(ends, axis=None) for ends in _differences(x, y))
    low, high = (float(end) if np.isfinite(end) else None for end in (lows[k - 1], highs[n * m - k]))
    return Estimate(None) if low is None and high is None else Estimate(None, low, high, coverage)


@lru_cache(maxsize=64)
def mann_whitney(n: int, m: int) -> Floats:
    """P(U = u) for u = 0 … nm: U counts the pairs with xᵢ > yⱼ of n and m values of one distribution without ties.

    The largest of all values is an x with probability n / (n + m), and is then above all m others:
    p(u; n, m) = n / (n + m) p(u − m; n − 1, m) + m / (n + m) p(u; n, m − 1).

    >>> (mann_whitney(2, 2) * 6).round().tolist()
    [1.0, 1.0, 2.0, 1.0, 1.0]
    """
    above = [np.ones(1)] * (m + 1)
    for i in range(1, n + 1):
        row = [np.ones(1)]
        for j in range(1, m + 1):
            p = np.zeros(i * j + 1)
            p[j:] += i / (i + j) * above[j]
            p[: i * (j - 1) + 1] += j / (i + j) * row[j - 1]
            row.append(p)
        above = row
    return above[m]


@lru_cache(maxsize=1024)
def _order_statistic(n: int, m: int, level: float) -> tuple[int, float]:
    """k of `shift_interval`, at least 1, and the coverage 1 − 2 P(U < k)."""
    if n * m <= MOST_COUNTED:
        below = np.cumsum(mann_whitney(n, m)[: n * m // 2])
        k = max(1, int((below <= (1 - level) / 2).sum()))
        return k, float(1 - 2 * below[k - 1])
    middle, deviation = n * m / 2, math.sqrt(n * m * (n + m + 1) / 12)
    k = math.floor(middle + 0.5 + deviation * stats.norm.ppf((1 - level) / 2))
    return k, float(1 - 2 * stats.norm.cdf((k - 0.5 - middle) / deviation))


def _differences(x: Bounds, y: Bounds) -> tuple[Floats, Floats]:
    """The lower and the upper ends of xᵢ − yⱼ, (n, m); of two values that are both infinite nothing is known."""
    with np.errstate(invalid="ignore"):
        low, high = x.low[:, None] - y.high, x.high[:, None] - y.low
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def _middle(values: Floats, unknown: float) -> float:
    """The median, the midpoint of two; ``unknown`` is the midpoint of −∞ and ∞."""
    ordered = np.sort(values, axis=None)
    one, other = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    if one == other:
        return one
    return unknown if math.isinf(one) and math.isinf(other) else (one + other) / 2
