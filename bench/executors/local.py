"""The executor of this machine: one worker process for each slot of a device, until the queue is empty."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from loky.process_executor import BrokenProcessPool, TerminatedWorkerError

from bench.errors import notify
from bench.executors import warm
from bench.executors.channel import Channel
from bench.executors.jobs import Job, Result
from bench.executors.processes import why_none
from bench.executors.slots import Slot, SlotExecutor
from bench.executors.worker import run_job

EXIT_TIMEOUT = 5.0
"""Seconds after which an idle process that does not end by itself is killed."""


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
class _Slot(Slot):
    """Runs one job at a time, in a worker process of its own.

    :param in_process: whether its jobs run in this process instead.
    """

    in_process: bool = False
    pool: Any = None

    def submit(self, job: Job, channel: Channel) -> "Future[list[Result]]":
        """Hand a job to the process, or to a new one where it died while it was idle."""
        try:
            return self._submit(job, channel)
        except BrokenProcessPool:
            self.end()
            return self._submit(job, channel)

    def _submit(self, job: Job, channel: Channel) -> "Future[list[Result]]":
        try:
            return self._future(job, channel)
        except OSError as error:  # a limit of processes or files
            if self.in_process:
                raise
            self.end()
            self.in_process = True
            tell_that_none_starts(error.strerror or str(error))
            return self._future(job, channel)

    def _future(self, job: Job, channel: Channel) -> "Future[list[Result]]":
        found: Future[list[Result]] = self._pool().submit(run_job, job, channel)
        return found

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


class Local(SlotExecutor):
    """Runs a queue in worker processes of this machine; on Ctrl-C or SIGTERM it ends early and keeps what is done."""

    slots: list[_Slot]

    def __init__(self, devices: Sequence[str], channel: Channel, in_process: bool = False) -> None:
        if not in_process and (why := why_none()):
            in_process = True
            tell_that_none_starts(f"for want of shared memory: {why}")
        super().__init__(devices, channel, in_process)
        chosen = dict.fromkeys(devices) if in_process else devices
        self.slots = [_Slot(device, in_process=in_process) for device in chosen]
        warm.stop_unused(keep=() if in_process else devices)

    def update_slots(self) -> None:
        """Do nothing: each slot starts its process itself."""

    def loss(self, error: BaseException) -> Exception | None:
        """What is said of a job whose process is gone; None of any other error."""
        if isinstance(error, TerminatedWorkerError):
            return MemoryError("Its process was killed, by lack of memory perhaps.")
        return error if isinstance(error, BrokenProcessPool) else None

    def close(self) -> None:
        """End all processes."""
        with ThreadPoolExecutor(max(1, len(self.slots))) as pool:  # freeing a GPU's memory takes a second each
            list(pool.map(_Slot.end, self.slots))
        warm.stop_unused()
