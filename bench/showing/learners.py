"""The learner of a stored record: from its checkpoints, or trained anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bench.errors import RequestError
from bench.executors import arithmetic
from bench.harness import CheckpointError, learners_at
from bench.results import SCHEMA, Record, RecordSource, State, about, evaluation_steps, evenly, many
from bench.specs import Cell, Spec, prepare, spec_of
from learners import Learner

STEPS = 40
"""Evaluations of a run that is trained anew, at which one looks inside its learner."""


class Remade(NamedTuple):
    """The learner of a record.

    :param how: where it comes from, in a sentence.
    :param learners: the learner at each step, one object that changes from step to step.
    """

    record: Record
    cell: Cell
    how: str
    learners: Iterator[tuple[int, Learner]]

    @property
    def title(self) -> str:
        """What was trained, in words."""
        return f"{self.record['label']}, seed {self.record['spec']['seed']} · {self.cell.task.formula}"


@contextmanager
def remade(
    source: RecordSource,
    record: Record,
    say: Callable[[str], None] | None = None,
    along: bool = False,
    check: Callable[[Cell], object] = lambda cell: None,
) -> Iterator[Remade]:
    """The learner of a record, to be used within the context.

    It comes from the checkpoint of the record, and with ``along`` from the states that `keep_states` has kept. Where
    there is none, it is trained anew, on the CPU and alone: a run of a fleet or of a GPU then comes out the same up to
    rounding. Nothing is stored.

    :param source: where the record is.
    :param say: receives a line that says what is done, and how long it took before, ahead of the work.
    :param along: the learner at steps along its training, too.
    :param check: raises an error, before any work, where the cell is not fit for what is asked.
    :raises RequestError: where the run failed, or this version cannot make it.
    """
    spec, last = remade_spec(record), record["final"]["step"] or 0
    cell = prepare(spec)
    check(cell)
    # The state of an optimizer has other names since schema 1.
    fits = record["schema"] == SCHEMA or spec.optimizer is None
    checkpoints, states = (source.checkpoints, source.states) if fits else (None, None)
    kept = [step for step in _kept(source, record) if 0 < step < last] if along and fits else []
    steps = [*kept, last]
    if along and last:
        evaluations = evaluation_steps(last, cell.learner.granularity(cell.n_train))[:-1]
        usual = [evaluations[place] for place in evenly(evaluations, STEPS)]
        # States of an extension begin late, and those of the run before it end early.
        steps += [step for step in usual if not kept or not kept[0] <= step <= kept[-1]]
    steps.sort()

    def stored(step: int) -> State | None:
        if step == last:
            return None if checkpoints is None else checkpoints.read(record["id"], step)
        return states.read(record["id"], step) if states is not None and step in kept else None

    anew = [step for step in steps if step not in kept and (step < last or stored(last) is None)]
    how = _how(record, last, kept, anew)
    if say is not None:
        say(how)
    with arithmetic(spec, record["environment"]["threads"]):
        try:
            yield Remade(record, cell, how, learners_at(cell, steps, stored))
        except CheckpointError as error:
            raise RequestError(f"The learner of {record['id']} cannot be made again: {error}") from error


def _kept(source: RecordSource, record: Record) -> list[int]:
    """The steps of the states that belong to the record: none that is newer, of a run that has not replaced it."""
    if source.states is None:
        return []
    written = source.path(record["id"]).stat().st_mtime_ns
    steps = source.states.steps(record["id"])
    return [step for step in steps if source.states.path(record["id"], step).stat().st_mtime_ns <= written]


def is_restorable(source: RecordSource, record: Record) -> bool:
    """Whether a sound checkpoint of the record's last step is there."""
    step = record["final"]["step"] or 0
    if record["schema"] != SCHEMA and record["spec"]["optimizer"] is not None:
        return False
    return source.checkpoints is not None and source.checkpoints.read(record["id"], step) is not None


def remade_spec(record: Record) -> Spec:
    """The spec of a record that this version can make again.

    :raises RequestError: where the run failed, or other versions of its plugins made it.
    """
    if record["final"]["step"] is None or record["status"] == "diverged":
        word = "diverged" if record["status"] == "diverged" else "failed"
        raise RequestError(f"The run {record['id']!r} {word}: there is no learner.")
    return spec_of(record)


def _how(record: Record, step: int, kept: list[int], anew: list[int]) -> str:
    """Where the learner comes from.

    :param anew: the steps at which no state is there, so that it is trained.
    """
    name, steps = f"Record {record['id'][:8]}", many(step, "step")
    if not step:
        return f"{name}, fitted anew: its learner takes no steps."
    states = f"{many(len(kept), 'state')} along training"
    if not anew:
        return f"{name}, from its checkpoint at {steps}{f', and {states}' if kept else ''}."
    took = about(record["seconds"].get("train", record["seconds"]["total"]))
    want = "a checkpoint" if anew == [step] else "a checkpoint or states along training"
    more = f" It has {states}, of steps {kept[0]:,} to {kept[-1]:,}." if kept else ""
    return f"{name}, trained anew for want of {want}: {steps}, which took {took} then.{more}"
