"""The queue of a sweep: jobs of cells that no other process has leased."""

import math
import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from bench.errors import StoreError
from bench.executors.jobs import Job, Unit
from bench.results import environment
from bench.results.leases import Lease
from bench.results.store import Store
from bench.scheduling.devices import THREADS, device_kind
from bench.scheduling.plan import ACTIONS, Sweep, action

__all__ = ["Queue"]


class Queue:
    """Jobs, made when a slot is free: cells that train side by side, leased and looked up once more."""

    def __init__(self, planned: Sweep, lease: Lease, cores: int) -> None:
        self.planned, self.lease = planned, lease
        self.store = Store(planned.results)
        self.source = environment.source_state()
        self.waiting: dict[int, deque[int]] = {}
        for place in planned.todo.tolist():
            self.waiting.setdefault(planned.entries[planned.entry[place]].group, deque()).append(place)
        self.devices = planned.slots(cores)
        counts = {group: len(places) for group, places in self.waiting.items()}
        self.fleets = {group: planned.fleet(group, count, self._slots_of(group)) for group, count in counts.items()}
        # Of all cells of the plan, done or not: what is compiled must not depend on how far a sweep has come.
        sizes = np.bincount(np.array([entry.group for entry in planned.entries])[planned.entry])
        self.repeats = {
            group: math.ceil(int(sizes[group]) / self.fleets[group] / self._slots_of(group)) for group in counts
        }
        self.began = time.time_ns()
        self.problems: list[str] = []
        self.elsewhere: list[int] = []
        self.again: deque[tuple[int, ...]] = deque()

    def _slots_of(self, group: int) -> int:
        return sum(device_kind(device) == device_kind(self.planned.devices[group]) for device in self.devices)

    def next(self, device: str) -> Job | None:
        """A job for a device, or None where nothing is left for it."""
        kind = device.partition(":")[0]
        while True:
            places = self._pick(kind)
            if places is None:
                return None
            job = self._job(places, device)
            if job is not None:
                return job

    def _pick(self, kind: str) -> tuple[int, ...] | None:
        planned = self.planned
        for _ in range(len(self.again)):
            places = self.again.popleft()
            if planned.entries[planned.entry[places[0]]].device.partition(":")[0] == kind:
                return places
            self.again.append(places)
        for group, left in self.waiting.items():
            if left and device_kind(planned.devices[group]) == kind:
                return tuple(left.popleft() for _ in range(min(self.fleets[group], len(left))))
        return None

    def _job(self, places: Sequence[int], device: str) -> Job | None:
        planned = self.planned
        ids = {planned.id(place): place for place in places}
        mine = self.lease.take(ids)
        self.elsewhere += [place for id, place in ids.items() if id not in mine]
        units, covered = [], []
        for id, place in ids.items():
            if id not in mine:
                continue
            budget = planned.entries[planned.entry[place]].budget
            try:
                record = None if planned.force else self.store.read(id)
            except StoreError as error:
                self.problems.append(str(error))
                covered.append(place)
                continue
            todo = "run" if record is None else action(record, budget)
            if todo == "done":
                covered.append(place)
            else:
                prior = record if todo in ("extend", "resume") else None
                units.append(Unit(planned.spec(place), budget, prior=prior))
        if covered:
            self.lease.release({planned.id(place) for place in covered})
            planned.actions[covered] = ACTIONS.index("done")
        if not units:
            return None
        lease = str(self.lease.path)
        repeats = self.repeats[planned.entries[planned.entry[places[0]]].group]
        return Job(tuple(units), device, THREADS, planned.results, planned.force, self.source, lease, repeats)

    def _failed_there(self, place: int) -> bool:
        """Whether another process has tried a cell since this one began, in vain: not once more."""
        id = self.planned.id(place)
        try:
            record = self.store.read(id)
            return (
                record is not None
                and record["final"]["step"] is None
                and self.store.path(id).stat().st_mtime_ns > self.began
            )
        except (OSError, StoreError):
            return False

    def over(self, job: Job) -> None:
        """A job came back: its cells are free for others."""
        self.lease.release({unit.spec.id for unit in job.units})

    def halve(self, job: Job) -> bool:
        """After the loss of a worker process: its cells once more in halves; False for a lone one."""
        places = [self._place(unit.spec.id) for unit in job.units]
        if len(places) < 2:
            return False
        self.again += [tuple(places[: len(places) // 2]), tuple(places[len(places) // 2 :])]
        return True

    def _place(self, id: str) -> int:
        return int(np.flatnonzero(self.planned.ids == np.uint64(int(id, 16)))[0])

    def look_elsewhere(self) -> int:
        """Return cells of other processes that are free again to the queue; how many there were."""
        places, self.elsewhere = self.elsewhere, []
        free = self.lease.take([self.planned.id(place) for place in places]) if places else set()
        self.lease.release(free)
        for place in places:
            if self.planned.id(place) in free:
                if self._failed_there(place):
                    continue
                self.waiting[self.planned.entries[self.planned.entry[place]].group].append(place)
            else:
                self.elsewhere.append(place)
        return len(places)
