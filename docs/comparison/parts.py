"""What both scripts of this folder need: tables of a page that a script writes, and where numbers were measured."""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent
SPREAD = "\u00a0±\u00a0"
"""Between a number and its spread: no line of a table breaks there."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(header)}", *lines[1:]])


def part_of(page: str, name: str) -> str:
    """The text between the two marks of a name on a page.

    :raises ValueError: where the page lacks the marks.
    """
    found = re.search(_pattern(name), page, re.DOTALL)
    if found is None:
        raise ValueError(f"The page has no part {name!r}: <!-- {name} --> … <!-- /{name} -->.")
    return found[2]


def with_part(page: str, name: str, text: str) -> str:
    """The page with this text between the two marks of a name.

    >>> with_part("<!-- a -->old<!-- /a --> end", "a", "new").split()
    ['<!--', 'a', '-->', 'new', '<!--', '/a', '-->', 'end']
    """
    part_of(page, name)
    return re.sub(_pattern(name), lambda found: f"{found[1]}\n\n{text}\n\n{found[3]}", page, count=1, flags=re.DOTALL)


def _pattern(name: str) -> str:
    return rf"(<!-- {name} -->)(.*?)(<!-- /{name} -->)"


def write_parts(path: Path, parts: Mapping[str, str]) -> None:
    """Write each text between the marks of its name."""
    page = path.read_text("utf-8")
    for name, text in parts.items():
        page = with_part(page, name, text)
    path.write_text(page, "utf-8")


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON, a line for each of the lowest lists."""
    text = json.dumps(results, indent=1, ensure_ascii=False)
    flat = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda found: "[" + re.sub(r",\s+", ", ", found[1]) + "]", text)
    path.write_text(flat + "\n", "utf-8")


def environment(*packages: str) -> dict[str, Any]:
    """Versions, the processor's name and the threads of numerical libraries."""
    versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    return {"versions": versions, "processor": _processor(), "threads": int(os.environ.get("OMP_NUM_THREADS", "0"))}


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
