"""How often do the intervals of bench.statistics hold the truth, and how wide are they? A simulation.

    python -m bench.studies.coverage [--repeats 4000] [--json FILE]

Samples of n = 5, 10, 20 runs are drawn from known distributions: smooth scores, saturated ones (most at or near 1, a
tail or a second mode below), crossing times censored at the budget. "width" is the mean width of the interval, "ratio"
that width over the oracle's: who knows the sampling distribution of the estimate at that n needs the distance of its
2.5 % and 97.5 % quantiles. Widths of times are measured up to the budget. Student's t and the percentile bootstrap are
shown beside the interval for the mean, since one of them is what would be used otherwise. The last table is the share
of tables in which `rank_intervals` takes rows of equal distribution apart, beside Welch's test without the floor.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from bench import statistics
from bench.statistics import Estimate, improvement, mean_interval, median_interval, rank_intervals, restricted_mean

__all__ = ["SATURATED", "SIZES", "SMOOTH", "censored", "coverage", "false_separations", "solved_coverage"]

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

SIZES = (5, 10, 20)
DRAWS_FOR_TRUTH = 2_000_000
DRAWS_FOR_ORACLE = 100_000


def _clipped(draw: Draw) -> Draw:
    return lambda rng, n: np.clip(draw(rng, n), 0.0, 1.0)


def _either(share: float, rare: Draw, usual: Draw) -> Draw:
    return lambda rng, n: np.where(rng.random(n) < share, rare(rng, n), usual(rng, n))


def _uniform(low: float, high: float) -> Draw:
    return lambda rng, n: rng.uniform(low, high, n)


def _beta(a: float, b: float) -> Draw:
    return lambda rng, n: rng.beta(a, b, n)


def _ones(rng: np.random.Generator, n: int) -> Floats:
    return np.ones(n)


def _zeros(rng: np.random.Generator, n: int) -> Floats:
    return np.zeros(n)


SMOOTH: dict[str, Draw] = {
    "normal 0.7 ± 0.05": lambda rng, n: rng.normal(0.7, 0.05, n),
    "normal 0.7 ± 0.005": lambda rng, n: rng.normal(0.7, 0.005, n),
    "normal 0.7 ± 0.1": _clipped(lambda rng, n: rng.normal(0.7, 0.1, n)),
    "normal 0.9 ± 0.02": _clipped(lambda rng, n: rng.normal(0.9, 0.02, n)),
    "beta 70, 30": _beta(70, 30),
    "beta 7, 3": _beta(7, 3),
    "beta 8, 2": _beta(8, 2),
    "beta 5, 1": _beta(5, 1),
    "beta 2, 2": _beta(2, 2),
    "uniform 0.6 … 0.8": _uniform(0.6, 0.8),
    "uniform 0 … 1": _uniform(0.0, 1.0),
    "t5 0.7 ± 0.03": _clipped(lambda rng, n: 0.7 + 0.03 * rng.standard_t(5, n)),
    "t3 0.7 ± 0.03": _clipped(lambda rng, n: 0.7 + 0.03 * rng.standard_t(3, n)),
    "0.8 − gamma(4)": _clipped(lambda rng, n: 0.8 - 0.03 * rng.gamma(4, size=n)),
}

SATURATED: dict[str, Draw] = {
    "1, 5 % U(0.2, 0.9)": _either(0.05, _uniform(0.2, 0.9), _ones),
    "1, 10 % U(0.2, 0.9)": _either(0.1, _uniform(0.2, 0.9), _ones),
    "1, 20 % U(0.2, 0.9)": _either(0.2, _uniform(0.2, 0.9), _ones),
    "1, 40 % U(0.2, 0.9)": _either(0.4, _uniform(0.2, 0.9), _ones),
    "U(0.99, 1), 10 % 0.6": _either(0.1, lambda rng, n: rng.normal(0.6, 0.05, n), _uniform(0.99, 1.0)),
    "U(0.99, 1), 10 % U(0.85, 0.99)": _either(0.1, _uniform(0.85, 0.99), _uniform(0.99, 1.0)),
    "beta(50, 1), 10 % U(0, 0.9)": _either(0.1, _uniform(0.0, 0.9), _beta(50, 1)),
    "beta(50, 1), 20 % U(0, 0.9)": _either(0.2, _uniform(0.0, 0.9), _beta(50, 1)),
    "solved or not, 90 %": _either(0.1, _zeros, _ones),
    "solved or not, 50 %": _either(0.5, _zeros, _ones),
    "0.99 or 0.3, 70 %": _either(0.3, _uniform(0.2, 0.4), _uniform(0.98, 1.0)),
    "0.99 or 0.3, 50 %": _either(0.5, _uniform(0.2, 0.4), _uniform(0.98, 1.0)),
    "0.99 or 0.01, 20 %": _either(0.8, _uniform(0.0, 0.02), _uniform(0.98, 1.0)),
    "beta 50, 1": _beta(50, 1),
    "beta 20, 1": _beta(20, 1),
    "beta 10, 0.5": _beta(10, 0.5),
    "1 − exponential 0.02": _clipped(lambda rng, n: 1 - 0.02 * rng.exponential(size=n)),
    "1 − exponential 0.1": _clipped(lambda rng, n: 1 - 0.1 * rng.exponential(size=n)),
    "min(1, normal 1 ± 0.02)": _clipped(lambda rng, n: rng.normal(1.0, 0.02, n)),
    "min(1, normal 0.95 ± 0.05)": _clipped(lambda rng, n: rng.normal(0.95, 0.05, n)),
}

OUT_OF_REACH: dict[str, Draw] = {
    "0.99 or 0.3, 40 %": _either(0.6, _uniform(0.2, 0.4), _uniform(0.98, 1.0)),
    "0.99 or 0.3, 20 %": _either(0.8, _uniform(0.2, 0.4), _uniform(0.98, 1.0)),
    "normal 0.8 ± 0.01, 5 % 0.1": _either(0.05, _uniform(0.05, 0.15), lambda rng, n: rng.normal(0.8, 0.01, n)),
    "0.6 + exponential 0.05": _clipped(lambda rng, n: 0.6 + 0.05 * rng.exponential(size=n)),
}
"""Shapes that look like smooth ones until the rare thing happens, or are skewed as no bound explains."""


@cache
def truth(draw: Draw) -> float:
    """Mean of a distribution, to about σ/1400."""
    return float(draw(np.random.default_rng(97), DRAWS_FOR_TRUTH).mean())


@cache
def oracle(draw: Draw, n: int) -> float:
    """Distance of the 2.5 % and 97.5 % quantiles of the mean of n, to about 0.5 %."""
    means = draw(np.random.default_rng([97, n]), DRAWS_FOR_ORACLE * n).reshape(-1, n).mean(axis=1)
    return float(np.diff(np.quantile(means, [0.025, 0.975]))[0])


def student(values: Floats, level: float = 0.95) -> Estimate:
    """Student's t interval."""
    mean, n = float(values.mean()), len(values)
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * float(values.std(ddof=1)) / n**0.5
    return Estimate(mean, mean - half, mean + half)


def percentile_bootstrap(values: Floats, level: float = 0.95, resamples: int = 500) -> Estimate:
    """Quantiles of the means of resamples."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


@dataclass(frozen=True)
class Coverage:
    """What was measured of one interval on one distribution at one n."""

    interval: str
    kind: str
    shape: str
    n: int
    repeats: int
    coverage: float
    width: float
    ratio: float


def coverage(
    estimate: Callable[..., Estimate],
    draw: Callable[[np.random.Generator, int], tuple[Any, ...]],
    true: float,
    n: int,
    repeats: int,
    ceiling: float = math.inf,
    known: float | None = None,
) -> tuple[float, float, float]:
    """Share of samples whose interval holds the truth, mean width, and that width over the oracle's.

    :param draw: one sample: the arguments of `estimate`.
    :param true: infinite where there is none, for example a median that is never reached.
    :param ceiling: what lies beyond counts as this in widths.
    :param known: the oracle's width; without it, that of the estimates of these samples.
    """
    rng = np.random.default_rng([n, repeats, 1])
    values, ends = np.empty(repeats), np.empty((repeats, 2))
    for i in range(repeats):
        found = estimate(*draw(rng, n))
        values[i] = math.inf if found.value is None else found.value
        ends[i] = 0.0 if found.low is None else found.low, math.inf if found.high is None else found.high
    slack = 1e-9 * max(1.0, abs(true)) if math.isfinite(true) else 0.0
    holds = (ends[:, 0] <= true + slack) & (true - slack <= ends[:, 1])
    seen = np.minimum(ends, ceiling)
    width = float((seen[:, 1] - seen[:, 0]).mean())
    best = float(np.diff(np.quantile(np.minimum(values, ceiling), [0.025, 0.975]))[0]) if known is None else known
    return float(holds.mean()), width, width / best if best > 0 else math.nan


def censored(spread: float, share: float, staggered: bool = False) -> tuple[Callable[..., Any], float]:
    """Lognormal times of median 1, of which the budget censors a share; and the budget.

    :param spread: σ of log time.
    :param share: 0 is a budget of ten medians.
    :param staggered: the budgets of runs differ: uniform between half of it and all of it.
    """
    budget = math.exp(spread * float(stats.norm.isf(share))) if share else 10.0

    def draw(rng: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.bool_]]:
        t = np.exp(spread * rng.standard_normal(n))
        given = budget * rng.uniform(0.5, 1.0, n) if staggered else np.full(n, budget)
        return np.minimum(t, given), t <= given

    return draw, budget


def restricted_lognormal(spread: float, horizon: float) -> float:
    """E min(T, h) = e^(σ²/2) Φ((ln h − σ²)/σ) + h (1 − Φ(ln h / σ)) for log T ~ N(0, σ²)."""
    at = math.log(horizon)
    below = math.exp(spread**2 / 2) * stats.norm.cdf((at - spread**2) / spread)
    return float(below + horizon * stats.norm.sf(at / spread))


def _never(share: float, budget: float) -> Callable[..., Any]:
    """Runs that are solved after about 1, or with some probability never."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.bool_]]:
        t = np.where(rng.random(n) < share, math.inf, np.minimum(np.exp(0.3 * rng.standard_normal(n)), budget))
        return np.minimum(t, budget), t <= budget

    return draw


def mean_rows(repeats: int) -> Iterator[Coverage]:
    """The interval for the mean, and what would be used otherwise."""
    for kind, shapes in (("smooth", SMOOTH), ("saturated", SATURATED), ("out of reach", OUT_OF_REACH)):
        for shape, draw in shapes.items():
            for n in SIZES:
                for estimate in (mean_interval, student, percentile_bootstrap):
                    sample = partial(lambda d, rng, n: (d(rng, n),), draw)
                    found = coverage(estimate, sample, truth(draw), n, repeats, known=oracle(draw, n))
                    yield Coverage(estimate.__name__, kind, shape, n, repeats, *found)


def time_rows(repeats: int) -> Iterator[Coverage]:
    """Median and restricted mean of censored crossing times."""
    for spread in (0.5, 1.0):
        for share, staggered in ((0.0, False), (0.2, False), (0.4, False), (0.6, False), (0.2, True), (0.4, True)):
            draw, budget = censored(spread, share, staggered)
            shape = f"lognormal σ = {spread}, {share:.0%} {'staggered' if staggered else 'censored'}"
            median = 1.0 if share < 0.5 else math.inf
            for n in SIZES:
                if not staggered or n > 5:  # of five runs with staggered budgets too few remain
                    found = coverage(median_interval, draw, median, n, repeats, budget)
                    yield Coverage("median_interval", "censored", shape, n, repeats, *found)
                horizon = budget / 2 if staggered else budget
                area = partial(restricted_mean, horizon=horizon)
                found = coverage(area, draw, restricted_lognormal(spread, horizon), n, repeats, horizon)
                yield Coverage("restricted_mean", "censored", shape, n, repeats, *found)
    for share, budget in ((0.1, 3.0), (0.1, 100.0), (0.4, 100.0)):
        draw = _never(share, budget)
        true = float(draw(np.random.default_rng(97), DRAWS_FOR_TRUTH)[0].mean())
        for n in SIZES:
            found = coverage(partial(restricted_mean, horizon=budget), draw, true, n, repeats, budget)
            shape = f"budget of {budget:.0f} medians, {share:.0%} never solved"
            yield Coverage("restricted_mean", "censored", shape, n, repeats, *found)


def improvement_rows(repeats: int) -> Iterator[Coverage]:
    """Probability of improvement: normal scores of equal and of different spread, saturated ones with ties, times."""

    def normal(shift: float, spread: float, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        return rng.normal(shift, spread, n), rng.normal(size=n)

    def saturated(share: float, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        return _either(share, _uniform(0.2, 0.9), _ones)(rng, n), SATURATED["1, 40 % U(0.2, 0.9)"](rng, n)

    for shift, spread in ((0.0, 1.0), (0.0, 4.0), (1.0, 1.0), (2.0, 1.0)):
        true = float(stats.norm.cdf(shift / math.hypot(1.0, spread)))
        for n in SIZES:
            found = coverage(improvement, partial(normal, shift, spread), true, n, repeats)
            shape = f"normal, shift {shift:g}, spreads {spread:g} and 1"
            yield Coverage("improvement", "smooth", shape, n, repeats, *found)
    for share in (0.4, 0.1):  # P = both or one at 1, and a half of both below
        true = (1 - share) * 0.6 / 2 + (1 - share) * 0.4 + share * 0.4 / 2
        for n in SIZES:
            found = coverage(improvement, partial(saturated, share), true, n, repeats)
            yield Coverage("improvement", "saturated", f"1, {share:.0%} and 40 % U(0.2, 0.9)", n, repeats, *found)
    for share in (0.2, 0.6):
        draw, _ = censored(0.5, share)

        def pair(rng: np.random.Generator, n: int, draw: Callable[..., Any] = draw) -> tuple[Any, ...]:
            (x, x_solved), (y, y_solved) = draw(rng, n), draw(rng, n)
            return x, y, False, (x_solved, y_solved)

        def estimate(x: Any, y: Any, higher: bool, solved: Any) -> Estimate:
            return improvement(x, y, higher, solved=solved)

        for n in SIZES:
            found = coverage(estimate, pair, 0.5, n, repeats)
            yield Coverage("improvement", "censored", f"two alike, {share:.0%} censored", n, repeats, *found)


def solved_coverage(n: int) -> tuple[float, float, float]:
    """Least coverage of `solved_interval` over P(solved), mean width, and mean ratio to the oracle's; no simulation."""
    p_G = np.linspace(0.005, 0.995, 199)
    found = [statistics.solved_interval(k, n) for k in range(n + 1)]
    low_K, high_K = (np.array([getattr(e, end) for e in found]) for end in ("low", "high"))
    mass_GK = stats.binom.pmf(np.arange(n + 1), n, p_G[:, None])
    held_G = (mass_GK * ((low_K <= p_G[:, None]) & (p_G[:, None] <= high_K))).sum(axis=1)
    width_G = mass_GK @ (high_K - low_K)
    oracle_G = (stats.binom.ppf(0.975, n, p_G) - stats.binom.ppf(0.025, n, p_G)) / n
    return float(held_G.min()), float(width_G.mean()), float((width_G[oracle_G > 0] / oracle_G[oracle_G > 0]).mean())


EQUAL_ROWS: dict[str, Draw] = {
    "normal": SMOOTH["normal 0.7 ± 0.05"],
    "uniform": SMOOTH["uniform 0 … 1"],
    "exponential below 1": SATURATED["1 − exponential 0.02"],
    "lognormal": lambda rng, n: np.exp(rng.standard_normal(n)),
    "1, 10 % U(0.2, 0.9)": SATURATED["1, 10 % U(0.2, 0.9)"],
    "solved or not, 50 %": SATURATED["solved or not, 50 %"],
    "0.99 or 0.3, 50 %": SATURATED["0.99 or 0.3, 50 %"],
    "0.9 or 0.3, 50 %": _either(
        0.5, lambda rng, n: rng.normal(0.3, 0.01, n), lambda rng, n: np.clip(rng.normal(0.9, 0.01, n), 0, 1)
    ),
}


def separations(rows: list[Floats]) -> bool:
    """Is any row taken apart from any other?"""
    low_M, high_M = rank_intervals(rows)
    return bool((low_M > 1).any() or (high_M < len(rows)).any())


def welch_separations(rows: list[Floats]) -> bool:
    """The same without the floor under the variances."""
    mean_M, n_M = np.array([r.mean() for r in rows]), np.array([len(r) for r in rows])
    i_K, j_K = np.triu_indices(len(rows), 1)
    error_M = np.array([r.var(ddof=1) for r in rows]) / n_M
    p_K = statistics._welch(mean_M[i_K] - mean_M[j_K], error_M, n_M - 1, i_K, j_K)
    return bool(statistics._holm(p_K, 0.05).any())


def false_separations(
    draw: Draw, rows: int, n: int, repeats: int, apart: Callable[[list[Floats]], bool] = separations
) -> float:
    """Share of tables of rows of one distribution in which some are taken apart: at most 5 % where the level holds."""
    rng = np.random.default_rng([rows, n])
    return sum(apart([draw(rng, n) for _ in range(rows)]) for _ in range(repeats)) / repeats


def lucky_separations(unsteady: int, rows: int, n: int, repeats: int) -> float:
    """Share of tables in which some of a few rows that solve half of the time are taken apart, beside steady rows."""
    rng = np.random.default_rng([unsteady, rows, n])
    half = _either(0.5, _uniform(0.0, 0.03), _uniform(0.98, 1.0))
    found = 0
    for _ in range(repeats):
        steady = [np.clip(rng.normal(m, 0.003, n), 0, 1) for m in rng.choice([0.01, 0.7, 1.0], rows - unsteady)]
        table = [half(rng, n) for _ in range(unsteady)] + steady
        mean_M, variance_M, n_M = statistics._floored(table)
        i_K, j_K = np.triu_indices(rows, 1)
        p_K = statistics._welch(mean_M[i_K] - mean_M[j_K], variance_M / n_M, n_M - 1, i_K, j_K)
        found += bool((statistics._holm(p_K, 0.05) & (j_K < unsteady)).any())
    return found / repeats


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=4_000, help="samples for each line; tables: a tenth of them")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    print(f"{'interval':21}{'kind':13}{'shape':41}{'n':>3}{'coverage':>10}{'width':>9}{'ratio':>7}")
    for rows in (mean_rows, time_rows, improvement_rows):
        for row in rows(options.repeats):
            results.append(vars(row))
            print(
                f"{row.interval:21}{row.kind:13}{row.shape:41}{row.n:3}{row.coverage:10.1%}{row.width:9.4f}"
                f"{row.ratio:7.2f}",
                flush=True,
            )
    for n in SIZES:
        found = solved_coverage(n)
        results.append(vars(Coverage("solved_interval", "solved", "least over P", n, 0, *found)))
        print(f"{'solved_interval':34}{'least over P':41}{n:3}{found[0]:10.1%}{found[1]:9.4f}{found[2]:7.2f}")
    tables = max(options.repeats // 10, 1)
    print(f"\n{'tables with rows taken apart':41}{'rows':>6}{'n':>4}{'rank_intervals':>16}{'Welch alone':>13}")
    for shape, draw in EQUAL_ROWS.items():
        for count in (3, 10, 60):
            for n in (5, 10):
                shares = [false_separations(draw, count, n, tables, f) for f in (separations, welch_separations)]
                results.append({"rows": count, "shape": shape, "n": n, "tables": tables, "apart": shares})
                print(f"{'equal: ' + shape:41}{count:6}{n:4}{shares[0]:16.1%}{shares[1]:13.1%}", flush=True)
    for unsteady, count in ((10, 50), (15, 200), (10, 500), (20, 500)):
        for n in (5, 10):
            share = lucky_separations(unsteady, count, n, tables)
            shape = f"{unsteady} that solve half of the time"
            results.append({"rows": count, "shape": shape, "n": n, "tables": tables, "apart": [share]})
            print(f"{shape:41}{count:6}{n:4}{share:16.1%}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
