"""What the pictures of a study share: which trials they show, colours, layout, lines."""

import math
from collections.abc import Sequence
from typing import Any

import optuna

Figure = dict[str, Any]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Okabe and Ito's, which colour-blind readers can distinguish."""
LEGEND = {"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0}
"""Below the plot: the page is narrow, and curves end at the right, where a legend would hide them."""
GREY, GRID, INK = "rgba(120, 120, 120, 0.35)", "#e5e5e5", "#333333"


def layout(title: str, below: str, x: Figure, y: Figure) -> Figure:
    """A layout with a title, a smaller line below it, and two axes."""
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": INK, "ticks": "outside", "automargin": True}
    return {
        "title": {"text": f"<b>{title}</b><br><sup>{below}</sup>", "x": 0.02, "font": {"size": 16}},
        "font": {"color": INK},
        "paper_bgcolor": "white",  # the page may be dark, which the dark text of this figure is not made for
        "plot_bgcolor": "white",
        "margin": {"l": 60, "r": 30, "t": 60, "b": 60},
        "xaxis": axis | x,
        "yaxis": axis | y,
        "hovermode": "closest",
        "legend": LEGEND,
        "showlegend": True,
    }


def line(points: Sequence[tuple[float | None, float | None]], name: str, style: Figure) -> Figure:
    """A trace through these points; None interrupts the line."""
    xs, ys = ([point[axis] for point in points] for axis in (0, 1))
    alone = sum(x is not None for x in xs) == 1  # a line of one point cannot be seen
    return {"type": "scatter", "mode": "markers" if alone else "lines", "x": xs, "y": ys, "name": name, "line": style}


def is_timed(study: optuna.Study) -> bool:
    """Whether values are steps or FLOPs, which studies of earlier versions kept as logarithms."""
    return "unit" in study.user_attrs.get("what", "") and study.direction == optuna.study.StudyDirection.MINIMIZE


def reached(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial held the target; true also for studies that do not count steps."""
    return "held_steps_to_99" in trial.user_attrs or "steps" not in trial.user_attrs


def best_first(study: optuna.Study, trials: Sequence[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    """The complete trials of a study of one value, the best one first."""
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    return sorted(complete(trials), key=lambda trial: (sign * (trial.value or 0), trial.number))


def complete(trials: Sequence[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    """Trials that ended well, with numbers for values."""
    done = (trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE)
    return [trial for trial in done if all(map(math.isfinite, trial.values))]
