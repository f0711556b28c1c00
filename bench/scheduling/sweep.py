"""Sweeps: the cells of a grid, planned whole, run over all devices, and gone on with after whatever happens."""

import json
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from bench.errors import RequestError, StoreError
from bench.executors.local import Slots, UnderWay
from bench.executors.worker import Job, Unit, board
from bench.results import environment
from bench.results.leases import Claims
from bench.results.store import Record, Store
from bench.scheduling.durations import Duration
from bench.scheduling.grid import Grid, Request, read
from bench.scheduling.run import (
    THREADS,
    action,
    check_arithmetic,
    count_train,
    gpus,
    kind_of_device,
    plain_spec,
    prepared_device,
    resolve_budget,
    seeds_of,
)
from bench.specs import registry
from bench.specs.cell import prepare
from bench.specs.resolve import Budget, Family, Spec, family, whole
from learners import Learner

__all__ = ["ACTIONS", "Sweep", "plan_sweep", "sweep"]

ACTIONS = ("run", "extend", "resume", "retry", "done")
FLEET = {"cpu": 8, "cuda": 256}
"""Replicas that train side by side: what a killed process loses is their work since it was last kept."""
SAMPLE = 200
"""Cells of other sweeps that are read for how long a learner takes, where none of this one's tells."""
KNOWN = 2
"""Data of requests that are kept while others are read: neighbours often have the same."""
AT_ONCE = 16
"""Cells that need no steps, and are done before a process of their own has started."""
_FAMILY = (
    *("encoder", "learner", "settings", "combine", "sdr", "task", "modulus", "pairs", "train_fraction"),
    *("validation_fraction", "stop_when_solved", "precision", "split_seed"),
)

Display = Callable[["Sweep", Callable[[], list[UnderWay]]], AbstractContextManager[Callable[[Record | None], None]]]
"""Takes a sweep and what tells what is under way; yields what is told of records, and of None in between."""


@dataclass(frozen=True)
class Entry:
    """One request of a grid, that is cells which differ in their seed alone.

    :param device: what trains them: "cpu", "cuda" or "cuda:i".
    :param group: number of the group of cells that may train side by side.
    """

    request: Mapping[str, Any]
    budget: Budget
    device: str
    group: int

    def family(self) -> Family:
        """Its specs."""
        return family(**{key: value for key, value in self.request.items() if key in _FAMILY})


@dataclass
class Sweep:
    """The cells of a grid. Nothing has run.

    :param entries: requests.
    :param ids: of all cells, as numbers; each once.
    :param entry: number of the request of each cell.
    :param seed: of each cell.
    :param actions: number of the `ACTIONS` that each asks for.
    :param learners: names, by group, and
    :param sizes: cells that train side by side at most.
    :param stored: steps and seconds of the cells that go on from what is stored of them, by place.
    :param durations: what stored cells took, by learner and kind of device.
    :param devices: what trains them, by group.
    :ivar troubles: cells that failed or timed out when it ran, with what they said.
    :ivar problems: what could not be written, or read, when it ran.
    :ivar busy: seconds that worker processes had something to do, once it ran, and
    :ivar spent: seconds of them by purpose.
    """

    name: str
    entries: list[Entry]
    ids: NDArray[np.uint64]
    entry: NDArray[np.int32]
    seed: NDArray[np.int64]
    actions: NDArray[np.int8]
    learners: list[str]
    sizes: list[int]
    devices: list[str]
    results: str
    device: str
    force: bool = False
    stored: dict[int, tuple[int, float]] = field(default_factory=dict)
    durations: dict[tuple[str, str], Duration] = field(default_factory=dict)
    troubles: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    busy: float = 0.0
    spent: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> Counter[str]:
        """Cells by what is to be done with them."""
        numbers, counts = np.unique(self.actions, return_counts=True)
        return Counter({ACTIONS[n]: int(c) for n, c in zip(numbers, counts, strict=True)})

    @property
    def todo(self) -> NDArray[np.intp]:
        """Places of the cells that are not covered by what is stored."""
        return np.flatnonzero(self.actions != ACTIONS.index("done"))

    def id(self, place: int) -> str:
        """The id of a cell."""
        return f"{int(self.ids[place]):016x}"

    def spec(self, place: int) -> Spec:
        """The spec of a cell."""
        return _family(self, int(self.entry[place])).at(int(self.seed[place]))

    def records(self) -> Iterator[Record]:
        """What is stored of the cells, in their order."""
        return (record for _, record in self.placed_records())

    def placed_records(self) -> Iterator[tuple[int, Record]]:
        """What is stored of the cells, each with its place."""
        store = Store(self.results)
        for place in range(len(self)):
            record = store.read(self.id(place))
            if record is not None:
                yield place, record

    def sort(self, entry: Entry) -> tuple[str, str]:
        """Learner and kind of device, by which ``durations`` are known."""
        return self.learners[entry.group], _kind(entry.device)

    def fleet(self, group: int, count: int, slots: int) -> int:
        """How many of so many cells of a group train side by side, for all slots to have something to do."""
        return min(self.sizes[group], max(1, -(-count // slots)))

    def slots(self, cores: int) -> list[str]:
        """The devices of the worker processes that the cells to do have, one for each process."""
        kinds = {self.entries[number].device for number in np.unique(self.entry[self.todo]).tolist()}
        cuda = [device for device in kinds if device != "cpu"]
        names = [f"cuda:{i}" for i in range(gpus())] if cuda == ["cuda"] and gpus() > 1 else cuda
        return names + ["cpu"] * (min(cores, len(self.todo)) if "cpu" in kinds else 0)

    def seconds_left(self, slots: int) -> tuple[float, int]:
        """Seconds that the cells to do take by what such cells took, and how many are of a kind never seen here."""
        total, unknown = 0.0, 0
        counts = Counter(self.entry[self.todo].tolist())
        stored = Counter[int]()
        for place, (steps, _) in self.stored.items():
            stored[int(self.entry[place])] += steps
        for number, count in counts.items():
            entry = self.entries[number]
            known = self.durations.get(self.sort(entry))
            if known is None:
                unknown += count
            else:
                limit = math.inf if entry.budget.seconds is None else entry.budget.seconds
                steps = count * max(1, entry.budget.steps) - stored[number]
                total += min(count * limit, known.seconds(count, steps))
        return total / slots, unknown


def _family(planned: Sweep, number: int) -> Family:
    cache: OrderedDict[int, Family] = planned.__dict__.setdefault("_families", OrderedDict())
    if number not in cache:
        cache[number] = planned.entries[number].family()
        if len(cache) > 4096:
            cache.popitem(last=False)
    return cache[number]


def plan_sweep(
    grid: "Grid | Mapping[str, Any] | str | Path",
    *,
    device: str = "auto",
    results: str | Path = "results",
    force: bool = False,
    seconds: float | None = None,
) -> Sweep:
    """Resolve and validate a grid whole, and look up which of its cells are done already.

    :param grid: a YAML file, or what one would hold.
    :param device: "auto", "cpu", "cuda" or "cuda:i", for learners that can use it.
    :param results: the results folder.
    :param force: plan to compute anew what is stored.
    :param seconds: hard limit of a cell, where its request has none.
    :raises RequestError: where anything in the grid is wrong; the message says where.
    :raises StoreError: where a stored record cannot be read.
    """
    if not isinstance(grid, Grid):
        grid = read(grid) if isinstance(grid, str | Path) else Grid.of(grid)
    if not str(results):
        raise RequestError("--results must name a folder, got ''.")
    planner = _Planner(device, seconds)
    for request in grid:
        try:
            planner.add(request)
        except RequestError as error:
            raise RequestError(f"{request.place}: {_named(request)}{error}") from error
    planned = planner.sweep(grid.name, str(results), force)
    _look_up(planned)
    return planned


def _named(request: Request) -> str:
    names = [str(request.values[key]) for key in ("encoder", "learner") if key in request.values]
    return f"{' → '.join(names)}: " if names else ""


class _Planner:
    """Turns requests into entries and cells."""

    def __init__(self, device: str, seconds: float | None) -> None:
        self.device, self.kind, self.seconds = device, kind_of_device(device), seconds
        self.entries: list[Entry] = []
        self.groups: dict[Any, int] = {}
        self.learners: list[str] = []
        self.sizes: list[int] = []
        self.devices: list[str] = []
        self.known: dict[str, Any] = {}
        self.ids: list[int] = []
        self.entry: list[int] = []
        self.seed: list[int] = []

    def add(self, request: Request) -> None:
        """Validate a request and add its cells."""
        values = request.values
        for key in ("encoder", "learner"):
            if key not in values:
                raise RequestError(f"the grid has no {key}.")
        seeds = seeds_of(values.get("seeds"), values.get("seed"))
        found = family(**{key: value for key, value in values.items() if key in _FAMILY}, seed=seeds[0])
        first = found.first
        learner_class = registry.learner(first.learner["name"])
        fits = self.kind in ("auto", *learner_class.devices)
        device = prepared_device(self.device, first) if fits else "cpu"
        check_arithmetic(first, device)
        if learner_class.check_codes is not Learner.check_codes:
            prepare(first, self.known)
            self.known = {key: self.known[key] for key in list(self.known)[-KNOWN:]}
        by_count: dict[int, list[int]] = {}
        for seed in seeds if first.protocol == "grouped" else seeds[:1]:  # twins stay together: how many train varies
            by_count.setdefault(count_train(found.at(seed)), []).append(seed)
        for n_train, some in by_count.items():
            entry = self._entry(values, first, n_train, device)
            for seed in some if first.protocol == "grouped" else seeds:
                self.ids.append(int(found.id(seed), 16))
                self.entry.append(entry)
                self.seed.append(seed)

    def _entry(self, values: Mapping[str, Any], first: Spec, n_train: int, device: str) -> int:
        """The number of a new entry."""
        learner = first.make_learner()
        closed = learner.granularity(n_train) == 0
        limits = {key: whole(f"--{key}", values.get(key), 1) for key in ("steps", "epochs")}
        limits = dict.fromkeys(limits) if closed else limits
        seconds = values.get("seconds", self.seconds)
        stop = values.get("stop_when_solved", False)
        budget = resolve_budget(first, n_train, **limits, seconds=seconds, stop_when_solved=stop)
        structure = learner.structure(n_train)
        alike = (structure, first.precision, _shape(_code_key(first))) if structure is not None else None
        group = (device, alike or first.learner["name"])
        if group not in self.groups:
            self.groups[group] = len(self.groups)
            self.learners.append(first.learner["name"])
            size = FLEET[_kind(device)] if structure is not None else AT_ONCE if closed else 1
            self.sizes.append(size)
            self.devices.append(device)
        self.entries.append(Entry(values, budget, device, self.groups[group]))
        return len(self.entries) - 1

    def sweep(self, name: str, results: str, force: bool) -> Sweep:
        """All cells, each once; of two budgets for one the larger counts."""
        ids = np.array(self.ids, dtype=np.uint64)
        entry = np.array(self.entry, dtype=np.int32)
        seed = np.array(self.seed, dtype=np.int64)
        steps = np.array([e.budget.steps for e in self.entries], dtype=np.int64)[entry] if len(ids) else entry
        order = np.lexsort((np.arange(len(ids)), -steps))
        _, first = np.unique(ids[order], return_index=True)
        kept = np.sort(order[first])
        actions = np.zeros(len(kept), dtype=np.int8)
        device = self.device
        cells = (ids[kept], entry[kept], seed[kept], actions)
        groups = (self.learners, self.sizes, self.devices)
        return Sweep(name, self.entries, *cells, *groups, results, device, force)


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _code_key(spec: Spec) -> str:
    """What decides the shape of the codes."""
    encoder = {name: value for name, value in spec.encoder.items() if name != "random_state"}
    return json.dumps([spec.task, spec.modulus, spec.task_parameters, encoder, spec.combine, spec.sdr])


@lru_cache(maxsize=1 << 16)
def _shape(key: str) -> tuple[int, int, int, bool]:
    """Slots, features and classes, and whether codes are one-hot, which are looked up."""
    task, modulus, task_parameters, encoder, combine, sdr = json.loads(key)
    if "random_state" in registry.encoder(encoder["name"])().get_params():
        encoder["random_state"] = 0
    plain = plain_spec(task, modulus, task_parameters, "ordered", 0.5, 0.0, 0)
    cell = prepare(replace(plain, encoder=encoder, combine=combine, sdr=sdr))
    codes = cell.problem.codes
    return codes.n_slots, codes.n_features, cell.task.n_classes, codes.onehot


def _look_up(planned: Sweep) -> None:
    """What is stored of the cells, and how long such cells took."""
    if not Path(planned.results).exists():
        return
    store = Store(planned.results)
    stored = np.array([int(id, 16) for id in store.ids()], dtype=np.uint64)
    others = stored[~np.isin(stored, planned.ids)]
    for place in np.flatnonzero(np.isin(planned.ids, stored)):
        try:
            record = store.read(planned.id(int(place)))
        except StoreError:
            if planned.force:
                continue
            raise
        if record is None:
            continue
        entry = planned.entries[planned.entry[place]]
        if not planned.force:
            planned.actions[place] = ACTIONS.index(action(record, entry.budget))
        _count(planned, record)
        step = record["final"]["step"]
        if ACTIONS[planned.actions[place]] in ("extend", "resume") and store.has_state(record["id"], step):
            planned.stored[int(place)] = step, record["seconds"]["total"]
    unknown = {planned.sort(entry) for entry in planned.entries} - planned.durations.keys()
    if unknown:  # some of the folder's other cells may tell
        for id in others[:: max(1, len(others) // SAMPLE)][:SAMPLE].tolist():
            with suppress(StoreError):
                record = store.read(f"{id:016x}")
                if record is not None and _sort_of(record) in unknown:
                    _count(planned, record)


def _sort_of(record: Record) -> tuple[str, str]:
    """As `Sweep.sort` of its entry."""
    return record["spec"]["learner"]["name"], _kind(record["environment"]["device"])


def _count(planned: Sweep, record: Record) -> None:
    """What a stored cell took."""
    if record["final"]["step"] is not None:
        planned.durations.setdefault(_sort_of(record), Duration()).add(record)


def sweep(
    grid: "Grid | Mapping[str, Any] | str | Path",
    *,
    jobs: int | None = None,
    display: Display | None = None,
    **request: Any,
) -> Iterator[Record]:
    """Run a grid; the records of its cells in its order.

    Cells that are stored already are not computed again, a larger budget extends them, and after an interruption the
    same call goes on. Another process may sweep the same folder at the same time: no cell is done twice.

    :param jobs: worker processes on the CPU; None takes one for each core.
    :param display: makes a progress display.
    :param request: all other arguments of `plan_sweep`.
    :raises RequestError: where anything in the grid is wrong; nothing ran.
    :raises StoreError: where the results folder fails.
    """
    planned = plan_sweep(grid, **request)
    run_sweep(planned, jobs, display)
    return planned.records()


def run_sweep(planned: Sweep, jobs: int | None = None, display: Display | None = None) -> bool:
    """Run what a plan leaves to do; whether it got to its end."""
    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs must be an integer ≥ 1, got {jobs}.")
    Store(planned.results, create=True)
    if not len(planned.todo):
        return True
    with board() as on:
        claims = Claims(planned.results)
        try:
            queue = _Queue(planned, claims, jobs or joblib.cpu_count())
            slots = Slots(queue.devices, on, lambda record: None)
            with display(planned, slots.under_way) if display else nullcontext(slots.finished) as slots.finished:
                went_on = slots.run(queue)
        finally:
            claims.close()
    planned.busy, planned.spent, planned.troubles = slots.busy, slots.spent, slots.troubles
    planned.problems = slots.problems + queue.problems
    if planned.problems and not went_on:
        raise StoreError(planned.problems[0])
    return went_on


class _Queue:
    """Jobs, made when a slot is free: cells that train side by side, claimed and looked up once more."""

    def __init__(self, planned: Sweep, claims: Claims, cores: int) -> None:
        self.planned, self.claims = planned, claims
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
        return sum(_kind(device) == _kind(self.planned.devices[group]) for device in self.devices)

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
            if left and _kind(planned.devices[group]) == kind:
                return tuple(left.popleft() for _ in range(min(self.fleets[group], len(left))))
        return None

    def _job(self, places: Sequence[int], device: str) -> Job | None:
        planned = self.planned
        ids = {planned.id(place): place for place in places}
        mine = self.claims.take(ids)
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
            self.claims.release({planned.id(place) for place in covered})
            planned.actions[covered] = ACTIONS.index("done")
        if not units:
            return None
        lease = str(self.claims.lease)
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
        self.claims.release({unit.spec.id for unit in job.units})

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
        """Cells that other processes have in hand: those that are free again go back to the queue; how many remain."""
        places, self.elsewhere = self.elsewhere, []
        free = self.claims.take([self.planned.id(place) for place in places]) if places else set()
        self.claims.release(free)
        for place in places:
            if self.planned.id(place) in free:
                if self._failed_there(place):
                    continue
                self.waiting[self.planned.entries[self.planned.entry[place]].group].append(place)
            else:
                self.elsewhere.append(place)
        return len(places)
