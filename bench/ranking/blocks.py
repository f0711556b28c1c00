"""Rows over several blocks: their mean ranks, and Friedman's test."""

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
from bench.ranking.criteria import ROUNDING
from bench.ranking.question import OF_BLOCKS
from bench.ranking.reading import grouped
from bench.ranking.rows import Row
from bench.ranking.scored import Scored, mean
from bench.results.words import many

__all__ = ["compared"]

FEWEST = 3
"""Fewest blocks, and fewest rows in all of them, that Friedman's test compares."""
MEANS = ("solved", "test_accuracy", "train_accuracy", "diagonal", "seconds", "flops")


def compared(scored: Sequence[Scored]) -> tuple[list[Row], Comparison]:
    """Mean ranks over blocks of the rows that are in all of them, best first; then the rows that are not."""
    blocks = sorted({one.block for one in scored}, key=lambda block: block.place)
    groups = [sorted(group, key=lambda one: one.block.place) for group in grouped(scored, _across)]
    whole = [group for group in groups if _known(group) == len(blocks)]
    if min(len(blocks), len(whole)) < FEWEST:
        found = f"{many(len(whole), 'row')} with a score in each of {many(len(blocks), 'block')}"
        raise RequestError(f"--blocks compares at least {FEWEST} rows over at least {FEWEST} blocks, found {found}.")
    ranks_BM = np.array([_ranks(column) for column in zip(*whole, strict=True)])
    tested = statistics.friedman(ranks_BM, higher_is_better=False)
    order = sorted(range(len(whole)), key=lambda m: (tested.mean_ranks_M[m], whole[m][0].row.label))
    ranks_BM = ranks_BM[:, order]
    comparison = compare([block.title for block in blocks], tested, ranks_BM)
    means = ranks_BM.mean(0)
    apart = comparison.apart
    beats = [_beats(ranks_BM[:, m], ranks_BM[:, m + 1]) for m in range(len(order) - 1)]
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
            improvement=beat,
        )
        for m, beat in enumerate([*beats, None])
    ]
    partial = [group for group in groups if _known(group) < len(blocks)]
    others = [_over_blocks(group, f"scored in {_known(group)} of {len(blocks)} blocks") for group in partial]
    return [*rows, *sorted(others, key=lambda row: row.label)], comparison


def _known(group: Sequence[Scored]) -> int:
    return sum(one.score.order is not None for one in group)


def _across(one: Scored) -> str:
    """A config as text without what makes its block, and without the modulus that the task told the encoder."""
    config = {name: value for name, value in one.row.config.items() if name not in OF_BLOCKS}
    if one.block.modulus in (None, config["encoder"].get("modulus")):
        config["encoder"] = {name: value for name, value in config["encoder"].items() if name != "modulus"}
    return json.dumps(config, sort_keys=True)


def _ranks(column: Sequence[Scored]) -> NDArray[np.float64]:
    """Ranks within a block, ties halved, (M,)."""
    known = sorted({one.score.order for one in column if one.score.order is not None})
    return rankdata([known.index(one.score.order) for one in column if one.score.order is not None])


def _beats(ranks_B: NDArray[np.float64], others_B: NDArray[np.float64]) -> float:
    """Share of the blocks in which a row is before another, ties halved."""
    return float(((ranks_B < others_B) + (ranks_B == others_B) / 2).mean())


def _over_blocks(group: Sequence[Scored], *missing: str) -> Row:
    """What rows of one config are over their blocks, without a place."""
    rows = [one.row for one in group]
    sizes = [row.parameters for row in rows if row.parameters is not None]
    steps = [step for row in rows for step in row.steps or ()]
    reasons = dict.fromkeys(f"{reason} ({row.task})" for row in rows for reason in row.incomplete)
    ends = ("low", "high", "level", "solved_low", "solved_high", "lowest", "highest")
    nothing = ("estimate", "horizon", *ends, *OF_BLOCKS)
    changed: dict[str, Any] = {
        **dict.fromkeys(nothing),
        **{name: mean([getattr(row, name) for row in rows]) for name in MEANS},
    }
    return replace(
        rows[0],
        **changed,
        config={name: value for name, value in rows[0].config.items() if name not in OF_BLOCKS},
        n=sum(row.n for row in rows),
        probes={name: mean([row.probes[name] for row in rows]) for name in rows[0].probes},
        gives_away=any(row.gives_away for row in rows),
        mean=None,
        unconfirmed=sum(row.unconfirmed for row in rows),
        stopped=sum(row.stopped for row in rows),
        remarks=[],
        parameters=max(sizes) if sizes else None,
        steps=[min(steps), max(steps)] if steps else None,
        diverged=sum(row.diverged for row in rows),
        incomplete=[*missing, *reasons],
        fractions=[],
    )
