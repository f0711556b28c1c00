"""Planning: requests resolved and validated whole, and looked up among what is stored."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import RequestError, StoreError
from bench.results import Record, Store
from bench.scheduling.devices import check_arithmetic, device_kind, kind_of_device, prepared_device
from bench.scheduling.durations import Duration
from bench.scheduling.fleets import largest_fleet, structure_of
from bench.scheduling.grid import Combination, Grid, read
from bench.scheduling.plan import ACTIONS, Entry, Group, Plan, action
from bench.specs import Request, Spec, as_integer, count_train, family, prepare, registry, resolve_budget, seeds_of
from learners import Learner

SAMPLE = 200
"""Cells of other sweeps that are read for how long a learner takes, where none of this one's tells."""
KNOWN = 2
"""Data of requests that are kept while others are read: neighbours often have the same."""


def plan(*, device: str = "auto", results: str | Path | None = "results", force: bool = False, **asked: Any) -> Plan:
    """Resolve and validate a request whole, and look up what of it is done already.

    :param device: "auto", "cpu", "cuda" or "cuda:i".
    :param results: the results folder, None to look nothing up.
    :param force: plan to compute anew what is stored.
    :param asked: the fields of `bench.specs.Request`: encoder, learner, task, seeds, steps and so on.
    :raises RequestError: where anything in the request is wrong.
    :raises StoreError: where a stored record cannot be read.
    """
    planner = _Planner(device, of_grid=False)
    planner.add(Request.of(asked, others=("device", "results", "force", "save_model", "jobs", "display")))
    return planner.plan("", results, force)


def plan_sweep(
    grid: "Grid | Mapping[str, Any] | str | Path",
    *,
    device: str = "auto",
    results: str | Path = "results",
    force: bool = False,
    seconds: float | None = None,
) -> Plan:
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
    planner = _Planner(device, of_grid=True)
    for combination in grid:
        try:
            planner.add(_request(combination, seconds))
        except RequestError as error:
            raise RequestError(f"{combination.place}: {_named(combination)}{error}") from error
    return planner.plan(grid.name, results, force)


def _request(combination: Combination, seconds: float | None) -> Request:
    for key in ("encoder", "learner"):
        if key not in combination.values:
            raise RequestError(f"the grid has no {key}.")
    request = Request.of(combination.values)
    return request if request.seconds is not None else replace(request, seconds=seconds)


def _named(combination: Combination) -> str:
    names = [str(combination.values[key]) for key in ("encoder", "learner") if key in combination.values]
    return f"{' → '.join(names)}: " if names else ""


class _Planner:
    """Turns requests into entries and cells.

    :param of_grid: whether requests are of a grid, whose learners differ: what does not apply to one is then ignored,
        a device that it cannot use, or a budget where it takes no steps. A request by itself is refused.
    """

    def __init__(self, device: str, of_grid: bool) -> None:
        self.device, self.kind, self.of_grid = device, kind_of_device(device), of_grid
        self.entries: list[Entry] = []
        self.numbers: dict[Any, int] = {}
        self.groups: list[Group] = []
        self.known: dict[str, Any] = {}
        self.ids: list[int] = []
        self.entry: list[int] = []
        self.seed: list[int] = []

    def add(self, request: Request) -> None:
        """Validate a request and add its cells."""
        seeds = seeds_of(request.seeds, request.seed)
        found = family(request, seeds[0])
        first = found.first
        learner_class = registry.learner(first.learner["name"])
        fits = self.kind in ("auto", *learner_class.devices)
        device = prepared_device(self.device, first) if fits or not self.of_grid else "cpu"
        check_arithmetic(first, device)
        if learner_class.check_codes is not Learner.check_codes or not self.of_grid:
            prepare(first, self.known)
            self.known = {key: self.known[key] for key in list(self.known)[-KNOWN:]}
        by_count: dict[int, list[int]] = {}
        for seed in seeds if first.protocol == "grouped" else seeds[:1]:  # twins stay together: how many train varies
            by_count.setdefault(count_train(found.at(seed)), []).append(seed)
        for n_train, some in by_count.items():
            entry = self._entry(request, first, n_train, device)
            for seed in some if first.protocol == "grouped" else seeds:
                self.ids.append(int(found.id(seed), 16))
                self.entry.append(entry)
                self.seed.append(seed)

    def _entry(self, request: Request, first: Spec, n_train: int, device: str) -> int:
        """The number of a new entry."""
        learner, name = first.make_learner(), first.learner["name"]
        closed, limits = learner.granularity(n_train) == 0, request.limits
        if closed and self.of_grid:
            for key in ("steps", "epochs"):
                as_integer(key, limits[key], 1)
            limits |= {"steps": None, "epochs": None}
        budget = resolve_budget(first, n_train, **limits)
        structure = structure_of(first, n_train)
        group = (device, structure)
        if group not in self.numbers:
            self.numbers[group] = len(self.groups)
            size = largest_fleet(structure, first, n_train, device_kind(device))
            self.groups.append(Group(name, device, size, not isinstance(structure, str)))
        self.entries.append(Entry(request, budget, device, self.numbers[group]))
        return len(self.entries) - 1

    def plan(self, name: str, results: str | Path | None, force: bool) -> Plan:
        """All cells, each once, with what is stored of them; of two budgets for one cell the larger counts."""
        if results is not None and not str(results):
            raise RequestError("`results` must name a folder, got ''.")
        ids = np.array(self.ids, dtype=np.uint64)
        entry = np.array(self.entry, dtype=np.int32)
        seed = np.array(self.seed, dtype=np.int64)
        steps = np.array([e.budget.steps for e in self.entries], dtype=np.int64)[entry] if len(ids) else entry
        order = np.lexsort((np.arange(len(ids)), -steps))
        _, first = np.unique(ids[order], return_index=True)
        kept = np.sort(order[first])
        cells = (ids[kept], entry[kept], seed[kept], np.zeros(len(kept), dtype=np.int8))
        planned = Plan(
            name, self.entries, *cells, self.groups, None if results is None else str(results), force, self.of_grid
        )
        _look_up(planned)
        return planned


def _look_up(planned: Plan) -> None:
    """What is stored of the cells, and how long such cells took."""
    if planned.results is None or not Path(planned.results).exists():
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
    """As `Plan.sort` of its entry."""
    return record["spec"]["learner"]["name"], device_kind(record["environment"]["device"])


def _count(planned: Plan, record: Record) -> None:
    """What a stored cell took."""
    if record["final"]["step"] is not None:
        planned.durations.setdefault(_sort_of(record), Duration()).add(record)
