"""What pictures are made of.

A picture is a plain dictionary in the form of plotly's figures, ``{"data": [trace, …], "layout": {…}}``, of which it
uses a small part, so that plotly shows it on a screen and `bench.reports.figures._matplotlib` draws the same for print:

- traces ``scatter`` (lines, markers and text, error bars, closed areas), ``bar`` and ``heatmap``;
- axes on linear and logarithmic scales, several of them with a ``domain`` each;
- ``annotations`` without arrows, one legend;
- ``layout.meta``: ``title`` (a line), ``caption`` (lines) and ``height`` (of the axes, in pixels), from which
  `bench.reports.figures._layout` makes margins, title, legend and caption.

Names of traces, ``title``, ``caption`` and annotations of the name "label" are text as it is, which the layout breaks
into lines and escapes; all other text is escaped where it enters a picture (`bench.reports.figures._text.escaped`).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

Figure = dict[str, Any]
Trace = dict[str, Any]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Six of Okabe and Ito's eight, which colour-blind readers can distinguish; their black and yellow fail on a dark or a
light page. Source: jfly.uni-koeln.de/color."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "star", "cross")
DASHES = ("solid", "8px,3px", "2px,2px", "8px,3px,2px,3px", "14px,4px")
GREY = "#7f7f7f"
"""Legible on a light and on a dark page."""
FEW_DECADES, LEAST_DECADES = 2.3, 0.7
"""A logarithmic axis of fewer decades has ticks at 1, 2 and 5; one of fewer than the least is extended."""
LARGE = 1e6
"""From here on, the numbers of a logarithmic axis are written as 1M, 1G."""
BAND = 0.2
"""The opacity of a band."""


class Style(NamedTuple):
    """How a group is told apart from others: by its colour, and in grey print by its symbol or its dash."""

    colour: str
    symbol: str
    dash: str

    @classmethod
    def of(cls, place: int) -> "Style":
        """The style of the group at this place; no two of the first 24 have the same colour and symbol."""
        return cls(COLOURS[place % len(COLOURS)], SYMBOLS[place % len(SYMBOLS)], DASHES[place % len(DASHES)])


def line(
    x: Sequence[Any], y: Sequence[Any], colour: str, dash: str = "solid", width: float = 2.0, **more: Any
) -> Trace:
    """A line through points; a None interrupts it."""
    style = {"color": colour, "dash": dash, "width": width, "shape": more.pop("shape", "linear")}
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "line": style, **_quiet(more)}


def dots(
    x: Sequence[Any], y: Sequence[Any], colour: str, symbol: str = "circle", size: float = 8, **more: Any
) -> Trace:
    """Marks at points. A symbol that ends in "-open" is not filled."""
    marker = {"color": colour, "symbol": symbol, "size": size, "line": {"color": colour, "width": 1.5}}
    return {"type": "scatter", "mode": "markers", "x": list(x), "y": list(y), "marker": marker, **_quiet(more)}


def whiskers(
    axis: str, middles: Sequence[float], ends: Sequence[tuple[float | None, float | None]], colour: str
) -> Trace:
    """The error bars of a trace along an axis, "x" or "y", up to both ends; none where an end is None."""
    if all(low is None and high is None for low, high in ends):
        return {}
    below = [0.0 if low is None else middle - low for middle, (low, _) in zip(middles, ends, strict=True)]
    above = [0.0 if high is None else high - middle for middle, (_, high) in zip(middles, ends, strict=True)]
    given = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {f"error_{axis}": {**given, "color": colour, "thickness": 1.5, "width": 4}}


def area(
    x: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str, opacity: float = BAND, **more: Any
) -> Trace:
    """The area between two lines."""
    return {
        **line([*x, *reversed(x)], [*low, *reversed(high)], colour, width=0, **more),
        "fill": "toself",
        "fillcolor": translucent(colour, opacity),
        "hoverinfo": "skip",
    }


def entry(name: str, style: Style) -> Trace:
    """A line of the legend for a group: of its line and of its symbol."""
    mark = dots([None], [None], style.colour, style.symbol, 8, name=name)
    return mark | {"mode": "lines+markers", "line": {"color": style.colour, "dash": style.dash, "width": 2}}


def stairs(x: Sequence[float], y: Sequence[float], end: float) -> tuple[list[float], list[float]]:
    """The corners of a line that keeps each value up to the next point, and the last one up to the end.

    >>> stairs([1, 2], [1.0, 0.5], 4)
    ([1, 2, 2, 4], [1.0, 1.0, 0.5, 0.5])
    """
    xs = [value for value in x for _ in range(2)]
    return [*xs[1:], end], [value for value in y for _ in range(2)]


def _quiet(more: Trace) -> Trace:
    """Traces without a name have no place in the legend."""
    return {"showlegend": "name" in more, **more}


def translucent(colour: str, opacity: float) -> str:
    """A colour with an opacity.

    >>> translucent("#0072b2", 0.2)
    'rgba(0, 114, 178, 0.2)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def axis(title: str, **more: Any) -> Figure:
    """An axis with its name and unit."""
    return {"title": {"text": title}, **more}


def log_axis(title: str, low: float, high: float, room: float = 0.02, **more: Any) -> Figure:
    """A logarithmic axis that shows these numbers, with ticks at powers of ten or, where it is short, 1, 2 and 5.

    :param room: at each end, as a share of the axis.
    """
    start, end = math.log10(low), math.log10(high)
    room = max(room * (end - start), (LEAST_DECADES - (end - start)) / 2)
    ticks = {"tickformat": "~s" if high >= LARGE else ",", "dtick": "D2" if end - start < FEW_DECADES else 1}
    minor = {"minor": {"ticks": "outside", "ticklen": 2}}
    return axis(title, type="log", range=[start - room, end + room], **ticks, **minor, **more)


def share_axis(title: str, **more: Any) -> Figure:
    """An axis from 0 to 100 %."""
    return axis(title, tickformat=".0%", range=[-0.03, 1.03], **more)


def note(text: str, x: float, y: float, **more: Any) -> Figure:
    """Text at a point, without an arrow."""
    return {"text": text, "x": x, "y": y, "showarrow": False, **more}


def figure(title: str, caption: Sequence[str], data: Sequence[Trace], height: float = 380, **layout: Any) -> Figure:
    """A picture without margins and colours of the page.

    :param title: a line, not escaped.
    :param caption: lines, not escaped: n, and which interval is drawn.
    :param height: of the axes, in pixels.
    """
    meta = {"title": title, "caption": [line for line in caption if line], "height": height}
    return {"data": list(data), "layout": {**layout, "meta": meta}}
