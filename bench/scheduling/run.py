"""Run what a plan leaves to do: one way for a request and for a grid."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import joblib

from bench.errors import RequestError, StoreError
from bench.executors import Board, Executor, Told, board, check_model_path, executor
from bench.results import Lease, Record, Store
from bench.scheduling.grid import Grid
from bench.scheduling.plan import Plan, Step
from bench.scheduling.planner import plan, plan_sweep
from bench.scheduling.queue import CellQueue

Display = Callable[[Sequence[Step], Board], AbstractContextManager[Callable[[Record], None]]]
"""Shows how far cells are that report to a board; yields what is told of each record."""
SweepDisplay = Callable[[Plan, Executor], AbstractContextManager[Told]]
"""Shows how far a plan is while an executor runs it; yields what is told of each record, and of None in between."""


def run(
    *,
    save_model: str | Path | None = None,
    jobs: int | None = None,
    display: Display | None = None,
    **request: Any,
) -> list[Record]:
    """Run the cells of a request, one for each seed, and return their records in the order of the seeds.

    Cells that are stored already are returned as they are; a larger budget extends them. Another process may use the
    results folder at the same time: no cell is computed twice.

    :param save_model: a file for the fitted pipeline; with several seeds it contains ``{seed}``.
    :param jobs: worker processes; None takes one for each core, at most one for each cell.
    :param display: makes a progress display.
    :param request: all arguments of `plan`.
    :raises RequestError: where anything in the request is wrong; nothing ran.
    :raises StoreError: where the results folder fails; what was computed is in its ``records``.

    >>> [record] = run(encoder="phasor", learner="ridge", modulus=13, results=None)
    >>> record["final"]["test_accuracy"]
    1.0
    """
    return run_plan(plan(**request), jobs, display, save_model)


def sweep(
    grid: "Grid | Mapping[str, Any] | str | Path",
    *,
    jobs: int | None = None,
    display: SweepDisplay | None = None,
    **request: Any,
) -> Iterator[Record]:
    """Run a grid; the records of its cells in its order.

    Cells that are stored already are not computed again, a larger budget extends them, and after an interruption the
    same call goes on. Another process may sweep the same folder at the same time: no cell is done twice.

    :param jobs: worker processes on the CPU; None takes one for each core.
    :param display: makes a progress display.
    :param request: all other arguments of `plan_sweep`.
    :raises RequestError: where anything in the grid is wrong; nothing ran.
    :raises StoreError: where the results folder fails.
    """
    planned = plan_sweep(grid, **request)
    execute(planned, jobs, display)
    return planned.records()


def run_plan(
    planned: Plan, jobs: int | None = None, display: Display | None = None, save_model: str | Path | None = None
) -> list[Record]:
    """Run what a plan leaves to do; the records of all its cells that have one, in the plan's order.

    :raises StoreError: where a record could not be kept; what was computed is in its ``records``.
    """
    found = {step.spec.id: step.record for step in planned.steps if step.action == "done"}
    todo = [step for step in planned.steps if step.action != "done"]

    @contextmanager
    def shown(_: Plan, runs: Executor) -> Iterator[Told]:
        with display(todo, runs.board) if display else nullcontext(lambda record: None) as finished:
            yield lambda record: None if record is None else finished(record)

    execute(planned, jobs, shown, save_model, found)
    ids = map(planned.id, range(len(planned)))
    records = [record for id in ids if (record := found.get(id)) is not None]
    if planned.problems:
        raise StoreError(planned.problems[0], records)
    return records


def execute(
    planned: Plan,
    jobs: int | None = None,
    display: SweepDisplay | None = None,
    save_model: str | Path | None = None,
    found: dict[str, Record | None] | None = None,
) -> bool:
    """Run what a plan leaves to do; whether it got to its end.

    :param found: takes the record of every cell that this call computes, or finds computed by another process.
    :raises RequestError: where a plan cannot be run so.
    :raises StoreError: where the results folder fails.
    """
    if jobs is not None and jobs < 1:
        raise RequestError(f"`jobs` must be an integer ≥ 1, got {jobs}.")
    model = None if save_model is None else str(save_model)
    if model is not None:
        check_model_path(model, len(planned))
    if planned.results is not None:
        Store(planned.results, create=True)
    if not len(planned.todo) and model is None:
        return True
    with board() as on, ExitStack() as stack:
        lease = None if planned.results is None else stack.enter_context(closing(Lease(planned.results)))
        queue = CellQueue(planned, lease, jobs or joblib.cpu_count(), model)
        runs = executor()(queue.devices, on, here=queue.here)
        shown = stack.enter_context(display(planned, runs) if display else nullcontext(lambda record: None))

        def told(record: Record | None) -> None:
            if record is not None and found is not None:
                found[record["id"]] = record
            shown(record)

        whole = runs.run(queue, told)
    planned.busy, planned.spent, planned.troubles = runs.busy, runs.spent, runs.troubles
    planned.problems = runs.problems + queue.problems
    if found is not None:
        found |= queue.covered
    elif planned.problems and not whole:
        raise StoreError(planned.problems[0])
    return whole
