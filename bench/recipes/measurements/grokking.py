"""The transformer with and without GrokFast and weight decay, and Muon: the rows of docs/results/grokking.md.

    python -m bench.recipes.measurements.grokking ROW …|all [--seeds 20] [--device auto] [--results DIR] [--json FILE]

Every row is a plain request to the benchmark; its command is printed beside its result. Without a row the rows are
listed with what they cost. Records are kept in the results folder: after an interruption the same command goes on.
Steps are first crossings of 95 % and 99 % of the test pairs, over all seeds: one that does not reach the target counts
as the slowest.
"""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.recipes.measurements._study import (
    chosen,
    cost,
    crossing,
    measure_each,
    parser_of,
    run_seeds,
    tell,
    typed_command,
)
from bench.results import Record

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
}
"""The transformer of Lee et al. (arXiv 2405.20233), and batches of 512. Its optimizer is Adam with coupled decay.

NOTE: in their program the MLP is added to the state as it is, which is ``norm="grokfast"``, and an epoch's last batch
is short. Both came after the rows were measured.
"""

MULTIPLY = POWER | {"task": "multiply", "optimizer": "adam"}
AS_POWER = {
    "learner.norm": "post",
    "learner.positions": "sinusoidal",
    "learner.init_scale": 1.0,
    "learner.init_gain": 1.0,
}
FULL_BATCH = {"learner.batch_size": 0}
ROWS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "adamw": (1_200, FULL_40, FULL_BATCH),
    "muon": (200, FULL_40 | {"optimizer": "muon"}, FULL_BATCH),
    "adamw-unit-start": (2_000, FULL_40, FULL_BATCH | AS_POWER),
    "muon-unit-start": (500, FULL_40 | {"optimizer": "muon"}, FULL_BATCH | AS_POWER),
    "decay": (2_000, POWER, {}),
    "no-decay": (40_000, POWER, {"adamw.weight_decay": 0.0}),
    "lee-plain": (60_000, MULTIPLY, LEE),
    "lee-ema": (2_500, MULTIPLY | {"optimizer": "grokfast-ema+adam"}, LEE | {"adam.weight_decay": 0.005}),
    "lee-ma": (2_500, MULTIPLY | {"optimizer": "grokfast-ma+adam"}, LEE | {"adam.weight_decay": 0.01}),
    "lee-adamw": (2_500, MULTIPLY | {"optimizer": "adamw"}, LEE),
    "quadratic-12": (
        20_000,
        {"learner": "quadratic", "encoder": "onehot", "train_fraction": 0.12},
        {
            "adamw.lr": 0.02,
            "adamw.weight_decay": 6.0,
            "adamw.eps": 1e-5,
            "adamw.schedule": "cosine",
            "adamw.decay_steps": 20_000,
        },
    ),
}
"""Steps, request and settings."""

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
MEASURED: tuple[tuple[Literal["train", "test"], str], ...] = (("train", "0.95"), ("test", "0.95"), ("test", "0.99"))
"""Parts of the pairs, and targets."""


def row(name: str, records: list[Record]) -> dict[str, Any]:
    """A row of the table from the records of its seeds."""
    statuses = [r["status"] for r in records]
    crossings = {f"{part}_{target[2:]}": (part, target) for part, target in MEASURED}
    return {
        "row": name,
        "command": typed_command(*ROWS[name], len(records)),
        "status": {s: statuses.count(s) for s in set(statuses)},
        **{key: crossing(records, part, target) for key, (part, target) in crossings.items()},
        "final_test": [round(r["final"]["test_accuracy"] or 0.0, 4) for r in records],
        "final_step": [r["final"]["step"] for r in records],
        "train_seconds_per_seed": float(np.mean([r["seconds"]["train"] for r in records])),
        "evaluate_seconds_per_seed": float(np.mean([r["seconds"]["evaluate"] for r in records])),
        "peak_memory_mib_per_seed": (records[0]["peak_memory_bytes"] or 0) / 2**20 / len(records),
        "seconds": float(np.sum([r["seconds"]["total"] for r in records])),
        "device": records[0]["environment"]["processor"],
        "errors": sorted({r["error"]["message"][:300] for r in records if r["error"]}),
        "crossings": [[r["steps_to"][part][target] for part, target in MEASURED] for r in records],
    }


def _described(name: str, seeds: int) -> str:
    """A row's cost and command."""
    return f"{cost(ROWS[name][0], seeds, *COSTS[name])}\n    {typed_command(*ROWS[name], seeds)}"


def main() -> None:
    """Measure and print."""
    parser = parser_of(
        "grokking",
        __doc__,
        seeds=(20, "of each row"),
        device=("auto", "where to train"),
        results=("results/grokking", "folder that keeps the records"),
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"some of {', '.join(ROWS)}, or all")
    parser.add_argument("--seconds", type=float, help="safety limit of each row, for one seed's share")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args()
    described = {name: partial(_described, name, options.seeds) for name in ROWS}
    names = chosen(parser, "ROW", options.rows, described)
    tell(f"{len(names)} of {len(ROWS)} rows; records are kept in {options.results}.")

    def measure(name: str) -> list[dict[str, Any]]:
        steps, request, settings = ROWS[name]
        limits = {"steps": steps, "seconds": options.seconds, "device": options.device, "results": options.results}
        return [row(name, run_seeds(options.seeds, **request, settings=settings, **limits))]

    measure_each(parser, "Row", {name: described[name] for name in names}, measure, options.json)


if __name__ == "__main__":
    main()
