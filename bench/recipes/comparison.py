"""What came of the claims of a recipe: published, ours, and the verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.recipes.measures import (
    UNITS,
    Known,
    Quantity,
    Sample,
    exactly,
    measured,
    quantity,
    sample_of_known,
    unit_of,
)
from bench.recipes.recipe import Claim, Recipe
from bench.recipes.verdicts import Verdict, judge
from bench.results import Record

WIDE = 0.9499
"""Intervals of this level or a lower one are written with it."""
QUICK = Verdict("not judged", "a quick run checks the machinery, at another size")


@dataclass(frozen=True)
class Compared:
    """One claim, published and ours.

    :param unit: of the number: a key of `bench.recipes.measures.UNITS`.
    :param found: None where nothing was measured.
    """

    claim: Claim
    unit: str
    found: Quantity | None
    verdict: Verdict

    @property
    def published(self) -> str:
        """As "790" or "× 50.5"; "–" where the claim is words alone."""
        value = self.claim.published
        if value is None:
            return "–"
        return value if isinstance(value, str) else UNITS[self.unit](value)

    @property
    def ours(self) -> str:
        """As "× 45.2 (41.0–52.3)", or "> 60,000" where the median run does not reach the target."""
        return "–" if self.found is None else described(self.found, self.unit)

    @property
    def of(self) -> str:
        """The arm, or the two whose ratio it is, as "ma" or "none ÷ ma", and which of their runs: "lion, task add"."""
        where = [f"{name.replace('_', ' ')} {value}" for name, value in self.claim.where.items()]
        return ", ".join([" ÷ ".join(self.claim.arms), *where])

    @property
    def n(self) -> str:
        """Runs of each arm, or searches."""
        return "–" if self.found is None else " and ".join(f"{n:,}" for n in dict.fromkeys(self.found.n))

    def to_dict(self) -> dict[str, Any]:
        """As in ``--json``."""
        found = self.found
        numbers = {} if found is None else {"n": list(found.n), **vars(found.estimate)}
        least_most = {} if found is None else {"least": _finite(found.least), "most": _finite(found.most)}
        return {
            "claim": self.claim.claim,
            "arms": list(self.claim.arms),
            "measure": self.claim.measure,
            "unit": self.unit,
            "published": self.claim.published,
            "ours": numbers | least_most,
            "verdict": self.verdict.word,
            "why": self.verdict.why,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def described(found: Quantity, unit: str) -> str:
    """A number with its interval.

    >>> from bench.ranking.statistics import Estimate
    >>> described(Quantity((10,), Estimate(790.0, 750.0, 830.0, 0.98), 790.0, 790.0), "steps")
    '790 (750–830)'
    """
    show, estimate = UNITS[unit], found.estimate
    level = "" if estimate.level is None or estimate.level > WIDE else f"; {100 * estimate.level:.0f} %"
    if estimate.value is not None:
        value = show(estimate.value)
    else:
        least = show(found.least) if math.isfinite(found.least) and (found.least > 0 or unit == "points") else ""
        most = show(found.most) if math.isfinite(found.most) else ""
        value = f"{least}–{most}" if least and most else f"> {least}" if least else f"< {most}" if most else "unknown"
    if estimate.level is None:
        return value
    low, high = (
        None if end is None else show(end).removeprefix("× ").removesuffix(" points")
        for end in (estimate.low, estimate.high)
    )
    if low is None or high is None:
        return f"{value} ({'< ' + str(high) if low is None else '> ' + low}{level})"
    return (
        f"{value} ({low}{' to ' if unit == 'points' else '–'}{high}{level})"
        if low != high
        else f"{value} ({low}{level})"
    )


@dataclass(frozen=True)
class ArmRuns:
    """The runs of an arm that are there.

    :param groups: by search; those of an arm that is not tuned are one group.
    :param expected: how many there are when the arm is whole.
    """

    groups: Sequence[Sequence[Record]]
    expected: int

    @property
    def records(self) -> list[Record]:
        """All of them."""
        return [record for group in self.groups for record in group]

    def of(self, claim: Claim) -> list[list[Record]]:
        """Those that a claim is of, without searches that have none."""
        meant = [[record for record in group if claim.is_of(record["spec"])] for group in self.groups]
        return [group for group in meant if group]


def compare_records(recipe: Recipe, arms: Mapping[str, ArmRuns], quick: bool) -> list[Compared]:
    """The claims of a recipe, compared with the records of its arms."""
    found = []
    for claim in recipe.claims:
        own = [arms[arm] for arm in claim.arms]
        lacking = _lacking(claim, [(len(runs.records), runs.expected) for runs in own])
        meant = [runs.of(claim) for runs in own]
        seen = measured(claim, meant) if all(meant) else None
        unit = unit_of(claim.measure, len(claim.arms))
        found.append(Compared(claim, unit, seen, _verdict(claim, unit, seen, lacking, quick)))
    return found


def compare_observations(
    recipe: Recipe,
    observed: Mapping[str, Sequence[Mapping[str, Any]]],
    expected: Mapping[str, int],
    units: Mapping[str, str],
    quick: bool,
) -> list[Compared]:
    """The claims of a recipe whose arms were observed by a measurement."""
    found = []
    for claim in recipe.claims:
        own = [observed.get(arm, ()) for arm in claim.arms]
        lacking = _lacking(claim, [(len(some), expected[arm]) for arm, some in zip(claim.arms, own, strict=True)])
        unit = unit_of(claim.measure, len(claim.arms), units)
        seen = None
        if all(own):
            seen = quantity([_observed_sample(claim.measure, some) for some in own], in_points=unit == "points")
        found.append(Compared(claim, unit, seen, _verdict(claim, unit, seen, lacking, quick)))
    return found


def _lacking(claim: Claim, counts: Sequence[tuple[int, int]]) -> list[str]:
    """What runs of its arms a claim still lacks, in words."""
    words = (
        f"{there} of {of} runs of {arm}" for arm, (there, of) in zip(claim.arms, counts, strict=True) if there < of
    )
    return list(dict.fromkeys(words))


def _observed_sample(name: str, observed: Sequence[Mapping[str, Any]]) -> Sample:
    """Numbers that were observed; one that is None lies above where it was looked for."""
    known = [exactly(one[name]) if one[name] is not None else _at_least(one[f"{name}_until"]) for one in observed]
    return sample_of_known(known)


def _at_least(value: float) -> Known:
    return Known(value, value, math.inf)


def _verdict(claim: Claim, unit: str, found: Quantity | None, lacking: Sequence[str], quick: bool) -> Verdict:
    if quick:
        return QUICK
    if lacking:
        return Verdict("not run", f"there are {' and '.join(lacking)}")
    if claim.rule is None:
        return Verdict("not comparable", claim.not_comparable)
    if found is None:
        return Verdict("undecided", "a run lacks this number")
    tie = None if len(claim.arms) == 1 else 0.0 if unit == "points" else 1.0
    verdict = judge(found.estimate, claim.rule, tie)
    return verdict if verdict.word != "differs" or not claim.why else Verdict(verdict.word, claim.why)
