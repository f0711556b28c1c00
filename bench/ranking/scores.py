"""The score that a row is ranked by, from the observations of its runs: a function for each kind of criterion."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bench.ranking import statistics
from bench.ranking.criteria import Kind
from bench.ranking.observations import Crossing, Observation
from bench.ranking.question import Question
from bench.ranking.runs import grouped

DIGITS = 12
"""Sums of the same numbers in another order agree to so many digits."""
ROUNDING = 10.0**-DIGITS
ACCURACY_SPACING = 0.001
"""Standard deviations of accuracy are taken to be at least a tenth of a percent, the last digit of a table."""
LARGEST = 1e30
"""The cost of never reaching the target where no row takes steps, so that there is no horizon."""
HALF = 0.5
WORTH_A_REMARK = 0.1
"""A row of at least this median gets a remark on runs below half of it, one of a median below a quarter on runs above a
half."""


class Score(NamedTuple):
    """What a row is ranked by.

    :param order: smaller is better, equal is a tie; None where there is no score.
    :param observations: those that the row describes.
    :param mean: beside the median.
    :param remarks: what the median does not show, in words.
    :param fractions: the fractions that were tried, where rows are ranked by the one that they need.
    :param values: by which a run beats a run of another row; None where runs are not compared.
    :param sample: by which rows are tested for a difference; None likewise.
    :param measured: accuracies or costs, by which a row is compared with a baseline, None likewise: first as they were
        seen, those of runs that do not get there as bounds; then between the evaluations that enclose each.
    """

    estimate: statistics.Estimate
    order: tuple[float, ...] | None
    observations: Sequence[Observation]
    mean: float | None = None
    remarks: Sequence[str] = ()
    fractions: Sequence[dict[str, Any]] = ()
    values: statistics.Bounds | None = None
    sample: statistics.Sample | None = None
    measured: tuple[statistics.Bounds, statistics.Bounds] | None = None


NO_SCORE = Score(statistics.Estimate(None), None, [])


def score(observations: Sequence[Observation], question: Question, horizon: float | None) -> Score:
    """The score of a row by the criterion of the question; without an order where there is none."""
    if not observations:
        return NO_SCORE
    return KINDS[question.criterion.kind](observations, question, horizon)


def _accuracies(observations: Sequence[Observation]) -> np.ndarray:
    """Test accuracies, (n,)."""
    return np.array([one.accuracy for one in observations])


def _by_accuracy(observations: Sequence[Observation], question: Question, horizon: float | None) -> Score:
    """By the median over all runs; of equal medians by the mean."""
    x = _accuracies(observations)
    middle, mean = statistics.median_interval(x), float(x.mean())
    assert middle.value is not None
    return Score(
        estimate=middle,
        order=(-round(middle.value, DIGITS), -round(mean, DIGITS)),
        observations=observations,
        mean=mean,
        remarks=_outliers(middle.value, sorted(x.tolist())),
        values=statistics.Bounds(-x, -x),
        sample=statistics.Sample([one.key for one in observations], -x, -x, ACCURACY_SPACING),
        measured=(statistics.Bounds(x, x), statistics.Bounds(x, x)),
    )


def _outliers(middle: float, sorted_n: Sequence[float]) -> list[str]:
    """Remarks on runs that end far below the median, or far above it."""
    below = [x for x in sorted_n if x < HALF * middle and middle >= WORTH_A_REMARK]
    above = [x for x in sorted_n if x >= HALF and middle < HALF**2]
    found = ((below, "below half of"), (above, "far above"))
    return [
        f"{len(runs)} of {len(sorted_n)} runs end {where} the median, at {_percents(runs)}"
        for runs, where in found
        if runs
    ]


def _percents(values: Sequence[float]) -> str:
    low, high = f"{100 * values[0]:.1f} %", f"{100 * values[-1]:.1f} %"
    return low if low == high else f"{low} to {high}"


def _by_cost(observations: Sequence[Observation], question: Question, horizon: float | None) -> Score:
    """By the median over all runs, of which those that do not reach the target up to the horizon are the worst.

    Where the median depends on runs that are not confirmed, there is no estimate, and the row is placed as if they lost
    the target again. Equal medians, such as those that are not reached, are ordered by the mean of min(T, H).
    """
    crossings = [one.crossing for one in observations if one.crossing is not None]
    if len(crossings) < len(observations):
        return NO_SCORE._replace(observations=observations)
    after, early, late = np.array([(c.after, c.early, c.late) for c in crossings]).T
    interval = statistics.median_interval(late, low=after)
    worst = LARGEST if horizon is None else horizon
    lost, kept = ((statistics.median(x), float(np.minimum(x, worst).mean())) for x in (late, early))
    known_mean = lost[1] == kept[1] and (horizon is not None or np.isfinite(late).all())
    smallest = question.unit.smallest
    low, high = (np.log(np.clip(x, smallest, max(worst, smallest))) for x in (early, late))
    return Score(
        estimate=interval if lost[0] == kept[0] else replace(interval, value=None),
        order=tuple(float(f"{x:.{DIGITS}g}") for x in (*lost, *kept)),
        observations=observations,
        mean=lost[1] if known_mean else None,
        remarks=_outcomes(crossings),
        values=statistics.Bounds(early, late),
        sample=statistics.Sample([one.key for one in observations], low, high, max(c.spacing for c in crossings)),
        measured=(
            statistics.Bounds(np.where(np.isfinite(early), early, after), late),
            statistics.Bounds(after, late),
        ),
    )


def _outcomes(crossings: Sequence[Crossing]) -> list[str]:
    """A remark on how the runs ended, unless all ended alike."""
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


def _by_fraction(observations: Sequence[Observation], question: Question, horizon: float | None) -> Score:
    """By the smallest fraction tried whose median accuracy reaches the target: see `needed_fraction`."""
    groups = {group[0].run.fraction: group for group in grouped(observations, lambda one: one.run.fraction)}
    medians = {fraction: statistics.median_interval(_accuracies(groups[fraction])) for fraction in sorted(groups)}
    need = needed_fraction(medians, question.target)
    tried = [
        {"train_fraction": fraction, "n": len(groups[fraction]), "median": m.value}
        | {"low": m.low, "high": m.high, "level": m.level}
        for fraction, m in medians.items()
    ]
    described = groups[max(groups) if need.value is None else need.value]
    return Score(need, (math.inf if need.value is None else need.value,), described, fractions=tried)


def needed_fraction(medians: Mapping[float, statistics.Estimate], target: float) -> statistics.Estimate:
    """The smallest fraction, of those tried, at which the median accuracy reaches the target.

    A fraction does not suffice, at the level of the intervals, where the upper end of its median's interval is below
    the target. It suffices where the lower ends of its interval and those of all larger fractions reach the target:
    since more pairs do not hurt, the level then does not depend on how many fractions were tried. The interval begins
    above the last of the smallest fractions that all do not suffice, or at zero, and ends with the first that suffices.
    Nothing is known about fractions that were not tried.

    :param medians: of the accuracy, by fraction in ascending order.
    """

    def reaches(value: float | None) -> bool:
        return value is not None and value >= target - ROUNDING

    fractions, found = list(medians), list(medians.values())
    value = next((fraction for fraction, middle in medians.items() if reaches(middle.value)), None)
    maybe = next((i for i, m in enumerate(found) if m.level is None or reaches(m.high)), len(found))
    sure = [reaches(middle.low) for middle in found]
    high = next((fraction for i, fraction in enumerate(fractions) if all(sure[i:])), None)
    low = fractions[maybe - 1] if maybe else None
    if low is None and high is None:
        return statistics.Estimate(value)
    return statistics.Estimate(value, low, high, min(middle.level for middle in found if middle.level is not None))


KINDS: dict[Kind, Callable[[Sequence[Observation], Question, float | None], Score]] = {
    "accuracy": _by_accuracy,
    "cost": _by_cost,
    "fraction": _by_fraction,
}
"""How runs are scored, by the kind of a criterion."""
