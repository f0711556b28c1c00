"""Checks of constructor arguments. Error messages name the class, the rule and the value."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MOST_FEATURES: Final = 2**20
"""The largest size of a dense code that is given as a number: beyond it one code alone takes megabytes."""


def numbers_of(parameter: Any) -> tuple[float, ...]:
    """The numbers among the values of a parameter, which is a number, None, or a mapping of columns to such."""
    values = parameter.values() if isinstance(parameter, Mapping) else (parameter,)
    return tuple(float(value) for value in values if is_number(value))


def is_integer(value: Any, at_least: int = 0) -> bool:
    """Whether it is an integer, not a bool, and large enough."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= at_least


def is_number(value: Any) -> bool:
    """Whether it is a finite real number and not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(float(value)))


def require(owner: object, name: str, holds: bool, rule: str) -> None:
    """Raise a ValueError unless the rule holds."""
    if not holds:
        value = getattr(owner, name)
        raise ValueError(f"The {name!r} parameter of {type(owner).__name__} must be {rule}, got {name}={value!r}.")


def require_integer(owner: object, name: str, at_least: int = 1, optional: bool = False) -> None:
    """An integer, or None where it is optional."""
    value = getattr(owner, name)
    rule = f"an integer ≥ {at_least}{' or None' if optional else ''}"
    require(owner, name, (optional and value is None) or is_integer(value, at_least), rule)


def require_size(owner: object, name: str, optional: bool = False, of: str = "") -> None:
    """The size of a dense code: an integer in [1, 2²⁰], or None where it is optional.

    :param of: what else is allowed, which the caller has checked: " or a tuple of such".
    """
    require_integer(owner, name, optional=optional)
    value = getattr(owner, name)
    require(owner, name, value is None or value <= MOST_FEATURES, f"an integer in [1, {MOST_FEATURES:,}]{of}")


def require_integers(owner: object, name: str, at_least: int = 1) -> None:
    """A tuple of one or more integers."""
    value = getattr(owner, name)
    valid = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
    require(owner, name, valid and all(is_integer(v, at_least) for v in value), f"a tuple of integers ≥ {at_least}")


def require_number(
    owner: object,
    name: str,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    optional: bool = False,
) -> None:
    """A finite number, or None where it is optional."""
    value = getattr(owner, name)
    rule = f"a number{_bounds(above, at_least, below)}{' or None' if optional else ''}"
    require(owner, name, (optional and value is None) or _within(value, above, at_least, below), rule)


def require_modulus(owner: Any) -> None:
    """A modulus > 0, which must be given: taken from the largest number, 0 and 96 would have one code modulo 97."""
    value = owner.modulus
    require(
        owner,
        "modulus",
        is_number(value) and value > 0,
        "given: a number > 0, the period in the unit of x, or a mapping as {'hour': 24}",
    )


def require_two_numbers(
    owner: object, name: str, above: float | None = None, at_least: float | None = None, below: float | None = None
) -> None:
    """A pair of finite numbers."""
    value = getattr(owner, name)
    several = isinstance(value, Sequence | np.ndarray) and len(value) == 2
    valid = several and all(_within(x, above, at_least, below) for x in value)
    require(owner, name, valid, f"two numbers{_bounds(above, at_least, below)}")


def _bounds(above: float | None, at_least: float | None, below: float | None) -> str:
    bounds = ((">", above), ("≥", at_least), ("<", below))
    return " and".join(f" {sign} {bound:g}" for sign, bound in bounds if bound is not None)


def _within(value: Any, above: float | None, at_least: float | None, below: float | None) -> bool:
    return (
        is_number(value)
        and (above is None or value > above)
        and (at_least is None or value >= at_least)
        and (below is None or value < below)
    )


def require_flag(owner: object, name: str) -> None:
    """True or False."""
    require(owner, name, isinstance(getattr(owner, name), bool | np.bool_), "True or False")


def require_random_state(owner: object, name: str = "random_state") -> None:
    """A random state of scikit-learn: None, an integer in [0, 2³²), or a numpy.random.RandomState."""
    value = getattr(owner, name)
    known = value is None or isinstance(value, np.random.RandomState) or (is_integer(value) and value < 2**32)
    require(owner, name, known, "an integer in [0, 2³²), a RandomState or None")


def require_choice(owner: object, name: str, choices: Iterable[str]) -> None:
    """One of several words."""
    known = list(choices)
    value = getattr(owner, name)
    require(owner, name, isinstance(value, str) and value in known, f"one of {', '.join(map(repr, known))}")


def require_whole_numbers(owner: object, values: NDArray[np.float64], block: int = 2**17) -> None:
    """Raise ValueError unless all are integers in [0, 2⁵³], compared in blocks to save memory."""
    name = type(owner).__name__
    if values.max(initial=0) > 2**53:
        raise ValueError(f"{name} takes integers up to 2^53, got {values.max():g}.")
    if values.min(initial=0) < 0:
        raise ValueError(f"Negative values in data: {name} takes the integers 0, 1, 2, …, got {values.min():g}.")
    for start in range(0, len(values), block):
        some = values[start : start + block]
        fractional = some[some != np.floor(some)]
        if fractional.size:
            raise ValueError(f"{name} takes the integers 0, 1, 2, …, got {fractional[0]:g}.")
