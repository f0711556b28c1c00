"""Records as rows: a row for each record, or for each of its evaluations.

A batch has the columns that its records have. The types of parameters are not known in advance: a column of them stands
in a batch once for each type of its values, under one name, and `bench.results.exports.spool` makes one of these.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from bench.results.columns import CURVE_COLUMNS, RUN_COLUMNS, as_text, settings_of
from bench.results.packs.columns import INTEGERS
from bench.results.record import Record

Batch: TypeAlias = Any
"""A `pyarrow.RecordBatch`."""

_TYPES = {"string": pa.string(), "Int64": pa.int64(), "Float64": pa.float64(), "boolean": pa.bool_()}
ID = pa.dictionary(pa.int32(), pa.string())
"""The type of the ids of evaluations, in memory: each stands there many times."""

CELLS = {name: _TYPES[column.kind] for name, column in RUN_COLUMNS.items()}
EVALUATIONS = {name: {"id": ID, "step": pa.int64()}.get(name, pa.float64()) for name in CURVE_COLUMNS}
"""The columns that every table has, and their types."""
COLUMNS = {"cells": CELLS, "evaluations": EVALUATIONS}

FAULTS = (pa.ArrowException, KeyError, TypeError, ValueError, AttributeError)
"""What is raised where a record has something that a column cannot hold."""


def cells(records: Sequence[Record], source: str) -> Batch:
    """A row for each record.

    :param source: the folder or the pack that they were read from.
    """
    rows: list[dict[str, Any]] = [{**record, "results": source} for record in records]
    columns = []
    for name, column in RUN_COLUMNS.items():
        values = [column.value(row) for row in rows]
        for value in {type(value): value for value in values}.values():
            column.check(name, value)
        columns.append((name, array_of(values, CELLS[name])))
    return batch_of([*columns, *_settings([settings_of(row["spec"]) for row in rows])])


def evaluations(records: Sequence[Record]) -> Batch:
    """A row for each evaluation of each record; what else a learner keeps of its training are columns of numbers."""
    curves: list[Mapping[str, Any]] = [record["curve"] for record in records]
    lengths = [len(curve["step"]) for curve in curves]
    columns = [("id", repeated([record["id"] for record in records], lengths))]
    columns += [("step", pa.array([step for curve in curves for step in curve["step"]], pa.int64()))]
    for name in dict.fromkeys([*EVALUATIONS, *(name for curve in curves for name in curve)]):
        if name not in ("id", "step"):
            parts = [np.array(curve.get(name) or [None] * n, float) for curve, n in zip(curves, lengths, strict=True)]
            columns.append((name, pa.array(np.concatenate([np.zeros(0), *parts]), from_pandas=True)))
    return batch_of(columns)


def repeated(ids: Sequence[str] | Any, lengths: Sequence[int]) -> Any:
    """The id of each record, as often as it has evaluations."""
    numbers = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(ids, pa.string()))


def batch_of(columns: Iterable[tuple[str, Any]]) -> Batch:
    """A batch of columns, of which several may have one name."""
    names, arrays = zip(*columns, strict=True)
    return pa.RecordBatch.from_arrays(list(arrays), list(names))


def array_of(values: Sequence[Any], kind: Any) -> Any:
    """Values as an array."""
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array(list(map(as_text, values)), kind)


def _settings(settings: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Each parameter, once for each type of its values."""
    for name in dict.fromkeys(name for row in settings for name in row):
        values = [row.get(name) for row in settings]
        kinds = [_type_of(value) for value in values]
        for kind in dict.fromkeys(kinds):
            if kind is not None:
                own = [value if one is kind else None for value, one in zip(values, kinds, strict=True)]
                yield name, array_of([as_text(value) for value in own] if kind is _TEXT else own, kind)
        if not any(kinds):
            yield name, pa.nulls(len(values))


_BOOLEAN, _INTEGER, _NUMBER, _TEXT = (_TYPES[name] for name in ("boolean", "Int64", "Float64", "string"))


def _type_of(value: Any) -> Any:
    """The type of a parameter's value; None of one that is missing."""
    if value is None:
        return None
    found = {bool: _BOOLEAN, int: _INTEGER, float: _NUMBER}.get(type(value), _TEXT)
    return _TEXT if found is _INTEGER and value not in INTEGERS else found
