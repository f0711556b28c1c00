"""From operands to the input of a learner: encode each operand, combine the codes, sparsify them."""

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from encoders._base import Encoder
from encoders._check import is_integer, require, require_choice
from encoders._codes import Codes
from encoders._numbers import read_numbers
from encoders._page import page_of
from encoders._sdr import SDRify
from encoders._typed_bases import BaseEstimator, TransformerMixin

COMBINES = ("concat", "sum", "product")


class PairEncoder(TransformerMixin, BaseEstimator):
    """Encode every column with one encoder, combine the codes, then keep the top k of each slot.

    For operands a, b with codes z(a), z(b): ``concat`` gives two slots z(a), z(b); ``sum`` gives one slot z(a) + z(b);
    ``product`` gives one slot z(a) ⊙ z(b), a complex product where the code is complex. `SDRify` comes after the
    combining: sparsifying first loses the phases whose sum the code is about.

    :param encoder: the encoder of one column; cloned, and fitted on the values of all columns together.
    :param combine: "concat", "sum", "product", or "default" for the encoder's own.
    :param sdr: k of `SDRify` for each slot, None for no sparsification, or "default" for the encoder's own.
    :raises ValueError: for an unknown combination, or a k that does not fit the code.

    >>> from encoders import OneHot
    >>> PairEncoder(OneHot()).fit_transform([[0, 1], [1, 1]]).tolist()
    [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]]
    """

    def __init__(
        self,
        encoder: Encoder,
        combine: Literal["default", "concat", "sum", "product"] = "default",
        sdr: int | Literal["default"] | None = "default",
    ) -> None:
        self.encoder = encoder
        self.combine = combine
        self.sdr = sdr

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit the encoder on all values of X (n, columns); y is ignored."""
        require(self, "encoder", isinstance(self.encoder, Encoder), "an encoder of single numbers")
        values = read_numbers(self, X, reset=True)
        require_choice(self, "combine", ("default", *COMBINES))
        known = self.sdr is None or self.sdr == "default" or is_integer(self.sdr)
        require(self, "sdr", known, "an integer, None or 'default'")
        self.encoder_ = clone(self.encoder).fit(values.reshape(-1, 1))
        self.combine_ = self.encoder_.default_combine if self.combine == "default" else self.combine
        self.sdr_ = self.encoder_.default_sdr if self.sdr == "default" else self.sdr
        self.n_slots_ = values.shape[1] if self.combine_ == "concat" else 1
        if self.sdr_ is not None:
            blank = np.zeros((1, self.encoder_.code_size_), dtype=np.float32)
            self._sdr = SDRify(k=self.sdr_).fit(blank)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """The codes of X (n, columns), float32 (n, slots · F)."""
        check_is_fitted(self)
        values = read_numbers(self, X, reset=False)
        slots_NSF = self._combine(values)
        return self._sparsify(slots_NSF.reshape(-1, slots_NSF.shape[-1])).reshape(len(values), -1)

    def codes(self, X: ArrayLike) -> Codes:
        """The same codes as a table of distinct ones and an index: ``codes(X).dense()`` equals ``transform(X)``."""
        check_is_fitted(self)
        values = read_numbers(self, X, reset=False)
        if self.combine_ == "concat":
            distinct, index = np.unique(values, return_inverse=True)
            table = self._encode(distinct[:, np.newaxis])[:, 0]
        else:
            distinct, index = np.unique(np.sort(values, axis=1), axis=0, return_inverse=True)
            table = self._combine(distinct)[:, 0]
        return Codes(self._sparsify(table), index.reshape(len(values), self.n_slots_))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the transformed columns: the slot's name, an underscore, the feature's own name."""
        check_is_fitted(self)
        columns = _check_feature_names_in(self, input_features)
        slots = list(columns) if self.combine_ == "concat" else [self.combine_]
        return np.concatenate([self.encoder_.get_feature_names_out([slot]) for slot in slots])

    def _encode(self, values_NS: NDArray[np.float64]) -> NDArray[np.float32]:
        with config_context(transform_output="default"):  # which is for what `transform` returns
            codes = self.encoder_.transform(values_NS.reshape(-1, 1))
        dense = codes if isinstance(codes, np.ndarray) else codes.toarray()
        return dense.astype(np.float32, copy=False).reshape(*values_NS.shape, -1)

    def _combine(self, values_NS: NDArray[np.float64]) -> NDArray[np.float32]:
        if self.combine_ == "concat":
            return self._encode(values_NS)
        # Sorted, so that the codes of (a, b) and (b, a) are equal bit for bit: sums in another order round differently.
        codes_NSF = self._encode(np.sort(values_NS, axis=1))
        if self.combine_ == "sum":
            return codes_NSF.sum(axis=1, keepdims=True)
        if self.encoder_.complex_valued:
            return _complex_product(codes_NSF)
        return codes_NSF.prod(axis=1, keepdims=True)

    def _sparsify(self, codes_NF: NDArray[np.float32]) -> NDArray[np.float32]:
        return codes_NF if self.sdr_ is None else self._sdr.transform(codes_NF)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if isinstance(self.encoder, Encoder):
            tags.input_tags = self.encoder.__sklearn_tags__().input_tags
            tags.input_tags.allow_nan = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _get_doc_link(self) -> str:
        return page_of(type(self))


def _complex_product(codes_NSF: NDArray[np.float32]) -> NDArray[np.float32]:
    half = codes_NSF.shape[-1] // 2
    z_NF = (codes_NSF[..., :half] + 1j * codes_NSF[..., half:]).prod(axis=1, keepdims=True)
    return np.concatenate([z_NF.real, z_NF.imag], axis=-1)
