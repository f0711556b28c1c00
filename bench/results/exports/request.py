"""``bench.export``: records as a file or a folder that other tools read."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.errors import RequestError, StoreError, notify, one_of, optional_package, os_errors_as
from bench.results.columns import CURVE_COLUMNS, FILTERS, RUN_COLUMNS
from bench.results.exports.runs import check_new, new_folder
from bench.results.exports.selection import Selection, named_sources, wanted_of
from bench.results.files import check_output, stage
from bench.results.merge import Progress, silent
from bench.results.source import RecordSource

ENDINGS = ("parquet", "csv")
ROWS = ("cells", "evaluations")
TOOLS = {"mlflow": "MLflow", "tensorboard": "TensorBoard"}
"""Those that take runs, by the field of a request, which is also the name of the package and of the extra."""


@dataclass
class Exported:
    """What `export` wrote.

    :param output: the file or folder.
    :param format: "parquet", "csv", "mlflow" or "tensorboard".
    :param records: the number of records.
    :param rows: the number of rows of a table; None of runs.
    :param columns: the names of its columns.
    :param bytes: the size of all files.
    :param broken: a message for each record that could not be used.
    """

    output: str
    format: str
    records: int = 0
    rows: int | None = None
    columns: list[str] = field(default_factory=list)
    bytes: int = 0
    broken: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def export(
    results: str | Path | Sequence[str | Path] = "results",
    *,
    output: str | Path | None = None,
    mlflow: str | Path | None = None,
    tensorboard: str | Path | None = None,
    rows: str = "cells",
    encoder: str | Sequence[str] | None = None,
    learner: str | Sequence[str] | None = None,
    optimizer: str | Sequence[str] | None = None,
    task: str | Sequence[str] | None = None,
    pairs: str | Sequence[str] | None = None,
    train_fraction: float | Sequence[float] | None = None,
    modulus: int | Sequence[int] | None = None,
    label_noise: float | Sequence[float] | None = None,
    skip_broken: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write what results folders and packs hold as a table, or as runs of MLflow or TensorBoard.

    Of several records of a cell the one that goes further is taken, of equal ones the first. What is written is there
    whole or not at all.

    >>> import bench, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = bench.run(encoder="onehot", learner="ridge", modulus=11, seeds=2, results=f"{folder}/results")
    ...     done = bench.export(f"{folder}/results", output=f"{folder}/runs.csv")
    >>> done.rows, done.columns[:3]
    (2, ['id', 'results', 'label'])

    :param results: a results folder or a pack, or several.
    :param output: a file of a table, which ends in .parquet or .csv.
    :param mlflow: a new folder for a database of MLflow, with a run for each record.
    :param tensorboard: a new folder for event files of TensorBoard, with a run for each record.
    :param rows: "cells": a row of the table for each record; "evaluations": a row for each evaluation of each record.
    :param skip_broken: leave out records that cannot be read.
    :param force: replace the file where there is one.
    :param progress: is called with the number of records that are read and of all records.
    :raises RequestError: for a request that is wrong, or a source that cannot be used; where no record passes the
        filters, or a package is missing.
    :raises StoreError: where a record cannot be read, or the file or folder cannot be written.
    """
    done = _checked({"output": output, "mlflow": mlflow, "tensorboard": tensorboard}, rows, force)
    values = encoder, learner, optimizer, task, pairs, train_fraction, modulus, label_noise
    wanted = wanted_of(dict(zip(FILTERS, values, strict=True)))
    selection = Selection(_opened(results, done, rows), wanted, progress or silent)
    write = _write_runs if done.format in TOOLS else _write_table
    write(selection, done, rows, skip_broken)
    done.records, done.broken = selection.kept, [str(fault) for fault in selection.faults]
    done.bytes = _size(Path(done.output))
    return done


def columns_of(rows: str) -> list[tuple[str, str, str, str]]:
    """The columns that every table of these rows has: name, type, unit, meaning.

    >>> columns_of("evaluations")[1]
    ('step', 'int64', 'updates', 'when it was evaluated')
    """
    from bench.results.exports.rows import COLUMNS

    types = {name: str(getattr(kind, "value_type", kind)) for name, kind in COLUMNS[rows].items()}
    if rows == "cells":
        return [(name, types[name], one.unit, one.meaning) for name, one in RUN_COLUMNS.items()]
    return [(name, types[name], unit, meaning) for name, (unit, meaning) in CURVE_COLUMNS.items()]


def _checked(given: Mapping[str, str | Path | None], rows: str, force: bool) -> Exported:
    """What is to be written, checked before anything is read."""
    asked = {name: path for name, path in given.items() if path is not None}
    if len(asked) != 1:
        raise RequestError("An export needs one of `output`, `mlflow` and `tensorboard`.")
    [(name, path)] = asked.items()
    if rows not in ROWS:
        raise RequestError(one_of("`rows`", rows, ROWS))
    if name in TOOLS:
        if force or rows != ROWS[0]:
            raise RequestError(
                f"`{'force' if force else 'rows'}` does not apply to `{name}`, which makes a new folder of runs."
            )
        check_new(name, path)
        if name == "mlflow":  # which is told before its import to send nothing anywhere
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        optional_package(name, name, f"An export to {TOOLS[name]}")
        return Exported(str(Path(path)), name)
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        raise RequestError(f"`output` must end in {' or '.join(f'.{one}' for one in ENDINGS)}, got {str(path)!r}.")
    with os_errors_as(RequestError, f"`output` cannot be written to {str(path)!r}"):
        check_output(path, staged=True)
        if Path(path).exists() and not force:
            raise RequestError(f"{str(path)!r} exists: `force` replaces it.")
    optional_package("pyarrow", "pack", "A table")
    return Exported(str(path), ending)


def _opened(results: str | Path | Sequence[str | Path], done: Exported, rows: str) -> list[RecordSource]:
    """The sources, with as much of the curves as is written.

    :raises RequestError: where one cannot be used.
    """
    sources = named_sources(results, done.output, "data export")
    if done.format in TOOLS or rows == "evaluations":
        for source in sources:
            source.check_curves("accuracy", "an export of evaluations")
            if source.curves == "accuracy":
                notify(
                    f"The pack {str(source.location)!r} holds only the accuracies of its curves: all else is missing."
                )
    return sources


def _write_table(selection: Selection, done: Exported, kind: str, skip_broken: bool) -> None:
    from bench.results.exports.batches import batches
    from bench.results.exports.rows import COLUMNS
    from bench.results.exports.spool import Spool
    from bench.results.exports.to_table import WRITERS

    path = Path(done.output)
    problem = f"{done.output!r} cannot be written"
    with os_errors_as(StoreError, problem), tempfile.TemporaryFile(dir=path.absolute().parent) as file:
        spool = Spool(file, COLUMNS[kind])
        for batch in batches(selection, kind):
            spool.add(batch)
        selection.check(skip_broken)
        stage(path, lambda written: WRITERS[done.format](written, spool)).keep()
        done.rows, done.columns = spool.rows, spool.schema().names


def _write_runs(selection: Selection, done: Exported, kind: str, skip_broken: bool) -> None:
    tool, path = import_module(f"bench.results.exports.to_{done.format}"), Path(done.output)
    with new_folder(path) as folder:
        tool.write(folder, path, selection.records())
        selection.check(skip_broken)


def _size(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
