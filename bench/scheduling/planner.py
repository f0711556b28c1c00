"""Planning: a request resolved and validated whole, and looked up among what is stored."""

import inspect
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import RequestError, StoreError, one_of
from bench.results.record import Record
from bench.results.store import Store
from bench.scheduling.devices import check_arithmetic, device_kind, kind_of_device, prepared_device
from bench.scheduling.durations import Duration
from bench.scheduling.fleets import AT_ONCE, FLEET, code_key, code_shape
from bench.scheduling.grid import Grid, Request, read
from bench.scheduling.plan import ACTIONS, FAMILY, Entry, Plan, Step, Sweep, action
from bench.specs import registry
from bench.specs.budget import count_train, resolve_budget, seeds_of
from bench.specs.cell import prepare
from bench.specs.resolve import family, resolve
from bench.specs.spec import Spec
from bench.specs.values import whole
from learners import Learner

__all__ = ["plan", "plan_sweep"]


def plan(
    *,
    seeds: int | None = None,
    seed: int | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    stop_when_solved: bool = False,
    device: str = "auto",
    results: str | Path | None = "results",
    force: bool = False,
    **what: Any,
) -> Plan:
    """Resolve and validate a request whole, and look up what of it is done already.

    :param seeds: how many seeds, from 0 on; None takes one.
    :param seed: this one seed instead.
    :param steps: budget in updates, or
    :param epochs: in passes over the training pairs; neither takes the learner's own.
    :param seconds: safety limit of each cell.
    :param stop_when_solved: stop once 99 % of the validation pairs have held over 20 % more steps.
    :param device: "auto", "cpu", "cuda" or "cuda:i".
    :param results: the results folder, None to look nothing up.
    :param force: plan to compute anew what is stored.
    :param what: encoder, learner, settings (``{"learner.alpha": 0.1}``), combine, sdr, task, modulus, pairs,
        train_fraction, validation_fraction, split_seed and precision, as in `bench.specs.resolve.resolve`.
    :raises RequestError: where anything in the request is wrong.
    :raises StoreError: where a stored record cannot be read.
    """
    known = inspect.signature(family).parameters
    for name in what:
        if name not in known:
            raise RequestError(one_of("argument", name, {*known, *inspect.signature(plan).parameters} - {"what"}))
    for name in ("encoder", "learner"):
        if name not in what:
            raise RequestError(f"Missing argument {name!r}.")
    specs = resolve(stop_when_solved=stop_when_solved, seeds=seeds_of(seeds, seed), **what)
    chosen = prepared_device(device, specs[0])
    check_arithmetic(specs[0], chosen)
    prepare(specs[0])
    if results is not None and not str(results):
        raise RequestError("--results must name a folder, got ''.")
    store = None if results is None or force or not Path(results).exists() else Store(results)
    planned = []
    for spec in specs:
        budget = resolve_budget(spec, count_train(spec), steps, epochs, seconds, stop_when_solved)
        record = None if store is None else store.read(spec.id)
        planned.append(Step(spec, budget, record, "run" if record is None else action(record, budget)))
    return Plan(planned, chosen, None if results is None else str(results), force)


SAMPLE = 200
"""Cells of other sweeps that are read for how long a learner takes, where none of this one's tells."""


KNOWN = 2
"""Data of requests that are kept while others are read: neighbours often have the same."""


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
        found = family(**{key: value for key, value in values.items() if key in FAMILY}, seed=seeds[0])
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
        alike = (structure, first.precision, code_shape(code_key(first))) if structure is not None else None
        group = (device, alike or first.learner["name"])
        if group not in self.groups:
            self.groups[group] = len(self.groups)
            self.learners.append(first.learner["name"])
            size = FLEET[device_kind(device)] if structure is not None else AT_ONCE if closed else 1
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
        extends = ACTIONS[planned.actions[place]] in ("extend", "resume")
        if extends and step is not None and store.checkpoints.has(record["id"], step):
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
    return record["spec"]["learner"]["name"], device_kind(record["environment"]["device"])


def _count(planned: Sweep, record: Record) -> None:
    """What a stored cell took."""
    if record["final"]["step"] is not None:
        planned.durations.setdefault(_sort_of(record), Duration()).add(record)
