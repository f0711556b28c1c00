"""Rows compared over several blocks: mean ranks, and the difference that counts."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import studentized_range

from bench.ranking.statistics import Friedman

__all__ = ["Comparison", "compare"]

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """Rows compared over blocks, best mean rank first.

    :param blocks: their titles.
    :param critical_difference: of two mean ranks, from which on their rows can be told apart.
    :param groups: sets of rows, by place from 0, that cannot be told apart.
    :param ranks: of each row in each block.
    """

    blocks: list[str]
    statistic: float
    p_value: float
    critical_difference: float
    groups: list[list[int]]
    ranks: list[list[float]]

    @property
    def differ(self) -> bool:
        """Whether Friedman's test finds any difference."""
        return self.p_value < SIGNIFICANCE

    @property
    def apart(self) -> float:
        """The difference of mean ranks that counts: without one found by Friedman's test none does."""
        return self.critical_difference if self.differ else math.inf

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON document."""
        return dict(vars(self))


def critical_difference(n_rows: int, n_blocks: int) -> float:
    """Nemenyi's test: CD = q √(M(M + 1) / 6B), q = Q(M, ∞) / √2 the studentized range at 95 %.

    Source: Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.

    >>> round(critical_difference(n_rows=4, n_blocks=14), 2)
    1.25
    """
    q = float(studentized_range.ppf(1 - SIGNIFICANCE, n_rows, np.inf)) / math.sqrt(2)
    return q * math.sqrt(n_rows * (n_rows + 1) / (6 * n_blocks))


def compare(blocks: list[str], tested: Friedman, ranks_BM: NDArray[np.float64]) -> Comparison:
    """Groups of rows, which are in the order of their mean ranks."""
    difference = critical_difference(ranks_BM.shape[1], ranks_BM.shape[0])
    apart = difference if tested.p_value < SIGNIFICANCE else math.inf
    means_M = ranks_BM.mean(0)
    ends = [int((means_M < mean + apart).sum()) for mean in means_M]
    groups = [list(range(m, end)) for m, end in enumerate(ends) if m == 0 or end > ends[m - 1]]
    return Comparison(blocks, float(tested.statistic), float(tested.p_value), difference, groups, ranks_BM.T.tolist())
