"""Sparse distributed representations: keep the k largest features of a code."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import sparse
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from encoders._base import BLOCK
from encoders._bits import require_dtype
from encoders._check import is_integer, require, require_choice, require_flag, require_integer
from encoders._page import page_of
from encoders._times import refuse_times
from encoders._typed_bases import BaseEstimator, OneToOneFeatureMixin, TransformerMixin


def top_k(x_NF: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Positions of the k largest features of each row, rising, (N, k); of equal features the first count as larger."""
    n, width = x_NF.shape
    if k == width:
        return np.broadcast_to(np.arange(width), (n, width))
    least = np.partition(x_NF, width - k, axis=1)[:, width - k, np.newaxis]
    larger = x_NF > least
    equal = x_NF == least
    room = k - np.count_nonzero(larger, axis=1)
    several = np.count_nonzero(equal, axis=1) > room
    # Rows in which more features equal the least winner than there is room for keep the first of them.
    equal[several] &= np.cumsum(equal[several], axis=1) <= room[several, np.newaxis]
    return np.nonzero(larger | equal)[1].reshape(n, k)


@dataclass(eq=False, repr=False)
class SDRify(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Keep the k largest features of every row and set the others to zero.

    yᵢ = [xᵢ is among the k largest of its block], or yᵢ = xᵢ · [the same] with ``mode="values"``. Of equal
    features the one at the lower position is kept, whatever else is in the batch.

    Source: k-winners-take-all; sparse distributed representations of Ahmad & Hawkins 2015 (arXiv 1503.07469).

    :param k: features to keep in each block: a count in [1, F], or a fraction of F in (0, 1), rounded, at least 1.
    :param mode: "binary" writes ones, "values" keeps the values (k-WTA).
    :param slots: number of equal blocks that the columns consist of, each sparsified on its own.
    :param sparse_output: return CSR, in which zeros cost no memory, instead of a dense matrix.
    :param dtype: the type of the codes, "float32", "float64" or, of binary ones, "int8"; None takes the input's.
    :raises ValueError: where k does not fit the width of a block, or the columns do not divide into the slots.

    >>> SDRify(k=2).fit_transform([[0.1, 0.7, 0.3, 0.7]]).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """

    k: int | float = 0.02
    mode: Literal["binary", "values"] = "binary"
    slots: int = 1
    sparse_output: bool = field(default=False, kw_only=True)
    dtype: DTypeLike | None = field(default=None, kw_only=True)

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Check k against the width of X (n, slots · F); y is ignored."""
        refuse_times(self, X)
        x = validate_data(self, X, dtype=[np.float64, np.float32])
        require_choice(self, "mode", ("binary", "values"))
        require_integer(self, "slots")
        require(self, "slots", x.shape[1] % self.slots == 0, f"a divisor of the {x.shape[1]} columns of X")
        require_flag(self, "sparse_output")
        if self.dtype is not None:
            require_dtype(self)
            whole = np.dtype(self.dtype).kind == "i"
            require(self, "dtype", self.mode == "binary" or not whole, "a type of fractions where values are kept")
        self.k_ = self._count(x.shape[1] // self.slots)
        return self

    def transform(self, X: ArrayLike) -> Any:
        """The k winners of each block of X (n, slots · F), by default in the type of X."""
        check_is_fitted(self)
        refuse_times(self, X)
        x = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        width, dtype = x.shape[1] // self.slots, x.dtype if self.dtype is None else np.dtype(self.dtype)
        blocks = x.reshape(len(x) * self.slots, width)
        if self.sparse_output:
            return self._as_csr(blocks, dtype, x.shape)
        codes = np.zeros(blocks.shape, dtype=dtype)
        for start, values, winners in self._winners(blocks):
            np.put_along_axis(codes[start : start + len(values)], winners, self._kept(values, winners), axis=1)
        return codes.reshape(x.shape)

    def _winners(self, blocks: NDArray[np.floating]) -> Iterator[tuple[int, NDArray[np.floating], NDArray[np.intp]]]:
        """Parts of the blocks: where each begins, its values, and the positions of its winners."""
        rows = max(1, BLOCK // max(1, blocks.shape[1]))
        for start in range(0, len(blocks), rows):
            values = blocks[start : start + rows]
            yield start, values, top_k(values, self.k_)

    def _kept(self, values: NDArray[np.floating], winners: NDArray[np.intp]) -> Any:
        return 1 if self.mode == "binary" else np.take_along_axis(values, winners, axis=1)

    def _as_csr(self, blocks: NDArray[np.floating], dtype: np.dtype, shape: tuple[int, int]) -> sparse.csr_array:
        kind = np.int32 if len(blocks) * self.k_ <= np.iinfo(np.int32).max else np.int64
        indices = np.empty((len(blocks), self.k_), dtype=kind)
        data = np.ones(indices.shape, dtype=dtype)
        offsets = np.tile(np.arange(self.slots) * blocks.shape[1], shape[0])[:, np.newaxis]
        for start, values, winners in self._winners(blocks):
            stop = start + len(values)
            indices[start:stop] = winners + offsets[start:stop]
            if self.mode == "values":
                data[start:stop] = np.take_along_axis(values, winners, axis=1)
        each = self.k_ * self.slots
        pointers = np.arange(0, shape[0] * each + 1, each, dtype=kind)
        return sparse.csr_array((data.ravel(), indices.ravel(), pointers), shape=shape)

    def _count(self, width: int) -> int:
        is_count = is_integer(self.k)
        is_fraction = isinstance(self.k, float) and 0 < self.k < 1
        rule = f"in [1, {width}], or a fraction in (0, 1)"
        require(self, "k", (is_count and 1 <= self.k <= width) or is_fraction, rule)
        return int(self.k) if is_count else max(1, round(self.k * width))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _get_doc_link(self) -> str:
        return page_of(type(self))
