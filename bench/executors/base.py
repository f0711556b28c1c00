"""What an executor is: it runs the jobs of a queue somewhere, and tells of every record as it comes."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench.executors.channel import Board
from bench.executors.jobs import Job, Result
from bench.harness import Moment
from bench.results import Record
from bench.specs import Spec

PURPOSES = ("train", "evaluate", "compile", "probes")
Told = Callable[[Record | None], None]
"""Is told of every record as it comes, and of None from time to time."""


class Queue(Protocol):
    """Where jobs come from."""

    def next(self, device: str) -> Job | None:
        """A job for a device, or None."""

    def over(self, job: Job) -> None:
        """A job came back."""

    def halve(self, job: Job) -> bool:
        """A job's process is gone: try its cells in halves, if there are several."""

    def look_elsewhere(self) -> int:
        """How many cells other processes have leased; free ones go back to the queue."""


@dataclass(frozen=True)
class UnderWay:
    """What one worker is doing.

    :param cells: those of its job that are not over.
    :param moments: how far they are; those that have not begun to train are missing.
    :param seconds: since it has the job.
    """

    cells: tuple[Spec, ...]
    moments: tuple[Moment, ...]
    seconds: float


class Executor(ABC):
    """Runs a queue. A module of this package that holds a subclass is an executor of the module's name.

    :param devices: of the workers, one each.
    :param board: where workers tell how far they are, and are told to stop.
    :param here: whether the queue is one job that may as well run in this process.
    :ivar troubles: cells that failed or timed out in this run, with what they said.
    :ivar problems: what could not be written.
    :ivar busy: seconds that workers had a job, all together.
    :ivar spent: seconds of them by purpose, as records say.
    """

    def __init__(self, devices: Sequence[str], board: Board, here: bool = False) -> None:
        self.devices, self.board, self.here = devices, board, here
        self.troubles: dict[str, tuple[str, str | None]] = {}
        self.problems: list[str] = []
        self.busy = 0.0
        self.spent: Counter[str] = Counter()

    @abstractmethod
    def run(self, queue: Queue, told: Told) -> bool:
        """Run all jobs; False where somebody asked to stop."""

    @abstractmethod
    def under_way(self) -> list[UnderWay]:
        """What workers are doing, the longest first."""

    def take(self, job: Job, results: Sequence[Result], seconds: float, told: Told) -> None:
        """Count and tell what came of a job.

        :param seconds: that a worker was busy with it.
        """
        self.busy += seconds
        before: dict[str, Mapping[str, Any]] = {u.spec.id: u.prior["seconds"] for u in job.units if u.prior}
        for result in results:
            record = result.record
            spent: Mapping[str, Any] = record["seconds"]
            earlier = before.get(record["id"], {})
            self.spent.update({purpose: spent[purpose] - earlier.get(purpose, 0.0) for purpose in PURPOSES})
            if record["status"] in ("failed", "timeout"):
                self.troubles[record["id"]] = (record["status"], record["error"] and record["error"]["message"])
            if result.problem:
                self.problems.append(result.problem)
            told(record)
