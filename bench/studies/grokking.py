"""The transformer with and without GrokFast and weight decay, and Muon: the rows of the README's second table.

    python -m bench.studies.grokking [ROW …] [--seeds 20] [--device auto] [--json FILE]

Every row is a plain request to the benchmark; its command is printed beside its result. Steps are to 95 % and 99 % of
the test pairs, first crossings, over the seeds that reach them; a seed that does not is counted, never dropped.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench.statistics import median_interval

POWER = {"learner": "transformer", "encoder": "onehot", "pairs": "ordered"}
FULL_40 = POWER | {"train_fraction": 0.4}
LEE: dict[str, Any] = {
    "learner.norm": "residual",
    "learner.activation": "gelu",
    "learner.positions": "learned",
    "learner.layout": "equation",
    "learner.bias": True,
    "learner.init_scale": 1.0,
    "learner.init_gain": 1.0,
    "learner.batch_size": 512,
    "learner.optimizer": "adam",
}
"""The transformer and optimizer of Lee et al. (arXiv 2405.20233): coupled decay, batches of 512."""

MULTIPLY = POWER | {"task": "multiply"}
AS_POWER = {
    "learner.norm": "post",
    "learner.positions": "sinusoidal",
    "learner.init_scale": 1.0,
    "learner.init_gain": 1.0,
}

ROWS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "adamw": (1_200, FULL_40, {"learner.batch_size": 0}),
    "muon": (200, FULL_40, {"learner.batch_size": 0, "learner.optimizer": "muon", "learner.lr": 0.02}),
    "adamw-unit-start": (2_000, FULL_40, {"learner.batch_size": 0} | AS_POWER),
    "muon-unit-start": (
        500,
        FULL_40,
        {"learner.batch_size": 0, "learner.optimizer": "muon", "learner.lr": 0.02} | AS_POWER,
    ),
    "decay": (2_000, POWER, {}),
    "no-decay": (40_000, POWER, {"learner.weight_decay": 0.0}),
    "lee-plain": (60_000, MULTIPLY, LEE | {"learner.weight_decay": 0.0}),
    "lee-ema": (2_500, MULTIPLY, LEE | {"learner.weight_decay": 0.005, "learner.grokfast": "ema"}),
    "lee-ma": (2_500, MULTIPLY, LEE | {"learner.weight_decay": 0.01, "learner.grokfast": "ma"}),
    "lee-adamw": (2_500, MULTIPLY, LEE | {"learner.weight_decay": 1.0, "learner.optimizer": "adamw"}),
    "quadratic-12": (
        20_000,
        {"learner": "quadratic", "encoder": "onehot", "train_fraction": 0.12},
        {
            "learner.lr": 0.02,
            "learner.weight_decay": 6.0,
            "learner.eps": 1e-5,
            "learner.schedule": "cosine",
            "learner.decay_steps": 20_000,
        },
    ),
}


def command(steps: int, request: dict[str, Any], settings: dict[str, Any], seeds: int) -> str:
    """What to type."""
    options = [f"--{k.replace('_', '-')} {v}" for k, v in request.items()]
    options += [f"--set {k}={v}" for k, v in settings.items()]
    return f"python -m bench run {' '.join(options)} --steps {steps} --seeds {seeds}"


def crossing(records: list[dict[str, Any]], part: str, target: str) -> dict[str, Any]:
    """The first crossing: how many seeds get there, their range, and the median of all with its interval and level.

    A seed that never gets there counts as the slowest: a median that is not reached is None.
    """
    steps = [r["steps_to"][part][target] for r in records]
    reached = [s for s in steps if s is not None]
    summary: dict[str, Any] = {"n": len(records), "reached": len(reached)}
    if reached:
        middle = median_interval([math.inf if s is None else s for s in steps])
        summary |= {"first": min(reached), "last": max(reached)}
        summary |= {"median": middle.value, "low": middle.low, "high": middle.high, "level": middle.level}
    return summary


def measure(name: str, seeds: int, device: str, seconds: float | None) -> dict[str, Any]:
    """Run one row."""
    steps, request, settings = ROWS[name]
    start = time.perf_counter()
    records = bench.run(
        **request, settings=settings, steps=steps, seeds=seeds, device=device, seconds=seconds, results=None
    )
    wall = time.perf_counter() - start
    statuses = [r["status"] for r in records]
    return {
        "row": name,
        "command": command(steps, request, settings, seeds),
        "status": {s: statuses.count(s) for s in set(statuses)},
        "train_95": crossing(records, "train", "0.95"),
        "test_95": crossing(records, "test", "0.95"),
        "test_99": crossing(records, "test", "0.99"),
        "final_test": [round(r["final"]["test_accuracy"] or 0.0, 4) for r in records],
        "final_step": [r["final"]["step"] for r in records],
        "train_seconds_per_seed": float(np.mean([r["seconds"]["train"] for r in records])),
        "evaluate_seconds_per_seed": float(np.mean([r["seconds"]["evaluate"] for r in records])),
        "peak_memory_mib_per_seed": records[0]["peak_memory_bytes"] / 2**20 / len(records),
        "wall_seconds": wall,
        "device": records[0]["environment"]["processor"],
        "errors": sorted({r["error"]["message"][:300] for r in records if r["error"]}),
        "crossings": [
            [r["steps_to"][p][t] for p, t in (("train", "0.95"), ("test", "0.95"), ("test", "0.99"))] for r in records
        ],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"some of {', '.join(ROWS)}; all where none is named")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, help="safety limit of each row, for one seed's share")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args()
    for name in options.rows:
        if name not in ROWS:
            parser.error(f"ROW must be one of {', '.join(ROWS)}, got {name!r}.")
    results = []
    for name in options.rows or ROWS:
        results.append(measure(name, options.seeds, options.device, options.seconds))
        print(json.dumps(results[-1]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
