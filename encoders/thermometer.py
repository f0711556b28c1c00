"""A rising column: one bit for each threshold passed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import Block, PerColumn, Values, numbered
from encoders._bits import Bits, Positions
from encoders._bounded import Bounded, Unknown
from encoders._check import MOST_FEATURES, require, require_number, require_size
from encoders._inverse import Invertible
from encoders._ranges import data_range, levels, places, steps, unit_steps


@dataclass(eq=False, repr=False)
class Thermometer(Invertible, Bits, Bounded):
    """Ones up to the value, zeros above it: order and distance are in the code, periods are not.

    zᵢ(x) = [x ≥ tᵢ], i = 1 … n. With a size the thresholds are tᵢ = l + i·(h − l)/n; with a resolution r there are
    n = ⌈(h − l)/r⌉ of them, so that with r = 1 and l = 0 the code of an integer x ≥ 0 has x ones. With neither, the
    thresholds are learned: all numbers above l that `fit` saw, or, where those are more than 64, the i/64-quantiles of
    the different numbers. Values outside [l, h] have the codes of l and h, unless ``unknown`` says otherwise.

    Source: Buckman et al. 2018, "Thermometer Encoding" (openreview S18Su--CW).

    :param size: n, the number of thresholds at equal distances.
    :param minimum: l in the unit of x; None takes the smallest value seen by `fit`.
    :param maximum: h in the unit of x; None takes the largest value seen by `fit`.
    :param resolution: r, the longest distance of two thresholds in the unit of x. The benchmark has 1 where
        neither this nor a size is given.
    :raises ValueError: for a size below 1, a maximum below the minimum, both a size and a resolution, or, in `fit`, one
        of the two bounds alone with all values beyond it.

    >>> Thermometer(resolution=1, minimum=0, maximum=3).fit_transform([[0], [2]]).tolist()
    [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    >>> Thermometer().fit_transform([[0.1], [0.2], [7.5]]).tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    """

    version = 2
    domain = "real"
    table_parameters = Bits.table_parameters | {"sparse_output"}
    later_parameters = frozenset({"resolution"})
    example: ClassVar = {"size": 12}

    size: PerColumn[int | None] = None
    minimum: PerColumn[float | None] = None
    maximum: PerColumn[float | None] = None
    resolution: PerColumn[float | None] = None
    unknown: Unknown = field(default="clip", kw_only=True)

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """How many thresholds."""
        return {"size": trial.suggest_int("size", 8, 256, log=True)}

    @classmethod
    def integer_arguments(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Steps of 1, where no width is given."""
        return unit_steps(given, "size", "resolution")

    def check(self) -> None:
        """n ≥ 1, l ≤ h, r > 0, not both n and r."""
        super().check()
        require_size(self, "size", optional=True)
        for name in ("minimum", "maximum"):
            require_number(self, name, optional=True)
        require_number(self, "resolution", above=0, optional=True)
        require(self, "resolution", self.size is None or self.resolution is None, "None where a size is given")
        if self.minimum is not None and self.maximum is not None:
            require(self, "maximum", self._own.maximum >= self._own.minimum, f"at least minimum={self.minimum!r}")

    @property
    def _bounds(self) -> tuple[float, float]:
        return self.minimum_, self.maximum_

    @property
    def _learns_range_alone(self) -> bool:
        return self.size is not None or self.resolution is not None

    def _fit(self, values: Values) -> Sequence[str]:
        self.minimum_, self.maximum_ = low, high = data_range(self, values)
        if not self._learns_range_alone:
            self.thresholds_ = levels(values, low, high)
            return numbered(len(self.thresholds_))
        size = self._own.size or steps(self, high - low, self._own.resolution)
        require(self, "resolution", size <= MOST_FEATURES, f"large enough for at most {MOST_FEATURES:,} thresholds")
        with np.errstate(over="ignore"):  # of the last threshold, which is replaced by h
            end = high if high > low else max(low + 1.0, float(np.nextafter(low, np.inf)))
            self.thresholds_ = np.linspace(low, end, int(size) + 1)[1:]
        return numbered(len(self.thresholds_))

    def _passed(self, values: Values) -> NDArray[Any]:
        """How many thresholds each value has reached."""
        low, high = self.minimum_, float(self.thresholds_[-1])
        step = (high - low) / len(self.thresholds_)
        if not self._learns_range_alone or not step:  # no equal steps, or too small ones for numbers of this size
            return np.searchsorted(self.thresholds_, values, side="right")
        return places(np.clip(values, low, high), low, step)

    def _encode(self, values: Values) -> Block:
        return (self._passed(values)[:, np.newaxis] >= np.arange(1, len(self.thresholds_) + 1)).astype(np.float32)

    def _active(self, values: Values) -> Positions:
        bits = np.arange(len(self.thresholds_))
        return np.where(bits < np.floor(self._passed(values))[:, np.newaxis], bits, -1)

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The highest threshold passed by the nearest code, which is as many ones as have the most above a half."""
        gains = np.cumsum(2 * codes_NF - 1, axis=1)
        passed = np.concatenate([np.zeros((len(gains), 1)), gains], axis=1).argmax(axis=1)
        return np.concatenate([[self.minimum_], self.thresholds_])[passed]
