"""Measures the seconds of a run by purpose, and trains in slices, between which a request to stop is noticed."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.harness.replica import Replica
from learners import Training


class Clock:
    """A stopwatch that runs from its creation."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the creation."""
        return time.perf_counter() - self.started


class Pace:
    """Advances in slices of about half a second, so that a request to stop is noticed in between."""

    SLICE = 0.5

    def __init__(self) -> None:
        self.granules = 1

    def advance(self, training: Training, step: int, active: Sequence[int], replicas: Sequence[Replica]) -> int:
        """Train the active replicas for one slice towards ``step``; returns the step that is reached."""
        granule = max(1, replicas[active[0]].granularity)
        first = max(0, min(replicas[r].step for r in active))
        reached = min(step, first + self.granules * granule)
        start = time.perf_counter()
        training.advance(reached, active)
        spent = time.perf_counter() - start
        done = (reached - first) / granule  # fewer than `granules` if the next evaluation is near
        self.granules = max(1, min(int(done * self.SLICE / max(spent, 1e-9)), 2 * self.granules))
        for r in active:
            replicas[r].step = max(replicas[r].step, reached)
        return reached


@contextmanager
def charged(purpose: str, replicas: Sequence[Replica], training: Training | None = None) -> Iterator[None]:
    """Charge the seconds of a block to a purpose, in equal shares to replicas; those of compilation separately."""
    start, before = time.perf_counter(), training.compile_seconds if training else 0.0
    try:
        yield
    finally:
        compiling = training.compile_seconds - before if training else 0.0
        spent = {purpose: time.perf_counter() - start - compiling, "compile": compiling}
        for replica in replicas:
            for name, seconds in spent.items():
                replica.seconds[name] = replica.seconds.get(name, 0.0) + seconds / len(replicas)
