"""A rising column: one bit for each threshold passed."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import Block, Encoder, Invertible, Values, data_range, numbered, places
from encoders._check import require, require_integer, require_number


class Thermometer(Invertible, Encoder):
    """Ones up to the value, zeros above it: order and distance are in the code, periods are not.

    zᵢ(x) = [x ≥ l + i·(h − l)/n], i = 1 … n. Without a size n = ⌈h − l⌉: unit steps where h − l is whole, and the code
    of an integer x ≥ 0 then has x ones over l = 0. Values outside [l, h] are clipped.

    Source: Buckman et al. 2018, "Thermometer Encoding" (openreview S18Su--CW).

    :param size: n, the number of thresholds; None takes ⌈h − l⌉, at least 1.
    :param minimum: l in the unit of x; None takes the smallest value seen by `fit`.
    :param maximum: h in the unit of x; None takes the largest value seen by `fit`.
    :raises ValueError: for a size below 1, a maximum below the minimum, or, in `fit`, one of the two alone with all
        values beyond it.

    >>> Thermometer(minimum=0, maximum=3).fit_transform([[0], [2]]).tolist()
    [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    """

    version = 2
    domain = "real"
    example: ClassVar = {"size": 12}

    def __init__(self, size: int | None = None, minimum: float | None = None, maximum: float | None = None) -> None:
        self.size = size
        self.minimum = minimum
        self.maximum = maximum

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """How many thresholds."""
        return {"size": trial.suggest_int("size", 8, 256, log=True)}

    def check(self) -> None:
        """n ≥ 1, l ≤ h."""
        require_integer(self, "size", optional=True)
        require_number(self, "minimum", optional=True)
        require_number(self, "maximum", optional=True)
        if self.minimum is not None and self.maximum is not None:
            require(self, "maximum", self.maximum >= self.minimum, f"at least minimum={self.minimum!r}")

    def _fit(self, values: Values) -> Sequence[str]:
        self.minimum_, self.maximum_ = data_range(self, values)
        extent = self.maximum_ - self.minimum_
        size = max(1, int(np.ceil(extent))) if self.size is None else int(self.size)
        self.thresholds_ = np.linspace(self.minimum_, self.minimum_ + (extent or 1.0), size + 1)[1:]
        return numbered(size)

    def _encode(self, values: Values) -> Block:
        n, low, high = len(self.thresholds_), self.minimum_, float(self.thresholds_[-1])
        if high == low:  # steps too small for numbers of this size
            return (values[:, np.newaxis] >= self.thresholds_).astype(np.float32)
        passed = places(np.clip(values, low, high), low, (high - low) / n)
        return (passed[:, np.newaxis] >= np.arange(1, n + 1)).astype(np.float32)

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The highest threshold passed."""
        passed = np.clip(np.rint(codes_NF.sum(axis=1)), 0, len(self.thresholds_)).astype(np.intp)
        return np.concatenate([[self.minimum_], self.thresholds_])[passed]
