"""Does coarser arithmetic move generalization? Steps to 99 % of the test pairs in every precision, the same seeds.

    python -m bench.recipes.measurements.precision ROUTE …|all [--seeds 20] [--device auto] [--json FILE]

For each torch learner, each on its own route to generalization. Seeds are paired: a seed has the same split, initial
parameters and batches in every precision. The p-value is that of a sign-flip test of the mean difference of log steps
between a precision and float32, over the seeds that reach the target in both; "seed noise" is the standard deviation of
their log steps in float32. In the median, a seed that does not reach the target counts as the slowest. Without a route
the routes are listed with what they cost. Records are kept in the results folder: after an interruption the same
command goes on.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

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
from learners import TorchMLP

PRESET = TorchMLP.scikit().get_params()
SHAPE = ("hidden_layer_sizes", "init", "loss", "batch_size")

ROUTES: dict[str, tuple[int, dict[str, Any], dict[str, Any], str]] = {
    "transformer": (3_000, {"learner": "transformer", "encoder": "onehot", "pairs": "ordered"}, {}, "0.99"),
    "transformer-muon": (
        600,
        {"learner": "transformer", "encoder": "onehot", "optimizer": "muon", "pairs": "ordered"},
        {},
        "0.99",
    ),
    "torch-mlp": (
        2_400,
        {"learner": "torch-mlp", "encoder": "cycle", "optimizer": "adam", "pairs": "distinct"},
        {f"learner.{name}": PRESET[name] for name in SHAPE}
        | {f"adam.{name}": PRESET[f"optimizer__adam__{name}"] for name in ("betas", "warmup")},
        "0.95",
    ),
    "quadratic": (60, {"learner": "quadratic", "encoder": "onehot"}, {}, "0.99"),
}
"""Steps, request, settings and target: with the codes of `cycle` only some seeds ever reach 99 %."""
COSTS = {
    "transformer": (1.81, 0.13),
    "transformer-muon": (3.07, 0.47),
    "torch-mlp": (0.44, 0.091),
    "quadratic": (0.35, 0.042),
}
"""GFLOP of a step in float32, and its seconds on one core of an Intel Xeon (n = 12 steps, one seed)."""


def sign_flip(differences: NDArray[np.float64], draws: int = 20_000) -> float:
    """Two-sided p-value of the mean of paired differences, from random signs.

    That of `bench.ranking.statistics` takes all signs, which is exact, but too many for hundreds of seeds.
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(draws, len(differences)))
    means = np.abs((signs * differences).mean(axis=1))
    return float((1 + (means >= abs(differences.mean()) - 1e-12).sum()) / (draws + 1))


def compare(exact: list[Record], rounded: list[Record], target: str) -> dict[str, Any]:
    """A paired comparison of log steps between two lists of records of the same seeds."""
    steps = [[r["steps_to"]["test"][target] for r in records] for records in (exact, rounded)]
    both = np.array([(a, b) for a, b in zip(*steps, strict=True) if a is not None and b is not None], dtype=float)
    if len(both) < 2:
        return {"pairs": len(both)}
    logs = np.log(both)
    differences = logs[:, 1] - logs[:, 0]
    return {
        "pairs": len(both),
        "ratio": float(np.exp(differences.mean())),
        "p": sign_flip(differences),
        "seed_noise": float(logs[:, 0].std(ddof=1)),
    }


def measure(name: str, precision: str, exact: list[Record], **request: Any) -> tuple[list[Record], dict[str, Any]]:
    """The records and the row of one route in one precision.

    :param exact: the records in the first precision; empty for that precision itself.
    """
    steps, what, settings, target = ROUTES[name]
    tell(f"{name} in {precision}:")
    records = run_seeds(**what, settings=settings, steps=steps, precision=precision, **request)
    failed = [r["error"]["message"] for r in records if r["error"]]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(records)} cells failed: {failed[0]}")
    return records, {
        "route": name,
        "precision": precision,
        "command": f"{typed_command(steps, what, settings, len(records))} --precision {precision}",
        "target": target,
        **crossing(records, "test", target),
        "final_test": float(np.mean([r["final"]["test_accuracy"] or 0.0 for r in records])),
        "train_seconds_per_seed": float(np.mean([r["seconds"]["train"] for r in records])),
        "device": records[0]["environment"]["processor"],
        **compare(exact or records, records, target),
    }


def _described(name: str, seeds: int, precisions: list[str]) -> str:
    """A route's cost and command, in all of its precisions."""
    steps, request, settings, _ = ROUTES[name]
    total, typed = cost(steps, seeds * len(precisions), *COSTS[name]), typed_command(steps, request, settings, seeds)
    return f"{total}, for {', '.join(precisions)} in turn\n    {typed} --precision …"


def main() -> None:
    """Measure and print."""
    parser = parser_of(
        "precision",
        __doc__,
        seeds=(20, "of each route in each precision"),
        device=("auto", "where to train"),
        results=("results/precision", "folder that keeps the records"),
    )
    parser.add_argument("routes", nargs="*", metavar="ROUTE", help=f"some of {', '.join(ROUTES)}, or all")
    parser.add_argument("--precisions", help="float32 first; all that the device has where it is left out")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args()
    usual = "float32,tf32,bfloat16" if torch.cuda.is_available() and options.device != "cpu" else "float32,bfloat16"
    precisions = (options.precisions or usual).split(",")
    described = {name: partial(_described, name, options.seeds, precisions) for name in ROUTES}
    names = chosen(parser, "ROUTE", options.routes, described)
    tell(f"{len(names)} of {len(ROUTES)} routes; records are kept in {options.results}.")

    def measure_route(name: str) -> list[dict[str, Any]]:
        exact, rows = list[Record](), []
        for precision in precisions:
            records, row = measure(
                name, precision, exact, seeds=options.seeds, device=options.device, results=options.results
            )
            exact = exact or records
            rows.append(row)
        return rows

    measure_each(parser, "Route", {name: described[name] for name in names}, measure_route, options.json)


if __name__ == "__main__":
    main()
