"""Remainders by several small moduli, each one-hot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from math import lcm, prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import LARGEST_INTEGER, PerColumn, Values
from encoders._bits import Bits, Positions
from encoders._check import require, require_integers
from encoders._inverse import Invertible
from encoders._ranges import LARGEST_SIZE


@dataclass(eq=False, repr=False)
class Residue(Invertible, Bits):
    """The one-hot codes of x mod m₁, x mod m₂, …, side by side.

    z(x) = ⊕ᵢ onehot(x mod mᵢ). With coprime moduli every x below their product has a code of its own (Chinese
    remainder theorem); larger ones share the codes of smaller ones. None of the benchmark's moduli, 5, 7, 8 and 9,
    divides 97: addition is easy in each, its wrap-around is not.

    Source: residue number systems, Garner 1959 (doi 10.1109/TEC.1959.5219515).

    :param moduli: m₁, m₂, …, integers ≥ 2; None takes the primes 2, 3, 5, … until their product is above the largest
        number that `fit` saw.
    :raises ValueError: for a modulus below 2, or values that are no integers ≥ 0.

    >>> Residue(moduli=(2, 3)).fit_transform([[4]]).tolist()
    [[1.0, 0.0, 0.0, 1.0, 0.0]]
    """

    version = 1
    domain = "categorical"
    benchmark_defaults: ClassVar = {"moduli": (5, 7, 8, 9)}
    example: ClassVar = {"moduli": (3, 4, 5)}

    moduli: PerColumn[tuple[int, ...] | None] = None

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """One of four coprime bases with room for the operands."""
        bases = {"9-11": (9, 11), "4-5-7": (4, 5, 7), "5-7-8-9": (5, 7, 8, 9), "2-3-5-7-11": (2, 3, 5, 7, 11)}
        return {"moduli": bases[trial.suggest_categorical("moduli", list(bases))]}

    @property
    def periods(self) -> tuple[float, ...]:
        """The moduli."""
        given = self.moduli.values() if isinstance(self.moduli, Mapping) else (self.moduli,)
        return tuple(float(m) for moduli in given for m in moduli or ())

    def _feature_blocks(self) -> NDArray[np.intp]:
        """The remainders of each modulus."""
        return np.repeat(np.arange(len(self.moduli_)), self.moduli_)

    def check(self) -> None:
        """At least one modulus; all are integers ≥ 2."""
        super().check()
        if self.moduli is not None:
            require_integers(self, "moduli", at_least=2)
            require(self, "moduli", len(set(self.moduli)) == len(self.moduli), "different integers")
            require(self, "moduli", sum(self._own.moduli) < LARGEST_SIZE, "integers whose sum is below 2^31")

    def _fit(self, values: Values) -> Sequence[str]:
        self.moduli_ = _first_primes(int(values.max())) if self.moduli is None else tuple(self._own.moduli)
        self.offsets_ = np.concatenate([[0], np.cumsum(self.moduli_)])
        return [f"{r}mod{m}" for m in self.moduli_ for r in range(m)]

    def _active(self, values: Values) -> Positions:
        return values.astype(np.int64)[:, np.newaxis] % np.array(self.moduli_) + self.offsets_[:-1]

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The smallest x ≥ 0 with these remainders, by the Chinese remainder theorem.

        :raises ValueError: where the moduli are not coprime.
        """
        product = lcm(*self.moduli_)
        if product != prod(self.moduli_):
            raise ValueError(f"Residue reads x back from coprime moduli, got moduli={self.moduli!r}.")
        if product > LARGEST_INTEGER:
            raise ValueError(f"Residue reads x back below 2^53, got moduli={self.moduli!r}.")
        blocks = [codes_NF[:, start:stop].argmax(axis=1) for start, stop in pairwise(self.offsets_)]
        total = np.zeros(len(codes_NF), dtype=np.int64)
        for remainder, m in zip(blocks, self.moduli_, strict=True):
            rest = product // m
            weight = rest * pow(rest, -1, m) % product
            # One product for each remainder, in Python's integers: r · weight may exceed 64 bits.
            total = (total + np.array([r * weight % product for r in range(m)])[remainder]) % product
        return total.astype(np.float64)


def _first_primes(largest: int) -> tuple[int, ...]:
    """2, 3, 5, … until the product is above the largest number."""
    found = [2]
    while prod(found) <= largest:
        found.append(next(n for n in count(found[-1] + 1) if all(n % p for p in found)))
    return tuple(found)
