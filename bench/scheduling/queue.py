"""The queue of a plan: jobs of cells that no other process has leased, made when a worker is free."""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence

import numpy as np

from bench.errors import StoreError
from bench.executors import Job, Unit
from bench.results import Lease, Record, Store, environment
from bench.scheduling.devices import THREADS, WORTH_A_PROCESS, device_kind
from bench.scheduling.plan import ACTIONS, Plan, action


class CellQueue:
    """Jobs of a plan: cells that train side by side, leased and looked up once more.

    :param lease: by which processes that share the results folder share the cells; None without a folder.
    :param cores: worker processes on the CPU at most.
    :param model: where to save each fitted pipeline, or None; then cells that are done have jobs too.
    :ivar devices: one for each worker process.
    :ivar covered: records of cells that another process has computed meanwhile.
    :ivar problems: records that could not be read.
    """

    def __init__(self, planned: Plan, lease: Lease | None, cores: int, model: str | None = None) -> None:
        self.planned, self.lease, self.model = planned, lease, model
        self.store = None if planned.results is None else Store(planned.results)
        self.source = environment.source_state()
        self.waiting: dict[int, deque[int]] = {}
        for place in planned.todo.tolist():
            self.waiting.setdefault(planned.group(place), deque()).append(place)
        self.devices = planned.slots(cores) or [planned.entries[0].device]
        counts = {group: len(places) for group, places in self.waiting.items()}
        self.fleets = {group: planned.fleet(group, count, self._slots_of(group)) for group, count in counts.items()}
        # Of all cells of the plan, done or not: what is compiled must not depend on how far a sweep has come.
        sizes = np.bincount(np.array([entry.group for entry in planned.entries])[planned.entry])
        self.repeats = Counter({g: math.ceil(int(sizes[g]) / self.fleets[g] / self._slots_of(g)) for g in counts})
        self.threads = max(1, cores // self.devices.count("cpu")) if "cpu" in self.devices else THREADS
        self.began = time.time_ns()
        self.covered: dict[str, Record | None] = {}
        self.problems: list[str] = []
        self.elsewhere: list[int] = []
        self.again: deque[tuple[int, ...]] = deque()
        if model is not None:
            self.again += [(place,) for place in np.flatnonzero(planned.actions == ACTIONS.index("done")).tolist()]

    @property
    def here(self) -> bool:
        """Whether this process may do it all: there is one job, or little to do, and no cell has a hard limit."""
        planned, left = self.planned, self.waiting.items()
        if planned.of_grid or len(self.devices) > 1 or any(entry.budget.seconds for entry in planned.entries):
            return False
        jobs = len(self.again) + sum(math.ceil(len(places) / self.fleets[group]) for group, places in left)
        return jobs == 1 or sum(planned.budget(place).steps for _, places in left for place in places) < WORTH_A_PROCESS

    def _slots_of(self, group: int) -> int:
        kind = device_kind(self.planned.groups[group].device)
        return sum(device_kind(device) == kind for device in self.devices)

    def next(self, device: str) -> Job | None:
        """A job for a device, or None where nothing is left for it."""
        while (places := self._pick(device_kind(device))) is not None:
            if (job := self._job(places, device)) is not None:
                return job
        return None

    def _pick(self, kind: str) -> tuple[int, ...] | None:
        for _ in range(len(self.again)):
            places = self.again.popleft()
            if device_kind(self.planned.entries[self.planned.entry[places[0]]].device) == kind:
                return places
            self.again.append(places)
        for group, left in self.waiting.items():
            if left and device_kind(self.planned.groups[group].device) == kind:
                return tuple(left.popleft() for _ in range(min(self.fleets[group], len(left))))
        return None

    def _job(self, places: Sequence[int], device: str) -> Job | None:
        planned = self.planned
        ids = {planned.id(place): place for place in places}
        mine = self._take(ids)
        self.elsewhere += [place for id, place in ids.items() if id not in mine]
        units, done = [], []
        for id, place in ids.items():
            if id in mine:
                unit = self._unit(id, place)
                units += [] if unit is None else [unit]
                done += [place] if unit is None else []
        if done:
            self._release(map(planned.id, done))
            planned.actions[done] = ACTIONS.index("done")
        if not units:
            return None
        group = planned.group(places[0])
        threads = self.threads if planned.groups[group].fleet else THREADS
        lease = None if self.lease is None else str(self.lease.path)
        repeats = max(1, self.repeats[group])
        return Job(tuple(units), device, threads, planned.results, planned.force, self.source, lease, repeats)

    def _unit(self, id: str, place: int) -> Unit | None:
        """What is left to do of a cell, or None."""
        budget = self.planned.budget(place)
        try:
            record = None if self.planned.force or self.store is None else self.store.read(id)
        except StoreError as error:
            self.problems.append(str(error))
            return None
        todo = "run" if record is None else action(record, budget)
        if todo == "done" and self.model is None:
            self.covered[id] = record
            return None
        spec = self.planned.spec(place)
        prior = record if todo in ("extend", "resume", "done") else None
        model = None if self.model is None else self.model.replace("{seed}", str(spec.seed))
        return Unit(spec, budget, prior, todo == "done", model)

    def _take(self, ids: Iterable[str]) -> set[str]:
        return set(ids) if self.lease is None else self.lease.take(ids)

    def _release(self, ids: Iterable[str]) -> None:
        if self.lease is not None:
            self.lease.release(ids)

    def over(self, job: Job) -> None:
        """A job came back: its cells are free for other processes."""
        self._release(unit.spec.id for unit in job.units)

    def halve(self, job: Job) -> bool:
        """After the loss of a worker process: its cells once more in halves; False for a lone one."""
        places = [self._place(unit.spec.id) for unit in job.units]
        middle = len(places) // 2
        if middle:
            self.again += [tuple(places[:middle]), tuple(places[middle:])]
        return bool(middle)

    def _place(self, id: str) -> int:
        return int(np.flatnonzero(self.planned.ids == np.uint64(int(id, 16)))[0])

    def look_elsewhere(self) -> int:
        """Cells that other processes have leased: those that are free again go back to the queue; how many remain."""
        places, self.elsewhere = self.elsewhere, []
        free = self._take([self.planned.id(place) for place in places]) if places else set()
        self._release(free)
        for place in places:
            if self.planned.id(place) not in free:
                self.elsewhere.append(place)
            elif not self._failed_there(place):
                self.waiting[self.planned.group(place)].append(place)
        return len(places)

    def _failed_there(self, place: int) -> bool:
        """Whether another process has tried a cell since this one began, in vain: it is not tried once more."""
        id = self.planned.id(place)
        try:
            record = None if self.store is None else self.store.read(id)
            if self.store is None or record is None or record["final"]["step"] is not None:
                return False
            self.covered[id] = record
            return self.store.path(id).stat().st_mtime_ns > self.began
        except (OSError, StoreError):
            return False
