"""The Pareto front of a study of several values."""

from collections.abc import Sequence

import optuna

from bench.reports.figures.study._common import COLOURS, GREY, Figure, complete, layout
from bench.results import shown

ID = "pareto-front"
WIDE = 20
"""Values that differ by such a factor are shown on a logarithmic axis."""


def draw(study: optuna.Study, names: Sequence[str], curve: str) -> Figure | None:
    """The first two values of every complete trial; those of the Pareto front are in colour."""
    trials = complete(study.get_trials(deepcopy=False))
    if not trials or len(names) < 2:
        return None
    front = {trial.number for trial in study.best_trials}
    on, off = ([t for t in trials if (t.number in front) is best] for best in (True, False))
    on.sort(key=lambda trial: trial.values)
    traces = [_dots(off, "beaten", GREY)] if off else []
    lines = {"mode": "lines+markers", "line": {"dash": "dot", "width": 1}}
    traces.append(_dots(on, "Pareto front", COLOURS[0]) | lines)
    x, y = (_value_axis(study, names, trials, i) for i in (0, 1))
    return {"data": traces, "layout": layout("Pareto front", f"{len(on)} of {len(trials)} trials", x, y)}


def _dots(trials: Sequence[optuna.trial.FrozenTrial], name: str, colour: str) -> Figure:
    xs, ys = ([trial.values[i] for trial in trials] for i in (0, 1))
    text = ["<br>".join([f"trial {t.number}", *(f"{k} = {shown(v)}" for k, v in t.params.items())]) for t in trials]
    marker = {"color": colour, "size": 8}
    return {"type": "scatter", "mode": "markers", "x": xs, "y": ys, "text": text, "name": name, "marker": marker}


def _value_axis(
    study: optuna.Study, names: Sequence[str], trials: Sequence[optuna.trial.FrozenTrial], i: int
) -> Figure:
    values = [trial.values[i] for trial in trials]
    better = "higher" if study.directions[i] == optuna.study.StudyDirection.MAXIMIZE else "lower"
    wide = min(values) > 0 and max(values) / min(values) >= WIDE
    return {"title": {"text": f"{names[i]} ({better} is better)"}} | ({"type": "log"} if wide else {})
