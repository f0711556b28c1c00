"""Runs the cells of a plan that are not done, for a request or for a grid."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from bench.errors import RequestError, StoreError
from bench.executors import Channel, Executor, OnRecord, check_model_path, check_variables, open_channel
from bench.results import Lease, Record, Store, tell_set_aside
from bench.scheduling.grid import Grid
from bench.scheduling.plan import Plan, PlannedCell
from bench.scheduling.planner import plan, plan_sweep
from bench.scheduling.progress import PlanProgress
from bench.scheduling.queue import CellQueue

Display = Callable[[Sequence[PlannedCell], Channel], AbstractContextManager[Callable[[Record], None]]]
"""Shows the progress of cells that report to a channel; yields a callback for the record of each."""
SweepDisplay = Callable[[PlanProgress, Executor], AbstractContextManager[OnRecord]]
"""Shows the progress of a plan in an executor; yields a callback for each record, which is counted already."""


def run(
    *,
    save_model: str | Path | None = None,
    jobs: int | None = None,
    display: Display | None = None,
    executor: str = "local",
    **request: Any,
) -> list[Record]:
    """Run the cells of a request, one for each seed, and return their records in the order of the seeds.

    Stored records are returned unchanged; a larger budget extends them. Several processes may use the results folder at
    the same time, and no cell is computed twice.

    :param save_model: the file for the fitted pipeline; its path contains ``{seed}`` if there are several seeds.
    :param jobs: the number of worker processes; None is one for each core, at most one for each cell.
    :param display: shows the progress.
    :param executor: where jobs run: "local", or "dask:" and the address of a scheduler.
    :param request: all arguments of `plan`.
    :raises RequestError: if anything in the request is invalid; nothing ran.
    :raises StoreError: if the results folder cannot be read or written; its ``records`` are those computed.

    >>> [record] = run(encoder="phasor", learner="ridge", modulus=13, results=None)
    >>> record["final"]["test_accuracy"]
    1.0
    """
    return run_plan(plan(executor=executor, **request), jobs, display, save_model)


def sweep(
    grid: "Grid | Mapping[str, Any] | str | Path",
    *,
    jobs: int | None = None,
    display: SweepDisplay | None = None,
    executor: str = "local",
    **request: Any,
) -> Iterator[Record]:
    """Run the cells of a grid, and return their records in the order of the grid.

    Stored cells are not computed again, a larger budget extends them, and after an interruption the same call
    continues. Several processes may sweep the same folder at the same time, and no cell is computed twice.

    :param grid: a YAML file, or the mapping that it would hold.
    :param jobs: the number of worker processes on the CPU; None is one for each core.
    :param display: shows the progress.
    :param executor: where jobs run: "local", or "dask:" and the address of a scheduler.
    :param request: all other arguments of `plan_sweep`.
    :raises RequestError: if anything in the grid is invalid; nothing ran.
    :raises StoreError: if the results folder cannot be read or written.
    """
    planned = plan_sweep(grid, executor=executor, **request)
    execute(planned, jobs, display)
    return planned.records()


def run_plan(
    planned: Plan,
    jobs: int | None = None,
    display: Display | None = None,
    save_model: str | Path | None = None,
) -> list[Record]:
    """Run the cells of a plan that are not done, and return the records of all its cells in the order of the plan.

    :raises StoreError: if a record could not be written; its ``records`` are those computed.
    """
    found = {cell.id: cell.record for cell in planned.steps if cell.action == "done"}
    todo = [cell for cell in planned.steps if cell.action != "done"]

    @contextmanager
    def shown(_: PlanProgress, runs: Executor) -> Iterator[OnRecord]:
        with display(todo, runs.channel) if display else nullcontext(lambda record: None) as on_record:
            yield lambda record: None if record is None else on_record(record)

    def records() -> list[Record]:
        return [record for id in map(planned.id, range(len(planned))) if (record := found.get(id)) is not None]

    try:
        execute(planned, jobs, shown, save_model, found)
    except StoreError as error:
        error.records = records()
        raise
    if planned.problems:
        raise StoreError(planned.problems[0], records())
    return records()


def _check_models(planned: Plan) -> None:
    """Raise RequestError where a model would have to be made of a record of schema 1."""
    for cell in planned.steps:
        if cell.id != cell.spec.id:
            raise RequestError(f"The record {cell.id} has schema 1, of which no model is made: `force` trains anew.")


def _read(store: Store, ids: Collection[str], problems: list[str]) -> dict[str, Record | None]:
    """Records by id; messages about those that cannot be read are added to the problems."""
    found = {}
    for id in ids:
        try:
            found[id] = store.read(id)
        except StoreError as error:
            problems.append(str(error))
    return found


def execute(
    planned: Plan,
    jobs: int | None = None,
    display: SweepDisplay | None = None,
    save_model: str | Path | None = None,
    found: dict[str, Record | None] | None = None,
) -> bool:
    """Run the cells of a plan that are not done; returns False if a stop was requested.

    :param found: receives the record of every cell that this call, or another process meanwhile, has computed.
    :raises RequestError: if an argument is invalid.
    :raises StoreError: if the results folder cannot be read or written.
    """
    if jobs is not None and jobs < 1:
        raise RequestError(f"`jobs` must be an integer ≥ 1, got {jobs}.")
    check_variables()
    model = None if save_model is None else str(save_model)
    if model is not None:
        check_model_path(model, len(planned))
        _check_models(planned)
    store = None if planned.results is None else Store(planned.results, create=True)
    if store is not None and planned.damaged:
        tell_set_aside(store.set_damaged_aside(planned.damaged))
    if not len(planned.todo) and model is None:
        return True
    if store is not None:
        with store.locked():  # an error comes before anything is trained
            pass
    with open_channel(planned.results) as channel, ExitStack() as stack:
        channel.results = planned.results
        lease = None if planned.results is None else stack.enter_context(closing(Lease(planned.results)))
        queue = CellQueue(planned, lease, jobs, model)
        runs = planned.executor(queue.devices, channel, queue.in_process)
        progress = PlanProgress(planned, len(runs.devices))
        show = stack.enter_context(display(progress, runs) if display else nullcontext(lambda record: None))

        def on_record(record: Record | None) -> None:
            if record is not None:
                progress.add(record)
                if found is not None:
                    found[record["id"]] = record
            if lease is not None:
                lease.publish(planned.title, lambda: progress.lines(runs))
            show(record)

        whole = runs.run(queue, on_record)
    planned.busy, planned.spent, planned.failures = runs.busy, runs.spent, runs.failures
    planned.problems = runs.problems + queue.problems
    tell_set_aside(queue.damaged)
    if found is not None and queue.store is not None:
        found |= _read(queue.store, queue.done_elsewhere - found.keys(), planned.problems)
    elif planned.problems and not whole:
        raise StoreError(f"{planned.problems[0]} What is stored is kept; the same command goes on.")
    return whole
