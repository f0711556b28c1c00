"""Records made by hand, with curves and results that are known."""

import copy
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.results.curves import crossings

Made = dict[str, Any]
BASE = json.loads((Path(__file__).parent / "record.json").read_text())
STEPS = (100, 200, 300, 400, 500, 600, 700, 800, 900, 1000)


def run(
    learner: str = "mlp",
    seed: int = 0,
    accuracies: Sequence[float] = (0.5,) * len(STEPS),
    *,
    steps: Sequence[int] = STEPS,
    status: str = "done",
    budget: int | None = None,
    encoder: str | Made = "onehot",
    train: Sequence[float] | None = None,
    flops: int | None = 10_000,
    seconds: float = 2.0,
    parameters: int | None = 1000,
    probes: tuple[float, float] = (0.1, 0.2),
    **spec: Any,
) -> Made:
    """A record with this curve of test accuracies.

    :param encoder: its name, or its name and settings.
    :param train: accuracies on training pairs; None takes those of test pairs.
    """
    made, code = copy.deepcopy(BASE), {"name": encoder} if isinstance(encoder, str) else encoder
    train = accuracies if train is None else train
    made["spec"] |= {
        "encoder": code,
        "learner": {"name": learner, "random_state": 7 + seed},
        "seed": seed,
        "split_seed": 100 + seed,
        **spec,
    }
    curve = {"step": list(steps), "train_accuracy": list(train), "test_accuracy": list(accuracies)}
    curve["validation_accuracy"] = [None] * len(steps)
    made |= crossings(curve, ("train", "validation", "test"))
    last = (steps[-1], accuracies[-1], train[-1]) if steps and status != "failed" else (None,) * 3
    made["final"] |= {"step": last[0], "test_accuracy": last[1], "train_accuracy": last[2]}
    made |= {"label": f"{code['name']} → {learner}", "status": status, "curve": curve, "parameters": parameters}
    made |= {"flops": flops, "probes": {"ridge": probes[0], "knn": probes[1]}}
    made["seconds"]["train"] = seconds
    made["budget"]["steps"] = budget if budget is not None else max(steps, default=1000)
    made["id"] = hashlib.sha256(json.dumps(made["spec"], sort_keys=True).encode()).hexdigest()[:16]
    return made


def ending(learner: str, *accuracies: float, **more: Any) -> list[Made]:
    """Runs over seeds that end with these accuracies."""
    return [run(learner, seed, [0.1] * 9 + [a], **more) for seed, a in enumerate(accuracies)]


def solving(learner: str, *steps: int | None, held: bool = True, **more: Any) -> list[Made]:
    """Runs that cross 99 % at these steps, or never, and stay there or fall at the end."""
    curves = [[1.0 if at is not None and s >= at else 0.2 for s in STEPS] for at in steps]
    if not held:
        curves = [[*curve[:-1], 0.2] for curve in curves]
    return [run(learner, seed, curve, **more) for seed, curve in enumerate(curves)]


def stored(folder: Path, records: Iterable[Made]) -> Path:
    for record in records:
        (folder / f"{record['id']}.json").write_text(json.dumps(record))
    return folder


def blocks(tasks: Sequence[str], **learners: Sequence[float]) -> list[Made]:
    """Learners with an accuracy in each task, of two seeds."""
    return [
        r
        for learner, accuracies in learners.items()
        for task, accuracy in zip(tasks, accuracies, strict=False)
        for r in ending(learner, accuracy, accuracy, task=task)
    ]
