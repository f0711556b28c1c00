"""Verdicts: whether an interval lies where a claim says that it does.

The rule of a claim is a region, fixed in its recipe before anything runs. A claim *agrees* where the whole interval
lies in it, *differs* where none of it does, and is *undecided* where a part of it does, or where there are too few
runs, or too few that reach the target, for an interval. Two arms that are equal tie: neither is above the other, nor
below.
"""

import math
from typing import Any, Literal, NamedTuple

from bench.errors import RequestError
from bench.ranking.statistics import Estimate

Word = Literal["agrees", "differs", "undecided", "not comparable", "not judged", "not run"]
ROUNDING = 1e-9


class Region(NamedTuple):
    """The numbers from ``low`` to ``high``, both ends included; infinite for a side that is open."""

    low: float
    high: float


class Verdict(NamedTuple):
    """A word, and the reason for it."""

    word: Word
    why: str


def region_of(rules: dict[str, Any], published: Any) -> Region:
    """The region of a rule.

    ``within: f`` is from 1/f to f times the published number, ``above: x`` and ``below: x`` are everything on that
    side, ``between: [x, y]`` what lies between two numbers.

    :raises RequestError: for another number of rules than one, or a value that is none.

    >>> region_of({"within": 2}, 100)
    Region(low=50.0, high=200.0)
    """
    if len(rules) != 1:
        raise RequestError(f"a claim has one of within, above, below and between, got {', '.join(rules) or 'none'}.")
    [(rule, value)] = rules.items()
    if rule == "between":
        if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)) or value[0] > value[1]:
            raise RequestError(f"between takes two numbers, the lower one first, got {value!r}.")
        return Region(float(value[0]), float(value[1]))
    if not _is_number(value):
        raise RequestError(f"{rule} takes a number, got {value!r}.")
    if rule == "above":
        return Region(float(value), math.inf)
    if rule == "below":
        return Region(-math.inf, float(value))
    if value <= 1 or not _is_number(published) or published <= 0:
        raise RequestError(f"within takes a factor above 1 and needs a published number, got {value!r}, {published!r}.")
    return Region(published / value, float(published * value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def judge(found: Estimate, region: Region, tie: float | None = None) -> Verdict:
    """Whether an interval lies in a region. An end that is open is infinite.

    :param tie: the number of two equal arms: their ratio 1, or their difference 0. A region with an open end and this
        one does not include it.

    >>> judge(Estimate(3.0, 2.0, 4.0, 0.98), Region(1.0, 5.0)).word
    'agrees'
    >>> judge(Estimate(0.0, 0.0, 0.0, 0.98), Region(0.0, math.inf), tie=0.0).word
    'differs'
    """
    if found.level is None:
        return Verdict("undecided", "there are too few runs, or too few that reach the target, for an interval")
    low = -math.inf if found.low is None else found.low
    high = math.inf if found.high is None else found.high
    slack = ROUNDING * max(1.0, *(abs(end) for end in region if math.isfinite(end)))
    if tie in region and any(map(math.isinf, region)):
        slack = -slack
    if region.low - slack <= low and high <= region.high + slack:
        return Verdict("agrees", "the whole interval lies where the rule says")
    if high < region.low - slack or low > region.high + slack:
        no_part = "no part of the interval lies where the rule says"
        return Verdict("differs", "it is a tie: the two arms are equal" if low == high == tie else no_part)
    return Verdict("undecided", "a part of the interval lies outside of what the rule says")


def more_needed(found: Estimate, region: Region, ratio: bool) -> float | None:
    """How many times the runs would decide an undecided claim, if its estimate stayed where it is.

    An interval from l to h around v narrows as 1/√n: it ends at a limit B of the region, l < B < v, with
    ((v − l) / (v − B))² times the runs; a ratio by its logarithm. None where an end is open, or lies on the limit.

    >>> more_needed(Estimate(4.0, 1.0, 16.0, 0.9), Region(2.0, math.inf), ratio=True)
    4.0
    """
    ends = (found.value, found.low, found.high)
    if any(end is None or (ratio and end <= 0) for end in ends):
        return None
    scale = math.log if ratio else float
    value, low, high = (scale(end) for end in ends if end is not None)
    limits = [scale(limit) for limit in region if math.isfinite(limit) and (limit > 0 or not ratio)]
    inside = [limit for limit in limits if low < limit < high]
    if not inside or value in inside:
        return None
    return max((((low if limit < value else high) - value) / (limit - value)) ** 2 for limit in inside)
