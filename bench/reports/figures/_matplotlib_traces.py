"""Traces of plotly's figures drawn on matplotlib's axes: lines and marks, bars, heat maps."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb

from bench.reports.figures._elements import Figure, Trace
from bench.reports.figures._text import plain

POINT = 0.72
"""Points in a pixel."""
SYMBOLS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "triangle-right": ">",
    "x": "X",
    "star": "*",
    "cross": "P",
    "x-thin": "x",
    "line-ns": "|",
}
GROWN = {"*": 1.45, "X": 1.1, "P": 1.1, "|": 1.3}
"""Symbols that are smaller than a circle of their size."""
DASHES = {"dash": "9px,9px", "dot": "3px,3px"}
"""The dashes that plotly has names for, which it scales with the width, at a width of three pixels."""
DARK = 0.5
"""On cells of a lower luminance text is white."""
LARGE = 1000
"""Heat maps of more cells are pixels also in SVG and PDF files."""


def colour_of(text: str) -> Any:
    """A colour as matplotlib takes it.

    >>> colour_of("rgba(0, 114, 178, 0.2)")
    (0.0, 0.4470..., 0.6980..., 0.2)
    """
    parts = re.fullmatch(r"rgba?\(([^)]*)\)", text)
    if parts is None:
        return text
    red, green, blue, *opacity = (float(part) for part in parts[1].split(","))
    return (red / 255, green / 255, blue / 255, *opacity)


def line_style(line: Figure) -> dict[str, Any]:
    """Colour, width and dash of a line."""
    width, dash = line.get("width", 2), str(line.get("dash", "solid"))
    pattern: Any = "solid"
    if dash != "solid":  # matplotlib counts dashes in widths of the line
        pattern = (0, [float(part) / max(width, 1) for part in DASHES.get(dash, dash).replace("px", "").split(",")])
    return {"color": colour_of(line["color"]), "linewidth": width * POINT, "linestyle": pattern}


def marker_style(marker: Figure) -> dict[str, Any]:
    """Colour, symbol and size of marks."""
    name = marker.get("symbol", "circle")
    symbol, colour = SYMBOLS[name.removesuffix("-open")], colour_of(marker["color"])
    edge = marker.get("line", {"color": marker["color"], "width": 1.2})
    return {
        "marker": symbol,
        "markersize": marker.get("size", 8) * POINT * GROWN.get(symbol, 1.0),
        "markerfacecolor": "none" if name.endswith("-open") else colour,
        "markeredgecolor": colour_of(edge.get("color", marker["color"])),
        "markeredgewidth": max(1.2, edge.get("width", 1.2)) * POINT
        if name.endswith("-open")
        else edge.get("width", 0) * POINT,
    }


def draw_scatter(axes: Any, trace: Trace, order: int, layout: Figure) -> None:
    """Lines, marks, text, error bars, a closed area."""
    x, y = (np.array([math.nan if one is None else one for one in trace[name]], float) for name in ("x", "y"))
    mode, opacity = trace["mode"], trace.get("opacity", 1.0)
    shared = {"zorder": order, "alpha": opacity if opacity < 1 else None, "clip_on": trace.get("cliponaxis", True)}
    if trace.get("fill") == "toself":
        axes.fill(x, y, facecolor=colour_of(trace["fillcolor"]), edgecolor="none", zorder=order)
    if "lines" in mode and trace["line"].get("width", 2) > 0:
        stepped: dict[str, Any] = {"drawstyle": "steps-post"} if trace["line"].get("shape") == "hv" else {}
        axes.plot(x, y, **line_style(trace["line"]), **shared, **stepped, solid_capstyle="round")
    _draw_errors(axes, trace, x, y, order)
    if "markers" in mode:
        axes.plot(x, y, linestyle="none", **marker_style(trace["marker"]), **shared | {"clip_on": False})
    if "text" in mode:
        _write_texts(axes, trace, x, y, layout)


def _draw_errors(axes: Any, trace: Trace, x: Any, y: Any, order: int) -> None:
    """Bars from each point to both ends of its interval."""
    for name in ("x", "y"):
        given = trace.get(f"error_{name}")
        if given is not None:
            lengths = np.array(
                [[0 if one is None else one for one in given[key]] for key in ("arrayminus", "array")], float
            )
            width, cap = given.get("thickness", 1.5) * POINT, given.get("width", 4) / 2 * POINT
            look = {"ecolor": colour_of(given["color"]), "elinewidth": width, "capthick": width, "zorder": order}
            axes.errorbar(x, y, **{f"{name}err": lengths}, fmt="none", capsize=cap, **look)


def _write_texts(axes: Any, trace: Trace, x: Any, y: Any, layout: Figure) -> None:
    """A text beside each point."""
    vertical, _, side = trace.get("textposition", "middle center").partition(" ")
    shift = {"left": -1, "center": 0, "right": 1}[side], {"bottom": -1, "middle": 0, "top": 1}[vertical]
    gap = (trace["marker"]["size"] / 2 if "marker" in trace else 0) + 3
    font = layout["font"]
    for across, up, text in zip(x, y, trace["text"], strict=True):
        axes.annotate(
            plain(text),
            (across, up),
            xytext=(shift[0] * gap * POINT, shift[1] * gap * POINT),
            textcoords="offset points",
            ha={-1: "right", 0: "center", 1: "left"}[shift[0]],
            va={-1: "top", 0: "center", 1: "bottom"}[shift[1]],
            fontsize=font["size"] * POINT,
            color=colour_of(font["color"]),
            annotation_clip=False,
            zorder=1000,
        )


def draw_bar(axes: Any, trace: Trace, order: int, layout: Figure) -> None:
    """Bars from zero, each with its text at its end."""
    across = trace.get("orientation") == "h"
    places, lengths = (trace["y"], trace["x"]) if across else (trace["x"], trace["y"])
    colours = trace["marker"]["color"]
    colours = [colour_of(one) for one in ([colours] * len(places) if isinstance(colours, str) else colours)]
    lengths = [0 if one is None else one for one in lengths]
    (axes.barh if across else axes.bar)(places, lengths, trace.get("width", 0.8), color=colours, zorder=order)
    for place, length, text in zip(places, lengths, trace.get("text", [""] * len(places)), strict=True):
        axes.annotate(
            plain(text),
            (length, place) if across else (place, length),
            xytext=(3, 0) if across else (0, 2),
            textcoords="offset points",
            ha="left" if across else "center",
            va="center" if across else "bottom",
            fontsize=layout["font"]["size"] * 0.9 * POINT,
            color=layout["font"]["color"],
            annotation_clip=False,
        )


def draw_heatmap(axes: Any, trace: Trace, order: int, layout: Figure) -> None:
    """Cells around whole numbers in the colours of a scale, each with its text; a None is an empty cell."""
    values = np.array([[math.nan if one is None else one for one in row] for row in trace["z"]], float)
    scale = LinearSegmentedColormap.from_list("scale", [(at, colour) for at, colour in trace["colorscale"]])
    x, y = trace["x"], trace["y"]
    gap = trace.get("xgap", 0) * POINT
    mesh = axes.pcolormesh(
        np.append(np.array(x) - 0.5, x[-1] + 0.5),
        np.append(np.array(y) - 0.5, y[-1] + 0.5),
        np.ma.masked_invalid(values),
        cmap=scale,
        vmin=trace["zmin"],
        vmax=trace["zmax"],
        edgecolors=layout["plot_bgcolor"] if gap else "none",
        linewidth=gap,
        zorder=order,
        rasterized=values.size > LARGE,
    )
    if "text" in trace:
        _write_cells(axes, trace, mesh, values, layout)


def _write_cells(axes: Any, trace: Trace, mesh: Any, values: Any, layout: Figure) -> None:
    """The texts of cells, dark on light colours and white on dark ones."""
    size = layout["font"]["size"] * POINT
    for row, (up, texts) in enumerate(zip(trace["y"], trace["text"], strict=True)):
        for column, (across, text) in enumerate(zip(trace["x"], texts, strict=True)):
            if math.isnan(values[row, column]):
                colour = layout["font"]["color"]
            else:
                colour = text_colour(to_hex(mesh.to_rgba(values[row, column])))
            axes.text(across, up, plain(text), ha="center", va="center", fontsize=size, color=colour, zorder=1000)


def text_colour(cell: str) -> str:
    """The colour of text on a cell: white where the cell's luminance is low.

    >>> text_colour("#08306b"), text_colour("#f7fbff")
    ('#ffffff', '#262626')
    """
    red, green, blue = to_rgb(cell)
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < DARK else "#262626"


TRACES: dict[str, Callable[[Any, Trace, int, Figure], None]] = {
    "scatter": draw_scatter,
    "bar": draw_bar,
    "heatmap": draw_heatmap,
}
"""How a trace is drawn, by its type."""
