"""Arms that a measurement observes itself, where the ordinary runs do not tell: each arm and seed once."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from bench.errors import RequestError
from bench.recipes.arms import QUICK_SEEDS, SEEDS
from bench.recipes.kept import Kept, digest
from bench.recipes.recipe import Recipe, check_measures

PACKAGE = "bench.recipes.measurements"


def measurement_of(recipe: Recipe) -> Any:
    """The module that observes the arms of a recipe.

    It has ``UNITS``, the unit of each number that it finds, by name, a ``version`` that is raised when its numbers
    change, and ``observe(seed, device, quick, **arm)``, which gives these numbers of one arm and seed: None where a
    target was not reached, with ``<name>_until``, up to where it was looked for.

    :raises RequestError: where there is no such module, or a claim is of a number that it does not find.
    """
    try:
        module = import_module(f"{PACKAGE}.{recipe.measurement}")
    except ModuleNotFoundError as error:
        raise RequestError(f"there is no measurement {recipe.measurement!r}.") from error
    if not hasattr(module, "observe"):
        raise RequestError(f"the measurement {recipe.measurement!r} observes no arms.")
    check_measures(recipe, module.UNITS)
    return module


def observation_keys(recipe: Recipe, quick: bool) -> dict[str, list[tuple[str, int, dict[str, Any]]]]:
    """The digest, the seed and the values of each observation, by arm."""
    module, found = measurement_of(recipe), dict[str, list[tuple[str, int, dict[str, Any]]]]()
    for arm, values in recipe.arms.items():
        own = {name: value for name, value in values.items() if name != "seeds"} | dict(recipe.quick if quick else {})
        most = values.get("seeds", SEEDS)
        of = {"measurement": recipe.measurement, "version": module.version, "quick": quick, **own}
        seeds = range(min(QUICK_SEEDS, most) if quick else most)
        found[arm] = [(digest(seed=seed, **of), seed, own) for seed in seeds]
    return found


def observe_arms(
    recipe: Recipe, quick: bool, kept: Kept, device: str, say: Callable[[str], None], save: Callable[[], None]
) -> None:
    """Make the observations that are not kept.

    :param save: is called after each of them.
    """
    module = measurement_of(recipe)
    for arm, some in observation_keys(recipe, quick).items():
        for key, seed, own in some:
            if key not in kept.observed:
                say(f"{recipe.name}: {arm}, seed {seed}")
                kept.observed[key] = module.observe(seed=seed, device=device, quick=quick, **own)
                save()
