"""HTM's distributed scalar code: overlapping runs of hashed bits, without bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from encoders._base import LARGEST_INTEGER, PerColumn, Values, numbered
from encoders._bits import Bits, Positions, rising_once
from encoders._check import is_integer, require, require_integer, require_number, require_random_state
from encoders._inverse import Nearest
from encoders._ranges import LEVELS, spread


def splitmix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A fixed bijection of 64-bit integers whose outputs look random (Steele et al. 2014, 10.1145/2660193.2660195)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@dataclass(eq=False, repr=False)
class RDSE(Nearest, Bits):
    """The random distributed scalar encoder: neighbouring buckets share all bits but one.

    b = ⌊x/r + ½⌋; z(x) has ones at hash(s, b), hash(s, b + 1), …, hash(s, b + w − 1), each mod n. Two values share
    about w − d bits while d = ``|Δb|`` < w, and about w²/n by chance beyond. There is no smallest or largest value.

    NOTE: Bits of one code may collide, as in htm.core; a code has up to w ones. The hash is SplitMix64.

    Source: Purdy 2016, "Encoding Data for HTM Systems" (arXiv 1602.05925).

    :param size: n, bits of the code.
    :param active_bits: w.
    :param resolution: r, the width of a bucket in the unit of x. None takes 1/64 of the distance between the 5 % and
        the 95 % quantile of what `fit` saw; the benchmark has 1.
    :param random_state: s, the seed of the hash, an integer in [0, 2⁶⁴); of others one is drawn.
    :raises ValueError: for a resolution that is not positive, or w outside [1, n].

    >>> codes = RDSE(size=1000, active_bits=20, resolution=1.0).fit_transform([[0], [1], [500]])
    >>> (codes @ codes.T).astype(int).tolist()
    [[20, 19, 0], [19, 20, 0], [0, 0, 20]]
    """

    version = 1
    domain = "real"
    benchmark_defaults: ClassVar = {"resolution": 1.0}
    example: ClassVar = {"size": 300, "active_bits": 12, "resolution": 1.0}

    size: PerColumn[int] = 1000
    active_bits: PerColumn[int] = 20
    resolution: PerColumn[float | None] = None
    random_state: int | np.random.RandomState | None = 0

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Size, width of the run and width of a bucket."""
        return {
            "size": trial.suggest_int("size", 128, 2048, log=True),
            "active_bits": trial.suggest_int("active_bits", 1, 64, log=True),
            "resolution": trial.suggest_float("resolution", 0.25, 4.0, log=True),
        }

    def check(self) -> None:
        """n ≥ 1, 1 ≤ w ≤ n, r > 0, s ≥ 0."""
        super().check()
        require_integer(self, "size")
        require_integer(self, "active_bits")
        require(self, "active_bits", self._own.active_bits <= self._own.size, f"in [1, {self.size}]")
        require_number(self, "resolution", above=0, optional=True)
        if isinstance(self.random_state, Integral):
            require(self, "random_state", is_integer(self.random_state) and self.random_state < 2**64, "in [0, 2⁶⁴)")
        else:
            require_random_state(self)

    def _fit(self, values: Values) -> Sequence[str]:
        if self.resolution is None:
            width = spread(values)
            self.resolution_ = width / LEVELS or width  # of the smallest numbers a 64th is 0
        else:
            self.resolution_ = float(self._own.resolution)
        self.key_ = splitmix64(np.array([self.random_state], dtype=np.uint64))
        return numbered(self._own.size)

    def _buckets(self, values: Values) -> Values:
        with np.errstate(over="ignore"):
            return np.floor(values / self.resolution_ + 0.5)

    def _active(self, values: Values) -> Positions:
        places = self._buckets(values)
        if np.abs(places).max(initial=0) > LARGEST_INTEGER:
            farthest = places[np.abs(places).argmax()]
            raise ValueError(f"RDSE tells 2^53 buckets apart on each side of 0, got a value in bucket {farthest:g}.")
        buckets = places.astype(np.int64)
        runs = (buckets[:, np.newaxis] + np.arange(self._own.active_bits)).astype(np.uint64)
        bits = splitmix64(runs ^ self.key_) % np.uint64(self._own.size)
        return rising_once(bits.astype(np.intp))

    _exact = True

    def _candidates(self) -> tuple[float, float, int]:
        """The middles of the buckets from the least number that `fit` saw to the largest."""
        low, high = self._buckets(np.array(self._searched)).tolist()
        return low * self.resolution_, self.resolution_, int(high - low) + 1
