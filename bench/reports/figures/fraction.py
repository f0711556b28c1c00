"""Accuracy, and steps to the target, over the share of the pairs that train."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.errors import RequestError
from bench.ranking import Question, Ranking, Run, statistics
from bench.reports.figures._elements import (
    Figure,
    Trace,
    axis,
    dots,
    entry,
    figure,
    line,
    log_axis,
    share_axis,
)
from bench.reports.figures._groups import MOST, Group, bars_of, groups_of, medians, n_of, read
from bench.reports.figures._over_seeds import middle_crossing
from bench.reports.figures._text import escaped
from bench.results import percent

KIND = "fraction"
ASKS = {"by": "fraction"}
ACCURACY, STEPS, BETWEEN = 270, 200, 26
"""Pixels of the upper and the lower axes, and between them."""


class Point(NamedTuple):
    """What the runs of a configuration show that train on this share of the pairs.

    :param accuracy: the median, with its interval where there are enough runs.
    :param steps: the median to the target; infinite where it is not reached.
    :param doubt: why the steps are not known, in words; "" where they are.
    """

    share: float
    n: int
    accuracy: statistics.Estimate
    steps: float
    doubt: str


def draw(ranking: Ranking, *, most: int = MOST) -> Figure:
    """Above, the median test accuracy over the share of the pairs that train; below, the median steps to the target.

    An open triangle above the other marks stands for half of the seeds or more that do not reach the target. Where that
    would be all there is the lower axes are left out.

    :param most: so many configurations are drawn, the best ones.
    """
    groups, question = groups_of(ranking, most), ranking.question
    lines = [(group, points_of(group.runs, question)) for group in groups.members]
    lines = [(group, points) for group, points in lines if points]
    if not lines:
        raise RequestError("No run that could be drawn has a test accuracy.")
    steps = [p.steps for _, points in lines for p in points if 0 < p.steps < math.inf]
    low, high, with_steps = min(steps, default=1.0), max(steps, default=1.0), bool(steps)
    ceiling = high * (high / low) ** 0.12 * 1.4
    data = [trace for group, points in lines for trace in _traces(group, points, ceiling, with_steps)]
    height, target = ACCURACY + (BETWEEN + STEPS) * with_steps, f"{100 * question.target:g} %"
    ends = [min(p.share for _, points in lines for p in points), max(p.share for _, points in lines for p in points)]
    room = 0.05 * (ends[1] - ends[0]) or 0.05
    across = {"range": [ends[0] - room, ends[1] + room], "tickformat": ".0%"}
    name = "share of the pairs that train"
    layout = {
        "xaxis": axis("" if with_steps else name, **across, anchor="y", showticklabels=not with_steps),
        "yaxis": share_axis("test accuracy (share of pairs)", domain=[1 - ACCURACY / height, 1.0]),
    }
    if with_steps:
        layout["xaxis2"] = axis(name, **across, anchor="y2", matches="x")
        up = log_axis(f"steps to {target}", low * 0.8, ceiling * 1.1, domain=[0.0, STEPS / height], anchor="x2")
        layout["yaxis2"] = up | {"tickformat": "~s"}  # numbers of five digits would leave no room for the name
    caption = [*_caption(lines, question, target), *groups.notes]
    return figure(f"Little data: {groups.title}", caption, data, height, **layout)


def points_of(runs: Sequence[Run], question: Question) -> list[Point]:
    """A point for each share of the pairs that was tried, in ascending order."""
    points = []
    for share in sorted({run.fraction for run in runs}):
        own = [run for run in runs if run.fraction == share]
        accuracies = [one.accuracy for one in read(own, question, "accuracy")]
        steps, doubt = middle_crossing([c.crossing for c in read(own, question, "steps") if c.crossing is not None])
        if accuracies:
            points.append(Point(share, len(accuracies), statistics.median_interval(accuracies), steps, doubt))
    return points


def _traces(group: Group, points: Sequence[Point], ceiling: float, with_steps: bool) -> list[Trace]:
    colour, symbol, dash = group.style
    name, shares = escaped(group.label), [point.share for point in points]
    middles = [point.accuracy.value or 0.0 for point in points]
    said = [f"{name}<br>{percent(p.accuracy.value)} with {100 * p.share:g}% of the pairs, n = {p.n}" for p in points]
    marks = medians(shares, [p.accuracy for p in points], colour, symbol, 9, said)
    traces = [line(shares, middles, colour, dash, 2, hoverinfo="skip"), marks, entry(group.label, group.style)]
    if not (with_steps and group.iterative):
        return traces
    below: dict[str, Any] = {"xaxis": "x2", "yaxis": "y2"}
    reached = [p.steps if math.isfinite(p.steps) else None for p in points]
    said = [f"{name}<br>{p.steps:,.6g} steps with {100 * p.share:g}% of the pairs, n = {p.n}" for p in points]
    traces.append(line(shares, reached, colour, dash, 2, hoverinfo="skip", **below))
    traces.append(dots(shares, reached, colour, symbol, 9, text=said, hoverinfo="text", **below))
    beyond = [p for p in points if math.isinf(p.steps)]
    said = [f"{name}<br>{p.doubt or 'not reached'} with {100 * p.share:g}% of the pairs, n = {p.n}" for p in beyond]
    heights = [ceiling] * len(beyond)
    arrow = dots(
        [p.share for p in beyond], heights, colour, "triangle-up-open", 10, text=said, hoverinfo="text", **below
    )
    return [*traces, arrow | {"cliponaxis": False}]


def _caption(lines: Sequence[tuple[Group, Sequence[Point]]], question: Question, target: str) -> list[str]:
    points = [point for _, some in lines for point in some]
    until = "are right and stay so" if question.crossing == "sustained" else "are right for the first time"
    n, bars = n_of(point.n for point in points), bars_of(point.accuracy for point in points)
    told = [f"Medians over {n} seeds at the end of their budgets{bars}."]
    if any(0 < point.steps < math.inf for point in points):
        told.append(
            f"Below: steps until {target} of the test pairs {until}; an open triangle: half of the seeds or "
            "more do not get there in their budget, or are not confirmed."
        )
    elif any(group.iterative for group, _ in lines):
        told.append(f"With no share is it confirmed for half of the seeds that {target} of the test pairs {until}.")
    if len({point.share for point in points}) == 1:
        told.append("One share was tried; run and sweep take others.")
    return told
