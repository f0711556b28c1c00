"""Sparse distributed representations: keep the k largest features of a code."""

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from encoders._check import is_integer, require, require_choice, require_integer
from encoders._times import refuse_times


def top_k(x_NF: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Positions of the k largest features of each row, (N, k); of equal features the first ones count as larger."""
    return np.argsort(-x_NF, axis=1, kind="stable")[:, :k]


class SDRify(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Keep the k largest features of every row and set the others to zero.

    yᵢ = [xᵢ is among the k largest of its block], or yᵢ = xᵢ · [the same] with ``mode="values"``. Of equal
    features the one at the lower position is kept, whatever else is in the batch.

    Source: k-winners-take-all; sparse distributed representations of Ahmad & Hawkins 2015 (arXiv 1503.07469).

    :param k: features to keep in each block: a count in [1, F], or a fraction of F in (0, 1), rounded, at least 1.
    :param mode: "binary" writes ones, "values" keeps the values (k-WTA).
    :param slots: number of equal blocks that the columns consist of, each sparsified on its own.
    :raises ValueError: where k does not fit the width of a block, or the columns do not divide into the slots.

    >>> SDRify(k=2).fit_transform([[0.1, 0.7, 0.3, 0.7]]).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """

    def __init__(self, k: int | float = 0.02, mode: Literal["binary", "values"] = "binary", slots: int = 1) -> None:
        self.k = k
        self.mode = mode
        self.slots = slots

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Check k against the width of X (n, slots · F); y is ignored."""
        refuse_times(self, X)
        x = validate_data(self, X, dtype=[np.float64, np.float32])
        require_choice(self, "mode", ("binary", "values"))
        require_integer(self, "slots")
        require(self, "slots", x.shape[1] % self.slots == 0, f"a divisor of the {x.shape[1]} columns of X")
        self.k_ = self._count(x.shape[1] // self.slots)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """The k winners of each block of X (n, slots · F), in the dtype of X."""
        check_is_fitted(self)
        refuse_times(self, X)
        x = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        blocks = x.reshape(len(x) * self.slots, -1)
        winners = top_k(blocks, self.k_)
        codes = np.zeros_like(blocks)
        kept = 1.0 if self.mode == "binary" else np.take_along_axis(blocks, winners, axis=1)
        np.put_along_axis(codes, winners, kept, axis=1)
        return codes.reshape(x.shape)

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
