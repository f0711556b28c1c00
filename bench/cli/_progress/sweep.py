"""Progress of a sweep on stderr: one live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.cli._messages import with_options
from bench.executors import Executor, OnRecord
from bench.results import Record, percent
from bench.scheduling import PlanProgress, describe_jobs, waiting_for
from bench.specs import Spec

LINES_EVERY = 10.0
"""Seconds without a line after which a line names the jobs that are running."""
FIRST_LINES = 5
"""The number of records that are printed one by one; later ones are only counted."""


def sweep_progress(tally: PlanProgress, runs: Executor) -> AbstractContextManager[OnRecord]:
    """Show the progress of a sweep until the block ends; yields a function to call with records, or None in between.

    :param tally: counts the records before they come here.
    :param runs: the executor that runs it.
    """
    return _bar(tally, runs) if sys.stderr.isatty() else _lines(tally, runs)


def _outcome(record: Record, name_of: Callable[[Spec], str]) -> str:
    result = f"test {percent(record['final']['test_accuracy'])}"
    words = result if record["error"] is None else with_options(" ".join(record["error"]["message"].split()))
    spec = Spec.from_dict(record["spec"])
    return f"{name_of(spec)}, seed {spec.seed}: {record['status']}, {words}"


@contextmanager
def _bar(tally: PlanProgress, runs: Executor) -> Iterator[OnRecord]:
    columns = (BarColumn(bar_width=30), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(tally.summary(), total=tally.total)

        def told(record: Record | None) -> None:
            if record is not None and record["status"] != "done":
                bars.console.print(_outcome(record, tally.name_of), markup=False, highlight=False)
            bars.update(task, completed=tally.over, description="\n".join(tally.lines(runs)))

        yield told


@contextmanager
def _lines(tally: PlanProgress, runs: Executor) -> Iterator[OnRecord]:
    last, waited = tally.started, False

    def say(text: str) -> None:
        nonlocal last
        last = time.monotonic()
        print(f"[{last - tally.started:6.1f} s] {text}", file=sys.stderr, flush=True)

    def told(record: Record | None) -> None:
        nonlocal waited
        if record is not None and (record["status"] != "done" or tally.over <= FIRST_LINES):
            say(_outcome(record, tally.name_of))
        begins, waited = bool(runs.channel.leased_elsewhere) and not waited, bool(runs.channel.leased_elsewhere)
        if begins or time.monotonic() - last > LINES_EVERY:
            jobs = describe_jobs(runs.running_jobs(), tally.name_of)
            rest = f"under way: {jobs}" if jobs else waiting_for(runs.channel)
            say("; ".join(filter(None, [tally.summary(), tally.best_so_far(), rest])))

    yield told
    say("; ".join(filter(None, [tally.summary(), tally.best_so_far()])))
