"""HTM's distributed scalar code: overlapping runs of hashed bits, without bounds."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from encoders._base import LARGEST_INTEGER, Block, Encoder, Values, active_bits_to_csr, numbered
from encoders._check import is_integer, require, require_flag, require_integer, require_number, require_random_state


def splitmix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A fixed bijection of 64-bit integers whose outputs look random (Steele et al. 2014, 10.1145/2660193.2660195)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class RDSE(Encoder):
    """The random distributed scalar encoder: neighbouring buckets share all bits but one.

    b = ⌊x/r + ½⌋; z(x) has ones at hash(s, b), hash(s, b + 1), …, hash(s, b + w − 1), each mod n. Two values share
    about w − d bits while d = ``|Δb|`` < w, and about w²/n by chance beyond. There is no smallest or largest value.

    NOTE: Bits of one code may collide, as in htm.core; a code has up to w ones. The hash is SplitMix64.

    Source: Purdy 2016, "Encoding Data for HTM Systems" (arXiv 1602.05925).

    :param size: n, bits of the code.
    :param active_bits: w.
    :param resolution: r, the width of a bucket in the unit of x.
    :param random_state: s, the seed of the hash, an integer in [0, 2⁶⁴); of others one is drawn.
    :param sparse_output: return CSR instead of a dense matrix.
    :raises ValueError: for a resolution that is not positive, or w outside [1, n].

    >>> codes = RDSE(size=1000, active_bits=20).fit_transform([[0], [1], [500]])
    >>> (codes @ codes.T).astype(int).tolist()
    [[20, 19, 0], [19, 20, 0], [0, 0, 20]]
    """

    version = 1
    domain = "real"
    example: ClassVar = {"size": 300, "active_bits": 12}

    def __init__(
        self,
        size: int = 1000,
        active_bits: int = 20,
        resolution: float = 1.0,
        random_state: int | np.random.RandomState | None = 0,
        sparse_output: bool = False,
    ) -> None:
        self.size = size
        self.active_bits = active_bits
        self.resolution = resolution
        self.random_state = random_state
        self.sparse_output = sparse_output

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
        require_integer(self, "size")
        require_integer(self, "active_bits")
        require(self, "active_bits", self.active_bits <= self.size, f"in [1, {self.size}]")
        require_number(self, "resolution", above=0)
        if isinstance(self.random_state, Integral):
            require(self, "random_state", is_integer(self.random_state) and self.random_state < 2**64, "in [0, 2⁶⁴)")
        else:
            require_random_state(self)
        require_flag(self, "sparse_output")

    def _fit(self, values: Values) -> Sequence[str]:
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**63)
        self.key_ = splitmix64(np.array([seed], dtype=np.uint64))
        return numbered(self.size)

    def _encode(self, values: Values) -> Block:
        places = np.floor(values / self.resolution + 0.5)
        if np.abs(places).max() > LARGEST_INTEGER:
            raise ValueError(
                f"RDSE tells 2^53 buckets apart on each side of 0, got a value in bucket {places.max():g}."
            )
        buckets = places.astype(np.int64)
        runs = (buckets[:, np.newaxis] + np.arange(self.active_bits)).astype(np.uint64)
        bits = splitmix64(runs ^ self.key_) % np.uint64(self.size)
        return active_bits_to_csr(bits.astype(np.intp), self.size)
