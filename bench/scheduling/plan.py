"""A plan: all cells of a request or a grid, what is stored of each, and what is left to do. Nothing has run."""

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import solved
from bench.results import Record, Store
from bench.scheduling.devices import WORTH_A_PROCESS, device_kind, gpus
from bench.scheduling.durations import Duration
from bench.specs import Budget, Family, Request, Spec, family

ACTIONS = ("run", "extend", "resume", "retry", "done")
CLOSED_FORM = 200
"""Updates that a cell counts as which takes no steps."""
FAMILIES = 4096
"""Families that a plan remembers."""


@dataclass(frozen=True)
class Step:
    """One cell of a plan.

    :param record: what is stored of it, or None.
    :param action: one of `ACTIONS`: "done" where the stored record covers the budget.
    """

    spec: Spec
    budget: Budget
    record: Record | None
    action: str

    def to_dict(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        return {
            "id": self.spec.id,
            "label": self.spec.label,
            "action": self.action,
            "spec": self.spec.to_dict(),
            "budget": asdict(self.budget),
        }


@dataclass(frozen=True)
class Entry:
    """One combination of a grid: cells that differ in their seed alone.

    :param device: what trains them: "cpu", "cuda" or "cuda:i".
    :param group: number of the group of cells that may train side by side.
    """

    request: Request
    budget: Budget
    device: str
    group: int


@dataclass(frozen=True)
class Group:
    """Cells that may train side by side.

    :param size: how many of them do at most.
    :param fleet: whether they train as one program.
    """

    learner: str
    device: str
    size: int
    fleet: bool


@dataclass
class Plan:
    """The cells of a request or a grid, each once. A million of them fit, so that they are kept as arrays.

    :param name: of the grid; empty for a request.
    :param entries: combinations of the grid.
    :param ids: of all cells, as numbers.
    :param entry: number of the entry of each cell.
    :param seed: of each cell.
    :param actions: number of the one of `ACTIONS` that each asks for.
    :param groups: by number.
    :param results: the results folder; None keeps nothing.
    :param force: whether what is stored is computed anew.
    :param of_grid: whether it is of a grid. The cells of one request may be trained in the process that asks for them,
        where a process of their own is not worth its start.
    :param stored: steps and seconds of the cells that go on from what is stored of them, by place.
    :param durations: what stored cells took, by learner and kind of device.
    :ivar troubles: cells that failed or timed out when it ran, with what they said.
    :ivar problems: what could not be written, or read, when it ran.
    :ivar busy: seconds that worker processes had something to do, once it ran, and
    :ivar spent: seconds of them by purpose.
    """

    name: str
    entries: list[Entry]
    ids: NDArray[np.uint64]
    entry: NDArray[np.int32]
    seed: NDArray[np.int64]
    actions: NDArray[np.int8]
    groups: list[Group]
    results: str | None
    force: bool = False
    of_grid: bool = True
    stored: dict[int, tuple[int, float]] = field(default_factory=dict)
    durations: dict[tuple[str, str], Duration] = field(default_factory=dict)
    troubles: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    busy: float = 0.0
    spent: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> Counter[str]:
        """Cells by what is to be done with them."""
        numbers, counts = np.unique(self.actions, return_counts=True)
        return Counter({ACTIONS[n]: int(c) for n, c in zip(numbers, counts, strict=True)})

    @property
    def todo(self) -> NDArray[np.intp]:
        """Places of the cells that are not covered by what is stored."""
        return np.flatnonzero(self.actions != ACTIONS.index("done"))

    def id(self, place: int) -> str:
        """The id of a cell."""
        return f"{int(self.ids[place]):016x}"

    def spec(self, place: int) -> Spec:
        """The spec of a cell."""
        number = int(self.entry[place])
        if number not in self._families:
            self._families[number] = family(self.entries[number].request)
            if len(self._families) > FAMILIES:
                self._families.popitem(last=False)
        return self._families[number].at(int(self.seed[place]))

    @cached_property
    def _families(self) -> OrderedDict[int, Family]:
        return OrderedDict()

    def group(self, place: int) -> int:
        """The number of the group of a cell."""
        return self.entries[self.entry[place]].group

    def budget(self, place: int) -> Budget:
        """The budget of a cell."""
        return self.entries[self.entry[place]].budget

    @cached_property
    def steps(self) -> list[Step]:
        """Each cell with its spec and what was stored of it when this was first asked for."""
        store = None if self.results is None or self.force or not Path(self.results).exists() else Store(self.results)
        records = [None if store is None else store.read(self.id(place)) for place in range(len(self))]
        actions = [ACTIONS[number] for number in self.actions]
        budgets = map(self.budget, range(len(self)))
        return list(map(Step, map(self.spec, range(len(self))), budgets, records, actions))

    def records(self) -> Iterator[Record]:
        """What is stored of the cells, in their order."""
        return (record for _, record in self.placed_records())

    def placed_records(self) -> Iterator[tuple[int, Record]]:
        """What is stored of the cells, each with its place."""
        if self.results is None:
            return
        store = Store(self.results)
        for place in range(len(self)):
            record = store.read(self.id(place))
            if record is not None:
                yield place, record

    def sort(self, entry: Entry) -> tuple[str, str]:
        """Learner and kind of device, by which ``durations`` are known."""
        return self.groups[entry.group].learner, device_kind(entry.device)

    def fleet(self, group: int, count: int, slots: int) -> int:
        """How many of so many cells of a group train side by side, for all slots to have something to do."""
        return min(self.groups[group].size, max(1, -(-count // slots)))

    def slots(self, cores: int) -> list[str]:
        """The devices of the worker processes that the cells to do have, one for each process.

        The choice depends on nothing that a clock says, since a fleet of another size rounds differently.
        """
        cells, updates = Counter[str](), Counter[str]()
        for number, count in Counter(self.entry[self.todo].tolist()).items():
            entry = self.entries[number]
            cells[entry.device] += count
            updates[entry.device] += count * max(entry.budget.steps, CLOSED_FORM)
        worth = dict(cells)
        if not self.of_grid:
            worth = {device: min(cells[device], max(1, updates[device] // WORTH_A_PROCESS)) for device in cells}
        cuda = [device for device in worth if device != "cpu"]
        if cuda == ["cuda"] and gpus() > 1:
            cuda = [f"cuda:{i}" for i in range(min(worth["cuda"], gpus()))]
        return cuda + ["cpu"] * min(cores, worth.get("cpu", 0))

    def seconds_left(self, slots: int) -> tuple[float, int]:
        """Seconds that the cells to do take by what such cells took, and how many are of a kind never seen here."""
        total, unknown = 0.0, 0
        counts = Counter(self.entry[self.todo].tolist())
        stored = Counter[int]()
        for place, (steps, _) in self.stored.items():
            stored[int(self.entry[place])] += steps
        for number, count in counts.items():
            entry = self.entries[number]
            known = self.durations.get(self.sort(entry))
            if known is None:
                unknown += count
            else:
                limit = math.inf if entry.budget.seconds is None else entry.budget.seconds
                steps = count * max(1, entry.budget.steps) - stored[number]
                total += min(count * limit, known.seconds(count, steps))
        return total / slots, unknown


def action(record: Record, budget: Budget) -> str:
    """What is left to do for a budget, given what is stored."""
    status, reached = record["status"], record["final"]["step"]
    if status == "failed":
        return "retry"
    limit = record["budget"]["seconds"]
    if reached is None:  # it could not even be asked how far it was
        return "done" if _no_longer(budget.seconds, limit) else "retry"
    if status == "diverged" or reached >= budget.steps:
        return "done"
    if budget.stop_when_solved and solved(record["curve"]):
        return "done"
    if status == "timeout" and _no_longer(budget.seconds, limit):
        return "done"
    return "resume" if status == "interrupted" else "extend"


def _no_longer(seconds: float | None, limit: float | None) -> bool:
    return limit is not None and seconds is not None and seconds <= limit
