"""Fixed random codes: a control without information about the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from encoders._base import Block, PerColumn, Values, numbered
from encoders._bits import Bits, Positions
from encoders._bounded import Bounded
from encoders._check import require, require_choice, require_integer, require_random_state
from encoders._inverse import Invertible

LARGEST_TABLE: Final = 2**28
"""Features of all codes, at most: 2 GiB while they are drawn."""


@dataclass(eq=False, repr=False)
class Random(Invertible, Bits, Bounded):
    """A code for each value, drawn once: dense like a trained embedding, and saying as little as one-hot.

    z(x) = row x of a fixed table: independent N(0, 1), −1 and +1 with equal chances, or k ones at random
    places of n. Rows do not depend on how many values there are. Numbers beyond those that `fit` saw have no code: see
    ``unknown``.

    Source: random indexing, Kanerva et al. 2000; bipolar codes of Kanerva 2009 (doi 10.1007/s12559-009-9009-8); k of n
    as in sparse distributed representations, Ahmad & Hawkins 2015 (arXiv 1503.07469).

    :param n: F, features of the code.
    :param distribution: "gaussian", "bipolar" or "k-of-n".
    :param active_bits: k, of "k-of-n" alone; None takes 2 % of n, at least 1.
    :param random_state: seed of the table. An integer by default, so that two encoders agree.
    :raises ValueError: for n < 1, an unknown distribution, or values beyond those seen by `fit`.

    >>> Random(n=4, distribution="bipolar").fit_transform([[0], [1], [0]]).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, 1.0, 1.0]]
    """

    version = 1
    domain = "categorical"
    table_parameters = Bits.table_parameters | {"sparse_output"}
    later_parameters = frozenset({"active_bits"})
    example: ClassVar = {"n": 24}

    n: PerColumn[int] = 128
    distribution: PerColumn[Literal["gaussian", "bipolar", "k-of-n"]] = "gaussian"
    random_state: int | np.random.RandomState | None = 0
    active_bits: PerColumn[int | None] = None

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Size and distribution of the codes."""
        return {
            "n": trial.suggest_int("n", 16, 512, log=True),
            "distribution": trial.suggest_categorical("distribution", ["gaussian", "bipolar"]),
        }

    def check(self) -> None:
        """n ≥ 1, a known distribution; what sparse codes have belongs to them alone."""
        super().check()
        require_integer(self, "n")
        require_choice(self, "distribution", ("gaussian", "bipolar", "k-of-n"))
        require_random_state(self)
        require_integer(self, "active_bits", optional=True)
        chosen, n = self.distribution == "k-of-n", self._own.n
        require(self, "active_bits", chosen or self.active_bits is None, "None but with distribution='k-of-n'")
        require(self, "active_bits", self.active_bits is None or self._own.active_bits <= n, f"in [1, {n}]")
        require(self, "sparse_output", chosen or not self.sparse_output, "False but with distribution='k-of-n'")
        whole = np.dtype(self.dtype).kind == "i"
        require(self, "dtype", self.distribution != "gaussian" or not whole, "a type of fractions for gaussian codes")

    def _fit(self, values: Values) -> Sequence[str]:
        random, shape = check_random_state(self.random_state), (int(values.max()) + 1, self._own.n)
        if shape[0] * shape[1] > LARGEST_TABLE:
            raise ValueError(
                f"Random keeps a code for each number up to the largest, at most 2^28 features in all, got "
                f"{values.max():g} and n={shape[1]}: sklearn.preprocessing.OrdinalEncoder numbers values from 0 on."
            )
        if self.distribution == "k-of-n":
            k = self._own.active_bits or max(1, round(0.02 * shape[1]))
            # The k smallest of n random numbers, row by row, so that a row does not depend on how many there are.
            self.active_ = np.sort(random.random_sample(shape).argsort(axis=1)[:, :k], axis=1)
        else:
            table = random.standard_normal(shape)
            self.table_ = (np.where(table < 0, -1, 1) if self.distribution == "bipolar" else table).astype(np.float32)
        self.n_values_ = shape[0]
        return numbered(shape[1])

    @property
    def _bounds(self) -> tuple[float, float]:
        return 0.0, self.n_values_ - 1.0

    def _active(self, values: Values) -> Positions:
        return self.active_[values.astype(np.intp)]

    def _encode(self, values: Values) -> Block:
        if self.distribution == "k-of-n":
            return super()._encode(values)
        return self.table_[values.astype(np.intp)]

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The value whose code is nearest."""
        table = np.asarray(self._encode(np.arange(float(self.n_values_))), dtype=np.float64)
        return ((table**2).sum(axis=1) - 2 * codes_NF @ table.T).argmin(axis=1).astype(np.float64)
