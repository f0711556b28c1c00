"""Records as columns, and columns as records again: key for key in their order, number for number to the last bit.

A record is a tree, and each of its leaves has a path, such as ``("spec", "learner", "lr")``. The leaves of one path and
one kind are a column. Which columns a record has, in the order of its keys, is its layout, which many records share:
it tells None from a missing key, and 1 from 1.0. A list that is no part of a curve is a leaf, as JSON in a column of
text, and so is what no other column can hold.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

INTEGERS = range(-(2**63), 2**63)
"""What a column of integers can hold."""

SCALARS = ("bool", "int", "float", "text", "json")
"""Kinds of columns with one value for each record. One of kind "none" holds only None, and is not stored."""

SERIES = ("ints", "floats")
"""Kinds of columns with one value for each evaluation of each record. One of kind "nones" is not stored."""

_KINDS: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "text", type(None): "none"}

Series: TypeAlias = NDArray[np.int64] | NDArray[np.float64]
"""The values of a series. NaN stands for None: a record holds no NaN."""

Plan: TypeAlias = "list[tuple[str, int | Plan]]"
"""How a record is built: its keys in order, each with the number of a column, or with the plan of a tree."""


class Column(NamedTuple):
    """Leaves of one path and one kind."""

    path: tuple[str, ...]
    kind: str


class Layouts(NamedTuple):
    """What rows are made records by.

    :param columns: all columns, those that are not stored included.
    :param layouts: each the numbers of the columns of a record, in the order of its keys.
    """

    columns: list[Column]
    layouts: list[list[int]]


class Columns:
    """Columns that grow record by record.

    :ivar cells: of each column the values by the number of the record, without those that are None.
    :ivar lengths: the number of evaluations of each record.
    """

    def __init__(self) -> None:
        self.cells: dict[Column, dict[int, Any]] = {}
        self.lengths = array("q")
        self._layouts: dict[tuple[Column, ...], int] = {}
        self._layout_of = array("q")
        self._known: dict[Any, Any] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a record."""
        row, layout = len(self.lengths), []
        series, length = series_of(record.get("curve"))
        for column, value in _leaves(record, (), series):
            layout.append(column)
            cells = self.cells.setdefault(column, {})
            if value is not None:
                cells[row] = self._shared(value)
        self.lengths.append(length)
        self._layout_of.append(self._layouts.setdefault(tuple(layout), len(self._layouts)))

    def _shared(self, value: Any) -> Any:
        """An equal value that is held already: many records have the same texts, and the same steps."""
        if isinstance(value, str):
            return self._known.setdefault(value, value)
        if isinstance(value, np.ndarray) and value.dtype == np.int64:
            return self._known.setdefault(value.tobytes(), value)
        return value

    def finish(self) -> tuple[Layouts, list[int]]:
        """All layouts, and the number of the layout of each record; `cells` then holds the stored columns alone.

        What is None in a column of its own moves to the column that holds the other values of its path.
        """
        moved = {column: self._home(column) for column in self.cells}
        columns = list(dict.fromkeys(moved.values()))
        number = {column: i for i, column in enumerate(columns)}
        self.cells = {column: self.cells[column] for column in columns if column.kind in (*SCALARS, *SERIES)}
        found: dict[tuple[int, ...], int] = {}
        of_old = [found.setdefault(tuple(number[moved[c]] for c in old), len(found)) for old in self._layouts]
        return Layouts(columns, [list(layout) for layout in found]), [of_old[i] for i in self._layout_of]

    def _home(self, column: Column) -> Column:
        """The column that stores a leaf: for one that is None the fullest column of its path, if there is one."""
        kinds = {"none": SCALARS, "nones": SERIES}.get(column.kind, ())
        others = [other for kind in kinds if (other := Column(column.path, kind)) in self.cells]
        return max(others, key=lambda other: len(self.cells[other]), default=column)


def series_of(curve: Any) -> tuple[dict[str, tuple[str, Series | None]], int]:
    """The kind and values of each series of a curve, and their length.

    Nothing where the curve is no table of numbers: its lists are then leaves like all others.
    """
    if not isinstance(curve, dict) or not all(isinstance(values, list) for values in curve.values()):
        return {}, 0
    lengths = set(map(len, curve.values()))
    found = {name: _series(values) for name, values in curve.items()}
    if len(lengths) != 1 or any(kind is None for kind, _ in found.values()):
        return {}, 0
    return {name: (kind, values) for name, (kind, values) in found.items() if kind is not None}, lengths.pop()


def _series(values: list[Any]) -> tuple[str | None, Series | None]:
    """The kind and values of a list; no kind where it is no series."""
    types = set(map(type, values))
    if types <= {type(None)}:
        return "nones", None
    if types <= {float, type(None)}:
        return "floats", np.array(values, np.float64)
    if types == {int} and min(values) in INTEGERS and max(values) in INTEGERS:
        return "ints", np.array(values, np.int64)
    return None, None


def _leaves(
    tree: Mapping[str, Any], path: tuple[str, ...], series: Mapping[str, tuple[str, Series | None]]
) -> Iterator[tuple[Column, Any]]:
    """The leaves of a tree, each as its column and what is stored of it, None included."""
    for key, value in tree.items():
        here = (*path, key)
        if here == ("curve",) and series:
            yield from ((Column((*here, name), kind), values) for name, (kind, values) in series.items())
        elif isinstance(value, dict) and value:
            yield from _leaves(value, here, {})
        else:
            kind = _kind(value)
            yield Column(here, kind), json.dumps(value) if kind == "json" else value


def _kind(value: Any) -> str:
    """The kind of a leaf."""
    kind = _KINDS.get(type(value), "json")
    if (kind == "int" and value not in INTEGERS) or (kind == "text" and not _is_unicode(value)):
        return "json"
    return kind


def _is_unicode(text: str) -> bool:
    """Whether a text can be encoded: JSON has escapes for halves of a character, which cannot."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def plan_of(leaves: Sequence[tuple[tuple[str, ...], int]], depth: int = 0) -> Plan:
    """The plan of a tree from the paths of its leaves, each with the number of its column.

    >>> plan_of([(("id",), 0), (("spec", "task"), 1), (("spec", "seed"), 2)])
    [('id', 0), ('spec', [('task', 1), ('seed', 2)])]
    """
    plan: Plan = []
    for key, below in groupby(leaves, key=lambda leaf: leaf[0][depth]):
        inner = list(below)
        is_leaf = len(inner[0][0]) == depth + 1
        plan.append((key, inner[0][1] if is_leaf else plan_of(inner, depth + 1)))
    return plan


def built(plan: Plan, getters: Sequence[Callable[[int], Any]], row: int) -> dict[str, Any]:
    """The tree of a plan, from the getter of each column."""
    return {key: getters[inner](row) if isinstance(inner, int) else built(inner, getters, row) for key, inner in plan}
