"""A recipe: which runs make a published result again, what is compared, and the rule of the verdict.

A recipe is a YAML file and no code. `bench.recipes.catalog` holds ours, and anybody may write another one:

- ``title``, ``source`` and ``setting`` (what was done there, and what differs here) are text.
- ``shared`` holds keys of a grid that all arms have in common, ``arms`` those of each arm: what a file for ``sweep``
  would hold. An arm with ``search``, a space as `tune` takes it, is tuned first, as ``searches`` says: its runs are
  those of the winners.
- ``measurement`` names a module of `bench.recipes.measurements` that observes the arms itself, in place of runs.
- ``claims`` lists what is compared; `Claim` says how.
- ``quick`` holds keys that replace those of all arms in a quick run; ``picture`` the arguments of `bench.plot`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.errors import RequestError, one_of
from bench.ranking import FILTERS
from bench.recipes.claims import Claim as Claim
from bench.recipes.claims import check_settling, claims_of, known_arm
from bench.recipes.forms import (
    COUNT,
    LIST,
    MAPPING,
    NAMED,
    NUMBER,
    SCALAR,
    TEXT,
    TRUTH,
    Form,
    check,
    check_forms,
    in_words,
    is_text,
    mapping,
    without_empty,
)
from bench.recipes.measures import MEASURES
from bench.scheduling import read_document
from bench.showing import check_picture_of_records

CATALOG = Path(str(files("bench.recipes"))) / "catalog"
"""The folder of the recipes that come with the package."""
CURVES = ("accuracy", "all")


@dataclass(frozen=True)
class Searches:
    """How arms with a search are tuned: each as often, with as many trials, by the same objective.

    :param count: independent searches of each arm.
    :param trials: of each search.
    :param seeds: runs of each trial.
    :param fresh: fresh seeds of each winner.
    :param at_once: trials asked for at a time: the later ones know the earlier ones.
    """

    count: int = 3
    trials: int = 32
    seeds: int = 2
    fresh: int = 10
    at_once: int = 16
    objective: str = "steps"
    precision: str = "bfloat16"


@dataclass(frozen=True)
class Recipe:
    """A recipe, as its file says it; without what a quick run replaces.

    :param name: that of its file.
    :param arms: by name, the keys of its grid, those that are shared included.
    :param quarrel: a question that is open elsewhere, which one of the claims may settle.
    :param picture: ``kind`` and other arguments of `bench.plot`; ``arms`` names those that are drawn, by default all.
    :param curves: how much of the curves a pack keeps: "accuracy", or "all" where a picture needs losses.
    :param path: the file that it was read from; empty for one of the catalogue.
    """

    name: str
    title: str
    source: str
    arms: Mapping[str, Mapping[str, Any]]
    claims: Sequence[Claim]
    setting: str = ""
    searches: Searches = field(default_factory=Searches)
    measurement: str = ""
    quick: Mapping[str, Any] = field(default_factory=dict)
    picture: Mapping[str, Any] = field(default_factory=dict)
    curves: str = "accuracy"
    quarrel: str = ""
    path: str = ""


OF_A_RECIPE: dict[str, Form] = {
    "title": TEXT,
    "source": TEXT,
    "setting": TEXT,
    "shared": MAPPING,
    "arms": MAPPING,
    "claims": LIST,
    "searches": MAPPING,
    "measurement": TEXT,
    "quick": MAPPING,
    "picture": MAPPING,
    "curves": Form(f"one of {', '.join(CURVES)}", lambda value: value in CURVES),
    "quarrel": TEXT,
}
"""The keys of a file."""
OF_SEARCHES: dict[str, Form] = {
    **dict.fromkeys(("count", "trials", "seeds", "fresh", "at_once"), COUNT),
    **dict.fromkeys(("objective", "precision"), TEXT),
}
OF_AN_ARM: dict[str, Form] = {"seeds": COUNT, "steps": COUNT, "epochs": COUNT, "task": NAMED}
"""Keys of an arm that a quick run makes smaller; all others are for the grid, or the measurement, to judge."""
OF_A_TUNED_ARM: dict[str, Form] = {
    "search": Form("a mapping from parameters to ranges", lambda x: isinstance(x, Mapping) and all(map(is_text, x))),
    **dict.fromkeys(("encoder", "learner", "optimizer"), Form("one name", lambda x: x is None or is_text(x))),
}
"""Keys of an arm with a search, which `tune` reads in place of a grid."""
OF_A_PICTURE: dict[str, Form] = {
    "arms": Form("a list of arms", lambda x: isinstance(x, list)),
    "most": COUNT,
    "blocks": TRUTH,
    **dict.fromkeys(("kind", "band", "cost", "by", "crossing"), TEXT),
    **dict.fromkeys(("target", "horizon"), NUMBER),
    **dict.fromkeys(FILTERS, SCALAR),
}


def catalogue() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(path.stem for path in CATALOG.glob("*.yaml"))


def read_recipe(name: str | Path) -> Recipe:
    """A recipe of the catalogue by its name, or any other from its file.

    :raises RequestError: for a name that is not known, or a file that holds no recipe.
    """
    is_file = str(name).endswith((".yaml", ".yml"))
    if not is_file and str(name) not in catalogue():
        raise RequestError(one_of("recipe", str(name), catalogue()))
    path = Path(name) if is_file else CATALOG / f"{name}.yaml"
    document = read_document(path, f"The recipe {str(path)!r}")
    try:
        return replace(recipe_of(path.stem, document), path=str(name) if is_file else "")
    except RequestError as error:
        raise RequestError(f"The recipe {path.stem!r}: {error}") from error


def recipe_of(name: str, document: Any) -> Recipe:
    """A recipe from the mapping that its file holds.

    :raises RequestError: for what is missing, unknown, of a wrong type or contradictory.
    """
    given = without_empty(mapping("a recipe", document))
    check_forms("", given, OF_A_RECIPE)
    for key in ("title", "source", "arms", "claims"):
        if not given.get(key):
            raise RequestError(f"it has no {key}.")
    arms = _arms(given.pop("shared", {}), given.pop("arms"), "measurement" in given)
    claims = [claim for n, one in enumerate(given.pop("claims"), 1) for claim in claims_of(n, one, arms)]
    check_settling(claims, given.get("quarrel", ""))
    searches = without_empty(mapping("searches", given.pop("searches", {})))
    check_forms("searches", searches, OF_SEARCHES)
    if searches and ("measurement" in given or not any("search" in keys for keys in arms.values())):
        raise RequestError("searches says how arms are tuned, but no arm has a search.")
    quick = mapping("quick", given.pop("quick", {}))
    _check_arm("quick", quick, "measurement" in given)
    picture = mapping("picture", given.pop("picture", {}))
    _check_picture(picture, arms)
    recipe = Recipe(
        name=name, arms=arms, claims=claims, searches=Searches(**searches), quick=quick, picture=picture, **given
    )
    if not recipe.measurement:
        check_measures(recipe, MEASURES)
    return recipe


def check_measures(recipe: Recipe, known: Iterable[str]) -> None:
    """Raise RequestError where a claim is of a measure that is not known."""
    for claim in recipe.claims:
        if claim.measure not in known:
            raise RequestError(one_of("measure", claim.measure, known))


def _arms(shared: Any, arms: Any, observed: bool) -> dict[str, dict[str, Any]]:
    """The keys of each arm, those that are shared included."""
    common, found = mapping("shared", shared), dict[str, dict[str, Any]]()
    for arm, keys in mapping("arms", arms).items():
        found[arm] = {**common, **({} if keys is None else mapping(f"the arm {arm}", keys))}
        _check_arm(f"the arm {arm}", found[arm], observed)
    return found


def _check_arm(what: str, keys: Mapping[str, Any], observed: bool) -> None:
    """Raise RequestError for a number or a name that neither a quick run nor a search could read.

    :param observed: whether a measurement observes the arm, which then says what its own keys must be.
    """
    forms = {"seeds": COUNT} if observed else OF_AN_ARM | (OF_A_TUNED_ARM if "search" in keys else {})
    for key, form in forms.items():
        if key in keys:
            check(f"{key} of {what}", keys[key], form)


def _check_picture(picture: Mapping[str, Any], arms: Iterable[str]) -> None:
    if not picture:
        return
    if "kind" not in picture:
        raise RequestError("picture has no kind.")
    check_forms("picture", picture, OF_A_PICTURE)
    for arm in picture.get("arms", []):
        known_arm(arm, arms)
    options = {key: value for key, value in picture.items() if key not in ("kind", "arms")}
    try:
        check_picture_of_records(picture["kind"], options)
    except RequestError as error:
        raise in_words("picture", error) from error
