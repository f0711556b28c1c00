"""A record: what is stored of a cell, as a JSON document.

Keys that records of earlier versions lack are not required, so that these can still be read.
"""

import traceback
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

SCHEMA = 2
"""Of records. Raised when a key changes its meaning."""
DOCUMENTS = 1
"""Of the documents that --json prints and sites have, likewise."""
READ = (1, SCHEMA)
"""Schemas that this version reads: `bench.results.schema1` says what is new."""

Status = Literal["done", "diverged", "failed", "timeout", "interrupted"]
"""How the training of a cell ended."""


class SpecKeys(TypedDict):
    """All that decides a result but the budget."""

    task: str
    modulus: NotRequired[int | None]
    task_parameters: NotRequired[dict[str, Any]]
    protocol: str
    train_fraction: NotRequired[float]
    validation_fraction: NotRequired[float]
    encoder: dict[str, Any]
    combine: NotRequired[str]
    sdr: NotRequired[int | None]
    learner: dict[str, Any]
    optimizer: NotRequired[dict[str, Any] | None]
    precision: NotRequired[str]
    split_seed: int
    seed: int
    vault: NotRequired[dict[str, Any]]
    label_noise: NotRequired[float]


class BudgetKeys(TypedDict):
    """How long the cell was allowed to train."""

    steps: int
    seconds: float | None
    stop_when_solved: bool


class Final(TypedDict):
    """The last evaluation; None where there was none."""

    step: int | None
    train_accuracy: float | None
    validation_accuracy: NotRequired[float | None]
    test_accuracy: float | None
    train_loss: NotRequired[float | None]
    validation_loss: NotRequired[float | None]
    test_loss: NotRequired[float | None]


class Crossings(TypedDict):
    """By part and target accuracy ("0.95", "0.99"): the step of a crossing, None where there is none."""

    train: dict[str, int | None]
    validation: NotRequired[dict[str, int | None]]
    test: dict[str, int | None]


class Seconds(TypedDict):
    """The cell's share of the seconds of its fleet, by purpose."""

    train: NotRequired[float]
    evaluate: NotRequired[float]
    compile: NotRequired[float]
    probes: NotRequired[float]
    harness: NotRequired[float]
    total: float


class ProbeKeys(TypedDict):
    """Test accuracy of simple readouts of the encoding."""

    ridge: float | None
    knn: float | None
    bilinear: NotRequired[float | None]


class Environment(TypedDict):
    """Where a result was made."""

    versions: dict[str, str | None]
    device: str
    processor: NotRequired[str | None]
    threads: int
    git_commit: NotRequired[str | None]
    dirty: NotRequired[bool | None]
    sources: NotRequired[dict[str, str]]


class Curve(TypedDict):
    """The evaluations of a run in order; a learner can add further lists."""

    step: list[int]
    train_accuracy: list[float | None]
    validation_accuracy: list[float | None]
    test_accuracy: list[float | None]
    train_loss: NotRequired[list[float | None]]
    validation_loss: NotRequired[list[float | None]]
    test_loss: NotRequired[list[float | None]]


class Error(TypedDict):
    """The exception that ended a cell."""

    type: str
    message: str
    traceback: str


class Trained(TypedDict):
    """What training a cell gives: a record without the machine that it ran on.

    :param schema: the version of these keys.
    :param id: a hash of the spec and of the versions of its plugins; the budget is not part of it.
    :param label: encoding and learner in a line, as in tables, with the settings that differ from the defaults.
    :param status: how the training ended: "done", "diverged", "failed", "timeout" or "interrupted".
    :param spec: all that decides the result but the budget.
    :param budget: how long the cell was allowed to train.
    :param parameters: the number of trainable numbers.
    :param final: the last evaluation.
    :param steps_to: first crossings.
    :param sustained_steps_to: sustained crossings, which held to the run's end, at least to 1.5 times their step.
    :param held: as crossings, from which step up to which evaluation, the run's last, a target held.
    :param test_accuracy_diagonal: the accuracy on test pairs a = b; None where there are none.
    :param seconds: the cell's share of the time.
    :param replicas: how many cells trained in one fleet, this one included.
    :param compiled: whether it trained with a compiled program, which rounds differently.
    :param notices: messages for the user, a line each.
    :param flops: floating-point operations of the training; None where unknown.
    :param probes: what the encoding alone gives away.
    :param curve: all evaluations.
    :param error: the exception that ended the cell; None where there is none.
    """

    schema: int
    id: str
    label: str
    status: Status
    spec: SpecKeys
    budget: BudgetKeys
    parameters: int | None
    final: Final
    steps_to: Crossings
    sustained_steps_to: Crossings
    held: NotRequired[dict[str, dict[str, list[int] | None]]]
    test_accuracy_diagonal: float | None
    seconds: Seconds
    replicas: int
    compiled: NotRequired[bool]
    notices: NotRequired[list[str]]
    flops: int | None
    probes: ProbeKeys
    curve: Curve
    error: Error | None


class Record(Trained):
    """What is stored of a cell: the keys of `Trained`, and these. Numbers that are not finite are None.

    :param environment: where the result was made.
    :param peak_memory_bytes: the most memory that its process used, or on a GPU its fleet; None where unknown.
    :param tuning: the study that chose the settings; absent where none did.
    """

    environment: Environment
    peak_memory_bytes: int | None
    tuning: NotRequired[dict[str, Any]]


def described_error(error: BaseException) -> Error:
    """The ``error`` of a record."""
    lines = traceback.format_exception(error)
    return {"type": type(error).__name__, "message": str(error), "traceback": "".join(lines)}


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values by names with dots.

    >>> flat({"versions": {"torch": "2.11"}, "threads": 1})
    {'versions.torch': '2.11', 'threads': 1}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def goes_further(stored: Trained, record: Trained) -> bool:
    """Whether a stored record has more steps than a new one."""
    return last_step(stored) > last_step(record)


def last_step(record: Trained) -> int:
    """The final step of a record; −1 where it was never evaluated."""
    step = record["final"]["step"]
    return -1 if step is None else step
