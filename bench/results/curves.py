"""What is read off a curve: when to look, when a target was reached, whether it held."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONFIRMATION",
    "PARTS",
    "RATIO",
    "TARGETS",
    "confirmed",
    "crossings",
    "evaluation_steps",
    "finite",
    "first_crossing",
    "held",
    "right",
    "settled",
    "sustained",
]

TARGETS = (0.95, 0.99)


CONFIRMATION = 1.5
"""A sustained crossing must hold until at least this many times its step. One of our searches found a setting that
reaches 99 % of the test pairs at step 24 in the median and holds it in none of fifty runs (of 200 steps)."""


SETTLED = 2.0
"""A run that stops when it is solved goes on to so many times the step of its validation crossing: a test crossing
that comes up to a third later is then confirmed as well."""


RATIO = 1.05
"""Evaluation points are at most this factor apart, as far as granularity allows."""


def evaluation_steps(budget: int, granularity: int) -> list[int]:
    """Steps at which to look, the last one the budget: every granule at first, then geometrically.

    The grid does not depend on the budget, so that a longer run passes through the points of a shorter one.

    >>> evaluation_steps(50, granularity=1)[-6:]
    [40, 42, 44, 46, 48, 50]
    """
    if granularity == 0:
        return [0]
    steps, granule = [], 0
    while granule * granularity < budget:
        granule = max(granule + 1, int(granule * RATIO))
        steps.append(min(granule * granularity, budget))
    return steps


def right(scores_NC: NDArray[np.floating], y_N: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Of which examples the class has the highest score, (N,); of equal scores the first counts."""
    return scores_NC.argmax(1) == y_N


def first_crossing(steps: Sequence[int], values: Sequence[float | None], target: float) -> int | None:
    """First crossing: the first step at or above the target, whatever comes after; None where there is none."""
    return next((s for s, v in zip(steps, values, strict=True) if v is not None and v >= target), None)


def held(steps: Sequence[int], values: Sequence[float | None], target: float) -> int | None:
    """The first step from which on every value holds to the end, confirmed or not; None where the last one does not."""
    assert len(steps) == len(values)
    start = None
    for step, value in zip(reversed(steps), reversed(values), strict=True):  # after each look: mostly a short way
        if value is None or value < target:
            break
        start = step
    return start


def confirmed(start: int, reached: int) -> bool:
    """Whether a crossing that holds from ``start`` to ``reached`` counts as sustained: ``reached ≥ 1.5 · start``.

    A closed form, which crosses at step 0, is confirmed at once.
    """
    return reached >= CONFIRMATION * start


def sustained(steps: Sequence[int], values: Sequence[float | None], target: float) -> int | None:
    """Sustained crossing: s₀ from which on every value holds to the end, at 1.5 s₀ or later.

    Unlike the first crossing it moves on when accuracy falls below the target again. A crossing that holds to the end
    but not yet to 1.5 s₀ is none, nor is it the same as none: it may or may not be confirmed by a longer run.
    """
    start = held(steps, values, target)
    return start if start is not None and confirmed(start, steps[-1]) else None


def settled(steps: Sequence[int], values: Sequence[float | None], target: float) -> bool:
    """Whether a crossing has held to twice its step: where a run stops that stops when it is solved."""
    start = held(steps, values, target)
    return start is not None and steps[-1] >= SETTLED * start


def crossings(curve: Mapping[str, Any], parts: Sequence[str]) -> dict[str, Any]:
    """What a record says of every target, by part: ``{key: {part: {"0.95": …, "0.99": …}}}``.

    ``steps_to`` is the first crossing and ``sustained_steps_to`` the sustained one, a step or None. ``held`` is
    ``[from, to]``: from which step on the target held, up to which evaluation, the run's last; None where it did not.
    """
    steps = curve["step"]

    def span(steps: Sequence[int], values: Sequence[float | None], target: float) -> list[int] | None:
        start = held(steps, values, target)
        return None if start is None else [start, steps[-1]]

    found = {"steps_to": first_crossing, "sustained_steps_to": sustained, "held": span}
    return {
        key: {part: {str(t): crossing(steps, curve[f"{part}_accuracy"], t) for t in TARGETS} for part in parts}
        for key, crossing in found.items()
    }


PARTS = ("train", "validation", "test")


def finite(value: float) -> float | None:
    """The number, or None where it is none."""
    return value if math.isfinite(value) else None
