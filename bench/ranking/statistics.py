"""What a few runs say about a learner: medians with their intervals, comparisons, ranks. Pure functions of numbers.

:mod:`bench.recipes.measurements.coverage` simulates how often each interval covers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

__all__ = [
    "FEWEST",
    "LEVEL",
    "Estimate",
    "Friedman",
    "friedman",
    "improvement",
    "median",
    "median_interval",
    "rank_intervals",
    "rank_level",
    "solved_interval",
]

LEVEL = 0.95
LEAST_LEVEL = 0.9
"""An interval that holds less than this is not given."""
FEWEST = 5
"""Runs from which on there is an interval of the median, 93.75 % at five, and a place that luck alone does not explain.
Of rows whose runs work half of the time, one in 2^(n−1) has all of its n runs alike: at n = 4, 7 % of the rows of a
table of 14 such rows would be told apart from another."""
MOST_FLIPPED = 30
"""Seeds in common up to which the sign-flip test is exact; beyond, its t approximation serves."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value and its interval.

    :param value: None where there is none.
    :param low, high: None where there is no interval; ``high`` also where it has no end.
    :param level: what the interval holds, a probability; None where there is no interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None


@dataclass(frozen=True)
class Friedman:
    """Friedman's test over blocks.

    :param statistic: χ², corrected for ties.
    :param mean_ranks_M: of each row over the blocks, 1 the best.
    """

    statistic: float
    p_value: float
    mean_ranks_M: Floats


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
    """Median of n runs between two order statistics, which enclose that of the distribution whatever its shape.

    [x_(r), x_(n+1−r)] holds it with probability c_r = 1 − 2 P(Bin(n, ½) < r) at least, exactly so without ties. r is
    the largest with c_r ≥ ``level``, or 1 where there is none: all five of five runs hold 93.75 %. With fewer than five
    it would be 87.5 % or less, and there is none.

    Of a run that is only known to lie between two numbers, the lower end of the interval takes the lower, the upper end
    the higher.

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
    rank, holds = _order_statistic(len(x), level)
    low_end, high_end = _finite(lows[rank - 1]), _finite(highs[len(x) - rank])
    if holds < LEAST_LEVEL or (low_end is None and high_end is None):
        return Estimate(middle)
    return Estimate(middle, low_end, high_end, holds)


@lru_cache(maxsize=1024)
def _order_statistic(n: int, level: float) -> tuple[int, float]:
    """r of `median_interval` and the probability that its interval holds the median."""
    holds_R = 1 - 2 * stats.binom.cdf(np.arange(1, n // 2 + 1) - 1, n, 0.5)
    enough = int((holds_R >= level).sum())
    return max(enough, 1), float(holds_R[max(enough, 1) - 1]) if len(holds_R) else 0.0


def solved_interval(k: int, n: int, level: float = LEVEL) -> Estimate:
    """P(solved) from k of n runs: the exact interval, which covers at its level at least.

    low = B_{α/2}(k, n − k + 1),   high = B_{1−α/2}(k + 1, n − k),   B the quantiles of the Beta distribution.

    Wilson's is narrower, but of five runs that each succeed with probability 0.97 it covers 86 %.

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


class Bounds(NamedTuple):
    """Values of which each is only known to lie between two numbers; smaller is better."""

    low: Floats
    high: Floats


def improvement(better: Bounds, worse: Bounds) -> float:
    """Probability that a run of the first has a smaller value than one of the second; ties count half.

    Σᵢⱼ ([xᵢ < yⱼ] + ½ [xᵢ = yⱼ]) / mn, the Mann–Whitney statistic; a pair whose order is not known counts half, too.

    Source: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, arXiv 2108.13264.
    """
    (x_low, x_high), (y_low, y_high) = better, worse
    wins, losses = x_high[:, None] < y_low, x_low[:, None] > y_high
    return float(0.5 + (wins.mean() - losses.mean()) / 2)


# Ranks


@dataclass(frozen=True)
class Sample:
    """The runs of one row as ranks compare them; smaller is better.

    :param keys: of each run what it shares with runs of other rows: its seed and split.
    :param low, high: (n,), between which each value is known to lie; finite.
    :param spacing: below this, a deviation says nothing: how finely the values are known.
    """

    keys: Sequence[object]
    low: Floats
    high: Floats
    spacing: float = 0.0


def rank_level(n: int) -> float:
    """What the interval of a row's rank holds: 95 %, of five runs 93.75 %."""
    return min(LEVEL, 1 - 2.0 ** (1 - n))


def rank_intervals(rows: Sequence[Sample], only: Sequence[int] | None = None) -> list[tuple[int, int] | None]:
    """Lowest and highest rank that each row could have; None for a row of fewer than five runs.

    low = 1 + number of rows significantly better,   high = M − number significantly worse.

    Rows differ where the means of their values do. A row is compared with every other, with Holm's correction over its
    own comparisons, so that each interval, taken alone, holds all ranks that ties admit with the probability of
    `rank_level`. Rows of fewer than five runs are told from no other. Two rows are compared by the m seeds that they
    have in common:

    - m large enough that the smallest p-value of the exact sign-flip test, 2^(1−m), can pass Holm's first step
      (six for two rows), and at most 30: that test on the sum of the differences;
    - other m, from five on: a paired t test whose deviation is at least the spacing of the values;
    - fewer than five in common: a t test of the two means as if both rows spread as much as the wider one, with the
      degrees of freedom of the smaller. Welch's would take five runs that agree by luck for runs that cannot
      differ.

    Where a value is only known to lie between two numbers, a row counts as better only if it is with its own highest
    and the other's lowest values.

    Sources: Good 2005, Permutation, Parametric, and Bootstrap Tests of Hypotheses, doi:10.1007/b138696; Holm 1979, A
    simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65–70; ranks from
    pairwise tests: Mogstad, Romano, Shaikh and Wilhelm 2024, Inference for ranks, doi:10.1093/restud/rdad006.

    :param only: of which rows the interval is asked for, by number; all by default.
    """
    rows = [_each_key_once(row) for row in rows]
    enough = [i for i, row in enumerate(rows) if len(row.keys) >= FEWEST]
    table, number = _Table([rows[i] for i in enough]), {i: place for place, i in enumerate(enough)}
    asked = range(len(rows)) if only is None else only
    return [table.place(number[i], len(rows), 1 - LEVEL) if i in number else None for i in asked]


def _each_key_once(row: Sample) -> Sample:
    """Runs of one key, which are no more independent than their split, as their mean."""
    keys, place_n = list(dict.fromkeys(row.keys)), {key: i for i, key in enumerate(dict.fromkeys(row.keys))}
    if len(keys) == len(row.keys):
        return row
    places_n = [place_n[key] for key in row.keys]
    low, high = (np.bincount(places_n, x) / np.bincount(places_n) for x in (row.low, row.high))
    return Sample(keys, low, high, row.spacing)


class _Table:
    """Rows side by side, a column for each key; NaN where a row has no run of it."""

    def __init__(self, rows: Sequence[Sample]) -> None:
        self.rows = rows
        column = {key: s for s, key in enumerate(dict.fromkeys(key for row in rows for key in row.keys))}
        self.low_MS, self.high_MS = np.full((2, len(rows), len(column)), np.nan)
        for i, row in enumerate(rows):
            places = [column[key] for key in row.keys]
            self.low_MS[i, places], self.high_MS[i, places] = row.low, row.high
        self.spacing_M = np.array([row.spacing for row in rows])
        patterns: dict[bytes, list[int]] = {}
        for i, has_S in enumerate(np.isfinite(self.low_MS)):
            patterns.setdefault(has_S.tobytes(), []).append(i)
        self.alike = list(patterns.values())
        self.exact = all(np.array_equal(row.low, row.high) for row in rows)

    def place(self, i: int, m: int, alpha: float) -> tuple[int, int]:
        """The ranks of row i among m rows."""
        p_M, wins_M = np.ones(len(self.rows)), np.zeros(len(self.rows), bool)
        finest = alpha / max(1, len(self.rows) - 1)
        for some in self.alike:
            others = np.array([j for j in some if j != i], dtype=int)
            if len(others):
                p_M[others], wins_M[others] = self._compare(i, others, finest)
        apart_M = _holm(np.delete(p_M, i), alpha)
        wins_M = np.delete(wins_M, i)
        return 1 + int((apart_M & ~wins_M).sum()), m - int((apart_M & wins_M).sum())

    def _compare(self, i: int, others_K: NDArray[np.int64], finest: float) -> tuple[Floats, NDArray[np.bool_]]:
        """Two-sided p-values of row i against some others of one pattern of seeds, and whether i is better."""
        ahead_K, p_K = self._test(self.high_MS, i, self.low_MS, others_K, finest)
        wins_K = ahead_K < 0
        if not self.exact:
            behind_K, p_behind_K = self._test(self.low_MS, i, self.high_MS, others_K, finest)
            p_K = np.where(wins_K, p_K, np.where(behind_K > 0, p_behind_K, 1.0))
        return p_K, wins_K

    def _test(
        self, mine_MS: Floats, i: int, theirs_MS: Floats, others_K: NDArray[np.int64], finest: float
    ) -> tuple[Floats, Floats]:
        """Mean differences of row i, read in one way, from others, read in another, and p-values."""
        x_S, y_KS = mine_MS[i], theirs_MS[others_K]
        least_K = np.maximum(self.spacing_M[i], self.spacing_M[others_K])
        common_S = np.isfinite(x_S) & np.isfinite(y_KS[0])
        if common_S.sum() < FEWEST:
            return _unpaired(x_S[np.isfinite(x_S)], y_KS[:, np.isfinite(y_KS[0])], least_K)
        differences_KS = x_S[common_S] - y_KS[:, common_S]
        return differences_KS.mean(1), _paired(differences_KS, least_K, finest)


def _paired(differences_Kn: Floats, least_K: Floats, finest: float) -> Floats:
    """p-values of the exact sign-flip test where it can be small enough, else of a t test with a least deviation."""
    n = differences_Kn.shape[1]
    if n <= MOST_FLIPPED and 2.0 ** (1 - n) <= finest:
        p_K = np.ones(len(differences_Kn))
        far_K = np.abs(differences_Kn.sum(1)) > np.sqrt((differences_Kn**2).sum(1))  # p ≥ 3/16 for others: `sign_flip`
        p_K[far_K] = sign_flip(differences_Kn[far_K])
        return p_K
    means_K, deviations_K = differences_Kn.mean(1), np.maximum(differences_Kn.std(1, ddof=1), least_K)
    return _t(means_K, deviations_K / n**0.5, n - 1)


def sign_flip(differences_Kn: Floats) -> Floats:
    """Exact two-sided p-values, (K,): the share of all 2ⁿ signs s for which |Σ sᵢ dᵢ| ≥ |Σ dᵢ|.

    Under the null hypothesis that a pair could as well have come the other way round, every sign is as likely.
    Where all k differences that are not zero have one sign, it is 2^(1−k). A sum within one deviation, √Σ dᵢ², has a
    p-value of 3/16 at least (Dvořák and Tiwari 2021, arXiv 2104.10005).

    >>> sign_flip(np.array([[1.0, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, -6]])).tolist()
    [0.03125, 0.4375]
    """
    positive_K, negative_K = (differences_Kn > 0).sum(1), (differences_Kn < 0).sum(1)
    p_K = np.minimum(1.0, 2.0 ** (1 - positive_K - negative_K))
    for k in np.flatnonzero((positive_K > 0) & (negative_K > 0)):
        d_n = differences_Kn[k]
        p_K[k] = _flipped_share(d_n, abs(d_n.sum()) - 1e-9 * np.abs(d_n).sum())
    return p_K


def _flipped_share(d_n: Floats, bound: float) -> float:
    """Share of signs that bring the sum to ``bound`` or beyond, on either side: sums of one half of the numbers
    are looked up in the sorted sums of the other.
    """
    one, other = (_signed_sums(half) for half in np.array_split(d_n, 2))
    other.sort()
    above = len(other) - np.searchsorted(other, bound - one)
    return min(1.0, float(2 * above.sum() / (len(one) * len(other))))


def _signed_sums(d_n: Floats) -> Floats:
    """All 2ⁿ of Σ ±dᵢ."""
    sums = np.zeros(1)
    for d in d_n:
        sums = np.concatenate([sums + d, sums - d])
    return sums


def _unpaired(x_n: Floats, y_Kn: Floats, least_K: Floats) -> tuple[Floats, Floats]:
    """Mean differences and two-sided p-values of a t test as if both rows spread as much as the wider of them."""
    n, m = len(x_n), y_Kn.shape[1]
    wider_K = np.maximum(np.maximum(x_n.std(ddof=1), y_Kn.std(1, ddof=1)), least_K)
    means_K = x_n.mean() - y_Kn.mean(1)
    return means_K, _t(means_K, wider_K * (1 / n + 1 / m) ** 0.5, min(n, m) - 1)


def _t(means_K: Floats, errors_K: Floats, freedom: int) -> Floats:
    """Two-sided p-values of means by their standard errors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p_K = 2 * special.stdtr(freedom, -np.abs(means_K) / errors_K)
    return np.where(means_K == 0, 1.0, p_K)


def _holm(p_K: Floats, alpha: float) -> NDArray[np.bool_]:
    """Which hypotheses are rejected: the smallest p-values, as long as the k-th is at most α / (K − k + 1)."""
    order = np.argsort(p_K, kind="stable")
    holds = p_K[order] <= alpha / (len(p_K) - np.arange(len(p_K)))
    rejected_K = np.zeros(len(p_K), bool)
    rejected_K[order[np.logical_and.accumulate(holds)]] = True
    return rejected_K


def friedman(scores_BM: ArrayLike, higher_is_better: bool = True) -> Friedman:
    """Friedman's test that M rows rank alike over B blocks: tasks, moduli or fractions, never seeds of one of them.

    χ² = 12B / (M(M + 1)) Σₘ (R̄ₘ − (M + 1)/2)², corrected for ties, with M − 1 degrees of freedom.

    Sources: Friedman 1937, doi:10.1080/01621459.1937.10503522; Demšar 2006, Statistical comparisons of classifiers over
    multiple data sets, jmlr.org/papers/v7/demsar06a.html.

    :param scores_BM: one score of each row in each block, for example the median over seeds.
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


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _sample(owner: str, values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x) or np.isnan(x).any():
        raise ValueError(f"{owner} takes a non-empty list of numbers, got {values!r}.")
    return x
