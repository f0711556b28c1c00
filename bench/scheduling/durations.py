"""Estimates of the time that cells take, from the records of others."""

from dataclasses import dataclass

from bench.results import Record

UNFINISHED = ("interrupted", "timeout")


@dataclass
class Duration:
    """The time that the cells of a learner took.

    The estimate for a cell is the mean training time for each step of a budget, times its steps, plus the mean of all
    other time of a cell: compilation, probes, and evaluations, which become rarer as a run becomes longer. A cell that
    was solved before the end of its budget counts with its whole budget.

    >>> seen = Duration()
    >>> seconds = {"train": 4.0, "total": 26.0}
    >>> seen.add({"status": "done", "final": {"step": 50}, "budget": {"steps": 100}, "seconds": seconds})
    >>> seen.seconds(cells=1, steps=1000)
    62.0
    """

    cells: int = 0
    steps: int = 0
    training: float = 0.0
    total: float = 0.0

    def add(self, record: Record) -> None:
        """Count a record; failed ones count too, since further cells may fail likewise."""
        reached = record["final"]["step"]
        steps = reached if record["status"] in UNFINISHED and reached is not None else record["budget"]["steps"]
        self.cells += 1
        self.steps += max(1, steps)
        self.training += record["seconds"]["train"]
        self.total += record["seconds"]["total"]

    def seconds(self, cells: float, steps: float) -> float:
        """The estimate for some cells whose budgets have so many steps in all.

        :raises ZeroDivisionError: if no record was counted.
        """
        return cells * (self.total - self.training) / self.cells + steps * self.training / self.steps
