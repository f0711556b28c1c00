"""The base class of all encoders: a scikit-learn transformer that writes every number as a code."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from encoders._check import require
from encoders._times import refuse_times

LARGEST_INTEGER = 2**53
"""Beyond it, float64 cannot represent every integer."""

Values = NDArray[np.float64]
"""One number for each example, (N,)."""
Block = Any
"""One code for each example, (N, F): a float32 matrix or a `scipy.sparse.csr_array`, which has no types yet."""


class Encoder(TransformerMixin, BaseEstimator, ABC):
    """Write every number of a matrix as a code of F features.

    ``(n, columns) → float32 (n, columns · F)``: all columns share one code, so that codes of different columns can
    be added, multiplied or compared. A subclass says how (`_fit`, `_encode`) and which parameters are sound
    (`check`); its constructor only assigns.
    """

    version: ClassVar[int] = 1
    """To be raised whenever the codes change, since the id of every result depends on it."""
    domain: ClassVar[Literal["categorical", "real"]]
    """Whether it encodes the integers 0, 1, 2, …, or any numbers."""
    knows_modulus: ClassVar[bool] = False
    """Whether the benchmark passes the modulus to the encoder; see also `periods`."""
    oracle: ClassVar[bool] = False
    """Whether the code solves modular addition by construction."""
    complex_valued: ClassVar[bool] = False
    """Whether a code is real parts followed by as many imaginary parts."""
    default_combine: ClassVar[Literal["concat", "sum", "product"]] = "concat"
    """How `PairEncoder` joins the codes of several columns by default."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Constructor arguments of a small instance, for the contract tests."""
    inapplicable_checks: ClassVar[Mapping[str, str]] = {}
    """scikit-learn's estimator checks that cannot apply, with the reason; at most three."""

    code_size_: int
    """F, known once fitted."""

    @property
    def default_sdr(self) -> int | None:
        """How many of the combined features `PairEncoder` keeps by default; None for all."""
        return None

    @property
    def periods(self) -> tuple[float, ...]:
        """The periods among its parameters; an encoder with a period equal to the modulus knows the modulus."""
        return ()

    @staticmethod
    @abstractmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Draw constructor arguments from a search space, by the methods of an Optuna trial."""

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where a parameter breaks its rule."""

    @abstractmethod
    def _fit(self, values: Values) -> Sequence[str]:
        """Learn what the code needs of the values; return the name of each of its F features."""

    @abstractmethod
    def _encode(self, values: Values) -> Block:
        """The codes (N, F) of N numbers."""

    def feature_blocks(self) -> NDArray[np.intp]:
        """The number of the block that each feature belongs to, (F,), once fitted; every feature is its own by default.

        Features of one block mean something together: cos and sin of one frequency, the remainders of one modulus.
        """
        check_is_fitted(self)
        return np.arange(self.code_size_)

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn the range of X (n, columns); y is ignored."""
        self.check()
        self.refuse_times(X)
        values = validate_data(self, X, dtype=np.float64)
        self._check_domain(values)
        self._feature_names = self._fit(values.ravel())
        self.code_size_ = len(self._feature_names)
        return self

    def transform(self, X: ArrayLike) -> Block:
        """The codes of X (n, columns): float32 (n, columns · F), CSR where ``sparse_output`` is set."""
        check_is_fitted(self)
        self.refuse_times(X)
        values = validate_data(self, X, dtype=np.float64, reset=False)
        self._check_domain(values)
        codes = self._encode(values.ravel())
        shape = (len(values), values.shape[1] * self.code_size_)
        if not sparse.issparse(codes):
            return codes.astype(np.float32, copy=False).reshape(shape)
        if getattr(self, "sparse_output", False):
            return sparse.csr_array(codes.reshape(shape))
        return codes.toarray().reshape(shape)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the transformed columns: the input's name, an underscore, the feature's own name."""
        check_is_fitted(self)
        columns = _check_feature_names_in(self, input_features)
        return np.array([f"{column}_{name}" for column in columns for name in self._feature_names], dtype=object)

    def refuse_times(self, X: Any) -> None:
        """Raise ValueError for dates and durations: as integers they may count nanoseconds or seconds."""
        refuse_times(self, X)

    def _check_domain(self, values: NDArray[np.float64]) -> None:
        if self.domain == "categorical":
            name = type(self).__name__
            if values.size and values.max() > LARGEST_INTEGER:
                raise ValueError(f"{name} takes integers up to 2^53, got {values.max():g}.")
            if values.size and values.min() < 0:
                raise ValueError(
                    f"Negative values in data: {name} takes the integers 0, 1, 2, …, got {values.min():g}."
                )
            fractional = values[values != np.floor(values)]
            if fractional.size:
                raise ValueError(f"{name} takes the integers 0, 1, 2, …, got {fractional[0]:g}.")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "code_size_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = self.domain == "categorical"
        tags.input_tags.positive_only = self.domain == "categorical"
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class Invertible(ABC):
    """Mixin for encoders whose numbers can be read back from their codes."""

    code_size_: int
    n_features_in_: int

    @abstractmethod
    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The number of each of N codes."""

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """The numbers (n, columns) that codes (n, columns · F) were made from.

        :raises ValueError: where X has another width.
        """
        check_is_fitted(self)
        matrix: Any = X
        codes = np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix, dtype=np.float64)
        width = self.n_features_in_ * self.code_size_
        if codes.ndim != 2 or codes.shape[1] != width:
            raise ValueError(f"{type(self).__name__} reads back codes (n, {width}), got shape {codes.shape}.")
        if not np.isfinite(codes).all():
            raise ValueError(f"{type(self).__name__} reads back finite codes, got NaN or infinity.")
        if not len(codes):
            return np.empty((0, self.n_features_in_))
        return self._decode(codes.reshape(-1, self.code_size_)).reshape(len(codes), self.n_features_in_)


def active_bits_to_csr(active_NK: NDArray[np.intp], size: int) -> sparse.csr_array:
    """Binary codes (N, size) from the positions of their ones; a position that occurs twice is one bit."""
    n, k = active_NK.shape
    pointers = np.arange(0, n * k + 1, k)
    codes = sparse.csr_array((np.ones(n * k, dtype=np.float32), active_NK.ravel(), pointers), shape=(n, size))
    codes.sum_duplicates()
    codes.data[:] = 1.0
    return codes


def numbered(size: int) -> Sequence[str]:
    """The feature names "0", "1", …; each is made when it is read, since there may be many."""
    return _Numbered(size)


class _Numbered(Sequence[str]):
    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        found = range(self.size)[i]
        return str(found) if isinstance(found, int) else [str(j) for j in found]


def places(values: Values, start: float, step: float) -> Values:
    """(x − start)/step, without the rounding errors next to whole numbers: 0.3 / 0.1 is 2.9999999999999996."""
    found = (values - start) / step
    nearest = np.rint(found)
    slack = 4 * np.finfo(np.float64).eps * ((np.abs(values) + abs(start)) / step + np.abs(found))
    return np.where(np.abs(found - nearest) <= np.minimum(slack, 1e-3), nearest, found)


def data_range(owner: Any, values: Values) -> tuple[float, float]:
    """The minimum and the maximum among the parameters of an encoder, or else those of the values.

    :raises ValueError: where only one is given and all values are beyond it.
    """
    low, high = float(values.min()), float(values.max())
    minimum, maximum = owner.minimum, owner.maximum
    if minimum is not None and maximum is None:
        require(owner, "minimum", high >= minimum, f"at most {high:g}, the largest value, unless maximum is given")
    if maximum is not None and minimum is None:
        require(owner, "maximum", low <= maximum, f"at least {low:g}, the smallest value, unless minimum is given")
    return low if minimum is None else float(minimum), high if maximum is None else float(maximum)
