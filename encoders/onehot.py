"""One feature for each value."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import Block, Encoder, Invertible, Values, active_bits_to_csr, numbered
from encoders._check import require_flag, require_integer


class OneHot(Invertible, Encoder):
    """The code of x is a one at position x: nothing is said about how values relate.

    zᵢ(x) = [i = x], i = 0 … n − 1.

    Source: the input of Power et al. 2022, "Grokking" (arXiv 2201.02177), whose embedding is a linear map of it.

    :param n_values: n, the number of values; None takes the largest value seen by `fit`, plus one.
    :param sparse_output: return CSR instead of a dense matrix.
    :raises ValueError: for values that are no integers in [0, n).

    >>> OneHot().fit_transform([[0], [2]]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """

    version = 1
    domain = "categorical"
    example: ClassVar = {"n_values": None}

    def __init__(self, n_values: int | None = None, sparse_output: bool = False) -> None:
        self.n_values = n_values
        self.sparse_output = sparse_output

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Nothing to tune."""
        return {}

    def check(self) -> None:
        """n must be a positive integer."""
        require_integer(self, "n_values", optional=True)
        require_flag(self, "sparse_output")

    def _fit(self, values: Values) -> Sequence[str]:
        self.n_values_ = int(values.max()) + 1 if self.n_values is None else int(self.n_values)
        self._check_range(values)
        return numbered(self.n_values_)

    def _check_range(self, values: Values) -> None:
        if values.max() >= self.n_values_:
            raise ValueError(f"OneHot has codes for values below {self.n_values_}, got {values.max():g}.")

    def _encode(self, values: Values) -> Block:
        self._check_range(values)
        return active_bits_to_csr(values.astype(np.intp)[:, np.newaxis], self.n_values_)

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        return codes_NF.argmax(axis=1).astype(np.float64)
