"""What runs show within a horizon: nothing that came later counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.ranking.question import TIMED, Question
from bench.ranking.reading import Run
from bench.results.curves import confirmed

__all__ = ["Crossing", "Observation", "horizon_of", "observe", "row_budget"]

CUT = {"timeout": "timed out", "interrupted": "interrupted"}
ROUNDING = 1 + 1e-9


class Crossing(NamedTuple):
    """When a run reached the target, as far as its evaluations within the horizon tell.

    :param after: the cost of the evaluation before, at which it was not there yet; of a run that did not get there, of
        its last evaluation.
    :param early: the cost at its crossing, taken as one that lasts; infinite where there is none.
    :param late: the same, taken as one that will be lost: infinite while it is not confirmed.
    :param stands: whether it holds to the end, confirmed or not.
    :param spacing: log of the ratio of the step at which it was seen to the evaluation before, log 2 at most: before
        the first evaluation a logarithm has no end.
    """

    after: float
    early: float
    late: float
    stands: bool = False
    spacing: float = 0.0

    @property
    def solved(self) -> bool:
        """Whether it is known to have got there."""
        return math.isfinite(self.late)

    @property
    def unconfirmed(self) -> bool:
        """Whether it holds to the end, which came too early to confirm it."""
        return self.stands and not self.solved

    @property
    def stopped(self) -> bool:
        """Whether the run ended before the horizon without it."""
        return not self.stands and math.isfinite(self.early)


@dataclass(frozen=True, slots=True)
class Observation:
    """A run as it was within the horizon.

    :param step: up to where it was read, as its seconds and FLOPs.
    :param accuracy: test accuracy at the last evaluation; 0 where it diverged.
    :param train_accuracy: likewise.
    :param diagonal: None where the horizon cuts the run: it was not kept.
    :param crossing: None where its cost is unknown.
    :param gap: what it lacks, in words; None where it is whole.
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
        """Seed and split: what it shares with runs of other rows."""
        return self.run.seeds[:2]


def row_budget(runs: Sequence[Run], unit: str) -> float | None:
    """What all runs of a row were given: the least of their budgets; None for a closed form, or where it is unknown."""
    begun = [run for run in runs if run.iterative and run.last is not None and (run.last or unit == "steps")]
    return min((cost for run in begun if (cost := run.cost(run.budget, unit)) is not None), default=None)


def horizon_of(rows: Sequence[Sequence[Run]], question: Question) -> float | None:
    """Up to where the runs of a block are read: as asked for, or the smallest budget of its iterative rows.

    None where no row takes steps.
    """
    if question.horizon is not None:
        return question.horizon
    budgets = [budget for runs in rows if (budget := row_budget(runs, question.unit)) is not None]
    return min(budgets, default=None)


def observe(run: Run, question: Question, horizon: float | None) -> tuple[Observation | None, str | None]:
    """A run within a horizon, or None, and what it lacks, in words."""
    if run.last is None or run.status == "failed":
        return None, CUT.get(run.status, "failed")
    within = run.last if horizon is None or not run.last else run.steps_within(horizon, question.unit)
    step = min(run.last, within)
    count = int(np.searchsorted(run.curve.steps_T, step, side="right"))
    diverged = _diverged(run, step, count)
    accuracy = 0.0 if diverged else float(run.curve.test_T[count - 1]) if count else 0.0
    timed = question.by in TIMED
    if math.isnan(accuracy) or not (count or diverged or timed):
        return None, "without a test accuracy" if count else "not evaluated by then"
    crossing = _crossing(run, question, horizon, step, count, diverged)
    whole, wanted = step == run.last, run.budget if horizon is None else within
    gap = "of unknown FLOPs" if crossing is None else CUT.get(run.status) if whole and run.last < wanted else None
    train = float(run.curve.train_T[count - 1]) if count else math.nan
    seen = Observation(
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
    return seen, gap


def _diverged(run: Run, step: int, count: int) -> bool:
    """Whether it had diverged by a step: what is not a number then stays so."""
    if run.status != "diverged":
        return False
    return step == run.last or bool(count and math.isnan(run.curve.test_T[count - 1]))


def _crossing(
    run: Run, question: Question, horizon: float | None, step: int, count: int, diverged: bool
) -> Crossing | None:
    """The crossing within the first ``count`` evaluations of a run read up to a step; None where costs are unknown."""
    unit, steps_T = question.unit, run.curve.steps_T
    if run.cost(step, unit) is None:
        return None

    def cost(at: float) -> float:
        return run.cost(at, unit) or 0.0

    looked = int(steps_T[count - 1]) if count else 0
    never = Crossing(cost(looked) if run.iterative else math.inf, math.inf, math.inf)
    if diverged and question.crossing != "first":
        return never
    first = _start(run.curve.test_T[:count] >= question.target, question.crossing)
    if first is None:
        over = diverged or not run.iterative
        over = over or step >= (run.budget if horizon is None else run.steps_within(horizon, unit))
        return never if over else Crossing(cost(looked), cost(step), math.inf)
    at, before = int(steps_T[first]), int(steps_T[first - 1]) if first else 0
    if horizon is not None and cost(at) > horizon * ROUNDING:  # a closed form that costs more than the horizon
        return Crossing(horizon, math.inf, math.inf)
    lasts = question.crossing == "first" or confirmed(at, looked)
    spacing = math.log(min(2.0, at / before)) if before else math.log(2.0) if at else 0.0
    return Crossing(cost(before), cost(at), cost(at) if lasts else math.inf, True, spacing)


def _start(holds_T: NDArray[np.bool_], crossing: str) -> int | None:
    """The place of the first crossing, or of the one that holds to the end; None where there is none."""
    if not len(holds_T) or not holds_T.any():
        return None
    if crossing == "first":
        return int(holds_T.argmax())
    lost = int(holds_T[::-1].argmin()) if not holds_T.all() else len(holds_T)
    return len(holds_T) - lost if lost else None
