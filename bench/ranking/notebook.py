"""A ranking in a notebook: as HTML, as text, and as a table of pandas."""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from bench.errors import optional_package
from bench.ranking.captions import horizon_suffix
from bench.ranking.columns import Column
from bench.ranking.published import PUBLISHED_TITLE, Published, published_notes, published_table
from bench.ranking.question import Question
from bench.ranking.rows import Row

MOST_ROWS = 100
"""Rows of a table that are shown in HTML."""


def ranking_html(
    question: Question,
    rows: Sequence[Row],
    columns: Sequence[Column],
    caption: Sequence[str],
    n_blocks: int,
    published: Sequence[Published] | None,
) -> str:
    """A table for each block with the brief ones of the columns, the caption, and published figures. All is escaped.

    :param n_blocks: over which rows are compared; 0 where each block is ranked by itself.
    """
    brief = [column for column in columns if column.brief]
    header = [column.name or "configuration" for column in brief]
    parts = []
    for title, some in groupby(rows, key=lambda row: _title(row, question, n_blocks)):
        own = list(some)
        parts.append(_table(title, header, [[column.cell(row) for column in brief] for row in own[:MOST_ROWS]]))
        if len(own) > MOST_ROWS:
            parts.append(f"<p>… and {len(own) - MOST_ROWS:,} more rows: to_frame() has all.</p>")
    parts += [f"<p>{escape(line)}</p>" for line in caption]
    if published is not None:
        parts += [_table(PUBLISHED_TITLE, *published_table(published))] if published else []
        parts += [f"<p>{escape(line)}</p>" for line in published_notes(published)]
    return f"<div>{''.join(parts)}</div>"


def ranking_text(question: Question, rows: Sequence[Row], columns: Sequence[Column], n_blocks: int) -> str:
    """The same tables without their captions, for a console."""
    brief = [column for column in columns if column.brief]
    lines = []
    for title, some in groupby(rows[:MOST_ROWS], key=lambda row: _title(row, question, n_blocks)):
        cells = [[column.name for column in brief], *([column.cell(row) for column in brief] for row in some)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        padded = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
        lines += [title, *padded]
    more = [f"… and {len(rows) - MOST_ROWS:,} more rows: to_frame() has all."] if len(rows) > MOST_ROWS else []
    return "\n".join([*lines, *more])


def _title(row: Row, question: Question, n_blocks: int) -> str:
    return f"Mean rank over {n_blocks} blocks" if n_blocks else row.title + horizon_suffix(row, question)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><caption><b>{escape(title)}</b></caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    )


def ranking_frame(question: Question, rows: Sequence[Row]) -> Any:
    """All rows with all that the JSON document says of them, as a `pandas.DataFrame`.

    :raises RequestError: where pandas is missing.
    """
    pandas = optional_package("pandas", "frames", "A table")
    return pandas.DataFrame([{"by": question.by, **row.to_flat()} for row in rows])
