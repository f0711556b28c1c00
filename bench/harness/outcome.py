"""The output of a replica: its progress during training, and a record at its end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from bench.harness.probes import PROBES, Probes
from bench.harness.replica import Replica, empty_curve
from bench.results import (
    PARTS,
    SCHEMA,
    BudgetKeys,
    Curve,
    Final,
    ProbeKeys,
    Record,
    Seconds,
    SpecKeys,
    State,
    Status,
    Trained,
    crossings,
    described_error,
)
from bench.specs import Budget, Spec
from learners import Learner, Training


@dataclass(frozen=True)
class CellProgress:
    """The progress of a cell in training, for displays.

    :param budget: the steps of its budget.
    :param seconds: the time since its fleet began.
    :param note: a short message while something delays the training.
    :param over: whether the cell has ended, while others of its fleet still train.
    """

    id: str
    step: int
    budget: int
    train_accuracy: float | None
    test_accuracy: float | None
    seconds: float
    note: str = ""
    over: bool = False

    @property
    def how_far(self) -> str:
        """As "step 60 of 100 (compiling)"."""
        return f"step {self.step:,} of {self.budget:,}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True)
class Outcome:
    """The record, checkpoint and learner of a cell that is over or still in training.

    :param record: its record without the environment.
    :param state: a function that returns the checkpoint, which can be large.
    :param fitted: a function that returns the fitted learner.
    """

    record: Trained
    state: Callable[[], State] = field(repr=False)
    fitted: Callable[[], Learner] = field(repr=False)


class CheckpointError(Exception):
    """A checkpoint that does not fit its learner.

    :param id: the id of its record.
    """

    def __init__(self, id: str, why: object) -> None:
        super().__init__(f"The checkpoint of {id} does not fit: {why}")
        self.id = id


def progress_of(replica: Replica, seconds: float, note: str) -> CellProgress:
    """The progress of a replica."""
    train, test = ((replica.curve[f"{part}_accuracy"] or [None])[-1] for part in ("train", "test"))
    step, steps, over = replica.step, replica.budget.steps, replica.status != "running"
    return CellProgress(replica.cell.spec.id, step, steps, train, test, seconds, "" if over else note, over)


def record_of(replica: Replica, training: Training, r: int, elapsed: float, replicas: int) -> Trained:
    """The record of a replica at its present step.

    :param elapsed: its share of all seconds of its fleet.
    """
    return trained_record(
        replica.cell.spec,
        replica.budget,
        "interrupted" if replica.status == "running" else replica.status,
        replica.curve,
        elapsed,
        spent=replica.seconds,
        prior=replica.prior,
        parameters=training.parameters(r),
        diagonal=replica.diagonal,
        replicas=replicas,
        compiled=training.compiled,
        notices=training.notices,
        flops=training.flops(r, replica.curve["step"][-1]),
        probes=replica.probes,
    )


def trained_record(
    spec: Spec,
    budget: Budget,
    status: str,
    curve: dict[str, list[Any]],
    elapsed: float,
    *,
    spent: Mapping[str, float] | None = None,
    prior: Record | None = None,
    parameters: int | None = None,
    diagonal: float | None = None,
    replicas: int = 1,
    compiled: bool = False,
    notices: Sequence[str] = (),
    flops: int | None = None,
    probes: Probes | None = None,
    error: BaseException | None = None,
) -> Trained:
    """The record of a cell without its environment. The defaults are those of a cell that raised an error.

    :param elapsed: the cell's share of all seconds of its fleet.
    :param spent: seconds by purpose; the rest of ``elapsed`` counts for the harness.
    :param prior: the record of the run that this one continues, whose seconds are added.
    """
    purposes = {name: (spent or {}).get(name, 0.0) for name in ("train", "evaluate", "compile", "probes")}
    purposes["harness"] = max(0.0, elapsed - sum(purposes.values()))
    purposes["total"] = sum(purposes.values())
    before: Mapping[str, Any] = prior["seconds"] if prior else {}
    found = crossings(curve, PARTS)
    return {
        "schema": SCHEMA,
        "id": spec.id,
        "label": spec.label,
        "status": cast("Status", status),
        "spec": cast("SpecKeys", spec.to_dict()),
        "budget": cast("BudgetKeys", asdict(budget)),
        "parameters": parameters,
        "final": cast("Final", {name: (curve[name] or [None])[-1] for name in empty_curve()}),
        "steps_to": found["steps_to"],
        "sustained_steps_to": found["sustained_steps_to"],
        "held": found["held"],
        "test_accuracy_diagonal": diagonal,
        "seconds": cast("Seconds", {name: value + before.get(name, 0.0) for name, value in purposes.items()}),
        "replicas": replicas,
        "compiled": compiled,
        "notices": list(notices),
        "flops": flops,
        "probes": cast("ProbeKeys", probes or dict.fromkeys(PROBES)),
        "curve": cast("Curve", curve),
        "error": None if error is None else described_error(error),
    }
