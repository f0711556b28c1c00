"""How long cells take, by what such cells took."""

from dataclasses import dataclass

from bench.store import Record

__all__ = ["Cost"]

BY_STEPS = ("train", "evaluate")
"""Purposes whose seconds grow with a cell's steps. The others, programs above all, are as long for short cells."""


@dataclass
class Cost:
    """What the cells of a learner took.

    A cell of so many steps is expected to take what theirs took a step, and once what theirs took apart from steps.

    >>> cost = Cost()
    >>> cost.add({"final": {"step": 100}, "seconds": {"train": 4.0, "evaluate": 1.0, "compile": 20.0, "total": 26.0}})
    >>> cost.seconds(cells=1, steps=1000)
    71.0
    """

    cells: int = 0
    steps: int = 0
    stepping: float = 0.0
    total: float = 0.0

    def add(self, record: Record) -> None:
        """Count a record, unless it got nowhere."""
        if record["final"]["step"] is not None:
            self.cells += 1
            self.steps += max(1, record["final"]["step"])
            self.stepping += sum(record["seconds"].get(purpose, 0.0) for purpose in BY_STEPS)
            self.total += record["seconds"]["total"]

    def seconds(self, cells: float, steps: float) -> float:
        """What so many cells of so many steps in all take; one record has to be known.

        :raises ZeroDivisionError: where none is.
        """
        return cells * (self.total - self.stepping) / self.cells + steps * self.stepping / self.steps
