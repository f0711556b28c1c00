"""Parameters of plugins, with what their docstrings say of them."""

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any


def defaults_of(maker: Callable[..., Any]) -> dict[str, Any]:
    """Keyword arguments of a class or a maker of tasks, with their defaults."""
    return dict(_parameters(maker))


@cache
def _parameters(maker: Callable[..., Any]) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(maker).parameters.items() if p.default is not p.empty}


def documentation(cls: type) -> str:
    """What a class says of itself, with what its bases say of parameters that it inherits."""
    texts = [inspect.getdoc(cls) or ""]
    for base in cls.__mro__[1:]:
        missing = [p for p in defaults_of(cls) if f":param {p}:" not in "".join(texts)]
        if any(f":param {p}:" in (base.__doc__ or "") for p in missing):
            told = set(re.findall(r"^:param (\w+):", "\n".join(texts), re.MULTILINE))
            texts.append(_without(told, inspect.cleandoc(base.__doc__ or "")))
    return "\n\n".join(texts)


def _without(told: set[str], text: str) -> str:
    """A docstring without these parameters: what a class says of one is not what its base says of it."""
    kept, leaving = [], False
    for line in text.splitlines():
        if found := re.match(r":(?:param )?(\w+)", line):
            leaving = found[1] in told
        elif line and not line.startswith(" "):
            leaving = False
        if not leaving:
            kept.append(line)
    return "\n".join(kept)


def settable(owner: str, maker: Callable[..., Any]) -> dict[str, Any]:
    """The parameters, with their defaults, that ``--set owner.NAME=VALUE`` takes."""
    hidden = {"name", "modulus"} if owner == "task" else set(getattr(maker, "fit_parameters", ()))
    return {name: default for name, default in defaults_of(maker).items() if name not in hidden}
