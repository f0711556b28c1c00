"""Cosines and sines of chosen harmonics of a known modulus."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import Block, Encoder, Invertible, Values
from encoders._check import is_integer, require, require_integers, require_number


class Fourier(Invertible, Encoder):
    """A point on one circle for each harmonic of the modulus.

    z(x) = (cos 2πkx/p, sin 2πkx/p) for every harmonic k. One harmonic is the classical cyclic encoding of hours,
    weekdays and dates. The modulus is always explicit: taken from the data's largest value, 0 and 96 would collide.

    Source: the features that trained networks find, Nanda et al. 2023 (arXiv 2301.05217).

    :param modulus: p > 0, the period in the unit of x; the benchmark passes the task's.
    :param harmonics: the harmonics k themselves, or a number H for 1 … H.
    :raises ValueError: for a modulus that is not positive, or harmonics that are no positive integers.

    >>> Fourier(modulus=24, harmonics=1).fit_transform([[0.0], [6.0]]).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    version = 1
    domain = "real"
    knows_modulus = True
    example: ClassVar = {"harmonics": 3}

    def __init__(self, modulus: float = 97, harmonics: int | tuple[int, ...] = 8) -> None:
        self.modulus = modulus
        self.harmonics = harmonics

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """How many harmonics."""
        return {"harmonics": trial.suggest_int("harmonics", 1, 48, log=True)}

    @property
    def periods(self) -> tuple[float, ...]:
        """The modulus."""
        return (float(self.modulus),)

    def feature_blocks(self) -> NDArray[np.intp]:
        """Cos and sin of each harmonic."""
        return np.repeat(np.arange(len(self.harmonics_)), 2)

    def check(self) -> None:
        """p > 0; harmonics are positive integers, at least one."""
        require_number(self, "modulus", above=0)
        if isinstance(self.harmonics, Sequence):
            require_integers(self, "harmonics")
            require(self, "harmonics", len(set(self.harmonics)) == len(self.harmonics), "different integers")
        else:
            require(self, "harmonics", is_integer(self.harmonics, 1), "an integer ≥ 1 or a tuple of such")

    def _fit(self, values: Values) -> Sequence[str]:
        chosen = self.harmonics if isinstance(self.harmonics, Sequence) else range(1, self.harmonics + 1)
        self.harmonics_ = np.array(chosen)
        return [f"{wave}{k}" for k in self.harmonics_ for wave in ("cos", "sin")]

    def _encode(self, values: Values) -> Block:
        # The remainder first: cos of a large angle loses the digits that matter.
        angles = 2 * np.pi * np.outer(np.mod(values, self.modulus) / self.modulus, self.harmonics_)
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(values), -1).astype(np.float32)

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """X mod p, from harmonic 1."""
        where = np.flatnonzero(self.harmonics_ == 1)
        if not where.size:
            raise ValueError(f"Fourier reads x back from harmonic 1, got harmonics={self.harmonics!r}.")
        cos, sin = codes_NF[:, 2 * where[0]], codes_NF[:, 2 * where[0] + 1]
        x = np.mod(np.arctan2(sin, cos) * (self.modulus / (2 * np.pi)), self.modulus)
        return np.where(x < self.modulus, x, 0.0)
