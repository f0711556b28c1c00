"""How long does one seed of `mlp` take here, and how long does scikit-learn itself for the same epochs?

    python -m bench.recipes.measurements.mlp_overhead [--epochs 200] [--repeats 3]

In one process, in turn, on one thread each: a run of the benchmark (task, split, codes, training, evaluation on the
whole grid, probes, record and checkpoint on disk) and `MLPRegressor.fit` on the same codes with one prediction of the
test pairs at the end. Prints the seconds of both and their ratio, repeat by repeat.
"""

import tempfile
import time
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

import bench
from bench.recipes.measurements._study import parser_of, tell
from bench.results import about
from bench.specs import Request, family, prepare

EPOCH = 0.25
"""Seconds of an epoch on one core of an Intel Xeon, here and in scikit-learn."""
REQUEST: dict[str, Any] = {"encoder": "cycle", "learner": "mlp", "pairs": "distinct"}


def ours(epochs: int, seed: int) -> tuple[float, float]:
    """Seconds and test accuracy of a run of the benchmark, from its start to its record."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        [record] = bench.run(**REQUEST, epochs=epochs, seed=seed, jobs=1, results=folder)
        return time.perf_counter() - start, record["final"]["test_accuracy"]


def direct(epochs: int, seed: int, threads: int) -> tuple[float, float]:
    """Seconds and test accuracy of scikit-learn on the same codes, fit and predict alone."""
    cell = prepare(family(Request(**REQUEST), seed).first)
    X, train, test = cell.problem.codes.dense(), cell.split.train, cell.split.test
    targets = np.eye(97, dtype=np.float32)[cell.problem.y]
    network = MLPRegressor(
        hidden_layer_sizes=(400, 200, 200, 200, 200, 200),
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=10**9,
        random_state=seed,
    )
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        network.fit(X[train], targets)
        answers = network.predict(X[test]).argmax(axis=1)
        seconds = time.perf_counter() - start
    return seconds, float((answers == cell.task.answers_N[test]).mean())


def main() -> None:
    """Measure and print."""
    options = parser_of(
        "mlp_overhead",
        __doc__,
        epochs=(200, "of each run"),
        repeats=(3, "runs of each, with seeds of their own"),
        threads=(1, "threads of scikit-learn; the benchmark uses one"),
    ).parse_args()
    each = f"{options.epochs:,} epochs by the benchmark and by scikit-learn"
    tell(f"{options.repeats} × {each}: {about(2 * options.repeats * options.epochs * EPOCH)} of a CPU core.")
    ratios = []
    for seed in range(options.repeats):
        mine, accuracy = ours(options.epochs, seed)
        theirs, direct_accuracy = direct(options.epochs, seed, options.threads)
        ratios.append(mine / theirs)
        print(
            f"seed {seed}: bench {mine:6.2f} s (test {accuracy:.4f})   "
            f"scikit-learn {theirs:6.2f} s (test {direct_accuracy:.4f})   ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"ratio: median {np.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}, n = {len(ratios)}")


if __name__ == "__main__":
    main()
