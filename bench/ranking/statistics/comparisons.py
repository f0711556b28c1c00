"""Comparisons of rows, by their runs and by their ranks over blocks.

Two rows are compared by their runs: the probability of improvement, and tests of the difference of their means. Many
rows are compared by their mean ranks over blocks: Friedman's test that they differ, and Nemenyi's critical difference.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bench.ranking.statistics.estimates import Floats

MOST_FLIPPED = 30
"""The sign-flip test is exact up to this many common seeds; for more, its t approximation is used."""
SIGNIFICANCE = 0.05


class Bounds(NamedTuple):
    """Values of which each is only known to lie between two numbers; smaller is better."""

    low: Floats
    high: Floats


def improvement(better: Bounds, worse: Bounds) -> float:
    """Probability that a run of the first row has a smaller value than one of the second; ties count half.

    Σᵢⱼ ([xᵢ < yⱼ] + ½ [xᵢ = yⱼ]) / mn, the Mann–Whitney statistic; a pair whose order is not known counts half, too.

    Source: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, arXiv 2108.13264.
    """
    (x_low, x_high), (y_low, y_high) = better, worse
    wins, losses = x_high[:, None] < y_low, x_low[:, None] > y_high
    return float(0.5 + (wins.mean() - losses.mean()) / 2)


def paired(differences_Kn: Floats, least_K: Floats, finest: float) -> Floats:
    """p-values of K rows of paired differences, (K,).

    :param least_K: the smallest standard deviation that a t test takes a row to have.
    :param finest: the sign-flip test is used where its smallest p-value is at most this; a t test elsewhere.
    """
    n = differences_Kn.shape[1]
    if n <= MOST_FLIPPED and 2.0 ** (1 - n) <= finest:
        p_K = np.ones(len(differences_Kn))
        far_K = np.abs(differences_Kn.sum(1)) > np.sqrt((differences_Kn**2).sum(1))  # p ≥ 3/16 for others: `sign_flip`
        p_K[far_K] = sign_flip(differences_Kn[far_K])
        return p_K
    means_K, deviations_K = differences_Kn.mean(1), np.maximum(differences_Kn.std(1, ddof=1), least_K)
    return _t_test(means_K, deviations_K / n**0.5, n - 1)


def sign_flip(differences_Kn: Floats) -> Floats:
    """Exact two-sided p-values, (K,): the share of all 2ⁿ signs s for which |Σ sᵢ dᵢ| ≥ |Σ dᵢ|.

    Under the null hypothesis the two runs of a pair could be exchanged, so that all signs are equally likely. Where all
    k differences that are not zero have one sign, the p-value is 2^(1−k). Where the sum is at most √Σ dᵢ², its standard
    deviation over the signs, the p-value is at least 3/16 (Dvořák and Tiwari 2021, arXiv 2104.10005).

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
    """Share of signs for which the absolute sum is at least ``bound``.

    Each sum of the first half of the numbers is looked up in the sorted sums of the second half.
    """
    one, other = (_signed_sums(half) for half in np.array_split(d_n, 2))
    other.sort()
    above = len(other) - np.searchsorted(other, bound - one)
    return min(1.0, float(2 * above.sum() / (len(one) * len(other))))


def _signed_sums(d_n: Floats) -> Floats:
    """All 2ⁿ values of Σ ±dᵢ."""
    sums = np.zeros(1)
    for d in d_n:
        sums = np.concatenate([sums + d, sums - d])
    return sums


def unpaired(x_n: Floats, y_Kn: Floats, least_K: Floats) -> tuple[Floats, Floats]:
    """Mean differences and two-sided p-values of a t test that takes the larger standard deviation for both rows."""
    n, m = len(x_n), y_Kn.shape[1]
    larger_K = np.maximum(np.maximum(x_n.std(ddof=1), y_Kn.std(1, ddof=1)), least_K)
    means_K = x_n.mean() - y_Kn.mean(1)
    return means_K, _t_test(means_K, larger_K * (1 / n + 1 / m) ** 0.5, min(n, m) - 1)


def _t_test(means_K: Floats, errors_K: Floats, freedom: int) -> Floats:
    """Two-sided p-values of means by their standard errors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p_K = 2 * special.stdtr(freedom, -np.abs(means_K) / errors_K)
    return np.where(means_K == 0, 1.0, p_K)


def holm(p_K: Floats, alpha: float) -> NDArray[np.bool_]:
    """Which of K hypotheses are rejected: the smallest p-values, as long as the k-th is at most α / (K − k + 1)."""
    order = np.argsort(p_K, kind="stable")
    passes = p_K[order] <= alpha / (len(p_K) - np.arange(len(p_K)))
    rejected_K = np.zeros(len(p_K), bool)
    rejected_K[order[np.logical_and.accumulate(passes)]] = True
    return rejected_K


@dataclass(frozen=True)
class Friedman:
    """The result of Friedman's test over blocks.

    :param statistic: χ², corrected for ties.
    :param mean_ranks_M: of each row over the blocks, 1 the best.
    """

    statistic: float
    p_value: float
    mean_ranks_M: Floats


def friedman(scores_BM: ArrayLike, higher_is_better: bool = True) -> Friedman:
    """Friedman's test that M rows rank alike over B blocks. A block is a task, modulus or fraction, never a seed.

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


def critical_difference(n_rows: int, n_blocks: int) -> float:
    """Nemenyi's test: CD = q √(M(M + 1) / 6B), q = Q(M, ∞) / √2 the studentized range at 95 %.

    Source: Demšar 2006, as for `friedman`.

    >>> round(critical_difference(n_rows=4, n_blocks=14), 2)
    1.25
    """
    q = float(stats.studentized_range.ppf(1 - SIGNIFICANCE, n_rows, np.inf)) / math.sqrt(2)
    return q * math.sqrt(n_rows * (n_rows + 1) / (6 * n_blocks))
