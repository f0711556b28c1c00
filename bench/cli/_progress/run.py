"""Progress on stderr: live bars on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby, repeat

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from bench.executors import Channel
from bench.harness import CellProgress
from bench.results import Record, duration, percent, ranges
from bench.scheduling import PlannedCell

REFRESH = 0.2


MANY = 8
"""With more seeds, bars of finished ones give way to those that run."""


LINES_AFTER = (1.0, 2.0, 5.0, 10.0)
"""Pauses between plain lines: soon at first, the last one for ever."""


@contextmanager
def progress(todo: Sequence[PlannedCell], on: Channel) -> Iterator[Callable[[Record], None]]:
    """Show how far cells are until the block ends; yields what is to be told of finished records."""
    follow = _bars if sys.stderr.isatty() else _lines
    with follow(todo, on) as finished:
        yield finished


@contextmanager
def _bars(todo: Sequence[PlannedCell], on: Channel) -> Iterator[Callable[[Record], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[note]}"), _Left())
    with Progress(*columns, console=Console(stderr=True), expand=True) as bars:
        total = bars.add_task("all", total=len(todo), note="", visible=len(todo) > 1)
        tasks: dict[str, TaskID] = {}
        for step in todo:
            done = step.record["final"]["step"] or 0 if step.record and step.action in ("extend", "resume") else 0
            title, whole = f"seed {step.spec.seed}", max(1, step.budget.steps)
            tasks[step.spec.id] = bars.add_task(title, total=whole, completed=done, note="", start=False, visible=False)

        def show() -> None:
            for moment in on.progress():
                task = tasks.get(moment.id)
                if task is not None and not bars.tasks[task].finished:
                    if not bars.tasks[task].started:
                        bars.start_task(task)
                    note = moment.note or f"{moment.step:,}/{moment.budget:,} {_accuracies(moment)}"
                    reached = moment.budget if moment.over else moment.step
                    bars.update(task, completed=reached, note=note, visible=True)

        def finished(record: Record) -> None:
            task = tasks.get(record["id"])
            if task is None:
                return
            final, error = record["final"], record["error"]
            note = (
                f"{final['step'] or 0:,} test {percent(final['test_accuracy'])}" if error is None else error["message"]
            )
            note = note if record["status"] == "done" else f"{record['status']} {note}"
            bars.update(task, completed=bars.tasks[task].total, note=note, visible=len(todo) <= MANY)
            bars.update(total, advance=1, note=f"{int(bars.tasks[total].completed) + 1} of {len(todo)} seeds")

        with _polling(show, [REFRESH]):
            yield finished


class _Left(ProgressColumn):
    """Time left while running, nothing else."""

    def render(self, task: Task) -> Text:
        """As "12 s left"."""
        left = None if task.finished else task.time_remaining
        return Text("" if left is None else f"{duration(left)} left")


@contextmanager
def _lines(todo: Sequence[PlannedCell], on: Channel) -> Iterator[Callable[[Record], None]]:
    seeds = {step.spec.id: step.spec.seed for step in todo}
    started = time.monotonic()
    over: set[str] = set()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", file=sys.stderr, flush=True)

    def show() -> None:
        running = [m for m in on.progress() if m.budget and m.id in seeds and not (m.over or m.id in over)]
        for (step, budget, note), side_by_side in groupby(sorted(running, key=_place), key=_place):
            moments = list(side_by_side)
            who = f"seed{'s' if len(moments) > 1 else ''} {ranges([seeds[m.id] for m in moments])}"
            left = (budget - step) * moments[0].seconds / max(1, step)
            how = (
                f"{_accuracies(moments[0])}"
                if len(moments) == 1
                else f"test {_span([m.test_accuracy for m in moments])}"
            )
            say(f"{who}: {note}" if note else f"{who}: step {step:,} of {budget:,}, about {left:.0f} s left, {how}")

    def finished(record: Record) -> None:
        over.add(record["id"])
        if record["id"] not in seeds:
            return
        final = record["final"]
        result = f"test {percent(final['test_accuracy'])}" if record["error"] is None else record["error"]["message"]
        say(f"seed {record['spec']['seed']}: {record['status']}, {result}")

    with _polling(show, LINES_AFTER):
        yield finished


def _place(moment: CellProgress) -> tuple[int, int, str]:
    return moment.step, moment.budget, moment.note


def _span(accuracies: Sequence[float | None]) -> str:
    known = [a for a in accuracies if a is not None]
    return f"{percent(min(known))} to {percent(max(known))}" if known else percent(None)


def _accuracies(moment: CellProgress) -> str:
    return f"train {percent(moment.train_accuracy)} test {percent(moment.test_accuracy)}"


@contextmanager
def _polling(look: Callable[[], object], pauses: Sequence[float]) -> Iterator[None]:
    """Call ``look`` after each of these pauses, and after the last one again and again, while the block runs."""
    over = threading.Event()

    def poll() -> None:
        for pause in chain(pauses, repeat(pauses[-1])):
            if over.wait(pause):
                return
            look()

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
