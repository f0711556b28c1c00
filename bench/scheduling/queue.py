"""The queue of a plan: when a worker is idle, it makes a job of cells that no other process has leased."""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence

import numpy as np

from bench.errors import StoreError
from bench.executors import Job, WorkUnit
from bench.results import Lease, Record, Store, environment
from bench.scheduling.devices import THREADS, WORTH_A_PROCESS, device_kind
from bench.scheduling.plan import ACTIONS, Plan, action
from bench.specs import registry


class CellQueue:
    """The jobs of a plan. The cells of a job are leased, and their records are read again.

    :param lease: distributes cells among the processes that share a results folder; None without a folder.
    :param cores: the largest number of worker processes on the CPU.
    :param model: the file for each fitted pipeline, or None; with a file, cells that are done have jobs too.
    :ivar devices: the device of each worker process.
    :ivar done_elsewhere: records of cells that another process has computed since the plan was made.
    :ivar problems: messages about records that could not be read.
    """

    def __init__(self, planned: Plan, lease: Lease | None, cores: int, model: str | None = None) -> None:
        self.planned, self.lease, self.model = planned, lease, model
        self.store = None if planned.results is None else Store(planned.results)
        self.source = environment.source_state()
        self.waiting: dict[int, deque[int]] = {}
        for index in planned.todo.tolist():
            self.waiting.setdefault(planned.group(index), deque()).append(index)
        self.devices = planned.worker_devices(cores) or [planned.entries[0].device]
        slots = {group: self._slots_of(group) for group in self.waiting}
        self.fleets = {g: planned.fleet_size(g, len(indices), slots[g]) for g, indices in self.waiting.items()}
        # Counted over all cells of the plan, since what is compiled must not depend on how many are done already.
        sizes = np.bincount(np.array([entry.group for entry in planned.entries])[planned.entry])
        self.repeats = Counter({g: math.ceil(int(sizes[g]) / self.fleets[g] / slots[g]) for g in slots})
        self.threads = max(1, cores // self.devices.count("cpu")) if "cpu" in self.devices else THREADS
        self.began = time.time_ns()
        self.done_elsewhere: dict[str, Record | None] = {}
        self.problems: list[str] = []
        self.leased_elsewhere: list[int] = []
        self.retries: deque[tuple[int, ...]] = deque()
        if model is not None:
            self.retries += [(index,) for index in np.flatnonzero(planned.actions == ACTIONS.index("done")).tolist()]

    @property
    def in_process(self) -> bool:
        """Whether the jobs may run in this process, since a worker process is not worth its start.

        There is one job or all are short, no cell has a hard limit, and the learner is one of ours: another one may end
        its process, which must cost no other cell.
        """
        planned, left = self.planned, self.waiting.items()
        ours = {registry.learner(group.learner).__module__.partition(".")[0] for group in planned.groups} == {
            "learners"
        }
        if planned.of_grid or not ours or len(self.devices) > 1 or any(e.budget.seconds for e in planned.entries):
            return False
        cells = len(self.retries) + sum(len(indices) for _, indices in left)
        return cells == 1 or sum(planned.budget(i).steps for _, indices in left for i in indices) < WORTH_A_PROCESS

    def _slots_of(self, group: int) -> int:
        kind = device_kind(self.planned.groups[group].device)
        return sum(device_kind(device) == kind for device in self.devices)

    def next(self, device: str) -> Job | None:
        """A job for a device, or None if no cells are left for it."""
        while (indices := self._pick(device_kind(device))) is not None:
            if (job := self._job(indices, device)) is not None:
                return job
        return None

    def _pick(self, kind: str) -> tuple[int, ...] | None:
        for _ in range(len(self.retries)):
            indices = self.retries.popleft()
            if device_kind(self.planned.entries[self.planned.entry[indices[0]]].device) == kind:
                return indices
            self.retries.append(indices)
        for group, left in self.waiting.items():
            if left and device_kind(self.planned.groups[group].device) == kind:
                return tuple(left.popleft() for _ in range(min(self.fleets[group], len(left))))
        return None

    def _job(self, indices: Sequence[int], device: str) -> Job | None:
        planned = self.planned
        ids = {planned.id(index): index for index in indices}
        mine = self._take(ids)
        self.leased_elsewhere += [index for id, index in ids.items() if id not in mine]
        found = {index: self._unit(id, index) for id, index in ids.items() if id in mine}
        units = [unit for unit in found.values() if unit is not None]
        done = [index for index, unit in found.items() if unit is None]
        if done:
            self._release(map(planned.id, done))
            planned.actions[done] = ACTIONS.index("done")
        if not units:
            return None
        group = planned.group(indices[0])
        threads = self.threads if planned.groups[group].fleet else THREADS
        lease = None if self.lease is None else str(self.lease.path)
        repeats = max(1, self.repeats[group])
        return Job(tuple(units), device, threads, planned.results, planned.force, self.source, lease, repeats)

    def _unit(self, id: str, index: int) -> WorkUnit | None:
        """The unit of a cell, or None if it is done."""
        budget = self.planned.budget(index)
        try:
            record = None if self.planned.force or self.store is None else self.store.read(id)
        except StoreError as error:
            self.problems.append(str(error))
            return None
        todo = "run" if record is None else action(record, budget)
        if todo == "done" and self.model is None:
            self.done_elsewhere[id] = record
            return None
        spec = self.planned.spec(index)
        prior = record if todo in ("extend", "resume", "done") else None
        model = None if self.model is None else self.model.replace("{seed}", str(spec.seed))
        return WorkUnit(spec, budget, prior, todo == "done", model)

    def _take(self, ids: Iterable[str]) -> set[str]:
        return set(ids) if self.lease is None else self.lease.take(ids)

    def _release(self, ids: Iterable[str]) -> None:
        if self.lease is not None:
            self.lease.release(ids)

    def finish(self, job: Job) -> None:
        """Release the lease on the cells of a finished job."""
        self._release(unit.spec.id for unit in job.units)

    def requeue_halves(self, job: Job) -> bool:
        """Queue the two halves of a job whose worker process died; False if it has one cell only."""
        ids = [np.uint64(int(unit.spec.id, 16)) for unit in job.units]
        indices = [int(np.flatnonzero(self.planned.ids == id)[0]) for id in ids]
        middle = len(indices) // 2
        if middle:
            self.retries += [tuple(indices[:middle]), tuple(indices[middle:])]
        return bool(middle)

    def recheck_leases(self) -> int:
        """Queue the cells whose lease another process has released; returns how many cells were leased before that."""
        indices, self.leased_elsewhere = self.leased_elsewhere, []
        free = self._take([self.planned.id(index) for index in indices]) if indices else set()
        self._release(free)
        for index in indices:
            if self.planned.id(index) not in free:
                self.leased_elsewhere.append(index)
            elif not self._failed_elsewhere(index):
                self.waiting[self.planned.group(index)].append(index)
        return len(indices)

    def _failed_elsewhere(self, index: int) -> bool:
        """Whether a cell has failed in another process since this one began; it is not tried again then."""
        id = self.planned.id(index)
        try:
            record = None if self.store is None else self.store.read(id)
            if self.store is None or record is None or record["final"]["step"] is not None:
                return False
            self.done_elsewhere[id] = record
            return self.store.path(id).stat().st_mtime_ns > self.began
        except (OSError, StoreError):
            return False
