"""The columns of a league table, each defined here alone: its heading, its cells, and where it is shown.

Tables on a terminal and in Markdown have all that fit, a notebook the brief ones; the page of a report has them all, of
which a reader sees some at first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from string import ascii_letters

from bench.ranking.baseline import against_text, baseline_column, measure_of
from bench.ranking.captions import estimate_name
from bench.ranking.cells import estimate_text, interval_text, shown_or_dash, solved_text, span_text
from bench.ranking.places import Comparison
from bench.ranking.question import Question
from bench.ranking.rows import Row
from bench.ranking.runs import PROBES
from bench.results import exponential, percent, short_duration

PAGE, PHONE = 1, 2
"""A column that a reader of a page sees at first, and one that is seen on a narrow screen, too."""


@dataclass(frozen=True)
class Column:
    """A column of text.

    :param name: its heading; "" for that of the labels.
    :param need: where a terminal is narrow, the columns of the smallest need are left out first.
    :param brief: whether a notebook shows it.
    :param seen: on a page: 0 until a reader chooses it, else `PAGE` or `PHONE`.
    :param key: the name of the value, as in a CSV file, by which a page sorts it; None sorts by the text.
    :param rising: whether a first click on its heading puts the smallest first.
    :param words: whether its cells are words.
    """

    name: str
    cell: Callable[[Row], str]
    need: int = 9
    brief: bool = False
    seen: int = 0
    key: str | None = None
    rising: bool = False
    words: bool = False


def shown_columns(
    question: Question, rows: Sequence[Row], comparison: Comparison | None, named: Callable[[Row], str]
) -> list[Column]:
    """The columns that are not empty.

    :param rows: the best of a ranking, or all, in its order.
    :param comparison: over blocks, where there is one.
    :param named: the label of a row, perhaps a short one.
    """
    columns = _columns(question, rows, comparison, named)
    return [c for c in columns if any(c.cell(row) not in ("", "–") for row in rows)]


def _columns(
    question: Question, rows: Sequence[Row], comparison: Comparison | None, named: Callable[[Row], str]
) -> list[Column]:
    mean_rank = comparison is not None
    of_accuracy = question.criterion.kind == "accuracy" and not mean_rank
    score = partial(shown_or_dash, show="{:.2f}".format if mean_rank else question.criterion.shown)
    return [
        Column("#", lambda row: shown_or_dash(row.rank, str), brief=True, seen=PHONE, key="rank", rising=True),
        Column("ranks", _ranks, 8, brief=True, key="rank_low", rising=True),
        Column("", named, brief=True, seen=PHONE, key="label", rising=True, words=True),
        Column("optimizer", _optimizer(rows), 3, key="optimizer", rising=True, words=True),
        Column("group", _grouper(rows, comparison), rising=True, words=True),
        Column("n", lambda row: f"{row.n}{'*' if row.incomplete else ''}", brief=True, seen=PHONE, key="n"),
        Column(
            estimate_name(question, mean_rank),
            lambda row: estimate_text(row, score, question),
            brief=True,
            seen=PHONE,
            key="estimate",
            rising=not of_accuracy,
        ),
        Column(
            "best–worst" if mean_rank else "interval",
            lambda row: interval_text(row, score),
            brief=True,
            seen=PAGE,
            key="low",
        ),
        Column("conf.", lambda row: shown_or_dash(row.level, "{:.1%}".format), 8, key="level"),
        *_against(question),
        Column("mean", lambda row: "–" if mean_rank else score(row.mean), 5, key="mean"),
        Column("beats next", lambda row: shown_or_dash(row.improvement, "{:.2f}".format), 6, key="improvement"),
        Column("solved", lambda row: solved_text(row, mean_rank), 8, brief=True, seen=PAGE, key="solved"),
        Column("P(solved)", _solved_interval, 7, key="solved_low"),
        Column("tried", _tried, 7),
        Column(
            "test",
            lambda row: "" if of_accuracy else percent(row.test_accuracy),
            4,
            brief=True,
            key="test_accuracy",
        ),
        Column("min–max", lambda row: _range(row) if of_accuracy else "", 4, key="lowest"),
        *(
            Column(name, partial(_probed, probe=probe, target=question.target), 7, key=probe)
            for probe, name in PROBES.items()
        ),
        Column("a=b", lambda row: percent(row.diagonal), 2, key="diagonal"),
        Column("params", lambda row: shown_or_dash(row.parameters, "{:,}".format), 3, key="parameters", rising=True),
        Column("steps", _steps, 4, seen=PAGE, key="fewest_steps", rising=True),
        Column(
            "training", lambda row: shown_or_dash(row.seconds, short_duration), 6, seen=PAGE, key="seconds", rising=True
        ),
        Column("FLOPs", lambda row: shown_or_dash(row.flops, exponential), 1, key="flops", rising=True),
    ]


def _against(question: Question) -> Iterator[Column]:
    """How far rows are from the baseline; empty where there is none."""
    measure = measure_of(question)
    if measure is not None:
        heading, _ = baseline_column(question)
        rising = measure.name == "ratio"
        yield Column(
            heading, lambda row: against_text(row.against), brief=True, seen=PAGE, key=measure.name, rising=rising
        )


def _optimizer(rows: Sequence[Row]) -> Callable[[Row], str]:
    """The name of a row's optimizer, where there are several."""
    several = len({row.optimizer for row in rows if row.optimizer}) > 1
    return lambda row: (row.optimizer or "–") if several else ""


def _ranks(row: Row) -> str:
    return "–" if row.rank_low is None else span_text(str(row.rank_low), str(row.rank_high))


def _steps(row: Row) -> str:
    return "–" if row.steps is None else span_text(*map("{:,}".format, row.steps))


def _solved_interval(row: Row) -> str:
    if row.solved_low is None or row.solved_high is None:
        return "–"
    return f"{100 * row.solved_low:.0f}–{100 * row.solved_high:.0f}%"


def _range(row: Row) -> str:
    """The lowest and the highest run."""
    return "–" if row.lowest is None else span_text(percent(row.lowest).removesuffix("%"), percent(row.highest))


def _tried(row: Row) -> str:
    fractions = [f"{100 * one['train_fraction']:g}" for one in row.fractions]
    return f"{span_text(fractions[0], fractions[-1])}% ({len(fractions)})" if fractions else ""


def _probed(row: Row, probe: str, target: float) -> str:
    """The accuracy of a probe, marked where it reaches the target."""
    value = row.probes[probe]
    return f"{percent(value)}{'†' if value is not None and value >= target else ''}"


def _grouper(rows: Sequence[Row], comparison: Comparison | None) -> Callable[[Row], str]:
    """The letters of the groups that a row is in: rows that share a letter do not differ significantly."""
    groups = {} if comparison is None else dict(zip(ascii_letters, comparison.groups, strict=False))
    places = {id(row): place for place, row in enumerate(rows)}
    return lambda row: "".join(letter for letter, members in groups.items() if places[id(row)] in members)
