"""Reading numbers back from their codes."""

from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from encoders._base import BLOCK, Values

MOST_CANDIDATES: Final = 2**20
"""Codes that a code is compared with, at most."""


class Invertible(ABC):
    """Mixin for encoders whose numbers can be read back from their codes."""

    @abstractmethod
    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The number of each of N codes of one column."""

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """The numbers (n, columns) that codes (n, features) were made from; NaN for the code of a missing number.

        Where no number has a code, it is the number whose code is nearest.

        :raises ValueError: where X has another width, or holds NaN or infinities.
        """
        check_is_fitted(self)
        encoder: Any = self
        matrix: Any = sparse.csr_array(X) if sparse.issparse(X) else np.asarray(X, dtype=np.float64)
        width, name = encoder.code_size_, type(self).__name__
        if matrix.ndim != 2 or matrix.shape[1] != width:
            raise ValueError(f"{name} reads back codes (n, {width}), got shape {matrix.shape}.")
        if not np.isfinite(matrix.data if sparse.issparse(matrix) else matrix).all():
            raise ValueError(f"{name} reads back finite codes, got NaN or infinity.")
        numbers = np.empty((matrix.shape[0], len(encoder.columns_)))
        rows = max(1, BLOCK // max(1, width))
        for start in range(0, len(numbers), rows):
            block = matrix[start : start + rows]
            dense = block.toarray().astype(np.float64) if sparse.issparse(block) else block
            stop = 0
            for place, column in enumerate(encoder.columns_):
                begin, stop = stop, stop + column._width
                numbers[start : start + rows, place] = _read(column, dense[:, begin:stop])
        return numbers


def _read(column: Any, codes_NF: NDArray[np.float64]) -> Values:
    """The numbers of one column, NaN where the code says that there was none."""
    size = len(column._names)
    codes = codes_NF[:, :size]
    numbers = column._decode(codes)
    if column.missing == "indicator":
        numbers = np.where(codes_NF[:, size] > 0.5, np.nan, numbers)
    if "zeros" in (column.missing, getattr(column, "unknown", "")):
        blank = ~codes.any(axis=1)
        # A code of zeros may be that of a number, as in a thermometer's of its minimum.
        if blank.any() and column._dense(numbers[blank][:1]).any():
            numbers = np.where(blank, np.nan, numbers)
    return numbers


class Nearest(Invertible):
    """Mixin for encoders that are read back by comparison with codes of candidates; the nearest is refined."""

    @abstractmethod
    def _candidates(self) -> tuple[float, float, int]:
        """The first candidate, the distance between two, and how many there are."""

    seen_: tuple[float, float]

    @property
    def _searched(self) -> tuple[float, float]:
        """The range that `fit` saw."""
        if np.isnan(self.seen_[0]):
            name = type(self).__name__
            raise ValueError(f"{name} was pickled by a version that kept no range to search: fit it again.")
        return self.seen_

    _exact: bool = False
    """Whether numbers between two candidates have the code of one of them, so that nothing is refined."""

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        first, step, count = self._candidates()
        if count > MOST_CANDIDATES:
            raise ValueError(
                f"{type(self).__name__} compares a code with at most {MOST_CANDIDATES} others, and the range that "
                f"fit saw has {count}."
            )
        numbers = np.asarray(first + step * nearest(self, codes_NF, first, step, count), dtype=np.float64)
        return numbers if self._exact else self._refined(codes_NF, numbers, first, step, count)

    def _refined(self, codes_NF: NDArray[np.float64], numbers: Values, first: float, step: float, count: int) -> Values:
        """The numbers around those given whose codes are nearest, by steps that become smaller."""
        low, high = first - step, first + step * count
        while step > 1e-7 * max(1e-300, abs(low), abs(high)):
            around = np.clip(numbers[:, np.newaxis] + step * np.linspace(-2, 2, 33), low, high)
            table = _codes(self, around.ravel()).reshape(*around.shape, -1)
            best = ((table - codes_NF[:, np.newaxis]) ** 2).sum(axis=2).argmin(axis=1)
            numbers = around[np.arange(len(around)), best].astype(np.float64)
            step /= 4
        return numbers


def nearest(encoder: Any, codes_NF: NDArray[np.float64], first: float, step: float, count: int) -> NDArray[np.intp]:
    """Which of ``first + step · i``, i = 0 … count − 1, has the nearest code, (N,); of equally near ones the first."""
    best = np.full(len(codes_NF), np.inf)
    chosen = np.zeros(len(codes_NF), dtype=np.intp)
    rows = max(1, BLOCK // max(codes_NF.shape))
    for start in range(0, count, rows):
        table = _codes(encoder, first + step * np.arange(start, min(count, start + rows)))
        distances = (table**2).sum(axis=1) - 2 * codes_NF @ table.T
        mine = distances.argmin(axis=1)
        value = distances[np.arange(len(mine)), mine]
        closer = value < best
        best[closer], chosen[closer] = value[closer], start + mine[closer]
    return chosen


def _codes(encoder: Any, values: Values) -> NDArray[np.float64]:
    return np.asarray(encoder._dense(values), dtype=np.float64)
