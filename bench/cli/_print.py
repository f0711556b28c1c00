"""Print tables and JSON; imports nothing heavy."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.schema import SCHEMA

__all__ = ["console", "print_json", "print_table", "print_tracebacks"]

WIDTH_OF_A_FILE = 118
WIDE = 100


def console(at_least: int = 0) -> Console:
    """Stdout: as wide as the terminal, or wide enough for all columns where there is none."""
    if not sys.stdout.isatty():
        return Console(highlight=False, width=max(WIDTH_OF_A_FILE, at_least))
    terminal = Console(highlight=False)
    return terminal if terminal.width >= at_least else Console(highlight=False, width=at_least)


def print_json(**document: Any) -> None:
    """One JSON document."""
    print(json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False, allow_nan=False))


def print_tracebacks(records: Iterable[dict[str, Any]]) -> None:
    """With --debug, where each failed cell failed, on stderr; nothing without it."""
    context = click.get_current_context(silent=True)
    if context is None or not (context.obj or {}).get("debug"):
        return
    for record in records:
        if record["error"]:
            seed = record["spec"]["seed"]
            click.echo(f"{record['label']}, seed {seed}:\n{record['error']['traceback'].rstrip()}", err=True)


def print_table(
    title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]], footer: int = 0, fold: bool = False
) -> None:
    """A table. Columns whose cells all look like numbers are right-aligned.

    :param footer: how many of the last rows are set apart.
    :param fold: break long cells where the terminal is too narrow, instead of letting it break lines.
    """
    gap = 1 if console().width < WIDE else 2
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, gap, 0, 0)
    )
    for i, column in enumerate(columns):
        numeric = all(row[i][:1] in "0123456789–-<" for row in rows if row[i])
        table.add_column(column, justify="right" if numeric else "left", no_wrap=not fold, overflow="fold")
    for number, row in enumerate(rows):
        last = bool(footer) and number >= len(rows) - footer
        if last and number == len(rows) - footer:
            table.add_section()
        table.add_row(*map(Text, row), style="bold" if last else None)
    out = console()
    if not fold:
        out = console(out.measure(table).maximum)
    with out.capture() as captured:
        out.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
