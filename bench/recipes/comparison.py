"""What came of the claims of a recipe: published, ours, and the verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.ranking import FILTERS
from bench.ranking.statistics import Bounds
from bench.recipes.measures import MEASURES, UNITS, Quantity, Sample, measured, quantity
from bench.recipes.recipe import Claim, Recipe
from bench.recipes.verdicts import Verdict, judge
from bench.results import Record

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
    if estimate.value is not None:
        value = show(estimate.value)
    elif math.isinf(found.most) and found.least <= 0:
        value = "unknown"
    elif math.isinf(found.most):
        value = "never" if math.isinf(found.least) else f"> {show(found.least)}"
    elif found.least <= 0:
        value = f"< {show(found.most)}"
    else:
        value = f"{show(found.least)}–{show(found.most)}"
    if estimate.level is None:
        return value
    low, high = (None if end is None else show(end).removeprefix("× ") for end in (estimate.low, estimate.high))
    if low is None or high is None:
        return f"{value} ({'< ' + str(high) if low is None else '> ' + low})"
    return f"{value} ({low}–{high})" if low != high else f"{value} ({low})"


def compare_records(
    recipe: Recipe,
    records: Mapping[str, Sequence[Record]],
    expected: Mapping[str, int],
    horizons: Mapping[str, int],
    quick: bool,
) -> list[Compared]:
    """The claims of a recipe, compared with the records of its arms.

    :param expected: how many records each arm has when it is whole.
    :param horizons: up to which step the runs of an arm are read.
    """
    found = []
    for claim in recipe.claims:
        unit = "fold" if len(claim.arms) == 2 else MEASURES[claim.measure].unit
        every = [records.get(arm, ()) for arm in claim.arms]
        lacking = [arm for arm, some in zip(claim.arms, every, strict=True) if len(some) < expected.get(arm, 1)]
        stored = [[record for record in some if _is_meant(record, claim)] for some in every]
        seen = measured(claim, stored, [horizons.get(arm) for arm in claim.arms]) if all(stored) else None
        found.append(Compared(claim, unit, seen, _verdict(claim, seen, lacking, quick)))
    return found


def _is_meant(record: Record, claim: Claim) -> bool:
    return all(FILTERS[name](record["spec"]) == value for name, value in claim.where.items())


def compare_observations(
    recipe: Recipe, observed: Mapping[str, Sequence[Mapping[str, Any]]], units: Mapping[str, str], quick: bool
) -> list[Compared]:
    """The claims of a recipe whose arms were observed by a measurement."""
    found = []
    for claim in recipe.claims:
        unit = "fold" if len(claim.arms) == 2 else units[claim.measure]
        stored = [observed.get(arm, ()) for arm in claim.arms]
        lacking = [arm for arm, some in zip(claim.arms, stored, strict=True) if not some]
        seen = None if lacking else quantity([_sample(claim.measure, some) for some in stored])
        found.append(Compared(claim, unit, seen, _verdict(claim, seen, lacking, quick)))
    return found


def _sample(name: str, observed: Sequence[Mapping[str, Any]]) -> Sample:
    """Numbers that were observed; one that is None lies above where it was looked for."""
    low = [one[f"{name}_until"] if one[name] is None else one[name] for one in observed]
    high = [math.inf if one[name] is None else one[name] for one in observed]
    bounds = Bounds(np.array(low, float), np.array(high, float))
    return Sample(bounds, bounds)


def _verdict(claim: Claim, found: Quantity | None, lacking: Sequence[str], quick: bool) -> Verdict:
    if quick:
        return QUICK
    if lacking:
        return Verdict("not run", f"runs of {', '.join(dict.fromkeys(lacking))} are missing")
    if claim.rule is None:
        return Verdict("not comparable", claim.not_comparable)
    if found is None:
        return Verdict("undecided", "a run lacks this number")
    verdict = judge(found.estimate, claim.rule)
    return verdict if verdict.word == "agrees" or not claim.why else Verdict(verdict.word, claim.why)
