"""The value of every trial of a study over each of its parameters."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import optuna

from bench.reports.figures._elements import COLOURS, Figure, Trace, axis, dots, figure, log_axis
from bench.reports.figures._text import escaped, named_ticks
from bench.reports.figures.study._common import FAINT, best_first, is_timed, reached, value_axis
from bench.results import many, shown

KIND = "slices"
WANTS = "a study of one value, complete trials, and parameters of which several values were tried"
# Optuna's own plot of slices needs plotly also for print, has a linear axis of values, and no marks for trials that
# did not reach the target. The dashboard has one too, so that this one has no ID there.
COLUMNS, MOST = 3, 12
"""Parameters beside each other, and in all."""
PANEL, BETWEEN = 190, 64
"""Pixels of the height of a panel, and between two."""
GUTTER = 0.03
"""The space between two panels beside each other, as a share of the width."""
BEST = 0.1
"""The share of the trials that are in colour."""


class Look(NamedTuple):
    """Trials that are drawn alike.

    :param level: where their marks are, whatever their values; None for their values.
    """

    name: str
    trials: list[optuna.trial.FrozenTrial]
    colour: str
    symbol: str
    size: int
    level: float | None = None


def draw(study: optuna.Study, names: Sequence[str], curve: str) -> Figure | None:
    """A panel for each parameter: the values of all trials over its values, the best tenth in colour.

    Where steps or FLOPs are counted, trials that did not hold 99 % are open triangles above the others. None for a
    study of several values, or without parameters that vary.
    """
    trials = [] if len(names) > 1 else best_first(study, study.get_trials(deepcopy=False))
    parameters = _varied(trials)
    if not parameters:
        return None
    looks = _looks(study, trials)
    heights = [look.level or trial.values[0] for look in looks for trial in look.trials]
    up = value_axis("", heights, is_timed(study))
    n_rows = -(-len(parameters) // COLUMNS)
    height = n_rows * PANEL + (n_rows - 1) * BETWEEN
    data: list[Trace] = []
    axes: dict[str, Figure] = {}
    for place, name in enumerate(parameters):
        x, y = _place(place, height)
        title = {"title": {"text": escaped(names[0], 26) if x["domain"][0] == 0 else ""}}
        number = str(place + 1) if place else ""
        numbers, across = _across(name, trials)
        axes[f"xaxis{number}"] = across | x | {"anchor": f"y{number}"}
        axes[f"yaxis{number}"] = up | y | title | {"anchor": f"x{number}", "showticklabels": x["domain"][0] == 0}
        data += [_marks(look, name, numbers, number) for look in looks if look.trials]
    left_out = f"; {MOST} of {len(_varied(trials, None))} parameters are shown" * (len(_varied(trials, None)) > MOST)
    below = f"n = {many(len(trials), 'trial')}, in colour: the best tenth{left_out}"
    picture = figure("Values over parameters", [below], data, height, **axes)
    picture["layout"]["meta"]["left"] = 92
    return picture


def _varied(trials: Sequence[optuna.trial.FrozenTrial], most: int | None = MOST) -> list[str]:
    """Parameters of which several values were tried, in the order in which they were drawn."""
    tried: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            tried.setdefault(name, set()).add(repr(value))
    return [name for name, values in tried.items() if len(values) > 1][:most]


def _looks(study: optuna.Study, trials: Sequence[optuna.trial.FrozenTrial]) -> list[Look]:
    """The best trials, which are drawn last, those that did not reach the target, and others."""
    held = [trial for trial in trials if not is_timed(study) or reached(trial)]
    never, held = ([trial for trial in trials if trial not in held], held) if held else ([], list(trials))
    count = max(1, round(BEST * len(trials)))
    return [
        Look("others", held[count:], FAINT, "circle", 6),
        Look("not reached", never, COLOURS[1], "triangle-up-open", 7, 1.5 * max(t.values[0] for t in held)),
        Look("best tenth", held[:count], COLOURS[0], "circle", 8),
    ]


def _place(place: int, height: float) -> tuple[Figure, Figure]:
    """The domains of the axes of a panel."""
    row, column = divmod(place, COLUMNS)
    width, top = (1 - GUTTER * (COLUMNS - 1)) / COLUMNS, 1 - row * (PANEL + BETWEEN) / height
    left = column * (width + GUTTER)
    return {"domain": [left, min(1.0, left + width)]}, {"domain": [max(0.0, top - PANEL / height), top]}


def _across(name: str, trials: Sequence[optuna.trial.FrozenTrial]) -> tuple[Callable[[Any], float], Figure]:
    """Where a value of a parameter is on its axis, and the axis."""
    own = [trial for trial in trials if name in trial.params]
    values = [trial.params[name] for trial in own]
    if any(isinstance(value, bool | str) or value is None for value in values):
        choices = list(dict.fromkeys(map(str, values)))
        return lambda value: choices.index(str(value)), axis(
            escaped(name), range=[-0.5, len(choices) - 0.5], **named_ticks(choices)
        )
    if getattr(own[0].distributions[name], "log", False):
        return float, log_axis(escaped(name), min(values), max(values), room=0.05)
    return float, axis(escaped(name))


def _marks(look: Look, name: str, numbers: Callable[[Any], float], number: str) -> Trace:
    """The trials of a look in one panel; the legend has them once."""
    own = [trial for trial in look.trials if name in trial.params]
    ys = [look.level or trial.values[0] for trial in own]
    text = [f"trial {t.number}: {escaped(shown(t.params[name]))}, {shown(t.values[0])}" for t in own]
    more: dict[str, Any] = {"xaxis": f"x{number}", "yaxis": f"y{number}", "text": text, "hoverinfo": "text"}
    named = {} if number else {"name": look.name}
    return dots([numbers(t.params[name]) for t in own], ys, look.colour, look.symbol, look.size, **more, **named)
