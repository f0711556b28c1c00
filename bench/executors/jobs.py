"""Jobs, which are sent to worker processes, and the results that these send back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.results import Record
from bench.specs import Budget, Spec


@dataclass(frozen=True)
class WorkUnit:
    """One cell of a job.

    :param prior: the stored record to continue from; None starts at step 0.
    :param model_only: whether the stored record is complete and only its model is saved.
    :param model: the file for the fitted pipeline, or None.
    """

    spec: Spec
    budget: Budget
    prior: Record | None = field(default=None, repr=False)
    model_only: bool = False
    model: str | None = None


@dataclass(frozen=True)
class Job:
    """Cells that one worker trains side by side.

    :param threads: number of threads for arithmetic.
    :param results: the results folder; None stores nothing.
    :param force: whether stored records are replaced.
    :param keep_states: the number of evaluations of each cell at which its state is kept.
    :param lease: the file of the lease on the cells, whose lock the worker shares.
    :param source: commit and state of the source, which the main process has read once.
    :param repeats: how many such jobs one worker will run; it decides whether compiling pays.
    :param tuning: the entry of records about the study that chose their settings; None without a study.
    """

    units: tuple[WorkUnit, ...]
    device: str = "cpu"
    threads: int = 1
    results: str | None = None
    force: bool = False
    keep_states: int = 0
    source: tuple[str | None, bool | None] = (None, None)
    lease: str | None = None
    repeats: int = 1
    tuning: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """The id of its first cell, which no other job has."""
        return self.units[0].spec.id


@dataclass(frozen=True)
class Result:
    """The result of one cell.

    :param problem: a message about the record or the model that could not be written, or None.
    """

    record: Record
    problem: str | None = None
