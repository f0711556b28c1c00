"""How often do the intervals of a league table hold the true value? A simulation.

    python -m bench.recipes.measurements.coverage [--repeats 20000] [--jobs 2] [--only TEXT] [--json FILE]

There is a line for every interval that `bench rank` prints, at n = 2, 3, 5, 10 and 20 runs, with its confidence level
and its coverage: for medians of accuracies and of crossing times (with ties, saturated at 100 %, with two modes, with
runs that never reach the target, with crossings that are known at evaluations only or are not confirmed), probabilities
of being solved, the fraction that suffices, ranks, and ratios and differences to a baseline. In the simulated tables
all rows are equal, so that a rank interval covers where it reaches from the first to the last rank, and that of a ratio
where it holds 1. "–" stands where n is too small for an interval. A line whose coverage is below its level by more than
three Monte Carlo errors is marked, and the command then ends with exit code 1.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from bench.ranking import (
    ACCURACY_SPACING,
    FEWEST,
    Sample,
    median_interval,
    needed_fraction,
    rank_intervals,
    rank_level,
    statistics,
)
from bench.recipes.measurements._study import parser_of
from bench.results import CONFIRMATION, evaluation_steps

Floats = NDArray[np.float64]
Quantile = Callable[[Floats], Floats]

SIZES = (2, 3, 5, 10, 20)
TABLES = (*((rows, c) for rows in (2, 5, 14) for c in (0.0, 0.5, 0.9)), (60, 0.0))
"""Rows of a table, and how the runs of two rows that share a seed are correlated."""
HORIZON = 1_000
GRID = np.array([0, *evaluation_steps(HORIZON, 1)])
ERRORS = 3
"""A coverage may be below its level by so many Monte Carlo errors."""


@dataclass(frozen=True)
class Line:
    """The coverage of one interval.

    :param level: its confidence level; None where n is too small for an interval.
    :param coverage: how often it held the true value, of ``repeats`` samples; exact where these are 0.
    """

    interval: str
    shape: str
    n: int
    level: float | None
    coverage: float | None
    repeats: int

    @property
    def short(self) -> bool:
        """Whether the coverage is below the level by more than the error of the simulation."""
        if self.level is None or self.coverage is None:
            return False
        error = math.sqrt(self.level * (1 - self.level) / self.repeats) if self.repeats else 0.0
        return self.coverage < self.level - ERRORS * error - 1e-9

    def __str__(self) -> str:
        numbers = ("–", "–") if self.level is None else (f"{self.level:.2%}", f"{self.coverage:.2%}")
        return f"{self.interval:18}{self.shape:52}{self.n:3}{numbers[0]:>9}{numbers[1]:>10}{' !' * self.short}"


def _spread(low: float, high: float) -> Quantile:
    return lambda u: low + (high - low) * u


def _two(share: float, first: Quantile, second: Quantile) -> Quantile:
    """A mixture: with a probability of ``share`` the first distribution, else the second, which is larger."""
    return lambda u: np.where(u < share, first(u / share), second((u - share) / (1 - share)))


def _lognormal(middle: float, deviation: float) -> Quantile:
    return lambda u: middle * np.exp(deviation * special.ndtri(np.clip(u, 1e-12, 1 - 1e-12)))


def _constant(value: float) -> Quantile:
    return lambda u: np.full_like(u, value)


NEVER = _constant(math.inf)


ACCURACIES: dict[str, Quantile] = {
    "normal 0.7 ± 0.05": lambda u: 0.7 + 0.05 * special.ndtri(u),
    "uniform 0 … 1": _spread(0.0, 1.0),
    "exponential below 1": lambda u: 1 + 0.02 * np.log(u),
    "exponential above 0": lambda u: -0.02 * np.log(1 - u),
    "10 % U(0.2, 0.9), else 1": _two(0.1, _spread(0.2, 0.9), _constant(1.0)),
    "40 % U(0.2, 0.9), else 1": _two(0.4, _spread(0.2, 0.9), _constant(1.0)),
    "10 % at 0.01, else U(0.80, 0.95)": _two(0.1, _constant(0.01), _spread(0.80, 0.95)),
    "0.3 or 0.99, half each": _two(0.5, _spread(0.29, 0.31), _spread(0.98, 1.0)),
    "0.998 or 0.999, half each": lambda u: np.where(u < 0.5, 0.998, 0.999),
}
"""Distributions by their quantile functions."""

TIMES: dict[str, Quantile] = {
    "28 or 29, half each": lambda u: np.where(u < 0.5, 27.5, 28.5),
    "lognormal 100, σ = 0.3": _lognormal(100, 0.3),
    "lognormal 600, σ = 0.5: a fifth beyond the horizon": _lognormal(600, 0.5),
    "30, or never for a fifth": _two(0.8, _spread(28, 33), NEVER),
    "30, or never for a half": _two(0.5, _spread(28, 33), NEVER),
    "30 or 500, half each": _two(0.5, _spread(28, 33), _spread(450, 550)),
    "100, or never for a tenth": _two(0.9, _lognormal(100, 0.3), NEVER),
}

MEDIANS = {**ACCURACIES, **TIMES}
EQUAL_ROWS = {**{f"accuracy, {k}": v for k, v in ACCURACIES.items()}, **{f"steps, {k}": v for k, v in TIMES.items()}}


def known_from_evaluations(times: Floats) -> tuple[Floats, Floats, Floats]:
    """Crossing times as they are known from evaluations up to the horizon: after, early and late as in `Crossing`.

    A crossing is confirmed where it holds to 1.5 times its step within the horizon.
    """
    place = np.searchsorted(GRID, np.minimum(times, HORIZON))
    there = times <= HORIZON
    at = GRID[np.minimum(place, len(GRID) - 1)]
    after = np.where(there, GRID[np.maximum(place - 1, 0)], HORIZON)
    early = np.where(there, at, math.inf)
    late = np.where(there & (at * CONFIRMATION <= HORIZON), at, math.inf)
    return after, early, late


def _true_medians(quantile: Quantile) -> Floats:
    """The lowest and the highest median of the distribution."""
    return quantile(np.array([0.5 - 1e-9, 0.5 + 1e-9]))


def _share_held(ends_R2: list[tuple[float | None, float | None]], truths: Floats) -> float:
    """How often an interval holds the true value; of several true values, the one that it holds least often."""
    ends = np.array([(-math.inf if a is None else a, math.inf if b is None else b) for a, b in ends_R2])
    return min(float(((ends[:, 0] <= t + 1e-9) & (t - 1e-9 <= ends[:, 1])).mean()) for t in truths)


def median_line(shape: str, n: int, repeats: int) -> Line:
    """The interval of a median: of accuracies, or of crossing times that are known from evaluations."""
    rng, quantile = np.random.default_rng([n, len(shape)]), MEDIANS[shape]
    kind = "median of steps" if shape in TIMES else "median accuracy"
    found = []
    for _ in range(repeats):
        x = quantile(rng.random(n))
        if shape in TIMES:
            after, _, late = known_from_evaluations(x)
            found.append(median_interval(late, low=after))
        else:
            found.append(median_interval(x))
    level = found[0].level
    held = None if level is None else _share_held([(f.low, f.high) for f in found], _true_medians(quantile))
    return Line(kind, shape, n, level, held, repeats)


def solved_line(n: int) -> Line:
    """Least coverage of `solved_interval` over the probability; no simulation."""
    p_G = np.linspace(0.001, 0.999, 999)
    found = [statistics.solved_interval(k, n) for k in range(n + 1)]
    low_K, high_K = (np.array([getattr(e, end) for e in found]) for end in ("low", "high"))
    mass_GK = stats.binom.pmf(np.arange(n + 1), n, p_G[:, None])
    held_G = (mass_GK * ((low_K <= p_G[:, None]) & (p_G[:, None] <= high_K))).sum(axis=1)
    return Line("chance", "least over the probability of being solved", n, statistics.LEVEL, float(held_G.min()), 0)


def fraction_line(shape: str, shares: tuple[float, ...], n: int, repeats: int) -> Line:
    """The interval of the fraction that suffices.

    :param shares: of five fractions tried, the probability that a run reaches the target.
    """
    rng, target = np.random.default_rng([n, len(shape), 7]), 0.99
    fractions = [0.1, 0.2, 0.3, 0.4, 0.5]
    true = next((f for f, share in zip(fractions, shares, strict=True) if share >= 0.5), math.inf)
    held, level = 0, None
    for _ in range(repeats):
        tried = [median_interval(np.where(rng.random(n) < share, 0.995, 0.5)) for share in shares]
        need = needed_fraction(dict(zip(fractions, tried, strict=True)), target)
        level = need.level
        low, high = -math.inf if need.low is None else need.low, math.inf if need.high is None else need.high
        held += low < true <= high
    known = median_interval(np.zeros(n)).level if n >= FEWEST else None
    return Line(
        "needs", shape, n, known if level is None else level, None if known is None else held / repeats, repeats
    )


def rank_line(shape: str, n: int, rows: int, correlation: float, repeats: int) -> Line:
    """The interval of a rank in a table of equal rows.

    :param correlation: of the runs of two rows that share a seed; below 0 no two rows share one.
    """
    rng, quantile = np.random.default_rng([n, rows, len(shape)]), EQUAL_ROWS[shape]
    shared = f"correlation {correlation:g}" if correlation >= 0 else "no seeds in common"
    name = f"{shape}; {rows} rows, {shared}"
    if n < FEWEST:
        return Line("rank", name, n, None, None, repeats)
    draw = partial(_table, rng, quantile, shape.startswith("steps"), n, rows, correlation)
    held = sum(rank_intervals(draw(), only=[0]) == [(1, rows)] for _ in range(repeats))
    return Line("rank", name, n, rank_level(n), held / repeats, repeats)


def _table(
    rng: np.random.Generator, quantile: Quantile, times: bool, n: int, rows: int, correlation: float
) -> list[Sample]:
    values_Mn = _values(rng, quantile, n, rows, correlation)
    keys = [range(n) if correlation >= 0 else range(m * n, m * n + n) for m in range(rows)]
    if not times:
        return [Sample(k, -x, -x, ACCURACY_SPACING) for k, x in zip(keys, values_Mn, strict=True)]
    table = []
    for k, x in zip(keys, values_Mn, strict=True):
        after, early, late = known_from_evaluations(x)
        low, high = (np.log(np.minimum(end, HORIZON)) for end in (early, late))
        there = early <= HORIZON
        spacing = float(np.log(early[there] / np.maximum(after[there], early[there] / 2)).max(initial=0.0))
        table.append(Sample(k, low, high, spacing))
    return table


def baseline_line(shape: str, n: int, correlation: float, repeats: int) -> Line:
    """The interval of the ratio of two equal rows, or of the difference of their accuracies.

    :param correlation: of the runs of two rows that share a seed.
    """
    rng, quantile, times = np.random.default_rng([n, len(shape), 11]), EQUAL_ROWS[shape], shape.startswith("steps")
    held, level = 0, None
    for _ in range(repeats):
        row, baseline = (_measured(x, times) for x in _values(rng, quantile, n, 2, correlation))
        found = statistics.shift_interval(row, baseline)
        low, high = (end if known is None else known for end, known in ((-math.inf, found.low), (math.inf, found.high)))
        held, level = held + (low <= 1e-9 and high >= -1e-9), level or found.level
    name = f"{shape}; correlation {correlation:g}"
    return Line("baseline", name, n, level, None if level is None else held / repeats, repeats)


def _measured(values_n: Floats, times: bool) -> statistics.Bounds:
    """Accuracies, or logarithms of times between the evaluations that enclose them."""
    if not times:
        return statistics.Bounds(values_n, values_n)
    after, _, late = known_from_evaluations(values_n)
    return statistics.Bounds(np.log(np.maximum(after, 1.0)), np.log(np.maximum(late, 1.0)))


def _values(rng: np.random.Generator, quantile: Quantile, n: int, rows: int, correlation: float) -> Floats:
    """Values of equal rows, (M, n), of which those of one seed are correlated."""
    weight = max(0.0, correlation)
    normal_Mn = math.sqrt(weight) * rng.standard_normal(n) + math.sqrt(1 - weight) * rng.standard_normal((rows, n))
    return quantile(special.ndtr(normal_Mn))


FRACTIONS = {
    "one suffices clearly": (0.0, 0.0, 0.0, 1.0, 1.0),
    "slowly: 1, 20, 45, 55, 80 %": (0.01, 0.2, 0.45, 0.55, 0.8),
    "four that nearly suffice": (0.499, 0.499, 0.499, 0.499, 0.9),
    "none suffices, nearly": (0.499, 0.499, 0.499, 0.499, 0.499),
    "all suffice, just": (0.501, 0.501, 0.501, 0.501, 0.501),
}
UNPAIRED = ("accuracy, normal 0.7 ± 0.05", "accuracy, 0.3 or 0.99, half each", "steps, 30, or never for a half")


def lines(repeats: int, jobs: int, only: str = "") -> Iterator[Line]:
    """All lines, in order, as soon as each is known.

    :param only: only shapes with this text in their name.
    """
    medians, equal, fractions, unpaired = (
        [shape for shape in shapes if only in shape] for shapes in (MEDIANS, EQUAL_ROWS, FRACTIONS, UNPAIRED)
    )
    work: list[Any] = [] if only else [joblib.delayed(solved_line)(n) for n in SIZES]
    work += [joblib.delayed(median_line)(shape, n, repeats) for shape in medians for n in SIZES]
    work += [joblib.delayed(fraction_line)(k, FRACTIONS[k], n, repeats) for k in fractions for n in SIZES]
    work += [
        joblib.delayed(rank_line)(shape, n, rows, correlation, repeats)
        for shape in equal
        for rows, correlation in TABLES
        for n in SIZES
    ]
    work += [
        joblib.delayed(rank_line)(shape, n, rows, -1.0, repeats)
        for shape in unpaired
        for rows in dict(TABLES)
        for n in SIZES
    ]
    work += [
        joblib.delayed(baseline_line)(shape, n, correlation, repeats)
        for shape in equal
        for correlation in (0.0, 0.5, 0.9)
        for n in SIZES
    ]
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(work)


def main(arguments: list[str] | None = None) -> int:
    """Simulate and print; the exit code is 1 where a coverage is below its level."""
    parser = parser_of(
        "coverage",
        __doc__,
        repeats=(20_000, "samples, or tables, for each line"),
        jobs=(joblib.cpu_count(), "processes"),
        only=("", "shapes with this in their name, as 'steps'"),
    )
    parser.add_argument("--json", type=Path, help="file for all lines")
    options = parser.parse_args(arguments)
    print(f"{'interval':18}{'shape':52}{'n':>3}{'level':>9}{'coverage':>10}")
    found = []
    for line in lines(options.repeats, options.jobs, options.only):
        found.append(line)
        print(line, flush=True)
    if options.json:
        options.json.write_text(json.dumps([vars(line) for line in found], indent=1))
    short = sum(line.short for line in found)
    print(f"{len(found)} lines, {short} with a coverage below the level by more than {ERRORS} Monte Carlo errors.")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
