"""Where one run errs: the table of all pairs by right and wrong, and the share of errors by answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import RequestError
from bench.reports.figures._elements import Figure, Trace, axis, dots, figure
from bench.results import many, percent

KIND = "errors"
NEEDS = "record"
TRAINED, RIGHT, WRONG, TRAINED_WRONG = range(4)
COLOURS = ("#dcdcdc", "#86bce0", "#a33300", "#1a1a1a")
"""Of these four: as grey, from light to dark."""
WORDS = ("trained on", "held out, right", "held out, wrong", "trained on, wrong")
MOST_OPERANDS = 400
"""A table of more operands would have cells smaller than a pixel."""
PLOT = 400


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the learner of a record answers to every pair of its split.

    :param title: what was trained, in words.
    :param operands_NK: of each question.
    :param answers_N: what counts as right: the task's answer, of a training pair the one that it was taught.
    :param trained_N: whether the pair was trained on.
    :param told: sentences on where the learner came from.
    """

    title: str
    operands_NK: NDArray[np.int64]
    answers_N: NDArray[np.int64]
    predicted_N: NDArray[np.int64]
    trained_N: NDArray[np.bool_]
    n_operands: int
    n_classes: int
    told: tuple[str, ...] = ()

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether each answer is wrong, (N,)."""
        return self.predicted_N != self.answers_N


def draw(predictions: Predictions) -> Figure:
    """Left, a cell for each pair of operands; right, of the held-out pairs of each answer the share that is wrong.

    :raises RequestError: for a task of more than 400 operands, or without held-out pairs.
    """
    p = predictions
    if p.operands_NK.shape[1] != 2:
        raise RequestError(f"A table of pairs cannot show questions of {p.operands_NK.shape[1]} operands.")
    if p.n_operands > MOST_OPERANDS:
        raise RequestError(f"A table of {p.n_operands:,} × {p.n_operands:,} pairs is too large to be seen.")
    held = ~p.trained_N
    if not held.any():
        raise RequestError("This run has no held-out pairs.")
    shares = [w / n for w, n in zip(*wrong_by_answer(p), strict=True) if n]
    top = max(shares) or 1.0
    form = ".0%" if top > 0.05 else ".1%"
    span = [-0.5, p.n_operands - 0.5]
    plain = {"showgrid": False, "range": span}
    layout = {
        "xaxis": axis("b (second operand)", domain=[0.0, 0.54], anchor="y", **plain),
        "yaxis": axis("a (first operand)", anchor="x", **plain),
        "xaxis2": axis("answer (class)", domain=[0.68, 1.0], anchor="y2", showgrid=False, range=[-1, p.n_classes]),
        "yaxis2": axis("share of held-out pairs wrong", tickformat=form, range=[0, 1.05 * top], anchor="x2"),
    }
    wrong, n = int(p.wrong[held].sum()), int(held.sum())
    counts = f"n = {many(n, 'held-out pair')} of one run, {wrong:,} wrong ({percent(wrong / n)})."
    data = [_table(p), *_key(p), _by_answer(p)]
    return figure(f"Where it errs: {p.title}", [counts, *p.told], data, PLOT, **layout)


def kinds_of(p: Predictions) -> NDArray[np.int64]:
    """Whether each pair was trained on and is answered rightly, (N,)."""
    return np.where(p.trained_N, np.where(p.wrong, TRAINED_WRONG, TRAINED), np.where(p.wrong, WRONG, RIGHT))


def wrong_by_answer(p: Predictions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each class of answers, how many held-out pairs are wrong, and how many there are, (C,) each."""
    held = ~p.trained_N
    return tuple(np.bincount(p.answers_N[rows], minlength=p.n_classes) for rows in (held & p.wrong, held))  # type: ignore[return-value]


def _table(p: Predictions) -> Trace:
    """The table of all pairs, a cell each; pairs that the protocol does not have are blank."""
    z_AA = np.full((p.n_operands, p.n_operands), np.nan)
    z_AA[tuple(p.operands_NK.T)] = kinds_of(p)
    said_AA = np.full(z_AA.shape, "", dtype=object)
    for (a, b), answer, predicted in zip(
        p.operands_NK.tolist(), p.answers_N.tolist(), p.predicted_N.tolist(), strict=True
    ):
        said_AA[a, b] = f"a = {a}, b = {b}: {predicted}" + ("" if predicted == answer else f", not {answer}")
    steps = [(i / 4, (i + 1) / 4, colour) for i, colour in enumerate(COLOURS)]
    return {
        "type": "heatmap",
        "x": list(range(p.n_operands)),
        "y": list(range(p.n_operands)),
        "z": [[None if np.isnan(z) else int(z) for z in row] for row in z_AA],
        "hovertext": said_AA.tolist(),
        "hoverinfo": "text",
        "colorscale": [[at, colour] for low, high, colour in steps for at in (low, high)],
        "zmin": -0.5,
        "zmax": 3.5,
        "showscale": False,
    }


def _key(p: Predictions) -> list[Trace]:
    """What the colours stand for, of those that there are."""
    present = np.unique(kinds_of(p)).tolist()
    return [dots([None], [None], COLOURS[kind], "square", 11, name=WORDS[kind]) for kind in present]


def _by_answer(p: Predictions) -> Trace:
    """A bar for each class of answers."""
    wrong_C, held_C = wrong_by_answer(p)
    shares = [float(w / n) if n else 0.0 for w, n in zip(wrong_C, held_C, strict=True)]
    said = [f"answer {c}: {w} of {n} wrong" for c, (w, n) in enumerate(zip(wrong_C, held_C, strict=True))]
    return {
        "type": "bar",
        "x": list(range(p.n_classes)),
        "y": shares,
        "width": 0.8,
        "hovertext": said,
        "hoverinfo": "text",
        "marker": {"color": COLOURS[WRONG]},
        "showlegend": False,
        "xaxis": "x2",
        "yaxis": "y2",
    }
