"""Digits: binary, Gray, or any base."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import Block, PerColumn, Values
from encoders._bounded import Bounded
from encoders._check import numbers_of, require, require_flag, require_integer
from encoders._inverse import Invertible


@dataclass(eq=False, repr=False)
class Binary(Invertible, Bounded):
    """The digits of x, most significant first, each divided by the largest digit.

    x = Σ dᵢ bⁱ, zᵢ(x) = dᵢ / (b − 1). With ``gray`` the digits are those of the modular Gray code,
    gᵢ = (dᵢ − dᵢ₊₁) mod b, of which neighbouring integers differ in one; for b = 2 that is the reflected binary code.
    Numbers from bⁿ on, for n digits, have no code: see ``unknown``.

    Source: Gray 1953 (US patent 2632058); the modular form after Knuth, TAOCP 7.2.1.1.

    :param base: b ≥ 2.
    :param gray: Gray digits instead of plain ones.
    :param n_digits: number of digits; None takes what the largest value seen by `fit` needs.
    :raises ValueError: for a base below 2, or values that are no integers in [0, bⁿ).

    >>> Binary().fit_transform([[2], [3]]).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    >>> Binary(gray=True).fit_transform([[2], [3]]).tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    """

    version = 1
    domain = "categorical"
    example: ClassVar = {"base": 3}

    base: PerColumn[int] = 2
    gray: PerColumn[bool] = False
    n_digits: PerColumn[int | None] = None

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """The base, and whether the digits are Gray."""
        return {
            "base": trial.suggest_int("base", 2, 10),
            "gray": trial.suggest_categorical("gray", [False, True]),
        }

    def check(self) -> None:
        """b ≥ 2, at least one digit."""
        super().check()
        require_integer(self, "base", at_least=2)
        require_integer(self, "n_digits", optional=True)
        require_flag(self, "gray")
        largest, n_digits = int(53 / math.log2(self._own.base)), self._own.n_digits
        require(self, "n_digits", n_digits is None or n_digits <= largest, f"at most {largest} in this base")

    @property
    def periods(self) -> tuple[float, ...]:
        """The base: the last digit is x mod b."""
        return numbers_of(self.base)

    def _fit(self, values: Values) -> Sequence[str]:
        base, n_digits, largest = int(self._own.base), 1, int(values.max())
        while base**n_digits <= largest:
            n_digits += 1
        self.powers_ = base ** np.arange(self._own.n_digits or n_digits)[::-1].astype(np.int64)
        return [f"{base}^{i}" for i in range(len(self.powers_))][::-1]

    @property
    def _bounds(self) -> tuple[float, float]:
        return 0.0, float(int(self.powers_[0]) * self._own.base - 1)

    def _encode(self, values: Values) -> Block:
        base = self._own.base
        kind = np.int32 if self._bounds[1] <= np.iinfo(np.int32).max else np.int64
        digits = values.astype(kind)[:, np.newaxis] // self.powers_.astype(kind) % kind(base)
        if self._own.gray:
            digits[:, 1:] = (digits[:, 1:] - digits[:, :-1]) % kind(base)
        return (digits if base == 2 else digits / (base - 1)).astype(np.float32)

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        largest = self._own.base - 1
        digits = np.rint(np.clip(codes_NF, 0, 1) * largest).astype(np.int64)
        if self.gray:
            digits = np.cumsum(digits, axis=1) % self._own.base
        return (digits @ self.powers_).astype(np.float64)
