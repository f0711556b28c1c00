"""Weight norm and silent hidden units along training, with the steps of memorizing and generalizing."""

import math
from collections.abc import Sequence

import numpy as np

from bench.ranking import Ranking
from bench.reports.figures._elements import Figure, Trace, area, axis, dots, entry, figure, line, log_axis
from bench.reports.figures._groups import MOST, Group, groups_of, n_of
from bench.reports.figures._over_seeds import Curve, Gap, carried, curve_of, ends_of, gap_of
from bench.reports.figures._text import escaped

KIND = "weights"
VITALS = {
    "weight_norm": ("norm of all weights (ℓ₂)", {}),
    "activation_sparsity": ("silent units (share)", {"tickformat": ".0%"}),
}
"""What is drawn, from above to below, if runs have kept it: the name of the axis and its format."""
NOTHING = (
    "No run here has its weight norm: torch learners record it, mlp and learners that take no steps do not, and packs "
    "of accuracies leave it out."
)
PLOT, BETWEEN = 220, 24
"""Pixels of each of the axes, and between them."""


def draw(ranking: Ranking, *, most: int = MOST) -> Figure:
    """The norm of all weights and the share of silent hidden units over steps: medians over seeds with their quartiles.

    An open mark stands at the step where the training pairs are memorized, a filled one where test pairs are solved.

    :param most: so many configurations are drawn, the best ones.
    :raises RequestError: where no run has kept either, as those of mlp and of closed forms.
    """
    question = ranking.question
    groups = groups_of(ranking, most, lambda group: bool(_kept(group)), NOTHING)
    names = [name for name in VITALS if any(name in _kept(group) for group in groups.members)]
    curves = {name: [(g, curve_of(g.runs, name, question)) for g in groups.members] for name in names}
    ends = ends_of([curve for some in curves.values() for _, curve in some])
    data: list[Trace] = []
    for number, name in enumerate(names):
        place = {"xaxis": f"x{number + 1}", "yaxis": f"y{number + 1}"} if number else {}
        for group, curve in curves[name]:
            data += _traces(group, curve, gap_of(group.runs, question), place) if len(curve.steps_T) else []
    data += [entry(group.label, group.style) for group in groups.members]
    height = len(names) * PLOT + (len(names) - 1) * BETWEEN
    layout = _axes(names, ends, height)
    target = f"{100 * question.target:g} %"
    caption = [
        f"Median over {n_of(len(group.runs) for group in groups.members)} seeds; band: interquartile range.",
        f"Open mark: {target} of the training pairs right for the first time; filled: of the test pairs"
        f"{', to stay so' if question.crossing == 'sustained' else ''}. A unit is silent below 1 % of the largest.",
        *carried([group.runs for group in groups.members], names[0], question),
        *groups.notes,
    ]
    return figure(f"Weights along training: {groups.title}", caption, data, height, **layout)


def _kept(group: Group) -> set[str]:
    """What the runs of a configuration have kept, of what is drawn."""
    return {name for run in group.runs for name in run.curve.vitals if name in VITALS}


def _axes(names: Sequence[str], ends: tuple[float, float], height: float) -> Figure:
    """The axes above each other, of which the lowest names the steps."""
    axes: Figure = {}
    for number, name in enumerate(names):
        own, last = str(number + 1) if number else "", number == len(names) - 1
        top = 1 - number * (PLOT + BETWEEN) / height
        matched: Figure = {"matches": "x"} if number else {}
        title = "step (optimizer updates)" if last else ""
        axes[f"xaxis{own}"] = log_axis(title, *ends, anchor=f"y{own}", showticklabels=last, **matched)
        words, form = VITALS[name]
        axes[f"yaxis{own}"] = axis(words, domain=[max(0.0, top - PLOT / height), top], anchor=f"x{own}", **form)
    return axes


def _traces(group: Group, curve: Curve, gap: Gap, place: Figure) -> list[Trace]:
    """The band, the line, and the marks of memorizing and generalizing on it."""
    colour, symbol, dash = group.style
    xs, ys = curve.steps_T.tolist(), [None if math.isnan(y) else float(f"{y:.5g}") for y in curve.middle_T.tolist()]
    known_T = ~np.isnan(curve.middle_T)
    traces = []
    if len(group.runs) > 1:
        steps, low, high = (values[known_T].tolist() for values in (curve.steps_T, curve.low_T, curve.high_T))
        traces.append(area(steps, low, high, colour, **place))
    text = [f"{escaped(group.label)}<br>{y} at step {x:,}" for x, y in zip(xs, ys, strict=True)]
    traces.append(line(xs, ys, colour, dash, 2, text=text, hoverinfo="text", **place))
    for step, look in ((gap.memorized, f"{symbol}-open"), (gap.generalized, symbol)):
        if math.isfinite(step):
            row = max(0, int(np.searchsorted(curve.steps_T, step, side="right")) - 1)
            traces.append(dots([step], [ys[row]], colour, look, 10, hoverinfo="skip", **place))
    return traces
