"""Runs as a store of MLflow: a database of SQLite, which any version since 3 reads or migrates."""

import logging
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.results.columns import RUN_COLUMNS, as_text
from bench.results.exports.runs import evaluations_of, name_of, parameters_of
from bench.results.record import Record
from bench.results.source import RecordSource

FILE, EXPERIMENT = "mlflow.db", "mod97"
STATUS = {"failed": "FAILED", "timeout": "KILLED", "interrupted": "KILLED"}
"""How a run ended, where it is not FINISHED."""
TAGS = ("id", "results", "label", "status", "study", "device", "git_commit", "error")
"""Columns of cells that say what a run is."""
RESULTS = (
    *(name for name in RUN_COLUMNS if "steps_to_" in name),
    *("diagonal_accuracy", "seconds_total", "flops", "parameters"),
)
"""Columns of cells that are metrics without a step."""
AT_ONCE, LONGEST = 900, 5000
"""MLflow takes 1,000 numbers of a run at a time, and texts of 6,000 characters."""


def write(folder: Path, place: Path, records: Iterable[tuple[RecordSource, Record]]) -> None:
    """Write a database with a run for each record.

    :param folder: where it is written.
    :param place: where it will be.
    """
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):  # which tell how they make the database
        logging.getLogger(name).setLevel(logging.WARNING)
    client = MlflowClient(tracking_uri=f"sqlite:///{(folder / FILE).absolute()}")
    experiment = client.create_experiment(EXPERIMENT, artifact_location=(place.absolute() / "artifacts").as_uri())
    for source, record in records:
        _log(client, experiment, str(source.location), record)


def _log(client: Any, experiment: str, source: str, record: Record) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(1000 * time.time())
    run = client.create_run(experiment, start_time=now, run_name=name_of(record)).info.run_id
    row: dict[str, Any] = {**record, "results": source}
    values = {name: RUN_COLUMNS[name].value(row) for name in (*TAGS, *RESULTS)}
    tags = [RunTag(name, _text(values[name])) for name in TAGS if values[name] is not None]
    parameters = [Param(_key(name), _text(value)) for name, value in parameters_of(record).items()]
    client.log_batch(run, params=parameters[:100], tags=tags)
    for first in range(100, len(parameters), 100):
        client.log_batch(run, params=parameters[first : first + 100])
    metrics = [Metric(name, values[name], now, 0) for name in RESULTS if values[name] is not None]
    metrics += [Metric(_key(k), v, now, step) for step, some in evaluations_of(record) for k, v in some.items()]
    for first in range(0, len(metrics), AT_ONCE):
        client.log_batch(run, metrics=metrics[first : first + AT_ONCE])
    seconds = record["seconds"]["total"]
    client.set_terminated(run, STATUS.get(record["status"], "FINISHED"), end_time=now + round(1000 * seconds))


def _key(name: str) -> str:
    """A name of the letters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def _text(value: Any) -> str:
    return (as_text(value) or "")[:LONGEST]
