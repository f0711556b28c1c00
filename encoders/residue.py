"""Remainders by several small moduli, each one-hot."""

from collections.abc import Sequence
from itertools import pairwise
from math import lcm, prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import LARGEST_INTEGER, Block, Encoder, Invertible, Values, active_bits_to_csr
from encoders._check import require, require_flag, require_integers


class Residue(Invertible, Encoder):
    """The one-hot codes of x mod m₁, x mod m₂, …, side by side.

    z(x) = ⊕ᵢ onehot(x mod mᵢ). With coprime moduli every x below their product has a code of its own (Chinese
    remainder theorem). None of the default moduli divides 97: addition is easy in each, its wrap-around is not.

    Source: residue number systems, Garner 1959 (doi 10.1109/TEC.1959.5219515).

    :param moduli: m₁, m₂, …, integers ≥ 2.
    :param sparse_output: return CSR instead of a dense matrix.
    :raises ValueError: for a modulus below 2, or values that are no integers ≥ 0.

    >>> Residue(moduli=(2, 3)).fit_transform([[4]]).tolist()
    [[1.0, 0.0, 0.0, 1.0, 0.0]]
    """

    version = 1
    domain = "categorical"
    example: ClassVar = {"moduli": (3, 4, 5)}

    def __init__(self, moduli: tuple[int, ...] = (5, 7, 8, 9), sparse_output: bool = False) -> None:
        self.moduli = moduli
        self.sparse_output = sparse_output

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """One of four coprime bases with room for the operands."""
        bases = {"9-11": (9, 11), "4-5-7": (4, 5, 7), "5-7-8-9": (5, 7, 8, 9), "2-3-5-7-11": (2, 3, 5, 7, 11)}
        return {"moduli": bases[trial.suggest_categorical("moduli", list(bases))]}

    @property
    def periods(self) -> tuple[float, ...]:
        """The moduli."""
        return tuple(float(m) for m in self.moduli)

    def feature_blocks(self) -> NDArray[np.intp]:
        """The remainders of each modulus."""
        return np.repeat(np.arange(len(self.moduli)), self.moduli)

    def check(self) -> None:
        """At least one modulus; all are integers ≥ 2."""
        require_integers(self, "moduli", at_least=2)
        require(self, "moduli", len(set(self.moduli)) == len(self.moduli), "different integers")
        require_flag(self, "sparse_output")

    def _fit(self, values: Values) -> Sequence[str]:
        self.offsets_ = np.concatenate([[0], np.cumsum(self.moduli)])
        return [f"{r}mod{m}" for m in self.moduli for r in range(m)]

    def _encode(self, values: Values) -> Block:
        remainders = values.astype(np.int64)[:, np.newaxis] % np.array(self.moduli)
        return active_bits_to_csr(remainders + self.offsets_[:-1], int(self.offsets_[-1]))

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The smallest x ≥ 0 with these remainders, by the Chinese remainder theorem.

        :raises ValueError: where the moduli are not coprime.
        """
        product = lcm(*self.moduli)
        if product != prod(self.moduli):
            raise ValueError(f"Residue reads x back from coprime moduli, got moduli={self.moduli!r}.")
        if product > LARGEST_INTEGER:
            raise ValueError(f"Residue reads x back below 2^53, got moduli={self.moduli!r}.")
        blocks = [codes_NF[:, start:stop].argmax(axis=1) for start, stop in pairwise(self.offsets_)]
        total = np.zeros(len(codes_NF), dtype=np.int64)
        for remainder, m in zip(blocks, self.moduli, strict=True):
            rest = product // m
            weight = rest * pow(rest, -1, m) % product
            total = (total + np.array([r * weight % product for r in remainder.tolist()])) % product
        return total.astype(np.float64)
