"""Worker processes on this machine, one for each slot of a device, that take jobs from a queue until it is empty."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from loky.process_executor import BrokenProcessPool, TerminatedWorkerError

from bench.executors import warm
from bench.executors.base import Executor, Queue, Told, UnderWay
from bench.executors.channel import Board
from bench.executors.jobs import Job, Result
from bench.executors.lifetime import graceful
from bench.executors.worker import failed, run_job

POLL = 0.5
"""Seconds between two looks at what takes too long."""
GRACE = 60.0
"""Seconds beyond its cells' limits that a job may take before its process is ended: it starts, and it keeps."""
LEAVE = 5.0
"""Seconds that an idle process may take to end."""
PATIENCE = 1.0
"""Seconds between two looks at cells that other processes have leased."""


class _Here:
    """A thread of this process in place of a worker process, which takes seconds to start. It ends with the process."""

    def submit(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Run something; its result, or what it raises, is the future's."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(call(*arguments))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, kill_workers: bool = False) -> None:
        """Nothing is left of a job that is over."""


@dataclass
class _Slot:
    """A place where one job runs at a time, in a process of its own.

    :param here: whether its jobs run in this process instead.
    :param began: when the job was started, by the monotonic clock.
    :param deadline: when its process is ended, or None.
    """

    device: str
    here: bool = False
    pool: Any = None
    future: "Future[list[Result]] | None" = None
    job: Job | None = None
    began: float = 0.0
    deadline: float | None = None

    def start(self, job: Job, on: Board) -> None:
        """Run a job."""
        self.began = time.monotonic()
        limits = [unit.budget.seconds for unit in job.units]
        known = [limit for limit in limits if limit is not None]
        all_limited = len(known) == len(limits)
        try:
            self.future = self._process().submit(run_job, job, on)
        except BrokenProcessPool:  # it died while it had nothing to do
            self.end()
            self.future = self._process().submit(run_job, job, on)
        self.job = job
        self.deadline = self.began + sum(known) + GRACE if all_limited else None

    def _process(self) -> Any:
        if self.pool is None:
            self.pool = _Here() if self.here else warm.process(self.device)
        return self.pool

    def end(self) -> None:
        """End the process: at once where it has a job, else as it likes to end, within a few seconds."""
        pool, self.pool = self.pool, None
        if pool is None:
            return
        if self.future is None:  # what is killed leaves the semaphores of its own helpers behind
            leaving = threading.Thread(target=pool.shutdown, daemon=True)
            leaving.start()
            leaving.join(LEAVE)
            if not leaving.is_alive():
                return
        pool.shutdown(wait=False, kill_workers=True)


class Local(Executor):
    """Runs a queue over worker processes; on Ctrl-C or SIGTERM it ends early with whatever is done."""

    def __init__(self, devices: Sequence[str], board: Board, here: bool = False) -> None:
        super().__init__(devices, board, here)
        self.slots = [_Slot(device, here) for device in devices]
        warm.end(but=() if here else devices)

    def run(self, queue: Queue, told: Told) -> bool:
        """Run all jobs; False where somebody asked to stop."""
        with graceful(self.board.stop):
            try:
                while self._fill(queue) or self._wait_for_others(queue, told):
                    self._collect(queue, told)
            finally:
                with ThreadPoolExecutor(max(1, len(self.slots))) as pool:  # one gives back a GPU's memory: a second
                    list(pool.map(_Slot.end, self.slots))
                warm.end()
        return not self.board.stopped()

    def under_way(self) -> list[UnderWay]:
        """What worker processes are doing, the longest first."""
        moments, found = {moment.id: moment for moment in self.board.moments()}, []
        for slot in sorted(self.slots, key=lambda slot: slot.began):
            specs = [] if slot.job is None else [unit.spec for unit in slot.job.units]
            left = tuple(spec for spec in specs if spec.id not in moments or not moments[spec.id].over)
            if left:
                known = tuple(moments[spec.id] for spec in left if spec.id in moments)
                found.append(UnderWay(left, known, time.monotonic() - slot.began))
        return found

    def _fill(self, queue: Queue) -> bool:
        """Give idle slots something to do; whether any is busy."""
        for slot in self.slots:
            if slot.future is None and not self.board.stopped():
                job = queue.next(slot.device)
                if job is not None:
                    slot.start(job, self.board)
        return any(slot.future is not None for slot in self.slots)

    def _wait_for_others(self, queue: Queue, told: Told) -> bool:
        """Cells that another process has leased are waited for: it may be killed."""
        if self.board.stopped() or not queue.look_elsewhere():
            return False
        told(None)
        time.sleep(PATIENCE)
        return True

    def _collect(self, queue: Queue, told: Told) -> None:
        """Wait a moment for what comes back."""
        busy = [slot.future for slot in self.slots if slot.future is not None]
        wait(busy, timeout=POLL, return_when=FIRST_COMPLETED)
        for slot in self.slots:
            if slot.future is None or slot.job is None:
                continue
            if slot.future.done():
                self._take(slot, slot.job, queue, told)
            elif slot.deadline is not None and time.monotonic() > slot.deadline:
                slot.end()
                self._lost(slot, slot.job, queue, told, TimeoutError("It did not end at its limit of seconds."))
        told(None)

    def _take(self, slot: _Slot, job: Job, queue: Queue, told: Told) -> None:
        """Take what came back of a job. What it raises is no cell's fault: jobs fail cells by themselves."""
        assert slot.future is not None
        error = slot.future.exception()
        if isinstance(error, BrokenProcessPool):
            slot.end()
            killed = MemoryError("Its process was killed, by lack of memory perhaps.")
            self._lost(slot, job, queue, told, killed if isinstance(error, TerminatedWorkerError) else error)
            return
        results = slot.future.result() if error is None else failed(job, self.board, error)
        self._over(slot, job, queue, results, told)

    def _lost(self, slot: _Slot, job: Job, queue: Queue, told: Told, error: Exception) -> None:
        """The process is gone: each cell for itself, until it is clear whose fault it is."""
        again = not self.board.stopped() and queue.halve(job)
        status = "timeout" if isinstance(error, TimeoutError) else "failed"
        results = [] if again or self.board.stopped() else failed(job, self.board, error, status)
        self._over(slot, job, queue, results, told)

    def _over(self, slot: _Slot, job: Job, queue: Queue, results: Sequence[Result], told: Told) -> None:
        slot.future = slot.job = None
        queue.over(job)
        self.take(job, results, time.monotonic() - slot.began, told)
