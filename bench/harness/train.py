"""The harness owns time, evaluation and stopping; the learner only trains.

Nothing that a learner is given, and nothing that decides when it stops, comes from test pairs.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.harness.evaluation import Judge
from bench.harness.outcome import CheckpointError, Moment, Outcome, moment, record_of
from bench.harness.pace import Clock, Pace, charged
from bench.harness.prober import Prober
from bench.harness.replica import Replica, begin_replica, status_of
from bench.results import PARTS, Record, State, finite
from bench.specs import Budget, Cell
from learners import Learner, Setting, Training

KEPT_TOGETHER = 64


KEEPING = 50.0
"""Of a run's time, at most one part in so many goes to keeping what is not yet over."""


TOLD_EVERY = 0.2
"""Seconds between two times that somebody who watches is told."""


def train_cells(
    cells: Sequence[Cell],
    budgets: Sequence[Budget],
    keep: Callable[[Sequence[tuple[int, Outcome]]], None],
    priors: Sequence[tuple[Record, State] | None] = (),
    watch: Callable[[Sequence[Moment]], None] = lambda moments: None,
    should_stop: Callable[[], bool] = lambda: False,
    clock: Clock | None = None,
    device: str = "cpu",
    keep_every: float = 60.0,
    probed: Path | None = None,
    repeats: int = 1,
) -> None:
    """Train cells of equal structure side by side until each is done.

    :param keep: is given the outcomes of cells, each with its place, once they are over, and what there is of them, as
        interrupted, from time to time: what happens to one cell cannot lose another.
    :param priors: for each cell a stored record and its state to go on from, or None.
    :param watch: is told how far all cells are: after evaluations, a few times a second at most, at the end, and when
        something keeps the training from going on.
    :param should_stop: is asked about twice a second; True ends the cells as interrupted, with all that they have.
    :param clock: started when the preparation of the cells was; None starts one.
    :param device: where to train.
    :param keep_every: seconds between two times that what there is is kept; more where keeping takes long.
    :param probed: a folder in which probes of encodings are remembered, for cells that differ in their learner alone.
    :param repeats: how many such trainings follow one another, this one included, as far as anybody knows.
    :raises CheckpointError: where a state is not of its cell.
    """
    run = _Run(cells, budgets, list(priors) or [None] * len(cells), keep, watch, clock or Clock())
    run.begin(device, probed, repeats)
    run.go(should_stop, keep_every)


class _Run:
    """Cells in training side by side."""

    training: Training
    prober: "Prober"

    def __init__(
        self,
        cells: Sequence[Cell],
        budgets: Sequence[Budget],
        priors: Sequence[tuple[Record, State] | None],
        keep: Callable[[Sequence[tuple[int, Outcome]]], None],
        watch: Callable[[Sequence[Moment]], None],
        clock: Clock,
    ) -> None:
        self.keep, self.watch, self.clock, self.priors = keep, watch, clock, priors
        grids: dict[tuple[int, int], frozenset[int]] = {}
        each = zip(cells, budgets, self.priors, strict=True)
        self.replicas = [begin_replica(cell, budget, prior, grids) for cell, budget, prior in each]
        self.grid = sorted(frozenset().union(*grids.values()))
        self.judge = Judge(cells)
        self.pace = Pace()
        self.told_at = -TOLD_EVERY

    def begin(self, device: str, probed: Path | None, repeats: int = 1) -> None:
        """Make what trains, and bring it to where it was."""
        cells = [replica.cell for replica in self.replicas]
        steps, looks, precision = self.grid[-1], len(self.grid), cells[0].spec.precision
        spans = {(replica.step, replica.budget.steps) for replica in self.replicas}
        leaving = len(spans) > 1 or any(replica.budget.stop_when_solved for replica in self.replicas)
        setting = Setting(device, precision, steps, looks, self._announce, repeats, leaving)
        self.prober = Prober(self.replicas, device, probed)
        try:
            with charged("train", self.replicas):
                learners, problems = [cell.learner for cell in cells], [cell.problem for cell in cells]
                self.training = type(learners[0]).begin(learners, problems, setting)
                for r, prior in enumerate(self.priors):
                    if prior is not None:
                        _restore(self.training, r, prior)
        except BaseException:
            self.prober.close()
            raise

    def go(self, should_stop: Callable[[], bool], keep_every: float) -> None:
        """Train, look and keep until every cell is over."""
        try:
            self._go(should_stop, keep_every)
        finally:
            self.prober.close()

    def _go(self, should_stop: Callable[[], bool], keep_every: float) -> None:
        kept_at = self.clock.elapsed
        for step in self.grid:
            while waiting := [r for r, x in enumerate(self.replicas) if x.waits_for(step)]:
                with charged("train", [self.replicas[r] for r in waiting], self.training):
                    at = self.pace.advance(self.training, step, waiting, self.replicas)
                stop = should_stop()
                here = [(r, self.replicas[r]) for r in waiting]
                self._see([r for r, x in here if (at == step and step in x.grid) or stop or x.late], stop)
                for _, replica in here if at == step else ():
                    replica.passed = step
            began = self.clock.elapsed
            if began - kept_at > keep_every and (seen := self._seen_where_they_are()):  # none where only others end
                self._keep(seen)
                kept_at = self.clock.elapsed
                keep_every = max(keep_every, KEEPING * (kept_at - began))

    def _seen_where_they_are(self) -> list[int]:
        """Who goes on, and was looked at with the weights of now."""
        running = ((r, x) for r, x in enumerate(self.replicas) if x.status == "running")
        return [r for r, x in running if x.curve["step"][-1:] == [x.step]]

    def _see(self, seen: Sequence[int], stop: bool) -> None:
        """Look at some replicas; keep those that are over."""
        if not seen:
            return
        with charged("evaluate", [self.replicas[r] for r in seen], self.training):
            _evaluate(self.training, self.judge, seen, self.replicas)
        for r in seen:
            self.replicas[r].status = status_of(self.replicas[r], stop)
        over = [r for r in seen if self.replicas[r].status != "running"]
        finished = all(replica.status != "running" for replica in self.replicas)
        if finished or self.clock.elapsed - self.told_at > TOLD_EVERY:
            self.told_at = self.clock.elapsed
            self._tell()
        for r in over:
            with charged("probes", [self.replicas[r]]):
                self.replicas[r].probes = self.prober.ask(r)
        self._keep(over)

    def _tell(self, note: str = "") -> None:
        elapsed = self.clock.elapsed
        self.watch([moment(replica, elapsed, note) for replica in self.replicas])

    def _keep(self, some: Sequence[int]) -> None:
        """A few dozen at a time: their checkpoints are in memory together."""
        for first in range(0, len(some), KEPT_TOGETHER):
            self.keep([(r, self._outcome(r)) for r in some[first : first + KEPT_TOGETHER]])

    def _outcome(self, r: int) -> Outcome:
        number = len(self.replicas)
        record = record_of(self.replicas[r], self.training, r, self.clock.elapsed / number, number)
        return Outcome(record, lambda: self.training.state(r), lambda: self.training.learner(r))

    def _announce(self, words: str) -> None:
        self._tell(words)


def _restore(training: Training, r: int, prior: tuple[Record, State]) -> None:
    try:
        training.restore(r, prior[1])
        if int(prior[1]["step"]) != prior[0]["final"]["step"]:
            raise ValueError("it is of another step")  # noqa: TRY301
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise CheckpointError(prior[0]["id"], error) from error


def recall(cell: Cell, record: Record, state: State | None) -> Learner:
    """The fitted learner of a record: from its checkpoint, or trained anew where that is gone."""
    step = record["final"]["step"] or 0
    training = type(cell.learner).begin(
        [cell.learner], [cell.problem], Setting(precision=cell.spec.precision, steps=step)
    )
    if state:
        _restore(training, 0, (record, state))
    else:
        training.advance(step, [0])
    return training.learner(0)


def _evaluate(training: Training, judge: Judge, active: Sequence[int], replicas: Sequence[Replica]) -> None:
    """Append a point to the curves: what the learners say, measured against answers that they do not have."""
    look = training.look(active, [judge.rows[r] for r in active])
    verdicts = judge.measure(look.scores, active, replicas[active[0]].cell.learner.losses)
    vitals = {name: np.asarray(values, dtype=np.float64).tolist() for name, values in look.vitals.items()}
    for place, (r, verdict) in enumerate(zip(active, verdicts, strict=True)):
        curve, lost = replicas[r].curve, bool(look.diverged[place])
        curve["step"].append(replicas[r].step)
        for part in PARTS:
            curve[f"{part}_accuracy"].append(None if lost else verdict.accuracy[part])
            curve[f"{part}_loss"].append(None if lost else verdict.loss[part])
        replicas[r].diagonal = None if lost else verdict.diagonal
        if lost:
            replicas[r].status = "diverged"
        for name, values in vitals.items():
            curve.setdefault(name, []).append(finite(values[place]))
