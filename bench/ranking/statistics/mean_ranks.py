"""Mean ranks over blocks: Friedman's test that they differ, and Nemenyi's critical difference of two of them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from bench.ranking.statistics.estimates import Floats

SIGNIFICANCE = 0.05


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
