"""Checks of a plugin after its import. Each function returns what is wrong, as the end of a sentence, or None.

Only the attributes and methods that the benchmark uses are checked. The contract tests check what a plugin computes.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from bench.specs.fake_trials import RecordingTrial
from bench.specs.plugin_source import lacking
from bench.tasks import Task

POSITIONS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
COMBINES = ("concat", "sum", "product")
DOMAINS = ("categorical", "real")
DEVICES = ("cpu", "cuda")


def fault_of_class(kind: str, cls: Any, base: type) -> str | None:
    """What is wrong with the class of an encoder, a learner or a part of optimizers, or None.

    :param base: the class of which it must be a subclass.
    """
    if not (isinstance(cls, type) and issubclass(cls, base)):
        return f"it must be a subclass of {base.__name__}"
    return next(_faults_of_class(kind, cls), None)


def _faults_of_class(kind: str, cls: Any) -> Iterator[str]:
    missing = set(getattr(cls, "__abstractmethods__", ()))
    attributes = ATTRIBUTES[kind]
    missing |= {name for name in attributes if not hasattr(cls, name)}
    if missing:
        yield lacking(missing)
    yield from _faults_of_signature(cls)
    if kind == "optimizer" and "name" in inspect.signature(cls).parameters:
        yield "its parameter 'name' must have another name, which records have for the part itself"
    known = inspect.signature(cls).parameters
    for name, (rule, holds) in attributes.items():
        if not holds(getattr(cls, name), known):
            yield f"its {name} must be {rule}, got {getattr(cls, name)!r}"
    yield from _faults_of_space(cls() if kind == "optimizer" else cls, known)


def _faults_of_signature(maker: Callable[..., Any]) -> Iterator[str]:
    """Arguments of a constructor that have no name or no default."""
    for name, parameter in inspect.signature(maker).parameters.items():
        if parameter.kind in POSITIONS:
            yield f"its parameters must be named one by one, got {parameter}"
        elif parameter.default is parameter.empty:
            yield f"its parameter {name!r} must have a default"


def _faults_of_space(plugin: Any, known: Mapping[str, Any]) -> Iterator[str]:
    try:
        drawn = plugin.suggest(RecordingTrial())
    except Exception as error:  # a plugin may raise anything
        yield f"its suggest(trial) fails: {type(error).__name__}: {error}"
        return
    if not isinstance(drawn, Mapping):
        yield f"its suggest(trial) must return its parameters by name, got {type(drawn).__name__}"
        return
    for name in drawn:
        if name.partition(".")[0] not in known:
            yield f"its suggest(trial) gives {name!r}, which its constructor does not take"


Rule = tuple[str, Callable[[Any, Mapping[str, Any]], bool]]
"""The rule in words, and a function of a value and the constructor's arguments that tells whether it holds."""


def _some_of(known: Collection[str]) -> Callable[[Any, Mapping[str, Any]], bool]:
    return lambda value, _: isinstance(value, tuple | list) and bool(value) and set(value) <= set(known)


_VERSION: Rule = ("an integer", lambda value, _: isinstance(value, int) and not isinstance(value, bool))

ENCODER: dict[str, Rule] = {
    "version": _VERSION,
    "domain": ("'categorical' or 'real'", lambda value, _: value in DOMAINS),
    "default_combine": ("'concat', 'sum' or 'product'", lambda value, _: value in COMBINES),
}
LEARNER: dict[str, Rule] = {
    "version": _VERSION,
    "devices": ("some of 'cpu' and 'cuda'", _some_of(DEVICES)),
    "precisions": ("some of 'float32', 'tf32' and 'bfloat16'", _some_of(("float32", "tf32", "bfloat16"))),
    "budget_parameter": (
        "a parameter of its constructor, or None",
        lambda value, known: value is None or value in known,
    ),
    "fit_parameters": ("parameters of its constructor", lambda value, known: set(value) <= set(known)),
}
OPTIMIZER: dict[str, Rule] = {
    "version": _VERSION,
    "kind": ("'filter', 'rule' or 'constraint'", lambda value, _: value in ("filter", "rule", "constraint")),
}
ATTRIBUTES = {"encoder": ENCODER, "learner": LEARNER, "optimizer": OPTIMIZER}


def fault_of_maker(maker: Any) -> str | None:
    """What is wrong with the function that makes a task, or None."""
    if not callable(maker):
        return f"it must be a function that makes a task, got {type(maker).__name__}"
    return next(_faults_of_signature(maker), None)


def fault_of_task(task: Any) -> str | None:
    """What is wrong with the result of a function that makes a task, or None."""
    return None if isinstance(task, Task) else f"it must make a bench.tasks.Task, got {type(task).__name__}"
