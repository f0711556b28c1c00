"""The arms of a recipe as runs: which cells each has, and which of them are stored in a folder or in a pack."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import RequestError
from bench.recipes.recipe import Recipe
from bench.results import Record, RecordSource, crossings, open_store
from bench.scheduling import ACTIONS, Grid, Plan, action, plan_sweep
from bench.specs import defaults_of, has_optimizer, parts_of, registry, settable, settable_of

SEEDS = 10
"""Seeds of each arm that says nothing else."""
QUICK_SEEDS = 2
QUICK_STEPS = 20
QUICK_MODULUS = 11


def grid_of(recipe: Recipe, arm: str, quick: bool) -> dict[str, Any]:
    """The grid of an arm, without what is said of its search; scaled down for a quick run.

    A quick run has two seeds, at most 20 steps, modulus 11 where the task has one, the first and the last of several
    values, and what the recipe replaces beside these: a parameter wherever the arm has it.
    """
    grid = {"seeds": SEEDS} | {key: value for key, value in recipe.arms[arm].items() if key != "search"}
    if not quick:
        return grid
    small = {key: [value[0], value[-1]] if _is_several(value) else value for key, value in grid.items()}
    small["seeds"] = min(QUICK_SEEDS, grid["seeds"])
    if "epochs" in grid:
        small["epochs"] = 2
    else:
        small["steps"] = min(QUICK_STEPS, grid.get("steps", QUICK_STEPS))
    if all("modulus" in defaults_of(registry.task(name)) for name in _listed(grid.get("task", "add"))):
        small["modulus"] = QUICK_MODULUS
    drawn = recipe.arms[arm].get("search", {})
    return small | {key: value for key, value in recipe.quick.items() if key not in drawn and _has(grid, key)}


def check_quick(recipe: Recipe) -> None:
    """Raise RequestError for a key of ``quick`` that no arm has. A measurement knows its keys itself."""
    for key in () if recipe.measurement else recipe.quick:
        if not any(_has(grid, key) for grid in recipe.arms.values()):
            raise RequestError(f"quick has {key}, which no arm has.")


def _has(grid: Mapping[str, Any], key: str) -> bool:
    """Whether a parameter applies to a grid; a field of a request does."""
    owner, dot, name = key.partition(".")
    if not dot:
        return True
    if owner in ("encoder", "learner", "task"):
        makers = (getattr(registry, owner)(one) for one in _listed(grid.get(owner, "add")))
        return any(name in settable(owner, maker) for maker in makers)
    learners = [registry.learner(one) for one in _listed(grid["learner"])]
    parts = [parts_of(one, grid.get("optimizer")) for one in learners if has_optimizer(one)]
    return any(name in settable_of(some[owner]) for some in parts if owner in some)


def _is_several(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 2


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


@dataclass
class Arms:
    """The plain arms of a recipe, planned together: cells of several arms may train side by side.

    :ivar plan: of all cells; those that a pack holds are done.
    :ivar ids: the ids of the cells of each arm.
    :ivar packed: records of the pack that reached their budgets, by id.
    :ivar horizons: the smallest budget of each arm in steps, up to which its runs are read: those of another arm, or of
        an earlier recipe, may have gone further.
    """

    plan: Plan | None
    ids: dict[str, list[str]]
    packed: dict[str, Record]
    horizons: dict[str, int]

    def keep(self, arms: Collection[str]) -> None:
        """Leave nothing to do of the cells of other arms."""
        wanted = {id for arm in arms for id in self.ids.get(arm, ())}
        if self.plan is not None:
            others = [index for index in self.plan.todo.tolist() if self.plan.id(index) not in wanted]
            self.plan.actions[others] = ACTIONS.index("done")

    def records(self) -> dict[str, list[Record]]:
        """The records of each arm that are stored and reached their budgets, in the order of its grid."""
        found, plan = dict(self.packed), self.plan
        if plan is not None and Path(plan.results or "").exists():
            stored = plan.indexed_records()
            found |= {one["id"]: one for index, one in stored if action(one, plan.budget(index)) == "done"}
        return {arm: [cut(found[id], self.horizons[arm]) for id in ids if id in found] for arm, ids in self.ids.items()}


def cut(record: Record, horizon: int) -> Record:
    """A record as it was at a step: with its evaluations until then, and its share of seconds and FLOPs."""
    last, steps = record["final"]["step"], record["curve"]["step"]
    n = int(np.searchsorted(steps, horizon, side="right"))
    if not horizon or last is None or last <= horizon or not n:
        return record
    whole: Any = record["curve"]
    curve = {name: values[:n] for name, values in whole.items()}
    share = curve["step"][-1] / last
    final = {name: curve[name][-1] for name in record["final"] if name in curve}
    changed = {
        "status": "done",
        "budget": {**record["budget"], "steps": horizon},
        "curve": curve,
        "final": {**record["final"], **final},
        "seconds": {**record["seconds"], "train": share * record["seconds"].get("train", 0.0)},
        "flops": None if record["flops"] is None else share * record["flops"],
        **crossings(curve, list(record["steps_to"])),
    }
    return {**record, **changed}  # type: ignore[typeddict-item]


def plan_arms(recipe: Recipe, quick: bool, pack: Path | None, **options: Any) -> Arms:
    """Plan the arms that are not tuned.

    :param pack: the file of records that were made before, where there is one.
    :param options: other arguments of `plan_sweep`.
    :raises RequestError: for an arm that is no grid, or lacks the runs that a claim is of; the message names it.
    """
    plain = [arm for arm, grid in recipe.arms.items() if "search" not in grid]
    if recipe.measurement or not plain:
        return Arms(None, {}, {}, {})
    grids = {arm: Grid.of(grid_of(recipe, arm, quick), f"arm {arm}") for arm in plain}
    plans = {arm: plan_sweep(grid, **options) for arm, grid in grids.items()}
    if not quick:  # which replaces values that a claim may name
        _check_where(recipe, plans)
    ids = {arm: [of_arm.id(index) for index in range(len(of_arm))] for arm, of_arm in plans.items()}
    horizons = {arm: min(entry.budget.steps for entry in of_arm.entries) for arm, of_arm in plans.items()}
    parts = tuple(part for grid in grids.values() for part in grid.parts)
    plan = plan_sweep(Grid(recipe.name, parts), **options)
    return Arms(plan, ids, dict(_from_pack(plan, pack)), horizons)


def _check_where(recipe: Recipe, plans: Mapping[str, Plan]) -> None:
    """Raise RequestError for a claim whose ``where`` leaves no run of an arm."""
    for claim in recipe.claims:
        for arm in (one for one in claim.arms if one in plans):
            plan = plans[arm]
            if not any(claim.is_of(plan.spec(index).to_dict()) for index in range(len(plan))):
                where = ", ".join(f"{name} {value}" for name, value in claim.where.items())
                raise RequestError(f"the claim {claim.claim!r}: the arm {arm} has no run of {where}.")


def _from_pack(plan: Plan, pack: Path | None) -> Iterator[tuple[str, Record]]:
    """Records of a pack that leave nothing to do of their cells, which are then done."""
    if pack is None or not pack.exists():
        return
    source = open_store(pack)
    for index in plan.todo.tolist():
        record = source.read(plan.id(index))
        if record is not None and action(record, plan.budget(index)) == "done":
            plan.actions[index] = ACTIONS.index("done")
            yield record["id"], record


def stored_records(ids: Sequence[str], sources: Sequence[RecordSource]) -> list[Record]:
    """The records of these ids, each from the source that holds most of it; those that none holds are left out."""
    found = []
    for id in ids:
        held = [record for source in sources if (record := source.read(id)) is not None]
        if held:
            found.append(max(held, key=lambda record: record["final"]["step"] or 0))
    return found
