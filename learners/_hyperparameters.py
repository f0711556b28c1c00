"""Hyperparameters as fields of a dataclass: the annotation, the default, the bounds and the role are declared once.

>>> from dataclasses import dataclass
>>> @dataclass(eq=False, repr=False)
... class Line:
...     slope: float = hyperparameter(1.0, above=0)
...     kind: Literal["solid", "dashed"] = "solid"
>>> check_fields(Line(slope=-1.0))
Traceback (most recent call last):
ValueError: The 'slope' parameter of Line must be a number > 0, got slope=-1.0.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from encoders._check import (
    require_choice,
    require_flag,
    require_integer,
    require_integers,
    require_number,
    require_two_numbers,
)

Role = Literal["structure", "replica", "start", "run", "part"]
"""What a hyperparameter decides.

structure
    fixed in the program, so replicas of a fleet agree on it (the default)
replica
    a tensor (R,), one value for each replica
start
    only how the first weights are drawn
run
    seed, batch and budget
part
    a part of an optimizer, or several, whose own hyperparameters have these roles
"""

CHECKS: Final[dict[Any, Callable[..., None]]] = {
    bool: require_flag,
    int: require_integer,
    float: require_number,
    tuple[int, ...]: require_integers,
    tuple[float, float]: require_two_numbers,
}


def hyperparameter(default: Any, *, role: Role = "structure", **bounds: float) -> Any:
    """A field of a dataclass with more to say than its annotation and default.

    :param role: what it decides.
    :param bounds: of a number: ``above``, ``at_least``, ``below``; of an integer: ``at_least``, 1 if not given.
    """
    return field(default=default, metadata={"role": role, "bounds": bounds})


@cache
def _declared(cls: type) -> dict[str, tuple[Any, Mapping[str, Any]]]:
    """Annotation and metadata of each field; a subclass that changes a default keeps the bounds and the role."""
    found: dict[str, tuple[Any, Mapping[str, Any]]] = {}
    for base in reversed(cls.__mro__):
        for name, one in base.__dict__.get("__dataclass_fields__", {}).items():
            found[name] = one.type, {**found.get(name, (None, {}))[1], **one.metadata}
    return found


@cache
def defaults(cls: type) -> dict[str, Any]:
    """The default of each constructor argument."""
    return {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}


@cache
def with_role(cls: type, *roles: Role) -> tuple[str, ...]:
    """Constructor arguments of these roles, in order. One that is not declared as a field decides the structure."""
    declared = _declared(cls)
    roles_of = {name: declared[name][1].get("role") if name in declared else None for name in defaults(cls)}
    return tuple(name for name, role in roles_of.items() if (role or "structure") in roles)


def check_fields(owner: object) -> None:
    """Raise a ValueError where a field is not of its annotated kind or not within its bounds.

    Checked are truth values, integers, numbers, words of a Literal, tuples of integers and pairs of numbers, each of
    them or None where the annotation allows it. Other annotations are left to their owner.
    """
    cls: Any = type(owner)
    for name, (check, optional) in _checks(cls).items():
        if not (optional and getattr(owner, name) is None):
            check(owner, name)


@cache
def _checks(cls: type) -> dict[str, tuple[Callable[..., None], bool]]:
    """The check of each field that has one, and whether None passes it."""
    checks: dict[str, tuple[Callable[..., None], bool]] = {}
    for name, (annotation, metadata) in _declared(cls).items():
        options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        kinds = [kind for kind in options if kind is not NoneType]
        optional = len(kinds) < len(options)
        bounds = metadata.get("bounds", {}) | ({"optional": True} if optional else {})
        if len(kinds) == 1 and get_origin(kinds[0]) is Literal:
            checks[name] = (partial(require_choice, choices=get_args(kinds[0])), optional)
        elif len(kinds) == 1 and kinds[0] in CHECKS:
            checks[name] = (partial(CHECKS[kinds[0]], **bounds), optional)
    return checks
