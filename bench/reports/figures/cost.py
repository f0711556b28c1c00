"""Cost against accuracy, with the configurations of which none other is both cheaper and better."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.errors import RequestError
from bench.ranking import CRITERIA, Ranking, statistics
from bench.reports.figures._elements import (
    GREY,
    Figure,
    Style,
    Trace,
    dots,
    figure,
    line,
    log_axis,
    share_axis,
)
from bench.reports.figures._groups import Group, bars_of, check_one_block, groups_of, medians, n_of, read
from bench.reports.figures._text import escaped
from bench.results import exponential, many, percent, short_duration

KIND = "cost"
ONE_BLOCK = True
COSTS = {
    "seconds": ("seconds of training, a run's share of its fleet", short_duration),
    "flops": ("FLOPs of training", exponential),
    "steps": ("steps (optimizer updates)", "{:,.6g}".format),
}
"""What can be counted: the name of the axis, and a number in words."""
WORDS = {"cost": COSTS}


class Point(NamedTuple):
    """A configuration: medians of cost and test accuracy over its runs.

    :param accuracy: with its interval, where there are enough runs.
    """

    group: Group
    n: int
    cost: float
    accuracy: statistics.Estimate


def draw(ranking: Ranking, *, cost: str = "seconds", most: int = 8) -> Figure:
    """A mark for each configuration: its median cost and its median test accuracy, at the end of its runs.

    Those of the Pareto front are filled, numbered from the cheapest on, and named below.

    :param cost: "seconds", "flops" or "steps".
    :param most: so many configurations of the front are named, the most accurate ones.
    :raises RequestError: where no configuration has a known cost above zero.
    """
    check_one_block(ranking, "A picture of costs")
    groups, (words, shown) = groups_of(ranking, most=len(ranking.rows)), COSTS[cost]
    points = [point for group in groups.members if (point := point_of(group, ranking, cost)) is not None]
    if not points:
        free = ": learners that take no steps have none" if cost == "steps" else ""
        raise RequestError(f"No configuration has known {CRITERIA[cost].unit.words} above zero{free}.")
    front = pareto_front(points)
    beaten = [point for point in points if point not in front]
    steps = line([p.cost for p in front], [p.accuracy.value for p in front], GREY, "2px,3px", 1.5, hoverinfo="skip")
    data = [steps, _marks(beaten, GREY, "circle-open", 8, shown), *_named(front, most, shown)]
    if beaten:
        data.append(dots([None], [None], GREY, "circle-open", 8, name="others"))
    layout = {
        "xaxis": log_axis(words, 0.8 * min(p.cost for p in points), 1.25 * max(p.cost for p in points)),
        "yaxis": share_axis("test accuracy (share of pairs)"),
    }
    caption = [*_caption(points, front, most), *groups.notes, *_without(len(groups.members) - len(points), cost)]
    return figure(f"Accuracy and its cost: {groups.title}", caption, data, 380, **layout)


def point_of(group: Group, ranking: Ranking, cost: str) -> Point | None:
    """The medians of a configuration; None where they are unknown, or where it costs nothing."""
    observed = read(group.runs, ranking.question, "accuracy")
    costs = [one.run.cost(one.step, cost) for one in observed]
    known = [value for value in costs if value is not None]
    if not observed or len(known) < len(costs) or statistics.median(known) <= 0:
        return None
    accuracy = statistics.median_interval([one.accuracy for one in observed])
    return Point(group, len(observed), statistics.median(known), accuracy)


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points of which no other is at most as costly and at least as accurate, and better in one; cheapest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -(p.accuracy.value or 0.0))):
        if not front or (point.accuracy.value or 0.0) > (front[-1].accuracy.value or 0.0):
            front.append(point)
    return front


def _named(front: Sequence[Point], most: int, shown: Callable[[float], str]) -> list[Trace]:
    """A mark with a number for each configuration of the front; the most accurate ones are named in the legend."""
    traces = []
    for place, point in enumerate(front):
        style, number = Style.of(place), str(place + 1)
        mark = _marks([point], style.colour, style.symbol, 11, shown) | {
            "mode": "markers+text",
            "textposition": "middle right",
        }
        mark |= {"text": [number], "hovertext": mark["text"], "cliponaxis": False}
        if place >= len(front) - most:
            accuracy, cost = percent(point.accuracy.value), shown(point.cost)
            mark |= {
                "showlegend": True,
                "name": f"{number} · {point.group.label} · {accuracy} for {cost}, n = {point.n}",
            }
        traces.append(mark)
    return traces


def _marks(points: Sequence[Point], colour: str, symbol: str, size: int, shown: Callable[[float], str]) -> Trace:
    """Marks with their intervals, without a place in the legend."""
    said = [
        f"{escaped(p.group.label, 80)}<br>{percent(p.accuracy.value)} for {shown(p.cost)}, n = {p.n}" for p in points
    ]
    return medians([p.cost for p in points], [p.accuracy for p in points], colour, symbol, size, said)


def _caption(points: Sequence[Point], front: Sequence[Point], most: int) -> list[str]:
    n, bars = n_of(point.n for point in points), bars_of(point.accuracy for point in points)
    told = [f"Medians over {n} seeds at the end of their budgets{bars}."]
    told.append(
        "Numbered, from the cheapest on: the Pareto front, of which no other configuration is at most as costly and at "
        "least as accurate. It is chosen by the test pairs that it shows."
    )
    if len(front) > most:
        told.append(f"Named are the {most} most accurate of {len(front)}.")
    return told


def _without(n: int, cost: str) -> list[str]:
    free = ", as of learners that take no steps" if cost == "steps" else ""
    return [f"Not drawn: {many(n, 'configuration')} whose cost is zero or not known{free}."] if n else []
