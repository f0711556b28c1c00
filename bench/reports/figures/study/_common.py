"""What the pictures of a study share: which trials they show, axes, lines, and their layout on its page."""

import math
from collections.abc import Sequence
from typing import Any

import optuna

from bench.reports.figures._elements import Figure, Trace, axis, dots, figure, line, log_axis
from bench.reports.figures._text import escaped

FAINT, GRID, INK = "rgba(120, 120, 120, 0.35)", "#e5e5e5", "#333333"
WIDE = 20
"""Values that differ by such a factor are shown on a logarithmic axis."""
LEGEND = {"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0}
"""Below the plot: the page is narrow, and curves end at the right, where a legend would hide them."""


def drawn(title: str, below: str, x: Figure, y: Figure, data: Sequence[Figure], height: float = 380) -> Figure:
    """A picture with a title, a line below it, and two axes."""
    return figure(title, [below], data, height, xaxis=x, yaxis=y)


def on_page(given: Figure) -> Figure:
    """The picture as optuna-dashboard shows it, which decides its width and height."""
    layout, meta = given["layout"], given["layout"]["meta"]
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": INK, "ticks": "outside", "automargin": True}
    title, below = escaped(meta["title"]), " ".join(escaped(line) for line in meta["caption"])
    return {
        "data": given["data"],
        "layout": {
            **{name: value for name, value in layout.items() if name != "meta"},
            **{name: axis | layout[name] for name in layout if name[1:5] == "axis"},
            "title": {
                "text": f"<b>{title}</b><br><sup>{below}</sup>",
                "x": 0.02,
                "font": {"size": 16},
            },
            "font": {"color": INK},
            "paper_bgcolor": "white",  # the page may be dark, which the dark text of this figure is not made for
            "plot_bgcolor": "white",
            "margin": {"l": 60, "r": 30, "t": 60, "b": 60},
            "hovermode": "closest",
            "legend": LEGEND,
            "showlegend": any(trace.get("showlegend", True) for trace in given["data"]),
        },
    }


def value_axis(title: str, values: Sequence[float], log: bool = False) -> Figure:
    """An axis of a study's values, logarithmic on request and where they are positive and differ by a large factor."""
    wide = min(values) > 0 and (log or max(values) / min(values) >= WIDE)
    if not wide:
        return axis(title)
    return log_axis(title, min(values), max(values), room=0.06)


def through(points: Sequence[tuple[float | None, float | None]], colour: str, width: float, **more: Any) -> Trace:
    """A line through points; None interrupts it. A line of one point is a mark, since it could not be seen."""
    xs, ys = ([point[axis] for point in points] for axis in (0, 1))
    alone = sum(x is not None for x in xs) == 1
    return dots(xs, ys, colour, size=5, **more) if alone else line(xs, ys, colour, width=width, **more)


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
