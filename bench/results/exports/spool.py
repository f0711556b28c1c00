"""Batches in a temporary file, until all columns and their types are known."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from bench.results.columns import as_text, setting_order
from bench.results.exports.rows import Batch

ROWS = 2**16
"""Rows that are written together, a row group of Parquet: about 50 MB of cells, 5 MB of evaluations."""


class Spool:
    """A table whose columns grow as batches are added, which are not kept in memory.

    :param file: a temporary file.
    :param columns: the columns that the table has in any case, and their types.
    """

    def __init__(self, file: BinaryIO, columns: Mapping[str, Any]) -> None:
        self._file, self._columns, self._count = file, columns, 0
        self._types: dict[str, set[Any]] = {}
        self.rows = 0

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(self._file, batch.schema, options=options) as writer:
            writer.write_batch(batch)
        for field in batch.schema:
            self._types.setdefault(field.name, set()).add(field.type)
        self.rows, self._count = self.rows + len(batch), self._count + 1

    def schema(self) -> Any:
        """All columns: those of every table, then what records have besides."""
        others = sorted(self._types.keys() - self._columns.keys(), key=setting_order)
        return pa.schema([*self._columns.items(), *((name, _common(self._types[name])) for name in others)])

    def tables(self) -> Iterator[Any]:
        """The rows in their order, some at a time, as tables that have all columns."""
        schema, waiting = self.schema(), []
        self._file.seek(0)
        for _ in range(self._count):
            with pa.ipc.open_stream(self._file) as reader:
                waiting.append(_conformed(reader.read_next_batch(), schema))
                reader.read_all()  # to the end of its stream, where that of the next batch begins
            if sum(map(len, waiting)) >= ROWS:
                yield pa.Table.from_batches(waiting, schema)
                waiting = []
        if any(map(len, waiting)):
            yield pa.Table.from_batches(waiting, schema)


def _common(types: set[Any]) -> Any:
    """The type of a parameter: of numbers that are not all whole a float, of one that is None everywhere too; of values
    that have nothing in common a text.
    """
    known = types - {pa.null()}
    if len(known) == 1:
        return next(iter(known))
    return pa.float64() if known <= {pa.int64(), pa.float64()} else pa.string()


def _conformed(batch: Batch, schema: Any) -> Batch:
    """A batch with the columns of the whole table."""
    arrays = []
    for field in schema:
        found = [_cast(batch.column(i), field.type) for i in batch.schema.get_all_field_indices(field.name)]
        arrays.append(
            pc.coalesce(*found) if len(found) > 1 else found[0] if found else pa.nulls(len(batch), field.type)
        )
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: Any, kind: Any) -> Any:
    if array.type == kind:
        return array
    if pa.types.is_string(kind):  # as Python writes numbers
        return pa.array([as_text(value) for value in array.to_pylist()], kind)
    return array.cast(kind, safe=False)
