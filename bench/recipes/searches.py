"""The searches of a recipe: each arm is tuned several times, each time on its own, and its winners are its runs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import optuna

from bench.errors import RequestError
from bench.recipes.arms import grid_of
from bench.recipes.kept import digest
from bench.recipes.recipe import Recipe, Searches
from bench.specs import Request, options
from bench.tuning import Tuned, default_url, pictured_study, plan_tune, run_tune


class ArmSearch(NamedTuple):
    """One search of one arm.

    :param number: from 1 on.
    :param request: the arguments of `tune`, but for those that say where it runs.
    :param key: the digest of the request.
    """

    arm: str
    number: int
    request: dict[str, Any]
    key: str


def searches_of(recipe: Recipe, quick: bool) -> list[ArmSearch]:
    """All searches of a recipe: the first of each arm, then the second, so that a part of them is equal for all arms.

    :raises RequestError: for an arm whose values are alternatives: a search has a space instead.
    """
    rules = replace(recipe.searches, count=1, trials=2, seeds=1, fresh=1) if quick else recipe.searches
    tuned = [] if recipe.measurement else [arm for arm, grid in recipe.arms.items() if "search" in grid]
    return [_search(recipe, arm, number, rules, quick) for number in range(1, rules.count + 1) for arm in tuned]


def _search(recipe: Recipe, arm: str, number: int, rules: Searches, quick: bool) -> ArmSearch:
    grid, space = grid_of(recipe, arm, quick), recipe.arms[arm]["search"]
    if not isinstance(space, Mapping):
        raise RequestError(f"the search of the arm {arm} must be a mapping from parameters to ranges, got {space!r}.")
    known = set(options(Request))
    for key, value in grid.items():
        if "." not in key and key not in known:
            raise RequestError(f"the arm {arm}: {key!r} is no field of a request.")
        if isinstance(value, list) and "." not in key:
            raise RequestError(f"the arm {arm} is tuned, so that {key} has one value, got {value!r}.")
    fields = {key: value for key, value in grid.items() if "." not in key and key not in ("seeds", "stop_when_solved")}
    request = {
        "precision": rules.precision,
        **fields,
        "fix": {key: value for key, value in grid.items() if "." in key},
        "space": dict(space),
        **{name: value for name, value in asdict(rules).items() if name not in ("count", "precision")},
        "study": f"{recipe.name}/{arm} #{number}{' quick' if quick else ''}",
    }
    return ArmSearch(arm, number, request, digest(search=request))


def run_search(one: ArmSearch, say: Callable[[str], None], **where: Any) -> tuple[Tuned, dict[str, Any]]:
    """Search, or go on with a search; the outcome, and what is kept of it.

    :param where: ``results``, ``device``, ``jobs`` and ``executor``.
    """
    running = {name: where[name] for name in ("jobs", "executor") if name in where}
    placed = {name: value for name, value in where.items() if name not in running}
    plan = plan_tune(**one.request, **placed)
    done = run_tune(plan, running.get("jobs"), say, executor=running.get("executor", "local"))
    study = pictured_study(default_url(placed["results"]), plan.study).study
    return done, {
        "arm": one.arm,
        "search": one.number,
        "study": plan.study,
        "trials": [[trial.params, list(trial.values)] for trial in _complete(study)],
        "winner": done.best and done.best["number"],
        "seconds": round(done.cost["seconds"], 1),
        "flops": done.cost["flops"],
        "records": [record["id"] for record in done.cells],
    }


def _complete(study: optuna.Study) -> Iterator[optuna.trial.FrozenTrial]:
    return (trial for trial in study.get_trials(deepcopy=False) if trial.state == optuna.trial.TrialState.COMPLETE)
