"""Does anything beat chance where there is nothing to learn? The rows of `bench/grids/random.yaml`, tested.

    python -m bench sweep bench/grids/random.yaml
    python -m bench.recipes.measurements.chance [--results results]

The answers of the task `random` are a fixed random function of the pair, so that no learner can know those of test
pairs. A row is a configuration; its seeds are the units. Each row's mean test accuracy is compared with chance, one in
the number of answers, by a one-sided t test, and Holm's correction over all rows keeps the probability of any false
alarm below 5 %. The command ends with exit code 1 where a row beats chance, or where there is no row of five seeds.
"""

import sys
from collections import defaultdict

import numpy as np
from scipy import stats

from bench.ranking import FEWEST, statistics
from bench.recipes.measurements._study import parser_of
from bench.results import open_store

TASK = "random"
ALPHA = 0.05
SHOWN = 10


def main(arguments: list[str] | None = None) -> int:
    """Print the rows with the smallest p-values, and whether any beats chance."""
    options = parser_of("chance", __doc__, results=("results", "folder or pack of the records")).parse_args(arguments)
    accuracies: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for record in open_store(options.results).records():
        found = record["final"]["test_accuracy"]
        if record["spec"]["task"] == TASK and found is not None:
            accuracies[record["label"], record["spec"]["modulus"] or 0].append(found)
    rows = [(label, p, np.array(values)) for (label, p), values in accuracies.items() if len(values) >= FEWEST]
    if not rows:
        print(f"No row of {FEWEST} seeds and more on the task {TASK!r}.")
        return 1
    p_K = np.array([_p_value(values, 1 / p) for _, p, values in rows])
    beaten_K = statistics.holm(p_K, ALPHA)
    for k in np.argsort(p_K)[:SHOWN]:
        label, p, values = rows[k]
        mean, chance = 100 * values.mean(), 100 / p
        print(f"{label}: {mean:.3f} % over {len(values)} seeds, chance {chance:.3f} %, p = {p_K[k]:.2g}")
    print(f"{int(beaten_K.sum())} of {len(rows)} rows beat chance; the smallest p of all is {p_K.min():.2g}.")
    return int(beaten_K.any())


def _p_value(values: np.ndarray, chance: float) -> float:
    """Of a mean above chance; of seeds that are all alike it is 0 above it and 1 otherwise."""
    if np.ptp(values) == 0:
        return float(values[0] <= chance)
    return float(stats.ttest_1samp(values, chance, alternative="greater").pvalue)


if __name__ == "__main__":
    sys.exit(main())
