"""The interface of an executor: it runs the jobs of a queue somewhere and hands on every record as it arrives."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import joblib

from bench.errors import RequestError
from bench.executors.channel import Channel
from bench.executors.gpus import count_gpus
from bench.executors.jobs import Job, Result
from bench.harness import CellProgress
from bench.results import Record
from bench.specs import Spec

PURPOSES = ("train", "evaluate", "compile", "probes")
OnRecord = Callable[[Record | None], None]
"""A callback that receives every record as it arrives, and None a few times a second in between."""


class Queue(Protocol):
    """A source of jobs."""

    def next(self, device: str) -> Job | None:
        """A job for a device, or None if there is none at the moment."""

    def finish(self, job: Job) -> None:
        """Mark a job as finished."""

    def requeue_halves(self, job: Job) -> bool:
        """Queue the two halves of a job whose worker process died; False if it has one cell only."""

    def recheck_leases(self) -> int:
        """Queue the cells whose lease another process has released; returns how many cells were leased before that."""


@dataclass(frozen=True)
class RunningJob:
    """A job that a worker is running.

    :param cells: the cells of the job that are not finished.
    :param progress: how far these cells are; cells that have not begun to train are missing.
    :param seconds: the time since the job was started.
    """

    cells: tuple[Spec, ...]
    progress: tuple[CellProgress, ...]
    seconds: float


class Executor(ABC):
    """Runs the jobs of a queue.

    :param devices: the device of each worker.
    :param channel: the channel through which workers report progress and receive the request to stop.
    :param in_process: whether the jobs run in this process instead of worker processes.
    :ivar failures: status and error message of each cell that failed or timed out in this run, by id.
    :ivar problems: messages about records and models that could not be written.
    :ivar busy: seconds for which workers had a job, summed over workers.
    :ivar spent: the part of these seconds that records account for, by purpose.
    """

    workers_vary: ClassVar[bool] = False
    """Whether workers come and go while it runs, so that nothing that is to be repeated may depend on their number."""

    @classmethod
    def at(cls, address: str) -> "type[Executor]":
        """This executor at an address, which one of another place than this machine has; an empty one is none.

        :raises RequestError: where it needs an address and there is none, or the other way round.
        """
        if address:
            name = cls.__module__.rpartition(".")[2]
            raise RequestError(f"`scheduler` does not apply to `executor` {name}, got {address!r}.")
        return cls

    @classmethod
    def cores(cls) -> int:
        """The number of jobs for the CPU that its workers run at a time."""
        return int(joblib.cpu_count())

    @classmethod
    def gpus(cls) -> int:
        """The number of GPUs of its workers."""
        return count_gpus()

    def __init__(self, devices: Sequence[str], channel: Channel, in_process: bool = False) -> None:
        self.devices, self.channel, self.in_process = devices, channel, in_process
        self.failures: dict[str, tuple[str, str | None]] = {}
        self.problems: list[str] = []
        self.busy = 0.0
        self.spent: Counter[str] = Counter()

    @abstractmethod
    def run(self, queue: Queue, on_record: OnRecord) -> bool:
        """Run all jobs; False if a stop was requested.

        It gives each worker the queue's `next` job for its device while the channel has no request to stop, calls
        `finish` and `collect_results` when a job ends, `requeue_halves` when its worker died or was ended at the limit
        of its cells, and `on_record(None)` from time to time. When no job is left and none runs, it is done only once
        `recheck_leases` returns 0: until then it waits and asks again.
        """

    @abstractmethod
    def running_jobs(self) -> list[RunningJob]:
        """The jobs that workers are running, the longest first."""

    def collect_results(self, job: Job, results: Sequence[Result], seconds: float, on_record: OnRecord) -> None:
        """Count the results of a job and hand its records on.

        :param seconds: the time for which a worker was busy with the job.
        """
        self.busy += seconds
        before: dict[str, Mapping[str, Any]] = {u.spec.id: u.prior["seconds"] for u in job.units if u.prior}
        stored = {unit.spec.id for unit in job.units if unit.model_only}
        for result in results:
            if result.problem:
                self.problems.append(result.problem)
            record = result.record
            if record["id"] in stored:  # only its model was saved
                continue
            spent: Mapping[str, Any] = record["seconds"]
            earlier = before.get(record["id"], {})
            self.spent.update({purpose: spent[purpose] - earlier.get(purpose, 0.0) for purpose in PURPOSES})
            if record["status"] in ("failed", "timeout"):
                self.failures[record["id"]] = (record["status"], record["error"] and record["error"]["message"])
            on_record(record)
