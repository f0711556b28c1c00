"""Does coarser arithmetic move generalization? Steps to 99 % of the test pairs in every precision, the same seeds.

    python -m bench.studies.precision [--seeds 20] [--device auto] [--json FILE]

For each torch learner, each on its own route to generalization. Seeds are paired: a seed has the same split, start and
batches in every precision. The p-value is that of a sign-flip test of the mean difference of log steps between a
precision and float32, over the seeds that reach the target in both; "seed noise" is the standard deviation of their log
steps in float32. A seed that does not reach the target is counted, never dropped.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import bench
from bench.studies.grokking import command, crossing
from learners import TorchMLP

__all__ = ["ROUTES", "compare", "sign_flip"]

PRESET = TorchMLP.scikit().get_params()
SHAPE = ("hidden_layer_sizes", "init", "loss", "optimizer", "betas", "weight_decay", "warmup", "batch_size")

ROUTES: dict[str, tuple[int, dict[str, Any], dict[str, Any], str]] = {
    "transformer": (3_000, {"learner": "transformer", "encoder": "onehot", "pairs": "ordered"}, {}, "0.99"),
    "transformer-muon": (
        600,
        {"learner": "transformer", "encoder": "onehot", "pairs": "ordered"},
        {"learner.optimizer": "muon", "learner.lr": 0.02},
        "0.99",
    ),
    "torch-mlp": (
        2_400,
        {"learner": "torch-mlp", "encoder": "cycle", "pairs": "distinct"},
        {f"learner.{name}": PRESET[name] for name in SHAPE},
        "0.95",
    ),
    "quadratic": (60, {"learner": "quadratic", "encoder": "onehot"}, {}, "0.99"),
}
"""Steps, request, settings, target: of the clock codes only some seeds ever pass 99 %."""


def sign_flip(differences: NDArray[np.float64], draws: int = 20_000) -> float:
    """Two-sided p-value of the mean of paired differences, by flipping signs at random."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], size=(draws, len(differences)))
    means = np.abs((signs * differences).mean(axis=1))
    return float((1 + (means >= abs(differences.mean()) - 1e-12).sum()) / (draws + 1))


def compare(exact: list[dict[str, Any]], rounded: list[dict[str, Any]], target: str) -> dict[str, Any]:
    """Paired comparison of the log steps of two lists of records, seed by seed."""
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


def measure(name: str, seeds: int, device: str, precisions: list[str]) -> list[dict[str, Any]]:
    """One route in every precision."""
    steps, request, settings, target = ROUTES[name]
    rows = []
    exact: list[dict[str, Any]] = []
    for precision in precisions:
        records = bench.run(
            **request, settings=settings, precision=precision, steps=steps, seeds=seeds, device=device, results=None
        )
        failed = [r["error"]["message"] for r in records if r["error"]]
        if failed:
            raise RuntimeError(f"{len(failed)} of {len(records)} cells failed: {failed[0]}")
        exact = exact or records
        rows.append(
            {
                "route": name,
                "precision": precision,
                "command": f"{command(steps, request, settings, seeds)} --precision {precision}",
                "target": target,
                **crossing(records, "test", target),
                "final_test": float(np.mean([r["final"]["test_accuracy"] or 0.0 for r in records])),
                "train_seconds_per_seed": float(np.mean([r["seconds"]["train"] for r in records])),
                "device": records[0]["environment"]["processor"],
                **compare(exact, records, target),
            }
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "routes", nargs="*", metavar="ROUTE", help=f"some of {', '.join(ROUTES)}; all where none is named"
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precisions", help="float32 first  [default: all that there are]")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args()
    results = []
    usual = "float32,tf32,bfloat16" if torch.cuda.is_available() and options.device != "cpu" else "float32,bfloat16"
    precisions = (options.precisions or usual).split(",")
    for name in options.routes or ROUTES:
        for row in measure(name, options.seeds, options.device, precisions):
            print(json.dumps(row), flush=True)
            results.append(row)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
