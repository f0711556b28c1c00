"""What the pictures of a learner's inside share."""

import math
from collections.abc import Sequence
from typing import Any

from bench.reports.figures._elements import COLOURS, GREY, Figure, Trace, axis, dots
from bench.reports.views.inside import Inside
from bench.reports.views.spectrum import KEY_SHARE, Floats, Measured
from bench.results import percent

KEY = COLOURS[1]
NAMED = 8
"""So many key frequencies are named, the largest first."""


def bars(shares_K: Floats, keys: Sequence[int], name: str, place: Figure | None = None) -> list[Trace]:
    """A bar for each frequency 1 … K; key frequencies in another colour."""
    colours = [KEY if k in keys else GREY for k in range(1, len(shares_K) + 1)]
    said = [f"k = {k} of {name}: {percent(share)}" for k, share in enumerate(shares_K.tolist(), start=1)]
    shown: Figure = {"hovertext": said, "hoverinfo": "text", "marker": {"color": colours}, "showlegend": False}
    x = list(range(1, len(shares_K) + 1))
    return [{"type": "bar", "x": x, "y": shares_K.tolist(), "width": 0.8, **shown, **(place or {})}]


def frequency_axis(title: str, K: int, **more: Any) -> Figure:
    """An axis of the frequencies 1 … K."""
    return axis(title, range=[0.3, K + 0.7], showgrid=False, **more)


def share_axis_of(shares: Floats, **more: Any) -> Figure:
    """An axis of shares of variance, up to the largest."""
    top = float(shares.max(initial=0.0)) or 1.0
    digits = max(0, math.ceil(-math.log10(20 * top)))
    return axis("share of variance", tickformat=f".{digits}%", range=[0, 1.05 * top], **more)


def key_entries() -> list[Trace]:
    """The lines of the legend."""
    named = ((KEY, "key frequencies"), (GREY, "others"))
    return [dots([None], [None], colour, "square", 10, name=name) for colour, name in named]


def key_caption(inside: Inside) -> list[str]:
    """Which frequencies are the key ones, what they explain, and what the learner knows with them and without them."""
    keys, end = inside.key_frequencies, inside.end
    if not keys:
        return ["The scores of all pairs are alike: there are no key frequencies."]
    share = float(end.spectrum.main[[k - 1 for k in keys]].sum())
    some = ", ".join(map(str, keys[:NAMED])) + (f", … ({len(keys)} in all)" if len(keys) > NAMED else "")
    return [
        f"Key frequencies, the fewest with {100 * KEY_SHARE:g} % of what depends on {inside.main}: {some} of "
        f"{len(end.spectrum.main)}. They explain {percent(share)} of the variance.",
        f"Held-out pairs: {_told(end.held_out)}; by the key frequencies alone {_told(end.restricted)}. "
        f"Training pairs: {_told(end.train)}; without the key frequencies {_told(end.excluded)}.",
    ]


def _told(found: Measured) -> str:
    """As "99.9 % right, loss 0.012"."""
    if found.loss is None or found.accuracy is None:
        return "none"
    return f"{percent(found.accuracy)} right, loss {found.loss:.3g}"
