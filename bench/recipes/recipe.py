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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from bench.errors import RequestError, one_of
from bench.ranking import CROSSINGS, FILTERS, all_published
from bench.recipes.measures import MEASURES
from bench.recipes.verdicts import Region, region_of
from bench.results import TARGETS, read_regular

CATALOG = Path(str(files("bench.recipes"))) / "catalog"
"""The folder of the recipes that come with the package."""
RULES = ("within", "above", "below", "between")


@dataclass(frozen=True)
class Claim:
    """One comparison of a recipe: a number of one arm, or the ratio of two.

    :param claim: what is claimed, a sentence.
    :param arms: one arm, or two, of which the first is divided by the second.
    :param measure: what is measured of each run, a name of `bench.recipes.measures`, or of the ``UNITS`` of the
        recipe's measurement.
    :param target: the accuracy to reach, for measures that have one.
    :param crossing: "first" or "sustained".
    :param where: which runs of the arms are meant, by filters of `rank`: ``{task: add}``. Without it all are.
    :param published: the number, or words.
    :param figure: the name of a published figure of ``rank --published``, in place of ``published``.
    :param rule: where the whole interval of ours must lie for "agrees".
    :param not_comparable: why the two cannot be compared, in place of a rule.
    :param why: where ours differs, the reason, with the claim or the page that shows it.
    :param settles: the answer to the quarrel of its recipe where this claim ``agrees``, and where it ``differs``.
    """

    claim: str
    arms: tuple[str, ...]
    rule: Region | None
    where: Mapping[str, Any] = field(default_factory=dict)
    published: float | str | None = None
    measure: str = "steps"
    target: float = 0.95
    crossing: str = "first"
    not_comparable: str = ""
    why: str = ""
    settles: Mapping[str, str] = field(default_factory=dict)


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
    :param quarrel: a question that is open elsewhere, which one of the claims settles.
    :param picture: ``kind`` and other arguments of `bench.plot`; ``arms`` names those that are drawn, by default all.
    :param curves: how much of the curves a pack keeps: "accuracy", or "all" where a picture needs losses.
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
    try:
        document = yaml.safe_load(read_regular(path, empty=b"").decode())
    except OSError as error:
        raise RequestError(f"The recipe {str(path)!r} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = getattr(error, "problem", None) or str(error)
        raise RequestError(f"The recipe {str(path)!r} is no YAML document: {what}.") from error
    try:
        return recipe_of(path.stem, document)
    except RequestError as error:
        raise RequestError(f"The recipe {path.stem!r}: {error}") from error


def recipe_of(name: str, document: Any) -> Recipe:
    """A recipe from the mapping that its file holds.

    :raises RequestError: for what is missing, unknown or contradictory.
    """
    given = _mapping("a recipe", document)
    _check_keys("key", given, {*(one.name for one in fields(Recipe)), "shared"} - {"name"})
    for key in ("title", "source", "arms", "claims"):
        if not given.get(key):
            raise RequestError(f"it has no {key}.")
    shared = _mapping("shared", given.pop("shared", {}))
    own = {arm: _mapping(f"the arm {arm}", keys or {}) for arm, keys in _mapping("arms", given.pop("arms")).items()}
    arms = {arm: {**shared, **keys} for arm, keys in own.items()}
    claims = [claim for one in given.pop("claims") for claim in _claims(_mapping("a claim", one), arms)]
    searches = _mapping("searches", given.pop("searches", {}))
    _check_keys("key of searches", searches, [one.name for one in fields(Searches)])
    recipe = Recipe(name=name, arms=arms, claims=claims, searches=Searches(**searches), **given)
    if not recipe.measurement:
        check_measures(recipe, MEASURES)
    return recipe


def check_measures(recipe: Recipe, known: Iterable[str]) -> None:
    """Raise RequestError where a claim is of a measure that is not known."""
    for claim in recipe.claims:
        if claim.measure not in known:
            raise RequestError(one_of("measure", claim.measure, known))


def _claims(given: dict[str, Any], arms: Iterable[str]) -> Iterator[Claim]:
    """The claims of an entry: one, or one for each arm where ``published`` gives each a number of its own."""
    published, named = given.pop("published", None), given.pop("arms", None)
    _check_keys("key of a claim", given, {*RULES, *(one.name for one in fields(Claim))} - {"arms", "rule"})
    if not given.get("claim"):
        raise RequestError("a claim has no sentence: its claim is missing.")
    if isinstance(published, Mapping):
        for arm, number in published.items():
            yield _claim(dict(given), (str(arm),), number, arms)
    else:
        several = named if isinstance(named, list) else [] if named is None else [named]
        yield _claim(dict(given), tuple(str(arm) for arm in several), published, arms)


def _claim(given: dict[str, Any], named: tuple[str, ...], published: Any, arms: Iterable[str]) -> Claim:
    if len(named) not in (1, 2):
        raise RequestError(f"a claim is of one arm, or of the ratio of two, got {list(named)}.")
    for arm in named:
        if arm not in arms:
            raise RequestError(one_of("arm", str(arm), arms))
    figure = {one.name: one for one in all_published()}.get(published) if isinstance(published, str) else None
    number = published if figure is None else figure.value
    rules = {name: given.pop(name) for name in RULES if name in given}
    if given.get("not_comparable"):
        if rules:
            raise RequestError(f"a claim that is not comparable has no rule, got {', '.join(rules)}.")
        rule = None
    else:
        rule = region_of(rules, number)
    _check_keys("key of where", _mapping("where", given.get("where", {})), FILTERS)
    claim = Claim(arms=named, published=number, rule=rule, **given)
    if claim.crossing not in CROSSINGS:
        raise RequestError(one_of("crossing", claim.crossing, CROSSINGS))
    if claim.target not in TARGETS:
        raise RequestError(f"target must be one of {', '.join(map(str, TARGETS))}, got {claim.target!r}.")
    return claim


def _mapping(what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise RequestError(f"{what} must be a mapping, got {value!r}.")
    return {str(key): one for key, one in value.items()}


def _check_keys(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    for key in given:
        if key not in set(known):
            raise RequestError(one_of(what, key, known))
