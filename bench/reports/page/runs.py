"""Every run of the league as the page has it: what it was asked, where it ran, what it showed, and its command."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from bench.ranking import Row, Run
from bench.reports.page.commands import Limits, commands_of
from bench.reports.page.packing import Shared, short
from bench.reports.page.settings import settings_data, settings_of
from bench.results import Record, crossings, flat

TARGET = "0.99"
"""Of the crossings in the table of seeds."""
VALUES = ("train", "test", "diagonal", "memorized", "first", "held", "until", "training", "total", "flops", "memory")
"""What a run shows: accuracies at its end; the step of the first evaluation with 99 % of the training pairs right, and
with 99 % of the test pairs right; from and up to which step the latter held; seconds; FLOPs; bytes."""


@dataclass(frozen=True)
class Kept:
    """What the page shows of a record and a ranking does not keep.

    :param environment, notices, error: places in the tables of `Collected`.
    :param values: see `VALUES`.
    """

    environment: int
    notices: int
    error: int
    limits: Limits
    values: tuple[Any, ...]


class Collected:
    """Receives each record once, as a ranking reads it, and keeps what the page shows of it.

    :ivar by_id: by the ids of the records.
    """

    def __init__(self) -> None:
        self.environments, self.notices, self.errors = Shared(), Shared(), Shared()
        self.by_id: dict[str, Kept] = {}

    def take(self, record: Record) -> None:
        """Keep what is shown of a record.

        :raises KeyError, TypeError, AttributeError, ValueError: for a record that is corrupt.
        """
        error, budget, final, seconds = record["error"], record["budget"], record["final"], record["seconds"]
        found: Mapping[str, Any] = record if "held" in record else crossings(record["curve"], ("train", "test"))
        first, held = found["steps_to"], found["held"]["test"][TARGET] or (None, None)
        self.by_id[record["id"]] = Kept(
            environment=self.environments.place(flat(record["environment"])),
            notices=self.notices.place(list(record.get("notices", ()))),
            error=self.errors.place(None if error is None else f"{error['type']}: {error['message']}"),
            limits=Limits(budget["steps"], budget["seconds"], budget["stop_when_solved"]),
            values=(
                *map(short, (final["train_accuracy"], final["test_accuracy"], record["test_accuracy_diagonal"])),
                *(first["train"][TARGET], first["test"][TARGET], *held),
                *(short(seconds.get("train")), short(seconds["total"]), record["flops"], record["peak_memory_bytes"]),
            ),
        )

    def machine_facts(self, runs: Iterable[Run]) -> list[list[str]]:
        """Devices, versions and commits of some runs, for the headline."""
        used = sorted({self.by_id[run.id].environment for run in runs})
        found = [self.environments.values[place] for place in used]
        devices = [f"{e['device']} ({e['processor']})" if e.get("processor") else str(e["device"]) for e in found]
        versions: dict[str, dict[str, None]] = {}
        for name, value in (pair for environment in found for pair in environment.items()):
            if name.startswith("versions.") and value is not None:
                versions.setdefault(name.removeprefix("versions."), {})[str(value)] = None
        return [
            ["devices", "; ".join(dict.fromkeys(devices))],
            ["versions", ", ".join(f"{name} {' and '.join(of)}" for name, of in versions.items())],
            ["commits", ", ".join(dict.fromkeys(map(_commit, found)))],
        ]


def _commit(environment: Mapping[str, Any]) -> str:
    commit, changed = environment.get("git_commit"), environment.get("dirty")
    return "unknown" if commit is None else f"{str(commit)[:10]}{' with changes' if changed else ''}"


def runs_of(rows: Sequence[Row]) -> list[Run]:
    """The runs of all rows, those of a row by their fractions and seeds."""
    return [run for row in rows for run in sorted(row.runs, key=lambda run: (run.fraction, run.seeds[0] or 0, run.id))]


def run_data(rows: Sequence[Row], collected: Collected, folder: str = "results") -> dict[str, Any]:
    """The runs in the order of `runs_of`: those of row i stand from ``starts[i]`` up to ``starts[i + 1]``."""
    runs = runs_of(rows)
    kept = [collected.by_id[run.id] for run in runs]
    settings = [settings_of(row) for row in rows]
    limits = {id: one.limits for id, one in collected.by_id.items()}
    return {
        "starts": [0, *accumulate(len(row.runs) for row in rows)],
        "id": [run.id for run in runs],
        "seed": [run.seeds[0] for run in runs],
        "split_seed": [run.seeds[1] for run in runs],
        "fraction": [run.fraction for run in runs],
        "status": [run.status for run in runs],
        "step": [run.last for run in runs],
        "budget": [one.limits.steps for one in kept],
        **{name: [one.values[place] for one in kept] for place, name in enumerate(VALUES)},
        **{name: [getattr(one, name) for one in kept] for name in ("environment", "notices", "error")},
        "environments": collected.environments.values,
        "all_notices": collected.notices.values,
        "errors": collected.errors.values,
        "settings": settings_data(settings),
        "commands": [commands_of(row, one.changed, limits, folder) for row, one in zip(rows, settings, strict=True)],
    }
