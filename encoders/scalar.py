"""HTM's bucket code: a run of active bits that moves with the value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import PerColumn, Values, numbered
from encoders._bits import Bits, Positions, from_positions, rising_once
from encoders._bounded import Bounded, Unknown
from encoders._check import numbers_of, require, require_flag, require_integer, require_number
from encoders._inverse import Invertible
from encoders._ranges import data_range, levels, places, steps, unit_steps

DEFAULT_ACTIVE_BITS = 21


@dataclass(eq=False, repr=False)
class Scalar(Invertible, Bits, Bounded):
    """w adjacent ones among n bits; values closer than the radius share bits.

    With resolution r, the width of a bucket: zᵢ(x) = [b ≤ i < b + w], b = ⌊(x − l)/r + ½⌋, n = ⌈(h − l)/r⌉ + w.
    Periodic: n = ⌈(h − l)/r⌉, r is then (h − l)/n, b = ⌊(x − l)/r⌋ mod n, and the run wraps around. radius = w · r.
    With neither size, radius nor resolution the buckets are learned: one begins at each number that `fit` saw, or,
    where those are more than 64, at each i/64-quantile of the different numbers. Values outside [l, h] have the codes
    of the first and the last bucket, unless ``unknown`` says otherwise; where the code is periodic, they wrap around.

    Source: Purdy 2016, "Encoding Data for HTM Systems" (arXiv 1602.05925).

    :param size: n, bits of the code.
    :param radius: distance in the unit of x from which on two values share no bit.
    :param resolution: distance in the unit of x from which on two values differ. At most one of size, radius and
        resolution is given, and exactly one where the code is periodic. The benchmark has 1 where none is given.
    :param active_bits: w.
    :param sparsity: w/n, only together with ``size``. At most one of the two is given; none means 21 active bits.
    :param minimum: l in the unit of x; None takes the smallest value seen by `fit`.
    :param maximum: h in the unit of x; None takes the largest value seen by `fit`.
    :param periodic: h is l again. The period h − l is then explicit: both bounds must be given.
    :raises ValueError: for parameters that exclude or contradict each other.

    >>> Scalar(size=8, active_bits=2, minimum=0, maximum=7, periodic=True).fit_transform([[0], [6.5]]).tolist()
    [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """

    version = 2
    domain = "real"
    example: ClassVar = {"resolution": 0.5, "active_bits": 5}

    size: PerColumn[int | None] = None
    radius: PerColumn[float | None] = None
    resolution: PerColumn[float | None] = None
    active_bits: PerColumn[int | None] = None
    sparsity: PerColumn[float | None] = None
    minimum: PerColumn[float | None] = None
    maximum: PerColumn[float | None] = None
    periodic: PerColumn[bool] = False
    unknown: Unknown = field(default="clip", kw_only=True)

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Width of the run and width of a bucket."""
        return {
            "active_bits": trial.suggest_int("active_bits", 1, 64, log=True),
            "resolution": trial.suggest_float("resolution", 0.25, 1.0, log=True),
        }

    @property
    def periods(self) -> tuple[float, ...]:
        """The period h − l of a periodic code."""
        bounds = (numbers_of(self.minimum), numbers_of(self.maximum))
        pairs = zip(*bounds, strict=False) if self.periodic is True else ()
        return tuple(high - low for low, high in pairs)

    @classmethod
    def integer_arguments(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Buckets of 1, where no width is given."""
        return unit_steps(given, "size", "radius", "resolution")

    def check(self) -> None:
        """At most one width and one density; positive widths; a period and a width where the code is periodic."""
        super().check()
        widths = [name for name in ("size", "radius", "resolution") if getattr(self, name) is not None]
        densities = [name for name in ("active_bits", "sparsity") if getattr(self, name) is not None]
        for names in (widths, densities):
            require(self, names[-1] if names else "size", len(names) < 2, f"None where {names[:1]} is given")
        for name in ("size", "active_bits"):
            require_integer(self, name, optional=True)
        for name in ("radius", "resolution", "sparsity"):
            require_number(self, name, above=0, optional=True)
        for name in ("minimum", "maximum"):
            require_number(self, name, optional=True)
        if self.sparsity is not None:
            require(self, "sparsity", self._own.sparsity < 1, "in (0, 1)")
            require(self, "sparsity", self.size is not None, "None unless size is given")
        require_flag(self, "periodic")
        if self.periodic:
            require(self, "minimum", self.minimum is not None, "given for a periodic code")
            require(self, "maximum", self.maximum is not None, "given for a periodic code")
            require(self, "size", bool(widths), "given for a periodic code, or else a radius or a resolution")
        if self.minimum is not None and self.maximum is not None:
            require(self, "maximum", self._own.maximum > self._own.minimum, f"above minimum={self.minimum!r}")

    @property
    def _bounds(self) -> tuple[float, float]:
        return (-np.inf, np.inf) if self.periodic else (self.minimum_, self.maximum_)

    @property
    def _learns_range_alone(self) -> bool:
        return any(width is not None for width in (self.size, self.radius, self.resolution))

    def _clip(self, values: Values) -> Values:
        return values  # the bucket is clipped: the last one may reach beyond the range

    def _fit(self, values: Values) -> Sequence[str]:
        self.minimum_, self.maximum_ = data_range(self, values)
        if self.sparsity is not None and self.size is not None:
            self.active_bits_ = max(1, round(self._own.size * self.sparsity))
        else:
            self.active_bits_ = DEFAULT_ACTIVE_BITS if self.active_bits is None else int(self._own.active_bits)
        if self._learns_range_alone:
            return numbered(self._set_buckets((self.maximum_ - self.minimum_) or 1.0))
        self.starts_ = np.concatenate([[self.minimum_], levels(values, self.minimum_, self.maximum_)])
        self.n_buckets_ = len(self.starts_)
        return numbered(self.n_buckets_ + self.active_bits_ - 1)

    def _set_buckets(self, extent: float) -> int:
        """Resolve size, buckets and resolution from whichever was given."""
        own, w, run = self._own, self.active_bits_, 0 if self.periodic else self.active_bits_
        if self.size is None:
            resolution = own.radius / w if own.radius is not None else own.resolution
            size = steps(self, extent, resolution) + run
        else:
            size, resolution = int(own.size), extent / max(1, own.size - run)
        if not w < size:
            raise ValueError(
                f"The 'active_bits' parameter of Scalar must be below the {size} bits of its code, got {w}."
            )
        self.n_buckets_ = size if self.periodic else size - w + 1
        self.resolution_ = extent / size if self.periodic else resolution
        return size

    def _bucket(self, values: Values) -> NDArray[np.intp]:
        if not self._learns_range_alone:
            return np.maximum(0, np.searchsorted(self.starts_, values, side="right") - 1)
        if self.periodic:
            place = places(values, self.minimum_, self.resolution_)
            # Of a remainder just below the size the floor is the last bucket; of one rounded up to it, the first.
            return np.floor(np.mod(place, self.n_buckets_)).astype(np.intp) % self.n_buckets_
        with np.errstate(over="ignore"):  # what is beyond all numbers is in the last bucket
            place = (values - self.minimum_) / self.resolution_
        return np.clip(np.floor(place + 0.5), 0, self.n_buckets_ - 1).astype(np.intp)

    def _active(self, values: Values) -> Positions:
        return self._runs(self._bucket(values))

    def _runs(self, buckets: NDArray[np.intp]) -> Positions:
        runs = buckets[:, np.newaxis] + np.arange(self.active_bits_)
        return rising_once(runs % self.n_buckets_) if self.periodic else runs

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The start (periodic or learned) or the middle of the bucket whose code overlaps most."""
        overlaps = codes_NF @ from_positions(self._runs(np.arange(self.n_buckets_)), codes_NF.shape[1]).T
        found = overlaps.argmax(axis=1)
        if not self._learns_range_alone:
            return self.starts_[found]
        numbers = self.minimum_ + found * self.resolution_
        return numbers if self.periodic else np.minimum(numbers, self.maximum_)
