"""Progress of a sweep on stderr: one live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.cli._messages import with_options
from bench.cli._progress.run import waiting_for
from bench.executors import Executor, OnRecord, RunningJob
from bench.harness import CellProgress
from bench.results import Record, about, percent, ranges
from bench.scheduling import Duration, Plan
from bench.specs import Spec

LINES_EVERY = 10.0
"""Seconds without a line after which a line names the jobs that are running."""
MOST_JOBS = 3
"""The number of running jobs that are named: those that take the longest."""
FIRST_LINES = 5
"""The number of records that are printed one by one; later ones are only counted."""

CONDITIONS: dict[str, Callable[[Spec], str]] = {
    "train_fraction": lambda spec: f"{100 * spec.train_fraction:g} % train",
    "modulus": lambda spec: f"mod {spec.modulus}" if spec.modulus is not None else "",
    "task": lambda spec: spec.task,
    "pairs": lambda spec: f"{spec.protocol} pairs",
}
"""Conditions of a cell that its label does not contain, by the key of a grid."""


def namer(planned: Plan) -> Callable[[Spec], str]:
    """A function that names a cell, without its seed, by its label and the conditions that differ within the sweep.

    As "onehot+concat → quadratic, 30 % train, mod 11".
    """
    values = {key: {getattr(entry.request, key) for entry in planned.entries} for key in CONDITIONS}
    differing = [describe for key, describe in CONDITIONS.items() if len(values[key]) > 1]
    return lambda spec: ", ".join(filter(None, [spec.label, *(describe(spec) for describe in differing)]))


class _Tally:
    """Counts finished cells and estimates the time left.

    The estimate is made from the times of cells of the same learner: of those stored before and those of this sweep.
    """

    def __init__(self, planned: Plan, slots: int) -> None:
        self.planned, self.name_of = planned, namer(planned)
        self.started = time.monotonic()
        self.total, self.over, self.bad, self.interrupted = len(planned.todo), 0, 0, 0
        self.took: dict[str, Duration] = {}
        self.done = 0.0
        self.stored = {planned.id(place): of_it for place, of_it in planned.stored.items()}
        self.pace, self.paced_at = 1.0 / max(1, min(slots, len(planned.todo))), self.started
        self.left: dict[str, list[float]] = {}
        for place in planned.todo.tolist():
            entry = planned.entries[planned.entry[place]]
            count = self.left.setdefault(planned.groups[entry.group].learner, [0, 0.0])
            count[0] += 1
            count[1] += max(1, entry.budget.steps) - planned.stored.get(place, (0, 0.0))[0]

    def add(self, record: Record) -> None:
        """Count a record."""
        if record["status"] == "interrupted":
            self.interrupted += 1
            return
        self.over += 1
        self.bad += record["status"] in ("failed", "timeout", "diverged")
        learner, (steps, seconds) = record["spec"]["learner"]["name"], self.stored.get(record["id"], (0, 0.0))
        left = self.left[learner]
        left[0] -= 1
        left[1] -= max(1, record["budget"]["steps"]) - steps
        self.took.setdefault(learner, Duration()).add(record)
        before = 0.0 if record["final"]["step"] is None else seconds  # a failed record does not include stored seconds
        self.done += max(0.0, record["seconds"]["total"] - before)
        # The ratio of wall time to the seconds of cells so far, which depends on slots and on pauses between jobs.
        self.paced_at = time.monotonic()
        if self.done > 0:
            self.pace = (self.paced_at - self.started) / self.done

    def seconds_left(self) -> tuple[float, int]:
        """The estimated seconds left, and the number of cells of learners without a finished cell."""
        here = {self.planned.duration_key(entry) for entry in self.planned.entries}
        known = {sort[0]: took for sort, took in self.planned.durations.items() if sort in here}
        known |= {name: took for name, took in self.took.items() if took.training or name not in known}
        ahead = {name: (cells, steps) for name, (cells, steps) in self.left.items() if cells > 0}
        unknown = sum(int(cells) for name, (cells, _) in ahead.items() if name not in known)
        seconds = sum(
            known[name].seconds(cells, max(0.0, steps)) for name, (cells, steps) in ahead.items() if name in known
        )
        return max(0.0, seconds * self.pace - (time.monotonic() - self.paced_at)), unknown

    def summary(self) -> str:
        """The counts and the time left in words.

        As "37 of 200 cells, 2 of them failed, about 5 min left and 30 cells of learners not seen yet", or after a stop
        "37 of 200 cells done, 2 interrupted, 161 not begun".
        """
        left, unknown = self.seconds_left()
        parts = [f"{self.over:,} of {self.total:,} cells{' done' if self.interrupted else ''}"]
        if self.bad:
            parts.append(f"{self.bad:,} of them failed, diverged or ran out of time")
        if self.interrupted:
            rest = self.total - self.over - self.interrupted
            parts += [f"{self.interrupted:,} interrupted", *([f"{rest:,} not begun"] if rest else [])]
        elif self.over < self.total and (left or not unknown):
            time_left = f"{about(left)} left"
            parts.append(f"{time_left} and {unknown:,} cells of learners not seen yet" if unknown else time_left)
        return ", ".join(parts)


def what_is_under_way(jobs: Sequence[RunningJob], name_of: Callable[[Spec], str]) -> str:
    """As "onehot → quadratic, seeds 0–4: step 12 of 60 for 8 s; and 2 other jobs"."""
    parts = [_at(job, name_of) for job in jobs[:MOST_JOBS]]
    more = len(jobs) - len(parts)
    return "; ".join([*parts, *([f"and {more:,} other job{'s' if more > 1 else ''}"] if more else [])])


def _at(job: RunningJob, name_of: Callable[[Spec], str]) -> str:
    names = list(dict.fromkeys(map(name_of, job.cells)))
    seeds = ranges([cell.seed for cell in job.cells])
    one = f"{names[0]}, seed{'s' if len(job.cells) > 1 else ''} {seeds}"
    who = one if len(names) == 1 else f"{len(job.cells)} cells, as {names[0]}"
    slowest = min(job.progress, key=lambda moment: (moment.step, moment.id), default=None)
    return f"{who}: {_how_far(slowest)} for {job.seconds:.0f} s"


def _how_far(slowest: CellProgress | None) -> str:
    if slowest is None or not slowest.budget:
        return "running"
    note = f" ({slowest.note})" if slowest.note else ""
    return f"step {slowest.step:,} of {slowest.budget:,}{note}"


def sweep_progress(planned: Plan, runs: Executor) -> AbstractContextManager[OnRecord]:
    """Show the progress of a sweep until the block ends; yields a function to call with records, or None in between.

    :param runs: the executor that runs it.
    """
    tally = _Tally(planned, len(runs.devices))
    return _bar(tally, runs) if sys.stderr.isatty() else _lines(tally, runs)


def _outcome(record: Record, name_of: Callable[[Spec], str]) -> str:
    result = f"test {percent(record['final']['test_accuracy'])}"
    words = result if record["error"] is None else with_options(" ".join(record["error"]["message"].split()))
    spec = Spec.from_dict(record["spec"])
    return f"{name_of(spec)}, seed {spec.seed}: {record['status']}, {words}"


@contextmanager
def _bar(tally: _Tally, runs: Executor) -> Iterator[OnRecord]:
    columns = (BarColumn(bar_width=30), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(tally.summary(), total=tally.total)

        def shown() -> str:
            jobs = [_at(job, tally.name_of) for job in runs.running_jobs()[:MOST_JOBS]]
            waits = runs.channel.leased_elsewhere
            return "\n".join([tally.summary(), *jobs, *([waiting_for(waits)] if waits else [])])

        def told(record: Record | None) -> None:
            if record is not None:
                tally.add(record)
                if record["status"] != "done":
                    bars.console.print(_outcome(record, tally.name_of), markup=False, highlight=False)
            bars.update(task, completed=tally.over, description=shown())

        yield told


@contextmanager
def _lines(tally: _Tally, runs: Executor) -> Iterator[OnRecord]:
    last = tally.started

    def say(text: str) -> None:
        nonlocal last
        last = time.monotonic()
        print(f"[{last - tally.started:6.1f} s] {text}", file=sys.stderr, flush=True)

    def told(record: Record | None) -> None:
        if record is not None:
            tally.add(record)
            if record["status"] != "done" or tally.over <= FIRST_LINES:
                say(_outcome(record, tally.name_of))
        if time.monotonic() - last > LINES_EVERY:
            jobs, waits = what_is_under_way(runs.running_jobs(), tally.name_of), runs.channel.leased_elsewhere
            rest = f"; under way: {jobs}" if jobs else f"; {waiting_for(waits)}" if waits else ""
            say(f"{tally.summary()}{rest}")

    yield told
    say(tally.summary())
