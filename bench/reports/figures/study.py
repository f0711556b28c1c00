"""What a study's trials look like: learning curves, the Pareto front, parameter importances.

Figures are plotly's plain dictionaries, so that nothing here needs plotly. Colours hold on light and dark pages.
"""

import json
import math
import warnings
from collections.abc import Sequence
from itertools import chain
from typing import Any

from optuna.importance import get_param_importances
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bench.results.words import many, shown

__all__ = ["figures", "history", "importances", "learning_curves", "pareto_front", "summary"]

Figure = dict[str, Any]

BEST = 5
POINTS = 6000
"""In all curves together: a study of 256 trials is then 150 kB, which every reader of a journal reads again."""
FEWEST_POINTS = 8
FEWEST_TRIALS = 20
"""PED-ANOVA looks at the best tenth of the trials: with fewer that is one of them."""
MOST_PARAMETERS = 15
DECADES_WIDE = 20
"""Values that differ by such a factor are shown on a logarithmic axis."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Okabe and Ito's, which colour-blind readers can tell apart."""
LEGEND = {"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0}
"""Below the plot: the page is narrow, and curves end where a legend would lie."""
GREY, GRID, INK = "rgba(120, 120, 120, 0.35)", "#e5e5e5", "#333333"


def figures(study: Study, names: Sequence[str], curve: str) -> dict[str, Figure]:
    """The figures that can be drawn of a study as it is now, by the id under which they are stored.

    :param names: of its values.
    :param curve: what its intermediate values are.
    """
    several = len(study.directions) > 1
    drawn = {
        "a-result": summary(study, names),
        "b-history": None if several else history(study, names[0]),
        "pareto-front": pareto_front(study, names) if several else None,
        "learning-curves": None if several else learning_curves(study, names[0], curve),
        "importances": importances(study, "the Pareto front" if several else names[0]),
    }
    return {id: figure for id, figure in drawn.items() if figure is not None}


def summary(study: Study, names: Sequence[str]) -> Figure | None:
    """The best trial and how it did on pairs that no trial saw, in words; None before any trial is over."""
    trials = _complete(study.get_trials(deepcopy=False))
    if not trials or "what" not in study.user_attrs:
        return None
    chosen = study.user_attrs.get("winner")
    best = (study.best_trials if len(names) > 1 else _best_first(study, trials))[0]
    best = best if chosen is None else study.get_trials(deepcopy=False)[chosen]
    judged = ", ".join(f"{name} {shown(value)}" for name, value in zip(names, best.values, strict=True))
    worth = judged if len(names) > 1 or not _is_timed(study) or _reached(best) else _not_held(study, names[0], best)
    unconfirmed = best.user_attrs.get("unconfirmed", 0)
    doubt = f"<br>NOTE: {unconfirmed} of its seeds held 99 %, but not yet to 1.5 times that step" if unconfirmed else ""
    rows = {
        "best trial": f"trial {best.number} of {len(trials)}: {worth}{doubt}",
        "its setting": "<br>".join(f"{name} = {shown(value)}" for name, value in best.params.items()) or "all is fixed",
        "fresh seeds": _unbold(study.user_attrs.get("tested", "not trained yet: the vault is closed")),
    }
    cells = {"align": "left", "font": {"size": 13}, "height": 24, "fill": {"color": "white"}, "line": {"color": GRID}}
    cells["values"] = [[f"<b>{name}</b>" for name in rows], list(rows.values())]
    table = {"type": "table", "columnwidth": [1, 4], "cells": cells, "header": {"height": 0, "values": ["", ""]}}
    layout = _layout(
        "What came of it",
        "trials are judged by validation pairs, fresh seeds are tested on pairs that no trial saw",
        {},
        {},
    )
    return {"data": [table], "layout": layout | {"showlegend": False}}


def _not_held(study: Study, name: str, best: FrozenTrial) -> str:
    """As "99 % not held; counts as 1,000 steps"."""
    alone = json.loads(study.user_attrs["what"]).get("seeds") == 1
    unit = name.partition(" ")[0]
    return f"99 % not held{'' if alone else ' by every seed'}; counts as {shown(best.values[0])} {unit}"


def _unbold(text: str) -> str:
    """Markdown as plotly writes it, a sentence or clause a line."""
    return text.replace("**", "").replace("; ", ";<br>").replace(" (", "<br>(")


def history(study: Study, name: str) -> Figure | None:
    """The value of every trial by its number, on a logarithmic axis where steps or FLOPs are counted.

    Trials that did not hold 99 % have no number of steps: they are marked as such above the others, as are those that
    diverged or failed. Where no trial held it, the marks are at what the trials count as. None where no trial is over,
    or the study is not tune's.
    """
    over = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    done = _complete(over)
    if not done or "what" not in study.user_attrs:
        return None
    timed = _is_timed(study)
    reached = [trial for trial in done if not timed or _reached(trial)]
    never = [trial for trial in done if trial not in reached]
    sure = [trial for trial in reached if not trial.user_attrs.get("unconfirmed")]
    high = max([trial.values[0] for trial in reached], default=max(trial.values[0] for trial in done)) * 1.5
    above = high if reached else None
    marks = {
        "held and confirmed" if timed else "complete": (sure, COLOURS[0], "circle", None),
        "held, not confirmed yet": ([t for t in reached if t not in sure], COLOURS[0], "circle-open", None),
        "not reached": ([t for t in never if not _diverged(t)], COLOURS[1], "triangle-up", above),
        "diverged": ([t for t in never if _diverged(t)], COLOURS[3], "x", above),
        "failed": ([t for t in over if timed and t not in done], INK, "x-thin-open", high),
    }
    traces = [_marked(label, *mark) for label, mark in marks.items() if mark[0]]
    best = _so_far(study, reached)
    if best:
        line = {"color": COLOURS[2], "width": 2, "shape": "hv"}
        traces.append(_line(best, "best so far", line) | {"mode": "lines"})
    below = _below(len(reached), len(over)) if timed else ""
    x = {"title": {"text": "trial"}, "rangemode": "tozero"}
    y = {"title": {"text": name}, **({"type": "log"} if timed else {})}
    return {"data": traces, "layout": _layout("Trials", below, x, y)}


def _below(reached: int, over: int) -> str:
    if reached:
        return f"{reached} of {over} trials reached it; marks above the others did not"
    return f"none of {many(over, 'trial')} held 99 %: marks show what they count as"


def _is_timed(study: Study) -> bool:
    """Whether values are steps or FLOPs, which studies of earlier versions kept as logarithms."""
    return "unit" in study.user_attrs.get("what", "") and study.direction == StudyDirection.MINIMIZE


def _reached(trial: FrozenTrial) -> bool:
    return "held_steps_to_99" in trial.user_attrs or "steps" not in trial.user_attrs


def _diverged(trial: FrozenTrial) -> bool:
    return trial.user_attrs.get("status") == "diverged"


def _marked(label: str, trials: Sequence[FrozenTrial], colour: str, symbol: str, height: float | None) -> Figure:
    heights = [height or trial.values[0] for trial in trials]
    text = [f"trial {t.number}: {label if height else shown(t.values[0])}" for t in trials]
    marker = {"color": colour, "size": 9, "symbol": symbol}
    dots = {"x": [trial.number for trial in trials], "y": heights, "text": text, "hoverinfo": "text"}
    return {"type": "scatter", "mode": "markers", "name": label, "marker": marker, **dots}


def _so_far(study: Study, trials: Sequence[FrozenTrial]) -> list[tuple[float | None, float | None]]:
    """The best value after each trial that reached it."""
    best, found = min if study.direction == StudyDirection.MINIMIZE else max, list[tuple[float | None, float | None]]()
    for trial in sorted(trials, key=lambda trial: trial.number):
        before = found[-1][1] if found else None
        found.append((trial.number, trial.values[0] if before is None else best(before, trial.values[0])))
    return found


def learning_curves(study: Study, name: str, curve: str) -> Figure | None:
    """Intermediate values of every trial over log steps, the best trials in colour; None where there are none.

    NOTE: step 0 has no place on a logarithmic axis, and a curve of many points is thinned, its last one kept.
    """
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.intermediate_values]
    most = max(FEWEST_POINTS, POINTS // max(1, len(trials)))
    curves = {trial.number: points for trial in trials if (points := _points(trial, most))}
    if not curves:
        return None
    best = [trial for trial in _best_first(study, trials) if trial.number in curves][:BEST]
    others = [points for number, points in curves.items() if number not in {trial.number for trial in best}]
    traces = [_others(others)] if others else []
    for place, trial in reversed(list(enumerate(best))):  # the best one last, above the others
        title = f"trial {trial.number}: {shown(trial.value) if _reached(trial) else 'not reached'}"
        line = {"color": COLOURS[place], "width": 2}
        traces.append(_line(curves[trial.number], title, line) | {"legendrank": place})
    heights = [value for points in curves.values() for _, value in points]
    shares = min(heights) >= 0 and max(heights) <= 1
    noun = "trial" if len(curves) == 1 else "trials"
    layout = _layout(
        f"Learning curves of {len(curves)} {noun}",
        f"in colour: the best by {name}",
        x={"title": {"text": "step (optimizer updates)"}, "type": "log"},
        y={"title": {"text": curve}} | ({"tickformat": ".0%", "range": [-0.02, 1.02]} if shares else {}),
    )
    return {"data": traces, "layout": layout}


def _points(trial: FrozenTrial, most: int) -> list[tuple[int, float]]:
    whole = sorted((step, v) for step, v in trial.intermediate_values.items() if step > 0 and math.isfinite(v))
    every = max(1, math.ceil(len(whole) / most))
    return [(step, float(f"{value:.4g}")) for step, value in whole[::-1][::every][::-1]]


def _best_first(study: Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    return sorted(_complete(trials), key=lambda trial: (sign * (trial.value or 0), trial.number))


def _complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that ended well, with numbers for values."""
    done = (trial for trial in trials if trial.state == TrialState.COMPLETE)
    return [trial for trial in done if all(map(math.isfinite, trial.values))]


def _others(curves: Sequence[list[tuple[int, float]]]) -> Figure:
    """One trace with gaps: a legend of one line, and a document a third as long."""
    points = chain.from_iterable([*curve, (None, None)] for curve in curves)
    trace = _line(list(points), "all others", {"color": GREY, "width": 1})
    return trace | {"hoverinfo": "skip", "legendrank": BEST + 1}


def _line(points: Sequence[tuple[float | None, float | None]], name: str, line: Figure) -> Figure:
    xs, ys = ([point[axis] for point in points] for axis in (0, 1))
    alone = sum(x is not None for x in xs) == 1  # a line of one point cannot be seen
    return {"type": "scatter", "mode": "markers" if alone else "lines", "x": xs, "y": ys, "name": name, "line": line}


def pareto_front(study: Study, names: Sequence[str]) -> Figure | None:
    """The first two values of every complete trial, those that no other beats in all values in colour."""
    trials = _complete(study.get_trials(deepcopy=False))
    if not trials:
        return None
    front = {trial.number for trial in study.best_trials}
    on, off = ([t for t in trials if (t.number in front) is best] for best in (True, False))
    on.sort(key=lambda trial: trial.values)
    traces = [_dots(off, "beaten", GREY)] if off else []
    lines = {"mode": "lines+markers", "line": {"dash": "dot", "width": 1}}
    traces.append(_dots(on, "Pareto front", COLOURS[0]) | lines)
    x, y = (_value_axis(study, names, trials, i) for i in (0, 1))
    return {"data": traces, "layout": _layout("Pareto front", f"{len(on)} of {len(trials)} trials", x, y)}


def _dots(trials: Sequence[FrozenTrial], name: str, colour: str) -> Figure:
    xs, ys = ([trial.values[i] for trial in trials] for i in (0, 1))
    text = ["<br>".join([f"trial {t.number}", *(f"{k} = {shown(v)}" for k, v in t.params.items())]) for t in trials]
    marker = {"color": colour, "size": 8}
    return {"type": "scatter", "mode": "markers", "x": xs, "y": ys, "text": text, "name": name, "marker": marker}


def _value_axis(study: Study, names: Sequence[str], trials: Sequence[FrozenTrial], i: int) -> Figure:
    values = [trial.values[i] for trial in trials]
    better = "higher" if study.directions[i] == StudyDirection.MAXIMIZE else "lower"
    wide = min(values) > 0 and max(values) / min(values) >= DECADES_WIDE
    return {"title": {"text": f"{names[i]} ({better} is better)"}} | ({"type": "log"} if wide else {})


def importances(study: Study, of: str) -> Figure | None:
    """How much each parameter matters for reaching the best tenth of the trials; None where that cannot be said.

    Source: Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
    arXiv:2304.10255, as Optuna computes it.
    """
    trials = _complete(study.get_trials(deepcopy=False))
    settings = {key: {repr(t.params[key]) for t in trials if key in t.params} for t in trials for key in t.params}
    same = len({tuple(trial.values) for trial in trials}) < 2
    if len(trials) < FEWEST_TRIALS or same or sum(len(tried) > 1 for tried in settings.values()) < 2:
        return None
    with warnings.catch_warnings():  # a parameter of few trials, since others decide whether it is there
        warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)
        found = get_param_importances(study)
    if not all(map(math.isfinite, found.values())):
        return None
    top = sorted(found.items(), key=lambda item: item[1])[-MOST_PARAMETERS:]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(share, 4) for _, share in top],
        "y": [name for name, _ in top],
        "texttemplate": "%{x:.0%}",
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": COLOURS[0]},
    }
    layout = _layout(
        f"Parameter importances from {len(trials)} trials",
        f"for {of} (PED-ANOVA)",
        x={"title": {"text": "share of importance"}, "tickformat": ".0%", "rangemode": "tozero"},
        y={"automargin": True},
    )
    return {"data": [bars], "layout": layout | {"showlegend": False}}


def _layout(title: str, below: str, x: Figure, y: Figure) -> Figure:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": INK, "ticks": "outside", "automargin": True}
    return {
        "title": {"text": f"<b>{title}</b><br><sup>{below}</sup>", "x": 0.02, "font": {"size": 16}},
        "font": {"color": INK},
        "paper_bgcolor": "white",  # the page may be dark, and knows nothing of this figure's ink
        "plot_bgcolor": "white",
        "margin": {"l": 60, "r": 30, "t": 60, "b": 60},
        "xaxis": axis | x,
        "yaxis": axis | y,
        "hovermode": "closest",
        "legend": LEGEND,
        "showlegend": True,
    }
