"""What a row is ranked by: the median accuracy or cost of its runs, or the fraction of the pairs that it needs."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bench.ranking import statistics
from bench.ranking.observations import Crossing, Observation
from bench.ranking.question import TIMED, Question
from bench.ranking.reading import grouped
from bench.ranking.statistics import Bounds, Estimate, Sample

__all__ = ["ACCURACY_SPACING", "Score", "accuracies", "beats", "needed", "sample", "score"]

DIGITS = 12
"""Sums of the same numbers in another order agree to so many digits."""
ROUNDING = 10.0**-DIGITS
ACCURACY_SPACING = 0.001
"""Deviations of accuracy below a tenth of a percent are not trusted: a table prints no more digits."""
SMALLEST = {"steps": 1.0, "flops": 1.0, "seconds": 1e-6}
"""Costs below this count as this where logarithms are compared."""
LARGEST = 1e30
"""What counts for never where no row takes steps, and so none has a horizon."""
HALF = 0.5
WORTH_TELLING = 0.1
"""A run whose accuracy is below half of its row's median is told of where that median is at least so large, and one
above a half where the median is below a quarter."""


class Score(NamedTuple):
    """What a row is ranked by.

    :param order: smaller is better, equal is a tie; None where there is no score.
    :param mean: beside the median.
    :param seen: the runs that are described beside it.
    :param remarks: what the median does not show, in words.
    """

    estimate: Estimate
    order: tuple[float, ...] | None
    seen: Sequence[Observation]
    mean: float | None = None
    remarks: Sequence[str] = ()
    fractions: Sequence[dict[str, Any]] = ()


def score(seen: Sequence[Observation], question: Question, horizon: float | None) -> Score:
    """The score of a row by its runs; without an order where there is none."""
    if not seen:
        return Score(Estimate(None), None, [])
    if question.by == "fraction":
        return _by_fraction(seen, question.target)
    return _by_cost(seen, horizon) if question.by in TIMED else _by_accuracy(seen)


def accuracies(seen: Sequence[Observation]) -> np.ndarray:
    """Test accuracies, (n,)."""
    return np.array([one.accuracy for one in seen])


def _by_accuracy(seen: Sequence[Observation]) -> Score:
    """By the median over all runs; of equal medians by the mean."""
    x = accuracies(seen)
    middle = statistics.median_interval(x)
    mean = float(x.mean())
    assert middle.value is not None
    order = (-round(middle.value, DIGITS), -round(mean, DIGITS))
    return Score(middle, order, seen, mean, _far_from(middle.value, sorted(x.tolist())))


def _far_from(middle: float, sorted_n: Sequence[float]) -> list[str]:
    """What is to be said of runs that end far below the median, or far above it."""
    below = [x for x in sorted_n if x < HALF * middle and middle >= WORTH_TELLING]
    above = [x for x in sorted_n if x >= HALF and middle < HALF**2]
    remarks = []
    if below:
        remarks.append(f"{len(below)} of {len(sorted_n)} runs end below half of the median, at {_percents(below)}")
    if above:
        remarks.append(f"{len(above)} of {len(sorted_n)} runs end far above the median, at {_percents(above)}")
    return remarks


def _percents(values: Sequence[float]) -> str:
    low, high = f"{100 * values[0]:.1f} %", f"{100 * values[-1]:.1f} %"
    return low if low == high else f"{low} to {high}"


def _by_cost(seen: Sequence[Observation], horizon: float | None) -> Score:
    """By the median over all runs, of which one that did not get there within the horizon is the worst.

    Where runs that are not confirmed decide it there is no estimate, and the row stands where it would if they were
    lost. Equal medians, those not reached among them, are ordered by the mean of min(T, H).
    """
    crossings = [one.crossing for one in seen if one.crossing is not None]
    if len(crossings) < len(seen):
        return Score(Estimate(None), None, seen)
    after, early, late = np.array([(c.after, c.early, c.late) for c in crossings]).T
    interval = statistics.median_interval(late, low=after)
    worst = LARGEST if horizon is None else horizon
    lost, kept = ((statistics.median(x), float(np.minimum(x, worst).mean())) for x in (late, early))
    estimate = interval if lost[0] == kept[0] else replace(interval, value=None)
    mean = lost[1] if lost[1] == kept[1] and (horizon is not None or np.isfinite(late).all()) else None
    return Score(estimate, tuple(float(f"{x:.{DIGITS}g}") for x in (*lost, *kept)), seen, mean, _outcomes(crossings))


def _outcomes(crossings: Sequence[Crossing]) -> list[str]:
    """How runs ended that did not all end alike."""
    n, solved = len(crossings), sum(c.solved for c in crossings)
    unconfirmed, stopped = sum(c.unconfirmed for c in crossings), sum(c.stopped for c in crossings)
    counts = {
        "solved": solved,
        "unconfirmed": unconfirmed,
        "ended before the horizon without it": stopped,
        "not there at the horizon": n - solved - unconfirmed - stopped,
    }
    told = [f"{count} {what}" for what, count in counts.items() if count]
    return [f"of {n} runs {', '.join(told)}"] if len(told) > 1 or stopped else []


def _by_fraction(seen: Sequence[Observation], target: float) -> Score:
    """By the smallest fraction tried whose median accuracy reaches the target: see `needed`."""
    groups = sorted(grouped(seen, lambda one: one.run.fraction), key=lambda group: group[0].run.fraction)
    fractions, middles = (
        [g[0].run.fraction for g in groups],
        [statistics.median_interval(accuracies(g)) for g in groups],
    )
    need = needed(fractions, middles, target)
    shown = groups[-1] if need.value is None else groups[fractions.index(need.value)]
    tried = [
        {"train_fraction": fraction, "n": len(group), "median": m.value, "low": m.low, "high": m.high, "level": m.level}
        for fraction, group, m in zip(fractions, groups, middles, strict=True)
    ]
    return Score(need, (math.inf if need.value is None else need.value,), shown, fractions=tried)


def needed(fractions: Sequence[float], medians: Sequence[Estimate], target: float) -> Estimate:
    """The smallest fraction, of those tried, at which the median accuracy reaches the target.

    A fraction is known not to suffice where the upper end of its median's interval is below the target, and known to
    suffice where the lower ends of it and of all larger fractions reach the target: so, as more pairs do not hurt, the
    level does not depend on how many were tried. The interval goes from the last of the smallest fractions that are all
    known not to suffice, which it does not hold itself, or from nothing, to the first that is known to suffice: what
    was not tried is not known.

    :param fractions: in ascending order.
    """

    def reaches(value: float | None) -> bool:
        return value is not None and value >= target - ROUNDING

    at = next((i for i, middle in enumerate(medians) if reaches(middle.value)), None)
    maybe = next((i for i, m in enumerate(medians) if m.level is None or reaches(m.high)), len(medians))
    sure = [reaches(middle.low) for middle in medians]
    surely = next((i for i in range(len(sure)) if all(sure[i:])), None)
    low, high = fractions[maybe - 1] if maybe else None, None if surely is None else fractions[surely]
    value = None if at is None else fractions[at]
    if low is None and high is None:
        return Estimate(value)
    return Estimate(value, low, high, min(middle.level for middle in medians if middle.level is not None))


def sample(seen: Sequence[Observation], question: Question, horizon: float | None) -> Sample:
    """Runs of a row as ranks compare them: −accuracy, or log min(T, H) of a cost T."""
    keys = [one.key for one in seen]
    if question.by not in TIMED:
        x = -accuracies(seen)
        return Sample(keys, x, x, ACCURACY_SPACING)
    crossings = [one.crossing for one in seen if one.crossing is not None]
    least = SMALLEST[question.unit]
    most = LARGEST if horizon is None else max(horizon, least)
    low, high = (np.log(np.clip([getattr(c, end) for c in crossings], least, most)) for end in ("early", "late"))
    return Sample(keys, low, high, max(c.spacing for c in crossings))


def beats(better: Score, worse: Score, question: Question) -> float | None:
    """Probability that a run of one row beats a run of another; None for fractions."""
    if question.by == "fraction":
        return None
    return statistics.improvement(_bounds(better, question), _bounds(worse, question))


def _bounds(one: Score, question: Question) -> Bounds:
    if question.by not in TIMED:
        x = -accuracies(one.seen)
        return Bounds(x, x)
    crossings = [c.crossing for c in one.seen if c.crossing is not None]
    return Bounds(np.array([c.early for c in crossings]), np.array([c.late for c in crossings]))
