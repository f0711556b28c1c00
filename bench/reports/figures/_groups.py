"""Rows of a league as the groups of a picture: which are drawn, how they are called and told apart."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from bench.errors import RequestError
from bench.ranking import Observation, Question, Ranking, Row, Run, observe, ranked_by, short_labels, statistics
from bench.reports.figures._elements import Style, Trace, dots, whiskers
from bench.results import few_of, many

MOST = 6
"""So many groups are drawn unless the user asks for more: one for each colour."""
UNEVALUATED = "No run that could be drawn was evaluated: each failed, or ended before its first evaluation."


@dataclass(frozen=True)
class Group:
    """A row of the league in a picture.

    :param label: its name, with what tells its block apart where the picture has several; not escaped.
    """

    label: str
    row: Row
    style: Style

    @property
    def runs(self) -> list[Run]:
        """The runs that were evaluated: those that failed before were not."""
        return [
            run for run in self.row.runs if run.last is not None and run.status != "failed" and len(run.curve.steps_T)
        ]

    @property
    def iterative(self) -> bool:
        """Whether its learner takes steps."""
        return any(run.iterative for run in self.runs)


@dataclass(frozen=True)
class Groups:
    """The groups of a picture, best first.

    :param title: what the blocks of all groups have in common.
    :param notes: which rows are not drawn, and which runs do not count, for the caption.
    """

    title: str
    members: list[Group]
    notes: list[str]


def groups_of(
    ranking: Ranking, most: int = MOST, shows: Callable[[Group], bool] = lambda group: True, lacking: str = UNEVALUATED
) -> Groups:
    """The best rows of each block, at most so many in all.

    :param shows: whether a row has what the picture shows.
    :param lacking: the message where none has.
    :raises RequestError: where no row has anything to show, or ``most`` is below one.
    """
    if most < 1:
        raise RequestError(f"`most` must be an integer ≥ 1, got {most}.")
    blocks = list(dict.fromkeys(row.title for row in ranking.rows))
    rows = sorted(ranking.rows, key=lambda row: (inf if row.rank is None else row.rank, blocks.index(row.title)))
    shared, labels = named(rows)
    found = [Group(label, row, Style.of(0)) for label, row in zip(labels, rows, strict=True)]
    found = [group for group in found if group.runs and shows(group)]
    if not found:
        raise RequestError(lacking)
    drawn = [replace(group, style=Style.of(place)) for place, group in enumerate(found[:most])]
    return Groups(shared, drawn, [*_left_out(ranking, len(found), most), *_unread(drawn)])


def named(rows: Sequence[Row]) -> tuple[str, list[str]]:
    """What the titles of all rows have in common, and the name of each row: its label and the rest of its title."""
    short = short_labels(row.label for row in rows)
    parts = [row.title.split(" · ") for row in rows]
    shared = [part for part in parts[0] if all(part in others for others in parts)]
    names = [
        " · ".join([short[row.label], *(p for p in own if p not in shared)])
        for row, own in zip(rows, parts, strict=True)
    ]
    return " · ".join(shared), names


def check_one_block(ranking: Ranking, picture: str) -> None:
    """Raise RequestError where rows are of several tasks, moduli, protocols, fractions, label noise or boards."""
    titles = list(dict.fromkeys(row.title for row in ranking.rows))
    if len(titles) > 1:
        raise RequestError(
            f"{picture} is of one task, modulus, protocol, fraction and label noise, got {few_of(titles, '; ')}."
        )


def _left_out(ranking: Ranking, n: int, most: int) -> list[str]:
    if n <= most:
        return []
    by = "by mean rank" if ranking.comparison is not None else ranked_by(ranking.question)
    return [f"{most} of {many(n, 'configuration')} are drawn, the first {by}."]


def _unread(groups: Sequence[Group]) -> list[str]:
    """A note on runs that were never evaluated."""
    drawn = {run.id for group in groups for run in group.runs}
    counts = Counter(run.status for group in groups for run in group.row.runs if run.id not in drawn)
    told = [f"{many(n, 'run')} that {_words(status)}" for status, n in counts.items()]
    return [f"Not drawn: {', '.join(told)}."] if told else []


def _words(status: str) -> str:
    return {"failed": "failed", "timeout": "timed out"}.get(status, "was interrupted") + " before an evaluation"


def n_of(counts: Iterable[int]) -> str:
    """As "n = 5" or "n = 3 to 5"."""
    low, high = min(known := set(counts)), max(known)
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def bars_of(medians: Iterable[statistics.Estimate]) -> str:
    """What the error bars of medians are, as the end of a sentence; "" where there are none."""
    levels = [one.level for one in medians if one.level is not None]
    return f"; bars: {min(levels):.1%} interval of the median, by order statistics" if levels else ""


def medians(
    xs: Sequence[Any], estimates: Sequence[statistics.Estimate], colour: str, symbol: str, size: float, said: list[str]
) -> Trace:
    """Marks at medians, with their intervals.

    :param said: what is said of each where the pointer is.
    """
    middles = [one.value or 0.0 for one in estimates]
    marks = dots(xs, middles, colour, symbol, size, text=said, hoverinfo="text")
    return marks | whiskers("y", middles, [(one.low, one.high) for one in estimates], colour)


def read(runs: Sequence[Run], question: Question, by: str) -> list[Observation]:
    """What runs show at the end of their own budgets, or at the horizon where the question names one.

    Unlike in the league table, runs of a small budget do not shorten the others: pictures show cost beside accuracy.

    :param by: "accuracy", or the unit of crossings: "steps", "seconds" or "flops".
    """
    asked = replace(question, by=by)
    observed = (observe(run, asked, _horizon(run, question, asked))[0] for run in runs)
    return [one for one in observed if one is not None]


def _horizon(run: Run, question: Question, asked: Question) -> float | None:
    """The horizon of a question in the unit of another one."""
    if question.horizon is None or question.unit == asked.unit:
        return question.horizon
    return run.cost(run.steps_within(question.horizon, question.unit.name), asked.unit.name)
