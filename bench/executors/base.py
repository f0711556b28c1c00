"""What an executor is asked to run."""

from typing import Protocol

from bench.executors.jobs import Job

__all__ = ["Queue"]


class Queue(Protocol):
    """Where jobs come from."""

    def next(self, device: str) -> Job | None:
        """A job for a device, or None."""

    def over(self, job: Job) -> None:
        """A job came back."""

    def halve(self, job: Job) -> bool:
        """A job's process is gone: try its cells in halves, if there are several."""

    def look_elsewhere(self) -> int:
        """Return cells of other processes that are free again to the queue; how many there were."""
