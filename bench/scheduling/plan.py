"""Plans: all cells of a request or a grid, with their stored records and the action that each needs."""

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DamagedError, StoreError
from bench.executors import Executor, executor_class
from bench.harness import solved
from bench.results import Record, Store, described_faults
from bench.scheduling.devices import device_kind, gpu_names
from bench.scheduling.durations import Duration
from bench.specs import Budget, Family, Request, Spec, family

ACTIONS = ("run", "extend", "resume", "retry", "done")
FAMILIES = 4096
"""The number of families that a plan caches."""


@dataclass(frozen=True)
class PlannedCell:
    """One cell of a plan.

    :param record: the stored record, or None.
    :param action: one of `ACTIONS`; "done" if the stored record covers the budget.
    """

    spec: Spec
    budget: Budget
    record: Record | None
    action: str

    @property
    def id(self) -> str:
        """The id of its record, which for one of schema 1 is not the spec's."""
        return self.spec.id if self.record is None else self.record["id"]

    def to_dict(self) -> dict[str, Any]:
        """The output of ``--dry-run --json``."""
        return {
            "id": self.id,
            "label": self.spec.label,
            "action": self.action,
            "spec": self.spec.to_dict(),
            "budget": asdict(self.budget),
        }


@dataclass(frozen=True)
class Entry:
    """One combination of a grid: cells that differ in their seed only.

    :param device: "cpu", "cuda" or "cuda:i".
    :param group: the number of the group of cells that may train side by side.
    """

    request: Request
    budget: Budget
    device: str
    group: int


@dataclass(frozen=True)
class Group:
    """Cells that may train side by side.

    :param size: the largest number of them that do.
    :param fleet: whether they train as one program.
    """

    learner: str
    device: str
    size: int
    fleet: bool


@dataclass
class Plan:
    """The cells of a request or a grid, each once. They are stored as arrays, since a grid may have a million.

    :param name: the name of the grid; empty for a request.
    :param entries: the combinations of the grid.
    :param ids: the id of each cell, as a number.
    :param entry: the index of the entry of each cell.
    :param seed: the seed of each cell.
    :param actions: the action of each cell, as an index of `ACTIONS`.
    :param groups: groups of cells that may train side by side.
    :param results: the results folder; None stores nothing.
    :param executor: where its jobs run.
    :param force: whether stored cells are computed again.
    :param keep_states: the number of evaluations of each cell at which its state is kept.
    :param of_grid: whether it is the plan of a grid. The cells of a request may train in the main process if the start
        of worker processes would take longer.
    :param stored: steps and seconds of the records from which cells continue, by the index of the cell.
    :param durations: durations of stored cells, by learner and kind of device.
    :param damaged: the errors of stored records that are damaged, by id: the run sets these files aside and computes
        their cells anew.
    :ivar failures: status and error message of each cell that failed or timed out in the run, by id.
    :ivar problems: messages about records that could not be read, by the plan or by the run, or not be written.
    :ivar unread: messages about records that could not be read after the run, by id.
    :ivar busy: seconds for which workers of the run had a job, summed over workers.
    :ivar spent: the part of these seconds that records account for, by purpose.
    """

    name: str
    entries: list[Entry]
    ids: NDArray[np.uint64]
    entry: NDArray[np.int32]
    seed: NDArray[np.int64]
    actions: NDArray[np.int8]
    groups: list[Group]
    results: str | None
    executor: type[Executor] = field(default_factory=executor_class)
    force: bool = False
    keep_states: int = 0
    of_grid: bool = True
    stored: dict[int, tuple[int, float]] = field(default_factory=dict)
    durations: dict[tuple[str, str], Duration] = field(default_factory=dict)
    damaged: dict[str, DamagedError] = field(default_factory=dict)
    failures: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    busy: float = 0.0
    spent: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def title(self) -> str:
        """As "sweep league" or "run onehot+concat → ridge"."""
        return f"sweep {self.name}" if self.of_grid else f"run {self.spec(0).label}"

    @property
    def counts(self) -> Counter[str]:
        """The number of cells for each action."""
        numbers, counts = np.unique(self.actions, return_counts=True)
        return Counter({ACTIONS[n]: int(c) for n, c in zip(numbers, counts, strict=True)})

    @property
    def warnings(self) -> list[str]:
        """What a dry run says of stored records that cannot be used."""
        damaged = list(self.damaged.values())
        cells = "Its cell" if len(damaged) == 1 else "Their cells"
        anew = [f"{described_faults(damaged)}. {cells} would be computed anew."] if damaged else []
        return [*anew, *self.problems]

    @property
    def todo(self) -> NDArray[np.intp]:
        """The indices of the cells that are not done."""
        return np.flatnonzero(self.actions != ACTIONS.index("done"))

    def id(self, index: int) -> str:
        """The id of a cell."""
        return f"{int(self.ids[index]):016x}"

    def index(self, id: str) -> int:
        """The index of the cell of an id."""
        return int(np.flatnonzero(self.ids == np.uint64(int(id, 16)))[0])

    def spec(self, index: int) -> Spec:
        """The spec of a cell."""
        return self._family(index).at(int(self.seed[index]))

    def older_ids(self, index: int) -> list[str]:
        """The ids that records of schema 1 had for a cell."""
        return self._family(index).older_ids(int(self.seed[index]))

    def _family(self, index: int) -> Family:
        """The specs of a cell's entry."""
        number = int(self.entry[index])
        if number not in self._families:
            self._families[number] = family(self.entries[number].request)
            if len(self._families) > FAMILIES:
                self._families.popitem(last=False)
        return self._families[number]

    @cached_property
    def _families(self) -> OrderedDict[int, Family]:
        return OrderedDict()

    def group(self, index: int) -> int:
        """The index of the group of a cell."""
        return self.entries[self.entry[index]].group

    def budget(self, index: int) -> Budget:
        """The budget of a cell."""
        return self.entries[self.entry[index]].budget

    @cached_property
    def steps(self) -> list[PlannedCell]:
        """All cells, with their records at the first access to this property."""
        store = None if self.results is None or self.force or not Path(self.results).exists() else Store(self.results)
        records = [None if store is None else _readable(store, self.id(index)) for index in range(len(self))]
        return [
            PlannedCell(self.spec(index), self.budget(index), record, ACTIONS[self.actions[index]])
            for index, record in enumerate(records)
        ]

    def records(self) -> Iterator[Record]:
        """The stored records of the cells, in their order.

        :raises StoreError: after the last one, where some cannot be read; its message is about the first of them.
        """
        yield from (record for _, record in self.indexed_records())
        for message in self.unread.values():
            raise StoreError(message)

    def indexed_records(self) -> Iterator[tuple[int, Record]]:
        """The stored records of the cells that can be read, each with the index of its cell; sets ``unread``."""
        self.unread.clear()
        if self.results is None:
            return
        store = Store(self.results)
        for index in range(len(self)):
            try:
                record = store.read(self.id(index))
            except StoreError as error:
                self.unread[self.id(index)] = str(error)
                continue
            if record is not None:
                yield index, record

    def duration_key(self, entry: Entry) -> tuple[str, str]:
        """The key of an entry in ``durations``: learner and kind of device."""
        return self.groups[entry.group].learner, device_kind(entry.device)

    def fleet_size(self, group: int, count: int, slots: int) -> int:
        """The number of cells that train side by side if ``count`` cells of a group are spread over all slots."""
        return min(self.groups[group].size, max(1, -(-count // slots)))

    def worker_devices(self, cores: int) -> list[str]:
        """The device of each worker process of a grid.

        The choice does not depend on measured times, since a fleet of another size rounds differently.

        :param cores: the largest number of processes on the CPU.
        """
        most = Counter[str]()
        for number, count in Counter(self.entry[self.todo].tolist()).items():
            most[self.entries[number].device] += count
        cuda = [device for device in most if device != "cpu"]
        if cuda == ["cuda"]:
            cuda = gpu_names(self.executor.gpus())[: most["cuda"]]
        return cuda + ["cpu"] * min(cores, most["cpu"])

    def seconds_left(self, slots: int) -> tuple[float, int]:
        """An estimate of the seconds until all cells are done, and the number of cells for which there is none."""
        total, unknown = 0.0, 0
        stored = Counter[int]()
        for index, (steps, _) in self.stored.items():
            stored[int(self.entry[index])] += steps
        for number, count in Counter(self.entry[self.todo].tolist()).items():
            entry = self.entries[number]
            known = self.durations.get(self.duration_key(entry))
            if known is None:
                unknown += count
            else:
                limit = math.inf if entry.budget.seconds is None else entry.budget.seconds
                steps = count * max(1, entry.budget.steps) - stored[number]
                total += min(count * limit, known.seconds(count, steps))
        return total / slots, unknown


def _readable(store: Store, id: str) -> Record | None:
    """A stored record; None where there is none or it cannot be read, which the plan has noticed."""
    with suppress(StoreError):
        return store.read(id)
    return None


def action(record: Record, budget: Budget) -> str:
    """The action that a stored record needs for a budget."""
    status, reached, limit = record["status"], record["final"]["step"], record["budget"]["seconds"]
    no_more_time = limit is not None and budget.seconds is not None and budget.seconds <= limit
    if status == "failed" or reached is None:  # without a step its process was ended at the limit of seconds
        return "done" if status != "failed" and no_more_time else "retry"
    covered = status == "diverged" or reached >= budget.steps or (status == "timeout" and no_more_time)
    if covered or (budget.stop_when_solved and solved(record["curve"])):
        return "done"
    return "resume" if status == "interrupted" else "extend"
