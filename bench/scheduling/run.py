"""Run cells from Python, as the command line does."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import joblib

from bench.errors import RequestError, StoreError
from bench.executors.channel import Board, board
from bench.executors.jobs import Job, Result, Unit
from bench.executors.models import check_model_path
from bench.executors.worker import run_jobs
from bench.results import environment
from bench.results.record import Record
from bench.results.store import Store
from bench.scheduling.devices import THREADS, places
from bench.scheduling.plan import Plan
from bench.scheduling.planner import plan
from bench.specs.budget import count_train

__all__ = ["Display", "check_run", "execute", "run"]

Display = Callable[["Plan", Board], AbstractContextManager[Callable[[Record], None]]]


def run(
    *,
    save_model: str | Path | None = None,
    jobs: int | None = None,
    display: Display | None = None,
    results: str | Path | None = "results",
    **request: Any,
) -> list[Record]:
    """Run the cells of a request, one for each seed, and return their records in the order of the seeds.

    Cells that are stored already are returned as they are; a larger budget extends them.

    :param save_model: a file for the fitted pipeline; with several seeds it contains ``{seed}``.
    :param jobs: worker processes; None takes one for each core, at most one for each cell.
    :param display: makes a progress display.
    :param results: the results folder, None to keep nothing.
    :param request: all arguments of `plan`.
    :raises RequestError: where anything in the request is wrong; nothing ran.
    :raises StoreError: where the results folder fails; what was computed is in its ``records``.

    >>> [record] = run(encoder="phasor", learner="ridge", modulus=13, results=None)
    >>> record["final"]["test_accuracy"]
    1.0
    """
    planned = plan(results=results, **request)
    check_run(planned, save_model, jobs)
    return execute(planned, save_model, jobs, display)


def check_run(planned: Plan, model: str | Path | None, jobs: int | None) -> None:
    """Raise RequestError where a plan cannot be run so."""
    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs must be an integer ≥ 1, got {jobs}.")
    if model is not None:
        check_model_path(str(model), len(planned.steps))


def execute(
    planned: Plan, model: str | Path | None = None, jobs: int | None = None, display: Display | None = None
) -> list[Record]:
    """Run what a plan leaves to do; the records of all its cells that have one, in the plan's order."""
    if planned.results is not None:
        Store(planned.results, create=True)
    todo = _jobs(planned, None if model is None else str(model), jobs or joblib.cpu_count())
    outcomes: list[Result] = []
    if todo:
        with board() as on, display(planned, on) if display else nullcontext(lambda record: None) as finished:
            outcomes = run_jobs(todo, on, jobs or joblib.cpu_count(), finished)
    found = {step.spec.id: step.record for step in planned.steps if step.action == "done"}
    found |= {result.record["id"]: result.record for result in outcomes}
    records = [record for step in planned.steps if (record := found.get(step.spec.id)) is not None]
    problems = [result.problem for result in outcomes if result.problem]
    if problems:
        raise StoreError(problems[0], records)
    return records


def _jobs(planned: Plan, model: str | None, cores: int) -> list[Job]:
    """What is to run, in groups that train side by side."""
    source = environment.source_state()
    groups: dict[Any, list[Unit]] = {}
    for number, step in enumerate(planned.steps):
        if step.action == "done" and model is None:
            continue
        structure = step.spec.make_learner().structure(count_train(step.spec))
        groups.setdefault(number if structure is None or step.action == "done" else structure, []).append(
            Unit(
                step.spec,
                step.budget,
                prior=step.record if step.action in ("extend", "resume", "done") else None,
                recalled=step.action == "done",
                model=None if model is None else model.replace("{seed}", str(step.spec.seed)),
            )
        )
    jobs = []
    for key, units in groups.items():
        updates = sum(unit.budget.steps for unit in units)
        alone = [(planned.device, THREADS)]
        parts = places(planned.device, len(units), updates, cores) if isinstance(key, tuple) else alone
        for number, (device, threads) in enumerate(parts):
            share = tuple(units[number :: len(parts)])
            jobs.append(Job(share, device, threads, planned.results, planned.force, source))
    return jobs
