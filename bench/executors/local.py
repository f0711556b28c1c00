"""Worker processes, one for each slot of a device, that take jobs from a queue until it is empty."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

from bench.executors import warm as early
from bench.executors.base import Queue
from bench.executors.channel import Board
from bench.executors.jobs import Job, Result
from bench.executors.lifetime import graceful
from bench.executors.worker import failed, run_job
from bench.harness.outcome import Moment
from bench.results.record import Record
from bench.specs.spec import Spec

__all__ = ["Slots", "UnderWay"]

POLL = 0.5
"""Seconds between two looks at what takes too long."""


GRACE = 60.0
"""Seconds beyond its cells' limits that a job may take before its process is ended: it starts, and it keeps."""


LEAVE = 5.0
"""Seconds that an idle process may take to end."""


PURPOSES = ("train", "evaluate", "compile", "probes")


PATIENCE = 1.0
"""Seconds between two looks at cells that other processes have leased."""


@dataclass
class _Slot:
    """A place where one job runs at a time, in a process of its own.

    :param began: when the job was started, by the monotonic clock.
    :param deadline: when its process is ended, or None.
    """

    device: str
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
            self.pool = early.process(self.device)
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


@dataclass(frozen=True)
class UnderWay:
    """What one worker process is at.

    :param cells: those of its job that are not over.
    :param moments: how far they are; those that have not begun to train are missing.
    :param seconds: since it has the job.
    """

    cells: tuple[Spec, ...]
    moments: tuple[Moment, ...]
    seconds: float


class Slots:
    """Runs a queue.

    :ivar troubles: cells that failed or timed out in this run, with what they said.
    :ivar problems: what could not be written.
    :ivar busy: seconds that slots had a job, all together.
    :ivar spent: seconds of them by purpose, as records say.
    :param devices: one slot each.
    :param on: where workers tell how far they are, and are told to stop.
    :param finished: is told of every record as it comes, and of None from time to time.
    """

    def __init__(self, devices: Sequence[str], on: Board, finished: Callable[[Record | None], None]) -> None:
        self.slots = [_Slot(device) for device in devices]
        early.end(but=devices)
        self.on, self.finished = on, finished
        self.troubles: dict[str, tuple[str, str | None]] = {}
        self.problems: list[str] = []
        self.busy = 0.0
        self.spent: Counter[str] = Counter()

    def run(self, queue: Queue) -> bool:
        """Run all jobs; False where somebody asked to stop."""
        with graceful(self.on.stop):
            try:
                while self._fill(queue) or self._wait_for_others(queue):
                    self._collect(queue)
            finally:
                with ThreadPoolExecutor(max(1, len(self.slots))) as pool:  # one gives back a GPU's memory: a second
                    list(pool.map(_Slot.end, self.slots))
                early.end()
        return not self.on.stopped()

    def under_way(self) -> list[UnderWay]:
        """What worker processes are at, the longest first."""
        told, found = {moment.id: moment for moment in self.on.moments()}, []
        for slot in sorted(self.slots, key=lambda slot: slot.began):
            specs = [] if slot.job is None else [unit.spec for unit in slot.job.units]
            left = tuple(spec for spec in specs if spec.id not in told or not told[spec.id].over)
            moments = tuple(told[spec.id] for spec in left if spec.id in told)
            if left:
                found.append(UnderWay(left, moments, time.monotonic() - slot.began))
        return found

    def _fill(self, queue: Queue) -> bool:
        """Give idle slots something to do; whether any is busy."""
        for slot in self.slots:
            if slot.future is None and not self.on.stopped():
                job = queue.next(slot.device)
                if job is not None:
                    slot.start(job, self.on)
        return any(slot.future is not None for slot in self.slots)

    def _wait_for_others(self, queue: Queue) -> bool:
        """Wait for cells that other processes have leased, since these may be killed."""
        if self.on.stopped() or not queue.look_elsewhere():
            return False
        self.finished(None)
        time.sleep(PATIENCE)
        return True

    def _collect(self, queue: Queue) -> None:
        """Wait a moment for what comes back."""
        busy = [slot.future for slot in self.slots if slot.future is not None]
        wait(busy, timeout=POLL, return_when=FIRST_COMPLETED)
        for slot in self.slots:
            if slot.future is None or slot.job is None:
                continue
            late = slot.deadline is not None and time.monotonic() > slot.deadline
            if slot.future.done():
                self._take(slot, slot.job, queue)
            elif late:
                slot.end()
                self._lost(slot, slot.job, queue, TimeoutError("It did not end at its limit of seconds."))
        self.finished(None)

    def _take(self, slot: _Slot, job: Job, queue: Queue) -> None:
        assert slot.future is not None
        error = slot.future.exception()
        if isinstance(error, BrokenProcessPool):
            slot.end()
            killed = isinstance(error, TerminatedWorkerError)
            why = (
                MemoryError("Its process was killed, by lack of memory perhaps.")
                if killed
                else RuntimeError(str(error))
            )
            self._lost(slot, job, queue, why)
            return
        # What a job raises is no cell's fault: jobs fail cells by themselves. It would befall halves of it as well.
        results = slot.future.result() if error is None else failed(job, self.on, error)
        slot.future = slot.job = None
        queue.over(job)
        self.busy += time.monotonic() - slot.began
        before: dict[str, Mapping[str, Any]] = {u.spec.id: u.prior["seconds"] for u in job.units if u.prior}
        for result in results:
            seconds: Mapping[str, Any] = result.record["seconds"]
            earlier = before.get(result.record["id"], {})
            self.spent.update({purpose: seconds[purpose] - earlier.get(purpose, 0.0) for purpose in PURPOSES})
            self._tell(result)

    def _tell(self, result: Result) -> None:
        record, problem = result.record, result.problem
        if record["status"] in ("failed", "timeout"):
            self.troubles[record["id"]] = (record["status"], record["error"] and record["error"]["message"])
        if problem:
            self.problems.append(problem)
        self.finished(record)

    def _lost(self, slot: _Slot, job: Job, queue: Queue, error: Exception) -> None:
        """The process is gone: each cell for itself, until it is clear whose fault it is."""
        slot.future = slot.job = None
        queue.over(job)
        self.busy += time.monotonic() - slot.began
        if not self.on.stopped() and not queue.halve(job):
            status = "timeout" if isinstance(error, TimeoutError) else "failed"
            for result in failed(job, self.on, error, status):
                self._tell(result)
