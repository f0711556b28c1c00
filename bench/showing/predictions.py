"""What the learner of a stored record answers to every pair: from its checkpoint, or trained anew."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np

from bench.errors import RequestError
from bench.executors import Job, WorkUnit, open_channel, run_job
from bench.reports import Predictions
from bench.results import Record, RecordSource, about, many, open_store, percent
from bench.specs import Budget, Spec, prepare

AGREE = 1e-9


def predictions_of(
    id: str, *, results: str | Path = "results", say: Callable[[str], None] | None = None
) -> Predictions:
    """What the learner of a record answers to every pair of its split.

    The learner comes from the checkpoint of the record. Where there is none, it is trained anew, on the CPU and alone:
    a run of a fleet or of a GPU then comes out the same up to rounding. Nothing is stored.

    :param id: the id of the record or an unambiguous beginning of it.
    :param say: receives a line that says what is done, and how long it took before, ahead of the work.
    :raises RequestError: where the folder or the record does not exist, the run failed, or this version cannot make it.
    :raises StoreError: where the record cannot be read.
    """
    store = open_store(results)
    return predicted(store, store.find(id), say)


def predicted(store: RecordSource, record: Record, say: Callable[[str], None] | None = None) -> Predictions:
    """The same for a record of a source that is open."""
    spec, step = remade_spec(record), record["final"]["step"] or 0
    has_checkpoint = is_restorable(store, record)
    how = _how(record, step, has_checkpoint)
    if say is not None:
        say(how)
    with tempfile.TemporaryDirectory() as folder, open_channel() as channel:
        model = Path(folder) / "model.joblib"
        unit = WorkUnit(spec, Budget(step), record, model_only=True, model=str(model))
        threads = record["environment"]["threads"]
        [result] = run_job(
            Job((unit,), threads=threads, results=str(store.location) if has_checkpoint else None), channel
        )
        if result.problem:
            raise RequestError(f"The learner of {record['id']} cannot be made again: {result.problem}")
        cell = prepare(spec)
        rows = np.concatenate([cell.split.train, cell.split.validation, cell.split.test])
        predicted_N = np.asarray(joblib.load(model).predict(cell.task.pairs_N2[rows]), np.int64)
    test = slice(len(rows) - len(cell.split.test), None)
    accuracy = float((predicted_N[test] == cell.task.answers_N[rows[test]]).mean()) if len(cell.split.test) else None
    return Predictions(
        title=f"{record['label']}, seed {record['spec']['seed']} · {cell.task.formula}",
        pairs_N2=cell.task.pairs_N2[rows],
        answers_N=cell.task.answers_N[rows],
        predicted_N=predicted_N,
        trained_N=np.arange(len(rows)) < len(cell.split.train),
        n_operands=cell.task.n_operands,
        n_classes=cell.task.n_classes,
        told=(how, *_differs(record, accuracy)),
    )


def is_restorable(source: RecordSource, record: Record) -> bool:
    """Whether a sound checkpoint of the record's last step is there."""
    step = record["final"]["step"] or 0
    return source.checkpoints is not None and source.checkpoints.read(record["id"], step) is not None


def remade_spec(record: Record) -> Spec:
    """The spec of a record that this version can make again.

    :raises RequestError: where the run failed, or other versions of its plugins made it.
    """
    if record["final"]["step"] is None:
        raise RequestError(f"The record {record['id']!r} failed: there is no learner.")
    spec = Spec.from_dict(record["spec"])
    if spec.id != record["id"]:
        raise RequestError(f"The record {record['id']!r} was made by other versions of its plugins: {spec.versions}.")
    return spec


def _how(record: Record, step: int, has_checkpoint: bool) -> str:
    name, steps = f"Record {record['id'][:8]}", many(step, "step")
    if has_checkpoint:
        return f"{name}, from its checkpoint at {steps}."
    if not step:
        return f"{name}, fitted anew: its learner takes no steps."
    took = about(record["seconds"].get("train", record["seconds"]["total"]))
    return f"{name}, trained anew for want of a checkpoint: {steps}, which took {took} then."


def _differs(record: Record, accuracy: float | None) -> list[str]:
    """A sentence where the learner is not that of the record."""
    then = record["final"]["test_accuracy"]
    if then is None or accuracy is None or abs(then - accuracy) < AGREE:
        return []
    return [f"Now {percent(accuracy)} of the test pairs are right; the record says {percent(then)}."]
