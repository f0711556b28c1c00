"""What the runs of one configuration show together: curves over steps, and when half of them reached the target."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import RequestError
from bench.ranking import Crossing, Question, Run, statistics
from bench.reports.figures._groups import read
from bench.results import evenly, many

Floats = NDArray[np.float64]

MOST_POINTS = 400
"""Longer curves are thinned, evenly over the logarithm of the step."""


class Curve(NamedTuple):
    """The median over runs at each step, and two percentiles around it; NaN where no run has a value."""

    steps_T: NDArray[np.int64]
    middle_T: Floats
    low_T: Floats
    high_T: Floats


class Gap(NamedTuple):
    """Between memorizing and generalizing: medians over runs, in steps.

    :param memorized: the first evaluation at or above the target on training pairs; infinite where half of the runs or
        more do not get there.
    :param generalized: the crossing of test pairs that the question asks for; likewise.
    :param doubt: why the second is not known, in words; "" where it is.
    """

    memorized: float
    generalized: float
    doubt: str = ""


def curve_of(runs: Sequence[Run], part: str, question: Question, percentiles: tuple[float, float] = (25, 75)) -> Curve:
    """The median over runs at each step at which any of them was evaluated, and two percentiles.

    Each run shows its last evaluation up to that step, also after its own end, as in the league table. A run that
    diverged shows 0 from there on. Steps before the first evaluation of any run are left out.

    :param part: "train" or "test", for accuracies; or what learners keep beside them, as "weight_norm".
    :param question: its horizon, if it has one, ends the curves.
    """
    used = [evaluations(run, part, question) for run in runs]
    used = [(steps_T, values_T) for steps_T, values_T in used if len(steps_T)]
    if not used:
        return Curve(np.zeros(0, np.int64), *np.zeros((3, 0)))
    steps_T = np.unique(np.concatenate([steps_T for steps_T, _ in used]))
    steps_T = steps_T[steps_T >= max(own_T[0] for own_T, _ in used)]
    steps_T = steps_T[evenly(steps_T, MOST_POINTS)]
    values_NT = np.stack([values_T[np.searchsorted(own_T, steps_T, side="right") - 1] for own_T, values_T in used])
    known_T = ~np.isnan(values_NT).all(0)
    found_3T = np.full((3, len(steps_T)), np.nan)
    found_3T[:, known_T] = np.nanpercentile(values_NT[:, known_T], [50, *percentiles], axis=0)
    return Curve(steps_T, *found_3T)


def ends_of(curves: Sequence[Curve]) -> tuple[float, float]:
    """The first and the last step of curves; step 0, of learners that take none, is not on a logarithmic axis.

    :raises RequestError: where there is none.
    """
    known = np.concatenate([np.zeros(0, np.int64), *(curve.steps_T for curve in curves)])
    known = known[known > 0]
    if not len(known):
        raise RequestError("There is no evaluation after step 0 up to the horizon.")
    return float(known.min()), float(max(known.max(), 2 * known.min()))


def evaluations(run: Run, part: str, question: Question) -> tuple[NDArray[np.int64], Floats]:
    """The steps of a run up to the horizon, and its values there: none where it has not kept this part."""
    steps_T, of = run.curve.steps_T, {"train": run.curve.train_T, "test": run.curve.test_T, **run.curve.vitals}
    if part not in of:
        return steps_T[:0], np.zeros(0)
    values_T = of[part]
    if run.status == "diverged" and part in ("train", "test"):
        values_T = np.where(np.isnan(run.curve.test_T) & np.isnan(run.curve.train_T), 0.0, values_T)
    if question.horizon is None:
        return steps_T, values_T
    count = int(np.searchsorted(steps_T, run.steps_within(question.horizon, question.unit.name), side="right"))
    return steps_T[:count], values_T[:count]


def carried(groups: Iterable[Sequence[Run]], part: str, question: Question) -> list[str]:
    """A note on runs that ended before others of their configuration."""
    short = 0
    for runs in groups:
        ends = [steps_T[-1] for run in runs if len(steps_T := evaluations(run, part, question)[0])]
        short += sum(end < max(ends) for end in ends)
    said = f"{many(short, 'run')} ended before others of the same configuration: the last value is carried on."
    return [said] if short else []


def gap_of(runs: Sequence[Run], question: Question) -> Gap:
    """When the middle run memorizes its training pairs, and when it generalizes."""
    memorized = statistics.median([_first(run, question) for run in runs])
    middle, doubt = middle_crossing([one.crossing for one in read(runs, question, "steps") if one.crossing is not None])
    return Gap(memorized, middle, doubt)


def _first(run: Run, question: Question) -> float:
    """The first evaluation at or above the target on training pairs."""
    steps_T, values_T = evaluations(run, "train", question)
    reached_T = values_T >= question.target
    return float(steps_T[reached_T.argmax()]) if reached_T.any() else math.inf


def middle_crossing(crossings: Sequence[Crossing]) -> tuple[float, str]:
    """The median cost to the target, infinite where half of the runs or more do not reach it, and what is in doubt.

    The median is in doubt where it depends on runs that hold the target at their end but not for long enough, or that
    ended before the horizon.
    """
    if not crossings:
        return math.inf, "not tested"
    late, early = (statistics.median([getattr(one, end) for one in crossings]) for end in ("late", "early"))
    if late == early:
        return late, ""
    reached = sum(one.stands for one in crossings)
    return math.inf, "unconfirmed" if 2 * reached > len(crossings) else "unknown"
