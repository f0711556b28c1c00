"""From a picture to a page: its size, margins, title, legend, caption, and the colours of a light or a dark page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.errors import RequestError, one_of
from bench.reports.figures._elements import Figure
from bench.reports.figures._text import BREAK, escaped, plain

FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
TEXT, SMALL, HEADING = 13, 11.5, 16
"""Sizes of letters in pixels: of axes and legend, of the caption, of the title."""
LETTER, BOLD, WIDE = 0.53, 0.63, 0.58
"""The mean width of a letter as a share of its size: in text, in bold text, and in labels, which have many digits."""
PART = " · "
"""Between the parts of a label."""
LEADING = 1.35
"""The height of a line of text as a share of the size of its letters."""
ENTRY = 3
"""Pixels between two entries of the legend."""
EDGE = 14
"""Pixels around everything."""
AXIS = 58
"""Pixels below the axes for ticks and the name of an axis."""
LEFT = 72
"""Pixels left of the axes for the same."""
KEY = 52
"""Pixels of the sample of a line in the legend, with the space around it."""


class Theme(NamedTuple):
    """The colours of a page."""

    paper: str
    ink: str
    grid: str
    frame: str


THEMES = {
    "light": Theme("#ffffff", "#262626", "#e4e4e4", "#8c8c8c"),
    "dark": Theme("#16191d", "#e2e2e2", "#343a41", "#7d858e"),
}
ANGLE = 40
"""Degrees by which names along a horizontal axis are turned where they are too long."""
LONGEST, SIDE = 30, 0.4
"""The most letters of a name along a horizontal axis, and the largest share of the width beside a vertical one."""
HOVER = 40
"""Letters of a line under the pointer, which fit into the narrowest picture."""
NARROWEST = 320
NARROW = 500
"""In fewer pixels, labels are written in smaller letters."""


def check_layout(width: int, theme: str) -> None:
    """Raise RequestError for an unknown theme, or a width that leaves no room."""
    if theme not in THEMES:
        raise RequestError(one_of("`theme`", theme, THEMES))
    if width < NARROWEST:
        raise RequestError(f"`width` must be at least {NARROWEST} pixels, got {width}.")


def laid_out(figure: Figure, width: int = 800, theme: str = "light", words: bool = True) -> Figure:
    """The picture with all that plotly and the renderer for print need; the picture given is not changed.

    :param width: in pixels, from which the height follows.
    :param theme: "light" or "dark".
    :param words: whether to write title and caption: a page may set them itself, from ``layout.meta``.
    :raises RequestError: for an unknown theme, or a width that leaves no room.
    """
    check_layout(width, theme)
    given, meta = figure["layout"], figure["layout"]["meta"]
    given = {**given, **_short_ticks(given, width)}
    left = min(meta.get("left", LEFT), SIDE * width + AXIS)
    title = _wrapped(meta["title"], width, HEADING, BOLD) if words else ""
    lines = [_wrapped(line, width, SMALL) for line in meta["caption"]] if words else []
    data = [_with_wrapped_name(trace, width) for trace in figure["data"]]
    angles, deeper = _turned(given, width - left - EDGE)
    axis = meta.get("axis", AXIS) + deeper
    legend, legend_height = _legend(data, width, left, axis / meta["height"])
    top = EDGE + _height([title], HEADING) + (10 if title else 0) + meta.get("above", 0)
    below = axis + legend_height + (_height(lines, SMALL) + 8 if lines else 0) + EDGE / 2
    height = round(top + meta["height"] + below)
    colours = THEMES[theme]
    layout = {
        **given,
        **{name: _axis(given[name], colours) | angles.get(name, {}) for name in given if name[1:5] == "axis"},
        "title": {
            "text": f"<b>{title}</b>",
            "x": EDGE / width,
            "xanchor": "left",
            "y": 1 - EDGE / height,
            "yanchor": "top",
            "font": {"size": HEADING, "color": colours.ink},
        },
        "width": width,
        "height": height,
        "margin": {"l": left, "r": meta.get("right", EDGE + 6), "t": round(top), "b": round(below), "pad": 0},
        "font": {"family": FONT, "size": TEXT, "color": colours.ink},
        "paper_bgcolor": colours.paper,
        "plot_bgcolor": colours.paper,
        "legend": legend,
        "showlegend": legend_height > 0,
        "hovermode": given.get("hovermode", "closest"),
        "hoverlabel": {"font": {"family": FONT, "size": SMALL}, "align": "left", "namelength": -1},
        "annotations": [
            *(_label(one, width - left - EDGE) for one in given.get("annotations", ())),
            *_caption(lines, left, axis + legend_height),
        ],
        "modebar": {"orientation": "v", "bgcolor": "rgba(0, 0, 0, 0)"},
        "template": "none",
    }
    return {"data": data, "layout": layout}


def letters(width: float, size: float = TEXT, wide: float = LETTER) -> int:
    """How many letters fit into a width."""
    return max(12, int(width / (wide * size)))


def text_width(text: str, size: float = TEXT) -> float:
    """The width of a text in pixels, estimated."""
    return max((len(line) for line in plain(text).split("\n")), default=0) * LETTER * size


def _wrapped(text: str, width: int, size: float, wide: float = LETTER) -> str:
    return escaped(text, letters(width - 2 * EDGE, size, wide), most=12)


def _height(texts: Sequence[str], size: float) -> float:
    """The height of texts below each other, each of one or several lines."""
    return sum((text.count(BREAK) + 1) * size * LEADING for text in texts if text)


def _with_wrapped_name(trace: Figure, width: int) -> Figure:
    """The trace with its name as the legend shows it."""
    if "name" not in trace:
        return trace
    return {**trace, "name": escaped(trace["name"], letters(width - KEY - 2 * EDGE))}


def _label(given: Figure, width: float) -> Figure:
    """An annotation; the parts of a label are shortened to one line of this width; it is whole under the pointer."""
    if given.get("name") != "label":
        return given
    size = SMALL if width < NARROW else TEXT
    text, room = given["text"], letters(width - given.get("xshift", 0), size, WIDE)
    whole = {"hovertext": escaped(text, HOVER, most=8)} if len(text) > room else {}
    return {**given, "text": escaped(_shortened_parts(text, room)), "font": {"size": size}, **whole}


def _shortened_parts(text: str, room: int) -> str:
    """The text with its longest parts shortened, so that each still shows its beginning and its end.

    >>> _shortened_parts("phasor+product → ridge · n = 10 · takes no steps", 38)
    'phasor… ridge · n = 10 · takes … steps'
    """
    parts = text.split(PART)
    free, most = room - len(PART) * (len(parts) - 1), max(map(len, parts))
    while most > 1 and sum(min(len(part), most) for part in parts) > free:
        most -= 1
    return PART.join(_shortened(part, most) for part in parts)


def _shortened(text: str, room: int) -> str:
    """The text without its middle, where it is longer than this.

    >>> _shortened("abcdefghij", 5)
    'ab…ij'
    """
    return text if len(text) <= room else f"{text[: room // 2]}…{text[len(text) - (room - 1 - room // 2) :]}"


def _short_ticks(layout: Mapping[str, Any], width: int) -> dict[str, Figure]:
    """The axes whose ticks have names, these short enough to leave room for the picture."""
    room = {"x": LONGEST, "y": letters(SIDE * width)}
    return {
        name: {**axis, "ticktext": [escaped(_shortened(plain(text), room[name[0]])) for text in axis["ticktext"]]}
        for name, axis in layout.items()
        if name[1:5] == "axis" and "ticktext" in axis
    }


def _legend(data: Sequence[Figure], width: int, left: float, drop: float) -> tuple[Figure, float]:
    """The legend below the axes, and its height: in one line where there is room for it, else a line for each entry.

    :param drop: from the axes to it, as a share of their height.
    """
    names = [trace["name"] for trace in data if trace.get("showlegend")]
    place = {
        "x": (EDGE - left) / (width - left - EDGE),
        "xanchor": "left",
        "y": -drop,
        "yanchor": "top",
    }
    shared = {"bgcolor": "rgba(0, 0, 0, 0)", "borderwidth": 0, "traceorder": "normal", "font": {"size": TEXT}}
    if not names:
        return shared, 0.0
    in_a_line = sum(text_width(name) + KEY + 12 for name in names) < width - 2 * EDGE
    way = {"orientation": "h"} if in_a_line else {"orientation": "v"}
    rows = names[:1] if in_a_line else names
    height = _height(rows, TEXT) + ENTRY * len(rows) + 8
    return {**shared, **place, **way, "itemwidth": 36}, height


def _turned(layout: Mapping[str, Any], width: float) -> tuple[dict[str, Figure], float]:
    """The angle of names along horizontal axes where they do not fit side by side, and the height that they take."""
    angles, deeper = dict[str, Figure](), 0.0
    for name, axis in layout.items():
        if name.startswith("xaxis") and "ticktext" in axis:
            low, high = axis.get("domain", (0.0, 1.0))
            longest = max(map(text_width, axis["ticktext"]))
            if longest + 8 > width * (high - low) / len(axis["ticktext"]):
                angles[name] = {"tickangle": -ANGLE}
                deeper = max(deeper, longest * math.sin(math.radians(ANGLE)))
    return angles, deeper


def _axis(given: Mapping[str, Any], colours: Theme) -> Figure:
    title = given.get("title", {})
    return {
        "gridcolor": colours.grid,
        "linecolor": colours.frame,
        "tickcolor": colours.frame,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        **given,
        "title": {"standoff": 8, "font": {"size": TEXT}, **title},
    }


def _caption(lines: Sequence[str], left: float, drop: float) -> list[Figure]:
    """The caption as an annotation below the legend."""
    if not lines:
        return []
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top"}
    shift = {"xshift": EDGE - left, "yshift": -drop - 4}
    return [
        {"name": "caption", "text": BREAK.join(lines), "align": "left", "showarrow": False}
        | {"font": {"size": SMALL}, **place, **shift}
    ]
