"""Planning: resolves and validates all requests of a plan, and looks up their stored records."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DamagedError, RequestError, StoreError
from bench.executors import executor_class
from bench.results import Record, Store
from bench.scheduling.devices import check_precision, device_kind, parse_device, resolve_device
from bench.scheduling.durations import Duration
from bench.scheduling.fleets import largest_fleet, structure_of
from bench.scheduling.grid import Combination, Grid, read
from bench.scheduling.plan import ACTIONS, Entry, Group, Plan, action
from bench.scheduling.shards import in_shard, parse_shard
from bench.specs import (
    Request,
    Spec,
    as_integer,
    canonical_optimizer,
    count_train,
    family,
    has_optimizer,
    parts_of,
    prepare,
    registry,
    resolve_budget,
    seeds_of,
)
from learners import Learner

SAMPLE = 200
"""The number of other records in the folder that are read to estimate durations, if the plan has none itself."""
KNOWN = 2
"""The number of prepared data sets that are cached: requests in a row often share theirs."""


def plan(
    *,
    device: str = "auto",
    results: str | Path | None = "results",
    force: bool = False,
    keep_states: int = 0,
    executor: str = "local",
    **fields: Any,
) -> Plan:
    """Resolve and validate a request, and look up which of its cells are done already.

    :param device: "auto", "cpu", "cuda" or "cuda:i".
    :param results: the results folder, or None.
    :param force: plan to compute stored cells again.
    :param keep_states: the number of evaluations of each run, spread over the logarithm of the step, at which its state
        is kept: from these, `bench.plot` draws what happens inside a learner.
    :param executor: where jobs are going to run: "local", or "dask:" and the address of a scheduler.
    :param fields: the fields of `bench.specs.Request`: encoder, learner, task, seeds, steps and so on.
    :raises RequestError: if anything in the request is invalid.
    :raises StoreError: if the results folder cannot be read.
    """
    planner = _Planner(device, executor, of_grid=False)
    others = ("device", "results", "force", "keep_states", "save_model", "jobs", "display", "executor")
    planner.add(Request.of(fields, others))
    return planner.plan("", results, force, keep_states)


def plan_sweep(
    grid: "Grid | Mapping[str, Any] | str | Path",
    *,
    device: str = "auto",
    results: str | Path = "results",
    force: bool = False,
    keep_states: int = 0,
    seconds: float | None = None,
    executor: str = "local",
    shard: str | None = None,
) -> Plan:
    """Resolve and validate a grid, and look up which of its cells are done already.

    :param grid: a YAML file, or the mapping that it would hold.
    :param device: "auto", "cpu", "cuda" or "cuda:i", for learners that support it.
    :param results: the results folder.
    :param force: plan to compute stored cells again.
    :param keep_states: as of `plan`.
    :param seconds: the hard limit of cells whose request has none.
    :param executor: as of `plan`.
    :param shard: "K/N", which plans every N-th job of the grid from the K-th on. All N shards together are the grid,
        and no two have a cell in common, on whatever machines they run and whatever is done already.
    :raises RequestError: if anything in the grid is invalid; the message names the combination.
    :raises StoreError: if the results folder cannot be read.
    """
    if not isinstance(grid, Grid):
        grid = read(grid) if isinstance(grid, str | Path) else Grid.of(grid)
    planner, unused = _Planner(device, executor, of_grid=True, shard=parse_shard(shard)), dict[str, bool]()
    for combination in grid:
        try:
            planner.add(_request(combination, seconds, unused))
        except RequestError as error:
            raise RequestError(f"{combination.source}: {_named(combination)}{error}") from error
    for name, is_unused in unused.items():
        if is_unused:
            raise RequestError(f"{grid.name}: no combination has an optimizer with {name}.")
    return planner.plan(grid.name, results, force, keep_states)


def _request(combination: Combination, seconds: float | None, unused: dict[str, bool]) -> Request:
    """The request of a combination, without what its learner does not take.

    A learner that brings its own optimizer has no other, and a setting of an optimizer's part applies where the
    optimizer has that part.

    :param unused: by setting of a part, whether no combination so far has that part.
    """
    for key in ("encoder", "learner"):
        if key not in combination.values:
            raise RequestError(f"the grid has no {key}.")
    request = Request.of(combination.values)
    request = request if "seconds" in combination.values else replace(request, seconds=seconds)
    learner = registry.learner(request.learner)
    if not has_optimizer(learner):
        if request.optimizer is not None:
            canonical_optimizer(request.optimizer)
        request = replace(request, optimizer=None)
    known, kept = registry.listings("optimizer"), dict(request.settings or {})
    named = [name for name in kept if registry.canonical(name.partition(".")[0]) in known]
    parts = parts_of(learner, request.optimizer) if named else {}
    for name in named:
        if registry.canonical(name.partition(".")[0]) in parts:
            unused[name] = False
        else:
            unused.setdefault(name, True)
            del kept[name]
    return replace(request, settings=kept)


def _named(combination: Combination) -> str:
    keys = ("encoder", "learner", "optimizer")
    names = [str(combination.values[key]) for key in keys if key in combination.values]
    return f"{' → '.join(names)}: " if names else ""


class _Planner:
    """Turns requests into entries and cells.

    :param of_grid: whether the requests are of a grid. Its learners differ, so that a device that one does not support
        and steps for a closed-form learner are ignored; a single request with these is refused.
    :param shard: which jobs of the grid are planned, counted from 0, and of how many shards; None plans all.
    """

    def __init__(self, device: str, executor: str, of_grid: bool, shard: tuple[int, int] | None = None) -> None:
        self.device, self.kind, self.of_grid, self.shard = device, parse_device(device)[0], of_grid, shard
        self.executor = executor_class(executor)
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
        device = resolve_device(self.device, first, self.executor) if fits or not self.of_grid else "cpu"
        check_precision(first, device)
        if learner_class.check_codes is not Learner.check_codes or not self.of_grid:
            prepare(first, self.known)
            self.known = {key: self.known[key] for key in list(self.known)[-KNOWN:]}
        by_count: dict[int, list[int]] = {}
        varies = first.protocol == "grouped"  # twins stay on one side, so that the number of training pairs varies
        n_first = count_train(found.at(seeds[0]))
        for seed in seeds:
            by_count.setdefault(count_train(found.at(seed)) if varies else n_first, []).append(seed)
        for n_train, some in by_count.items():
            self.entry += [self._add_entry(request, first, n_train, device)] * len(some)
            self.ids += [int(found.id(seed), 16) for seed in some]
            self.seed += some

    def _add_entry(self, request: Request, first: Spec, n_train: int, device: str) -> int:
        """Add an entry; returns its index."""
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

    def plan(self, name: str, results: str | Path | None, force: bool, keep_states: int) -> Plan:
        """The plan of all cells, each once; if a cell has two budgets, with the larger one."""
        if results is not None and not str(results):
            raise RequestError("`results` must name a folder, got ''.")
        if not isinstance(keep_states, int) or keep_states < 0:
            raise RequestError(f"`keep_states` must be an integer ≥ 0, got {keep_states!r}.")
        if keep_states and results is None:
            raise RequestError("`keep_states` needs a results folder, in which the states are kept.")
        ids = np.array(self.ids, dtype=np.uint64)
        entry = np.array(self.entry, dtype=np.int32)
        seed = np.array(self.seed, dtype=np.int64)
        steps = np.array([e.budget.steps for e in self.entries], dtype=np.int64)[entry] if len(ids) else entry
        order = np.lexsort((np.arange(len(ids)), -steps))
        _, first = np.unique(ids[order], return_index=True)
        kept = np.sort(order[first])
        if self.shard is not None:
            group = np.array([one.group for one in self.entries], dtype=np.int64)[entry[kept]]
            kept = kept[in_shard(self.shard, group, self.groups)]
            name = f"{name}, shard {self.shard[0] + 1}/{self.shard[1]}"
        planned = Plan(
            name,
            self.entries,
            ids[kept],
            entry[kept],
            seed[kept],
            actions=np.zeros(len(kept), dtype=np.int8),
            groups=self.groups,
            results=None if results is None else str(results),
            executor=self.executor,
            force=force,
            keep_states=keep_states,
            of_grid=self.of_grid,
        )
        _look_up(planned)
        return planned


def _look_up(planned: Plan) -> None:
    """Set actions, stored steps and durations from the records in the results folder."""
    if planned.results is None or not Path(planned.results).exists():
        return
    store = Store(planned.results)
    indices, others = _find(planned, store)
    for index in indices:
        record = _read(planned, store, planned.id(index))
        if record is None:
            continue
        entry = planned.entries[planned.entry[index]]
        if not planned.force:
            planned.actions[index] = ACTIONS.index(action(record, entry.budget))
        _count_duration(planned, record)
        step = record["final"]["step"]
        extends = ACTIONS[planned.actions[index]] in ("extend", "resume")
        if extends and step is not None and store.checkpoints.has(record["id"], step):
            planned.stored[index] = step, record["seconds"]["total"]
    unknown = {planned.duration_key(entry) for entry in planned.entries} - planned.durations.keys()
    sample = others[:: max(1, len(others) // SAMPLE)][:SAMPLE]
    for id in sample.tolist() if unknown else ():
        with suppress(StoreError):
            record = store.read(f"{id:016x}")
            if record is not None and _duration_key(record) in unknown:
                _count_duration(planned, record)


def _read(planned: Plan, store: Store, id: str) -> Record | None:
    """A stored record; None where there is none or it cannot be used, of which the plan takes a note."""
    try:
        return store.read(id)
    except DamagedError as error:
        planned.damaged[id] = error
    except StoreError as error:
        if not planned.force:
            planned.problems.append(str(error))
    return None


def _find(planned: Plan, store: Store) -> tuple[list[int], NDArray[np.uint64]]:
    """The indices of cells that may be stored, and the ids of records of other cells, where the folder was listed."""
    if not planned.of_grid:  # a request has few cells, and the folder may have many records
        indices = list(range(len(planned)))
        if not planned.force:
            _serve_older(planned, store, np.array([i for i in indices if not store.path(planned.id(i)).exists()], int))
        return indices, np.array([], dtype=np.uint64)
    stored = np.array([int(id, 16) for id in store.ids()], dtype=np.uint64)
    others = stored[~np.isin(stored, planned.ids)]
    if others.size and not planned.force:
        _serve_older(planned, store, np.flatnonzero(~np.isin(planned.ids, stored)), others)
    return np.flatnonzero(np.isin(planned.ids, stored)).tolist(), others


def _serve_older(
    planned: Plan, store: Store, missing: NDArray[np.intp], stored: NDArray[np.uint64] | None = None
) -> None:
    """Take records of schema 1 for cells that are stored in no other way, where they go far enough.

    :param missing: the indices of such cells.
    :param stored: the ids of all records that may be meant; None looks into the folder for each cell.
    :raises RequestError: where one would have to be extended.
    """
    known = None if stored is None else set(stored.tolist())
    for index in missing.tolist():
        ids = planned.older_ids(index)
        found_ids = [one for one in ids if (store.path(one).exists() if known is None else int(one, 16) in known)]
        if not found_ids:
            continue
        older = found_ids[0]
        record, budget = _read(planned, store, older), planned.budget(index)
        found = "retry" if record is None else action(record, budget)
        if found in ("extend", "resume"):
            raise RequestError(
                f"The record {older} has schema 1, of before optimizers were parts, and cannot be extended to "
                f"{budget.steps:,} steps: another `results` folder, or `force`, trains its cell anew."
            )
        if found == "done":
            planned.ids[index] = int(older, 16)


def _duration_key(record: Record) -> tuple[str, str]:
    """As `Plan.duration_key` of its entry."""
    return record["spec"]["learner"]["name"], device_kind(record["environment"]["device"])


def _count_duration(planned: Plan, record: Record) -> None:
    """Count the duration of a stored cell."""
    if record["final"]["step"] is not None:
        planned.durations.setdefault(_duration_key(record), Duration()).add(record)
