"""An observation: what a run shows up to the horizon. What comes later counts for nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.ranking.question import Question
from bench.ranking.runs import Run
from bench.results import confirmed

CUT_SHORT = {"timeout": "timed out", "interrupted": "interrupted"}
"""What runs of these statuses lack, in words."""
ROUNDING = 1 + 1e-9


class Crossing(NamedTuple):
    """At what cost a run reached the target, by its evaluations up to the horizon.

    :param after: the cost at the last evaluation that was still below the target: the one before the crossing.
    :param early: the cost at the crossing, on the assumption that it will last; infinite where there is none.
    :param late: the same on the assumption that it will be lost again: infinite until the crossing is confirmed.
    :param stands: whether the target is held to the end, confirmed or not.
    :param spacing: the resolution of the logarithm of the cost: log of the ratio between the step of the crossing and
        the evaluation before, log 2 at most and where it is the first evaluation.
    """

    after: float
    early: float
    late: float
    stands: bool = False
    spacing: float = 0.0

    @property
    def solved(self) -> bool:
        """Whether the run is known to reach the target."""
        return math.isfinite(self.late)

    @property
    def unconfirmed(self) -> bool:
        """Whether the target is held to the end, but not for long enough to be confirmed."""
        return self.stands and not self.solved

    @property
    def stopped(self) -> bool:
        """Whether the run ended before the horizon without reaching the target."""
        return not self.stands and math.isfinite(self.early)


@dataclass(frozen=True, slots=True)
class Observation:
    """A run as it was at the horizon, or at its end before it.

    :param step: up to which it was read; seconds and FLOPs are those up to there.
    :param accuracy: test accuracy at the last evaluation; 0 where the run diverged.
    :param train_accuracy: likewise.
    :param diagonal: None where the run goes on after the horizon: only the last value is recorded.
    :param crossing: None where its cost is unknown.
    :param gap: what the run lacks, in words; None where it is whole.
    """

    run: Run
    step: int
    accuracy: float
    train_accuracy: float | None
    diagonal: float | None
    diverged: bool
    seconds: float | None
    flops: float | None
    crossing: Crossing | None
    gap: str | None

    @property
    def key(self) -> tuple[int | None, ...]:
        """Seed and split, which runs of other rows may share."""
        return self.run.seeds[:2]


def row_budget(runs: Sequence[Run], unit: str) -> float | None:
    """The smallest budget of a row's runs; None for a closed form, or where the cost is unknown."""
    begun = [run for run in runs if run.iterative and run.last is not None and (run.last or unit == "steps")]
    return min((cost for run in begun if (cost := run.cost(run.budget, unit)) is not None), default=None)


def horizon_of(rows: Sequence[Sequence[Run]], question: Question) -> float | None:
    """Up to where the runs of a block are read: as asked for, or the smallest budget of its iterative rows.

    None where no row takes steps.
    """
    if question.horizon is not None:
        return question.horizon
    budgets = [row_budget(runs, question.unit.name) for runs in rows]
    return min((budget for budget in budgets if budget is not None), default=None)


def observe(run: Run, question: Question, horizon: float | None) -> tuple[Observation | None, str | None]:
    """The observation of a run, None where there is none, and what the run lacks, in words."""
    if run.last is None or run.status == "failed":
        return None, CUT_SHORT.get(run.status, "failed")
    within = run.last if horizon is None or not run.last else run.steps_within(horizon, question.unit.name)
    step = min(run.last, within)
    count = int(np.searchsorted(run.curve.steps_T, step, side="right"))
    diverged = _diverged(run, step, count)
    accuracy = 0.0 if diverged else float(run.curve.test_T[count - 1]) if count else 0.0
    if math.isnan(accuracy) or not (count or diverged or question.criterion.kind == "cost"):
        return None, "without a test accuracy" if count else "not evaluated by then"
    crossing = _crossing(run, question, horizon, step, count, diverged)
    whole, wanted = step == run.last, run.budget if horizon is None else within
    gap = CUT_SHORT.get(run.status) if whole and run.last < wanted else None
    gap = f"of unknown {question.unit.noun}" if crossing is None else gap
    train = float(run.curve.train_T[count - 1]) if count else math.nan
    observation = Observation(
        run=run,
        step=step,
        accuracy=accuracy,
        train_accuracy=None if math.isnan(train) else train,
        diagonal=run.diagonal if whole else None,
        diverged=diverged,
        seconds=run.cost(step, "seconds"),
        flops=run.cost(step, "flops"),
        crossing=crossing,
        gap=gap,
    )
    return observation, gap


def _diverged(run: Run, step: int, count: int) -> bool:
    """Whether the run had diverged by a step: an accuracy that is not a number stays so."""
    if run.status != "diverged":
        return False
    return step == run.last or bool(count and math.isnan(run.curve.test_T[count - 1]))


def _crossing(
    run: Run, question: Question, horizon: float | None, step: int, count: int, diverged: bool
) -> Crossing | None:
    """The crossing within the first ``count`` evaluations of a run read up to a step; None where costs are unknown."""
    unit, steps_T = question.unit.name, run.curve.steps_T
    if run.cost(step, unit) is None:
        return None

    def cost(at: float) -> float:
        return run.cost(at, unit) or 0.0

    last = int(steps_T[count - 1]) if count else 0
    never = Crossing(cost(last) if run.iterative else math.inf, math.inf, math.inf)
    if diverged and question.crossing != "first":
        return never
    start = _start(run.curve.test_T[:count] >= question.target, question.crossing)
    if start is None:
        until = run.budget if horizon is None else run.steps_within(horizon, unit)
        over = diverged or not run.iterative or step >= until
        return never if over else Crossing(cost(last), cost(step), math.inf)
    at, before = int(steps_T[start]), int(steps_T[start - 1]) if start else 0
    if horizon is not None and cost(at) > horizon * ROUNDING:  # a closed form that costs more than the horizon
        return Crossing(horizon, math.inf, math.inf)
    lasts = question.crossing == "first" or confirmed(at, last)
    spacing = math.log(min(2.0, at / before)) if before else math.log(2.0) if at else 0.0
    return Crossing(cost(before), cost(at), cost(at) if lasts else math.inf, True, spacing)


def _start(reached_T: NDArray[np.bool_], crossing: str) -> int | None:
    """The place of the first evaluation that reaches the target, or from which on all do; None where there is none."""
    if not len(reached_T) or not reached_T.any():
        return None
    if crossing == "first":
        return int(reached_T.argmax())
    held = int(reached_T[::-1].argmin()) if not reached_T.all() else len(reached_T)
    return len(reached_T) - held if held else None
