"""Runs one job, in a worker process or in the main process; a stop ends it within a second and stores its records."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from bench.errors import StoreError
from bench.executors.channel import Channel
from bench.executors.gpus import local_name
from bench.executors.jobs import Job, Result, WorkUnit
from bench.executors.lifetime import working_on_job
from bench.executors.memory import keep_freed_memory
from bench.executors.memory_store import MemoryStore
from bench.executors.models import save_model
from bench.harness import CheckpointError, Clock, Outcome, empty_curve, restored_learner, train_cells, trained_record
from bench.results import Environment, Record, State, Store, Trained, environment, sharing, source_digest
from bench.specs import Cell, Spec, own_settings, prepare, registry


def run_job(job: Job, channel: Channel, store: Store | MemoryStore | None = None) -> list[Result]:
    """Run one job; without any result if a stop is requested before it begins.

    :param store: where records and checkpoints go; by default the results folder of the job, if it has one.
    """
    if channel.stop_requested():
        return []
    with sharing(job.lease), arithmetic(job.units[0].spec, job.threads), working_on_job():
        return _Runner(job, channel, store).run()


@contextmanager
def arithmetic(spec: Spec, threads: int) -> Iterator[None]:
    """Arithmetic as cells are computed with: a number of threads, no warnings, freed memory kept.

    Defaults of NumPy, PyTorch and scikit-learn that the caller has set have no influence, and stay.
    """
    keep_freed_memory()
    with _threads(spec, threads), threadpool_limits(threads), own_settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _threads(spec: Spec, number: int) -> Iterator[None]:
    """Set the number of threads of torch and flush denormal numbers, if the learner uses torch.

    Some processors are slow with weights that have decayed below 1e-38: a quadratic network of width 512 (lr 0.083,
    decay 1.1) took 84 ms a step with them, 16 without, to the same accuracy (one core of an Intel Xeon).
    """
    registry.learner(spec.learner["name"])  # imports torch if it uses it
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    from learners.fleet import own_defaults

    with own_defaults():
        threads, flushed = torch.get_num_threads(), float(torch.tensor(1e-40) * 1) == 0
        torch.set_num_threads(number)
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_flush_denormal(flushed)


class _Runner:
    """Runs one job in this process and stores the record of each cell when it is over."""

    def __init__(self, job: Job, channel: Channel, store: Store | MemoryStore | None = None) -> None:
        self.job, self.channel = job, channel
        self.device = local_name(job.device)
        self.clock = Clock()
        self.results: dict[str, Result] = {}
        self.store = store or (Store(job.results) if job.results else None)
        self.forced = {unit.spec.id for unit in job.units} if job.force else set()
        self.not_kept: dict[str, str] = {}

    def run(self) -> list[Result]:
        """The results in the order of the units."""
        try:
            self._run()
        finally:
            self.channel.report(self.job.name, [])
        return [self.results[unit.spec.id] for unit in self.job.units if unit.spec.id in self.results]

    def _run(self) -> None:
        environment.reset_peak_memory(self.device)
        try:
            self._train([unit for unit in self.job.units if not unit.model_only])
        except CheckpointError as error:
            units = [replace(unit, prior=None) if unit.spec.id == error.id else unit for unit in self.job.units]
            self.job = replace(self.job, units=tuple(units))
            self._run()
            return
        for unit in self.job.units:
            if unit.model_only:
                self._save_stored_model(unit)

    def _train(self, units: Sequence[WorkUnit]) -> None:
        cells: list[Cell] = []
        ready: list[WorkUnit] = []
        known: dict[str, Any] = {}
        for unit in units:
            try:
                cells.append(prepare(unit.spec, known))
                ready.append(unit)
            except Exception as error:
                self._fail(unit, error)
        if not ready:
            return
        priors = [self._prior(unit) for unit in ready]
        if self.store is not None:
            for unit, prior in zip(ready, priors, strict=True):
                if prior is None:
                    self.store.states.remove(unit.spec.id)
        try:
            train_cells(
                cells,
                [unit.budget for unit in ready],
                lambda outcomes: self._finish([(ready[r], cells[r], outcome) for r, outcome in outcomes]),
                priors,
                partial(self.channel.report, self.job.name),
                self.channel.stop_requested,
                self.clock,
                self.device,
                probe_cache=self.channel.folder,
                repeats=self.job.repeats,
                keep_states=self.job.keep_states,
                keep=lambda r, step, state: self._keep(ready[r].spec.id, step, state),
            )
        except CheckpointError:
            raise
        except (Exception, SystemExit) as error:
            over = {id for id, result in self.results.items() if result.record["status"] != "interrupted"}
            left = [unit for unit in ready if unit.spec.id not in over]
            if len(left) == 1:
                self._fail(left[0], error)
            again = [self._with_saved_record(unit) for unit in left] if len(left) > 1 else []
            for half in (again[: len(again) // 2], again[len(again) // 2 :]):  # until the cell that fails is alone
                self.clock = Clock()  # the time of the failed attempt and of the other half is not charged
                self._train(half)

    def _with_saved_record(self, unit: WorkUnit) -> WorkUnit:
        """The unit, to continue from the record that was saved since it began."""
        if self.store is None or unit.spec.id in self.forced:
            return unit
        with suppress(StoreError):  # without it the cell begins anew
            record = self.store.read(unit.spec.id)
            if record is not None and record["status"] == "interrupted":
                return replace(unit, prior=record)
        return unit

    def _prior(self, unit: WorkUnit) -> tuple[Record, State] | None:
        """The stored record with its checkpoint; None if the checkpoint is gone, so that training starts at step 0."""
        if unit.prior is None or self.store is None:
            return None
        state = self.store.checkpoints.read(unit.spec.id, unit.prior["final"]["step"])
        return None if state is None else (unit.prior, state)

    def _keep(self, id: str, step: int, state: State) -> None:
        """Store a state along training; training goes on where that fails."""
        try:
            if self.store is not None:
                self.store.states.write(id, step, state)
        except StoreError as error:
            self.not_kept.setdefault(id, f"Its state at step {step:,} is not kept: {error}")

    def _finish(self, some: Sequence[tuple[WorkUnit, Cell, Outcome]]) -> None:
        """Store records, then models, so that an error with a model cannot lose a record."""
        records = [self._described(outcome.record, unit) for unit, _, outcome in some]
        states = [outcome.state() if self.store else {} for _, _, outcome in some]
        problems = self._store(list(zip(records, states, strict=True)))
        for (unit, cell, outcome), record, problem in zip(some, records, problems, strict=True):
            message = problem or self.not_kept.get(unit.spec.id)
            if unit.model and record["status"] not in ("interrupted", "diverged"):
                message = save_model(cell, outcome.fitted(), Path(unit.model)) or message
            self.results[unit.spec.id] = Result(record, message)

    def _save_stored_model(self, unit: WorkUnit) -> None:
        """Save the model of a stored record without a change of the record."""
        assert unit.prior is not None
        assert unit.model is not None
        try:
            cell, prior = prepare(unit.spec), self._prior(unit)
            learner = restored_learner(cell, unit.prior, prior[1] if prior else None)
            problem = save_model(cell, learner, Path(unit.model))
        except CheckpointError as error:
            problem = str(error)
        self.results[unit.spec.id] = Result(unit.prior, problem)

    def _fail(self, unit: WorkUnit, error: BaseException, status: str = "failed") -> None:
        trained = trained_record(unit.spec, unit.budget, status, empty_curve(), self.clock.elapsed, error=error)
        record = self._described(trained, unit)
        [problem] = self._store([(record, {})])
        self.results[unit.spec.id] = Result(record, problem)

    def _described(self, trained: Trained, unit: WorkUnit) -> Record:
        """The record with its environment and the study that chose its settings."""
        try:
            described: Environment = environment.describe(self.device, self.job.threads)
            peak = environment.peak_memory_bytes(self.device)
        except Exception:  # the device may be the cause of the failure; the record is written nevertheless
            described, peak = {**environment.describe("cpu", self.job.threads), "processor": None}, None
        described["device"] = self.job.device
        described["git_commit"], described["dirty"] = self.job.source
        described["sources"] = {
            "encoder": source_digest(registry.encoder(unit.spec.encoder["name"])),
            "learner": source_digest(registry.learner(unit.spec.learner["name"])),
            **{f"optimizer {name}": source_digest(registry.optimizer(name)) for name in unit.spec.optimizer_parts},
        }
        record: Record = {**trained, "environment": described, "peak_memory_bytes": peak}
        tuning = unit.prior.get("tuning", self.job.tuning) if unit.prior else self.job.tuning
        if tuning is not None:
            record["tuning"] = dict(tuning)
        return record

    def _store(self, items: Sequence[tuple[Record, State]]) -> list[str | None]:
        """Store records and their checkpoints; returns an error message or None for each."""
        if self.store is None:
            return [None] * len(items)
        try:
            problems: list[StoreError | None] = self.store.keep_all(items, self.forced)
        except StoreError as error:
            problems = [error] * len(items)
        self.forced -= {record["id"] for record, _ in items}
        if any(problem and not problem.minor for problem in problems):
            self.channel.request_stop()
        return [str(problem) if problem else None for problem in problems]


def failed(job: Job, channel: Channel, error: BaseException, status: str = "failed") -> list[Result]:
    """Store records of failed cells for a job whose worker process could not do so itself.

    Nothing is forced, so that records which the job has stored before it failed stay.
    """
    runner = _Runner(replace(job, force=False), channel)
    for unit in job.units:
        runner._fail(unit, error, status)
    return list(runner.results.values())


def keep_results(job: Job, channel: Channel, items: Sequence[tuple[Result, State]]) -> list[Result]:
    """Store the records and checkpoints of a job that ran where there is no results folder; returns its results."""
    problems = _Runner(job, channel)._store([(result.record, state) for result, state in items])
    return [replace(one, problem=problem or one.problem) for (one, _), problem in zip(items, problems, strict=True)]
