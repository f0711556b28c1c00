"""Print tables and JSON; imports nothing heavy."""

import json
import math
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.results.record import SCHEMA

__all__ = ["console", "exponential", "four_digits", "print_json", "print_table", "print_tracebacks", "significant"]

WIDTH_OF_A_FILE = 118
WIDE = 100


def console(at_least: int = 0) -> Console:
    """Stdout: as wide as the terminal or as COLUMNS says, or wide enough for all columns where there is neither."""
    if not _is_bounded():
        return Console(highlight=False, width=max(WIDTH_OF_A_FILE, at_least))
    terminal = Console(highlight=False, width=None if sys.stdout.isatty() else shutil.get_terminal_size().columns)
    return terminal if terminal.width >= at_least else Console(highlight=False, width=at_least)


def _is_bounded() -> bool:
    """Whether somebody says how wide lines may be; a pipe or a file takes any."""
    return sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()


def print_json(**document: Any) -> None:
    """One JSON document."""
    print(json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False, allow_nan=False))


def print_tracebacks(records: Iterable[Mapping[str, Any]]) -> None:
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
    """A table as wide as the terminal. Columns whose cells all look like numbers are right-aligned.

    Text is wrapped between words, numbers never. Columns that do not fit beside the others stand below them, each time
    beside the first column again.

    :param footer: how many of the last rows are set apart.
    :param fold: wrap text in a pipe or a file, too, where a row otherwise stays one line.
    """
    out = console()
    gap = 1 if out.width < WIDE else 2
    cells = [[column, *(row[i] for row in rows)] for i, column in enumerate(columns)]
    numeric = [all(map(_is_number, column[1:])) for column in cells]
    natural = [max(map(cell_len, column)) for column in cells]
    least = [n if number else _longest_word(column) for column, n, number in zip(cells, natural, numeric, strict=True)]
    if title is not None:
        out.print(Text(title, style="bold"))
    room = out.width if fold or _is_bounded() else sum(natural) + gap * len(natural)
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


def significant(value: float, digits: int = 3) -> str:
    """A measurement, as exact as it is worth reading.

    >>> [significant(x) for x in (0.22914, 12.34, 1234.5, 0)]
    ['0.229', '12.3', '1,230', '0']
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def four_digits(value: float) -> str:
    """A setting with at most four significant digits.

    >>> [four_digits(x) for x in (0.020961900543150613, 0.1, 1e-05, 12345.678)]
    ['0.02096', '0.1', '1e-05', '12350.0']
    """
    return str(float(f"{value:.4g}"))


def exponential(value: float) -> str:
    """A large number, as FLOPs.

    >>> exponential(4.5512e10)
    '4.55e10'
    """
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{digits}e{int(exponent)}"


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, with its unit or interval, or nothing."""
    return cell[:1] in "0123456789–-<" and not re.search(r"[^\W\d_]{5}", cell)


def _longest_word(cells: Sequence[str]) -> int:
    return max((cell_len(word) for cell in cells for word in cell.split()), default=0)


def _blocks(least: Sequence[int], room: int, gap: int) -> list[list[int]]:
    """Columns that stand side by side, each block with the first one."""
    blocks = [[0]] if least else []
    for i in range(1, len(least)):
        if sum(least[j] + gap for j in blocks[-1]) + least[i] > room and len(blocks[-1]) > 1:
            blocks.append([0])
        blocks[-1].append(i)
    return blocks


def _widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widest columns give way, none below its longest word, until all fit."""
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
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), show_header=any(columns))
    for column, width, side in zip(columns, widths, sides, strict=True):
        table.add_column(column, justify=side, width=width, overflow="fold")
    for number, row in enumerate(rows):
        last = bool(footer) and number >= len(rows) - footer
        if last and number == len(rows) - footer:
            table.add_section()
        table.add_row(*map(Text, row), style="bold" if last else None)
    out = console(sum(widths) + gap * len(widths))
    with out.capture() as captured:
        out.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
