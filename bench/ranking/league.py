"""The league table: records in, rows out, best first.

A record becomes a run (`reading`, `runs`), a run an observation up to the horizon (`observations`), the observations of
one config a score (`scores`) and a row (`rows`), and the rows get their places, in each block or over all blocks
(`places`).

A row is a spec without its seeds. Its score depends on its own records alone and on the horizon of its block, which
``--horizon`` fixes; its place, the interval of its place and how likely it is to beat the next row depend on the other
rows, too.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from bench.errors import RequestError
from bench.ranking.baseline import beside, check_baseline
from bench.ranking.captions import caption, legend
from bench.ranking.columns import Column, shown_columns
from bench.ranking.notebook import ranking_frame, ranking_html, ranking_text
from bench.ranking.places import Comparison, placed, ranked_over_blocks
from bench.ranking.published import Published, published_beside
from bench.ranking.question import FILTERS, Question
from bench.ranking.reading import Reading, note_shared_splits, without_duplicates
from bench.ranking.rows import Row, scored_rows
from bench.ranking.runs import Run, grouped
from bench.results import Record, many, open_store
from bench.specs import canonical


@dataclass(frozen=True, repr=False)
class Ranking:
    """Rows, best first, block by block, and what a reader should know about them.

    :param caption: lines for below the table.
    :param legend: what each column means, by its name.
    :param comparison: of the rows over all blocks, where that was asked for.
    :param baseline: the label of the row that the others are compared with, where that was asked for.
    :param published: figures from elsewhere on the same tasks, where these were asked for.
    """

    question: Question
    rows: list[Row]
    caption: list[str]
    legend: dict[str, str]
    comparison: Comparison | None = None
    baseline: str | None = None
    published: list[Published] | None = None

    def columns(self, rows: Sequence[Row], named: Callable[[Row], str] = attrgetter("label")) -> list[Column]:
        """The columns of a table of some of the rows, in their order, but for those that are empty.

        :param named: what stands for a row.
        """
        return shown_columns(self.question, rows, self.comparison, named)

    def to_frame(self) -> Any:
        """The rows as a `pandas.DataFrame`, with the columns of ``rank --format csv``.

        :raises RequestError: where pandas is missing.
        """
        return ranking_frame(self.question, self.rows)

    def __repr__(self) -> str:
        return ranking_text(self.question, self.rows, self.columns(self.rows), self._n_blocks)

    def to_dict(self, rows: Sequence[Row] | None = None) -> dict[str, Any]:
        """As in the JSON document.

        :param rows: some of the rows; None takes all.
        """
        before = {} if self.baseline is None else {"baseline": self.baseline}
        cited = {} if self.published is None else {"published": [one.to_dict() for one in self.published]}
        shown = [row.to_dict() for row in (self.rows if rows is None else rows)]
        about = {"comparison": self.comparison and vars(self.comparison), "caption": self.caption}
        return {**vars(self.question), **before, "rows": shown, **cited, **about, "legend": self.legend}

    def _repr_html_(self) -> str:
        """The tables as a notebook shows them."""
        columns = self.columns(self.rows)
        return ranking_html(self.question, self.rows, columns, self.caption, self._n_blocks, self.published)

    @property
    def _n_blocks(self) -> int:
        """Over how many blocks rows are compared; 0 where each block is ranked by itself."""
        return 0 if self.comparison is None else len(self.comparison.blocks)


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
    optimizer: str | Sequence[str] | None = None,
    task: str | Sequence[str] | None = None,
    pairs: str | Sequence[str] | None = None,
    train_fraction: float | Sequence[float] | None = None,
    modulus: int | Sequence[int] | None = None,
    label_noise: float | Sequence[float] | None = None,
    parameters: tuple[float | None, float | None] = (None, None),
    blocks: bool = False,
    baseline: str | None = None,
    published: bool = False,
    skip_broken: bool = False,
    watch: Callable[[Record], None] | None = None,
) -> Ranking:
    """Rank what a results folder or a pack holds, or these records.

    Rows of different tasks, moduli, protocols, fractions or label noise are ranked apart, each block by itself.

    :param by: "accuracy", "steps", "seconds" or "flops" to the target, or the "fraction" of the pairs that it takes.
    :param target: 0.95 or 0.99.
    :param crossing: "first" or "sustained".
    :param horizon: read all runs up to there, and nothing that came later: a step, or seconds or FLOPs where rows are
        ranked by those. None takes the smallest budget of a row in each block. Rows that were given less have no rank.
    :param parameters: the least and the most trainable numbers of a row.
    :param blocks: compare the rows that are in every block by their mean rank over blocks.
    :param baseline: compare all rows with this one of their block: its label as tables print it, or a learner's name
        alone or behind an encoder's, where that is one row. `bench.ranking.baseline` says how.
    :param published: add cited figures of the same tasks, which have no rank.
    :param skip_broken: leave out records that cannot be read.
    :param watch: receives each record that passes the filters, as it is read: a reader of more than ranks need not read
        the folder again, nor keep it in memory.
    :raises RequestError: for a request that is wrong, or that no record answers.
    :raises StoreError: where the folder or a record in it cannot be used.
    """
    question = Question(by, target, crossing, horizon).checked()
    if baseline is not None:
        check_baseline(question, blocks)
    values = encoder, learner, optimizer, task, pairs, train_fraction, modulus, label_noise
    asked = zip(FILTERS, values, strict=True)
    wanted = {name: _listed(v) for name, v in asked if v is not None}
    reading = _read(Reading(question, wanted, watch), results, records, skip_broken)
    runs, notes = without_duplicates(reading.runs)
    ranking = _ranked(question, runs, notes, blocks, parameters, reading.notes, baseline)
    if not published:
        return ranking
    found = {run.block: None for row in ranking.rows for run in row.runs}
    return replace(ranking, published=published_beside(list(found), question))


def ranked_anew(ranking: Ranking, *, by: str, blocks: bool = False) -> Ranking:
    """The runs of a ranking, which are not read again, ranked by another criterion or over all blocks.

    :param by: the criterion. Another unit of the horizon than before takes the default horizon.
    :raises RequestError: as `rank` does.
    """
    question, before = replace(ranking.question, by=by), ranking.question
    if question.unit != before.unit:
        question = replace(question, horizon=None)
    configs: dict[str, dict[str, Any]] = {}
    runs = [run.asked(question, configs) for row in ranking.rows for run in row.runs]
    return _ranked(question.checked(), runs, [], blocks)


def _ranked(
    question: Question,
    runs: list[Run],
    notes: list[str],
    blocks: bool,
    parameters: tuple[float | None, float | None] = (None, None),
    counts: Callable[[int, int], list[str]] = lambda n_rows, n_others: [],
    baseline: str | None = None,
) -> Ranking:
    """The ranking of runs none of which is there twice.

    :param notes: on runs that were left out.
    :param counts: notes on the number of rows, and of those left out by ``parameters``.
    """
    if blocks:
        runs, left_out = _untuned(runs)
        notes += left_out
    groups = grouped(runs, lambda run: (run.block, run.key))
    matched = [group for group in groups if _has_size(group, *parameters)]
    if not matched:
        raise RequestError(f"`parameters` {_span(*parameters)} leaves none of {many(len(groups), 'row')}.")
    notes = [*counts(len(matched), len(groups) - len(matched)), *notes, *note_shared_splits(matched)]
    by_block = sorted(grouped(matched, lambda group: group[0].block), key=lambda some: some[0][0].block.sort_key)
    tables = [scored_rows(some, question) for some in by_block]
    if baseline is not None:
        baseline, tables, compared = beside(tables, baseline, question)
        notes += compared
    if blocks:
        rows, comparison = ranked_over_blocks([one for table in tables for one in table])
    else:
        rows, comparison = [row for table in tables for row in placed(table)], None
    notes += caption(question, rows, {run.device for run in runs}, comparison)
    return Ranking(question, rows, notes, legend(question, blocks, baseline is not None), comparison, baseline)


def _read(reading: Reading, results: str, records: Iterable[Record] | None, skip_broken: bool) -> Reading:
    """The runs of these records, or of a folder."""
    if records is None:
        source = open_store(results)
        source.check_curves("accuracy", "a ranking")
        reading.read(source, skip_broken)
    for record in records or ():
        reading.take(record)
    reading.check(repr(results) if records is None else "these records")
    return reading


def _listed(values: Any) -> list[Any]:
    """The values of a filter, spelled as in records."""
    listed = [values] if isinstance(values, str | float | int) else list(values)
    return [canonical(v) if isinstance(v, str) else v for v in listed]


def _untuned(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Runs whose settings were not tuned: the winner of a study is another row in every block."""
    kept = [run for run in runs if run.tuning is None]
    if not kept:
        raise RequestError("`blocks` compares one setting over all blocks, and all records here are of tuned rows.")
    left = len(runs) - len(kept)
    why = "of tuned rows left out: `blocks` compares one setting over all blocks"
    return kept, [f"{many(left, 'record')} {why}."] if left else []


def _has_size(runs: Sequence[Run], low: float | None, high: float | None) -> bool:
    """Whether the trainable numbers of a row are within these ends; where there is one, they must be known."""
    unknown = 0 if low is None and high is None else None
    size = max((run.parameters for run in runs if run.parameters is not None), default=unknown)
    return size is not None and (low or 0) <= size <= (math.inf if high is None else high)


def _span(low: float | None, high: float | None) -> str:
    return "..".join("" if end is None else f"{end:g}" for end in (low, high))
