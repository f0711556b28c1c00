"""Cosines and sines of chosen harmonics of a known modulus."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import Block, Encoder, PerColumn, Values
from encoders._check import (
    is_integer,
    numbers_of,
    require,
    require_integers,
    require_modulus,
    require_number,
    require_size,
)
from encoders._inverse import Nearest


@dataclass(eq=False, repr=False)
class Fourier(Nearest, Encoder):
    """A point on one circle for each harmonic of the modulus.

    z(x) = k⁻ˢ · (cos 2πkx/p, sin 2πkx/p) for every harmonic k. One harmonic is the classical cyclic encoding of hours,
    weekdays and dates. The modulus is always explicit: taken from the data's largest value, 0 and 96 would collide.
    Every number has a code, and x + p that of x.

    Source: the features that trained networks find, Nanda et al. 2023 (arXiv 2301.05217).

    :param modulus: p > 0, the period in the unit of x. It must be given; the benchmark passes the task's.
    :param harmonics: the harmonics k themselves, or a number H for 1 … H.
    :param smoothness: s ≥ 0. With 0 all harmonics weigh alike, so that with many of them all numbers but the nearest
        are about equally unlike; with 1 codes are the less alike the farther apart their numbers, as neighbours,
        kernels and penalties assume.
    :raises ValueError: for no modulus or one that is not positive, or harmonics that are no positive integers.

    >>> Fourier(modulus=24, harmonics=1).fit_transform([[0.0], [6.0]]).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    version = 1
    domain = "real"
    knows_modulus = True
    benchmark_defaults: ClassVar = {"modulus": 97}
    later_parameters = frozenset({"smoothness"})
    example: ClassVar = {"modulus": 97, "harmonics": 3}

    modulus: PerColumn[float | None] = None
    harmonics: PerColumn[int | tuple[int, ...]] = 8
    smoothness: PerColumn[float] = 0.0

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """How many harmonics."""
        return {"harmonics": trial.suggest_int("harmonics", 1, 48, log=True)}

    @property
    def periods(self) -> tuple[float, ...]:
        """The modulus."""
        return numbers_of(self.modulus)

    def _feature_blocks(self) -> NDArray[np.intp]:
        """Cos and sin of each harmonic."""
        return np.repeat(np.arange(len(self.harmonics_)), 2)

    def check(self) -> None:
        """p > 0; harmonics are positive integers, at least one; s ≥ 0."""
        require_modulus(self)
        require_number(self, "smoothness", at_least=0)
        if isinstance(self.harmonics, Sequence):
            require_integers(self, "harmonics")
            require(self, "harmonics", len(set(self.harmonics)) == len(self.harmonics), "different integers")
        else:
            require(self, "harmonics", is_integer(self.harmonics, 1), "an integer ≥ 1 or a tuple of such")
            require_size(self, "harmonics", of=" or a tuple of integers ≥ 1")

    def _fit(self, values: Values) -> Sequence[str]:
        given = self._own.harmonics
        self.harmonics_ = np.array(given if isinstance(given, Sequence) else range(1, given + 1))
        return [f"{wave}{k}" for k in self.harmonics_ for wave in ("cos", "sin")]

    def _encode(self, values: Values) -> Block:
        p = self._own.modulus
        # The remainder first: cos of a large angle loses the digits that matter.
        angles = 2 * np.pi * np.outer(np.mod(values, p) / p, self.harmonics_)
        waves = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        if self.smoothness:
            waves *= (self.harmonics_ ** -float(self._own.smoothness))[:, np.newaxis]
        return waves.reshape(len(values), -1).astype(np.float32)

    def _candidates(self) -> tuple[float, float, int]:
        """The numbers in [0, p/g), g the common divisor of the harmonics, in steps of 1/16 of the shortest period."""
        common = int(np.gcd.reduce(self.harmonics_))
        count = 16 * int(self.harmonics_.max()) // common
        return 0.0, self._own.modulus / common / count, count

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """X mod p: of a code from harmonic 1, and of anything else the number in [0, p) whose code is nearest."""
        p, where = self._own.modulus, np.flatnonzero(self.harmonics_ == 1)
        if not where.size:
            return np.mod(super()._decode(codes_NF), p)
        cos, sin = codes_NF[:, 2 * where[0]], codes_NF[:, 2 * where[0] + 1]
        x = np.mod(np.arctan2(sin, cos) * (p / (2 * np.pi)), p)
        numbers = np.where(x < p, x, 0.0)
        other = ((self._dense(numbers) - codes_NF) ** 2).sum(axis=1) > 1e-6  # of no number, so that all harmonics count
        if other.any():
            numbers[other] = np.mod(super()._decode(codes_NF[other]), p)
        return numbers
