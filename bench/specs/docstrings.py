"""Docstrings of plugins: joined with those of their bases, and parsed into parts without markup."""

import ast
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from bench.specs.parameters import defaults_of

FIELD = re.compile(r":(?:(param) )?(\w+)(?: \w+)?: ?(.*)")
SOURCE = "Source:"


@dataclass
class Described:
    """A docstring by its parts, each without markup.

    :param summary: the first sentence or sentences.
    :param body: paragraphs and list items, in their order; an item begins with "- ".
    :param source: where the idea comes from.
    :param parameters: the meaning of each parameter.
    """

    summary: str = ""
    body: list[str] = field(default_factory=list)
    source: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def docstring(thing: Any) -> str:
    """The docstring of a class or a function itself, not of its bases.

    ``python -OO`` drops docstrings; it is read from the source then.
    """
    if sys.flags.optimize < 2:
        return inspect.cleandoc(thing.__doc__ or "")
    return _docstrings(thing.__module__).get(thing.__qualname__, "")


@cache
def _docstrings(module: str) -> dict[str, str]:
    """The docstrings of the classes and functions in the source of a module, by name."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not file.endswith(".py"):
        return {}
    nodes = ast.parse(Path(file).read_text(encoding="utf-8")).body
    return {
        node.name: ast.get_docstring(node) or "" for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }


def describe(thing: Callable[..., Any]) -> Described:
    """The parts of the docstring of a class or a function; a class has the parameters of its bases, too."""
    function = thing.func if isinstance(thing, partial) else thing
    own = _own_or_inherited(function)
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
    """Paragraphs and list items, without fields and examples."""
    paragraphs = [p for p in re.split(r"\n\s*\n", text) if p.strip() and not p.lstrip().startswith((">>>", ":"))]
    prose = ["\n".join(takewhile(lambda line: not FIELD.match(line), p.splitlines())) for p in paragraphs]
    return [plain(item) for paragraph in prose for item in re.split(r"\n(?=- )", paragraph)]


def documentation(cls: type) -> str:
    """The docstring of a class, followed by those of the bases that document parameters which it inherits."""
    texts = [_own_or_inherited(cls)]
    for base in cls.__mro__[1:]:
        missing = [p for p in defaults_of(cls) if f":param {p}:" not in "".join(texts)]
        if any(f":param {p}:" in docstring(base) for p in missing):
            documented = set(re.findall(r"^:param (\w+):", "\n".join(texts), re.MULTILINE))
            texts.append(_without(documented, docstring(base)))
    return "\n\n".join(texts)


def _own_or_inherited(thing: Any) -> str:
    if sys.flags.optimize < 2:
        return inspect.getdoc(thing) or ""
    return next(filter(None, map(docstring, thing.__mro__ if isinstance(thing, type) else (thing,))), "")


def _without(names: set[str], text: str) -> str:
    """A docstring without the fields of these parameters."""
    kept, skipping = [], False
    for line in text.splitlines():
        if found := re.match(r":(?:param )?(\w+)", line):
            skipping = found[1] in names
        elif line and not line.startswith(" "):
            skipping = False
        if not skipping:
            kept.append(line)
    return "\n".join(kept)


def _parameters(text: str) -> dict[str, str]:
    """The meaning of each parameter that a docstring documents."""
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
