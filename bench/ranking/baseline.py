"""Rows beside one of them, the baseline: which row a user means, and how far the others are from it.

Where rows are ranked by what they cost, a row is compared by the ratio of its costs to the baseline's, where they are
ranked by accuracy by the difference: a ratio of accuracies exaggerates near 0, and near 1 hides what is left to err.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np

from bench.errors import RequestError, one_of
from bench.ranking.criteria import Kind, Unit
from bench.ranking.labels import short_label
from bench.ranking.question import Question
from bench.ranking.rows import Against, Row, ScoredRow
from bench.ranking.statistics import FEWEST, Bounds, hodges_lehmann, shift_interval
from bench.results import few_of, many, significant

ARROW = re.compile(r"→|[-=]+>")
MOST_NAMED = 8
"""So many rows are named in a message."""


class Measure(NamedTuple):
    """How rows of a kind of criterion are compared with the baseline.

    :param name: of the value, in a document.
    :param heading: of the column, with the noun of the unit.
    :param shown: a value as a cell.
    :param between: what stands between the two ends of an interval.
    :param meaning: of the column.
    """

    name: str
    heading: str
    shown: Callable[[float], str]
    between: str
    meaning: str


HOW = (
    "The median of all {pairs} of one of a row's runs and one of the baseline's (Hodges–Lehmann); in brackets those "
    "that the Mann–Whitney test does not reject, whatever the distribution, where rows differ by {what} alone."
)
MEASURES: Mapping[Kind, Measure] = {
    "cost": Measure(
        "ratio",
        "{noun} ÷ baseline's",
        significant,
        "–",
        "{noun} to the target divided by those of the baseline: below 1 a row gets there sooner. "
        + HOW.format(pairs="ratios", what="a factor")
        + " ≥, ≤: runs that do not get there are only known to take longer. {noun} below {smallest:g} count as it.",
    ),
    "accuracy": Measure(
        "difference",
        "accuracy − baseline's",
        lambda difference: f"{100 * difference:+.1f}",
        " to ",
        "test accuracy minus that of the baseline, in percentage points: above 0 a row is better. "
        + HOW.format(pairs="differences", what="a shift"),
    ),
}


def measure_of(question: Question) -> Measure | None:
    """How rows are compared with a baseline; None where single runs are not compared."""
    return MEASURES.get(question.criterion.kind)


def baseline_column(question: Question) -> tuple[str, str]:
    """The heading of the column, and what it means."""
    measure, unit = MEASURES[question.criterion.kind], question.unit
    words = {"noun": unit.noun, "smallest": unit.smallest}
    return measure.heading.format(**words), measure.meaning.format(**words)


def check_baseline(question: Question, blocks: bool) -> None:
    """Raise RequestError where a ranking compares no single runs, so that there is nothing to compare by."""
    if blocks:
        raise RequestError("`baseline` and `blocks` exclude each other: a mean rank over blocks has no ratio.")
    if measure_of(question) is None:
        raise RequestError(f"`baseline` does not apply to `by` {question.by}, which compares no single runs.")


# The row that is meant


def baseline_label(rows: Sequence[Row], wanted: str) -> str:
    """The label of the row that is meant by its label, or by names: a learner's, perhaps behind an encoder's and in
    front of an optimizer's.

    A label may be short, as tables print it; case and arrows do not matter. What a label says counts before names:
    "onehot mlp" is "onehot+concat → mlp", not "onehot+concat → mlp(alpha=0.1)", which it is where there is no other.

    :raises RequestError: where no row is meant, or rows of several labels.
    """
    ways = {row.label: _ways(row) for row in rows}
    asked = _plain(wanted)
    for place in range(3):
        found = [label for label, names in ways.items() if asked in names[place]]
        if len(found) > 1:
            named = ", ".join(map(repr, found[:MOST_NAMED])) + ", …" * (len(found) > MOST_NAMED)
            raise RequestError(f"`baseline` {wanted!r} could be one of {many(len(found), 'row')}: {named}.")
        if found:
            return found[0]
    called: dict[str, list[str]] = {}
    for label, names in ways.items():
        for name in set().union(*names):
            called.setdefault(name, []).append(label)
    close = dict.fromkeys(
        called[name][0] if len(called[name]) == 1 else name for name in get_close_matches(asked, called)
    )
    if close:
        raise RequestError(f"Unknown `baseline` {wanted!r}: did you mean {' or '.join(map(repr, close))}?")
    raise RequestError(one_of("`baseline`", wanted, {row.learner for row in rows}))


def _ways(row: Row) -> tuple[set[str], set[str], set[str]]:
    """How a row may be called, the surest ways first: by its label, by what its label says of the learner, by names."""
    encoder, learner, settings = map(_plain, (row.encoder, row.learner, ARROW.split(row.label)[-1]))
    label = {_plain(row.label), _plain(short_label(row.label))}
    names = {learner, f"{learner} {_plain(row.optimizer or '')}".strip()}
    return label, {settings, f"{encoder} {settings}"}, {*names, *(f"{encoder} {name}" for name in names)}


def _plain(name: str) -> str:
    return " ".join(ARROW.sub(" ", name).replace("·", " ").replace("_", "-").casefold().split())


# How far the others are


def beside(
    tables: Sequence[Sequence[ScoredRow]], wanted: str, question: Question
) -> tuple[str, list[list[ScoredRow]], list[str]]:
    """The label of the baseline, the rows of each block compared with its row in that block, and notes.

    :raises RequestError: where it is not known which row is meant, or where it has a score in no block.
    """
    label = baseline_label([one.row for table in tables for one in table], wanted)
    bases = [_base(table, label) for table in tables]
    if all(isinstance(base, str) for base in bases):
        raise RequestError(f"`baseline` {label!r} cannot be compared with: {bases[0]}.")
    compared = [
        [replace(one, row=replace(one.row, against=_against(one, base, question))) for one in table]
        for table, base in zip(tables, bases, strict=True)
    ]
    return label, compared, [*_notes(compared, bases, label, question)]


def _base(table: Sequence[ScoredRow], label: str) -> ScoredRow | str:
    """The row of the baseline in a block, or why there is none."""
    title, found = table[0].row.title, [one for one in table if one.row.label == label]
    if len(found) != 1:
        return f"{'no row' if not found else many(len(found), 'row')} of this label in {title}"
    [base] = found
    lacks = "; ".join(base.row.incomplete) or "it has no score"
    return base if base.score.measured is not None else f"in {title}, {lacks}"


def _against(one: ScoredRow, base: ScoredRow | str, question: Question) -> Against:
    measure = MEASURES[question.criterion.kind]
    mine: Sequence[Bounds] | None = one.score.measured
    theirs: Sequence[Bounds] | None = None if isinstance(base, str) else base.score.measured
    if mine is None or theirs is None:
        return Against(measure.name)
    is_ratio = measure.name == "ratio"
    if one is base:
        same = 1.0 if is_ratio else 0.0
        return Against(measure.name, same, same, same)
    if is_ratio:
        mine, theirs = ([_logarithms(costs, question.unit) for costs in two] for two in (mine, theirs))
    least, most = (_value(end, is_ratio) for end in hodges_lehmann(mine[0], theirs[0]))
    interval = shift_interval(mine[1], theirs[1])
    low, high = (_value(end, is_ratio) for end in (interval.low, interval.high))
    return Against(measure.name, least if least == most else None, least, most, low, high, interval.level)


def _value(end: float | None, is_ratio: bool) -> float | None:
    """A difference, or the ratio of which it is the logarithm; None for one that is open."""
    if end is None or math.isinf(end):
        return None
    return math.exp(end) if is_ratio else end


def _logarithms(costs: Bounds, unit: Unit) -> Bounds:
    """Logarithms of costs, small ones taken as the smallest.

    Of a crossing at the first evaluation, nothing but that it took at least a step is known from below.
    """
    low_n, high_n = (np.log(np.maximum(ends, unit.smallest)) for ends in costs)
    is_open_n = (costs.low < unit.smallest) & (costs.low < costs.high) & (unit.name != "steps")
    return Bounds(np.where(is_open_n, -np.inf, low_n), high_n)


def _notes(
    tables: Sequence[Sequence[ScoredRow]], bases: Sequence[ScoredRow | str], label: str, question: Question
) -> Iterator[str]:
    """Which row the baseline is, how sure the intervals are, and where there is nothing to compare with."""
    levels: dict[str, None] = {}
    for table, base in zip(tables, bases, strict=True):
        for one in table:
            if one.row.against is not None and one.row.against.level is not None and not isinstance(base, str):
                levels[f"{100 * one.row.against.level:.1f} % for {one.row.n} against {many(base.row.n, 'run')}"] = None
    sure = few_of(list(levels)) or f"none below {FEWEST} runs on either side"
    yield f"Baseline: {label}. In brackets Mann–Whitney intervals of the {_what(question)}: {sure}."
    missing = [base for base in bases if isinstance(base, str)]
    if missing:
        yield f"Nothing to compare with: {few_of(missing, '; ')}."


def _what(question: Question) -> str:
    return f"{MEASURES[question.criterion.kind].name}, {baseline_column(question)[0]}"


def against_text(against: Against | None) -> str:
    """As "8.31 (7.1–9.6)", "≥34 (≥27)" or, of points, "-3.2 (-4.0 to -2.5)"; "" for a ranking without a baseline."""
    if against is None:
        return ""
    [measure] = [one for one in MEASURES.values() if one.name == against.measure]
    estimate = _between(against.least, against.most, measure)
    interval = _between(against.low, against.high, measure)
    return f"{estimate} ({interval})" if interval else estimate or "–"


def _between(low: float | None, high: float | None, measure: Measure) -> str:
    """Both ends, or the one that there is."""
    ends = [None if end is None else measure.shown(end) for end in (low, high)]
    if ends[0] == ends[1]:
        return ends[0] or ""
    if None in ends:
        return f"≤{ends[1]}" if ends[0] is None else f"≥{ends[0]}"
    return measure.between.join(filter(None, ends))
