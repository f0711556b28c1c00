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
    try:
        numbers = validate_data(owner, X, dtype=np.float64, reset=reset, ensure_all_finite=False)
    except ValueError as error:
        if "could not convert string" not in str(error):
            raise
        place = next((column.place for column in columns(X) if "strings" in column.kinds()), "")
        advice = "sklearn.preprocessing.OrdinalEncoder numbers them."
        raise ValueError(f"{name} takes numbers, got strings{place}: {advice}") from error
    for kind, wrong, advice in (
        ("infinity, which is no number,", np.isinf, "infinite values (inf) have no code."),
        ("NaN, a missing number,", np.isnan, "missing='zeros' or 'indicator' takes it."),
    ):
        found = wrong(numbers)
        if (wrong is np.isinf or not missing) and found.any():
            row, place = np.argwhere(found)[0]
            raise ValueError(f"{name} got {kind} in column {column_names(owner)[place]!r}, row {row}: {advice}")
    return numbers
