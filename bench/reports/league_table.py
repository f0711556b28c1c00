"""The league table as text: its columns as far as there is room, and the lines below it; also as CSV."""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from io import StringIO
from itertools import groupby
from typing import Any, NamedTuple

from bench.ranking import FEWEST, Column, Ranking, Row, horizon_suffix, short_labels

SHORTEST_LABEL = 20
"""Columns are left out before labels are wrapped to fewer characters than this."""
MOST_NEEDED = 8
"""Columns that are needed more than this are never left out."""
MANY = 8
"""So many rows are named in a footnote."""
NESTED = ("config", "task_parameters", "fractions", "tuning")
"""Values of a row that are JSON in a CSV file."""


FORMULA = re.compile(r"[=+\-@\t\r]")
"""How a text begins that a spreadsheet would take for a formula."""


class Table(NamedTuple):
    """The rows of one block, or of the comparison over all blocks."""

    title: str
    rows: list[Row]


def tables_of(ranking: Ranking, top: int | None = None) -> list[Table]:
    """A table for each block, of the best ``top`` rows."""
    if ranking.comparison is not None:
        return [Table(f"Mean rank over {len(ranking.comparison.blocks)} blocks", ranking.rows[:top])]
    blocks = groupby(ranking.rows, key=lambda row: row.title + horizon_suffix(row, ranking.question))
    return [Table(title, list(rows)[:top]) for title, rows in blocks]


def columns_of(ranking: Ranking, tables: Sequence[Table]) -> list[Column]:
    """The columns that are not empty, in which labels are short."""
    names: dict[int, str] = {}  # by the identity of the row: equal rows of two tables may have different ones
    for table in tables:
        short = short_labels(row.label for row in table.rows)
        names |= {id(row): short[row.label] for row in table.rows}
    return ranking.columns([row for table in tables for row in table.rows], lambda row: names[id(row)])


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
    """A line for each row, nested values as JSON, and an apostrophe before what a spreadsheet takes for a formula."""
    rows = [{"by": ranking.question.by, **_with_json(row.to_flat())} for table in tables for row in table.rows]
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _with_json(row: dict[str, Any]) -> dict[str, Any]:
    texts = {name: json.dumps(row[name], ensure_ascii=False) for name in NESTED}
    return {name: _no_formula(value) for name, value in {**row, **texts}.items()}


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
