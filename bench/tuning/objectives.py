"""Objectives: their names, the value of a trial by each, what a study keeps of it beside, and the best of trials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.errors import RequestError, one_of
from bench.results import Record

TARGET = "0.99"
"""The validation accuracy that a cell must hold to count as solved, as records call it."""


DIRECTIONS = {"steps": "minimize", "accuracy": "maximize", "cost": "minimize", "data": "minimize"}


LABELS = {
    "steps": "steps to hold 99 % on validation",
    "accuracy": "validation accuracy",
    "cost": "FLOPs to hold 99 % on validation",
    "data": "share of the pairs that train",
}


RATIOS = ("steps", "cost")
"""Objectives of which the mean over seeds is the geometric one, since settings differ by factors."""


DIVERGED = 3.0
"""A cell that diverged counts as so many budgets, more than one that never reached 99 %: that is two at most."""


POINTS = 40
"""Points of a learning curve that a study keeps: each is a line of its journal."""
JUDGED = ("done", "diverged", "timeout")
"""States of a cell by which its setting can be judged."""


@dataclass(frozen=True)
class LargestBudget:
    """The largest budget of a cell of a study. A cell that does not solve the task counts as a multiple of it.

    A cell whose own budget is larger counts as a multiple of its own.

    :param steps: the largest budget in steps.
    :param flops: the largest budget in FLOPs; 0 takes each cell's own.
    """

    steps: int = 0
    flops: float = 0.0


def objectives_of(text: str) -> tuple[str, ...]:
    """The objectives of a text as "steps" or "accuracy,cost".

    :raises RequestError: for an unknown one, or more than two.

    >>> objectives_of("accuracy,cost")
    ('accuracy', 'cost')
    """
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in DIRECTIONS:
            raise RequestError(one_of("objective", name, DIRECTIONS))
    if len(set(names)) < len(names) or len(names) > 2:
        raise RequestError(f"`objective` takes one objective, or two different ones, got {text!r}.")
    if names == ("data",):
        raise RequestError(
            "`objective` data needs another beside it, as accuracy,data: to learn nothing takes no data."
        )
    return names


def trial_values(
    objectives: Sequence[str], records: Sequence[Record], largest: LargestBudget | None = None
) -> list[float]:
    """The value of a trial by each objective: the mean over its seeds, of steps and cost the geometric mean.

    :param records: of its cells.
    :param largest: the largest budget of a cell of the study; None takes each cell's own.
    """
    judges, largest = dict(_VALUES), largest or LargestBudget()
    if "accuracy" in objectives:  # which says already that a cell is not solved
        judges["cost"] = _flops
    of_cells = {name: [judges[name](record, largest) for record in records] for name in objectives}
    return [geometric_mean(some) if name in RATIOS else float(np.mean(some)) for name, some in of_cells.items()]


def rounded(objective: str, value: float) -> float:
    """A value as a study stores it: steps and FLOPs have three significant digits, or are whole numbers of steps.

    A dashboard shows values as they are stored, and the evaluations that they come from are 5 % apart.

    >>> [rounded("steps", value) for value in (28.9731, 1462.4)]
    [29.0, 1462.0]
    """
    if objective not in RATIOS:
        return value
    return float(f"{value:.3g}" if objective == "cost" or value < 100 else f"{value:.0f}")


def _steps(record: Record, largest: LargestBudget) -> float:
    """The step s₀ from which on a cell held 99 % on validation to its end; more than the budget if it did not.

    A crossing counts whether it is confirmed or not: an unconfirmed one is later than any confirmed one of an equal
    budget B, which is at B / 1.5 at the latest. A cell that did not hold 99 % at the end counts as
    B · (2 − best validation accuracy), and as 3 · B if it diverged. B is the study's largest budget: budgets of trials
    differ if they are in epochs and the batch size is drawn, and an unsolved cell must be worse than any solved one.
    """
    crossed = _crossed(record)
    if crossed is not None:
        return float(max(1, crossed))
    return max(1, largest.steps, record["budget"]["steps"]) * _penalty(record)


def held_from(record: Record) -> int | None:
    """The step from which on a cell held 99 % to its end; None if it did not."""
    span = None if record["status"] == "diverged" else record["held"]["validation"][TARGET]
    return None if span is None else int(span[0])


def _crossed(record: Record) -> int | None:
    """The step by which a cell is judged: that of `held_from`, or the end of the budget.

    A crossing that ran out of time before it was confirmed counts as one at the end of the budget, since its step
    cannot be compared with those of cells that had the time.
    """
    late = record["status"] == "timeout" and is_unconfirmed(record)
    return int(record["budget"]["steps"]) if late else held_from(record)


def is_unconfirmed(record: Record) -> bool:
    """Whether a cell held 99 % at its end, but not for long enough to count as sustained."""
    held, sustained = (record[key]["validation"][TARGET] for key in ("held", "sustained_steps_to"))
    return record["status"] != "diverged" and held is not None and sustained is None


def _penalty(record: Record) -> float:
    """A cell that did not hold 99 % counts as so many budgets."""
    best = max((v for v in record["curve"]["validation_accuracy"] if v is not None), default=0.0)
    return DIVERGED if record["status"] == "diverged" else 2.0 - best


def final_accuracy(record: Record, largest: LargestBudget | None = None) -> float:
    """The validation accuracy at the end; 0 if the cell diverged."""
    last = record["final"]["validation_accuracy"]
    return 0.0 if record["status"] == "diverged" or last is None else float(last)


def _cost(record: Record, largest: LargestBudget) -> float:
    """FLOPs until s₀ of `_steps`, not until the cell stopped; of an unsolved cell more than those of a whole budget."""
    return _flops(record, largest) * (_penalty(record) if _crossed(record) is None else 1.0)


def _flops(record: Record, largest: LargestBudget) -> float:
    """FLOPs until s₀, or of the whole budget: a cell that gave up or diverged early is no cheaper for it.

    Seconds if a learner does not count FLOPs.
    """
    spent = record["seconds"]["train"] if record["flops"] is None else record["flops"]
    a_step, crossed = spent / max(1, record["final"]["step"] or 0), _crossed(record)
    if crossed is not None:
        return float(max(a_step * max(1, crossed), 1e-3))
    return float(max(a_step * record["budget"]["steps"], largest.flops, 1e-3))


def _data(record: Record, largest: LargestBudget) -> float:
    """The share of the pairs that train."""
    return float(record["spec"]["train_fraction"])


_VALUES: Mapping[str, Callable[..., float]] = {
    "steps": _steps,
    "accuracy": final_accuracy,
    "cost": _cost,
    "data": _data,
}


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean; of one value the value itself, exactly."""
    return float(values[0] if len(values) == 1 else np.exp(np.mean(np.log(values))))


def trial_attributes(records: Sequence[Record]) -> dict[str, Any]:
    """Numbers and words about a trial, over its seeds; nothing about test pairs.

    Steps are geometric means over the seeds, and missing unless all of them crossed; FLOPs and seconds are sums. There
    are three crossings of 99 %: ``steps_to_99`` is the first one, ``held_steps_to_99`` the one that held to the end,
    and ``sustained_steps_to_99`` the same if every seed has confirmed it. ``unconfirmed`` is the number of seeds that
    held 99 % without having confirmed it, ``diverged`` of those that diverged.
    """
    ended, statuses = [r for r in records if r["final"]["step"] is not None], {r["status"] for r in records}
    found: dict[str, Any] = {
        "label": records[0]["label"],
        "status": next((s for s in ("failed", "interrupted", "diverged", "timeout") if s in statuses), "done"),
        "steps_to_99": _mean_step([record["steps_to"]["validation"][TARGET] for record in records]),
        "held_steps_to_99": _mean_step([held_from(record) for record in records]),
        "sustained_steps_to_99": _mean_step([record["sustained_steps_to"]["validation"][TARGET] for record in records]),
        "unconfirmed": sum(map(is_unconfirmed, records)),
        "diverged": [record["status"] for record in records].count("diverged") or None,
        "steps": sum(record["final"]["step"] or 0 for record in ended),
        "validation_accuracy": float(np.mean([final_accuracy(record) for record in ended])) if ended else None,
        "parameters": ended[0]["parameters"] if ended else None,
        "seconds": sum(record["seconds"]["total"] for record in records),
        "flops": None if any(r["flops"] is None for r in ended) else float(sum(r["flops"] or 0 for r in ended)),
        "error": next((" ".join(r["error"]["message"].split())[:500] for r in records if r["error"]), None),
    }
    return {name: value for name, value in found.items() if value is not None}


def can_win(attributes: Mapping[str, Any], seeds: int) -> bool:
    """Whether a trial may be a winner: the vault is not opened for one of which every seed diverged.

    :param seeds: of each trial.
    """
    of_one_seed = int(attributes.get("status") == "diverged")  # earlier versions kept no number
    return int(attributes.get("diverged", of_one_seed)) < seeds


def _mean_step(steps: Sequence[int | None]) -> float | None:
    known = [step for step in steps if step is not None]
    if not known or len(known) < len(steps):
        return None
    return rounded("steps", geometric_mean([max(1, step) for step in known]))


def learning_curve(records: Sequence[Record]) -> dict[int, float]:
    """The mean validation accuracy over seeds, at a few dozen steps; a seed that has ended keeps its last accuracy."""
    longest: list[int] = max((record["curve"]["step"] for record in records), key=len, default=[])
    if not longest:
        return {}
    kept = np.unique(np.linspace(0, len(longest) - 1, min(POINTS, len(longest))).round().astype(int))
    return {longest[i]: round(float(np.mean([_at(record, longest[i]) for record in records])), 4) for i in kept}


def _at(record: Record, step: int) -> float:
    steps, values = record["curve"]["step"], record["curve"]["validation_accuracy"]
    place = int(np.searchsorted(steps, step, side="right")) - 1
    return 0.0 if place < 0 else float(values[place] or 0.0)


def best_trial(objectives: Sequence[str], trials: Sequence[tuple[int, Sequence[float]]]) -> int | None:
    """The number of the best trial, the first of equal ones; None if there is no trial.

    With two objectives it is the best by the first, of equal ones by the second: it is on the Pareto front.

    :param trials: their numbers and values.
    """
    signs = [1 if DIRECTIONS[objective] == "minimize" else -1 for objective in objectives]
    ranked = sorted((*(s * v for s, v in zip(signs, values, strict=True)), number) for number, values in trials)
    return None if not ranked else int(ranked[0][-1])
