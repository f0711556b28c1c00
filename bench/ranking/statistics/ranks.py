"""The interval of each row's rank in a table, from comparisons of its runs with those of every other row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.ranking.statistics.comparisons import holm, paired, unpaired
from bench.ranking.statistics.estimates import FEWEST, LEVEL, Floats


@dataclass(frozen=True)
class Sample:
    """The runs of one row as numbers to compare; smaller is better.

    :param keys: what each run shares with runs of other rows: its seed and its split.
    :param low, high: (n,), finite; each value is known to lie between them.
    :param spacing: the resolution of the values: no standard deviation is taken to be smaller.
    """

    keys: Sequence[object]
    low: Floats
    high: Floats
    spacing: float = 0.0


def rank_level(n: int) -> float:
    """The confidence level of the rank interval of a row of n runs: 95 %, of five runs 93.75 %."""
    return min(LEVEL, 1 - 2.0 ** (1 - n))


def rank_intervals(rows: Sequence[Sample], only: Sequence[int] | None = None) -> list[tuple[int, int] | None]:
    """The lowest and highest rank that each row could have; None for a row of fewer than five runs.

    low = 1 + number of rows significantly better,   high = M − number significantly worse.

    Rows are compared by the means of their values. A row is compared with every other, with Holm's correction over its
    own comparisons, so that each interval, taken alone, holds all ranks that ties admit with a probability of
    `rank_level`. A row of fewer than five runs never differs significantly from another. Two rows are compared by the
    m seeds that they have in common:

    - where m is at most 30 and the smallest p-value of the exact sign-flip test, 2^(1−m), passes Holm's first step
      (for two rows from six seeds on): by that test on the sum of the differences;
    - for any other m from five on: by a paired t test whose standard deviation is at least the spacing of the values;
    - for fewer than five: by a t test of the two means that takes the larger of the two standard deviations for both
      rows, with the degrees of freedom of the smaller row. Welch's test would treat five runs that agree by chance as
      runs that cannot differ.

    Where a value is only known to lie between two numbers, a row is better only if its high values are better than the
    other row's low values.

    Sources: Good 2005, Permutation, Parametric, and Bootstrap Tests of Hypotheses, doi:10.1007/b138696; Holm 1979, A
    simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65–70; ranks from
    pairwise tests: Mogstad, Romano, Shaikh and Wilhelm 2024, Inference for ranks, doi:10.1093/restud/rdad006.

    :param only: the numbers of the rows whose intervals are computed; all by default.
    """
    rows = [_average_by_key(row) for row in rows]
    enough = [i for i, row in enumerate(rows) if len(row.keys) >= FEWEST]
    table, number = _Table([rows[i] for i in enough]), {i: place for place, i in enumerate(enough)}
    asked = range(len(rows)) if only is None else only
    return [table.interval(number[i], len(rows), 1 - LEVEL) if i in number else None for i in asked]


def _average_by_key(row: Sample) -> Sample:
    """The row with the mean of all runs of one key in their place: they share a split, so they are not independent."""
    place_n = {key: i for i, key in enumerate(dict.fromkeys(row.keys))}
    if len(place_n) == len(row.keys):
        return row
    places_n = [place_n[key] for key in row.keys]
    low, high = (np.bincount(places_n, x) / np.bincount(places_n) for x in (row.low, row.high))
    return Sample(list(place_n), low, high, row.spacing)


class _Table:
    """The values of all rows: a column for each key, NaN where a row has no run of that key."""

    def __init__(self, rows: Sequence[Sample]) -> None:
        column = {key: s for s, key in enumerate(dict.fromkeys(key for row in rows for key in row.keys))}
        self.low_MS, self.high_MS = np.full((2, len(rows), len(column)), np.nan)
        for i, row in enumerate(rows):
            places = [column[key] for key in row.keys]
            self.low_MS[i, places], self.high_MS[i, places] = row.low, row.high
        self.spacing_M = np.array([row.spacing for row in rows])
        same_keys: dict[bytes, list[int]] = {}
        for i, has_S in enumerate(np.isfinite(self.low_MS)):
            same_keys.setdefault(has_S.tobytes(), []).append(i)
        self.same_keys = list(same_keys.values())
        self.exact = all(np.array_equal(row.low, row.high) for row in rows)

    def interval(self, i: int, m: int, alpha: float) -> tuple[int, int]:
        """The lowest and highest rank of row i among m rows."""
        count = len(self.spacing_M)
        p_M, wins_M = np.ones(count), np.zeros(count, bool)
        for some in self.same_keys:
            others = np.array([j for j in some if j != i], dtype=int)
            if len(others):
                p_M[others], wins_M[others] = self._compare(i, others, alpha / max(1, count - 1))
        differs_M, wins_M = holm(np.delete(p_M, i), alpha), np.delete(wins_M, i)
        return 1 + int((differs_M & ~wins_M).sum()), m - int((differs_M & wins_M).sum())

    def _compare(self, i: int, others_K: NDArray[np.int64], finest: float) -> tuple[Floats, NDArray[np.bool_]]:
        """Two-sided p-values of row i against other rows, which share one set of keys, and whether i is better."""
        ahead_K, p_K = self._test(self.high_MS, i, self.low_MS, others_K, finest)
        wins_K = ahead_K < 0
        if not self.exact:
            behind_K, p_behind_K = self._test(self.low_MS, i, self.high_MS, others_K, finest)
            p_K = np.where(wins_K, p_K, np.where(behind_K > 0, p_behind_K, 1.0))
        return p_K, wins_K

    def _test(
        self, mine_MS: Floats, i: int, theirs_MS: Floats, others_K: NDArray[np.int64], finest: float
    ) -> tuple[Floats, Floats]:
        """The mean differences between row i in one table of values and other rows in another, with p-values."""
        x_S, y_KS = mine_MS[i], theirs_MS[others_K]
        least_K = np.maximum(self.spacing_M[i], self.spacing_M[others_K])
        common_S = np.isfinite(x_S) & np.isfinite(y_KS[0])
        if common_S.sum() < FEWEST:
            return unpaired(x_S[np.isfinite(x_S)], y_KS[:, np.isfinite(y_KS[0])], least_K)
        differences_KS = x_S[common_S] - y_KS[:, common_S]
        return differences_KS.mean(1), paired(differences_KS, least_K, finest)
