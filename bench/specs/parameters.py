"""Constructor parameters of plugins, with their defaults."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any


def defaults_of(maker: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a class or a maker of tasks, with their defaults."""
    return dict(_defaults(maker))


@cache
def _defaults(maker: Callable[..., Any]) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(maker).parameters.items() if p.default is not p.empty}


def settable(owner: str, maker: Callable[..., Any]) -> dict[str, Any]:
    """The parameters, with their defaults, that ``--set owner.NAME=VALUE`` takes."""
    hidden = {"name", "modulus"} if owner == "task" else set(getattr(maker, "fit_parameters", ()))
    return {name: default for name, default in defaults_of(maker).items() if name not in hidden}
