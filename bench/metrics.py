"""What is read off a curve: when to look, when a target was reached, whether it held."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TARGETS", "crossings", "evaluation_steps", "first_crossing", "right", "sustained"]

TARGETS = (0.95, 0.99)
CONFIRMATION = 1.2
"""A sustained crossing must hold until at least this many times its step."""
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


def sustained(steps: Sequence[int], values: Sequence[float | None], target: float) -> int | None:
    """Sustained crossing: the first step from which every later value holds, over at least 20 % more steps.

    Unlike the first crossing it is None while unconfirmed, and moves on when accuracy falls below the target again.
    """
    assert len(steps) == len(values)
    start = None
    for step, value in zip(reversed(steps), reversed(values), strict=True):  # asked after each look: mostly a short way
        if value is None or value < target:
            break
        start = step
    return start if start is not None and steps[-1] >= CONFIRMATION * start else None


def crossings(curve: dict[str, list[Any]], parts: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """First and sustained crossings of every target, by part: ``{part: {"0.95": step | None, …}}`` twice."""
    steps = curve["step"]
    return tuple(  # type: ignore[return-value]
        {part: {str(t): crossing(steps, curve[f"{part}_accuracy"], t) for t in TARGETS} for part in parts}
        for crossing in (first_crossing, sustained)
    )
