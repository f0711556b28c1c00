"""The base class of all encoders: a scikit-learn transformer that writes every number as a code."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from encoders._admitted import Admitted
from encoders._check import require_choice, require_whole_numbers
from encoders._columns import column_names, for_each, forget, names_of, one_for_each
from encoders._numbers import read_numbers
from encoders._older import upgraded
from encoders._page import page_of
from encoders._typed_bases import BaseEstimator, TransformerMixin

LARGEST_INTEGER: Final = 2**53
"""Beyond it, float64 cannot represent every integer."""
BLOCK: Final = 2**17
"""Numbers of one code matrix that are computed at once, so that memory beside the output stays small."""

T = TypeVar("T")
PerColumn: TypeAlias = T | Mapping[Any, T]
"""A parameter for all columns, or one for each by the column's name or position: 24, ``{"hour": 24, "weekday": 7}``."""
Values = NDArray[np.float64]
"""One number for each example, (N,)."""
Block = NDArray[np.float32]
"""One code for each example, (N, F)."""
Missing = Literal["error", "zeros", "indicator"]


@dataclass(kw_only=True, eq=False, repr=False)
class _OfEveryEncoder:
    """The parameters that every encoder has."""

    missing: Missing = "error"


class Encoder(TransformerMixin, BaseEstimator, _OfEveryEncoder, ABC):
    """Write every number of a table as a code.

    ``(n, columns) → float32 (n, Σ F)``: each column has a code of its own, whose F features stand side by side. A
    subclass says how one column is written (`_fit`, `_encode`) and which parameters are sound (`check`). A parameter
    may be a mapping of columns, by name or by position, to values: ``{"hour": 24, "weekday": 7}``, ``{0: 24, 1: 7}``.

    :param missing: what to do with NaN, None and NA. "error" refuses them, "zeros" writes a code of zeros, and
        "indicator" does so and adds to each column one feature, 1 where the number is missing.
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
    benchmark_defaults: ClassVar[Mapping[str, Any]] = {}
    """Defaults of the benchmark where they differ from the constructor's: its numbers are the operands of a task."""
    table_parameters: ClassVar[frozenset[str]] = frozenset({"missing", "unknown", "dtype"})
    """Constructor arguments about tables of other work; the benchmark neither sets nor records them."""
    later_parameters: ClassVar[frozenset[str]] = frozenset()
    """Constructor arguments younger than the first records: a spec names them where they are not at their default."""

    columns_: "list[Self]"
    """For each column a copy of the encoder, which holds what was learned from it, once fitted."""

    @property
    def default_sdr(self) -> int | None:
        """How many of the combined features `PairEncoder` keeps by default; None for all."""
        return None

    @property
    def periods(self) -> tuple[float, ...]:
        """The periods among its parameters; an encoder with a period equal to the modulus knows the modulus."""
        return ()

    @property
    def code_size_(self) -> int:
        """Features of the code, of all columns together, once fitted."""
        check_is_fitted(self)
        return sum(column._width for column in self.columns_)

    # What a subclass adds

    @staticmethod
    @abstractmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Draw constructor arguments from a search space, by the methods of an Optuna trial."""

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where a parameter breaks its rule. A parameter for each column has one value by then."""

    @abstractmethod
    def _fit(self, values: Values) -> Sequence[str]:
        """Learn what the code needs of the values of one column; return the name of each of its F features."""

    @abstractmethod
    def _encode(self, values: Values) -> Block:
        """The codes (N, F) of N numbers of one column."""

    def _feature_blocks(self) -> NDArray[np.intp]:
        """The number of the block that each feature of one column belongs to, (F,): each is its own by default."""
        return np.arange(len(self._names))

    @classmethod
    def integer_arguments(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Arguments that the benchmark adds to those of a spec, since its numbers are the integers 0, 1, 2, …"""
        return {}

    # As a transformer

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn from each column of X (n, columns) what its code needs; y is ignored.

        :raises ValueError: for a parameter that breaks its rule, a column without an entry in a mapping, numbers that
            have no code, dates, infinities, and missing numbers unless ``missing`` takes them.
        """
        forget(self)
        values_NC = self._numbers(X, reset=True)
        columns: list[Self] = one_for_each(self, names_of(self, X))
        for_each(columns, column_names(self), values_NC, type(self)._learn_all)
        self._keep(columns)
        return self

    def transform(self, X: ArrayLike) -> Any:
        """The codes of X (n, columns): float32 (n, features).

        :raises ValueError: as `fit` does. The class says what numbers out of range become.
        """
        check_is_fitted(self)
        return self._write(self._numbers(X, reset=False))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the transformed columns: the input's name, an underscore, the feature's own name."""
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        own = zip(names, self.columns_, strict=True)
        return np.array([f"{name}_{feature}" for name, column in own for feature in column._all_names()], dtype=object)

    def feature_blocks(self) -> NDArray[np.intp]:
        """The number of the block that each feature belongs to, (features,), once fitted.

        Features of one block mean something together: cos and sin of one frequency, the remainders of one modulus.
        """
        check_is_fitted(self)
        found: list[NDArray[np.intp]] = []
        for column in self.columns_:
            blocks = column._feature_blocks()
            if column.missing == "indicator":
                blocks = np.append(blocks, blocks.max(initial=-1) + 1)
            found.append(blocks + (found[-1].max() + 1 if found else 0))
        return np.concatenate(found)

    # Inside

    @property
    def _own(self) -> Any:
        """The encoder of one column: where its parameters may be mappings, they are single values by then."""
        return self

    def _numbers(self, X: Any, reset: bool) -> NDArray[np.float64]:
        """X as numbers, (n, columns); NaN where they are missing."""
        require_choice(self, "missing", ("error", "zeros", "indicator"))
        return read_numbers(self, X, reset, missing=self.missing != "error")

    def _keep(self, columns: "list[Self]") -> None:
        """Keep the encoders of the columns; of a single one, what it has learned is shown as the encoder's own, too."""
        self.columns_ = columns
        if len(columns) == 1:
            parameters = self.get_params(deep=False)
            own = {name: value for name, value in vars(columns[0]).items() if name.endswith("_")}
            vars(self).update({name: value for name, value in own.items() if name not in parameters})

    def _learn_all(self, values: Values) -> None:
        """Learn one column from its numbers."""
        present = self._present(values)
        self._learn(present, float(present.min()), float(present.max()))

    def _present(self, values: Values) -> Values:
        """The numbers of one column that are not missing; where all are, it is learned as if there were a 0."""
        present = values[~np.isnan(values)]
        self._refuse_others(present)
        return present if len(present) else np.zeros(1)

    def _learn(self, present: Values, low: float, high: float) -> None:
        """Learn one column from numbers between low and high."""
        self.seen_ = (low, high)
        self._names = self._fit(present)
        self._admit(present)

    def _admit(self, values: Values) -> Admitted:
        """The numbers of one column, those that have no code replaced by one that has.

        :raises ValueError: for a number that has no code and is not to be written as zeros.
        """
        missing = np.isnan(values)
        if not missing.any():
            self._refuse_others(values)
            return Admitted(self, values, None, None)
        self._refuse_others(values[~missing])
        return Admitted(self, np.where(missing, self.seen_[0], values), missing, missing)

    def _refuse_others(self, values: Values) -> None:
        """Raise ValueError for numbers that are not of the domain."""
        if self.domain == "categorical":
            require_whole_numbers(self, values)

    @property
    def _output_type(self) -> Any:
        return np.float32

    @property
    def _width(self) -> int:
        """Features of one column, the indicator included."""
        return len(self._names) + (self.missing == "indicator")

    def _all_names(self) -> Iterator[str]:
        yield from self._names
        if self.missing == "indicator":
            yield "missing"

    def _admitted(self, values_NC: NDArray[np.float64]) -> list[Admitted]:
        """The numbers of all columns, checked before any is written."""
        return for_each(self.columns_, column_names(self), values_NC, type(self)._admit)

    def _write(self, values_NC: NDArray[np.float64]) -> Any:
        """The codes of all columns (n, features), computed block by block."""
        codes = np.empty((len(values_NC), self.code_size_), dtype=self._output_type)
        columns, widths = self._admitted(values_NC), [column._width for column in self.columns_]
        stops = np.cumsum(widths)
        rows = max(1, BLOCK // max(widths))
        for start in range(0, len(values_NC), rows):
            for column, width, stop in zip(columns, widths, stops, strict=True):
                part = column.rows(start, start + rows)
                part.encoder._write_block(part, codes[start : start + rows, stop - width : stop])
        return codes

    def _write_block(self, part: Admitted, codes_NF: NDArray[Any]) -> None:
        """Write the codes of one column into a part of the output."""
        size = len(self._names)
        codes_NF[:, :size] = self._dense(part.values)
        if part.absent is not None:
            codes_NF[part.absent, :size] = 0
        if codes_NF.shape[1] > size:
            codes_NF[:, size] = 0 if part.missing is None else part.missing

    def _dense(self, values: Values) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            found: Any = self._encode(values)
            codes = np.asarray(found.toarray() if sparse.issparse(found) else found, dtype=np.float32)
        if not np.isfinite(codes).all():
            raise ValueError(f"{type(self).__name__} has codes beyond float32, 3.4e38, for some of the numbers.")
        return codes

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "columns_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = self.domain == "categorical"
        tags.input_tags.positive_only = self.domain == "categorical"
        tags.input_tags.allow_nan = self.missing != "error"
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(upgraded(self, state))

    def _get_doc_link(self) -> str:
        return page_of(type(self))


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
