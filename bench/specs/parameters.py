"""Constructor parameters of plugins, with their defaults."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from bench.specs.values import listed


def defaults_of(maker: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a class or a maker of tasks, with the benchmark's defaults.

    They lack a learner's optimizer, and what an encoder has for tables of other work alone.
    """
    return dict(_defaults(maker))


def identifying(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that tell results apart: without those at their defaults that came after records had been made."""
    later, defaults = getattr(cls, "later_parameters", ()), defaults_of(cls)
    return {key: value for key, value in values.items() if key not in later or value != listed(defaults[key])}


@cache
def _defaults(maker: Callable[..., Any]) -> dict[str, Any]:
    parameters = {
        name: p.default for name, p in inspect.signature(maker).parameters.items() if p.default is not p.empty
    }
    if has_optimizer(maker):
        del parameters["optimizer"]
    hidden: frozenset[str] = getattr(maker, "table_parameters", frozenset())
    return {
        name: default
        for name, default in (parameters | dict(getattr(maker, "benchmark_defaults", {}))).items()
        if name not in hidden
    }


def has_optimizer(maker: Any) -> bool:
    """Whether it is the class of a learner that takes an optimizer, as torch learners do: others bring their own."""
    return hasattr(maker, "default_optimizer")


def settable(owner: str, maker: Callable[..., Any]) -> dict[str, Any]:
    """The parameters, with their defaults, that ``--set owner.NAME=VALUE`` takes."""
    hidden = {"name", "modulus"} if owner == "task" else set(getattr(maker, "fit_parameters", ()))
    return {name: default for name, default in defaults_of(maker).items() if name not in hidden}
