"""Clocks: seconds by purpose, and how far to train at a time."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.harness.replica import Replica
from learners import Training


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return time.perf_counter() - self.started


class Pace:
    """Advances in slices of about half a second, so that somebody can say stop in between."""

    SLICE = 0.5

    def __init__(self) -> None:
        self.granules = 1

    def advance(self, training: Training, step: int, who: Sequence[int], replicas: Sequence[Replica]) -> int:
        """Train them towards ``step``; returns how far they are."""
        granule = max(1, replicas[who[0]].granularity)
        behind = min(replicas[r].step for r in who)
        at = min(step, max(behind, 0) + self.granules * granule)
        start = time.perf_counter()
        training.advance(at, who)
        spent = time.perf_counter() - start
        done = (at - max(behind, 0)) / granule  # less than asked for where a point of the grid is near
        fitting = done * self.SLICE / max(spent, 1e-9)
        self.granules = max(1, min(int(fitting), 2 * self.granules))
        for r in who:
            replicas[r].step = max(replicas[r].step, at)
        return at


@contextmanager
def charged(purpose: str, replicas: Sequence[Replica], training: Training | None = None) -> Iterator[None]:
    """Charge the seconds of a block in equal shares to those that it was for; those of compiling go to compiling."""
    start, before = time.perf_counter(), training.compile_seconds if training else 0.0
    try:
        yield
    finally:
        compiling = training.compile_seconds - before if training else 0.0
        spent = {purpose: time.perf_counter() - start - compiling, "compile": compiling}
        for replica in replicas:
            for name, seconds in spent.items():
                replica.seconds[name] = replica.seconds.get(name, 0.0) + seconds / len(replicas)
