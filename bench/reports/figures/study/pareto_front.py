"""The Pareto front of a study of several values."""

from collections.abc import Sequence

import optuna

from bench.reports.figures._elements import COLOURS, Figure, Trace, dots
from bench.reports.figures._text import escaped
from bench.reports.figures.study._common import FAINT, complete, drawn, value_axis
from bench.results import many, shown

KIND = "pareto-front"
ID = "pareto-front"
WANTS = "a study of several values of which a trial is complete"


def draw(study: optuna.Study, names: Sequence[str], curve: str) -> Figure | None:
    """The first two values of every complete trial; those of the Pareto front are in colour."""
    trials = complete(study.get_trials(deepcopy=False))
    if not trials or len(names) < 2:
        return None
    front = {trial.number for trial in study.best_trials}
    on, off = ([t for t in trials if (t.number in front) is best] for best in (True, False))
    on.sort(key=lambda trial: trial.values)
    traces = [_dots(off, "beaten", FAINT)] if off else []
    joined = {"mode": "lines+markers", "line": {"color": COLOURS[0], "dash": "dot", "width": 1}}
    traces.append(_dots(on, "Pareto front", COLOURS[0]) | joined)
    x, y = (value_axis(_name(study, names, i), [trial.values[i] for trial in trials]) for i in (0, 1))
    return drawn("Pareto front", f"{len(on)} of {many(len(trials), 'trial')}", x, y, traces)


def _dots(trials: Sequence[optuna.trial.FrozenTrial], name: str, colour: str) -> Trace:
    xs, ys = ([trial.values[i] for trial in trials] for i in (0, 1))
    lines = [[f"trial {t.number}", *(f"{k} = {shown(v)}" for k, v in t.params.items())] for t in trials]
    text = ["<br>".join(map(escaped, some)) for some in lines]
    return dots(xs, ys, colour, size=8, text=text, hoverinfo="text", name=name)


def _name(study: optuna.Study, names: Sequence[str], i: int) -> str:
    better = "higher" if study.directions[i] == optuna.study.StudyDirection.MAXIMIZE else "lower"
    return escaped(f"{names[i]} ({better} is better)")
