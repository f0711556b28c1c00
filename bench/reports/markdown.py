"""Tables in markdown, and a league table with all that stands below it."""

from collections.abc import Iterator, Sequence

from bench.ranking import PUBLISHED_TITLE, Ranking, published_notes, published_table
from bench.reports.league_table import Table, columns_of, explained, footnotes


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table.

    >>> markdown_table(["learner", "test"], [["mlp", "99%"]])
    ['| learner | test |', '| --- | --- |', '| mlp | 99% |']
    """
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *escaped)]


def league_markdown(ranking: Ranking, tables: Sequence[Table]) -> Iterator[str]:
    """The lines of a document."""
    columns = columns_of(ranking, tables)
    for table in tables:
        yield f"### {table.title}\n"
        yield from markdown_table(
            [c.name or "row" for c in columns], [[c.cell(r) for c in columns] for r in table.rows]
        )
        yield "".join("\n{}\n".format(note.replace("*", "\\*")) for note in footnotes(table.rows))
    yield from (f"- {line}" for line in [*ranking.caption, *explained(ranking, columns)])
    if ranking.published is not None:
        yield f"\n### {PUBLISHED_TITLE}\n"
        yield from markdown_table(*published_table(ranking.published)) if ranking.published else ()
        yield "".join(f"\n{note}\n" for note in published_notes(ranking.published))
