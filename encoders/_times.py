"""Columns of tables, arrays and lists of any library, and what they hold: numbers, dates, durations, …

pandas, polars and pyarrow are recognised by what their objects offer, so that none of them is imported here. The type
of a column decides where it can; columns of objects and lists are looked into, however deep.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, time, timedelta
from functools import partial
from itertools import chain
from numbers import Number
from operator import getitem
from typing import Any, NamedTuple

import numpy as np

TIMES = frozenset({"dates", "times of day", "durations", "periods"})
"""The kinds that no encoder takes as numbers: as integers they may count nanoseconds or days."""
LISTS = "lists or structures"
"""The kind of what holds several values."""
DEEPEST = 64
"""The most axes of an array of numpy; a list that holds itself is left at this depth."""

NUMERIC = "biufc"
KINDS_OF_NUMPY = {
    "M": "dates",
    "m": "durations",
    "O": "objects",
    **dict.fromkeys(NUMERIC, "numbers"),
    **dict.fromkeys("UST", "strings"),
}
KINDS_BY_NAME = {
    ("timestamp", "datetime", "date"): "dates",
    ("duration", "timedelta", "month_", "day_time"): "durations",
    ("time",): "times of day",
    ("period",): "periods",
    ("int", "uint", "float", "double", "halffloat", "decimal", "bool"): "numbers",
    ("str", "large_string", "utf8", "binary", "large_binary", "fixed_size_binary", "cat", "enum"): "strings",
    ("null",): "missing values",
    ("object",): "objects",
}
"""Kinds by the beginnings of types' names: Datetime(time_unit='us') of polars, date32[day] of pyarrow, period[M]."""
KINDS_BY_CLASS = {
    "Period": "periods",
    "BaseOffset": "durations",
    "relativedelta": "durations",
    "MonthDayNano": "durations",
    "NAType": "missing values",
    "NoneType": "missing values",
}
"""Kinds of single values by the names of their classes, where the class itself cannot be imported."""


class Column(NamedTuple):
    """One column: its name, or else its position, or None for what has neither; its type; the way to its values."""

    name: Any
    dtype: Any
    read: Callable[[], Any]

    @property
    def place(self) -> str:
        """Where it stands, as messages say it: " in column 'when'", or nothing where that is unknown."""
        return "" if self.name is None else f" in column {self.name!r}"

    def kinds(self) -> set[str]:
        """What the column holds; objects are looked into."""
        found = set(kinds_of_type(self.dtype))
        return found | kinds_among(values_of(self.read())) if "objects" in found else found


def where_times(X: Any) -> str | None:
    """None where X holds no dates, times of day, durations or periods; otherwise the column that does, in words.

    The words continue a sentence, " in column 'when'", and are empty where X is a list or has no columns.

    >>> where_times(np.array([["2024-03-31"]], dtype="datetime64[D]"))
    ' in column 0'
    >>> where_times([[1.0], [date(2024, 3, 31)]])
    ''
    >>> where_times([[1.0]]) is None
    True
    """
    if isinstance(X, list | tuple):
        return "" if TIMES & kinds_among(X) else None
    if getattr(getattr(X, "dtype", None), "kind", None) in tuple(NUMERIC):  # an array may have many columns
        return None
    return next((column.place for column in columns(X) if TIMES & column.kinds()), None)


def refuse_times(owner: object, X: Any) -> None:
    """Raise ValueError for dates and durations."""
    place = where_times(X)
    if place is not None:
        name = type(owner).__name__
        raise ValueError(f"{name} takes numbers, got dates or durations{place}: use encoders.Calendar for dates.")


def columns(X: Any) -> Iterator[Column]:
    """The columns of a table, an array, a series or an index; none for what has no type, such as a list."""
    if hasattr(X, "collect_schema"):  # polars and narwhals; a lazy frame has types alone
        read = getattr(X, "get_column", lambda name: ())
        yield from (Column(name, dtype, partial(read, name)) for name, dtype in X.collect_schema().items())
    elif hasattr(getattr(X, "schema", None), "types"):  # a Table or a RecordBatch of pyarrow
        named = enumerate(zip(X.schema.names, X.schema.types, strict=True))
        yield from (Column(name, dtype, partial(X.column, i)) for i, (name, dtype) in named)
    elif hasattr(X, "get_level_values") and hasattr(X, "dtypes"):  # a MultiIndex of pandas
        named = enumerate(zip(X.names, X.dtypes, strict=True))
        yield from (
            Column(i if name is None else name, dtype, partial(X.get_level_values, i)) for i, (name, dtype) in named
        )
    elif hasattr(X, "iloc") and hasattr(X, "columns"):  # a DataFrame of pandas; two columns may have one name
        named = enumerate(zip(X.columns, X.dtypes, strict=True))
        yield from (Column(name, dtype, partial(getitem, X.iloc, (slice(None), i))) for i, (name, dtype) in named)
    elif isinstance(X, np.ndarray) and X.dtype.names:
        yield from (Column(name, X.dtype[name], partial(getitem, X, name)) for name in X.dtype.names)
    elif isinstance(X, np.ndarray) and X.ndim == 2:
        yield from (Column(i, X.dtype, partial(getitem, X, (slice(None), i))) for i in range(X.shape[1]))
    elif hasattr(X, "dtype"):  # a Series, an Index, any other array
        yield Column(getattr(X, "name", None), X.dtype, lambda: X)
    elif hasattr(getattr(X, "type", None), "num_fields"):  # an Array, a ChunkedArray or a scalar of pyarrow
        yield Column(None, X.type, lambda: X)


def values_of(column: Any) -> list[Any]:
    """The values of a column of objects."""
    listed = getattr(column, "tolist", None) or getattr(column, "to_list", None)
    values = listed() if listed else column
    return list(values) if isinstance(values, Iterable) else [values]


def kinds_of_type(dtype: Any) -> Iterator[str]:
    """The kind of a type, and the kinds of all that it is made of: categories, items, fields, what is stored."""
    inner = list(inner_types(dtype))
    if not inner:
        yield _kind_of_plain(dtype)
    elif hasattr(dtype, "closed"):
        yield "intervals"
    elif getattr(dtype, "num_fields", 0) or any(hasattr(dtype, name) for name in ("inner", "fields")):
        yield LISTS
    for one in inner:
        yield from kinds_of_type(one)


def inner_types(dtype: Any) -> Iterator[Any]:
    """What a type is made of, one level deep; nothing for a plain type."""
    if isinstance(dtype, np.dtype):
        yield from (dtype[name] for name in dtype.names or ())
        yield from dtype.subdtype[:1] if dtype.subdtype else ()
        return
    categories = getattr(dtype, "categories", None)
    if categories is not None and hasattr(categories, "dtype"):
        yield categories.dtype
    for name in ("subtype", "pyarrow_dtype", "storage_type", "value_type", "inner"):
        if getattr(dtype, name, None) is not None:
            yield getattr(dtype, name)
    fields = getattr(dtype, "fields", None) or [dtype.field(i) for i in range(getattr(dtype, "num_fields", 0))]
    yield from (field.dtype if hasattr(field, "dtype") else field.type for field in fields)


def _kind_of_plain(dtype: Any) -> str:
    of_numpy = KINDS_OF_NUMPY.get(getattr(dtype, "kind", ""), "unknown values")
    if isinstance(dtype, np.dtype):
        return of_numpy
    name = str(dtype).lower()
    return next((kind for names, kind in KINDS_BY_NAME.items() if name.startswith(names)), of_numpy)


def kinds_among(values: Iterable[Any]) -> set[str]:
    """The kinds of single values, and of those inside of lists, arrays and series, which are named as such too."""
    found: set[str] = set()
    level = list(values)
    for _ in range(DEEPEST):
        kinds = {cls: _kind_of_class(cls) for cls in set(map(type, level))}
        if float in kinds and all(value != value for value in level if type(value) is float):
            kinds[float] = "missing values"
        found.update(kind for kind in kinds.values() if kind)
        if all(kinds.values()):
            break
        unknown = [value for value in level if not kinds[type(value)]]
        are_lists = all(issubclass(cls, list | tuple) for cls, kind in kinds.items() if not kind)
        level = list(chain.from_iterable(unknown if are_lists else map(_opened, unknown)))
        if are_lists:
            found.add(LISTS)
        else:
            found.update(*map(_kinds_of_thing, unknown))
    return found


def _opened(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()


def _kinds_of_thing(value: Any) -> set[str]:
    """The kinds in an array, a table, a scalar of pyarrow or an Interval of pandas that is itself a value."""
    if isinstance(value, list | tuple):
        return {LISTS}
    if hasattr(value, "closed_left"):
        return {"intervals", *kinds_among([value.left])}
    found = set().union(*(column.kinds() for column in columns(value))) or {"unknown values"}
    return found | {LISTS} if hasattr(value, "__len__") else found


def _kind_of_class(cls: type) -> str | None:
    """The kind of all values of a class; None where that depends on the value, as for a list."""
    by_class = (
        ((date, np.datetime64), "dates"),
        ((time,), "times of day"),
        ((timedelta, np.timedelta64), "durations"),  # before numbers: numpy's is a kind of integer
        ((Number, np.bool_), "numbers"),
        ((str, bytes), "strings"),
    )
    by_name = (KINDS_BY_CLASS[one.__name__] for one in cls.__mro__ if one.__name__ in KINDS_BY_CLASS)
    return next(chain(by_name, (kind for classes, kind in by_class if issubclass(cls, classes))), None)
