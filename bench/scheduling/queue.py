"""The queue of a plan: when a worker is idle, it makes a job of cells that no other process has leased."""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

import numpy as np

from bench.errors import DamagedError, StoreError
from bench.executors import Job, WorkUnit
from bench.results import Lease, Record, Store, environment
from bench.scheduling.devices import THREADS, device_kind, fleet_parts
from bench.scheduling.fleets import AT_ONCE
from bench.scheduling.plan import ACTIONS, Plan, action
from bench.specs import registry


class CellQueue:
    """The jobs of a plan. The cells of a job are leased, and their records are read again.

    A job of a grid is made when a worker is idle. A request has few jobs, which are made at once: learners that train
    fleets have one fleet for each GPU or core, all of about the same size, and others one job for each cell.

    :param lease: distributes cells among the processes that share a results folder; None without a folder.
    :param jobs: the largest number of worker processes on the CPU; None is one for each core.
    :param model: the file for each fitted pipeline, or None; with a file, cells that are done have jobs too.
    :ivar devices: the device of each worker process.
    :ivar done_elsewhere: ids of the cells that another process has computed since the plan was made.
    :ivar problems: messages about records that could not be read.
    :ivar damaged: errors of records that were damaged since the plan was made, and are set aside.
    """

    def __init__(self, planned: Plan, lease: Lease | None, jobs: int | None = None, model: str | None = None) -> None:
        self.planned, self.lease, self.jobs, self.model = planned, lease, jobs, model
        self.store = None if planned.results is None else Store(planned.results)
        self.source = environment.source_state()
        self.began = time.time_ns()
        self.done_elsewhere: set[str] = set()
        self.problems: list[str] = []
        self.damaged: list[DamagedError] = []
        self.leased_elsewhere: list[int] = []
        self.ready: list[tuple[int, ...]] = []
        self.waiting: dict[int, deque[int]] = {group: deque() for group in range(len(planned.groups))}
        for index in planned.todo.tolist():
            self.waiting[planned.group(index)].append(index)
        self.repeats = dict.fromkeys(self.waiting, 1)
        self.threads = dict.fromkeys(self.waiting, THREADS)
        (self._size_fleets if planned.of_grid else self._split)(jobs or planned.executor.cores())

    def _size_fleets(self, cores: int) -> None:
        """Set the size of the fleets of each group of a grid."""
        planned = self.planned
        self.devices = planned.worker_devices(cores)
        workers = Counter(map(device_kind, self.devices))
        slots = {g: max(1, workers[device_kind(planned.groups[g].device)]) for g in self.waiting}
        self.sizes = {g: planned.fleet_size(g, len(left), slots[g]) for g, left in self.waiting.items()}
        # Counted over all cells of the plan, since what is compiled must not depend on how many are done already.
        cells = np.bincount(planned.entry, minlength=len(planned.entries))
        total = np.bincount([entry.group for entry in planned.entries], cells, minlength=len(planned.groups))
        self.repeats = {g: math.ceil(total[g] / self.sizes[g] / slots[g]) for g in self.waiting}

    def _split(self, cores: int) -> None:
        """Make the jobs of a request."""
        planned, devices = self.planned, []
        self.sizes = dict.fromkeys(self.waiting, 1)
        for group, left in self.waiting.items():
            parts = [(planned.groups[group].device, THREADS)] * len(left)
            if left and planned.groups[group].fleet:
                updates = sum(planned.budget(index).steps for index in left)
                parts = fleet_parts(planned.groups[group].device, len(left), updates, cores, planned.executor.gpus)
                self.sizes[group], self.threads[group] = math.ceil(len(left) / len(parts)), parts[0][1]
            indices = tuple(left)
            self.ready += [indices[number :: len(parts)] for number in range(len(parts))]
            devices += [device for device, _ in parts]
            left.clear()
        if self.model is not None:
            done = np.flatnonzero(planned.actions == ACTIONS.index("done")).tolist()
            self.ready += [(index,) for index in done]
            devices += [planned.entries[planned.entry[index]].device for index in done]
        self.devices = ["cpu"] * min(cores, devices.count("cpu")) + sorted({*devices} - {"cpu"})

    @property
    def in_process(self) -> bool:
        """Whether the jobs run in this process, since a worker process is not worth its start.

        There is one job, or one worker is asked for, or no number of workers is, and there are a few cells of a closed
        form. No cell has a hard limit, and the learner is one of ours, since another one may end its process.
        """
        planned = self.planned
        ours = all(registry.learner(group.learner).__module__.startswith("learners.") for group in planned.groups)
        if planned.of_grid or not ours or any(entry.budget.seconds for entry in planned.entries):
            return False
        closed = not any(entry.budget.steps for entry in planned.entries)
        return 1 in (len(self.ready), self.jobs) or (closed and self.jobs is None and len(self.ready) <= AT_ONCE)

    def next(self, device: str) -> Job | None:
        """A job for a device, or None if no cells are left for it."""
        while (indices := self._pick(device_kind(device))) is not None:
            if (job := self._job(indices, device)) is not None:
                return job
        return None

    def _pick(self, kind: str) -> tuple[int, ...] | None:
        for indices in self.ready:
            if device_kind(self.planned.entries[self.planned.entry[indices[0]]].device) == kind:
                self.ready.remove(indices)
                return indices
        for group, left in self.waiting.items():
            if left and device_kind(self.planned.groups[group].device) == kind:
                return tuple(left.popleft() for _ in range(min(self.sizes[group], len(left))))
        return None

    def _job(self, indices: Sequence[int], device: str) -> Job | None:
        planned = self.planned
        ids = {planned.id(index): index for index in indices}
        mine = self._take(ids)
        others = {index: self._unit(id, index) for id, index in ids.items() if id not in mine and self.model}
        stored = {index: unit for index, unit in others.items() if unit and unit.model_only}  # which needs no lease
        self.leased_elsewhere += [index for id, index in ids.items() if id not in mine and index not in stored]
        found = stored | {index: self._unit(id, index) for id, index in ids.items() if id in mine}
        units = [unit for unit in found.values() if unit is not None]
        done = [index for index, unit in found.items() if unit is None]
        if done:
            self._release(map(planned.id, done))
            planned.actions[done] = ACTIONS.index("done")
        if not units:
            return None
        group = planned.group(indices[0])
        return Job(
            tuple(units),
            device,
            threads=self.threads[group],
            results=planned.results,
            force=planned.force,
            keep_states=planned.keep_states,
            source=self.source,
            lease=None if self.lease is None else str(self.lease.path),
            repeats=self.repeats[group],
        )

    def _unit(self, id: str, index: int) -> WorkUnit | None:
        """The unit of a cell, or None if it is done."""
        budget = self.planned.budget(index)
        try:
            record = None if self.planned.force or self.store is None else self._read(self.store, id)
        except StoreError as error:
            self.problems.append(str(error))
            return None
        todo = "run" if record is None else action(record, budget)
        if todo == "done":
            self.done_elsewhere.add(id)
            if self.model is None:
                return None
        spec = self.planned.spec(index)
        prior = record if todo in ("extend", "resume", "done") else None
        model = None if self.model is None else self.model.replace("{seed}", str(spec.seed))
        return WorkUnit(spec, budget, prior, todo == "done", model)

    def _read(self, store: Store, id: str) -> Record | None:
        """A stored record; one that is damaged is set aside, so that its cell is computed anew."""
        try:
            return store.read(id)
        except DamagedError:
            self.damaged += store.set_damaged_aside([id])
            return store.read(id)

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
        indices = [self.planned.index(unit.spec.id) for unit in job.units]
        middle = len(indices) // 2
        if middle:
            self.ready += [tuple(indices[:middle]), tuple(indices[middle:])]
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
        id, store = self.planned.id(index), self.store
        with suppress(OSError, StoreError):
            record = None if store is None else store.read(id)
            failed = record is not None and record["final"]["step"] is None
            if store is not None and failed and store.path(id).stat().st_mtime_ns > self.began:
                self.done_elsewhere.add(id)
        return id in self.done_elsewhere
