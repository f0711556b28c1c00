"""The learning curves of a study's trials."""

import math
from collections.abc import Sequence
from itertools import chain

import optuna

from bench.reports.figures.study._common import COLOURS, GREY, Figure, best_first, layout, line, reached
from bench.results import shown

ID = "learning-curves"
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
        style = {"color": COLOURS[place], "width": 2}
        traces.append(line(curves[trial.number], title, style) | {"legendrank": place})
    heights = [value for points in curves.values() for _, value in points]
    shares = min(heights) >= 0 and max(heights) <= 1
    noun = "trial" if len(curves) == 1 else "trials"
    shape = layout(
        f"Learning curves of {len(curves)} {noun}",
        f"in colour: the best by {names[0]}",
        x={"title": {"text": "step (optimizer updates)"}, "type": "log"},
        y={"title": {"text": curve}} | ({"tickformat": ".0%", "range": [-0.02, 1.02]} if shares else {}),
    )
    return {"data": traces, "layout": shape}


def _points(trial: optuna.trial.FrozenTrial, most: int) -> list[tuple[int, float]]:
    whole = sorted((step, v) for step, v in trial.intermediate_values.items() if step > 0 and math.isfinite(v))
    every = max(1, math.ceil(len(whole) / most))
    return [(step, float(f"{value:.4g}")) for step, value in whole[::-1][::every][::-1]]


def _others(curves: Sequence[list[tuple[int, float]]]) -> Figure:
    """All other curves as one trace with gaps: a legend of one line, and a document a third as long."""
    points = chain.from_iterable([*curve, (None, None)] for curve in curves)
    trace = line(list(points), "all others", {"color": GREY, "width": 1})
    return trace | {"hoverinfo": "skip", "legendrank": BEST + 1}
