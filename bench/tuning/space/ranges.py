"""Ranges and choices of one parameter."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from bench.errors import RequestError

LARGEST = 2**53
"""Integers up to here are exact in floats, in which samplers compute."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high.

    :param whole: integers only.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def ask(self, trial: Any, name: str, like: Any) -> Any:
        """Draw a number.

        :param like: a value of the parameter's own type: an integer takes integers only.
        :raises RequestError: if the parameter takes integers and the range has others.
        """
        whole = self.whole if like is None else isinstance(like, int) and not isinstance(like, bool)
        if not whole:
            return trial.suggest_float(name, float(self.low), float(self.high), log=self.log)
        if not self.whole:
            raise RequestError(f"`space` {name} takes integers, got {self.low:g}..{self.high:g}.")
        return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)


Choices = tuple[Any, ...]


def native(value: Any) -> Any:
    """A value with numpy's scalars and arrays replaced by Python's numbers and lists.

    >>> native({"learner.width": [np.int64(8), 16], "adamw.lr": np.float64(0.5)})
    {'learner.width': [8, 16], 'adamw.lr': 0.5}
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Range):
        return replace(value, low=native(value.low), high=native(value.high))
    if isinstance(value, Mapping):
        return {name: native(one) for name, one in value.items()}
    return type(value)(map(native, value)) if type(value) in (list, tuple) else value


def parse_space(name: str, what: Any, option: str | None = None) -> Range | Choices:
    """A range as "1e-4..1e-1:log" or "64..512", or a sequence of choices.

    :param option: the option that errors name; None takes --space and the name.
    :raises RequestError: for anything else.

    >>> parse_space("adamw.lr", "1e-4..1e-1:log")
    Range(low=0.0001, high=0.1, log=True, whole=False)
    >>> parse_space("encoder.base", [2, 3, 10])
    (2, 3, 10)
    >>> parse_space("adamw.betas", [(0.9, 0.98), (0.9, 0.99)])
    ((0.9, 0.98), (0.9, 0.99))
    """
    option = option or f"`space` {name}"
    if isinstance(what, Range):
        return _checked(option, what)
    if isinstance(what, str) and ".." in what:
        return _checked(option, _range(option, what))
    values = [what] if isinstance(what, str) or not isinstance(what, Sequence) else [_tupled(one) for one in what]
    if len(values) < 2 or not all(map(_is_plain, values)) or len(set(map(drawn_as, values))) < len(values):
        raise RequestError(f"{option} takes LOW..HIGH, or two or more choices A,B, each once, got {values}.")
    return tuple(values)


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list | tuple) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def drawn_as(choice: Any) -> Any:
    """The value that Optuna stores for a choice: of a tuple its text, since it stores no tuples."""
    return str(choice) if isinstance(choice, tuple) else choice


def _range(option: str, text: str) -> Range:
    span, _, scale = text.partition(":")
    low, _, high = span.partition("..")
    if scale not in ("", "log"):
        raise RequestError(f"{option} takes LOW..HIGH or LOW..HIGH:log, got {text!r}.")
    for number in (int, float):
        with suppress(ValueError):
            return Range(number(low), number(high), scale == "log", whole=number is int)
    raise RequestError(f"{option} takes numbers LOW..HIGH, got {text!r}.")


def _checked(option: str, span: Range) -> Range:
    if any(isinstance(end, int) and abs(end) > LARGEST for end in (span.low, span.high)):
        raise RequestError(
            f"{option} takes integers within ±2⁵³, got {Decimal(span.low):.6g}..{Decimal(span.high):.6g}."
        )
    shown = f"{span.low:g}..{span.high:g}"
    if not (math.isfinite(span.low) and math.isfinite(span.high)):
        raise RequestError(f"{option} takes finite numbers, got {shown}.")
    if span.low >= span.high:
        fixed = span.low == span.high and option.startswith("`space`")
        remedy = "; `fix` holds a parameter at one value" if fixed else ""
        raise RequestError(f"{option} must go from a lower to a higher number, got {shown}{remedy}.")
    if span.log and span.low <= 0:
        raise RequestError(f"{option} must begin above 0 to be logarithmic, got {shown}.")
    return span
