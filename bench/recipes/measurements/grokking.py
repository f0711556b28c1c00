"""The transformer with and without GrokFast and weight decay, and Muon: the rows of the README's second table.

    python -m bench.recipes.measurements.grokking ROW …|all [--seeds 20] [--device auto] [--results DIR] [--json FILE]

Every row is a plain request to the benchmark; its command is printed beside its result. Without a row the rows are
listed with what they cost. Records land in the results folder: after an interruption the same command goes on. Steps
are to 95 % and 99 % of the test pairs, first crossings, over the seeds that reach them; a seed that does not is
counted, never dropped.
"""

import argparse
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench.errors import BenchError
from bench.ranking.statistics import median_interval
from bench.recipes.measurements._telling import INTERRUPTED, chosen, cost, each_cell, tell

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


COSTS = {
    "adamw": (12.3, 0.63),
    "muon": (13.5, 0.57),
    "adamw-unit-start": (12.3, 0.68),
    "muon-unit-start": (13.5, 0.55),
    "decay": (1.81, 0.12),
    "no-decay": (1.81, 0.13),
    "lee-plain": (1.92, 0.16),
    "lee-ema": (1.92, 0.25),
    "lee-ma": (1.92, 0.39),
    "lee-adamw": (1.92, 0.29),
    "quadratic-12": (0.085, 0.035),
}
"""GFLOP of a step, and its seconds on one core of an Intel Xeon (n = 8 steps, one seed)."""
RESULTS = "results/grokking"


def command(steps: int, request: dict[str, Any], settings: dict[str, Any], seeds: int) -> str:
    """What to type."""
    options = [f"--{k.replace('_', '-')} {v}" for k, v in request.items()]
    options += [f"--set {k}={_typed(v)}" for k, v in settings.items()]
    return f"python -m bench run {' '.join(options)} --steps {steps} --seeds {seeds}"


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


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


def measure(name: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Run one row, or go on with it; None where it was interrupted."""
    steps, request, settings = ROWS[name]
    records = bench.run(
        **request,
        settings=settings,
        steps=steps,
        seeds=options.seeds,
        device=options.device,
        seconds=options.seconds,
        results=options.results,
        display=each_cell,
    )
    if len(records) < options.seeds or any(r["status"] == "interrupted" for r in records):
        return None
    return row(name, records)


def row(name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """A row of the table from the records of its seeds."""
    steps, request, settings = ROWS[name]
    statuses = [r["status"] for r in records]
    return {
        "row": name,
        "command": command(steps, request, settings, len(records)),
        "status": {s: statuses.count(s) for s in set(statuses)},
        "train_95": crossing(records, "train", "0.95"),
        "test_95": crossing(records, "test", "0.95"),
        "test_99": crossing(records, "test", "0.99"),
        "final_test": [round(r["final"]["test_accuracy"] or 0.0, 4) for r in records],
        "final_step": [r["final"]["step"] for r in records],
        "train_seconds_per_seed": float(np.mean([r["seconds"]["train"] for r in records])),
        "evaluate_seconds_per_seed": float(np.mean([r["seconds"]["evaluate"] for r in records])),
        "peak_memory_mib_per_seed": records[0]["peak_memory_bytes"] / 2**20 / len(records),
        "seconds": float(np.sum([r["seconds"]["total"] for r in records])),
        "device": records[0]["environment"]["processor"],
        "errors": sorted({r["error"]["message"][:300] for r in records if r["error"]}),
        "crossings": [
            [r["steps_to"][p][t] for p, t in (("train", "0.95"), ("test", "0.95"), ("test", "0.99"))] for r in records
        ],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.recipes.measurements.grokking", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"some of {', '.join(ROWS)}, or all")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, help="safety limit of each row, for one seed's share")
    parser.add_argument("--results", default=RESULTS, help=f"folder that keeps the records  [default: {RESULTS}]")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args()
    names = chosen(
        parser,
        "ROW",
        options.rows,
        {name: partial(_described, name, options.seeds) for name in ROWS},
    )
    try:
        _measure_all(parser, names, options)
    except BenchError as error:
        parser.error(str(error))


def _described(name: str, seeds: int) -> str:
    """A row's cost and command."""
    return f"{cost(ROWS[name][0], seeds, *COSTS[name])}\n    {command(*ROWS[name], seeds)}"


def _measure_all(parser: argparse.ArgumentParser, names: list[str], options: argparse.Namespace) -> None:
    results = []
    tell(f"{len(names)} of {len(ROWS)} rows; records are kept in {options.results}.")
    for number, name in enumerate(names):
        tell(f"Row {number + 1} of {len(names)}, {name}: {_described(name, options.seeds)}")
        found = measure(name, options)
        if found is None:
            parser.exit(130, INTERRUPTED)
        results.append(found)
        print(json.dumps(found), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
