"""How long encoders take on a large table, and how much memory, beside scikit-learn's own.

    python -m bench.recipes.measurements.tables [--rows 1000000] [--repeats 3]

Three columns of numbers are transformed by one thread, in alternation with scikit-learn: sparse codes beside
`OneHotEncoder`, in processor time for each non-zero, and dense ones beside `SplineTransformer`, for each byte. A ratio
is the median over repetitions in which both were timed, after one that is not counted. Memory is the highest that was
allocated while transforming, over the size of the codes. `SDRify` is told apart: it chooses the winners of codes that
are there already.
"""

import sys
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.preprocessing import OneHotEncoder, SplineTransformer
from threadpoolctl import threadpool_limits

from bench.recipes.measurements._study import parser_of
from encoders import RDSE, Binary, Cycle, Fourier, OneHot, Phasor, Random, Residue, Scalar, SDRify, Thermometer

Row = tuple[str, Any, np.ndarray]


def rows_of(n: int) -> Iterator[tuple[str, Row, list[Row]]]:
    """The unit of the costs, scikit-learn's encoder, and those that are compared with it."""
    rng = np.random.default_rng(0)
    clock = np.stack([rng.integers(0, period, n) for period in (24, 7, 365)], axis=1).astype(np.float64)
    real = rng.normal(scale=10.0, size=(n, 3))
    sparse: dict[str, Any] = {"sparse_output": True}
    yield (
        "non-zero",
        ("OneHotEncoder", OneHotEncoder(), clock),
        [
            ("OneHot", OneHot(**sparse), clock),
            ("Residue", Residue(**sparse), clock),
            ("Random, 3 of 128", Random(distribution="k-of-n", **sparse), clock),
            ("RDSE, 20 of 1,000", RDSE(**sparse), real),
            ("Scalar, 21 of 85", Scalar(**sparse), real),
            ("Thermometer, 64 levels", Thermometer(**sparse), real),
        ],
    )
    yield (
        "byte",
        ("SplineTransformer, 24 knots", SplineTransformer(n_knots=24, extrapolation="periodic"), clock),
        [
            ("Fourier, 8 harmonics", Fourier(modulus=24), clock),
            ("Phasor, 16 components", Phasor(n=16, modulus=24), clock),
            ("Cycle, 32 clocks", Cycle(n=32, period=24.0), clock),
            ("Cycle, 32 cosines", Cycle(n=32, period=24.0, wave="cosine"), clock),
            ("Binary", Binary(), clock),
            ("Random, 32 features", Random(n=32), clock),
            ("OneHot", OneHot(), clock),
            ("RDSE, 5 of 128", RDSE(size=128, active_bits=5), real),
            ("Scalar, 21 of 85", Scalar(), real),
            ("Thermometer, 64 levels", Thermometer(), real),
        ],
    )
    clocks = Cycle(n=96, period=24.0).fit_transform(clock[:, :1])
    yield (
        "byte",
        ("Cycle, 96 clocks, one column", Cycle(n=96, period=24.0), clock[:, :1]),
        [
            ("SDRify, 12 of its 96", SDRify(k=12), clocks),
            ("SDRify, 12 of 96, values", SDRify(k=12, mode="values"), clocks),
        ],
    )


def main(arguments: list[str] | None = None) -> int:
    """Print a table of ratios for each of scikit-learn's encoders."""
    options = parser_of(
        "tables", __doc__, rows=(1_000_000, "rows of the table"), repeats=(3, "how often each is timed")
    ).parse_args(arguments)
    with threadpool_limits(1):
        for unit, usual, others in rows_of(options.rows):
            print(f"\n| encoder | features | s | MB | ns per {unit} | ratio | memory over codes |")
            print("|---|---|---|---|---|---|---|")
            for row in (usual, *others):
                _print(row, usual, unit, options.repeats)
    return 0


def _print(row: Row, usual: Row, unit: str, repeats: int) -> None:
    name, encoder, X = row
    encoder.fit(X)
    usual[1].fit(usual[2])
    pairs = [(_cost(encoder, X, unit), _cost(usual[1], usual[2], unit)) for _ in range(1 + repeats)][1:]  # warm
    ratio = float(np.median([mine[0] / theirs[0] for mine, theirs in pairs]))
    cost, seconds, size, features = sorted(mine for mine, _ in pairs)[repeats // 2]
    tracemalloc.start()
    encoder.transform(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"| {name} | {features} | {seconds:.2f} | {size / 1e6:.0f} | {cost:.1f} | {ratio:.2f} | {peak / size:.2f} |")


def _cost(encoder: Any, X: np.ndarray, unit: str) -> tuple[float, float, int, int]:
    """Nanoseconds of the processor for each non-zero or byte, seconds, bytes and features of the codes."""
    start = time.process_time()
    codes = encoder.transform(X)
    seconds = time.process_time() - start
    size = codes.data.nbytes + codes.indices.nbytes + codes.indptr.nbytes if unit == "non-zero" else codes.nbytes
    return 1e9 * seconds / (codes.nnz if unit == "non-zero" else size), seconds, size, codes.shape[1]


if __name__ == "__main__":
    sys.exit(main())
