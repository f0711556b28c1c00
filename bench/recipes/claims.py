"""A claim: one comparison of a recipe, and how its entry in a file is read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Any

from bench.errors import RequestError, one_of
from bench.ranking import CROSSINGS, FILTERS, Published, all_published
from bench.recipes.forms import (
    MAPPING,
    NUMBER,
    SCALAR,
    TEXT,
    Form,
    check,
    check_forms,
    check_keys,
    is_number,
    is_text,
    mapping,
    shown,
    without_empty,
)
from bench.recipes.measures import IN_POINTS
from bench.recipes.verdicts import Region, region_of
from bench.results import TARGETS

RULES = ("within", "above", "below", "between")
NEAR = 0.7
"""Words that are as similar to the name of a published figure are a misspelt name; 0.57 is the most of our recipes'."""


@dataclass(frozen=True)
class Claim:
    """One comparison of a recipe: a number of one arm, or of two their ratio or their difference.

    Two arms are compared by the ratio of the first to the second. Of shares (`bench.recipes.measures.IN_POINTS`) it is
    the difference, first minus second, between −1 and 1, to which ``within``, a factor, does not apply.

    :param claim: what is claimed, a sentence.
    :param arms: one arm, or two.
    :param measure: what is measured of each run, a name of `bench.recipes.measures`, or of the ``UNITS`` of the
        recipe's measurement.
    :param target: the accuracy to reach, for measures that have one.
    :param crossing: "first" or "sustained".
    :param where: which runs of the arms are meant, by filters of `rank`: ``{task: add}``. Without it all are.
    :param published: the number, or words. In a file it may be the name of a figure of ``rank --published``, which is
        its number.
    :param rule: where the whole interval of ours must lie for "agrees".
    :param not_comparable: why the two cannot be compared, in place of a rule.
    :param why: where ours differs, the reason, with the claim or the page that shows it.
    :param settles: the answer to the quarrel of its recipe where this claim ``agrees`` and where it ``differs``; empty
        where it answers none.
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

    def is_of(self, spec: Mapping[str, Any]) -> bool:
        """Whether ``where`` means a run of this spec."""
        return all(FILTERS[name](spec) == value for name, value in self.where.items())


OF_A_CLAIM: dict[str, Form] = {
    "claim": TEXT,
    "where": MAPPING,
    "measure": TEXT,
    "target": NUMBER,
    "crossing": TEXT,
    "not_comparable": TEXT,
    "why": TEXT,
    "settles": MAPPING,
}
"""The keys of a claim, beside ``arms``, ``published`` and its rule."""


def claims_of(number: int, entry: Any, arms: Iterable[str]) -> list[Claim]:
    """The claims of an entry: one, or one for each arm where ``published`` gives each a number of its own.

    :param number: of the entry, from 1 on.
    :param arms: names of the arms of the recipe.
    :raises RequestError: for what is missing, unknown, of a wrong type or contradictory; the message names the claim.
    """
    given = without_empty(mapping(f"claim {number}", entry))
    if "claim" not in given:
        raise RequestError(f"claim {number} has no sentence: its claim is missing.")
    try:
        return list(_claims(given, arms))
    except RequestError as error:
        raise RequestError(f"claim {number}, {shown(given['claim'])}: {error}") from error


def check_settling(claims: Sequence[Claim], quarrel: str) -> None:
    """Raise RequestError where a claim settles a quarrel that there is not."""
    settling = [claim for claim in claims if claim.settles]
    if settling and not quarrel:
        raise RequestError(f"the claim {settling[0].claim!r} settles a quarrel, but the recipe has no quarrel.")


def _claims(given: dict[str, Any], arms: Iterable[str]) -> Iterator[Claim]:
    published, named = given.pop("published", None), given.pop("arms", None)
    check_keys("key of a claim", given, {*RULES, *OF_A_CLAIM, "arms", "published"})
    rules = {name: given.pop(name) for name in RULES if name in given}
    check_forms("the claim", given, OF_A_CLAIM)
    if not isinstance(published, Mapping):
        yield _claim(given, rules, named if isinstance(named, list) else [named], published, arms)
        return
    if named is not None:
        raise RequestError(f"published gives numbers to arms, so that arms says nothing more, got {shown(named)}.")
    if not published:
        raise RequestError("published must give numbers to arms, got {}.")
    for arm, one in mapping("published", published).items():
        yield _claim(given, dict(rules), [arm], one, arms)


def _claim(
    given: Mapping[str, Any], rules: dict[str, Any], names: Sequence[Any], published: Any, arms: Iterable[str]
) -> Claim:
    named = tuple(known_arm(one, arms) for one in names if one is not None)
    if len(named) not in (1, 2):
        raise RequestError(
            f"a claim is of one arm, or of the ratio of two (of shares their difference), got {shown(list(named))}."
        )
    if len(set(named)) < len(named):
        raise RequestError(f"a claim compares two different arms, got {shown(list(named))}.")
    number = None if published is None else _published(published)
    if "not_comparable" in given and rules:
        raise RequestError(f"a claim that is not comparable has no rule, got {', '.join(rules)}.")
    rule = None if "not_comparable" in given else region_of(rules, number)
    claim = Claim(arms=named, published=number, rule=rule, **given)
    if len(named) == 2 and claim.measure in IN_POINTS:
        _check_difference(claim, rules)
    check_keys("key of where", claim.where, FILTERS)
    for name, value in claim.where.items():
        check(f"{name} of where", value, SCALAR)
    if claim.settles:
        _check_answers(claim)
    if claim.crossing not in CROSSINGS:
        raise RequestError(one_of("crossing", claim.crossing, CROSSINGS))
    if claim.target not in TARGETS:
        raise RequestError(f"target must be one of {', '.join(map(str, TARGETS))}, got {claim.target!r}.")
    return claim


def known_arm(name: Any, arms: Iterable[str]) -> str:
    """The name of an arm as text.

    :raises RequestError: where there is none of this name.
    """
    check("the name of an arm", name, Form("text or a number", lambda value: is_text(value) or is_number(value)))
    if str(name) not in arms:
        raise RequestError(one_of("arm", str(name), arms))
    return str(name)


def _published(value: Any) -> float | str | None:
    """A number, that of the figure whose name is given, or words."""
    check("published", value, Form("a finite number, or words", lambda x: is_number(x) or is_text(x)))
    if not isinstance(value, str):
        return float(value) if isinstance(value, float) else int(value)
    if value in _figures():
        return _figures()[value].value
    if get_close_matches(value.lower(), _figures(), n=1, cutoff=NEAR):
        raise RequestError(one_of("published figure", value, _figures()))
    if _reads_as_number(value):
        raise RequestError(f"published must be a number or words, got the text {value!r}: write the digits, as 1000.0.")
    return value


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@cache
def _figures() -> dict[str, Published]:
    """The published figures by name."""
    return {one.name: one for one in all_published()}


def _check_difference(claim: Claim, rules: Mapping[str, Any]) -> None:
    """Raise RequestError for a rule, or a number, that no difference of two shares can have."""
    if "within" in rules:
        raise RequestError(f"within is a factor, and the {claim.measure} of two arms is compared by the difference.")
    for name, value in {**rules, "published": claim.published}.items():
        ends = value if isinstance(value, list) else [value]
        if any(is_number(end) and (abs(end) > 1 or (abs(end) == 1 and name in ("above", "below"))) for end in ends):
            raise RequestError(
                f"{name} is of the difference of two shares ({claim.measure}), between −1 and 1, got {value!r}."
            )


def _check_answers(claim: Claim) -> None:
    answers = ("agrees", "differs")
    if claim.rule is None:
        raise RequestError("a claim that is not comparable settles nothing.")
    check_keys("key of settles", mapping("settles", claim.settles), answers)
    for word in answers:
        if word not in claim.settles:
            raise RequestError(f"settles has no {word}: the answer to the quarrel where the claim {word}.")
        check(f"{word} of settles", claim.settles[word], TEXT)
