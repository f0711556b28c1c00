"""Probes in the background, while the cells of a fleet train."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from bench.harness.probes import PROBES, Probes, cached_probes
from bench.harness.replica import Replica

PROBE_THREADS = 4
"""Threads that probe encodings while a GPU trains."""


class Prober:
    """Probes the encodings of replicas: in threads while a GPU trains, otherwise when a replica is over.

    :param cache: the folder in which probes are cached, or None.
    """

    def __init__(self, replicas: Sequence[Replica], device: str, cache: Path | None) -> None:
        self.replicas, self.cache = replicas, cache
        self.pool = ThreadPoolExecutor(PROBE_THREADS) if device.startswith("cuda") else None
        self.futures = [self.pool.submit(self._probe, replica) for replica in replicas] if self.pool else []

    def result(self, r: int) -> Probes:
        """The probes of a replica."""
        return self.futures[r].result() if self.futures else self._probe(self.replicas[r])

    def _probe(self, replica: Replica) -> Probes:
        known = cast("Probes", replica.prior["probes"] if replica.prior else {})
        if all(known.get(name) is not None for name in PROBES):
            return dict(known)
        return cached_probes(replica.cell, self.cache)

    def close(self) -> None:
        """Cancel the probes that have not begun."""
        if self.pool:
            self.pool.shutdown(wait=False, cancel_futures=True)
