"""How long cells take, by what such cells took."""

from dataclasses import dataclass

from bench.results import Record

UNFINISHED = ("interrupted", "timeout")


@dataclass
class Duration:
    """What the cells of a learner took.

    A cell is expected to take, for each step of its budget, what theirs took to train, and once what theirs took apart
    from that: programs, probes, and looks, which become rarer the longer a run is. Cells that are solved before their
    budget is used up are cells that take less a step of it.

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
        """Count a record; one that failed is a cell as well, of which there may be more."""
        reached = record["final"]["step"]
        steps = reached if record["status"] in UNFINISHED and reached is not None else record["budget"]["steps"]
        self.cells += 1
        self.steps += max(1, steps)
        self.training += record["seconds"]["train"]
        self.total += record["seconds"]["total"]

    def seconds(self, cells: float, steps: float) -> float:
        """What so many cells take, whose budgets are so many steps together.

        :raises ZeroDivisionError: where no record was counted.
        """
        return cells * (self.total - self.training) / self.cells + steps * self.training / self.steps
