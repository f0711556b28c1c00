"""One feature for each value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import PerColumn, Values, numbered
from encoders._bits import Bits, Positions
from encoders._bounded import Bounded
from encoders._check import require, require_integer
from encoders._inverse import Invertible
from encoders._ranges import LARGEST_SIZE


@dataclass(eq=False, repr=False)
class OneHot(Invertible, Bits, Bounded):
    """The code of x is a one at position x: nothing is said about how values relate.

    zᵢ(x) = [i = x], i = 0 … n − 1. Numbers from n on have no code: see ``unknown``. Those below have one, whether `fit`
    saw them or not; scikit-learn's `OneHotEncoder` has one for what it saw alone.

    Source: the input of Power et al. 2022, "Grokking" (arXiv 2201.02177), whose embedding is a linear map of it.

    :param n_values: n, the number of values; None takes the largest value seen by `fit`, plus one.
    :raises ValueError: for values that are no integers in [0, n).

    >>> OneHot().fit_transform([[0], [2]]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """

    version = 1
    domain = "categorical"
    example: ClassVar = {"n_values": None}

    n_values: PerColumn[int | None] = None

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Nothing to tune."""
        return {}

    def check(self) -> None:
        """n must be a positive integer."""
        super().check()
        require_integer(self, "n_values", optional=True)

    def _fit(self, values: Values) -> Sequence[str]:
        self.n_values_ = int(values.max()) + 1 if self.n_values is None else int(self._own.n_values)
        require(self, "n_values", self.n_values_ < LARGEST_SIZE, f"below 2^31, and of the data it is {self.n_values_}")
        return numbered(self.n_values_)

    @property
    def _bounds(self) -> tuple[float, float]:
        return 0.0, self.n_values_ - 1.0

    def _active(self, values: Values) -> Positions:
        return values.astype(np.intp)[:, np.newaxis]

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        return codes_NF.argmax(axis=1).astype(np.float64)
