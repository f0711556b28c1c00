"""Print tables, lines and JSON. Rich is imported only where something is printed."""

import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bench.cli._messages import with_options
from bench.cli._options import is_debug
from bench.results import DOCUMENTS, many

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_OF_A_FILE = 118
WIDE = 100
LINES_EVERY = 2.0
"""Seconds between two lines of progress."""
NAMED_BROKEN = 3
"""At most this many broken files are named."""
NAMED_DISAGREEING = 20
"""At most this many disagreeing records are named."""


def console(at_least: int = 0) -> "Console":
    """Stdout, as wide as the terminal or COLUMNS; in a file or pipe without COLUMNS wide enough for all columns."""
    from rich.console import Console

    if not _is_bounded():
        return Console(highlight=False, width=max(WIDTH_OF_A_FILE, at_least))
    terminal = Console(highlight=False)
    return terminal if terminal.width >= at_least else Console(highlight=False, width=at_least)


def _is_bounded() -> bool:
    """Whether the width of lines is limited, by a terminal or by COLUMNS."""
    return sys.stdout.isatty() or os.environ.get("COLUMNS", "").strip("0").isdigit()


def print_text(text: str, style: str = "") -> None:
    """Print a paragraph, wrapped at the width of the console. Square brackets in it are printed as they are."""
    from rich.text import Text

    console().print(Text(text, style=style))


def print_json(**document: Any) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps({"schema": DOCUMENTS, **document}, ensure_ascii=False, allow_nan=False))


def print_notes(notes: Iterable[str]) -> None:
    """Print each note once, on stderr."""
    for note in dict.fromkeys(notes):
        click.echo(f"Note: {with_options(note)}", err=True)


def progress_lines(things: str, quiet: bool) -> Callable[[int, int], None]:
    """A function that prints a line on stderr every few seconds from its first call on: "1,000 of 4,000 records"."""
    printed_at = math.inf

    def show(done: int, total: int) -> None:
        nonlocal printed_at
        printed_at = min(printed_at, time.monotonic())
        if not quiet and done < total and time.monotonic() - printed_at > LINES_EVERY:
            printed_at = time.monotonic()
            click.echo(f"{done:,} of {total:,} {things}", err=True)

    return show


def named_broken(broken: Sequence[str]) -> list[str]:
    """A line for each of the first files that could not be used, and one for all others."""
    others = len(broken) - NAMED_BROKEN
    more = [f"And {others:,} more that could not be used; --json names all."] if others > 0 else []
    return [*map(with_options, broken[:NAMED_BROKEN]), *more]


def notes_on(done: Any) -> list[str]:
    """Lines about files that could not be used, and one note with all records that disagree."""
    found, broken = sorted(done.disagreeing, key=lambda one: -one.accuracy), named_broken(done.broken)
    if not found:
        return broken
    lines = [f"Note: {many(len(found), 'record')} of the same cell and step with other numbers on the curve:"]
    for one in found[:NAMED_DISAGREEING]:
        gap = f"accuracies by up to {100 * one.accuracy:.3g} points" if one.accuracy else "losses alone"
        lines.append(f"  {one.id} at step {one.step:,}, {one.folders[0]!r} and {one.folders[1]!r}: {gap}")
    if len(found) > NAMED_DISAGREEING:
        lines.append(f"  and {len(found) - NAMED_DISAGREEING:,} that differ by no more; --json names all")
    return [*broken, *lines]


def print_tracebacks(records: Iterable[Mapping[str, Any]]) -> None:
    """With --debug, print the traceback of each failed cell on stderr."""
    for record in records if is_debug() else ():
        if record["error"]:
            seed = record["spec"]["seed"]
            click.echo(f"{record['label']}, seed {seed}:\n{record['error']['traceback'].rstrip()}", err=True)


def outcome_code(statuses: Collection[str], complete: bool, failed: bool = False, stored: bool = True) -> int:
    """130 where a cell was interrupted or never began, 1 where one failed or timed out, else 0.

    :param statuses: of the cells that did not reach their budget.
    :param complete: whether every cell was started.
    :param failed: whether something else failed.
    :param stored: whether there is a results folder from which the same command can go on.
    """
    if not complete or "interrupted" in statuses:
        kept = "What is done is stored; the same command goes on from there." if stored else "Nothing is stored."
        click.echo(f"Interrupted. {kept}", err=True)
        return 130
    return int(failed or not {"failed", "timeout"}.isdisjoint(statuses))


def print_table(
    title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]], footer: int = 0, fold: bool = False
) -> None:
    """A table as wide as the terminal. Columns whose cells all look like numbers are right-aligned.

    Text is wrapped between words, and numbers are not wrapped. Columns that do not fit beside the others are printed
    below them, beside the first column again.

    :param footer: the number of last rows that are set apart.
    :param fold: wrap text in a pipe or a file, too, where a row is one line otherwise.
    """
    from rich.cells import cell_len

    width = console().width
    gap = 1 if width < WIDE else 2
    cells = [[column, *(row[i] for row in rows)] for i, column in enumerate(columns)]
    numeric = [all(map(_is_number, column[1:])) for column in cells]
    natural = [max(map(cell_len, column)) for column in cells]
    longest = [max((cell_len(word) for cell in column for word in cell.split()), default=0) for column in cells]
    least = [n if number else word for n, word, number in zip(natural, longest, numeric, strict=True)]
    if title is not None:
        print_text(title, "bold")
    room = width if fold or _is_bounded() else sum(natural) + gap * len(natural)
    for number, block in enumerate(_blocks(least, room, gap)):
        widths = _widths([natural[i] for i in block], [least[i] for i in block], room - gap * (len(block) - 1))
        if number:
            print()
        _print_block(
            [columns[i] for i in block],
            [[row[i] for i in block] for row in rows],
            widths,
            ["right" if numeric[i] else "left" for i in block],
            footer,
            gap,
        )


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, perhaps with a unit or an interval, or a dash."""
    return cell[:1] in "0123456789–-+<≤≥" and not re.search(r"[^\W\d_]{5}", cell)


def _blocks(least: Sequence[int], room: int, gap: int) -> list[list[int]]:
    """Blocks of columns that fit side by side, each with the first column."""
    blocks = [[0]] if least else []
    for i in range(1, len(least)):
        if sum(least[j] + gap for j in blocks[-1]) + least[i] > room and len(blocks[-1]) > 1:
            blocks.append([0])
        blocks[-1].append(i)
    return blocks


def _widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths at which all columns fit: the widest are narrowed first, none below its longest word."""
    widths = list(natural)
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        if widths[widest] <= least[widest]:
            break
        widths[widest] -= 1
    return widths


def _print_block(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    sides: Sequence[Any],
    footer: int,
    gap: int,
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), show_header=any(columns))
    for column, width, side in zip(columns, widths, sides, strict=True):
        table.add_column(Text(column), justify=side, width=width, overflow="fold")
    for number, row in enumerate(rows):
        last = bool(footer) and number >= len(rows) - footer
        if last and number == len(rows) - footer:
            table.add_section()
        table.add_row(*map(Text, row), style="bold" if last else None)
    out = console(sum(widths) + gap * len(widths))
    with out.capture() as captured:
        out.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
