"""``bench rank``: the league table."""

from collections.abc import Sequence
from typing import Any

import click

from bench import ranking, reports
from bench.cli._messages import with_options
from bench.cli._options import debug_option, json_option, word_option
from bench.cli._print import WIDE, console, print_json, print_table, print_text
from bench.cli._question import league_options, span_of
from bench.errors import RequestError, one_of

FORMATS = ("table", "markdown", "csv")


@click.command()
@league_options
@click.option("--blocks", is_flag=True, help="Compare rows over all tasks, moduli, protocols and fractions: Friedman.")
@click.option("--diagram", metavar="PATH.png|svg|pdf|html", help="With --blocks: draw the critical-difference diagram.")
@click.option("--top", type=int, metavar="N", help="Show the best N rows of each block.")
@word_option("--format", FORMATS, "How to print the rows.", "form", default="table")
@json_option
@debug_option
def rank(
    parameters: str | None,
    diagram: str | None,
    top: int | None,
    form: str,
    as_json: bool,
    **request: Any,
) -> int:
    """Rank what the results folder or a pack holds: a row is a configuration over its seeds.

    Tasks, moduli, protocols and fractions are ranked apart, unless --blocks compares the rows over all of them.
    """
    _check(request["blocks"], diagram, top, form, as_json)
    if request["published"] and form == "csv":
        raise RequestError("--published does not go with --format csv, whose lines are ranked rows: --json has both.")
    league = ranking.rank(parameters=span_of(parameters), **request)
    league.caption[:] = map(with_options, league.caption)
    if diagram is not None and league.comparison is not None:
        reports.write_picture(reports.draw_picture(reports.kind_of("cd"), league), diagram)
    show = {"table": _print_tables, "markdown": _print_markdown, "csv": _print_csv}[form]
    (_print_json if as_json else show)(league, reports.tables_of(league, top))
    return 0


# Requests


def _check(blocks: bool, diagram: str | None, top: int | None, form: str, as_json: bool) -> None:
    """Refuse a wrong request before any record is read."""
    if form not in FORMATS:
        raise RequestError(one_of("--format", form, FORMATS))
    if as_json and form != "table":
        raise RequestError(f"--json and --format {form} exclude each other.")
    if top is not None and top < 1:
        raise RequestError(f"--top must be ≥ 1, got {top}.")
    if diagram is not None:
        if not blocks:
            raise RequestError("--diagram needs --blocks: it shows mean ranks over blocks.")
        reports.check_picture(diagram, "--diagram")


# Output


def _print_json(league: Any, tables: Sequence[Any]) -> None:
    print_json(**league.to_dict([row for table in tables for row in table.rows]))


def _print_tables(league: Any, tables: Sequence[Any]) -> None:
    """The tables with the columns that fit into the terminal."""
    width = console().width
    columns = reports.columns_of(league, tables)
    hidden = reports.too_wide(columns, tables, width, gap=1 if width < WIDE else 2)
    shown = [column for column in columns if column not in hidden]
    for title, rows in tables:
        print_table(title, [c.name for c in shown], [[c.cell(row) for c in shown] for row in rows], fold=True)
        for line in reports.footnotes(rows):
            print_text(line, "dim")
        click.echo()
    single = max(len(rows) for _, rows in tables) < 2
    lines = [*league.caption, *map(with_options, reports.note_hidden_rows(league, tables))]
    lines += reports.explained(league, (c for c in shown if not (single and c.name == "ranks")))
    if hidden:
        lines.append(f"Left out for want of room: {', '.join(c.name for c in hidden)}; --format csv has everything.")
    for line in lines:
        print_text(line, "dim")
    if league.published is not None:
        _print_published(league.published)


def _print_published(rows: Sequence[Any]) -> None:
    """Cited figures, apart from the rows that are ranked."""
    click.echo()
    if rows:
        print_table(ranking.PUBLISHED_TITLE, *ranking.published_table(rows), fold=True)
    for line in ranking.published_notes(rows):
        print_text(line, "dim")


def _print_markdown(league: Any, tables: Sequence[Any]) -> None:
    click.echo("\n".join(reports.league_markdown(league, tables)))


def _print_csv(league: Any, tables: Sequence[Any]) -> None:
    """The rows on stdout, the caption on stderr."""
    click.echo(reports.league_csv(league, tables), nl=False)
    for line in league.caption:
        click.echo(line, err=True)
