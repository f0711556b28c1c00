"""The critical-difference diagram: mean ranks over blocks, and which configurations do not differ significantly."""

from collections.abc import Sequence

from bench.errors import RequestError
from bench.ranking import Comparison, Ranking, short_labels
from bench.reports.figures._elements import GREY, Figure, Style, Trace, axis, dots, figure, line, note
from bench.results import few_of, many

KIND = "cd"
ASKS = {"blocks": True}
NAME, MARK, BAR = 20, 20, 11
"""Pixels of a name, of its mark below it, and of a bar over configurations that do not differ."""
AXIS_ABOVE = 50
"""Pixels of the axis, which stands above the rows."""


def draw(ranking: Ranking) -> Figure:
    """Mean ranks on a line, 1 the best, each with its name; bars over those that do not differ significantly.

    Two of them differ where their mean ranks are further apart than the critical difference of Nemenyi's test, whose
    length stands above; where Friedman's test finds no difference, none do.

    Source: Demšar 2006, Statistical comparisons of classifiers over multiple data sets,
    jmlr.org/papers/v7/demsar06a.html.

    :raises RequestError: for a ranking that does not compare rows over blocks.
    """
    comparison = ranking.comparison
    if comparison is None:
        raise RequestError("A critical-difference diagram compares configurations over blocks: it needs `blocks`.")
    rows = ranking.rows[: len(comparison.ranks)]
    short = short_labels(row.label for row in rows)
    return diagram([short[row.label] for row in rows], comparison)


def diagram(labels: Sequence[str], comparison: Comparison) -> Figure:
    """The diagram of configurations in the order of their mean ranks."""
    means = [sum(ranks) / len(ranks) for ranks in comparison.ranks]
    bars = [[means[group[0]], means[group[-1]]] for group in comparison.groups if len(group) > 1]
    bars = [*([[1.0, 1.0 + comparison.critical_difference]] if comparison.differ else []), *bars]
    rows = len(labels) * (NAME + MARK)
    height = rows + BAR * (len(bars) + 1)
    data, notes = list[Trace](), list[Figure]()
    for place, (start, end) in enumerate(bars):
        is_scale = comparison.differ and not place
        level = height - BAR * (place + 1.0)
        data.append(line([start, end], [level] * 2, "#d55e00" if is_scale else GREY, width=2 if is_scale else 5))
        if is_scale:
            words = f"critical difference {comparison.critical_difference:.2f}"
            notes.append(note(words, end, level, xanchor="left", xshift=6, font={"size": 11}))
    for place, (label, ranks, mean) in enumerate(zip(labels, comparison.ranks, means, strict=True)):
        top, style = rows - place * (NAME + MARK), Style.of(place)
        level = top - NAME - MARK / 2 + 4
        data.append(line([min(ranks), max(ranks)], [level] * 2, style.colour, width=1.2, hoverinfo="skip"))
        said = [f"mean rank {mean:.2f}, from {min(ranks):g} to {max(ranks):g}"]
        data.append(dots([mean], [level], style.colour, style.symbol, 11, text=said, hoverinfo="text"))
        place_of = {"xref": "paper", "xanchor": "left", "yanchor": "middle"}
        notes.append(note(f"{mean:.2f} · {label}", 0, top - NAME / 2, name="label", align="left", **place_of))
    room = 0.04 * (len(labels) - 1)
    ticks = list(range(1, len(labels) + 1))
    layout = {
        "xaxis": axis("mean rank (1 is the best)", range=[1 - room, len(labels) + room], side="top", tickvals=ticks),
        "yaxis": axis("", range=[0, height], showgrid=False, showline=False, showticklabels=False, ticks=""),
        "annotations": notes,
    }
    n_blocks = len(comparison.blocks)
    drawn = figure(f"Mean ranks over {many(n_blocks, 'block')}", _caption(comparison), data, height, **layout)
    drawn["layout"]["meta"] |= {"above": AXIS_ABOVE, "axis": 8, "left": 24}
    return drawn


def _caption(comparison: Comparison) -> list[str]:
    n = len(comparison.blocks)
    tested = f"Friedman's test: χ² = {comparison.statistic:.2f}, p = {comparison.p_value:.2g}"
    if comparison.differ:
        verdict = (
            f"configurations more than {comparison.critical_difference:.2f} apart differ (Nemenyi's test, 95 %), and a "
            "grey bar joins those that do not"
        )
    else:
        verdict = "no difference at 95 %, so that one grey bar joins all"
    return [
        f"Marks: mean ranks over n = {n} blocks; thin lines: best to worst rank. Blocks: "
        f"{few_of(comparison.blocks, '; ')}.",
        f"{tested}: {verdict}.",
    ]
