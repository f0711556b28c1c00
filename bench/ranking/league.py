"""The league table: records in, rows out, best first.

A row is a spec without its seeds. What it scores depends on its own records and on the horizon of its block, which
`--horizon` fixes; only its place, the interval of its place and how likely it is to beat the next row depend on who
else is there.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import compress, pairwise
from typing import Any

from bench.errors import RequestError, one_of
from bench.ranking import statistics
from bench.ranking.blocks import compared
from bench.ranking.captions import explained, legend
from bench.ranking.caveats import each_once, on_fewer_splits
from bench.ranking.criteria import beats, sample
from bench.ranking.observations import horizon_of
from bench.ranking.question import FILTERS, Question
from bench.ranking.reading import Reading, Run, grouped
from bench.ranking.rows import Ranking, Row
from bench.ranking.scored import Scored, scored
from bench.results.curves import TARGETS
from bench.results.record import Record
from bench.results.store import Store
from bench.results.words import many
from bench.specs.registry import canonical

__all__ = ["BY", "CROSSINGS", "Question", "Ranking", "Row", "rank"]

BY = ("accuracy", "steps", "seconds", "flops", "fraction")
CROSSINGS = ("first", "sustained")


def rank(
    *,
    results: str = "results",
    records: Iterable[Record] | None = None,
    by: str = "accuracy",
    target: float = 0.99,
    crossing: str = "sustained",
    horizon: float | None = None,
    encoder: str | Sequence[str] | None = None,
    learner: str | Sequence[str] | None = None,
    task: str | Sequence[str] | None = None,
    pairs: str | Sequence[str] | None = None,
    train_fraction: float | Sequence[float] | None = None,
    modulus: int | Sequence[int] | None = None,
    parameters: tuple[float | None, float | None] = (None, None),
    blocks: bool = False,
    skip_broken: bool = False,
) -> Ranking:
    """Rank what a results folder holds, or these records.

    Rows of different tasks, moduli, protocols or fractions are ranked apart, each block by itself.

    :param by: "accuracy", "steps", "seconds" or "flops" to the target, or the "fraction" of the pairs that it takes.
    :param target: 0.95 or 0.99.
    :param crossing: "first" or "sustained".
    :param horizon: read all runs up to there, and nothing that came later: a step, or seconds or FLOPs where rows are
        ranked by those. None takes the smallest budget of a row in each block. Rows that were given less have no rank.
    :param parameters: the least and the most trainable numbers of a row.
    :param blocks: compare the rows that are in every block by their mean rank over blocks.
    :param skip_broken: leave out records that cannot be read.
    :raises RequestError: for a request that is wrong, or that no record answers.
    :raises StoreError: where the folder or a record in it cannot be used.
    """
    question = _question(by, target, crossing, horizon)
    asked = zip(FILTERS, (encoder, learner, task, pairs, train_fraction, modulus), strict=True)
    reading = Reading(question, {name: _listed(value) for name, value in asked if value is not None})
    if records is None:
        reading.read(Store(results), skip_broken)
    else:
        for record in records:
            reading.take(record)
    reading.check("these records" if records is not None else repr(results))
    runs, notes = each_once(reading.runs)
    if blocks:
        runs, left_out = _untuned(runs)
        notes += left_out
    groups = grouped(runs, lambda run: (run.block, run.key))
    fitting = [_within(_size(group), *parameters) for group in groups]
    if not any(fitting):
        raise RequestError(f"--parameters {_span(*parameters)} leaves none of {many(len(groups), 'row')}.")
    matched = list(compress(groups, fitting))
    notes = [*reading.notes(len(matched), len(groups) - len(matched)), *notes, *on_fewer_splits(matched)]
    if by == "seconds":
        notes.append(
            f"Seconds of training, of a fleet its share, on {', '.join(sorted({run.device for run in runs}))}."
        )
    by_block = sorted(grouped(matched, lambda group: group[0].block), key=lambda some: some[0][0].block.place)
    tables = [_scored(some, question) for some in by_block]
    if blocks:
        rows, comparison = compared([one for table in tables for one in table])
    else:
        rows, comparison = [row for table in tables for row in _placed(table, question)], None
    lines = [*notes, *explained(question, rows, comparison)]
    return Ranking(question, rows, lines, legend(question, blocks), comparison)


def _question(by: str, target: float, crossing: str, horizon: float | None) -> Question:
    if by not in BY:
        raise RequestError(one_of("--by", by, BY))
    if crossing not in CROSSINGS:
        raise RequestError(one_of("--crossing", crossing, CROSSINGS))
    if target not in TARGETS:
        raise RequestError(f"--target must be one of {', '.join(map(str, TARGETS))}, got {target}.")
    question = Question(by, float(target), crossing, horizon)
    if horizon is None:
        return question
    least = "a step ≥ 1" if question.unit == "steps" else f"a number of {question.unit} above 0"
    if not 0 < horizon < math.inf or (question.unit == "steps" and horizon != int(horizon)):
        raise RequestError(f"--horizon must be {least}, got {horizon:g}.")
    return replace(question, horizon=int(horizon)) if question.unit == "steps" else question


def _untuned(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Runs that no search chose: the winner of a study is another row in every block."""
    kept = [run for run in runs if run.tuning is None]
    if not kept:
        raise RequestError("--blocks compares one setting over all blocks, and all records here are of tuned rows.")
    left = len(runs) - len(kept)
    why = "of tuned rows left out: --blocks compares one setting over all blocks"
    return kept, [f"{many(left, 'record')} {why}."] if left else []


def _listed(values: Any) -> list[Any]:
    """The values of a filter, as records spell them."""
    listed = [values] if isinstance(values, str | float | int) else list(values)
    return [canonical(v) if isinstance(v, str) else v for v in listed]


def _size(runs: Sequence[Run]) -> int | None:
    return max((run.parameters for run in runs if run.parameters is not None), default=None)


def _within(parameters: int | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return parameters is not None and (low or 0) <= parameters <= (math.inf if high is None else high)


def _span(low: float | None, high: float | None) -> str:
    return "..".join("" if end is None else f"{end:g}" for end in (low, high))


def _scored(groups: Sequence[Sequence[Run]], question: Question) -> list[Scored]:
    """The rows of a block, without places."""
    horizon = horizon_of(groups, question)
    return [scored(group, question, horizon) for group in groups]


def _placed(block: Sequence[Scored], question: Question) -> list[Row]:
    """The rows of a block, best first; those without a score last."""
    ranked = sorted((one for one in block if one.score.order is not None), key=_standing)
    others = sorted((one.row for one in block if one.score.order is None), key=lambda row: row.label)
    orders = [one.score.order for one in ranked]
    first = {order: place for place, order in reversed(list(enumerate(orders, 1)))}
    better = [*(beats(a.score, b.score, question) for a, b in pairwise(ranked)), None][: len(ranked)]
    rows = []
    for one, span, beat in zip(ranked, _rank_intervals(ranked, question), better, strict=True):
        place = first[one.score.order]
        low, high = (None, None) if span is None else (min(span[0], place), max(span[1], place))
        level = one.row.level
        if question.by != "fraction":
            level = None if span is None else statistics.rank_level(len({seen.key for seen in one.score.seen}))
        rows.append(replace(one.row, rank=place, rank_low=low, rank_high=high, rank_level=level, improvement=beat))
    return [*rows, *others]


def _standing(one: Scored) -> tuple[tuple[float, ...], str, str]:
    assert one.score.order is not None
    return one.score.order, one.row.label, one.score.seen[0].run.key


def _rank_intervals(ranked: Sequence[Scored], question: Question) -> list[tuple[int, int] | None]:
    """Least and largest place of each row; None where its runs are too few for one."""
    if question.by == "fraction":
        return _apart([one.row for one in ranked])
    return statistics.rank_intervals([sample(one.score.seen, question, one.row.horizon) for one in ranked])


def _apart(rows: Sequence[Row]) -> list[tuple[int, int] | None]:
    """Places by what rows are known to need: more than ``low``, and no more than ``high``."""
    needs = [(row.low or 0.0, math.inf if row.high is None else row.high) for row in rows]
    places: list[tuple[int, int] | None] = []
    for row, (low, high) in zip(rows, needs, strict=True):
        before = sum(other_high <= low for _, other_high in needs)
        behind = sum(high <= other_low for other_low, _ in needs)
        places.append(None if row.level is None else (1 + before, len(rows) - behind))
    return places
