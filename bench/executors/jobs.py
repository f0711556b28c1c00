"""What travels to a worker process, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.results import Record
from bench.specs import Budget, Spec


@dataclass(frozen=True)
class Unit:
    """One cell of a job.

    :param prior: the stored record to go on from, or None to begin.
    :param recalled: the stored record is whole, only its model is wanted.
    :param model: where to save the fitted pipeline, or None.
    """

    spec: Spec
    budget: Budget
    prior: Record | None = field(default=None, repr=False)
    recalled: bool = False
    model: str | None = None


@dataclass(frozen=True)
class Job:
    """Cells that train side by side, as they travel to a worker process.

    :param threads: of the arithmetic.
    :param results: the results folder, or None to keep nothing.
    :param force: what is stored gives way, whatever it is.
    :param lease: the file of the lease on the cells, whose lock the worker shares.
    :param source: commit and state of the source, read once.
    :param repeats: how many jobs of this structure one worker may expect, this one included.
    :param tuning: what records say of the study that chose their settings; None where none did.
    """

    units: tuple[Unit, ...]
    device: str = "cpu"
    threads: int = 1
    results: str | None = None
    force: bool = False
    source: tuple[str | None, bool | None] = (None, None)
    lease: str | None = None
    repeats: int = 1
    tuning: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """What tells it from other jobs."""
        return self.units[0].spec.id


@dataclass(frozen=True)
class Result:
    """What a worker hands back of a cell: the record, and what could not be written."""

    record: Record
    problem: str | None = None
