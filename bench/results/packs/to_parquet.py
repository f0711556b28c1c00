"""Columns of records as two Parquet tables.

How large they are, beside other ways: 2,000 records, made from 76 real ones of all learners by drawing seeds, losses,
norms and accuracies anew, are 28.9 MB of JSON, with 78 evaluations each in the mean (pyarrow 26.0.1, zlib at level 9).

- As here 3.6 MB, of which losses and norms are 3.1 MB and accuracies 0.3 MB.
- Deflated JSON lines, with the curves as deflated arrays of numpy beside them: 3.6 MB. They need no pyarrow, but only
  this project could read them.
- Deflated JSON lines, curves included: 6.6 MB. A zip of the files as they are: 9.9 MB.

Steps that many runs share are 4 bytes a record as codes under zstd, and 19 as Parquet's differences, so that they need
no place of their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.results.packs.columns import SCALARS, SERIES, Column, Columns

GROUP = 512
"""Records that are read together, about 10 MB; their evaluations are a row group."""

LEVEL = 12
"""Of zstd. Level 19 takes six times as long and saves 2 %."""

FEW = 0.4
"""A column is stored as codes of its values where at most this share of them are different.

Accuracies are such columns. The packs of docs/records that are larger than 150 kB are 4.7 MB with 0.1, and 3.1 to
3.2 MB with 0.3, 0.5 and 0.7.
"""

LAYOUT, RUN = "layout", "run"
"""The column of runs with the number of a record's layout, and that of curves with the record's row among the runs."""

TYPES = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "json": pa.string(),
    "ints": pa.int64(),
    "floats": pa.float64(),
}
"""The type of a column by its kind."""


def column_names(columns: Sequence[Column]) -> list[str]:
    """The names of columns in a file: their paths with dots, with a number behind those that are taken.

    >>> column_names([Column(("final", "step"), kind) for kind in ("int", "float")])
    ['final.step', 'final.step (2)']
    """
    names = {LAYOUT: 0, RUN: 0}
    for path, kind in columns:
        name = ".".join(path[1:] if kind in SERIES else path).encode("utf-8", "replace").decode()
        same = (name if number == 1 else f"{name} ({number})" for number in range(1, len(columns) + 3))
        names[next(one for one in same if one not in names)] = 0
    return list(names)[2:]


def runs_table(columns: Columns, layout_of: Sequence[int]) -> bytes:
    """A table with a row for each record."""
    stored = [column for column in columns.cells if column.kind in SCALARS]
    n = len(layout_of)
    arrays = [pa.array([columns.cells[one].get(row) for row in range(n)], TYPES[one.kind]) for one in stored]
    few = [len(set(columns.cells[one].values())) <= FEW * n for one in stored]
    table = pa.table([*arrays, pa.array(layout_of, pa.int32())], names=[*column_names(stored), LAYOUT])
    sink = pa.BufferOutputStream()
    with _writer(sink, table.schema, [*few, True]) as writer:
        writer.write_table(table, row_group_size=max(1, n))
    written: bytes = sink.getvalue().to_pybytes()
    return written


def curves_table(columns: Columns) -> bytes | None:
    """A table with a row for each evaluation of each record; None where there is nothing to write."""
    stored = [column for column in columns.cells if column.kind in SERIES]
    if not stored and not sum(columns.lengths):
        return None
    types = [pa.int32(), *(TYPES[one.kind] for one in stored)]
    schema = pa.schema(list(zip([RUN, *column_names(stored)], types, strict=True)))
    sink = pa.BufferOutputStream()
    with _writer(sink, schema, [True, *(_has_few(columns.cells[one]) for one in stored)]) as writer:
        for first in range(0, len(columns.lengths), GROUP):
            rows = range(first, min(first + GROUP, len(columns.lengths)))
            lengths = [columns.lengths[row] for row in rows]
            if sum(lengths):
                cells = [(columns.cells[one], one.kind) for one in stored]
                arrays = [_joined(list(map(some.get, rows)), lengths, kind) for some, kind in cells]
                run = pa.array(np.repeat(np.array(rows, np.int32), lengths))
                writer.write_table(pa.table([run, *arrays], schema=schema), row_group_size=sum(lengths))
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _has_few(cells: Mapping[int, Any]) -> bool:
    """Whether few values of some series are different."""
    values = np.concatenate(list(cells.values()))
    return len(np.unique(values)) <= FEW * len(values)


def _joined(parts: Sequence[Any], lengths: Sequence[int], kind: str) -> Any:
    """The values of several records in a row; of a record without values, all are null."""
    dtype, empty = (np.int64, 0) if kind == "ints" else (np.float64, np.nan)
    filled = [np.full(n, empty, dtype) if part is None else part for part, n in zip(parts, lengths, strict=True)]
    values = np.concatenate(filled)
    missing = np.repeat([part is None for part in parts], lengths) if kind == "ints" else np.isnan(values)
    return pa.array(values, mask=missing)


def _writer(sink: Any, schema: Any, few: Sequence[bool]) -> Any:
    """A writer that stores columns of few different values as codes, and of other floats each byte apart."""
    names = [name for name, has_few in zip(schema.names, few, strict=True) if has_few]
    others = [field for field in schema if field.name not in names]
    encoding = {one.name: "BYTE_STREAM_SPLIT" if pa.types.is_floating(one.type) else "PLAIN" for one in others}
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=names,
        column_encoding=encoding,
        write_statistics=False,
    )
