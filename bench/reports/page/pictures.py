"""Pictures as the page has them: the data once, and a layout for each width and theme between which it chooses."""

from collections.abc import Sequence
from typing import Any

from bench.reports.figures._elements import BAND, Figure, figure, log_axis, share_axis
from bench.reports.figures._layout import THEMES, laid_out
from bench.reports.figures.curves import TRAIN_DASH
from bench.reports.page.packing import all_finite

WIDTHS = {"wide": 640, "narrow": 340}
"""The widths in pixels for which a picture is laid out; the page stretches the nearest one."""


def picture_data(given: Figure) -> dict[str, Any]:
    """A picture for the page, which writes its title and its caption itself."""
    meta = given["layout"]["meta"]
    untitled = {"data": given["data"], "layout": {**given["layout"], "meta": {**meta, "title": "", "caption": []}}}
    drawn = {size: {theme: laid_out(untitled, width, theme) for theme in THEMES} for size, width in WIDTHS.items()}
    data = {size: of["light"]["data"] for size, of in drawn.items()}
    return all_finite(
        {
            "title": meta["title"],
            "caption": meta["caption"],
            "data": data["wide"],
            "names": {size: [trace.get("name") for trace in traces] for size, traces in data.items()},
            "layouts": {size: {theme: it["layout"] for theme, it in of.items()} for size, of in drawn.items()},
        }
    )


def chosen_curves() -> dict[str, Any]:
    """The empty picture to which the page adds the curves of the rows that a reader chooses."""
    axes = {"xaxis": log_axis("step (optimizer updates)", 1, 1000), "yaxis": share_axis("accuracy (share of pairs)")}
    return {
        **picture_data(figure("", [], [], 360, **axes)),
        "train_dash": TRAIN_DASH,
        "band": BAND,
    }


def themes() -> Sequence[tuple[str, dict[str, str]]]:
    """The colours of each theme, by their names."""
    return [(name, colours._asdict()) for name, colours in THEMES.items()]
