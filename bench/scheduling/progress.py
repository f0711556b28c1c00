"""How far a sweep or a run is, in words: for the display of the process that runs it and for `bench status`."""

import os
import time
from collections.abc import Callable, Sequence

from bench.executors import Channel, Executor, RunningJob
from bench.results import Record, about, many, percent, ranges, status
from bench.scheduling.durations import Duration
from bench.scheduling.plan import Plan
from bench.specs import Spec

MOST_JOBS = 3
"""The number of running jobs that are named: those that take the longest."""
CONDITIONS: dict[str, Callable[[Spec], str]] = {
    "train_fraction": lambda spec: f"{100 * spec.train_fraction:g} % train",
    "label_noise": lambda spec: f"{100 * spec.label_noise:g} % label noise",
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


class PlanProgress:
    """Counts the finished cells of a plan, remembers the best, and estimates the time left.

    The estimate is made from the times of cells of the same learner: of those stored before and those of this process.

    :param slots: the number of worker processes.
    """

    def __init__(self, planned: Plan, slots: int) -> None:
        self.planned, self.name_of = planned, namer(planned)
        self.started = time.monotonic()
        self.total, self.over, self.bad, self.interrupted = len(planned.todo), 0, 0, 0
        self.took: dict[str, Duration] = {}
        self.done = 0.0
        self.stored = {planned.id(place): of_it for place, of_it in planned.stored.items()}
        self.pace, self.paced_at = 1.0 / max(1, min(slots, len(planned.todo))), self.started
        self.accuracies: dict[str, list[float]] = {}
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
        if (accuracy := record["final"]["test_accuracy"]) is not None:
            self.accuracies.setdefault(self.name_of(Spec.from_dict(record["spec"])), []).append(accuracy)
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

    def best_so_far(self) -> str:
        """As "best so far onehot+concat → quadratic: test 100.0%, mean of 5 cells"; empty while there is none.

        The mean final test accuracy of each configuration over its finished cells. It is shown only.
        """
        if len(self.accuracies) < 2:
            return ""
        mean, name = max((sum(values) / len(values), name) for name, values in self.accuracies.items())
        return f"best so far {name}: test {percent(mean)}, mean of {many(len(self.accuracies[name]), 'cell')}"

    def lines(self, runs: Executor) -> list[str]:
        """The summary, the best so far, and a line for each job that takes the longest."""
        jobs = [describe_job(job, self.name_of) for job in runs.running_jobs()[:MOST_JOBS]]
        found = [self.summary(), self.best_so_far(), *jobs, waiting_for(runs.channel)]
        return [line for line in found if line]


def waiting_for(channel: Channel) -> str:
    """What the executor waits for; empty where it does not.

    As "waiting for 2 cells that another process is training (sweep league: process 123 on host)".
    """
    if not channel.leased_elsewhere:
        return ""
    others = [] if channel.results is None else [one for one in status(channel.results) if one.process != os.getpid()]
    who = "; ".join(f"{one.what}: process {one.process} on {one.host}" for one in others[:MOST_JOBS])
    cells = many(channel.leased_elsewhere, "cell")
    return f"waiting for {cells} that another process is training{f' ({who})' if who else ''}"


def describe_jobs(jobs: Sequence[RunningJob], name_of: Callable[[Spec], str]) -> str:
    """As "onehot → quadratic, seeds 0–4: step 12 of 60 for 8 s, test 3.1%; and 2 other jobs"."""
    parts = [describe_job(job, name_of) for job in jobs[:MOST_JOBS]]
    more = len(jobs) - len(parts)
    return "; ".join([*parts, *([f"and {more:,} other job{'s' if more > 1 else ''}"] if more else [])])


def describe_job(job: RunningJob, name_of: Callable[[Spec], str]) -> str:
    """A job by its cells, the step of the slowest, its time, and the test accuracy: the lowest to the highest."""
    names = list(dict.fromkeys(map(name_of, job.cells)))
    seeds = ranges([cell.seed for cell in job.cells])
    one = f"{names[0]}, seed{'s' if len(job.cells) > 1 else ''} {seeds}"
    who = one if len(names) == 1 else f"{len(job.cells)} cells, as {names[0]}"
    slowest = min(job.progress, key=lambda moment: (moment.step, moment.id), default=None)
    tests = [moment.test_accuracy for moment in job.progress if moment.test_accuracy is not None]
    accuracy = f", test {accuracy_range(tests)}" if tests else ""
    how_far = slowest.how_far if slowest is not None and slowest.budget else "running"
    return f"{who}: {how_far} for {job.seconds:.0f} s{accuracy}"


def accuracy_range(accuracies: Sequence[float | None]) -> str:
    """As "3.1%" or "3.1% to 45.0%"; a dash where none is known."""
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    ends = [percent(min(known)), percent(max(known))] if known else [percent(None)]
    return " to ".join(dict.fromkeys(ends))
