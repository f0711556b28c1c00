"""Closed forms, symmetries, and a small simulation: what an interval promises, it keeps."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.statistics import (
    Estimate,
    friedman,
    improvement,
    mean_interval,
    median_interval,
    rank_intervals,
    restricted_mean,
    solved_interval,
)
from bench.studies.coverage import (
    EQUAL_ROWS,
    SATURATED,
    SIZES,
    SMOOTH,
    Draw,
    censored,
    coverage,
    false_separations,
    oracle,
    percentile_bootstrap,
    restricted_lognormal,
    solved_coverage,
    truth,
    welch_separations,
)
from bench.studies.grokking import crossing

REPEATS = 800
NOISE = 0.026
"""Three standard deviations of a coverage of 94 % in 800 samples."""

scores = st.lists(st.integers(0, 1000).map(lambda i: i / 1000), min_size=2, max_size=12)

# Times of remission (weeks) under 6-mercaptopurine, Freireich et al. 1963: the textbook example of Kaplan–Meier.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
ENDED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def mirrored(estimate: Estimate) -> list[float]:
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return [1 - estimate.value, 1 - estimate.high, 1 - estimate.low]


def triple(estimate: Estimate) -> list[float]:
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return [estimate.value, estimate.low, estimate.high]


# --- mean


def test_mean_is_a_t_interval_where_nothing_is_skewed() -> None:
    x = np.array([0.49, 0.495, 0.5, 0.505, 0.51])
    q = stats.t.ppf(1 - 0.05 * (1 + 0.9 / 5) / 2, 4)
    half = q * x.std(ddof=1) / 5**0.5
    assert triple(mean_interval(x)) == pytest.approx([0.5, 0.5 - half, 0.5 + half])


def test_mean_reaches_toward_the_tail() -> None:
    value, low, high = triple(mean_interval([0.97, 0.95, 0.9, 0.8, 0.6]))
    assert value - low > 1.5 * (high - value)


@pytest.mark.parametrize("n", SIZES)
def test_constant_scores(n: int) -> None:
    unseen = 1 - 0.05 ** (1 / n)
    assert triple(mean_interval([1.0] * n)) == pytest.approx([1.0, 1 - unseen, 1.0])
    assert triple(mean_interval([0.0] * n)) == pytest.approx([0.0, 0.0, unseen])
    assert triple(mean_interval([0.5] * n)) == pytest.approx([0.5] * 3)


def test_one_run_has_no_interval() -> None:
    assert mean_interval([0.9]) == Estimate(0.9, None, None)
    assert median_interval([3], [True]) == Estimate(3.0, None, None)
    assert median_interval([3], [False]) == Estimate(None, None, None)
    assert restricted_mean([3], [True], 10) == Estimate(3.0, None, None)
    assert improvement([1.0], [0.5, 0.6]) == Estimate(1.0, None, None)


@given(scores)
def test_mean_lies_inside_and_mirrors(values: list[float]) -> None:
    found = mean_interval(values)
    value, low, high = triple(found)
    assert 0 <= low <= value <= high <= 1
    assert mirrored(mean_interval([1 - v for v in values])) == pytest.approx([value, low, high], abs=1e-9)


@given(scores)
def test_mean_knows_its_scale(values: list[float]) -> None:
    scaled = mean_interval([20 * v - 5 for v in values], lowest=-5, highest=15)
    assert triple(scaled) == pytest.approx([20 * e - 5 for e in triple(mean_interval(values))], abs=1e-6)


@given(scores)
def test_a_higher_level_is_wider(values: list[float]) -> None:
    _, low, high = triple(mean_interval(values, 0.9))
    _, lower, higher = triple(mean_interval(values, 0.99))
    assert lower <= low + 1e-12
    assert higher >= high - 1e-12


def test_mean_refuses() -> None:
    with pytest.raises(ValueError, match=r"mean_interval takes scores in \[0.0, 1.0\], got 0.5 … 1.5"):
        mean_interval([0.5, 1.5])
    with pytest.raises(ValueError, match="non-empty"):
        mean_interval([])


# --- crossing times


def test_median_of_a_textbook_example() -> None:
    assert median_interval(WEEKS, ENDED).value == 23
    assert median_interval([1, 2, 3, 4], [1, 1, 1, 1]).value == 2  # S = 3/4, 1/2, 1/4, 0
    assert median_interval([1, 2, 3, 4], [1, 0, 1, 1]).value == 3  # S = 3/4, 3/8


def test_median_ends_are_order_statistics() -> None:
    assert triple(median_interval([5, 1, 4, 2, 3], [True] * 5)) == [3, 1, 5]
    # Of ten runs t_(2), t_(9) hold 97.85 % and t_(3), t_(8) 89.06 %, so I = 0.3247 and λ = 8 I / (2 + 6 I) = 0.658.
    assert triple(median_interval(np.arange(1, 11), [True] * 10)) == pytest.approx([5, 2.658, 8.342], abs=1e-3)
    assert median_interval([1, 2, 3, 9, 9], [1, 1, 1, 0, 0]) == Estimate(3.0, 1.0, None)
    assert median_interval([1, 9, 9, 9, 9], [1, 0, 0, 0, 0]) == Estimate(None, 1.0, None)
    assert median_interval([9] * 6, [False] * 6) == Estimate(None, 9.0, None)
    assert median_interval([1, 2, 3, 4], [True] * 4) == Estimate(2.0, None, None)


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=15))
def test_median_lies_inside_and_scales(runs: list[tuple[int, bool]]) -> None:
    times, solved = np.array([t for t, _ in runs]), [s for _, s in runs]
    found, twice = median_interval(times, solved), median_interval(2 * times, solved)
    ends = [e for e in (found.low, found.value, found.high) if e is not None]
    assert ends == sorted(ends)
    for one, two in zip(vars(found).values(), vars(twice).values(), strict=True):
        assert (two is None) if one is None else two == pytest.approx(2 * one)


def test_restricted_mean_by_hand() -> None:
    assert restricted_mean([1, 2, 3, 4], [1, 0, 1, 1], 4).value == pytest.approx(1 + 2 * 3 / 4 + 3 / 8)
    assert restricted_mean([1, 2, 3, 4], [1, 0, 1, 1], 2.5).value == pytest.approx(1 + 1.5 * 3 / 4)
    # With no run stopped before the horizon it is a mean of min(t, h), with that mean's interval.
    times, solved = [3.0, 5.0, 8.0, 10.0, 10.0], [1, 1, 1, 0, 0]
    expected = mean_interval(times, highest=10.0)
    assert triple(restricted_mean(times, solved, 10)) == pytest.approx(triple(expected))
    assert restricted_mean([12, 20, 10], [1, 0, 0], 10).value == 10


def test_restricted_mean_of_the_textbook_example() -> None:
    survived = np.array([1, 0.857143, 0.806723, 0.752941, 0.690196, 0.627451, 0.537815, 0.448179])
    expected = survived @ np.diff([0, 6, 7, 10, 13, 16, 22, 23, 35])
    value, low, high = triple(restricted_mean(WEEKS, ENDED, 35))
    assert value == pytest.approx(expected, abs=1e-4)
    assert low < value < high


# --- P(solved) and improvement


def test_solved_by_hand() -> None:
    assert triple(solved_interval(5, 5)) == pytest.approx([1, 0.025**0.2, 1])
    assert triple(solved_interval(0, 5)) == pytest.approx([0, 0, 1 - 0.025**0.2])
    expected = stats.binomtest(7, 20).proportion_ci(method="exact")
    assert triple(solved_interval(7, 20)) == pytest.approx([0.35, expected.low, expected.high])
    with pytest.raises(ValueError, match="k=6, n=5"):
        solved_interval(6, 5)


def test_solved_rises_with_k_and_mirrors() -> None:
    found = [triple(solved_interval(k, 12)) for k in range(13)]
    assert (np.diff(found, axis=0)[:, 0] > 0).all()
    assert (np.diff(found, axis=0) >= 0).all()
    assert [mirrored(solved_interval(12 - k, 12)) for k in range(13)] == pytest.approx(np.array(found))


def test_improvement_by_hand() -> None:
    assert improvement([1, 2], [1, 2]).value == 0.5
    assert improvement([3, 1], [2, 1]).value == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert improvement([3, 1], [2, 1], False).value == pytest.approx(1 - 2.5 / 4)
    value, low, high = triple(improvement([3] * 5, [1] * 5))
    assert (value, high) == (1, pytest.approx(1))
    # |1 − θ| = z √V(θ)
    variance = low * (1 - low) * (1 + 4 * ((1 - low) / (2 - low) + low / (1 + low))) / 25
    assert 1 - low == pytest.approx(stats.norm.ppf(0.975) * variance**0.5)


def test_improvement_of_censored_times() -> None:
    first, second = ([10, 100, 100], [1, 0, 0]), ([20, 50, 500], [1, 1, 0])
    found = improvement(first[0], second[0], solved=(first[1], second[1]))
    assert found.value == pytest.approx((3 + 2 * 0.5) / 9)  # 10 beats all; an unsolved run ties with an unsolved one


@given(scores, scores)
def test_improvement_mirrors(x: list[float], y: list[float]) -> None:
    assert mirrored(improvement(y, x)) == pytest.approx(triple(improvement(x, y)), abs=1e-9)
    assert triple(improvement(x, y)) == pytest.approx(triple(improvement(y, x, False)), abs=1e-9)


# --- ranks


def test_ranks_of_rows_far_apart_and_alike() -> None:
    rows = [[0.10, 0.11, 0.12, 0.11, 0.10], [0.90, 0.91, 0.92, 0.91, 0.90], [0.50, 0.51, 0.52, 0.51, 0.50]]
    low, high = rank_intervals(rows)
    assert (low.tolist(), high.tolist()) == ([3, 1, 2], [3, 1, 2])
    low, high = rank_intervals(rows, higher_is_better=False)
    assert (low.tolist(), high.tolist()) == ([1, 3, 2], [1, 3, 2])
    low, high = rank_intervals([rows[0]] * 3)
    assert (low.tolist(), high.tolist()) == ([1, 1, 1], [3, 3, 3])
    assert [len(ranks) for ranks in rank_intervals([])] == [0, 0]


def test_a_single_run_is_never_taken_apart() -> None:
    low, high = rank_intervals([[0.1], [0.9] * 9 + [0.91], [0.2] * 9 + [0.21]])
    assert (low.tolist(), high.tolist()) == ([1, 1, 2], [3, 2, 3])


def test_rounding_takes_no_rows_apart() -> None:
    low, high = rank_intervals([[0.1] * 3, [0.1] * 10, [0.1] * 7])
    assert (low.tolist(), high.tolist()) == ([1, 1, 1], [3, 3, 3])


def test_ranks_of_crossing_times() -> None:
    times = [[100, 110, 120, 105, 115], [1000, 1100, 900, 950, 1050], [5000] * 5]
    low, high = rank_intervals(times, solved=[[1] * 5, [1] * 5, [0] * 5])
    assert (low.tolist(), high.tolist()) == ([1, 2, 3], [1, 2, 3])
    # The third was watched for less time than the first needed, and may be either; the second for longer.
    later = [[7000] * 4 + [6000], [9000] * 5, [5000] * 5]
    low, high = rank_intervals(later, solved=[[1] * 5, [0] * 5, [0] * 5])
    assert (low.tolist(), high.tolist()) == ([1, 2, 1], [2, 3, 3])


@settings(max_examples=50)
@given(st.lists(scores, min_size=1, max_size=8))
def test_ranks_hold_the_rank_by_the_mean(rows: list[list[float]]) -> None:
    low, high = rank_intervals(rows)
    rank = stats.rankdata([-round(np.mean(row), 9) for row in rows])
    assert (low <= np.ceil(rank)).all()
    assert (np.floor(rank) <= high).all()
    worst, best = rank_intervals(rows, higher_is_better=False)
    assert (len(rows) + 1 - worst == high).all()
    assert (len(rows) + 1 - best == low).all()


def test_ranks_of_ten_thousand_records_tell_far_rows_apart() -> None:
    rng = np.random.default_rng(0)
    low, high = rank_intervals([rng.normal(i / 500, 0.02, 20) for i in range(500)])
    assert (low <= np.arange(500, 0, -1)).all()
    assert (np.arange(500, 0, -1) <= high).all()
    assert (high - low).mean() < 60


@pytest.mark.parametrize("shape", EQUAL_ROWS)
def test_equal_rows_are_seldom_taken_apart(shape: str) -> None:
    for rows, n in ((2, 10), (12, 5)):
        assert false_separations(EQUAL_ROWS[shape], rows, n, 150) <= 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_the_floor_under_the_variance_is_needed() -> None:
    assert false_separations(EQUAL_ROWS["solved or not, 50 %"], 60, 5, 40, welch_separations) > 0.4
    assert false_separations(EQUAL_ROWS["solved or not, 50 %"], 60, 5, 40) == 0


def test_friedman_by_hand() -> None:
    found = friedman([[0.9, 0.8, 0.7], [0.8, 0.7, 0.6], [0.9, 0.5, 0.6], [0.4, 0.3, 0.2]])
    assert found.mean_ranks_M.tolist() == [1, 2.25, 2.75]
    # 12 · 4 / (3 · 4) · Σ (R̄ − 2)² = 4 (1 + 1/16 + 9/16) = 6.5, with two degrees of freedom e^(−6.5/2)
    assert found.statistic == pytest.approx(6.5)
    assert found.p_value == pytest.approx(np.exp(-3.25))
    assert friedman(np.ones((3, 4))).p_value == 1
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        friedman(np.ones((3, 2)))


# --- coverage


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shape", ["normal 0.7 ± 0.05", "beta 7, 3", "beta 5, 1", "uniform 0.6 … 0.8"])
def test_mean_of_smooth_scores_covers_without_being_wide(shape: str, n: int) -> None:
    draw = SMOOTH[shape]
    known = oracle(draw, n)
    held, _, ratio = coverage(mean_interval, lambda rng, n: (draw(rng, n),), truth(draw), n, REPEATS, known=known)
    assert held >= 0.93 - NOISE
    assert ratio <= 1.3 * 1.04  # three standard deviations of a mean width over 800 samples of five


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    "shape", ["1, 10 % U(0.2, 0.9)", "U(0.99, 1), 10 % 0.6", "0.99 or 0.3, 50 %", "1 − exponential 0.02"]
)
def test_mean_of_saturated_scores_covers(shape: str, n: int) -> None:
    draw = SATURATED[shape]
    held, _, _ = coverage(mean_interval, lambda rng, n: (draw(rng, n),), truth(draw), n, REPEATS)
    assert held >= 0.93 - NOISE


@pytest.mark.parametrize("draw", [SMOOTH["normal 0.7 ± 0.05"], SATURATED["1, 10 % U(0.2, 0.9)"]])
def test_a_percentile_bootstrap_would_fail(draw: Draw) -> None:
    bootstrap = partial(percentile_bootstrap, resamples=200)
    held, _, _ = coverage(bootstrap, lambda rng, n: (draw(rng, n),), truth(draw), 5, REPEATS)
    assert held < 0.93 - NOISE


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_intervals_of_censored_times_cover(share: float, n: int) -> None:
    draw, budget = censored(0.5, share)
    median = 1.0 if share < 0.5 else np.inf
    assert coverage(median_interval, draw, median, n, REPEATS, budget)[0] >= 0.93 - NOISE
    area, true = partial(restricted_mean, horizon=budget), restricted_lognormal(0.5, budget)
    assert coverage(area, draw, true, n, REPEATS, budget)[0] >= 0.93 - NOISE


@pytest.mark.parametrize("n", SIZES)
def test_solved_never_covers_less_than_it_says(n: int) -> None:
    assert solved_coverage(n)[0] >= 0.95


@pytest.mark.parametrize("n", SIZES)
def test_improvement_covers(n: int) -> None:
    held, _, _ = coverage(
        improvement, lambda rng, n: (rng.normal(1, 2, n), rng.normal(size=n)), stats.norm.cdf(1 / 5**0.5), n, REPEATS
    )
    assert held >= 0.93 - NOISE


def test_the_median_of_a_study_counts_the_seeds_that_never_got_there() -> None:
    def record(step: int | None) -> dict[str, Any]:
        return {"steps_to": {"test": {"0.99": step}}, "final": {"step": 1_000}}

    found = crossing([record(step) for step in (*range(100, 108), *[None] * 12)], "test", "0.99")
    assert (found["n"], found["reached"], found["first"], found["last"]) == (20, 8, 100, 107)
    assert found["median"] is None
    assert found["low"] is not None
    all_there = crossing([record(step) for step in range(100, 121)], "test", "0.99")
    assert all_there["median"] == 110
    assert all_there["low"] < 110 < all_there["high"]
    assert crossing([record(None)], "test", "0.99") == {"n": 1, "reached": 0}
