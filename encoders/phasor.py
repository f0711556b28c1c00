"""Residue hypervectors: multiplying codes adds numbers modulo p. The oracle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from encoders._base import LARGEST_INTEGER, Block, Encoder, PerColumn, Values
from encoders._check import numbers_of, require, require_integer, require_modulus, require_random_state, require_size
from encoders._inverse import Nearest


@dataclass(eq=False, repr=False)
class Phasor(Nearest, Encoder):
    """Unit complex numbers that turn with the value, at random integer frequencies of the modulus.

    zⱼ(x) = exp(2πi kⱼ x / p), kⱼ uniform in 1 … K; real parts first, then imaginary parts. z(a) ⊙ z(b) = z(a + b mod
    p): bound by product, modular addition is solved before anything is learned. Ranked as an oracle, never as a find.
    For real x this is fractional power encoding. Every number has a code, and x + p that of x.

    Source: Kymn et al. 2023, "Computing with Residue Numbers in High-Dimensional Representation" (arXiv 2311.04872).

    :param n: complex components; the code has F = 2n features.
    :param modulus: p > 0, the period in the unit of x. It must be given; the benchmark passes the task's.
    :param highest: K, the highest frequency; None takes ⌈p⌉ − 1, at least 1.
    :param random_state: seed of the frequencies. An integer by default, so that two encoders agree.
    :raises ValueError: for n < 1, no modulus or one that is not positive, or K < 1.

    >>> z = Phasor(n=2, modulus=4).fit_transform([[1], [2], [3]])
    >>> z = z[:, :2] + 1j * z[:, 2:]
    >>> bool(abs(z[0] * z[1] - z[2]).max() < 1e-6)
    True
    """

    version = 1
    domain = "real"
    knows_modulus = True
    oracle = True
    complex_valued = True
    default_combine = "product"
    benchmark_defaults: ClassVar = {"modulus": 97}
    example: ClassVar = {"modulus": 97, "n": 12}

    n: PerColumn[int] = 64
    modulus: PerColumn[float | None] = None
    highest: PerColumn[int | None] = None
    random_state: int | np.random.RandomState | None = 0

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Number of components."""
        return {"n": trial.suggest_int("n", 8, 256, log=True)}

    @property
    def periods(self) -> tuple[float, ...]:
        """The modulus."""
        return numbers_of(self.modulus)

    def _feature_blocks(self) -> NDArray[np.intp]:
        """Real and imaginary part of each component."""
        return np.tile(np.arange(self._own.n), 2)

    def check(self) -> None:
        """n ≥ 1, p > 0, K ≥ 1."""
        require_size(self, "n")
        require_modulus(self)
        require(self, "modulus", self._own.modulus < LARGEST_INTEGER, "below 2^53")
        require_integer(self, "highest", optional=True)
        require(self, "highest", self.highest is None or self._own.highest < LARGEST_INTEGER, "below 2^53")
        require_random_state(self)

    def _fit(self, values: Values) -> Sequence[str]:
        own = self._own
        highest = max(1, int(np.ceil(own.modulus)) - 1) if own.highest is None else own.highest
        self.frequencies_ = check_random_state(self.random_state).randint(1, highest + 1, own.n)
        return [f"{part}{j}" for part in ("re", "im") for j in range(own.n)]

    def _encode(self, values: Values) -> Block:
        p = self._own.modulus
        angles: NDArray[np.float64] = 2 * np.pi * np.outer(np.mod(values, p) / p, self.frequencies_)
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def _candidates(self) -> tuple[float, float, int]:
        """The numbers in [0, p), in steps of 1/16 of a turn of the highest frequency."""
        count = 16 * int(self.frequencies_.max())
        return 0.0, self._own.modulus / count, count

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """X mod p: the number in [0, p) whose code is nearest."""
        return np.mod(super()._decode(codes_NF), self._own.modulus)
