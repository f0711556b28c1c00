"""Probes in the background, while the cells of a group train."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from bench.harness.probes import PROBES, Probes, remembered
from bench.harness.replica import Replica

PROBERS = 4
"""Threads that probe encodings while a GPU trains."""


class Prober:
    """What encodings give away: worked out in threads while a GPU trains, else when a cell is over."""

    def __init__(self, replicas: Sequence[Replica], device: str, memory: Path | None) -> None:
        self.replicas, self.memory = replicas, memory
        self.pool = ThreadPoolExecutor(PROBERS) if device.startswith("cuda") else None
        self.begun = [self.pool.submit(self._probe, replica) for replica in replicas] if self.pool else []

    def ask(self, r: int) -> Probes:
        """The probes of a replica."""
        return self.begun[r].result() if self.begun else self._probe(self.replicas[r])

    def _probe(self, replica: Replica) -> Probes:
        known = cast("Probes", replica.prior["probes"] if replica.prior else {})
        if all(known.get(name) is not None for name in PROBES):
            return dict(known)
        return remembered(replica.cell, self.memory)

    def close(self) -> None:
        """Begin no more."""
        if self.pool:
            self.pool.shutdown(wait=False, cancel_futures=True)
