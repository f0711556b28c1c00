"""What a study keeps of a trial beside its values: attributes and a learning curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.results import Record
from bench.tuning.objectives import TARGET, final_accuracy, geometric_mean, held_from, is_unconfirmed, rounded

POINTS = 40
"""Points of a learning curve that a study keeps: each is a line of its journal."""


JUDGED = ("done", "diverged", "timeout")
"""States of a cell by which its setting can be judged."""


def trial_attributes(records: Sequence[Record]) -> dict[str, Any]:
    """Numbers and words about a trial, over its seeds; nothing about test pairs.

    Steps are geometric means over the seeds, and missing unless all of them crossed; FLOPs and seconds are sums. There
    are three crossings of 99 %: ``steps_to_99`` is the first one, ``held_steps_to_99`` the one that held to the end,
    and ``sustained_steps_to_99`` the same if every seed has confirmed it. ``unconfirmed`` is the number of seeds that
    held 99 % without having confirmed it.
    """
    ended = [record for record in records if record["final"]["step"] is not None]
    found: dict[str, Any] = {
        "label": records[0]["label"],
        "status": next((s for s in ("failed", "interrupted", "diverged", "timeout") if _any(records, s)), "done"),
        "steps_to_99": _mean_step([record["steps_to"]["validation"][TARGET] for record in records]),
        "held_steps_to_99": _mean_step([held_from(record) for record in records]),
        "sustained_steps_to_99": _mean_step([record["sustained_steps_to"]["validation"][TARGET] for record in records]),
        "unconfirmed": sum(map(is_unconfirmed, records)),
        "steps": sum(record["final"]["step"] or 0 for record in ended),
        "validation_accuracy": float(np.mean([final_accuracy(record) for record in ended])) if ended else None,
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
