"""The front page of a site: what was compared, the reports, the league and the files, without a program."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from bench.ranking import PAGE, PHONE, PUBLISHED_TITLE, Column, Ranking, published_notes, published_table
from bench.reports.league_table import Table, columns_of, footnotes, tables_of
from bench.reports.page.commands import with_options
from bench.reports.page.content import Content
from bench.reports.page.document import HERE, filled, policy_of, style
from bench.results import many, size

MOST_ROWS = 20
"""Rows of a table on the front page; the report has all."""
OF_PROBES = "†"
"""How notes on columns begin that the front page does not have."""


class Report(NamedTuple):
    """A report of the site.

    :param file: its name.
    :param title: what it is of.
    :param rows, runs: how many it shows.
    """

    file: str
    title: str
    rows: int
    runs: int
    bytes: int


class Download(NamedTuple):
    """A file to download.

    :param what: is in it, in words.
    :param sha256: its digest.
    """

    file: str
    what: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Front:
    """What the front page shows.

    :param content: of the report of all records.
    :param ranking: the league.
    :param remarks: sentences on what has no report of its own.
    :param commands: by what they are of, lines that read the files.
    :param version: of mod97.
    """

    content: Content
    ranking: Ranking
    reports: Sequence[Report]
    remarks: Sequence[str]
    downloads: Sequence[Download]
    commands: Mapping[str, Sequence[str]]
    version: str


def front_page(front: Front) -> str:
    """The page, in which nothing runs: all of it is text, and every text of a record is escaped."""
    ranking, tables = front.ranking, tables_of(front.ranking)
    shown = [Table(title, rows[:MOST_ROWS]) for title, rows in tables]
    columns = [column for column in columns_of(ranking, shown) if column.seen >= PAGE]
    below = [[line for line in footnotes(rows) if not line.startswith(OF_PROBES)] for _, rows in shown]
    shared = [line for line, times in Counter(line for lines in below for line in lines).items() if times > 1]
    own = [[line for line in lines if line not in shared] for lines in below]
    return filled(
        (HERE / "site.html").read_text("utf-8"),
        title=escape(front.content.title),
        policy=escape(policy_of([])),
        style=style(),
        facts=_definitions("facts", front.content.facts),
        reports=_reports(front),
        league="\n".join(_league(tables, shown, columns, own, front.reports[0].file)),
        published=_published(ranking),
        files=_files(front.downloads),
        commands="\n".join(_commands(front.commands)),
        notes=_notes([*map(with_options, ranking.caption), *shared], ranking.legend, columns),
        made=escape(f"Made by mod97 {front.version}: bench publish."),
    )


def _reports(front: Front) -> str:
    rows = [
        [(_link(one.file, one.title), "text"), *_numbers(one.rows, one.runs), (escape(size(one.bytes)), "roomy")]
        for one in front.reports
    ]
    head = [("report", "text"), ("configurations", ""), ("runs", ""), ("size", "roomy")]
    return _table(head, rows) + "".join(f'<p class="muted">{escape(line)}</p>' for line in front.remarks)


def _numbers(*numbers: int) -> Iterator[tuple[str, str]]:
    return ((f"{number:,}", "") for number in numbers)


def _league(
    tables: Sequence[Table],
    shown: Sequence[Table],
    columns: Sequence[Column],
    notes: Sequence[Sequence[str]],
    report: str,
) -> Iterator[str]:
    """A table for each block, of its best rows, with the notes below it."""
    kinds = [" ".join(["text"] * column.words + ["roomy"] * (column.seen < PHONE)) for column in columns]
    head = [(escape(column.name or "configuration"), kind) for column, kind in zip(columns, kinds, strict=True)]
    for whole, (title, rows), lines in zip(tables, shown, notes, strict=True):
        yield f"<h3>{escape(title)}</h3>"
        cells = [[escape(column.cell(row)) for column in columns] for row in rows]
        yield _table(head, [list(zip(row, kinds, strict=True)) for row in cells])
        rest = len(whole.rows) - len(rows)
        more = f"And {many(rest, 'more row')}, which {_link(report, 'the report')} has." if rest else ""
        yield from (f'<p class="muted">{line}</p>' for line in [more, *map(escape, lines)] if line)


def _published(ranking: Ranking) -> str:
    if ranking.published is None:
        return ""
    head, rows = published_table(ranking.published)
    cells = [[(escape(cell), "text") for cell in row] for row in rows]
    table = _table([(escape(name), "text") for name in head], cells) if rows else ""
    notes = _list(published_notes(ranking.published))
    return f'<section id="published"><h2>{escape(PUBLISHED_TITLE)}</h2>{table}{notes}</section>'


def _files(downloads: Iterable[Download]) -> str:
    rows = [
        [
            (_link(one.file, one.file), "text"),
            (escape(one.what), "text"),
            (escape(size(one.bytes)), ""),
            (f"<code>{one.sha256}</code>", "sum roomy"),
        ]
        for one in downloads
    ]
    return _table([("file", "text"), ("what", "text"), ("size", ""), ("SHA-256", "text roomy")], rows)


def _commands(commands: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for title, lines in commands.items():
        yield f"<h3>{escape(title)}</h3><pre>{escape(chr(10).join(lines))}</pre>"


def _notes(lines: Iterable[str], legend: Mapping[str, str], columns: Sequence[Column]) -> str:
    """What to know of the league, and what its columns mean."""
    meanings = [(c.name, with_options(legend[c.name])) for c in columns if c.name in legend]
    return _list(lines) + _definitions("legend", meanings)


# Parts of a page


def _link(file: str, text: str) -> str:
    """A link to a file beside the page, whose name needs no escape."""
    return f'<a href="{file}">{escape(text)}</a>'


def _table(head: Sequence[tuple[str, str]], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """A table of cells of HTML, each with its classes."""

    def line(tag: str, cells: Sequence[tuple[str, str]]) -> str:
        made = (f'<{tag} class="{kind}">{cell}</{tag}>' for cell, kind in cells)
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(line("td", row) for row in rows)
    return f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>\n{body}\n</tbody></table></div>'


def _definitions(kind: str, pairs: Iterable[Sequence[str]]) -> str:
    items = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="{kind}">\n{items}\n</dl>'


def _list(lines: Iterable[str]) -> str:
    return f'<ul class="muted notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'
