"""What one learner computes: the spectrum of its scores by frequencies of a + b and of a − b."""

from bench.reports.figures._elements import Figure, figure
from bench.reports.figures._spectra import bars, frequency_axis, key_caption, key_entries, share_axis_of
from bench.reports.views.inside import Inside
from bench.results import percent

KIND = "spectrum"
NEEDS = "inside"
PLOT, BETWEEN = 170, 60
"""Pixels of each of the axes, and between them."""


def draw(inside: Inside) -> Figure:
    """Bars of the share of each frequency in the variance of the scores; key frequencies are coloured."""
    end, grid = inside.end, inside.grid
    height = 2 * PLOT + BETWEEN
    data, axes = [], {}
    for number, (shares_K, sign, main) in enumerate(
        ((end.spectrum.sum_K, "+", inside.of_sum), (end.spectrum.difference_K, "−", not inside.of_sum))
    ):
        own, name = str(number + 1) if number else "", f"{grid.first} {sign} {grid.second}"
        keys = inside.key_frequencies if main else []
        data += bars(shares_K, keys, name, {"xaxis": f"x{own}", "yaxis": f"y{own}"} if own else {})
        top = 1 - number * (PLOT + BETWEEN) / height
        axes[f"xaxis{own}"] = frequency_axis(f"frequency k of {name}", len(shares_K), anchor=f"y{own}")
        domain = [max(0.0, top - PLOT / height), top]
        axes[f"yaxis{own}"] = share_axis_of(shares_K, domain=domain)
    caption = [
        f"Share in the variance of the scores over all pairs: {percent(float(end.spectrum.sum_K.sum()))} depends on "
        f"{grid.first} + {grid.second} alone, {percent(float(end.spectrum.difference_K.sum()))} on "
        f"{grid.first} − {grid.second} alone. n = 1 run.",
        *key_caption(inside),
        *inside.told,
    ]
    data += key_entries()
    return figure(f"What the scores depend on: {inside.title}", caption, data, height, **axes)
