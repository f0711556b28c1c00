"""Tables of any library as numbers, or one line that says what stands in the way."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from encoders._columns import column_names
from encoders._times import columns, refuse_times


def read_numbers(owner: Any, X: Any, reset: bool, missing: bool = False) -> NDArray[np.float64]:
    """X as numbers, (n, columns); NaN where they are missing.

    :param owner: the transformer, whose names and number of columns are checked, or with ``reset`` learned.
    :param missing: whether missing numbers are taken.
    :raises ValueError: for dates, strings, infinities, tables without rows or columns, and missing numbers.
    """
    name = type(owner).__name__
    refuse_times(owner, X)
    if hasattr(X, "collect") and not hasattr(X, "get_column"):
        raise ValueError(f"{name} takes a table in memory, got a {type(X).__name__}: collect() it first.")
    if getattr(X, "shape", None) == (0, 0):
        raise ValueError(f"Found array with 0 feature(s) (shape=(0, 0)) while a minimum of 1 is required by {name}.")
    X = _plain(X)
    try:
        try:
            numbers = validate_data(owner, X, dtype=np.float64, reset=reset, ensure_all_finite=False)
        except TypeError as error:
            if "NAType" not in str(error):
                raise
            numbers = validate_data(owner, _without_na(X), dtype=np.float64, reset=reset, ensure_all_finite=False)
    except ValueError as error:
        if "could not convert string" not in str(error):
            raise
        place = next((column.place for column in columns(X) if "strings" in column.kinds()), "")
        advice = "sklearn.preprocessing.OrdinalEncoder numbers them."
        raise ValueError(f"{name} takes numbers, got strings{place}: {advice}") from error
    takes = "missing='zeros' or 'indicator' takes it." if hasattr(owner, "missing") else "it has no code."
    for kind, wrong, advice in (
        ("infinity, which is no number,", np.isinf, "infinite values (inf) have no code."),
        ("NaN, a missing number,", np.isnan, takes),
    ):
        found = wrong(numbers)
        if (wrong is np.isinf or not missing) and found.any():
            row, place = np.argwhere(found)[0]
            raise ValueError(f"{name} got {kind} in column {column_names(owner)[place]!r}, row {row}: {advice}")
    return numbers


def _plain(X: Any) -> Any:
    """X without what numpy reads wrongly in silence: masked numbers, and dictionaries of pyarrow."""
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.float64), np.nan)
    if hasattr(getattr(X, "schema", None), "types"):  # a table of pyarrow
        for place, (name, dtype) in enumerate(zip(X.schema.names, X.schema.types, strict=True)):
            if hasattr(dtype, "index_type"):
                X = X.set_column(place, name, X.column(place).cast(dtype.value_type))
        return X
    return X


def _without_na(X: Any) -> Any:
    """A frame, an array of objects or a list in which NA of pandas is NaN."""
    if hasattr(X, "iloc"):
        return X.astype(object).where(X.notna(), np.nan)
    if isinstance(X, list | tuple):
        return [_without_na(value) for value in X]
    if isinstance(X, np.ndarray):
        missing = np.array([type(value).__name__ == "NAType" for value in X.ravel()]).reshape(X.shape)
        return np.where(missing, np.nan, X)
    return np.nan if type(X).__name__ == "NAType" else X
