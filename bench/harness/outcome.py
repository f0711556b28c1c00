"""What comes of a replica: moments on the way, and a record at its end."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.harness.replica import Replica
from bench.results import curves as metrics
from bench.results.curves import PARTS
from bench.results.record import SCHEMA, Record, State
from learners import Learner, Training

__all__ = ["CheckpointError", "Moment", "Outcome", "moment", "record_of"]


@dataclass(frozen=True)
class Moment:
    """What a display may show of a cell in training.

    :param note: what keeps the training from going on just now, in a few words.
    :param over: whether it is trained, while others of its group go on.
    """

    id: str
    step: int
    budget: int
    train_accuracy: float | None
    test_accuracy: float | None
    seconds: float
    note: str = ""
    over: bool = False


@dataclass(frozen=True)
class Outcome:
    """What comes of a cell, finished or so far.

    :param record: its record but for the environment.
    :param state: gives what is needed to go on from here; it can be large.
    :param fitted: gives the learner as of now.
    """

    record: Record
    state: Callable[[], State] = field(repr=False)
    fitted: Callable[[], Learner] = field(repr=False)


class CheckpointError(Exception):
    """A checkpoint does not fit the learner that it should be of.

    :param id: the record that it is of.
    """

    def __init__(self, id: str, why: object) -> None:
        super().__init__(f"The checkpoint of {id} does not fit: {why}")
        self.id = id


def moment(replica: Replica, seconds: float, note: str = "") -> Moment:
    """How far a replica is, as the progress display shows it."""
    train, test = ((replica.curve[f"{part}_accuracy"] or [None])[-1] for part in ("train", "test"))
    step, steps, over = replica.step, replica.budget.steps, replica.status != "running"
    return Moment(replica.cell.spec.id, step, steps, train, test, seconds, "" if over else note, over)


def record_of(replica: Replica, training: Training, r: int, elapsed: float, replicas: int) -> Record:
    """The record of a replica as it stands."""
    cell, curve = replica.cell, replica.curve
    final = {"step": curve["step"][-1]}
    final |= {f"{part}_{kind}": curve[f"{part}_{kind}"][-1] for kind in ("accuracy", "loss") for part in PARTS}
    return {
        "schema": SCHEMA,
        "id": cell.spec.id,
        "label": cell.spec.label,
        "status": "interrupted" if replica.status == "running" else replica.status,
        "spec": cell.spec.to_dict(),
        "budget": {
            "steps": replica.budget.steps,
            "seconds": replica.budget.seconds,
            "stop_when_solved": replica.budget.stop_when_solved,
        },
        "parameters": training.parameters(r),
        "final": final,
        **metrics.crossings(curve, PARTS),
        "test_accuracy_diagonal": replica.diagonal,
        "seconds": _seconds(replica, elapsed),
        "replicas": replicas,
        "compiled": training.compiled,
        "notices": list(training.notices),
        "flops": training.flops(r, final["step"]),
        "probes": replica.probes,
        "curve": curve,
        "error": None,
    }


def _seconds(replica: Replica, elapsed: float) -> dict[str, float]:
    """Seconds of one replica by purpose, with those of the run that it goes on from.

    :param elapsed: an equal share of all seconds of its group; what no purpose accounts for is the harness.
    """
    purposes = ("train", "evaluate", "compile", "probes")
    spent = {purpose: replica.seconds.get(purpose, 0.0) for purpose in purposes}
    spent["harness"] = max(0.0, elapsed - sum(spent.values()))
    spent["total"] = sum(spent.values())
    before = replica.prior["seconds"] if replica.prior else {}
    return {name: value + before.get(name, 0.0) for name, value in spent.items()}
