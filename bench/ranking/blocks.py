"""The ranking over several blocks: mean ranks of the rows that are in all of them, and Friedman's test."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.errors import RequestError
from bench.ranking import statistics
from bench.ranking.comparison import Comparison, compare
from bench.ranking.question import BLOCK_FIELDS
from bench.ranking.rows import Row, ScoredRow, known_mean
from bench.ranking.runs import grouped
from bench.ranking.scores import ROUNDING
from bench.results import many

FEWEST = 3
"""Friedman's test compares at least so many rows over at least so many blocks."""
MEANS = ("solved", "test_accuracy", "train_accuracy", "diagonal", "seconds", "flops")


def ranked_over_blocks(scored: Sequence[ScoredRow]) -> tuple[list[Row], Comparison]:
    """The rows that have a score in every block, best mean rank first, then the other rows."""
    blocks = sorted({one.block for one in scored}, key=lambda block: block.sort_key)
    groups = [sorted(group, key=lambda one: one.block.sort_key) for group in grouped(scored, _across_blocks)]
    whole = [group for group in groups if _scores(group) == len(blocks)]
    if min(len(blocks), len(whole)) < FEWEST:
        found = f"{many(len(whole), 'row')} with a score in each of {many(len(blocks), 'block')}"
        raise RequestError(f"`blocks` compares at least {FEWEST} rows over at least {FEWEST} blocks, found {found}.")
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
    nothing = ("estimate", "horizon", *ends, *BLOCK_FIELDS)
    changed: dict[str, Any] = {
        **dict.fromkeys(nothing),
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
    )
