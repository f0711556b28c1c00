"""What a few runs say about a learner: estimates with intervals, comparisons, ranks. Pure functions of numbers.

How often each interval covers, and how wide it is, is measured by :mod:`bench.studies.coverage`; the numbers in these
docstrings are its output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

__all__ = [
    "Estimate",
    "Friedman",
    "friedman",
    "improvement",
    "mean_interval",
    "median_interval",
    "rank_intervals",
    "restricted_mean",
    "solved_interval",
]

LEVEL = 0.95

SPENT_EARLY = 0.9
"""The mean's t quantile is that of an error of α(1 + 0.9/n): 5.9 % at n = 5, so that it is not 1.33 × the oracle's."""
SAMPLE_SKEWNESS = 1 / 3
"""Weight of the sample's own skewness; the rest is that of the Beta distribution of its mean and variance."""
MOST_SKEWNESS = 2.0
"""Largest skewness taken from the Beta distribution: an exponential tail's, which is its limit near a bound."""
LEAST_NEAR = 0.5
"""However skewed, the side away from the tail keeps this share of the t interval."""
SATURATED = 0.05
"""As share of the range: a median this near a bound begins to count as saturated (`bench.metrics.TARGETS[0]`)."""
FEWEST_FOR_MEDIAN = 5
"""The sample's extremes enclose the median with probability 1 − 2^(1−n): 93.75 % at five runs, 87.5 % at four."""

HORIZONS = 16
"""Different times up to which rows are compared."""
AT_ONCE = 1 << 20
"""Comparisons worked on together: memory for a few million is not always there."""
LUCK = 2.0
"""A saturated row is not taken to be quieter than this many times the average variance of a table's rows."""
TINY = np.finfo(float).tiny

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; None where there is none: a median not reached, an end at infinity, a single run."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Friedman:
    """Friedman's test over blocks.

    :param statistic: χ², corrected for ties.
    :param mean_ranks_M: of each row over the blocks, 1 the best.
    """

    statistic: float
    p_value: float
    mean_ranks_M: Floats


def mean_interval(values: ArrayLike, level: float = LEVEL, lowest: float = 0.0, highest: float = 1.0) -> Estimate:
    """Mean of a few bounded scores: a skewness-corrected t interval, and the rule of three where they are saturated.

    x̄ + (d ± q) s/√n,   q = t_{n−1}(1 − α′/2),   α′ = α (1 + 0.9/n),   d = γ (1 + 2q²) / (6√n),

    neither side below q/2. γ is ⅔ of the skewness, at most 2, of the Beta distribution that has the sample's mean and
    variance on [lowest, highest], and ⅓ of the sample's own: scores near a bound have their tail on the other side, and
    the bound says so before five runs can. Where n runs are all alike at a bound, a failure of probability up to
    1 − α^(1/n) could have stayed unseen, each costing the whole range, so

    low ≤ x̄ − w (1 − α^(1/n)) (x̄ − lowest),   w = max(0, 1 − ((highest − median) / 0.05 (highest − lowest))²),

    and likewise at the other bound: five runs at 1.0 have the interval [0.55, 1].

    NOTE: a failure that no run shows, of scores that are not saturated, cannot be seen by any interval of useful width.
    Of five runs that score 0.3, or 0.99 with probability 0.2, none succeeds in a third of the samples: 67 % coverage.
    Skewed scores far from both bounds: 0.8 − a gamma(4), skewness −1, has 92.9 % at n = 5; 0.6 + an exponential has
    88, 91, 92 % at n = 5, 10, 20.

    Sources: Johnson 1978, Modified t tests and confidence intervals for asymmetrical populations,
    doi:10.1080/01621459.1978.10480051; Hanley and Lippman-Hand 1983, If nothing goes wrong, is everything all right?,
    doi:10.1001/jama.1983.03330370053031. The Beta skewness and the constants are ours.

    :param values: (n,); of a single one there is no interval.
    :param lowest, highest: what a score can be at all.
    :raises ValueError: where there are no scores, or one is out of bounds.

    >>> mean_interval([1.0, 1.0, 1.0, 1.0, 1.0]).low
    0.549...
    """
    x = _sample("mean_interval", values)
    if x.min() < lowest or x.max() > highest:
        raise ValueError(f"mean_interval takes scores in [{lowest}, {highest}], got {x.min()} … {x.max()}.")
    return _bounded_mean(x, _mean(x), level, lowest, highest)


def _bounded_mean(
    x: Floats, mean: float, level: float, lowest: float, highest: float, skewed: bool = False
) -> Estimate:
    """See `mean_interval`; pseudo-values may be out of bounds.

    :param skewed: take the skewness above the mean to be at least that of a lognormal distribution.
    """
    n, span = len(x), highest - lowest
    if n == 1:
        return Estimate(mean, None, None)
    deviations = x - _mean(x)
    variance = float((deviations**2).sum() / (n - 1))
    q = _t_quantile(level, n)
    relative = (variance / span**2, (mean - lowest) / span)
    gamma = (1 - SAMPLE_SKEWNESS) * _beta_skewness(*relative) + SAMPLE_SKEWNESS * _sample_skewness(deviations)
    further = _lognormal_skewness(*relative) if skewed else gamma
    below, above = (q + d * (1 + 2 * q * q) / (6 * n**0.5) for d in (-gamma, max(gamma, further)))
    error = (variance / n) ** 0.5
    low, high = mean - max(below, LEAST_NEAR * q) * error, mean + max(above, LEAST_NEAR * q) * error
    unseen = 1 - (1 - level) ** (1 / n)
    median = float(np.median(x))
    low = min(low, mean - _saturation(highest - median, span) * unseen * (mean - lowest))
    high = max(high, mean + _saturation(median - lowest, span) * unseen * (highest - mean))
    return Estimate(mean, min(max(low, lowest), mean), max(min(high, highest), mean))


@lru_cache(maxsize=1024)
def _t_quantile(level: float, n: int) -> float:
    return float(stats.t.ppf(1 - (1 - level) * (1 + SPENT_EARLY / n) / 2, n - 1))


def _mean(x: Floats) -> float:
    """Exact for equal numbers, so that these have no variance."""
    return min(max(float(x.mean()), float(x.min())), float(x.max()))


def _sample_skewness(deviations: Floats) -> float:
    second = float((deviations**2).mean())
    return float((deviations**3).mean()) / second**1.5 if second > 0 else 0.0


def _beta_skewness(variance: float, mean: float) -> float:
    """2(b − a)√(a + b + 1) / ((a + b + 2)√(ab)) of the Beta distribution of this mean and variance, at most 2."""
    if variance <= 0 or not 0 < mean < 1:
        return 0.0
    total = max(mean * (1 - mean) / variance - 1, 1e-3)  # a + b; of a sample at both bounds it is −1/n
    skewness = 2 * (1 - 2 * mean) * (total + 1) ** 0.5 / ((total + 2) * (mean * (1 - mean)) ** 0.5)
    return min(max(skewness, -MOST_SKEWNESS), MOST_SKEWNESS)


def _lognormal_skewness(variance: float, mean: float) -> float:
    """c(3 + c²), c = σ/μ, of the lognormal distribution of this mean and variance, at most 2."""
    if mean <= 0:
        return 0.0
    variation = variance**0.5 / mean
    return min(variation * (3 + variation**2), MOST_SKEWNESS)


def _saturation(distance: float, span: float) -> float:
    """w of `mean_interval`: 1 at a bound, 0 from 5 % of the range on."""
    return max(0.0, 1 - (distance / (SATURATED * span)) ** 2)


def solved_interval(k: int, n: int, level: float = LEVEL) -> Estimate:
    """P(solved) from k of n runs: the exact interval, whose coverage is never below the level.

    low = B_{α/2}(k, n − k + 1),   high = B_{1−α/2}(k + 1, n − k),   B the quantiles of the Beta distribution.

    Wilson's is narrower, but of five runs that each succeed with probability 0.97 it covers 86 %.

    Source: Clopper and Pearson 1934, The use of confidence or fiducial limits, doi:10.1093/biomet/26.4.404.

    >>> solved_interval(5, 5)
    Estimate(value=1.0, low=0.478..., high=1.0)
    """
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"solved_interval takes 0 ≤ k ≤ n and n ≥ 1, got k={k}, n={n}.")
    tail = (1 - level) / 2
    low = float(special.betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Estimate(k / n, low, high)


@dataclass(frozen=True)
class _Survival:
    """Kaplan–Meier: S(t) = Π_{t_j ≤ t} (1 − d_j / Y_j) just after each of J times at which d_j of Y_j runs are solved.

    :param risk_J: Y_j − d_j, runs still at risk after it.
    """

    times_J: Floats
    left_J: Floats
    risk_J: Floats

    def quantile(self, share: float) -> float:
        """First time by which this share is solved; infinite where that is not reached."""
        reached = np.flatnonzero(1 - self.left_J >= share - 1e-9)
        return float(self.times_J[reached[0]]) if len(reached) else float("inf")

    def area(self, horizon: float) -> float:
        """∫₀^horizon S(t) dt."""
        before = self.times_J < horizon
        edges = np.concatenate([[0.0], self.times_J[before], [horizon]])
        return float(np.diff(edges) @ np.concatenate([[1.0], self.left_J[before]]))


def _survival(times: Floats, solved: Flags) -> _Survival:
    """A run that was stopped at t was still at risk at t."""
    events, counts = np.unique(times[solved], return_counts=True)
    risk = len(times) - np.searchsorted(np.sort(times), events, side="left")
    return _Survival(events, np.cumprod(1.0 - counts / risk, dtype=np.float64), np.asarray(risk - counts, float))


def median_interval(times: ArrayLike, solved: ArrayLike, level: float = LEVEL) -> Estimate:
    """Kaplan–Meier median of crossing times, some of them censored, between interpolated order statistics.

    value = min{t : S(t) ≤ ½};   low = (1 − λ) t_(r) + λ t_(r+1),   high = (1 − λ) t_(n+1−r) + λ t_(n−r),

    λ = (n − r) I / (r + (n − 2r) I),   I = (c_r − level) / (c_r − c_{r+1}),   c_r = 1 − 2 P(Bin(n, ½) < r),

    r the largest with c_r ≥ level; t_(r) is the time by which S falls to 1 − r/n. Where runs were stopped before others
    were solved, n is the effective number (runs still at risk)/S at the median, rounded down (Peto's variance of S is
    that of a share of so many runs).
    The extremes of five runs hold 93.75 %, and no distribution-free interval holds more; below five there is none.

    NOTE: where most runs were stopped before the median at budgets that differ (lognormal, σ = 0.5, budgets from 0.57
    to 1.14 medians) coverage is 90 % of ten runs, 93 % of twenty. A budget that all runs share costs none.

    Unlike `restricted_mean` it does not ask how long the runs took that were never solved.

    Sources: Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452; Hettmansperger and Sheather 1986, Confidence
    intervals based on interpolated order statistics, doi:10.1016/0167-7152(86)90021-0; Peto et al. 1977,
    Design and analysis of randomized clinical trials, doi:10.1038/bjc.1977.1.

    :param times: (n,), of a run that was not solved the time it was given.
    :returns: value None where half is not reached, high None where it is infinite; low is then at most the longest time
        that any run was given.
    """
    t, flags = _crossings("median_interval", times, solved)
    curve = _survival(t, flags)
    median = curve.quantile(0.5)
    n = _effective_number(curve, len(t))
    value = None if median == float("inf") else median
    if n < FEWEST_FOR_MEDIAN:
        return Estimate(value, None, None)
    rank, inward = _order_statistics(n, level)
    longest = float(t.max())
    low = _between(min(curve.quantile(rank / n), longest), min(curve.quantile((rank + 1) / n), longest), inward)
    high = _between(curve.quantile((n + 1 - rank) / n), curve.quantile((n - rank) / n), inward)
    return Estimate(value, low, None if high == float("inf") else high)


def _between(outer: float, inner: float, inward: float) -> float:
    """Infinite where the outer one is: an end half way to infinity is none."""
    return outer if outer in (inner, float("inf")) else (1 - inward) * outer + inward * inner


def _effective_number(curve: _Survival, n: int) -> int:
    """(Y − d)/S at the median, or as near to it as S comes, rounded down: n where no run was stopped before."""
    inside = np.flatnonzero(curve.risk_J)
    if not len(inside):
        return n
    beyond = inside[curve.left_J[inside] <= 0.5 + 1e-9]
    j = beyond[0] if len(beyond) else inside[-1]
    return int(curve.risk_J[j] / curve.left_J[j] + 1e-6)


@lru_cache(maxsize=1024)
def _order_statistics(n: int, level: float) -> tuple[int, float]:
    """r and λ of `median_interval`; (1, 0), the extremes, where even they hold less than the level."""
    holds = 1 - 2 * stats.binom.cdf(np.arange(n // 2 + 1) - 1, n, 0.5)  # of r = 0, 1, …
    rank = int(np.flatnonzero(holds >= level)[-1])
    if rank == 0 or rank + 1 >= len(holds):
        return max(rank, 1), 0.0
    share = (holds[rank] - level) / (holds[rank] - holds[rank + 1])
    return rank, float((n - rank) * share / (rank + (n - 2 * rank) * share))


def restricted_mean(times: ArrayLike, solved: ArrayLike, horizon: float, level: float = LEVEL) -> Estimate:
    """Mean time to be solved within a horizon: the area under the Kaplan–Meier curve up to it.

    value = ∫₀^h S(t) dt; the interval is that of `mean_interval`, bounds 0 and h, of the pseudo-values
    n·value − (n − 1)·value₋ᵢ, which are just min(tᵢ, h) where no run was stopped before the horizon. Where all were
    solved within it nothing cuts off the tail: γ above the mean is then at least that of the lognormal distribution of
    their mean and variance, c(3 + c²) with c = s/x̄, at most 2.
    A run that is never solved costs the whole horizon, so where all of a few runs are solved within 5 % of it the
    interval reaches far up, by the rule of three: the median does not ask that, and is then the better summary.

    NOTE: where the longest run was stopped before the horizon, S is carried on flat. Lognormal times with σ = 1 and
    hardly a run censored have 93, 91, 92 % at n = 5, 10, 20; where one run in ten is never solved and the budget is
    only three medians, 89, 88, 92 %: without such a run in the sample, nothing hints at them.

    Sources: Royston and Parmar 2013, Restricted mean survival time, doi:10.1186/1471-2288-13-152; pseudo-values:
    Andersen, Hansen and Klein 2004, doi:10.1007/s10985-004-4771-0.

    :param times: (n,), of a run that was not solved the time it was given.
    """
    t, flags = _crossings("restricted_mean", times, solved)
    if not horizon > 0:
        raise ValueError(f"restricted_mean takes a horizon above 0, got {horizon}.")
    curve = _survival(t, flags)
    n, value = len(t), curve.area(horizon)
    skewed = bool(flags.all() and t.max() < horizon)
    if flags[t < horizon].all():
        return _bounded_mean(np.minimum(t, horizon), value, level, 0.0, horizon, skewed)
    others = [_survival(np.delete(t, i), np.delete(flags, i)).area(horizon) for i in range(n)]
    return _bounded_mean(n * value - (n - 1) * np.array(others), value, level, 0.0, horizon, skewed)


def improvement(
    better: ArrayLike,
    worse: ArrayLike,
    higher_is_better: bool = True,
    *,
    solved: tuple[ArrayLike, ArrayLike] | None = None,
    level: float = LEVEL,
) -> Estimate:
    """Probability that a run of the first beats a run of the second; a tie counts half.

    θ̂ = Σᵢⱼ ([xᵢ beats yⱼ] + ½ [xᵢ = yⱼ]) / mn, the Mann–Whitney statistic; its ends solve |θ̂ − θ| = z √(κ V(θ)),

    V(θ) = θ(1 − θ) (1 + (N − 1) ((1 − θ)/(2 − θ) + θ/(1 + θ))) / mn,   N = (m + n)/2.

    As V is taken at the end and not at θ̂, five runs that beat five others all have an interval: [0.64, 1]. V supposes
    that both spread alike; κ ≥ 1 is how much larger the variance of θ̂ is that the placements show, the variances over
    i of the share of y that xᵢ beats, /m, and over j of the share of x that beat yⱼ, /n.

    Sources: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice,
    arXiv 2108.13264; the interval is a method of Newcombe 2006, doi:10.1002/sim.2324; placements:
    DeLong, DeLong and Clarke-Pearson 1988, doi:10.2307/2531595. κ is ours.

    :param better, worse: (m,) and (n,); where one has a single run there is no interval.
    :param solved: flags of both. The numbers are then crossing times, fewer is better: a run that is not solved loses
        to one that is, whatever time it was given, and ties with another that is not.
    """
    x, y = _sample("improvement", better), _sample("improvement", worse)
    if solved is not None:
        x, y = (np.where(_crossings("improvement", a, s)[1], a, np.inf) for a, s in zip((x, y), solved, strict=True))
        higher_is_better = False
    wins_MN, ties_MN = (x[:, None] > y if higher_is_better else x[:, None] < y), x[:, None] == y
    beaten_MN = wins_MN + ties_MN / 2
    value, m, n = float(beaten_MN.mean()), len(x), len(y)
    if min(m, n) == 1:
        return Estimate(value, None, None)
    placed = float(beaten_MN.mean(axis=1).var(ddof=1) / m + beaten_MN.mean(axis=0).var(ddof=1) / n)
    usual = _improvement_variance(value, m, n)
    wider = max(1.0, placed / usual) if usual > 0 else 1.0
    low, high = (_improvement_end(theta, m, n, wider, level) for theta in (1 - value, value))
    return Estimate(value, 1 - low, high)


def _improvement_variance(theta: float, m: int, n: int) -> float:
    """V(θ) of `improvement`, without κ."""
    spread = 1 + ((m + n) / 2 - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
    return theta * (1 - theta) * spread / (m * n)


def _improvement_end(value: float, m: int, n: int, wider: float, level: float) -> float:
    """Largest θ with θ − value ≤ z √(κ V(θ)), by bisection."""
    z = float(special.ndtri((1 + level) / 2))
    low, high = value, 1.0
    for _ in range(50):
        theta = (low + high) / 2
        inside = theta - value <= z * (wider * _improvement_variance(theta, m, n)) ** 0.5
        low, high = (theta, high) if inside else (low, theta)
    return high


def rank_intervals(
    samples: Sequence[ArrayLike],
    higher_is_better: bool = True,
    *,
    solved: Sequence[ArrayLike] | None = None,
    level: float = LEVEL,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest rank that each row could have: all of them hold together with probability `level`.

    low = 1 + number of rows significantly better,   high = M − number significantly worse,

    by all M(M − 1)/2 comparisons of means with Holm's correction: a row's rank by its mean lies between them.
    A comparison is Welch's t test whose variances have a floor,

    s̃ᵢ² = max(sᵢ², median s², 2 wᵢ mean s²),   median and mean over the rows,

    wᵢ that of `mean_interval` with the median of row i and the best and worst score of the table. Five lucky runs of a
    learner that solves half of the time have no variance at all: without the floor 74 % of tables of 60 such rows
    have some of them taken apart (n = 5), with it none.

    NOTE: a test on ranks cannot do this. The smallest p value of five against five is 2/252, so that with Holm no rows
    of a table of more than four could ever be separated; the t test trusts the normal tail instead. What no test can
    tell from luck is a row that fails half of the time in a table where hardly any other row varies: of 500 rows of
    which 10 are such, some of the 10 are taken apart in 6 % of tables (n = 5), in none of 10 runs each. Where no
    row of a table varies at all, rows that differ are taken apart.

    Sources: Welch 1947, doi:10.1093/biomet/34.1-2.28; Holm 1979, A simple sequentially rejective multiple test
    procedure, Scandinavian Journal of Statistics 6, 65–70; ranks from pairwise tests: Mogstad, Romano, Shaikh and
    Wilhelm 2024, Inference for ranks, doi:10.1093/restud/rdad006. A variance floor from the other rows is common in
    genomics: Tusher, Tibshirani and Chu 2001, doi:10.1073/pnas.091062498.

    :param samples: M rows of scores; a row of one score is never separated from another.
    :param solved: flags for every row. The scores are then crossing times, fewer is better, and two rows are compared
        by log(1 + min(t, h)), where h is the shortest time given to a run of theirs that was not solved: all that is
        not solved within h ties. Of many different h, some are rounded down.
    :returns: (M,) and (M,), 1 the best.
    """
    m = len(samples)
    if not m:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if solved is None:
        view_M, views = np.zeros(m, np.int64), [[_sample("rank_intervals", row) for row in samples]]
    else:
        higher_is_better = False
        view_M, views = _log_times(samples, solved)
    floored = [_floored(rows) for rows in views]
    # Flat over views and rows: what a pair is compared by stands in the view of the shorter of its horizons.
    score = np.concatenate([mean_M for mean_M, _, _ in floored]) * (1 if higher_is_better else -1)
    error = np.concatenate([variance_M / n_M for _, variance_M, n_M in floored])
    freedom = np.concatenate([n_M - 1 for _, _, n_M in floored])
    i_K, j_K = _pairs(m)

    def places(i: NDArray[np.int32], j: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        view_K: NDArray[np.int64] = np.minimum(view_M[i], view_M[j]) * m
        return (view_K + i).astype(np.int64), (view_K + j).astype(np.int64)

    p_K = np.empty(len(i_K))
    for first in range(0, len(i_K), AT_ONCE):
        i, j = places(i_K[first : first + AT_ONCE], j_K[first : first + AT_ONCE])
        p_K[first : first + AT_ONCE] = _welch(score[i] - score[j], error, freedom, i, j)
    apart = np.flatnonzero(_holm(p_K, 1 - level))
    i, j = places(i_K[apart], j_K[apart])
    first_wins = score[i] > score[j]
    beaten_M = np.bincount(np.where(first_wins, j, i) % m, minlength=m)
    beats_M = np.bincount(np.where(first_wins, i, j) % m, minlength=m)
    return 1 + beaten_M, m - beats_M


def _pairs(m: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """All i < j below m."""
    i_K = np.repeat(np.arange(m, dtype=np.int32), np.arange(m - 1, -1, -1))
    j_K = [np.arange(i + 1, m, dtype=np.int32) for i in range(m)]
    return i_K, np.concatenate(j_K) if m else np.zeros(0, np.int32)


def _log_times(
    samples: Sequence[ArrayLike], solved: Sequence[ArrayLike]
) -> tuple[NDArray[np.int64], list[list[Floats]]]:
    """The view that each row's horizon allows, and all rows in each view, from the shortest horizon up."""
    pairs = [_crossings("rank_intervals", *pair) for pair in zip(samples, solved, strict=True)]
    horizon_M = np.array([t[~flags].min() if not flags.all() else np.inf for t, flags in pairs])
    horizons = np.unique(horizon_M)
    if len(horizons) > HORIZONS:
        horizons = horizons[np.linspace(0, len(horizons) - 1, HORIZONS).round().astype(int)]
    view_M = np.searchsorted(horizons, horizon_M, side="right") - 1
    return view_M, [[np.log1p(np.minimum(t, h)) for t, _ in pairs] for h in horizons]


def _floored(rows: Sequence[Floats]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Mean, variance not below the floor of `rank_intervals`, and number, of each row."""
    n_M = np.array([len(row) for row in rows])
    mean_M = np.array([_mean(row) for row in rows])
    median_M = np.array([np.median(row) for row in rows])
    several_M = n_M > 1
    squares_M = np.array([((row - mean) ** 2).sum() for row, mean in zip(rows, mean_M, strict=True)])
    variance_M = squares_M / np.maximum(n_M - 1, 1)
    if not several_M.any():
        return mean_M, variance_M, n_M
    low, high = min(row.min() for row in rows), max(row.max() for row in rows)
    saturated_M = np.array([_saturation(min(m - low, high - m), max(high - low, TINY)) for m in median_M])
    average = np.average(variance_M[several_M], weights=n_M[several_M] - 1)
    floor_M = np.maximum(np.median(variance_M[several_M]), LUCK * saturated_M * average)
    return mean_M, np.maximum(variance_M, floor_M), n_M


def _welch(difference_K: Floats, error_M: Floats, freedom_M: Any, i_K: Any, j_K: Any) -> Floats:
    """Two-sided p values, 1 where a row has a single score.

    :param error_M: squared standard errors of the means.
    """
    freedom_M = np.maximum(freedom_M, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight_M = error_M**2 / freedom_M
        total_K = error_M[i_K] + error_M[j_K]
        nu_K = total_K**2 / (weight_M[i_K] + weight_M[j_K])
        p_K = 2 * special.stdtr(nu_K, -np.abs(difference_K) / np.sqrt(total_K))
    p_K[total_K == 0] = 0.0
    p_K[(difference_K == 0) | (freedom_M[i_K] == 0) | (freedom_M[j_K] == 0)] = 1.0
    return p_K


def _holm(p_K: Floats, alpha: float) -> Flags:
    """Which hypotheses are rejected: the smallest p values, as long as the k-th is at most α / (K − k + 1)."""
    small = np.flatnonzero(p_K <= alpha)  # no other can be
    order = small[np.argsort(p_K[small], kind="stable")]
    holds = p_K[order] <= alpha / (len(p_K) - np.arange(len(order)))
    rejected_K = np.zeros(len(p_K), bool)
    rejected_K[order[np.logical_and.accumulate(holds)]] = True
    return rejected_K


def friedman(scores_BM: ArrayLike, higher_is_better: bool = True) -> Friedman:
    """Friedman's test that M rows rank alike over B blocks: tasks, moduli or fractions, never seeds of one of them.

    χ² = 12B / (M(M + 1)) Σₘ (R̄ₘ − (M + 1)/2)², corrected for ties, with M − 1 degrees of freedom.

    Sources: Friedman 1937, doi:10.1080/01621459.1937.10503522; Demšar 2006, Statistical comparisons of classifiers over
    multiple data sets, jmlr.org/papers/v7/demsar06a.html.

    :param scores_BM: one score of each row in each block, for example the mean over seeds.
    :raises ValueError: below three rows or two blocks.
    """
    scores = np.asarray(scores_BM, dtype=float)
    if scores.ndim != 2 or scores.shape[0] < 2 or scores.shape[1] < 3:
        raise ValueError(f"friedman takes at least 2 blocks × 3 rows, got shape {scores.shape}.")
    ranks_BM = stats.rankdata(-scores if higher_is_better else scores, axis=1)
    if (ranks_BM == ranks_BM[:, :1]).all():
        return Friedman(0.0, 1.0, ranks_BM.mean(axis=0))
    statistic, p_value = stats.friedmanchisquare(*ranks_BM.T)
    return Friedman(float(statistic), float(p_value), ranks_BM.mean(axis=0))


def _sample(owner: str, values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x) or np.isnan(x).any():
        raise ValueError(f"{owner} takes a non-empty list of numbers, got {values!r}.")
    return x


def _crossings(owner: str, times: ArrayLike, solved: ArrayLike) -> tuple[Floats, Flags]:
    t, flags = _sample(owner, times), np.asarray(solved, dtype=bool)
    if flags.shape != t.shape or t.min() < 0:
        raise ValueError(f"{owner} takes times of at least 0 with a flag each, got {times!r} and {solved!r}.")
    return t, flags
