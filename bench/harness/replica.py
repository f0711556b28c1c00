"""One replica of a group: its cell, its curve, its state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from bench.harness.probes import PROBES, Probes
from bench.results import PARTS, Record, State, evaluation_steps, settled
from bench.specs import Budget, Cell

SOLVED = 0.99


@dataclass
class Replica:
    """One cell as the harness sees it.

    :param grid: the steps at which it is looked at: those of a run of its own, whatever its neighbours' budgets are.
    :param step: to which it is trained.
    :param passed: the last point of all cells' grids that it is beyond.
    """

    cell: Cell
    budget: Budget
    grid: frozenset[int]
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
        """Updates between two moments at which it can be looked at."""
        return self.cell.learner.granularity(self.cell.n_train)

    @property
    def late(self) -> bool:
        """Whether its seconds are used up, those of the run that it goes on from included."""
        before = self.prior["seconds"]["total"] if self.prior else 0.0
        return self.budget.seconds is not None and before + sum(self.seconds.values()) >= self.budget.seconds

    def waits_for(self, step: int) -> bool:
        """Whether it has still to come to this point, and to be looked at there if it is one of its own."""
        return self.status == "running" and self.passed < step <= self.budget.steps


def begin_replica(
    cell: Cell,
    budget: Budget,
    prior: tuple[Record, State] | None,
    grids: dict[tuple[int, int], frozenset[int]],
) -> Replica:
    """A cell at its start, or where it was.

    :param grids: of budgets and granularities, remembered for further cells.
    """
    key = budget.steps, cell.learner.granularity(cell.n_train)
    grid = grids[key] = grids.get(key) or frozenset(evaluation_steps(*key))
    if prior is None:
        return Replica(cell, budget, grid, blank_curve(), None)
    # The last point of a shorter run may lie off the grid: a run without the interruption would not have it.
    record = prior[0]
    start, before = record["final"]["step"], cast("dict[str, list[Any]]", record["curve"])
    assert start is not None
    assert start < budget.steps
    kept = [i for i, step in enumerate(before["step"]) if step in grid]
    curve = {name: [values[i] for i in kept] for name, values in before.items()}
    return Replica(cell, budget, grid, curve, record, start, start)


def blank_curve() -> dict[str, list[Any]]:
    """A curve without evaluations."""
    return {name: [] for name in ("step", *(f"{part}_{kind}" for kind in ("accuracy", "loss") for part in PARTS))}


def status_of(replica: Replica, stop: bool) -> str:
    """The status of a replica after an evaluation."""
    if replica.status == "diverged":
        return "diverged"
    if replica.step >= replica.budget.steps or (replica.budget.stop_when_solved and solved(replica.curve)):
        return "done"
    if replica.late:
        return "timeout"
    return "interrupted" if stop else "running"


def solved(curve: Mapping[str, Any]) -> bool:
    """Whether validation, never test, has held 99 % to twice the step at which it got there."""
    return settled(curve["step"], curve["validation_accuracy"], SOLVED)
