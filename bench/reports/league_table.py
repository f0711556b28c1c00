"""The league table as text: its columns, their cells, and the lines below it, from a ranking; also as CSV."""

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from itertools import groupby
from string import ascii_letters
from typing import Any, NamedTuple

from bench.ranking import (
    FEWEST,
    PROBES,
    Ranking,
    Row,
    estimate_name,
    estimate_text,
    horizon_suffix,
    interval_text,
    shown_or_dash,
    solved_text,
    span_text,
)
from bench.reports.labels import short_labels
from bench.results import exponential, percent, short_duration

SHORTEST_LABEL = 20
"""Columns are left out before labels are wrapped to fewer characters than this."""
MOST_NEEDED = 8
"""Columns that are needed more than this are never left out."""
MANY = 8
"""So many rows are named in a footnote."""
NESTED = ("config", "task_parameters", "fractions", "tuning")
"""Values of a row that are JSON in a CSV file."""


class Table(NamedTuple):
    """The rows of one block, or of the comparison over all blocks."""

    title: str
    rows: list[Row]


@dataclass(frozen=True)
class Column:
    """A column of text.

    :param need: where the terminal is narrow, the columns of the smallest need are left out first.
    """

    name: str
    cell: Callable[[Row], str]
    need: int = 9


def tables_of(ranking: Ranking, top: int | None = None) -> list[Table]:
    """A table for each block, of the best ``top`` rows."""
    if ranking.comparison is not None:
        return [Table(f"Mean rank over {len(ranking.comparison.blocks)} blocks", ranking.rows[:top])]
    blocks = groupby(ranking.rows, key=lambda row: row.title + horizon_suffix(row, ranking.question))
    return [Table(title, list(rows)[:top]) for title, rows in blocks]


def columns_of(ranking: Ranking, tables: Sequence[Table]) -> list[Column]:
    """The columns that are not empty."""
    names: dict[int, str] = {}
    for table in tables:
        short = short_labels(row.label for row in table.rows)
        names |= {id(row): short[row.label] for row in table.rows}
    rows = [row for table in tables for row in table.rows]
    return [c for c in _columns(ranking, names) if any(c.cell(row) not in ("", "–") for row in rows)]


def _columns(ranking: Ranking, names: Mapping[int, str]) -> list[Column]:
    """All columns.

    :param names: short labels, by the identity of the row: equal rows of two tables may have different ones.
    """
    question, mean_rank = ranking.question, ranking.comparison is not None
    of_accuracy = question.criterion.kind == "accuracy" and not mean_rank
    score = partial(shown_or_dash, show="{:.2f}".format if mean_rank else question.criterion.shown)
    return [
        Column("#", lambda row: shown_or_dash(row.rank, str)),
        Column(
            "ranks", lambda row: "–" if row.rank_low is None else span_text(str(row.rank_low), str(row.rank_high)), 8
        ),
        Column("", lambda row: names[id(row)]),
        Column("group", _grouper(ranking)),
        Column("n", lambda row: f"{row.n}{'*' if row.incomplete else ''}"),
        Column(estimate_name(question, mean_rank), lambda row: estimate_text(row, score, question)),
        Column("best–worst" if mean_rank else "interval", lambda row: interval_text(row, score)),
        Column("conf.", lambda row: shown_or_dash(row.level, "{:.1%}".format), 8),
        Column("mean", lambda row: "–" if mean_rank else score(row.mean), 5),
        Column("beats next", lambda row: shown_or_dash(row.improvement, "{:.2f}".format), 6),
        Column("solved", lambda row: solved_text(row, mean_rank), 8),
        Column("P(solved)", _solved_interval, 7),
        Column("tried", _tried, 7),
        Column("test", lambda row: "" if of_accuracy else percent(row.test_accuracy), 4),
        Column("min–max", lambda row: _range(row) if of_accuracy else "", 4),
        *(Column(name, partial(_probed, probe=probe, target=question.target), 7) for probe, name in PROBES.items()),
        Column("a=b", lambda row: percent(row.diagonal), 2),
        Column("params", lambda row: shown_or_dash(row.parameters, "{:,}".format), 3),
        Column("steps", lambda row: "–" if row.steps is None else span_text(*map("{:,}".format, row.steps)), 4),
        Column("training", lambda row: shown_or_dash(row.seconds, short_duration), 6),
        Column("FLOPs", lambda row: shown_or_dash(row.flops, exponential), 1),
    ]


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


def _grouper(ranking: Ranking) -> Callable[[Row], str]:
    """The letters of the groups that a row is in: rows that share a letter do not differ significantly."""
    groups = {} if ranking.comparison is None else dict(zip(ascii_letters, ranking.comparison.groups, strict=False))
    places = {id(row): place for place, row in enumerate(ranking.rows)}
    return lambda row: "".join(letter for letter, members in groups.items() if places[id(row)] in members)


def footnotes(rows: Sequence[Row]) -> list[str]:
    """What the marks in a table stand for."""
    names = short_labels(row.label for row in rows)
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.incomplete:
            reasons["; ".join(row.incomplete)].append(names[row.label] if row.rank is None else f"#{row.rank}")
    lines = [f"* incomplete, {reason}: {', '.join(n[:MANY])}{' …' * (len(n) > MANY)}" for reason, n in reasons.items()]
    lines += [f"#{row.rank} {names[row.label]}: {'; '.join(row.remarks)}." for row in rows if row.remarks][:MANY]
    if any(row.gives_away for row in rows):
        lines.append("† the probe reaches the target by itself: the encoding gives the answer away.")
    if any(0 < row.n < FEWEST for row in rows):
        lines.append(f"n below {FEWEST}: too few runs for an interval of the median, or of the rank.")
    return lines


def explained(ranking: Ranking, columns: Iterable[Column]) -> list[str]:
    """What these columns mean."""
    return [f"{c.name}: {ranking.legend[c.name]}" for c in columns if c.name in ranking.legend]


def note_hidden_rows(ranking: Ranking, tables: Sequence[Table]) -> list[str]:
    """A line on the rows that are not shown, if there are any."""
    shown = sum(len(table.rows) for table in tables)
    if shown == len(ranking.rows):
        return []
    return [
        f"{shown} of {len(ranking.rows)} rows shown (`top`); rows of equal median and mean stand in alphabetical order."
    ]


def too_wide(columns: Sequence[Column], tables: Sequence[Table], width: int, gap: int) -> list[Column]:
    """Columns to leave out, those of the smallest need first, until the others fit beside a wrapped label."""
    rows = [row for table in tables for row in table.rows]
    widths = {c.name: max(len(c.name), *(len(c.cell(row)) for row in rows)) + gap for c in columns}
    widths[""] = min(widths[""], SHORTEST_LABEL + gap)
    hidden: list[Column] = []
    for column in sorted(columns, key=lambda column: column.need):
        if sum(widths.values()) <= width or column.need > MOST_NEEDED:
            break
        del widths[column.name]
        hidden.append(column)
    return hidden


def league_csv(ranking: Ranking, tables: Sequence[Table]) -> str:
    """A line for each row, nested values as JSON."""
    rows = [{"by": ranking.question.by, **_with_json(row.to_flat())} for table in tables for row in table.rows]
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _with_json(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: json.dumps(row[name], ensure_ascii=False) for name in NESTED}
