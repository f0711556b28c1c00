"""Values of records from the two Parquet tables of a pack, decoded in groups of records."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.results.packs.columns import SCALARS, SERIES, Column
from bench.results.packs.to_parquet import LAYOUT, RUN, column_names

Getter = Callable[[int], Any]
"""Gives the value of a column by the number of a record."""

FAULTS: tuple[type[Exception], ...] = (
    *(pa.ArrowException, OSError, ValueError, LookupError),
    *(TypeError, AttributeError, ArithmeticError, RecursionError),
)
"""What is raised where tables are not what `to_parquet` writes."""


class Values:
    """The values of a column, of which parts become lists of Python's objects."""

    def __init__(self, column: Any) -> None:
        whole = column.combine_chunks()
        known = whole.is_valid().to_numpy(zero_copy_only=False) if whole.null_count else None
        self.texts: list[str] | None = None
        if pa.types.is_dictionary(whole.type):
            self.texts, whole = whole.dictionary.to_pylist(), whole.indices
        self.known: NDArray[np.bool_] | None = known
        empty = False if pa.types.is_boolean(whole.type) else 0
        self.data: NDArray[Any] = whole.fill_null(empty).to_numpy(zero_copy_only=False)

    def part(self, first: int, last: int) -> list[Any]:
        """The values from one row to before another."""
        known = None if self.known is None else self.known[first:last]
        if known is not None and not known.any():
            return [None] * len(known)
        found = self.data[first:last].tolist()
        if self.texts is not None:
            found = [self.texts[code] for code in found]
        if known is None or known.all():
            return found
        return [value if is_known else None for value, is_known in zip(found, known.tolist(), strict=True)]

    def array(self, rows: NDArray[np.intp] | slice = slice(None)) -> Any:
        """The values of some rows, as an array of Arrow."""
        values = pa.array(self.data[rows], mask=None if self.known is None else ~self.known[rows])
        if self.texts is None:
            return values
        return pa.DictionaryArray.from_arrays(values, pa.array(self.texts, pa.string())).dictionary_decode()


class Tables:
    """The two tables of a pack.

    :param runs: the bytes of the table of runs.
    :param curves: those of the table of curves; None where there is none.
    :param columns: the columns of all layouts.
    :param group: the number of records whose evaluations are a row group.
    :ivar scalars: the columns with one value for each record.
    :ivar layout_of: the number of the layout of each record.
    :ivar starts_N: the first row of each record in the table of curves, and the number of rows.
    :raises Exception: one of `FAULTS`.
    """

    def __init__(self, runs: bytes, curves: bytes | None, columns: Sequence[Column], group: int) -> None:
        self.columns, self.group = columns, group
        scalars = [column for column in columns if column.kind in SCALARS]
        names = column_names(scalars)
        texts = [name for name, column in zip(names, scalars, strict=True) if column.kind in ("text", "json")]
        file = pq.ParquetFile(pa.BufferReader(runs), read_dictionary=texts)
        table = file.read(use_threads=False).unify_dictionaries()
        if table.column_names != [*names, LAYOUT]:
            raise ValueError("its table of runs has other columns than its layout")
        self.scalars = {column: Values(table.column(i)) for i, column in enumerate(scalars)}
        self.layout_of: list[int] = table.column(LAYOUT).to_pylist()
        series = [column for column in columns if column.kind in SERIES]
        self._series = dict(zip(series, column_names(series), strict=True))
        self._curves = None if curves is None else pq.ParquetFile(pa.BufferReader(curves))
        self.starts_N = self._first_rows()

    def _first_rows(self) -> NDArray[np.int64]:
        """The first row of each record in the table of curves, and the number of rows."""
        n = len(self.layout_of)
        if self._curves is None:
            return np.zeros(n + 1, np.int64)
        run = self._curves.read(columns=[RUN], use_threads=False).column(RUN).to_numpy()
        if len(run) and (run[0] < 0 or run[-1] >= n or (np.diff(run) < 0).any()):
            raise ValueError("its table of curves names runs that it does not have")
        return np.searchsorted(run, np.arange(n + 1))

    @property
    def evaluations(self) -> int:
        """The number of evaluations of all records."""
        return int(self.starts_N[-1])

    def texts(self, path: tuple[str, ...]) -> list[Any]:
        """The texts of a path, one for each record."""
        return self.scalars[Column(path, "text")].part(0, len(self.layout_of))

    def group_of(self, row: int) -> tuple[range, list[Getter]]:
        """The records that are decoded together with one, and the getter of each column for these."""
        first = row - row % self.group
        rows = range(first, min(first + self.group, len(self.layout_of)))
        series = self.series(rows)
        return rows, [self._getter(column, rows, series) for column in self.columns]

    def series(self, rows: range) -> dict[Column, Values]:
        """The series of a group of records."""
        begin, end = self.starts_N[rows.start], self.starts_N[rows.stop]
        if self._curves is None or begin == end:
            return {}
        sizes = [self._curves.metadata.row_group(i).num_rows for i in range(self._curves.num_row_groups)]
        ends = np.cumsum([0, *sizes]).tolist()
        number = ends.index(begin)
        if ends[number + 1] != end:
            raise ValueError("its table of curves has other groups than its layout")
        table = self._curves.read_row_group(number, use_threads=False)
        return {column: Values(table.column(name)) for column, name in self._series.items()}

    def _getter(self, column: Column, rows: range, series: Mapping[Column, Values]) -> Getter:
        if column in self.scalars:
            return _scalar_getter(self.scalars[column].part(rows.start, rows.stop), rows.start, column.kind)
        if column.kind == "none":
            return lambda row: None
        starts = (self.starts_N[rows.start : rows.stop + 1] - self.starts_N[rows.start]).tolist()
        return _series_getter(series.get(column), starts, rows.start)


def _scalar_getter(values: list[Any], first: int, kind: str) -> Getter:
    if kind != "json":
        return lambda row: values[row - first]
    # Each record gets lists of its own, which its reader may change.
    return lambda row: None if values[row - first] is None else json.loads(values[row - first])


def _series_getter(values: Values | None, starts: list[int], first: int) -> Getter:
    if values is None:
        return lambda row: [None] * (starts[row - first + 1] - starts[row - first])
    return lambda row: values.part(starts[row - first], starts[row - first + 1])
