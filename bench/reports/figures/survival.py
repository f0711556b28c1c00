"""Survival curves: the share of seeds that have not yet reached the target, over steps, seconds or FLOPs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.errors import RequestError
from bench.ranking import CRITERIA, Observation, Question, Ranking, statistics
from bench.reports.figures._elements import (
    Figure,
    Trace,
    area,
    dots,
    entry,
    figure,
    line,
    log_axis,
    share_axis,
    stairs,
    translucent,
)
from bench.reports.figures._groups import MOST, Group, groups_of, n_of, read
from bench.reports.figures._text import escaped
from bench.results import CONFIRMATION

KIND = "survival"
FEW = 2
"""Intervals of more configurations would cover each other."""
UNSURE = 0.12
"""The opacity of the area between both readings of crossings that are not confirmed."""


class Times(NamedTuple):
    """For each run of a configuration, when it reached the target (True) or ended without it (False).

    :param kept: on the assumption that crossings which are not confirmed last.
    :param lost: on the assumption that they are lost again.
    """

    kept: list[tuple[float, bool]]
    lost: list[tuple[float, bool]]


def draw(ranking: Ranking, *, most: int = MOST) -> Figure:
    """The Kaplan–Meier estimate of the share of seeds not yet at the target, with ticks at censored ones.

    The cost of a seed is its crossing, first or sustained, as the ranking asks. A run that ended early without it is
    censored at its end; one that diverged or lost the target again has not reached it in its whole budget. A crossing
    that stands at the end without being confirmed is somewhere between there and never: two lines, an area between.

    :param most: so many configurations are drawn, the best ones.
    :raises RequestError: where no cost is known, or no learner takes steps.
    """
    question = ranking.question
    unit = question.unit if question.criterion.kind == "cost" else CRITERIA["steps"].unit
    groups = groups_of(ranking, most)
    times = [times_of(read(group.runs, question, unit.name), unit.name) for group in groups.members]
    known = [time for one in times for time, _ in [*one.kept, *one.lost] if time > 0]
    if not known:
        raise RequestError(f"Survival curves need learners that take steps, and runs whose {unit.words} are known.")
    ends = (min(known) * 0.8, max(known))
    drawn = [(group, one) for group, one in zip(groups.members, times, strict=True) if one.lost]
    data = [trace for group, one in drawn for trace in _traces(group, one, ends, with_interval=len(drawn) <= FEW)]
    target = f"{100 * question.target:g} %"
    noun = "optimizer updates" if unit.name == "steps" else unit.noun
    layout = {
        "xaxis": log_axis(f"{unit.words} ({noun})" if unit.name == "steps" else unit.words, *ends),
        "yaxis": share_axis(f"share of seeds not yet at {target}"),
    }
    caption = [*_caption(drawn, question, target), *groups.notes]
    return figure(f"Time to {target} of the test pairs: {groups.title}", caption, data, 360, **layout)


def times_of(observations: Sequence[Observation], unit: str) -> Times:
    """When each run reached the target, or ended without it."""
    found = Times([], [])
    whole = [one.run.cost(one.run.budget, unit) for one in observations]
    for one, budget in zip(observations, whole, strict=True):
        crossing, end = one.crossing, one.run.cost(one.step, unit)
        if crossing is None or end is None:
            continue
        if one.diverged and not crossing.solved:
            end = max(end, budget or 0.0)  # it does not reach the target later either
        for times, at in ((found.kept, crossing.early), (found.lost, crossing.late)):
            reached = crossing.solved or (crossing.stands and times is found.kept)
            times.append((at if reached else end, reached))
    return found


def _traces(group: Group, times: Times, ends: tuple[float, float], with_interval: bool) -> list[Trace]:
    colour, symbol, dash = group.style
    last = max(time for time, _ in times.lost) if group.iterative else ends[1]  # what is fitted at once does not change
    lost, kept = (_curve(some, ends[0]) for some in (times.lost, times.kept))
    traces = []
    if with_interval and len(times.lost) > 1:
        (xs, low), (_, high) = (stairs(lost.at, values, last) for values in (lost.low, lost.high))
        traces.append(area(xs, low, high, colour))
    if kept != lost:
        (x, y), (x_kept, y_kept) = (stairs(curve.at, curve.share, last) for curve in (lost, kept))
        shaded = line([*x, *reversed(x_kept)], [*y, *reversed(y_kept)], colour, width=0, hoverinfo="skip")
        traces.append(shaded | {"fill": "toself", "fillcolor": translucent(colour, UNSURE)})
        traces.append(line(x_kept, y_kept, colour, "2px,3px", 1.2, hoverinfo="skip"))
    name = escaped(group.label)
    text = [f"{name}<br>{x:,.6g}: {100 * y:.0f}% not yet" for x, y in zip(lost.at, lost.share, strict=True)]
    traces.append(line(*stairs(lost.at, lost.share, last), colour, dash, 2, hoverinfo="skip"))
    drops = [i for i in range(1, len(lost.at)) if lost.share[i] < lost.share[i - 1]]
    at, share, said = ([values[i] for i in drops] for values in (lost.at, lost.share, text))
    traces.append(dots(at, share, colour, symbol, 7, text=said, hoverinfo="text"))
    censored = [time for time, reached in times.lost if not reached and group.iterative]
    heights = [lost.share[sum(at <= time for at in lost.at) - 1] for time in censored]
    traces.append(dots(censored, heights, colour, "line-ns-open", 11, hoverinfo="skip"))
    return [*traces, entry(f"{group.label} · {_counts(times)}", group.style)]


class _Steps(NamedTuple):
    """A survival curve from the left end of the axis on."""

    at: list[float]
    share: list[float]
    low: list[float]
    high: list[float]


def _curve(times: Sequence[tuple[float, bool]], start: float) -> _Steps:
    found = statistics.kaplan_meier(*zip(*times, strict=True))
    share = found.share_K.tolist()
    low, high = (
        [s if math.isnan(end) else end for s, end in zip(share, ends.tolist(), strict=True)]
        for ends in (found.low_K, found.high_K)
    )
    at = [max(time, start) for time in found.at_K.tolist()]
    return _Steps([start, *at], [1.0, *share], [1.0, *low], [1.0, *high])


def _counts(times: Times) -> str:
    """As "n = 5: 3 solved, 1 unconfirmed"."""
    solved = sum(reached for _, reached in times.lost)
    unconfirmed = sum(reached for _, reached in times.kept) - solved
    return f"n = {len(times.lost)}: {solved} solved" + (f", {unconfirmed} unconfirmed" if unconfirmed else "")


def _caption(drawn: Sequence[tuple[Group, Times]], question: Question, target: str) -> list[str]:
    several = len(drawn) <= FEW and any(len(times.lost) > 1 for _, times in drawn)
    band, n = "; band: pointwise 95 % interval (log–log)" * several, n_of(len(times.lost) for _, times in drawn)
    lines = [f"Kaplan–Meier estimate over {n} seeds{band}. Ticks: runs that ended, or whose budget ended, without it."]
    if question.crossing == "sustained":
        lines.append(
            f"A seed is there from the step on from which {target} of its test pairs stay right to the end, at least "
            f"to {CONFIRMATION:g} times that step."
        )
    else:
        lines.append(f"A seed is there at its first evaluation with {target} of the test pairs right.")
    if any(times.kept != times.lost for _, times in drawn):
        lines.append(
            "Dotted, and the area to it: as if runs that hold it at their end, but not for so long yet, kept it."
        )
    return lines
