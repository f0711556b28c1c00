"""Arms that a measurement observes itself, where the ordinary runs do not tell: each arm and seed once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from bench.errors import RequestError, one_of
from bench.recipes.arms import QUICK_SEEDS, SEEDS
from bench.recipes.forms import INTEGER, NUMBER, TEXT, TEXTS, TRUTH, Form, check, is_number, is_text
from bench.recipes.kept import Kept, digest
from bench.recipes.recipe import Recipe, check_measures

PACKAGE = "bench.recipes.measurements"
GIVEN = ("seed", "device", "quick")
"""Arguments of an observation that no arm gives."""
FORMS: dict[Any, Form] = {int: INTEGER, float: NUMBER, bool: TRUTH, str: TEXT, Sequence[str]: TEXTS}
"""What a key of an arm must be, by the annotation of the argument."""
ALWAYS: dict[str, Form] = {
    "device": Form("text", is_text),
    "seconds": Form("a number ≥ 0", lambda value: is_number(value) and value >= 0),
}
"""What every observation holds, beside its numbers."""


def measurement_of(recipe: Recipe) -> Any:
    """The module that observes the arms of a recipe.

    It has ``UNITS``, the unit of each number that it finds, by name, a ``version`` that is raised when its numbers
    change, and ``observe(seed, device, quick, **arm)``, which gives these numbers of one arm and seed: None where a
    target was not reached, with ``<name>_until``, up to where it was looked for.

    :raises RequestError: where there is no such module, a claim is of a number that it does not find, or an arm has a
        key that it does not take.
    """
    try:
        module = import_module(f"{PACKAGE}.{recipe.measurement}")
    except ModuleNotFoundError as error:
        raise RequestError(f"there is no measurement {recipe.measurement!r}.") from error
    if not hasattr(module, "observe"):
        raise RequestError(f"the measurement {recipe.measurement!r} observes no arms.")
    check_measures(recipe, module.UNITS)
    for arm, values in recipe.arms.items():
        _check_arm(recipe, f"the arm {arm}", values, module.observe)
        _check_arm(recipe, f"the arm {arm} in a quick run", {**values, **recipe.quick}, module.observe)
    return module


def _check_arm(recipe: Recipe, what: str, values: Mapping[str, Any], observe: Callable[..., Any]) -> None:
    """Raise RequestError for a key that a measurement does not take, or a value of another type."""
    takes = signature(observe).parameters
    known = {name: one for name, one in takes.items() if name not in GIVEN and one.kind is Parameter.KEYWORD_ONLY}
    takes_others = any(one.kind is Parameter.VAR_KEYWORD for one in takes.values())
    for name, value in values.items():
        if name in known and (form := FORMS.get(known[name].annotation)) is not None:
            check(f"{name} of {what}", value, form)
        elif name in GIVEN or (name not in known and name != "seeds" and not takes_others):
            raise RequestError(f"{what}: {one_of(f'key of the measurement {recipe.measurement}', name, known)}")
    for name, one in known.items():
        if one.default is Parameter.empty and name not in values:
            raise RequestError(f"{what} has no {name}, which the measurement {recipe.measurement} needs.")


def observation_keys(recipe: Recipe, quick: bool) -> dict[str, list[tuple[str, int, dict[str, Any]]]]:
    """The digest, the seed and the values of each observation, by arm.

    A quick run has two seeds, or those that the recipe gives it.
    """
    module, found = measurement_of(recipe), dict[str, list[tuple[str, int, dict[str, Any]]]]()
    for arm, values in recipe.arms.items():
        own = {**values, **(recipe.quick if quick else {})}
        most = own.pop("seeds", SEEDS)
        if quick and "seeds" not in recipe.quick:
            most = min(QUICK_SEEDS, most)
        of = {"measurement": recipe.measurement, "version": module.version, "quick": quick, **own}
        found[arm] = [(digest(seed=seed, **of), seed, own) for seed in range(most)]
    return found


def observations_of(recipe: Recipe, quick: bool, kept: Kept) -> dict[str, list[dict[str, Any]]]:
    """The observations that are kept, by arm, in the order of their seeds.

    :raises RequestError: for one that is not what a measurement makes, as in a file that was edited.
    """
    units, found = measurement_of(recipe).UNITS, dict[str, list[dict[str, Any]]]()
    for arm, some in observation_keys(recipe, quick).items():
        found[arm] = []
        for key, seed, _ in some:
            if key in kept.observed:
                _check_observation(f"the observation {key} (arm {arm}, seed {seed})", kept.observed[key], units)
                found[arm].append(kept.observed[key])
    return found


def _check_observation(what: str, observed: Any, names: Mapping[str, str]) -> None:
    remedy = "Delete it from the file that keeps it, and it is made again."
    if not isinstance(observed, Mapping):
        raise RequestError(f"{what} is damaged: it must be a mapping, got {observed!r}. {remedy}")
    number = Form("a finite number", is_number)
    forms = {**ALWAYS, **{f"{name}_until" if observed.get(name) is None else name: number for name in names}}
    for name, form in forms.items():
        if name.removesuffix("_until") not in observed or not form.holds(observed.get(name)):
            raise RequestError(f"{what} is damaged: {name} must be {form.words}, got {observed.get(name)!r}. {remedy}")


def observe_arms(
    recipe: Recipe,
    quick: bool,
    arms: Collection[str],
    kept: Kept,
    device: str,
    say: Callable[[str], None],
    save: Callable[[], None],
) -> None:
    """Make the observations of some arms that are not kept.

    :param save: is called after each of them.
    :raises RequestError: where there is no such device, or an arm has a value that the measurement refuses.
    """
    from bench.recipes.measurements._fleets import chosen_device  # imports PyTorch

    module, chosen = measurement_of(recipe), chosen_device(device)
    observations_of(recipe, quick, kept)
    for arm, some in observation_keys(recipe, quick).items():
        for key, seed, own in some:
            if arm in arms and key not in kept.observed:
                say(f"{recipe.name}: {arm}, seed {seed}")
                try:
                    kept.observed[key] = module.observe(seed=seed, device=chosen, quick=quick, **own)
                except ValueError as error:  # of an encoder, a learner or an optimizer, whose parameter is wrong
                    raise RequestError(f"the arm {arm}: {error}") from error
                save()
