"""The comparison of rows over blocks: their mean ranks, and which rows differ significantly."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.ranking.statistics import SIGNIFICANCE, Friedman, critical_difference


@dataclass(frozen=True)
class Comparison:
    """Rows compared over blocks, best mean rank first.

    :param blocks: their titles.
    :param critical_difference: two rows differ significantly where their mean ranks are at least this far apart.
    :param groups: sets of rows that do not differ significantly, as places from 0.
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
        """The significant difference of two mean ranks: infinite where Friedman's test finds no difference."""
        return self.critical_difference if self.differ else math.inf


def compare(blocks: list[str], tested: Friedman, ranks_BM: NDArray[np.float64]) -> Comparison:
    """The groups of rows, which are in the order of their mean ranks."""
    difference = critical_difference(ranks_BM.shape[1], ranks_BM.shape[0])
    found = Comparison(blocks, float(tested.statistic), float(tested.p_value), difference, [], ranks_BM.T.tolist())
    means_M = ranks_BM.mean(0)
    ends = [int((means_M < mean + found.apart).sum()) for mean in means_M]
    groups = [list(range(m, end)) for m, end in enumerate(ends) if m == 0 or end > ends[m - 1]]
    return replace(found, groups=groups)
