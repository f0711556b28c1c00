"""Rows of the records of a pack, column by column: no record is built.

Each was checked when it was packed, and the pack shows by its SHA-256 that it is the same.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.results.columns import RUN_COLUMNS, At
from bench.results.exports.rows import CELLS, EVALUATIONS, Batch, batch_of, repeated
from bench.results.exports.selection import Selection
from bench.results.packs.columns import SERIES, Column
from bench.results.packs.read import PackedStore
from bench.results.record import SCHEMA

ROWS = 2**14
"""Records whose rows are made at a time."""

KINDS = {"string": {"text"}, "Int64": {"int"}, "Float64": {"int", "float"}, "boolean": {"bool"}}
"""The kinds of a pack's columns that a column of a table is made of, by its type."""
ERROR: tuple[tuple[str, ...], ...] = (("error", "type"), ("error", "message"))
"""Where the parts of the column of errors stand."""
OWNERS = {"task_parameters": ("task",), "encoder": ("encoder",), "learner": ("learner",), "optimizer": ()}
"""What stands before the name of a parameter, by its place in a spec."""

Rows = NDArray[np.intp]
"""Numbers of records."""


def is_plain(store: PackedStore) -> bool:
    """Whether all values are where records of today have them, and of the types of the columns.

    Other packs are read record by record: of an earlier schema, with texts that are not Unicode, with mixed curves.
    """
    allowed = {one.value.keys: KINDS[one.kind] for one in RUN_COLUMNS.values() if isinstance(one.value, At)}
    allowed |= {path: {"text"} for path in ERROR} | {("curve", "step"): {"ints"}}
    for path, kind in store.tables.columns:
        expected = allowed.get(path, set(SERIES) if path[0] == "curve" else {kind})
        if kind not in {*expected, "none", "nones"}:
            return False
    documents = [values.texts or [] for column, values in store.tables.scalars.items() if column.kind == "json"]
    if any(text.startswith('"') for texts in documents for text in texts):
        return False
    schema = store.tables.scalars.get(Column(("schema",), "int"))
    return schema is not None and bool((schema.data == SCHEMA).all())


def batches(store: PackedStore, ids: Sequence[str], selection: Selection, kind: str) -> Iterator[Batch]:
    """The rows of those of these records that pass the filters.

    :param kind: "cells" or "evaluations".
    :raises Exception: one of the faults of the pack, where it is damaged.
    """
    rows = np.array([store.rows[id] for id in ids], np.intp)
    values = {name: _fixed(store, name, rows).to_pylist() for name in selection.compared()}
    kept = rows[[selection.passes({name: found[i] for name, found in values.items()}) for i in range(len(rows))]]
    selection.count(len(rows) - len(kept))
    made = _cells(store, kept) if kind == "cells" else _evaluations(store, kept)
    for n, batch in made:
        yield batch
        selection.count(n)


def _cells(store: PackedStore, rows: Rows) -> Iterator[tuple[int, Batch]]:
    """Batches, each with its number of records."""
    for first in range(0, len(rows), ROWS):
        some = rows[first : first + ROWS]
        yield len(some), batch_of([*((name, _fixed(store, name, some)) for name in CELLS), *_settings(store, some)])


def _evaluations(store: PackedStore, rows: Rows) -> Iterator[tuple[int, Batch]]:
    """Batches, each with its number of records: those of a row group, which are decoded together."""
    tables, ids = store.tables, list(store.rows)
    found = {column.path[1] for column in _present(store, rows) if column.path[0] == "curve"}
    for number in np.unique(rows // tables.group):
        some = rows[rows // tables.group == number]
        first, last = number * tables.group, min((number + 1) * tables.group, len(ids))
        series = tables.series(range(first, last))
        begins, ends = (tables.starts_N[at] - tables.starts_N[first] for at in (some, some + 1))
        places = np.concatenate([np.arange(*ends_of) for ends_of in zip(begins, ends, strict=True)])
        columns = [("id", repeated([ids[row] for row in some], ends - begins))]
        for name in dict.fromkeys([*EVALUATIONS, *sorted(found)]):
            if name != "id":
                parts = [values.array(places) for column, values in series.items() if column.path == ("curve", name)]
                columns.append((name, _joined(parts, EVALUATIONS.get(name, pa.float64()), len(places))))
        yield len(some), batch_of(columns)


def _fixed(store: PackedStore, name: str, rows: Rows) -> Any:
    """A column that every table has."""
    value, kind = RUN_COLUMNS[name].value, CELLS[name]
    if name == "results":
        return pa.array([str(store.location)] * len(rows), kind)
    if not isinstance(value, At):
        return pc.binary_join_element_wise(*(_at(store, path, kind, rows) for path in ERROR), ": ")
    found = _at(store, value.keys, kind, rows)
    return found if value.default is None else found.fill_null(value.default)


def _at(store: PackedStore, path: tuple[str, ...], kind: Any, rows: Rows) -> Any:
    """The values of a path."""
    parts = [values.array(rows) for column, values in store.tables.scalars.items() if column.path == path]
    return _joined(parts, kind, len(rows))


def _joined(parts: Sequence[Any], kind: Any, n: int) -> Any:
    """One array of a type of several, of which at most one has a value at each place."""
    cast = [part if part.type == kind else part.cast(kind, safe=False) for part in parts]
    return pc.coalesce(*cast) if cast else pa.nulls(n, kind)


def _present(store: PackedStore, rows: Rows) -> dict[Column, None]:
    """The columns that any of these records has."""
    layouts = np.unique(np.array(store.tables.layout_of, np.intp)[rows]).tolist()
    return {column: None for number in layouts for column in store.layouts[number]}


def _settings(store: PackedStore, rows: Rows) -> Iterator[tuple[str, Any]]:
    """Each parameter, once for each type of its values, as `bench.results.exports.rows` has them."""
    found: dict[str, list[Any]] = {}
    for column in _present(store, rows):
        name = _setting(column.path)
        if name is not None:
            values = store.tables.scalars.get(column)
            array = pa.nulls(len(rows)) if values is None else values.array(rows)
            if column.kind == "json":  # an empty mapping has no parameters
                is_empty = pc.fill_null(pc.equal(array, "{}"), False)
                if pc.any(is_empty).as_py() and array.null_count + pc.sum(is_empty).as_py() == len(array):
                    continue
            found.setdefault(name, []).append(array)
    for name, arrays in found.items():
        known = [array for array in arrays if array.null_count < len(array)]
        yield from ((name, array) for array in known or [pa.nulls(len(rows))])


def _setting(path: tuple[str, ...]) -> str | None:
    """The name of the parameter at a path; None where there is none."""
    if path[0] != "spec" or len(path) < 3 or path[1] not in OWNERS or path[2:] == ("name",):
        return None
    return ".".join((*OWNERS[path[1]], *path[2:]))
