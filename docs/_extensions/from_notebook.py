"""Notebooks as pages, with the outputs that they are saved with: nothing is run."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from docutils import nodes
from myst_parser.sphinx_ import Parser

FENCE = "`" * 9
"""Longer than any fence in a cell."""


def as_markdown(notebook: Mapping[str, Any]) -> str:
    """The cells of a notebook and their outputs, one below the other."""
    return "\n\n".join(part for cell in notebook["cells"] for part in _parts(cell))


def _parts(cell: Mapping[str, Any]) -> Iterator[str]:
    if cell["cell_type"] == "markdown":
        yield _text(cell["source"])
    else:
        yield _fenced("python", _text(cell["source"]))
        yield from map(_shown, cell["outputs"])


def _shown(output: Mapping[str, Any]) -> str:
    """The best of what an output is saved as: a picture, HTML, or text."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    words = _text(data.get("text/plain", ""))
    if "image/png" in data:
        size = " ".join(f'{key}="{value}"' for key, value in output["metadata"].get("image/png", {}).items())
        source = f"data:image/png;base64,{_text(data['image/png']).strip()}"
        return _fenced("{raw} html", f'<img class="output" alt="{escape(words)}" {size} src="{source}">')
    if "text/html" in data:
        return _fenced("{raw} html", f'<div class="output">{_text(data["text/html"])}</div>')
    return _fenced("text", words)


def _fenced(kind: str, text: str) -> str:
    return f"{FENCE}{kind}\n{text.rstrip()}\n{FENCE}"


def _text(lines: str | list[str]) -> str:
    """A text as notebooks keep it: whole, or as a list of its lines."""
    return lines if isinstance(lines, str) else "".join(lines)


class NotebookParser(Parser):
    """Reads a notebook as the Markdown that says the same."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse a notebook."""
        super().parse(as_markdown(json.loads(inputstring)), document)


def setup(app: Any) -> dict[str, bool]:
    """Register the kind of file with Sphinx."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
