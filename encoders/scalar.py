"""HTM's bucket code: a run of active bits that moves with the value."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import Block, Encoder, Invertible, Values, active_bits_to_csr, data_range, numbered, places
from encoders._check import require, require_flag, require_integer, require_number

DEFAULT_ACTIVE_BITS = 21
DEFAULT_RESOLUTION = 1.0


class Scalar(Invertible, Encoder):
    """w adjacent ones among n bits; values closer than the radius share bits.

    With resolution r, the width of a bucket: zᵢ(x) = [b ≤ i < b + w], b = ⌊(x − l)/r + ½⌋, n = ⌈(h − l)/r⌉ + w.
    Periodic: n = ⌈(h − l)/r⌉, r is then (h − l)/n, b = ⌊(x − l)/r⌋ mod n, and the run wraps around. radius = w · r.
    Values outside [l, h] are clipped, or wrapped where the code is periodic.

    Source: Purdy 2016, "Encoding Data for HTM Systems" (arXiv 1602.05925).

    :param size: n, bits of the code.
    :param radius: distance in the unit of x from which on two values share no bit.
    :param resolution: distance in the unit of x from which on two values differ. At most one of size, radius and
        resolution is given; none means resolution 1.
    :param active_bits: w.
    :param sparsity: w/n, only together with ``size``. At most one of the two is given; none means 21 active bits.
    :param minimum: l in the unit of x; None takes the smallest value seen by `fit`.
    :param maximum: h in the unit of x; None takes the largest value seen by `fit`.
    :param periodic: h is l again. The period h − l is then explicit: both bounds must be given.
    :param sparse_output: return CSR instead of a dense matrix.
    :raises ValueError: for parameters that exclude or contradict each other.

    >>> Scalar(size=8, active_bits=2, minimum=0, maximum=7, periodic=True).fit_transform([[0], [6.5]]).tolist()
    [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """

    version = 2
    domain = "real"
    example: ClassVar = {"resolution": 0.5, "active_bits": 5}

    def __init__(
        self,
        size: int | None = None,
        radius: float | None = None,
        resolution: float | None = None,
        active_bits: int | None = None,
        sparsity: float | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        periodic: bool = False,
        sparse_output: bool = False,
    ) -> None:
        self.size = size
        self.radius = radius
        self.resolution = resolution
        self.active_bits = active_bits
        self.sparsity = sparsity
        self.minimum = minimum
        self.maximum = maximum
        self.periodic = periodic
        self.sparse_output = sparse_output

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
        if not self.periodic or self.minimum is None or self.maximum is None:
            return ()
        return (float(self.maximum - self.minimum),)

    def check(self) -> None:
        """At most one width and one density; positive widths; a period where the code is periodic."""
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
            require(self, "sparsity", self.sparsity < 1, "in (0, 1)")
            require(self, "sparsity", self.size is not None, "None unless size is given")
        require_flag(self, "periodic")
        require_flag(self, "sparse_output")
        if self.periodic:
            require(self, "minimum", self.minimum is not None, "given for a periodic code")
            require(self, "maximum", self.maximum is not None, "given for a periodic code")
        if self.minimum is not None and self.maximum is not None:
            require(self, "maximum", self.maximum > self.minimum, f"above minimum={self.minimum!r}")

    def _fit(self, values: Values) -> Sequence[str]:
        self.minimum_, self.maximum_ = data_range(self, values)
        if self.sparsity is not None and self.size is not None:
            self.active_bits_ = max(1, round(self.size * self.sparsity))
        else:
            self.active_bits_ = DEFAULT_ACTIVE_BITS if self.active_bits is None else int(self.active_bits)
        return numbered(self._set_buckets((self.maximum_ - self.minimum_) or 1.0))

    def _set_buckets(self, extent: float) -> int:
        """Resolve size, buckets and resolution from whichever was given."""
        w, run = self.active_bits_, 0 if self.periodic else self.active_bits_
        if self.size is None:
            resolution = self.radius / w if self.radius is not None else self.resolution or DEFAULT_RESOLUTION
            size = int(np.ceil(extent / resolution)) + run
        else:
            size, resolution = int(self.size), extent / max(1, self.size - run)
        if not w < size:
            raise ValueError(
                f"The 'active_bits' parameter of Scalar must be below the {size} bits of its code, got {w}."
            )
        self.n_buckets_ = size if self.periodic else size - w + 1
        self.resolution_ = extent / size if self.periodic else resolution
        return size

    def _encode(self, values: Values) -> Block:
        return self._runs(self._bucket(values))

    def _bucket(self, values: Values) -> NDArray[np.intp]:
        if self.periodic:
            place = places(values, self.minimum_, self.resolution_)
            # Of a remainder just below the size the floor is the last bucket; of one rounded up to it, the first.
            return np.floor(np.mod(place, self.n_buckets_)).astype(np.intp) % self.n_buckets_
        place = (values - self.minimum_) / self.resolution_
        return np.clip(np.floor(place + 0.5), 0, self.n_buckets_ - 1).astype(np.intp)

    def _runs(self, buckets: NDArray[np.intp]) -> Any:
        size = self.n_buckets_ if self.periodic else self.n_buckets_ + self.active_bits_ - 1
        return active_bits_to_csr((buckets[:, np.newaxis] + np.arange(self.active_bits_)) % size, size)

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The lower end (periodic) or the middle of the bucket whose code overlaps most."""
        overlaps = codes_NF @ self._runs(np.arange(self.n_buckets_)).T.toarray()
        return self.minimum_ + overlaps.argmax(axis=1) * self.resolution_
