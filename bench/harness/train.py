"""The harness owns time, evaluation and stopping; the learner only trains.

Nothing that a learner is given, and nothing that decides when it stops, comes from test pairs.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness.evaluation import PARTS, Judge, finite
from bench.harness.probes import PROBES, Probes, remembered
from bench.results import curves as metrics
from bench.results.record import SCHEMA
from bench.results.store import Record, State
from bench.specs.cell import Cell
from bench.specs.resolve import Budget
from learners import Learner, Setting, Training

__all__ = ["PARTS", "CheckpointError", "Clock", "Moment", "Outcome", "recall", "solved", "train"]

SOLVED = 0.99
PROBERS = 4
"""Threads that probe encodings while a GPU trains."""
KEPT_TOGETHER = 64
KEEPING = 50.0
"""Of a run's time, at most one part in so many goes to keeping what is not yet over."""
TOLD_EVERY = 0.2
"""Seconds between two times that somebody who watches is told."""


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return time.perf_counter() - self.started


@dataclass(frozen=True)
class Moment:
    """What a display may show of a cell in training.

    :param note: what keeps the training from going on just now, in a few words.
    :param over: whether it is trained, while others of its group go on.
    """

    id: str
    step: int
    budget: int
    train_accuracy: float | None
    test_accuracy: float | None
    seconds: float
    note: str = ""
    over: bool = False


@dataclass
class _Replica:
    """One cell as the harness sees it.

    :param grid: the steps at which it is looked at: those of a run of its own, whatever its neighbours' budgets are.
    :param step: to which it is trained.
    :param passed: the last point of all cells' grids that it is beyond.
    """

    cell: Cell
    budget: Budget
    grid: frozenset[int]
    curve: dict[str, list[Any]]
    prior: Record | None
    step: int = 0
    passed: int = -1
    status: str = "running"
    diagonal: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    probes: Probes = field(default_factory=lambda: dict.fromkeys(PROBES))

    @property
    def granularity(self) -> int:
        """Updates between two moments at which it can be looked at."""
        return self.cell.learner.granularity(self.cell.n_train)

    @property
    def late(self) -> bool:
        """Whether its seconds are used up, those of the run that it goes on from included."""
        before = self.prior["seconds"]["total"] if self.prior else 0.0
        return self.budget.seconds is not None and before + sum(self.seconds.values()) >= self.budget.seconds

    def waits_for(self, step: int) -> bool:
        """Whether it has still to come to this point, and to be looked at there if it is one of its own."""
        return self.status == "running" and self.passed < step <= self.budget.steps


@dataclass(frozen=True)
class Outcome:
    """What comes of a cell, finished or so far.

    :param record: its record but for the environment.
    :param state: gives what is needed to go on from here; it can be large.
    :param fitted: gives the learner as of now.
    """

    record: Record
    state: Callable[[], State] = field(repr=False)
    fitted: Callable[[], Learner] = field(repr=False)


class CheckpointError(Exception):
    """A checkpoint does not fit the learner that it should be of.

    :param id: the record that it is of.
    """

    def __init__(self, id: str, why: object) -> None:
        super().__init__(f"The checkpoint of {id} does not fit: {why}")
        self.id = id


def train(
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
    prober: "_Prober"

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
        self.replicas = [_replica(cell, budget, prior, grids) for cell, budget, prior in each]
        self.grid = sorted(frozenset().union(*grids.values()))
        self.judge = Judge(cells)
        self.pace = _Pace()
        self.told_at = -TOLD_EVERY

    def begin(self, device: str, probed: Path | None, repeats: int = 1) -> None:
        """Make what trains, and bring it to where it was."""
        cells = [replica.cell for replica in self.replicas]
        steps, looks, precision = self.grid[-1], len(self.grid), cells[0].spec.precision
        spans = {(replica.step, replica.budget.steps) for replica in self.replicas}
        leaving = len(spans) > 1 or any(replica.budget.stop_when_solved for replica in self.replicas)
        setting = Setting(device, precision, steps, looks, self._announce, repeats, leaving)
        self.prober = _Prober(self.replicas, device, probed)
        try:
            with _charged("train", self.replicas):
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
                with _charged("train", [self.replicas[r] for r in waiting], self.training):
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
        with _charged("evaluate", [self.replicas[r] for r in seen], self.training):
            _evaluate(self.training, self.judge, seen, self.replicas)
        for r in seen:
            self.replicas[r].status = _status(self.replicas[r], stop)
        over = [r for r in seen if self.replicas[r].status != "running"]
        finished = all(replica.status != "running" for replica in self.replicas)
        if finished or self.clock.elapsed - self.told_at > TOLD_EVERY:
            self.told_at = self.clock.elapsed
            self._tell()
        for r in over:
            with _charged("probes", [self.replicas[r]]):
                self.replicas[r].probes = self.prober.ask(r)
        self._keep(over)

    def _tell(self, note: str = "") -> None:
        elapsed = self.clock.elapsed
        self.watch([_moment(replica, elapsed, note) for replica in self.replicas])

    def _keep(self, some: Sequence[int]) -> None:
        """A few dozen at a time: their checkpoints are in memory together."""
        for first in range(0, len(some), KEPT_TOGETHER):
            self.keep([(r, self._outcome(r)) for r in some[first : first + KEPT_TOGETHER]])

    def _outcome(self, r: int) -> Outcome:
        number = len(self.replicas)
        record = _record(self.replicas[r], self.training, r, self.clock.elapsed / number, number)
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


class _Pace:
    """Advances in slices of about half a second, so that somebody can say stop in between."""

    SLICE = 0.5

    def __init__(self) -> None:
        self.granules = 1

    def advance(self, training: Training, step: int, who: Sequence[int], replicas: Sequence[_Replica]) -> int:
        """Train them towards ``step``; returns how far they are."""
        granule = max(1, replicas[who[0]].granularity)
        behind = min(replicas[r].step for r in who)
        at = min(step, max(behind, 0) + self.granules * granule)
        start = time.perf_counter()
        training.advance(at, who)
        spent = time.perf_counter() - start
        done = (at - max(behind, 0)) / granule  # less than asked for where a point of the grid is near
        fitting = done * self.SLICE / max(spent, 1e-9)
        self.granules = max(1, min(int(fitting), 2 * self.granules))
        for r in who:
            replicas[r].step = max(replicas[r].step, at)
        return at


@contextmanager
def _charged(purpose: str, replicas: Sequence[_Replica], training: Training | None = None) -> Iterator[None]:
    """Charge the seconds of a block in equal shares to those that it was for; those of compiling go to compiling."""
    start, before = time.perf_counter(), training.compile_seconds if training else 0.0
    try:
        yield
    finally:
        compiling = training.compile_seconds - before if training else 0.0
        spent = {purpose: time.perf_counter() - start - compiling, "compile": compiling}
        for replica in replicas:
            for name, seconds in spent.items():
                replica.seconds[name] = replica.seconds.get(name, 0.0) + seconds / len(replicas)


def recall(cell: Cell, record: Record, state: State | None) -> Learner:
    """The fitted learner of a record: from its checkpoint, or trained anew where that is gone."""
    step = record["final"]["step"]
    training = type(cell.learner).begin(
        [cell.learner], [cell.problem], Setting(precision=cell.spec.precision, steps=step)
    )
    if state:
        _restore(training, 0, (record, state))
    else:
        training.advance(step, [0])
    return training.learner(0)


def _replica(
    cell: Cell,
    budget: Budget,
    prior: tuple[Record, State] | None,
    grids: dict[tuple[int, int], frozenset[int]],
) -> _Replica:
    """A cell at its start, or where it was.

    :param grids: of budgets and granularities, remembered for further cells.
    """
    key = budget.steps, cell.learner.granularity(cell.n_train)
    grid = grids[key] = grids.get(key) or frozenset(metrics.evaluation_steps(*key))
    curve: dict[str, list[Any]] = {"step": []}
    curve |= {f"{part}_{kind}": [] for kind in ("accuracy", "loss") for part in PARTS}
    if prior is None:
        return _Replica(cell, budget, grid, curve, None)
    # The last point of a shorter run may lie off the grid: a run without the interruption would not have it.
    record = prior[0]
    start = record["final"]["step"]
    assert start < budget.steps
    kept = [i for i, step in enumerate(record["curve"]["step"]) if step in grid]
    curve = {name: [values[i] for i in kept] for name, values in record["curve"].items()}
    return _Replica(cell, budget, grid, curve, record, start, start)


def _evaluate(training: Training, judge: Judge, active: Sequence[int], replicas: Sequence[_Replica]) -> None:
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


def _status(replica: _Replica, stop: bool) -> str:
    if replica.status == "diverged":
        return "diverged"
    if replica.step >= replica.budget.steps or (replica.budget.stop_when_solved and solved(replica.curve)):
        return "done"
    if replica.late:
        return "timeout"
    return "interrupted" if stop else "running"


def solved(curve: dict[str, list[Any]]) -> bool:
    """Whether validation, never test, has held 99 % to twice the step at which it got there."""
    return metrics.settled(curve["step"], curve["validation_accuracy"], SOLVED)


def _moment(replica: _Replica, seconds: float, note: str = "") -> Moment:
    train, test = ((replica.curve[f"{part}_accuracy"] or [None])[-1] for part in ("train", "test"))
    step, steps, over = replica.step, replica.budget.steps, replica.status != "running"
    return Moment(replica.cell.spec.id, step, steps, train, test, seconds, "" if over else note, over)


class _Prober:
    """What encodings give away: worked out in threads while a GPU trains, else when a cell is over."""

    def __init__(self, replicas: Sequence[_Replica], device: str, memory: Path | None) -> None:
        self.replicas, self.memory = replicas, memory
        self.pool = ThreadPoolExecutor(PROBERS) if device.startswith("cuda") else None
        self.begun = [self.pool.submit(self._probe, replica) for replica in replicas] if self.pool else []

    def ask(self, r: int) -> Probes:
        """The probes of a replica."""
        return self.begun[r].result() if self.begun else self._probe(self.replicas[r])

    def _probe(self, replica: _Replica) -> Probes:
        known = replica.prior["probes"] if replica.prior else {}
        if all(known.get(name) is not None for name in PROBES):
            return dict(known)
        return remembered(replica.cell, self.memory)

    def close(self) -> None:
        """Begin no more."""
        if self.pool:
            self.pool.shutdown(wait=False, cancel_futures=True)


def _record(replica: _Replica, training: Training, r: int, elapsed: float, replicas: int) -> Record:
    cell, curve = replica.cell, replica.curve
    final = {"step": curve["step"][-1]}
    final |= {f"{part}_{kind}": curve[f"{part}_{kind}"][-1] for kind in ("accuracy", "loss") for part in PARTS}
    return {
        "schema": SCHEMA,
        "id": cell.spec.id,
        "label": cell.spec.label,
        "status": "interrupted" if replica.status == "running" else replica.status,
        "spec": cell.spec.to_dict(),
        "budget": {
            "steps": replica.budget.steps,
            "seconds": replica.budget.seconds,
            "stop_when_solved": replica.budget.stop_when_solved,
        },
        "parameters": training.parameters(r),
        "final": final,
        **metrics.crossings(curve, PARTS),
        "test_accuracy_diagonal": replica.diagonal,
        "seconds": _seconds(replica, elapsed),
        "replicas": replicas,
        "compiled": training.compiled,
        "notices": list(training.notices),
        "flops": training.flops(r, final["step"]),
        "probes": replica.probes,
        "curve": curve,
        "error": None,
    }


def _seconds(replica: _Replica, elapsed: float) -> dict[str, float]:
    """Seconds of one replica by purpose, with those of the run that it goes on from.

    :param elapsed: an equal share of all seconds of its group; what no purpose accounts for is the harness.
    """
    purposes = ("train", "evaluate", "compile", "probes")
    spent = {purpose: replica.seconds.get(purpose, 0.0) for purpose in purposes}
    spent["harness"] = max(0.0, elapsed - sum(spent.values()))
    spent["total"] = sum(spent.values())
    before = replica.prior["seconds"] if replica.prior else {}
    return {name: value + before.get(name, 0.0) for name, value in spent.items()}
