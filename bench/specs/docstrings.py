"""Docstrings for people: what Sphinx reads, taken apart and without its marks."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.specs.parameters import documentation

FIELD = re.compile(r":(?:(param) )?(\w+)(?: \w+)?: ?(.*)")
SOURCE = "Source:"


@dataclass
class Described:
    """A docstring by its parts, each without markup.

    :param summary: the first sentence or sentences.
    :param body: paragraphs and list items, in their order; an item begins with "- ".
    :param source: where it comes from.
    :param parameters: what each means.
    """

    summary: str = ""
    body: list[str] = field(default_factory=list)
    source: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def describe(thing: Callable[..., Any]) -> Described:
    """A class, with what its bases say of parameters that it inherits, or a function."""
    function = thing.func if isinstance(thing, partial) else thing
    own = inspect.getdoc(function) or ""
    whole = documentation(function) if isinstance(function, type) else own
    found = Described(parameters=_parameters(whole))
    for part in _parts(own):
        if part.startswith(SOURCE):
            found.source = part.removeprefix(SOURCE).strip()
        elif not found.summary:
            found.summary = part
        else:
            found.body.append(part)
    return found


def plain(text: str) -> str:
    """One line without backticks, roles and line breaks.

    >>> plain("``lr=1`` of :class:`learners.MLP`,  as in `fit`")
    'lr=1 of learners.MLP, as in fit'
    """
    return re.sub(r":\w+:`~?([^`]*)`|`+([^`]+)`+", lambda m: m[1] or m[2], " ".join(text.split()))


def _parts(text: str) -> list[str]:
    """Paragraphs and list items; fields and examples are left out."""
    parts: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.splitlines()
        if paragraph.lstrip().startswith((">>>", ":")) or not paragraph.strip():
            continue
        items: list[list[str]] = []
        for line in lines:
            if FIELD.match(line):
                break
            if line.startswith("- ") or not items:
                items.append([])
            items[-1].append(line)
        parts += [plain("\n".join(item)) for item in items]
    return parts


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    name: str | None = None
    for line in text.splitlines():
        if matched := FIELD.match(line):
            name = matched[2] if matched[1] else None
            if name is not None:
                found.setdefault(name, []).append(matched[3])
        elif name is not None and line.startswith(" "):
            found[name].append(line)
        else:
            name = None
    return {name: plain("\n".join(lines)) for name, lines in found.items()}
