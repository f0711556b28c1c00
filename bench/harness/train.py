"""The harness measures time, evaluates and stops; the learner only trains.

Learners receive nothing from test pairs, and the decision to stop does not use them either.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from bench.harness.background_probes import Prober
from bench.harness.evaluation import Evaluator
from bench.harness.outcome import CellProgress, CheckpointError, Outcome, progress_of, record_of
from bench.harness.pace import Clock, Pace, charged
from bench.harness.replica import Replica, begin_replica, status_of
from bench.results import PARTS, Record, State, finite
from bench.specs import Budget, Cell
from learners import Learner, Setting, Training

SAVED_TOGETHER = 64
"""Cells whose checkpoints are in memory at the same time when they are saved."""
SAVE_SPACING = 50.0
"""The least time between two saves of cells in training, as a multiple of the time that a save takes."""
PROGRESS_EVERY = 0.2
"""Seconds between two reports of progress."""

Save = Callable[[Sequence[tuple[int, Outcome]]], None]
Keep = Callable[[int, int, State], None]
"""Receives the number of a cell, a step and its state there."""


def train_cells(
    cells: Sequence[Cell],
    budgets: Sequence[Budget],
    save: Save,
    priors: Sequence[tuple[Record, State] | None] = (),
    on_progress: Callable[[Sequence[CellProgress]], None] = lambda cells: None,
    should_stop: Callable[[], bool] = lambda: False,
    clock: Clock | None = None,
    device: str = "cpu",
    save_every: float = 60.0,
    probe_cache: Path | None = None,
    repeats: int = 1,
    keep_states: int = 0,
    keep: Keep = lambda r, step, state: None,
) -> None:
    """Train cells of equal structure side by side until each is over.

    :param save: receives outcomes with the numbers of their cells: of cells that are over, at once, so that an error of
        one cell cannot lose another; of cells in training, as interrupted, from time to time.
    :param priors: for each cell a stored record and its checkpoint to continue from, or None.
    :param on_progress: receives the progress of all cells: after evaluations, a few times a second at most, at the end,
        and when something delays the training.
    :param should_stop: is called about twice a second; True ends the cells as interrupted after an evaluation.
    :param clock: started when the preparation of the cells began; None starts one.
    :param device: the device of the training.
    :param save_every: seconds between two saves of cells in training; more if a save takes long.
    :param probe_cache: a folder in which probes are cached for cells that share their encoding.
    :param repeats: the expected number of such trainings one after another, this one included.
    :param keep_states: the number of evaluations of each cell, spread over the logarithm of the step, whose states
        ``keep`` receives; a state's arrays may change as the training goes on.
    :raises CheckpointError: if a checkpoint does not fit its cell.
    """
    priors = list(priors) or [None] * len(cells)
    records = [prior and prior[0] for prior in priors]
    replicas = [begin_replica(*each, keep_states) for each in zip(cells, budgets, records, strict=True)]
    with closing(Prober(replicas, device, probe_cache)) as prober:
        run = _TrainingRun(replicas, prober, save, keep, on_progress, clock or Clock())
        run.begin(priors, device, repeats)
        run.train(should_stop, save_every)


class _TrainingRun:
    """Replicas that train side by side."""

    training: Training

    def __init__(
        self,
        replicas: Sequence[Replica],
        prober: Prober,
        save: Save,
        keep: Keep,
        on_progress: Callable[[Sequence[CellProgress]], None],
        clock: Clock,
    ) -> None:
        self.replicas, self.prober, self.save, self.keep = replicas, prober, save, keep
        self.on_progress, self.clock = on_progress, clock
        self.evaluation_steps = sorted(frozenset[int]().union(*(replica.evaluation_steps for replica in replicas)))
        self.evaluator = Evaluator([replica.cell for replica in replicas])
        self.pace = Pace()
        self.reported_at = -PROGRESS_EVERY

    def begin(self, priors: Sequence[tuple[Record, State] | None], device: str, repeats: int) -> None:
        """Create the training, and restore the checkpoints of cells that continue."""
        cells = [replica.cell for replica in self.replicas]
        steps, looks, precision = self.evaluation_steps[-1], len(self.evaluation_steps), cells[0].spec.precision
        spans = {(replica.step, replica.budget.steps) for replica in self.replicas}
        leaving = len(spans) > 1 or any(replica.budget.stop_when_solved for replica in self.replicas)
        setting = Setting(device, precision, steps, looks, self._report, repeats, leaving)
        with charged("train", self.replicas):
            learners, problems = [cell.learner for cell in cells], [cell.problem for cell in cells]
            self.training = type(learners[0]).begin(learners, problems, setting)
            for r, prior in enumerate(priors):
                if prior is not None:
                    record, state = prior
                    _restore(self.training, r, record["id"], record["final"]["step"] or 0, state)

    def train(self, should_stop: Callable[[], bool], save_every: float) -> None:
        """Train, evaluate and save until every cell is over."""
        saved_at = self.clock.elapsed
        for step in self.evaluation_steps:
            while active := [r for r, replica in enumerate(self.replicas) if replica.has_ahead(step)]:
                replicas = [self.replicas[r] for r in active]
                with charged("train", replicas, self.training):
                    reached = self.pace.advance(self.training, step, active, self.replicas)
                stop, pairs = should_stop(), list(zip(active, replicas, strict=True))
                self._evaluate(
                    [r for r, x in pairs if stop or x.out_of_time or (reached == step and step in x.evaluation_steps)],
                    stop,
                )
                if reached == step:
                    for replica in replicas:
                        replica.passed = step
            began = self.clock.elapsed
            if began - saved_at > save_every and (current := self._evaluated_at_their_step()):
                self._save(current)
                saved_at = self.clock.elapsed
                save_every = max(save_every, SAVE_SPACING * (saved_at - began))

    def _evaluated_at_their_step(self) -> list[int]:
        """The replicas in training whose last evaluation was at their present step; only these can be saved."""
        running = ((r, x) for r, x in enumerate(self.replicas) if x.status == "running")
        return [r for r, x in running if x.curve["step"][-1:] == [x.step]]

    def _evaluate(self, active: Sequence[int], stop: bool) -> None:
        """Evaluate some replicas; save those that are over."""
        if not active:
            return
        with charged("evaluate", [self.replicas[r] for r in active], self.training):
            self._append_to_curves(active)
        for r in active:
            self.replicas[r].status = status_of(self.replicas[r], stop)
        for r in active:
            if (
                self.replicas[r].status in ("running", "interrupted")
                and self.replicas[r].step in self.replicas[r].kept_steps
            ):
                self.keep(r, self.replicas[r].step, self.training.state(r))
        over = [r for r in active if self.replicas[r].status != "running"]
        finished = all(replica.status != "running" for replica in self.replicas)
        if finished or self.clock.elapsed - self.reported_at > PROGRESS_EVERY:
            self.reported_at = self.clock.elapsed
            self._report()
        for r in over:
            with charged("probes", [self.replicas[r]]):
                self.replicas[r].probes = self.prober.result(r)
        self._save(over)

    def _append_to_curves(self, active: Sequence[int]) -> None:
        look = self.training.look(active, [self.evaluator.rows[r] for r in active])
        losses = self.replicas[active[0]].cell.learner.losses
        evaluations = self.evaluator.evaluate(look.scores, active, losses)
        vitals = {name: np.asarray(values, dtype=np.float64).tolist() for name, values in look.vitals.items()}
        for i, (r, found) in enumerate(zip(active, evaluations, strict=True)):
            replica, diverged = self.replicas[r], bool(look.diverged[i])
            replica.curve["step"].append(replica.step)
            for part in PARTS:
                replica.curve[f"{part}_accuracy"].append(None if diverged else found.accuracy[part])
                replica.curve[f"{part}_loss"].append(None if diverged else found.loss[part])
            replica.diagonal = None if diverged else found.diagonal
            if diverged:
                replica.status = "diverged"
            for name, values in vitals.items():
                replica.curve.setdefault(name, []).append(finite(values[i]))

    def _report(self, note: str = "") -> None:
        elapsed = self.clock.elapsed
        self.on_progress([progress_of(replica, elapsed, note) for replica in self.replicas])

    def _save(self, some: Sequence[int]) -> None:
        for first in range(0, len(some), SAVED_TOGETHER):
            self.save([(r, self._outcome(r)) for r in some[first : first + SAVED_TOGETHER]])

    def _outcome(self, r: int) -> Outcome:
        number = len(self.replicas)
        record = record_of(self.replicas[r], self.training, r, self.clock.elapsed / number, number)
        return Outcome(record, lambda: self.training.state(r), lambda: self.training.learner(r))


def _restore(training: Training, r: int, id: str, step: int, state: State) -> None:
    try:
        training.restore(r, state)
        if int(state["step"]) != step:
            raise ValueError("it is of another step")  # noqa: TRY301
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise CheckpointError(id, error) from error


def learners_at(
    cell: Cell, steps: Sequence[int], stored: Callable[[int], State | None] = lambda step: None
) -> Iterator[tuple[int, Learner]]:
    """The fitted learner of a cell at each of these steps, on the CPU: one object, which changes from step to step.

    :param steps: increasing.
    :param stored: its state at a step; where that is None, it is trained from the step before, where it misfits, anew.
    :raises CheckpointError: where the state of the last step does not fit.
    """
    setting = Setting("cpu", cell.spec.precision, steps[-1])
    begin = partial(type(cell.learner).begin, [cell.learner], [cell.problem], setting)
    training = begin()
    for step in steps:
        state = stored(step)
        try:
            if state:
                _restore(training, 0, cell.spec.id, step, state)
        except CheckpointError:
            if step == steps[-1]:
                raise
            state, training = None, begin()  # a part of what does not fit may have been restored
        if not state:
            training.advance(step, [0])
        yield step, training.learner(0)


def restored_learner(cell: Cell, record: Record, state: State | None) -> Learner:
    """The fitted learner of a record: from its checkpoint, or trained again if that is gone."""
    return next(learners_at(cell, [record["final"]["step"] or 0], lambda step: state))[1]
