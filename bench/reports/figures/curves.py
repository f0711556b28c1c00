"""Learning curves over steps, train dashed and test solid, with the gap between memorizing and generalizing."""

import math
from collections.abc import Sequence

import numpy as np

from bench.errors import RequestError
from bench.ranking import Question, Ranking
from bench.reports.figures._elements import (
    BAND,
    GREY,
    Figure,
    Trace,
    area,
    axis,
    dots,
    figure,
    line,
    log_axis,
    note,
    share_axis,
    translucent,
)
from bench.reports.figures._groups import MOST, Group, groups_of, n_of
from bench.reports.figures._over_seeds import Curve, Gap, carried, curve_of, ends_of, gap_of
from bench.reports.figures._text import escaped
from bench.results import many, percent

KIND = "curves"
BANDS = {
    "quartiles": ("interquartile range over seeds (25th to 75th percentile)", (25, 75)),
    "range": ("lowest to highest seed", (0, 100)),
}
"""What a band can show: its words and its two percentiles."""
WORDS = {"band": BANDS}
PLOT, NAME, MARK, BETWEEN = 340, 24, 18, 66
"""Pixels of the curves, of a name and of its marks below them, and of the axis between them."""
FEW = 3
"""The bands of more configurations are fainter, since they cover each other."""
TRAIN_DASH = "5px,3px"
MARKS = 8
"""Symbols along a curve, by which it is told apart in grey print."""


def draw(ranking: Ranking, *, most: int = MOST, band: str = "quartiles") -> Figure:
    """Train dashed and test solid over steps on a logarithmic axis: the median over seeds with a band.

    Below the curves, a row for each configuration: an open mark at the step where its training pairs are memorized, a
    filled one where its test pairs are solved. A learner that takes no steps is a horizontal line.

    :param most: so many configurations are drawn, the best ones.
    :param band: "quartiles" or "range".
    :raises RequestError: where there is no curve to draw.
    """
    words, percentiles = BANDS[band]
    groups, question = groups_of(ranking, most), ranking.question
    if not any(group.iterative for group in groups.members):
        raise RequestError("Learning curves need steps, and the learners of all these records take none.")
    curves = [[curve_of(g.runs, part, question, percentiles) for part in ("train", "test")] for g in groups.members]
    ends = ends_of([curve for two in curves for curve in two])
    rows = sum(NAME + MARK * group.iterative for group in groups.members)
    data, notes, top = list[Trace](), list[Figure](), rows
    opacity = BAND if sum(group.iterative for group in groups.members) <= FEW else BAND / 2
    for place, (group, two) in enumerate(zip(groups.members, curves, strict=True)):
        gap = gap_of(group.runs, question)
        data += [*_curve_traces(group, two, ends, place, opacity), *_row_traces(group, gap, two[1], top, ends)]
        notes.append(_row_label(group, gap, two, top))
        top -= NAME + MARK * group.iterative
    several = any(len(group.runs) > 1 for group in groups.members)
    caption = [*_caption(groups.members, question, words if several else ""), *groups.notes]
    layout = _axes(ends, rows) | {"annotations": notes}
    drawn = figure(
        f"Learning curves: {groups.title}", caption, [*data, *_key(several)], PLOT + BETWEEN + rows, **layout
    )
    drawn["layout"]["meta"]["axis"] = 10  # no axis below the rows
    return drawn


def _axes(ends: tuple[float, float], rows: float) -> Figure:
    """The axes of the curves, and those of the rows below, which are counted in pixels."""
    height = PLOT + BETWEEN + rows
    hidden = {"showgrid": False, "showline": False, "showticklabels": False, "ticks": ""}
    return {
        "xaxis": log_axis("step (optimizer updates)", *ends, anchor="y"),
        "yaxis": share_axis("accuracy (share of pairs)", domain=[1 - PLOT / height, 1.0]),
        "xaxis2": log_axis("", *ends, anchor="y2", matches="x") | hidden | {"minor": {"ticks": ""}},
        "yaxis2": axis("", range=[0, rows], domain=[0, rows / height], fixedrange=True, **hidden),
    }


def _curve_traces(
    group: Group, curves: Sequence[Curve], ends: tuple[float, float], place: int, opacity: float
) -> list[Trace]:
    """The band and the two lines of a configuration, with symbols along the test line."""
    colour, symbol, _ = group.style
    if not group.iterative:
        curves = [_level(curve, ends) for curve in curves]
    train, test = curves
    traces = []
    if len(group.runs) > 1 and len(test.steps_T):
        known_T = ~np.isnan(test.middle_T)
        steps = test.steps_T[known_T].tolist()
        low, high = (values_T[known_T].tolist() for values_T in (test.low_T, test.high_T))
        traces.append(area(steps, low, high, colour, opacity))
    for part, curve, dash, width in (("train", train, TRAIN_DASH, 1.5), ("test", test, "solid", 2.5)):
        xs, ys = curve.steps_T.tolist(), [None if math.isnan(y) else round(y, 5) for y in curve.middle_T.tolist()]
        where = [f" at step {x:,}" if group.iterative else "" for x in xs]
        text = [f"{escaped(group.label)}<br>{part} {percent(y)}{at}" for y, at in zip(ys, where, strict=True)]
        traces.append(line(xs, ys, colour, dash, width, text=text, hoverinfo="text"))
    return [*traces, _symbols(test, colour, symbol, ends, place)]


def _level(curve: Curve, ends: tuple[float, float]) -> Curve:
    """The curve of a learner that takes no steps, as a horizontal line over all steps."""
    if not len(curve.steps_T):
        return curve
    steps_T = np.geomspace(*ends, 4 * MARKS).round().astype(np.int64)
    return Curve(steps_T, *(np.full(len(steps_T), values_T[-1]) for values_T in curve[1:]))


def _symbols(curve: Curve, colour: str, symbol: str, ends: tuple[float, float], place: int) -> Trace:
    """A few symbols on a curve, each configuration at other steps, so that symbols of equal curves are all seen."""
    low, high = (math.log10(end) for end in ends)
    shares = (np.arange(MARKS) + (0.3 + 0.37 * place) % 1) / MARKS
    wanted = 10 ** (low + shares * (high - low))
    if not len(curve.steps_T):
        return dots([], [], colour, symbol)
    wanted = wanted[(wanted >= curve.steps_T[0]) & (wanted <= curve.steps_T[-1])]
    rows = np.unique(np.abs(curve.steps_T[:, None] - wanted).argmin(0))
    ys = [None if math.isnan(y) else y for y in curve.middle_T[rows].tolist()]
    return dots(curve.steps_T[rows].tolist(), ys, colour, symbol, 8, hoverinfo="skip")


# Rows below the curves


def _row_label(group: Group, gap: Gap, curves: Sequence[Curve], top: float) -> Figure:
    """The name of a configuration above its marks, the number of its seeds, and its steps."""
    if group.iterative:
        words = _row_words(gap)
    else:
        ends = (f"{part} {percent(_last(curve))}" for part, curve in zip(("train", "test"), curves, strict=True))
        words = f"takes no steps: {', '.join(ends)}"
    place = {"xref": "paper", "yref": "y2", "xanchor": "left", "yanchor": "middle", "xshift": 20}
    return note(
        f"{group.label} · n = {len(group.runs)} · {words}", 0, top - NAME / 2, name="label", align="left", **place
    )


def _last(curve: Curve) -> float | None:
    return float(curve.middle_T[-1]) if len(curve.steps_T) and not math.isnan(curve.middle_T[-1]) else None


def _row_words(gap: Gap) -> str:
    """As "174 → 3,091 (× 18)"."""
    first = f"{gap.memorized:,.0f}" if math.isfinite(gap.memorized) else "not memorized"
    if not math.isfinite(gap.generalized):
        return f"{first} → {gap.doubt or 'not reached'}"
    ratio = gap.generalized / gap.memorized if 0 < gap.memorized < math.inf else 0
    return f"{first} → {gap.generalized:,.0f}" + (f" (× {ratio:.{0 if ratio >= 9.95 else 1}f})" if ratio else "")


def _row_traces(group: Group, gap: Gap, test: Curve, top: float, ends: tuple[float, float]) -> list[Trace]:
    """The symbol of a configuration beside its name; below, the marks of memorizing and generalizing.

    Where the test pairs are not solved, an arrow points on from the last step.
    """
    colour, symbol, _ = group.style
    below = {"xaxis": "x2", "yaxis": "y2", "hoverinfo": "skip", "cliponaxis": False}
    left = ends[0] * (ends[1] / ends[0]) ** -0.01  # just inside the axis
    name = dots([left], [top - NAME / 2], colour, symbol, 9, **below)
    if not group.iterative or not len(test.steps_T):
        return [name]
    level, solved, memorized = top - NAME - MARK / 2 + 4, math.isfinite(gap.generalized), math.isfinite(gap.memorized)
    end = gap.generalized if solved else float(test.steps_T[-1])
    start = gap.memorized if memorized else end
    traces = [name, line([start, end], [level] * 2, colour, "solid" if solved else "dot", 3, **below)]
    if memorized:
        traces.append(dots([start], [level], colour, f"{symbol}-open", 10, **below))
    return [*traces, dots([end], [level], colour, symbol if solved else "triangle-right", 10, **below)]


# Words


def _key(band: bool) -> list[Trace]:
    """What dashed, solid and a band stand for, in grey, for the legend."""
    entries = [
        line([None], [None], GREY, TRAIN_DASH, 1.5, name="train"),
        line([None], [None], GREY, "solid", 2.5, name="test"),
    ]
    return [*entries, line([None], [None], translucent(GREY, BAND), "solid", 10, name="band")] if band else entries


def _caption(groups: Sequence[Group], question: Question, band: str) -> list[str]:
    lines = f"median of {n_of(len(group.runs) for group in groups)} seeds; band: {band} of the test accuracy."
    target = f"{100 * question.target:g} %"
    until = "and stay so" if question.crossing == "sustained" else "for the first time"
    marks = (
        f"Below: from the step at which {target} of the training pairs are right for the first time (open mark) to "
        f"that at which {target} of the test pairs are right {until} (filled){', medians over the seeds' * bool(band)}."
    )
    alone = "n = 1: one seed shows what can happen, not what usually does."
    diverged = sum(run.status == "diverged" for group in groups for run in group.runs)
    return [
        f"Lines: {lines}" if band else alone,
        marks,
        *carried([group.runs for group in groups], "test", question),
        *([f"{many(diverged, 'run')} diverged, and count with accuracy 0 from there on."] if diverged else []),
    ]
