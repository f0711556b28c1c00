"""How one learner came to generalize: its key frequencies along training, with restricted and excluded loss."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.errors import RequestError
from bench.reports.figures._elements import COLOURS, DASHES, GREY, Figure, Trace, figure, line, log_axis
from bench.reports.figures._spectra import key_caption, share_axis_of
from bench.reports.views.inside import Inside, View

KIND = "progress"
NEEDS = "states"
SHOWN = 4
"""So many key frequencies have a colour of their own; the others are grey."""
PLOT, BETWEEN = 190, 24
"""Pixels of each of the axes, and between them."""
LOSSES = {
    "train": ("training pairs", COLOURS[4], "8px,3px"),
    "held_out": ("held-out pairs", COLOURS[4], "solid"),
    "excluded": ("training pairs without key frequencies (excluded loss)", COLOURS[5], "8px,3px"),
    "restricted": ("held-out pairs by key frequencies alone (restricted loss)", COLOURS[5], "solid"),
}
"""Fields of a view, with their names and looks."""


def draw(inside: Inside) -> Figure:
    """Above the share of each key frequency in the scores, then in the embedding, below four losses, over steps.

    :raises RequestError: where the run has no steps along its training.
    """
    views = inside.views
    if len(views) < 2:
        raise RequestError("This learner takes no steps, or one: there is nothing along its training.")
    shares = {"scores": [view.spectrum.sum_K if inside.of_sum else view.spectrum.difference_K for view in views]}
    if inside.end.embedding_K is not None:
        shares["embedding"] = [view.embedding_K for view in views if view.embedding_K is not None]
    highest_K = np.max(shares["scores"], axis=0)
    keys = sorted((k - 1 for k in inside.key_frequencies), key=lambda k: -highest_K[k])
    of_keys = {name: np.stack(rows)[:, keys] for name, rows in shares.items()}
    names = [*of_keys, "loss"]
    height = len(names) * PLOT + (len(names) - 1) * BETWEEN
    data: list[Trace] = []
    axes: Figure = {}
    for place, name in enumerate(names):
        own = str(place + 1) if place else ""
        on: Figure = {"xaxis": f"x{own}", "yaxis": f"y{own}"} if place else {}
        data += _losses(views, on) if name == "loss" else _shares(views, keys, of_keys[name], on)
        top = 1 - place * (PLOT + BETWEEN) / height
        where: Figure = {"domain": [max(0.0, top - PLOT / height), top], "anchor": f"x{own}"}
        axes[f"xaxis{own}"] = _steps(views, f"y{own}", first=not place, last=name == "loss")
        axes[f"yaxis{own}"] = (
            log_axis(name, *_ends(views), **where)
            if name == "loss"
            else share_axis_of(of_keys[name], **where) | {"title": {"text": f"share of {name}"}}
        )
    caption = [
        f"Shares of the key frequencies in the variance of {' and '.join(of_keys)}, and the learner's own loss, at "
        f"{len(views)} steps; n = 1 run.",
        *key_caption(inside),
        *inside.told,
    ]
    return figure(f"Along training: {inside.title}", caption, data, height, **axes)


def _shares(views: Sequence[View], keys: Sequence[int], shares_TK: Any, on: Figure) -> list[Trace]:
    """A line for each key frequency; those that are highest at any step are in colour and in the legend."""
    steps, traces = [view.step for view in views], []
    places = [(place, key + 1) for place, key in enumerate(keys)]
    for place, k in places[SHOWN:] + places[:SHOWN]:
        main, ys = place < SHOWN, shares_TK[:, place].tolist()
        colour, dash, width = (COLOURS[place], DASHES[place], 2) if main else (GREY, "solid", 1)
        more: Figure = {"name": f"k = {k}", **on} if main and not on else on
        text = [f"k = {k}: {100 * y:.3g} % at step {x:,}" for x, y in zip(steps, ys, strict=True)]
        traces.append(line(steps, ys, colour, dash, width, text=text, hoverinfo="text", **more))
    return traces


def _losses(views: Sequence[View], on: Figure) -> list[Trace]:
    """A line for each loss."""
    steps, traces = [view.step for view in views], []
    for name, (words, colour, dash) in LOSSES.items():
        ys = [value if _is_shown(value) else None for value in _values(views, name)]
        text = [f"{words}: {y:.3g} at step {x:,}" if y else "" for x, y in zip(steps, ys, strict=True)]
        traces.append(line(steps, ys, colour, dash, 2, text=text, hoverinfo="text", name=words, **on))
    return traces


def _values(views: Sequence[View], name: str) -> list[float | None]:
    return [getattr(view, name).loss for view in views]


def _is_shown(value: float | None) -> bool:
    """Whether a loss has a place on a logarithmic axis."""
    return value is not None and 0 < value < math.inf


def _ends(views: Sequence[View]) -> tuple[float, float]:
    """The smallest and the largest loss that is shown."""
    found = [value for name in LOSSES for value in _values(views, name) if value is not None and _is_shown(value)]
    return (min(found), max(found)) if found else (0.1, 1.0)


def _steps(views: Sequence[View], anchor: str, first: bool, last: bool) -> Figure:
    matched: Figure = {} if first else {"matches": "x"}
    title = "step (optimizer updates)" if last else ""
    return log_axis(title, max(1, views[0].step), views[-1].step, anchor=anchor, showticklabels=last, **matched)
