"""Learning curves as the page has them: with fewer points, of which none is missing that a crossing depends on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.ranking import Run
from bench.reports.page.packing import Shared, ten_thousandths
from bench.results import TARGETS, evenly

MOST_POINTS = 64
"""Points of a curve. Between crossings they are evenly spread over the logarithm of the step, so that an accuracy that
falls and recovers within a few evaluations may not be seen."""


def thinned(steps_T: NDArray[np.int64], parts: Sequence[NDArray[np.float64]]) -> NDArray[np.intp]:
    """The places of the evaluations that are kept, in order: all where they are few.

    Kept are the first and the last one; of each part and target the first crossing, and the evaluation from which on
    the target holds, each with the evaluation before; of the others those nearest to even logarithms of the step.

    :param parts: accuracies at the steps, (T,) each.
    """
    n = len(steps_T)
    if n <= MOST_POINTS:
        return np.arange(n)
    kept = {0, n - 1}
    for values_T in parts:
        for target in TARGETS:
            kept |= _crossings(values_T >= target)
    return np.unique([*kept, *evenly(steps_T, max(2, MOST_POINTS - len(kept)))])


def _crossings(reached_T: NDArray[np.bool_]) -> set[int]:
    """The places of the first crossing and of the one that holds to the end, each with the evaluation before it."""
    if not reached_T.any():
        return set()
    first = int(reached_T.argmax())
    held = 0 if reached_T.all() else len(reached_T) - int((~reached_T[::-1]).argmax())
    return {place for place in (first - 1, first, held - 1, held) if 0 <= place < len(reached_T)}


def curve_data(runs: Sequence[Run]) -> dict[str, Any]:
    """The learning curves of runs, in their order.

    Of each run there are the place of its grid of steps, the places of its evaluations in that grid, each as the
    difference to the one before, and accuracies in steps of 0.01 %: ``[grid, differences, train, test]``.
    """
    grids, curves, long = Shared(), [], 0
    places: dict[int, int] = {}  # runs that were evaluated at the same steps share one array
    for run in runs:
        steps_T, test_T, train_T = run.curve[:3]
        if id(steps_T) not in places:
            places[id(steps_T)] = grids.place(steps_T.tolist())
        kept = thinned(steps_T, (train_T, test_T))
        gaps = np.diff(kept, prepend=0).tolist()
        curves.append([places[id(steps_T)], gaps, *(ten_thousandths(of[kept]) for of in (train_T, test_T))])
        long += len(kept) < len(steps_T)
    return {"grids": grids.values, "runs": curves, "most": MOST_POINTS, "thinned": long}
