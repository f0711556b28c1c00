"""Closed forms, symmetries, and small simulations: what an interval promises, it keeps."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.ranking.statistics import (
    FEWEST,
    Bounds,
    Estimate,
    Sample,
    friedman,
    improvement,
    median,
    median_interval,
    rank_intervals,
    rank_level,
    sign_flip,
    solved_interval,
)
from bench.recipes.measurements._study import crossing
from bench.recipes.measurements.coverage import (
    ACCURACIES,
    EQUAL_ROWS,
    FRACTIONS,
    MEDIANS,
    SIZES,
    fraction_line,
    lines,
    median_line,
    rank_line,
    solved_line,
)

REPEATS = 300

scores = st.lists(st.integers(0, 1000).map(lambda i: i / 1000), min_size=5, max_size=12)


def row(*values: float, keys: Any = None, spacing: float = 0.001) -> Sample:
    """A row of costs over its own numbering of seeds."""
    x = np.array(values, float)
    return Sample(range(len(x)) if keys is None else keys, x, x, spacing)


# --- median


def test_one_definition_of_the_median() -> None:
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 3, 2]) == 2.5
    assert median([1, 2]) == 1.5
    assert median([1, 2, math.inf]) == 2
    assert median([1, math.inf]) == math.inf  # half of the runs did not get there


@pytest.mark.parametrize(("n", "first", "level"), [(5, 1, 0.9375), (10, 2, 0.978515625), (20, 6, 0.958610534667969)])
def test_which_runs_enclose_the_median(n: int, first: int, level: float) -> None:
    """All of five, the 2nd to the 9th of ten, the 6th to the 15th of twenty."""
    found = median_interval(np.random.default_rng(0).permutation(n) + 1)
    assert (found.low, found.high) == (first, n + 1 - first)
    assert found.level == pytest.approx(level)


@pytest.mark.parametrize("n", range(1, 30))
def test_the_level_is_the_probability_that_the_runs_lie_on_both_sides(n: int) -> None:
    found = median_interval(np.arange(1, n + 1))
    if n < FEWEST:
        assert found == Estimate((n + 1) / 2)
        return
    assert found.low is not None
    assert found.high == n + 1 - found.low
    below = sum(math.comb(n, k) for k in range(int(found.low))) / 2**n  # too few runs below the median, or above it
    assert found.level == pytest.approx(1 - 2 * below)
    assert found.level >= 0.9
    narrower = 1 - 2 * sum(math.comb(n, k) for k in range(int(found.low) + 1)) / 2**n
    assert narrower < 0.95


def test_the_median_agrees_with_the_kaplan_meier_curve_of_scipy() -> None:
    """A run that does not get there is censored: the median is where the survival function passes ½."""
    rng = np.random.default_rng(0)
    for _ in range(500):
        n = int(rng.integers(1, 25))
        x = np.where(rng.random(n) < rng.choice([0.0, 0.3, 0.6]), math.inf, rng.integers(1, rng.choice([6, 1000]), n))
        curve = stats.ecdf(stats.CensoredData(x[np.isfinite(x)], right=np.full(int(np.isinf(x).sum()), 2000.0))).sf
        times = [*curve.quantiles[curve.probabilities < 1], math.inf]  # the last stands for what is never reached
        survival = [*curve.probabilities[curve.probabilities < 1], 0.0]
        first = next(t for t, s in zip(times, survival, strict=True) if s <= 0.5 + 1e-9)  # two of the values in the
        last = next(t for t, s in zip(times, survival, strict=True) if s < 0.5 - 1e-9)  # middle where n is even
        assert median(x) == (first if first == last else (first + last) / 2)


def test_the_ends_of_the_interval_are_quantiles_of_scipys_empirical_distribution() -> None:
    """x_(r) is the (r/n)-quantile, x_(n+1−r) the ((n + 1 − r)/n)-quantile, r by the sign test of scipy."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        n = int(rng.integers(FEWEST, 40))
        x = np.where(rng.random(n) < rng.choice([0.0, 0.2]), math.inf, rng.integers(1, rng.choice([6, 1000]), n))
        tails = [stats.binomtest(k, n).pvalue for k in range(n // 2 + 1)]  # 2 P(Bin(n, ½) ≤ k)
        r = max(1, sum(p <= 0.05 + 1e-12 for p in tails))
        curve = stats.ecdf(np.where(np.isinf(x), 1e9, x)).cdf
        low, high = (curve.quantiles[np.argmax(curve.probabilities >= k / n - 1e-9)] for k in (r, n + 1 - r))
        found = median_interval(x)
        ends = [None if end == 1e9 else end for end in (low, high)]
        if ends != [None, None]:
            assert [found.low, found.high] == ends
            assert found.level == pytest.approx(1 - tails[r - 1])


def test_bounds_of_values_widen_the_interval() -> None:
    found = median_interval([10, 20, 30, 40, math.inf], low=[9, 19, 29, 39, 100])
    assert (found.value, found.low, found.high) == (30, 9, None)


@given(scores)
def test_the_median_mirrors_and_scales(values: list[float]) -> None:
    x = np.array(values)
    one, other, double = median_interval(x), median_interval(1 - x), median_interval(2 * x)
    assert one.low is not None
    assert one.high is not None
    assert [other.value, other.low, other.high] == pytest.approx([1 - one.value, 1 - one.high, 1 - one.low])  # type: ignore[operator]
    assert [double.value, double.low, double.high] == pytest.approx([2 * one.value, 2 * one.low, 2 * one.high])  # type: ignore[operator]


# --- P(solved) and improvement


def test_solved_by_hand() -> None:
    five, none = solved_interval(5, 5), solved_interval(0, 5)
    assert (five.value, five.low, five.high) == (1, pytest.approx(0.025**0.2), 1)
    assert (none.value, none.low, none.high) == (0, 0, pytest.approx(1 - 0.025**0.2))
    expected, found = stats.binomtest(7, 20).proportion_ci(method="exact"), solved_interval(7, 20)
    assert (found.value, found.low, found.high) == pytest.approx((0.35, expected.low, expected.high))
    with pytest.raises(ValueError, match="k=6, n=5"):
        solved_interval(6, 5)


def test_solved_agrees_with_the_exact_interval_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        n, level = int(rng.integers(1, 200)), float(rng.choice([0.9, 0.95, 0.99]))
        k = int(rng.choice([0, n, rng.integers(0, n + 1)]))
        found, expected = solved_interval(k, n, level), stats.binomtest(k, n).proportion_ci(level, method="exact")
        assert (found.low, found.high, found.level) == pytest.approx((expected.low, expected.high, level), abs=1e-9)


def test_improvement_by_hand() -> None:
    def known(*values: float) -> Bounds:
        return Bounds(np.array(values), np.array(values))

    assert improvement(known(1, 2), known(1, 2)) == 0.5
    assert improvement(known(3, 1), known(2, 1)) == pytest.approx((0 + 0 + 1 + 0.5) / 4)
    assert improvement(known(10, math.inf), known(20, math.inf)) == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    maybe = Bounds(np.array([15.0]), np.array([math.inf]))  # 15 or never: who is faster than 15 wins, others are open
    assert improvement(known(10, 20), maybe) == pytest.approx((1 + 0.5) / 2)


# --- ranks


def test_sign_flip_is_the_share_of_all_signs() -> None:
    rng = np.random.default_rng(0)
    for n in (6, 7, 10):
        d_Kn = np.round(rng.normal(0.3, 1, (50, n)), 1)
        d_Kn[:, 0] = 0
        signs = np.array(list(itertools.product([1, -1], repeat=n)))
        expected = [(np.abs(signs @ d) >= abs(d.sum()) - 1e-9).mean() for d in d_Kn]
        assert sign_flip(d_Kn) == pytest.approx(expected)


def test_ranks_of_rows_far_apart_and_alike() -> None:
    rows = [row(0.10, 0.11, 0.12, 0.11, 0.10), row(0.90, 0.91, 0.92, 0.91, 0.90), row(0.50, 0.51, 0.52, 0.51, 0.50)]
    assert rank_intervals(rows) == [(1, 1), (3, 3), (2, 2)]
    assert rank_intervals([rows[0]] * 3) == [(1, 3)] * 3
    assert rank_intervals([]) == []
    assert rank_intervals(rows, only=[2]) == [(2, 2)]


def test_few_runs_are_never_taken_apart() -> None:
    few, low, high = row(0.1, 0.1, 0.1, 0.1), row(*[0.9] * 9, 0.91), row(*[0.2] * 9, 0.21)
    assert rank_intervals([few, low, high]) == [None, (2, 3), (1, 2)]


def test_six_common_seeds_are_the_fewest_of_an_exact_test() -> None:
    """2^(1−6) = 3.1 % passes 5 % for two rows; five pairs of one sign are 6.3 %, and the t test is asked."""
    x = np.arange(6.0)
    noisy = row(*(x + np.array([0.01, 1, 0.01, 1, 0.01, 1])))
    assert rank_intervals([row(*x), noisy]) == [(1, 1), (2, 2)]
    assert rank_intervals([row(*x[:5]), row(*noisy.low[:5])]) == [(1, 2), (1, 2)]
    assert rank_intervals([row(*x[:5]), row(*(x[:5] + 0.5))]) == [(1, 1), (2, 2)]


def test_the_spacing_of_evaluations_keeps_equal_rows_together() -> None:
    """Two rows that take 28 or 29 steps at random, at n = 2 (13.5 % of tables were told apart) and at five."""
    rng = np.random.default_rng(0)
    for n in (2, 5):
        for _ in range(500):
            rows = [row(*np.log(rng.integers(28, 30, n)), spacing=math.log(28 / 27)) for _ in range(2)]
            assert rank_intervals(rows) == ([None] * 2 if n == 2 else [(1, 2)] * 2)
    apart = [row(*[math.log(t)] * 5, spacing=math.log(28 / 27)) for t in (28, 29)]
    assert rank_intervals(apart) == [(1, 2)] * 2
    assert rank_intervals([apart[0], row(*[math.log(40)] * 5, spacing=0.05)]) == [(1, 1), (2, 2)]


def test_runs_of_no_common_seed_are_not_paired() -> None:
    x = np.arange(8.0)
    assert rank_intervals([row(*x), row(*(x + 0.1))]) == [(1, 1), (2, 2)]
    assert rank_intervals([row(*x), row(*(x + 0.1), keys=range(8, 16))]) == [(1, 2)] * 2
    assert rank_intervals([row(*x), row(*(x + 50), keys=range(8, 16))]) == [(1, 1), (2, 2)]
    lucky, half = row(*[1.0] * 5), row(*[0.0, 1.0] * 10, keys=range(5, 25))
    assert rank_intervals([lucky, half]) == [(1, 2)] * 2  # Welch's test alone would tell them apart


def test_values_that_are_not_known_take_no_rows_apart() -> None:
    low, high = np.full(8, 1.0), np.full(8, 9.0)
    maybe, middle, last = Sample(range(8), low, high), row(*[5.0] * 8), row(*[10.0] * 8)
    assert rank_intervals([maybe, middle, last]) == [(1, 2), (1, 2), (3, 3)]


@settings(max_examples=50)
@given(st.lists(scores, min_size=1, max_size=8))
def test_ranks_mirror(values: list[list[float]]) -> None:
    m = len(values)
    found = rank_intervals([row(*x) for x in values])
    mirrored = rank_intervals([row(*(-np.array(x))) for x in values])
    assert [(m + 1 - high, m + 1 - low) for low, high in mirrored] == found  # type: ignore[misc]


def test_ranks_of_five_thousand_records_tell_far_rows_apart() -> None:
    rng = np.random.default_rng(0)
    found = rank_intervals([row(*rng.normal(i / 250, 0.02, 20)) for i in range(250)])
    low, high = np.array(found).T
    assert (low <= np.arange(1, 251)).all()
    assert (np.arange(1, 251) <= high).all()
    assert (high - low).mean() < 30


def test_friedman_by_hand() -> None:
    found = friedman([[0.9, 0.8, 0.7], [0.8, 0.7, 0.6], [0.9, 0.5, 0.6], [0.4, 0.3, 0.2]])
    assert found.mean_ranks_M.tolist() == [1, 2.25, 2.75]
    # 12 · 4 / (3 · 4) · Σ (R̄ − 2)² = 4 (1 + 1/16 + 9/16) = 6.5, with two degrees of freedom e^(−6.5/2)
    assert found.statistic == pytest.approx(6.5)
    assert found.p_value == pytest.approx(np.exp(-3.25))
    assert friedman(np.ones((3, 4))).p_value == 1
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        friedman(np.ones((3, 2)))


# --- coverage: bench.recipes.measurements.coverage with few draws; the whole of it takes hours


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shape", MEDIANS)
def test_medians_cover(shape: str, n: int) -> None:
    line = median_line(shape, n, REPEATS)
    assert (line.level is None) == (n < FEWEST)
    assert not line.short, line


@pytest.mark.parametrize("n", SIZES)
def test_chances_cover(n: int) -> None:
    assert not solved_line(n).short


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("shape", FRACTIONS)
def test_fractions_cover(shape: str, n: int) -> None:
    assert not fraction_line(shape, FRACTIONS[shape], n, REPEATS).short


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("shape", EQUAL_ROWS)
def test_ranks_cover(shape: str, n: int) -> None:
    for rows, correlation in ((2, 0.5), (14, 0.0)):
        line = rank_line(shape, n, rows, correlation, REPEATS)
        assert (line.level is None) == (n < FEWEST)
        assert not line.short, line


def test_a_line_knows_that_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extremes of five runs do not hold the mean as often: of a skewed distribution the study says so."""
    from bench.recipes.measurements import coverage

    quantile = ACCURACIES["10 % at 0.01, else U(0.80, 0.95)"]
    mean = float(quantile(np.linspace(0.0005, 0.9995, 1000)).mean())
    monkeypatch.setattr(coverage, "_true_medians", lambda quantile: (mean, mean))
    assert median_line("10 % at 0.01, else U(0.80, 0.95)", 5, REPEATS).short


def test_the_study_has_a_line_for_every_interval_and_size() -> None:
    found = list(lines(1, 1))
    kinds = {line.interval for line in found}
    assert kinds == {"median accuracy", "median of steps", "chance", "needs", "rank", "baseline"}
    assert {(line.interval, line.n) for line in found} == {(kind, n) for kind in kinds for n in SIZES}
    assert rank_level(5) == 0.9375
    assert rank_level(6) == 0.95


def test_the_median_of_a_study_counts_the_seeds_that_never_got_there() -> None:
    def record(step: int | None) -> dict[str, Any]:
        return {"steps_to": {"test": {"0.99": step}}, "final": {"step": 1_000}}

    found = crossing([record(step) for step in (*range(100, 108), *[None] * 12)], "test", "0.99")
    assert (found["n"], found["reached"], found["first"], found["last"]) == (20, 8, 100, 107)
    assert found["median"] is None
    assert found["low"] == 105  # the sixth
    all_there = crossing([record(step) for step in range(100, 121)], "test", "0.99")
    assert all_there["median"] == 110
    assert all_there["low"] < 110 < all_there["high"]
    assert crossing([record(None)], "test", "0.99") == {"n": 1, "reached": 0}
