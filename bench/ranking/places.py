"""The places of rows: within one block by their scores, over all blocks by their mean ranks.

Within a block each rank has an interval, and a row a probability that it beats the next one. Over blocks, Friedman's
test says whether rows differ at all, and Nemenyi's which of them do.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.errors import RequestError
from bench.ranking import statistics
from bench.ranking.question import BLOCK_FIELDS
from bench.ranking.rows import Row, ScoredRow
from bench.ranking.runs import grouped
from bench.ranking.scores import ROUNDING
from bench.results import known_mean, many

FEWEST_BLOCKS = 3
"""Friedman's test compares at least so many rows over at least so many blocks."""
MEANS = ("solved", "test_accuracy", "train_accuracy", "diagonal", "seconds", "flops")


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
        rows.append(
            replace(one.row, rank=place, rank_low=low, rank_high=high, rank_level=level, improvement=improvement)
        )
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
        return self.p_value < statistics.SIGNIFICANCE

    @property
    def apart(self) -> float:
        """The significant difference of two mean ranks: infinite where Friedman's test finds no difference."""
        return self.critical_difference if self.differ else math.inf


def compare(blocks: list[str], tested: statistics.Friedman, ranks_BM: NDArray[np.float64]) -> Comparison:
    """The groups of rows, which are in the order of their mean ranks."""
    difference = statistics.critical_difference(ranks_BM.shape[1], ranks_BM.shape[0])
    found = Comparison(blocks, float(tested.statistic), float(tested.p_value), difference, [], ranks_BM.T.tolist())
    means_M = ranks_BM.mean(0)
    ends = [int((means_M < mean + found.apart).sum()) for mean in means_M]
    return replace(found, groups=[list(range(m, end)) for m, end in enumerate(ends) if m == 0 or end > ends[m - 1]])


def ranked_over_blocks(scored: Sequence[ScoredRow]) -> tuple[list[Row], Comparison]:
    """The rows that have a score in every block, best mean rank first, then the other rows."""
    blocks = sorted({one.block for one in scored}, key=lambda block: block.sort_key)
    groups = [sorted(group, key=lambda one: one.block.sort_key) for group in grouped(scored, _across_blocks)]
    whole = [group for group in groups if _scores(group) == len(blocks)]
    if min(len(blocks), len(whole)) < FEWEST_BLOCKS:
        found = f"{many(len(whole), 'row')} with a score in each of {many(len(blocks), 'block')}"
        raise RequestError(
            f"Mean ranks are of at least {FEWEST_BLOCKS} rows over at least {FEWEST_BLOCKS} blocks (tasks, moduli, "
            f"protocols, fractions or label noise), found {found}."
        )
    ranks_BM = np.array([_ranks(column) for column in zip(*whole, strict=True)])
    tested = statistics.friedman(ranks_BM, higher_is_better=False)
    order = sorted(range(len(whole)), key=lambda m: (tested.mean_ranks_M[m], whole[m][0].row.label))
    ranks_BM = ranks_BM[:, order]
    comparison = compare([block.title for block in blocks], tested, ranks_BM)
    means, apart = ranks_BM.mean(0), comparison.apart
    wins = [_share_won(ranks_BM[:, m], ranks_BM[:, m + 1]) for m in range(len(order) - 1)]
    rows = [
        replace(
            _over_blocks(whole[order[m]]),
            rank=int((means < means[m] - ROUNDING).sum()) + 1,
            rank_low=int((means <= means[m] - apart).sum()) + 1,
            rank_high=len(means) - int((means >= means[m] + apart).sum()),
            estimate=float(means[m]),
            low=float(ranks_BM[:, m].min()),
            high=float(ranks_BM[:, m].max()),
            rank_level=statistics.LEVEL,
            improvement=won,
        )
        for m, won in enumerate([*wins, None])
    ]
    partial = [group for group in groups if _scores(group) < len(blocks)]
    others = [_over_blocks(group, f"scored in {_scores(group)} of {len(blocks)} blocks") for group in partial]
    return [*rows, *sorted(others, key=lambda row: row.label)], comparison


def _scores(group: Sequence[ScoredRow]) -> int:
    return sum(one.score.order is not None for one in group)


def _across_blocks(one: ScoredRow) -> str:
    """The config as text without the fields of the block, and without the modulus where the encoder has the task's."""
    config = {name: value for name, value in one.row.config.items() if name not in BLOCK_FIELDS}
    if one.block.modulus in (None, config["encoder"].get("modulus")):
        config["encoder"] = {name: value for name, value in config["encoder"].items() if name != "modulus"}
    return json.dumps(config, sort_keys=True)


def _ranks(column: Sequence[ScoredRow]) -> NDArray[np.float64]:
    """Ranks within a block, (M,); equal scores share the mean of their ranks."""
    known = sorted({one.score.order for one in column if one.score.order is not None})
    return rankdata([known.index(one.score.order) for one in column if one.score.order is not None])


def _share_won(ranks_B: NDArray[np.float64], others_B: NDArray[np.float64]) -> float:
    """Share of the blocks in which a row is ranked before another; ties count half."""
    return float(((ranks_B < others_B) + (ranks_B == others_B) / 2).mean())


def _over_blocks(group: Sequence[ScoredRow], *missing: str) -> Row:
    """One row from those of one config in several blocks, without a place."""
    rows = [one.row for one in group]
    steps = [step for row in rows for step in row.steps or ()]
    reasons = dict.fromkeys(f"{reason} ({row.task})" for row in rows for reason in row.incomplete)
    ends = ("low", "high", "level", "solved_low", "solved_high", "lowest", "highest")
    changed: dict[str, Any] = {
        **dict.fromkeys(("estimate", "horizon", *ends, *BLOCK_FIELDS)),
        **{name: known_mean(getattr(row, name) for row in rows) for name in MEANS},
    }
    return replace(
        rows[0],
        **changed,
        config={name: value for name, value in rows[0].config.items() if name not in BLOCK_FIELDS},
        n=sum(row.n for row in rows),
        probes={name: known_mean(row.probes[name] for row in rows) for name in rows[0].probes},
        gives_away=any(row.gives_away for row in rows),
        mean=None,
        unconfirmed=sum(row.unconfirmed for row in rows),
        stopped=sum(row.stopped for row in rows),
        remarks=[],
        parameters=max((row.parameters for row in rows if row.parameters is not None), default=None),
        steps=[min(steps), max(steps)] if steps else None,
        diverged=sum(row.diverged for row in rows),
        incomplete=[*missing, *reasons],
        fractions=[],
        runs=[run for row in rows for run in row.runs],
    )
