"""A plan: all cells of a request, what is stored of each, and what is left to do."""

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness.replica import solved
from bench.results.record import Record
from bench.results.store import Store
from bench.scheduling.devices import device_kind, gpus
from bench.scheduling.durations import Duration
from bench.specs.resolve import family
from bench.specs.spec import Budget, Family, Spec

__all__ = ["ACTIONS", "FAMILY", "Entry", "Plan", "Step", "Sweep", "action"]


@dataclass(frozen=True)
class Step:
    """One cell of a plan.

    :param record: what is stored of it, or None.
    :param action: "run", "extend", "resume", "retry", or "done" where the stored record covers the budget.
    """

    spec: Spec
    budget: Budget
    record: Record | None
    action: str

    def to_dict(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        budget = asdict(self.budget)
        return {
            "id": self.spec.id,
            "label": self.spec.label,
            "action": self.action,
            "spec": self.spec.to_dict(),
            "budget": budget,
        }


@dataclass(frozen=True)
class Plan:
    """All cells of a request, validated; nothing has run."""

    steps: list[Step]
    device: str
    results: str | None
    force: bool = False

    @property
    def todo(self) -> list[Step]:
        """Cells that are not covered by what is stored."""
        return [step for step in self.steps if step.action != "done"]


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


ACTIONS = ("run", "extend", "resume", "retry", "done")


@dataclass(frozen=True)
class Entry:
    """One request of a grid, that is cells which differ in their seed alone.

    :param device: what trains them: "cpu", "cuda" or "cuda:i".
    :param group: number of the group of cells that may train side by side.
    """

    request: Mapping[str, Any]
    budget: Budget
    device: str
    group: int

    def family(self) -> Family:
        """Its specs."""
        return family(**{key: value for key, value in self.request.items() if key in FAMILY})


@dataclass
class Sweep:
    """The cells of a grid. Nothing has run.

    :param entries: requests.
    :param ids: of all cells, as numbers; each once.
    :param entry: number of the request of each cell.
    :param seed: of each cell.
    :param actions: number of the `ACTIONS` that each asks for.
    :param learners: names, by group, and
    :param sizes: cells that train side by side at most.
    :param stored: steps and seconds of the cells that go on from what is stored of them, by place.
    :param durations: what stored cells took, by learner and kind of device.
    :param devices: what trains them, by group.
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
    learners: list[str]
    sizes: list[int]
    devices: list[str]
    results: str
    device: str
    force: bool = False
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
        return _family(self, int(self.entry[place])).at(int(self.seed[place]))

    def records(self) -> Iterator[Record]:
        """What is stored of the cells, in their order."""
        return (record for _, record in self.placed_records())

    def placed_records(self) -> Iterator[tuple[int, Record]]:
        """What is stored of the cells, each with its place."""
        store = Store(self.results)
        for place in range(len(self)):
            record = store.read(self.id(place))
            if record is not None:
                yield place, record

    def sort(self, entry: Entry) -> tuple[str, str]:
        """Learner and kind of device, by which ``durations`` are known."""
        return self.learners[entry.group], device_kind(entry.device)

    def fleet(self, group: int, count: int, slots: int) -> int:
        """How many of so many cells of a group train side by side, for all slots to have something to do."""
        return min(self.sizes[group], max(1, -(-count // slots)))

    def slots(self, cores: int) -> list[str]:
        """The devices of the worker processes that the cells to do have, one for each process."""
        kinds = {self.entries[number].device for number in np.unique(self.entry[self.todo]).tolist()}
        cuda = [device for device in kinds if device != "cpu"]
        names = [f"cuda:{i}" for i in range(gpus())] if cuda == ["cuda"] and gpus() > 1 else cuda
        return names + ["cpu"] * (min(cores, len(self.todo)) if "cpu" in kinds else 0)

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


def _family(planned: Sweep, number: int) -> Family:
    cache: OrderedDict[int, Family] = planned.__dict__.setdefault("_families", OrderedDict())
    if number not in cache:
        cache[number] = planned.entries[number].family()
        if len(cache) > 4096:
            cache.popitem(last=False)
    return cache[number]


FAMILY = (
    *("encoder", "learner", "settings", "combine", "sdr", "task", "modulus", "pairs", "train_fraction"),
    *("validation_fraction", "stop_when_solved", "precision", "split_seed"),
)
