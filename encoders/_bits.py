"""Encoders of binary codes, and codes of a few ones as sparse matrices."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from encoders._admitted import Admitted
from encoders._base import BLOCK, Block, Encoder, Values
from encoders._check import require, require_flag

TYPES: Final = ("float32", "float64", "int8")
Positions = NDArray[np.intp]
"""The ones of each code, (N, K): rising positions in [0, F), each once, and −1 where a code has fewer than K."""


@dataclass(kw_only=True, eq=False, repr=False)
class Bits(Encoder):
    """An encoder whose codes are zeros and ones.

    :param sparse_output: return CSR, in which zeros cost no memory, instead of a dense matrix.
    :param dtype: the type of the codes: "float32", "float64" or "int8".
    """

    sparse_output: bool = False
    dtype: DTypeLike = "float32"

    def check(self) -> None:
        """A flag and a known type."""
        super().check()  # type: ignore[safe-super]
        require_flag(self, "sparse_output")
        require_dtype(self)

    @abstractmethod
    def _active(self, values: Values) -> Positions:
        """The positions of the ones of N numbers of one column."""

    def _encode(self, values: Values) -> Block:
        return from_positions(self._active(values), len(self._names))

    @property
    def _output_type(self) -> Any:
        return np.dtype(self.dtype)

    def _dense(self, values: Values) -> NDArray[Any]:
        return self._encode(values)

    def _write(self, values_NC: NDArray[np.float64]) -> Any:
        if not self.sparse_output:
            return super()._write(values_NC)
        columns, widths = self._admitted(values_NC), [column._width for column in self.columns_]
        starts = np.cumsum([0, *widths])
        writer = CSRWriter((len(values_NC), int(starts[-1])), self.dtype)
        rows = max(1, BLOCK // 64)
        for start in range(0, len(values_NC), rows):
            parts = [column.rows(start, start + rows) for column in columns]
            placed = [_placed(part, begin) for part, begin in zip(parts, starts[:-1], strict=True)]
            writer.add(np.concatenate(placed, axis=1))
        return writer.finish()


def _placed(part: Admitted, start: int) -> Positions:
    """The ones of one column, counted from the first feature of all columns."""
    active = part.encoder._active(part.values)
    if part.absent is not None:
        active = np.where(part.absent[:, np.newaxis], -1, active)
    if part.missing is not None and part.encoder.missing == "indicator":
        flags = np.where(part.missing, len(part.encoder._names), -1)
        active = np.concatenate([active, flags[:, np.newaxis]], axis=1)
    return active if not start else np.where(active < 0, -1, active + start)


def require_dtype(owner: Any) -> None:
    """Raise ValueError unless codes can be of this type."""
    try:
        known = np.dtype(owner.dtype).name in TYPES
    except TypeError:
        known = False
    require(owner, "dtype", known and owner.dtype is not None, f"one of {', '.join(map(repr, TYPES))}")


def from_positions(active_NK: Positions, size: int) -> Block:
    """Dense codes (N, size)."""
    codes = np.zeros((len(active_NK), size), dtype=np.float32)
    rows, places = np.nonzero(active_NK >= 0)
    codes[rows, active_NK[rows, places]] = 1
    return codes


def rising_once(active_NK: Positions) -> Positions:
    """Positions in any order, each once: of equal ones all but the first become −1."""
    found = np.sort(active_NK, axis=1)
    found[:, 1:][found[:, 1:] == found[:, :-1]] = -1
    return found


class CSRWriter:
    """Builds a CSR matrix of ones from blocks of rows, without a second copy of it.

    :param shape: of the matrix.
    :param dtype: of its ones.
    """

    def __init__(self, shape: tuple[int, int], dtype: DTypeLike) -> None:
        self.shape, self.dtype = shape, dtype
        wide = shape[1] > np.iinfo(np.int32).max
        self._indices = np.empty(0, dtype=np.int64 if wide else np.int32)
        self._counts = np.zeros(shape[0] + 1, dtype=np.int32)
        self._row = self._used = 0

    def add(self, positions_NK: Positions) -> None:
        """The positions of the ones of the next N rows, −1 for none."""
        n, most = positions_NK.shape
        taken = positions_NK >= 0
        whole = bool(taken.all())
        new = positions_NK.ravel() if whole else positions_NK[taken]
        self._counts[self._row + 1 : self._row + n + 1] = most if whole else taken.sum(axis=1)
        self._row += n
        self._make_room(len(new))
        self._indices[self._used : self._used + len(new)] = new
        self._used += len(new)

    def _make_room(self, more: int) -> None:
        """Enough for these and, if the next rows are like those so far, for them, too: it grows in place."""
        needed = self._used + more
        if needed > len(self._indices):
            expected = int(needed / self._row * self.shape[0])
            self._indices.resize(max(needed, min(expected, needed + needed // 8 + 2**20)), refcheck=False)

    def finish(self) -> sparse.csr_array:
        """The matrix."""
        self._indices.resize(self._used, refcheck=False)
        small = self._used <= np.iinfo(np.int32).max and self._indices.dtype == np.int32
        pointers = np.cumsum(self._counts, out=self._counts if small else None, dtype=np.int32 if small else np.int64)
        indices = self._indices.astype(pointers.dtype, copy=False)
        codes = sparse.csr_array((np.ones(self._used, dtype=self.dtype), indices, pointers), shape=self.shape)
        codes.has_canonical_format = True
        return codes
