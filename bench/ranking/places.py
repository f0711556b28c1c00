"""The places of rows in one block: the order of their scores, the interval of each rank, and who beats the next row."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from bench.ranking import statistics
from bench.ranking.rows import Row, ScoredRow


def placed(block: Sequence[ScoredRow]) -> list[Row]:
    """The rows of a block, best first; those without a score last."""
    ranked = sorted((one for one in block if one.score.order is not None), key=_standing)
    others = sorted((one.row for one in block if one.score.order is None), key=lambda row: row.label)
    first = {one.score.order: place for place, one in reversed(list(enumerate(ranked, 1)))}
    beats = [*(_improvement(one, other) for one, other in pairwise(ranked)), None][: len(ranked)]
    samples = [one.score.sample for one in ranked if one.score.sample is not None]
    intervals = statistics.rank_intervals(samples) if samples else _by_intervals([one.row for one in ranked])
    rows = []
    for one, interval, improvement in zip(ranked, intervals, beats, strict=True):
        place, sample, level = first[one.score.order], one.score.sample, one.row.level
        low, high = (None, None) if interval is None else (min(interval[0], place), max(interval[1], place))
        if sample is not None:
            level = None if interval is None else statistics.rank_level(len(set(sample.keys)))
        row = replace(one.row, rank=place, rank_low=low, rank_high=high, rank_level=level, improvement=improvement)
        rows.append(row)
    return [*rows, *others]


def _standing(one: ScoredRow) -> tuple[tuple[float, ...], str, str]:
    assert one.score.order is not None
    return one.score.order, one.row.label, one.score.observations[0].run.key


def _improvement(one: ScoredRow, other: ScoredRow) -> float | None:
    """Probability that a run of one row beats a run of the other; None where runs are not compared."""
    if one.score.values is None or other.score.values is None:
        return None
    return statistics.improvement(one.score.values, other.score.values)


def _by_intervals(rows: Sequence[Row]) -> list[tuple[int, int] | None]:
    """Rank intervals from those of the needed fractions: rows differ where their intervals do not overlap."""
    needs = [(row.low or 0.0, math.inf if row.high is None else row.high) for row in rows]
    better = [sum(other_high <= low for _, other_high in needs) for low, _ in needs]
    worse = [sum(high <= other_low for other_low, _ in needs) for _, high in needs]
    places = [(1 + before, len(rows) - behind) for before, behind in zip(better, worse, strict=True)]
    return [None if row.level is None else place for row, place in zip(rows, places, strict=True)]
