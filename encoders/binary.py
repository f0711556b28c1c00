"""Digits: binary, Gray, or any base."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import Block, Encoder, Invertible, Values
from encoders._check import require, require_flag, require_integer


class Binary(Invertible, Encoder):
    """The digits of x, most significant first, each divided by the largest digit.

    x = Σ dᵢ bⁱ, zᵢ(x) = dᵢ / (b − 1). With ``gray`` the digits are those of the modular Gray code,
    gᵢ = (dᵢ − dᵢ₊₁) mod b, of which neighbouring integers differ in one; for b = 2 that is the reflected binary code.

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

    def __init__(self, base: int = 2, gray: bool = False, n_digits: int | None = None) -> None:
        self.base = base
        self.gray = gray
        self.n_digits = n_digits

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """The base, and whether the digits are Gray."""
        return {
            "base": trial.suggest_int("base", 2, 10),
            "gray": trial.suggest_categorical("gray", [False, True]),
        }

    def check(self) -> None:
        """b ≥ 2, at least one digit."""
        require_integer(self, "base", at_least=2)
        require_integer(self, "n_digits", optional=True)
        require_flag(self, "gray")
        largest = int(53 / math.log2(self.base))
        require(self, "n_digits", self.n_digits is None or self.n_digits <= largest, f"at most {largest} in this base")

    @property
    def periods(self) -> tuple[float, ...]:
        """The base: the last digit is x mod b."""
        return (float(self.base),)

    def _fit(self, values: Values) -> Sequence[str]:
        n_digits, largest = 1, int(values.max())
        while self.base**n_digits <= largest:
            n_digits += 1
        self.powers_ = self.base ** np.arange(self.n_digits or n_digits)[::-1].astype(np.int64)
        self._check_range(largest)
        return [f"{self.base}^{i}" for i in range(len(self.powers_))][::-1]

    def _check_range(self, largest: int) -> None:
        limit = int(self.powers_[0]) * self.base
        if largest >= limit:
            raise ValueError(f"Binary has {len(self.powers_)} digits for values below {limit}, got {largest}.")

    def _encode(self, values: Values) -> Block:
        integers = values.astype(np.int64)
        self._check_range(int(integers.max()))
        digits = integers[:, np.newaxis] // self.powers_ % self.base
        if self.gray:
            digits[:, 1:] = (digits[:, 1:] - digits[:, :-1]) % self.base
        return (digits / (self.base - 1)).astype(np.float32)

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        digits = np.rint(codes_NF * (self.base - 1)).astype(np.int64)
        if self.gray:
            digits = np.cumsum(digits, axis=1) % self.base
        return (digits @ self.powers_).astype(np.float64)
