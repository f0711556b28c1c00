"""A ranking in a notebook: as HTML, and as a table of pandas."""

from collections.abc import Sequence
from functools import partial
from html import escape
from itertools import groupby
from typing import Any

from bench.errors import optional_package
from bench.ranking.captions import estimate_name, horizon_suffix
from bench.ranking.cells import estimate_text, interval_text, shown_or_dash, solved_text, span_text
from bench.ranking.question import Question
from bench.ranking.rows import Row
from bench.results import percent

MOST_ROWS = 100
"""Rows of a table that are shown in HTML."""


def ranking_html(question: Question, rows: Sequence[Row], caption: Sequence[str], blocks: Sequence[str]) -> str:
    """A table for each block with what matters most, and the caption. All text is escaped.

    :param blocks: those over which rows are compared; none where each block is ranked by itself.
    """
    over_blocks = bool(blocks)
    score = partial(shown_or_dash, show="{:.2f}".format if over_blocks else question.criterion.shown)
    header = ["#", "ranks", "configuration", "n", estimate_name(question, over_blocks), "interval", "solved", "test"]
    parts = []
    for title, some in groupby(rows, key=lambda row: _title(row, question, len(blocks))):
        own = list(some)
        lines = [
            [
                shown_or_dash(row.rank, str),
                "–" if row.rank_low is None else span_text(str(row.rank_low), str(row.rank_high)),
                row.label,
                f"{row.n}{'*' if row.incomplete else ''}",
                estimate_text(row, score, question),
                interval_text(row, score),
                solved_text(row, over_blocks),
                percent(row.test_accuracy),
            ]
            for row in own[:MOST_ROWS]
        ]
        parts.append(_table(title, header, lines))
        if len(own) > MOST_ROWS:
            parts.append(f"<p>… and {len(own) - MOST_ROWS:,} more rows: to_frame() has all.</p>")
    parts += [f"<p>{escape(line)}</p>" for line in caption]
    return f"<div>{''.join(parts)}</div>"


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
