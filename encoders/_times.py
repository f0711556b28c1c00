"""Dates, times of day and durations, which are no numbers."""

from datetime import date, time, timedelta
from typing import Any

import numpy as np

TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)
"""Dates, times and durations of Python and numpy; those of pandas are subclasses."""
NAMES_OF_TIMES = ("date", "time", "duration", "period", "interval")
"""Beginnings of the names of column types in pandas, polars (Datetime(time_unit='us')) and pyarrow (date32[day])."""


def refuse_times(owner: object, X: Any) -> None:
    """Raise ValueError for dates and durations: as integers they may count nanoseconds or seconds."""
    if holds_times(X):
        raise ValueError(
            f"{type(owner).__name__} takes numbers, got dates or durations: use encoders.Calendar for them."
        )


def holds_times(X: Any) -> bool:
    """Whether a matrix, a table or a list holds dates, times or durations, by its types or else by its values."""
    types = _types(X)
    if any(getattr(one, "kind", "") in ("m", "M") or _named_as_time(one) for one in types):
        return True
    of_objects = any(getattr(one, "kind", "") == "O" for one in types)
    if not of_objects and not (isinstance(X, list | tuple) and not types):
        return False
    return any(isinstance(value, TIMES) or _of_times(value) for value in np.asarray(X, dtype=object).ravel())


def _types(X: Any) -> list[Any]:
    """The types of all columns of an array, a data frame or an Arrow table; empty for a list."""
    schema = getattr(X, "schema", None)
    for owner, name in ((X, "dtypes"), (X, "dtype"), (schema, "types"), (X, "type")):
        found = getattr(owner, name, None)
        if found is not None and not callable(found):
            several = isinstance(found, list | tuple) or hasattr(found, "to_list")
            return list(found) if several else [found]
    return []


def _named_as_time(dtype: Any) -> bool:
    return str(dtype).lower().startswith(NAMES_OF_TIMES)


def _of_times(value: Any) -> bool:
    """Whether its type, or the type of its class, is one of dates or times: a scalar of pyarrow, a period of pandas."""
    return not isinstance(value, int | float) and any(
        map(_named_as_time, (getattr(value, "type", ""), type(value).__name__))
    )
