"""Run docs/notebook.ipynb as Jupyter does: ``python -m tests.notebooks`` makes its outputs anew.

``python -m tests.notebooks PATH`` writes the notebook with its outputs there instead.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs" / "notebook.ipynb"
ANEW = "Where that is meant, `python -m tests.notebooks` makes its outputs anew."
PATIENCE = 300
"""Seconds for a cell."""
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
ROUNDING = 0.02
"""Processors and libraries round differently: numbers may differ by this share of the larger one, or by so much."""


def run(folder: str) -> Any:
    """The notebook with the outputs of its cells, run in this folder by a new kernel."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=PATIENCE, resources=where, record_timing=False, coalesce_streams=True).execute()
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    return notebook


def main(path: str | Path = NOTEBOOK) -> None:
    """Write the notebook with its outputs."""
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        os.environ["IPYTHONDIR"] = os.environ["JUPYTER_CONFIG_DIR"] = folder  # nothing of the user's changes a cell
        nbformat.write(run(folder), path)


# What cells say


def text(lines: str | list[str]) -> str:
    """A text as notebooks keep it: whole, or as a list of its lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def said(cell: dict[str, Any]) -> list[tuple[str, str]]:
    """The outputs of a cell: the kind of each, and its text, which is "" of a picture."""
    found = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {output["output_type"]: output.get("text", "")})
        found += [(kind, text(value) if kind.startswith(("text/", "stream")) else "") for kind, value in data.items()]
    return found


def differences(saved: dict[str, Any], made: dict[str, Any]) -> Iterator[str]:
    """In words, where cells say something else than they are saved with, but for the rounding of numbers."""
    for before, after in zip(saved["cells"], made["cells"], strict=True):
        was, now = said(before), said(after)
        if [kind for kind, _ in was] != [kind for kind, _ in now]:
            yield f"cell {before['id']}: {[kind for kind, _ in now]} instead of {[kind for kind, _ in was]}"
            continue
        for (kind, old), (_, new) in zip(was, now, strict=True):
            if not same(old, new):
                yield f"cell {before['id']}, {kind}: {new!r} instead of {old!r}"


def numbers(words: str) -> list[float]:
    """All numbers in a text."""
    return [float(number.replace(",", "")) for number in NUMBER.findall(words)]


def same(old: str, new: str) -> bool:
    """Whether two texts have the same words and nearly the same numbers."""
    pairs = zip(numbers(old), numbers(new), strict=False)
    near = all(abs(a - b) <= ROUNDING * max(a, b, 1) for a, b in pairs)
    return near and NUMBER.sub("0", old).split() == NUMBER.sub("0", new).split()


if __name__ == "__main__":
    main(*sys.argv[1:])
