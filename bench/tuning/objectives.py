"""The arithmetic of tuning: what a trial is worth, when a rule is met, which seeds and samplers trials take."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from bench.errors import RequestError, one_of
from bench.results.curves import CONFIRMATION, crossings
from bench.results.record import Record
from bench.results.words import many

__all__ = [
    "DIRECTIONS",
    "RATIOS",
    "Most",
    "best_of",
    "crossed_by",
    "doubt_of",
    "label_of",
    "learning_curve",
    "measures",
    "objectives_of",
    "reached_by",
    "rounded",
    "values_of",
]

TARGET = "0.99"


DIRECTIONS = {"steps": "minimize", "accuracy": "maximize", "cost": "minimize", "data": "minimize"}


LABELS = {
    "steps": "steps to hold 99 % on validation",
    "accuracy": "validation accuracy",
    "cost": "FLOPs to hold 99 % on validation",
    "data": "share of the pairs that train",
}


RATIOS = ("steps", "cost")
"""Objectives of which the mean over seeds is the geometric one: settings differ by factors."""


DIVERGED = 3.0
"""Budgets that a cell which diverged counts as: worse than any that never got to 99 %, which is two at most."""


POINTS = 40
"""Points of a learning curve that a study keeps: each is a line of its journal."""


OVER = ("done", "diverged", "timeout")
"""States of a cell that tell what its setting is worth."""


@dataclass(frozen=True)
class Most:
    """What a cell of a study may take: all that do not solve the task are measured by it, each by its own if larger.

    :param steps: the largest budget.
    :param flops: of the dearest budget; 0 where each is measured by its own.
    :param beyond: what does not solve the task is put beyond its cost; beside accuracy, cost is what it is.
    """

    steps: int = 0
    flops: float = 0.0
    beyond: bool = True


def objectives_of(text: str) -> tuple[str, ...]:
    """As "steps" or "accuracy,cost".

    :raises RequestError: for an unknown one, or more than two.

    >>> objectives_of("accuracy,cost")
    ('accuracy', 'cost')
    """
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in DIRECTIONS:
            raise RequestError(one_of("objective", name, DIRECTIONS))
    if len(set(names)) < len(names) or len(names) > 2:
        raise RequestError(f"--objective takes one objective, or two different ones, got {text!r}.")
    if names == ("data",):
        raise RequestError(
            "--objective data needs another beside it, as accuracy,data: to learn nothing takes no data."
        )
    return names


def label_of(objective: str) -> str:
    """The objective in words."""
    return LABELS[objective]


def values_of(objectives: Sequence[str], records: Sequence[Record], most: Most | None = None) -> list[float]:
    """What a trial is worth by each objective: the mean over its seeds, of steps and cost the geometric one.

    :param most: what a cell of the study may take; None measures each by its own budget.
    """
    most = replace(most or Most(), beyond="accuracy" not in objectives)
    worth = {objective: [_WORTH[objective](record, most) for record in records] for objective in objectives}
    return [_geometric(some) if name in RATIOS else float(np.mean(some)) for name, some in worth.items()]


def rounded(objective: str, value: float) -> float:
    """A value as a study keeps it: of steps and FLOPs three significant digits, but never less than whole steps.

    A dashboard shows values as they are kept, and the looks that they come from are 5 % apart.

    >>> [rounded("steps", value) for value in (28.9731, 1462.4)]
    [29.0, 1462.0]
    """
    if objective not in RATIOS:
        return value
    return float(f"{value:.3g}" if objective == "cost" or value < 100 else f"{value:.0f}")


def _steps(record: Record, most: Most) -> float:
    """The step s₀ from which on 99 % of the validation pairs held to the cell's end; beyond the budget where none did.

    It counts whether it is confirmed or not: one that is not is later than any confirmed one of an equal budget B,
    which is at B / 1.5 at the latest. Where 99 % did not hold at the end it is B · (2 − best validation accuracy), and
    3 · B where the cell diverged: nearly is better than never, and never is better than to diverge. B is the study's
    largest budget, since those of trials differ where they are in epochs and the batch size is drawn: never is then
    worse than solved by another.
    """
    crossed = _crossed(record)
    if crossed is not None:
        return float(max(1, crossed))
    return max(1, most.steps, record["budget"]["steps"]) * _beyond(record)


def _held(record: Record) -> int | None:
    """The step from which on 99 % held to the end; None where it did not."""
    span = None if record["status"] == "diverged" else record["held"]["validation"][TARGET]
    return None if span is None else int(span[0])


def _crossed(record: Record) -> int | None:
    """As `_held`, the step that a cell is judged by.

    A crossing that ran out of time before it was confirmed counts as one at the end of the budget, since its step says
    nothing beside those of cells that had the time.
    """
    late = record["status"] == "timeout" and _unconfirmed(record)
    return int(record["budget"]["steps"]) if late else _held(record)


def _unconfirmed(record: Record) -> bool:
    """Whether 99 % held at the end, but not for long enough to count as sustained."""
    held, sustained = (record[key]["validation"][TARGET] for key in ("held", "sustained_steps_to"))
    return record["status"] != "diverged" and held is not None and sustained is None


def _beyond(record: Record) -> float:
    """Budgets that a cell counts as which did not hold 99 %."""
    return DIVERGED if record["status"] == "diverged" else 2.0 - _best(record)


def _best(record: Record) -> float:
    return max((v for v in record["curve"]["validation_accuracy"] if v is not None), default=0.0)


def _accuracy(record: Record, most: Most | None = None) -> float:
    """The validation accuracy at the end; 0 where it diverged."""
    last = record["final"]["validation_accuracy"]
    return 0.0 if record["status"] == "diverged" or last is None else float(last)


def _cost(record: Record, most: Most) -> float:
    """FLOPs until s₀ of `_steps`, not those until the cell stopped; unsolved, as there, beyond those of a whole budget.

    Seconds where a learner does not count FLOPs. That a cell gave up or diverged early makes it no cheaper: its FLOPs
    are reckoned to the end of its budget. Beside accuracy it is these FLOPs, and no more: accuracy says the rest.
    """
    spent = record["seconds"]["train"] if record["flops"] is None else record["flops"]
    a_step, crossed = spent / max(1, record["final"]["step"] or 0), _crossed(record)
    if crossed is not None:
        return float(max(a_step * max(1, crossed), 1e-3))
    whole = max(a_step * record["budget"]["steps"], most.flops, 1e-3)
    return float(whole * (_beyond(record) if most.beyond else 1.0))


def _data(record: Record, most: Most) -> float:
    """The share of the pairs that train."""
    return float(record["spec"]["train_fraction"])


_WORTH = {"steps": _steps, "accuracy": _accuracy, "cost": _cost, "data": _data}


def measures(records: Sequence[Record]) -> dict[str, Any]:
    """What a study keeps of a trial beside its value, each a number or a word, over its seeds; nothing of test pairs.

    Steps are geometric means over the seeds, there where all of them crossed; FLOPs and seconds are sums. Three
    crossings of 99 %: ``steps_to_99`` is the first, ``held_steps_to_99`` the one that held to the end, and
    ``sustained_steps_to_99`` the same where every seed has confirmed it. ``unconfirmed`` is the number of seeds that
    have not, though they held.
    """
    ended = [record for record in records if record["final"]["step"] is not None]
    found: dict[str, Any] = {
        "label": records[0]["label"],
        "status": next((s for s in ("failed", "interrupted", "diverged", "timeout") if _any(records, s)), "done"),
        "steps_to_99": _mean_step([record["steps_to"]["validation"][TARGET] for record in records]),
        "held_steps_to_99": _mean_step([_held(record) for record in records]),
        "sustained_steps_to_99": _mean_step([record["sustained_steps_to"]["validation"][TARGET] for record in records]),
        "unconfirmed": sum(map(_unconfirmed, records)),
        "steps": sum(record["final"]["step"] or 0 for record in ended),
        "validation_accuracy": float(np.mean([_accuracy(record) for record in ended])) if ended else None,
        "parameters": ended[0]["parameters"] if ended else None,
        "seconds": sum(record["seconds"]["total"] for record in records),
        "flops": None if any(r["flops"] is None for r in ended) else float(sum(r["flops"] or 0 for r in ended)),
        "error": next((" ".join(r["error"]["message"].split())[:500] for r in records if r["error"]), None),
    }
    return {name: value for name, value in found.items() if value is not None}


def _any(records: Sequence[Record], status: str) -> bool:
    return any(record["status"] == status for record in records)


def _mean_step(steps: Sequence[int | None]) -> float | None:
    known = [step for step in steps if step is not None]
    if not known or len(known) < len(steps):
        return None
    return rounded("steps", _geometric([max(1, step) for step in known]))


def _geometric(values: Sequence[float]) -> float:
    return float(values[0] if len(values) == 1 else np.exp(np.mean(np.log(values))))


def learning_curve(records: Sequence[Record]) -> list[tuple[int, float]]:
    """Validation accuracy by step, the mean over seeds, at a few dozen steps; a seed that ended stays as it was."""
    longest: list[int] = max((record["curve"]["step"] for record in records), key=len, default=[])
    if not longest:
        return []
    kept = np.unique(np.linspace(0, len(longest) - 1, min(POINTS, len(longest))).round().astype(int))
    means = [float(np.mean([_at(record, longest[i]) for record in records])) for i in kept]
    return [(longest[i], round(mean, 4)) for i, mean in zip(kept, means, strict=True)]


def _at(record: Record, step: int) -> float:
    steps, values = record["curve"]["step"], record["curve"]["validation_accuracy"]
    place = int(np.searchsorted(steps, step, side="right")) - 1
    return 0.0 if place < 0 else float(values[place] or 0.0)


def best_of(objectives: Sequence[str], trials: Sequence[tuple[int, Sequence[float]]]) -> int | None:
    """The number of the winner, None where there is no trial; of equals the first.

    With two objectives it is one that no trial beats in both: the best by the first, of equals by the second.

    :param trials: numbers and values.
    """
    signs = [1 if DIRECTIONS[objective] == "minimize" else -1 for objective in objectives]
    ranked = sorted((*(s * v for s, v in zip(signs, values, strict=True)), number) for number, values in trials)
    return None if not ranked else int(ranked[0][-1])


def doubt_of(objectives: Sequence[str], seeds: int, attributes: Mapping[str, Any]) -> str:
    """What a reader should know of a winner that steps or cost chose; empty where all is well.

    :param seeds: of each trial.
    :param attributes: of the trial, see `measures`.

    >>> doubt_of(["steps"], 1, {"held_steps_to_99": 1200.0, "unconfirmed": 1})
    'it is not confirmed, having held 99 % only to the end of the budget, before 1.5 times the step'
    """
    if not set(RATIOS) & set(objectives[:1]):
        return ""
    few = attributes.get("unconfirmed", 0)
    if "held_steps_to_99" not in attributes:
        return "it did not hold 99 %" if seeds == 1 else "not every seed of it held 99 %"
    if not few:
        return ""
    who = "it is" if seeds == 1 else f"{few} of its {seeds} seeds {'is' if few == 1 else 'are'}"
    return (
        f"{who} not confirmed, having held 99 % only to the end of the budget, before {CONFIRMATION:g} times the step"
    )


def crossed_by(cells: Sequence[Record]) -> str:
    """How many of some cells reached 99 % of the test pairs, held it and are confirmed, and from which step on."""
    found = [crossings(cell["curve"], ["test"]) for cell in cells]  # records of earlier versions do not say what held
    keys = ("steps_to", "held", "sustained_steps_to")
    first, held, sure = ([one[key]["test"]["0.99"] for one in found] for key in keys)
    counts = [sum(step is not None for step in steps) for steps in (first, held, sure)]
    middle = median(math.inf if span is None else span[0] for span in held)
    start = "" if middle == math.inf else f", from step {middle:,.1f}".removesuffix(".0") + " in the median"
    return (
        f"99 % of the vault's pairs reached by {counts[0]} of {many(len(cells), 'seed')}, held to the end by "
        f"{counts[1]}{start}, confirmed (to 1.5 times that step) for {counts[2]}"
    )


def reached_by(record: Record) -> str:
    """Whether a run reached 99 % of the test pairs and held it."""
    found = {key: of["test"]["0.99"] for key, of in crossings(record["curve"], ["test"]).items()}
    if found["held"] is not None:
        return f"99 % held from step {found['held'][0]:,}"
    return "99 % not reached" if found["steps_to"] is None else f"99 % reached at step {found['steps_to']:,}, not held"
