"""Draws pictures for print with matplotlib: the part of plotly's figures that `bench.reports.figures._elements` names.

Sizes in pixels are those of a page of 100 pixels an inch. A file of the same picture has the same bytes each time.
"""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Page
from matplotlib.font_manager import fontManager
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from bench.reports.figures._elements import Figure
from bench.reports.figures._matplotlib_traces import POINT, TRACES, colour_of, line_style, marker_style
from bench.reports.figures._svg import compact
from bench.reports.figures._text import plain

PER_INCH = 100
SHARPNESS = 200
"""Dots an inch of a PNG file."""
UNSAID = {"svg": ("Date", "Creator", "Format", "Type"), "pdf": ("CreationDate",), "png": ("Software",)}
"""Metadata that files leave out: when and with which matplotlib they were drawn; of SVG files what all of them have."""
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Noto Sans", "Arial Unicode MS")
"""The first, which comes with matplotlib, has Latin, Greek, Cyrillic and Arabic letters; of the others those that are
installed."""
ANCHORS = {"left": "left", "center": "center", "right": "right", "top": "top", "middle": "center", "bottom": "bottom"}


def save(figure: Figure, path: str | IO[bytes], form: str) -> None:
    """Write a picture that is laid out to a file.

    :param form: "png", "svg" or "pdf".
    :raises OSError: where the file cannot be written.
    :raises ValueError: for a part of a picture that is not drawn here.
    """
    with settings():
        write(render(figure), path, form)


def write(page: Page, path: str | IO[bytes], form: str) -> None:
    """Write a page to a file without its date and what wrote it, within `settings`; SVG text in its short form."""
    drawn = io.BytesIO()
    dated = dict.fromkeys(UNSAID[form])
    page.savefig(drawn, format=form, dpi=SHARPNESS, metadata=dated, facecolor=page.get_facecolor())
    data = drawn.getvalue() if form != "svg" else compact(drawn.getvalue().decode("utf-8")).encode("utf-8")
    if isinstance(path, str):
        Path(path).write_bytes(data)
    else:
        path.write(data)


@contextmanager
def settings() -> Iterator[None]:
    """Text as it is, never as TeX; files that depend on the picture alone; no style of the user's."""
    installed = set(fontManager.get_font_names())
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams["font.family"] = [name for name in FONTS if name in installed]
        mpl.rcParams["text.parse_math"] = False
        mpl.rcParams["svg.hashsalt"] = "mod97"
        mpl.rcParams["pdf.fonttype"] = 42  # TrueType: journals refuse type 3
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def render(figure: Figure) -> Page:
    """The page of a picture that is laid out, within `settings`."""
    layout = figure["layout"]
    page = Page(figsize=(layout["width"] / PER_INCH, layout["height"] / PER_INCH), dpi=PER_INCH)
    page.set_facecolor(layout["paper_bgcolor"])
    axes = _axes(page, figure)
    for number, trace in enumerate(figure["data"]):
        if trace["type"] not in TRACES:
            raise ValueError(f"Pictures have traces of type {', '.join(TRACES)}, got {trace['type']!r}.")
        TRACES[trace["type"]](axes[_pair(trace)], trace, number + 3, layout)
    for (x, y), own in axes.items():
        _finish(own, layout[f"xaxis{x[1:]}"], "x", layout["font"])
        _finish(own, layout[f"yaxis{y[1:]}"], "y", layout["font"])
    place = _Places(layout, axes)
    for one in layout.get("annotations", ()):
        _write(page, place, one, layout["font"])
    title = layout["title"]
    _text(page, (title["x"], title["y"]), title["text"], title["font"], va="top", weight="bold")
    _draw_legend(page, place, figure)
    return page


# Axes


def _pair(trace: Mapping[str, Any]) -> tuple[str, str]:
    return trace.get("xaxis", "x"), trace.get("yaxis", "y")


def _axes(page: Page, figure: Figure) -> dict[tuple[str, str], Any]:
    """The axes of each pair that some trace uses, with their scales."""
    layout, found = figure["layout"], dict[tuple[str, str], Any]()
    place = _Places(layout, found)
    for pair in dict.fromkeys(map(_pair, figure["data"])):
        across, up = (layout[f"{name[0]}axis{name[1:]}"] for name in pair)
        (left, right), (low, high) = (given.get("domain", (0, 1)) for given in (across, up))
        (x0, y0), (x1, y1) = place.inside(left, low), place.inside(right, high)
        own = found[pair] = page.add_axes((x0, y0, x1 - x0, y1 - y0))
        own.set_facecolor(layout["plot_bgcolor"])
        own.set_axisbelow(True)
        own.margins(0.04)
        own.set_xscale(across.get("type", "linear"))
        own.set_yscale(up.get("type", "linear"))
        own.set_autoscalex_on("range" not in across)  # it cannot find limits for equal numbers on a logarithmic axis
        own.set_autoscaley_on("range" not in up)
    return found


class _Places:
    """Points of a picture as shares of the page."""

    def __init__(self, layout: Figure, axes: Mapping[tuple[str, str], Any]) -> None:
        self.layout, self.axes = layout, axes
        self.size = layout["width"], layout["height"]

    def inside(self, x: float, y: float) -> tuple[float, float]:
        """A point given in shares of the part inside the margins."""
        (width, height), margin = self.size, self.layout["margin"]
        across = margin["l"] + x * (width - margin["l"] - margin["r"])
        return across / width, (margin["b"] + y * (height - margin["t"] - margin["b"])) / height

    def of(self, given: Mapping[str, Any]) -> tuple[float, float]:
        """A point whose coordinates refer to the part inside the margins ("paper") or to axes ("x2")."""
        refs = {key: given.get(f"{key}ref", key) for key in ("x", "y")}
        found = list(self.inside(*(given[key] if ref == "paper" else 0.0 for key, ref in refs.items())))
        for i, (key, ref) in enumerate(refs.items()):
            if ref != "paper":
                own = next(own for pair, own in self.axes.items() if pair[i] == ref)
                point = [1.0, 1.0]
                log = self.layout[f"{ref[0]}axis{ref[1:]}"].get("type") == "log"  # there plotly writes logarithms
                point[i] = 10 ** given[key] if log else given[key]
                found[i] = own.transData.transform(point)[i] / self.size[i]
        return found[0], found[1]


def _finish(own: Any, given: Figure, name: str, font: Figure) -> None:
    """Limits, ticks, name and colours of an axis; limits follow from what is drawn where none are given."""
    axis, near, far = (own.xaxis, "bottom", "top") if name == "x" else (own.yaxis, "left", "right")
    if given.get("side") == far:
        near, far = far, near
    log = given.get("type") == "log"
    if "range" in given:
        axis.set_view_interval(*(10**end if log else end for end in given["range"]), ignore=True)
    if given.get("autorange") == "reversed":
        axis.set_inverted(True)
    _set_ticks(axis, given)
    if given.get("showgrid", True):
        axis.grid(which="major", color=colour_of(given["gridcolor"]), linewidth=0.8 * POINT)
    own.spines[near].set(visible=given["showline"], color=colour_of(given["linecolor"]), linewidth=POINT)
    own.spines[far].set_visible(False)
    marks = given["ticks"] != ""
    axis.set_tick_params(
        which="both", length=given["ticklen"] * POINT if marks else 0, color=colour_of(given["tickcolor"])
    )
    axis.set_tick_params(which="minor", length=2 * POINT if marks and log else 0)
    axis.set_tick_params(
        **{f"label{near}": given.get("showticklabels", True), near: marks, f"label{far}": False, far: False},
        labelsize=font["size"] * 0.92 * POINT,
        labelcolor=font["color"],
    )
    if given.get("tickangle"):
        for label in axis.get_ticklabels():
            label.set(rotation=-given["tickangle"], ha="right", rotation_mode="anchor")
    if near in ("top", "right"):
        axis.set_label_position(near)
    title = given["title"]
    if title.get("text"):
        axis.set_label_text(plain(title["text"]), fontsize=title["font"]["size"] * POINT, color=font["color"])
        axis.labelpad = title["standoff"] * POINT


def _set_ticks(axis: Any, given: Figure) -> None:
    """Ticks where they are asked for, else where the scale has them."""
    if "tickvals" in given:
        texts = [plain(text) for text in given.get("ticktext", map("{:g}".format, given["tickvals"]))]
        axis.set_major_locator(FixedLocator(given["tickvals"]))
        axis.set_major_formatter(FixedFormatter(texts))
        axis.set_minor_formatter(NullFormatter())
        return
    if given.get("type") == "log":
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if given["dtick"] == "D2" else (1,), numticks=12))
        axis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=12))
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(nbins=6, steps=(1, 2, 5, 10)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value, given.get("tickformat", ""))))


def number(value: float, form: str) -> str:
    """A number as plotly writes it in one of the formats of our axes.

    >>> number(0.25, ".0%"), number(1500.0, ","), number(0.001, ","), number(2.5, ""), number(1e7, "~s")
    ('25%', '1,500', '0.001', '2.5', '10M')
    """
    if form == "~s":
        power = max(0, min(5, (len(f"{abs(value):.0f}") - 1) // 3))
        return f"{value / 1000**power:g}{' kMGTP'[power].strip()}"
    if form.endswith("%"):
        return f"{value:{form}}"
    return f"{value:,.6g}" if abs(value) < 1e6 or not form else f"{value:,.0f}"


# Text


def _write(page: Page, place: _Places, one: Figure, font: Figure) -> None:
    """An annotation."""
    x, y = place.of(one)
    x += one.get("xshift", 0) / place.size[0]
    y += one.get("yshift", 0) / place.size[1]
    sides = {"ha": ANCHORS[one.get("xanchor", "center")], "va": ANCHORS[one.get("yanchor", "middle")]}
    _text(page, (x, y), one["text"], font | one.get("font", {}), **sides, multialignment=one.get("align", "center"))


def _text(page: Page, at: tuple[float, float], text: str, font: Figure, **more: Any) -> None:
    page.text(*at, plain(text), fontsize=font["size"] * POINT, color=font["color"], linespacing=1.25, **more)


def _draw_legend(page: Page, place: _Places, figure: Figure) -> None:
    """The legend, in a line or a column."""
    layout = figure["layout"]
    traces = sorted((trace for trace in figure["data"] if trace.get("showlegend")), key=_rank_in_legend)
    if not traces or not layout["showlegend"]:
        return
    given = layout["legend"]
    legend = page.legend(
        [Line2D([], [], **_sample(trace)) for trace in traces],
        ["·"] * len(traces),  # a label that begins with "_" would be left out
        loc="upper left",
        bbox_to_anchor=place.inside(given["x"], given["y"]),
        ncols=len(traces) if given["orientation"] == "h" else 1,
        fontsize=given["font"]["size"] * POINT,
        labelcolor=layout["font"]["color"],
        frameon=False,
        handlelength=3.2,
        borderaxespad=0,
        labelspacing=0.6,
    )
    for text, trace in zip(legend.get_texts(), traces, strict=True):
        text.set_text(plain(trace["name"]))


def _rank_in_legend(trace: Figure) -> int:
    """Traces of equal ranks, by default 1000, stand in their order."""
    return int(trace.get("legendrank", 1000))


def _sample(trace: Figure) -> dict[str, Any]:
    """The line and the mark of a trace in the legend."""
    style: dict[str, Any] = {"linestyle": "none"}
    mode = trace.get("mode", "markers")
    if trace["type"] == "bar":
        return {
            "linestyle": "none",
            "marker": "s",
            "markersize": 10 * POINT,
            "color": colour_of(trace["marker"]["color"]),
        }
    if "lines" in mode:
        style |= line_style(trace["line"])
    if "markers" in mode:
        style |= marker_style(trace["marker"])
    return style
