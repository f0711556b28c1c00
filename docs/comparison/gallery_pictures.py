"""The picture of one encoder, in the look of the project's other pictures, on a card of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gallery import READERS, TASKS, Numbers, interval, similarities
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.reports.figures._elements import COLOURS
from bench.reports.figures._layout import HEADING, SMALL, TEXT, THEMES
from bench.reports.figures._matplotlib import PER_INCH, settings, write
from bench.reports.figures._matplotlib_traces import POINT
from bench.reports.figures.heatmap import SCALE

CARD = THEMES["light"]
BLUE, ORANGE = COLOURS[:2]
BOTH_SIGNS = LinearSegmentedColormap.from_list("signs", [ORANGE, "#ffffff", BLUE])
ONE_SIGN = LinearSegmentedColormap.from_list("shades", [(at, colour) for at, colour in SCALE])
WIDTH, HEIGHT = 540, 480
SQUARE = 190
"""Pixels of a picture, and of the sides of its images; few, so that letters can be read where a phone shrinks it."""
LEFT, TOP = 52, 66


def draw(path: Path, title: str, codes_NF: Numbers, scores: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Write the picture as SVG: similarities, codes, and below them what the readers tell from the codes."""
    with settings():
        page = Figure(figsize=(WIDTH / PER_INCH, HEIGHT / PER_INCH), dpi=PER_INCH)
        page.set_facecolor(CARD.paper)
        page.text(14 / WIDTH, 1 - 14 / HEIGHT, title, fontsize=HEADING * POINT, weight="bold", va="top", color=CARD.ink)
        _similarities(page, codes_NF)
        _codes(page, codes_NF)
        _scores(page, scores)
        write(page, str(path), "svg")


def _axes(page: Figure, left: float, top: float, width: float, height: float, title: str) -> Any:
    """Axes at a place in pixels from the upper left corner."""
    place = (left / WIDTH, 1 - (top + height) / HEIGHT, width / WIDTH, height / HEIGHT)
    axes = page.add_axes(place)
    axes.set_title(title, fontsize=TEXT * POINT, color=CARD.ink, loc="left", pad=6)
    axes.tick_params(labelsize=SMALL * POINT, labelcolor=CARD.ink, color=CARD.frame, length=3)
    for side in axes.spines.values():
        side.set_color(CARD.frame)
    return axes


def _name(axes: Any, across: str, up: str) -> None:
    axes.set_xlabel(across, fontsize=SMALL * POINT, color=CARD.ink, labelpad=3)
    axes.set_ylabel(up, fontsize=SMALL * POINT, color=CARD.ink, labelpad=3)


def _similarities(page: Figure, codes_NF: Numbers) -> None:
    axes = _axes(page, LEFT, TOP, SQUARE, SQUARE, "Similarity of two codes")
    image = axes.imshow(similarities(codes_NF), cmap=BOTH_SIGNS, vmin=-1, vmax=1, interpolation="none")
    _name(axes, "value", "value")
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks([0, 24, 48, 72])
    place = ((LEFT + SQUARE + 7) / WIDTH, 1 - (TOP + SQUARE) / HEIGHT, 9 / WIDTH, SQUARE / HEIGHT)
    bar = page.colorbar(image, cax=page.add_axes(place), ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["−1", "0", "1"])
    bar.ax.tick_params(labelsize=SMALL * POINT, labelcolor=CARD.ink, color=CARD.frame, length=3)
    bar.outline.set_edgecolor(CARD.frame)


def _codes(page: Figure, codes_NF: Numbers) -> None:
    low, high = codes_NF.min(), codes_NF.max()
    axes = _axes(page, WIDTH - SQUARE - 14, TOP, SQUARE, SQUARE, f"Codes, from {_short(low)} to {_short(high)}")
    axes.imshow(codes_NF, cmap=ONE_SIGN, vmin=low, vmax=high, aspect="auto", interpolation="none")
    axes.set_yticks([0, 24, 48, 72])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    _name(axes, "feature", "value")


def _short(number: float) -> str:
    return f"{round(number, 1) + 0.0:g}".replace("-", "−")


def _scores(page: Figure, scores: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    axes = _axes(page, 76, 326, WIDTH - 76 - 16, 108, "Read from them by")
    looks = {"ridge": (BLUE, "o", -0.16, BLUE), "nearest": (ORANGE, "s", 0.16, CARD.paper)}
    names = {"ridge": "ridge regression", "nearest": "nearest neighbour"}
    places = np.arange(len(TASKS))
    for reader in READERS:
        colour, mark, shift, fill = looks[reader]
        means, halves = zip(*(interval(scores[task][reader]) for task in TASKS), strict=True)
        style = {"color": colour, "marker": mark, "markerfacecolor": fill, "markersize": 7 * POINT * 1.3}
        axes.errorbar(
            means,
            places + shift,
            xerr=halves,
            linestyle="none",
            elinewidth=1.3,
            label=names[reader],
            clip_on=False,
            **style,
        )
    axes.set(xlim=(0, 1), ylim=(len(TASKS) - 0.5, -0.5), yticks=places)
    axes.set_yticklabels(TASKS)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.grid(axis="x", color=CARD.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("R², for sum the share of correct answers", fontsize=SMALL * POINT, color=CARD.ink, labelpad=3)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=SMALL * POINT,
        labelcolor=CARD.ink,
        borderaxespad=0.2,
        handletextpad=0.3,
    )
