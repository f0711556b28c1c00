"""The searches of a recipe: each arm is tuned several times, each time on its own, and its winners are its runs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import optuna

from bench.errors import RequestError
from bench.recipes.arms import grid_of
from bench.recipes.forms import in_words
from bench.recipes.kept import digest
from bench.recipes.recipe import Recipe
from bench.specs import Request, options
from bench.tuning import Tuned, default_url, pictured_study, plan_tune, run_tune

APART = 100
"""Seeds of one search are so far from those of the next: their splits and weights are independent."""


class ArmSearch(NamedTuple):
    """One search of one arm.

    :param number: from 1 on.
    :param request: the arguments of `tune`, but for those that say where it runs.
    :param key: a digest of all that decides its results, the versions of its plugins included.
    """

    arm: str
    number: int
    request: dict[str, Any]
    key: str


def searches_of(recipe: Recipe, quick: bool, device: str = "cpu", executor: str = "local") -> list[ArmSearch]:
    """All searches of a recipe: the first of each arm, then the second, so that a part of them is equal for all arms.

    :param device: where they are going to run, as ``executor``, which decides nothing but whether they can.
    :raises RequestError: for an arm whose values are alternatives: a search has a space instead; for a space or a value
        that `tune` refuses.
    """
    rules = replace(recipe.searches, count=1, trials=2, seeds=1, fresh=1) if quick else recipe.searches
    tuned = [] if recipe.measurement else [arm for arm, grid in recipe.arms.items() if "search" in grid]
    requests = {arm: _request(recipe, arm, asdict(rules), quick) for arm in tuned}
    whats, found = dict[str, dict[str, Any]](), []
    for arm, request in requests.items():
        try:
            whats[arm] = plan_tune(**request, study=arm, device=device, executor=executor).what
        except RequestError as error:
            raise in_words(f"the arm {arm}", error) from error
    for number in range(1, rules.count + 1):
        for arm, request in requests.items():
            how = {name: request.get(name) for name in ("trials", "fresh", "at_once", "steps")}
            key = digest(what=whats[arm], number=number, **how)
            study = f"{recipe.name}/{arm} #{number} {key[:6]}"
            own = request | {"study": study, "first_seed": APART * (number - 1)}
            found.append(ArmSearch(arm, number, own, key))
    return found


def _request(recipe: Recipe, arm: str, rules: dict[str, Any], quick: bool) -> dict[str, Any]:
    """The arguments of `tune` that all searches of an arm share."""
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
    return {
        "precision": rules["precision"],
        **fields,
        "fix": {key: value for key, value in grid.items() if "." in key},
        "space": dict(space),
        **{name: value for name, value in rules.items() if name not in ("count", "precision")},
    }


def run_search(
    one: ArmSearch, say: Callable[[str], None], results: str, device: str, jobs: int | None, executor: str
) -> tuple[Tuned, dict[str, Any]]:
    """Search, or go on with a search; the outcome, and what is kept of it."""
    plan = plan_tune(**one.request, results=results, device=device, executor=executor)
    done = run_tune(plan, jobs, say)
    study = pictured_study(default_url(results), plan.study).study
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
