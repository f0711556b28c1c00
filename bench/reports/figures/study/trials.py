"""Learning curves of the trials of a study, the best ones in colour."""

import math
from collections.abc import Sequence
from itertools import chain

import optuna

from bench.reports.figures._elements import COLOURS, Figure, Trace, axis, log_axis
from bench.reports.figures._text import escaped
from bench.reports.figures.study._common import FAINT, best_first, drawn, reached, through
from bench.results import many, shown

KIND = "trials"
ID = "learning-curves"
WANTS = "a study of one value whose trials have reported values at steps"
BEST = 5
"""So many trials are drawn in colour."""
POINTS = 6000
"""In all curves together: a study of 256 trials is then 150 kB, which every process reads again with a journal."""
FEWEST_POINTS = 8


def draw(study: optuna.Study, names: Sequence[str], curve: str) -> Figure | None:
    """Intermediate values of every trial over log steps, the best trials in colour.

    None where there are none, and for studies of several values.

    NOTE: step 0 has no place on a logarithmic axis, and a curve of many points is thinned, its last one kept.
    """
    if len(names) > 1:
        return None
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.intermediate_values]
    most = max(FEWEST_POINTS, POINTS // max(1, len(trials)))
    curves = {trial.number: points for trial in trials if (points := _points(trial, most))}
    if not curves:
        return None
    best = [trial for trial in best_first(study, trials) if trial.number in curves][:BEST]
    others = [points for number, points in curves.items() if number not in {trial.number for trial in best}]
    traces = [_others(others)] if others else []
    for place, trial in reversed(list(enumerate(best))):  # the best one is drawn last, above the others
        title = f"trial {trial.number}: {shown(trial.value) if reached(trial) else 'not reached'}"
        traces.append(through(curves[trial.number], COLOURS[place], 2, name=title, legendrank=place))
    heights = [value for points in curves.values() for _, value in points]
    shares = min(heights) >= 0 and max(heights) <= 1
    steps = [step for points in curves.values() for step, _ in points]
    return drawn(
        f"Learning curves of {many(len(curves), 'trial')}",
        f"n = {many(len(curves), 'trial')}; in colour: the best by {names[0]}",
        log_axis("step (optimizer updates)", min(steps), max(steps)),
        axis(escaped(curve), **({"tickformat": ".0%", "range": [-0.02, 1.02]} if shares else {})),
        traces,
    )


def _points(trial: optuna.trial.FrozenTrial, most: int) -> list[tuple[int, float]]:
    whole = sorted((step, v) for step, v in trial.intermediate_values.items() if step > 0 and math.isfinite(v))
    every = max(1, math.ceil(len(whole) / most))
    return [(step, float(f"{value:.4g}")) for step, value in whole[::-1][::every][::-1]]


def _others(curves: Sequence[list[tuple[int, float]]]) -> Trace:
    """All other curves as one trace with gaps: a legend of one line, and a document a third as long."""
    points = list(chain.from_iterable([*curve, (None, None)] for curve in curves))
    return through(points, FAINT, 1, name="all others", hoverinfo="skip", legendrank=BEST + 1)
