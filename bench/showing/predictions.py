"""What the learner of a stored record answers to every pair."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.reports import Predictions
from bench.results import Record, RecordSource, many, open_store, percent
from bench.showing.learners import remade
from bench.specs import Cell

AGREE = 1e-9


def predictions_of(
    id: str, *, results: str | Path = "results", say: Callable[[str], None] | None = None
) -> Predictions:
    """What the learner of a record answers to every pair of its split.

    A training pair is right where it is answered as it was taught: with label noise, that is not the task's answer.

    :param id: the id of the record or an unambiguous beginning of it.
    :param say: receives a line that says what is done, and how long it took before, ahead of the work.
    :raises RequestError: where the folder or the record does not exist, the run failed, or this version cannot make it.
    :raises StoreError: where the record cannot be read.
    """
    source = open_store(results)
    return predicted(source, source.find(id), say)


def predicted(source: RecordSource, record: Record, say: Callable[[str], None] | None = None) -> Predictions:
    """The same for a record of a source that is open."""
    with remade(source, record, say) as found:
        split, task, answers_N = found.cell.split, found.cell.task, found.cell.answers_N
        rows = np.concatenate([split.train, split.validation, split.test])
        [(_, learner)] = found.learners
        predicted_N = np.asarray(learner.predict(found.cell.encoder.codes(task.operands_NK[rows])), np.int64)
    test = slice(len(rows) - len(split.test), None)
    accuracy = float((predicted_N[test] == answers_N[rows[test]]).mean()) if len(split.test) else None
    return Predictions(
        title=found.title,
        operands_NK=task.operands_NK[rows],
        answers_N=answers_N[rows],
        predicted_N=predicted_N,
        trained_N=np.arange(len(rows)) < len(split.train),
        n_operands=task.n_operands,
        n_classes=task.n_classes,
        told=(found.how, *_differs(found.record, accuracy), *_on_noise(found.cell, predicted_N[: len(split.train)])),
    )


def _on_noise(cell: Cell, predicted_N: NDArray[np.int64]) -> list[str]:
    """How many of the training pairs that were taught a wrong answer repeat it, and how many are right all the same.

    :param predicted_N: the answers to all training pairs.
    """
    if not cell.spec.label_noise:
        return []
    right_N, given_N = (answers[cell.split.train] for answers in (cell.task.answers_N, cell.answers_N))
    noisy_N = right_N != given_N
    repeated, mended = (int((noisy_N & (predicted_N == answers)).sum()) for answers in (given_N, right_N))
    taught = f"{many(cell.n_noisy, 'training pair')} had a wrong answer"
    return [f"{taught}: {repeated:,} are answered as they were taught, {mended:,} with the right answer."]


def _differs(record: Record, accuracy: float | None) -> list[str]:
    """A sentence where the learner is not that of the record."""
    then = record["final"]["test_accuracy"]
    if then is None or accuracy is None or abs(then - accuracy) < AGREE:
        return []
    return [f"Now {percent(accuracy)} of the test pairs are right; the record says {percent(then)}."]
