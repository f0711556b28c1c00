"""Run cells: over the cores, stoppable within about a second without losing what is done."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from bench.errors import StoreError
from bench.executors.channel import Board
from bench.executors.gpus import local_name
from bench.executors.jobs import Job, Result, Unit
from bench.executors.lifetime import working_on_job
from bench.executors.memory import keep_freed_memory
from bench.executors.models import save_model
from bench.harness import CheckpointError, Clock, Outcome, blank_curve, recall, train_cells, trained_record
from bench.results import Environment, Record, State, Store, Trained, environment, sharing, source_digest
from bench.specs import Cell, prepare, registry


def run_job(job: Job, on: Board) -> list[Result]:
    """Run one job, in a worker process or here; nothing where a stop came before it began."""
    if on.stopped():
        return []
    keep_freed_memory()
    with sharing(job.lease), _threads(job), threadpool_limits(job.threads), warnings.catch_warnings(), working_on_job():
        warnings.simplefilter("ignore")
        return _Runner(job, on).run()


@contextmanager
def _threads(job: Job) -> Iterator[None]:
    """As many threads of torch as the job says, and no denormal numbers, where its learner uses torch.

    Weights that decay below 1e-38 make some processors take a slow path: a quadratic network of width 512 (lr 0.083,
    decay 1.1) took 84 ms a step with them, 16 without, to the same accuracy (one core of an Intel Xeon).
    """
    registry.learner(job.units[0].spec.learner["name"])  # imports torch, or does not
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads, flushed = torch.get_num_threads(), float(torch.tensor(1e-40) * 1) == 0
    torch.set_num_threads(job.threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


class _Runner:
    """Runs one job in this process and keeps what comes of it, cell by cell."""

    def __init__(self, job: Job, on: Board) -> None:
        self.job, self.on = job, on
        self.device = local_name(job.device)
        self.clock = Clock()
        self.results: dict[str, Result] = {}
        self.store = Store(job.results) if job.results else None
        self.forced = {unit.spec.id for unit in job.units} if job.force else set()

    def run(self) -> list[Result]:
        """Results in the order of the units."""
        try:
            return self._run()
        finally:
            self.on.post(self.job.name, [])

    def _run(self) -> list[Result]:
        environment.reset_peak_memory(self.device)
        try:
            self._train([unit for unit in self.job.units if not unit.recalled])
        except CheckpointError as error:
            spoiled = error.id
            units = [replace(unit, prior=None) if unit.spec.id == spoiled else unit for unit in self.job.units]
            self.job = replace(self.job, units=tuple(units))
            return self._run()
        for unit in self.job.units:
            if unit.recalled:
                self._recall(unit)
        return [self.results[unit.spec.id] for unit in self.job.units if unit.spec.id in self.results]

    def _train(self, units: Sequence[Unit]) -> None:
        cells: list[Cell] = []
        ready: list[Unit] = []
        known: dict[str, Any] = {}
        for unit in units:
            try:
                cells.append(prepare(unit.spec, known))
                ready.append(unit)
            except Exception as error:
                self._fail(unit, error)
        if not ready:
            return
        # A record that is trained to its end is told of; one that is kept from time to time is not.
        try:
            train_cells(
                cells,
                [unit.budget for unit in ready],
                lambda outcomes: self._finish([(ready[r], cells[r], outcome) for r, outcome in outcomes]),
                [self._prior(unit) for unit in ready],
                partial(self.on.post, self.job.name),
                self.on.stopped,
                self.clock,
                self.device,
                probed=self.on.folder,
                repeats=self.job.repeats,
            )
        except CheckpointError:
            raise
        except (Exception, SystemExit) as error:
            over = {id for id, result in self.results.items() if result.record["status"] != "interrupted"}
            left = [unit for unit in ready if unit.spec.id not in over]
            if len(left) == 1:
                self._fail(left[0], error)
            again = [self._from_what_is_kept(unit) for unit in left] if len(left) > 1 else []
            for half in (again[: len(again) // 2], again[len(again) // 2 :]):
                self.clock = Clock()  # what failed, and the other half, is no time of theirs
                self._train(half)  # whichever of them it is, the others go on

    def _from_what_is_kept(self, unit: Unit) -> Unit:
        """The cell, to go on from what was kept of it since it was begun."""
        if self.store is None or unit.spec.id in self.forced:
            return unit
        record = self.store.read(unit.spec.id)
        return replace(unit, prior=record) if record is not None and record["status"] == "interrupted" else unit

    def _prior(self, unit: Unit) -> tuple[Record, State] | None:
        """The stored record with its checkpoint; a run whose checkpoint is gone begins anew."""
        if unit.prior is None or self.store is None:
            return None
        state = self.store.checkpoints.read(unit.spec.id, unit.prior["final"]["step"])
        return None if state is None else (unit.prior, state)

    def _finish(self, some: Sequence[tuple[Unit, Cell, Outcome]]) -> None:
        """Keep records, then models: what cannot be saved must not cost what was trained."""
        records = [self._described(outcome.record, unit) for unit, _, outcome in some]
        states = [outcome.state() if self.store else {} for _, _, outcome in some]
        problems = self._keep(list(zip(records, states, strict=True)))
        for (unit, cell, outcome), record, found in zip(some, records, problems, strict=True):
            problem = found
            if unit.model and record["status"] not in ("interrupted", "diverged"):
                problem = save_model(cell, outcome.fitted(), Path(unit.model)) or problem
            self.results[unit.spec.id] = Result(record, problem)

    def _recall(self, unit: Unit) -> None:
        """Save the model of a stored record and leave the record as it is."""
        assert unit.prior is not None
        assert unit.model is not None
        problem: str | None
        try:
            cell = prepare(unit.spec)
            prior = self._prior(unit)
            learner = recall(cell, unit.prior, prior[1] if prior else None)
            problem = save_model(cell, learner, Path(unit.model))
        except CheckpointError as error:
            problem = str(error)
        self.results[unit.spec.id] = Result(unit.prior, problem)

    def _fail(self, unit: Unit, error: BaseException, status: str = "failed") -> None:
        trained = trained_record(unit.spec, unit.budget, status, blank_curve(), self.clock.elapsed, error=error)
        record = self._described(trained, unit)
        [problem] = self._keep([(record, {})])
        self.results[unit.spec.id] = Result(record, problem)

    def _described(self, trained: Trained, unit: Unit) -> Record:
        """The record with its environment and with the study that chose its settings."""
        described: Environment
        try:
            described = environment.describe(self.device, self.job.threads)
            peak = environment.peak_memory_bytes(self.device)
        except Exception:  # a device that does not answer is why the cell failed: the record must still be written
            described, peak = {**environment.describe("cpu", self.job.threads), "processor": None}, None
        described["device"] = self.job.device
        described["git_commit"], described["dirty"] = self.job.source
        described["sources"] = {
            "encoder": source_digest(registry.encoder(unit.spec.encoder["name"])),
            "learner": source_digest(registry.learner(unit.spec.learner["name"])),
        }
        record: Record = {**trained, "environment": described, "peak_memory_bytes": peak}
        tuning = unit.prior.get("tuning", self.job.tuning) if unit.prior else self.job.tuning
        if tuning is not None:
            record["tuning"] = dict(tuning)
        return record

    def _keep(self, items: Sequence[tuple[Record, State]]) -> list[str | None]:
        """Keep records and their checkpoints; returns what went wrong with each."""
        if self.store is None:
            return [None] * len(items)
        problems: list[StoreError | None]
        try:
            problems = self.store.keep_all(items, self.forced)
        except StoreError as error:
            problems = [error] * len(items)
        self.forced -= {record["id"] for record, _ in items}
        if any(problem and not problem.minor for problem in problems):
            self.on.stop()
        return [str(problem) if problem else None for problem in problems]


def failed(job: Job, on: Board, error: BaseException, status: str = "failed") -> list[Result]:
    """Keep that the cells of a job failed for a reason that no worker process could tell.

    What the job may have kept before stays: nothing is forced.
    """
    runner = _Runner(replace(job, force=False), on)
    for unit in job.units:
        runner._fail(unit, error, status)
    return list(runner.results.values())
