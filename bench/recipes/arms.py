"""The arms of a recipe as runs: which cells each has, and which of them are stored in a folder or in a pack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.recipes.recipe import Recipe
from bench.results import Record, RecordSource, open_store
from bench.scheduling import ACTIONS, Grid, Plan, action, plan_sweep
from bench.specs import defaults_of, registry

SEEDS = 10
"""Seeds of each arm that says nothing else."""
QUICK_SEEDS = 2
QUICK_STEPS = 20
QUICK_MODULUS = 11


def grid_of(recipe: Recipe, arm: str, quick: bool) -> dict[str, Any]:
    """The grid of an arm, without what is said of its search; scaled down for a quick run.

    A quick run has two seeds, at most 20 steps, modulus 11 where the task has one, the first and the last of several
    values, and what the recipe replaces beside these.
    """
    grid = {"seeds": SEEDS} | {key: value for key, value in recipe.arms[arm].items() if key != "search"}
    if not quick:
        return grid
    small = {key: _ends(value) for key, value in grid.items()}
    small["seeds"] = min(QUICK_SEEDS, grid["seeds"])
    if "epochs" in grid:
        small["epochs"] = 2
    else:
        small["steps"] = min(QUICK_STEPS, grid.get("steps", QUICK_STEPS))
    tasks = grid.get("task", "add")
    if all(has_modulus(name) for name in (tasks if isinstance(tasks, list) else [tasks])):
        small["modulus"] = QUICK_MODULUS
    return small | {key: value for key, value in recipe.quick.items() if key in small or "." not in key}


def _ends(value: Any) -> Any:
    """The first and the last of several alternatives."""
    return [value[0], value[-1]] if isinstance(value, list) and len(value) > 2 else value


def has_modulus(task: str) -> bool:
    """Whether a task is asked with a modulus."""
    return "modulus" in defaults_of(registry.task(task))


@dataclass
class Arms:
    """The plain arms of a recipe, planned together: cells of several arms may train side by side.

    :ivar plan: of all cells; those that a pack holds are done.
    :ivar ids: the ids of the cells of each arm.
    :ivar packed: records of the pack that are not in the folder, by id.
    :ivar horizons: the smallest budget of each arm in steps, up to which its runs are read: those of another arm, or of
        an earlier recipe, may have gone further.
    """

    plan: Plan | None
    ids: dict[str, list[str]]
    packed: dict[str, Record]
    horizons: dict[str, int]

    def records(self) -> dict[str, list[Record]]:
        """The records of each arm that are stored and reached their budgets, in the order of its grid."""
        found, plan = dict(self.packed), self.plan
        if plan is not None and Path(plan.results or "").exists():
            stored = plan.indexed_records()
            found |= {one["id"]: one for index, one in stored if action(one, plan.budget(index)) == "done"}
        return {arm: [found[id] for id in ids if id in found] for arm, ids in self.ids.items()}


def plan_arms(recipe: Recipe, quick: bool, pack: Path | None, **options: Any) -> Arms:
    """Plan the arms that are not tuned.

    :param pack: the file of records that were made before, where there is one.
    :param options: other arguments of `plan_sweep`.
    :raises RequestError: for an arm that is no grid; the message names it.
    """
    plain = [arm for arm, grid in recipe.arms.items() if "search" not in grid]
    if recipe.measurement or not plain:
        return Arms(None, {}, {}, {})
    grids = {arm: Grid.of(grid_of(recipe, arm, quick), f"arm {arm}") for arm in plain}
    plans = {arm: plan_sweep(grid, **options) for arm, grid in grids.items()}
    ids = {arm: _ids(of_arm) for arm, of_arm in plans.items()}
    horizons = {arm: min(entry.budget.steps for entry in of_arm.entries) for arm, of_arm in plans.items()}
    parts = tuple(part for grid in grids.values() for part in grid.parts)
    plan = plan_sweep(Grid(recipe.name, parts), **options)
    return Arms(plan, ids, dict(_from_pack(plan, pack)), horizons)


def _ids(plan: Plan) -> list[str]:
    return [plan.id(index) for index in range(len(plan))]


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
    """The records of these ids, each from the first source that holds it; those that none holds are left out."""
    found = (next((r for source in sources if (r := source.read(id)) is not None), None) for id in ids)
    return [record for record in found if record is not None]
