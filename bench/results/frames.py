"""A results folder as two tables of pandas.

It stands in this wing since the tables are the folder in another form: nothing is ranked, left out or computed.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.errors import StoreError, optional_package
from bench.results.columns import CURVE_COLUMNS, RUN_COLUMNS, described_columns, setting_order, settings_of
from bench.results.faults import told_of_faults
from bench.results.packs.read import open_store
from bench.results.record import Record, goes_further


class Frames(NamedTuple):
    """The tables of `load`, each a `pandas.DataFrame`.

    :param runs: a row for each record.
    :param curves: a row for each evaluation of each record.
    """

    runs: Any
    curves: Any


def load(results: str | Path | Sequence[str | Path] = "results", *, skip_broken: bool = False) -> Frames:
    """What a results folder holds, as two tidy tables of pandas: a row for each record, a row for each evaluation.

    Parameters of task, encoder and learner are columns like ``learner.width``, and those of an optimizer's parts like
    ``adamw.lr``, missing where a run has none of that name. Numbers that a record lacks are missing, too.
    ``runs.attrs["broken"]`` lists records that were left out.

    >>> import bench
    >>> runs, curves = bench.load("results")  # doctest: +SKIP
    >>> runs.groupby("label").test_accuracy.median()  # doctest: +SKIP
    >>> curves.merge(runs[["id", "adamw.lr"]], on="id")  # doctest: +SKIP

    :param results: a folder or several; of a record that is in more than one, the one that goes further counts, and of
        equal ones the first.
    :param skip_broken: leave out records that cannot be read.
    :raises RequestError: where pandas is missing, or a folder does not exist.
    :raises StoreError: where a record cannot be read.
    """
    pandas = optional_package("pandas", "frames", "A table")
    folders = [results] if isinstance(results, str | Path) else list(results)
    records, broken = _read(folders, skip_broken)
    runs, curves = _runs(pandas, list(records.values())), _curves(pandas, list(records.values()))
    runs.attrs["broken"] = broken
    return Frames(runs, curves)


load.__doc__ = f"{load.__doc__}\n{described_columns()}"


def _read(folders: Iterable[str | Path], skip_broken: bool) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The records of all folders by id, each with its folder, and the ids of those that cannot be read."""
    records: dict[str, dict[str, Any]] = {}
    broken, faults = [], []
    for folder in folders:
        store = open_store(folder)
        store.check_curves("all", "a table of curves")
        for id in store.ids():
            try:
                record = store.read(id)
                if record is not None:
                    row = _checked(record, str(folder), str(store.path(id)))
                    if id not in records or goes_further(record, records[id]):  # type: ignore[arg-type]
                        records[id] = row
            except StoreError as error:
                broken.append(id)
                faults.append(error)
    if faults and not skip_broken:
        which = "it" if len(faults) == 1 else "them"
        raise StoreError(f"{told_of_faults(faults)} `skip_broken` leaves {which} out.") from faults[0]
    return records, [id for id in broken if id not in records]


def _checked(record: Record, folder: str, path: str) -> dict[str, Any]:
    """The record with its folder.

    :raises StoreError: where a value is not what its column holds.
    """
    row: dict[str, Any] = {**record, "results": folder}
    try:
        for name, column in RUN_COLUMNS.items():
            column.check(name, column.value(row))
        lengths = {name: len(values) for name, values in record["curve"].items()}  # type: ignore[arg-type]
        if set(lengths.values()) - {len(record["curve"]["step"])}:
            raise ValueError("the parts of its curve are of different lengths")  # noqa: TRY301
        np.array(list(record["curve"].values()), float)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        remedy = "Move it away, or compute it anew with `force`."
        raise StoreError(f"The record {path!r} is damaged: {error}. {remedy}") from error
    return row


def _runs(pandas: Any, records: Sequence[Mapping[str, Any]]) -> Any:
    columns = {
        name: pandas.array([column.value(record) for record in records], dtype=column.kind)
        for name, column in RUN_COLUMNS.items()
    }
    settings = [settings_of(record["spec"]) for record in records]
    for name in sorted({name for row in settings for name in row}, key=setting_order):
        columns[name] = pandas.Series([_grouped_by(row.get(name)) for row in settings], dtype=object).infer_objects()
    return pandas.DataFrame(columns)


def _grouped_by(value: Any) -> Any:
    """The value with a tuple in place of a list: a column is to be grouped by."""
    return tuple(value) if isinstance(value, list) else value


def _curves(pandas: Any, records: Sequence[Mapping[str, Any]]) -> Any:
    lengths = [len(record["curve"]["step"]) for record in records]
    ids = pandas.Categorical.from_codes(np.repeat(np.arange(len(records)), lengths), [r["id"] for r in records])
    steps = [np.array(record["curve"]["step"], np.int64) for record in records]
    columns = {"id": ids, "step": np.concatenate([np.zeros(0, np.int64), *steps])}
    others = dict.fromkeys(name for record in records for name in record["curve"])
    for name in [
        *(name for name in CURVE_COLUMNS if name not in columns),
        *(n for n in others if n not in CURVE_COLUMNS),
    ]:
        parts = [
            np.array(record["curve"].get(name, [None] * n), float) for record, n in zip(records, lengths, strict=True)
        ]
        columns[name] = np.concatenate([np.zeros(0), *parts])
    return pandas.DataFrame(columns)
