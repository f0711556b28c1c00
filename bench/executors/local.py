"""The executor of this machine: one worker process for each slot of a device, until the queue is empty."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from loky.process_executor import BrokenProcessPool, TerminatedWorkerError

from bench.errors import notify
from bench.executors import warm
from bench.executors.base import Executor, OnRecord, Queue, RunningJob
from bench.executors.channel import Channel
from bench.executors.jobs import Job, Result
from bench.executors.lifetime import graceful
from bench.executors.processes import why_none
from bench.executors.worker import failed, run_job

POLL = 0.5
"""Seconds between two checks of the deadlines of jobs."""
GRACE = 60.0
"""Seconds beyond the limits of its cells after which the process of a job is ended: time to start and to save."""
EXIT_TIMEOUT = 5.0
"""Seconds after which an idle process that does not end by itself is killed."""
LEASE_POLL = 1.0
"""Seconds between two checks of cells that other processes have leased."""


def tell_that_none_starts(why: str) -> None:
    """Say that jobs run without worker processes, and what that means."""
    notify(
        f"No worker process can be started here ({why}): jobs run one after another in this process, and one that "
        "hangs is not ended at its limit of seconds."
    )


class _ThisProcess:
    """Runs jobs in the calling thread, so that a KeyboardInterrupt ends them, where a worker process takes seconds."""

    def submit(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Call a function; the future that is returned holds its result or its error already."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, kill_workers: bool = False) -> None:
        """Do nothing, since no process was started."""


@dataclass
class _Slot:
    """Runs one job at a time, in a worker process of its own.

    :param in_process: whether its jobs run in this process instead.
    :param began: when the job was started, by the monotonic clock.
    :param deadline: when the process of the job is ended, by the same clock.
    """

    device: str
    in_process: bool = False
    pool: Any = None
    future: "Future[list[Result]] | None" = None
    job: Job | None = None
    began: float = 0.0
    deadline: float = math.inf

    def start(self, job: Job, channel: Channel) -> None:
        """Run a job."""
        self.began = time.monotonic()
        limits = [unit.budget.seconds for unit in job.units]
        try:
            self._submit(job, channel)
        except BrokenProcessPool:  # the process died while it was idle
            self.end()
            self._submit(job, channel)
        self.job = job
        self.deadline = self.began + sum(math.inf if limit is None else limit for limit in limits) + GRACE

    def _submit(self, job: Job, channel: Channel) -> None:
        try:
            self.future = self._pool().submit(run_job, job, channel)
        except OSError as error:  # a limit of processes or files
            if self.in_process:
                raise
            self.end()
            self.in_process = True
            tell_that_none_starts(error.strerror or str(error))
            self.future = self._pool().submit(run_job, job, channel)

    def _pool(self) -> Any:
        if self.pool is None:
            self.pool = _ThisProcess() if self.in_process else warm.process(self.device)
        return self.pool

    def end(self) -> None:
        """Kill a process that has a job; let an idle one end by itself within a few seconds."""
        pool, self.pool = self.pool, None
        if pool is None:
            return
        if self.future is None:  # a killed process leaves the semaphores of its own helpers behind
            leaving = threading.Thread(target=pool.shutdown, daemon=True)
            leaving.start()
            leaving.join(EXIT_TIMEOUT)
            if not leaving.is_alive():
                return
        pool.shutdown(wait=False, kill_workers=True)


class Local(Executor):
    """Runs a queue in worker processes of this machine; on Ctrl-C or SIGTERM it ends early and keeps what is done."""

    def __init__(self, devices: Sequence[str], channel: Channel, in_process: bool = False) -> None:
        if not in_process and (why := why_none()):
            in_process = True
            tell_that_none_starts(f"for want of shared memory: {why}")
        super().__init__(devices, channel, in_process)
        self.slots = [_Slot(device, in_process) for device in (devices[:1] if in_process else devices)]
        warm.stop_unused(keep=() if in_process else devices)

    def run(self, queue: Queue, on_record: OnRecord) -> bool:
        """Run all jobs; False if a stop was requested."""
        with graceful(self.channel.request_stop):
            try:
                while self._fill(queue) or self._wait_for_leases(queue, on_record):
                    self._collect(queue, on_record)
            finally:
                with ThreadPoolExecutor(max(1, len(self.slots))) as pool:  # freeing a GPU's memory takes a second each
                    list(pool.map(_Slot.end, self.slots))
                warm.stop_unused()
        return not self.channel.stop_requested()

    def running_jobs(self) -> list[RunningJob]:
        """The jobs that worker processes are running, the longest first."""
        progress, found = {cell.id: cell for cell in self.channel.progress()}, []
        for slot in sorted(self.slots, key=lambda slot: slot.began):
            specs = [] if slot.job is None else [unit.spec for unit in slot.job.units]
            left = tuple(spec for spec in specs if spec.id not in progress or not progress[spec.id].over)
            if left:
                known = tuple(progress[spec.id] for spec in left if spec.id in progress)
                found.append(RunningJob(left, known, time.monotonic() - slot.began))
        return found

    def _fill(self, queue: Queue) -> bool:
        """Start jobs in idle slots; returns whether any slot is busy."""
        for slot in self.slots:
            if slot.future is None and not self.channel.stop_requested():
                job = queue.next(slot.device)
                if job is not None:
                    slot.start(job, self.channel)
        return any(slot.future is not None for slot in self.slots)

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
        wait(busy, timeout=POLL, return_when=FIRST_COMPLETED)
        for slot in self.slots:
            if slot.future is None or slot.job is None:
                continue
            if slot.future.done():
                results = self._results(slot, slot.job, slot.future, queue)
            elif time.monotonic() > slot.deadline:
                slot.end()
                results = self._lost(slot.job, queue, TimeoutError("It did not end at its limit of seconds."))
            else:
                continue
            job, slot.future, slot.job = slot.job, None, None
            queue.finish(job)
            self.collect_results(job, results, time.monotonic() - slot.began, on_record)
        on_record(None)

    def _results(self, slot: _Slot, job: Job, future: "Future[list[Result]]", queue: Queue) -> list[Result]:
        """The results of a finished job. Errors of single cells are in its results, so that it raises others only."""
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            slot.end()
            killed = MemoryError("Its process was killed, by lack of memory perhaps.")
            return self._lost(job, queue, killed if isinstance(error, TerminatedWorkerError) else error)
        return future.result() if error is None else failed(job, self.channel, error)

    def _lost(self, job: Job, queue: Queue, error: Exception) -> list[Result]:
        """The results of a job whose process is gone: none while its halves are tried, until one cell is left."""
        if self.channel.stop_requested() or queue.requeue_halves(job):
            return []
        return failed(job, self.channel, error, "timeout" if isinstance(error, TimeoutError) else "failed")
