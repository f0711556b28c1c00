"""One replica of a fleet: its cell, its curve, its state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from bench.harness.probes import PROBES, Probes
from bench.results import PARTS, Record, evaluation_steps, evenly, settled
from bench.specs import Budget, Cell

SOLVED = 0.99


@dataclass
class Replica:
    """One cell in training.

    :param evaluation_steps: the steps at which it is evaluated, which do not depend on the other cells of its fleet.
    :param kept_steps: those of them at which its state is kept.
    :param step: the number of steps that it is trained.
    :param passed: last step of the cells' common evaluation steps that this replica has passed.
    """

    cell: Cell
    budget: Budget
    evaluation_steps: frozenset[int]
    kept_steps: frozenset[int]
    curve: dict[str, list[Any]]
    prior: Record | None
    step: int = 0
    passed: int = -1
    status: str = "running"
    diagonal: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    probes: Probes = field(default_factory=lambda: dict.fromkeys(PROBES))

    @property
    def granularity(self) -> int:
        """Steps between two points at which it can be evaluated."""
        return self.cell.learner.granularity(self.cell.n_train)

    @property
    def out_of_time(self) -> bool:
        """Whether its seconds are used up, those of the run that it continues included."""
        before = self.prior["seconds"]["total"] if self.prior else 0.0
        return self.budget.seconds is not None and before + sum(self.seconds.values()) >= self.budget.seconds

    def has_ahead(self, step: int) -> bool:
        """Whether it has still to train to this step."""
        return self.status == "running" and self.passed < step <= self.budget.steps


def begin_replica(cell: Cell, budget: Budget, record: Record | None, keep_states: int = 0) -> Replica:
    """A replica at step 0, or at the last step of the record that it continues.

    :param keep_states: the number of its evaluations, without the last, at which its state is kept.
    """
    steps = _evaluation_steps(budget.steps, cell.learner.granularity(cell.n_train))
    inner = sorted(steps)[:-1]  # of the last one there is a checkpoint
    kept_steps = frozenset(inner[place] for place in evenly(inner, keep_states)) if keep_states else frozenset()
    if record is None:
        return Replica(cell, budget, steps, kept_steps, empty_curve(), None)
    # The last point of a shorter run may be none of these steps, and a run without an interruption would not have it.
    start, before = record["final"]["step"], cast("dict[str, list[Any]]", record["curve"])
    assert start is not None
    assert start < budget.steps
    kept = [i for i, step in enumerate(before["step"]) if step in steps]
    curve = {name: [values[i] for i in kept] for name, values in before.items()}
    return Replica(cell, budget, steps, kept_steps, curve, record, start, start)


@lru_cache
def _evaluation_steps(steps: int, granularity: int) -> frozenset[int]:
    return frozenset(evaluation_steps(steps, granularity))


def empty_curve() -> dict[str, list[Any]]:
    """A curve without evaluations."""
    return {name: [] for name in ("step", *(f"{part}_{kind}" for kind in ("accuracy", "loss") for part in PARTS))}


def status_of(replica: Replica, stop: bool) -> str:
    """The status of a replica after an evaluation."""
    if replica.status == "diverged":
        return "diverged"
    if replica.step >= replica.budget.steps or (replica.budget.stop_when_solved and solved(replica.curve)):
        return "done"
    if replica.out_of_time:
        return "timeout"
    return "interrupted" if stop else "running"


def solved(curve: Mapping[str, Any]) -> bool:
    """Whether validation accuracy has stayed at 99 % up to twice the step at which it reached it."""
    return settled(curve["step"], curve["validation_accuracy"], SOLVED)
