"""The value of every trial of a study, by the number of the trial."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import optuna

from bench.reports.figures._elements import COLOURS, GREY, Figure, Trace, axis, dots, line
from bench.reports.figures._text import escaped
from bench.reports.figures.study._common import complete, drawn, is_timed, reached, value_axis
from bench.results import many, shown

KIND = "history"
ID = "b-history"
WANTS = "a study of one value, made by tune, of which a trial is complete"


def draw(study: optuna.Study, names: Sequence[str], curve: str) -> Figure | None:
    """The value of every trial by its number, on a logarithmic axis where steps or FLOPs are counted.

    Trials that did not hold 99 % have no number of steps: their marks are above the others, as are those of trials
    that diverged or failed. Where no trial held it, the marks are at the values that the trials count as. None where no
    trial is over, and for studies of several values or of other programs.
    """
    over = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL))
    done = complete(over)
    if not done or "what" not in study.user_attrs or len(names) > 1:
        return None
    timed = is_timed(study)
    held = [trial for trial in done if not timed or reached(trial)]
    never = [trial for trial in done if trial not in held]
    sure = [trial for trial in held if not trial.user_attrs.get("unconfirmed")]
    high = max([trial.values[0] for trial in held], default=max(trial.values[0] for trial in done)) * 1.5
    above = high if held else None
    marks = {
        "held and confirmed" if timed else "complete": (sure, COLOURS[0], "circle", None),
        "held, not confirmed yet": ([t for t in held if t not in sure], COLOURS[0], "circle-open", None),
        "not reached": ([t for t in never if not _diverged(t)], COLOURS[1], "triangle-up", above),
        "diverged": ([t for t in never if _diverged(t)], COLOURS[3], "x", above),
        "failed": ([t for t in over if timed and t not in done], GREY, "x-thin-open", high),
    }
    traces = [_marked(label, *mark) for label, mark in marks.items() if mark[0]]
    heights = [y for trace in traces for y in trace["y"]]
    last = max(trial.number for trial in over)
    best = _so_far(study, held)
    if best:
        xs, ys = zip(*best, strict=True)
        traces.append(line(xs, ys, COLOURS[2], shape="hv", name="best so far"))
    below = _below(len(held), len(over)) if timed else f"n = {many(len(over), 'trial')}"
    return drawn(
        "Trials",
        below,
        axis("trial (number)", range=[-0.02 * last - 0.5, 1.02 * last + 0.5]),
        value_axis(escaped(names[0]), heights, timed),
        traces,
    )


def _below(held: int, over: int) -> str:
    if held:
        return f"{held} of {many(over, 'trial')} reached it; marks above the others did not"
    return f"none of {many(over, 'trial')} held 99 %: marks show what they count as"


def _diverged(trial: optuna.trial.FrozenTrial) -> bool:
    return trial.user_attrs.get("status") == "diverged"


def _marked(
    label: str, trials: Sequence[optuna.trial.FrozenTrial], colour: str, symbol: str, height: float | None
) -> Trace:
    heights = [height or trial.values[0] for trial in trials]
    text = [f"trial {t.number}: {label if height else shown(t.values[0])}" for t in trials]
    return dots([t.number for t in trials], heights, colour, symbol, 9, text=text, hoverinfo="text", name=label)


def _so_far(study: optuna.Study, trials: Sequence[optuna.trial.FrozenTrial]) -> list[tuple[int, float]]:
    """The best value up to each of these trials."""
    ordered = sorted(trials, key=lambda trial: trial.number)
    better: Callable[[float, float], float] = min if study.direction == optuna.study.StudyDirection.MINIMIZE else max
    best = accumulate((trial.values[0] for trial in ordered), better)
    return [(trial.number, value) for trial, value in zip(ordered, best, strict=True)]
