"""What executors have in common whose workers run one job at a time: the loop from the queue to the records."""

import math
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import ClassVar

from bench.executors.base import Executor, OnRecord, Queue, RunningJob
from bench.executors.channel import Channel
from bench.executors.jobs import Job, Result
from bench.executors.lifetime import graceful
from bench.executors.worker import failed

POLL = 0.5
"""Seconds between two checks of the deadlines of jobs."""
GRACE = 60.0
"""Seconds beyond the limits of its cells after which the worker of a job is ended: time to start and to save."""
LEASE_POLL = 1.0
"""Seconds between two checks of cells that other processes have leased."""


@dataclass
class Slot(ABC):
    """A worker, which runs one job at a time.

    :param device: the device of its jobs.
    :param began: when the job was started, by the monotonic clock.
    :param deadline: when the worker of the job is ended, by the same clock.
    """

    device: str
    future: "Future[list[Result]] | None" = None
    job: Job | None = None
    began: float = 0.0
    deadline: float = math.inf

    def start(self, job: Job, channel: Channel) -> None:
        """Run a job."""
        self.begin(job)
        self.future = self.submit(job, channel)
        self.job = job

    def begin(self, job: Job) -> None:
        """Note that a job begins now."""
        limits = [unit.budget.seconds for unit in job.units]
        self.began = time.monotonic()
        self.deadline = self.began + sum(math.inf if limit is None else limit for limit in limits) + GRACE

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices for which it takes jobs, the first one first."""
        return (self.device,)

    @property
    def is_free(self) -> bool:
        """Whether it takes a job now."""
        return self.future is None

    @property
    def has_run(self) -> bool:
        """Whether its job may have been run, and so be why the worker is gone."""
        return True

    @property
    def is_over(self) -> bool:
        """Whether its job has ended, so that only its results are waited for."""
        return False

    @abstractmethod
    def submit(self, job: Job, channel: Channel) -> "Future[list[Result]]":
        """Hand a job to the worker."""

    @abstractmethod
    def end(self) -> None:
        """End a worker that has a job at once."""


class SlotExecutor(Executor):
    """Runs a queue in slots; on Ctrl-C or SIGTERM it ends early and keeps what is done.

    :ivar slots: the workers. There may be none for some time.
    :ivar again: jobs whose worker was lost, and jobs of devices for which there is no worker yet.
    """

    spare_losses: ClassVar[int] = 0
    """How often the worker of a cell may be lost before the cell is suspected of ending its workers."""

    def __init__(self, devices: Sequence[str], channel: Channel, in_process: bool = False) -> None:
        super().__init__(devices, channel, in_process)
        self.slots: Sequence[Slot] = ()
        self.again: deque[Job] = deque()
        self.losses: Counter[str] = Counter()

    @abstractmethod
    def update_slots(self) -> None:
        """Bring the slots up to date, where workers come and go, and let go of jobs where a stop was requested."""

    @abstractmethod
    def loss(self, error: BaseException) -> Exception | None:
        """What is said of a job whose worker is gone; None of any other error."""

    @abstractmethod
    def close(self) -> None:
        """Give up all slots."""

    def run(self, queue: Queue, on_record: OnRecord) -> bool:
        """Run all jobs; False if a stop was requested."""
        with graceful(self.channel.request_stop):
            try:
                while self._fill(queue) or self._wait_for_leases(queue, on_record):
                    self._collect(queue, on_record)
            finally:
                self.close()
        return not self.channel.stop_requested()

    def running_jobs(self) -> list[RunningJob]:
        """The jobs that workers are running, the longest first."""
        progress, found = {cell.id: cell for cell in self.channel.progress()}, []
        for slot in sorted(self.slots, key=lambda slot: slot.began):
            specs = [] if slot.job is None else [unit.spec for unit in slot.job.units]
            left = tuple(spec for spec in specs if spec.id not in progress or not progress[spec.id].over)
            if left:
                known = tuple(progress[spec.id] for spec in left if spec.id in progress)
                found.append(RunningJob(left, known, time.monotonic() - slot.began))
        return found

    def _fill(self, queue: Queue) -> bool:
        """Start jobs in idle slots; returns whether any slot is busy or any job waits for one."""
        self.update_slots()
        for slot in self.slots:
            if slot.is_free and not self.channel.stop_requested():
                job = self._next(slot, queue)
                if job is not None:
                    slot.start(job, self.channel)
        if self.channel.stop_requested():
            self.again.clear()
        elif not self.again:
            served = {device for slot in self.slots for device in slot.devices}
            unserved = (device for device in dict.fromkeys(self.devices) if device not in served)
            self.again += [job for device in unserved if (job := queue.next(device)) is not None]
        return bool(self.again) or any(slot.future is not None for slot in self.slots)

    def _next(self, slot: Slot, queue: Queue) -> Job | None:
        waiting = next((job for job in self.again if job.device in slot.devices), None)
        if waiting is not None:
            self.again.remove(waiting)
            return waiting
        return next((job for device in slot.devices if (job := queue.next(device)) is not None), None)

    def _wait_for_leases(self, queue: Queue, on_record: OnRecord) -> bool:
        """Wait for cells that another process has leased, since it may be killed; False if there are none."""
        self.channel.leased_elsewhere = 0 if self.channel.stop_requested() else queue.recheck_leases()
        if not self.channel.leased_elsewhere:
            return False
        on_record(None)
        time.sleep(LEASE_POLL)
        return True

    def _collect(self, queue: Queue, on_record: OnRecord) -> None:
        """Wait a moment for jobs to finish, and take their results."""
        busy = [slot.future for slot in self.slots if slot.future is not None]
        if busy:
            wait(busy, timeout=POLL, return_when=FIRST_COMPLETED)
        elif self.again:  # for a worker
            time.sleep(POLL)
        for slot in self.slots:
            if slot.future is None or slot.job is None:
                continue
            if slot.future.done():
                results = self._results(slot, slot.job, slot.future, queue)
            elif time.monotonic() > slot.deadline and not slot.is_over:
                slot.end()
                results = self._lost(slot.job, queue, TimeoutError("It did not end at its limit of seconds."))
            else:
                continue
            job, slot.future, slot.job = slot.job, None, None
            if results is not None:
                queue.finish(job)
                self.collect_results(job, results, time.monotonic() - slot.began, on_record)
        on_record(None)

    def _results(self, slot: Slot, job: Job, future: "Future[list[Result]]", queue: Queue) -> list[Result] | None:
        """The results of a finished job. Errors of single cells are in its results, so that it raises others only."""
        error = future.exception()
        if error is None:
            return future.result()
        if (loss := self.loss(error)) is not None:
            slot.end()
            return self._lost(job, queue, loss, slot.has_run)
        return failed(job, self.channel, error)

    def _lost(self, job: Job, queue: Queue, error: Exception, has_run: bool = True) -> list[Result] | None:
        """The results of a job whose worker is gone: None where it runs again, none while its halves are tried."""
        if self.channel.stop_requested():
            return []
        ids = [unit.spec.id for unit in job.units]
        self.losses.update(ids if has_run else ())
        if not isinstance(error, TimeoutError) and max(self.losses[id] for id in ids) <= self.spare_losses:
            self.again.append(job)
            return None
        if queue.requeue_halves(job):
            return []
        return failed(job, self.channel, error, "timeout" if isinstance(error, TimeoutError) else "failed")
