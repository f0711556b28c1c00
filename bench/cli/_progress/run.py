"""Progress on stderr: live bars on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, groupby, repeat

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from bench.cli._messages import with_options
from bench.executors import Channel
from bench.harness import CellProgress
from bench.results import Record, duration, percent, ranges
from bench.scheduling import PlannedCell, accuracy_range, waiting_for

REFRESH = 0.2
MANY = 8
"""With more seeds than this, bars of finished seeds are hidden."""
LINES_AFTER = (1.0, 2.0, 5.0, 10.0)
"""Seconds between plain lines; the last pause is repeated."""


def progress(todo: Sequence[PlannedCell], channel: Channel) -> AbstractContextManager[Callable[[Record], None]]:
    """Show the progress of cells until the block ends; yields a function to call with each finished record."""
    return _bars(todo, channel) if sys.stderr.isatty() else _lines(todo, channel)


@contextmanager
def _bars(todo: Sequence[PlannedCell], channel: Channel) -> Iterator[Callable[[Record], None]]:
    name, note = TextColumn("{task.description}"), TextColumn("{task.fields[note]}", markup=False)
    columns = (name, BarColumn(bar_width=None), note, _Left())
    with Progress(*columns, console=Console(stderr=True), expand=True) as bars:
        total = bars.add_task("all", total=len(todo), note="", visible=len(todo) > 1)
        tasks: dict[str, TaskID] = {}
        for step in todo:
            done = step.record["final"]["step"] or 0 if step.record and step.action in ("extend", "resume") else 0
            title, whole = f"seed {step.spec.seed}", max(1, step.budget.steps)
            tasks[step.id] = bars.add_task(title, total=whole, completed=done, note="", start=False, visible=False)

        def show() -> None:
            if waits := waiting_for(channel):
                bars.update(total, note=waits, visible=True)
            for moment in channel.progress():
                task = tasks.get(moment.id)
                if task is not None and not bars.tasks[task].finished:
                    if not bars.tasks[task].started:
                        bars.start_task(task)
                    note = moment.note or f"{moment.step:,}/{moment.budget:,} {_accuracies(moment)}"
                    reached = moment.budget if moment.over else moment.step
                    bars.update(task, completed=reached, note=note, visible=True)

        def finished(record: Record) -> None:
            if record["id"] in tasks:
                task, status = tasks[record["id"]], "" if record["status"] == "done" else f"{record['status']} "
                step = "" if record["error"] else f"{record['final']['step'] or 0:,} "
                note = f"{status}{step}{_outcome(record)}"
                bars.update(task, completed=bars.tasks[task].total, note=note, visible=len(todo) <= MANY)
                bars.update(total, advance=1, note=f"{int(bars.tasks[total].completed) + 1} of {len(todo)} seeds")

        with _polling(show, [REFRESH]):
            yield finished


class _Left(ProgressColumn):
    """The time left of a task that is running."""

    def render(self, task: Task) -> Text:
        """The time left, as "12 s left"."""
        left = None if task.finished else task.time_remaining
        return Text("" if left is None else f"{duration(left)} left")


@contextmanager
def _lines(todo: Sequence[PlannedCell], channel: Channel) -> Iterator[Callable[[Record], None]]:
    seeds = {step.id: step.spec.seed for step in todo}
    started = time.monotonic()
    over: set[str] = set()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", file=sys.stderr, flush=True)

    def show() -> None:
        if waits := waiting_for(channel):
            say(waits)
        running = [m for m in channel.progress() if m.budget and m.id in seeds and not (m.over or m.id in over)]
        for (step, budget, note), side_by_side in groupby(sorted(running, key=_place), key=_place):
            moments = list(side_by_side)
            several = len(moments) > 1
            left = (budget - step) * moments[0].seconds / max(1, step)
            accuracies = (
                f"test {accuracy_range([m.test_accuracy for m in moments])}" if several else _accuracies(moments[0])
            )
            progress = note or f"{moments[0].how_far}, about {left:.0f} s left, {accuracies}"
            say(f"seed{'s' if several else ''} {ranges([seeds[m.id] for m in moments])}: {progress}")

    def finished(record: Record) -> None:
        over.add(record["id"])
        if record["id"] in seeds:
            say(f"seed {record['spec']['seed']}: {record['status']}, {_outcome(record)}")

    with _polling(show, LINES_AFTER):
        yield finished


def _outcome(record: Record) -> str:
    """The test accuracy, or the message of the error."""
    if record["error"]:
        return with_options(record["error"]["message"])
    return f"test {percent(record['final']['test_accuracy'])}"


def _place(moment: CellProgress) -> tuple[int, int, str]:
    return moment.step, moment.budget, moment.note


def _accuracies(moment: CellProgress) -> str:
    return f"train {percent(moment.train_accuracy)} test {percent(moment.test_accuracy)}"


@contextmanager
def _polling(call: Callable[[], object], pauses: Sequence[float]) -> Iterator[None]:
    """Call a function after each of these pauses, the last of which is repeated, until the block ends."""
    over = threading.Event()

    def poll() -> None:
        for pause in chain(pauses, repeat(pauses[-1])):
            if over.wait(pause):
                return
            call()

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
