"""Sweeps: the cells of a grid, planned whole, run over all devices, and gone on with after whatever happens."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import joblib

from bench.errors import RequestError, StoreError
from bench.executors.channel import board
from bench.executors.local import Slots, UnderWay
from bench.results.leases import Lease
from bench.results.record import Record
from bench.results.store import Store
from bench.scheduling.grid import Grid
from bench.scheduling.plan import Sweep
from bench.scheduling.planner import plan_sweep
from bench.scheduling.queue import Queue

__all__ = ["sweep"]

Display = Callable[["Sweep", Callable[[], list[UnderWay]]], AbstractContextManager[Callable[[Record | None], None]]]
"""Takes a sweep and what tells what is under way; yields what is told of records, and of None in between."""


def sweep(
    grid: "Grid | Mapping[str, Any] | str | Path",
    *,
    jobs: int | None = None,
    display: Display | None = None,
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
    run_sweep(planned, jobs, display)
    return planned.records()


def run_sweep(planned: Sweep, jobs: int | None = None, display: Display | None = None) -> bool:
    """Run what a plan leaves to do; whether it got to its end."""
    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs must be an integer ≥ 1, got {jobs}.")
    Store(planned.results, create=True)
    if not len(planned.todo):
        return True
    with board() as on:
        lease = Lease(planned.results)
        try:
            queue = Queue(planned, lease, jobs or joblib.cpu_count())
            slots = Slots(queue.devices, on, lambda record: None)
            with display(planned, slots.under_way) if display else nullcontext(slots.finished) as slots.finished:
                went_on = slots.run(queue)
        finally:
            lease.close()
    planned.busy, planned.spent, planned.troubles = slots.busy, slots.spent, slots.troubles
    planned.problems = slots.problems + queue.problems
    if planned.problems and not went_on:
        raise StoreError(planned.problems[0])
    return went_on
