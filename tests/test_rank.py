"""The league table: hand-made records whose order and estimates are known."""

import copy
import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished
from records import STEPS, Made, blocks, ending, run, solving, stored
from rich.console import Console

from bench.cli import _print, _rank
from bench.errors import RequestError, StoreError
from bench.ranking.criteria import CRITERIA, Criterion
from bench.ranking.league import Ranking, Row, rank
from bench.ranking.places import compare
from bench.ranking.runs import Run
from bench.ranking.scores import KINDS
from bench.ranking.statistics import Friedman, critical_difference
from bench.results.store import Store

Command = Callable[..., Finished]
CONTRACT = (
    *("rank", "rank_low", "rank_high", "label", "config", "encoder", "learner", "task", "protocol", "train_fraction"),
    *("n", "estimate", "low", "high", "level", "mean", "solved", "unconfirmed", "probes", "parameters", "seconds"),
)


def by_learner(ranking: Ranking) -> dict[str, Row]:
    return {row.learner: row for row in ranking.rows}


def order(ranking: Ranking) -> list[tuple[int | None, str]]:
    return [(row.rank, row.learner) for row in ranking.rows]


# Accuracy


def test_rows_are_ranked_by_the_median_over_seeds() -> None:
    records = [*ending("low", 0.2, 0.3, 0.4), *ending("high", 0.9, 0.8, 0.1), *ending("middle", 0.5, 0.5, 0.8)]
    ranking = rank(records=records)
    assert order(ranking) == [(1, "high"), (2, "middle"), (3, "low")]
    high = ranking.rows[0]
    assert (high.n, high.estimate, high.low, high.high, high.level) == (3, 0.8, None, None, None)
    assert high.mean == pytest.approx(0.6)
    assert high.config == {
        **{k: v for k, v in records[0]["spec"].items() if k not in ("seed", "split_seed")},
        "encoder": {"name": "onehot"},
        "learner": {"name": "high"},
    }
    assert high.improvement == pytest.approx((3 + 2.5 + 0) / 9)
    assert ranking.rows[-1].improvement is None
    assert high.remarks == ["1 of 3 runs end below half of the median, at 10.0 %"]


def test_equal_medians_are_ordered_by_the_mean() -> None:
    records = [*ending("a", 0.1, 0.8, 0.8), *ending("b", 0.2, 0.8, 0.8), *ending("c", 0.8, 0.2, 0.8)]
    assert order(rank(records=records)) == [(1, "b"), (1, "c"), (3, "a")]


def test_five_runs_span_the_median_with_93_75_percent_and_ten_the_second_to_the_ninth() -> None:
    tenths = [0.5 + i / 100 for i in range(10)]
    rows = by_learner(
        rank(records=[*ending("five", *tenths[:5]), *ending("ten", *tenths), *ending("four", *tenths[:4])])
    )
    assert (rows["five"].estimate, rows["five"].low, rows["five"].high, rows["five"].level) == (0.52, 0.5, 0.54, 0.9375)
    assert (rows["ten"].estimate, rows["ten"].low, rows["ten"].high) == (pytest.approx(0.545), 0.51, 0.58)
    assert rows["ten"].level == pytest.approx(1 - 22 / 1024)
    assert (rows["four"].low, rows["four"].high, rows["four"].level) == (None, None, None)


def test_five_perfect_runs() -> None:
    [row] = rank(records=ending("mlp", *[1.0] * 5)).rows
    assert (row.estimate, row.low, row.high) == (1.0, 1.0, 1.0)
    assert (row.solved, row.unconfirmed) == (0.0, 5)  # they get there at the last evaluation
    [row] = rank(records=solving("mlp", *[500] * 5)).rows
    assert (row.solved, row.solved_high) == (1.0, 1.0)
    assert row.solved_low == pytest.approx(0.025 ** (1 / 5))


def test_rows_that_differ_clearly_have_ranks_that_do_not_overlap() -> None:
    ranking = rank(
        records=[*ending("a", *[0.9 + i / 1000 for i in range(9)]), *ending("b", *[0.3 + i / 1000 for i in range(9)])]
    )
    assert [(row.rank_low, row.rank_high, row.rank_level) for row in ranking.rows] == [(1, 1, 0.95), (2, 2, 0.95)]


def test_ranks_pair_runs_of_one_seed() -> None:
    """Seeds differ by much more than rows: only pairs of equal seeds tell the rows apart."""
    split = [0.1, 0.9, 0.5, 0.3, 0.7, 0.2, 0.8, 0.6]
    records = [*ending("a", *[x + 0.02 for x in split]), *ending("b", *split)]
    assert [(row.rank_low, row.rank_high) for row in rank(records=records).rows] == [(1, 1), (2, 2)]
    for record in records[8:]:
        record["spec"]["split_seed"] += 1000
    assert [(row.rank_low, row.rank_high) for row in rank(records=records).rows] == [(1, 2), (1, 2)]


def test_equal_scores_share_a_rank() -> None:
    ranking = rank(records=[*ending("b", 0.5, 0.7), *ending("a", 0.7, 0.5), *ending("c", 0.1, 0.1)])
    assert order(ranking) == [(1, "a"), (1, "b"), (3, "c")]


def test_few_runs_have_no_interval_and_no_place_of_their_own(command: Command, tmp_path: Path) -> None:
    more, less = [0.5, 0.51, 0.5, 0.5, 0.5], [0.1, 0.11, 0.1, 0.1, 0.1]
    records = [*ending("few", *[0.95] * 4), *ending("more", *more), *ending("less", *less)]
    rows = by_learner(rank(records=records))
    assert (rows["few"].n, rows["few"].low, rows["few"].high) == (4, None, None)
    assert (rows["few"].rank_low, rows["few"].rank_high, rows["few"].rank_level) == (None, None, None)
    assert (rows["more"].rank_low, rows["more"].rank_high, rows["more"].rank_level) == (1, 2, 0.9375)
    assert (rows["less"].rank_low, rows["less"].rank_high) == (2, 3)
    assert "n below 5: too few runs" in command("rank", "--results", stored(tmp_path, records)).out


def test_a_run_that_failed_is_missing_and_one_that_diverged_is_zero() -> None:
    mixed = ending("mixed", 0.9, 0.7, 0.8, 0.6)
    for record, status in zip(mixed, ("done", "diverged", "failed", "interrupted"), strict=True):
        record["status"] = status
        record["budget"]["steps"] = 1001 if status == "interrupted" else 1000
    mixed[2]["final"] = dict.fromkeys(mixed[2]["final"])
    row = by_learner(rank(records=mixed))["mixed"]
    assert row.n == 3
    assert row.estimate == pytest.approx(0.6)
    assert row.mean == pytest.approx((0.9 + 0 + 0.6) / 3)
    assert row.incomplete == ["1 failed"]  # the interrupted one went as far as the others
    assert row.diverged == 1
    for record in mixed:
        record["budget"]["steps"] = 1001
    mixed[0]["final"]["step"] = 1001
    assert sorted(by_learner(rank(records=mixed))["mixed"].incomplete) == ["1 failed", "1 interrupted"]


def test_a_row_without_a_score_is_last_and_not_dropped() -> None:
    ranking = rank(records=[*ending("none", 0.9, status="failed", parameters=None), *ending("some", 0.1, 0.2)])
    assert order(ranking) == [(1, "some"), (None, "none")]
    assert ranking.rows[1].incomplete == ["1 failed"]
    assert ranking.rows[1].n == 0
    assert ranking.rows[1].estimate is None


def test_accuracy_at_the_horizon() -> None:
    rising = [i / 10 for i in range(1, 11)]
    records = [
        run("full", 0, rising),
        run("full", 1, rising),
        run("short", 0, rising[:3], steps=STEPS[:3]),
        run("solved", 0, rising[:3], steps=STEPS[:3], budget=1000),
        run("interrupted", 0, rising, status="interrupted", budget=2000),
        run("stopped", 0, rising[:3], steps=STEPS[:3], status="interrupted", budget=2000),
        run("closed", 0, [0.35], steps=[0], budget=0),
        run("diverged", 0, rising[:2], steps=STEPS[:2], status="diverged", budget=1000),
    ]
    rows = by_learner(rank(records=records, horizon=450))
    known = {"full": 0.4, "solved": 0.3, "interrupted": 0.4, "stopped": 0.3, "closed": 0.35, "diverged": 0.0}
    assert {learner: row.estimate for learner, row in rows.items()} == {**known, "short": None}
    incomplete = {learner: row.incomplete for learner, row in rows.items() if row.incomplete}
    assert incomplete == {"short": ["given 300 steps only"], "stopped": ["1 interrupted"]}
    assert rows["short"].rank is None
    assert rows["full"].steps == [450, 450]
    assert rows["full"].seconds == pytest.approx(0.9)
    assert rows["full"].diagonal is None  # it is known of the end alone
    assert by_learner(rank(records=records, horizon=50))["full"].incomplete == ["2 not evaluated by then"]


def test_a_block_is_read_up_to_its_smallest_budget(command: Command, tmp_path: Path) -> None:
    """A solves 4 of 10 at 50 of 100 steps, B 9 of 20 at 9,000 of 10,000: nobody knows that B is faster."""
    solved, never = [0.2, 1.0, 1.0, 1.0], [0.2] * 4
    a = [run("a", s, solved if s < 4 else never, steps=[25, 50, 75, 100]) for s in range(10)]
    late = [100, 5000, 9000, 10000]
    b = [run("b", s, [0.1, 0.1, 1.0, 1.0] if s < 9 else never, steps=late) for s in range(20)]
    closed = [run("closed", 0, [0.1], steps=[0], budget=0)]
    ranking = rank(records=[*a, *b, *closed], by="steps", crossing="first")
    assert order(ranking) == [(1, "a"), (2, "b"), (2, "closed")]
    assert [(row.horizon, row.solved) for row in ranking.rows] == [(100, 0.4), (100, 0.0), (100, 0.0)]
    assert ranking.rows[0].mean == pytest.approx(0.4 * 50 + 0.6 * 100)
    assert by_learner(rank(records=[*a, *b, *closed]))["b"].estimate == 0.2
    longer = rank(records=[*a, *b, *closed], by="steps", crossing="first", horizon=10_000)
    assert order(longer) == [(1, "b"), (2, "closed"), (None, "a")]
    assert longer.rows[-1].incomplete == ["given 100 steps only"]
    out = command("rank", "--results", stored(tmp_path, [*a, *b]), "--by", "steps").out
    assert out.splitlines()[0].endswith("· up to step 100")
    assert (
        command("rank", "--results", tmp_path, "--horizon", "1e4").out.splitlines()[0].endswith("· up to step 10,000")
    )


def test_a_horizon_of_seconds_or_flops() -> None:
    records = [*solving("dear", 200, 200, seconds=50.0, flops=10**9), *solving("cheap", 800, 800, seconds=3.0)]
    first = rank(records=records, by="seconds", crossing="first")
    assert [(row.learner, row.estimate, row.horizon) for row in first.rows] == [
        ("cheap", 2.4, 3.0),
        ("dear", None, 3.0),
    ]
    more = rank(records=records, by="seconds", crossing="first", horizon=20.0)
    assert [(row.learner, row.estimate) for row in more.rows] == [("dear", 10.0), ("cheap", None)]
    assert more.rows[1].incomplete == ["given 3 seconds only"]
    flops = rank(records=records, by="flops", crossing="first")
    assert [(row.learner, row.estimate) for row in flops.rows] == [("cheap", 8000), ("dear", None)]
    assert "cpu (any)" in " ".join(first.caption)


# Steps, seconds, FLOPs


def test_a_run_that_never_reaches_the_target_counts_as_the_slowest() -> None:
    [row] = rank(records=solving("some", 100, 200, 300, None, None), by="steps").rows
    assert row.estimate == 300
    assert row.solved == pytest.approx(0.6)
    assert row.mean == pytest.approx((100 + 200 + 300 + 1000 + 1000) / 5)
    assert (row.low, row.high, row.level) == (0, None, 0.9375)  # the first crossed after step 0
    assert row.remarks == ["of 5 runs 3 solved, 2 not there at the horizon"]


def test_the_low_end_of_steps_is_the_evaluation_before() -> None:
    [row] = rank(records=solving("some", 300, 300, 400, 400, 500), by="steps").rows
    assert (row.estimate, row.low, row.high) == (400, 200, 500)


def test_medians_are_midpoints_and_not_reached_where_half_of_the_runs_are_missing() -> None:
    rows = by_learner(
        rank(records=[*solving("even", 100, 200, 500, 600), *solving("half", 100, 200, None, None)], by="steps")
    )
    assert rows["even"].estimate == 350
    assert rows["half"].estimate is None


def test_an_unconfirmed_crossing_is_an_interval_and_no_event() -> None:
    """The quadratic network at 33 steps: all of ten cross at 28 to 31 and stay, too shortly to be confirmed."""
    times = [28, 28, 29, 28, 30, 30, 28, 31, 31, 30]
    short, long = (
        [
            run("mlp", seed, [1.0 if s >= at else 0.2 for s in range(1, end + 1)], steps=range(1, end + 1))
            for seed, at in enumerate(times)
        ]
        for end in (33, 60)
    )
    [row] = rank(records=short, by="steps").rows
    assert (row.solved, row.unconfirmed, row.estimate, row.mean) == (0.0, 10, None, None)
    assert (row.low, row.high) == (27, None)
    [row] = rank(records=long, by="steps").rows
    assert (row.solved, row.unconfirmed, row.estimate, row.low, row.high) == (1.0, 0, 29.5, 27, 31)
    [row] = rank(records=[*long[:6], *short[6:]], by="steps", horizon=60).rows
    assert row.incomplete == ["given 33 steps only"]
    stopped = [r | {"budget": r["budget"] | {"steps": 60}} for r in short]
    [row] = rank(records=[*long[:6], *stopped[6:]], by="steps").rows
    assert (row.solved, row.unconfirmed, row.n) == (0.6, 4, 10)
    assert row.estimate is None  # 29.5 if the four last, 30 if they are lost
    [row] = rank(records=[*long[:9], *stopped[9:]], by="steps").rows
    assert (row.estimate, row.high) == (29.5, 31)


def test_unconfirmed_runs_take_no_rows_apart() -> None:
    """They could be the fastest or never get there: ranks hold for both."""
    ends = range(1, 41)
    maybe = [run("maybe", s, [1.0 if t >= 30 else 0.1 for t in ends], steps=ends) for s in range(8)]
    never = [run("never", s, [0.1 for t in ends], steps=ends) for s in range(8)]
    surely = [run("surely", s, [1.0 if t >= 20 else 0.1 for t in ends], steps=ends) for s in range(8)]
    ranking = rank(records=[*maybe, *never, *surely], by="steps")
    assert order(ranking) == [(1, "surely"), (2, "maybe"), (3, "never")]
    assert {row.learner: (row.rank_low, row.rank_high) for row in ranking.rows} == {
        "surely": (1, 1),
        "maybe": (2, 3),
        "never": (2, 3),
    }


def test_a_run_that_broke_off_is_known_up_to_there() -> None:
    early = run("early", 0, [0.2] * 2, steps=STEPS[:2], status="timeout", budget=1000)
    others = [run("early", seed, r["curve"]["test_accuracy"]) for seed, r in enumerate(solving("early", 300, 500), 1)]
    [row] = rank(records=[early, *others], by="steps").rows
    assert row.estimate is None  # 300 if it would have crossed before, else 500
    assert row.incomplete == ["1 timed out"]
    assert rank(records=[early, *others], by="steps", horizon=200).rows[0].incomplete == []


def test_order_by_median_then_by_the_mean_up_to_the_horizon() -> None:
    records = [
        *[run("never", seed, [0.1] * 10) for seed in range(3)],
        *solving("a-never-either", None, None, None),
        *solving("late-third", 900, None, None),
        *solving("early-third", 100, None, None),
        *solving("slow", 800, 800, None),
        *solving("fast", 100, 300, 1000),
    ]
    ranking = rank(records=records, by="steps", crossing="first")
    ranked = [*enumerate(["fast", "slow", "early-third", "late-third"], 1), (5, "a-never-either"), (5, "never")]
    assert order(ranking) == ranked
    assert [row.estimate for row in ranking.rows] == [300, 800, None, None, None, None]


def test_first_and_sustained_crossings_differ() -> None:
    records = [*solving("falls", 200, 200, held=False), *solving("holds", 600, 600)]
    assert order(rank(records=records, by="steps")) == [(1, "holds"), (2, "falls")]
    first = rank(records=records, by="steps", crossing="first")
    assert [(row.learner, row.estimate) for row in first.rows] == [("falls", 200), ("holds", 600)]


def test_the_lower_target() -> None:
    records = [run("mlp", seed, [0.2, *[0.96] * 9]) for seed in range(3)]
    assert rank(records=records, by="steps").rows[0].estimate is None
    assert rank(records=records, by="steps", target=0.95).rows[0].estimate == 200


def test_a_diverged_run_never_gets_there() -> None:
    diverged = run("mlp", 9, [0.2], steps=STEPS[:1], status="diverged", budget=1000)
    [row] = rank(records=[diverged, *solving("mlp", 500, 600)], by="steps").rows
    assert row.estimate == 600
    crossed = solving("mlp", 500, 600, 300)
    crossed[2]["status"] = "diverged"
    assert rank(records=crossed, by="steps").rows[0].solved == pytest.approx(2 / 3)


def test_a_row_of_unknown_cost_is_last() -> None:
    ranking = rank(records=[*solving("unknown", 100, flops=None), *solving("known", None)], by="flops")
    assert order(ranking) == [(1, "known"), (None, "unknown")]
    assert ranking.rows[1].incomplete == ["1 of unknown FLOPs"]
    assert rank(records=solving("unknown", 100, flops=None), by="seconds").rows[0].estimate == pytest.approx(0.2)


def test_a_closed_form_learner_costs_all_of_its_fit() -> None:
    solved, unsolved = run("ridge", 0, [1.0], steps=[0]), run("knn", 0, [0.3], steps=[0])
    for by, cost in (("steps", 0), ("seconds", 2.0), ("flops", 10_000)):
        ranking = rank(records=[solved, unsolved], by=by)
        assert [(row.learner, row.estimate) for row in ranking.rows] == [("ridge", cost), ("knn", None)]


@pytest.mark.parametrize("by", CRITERIA)
def test_blocks_of_closed_forms_and_of_failed_cells(by: str, command: Command, tmp_path: Path) -> None:
    ridge = [run("ridge", 0, [1.0], steps=[0], budget=0, flops=None)]
    failed = ending("mlp", 0.1, status="failed", task="multiply")
    good = solving("mlp", 100, 200)
    for records in (ridge, failed, [*ridge, *failed, *good]):
        for record in records:
            record["final"] = record["final"] if record["status"] == "done" else dict.fromkeys(record["final"])
        ranking = rank(records=records, by=by)
        assert {row.rank for row in ranking.rows if row.task == "multiply"} <= {None}
        assert all(row.rank for row in ranking.rows if row.learner == "mlp" and row.task == "add")
    folder = stored(tmp_path, [*ridge, *failed, *good])
    for form in ("table", "markdown", "csv"):
        assert command("rank", "--results", folder, "--by", by, "--format", form).code == 0


def test_a_closed_form_dearer_than_the_horizon_is_not_known_to_be_slower() -> None:
    ridge = [run("ridge", s, [1.0], steps=[0], budget=0, seconds=5.0) for s in range(8)]
    ranking = rank(records=[*ridge, *solving("mlp", *[None] * 8, seconds=2.0)], by="seconds")
    assert order(ranking) == [(1, "mlp"), (1, "ridge")]
    assert [(row.rank_low, row.rank_high) for row in ranking.rows] == [(1, 2), (1, 2)]


@pytest.mark.parametrize("by", ["steps", "seconds", "flops"])
def test_a_folder_of_closed_forms_alone(by: str) -> None:
    """They have no horizon, and the one that does not solve the task never will."""
    ridge = [run("ridge", s, [1.0 if s < 3 else 0.2], steps=[0], budget=0) for s in range(6)]
    knn = [run("knn", s, [0.2], steps=[0], budget=0) for s in range(6)]
    ranking = rank(records=[*knn, *ridge], by=by)
    assert order(ranking) == [(1, "ridge"), (2, "knn")]
    assert [(row.estimate, row.horizon) for row in ranking.rows] == [(None, None), (None, None)]
    assert (ranking.rows[1].low, ranking.rows[1].high, ranking.rows[1].level) == (None, None, None)
    assert [row.rank_low for row in ranking.rows] == [1, 1]


def test_only_an_evaluation_confirms() -> None:
    """A horizon between two evaluations shows no more than the first of them."""
    falls = [run("mlp", seed, [1.0, *[0.2] * 9]) for seed in range(5)]
    [row] = rank(records=falls, by="steps", horizon=149).rows
    assert (row.solved, row.unconfirmed, row.estimate) == (0.0, 5, None)
    late = [run("mlp", seed, [0.2, *[1.0] * 9]) for seed in range(5)]
    [row] = rank(records=late, by="steps", horizon=150).rows
    assert (row.low, row.high) == (100, None)  # it may cross at 101


def test_a_horizon_before_the_first_evaluation() -> None:
    fast, slow = solving("fast", *[100] * 5, seconds=0.01), solving("slow", *[100] * 5, seconds=100.0)
    ranking = rank(records=[*fast, *slow], by="seconds", crossing="first")
    assert order(ranking) == [(1, "fast"), (2, "slow")]
    assert ranking.rows[1].incomplete == []


def test_runs_of_one_seed_and_split_count_once_in_ranks() -> None:
    """Rows of equal distributions, each with two learners' seeds for every split."""
    a = [run("a", s, [0.1] * 9 + [x]) for s in range(6) for x in (0.2, 0.9)]
    b = [run("b", s, [0.1] * 9 + [x]) for s in range(6) for x in (0.9, 0.2)]
    for place, record in enumerate([*a, *b]):
        record["spec"]["learner"]["random_state"] = place
        record["id"] = f"{place:016x}"
    for records in ([*a, *b], [*b[::-1], *a[::-1]]):
        rows = rank(records=records).rows
        assert [(row.n, row.rank_low, row.rank_high) for row in rows] == [(12, 1, 2)] * 2


def test_unknown_flops_leave_the_share_of_solved_runs_unknown() -> None:
    rows = by_learner(rank(records=[*solving("a", 200, flops=None), *solving("b", 300)], by="flops"))
    assert (rows["a"].solved, rows["a"].solved_low) == (None, None)
    old = solving("old", 200)
    del old[0]["held"]  # it counted products alone
    assert rank(records=old, by="flops").rows[0].incomplete == ["1 of unknown FLOPs"]


def test_runs_that_stopped_before_the_horizon_are_told_of() -> None:
    stopped = [run("mlp", s, [0.95] * 4, steps=STEPS[:4], budget=1000) for s in range(5)]
    [row] = rank(records=stopped, by="steps").rows
    assert (row.stopped, row.estimate) == (5, None)
    assert row.remarks == ["of 5 runs 5 ended before the horizon without it"]


def test_a_run_that_broke_off_before_its_first_evaluation_says_so() -> None:
    record = run("mlp", 0, [], steps=[], status="timeout", budget=100)
    assert rank(records=[record, *ending("other", 0.5)]).rows[1].incomplete == ["1 timed out"]


def test_a_first_crossing_counts_whatever_comes_after() -> None:
    curve = [0.2, 1.0, 1.0, None]
    diverged = [run("mlp", s, curve, steps=STEPS[:4], status="diverged", budget=1000) for s in range(3)]  # type: ignore[arg-type]
    assert rank(records=diverged, by="steps", crossing="first").rows[0].estimate == 200
    assert rank(records=diverged, by="steps").rows[0].solved == 0


def test_a_few_runs_far_above_the_median_are_told_of() -> None:
    [row] = rank(records=ending("mlp", 0.01, 0.012, 0.99, 0.995, 0.011)).rows
    assert row.remarks == ["2 of 5 runs end far above the median, at 99.0 % to 99.5 %"]
    assert rank(records=ending("mlp", 0.01, 0.0104, 0.004, 0.011, 0.0099)).rows[0].remarks == []


# Fractions


def test_the_smallest_fraction_that_reaches_the_target() -> None:
    records = [
        r
        for fraction, accuracies in ((0.3, (0.5, 0.9)), (0.5, (1.0, 0.985)), (0.7, (1.0, 1.0)))
        for r in ending("needs-half", *accuracies, train_fraction=fraction)
    ]
    records += [r for f in (0.3, 0.5) for r in ending("never", 0.5, 0.6, train_fraction=f)]
    records += ending("one-seed", 1.0, train_fraction=0.3) + ending("one-seed", 0.99, 1.0, train_fraction=0.7)
    ranking = rank(records=records, by="fraction")
    rows = by_learner(ranking)
    assert order(ranking) == [(1, "one-seed"), (2, "needs-half"), (3, "never")]
    assert rows["needs-half"].estimate == 0.5
    assert [(f["train_fraction"], f["n"]) for f in rows["needs-half"].fractions] == [(0.3, 2), (0.5, 2), (0.7, 2)]
    assert (rows["needs-half"].n, rows["needs-half"].test_accuracy) == (2, pytest.approx(0.9925))
    assert (rows["needs-half"].low, rows["needs-half"].high) == (None, None)  # too few seeds to know
    assert rows["never"].estimate is None
    assert (rows["one-seed"].estimate, rows["one-seed"].low, rows["one-seed"].high) == (0.3, None, None)
    assert rows["needs-half"].train_fraction is None
    assert "train_fraction" not in rows["needs-half"].config


def test_twenty_runs_at_99_9_percent_are_enough() -> None:
    [row] = rank(records=ending("mlp", *[0.999] * 20, train_fraction=0.5), by="fraction").rows
    assert (row.estimate, row.low, row.high) == (0.5, None, 0.5)  # less was not tried: nobody knows


def test_the_interval_of_a_fraction_is_what_is_known_to_fail_and_to_suffice() -> None:
    spread = {0.2: [0.97, 0.975] * 10, 0.4: [0.985, 0.996] * 10, 0.6: [0.999, 1.0] * 10}
    records = [r for f, accuracies in spread.items() for r in ending("mlp", *accuracies, train_fraction=f)]
    [row] = rank(records=records, by="fraction").rows
    assert (row.low, row.estimate, row.high) == (0.2, 0.4, 0.6)
    assert row.level == pytest.approx(1 - 2 * 21700 / 2**20)  # the 6th to the 15th of twenty


def test_what_was_not_tried_is_no_bound() -> None:
    tried = {"only-half": (0.5,), "from-a-third": (0.2, 0.3), "fails-below": (0.2, 0.3, 0.5)}
    enough = {"only-half": 0.5, "from-a-third": 0.3, "fails-below": 0.5}
    records = [
        r
        for name, fractions in tried.items()
        for f in fractions
        for r in ending(name, *[1.0 if f >= enough[name] else 0.3] * 6, train_fraction=f)
    ]
    places = {
        row.learner: (row.low, row.high, row.rank_low, row.rank_high)
        for row in rank(records=records, by="fraction").rows
    }
    assert places == {
        "only-half": (None, 0.5, 1, 3),
        "from-a-third": (0.2, 0.3, 1, 2),
        "fails-below": (0.3, 0.5, 2, 3),
    }


# Who else is there

SCORES = ("n", "estimate", "low", "high", "level", "mean", "solved", "solved_low", "unconfirmed", "fractions")


@pytest.mark.parametrize("by", CRITERIA)
def test_scores_do_not_depend_on_who_else_entered(by: str) -> None:
    records = [r for f in (0.3, 0.5) for r in solving("some", 200, 400, None, 900, 1000, train_fraction=f)]
    alone = rank(records=records, by=by).rows
    longer = [200 * (i + 1) for i in range(50)]
    newcomers = [
        run("longer", seed, [1.0 if s >= 5000 else 0.1 for s in longer], steps=longer, train_fraction=f)
        for seed in range(7)
        for f in (0.3, 0.5, 0.9)
    ]
    newcomers += solving("faster", 100, 100, train_fraction=0.3) + solving("closed", None, None)
    beside = [row for row in rank(records=[*newcomers, *records], by=by).rows if row.learner == "some"]
    assert len(beside) == len(alone) > 0
    for one, other in zip(alone, beside, strict=True):
        assert {name: getattr(one, name) for name in SCORES} == {name: getattr(other, name) for name in SCORES}


def test_rows_do_not_depend_on_the_order_of_records() -> None:
    records = [*solving("a", 100, 200, None), *solving("b", 300, 300, 300), *ending("c", 0.2, 0.3)]
    for by in CRITERIA:
        assert rank(records=records, by=by).rows == rank(records=records[::-1], by=by).rows


# Blocks


def tuned(records: list[Made], study: str, trials: int | None, compute: float | None) -> list[Made]:
    spent = {"trials": trials or 40, "flops": 1e12, "seconds": 30.0}
    rule = {"trials": trials, "compute": compute}
    return [{**record, "tuning": {"study": study, "rule": rule, **spent}} for record in records]


def test_the_csv_of_winners_is_of_json(command: Command, tmp_path: Path) -> None:
    for record in tuned(ending("mlp", 0.5, 0.6), "a", 8, None):
        Store(tmp_path, create=True).write(record)
    [line, *_] = csv.DictReader(io.StringIO(command("rank", "--results", tmp_path, "--format", "csv").out))
    assert json.loads(line["tuning"])[0]["study"] == "a"


def test_winners_of_equal_rules_have_boards_of_their_own(command: Command, tmp_path: Path) -> None:
    as_they_come = ending("mlp", 0.5, 0.6) + ending("quadratic", 0.7, 0.8)
    vault = {"vault": {"fraction": 0.2, "seed": 1, "open": True}}
    by_trials = tuned(ending("mlp", 0.8, 0.9, **vault), "one", 64, None)
    by_trials += tuned(ending("quadratic", 0.9, 0.95, **vault), "two", 64, None)
    by_compute = tuned(ending("mlp", 0.7, 0.8, **vault, precision="bfloat16"), "three", None, 2e12)
    records = as_they_come + by_trials + by_compute
    ranking = rank(records=records)
    assert [(row.board, row.rank, row.learner) for row in ranking.rows] == [
        ("", 1, "quadratic"),
        ("", 2, "mlp"),
        ("tuned: 2e+12 FLOPs · vault 1, 20 %", 1, "mlp"),
        ("tuned: 64 trials · vault 1, 20 %", 1, "quadratic"),
        ("tuned: 64 trials · vault 1, 20 %", 2, "mlp"),
    ]
    assert "two: 64 trials, 1e+12 FLOPs, 30 s" in " ".join(ranking.caption)
    assert ranking.rows[0].tuning == []
    assert ranking.rows[3].tuning[0]["study"] == "two"
    shown = command("rank", "--results", str(stored(tmp_path, records)))
    assert shown.code == 0
    assert "50 % train · tuned: 64 trials" in shown.out
    with pytest.raises(RequestError, match="all records here are of tuned rows"):
        rank(records=by_trials, blocks=True)


def test_long_numbers_in_labels_are_short_where_rows_still_differ(tmp_path: Path, command: Command) -> None:
    rates = {"a": 0.020961900543150613, "b": 0.0314159265, "c": 0.0314159999, "d": 0.015}
    records = [
        record | {"label": f"onehot → quadratic(lr={rate})"}
        for name, rate in rates.items()
        for record in ending(name, 0.5)
    ]
    folder = str(stored(tmp_path, records))
    for form in ("table", "markdown"):
        shown = command("rank", "--results", folder, "--format", form).out
        assert set(re.findall(r"lr=([\d.]+)", shown)) == {"0.02096", "0.0314159265", "0.0314159999", "0.015"}
    assert "lr=0.020961900543150613" in command("rank", "--results", folder, "--format", "csv").out
    assert "lr=0.020961900543150613" in command("rank", "--results", folder, "--json").out


def test_winners_on_other_vaults_or_of_more_seeds_are_ranked_apart() -> None:
    vaults = [{"vault": {"fraction": 0.2, "seed": seed, "open": True}} for seed in (1, 2)]
    records = tuned(ending("mlp", 0.8, 0.9, **vaults[0]), "one", 64, None)
    records += tuned(ending("quadratic", 0.9, 0.95, **vaults[1]), "two", 64, None)
    four = tuned(ending("quadratic", 0.9, 0.95, **vaults[0]), "three", 64, None)
    records += [{**record, "tuning": {**record["tuning"], "seeds": 4}} for record in four]
    assert [(row.board, row.rank) for row in rank(records=records).rows] == [
        ("tuned: 64 trials of 4 seeds · vault 1, 20 %", 1),
        ("tuned: 64 trials · vault 1, 20 %", 1),
        ("tuned: 64 trials · vault 2, 20 %", 1),
    ]
    tenth = {"vault": {"fraction": 0.1, "seed": 1, "open": True}}
    tenths = tuned(ending("quadratic", 0.9, 0.95, **tenth), "four", 64, None)
    assert len({row.board for row in rank(records=[*records, *tenths]).rows}) == 4


def test_blocks_are_ranked_apart(command: Command, tmp_path: Path) -> None:
    records = blocks(("add", "cube"), a=(0.9, 0.1), b=(0.5, 0.5)) + ending("c", 0.7, task="cube", train_fraction=0.3)
    rows = rank(records=records).rows
    assert [(row.task, row.train_fraction, row.rank, row.learner) for row in rows] == [
        *(("add", 0.5, 1, "a"), ("add", 0.5, 2, "b")),
        *(("cube", 0.3, 1, "c"), ("cube", 0.5, 1, "b"), ("cube", 0.5, 2, "a")),
    ]
    out = command("rank", "--results", stored(tmp_path, records)).out
    assert "cube mod 5 · unordered pairs · 30 % train" in out
    top = command("rank", "--results", tmp_path, "--top", 1, "--json").json
    assert [row["learner"] for row in top["rows"]] == ["a", "c", "b"]


def test_friedman_over_blocks() -> None:
    tasks = ("add", "cube", "quad", "subtract")
    records = blocks(tasks, a=(0.9,) * 4, b=(0.8, 0.8, 0.3, 0.8), c=(0.4,) * 4, partial=(0.99, 0.99))
    ranking = rank(records=records, blocks=True)
    assert order(ranking) == [(1, "a"), (2, "b"), (3, "c"), (None, "partial")]
    assert [row.estimate for row in ranking.rows] == [1.0, 2.25, 2.75, None]
    assert [(row.low, row.high) for row in ranking.rows[:2]] == [(1.0, 1.0), (2.0, 3.0)]
    assert [row.improvement for row in ranking.rows[:3]] == [1.0, 0.75, None]
    assert ranking.rows[3].incomplete == ["scored in 2 of 4 blocks"]
    assert ranking.comparison is not None
    # χ² = 12B / M(M + 1) · Σ (R̄ − (M + 1)/2)², by hand
    assert ranking.comparison.statistic == pytest.approx(12 * 4 / 12 * (1 + 0.0625 + 0.5625))
    assert ranking.comparison.p_value < 0.05
    assert ranking.comparison.groups == [[0, 1], [1, 2]]
    assert [(row.rank_low, row.rank_high) for row in ranking.rows[:3]] == [(1, 2), (1, 3), (2, 3)]


def test_over_blocks_nothing_is_told_apart_where_friedman_finds_nothing() -> None:
    records = blocks(("add", "cube", "quad"), a=(0.9, 0.1, 0.5), b=(0.5, 0.9, 0.1), c=(0.1, 0.5, 0.9))
    ranking = rank(records=records, blocks=True)
    assert ranking.comparison is not None
    assert ranking.comparison.groups == [[0, 1, 2]]
    assert {(row.rank, row.rank_low, row.rank_high) for row in ranking.rows} == {(1, 1, 3)}


def test_critical_difference_agrees_with_the_published_table() -> None:
    # Demšar 2006, table 5: q₀.₀₅ is 2.343, 2.569, 2.728 for 3, 4, 5 classifiers.
    for n_rows, q in ((3, 2.343), (4, 2.569), (5, 2.728)):
        assert critical_difference(n_rows, 6) == pytest.approx(q * (n_rows * (n_rows + 1) / 36) ** 0.5, abs=2e-3)


def test_groups_are_the_longest_sets_that_cannot_be_told_apart() -> None:
    ranks_BM = np.tile([1.0, 2.0, 3.0, 4.0, 5.0], (24, 1))  # critical difference 1.245
    comparison = compare(["block"] * 24, Friedman(90.0, 1e-9, ranks_BM.mean(0)), ranks_BM)
    assert comparison.groups == [[0, 1], [1, 2], [2, 3], [3, 4]]
    undecided = compare(["block"] * 24, Friedman(1.0, 0.5, ranks_BM.mean(0)), ranks_BM)
    assert undecided.groups == [[0, 1, 2, 3, 4]]
    assert undecided.apart == float("inf")


def test_over_moduli_an_encoder_that_is_told_the_modulus_is_one_row() -> None:
    records = []
    for modulus in (5, 7, 11):
        told = {"name": "fourier", "modulus": modulus}
        for learner, accuracy in (("a", 0.9), ("b", 0.5), ("c", 0.1)):
            made = run(learner, 0, [accuracy], steps=[100], modulus=modulus)
            made["spec"]["encoder"] = told
            records.append(made)
    assert [(row.learner, row.estimate) for row in rank(records=records, blocks=True).rows] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]


def test_too_few_blocks_or_rows_are_one_line() -> None:
    with pytest.raises(RequestError, match=r"at least 3 rows over at least 3 blocks .*, found 3 rows .* 2 blocks"):
        rank(records=blocks(("add", "cube"), a=(1, 1), b=(0, 0), c=(0, 0)), blocks=True)
    with pytest.raises(RequestError, match=r"found 2 rows .* 3 blocks"):
        rank(records=blocks(("add", "cube", "quad"), a=(1, 1, 1), b=(0, 0, 0), c=(1, 1)), blocks=True)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_diagram_is_drawn(command: Command, tmp_path: Path, suffix: str) -> None:
    folder = stored(tmp_path, blocks(("add", "cube", "quad", "subtract"), a=(0.9,) * 4, b=(0.8,) * 4, c=(0.4,) * 4))
    path = tmp_path / f"diagram.{suffix}"
    assert command("rank", "--results", folder, "--blocks", "--diagram", path).code == 0
    start = path.read_bytes()[:400]
    assert b"<svg" in start if suffix == "svg" else start.startswith(b"\x89PNG")


def test_without_its_library_the_diagram_names_the_extra(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    folder = stored(tmp_path, blocks(("add", "cube", "quad"), a=(0.9,) * 3, b=(0.8,) * 3, c=(0.4,) * 3))
    done = command("rank", "--results", folder, "--blocks", "--diagram", tmp_path / "a.svg")
    assert done.code == 2
    assert "pip install 'mod97[plot]'" in done.error
    assert command("rank", "--results", folder, "--blocks").code == 0


# What rows say


def test_an_encoding_that_gives_the_answer_away_is_marked(command: Command, tmp_path: Path) -> None:
    records = [*ending("mlp", 1.0, 1.0, probes=(0.991, 0.1)), *ending("other", 1.0, 1.0, probes=(0.98, 0.1))]
    rows = by_learner(rank(records=records))
    assert (rows["mlp"].gives_away, rows["other"].gives_away) == (True, False)
    assert rank(records=records, target=0.95).rows[1].gives_away
    out = command("rank", "--results", stored(tmp_path, records)).out
    assert "99.1%†" in out
    assert "98.0%†" not in out
    assert "† the probe reaches the target by itself" in out


def test_rows_matched_by_parameters() -> None:
    records = [*ending("small", 0.5, parameters=10), *ending("large", 0.6, parameters=10**6)]
    records += ending("unknown", 0.9, parameters=None)
    assert order(rank(records=records, parameters=(5, None))) == [(1, "large"), (2, "small")]
    ranking = rank(records=records, parameters=(None, 100))
    assert order(ranking) == [(1, "small")]
    assert "2 rows left out by `parameters`" in ranking.caption[0]
    failed = [*ending("small", 0.5, parameters=10), run("small", 5, status="failed", parameters=None)]
    assert rank(records=failed, parameters=(5, 20)).rows[0].incomplete == ["1 failed"]


def test_filters() -> None:
    records = [*ending("mlp", 0.5), *ending("ridge", 0.6, encoder="cycle"), *ending("knn", 0.7, train_fraction=0.3)]
    assert order(rank(records=records, learner="mlp")) == [(1, "mlp")]
    assert {row.learner for row in rank(records=records, learner=["mlp", "knn"]).rows} == {"mlp", "knn"}
    assert order(rank(records=records, encoder="Cycle")) == [(1, "ridge")]
    assert order(rank(records=records, train_fraction=0.3)) == [(1, "knn")]
    assert "1 left out by `encoder`" in rank(records=records, encoder="onehot").caption[0]
    both = rank(records=records, encoder="onehot", learner="mlp").caption[0]
    assert both == "1 record in 1 row; 1 left out by `encoder`, 1 left out by `learner`."


def test_of_a_spec_stored_twice_one_counts() -> None:
    old, new = ending("mlp", 0.2)[0], ending("mlp", 0.8)[0]
    old["id"], new["id"] = "0" * 16, "f" * 16
    ranking = rank(records=[old, new])
    assert ranking.rows[0].n == 1
    assert any("stored twice" in line and "f" * 16 in line for line in ranking.caption)


def test_of_a_spec_stored_twice_the_current_version_counts(tmp_path: Path) -> None:
    import bench

    [record] = bench.run(encoder="onehot", learner="ridge", modulus=5, results=tmp_path)
    stale = copy.deepcopy(record) | {"id": "0" * 16}
    stale["final"]["test_accuracy"] = 1.0 if record["final"]["test_accuracy"] < 1 else 0.0
    ranking = rank(records=[stale, record])
    assert ranking.rows[0].estimate == record["final"]["test_accuracy"]
    assert "0" * 16 in ranking.caption[1]


def test_seeds_from_which_nothing_is_drawn_count_once() -> None:
    fixed = [run("ridge", seed, split_seed=1) for seed in range(4)]
    longer = run("ridge", 9, [0.5] * 10 + [0.7], steps=[*STEPS, 2000], split_seed=1)
    for record in (*fixed, longer):
        record["spec"]["learner"].pop("random_state")
    ranking = rank(records=[*fixed, longer])
    [row] = ranking.rows
    assert (row.n, row.estimate) == (1, 0.7)
    assert any("nothing is drawn" in line and fixed[0]["id"] in line for line in ranking.caption)


def test_of_equal_draws_a_whole_run_counts() -> None:
    whole = run("ridge", 0, [0.5] * 9 + [0.9], split_seed=1)
    cut = run("ridge", 1, [0.4] * 11, steps=[*STEPS, 2000], split_seed=1, status="interrupted", budget=5000)
    for record in (cut, whole):
        record["spec"]["learner"].pop("random_state")
    assert rank(records=[cut, whole]).rows[0].estimate == 0.9


def test_runs_on_the_same_splits_are_named() -> None:
    free, again = ending("mlp", 0.5, 0.6, 0.7), ending("mlp", 0.5, 0.6, 0.7)
    for record in again:
        record["spec"]["learner"]["random_state"] = 5
    [line] = [line for line in rank(records=[*free, *again]).caption if "share splits" in line]
    assert line.endswith("onehot → mlp: 6 runs on 3 splits.")
    assert not any("share splits" in line for line in rank(records=free).caption)


@pytest.mark.parametrize(
    ("by", "method"),
    [
        ("accuracy", "test accuracy at the horizon, or at a run's end before it, of the middle run"),
        ("steps", "steps up to where 99 % of the test pairs are right and stay so, of the middle run of all"),
        ("seconds", "seconds of training up to where 99 %"),
        ("flops", "FLOPs of training up to where 99 %"),
        ("fraction", "whose median test accuracy reaches 99 %"),
    ],
)
def test_the_caption_says_what_was_done(by: str, method: str) -> None:
    ranking = rank(records=ending("mlp", 0.5, 0.6), by=by)
    caption, legend = " ".join(ranking.caption), " ".join(ranking.legend.values())
    assert method in legend
    assert "what the encoding alone gives away" in legend
    assert ("at least 1.5 times the step at which they got there" in legend) == (by != "fraction")
    assert "diverged" not in caption
    assert ("which is not time" in caption) == (by == "flops")
    assert "the smallest budget among its rows" in caption
    assert "the smallest budget among its rows" not in " ".join(rank(records=ending("mlp", 0.5), horizon=1000).caption)


def test_labels_say_what_makes_rows_differ() -> None:
    records = [run("mlp", 0), run("mlp", 0, precision="bfloat16"), run("mlp", 0, validation_fraction=0.1)]
    labels = {row.label for row in rank(records=records).rows}
    assert labels == {"onehot → mlp", "onehot → mlp · bfloat16", "onehot → mlp · 10 % validate"}


def test_a_criterion_is_one_entry_of_the_table(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, words, columns, units and scores of a new one all come from there."""
    records = [*solving("quick", 100, 200, 300), *solving("slow", 400, 900, None)]
    with pytest.raises(RequestError, match="Unknown `by` 'size'"):
        rank(records=records, by="size")
    unit = CRITERIA["flops"].unit._replace(name="parameters", noun="sizes", words="sizes of training")
    size = CRITERIA["flops"]._replace(name="size", column="median size", unit=unit, note="On {devices}.")
    monkeypatch.setitem(CRITERIA, "size", size)
    ranking = rank(records=records, by="size")
    assert order(ranking) == [(1, "quick"), (2, "slow")]
    assert ranking.rows[0].estimate == pytest.approx(1000 * 200 / 1000)  # a share of its 1,000 parameters
    assert ranking.legend["median size"].startswith("sizes of training up to where 99 %")
    assert "On cpu (any)." in ranking.caption
    out = command("rank", "--results", stored(tmp_path, records), "--by", "size").out
    assert "within 1.00e3 sizes" in out
    assert "median size" in " ".join(out.split())


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=list(CRITERIA))
def test_every_criterion_can_be_scored(criterion: Criterion) -> None:
    assert CRITERIA[criterion.name] is criterion
    assert criterion.kind in KINDS
    assert criterion.unit.name in ("steps", *Run.__annotations__)


# The command


def test_json_is_the_contract(command: Command, tmp_path: Path) -> None:
    folder = stored(tmp_path, [*solving("mlp", 100, None), *solving("ridge", 200, 300)])
    done = command("rank", "--results", folder, "--by", "steps", "--json")
    assert done.code == 0
    assert (done.json["schema"], done.json["by"], done.err) == (1, "steps", "")
    assert [row["learner"] for row in done.json["rows"]] == ["ridge", "mlp"]
    for row in done.json["rows"]:
        assert set(CONTRACT) <= set(row)
        assert set(row["probes"]) == {"ridge", "bilinear", "knn"}
        assert not {"restricted_mean", "at"} & set(row)
    assert done.json["horizon"] is None
    assert {row["horizon"] for row in done.json["rows"]} == {1000}


@pytest.mark.parametrize("by", CRITERIA)
def test_every_format_of_every_score(command: Command, tmp_path: Path, by: str) -> None:
    records = [*solving("a | b", 100, None, None), *solving("fast", 100, 200, 300), *solving("slow", 400, 900)]
    folder = stored(tmp_path, [*records, *ending("broken", 0.1, status="failed")])
    asked = ("rank", "--results", folder, "--by", by)
    rows = command(*asked, "--json").json["rows"]
    read = list(csv.DictReader(io.StringIO(command(*asked, "--format", "csv").out)))
    assert [(r["label"], r["rank"]) for r in read] == [(r["label"], str(r["rank"] or "")) for r in rows]
    assert [float(r["estimate"]) if r["estimate"] else None for r in read] == [r["estimate"] for r in rows]
    assert json.loads(read[0]["config"]) == rows[0]["config"]
    markdown = [line for line in command(*asked, "--format", "markdown").out.splitlines() if line.startswith("| ")]
    cells = [line.replace("\\|", "¦").strip("| ").split(" | ") for line in markdown]
    assert {len(line) for line in cells} == {len(cells[0])}
    assert len(cells) == len(rows) + 2
    table = command(*asked).out
    assert all(row["label"] in table for row in rows)
    assert "* incomplete, 1 failed: onehot → broken" in table


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_fits_the_terminal(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    records = solving("mlp", 100, 900, None) + solving("transformer", 400, 500, 600)
    for record in records:
        record["label"] += "(lr=0.001, weight_decay=1.0, grokfast=ema, betas=[0.9, 0.98])"
    for module in (_print, _rank):
        monkeypatch.setattr(module, "console", lambda at_least=0: Console(width=width, highlight=False))
    out = command("rank", "--results", stored(tmp_path, records), "--by", "steps").out
    assert max(map(len, out.splitlines())) <= width
    header = out.splitlines()[1].split()
    assert {"#", "n", "median", "solved"} <= set(header)
    assert {"ridge", "1-NN"} <= set(header) or width < 100
    assert ("Left out for want of room" in out) == ("FLOPs" not in header)
    assert "FLOPs" in header or width < 160


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--by", "accurcy"), "Unknown --by 'accurcy': did you mean 'accuracy'?"),
        (("--by", "height"), "Unknown --by 'height': it must be one of accuracy, flops, fraction, seconds, steps."),
        (("--target", "0.9"), "--target must be one of 0.95, 0.99, got 0.9."),
        (("--crossing", "last"), "Unknown --crossing 'last': it must be one of first, sustained."),
        (("--horizon", "0"), "--horizon must be a step ≥ 1, got 0."),
        (("--horizon", "1.5"), "--horizon must be a step ≥ 1, got 1.5."),
        (("--horizon", "-1", "--by", "flops"), "--horizon must be a number of flops above 0, got -1."),
        (("--learner", "mpl"), "did you mean 'mlp'?"),
        (("--encoder", "cycle"), "'cycle': it must be one of onehot."),
        (("--train-fraction", "half"), "--train-fraction must be a number, got 'half'."),
        (("--modulus", "97"), "'97': it must be one of 5."),
        (("--modulus", "5,x"), "--modulus must be an integer, got 'x'."),
        (("--parameters", "7"), "--parameters takes LOW..HIGH, LOW.. or ..HIGH, got '7'."),
        (("--parameters", "9..3"), "--parameters takes LOW..HIGH, LOW.. or ..HIGH, got '9..3'."),
        (("--parameters", "..3"), "--parameters ..3 leaves none of 1 row."),
        (("--blocks",), "Mean ranks are of at least 3 rows over at least 3 blocks"),
        (("--diagram", "a.svg"), "--diagram needs --blocks"),
        (("--blocks", "--diagram", "a.gif"), "--diagram must end in .png, .svg, .pdf, .html, got 'a.gif'."),
        (("--blocks", "--diagram", "/nonexistent/a.svg"), "--diagram must be in a folder that exists"),
        (("--top", "0"), "--top must be ≥ 1, got 0."),
        (("--format", "html"), "Unknown --format 'html'"),
        (("--json", "--format", "csv"), "--json and --format csv exclude each other."),
    ],
)
def test_bad_requests_are_one_line(command: Command, tmp_path: Path, arguments: Any, message: str) -> None:
    done = command("rank", "--results", stored(tmp_path, ending("mlp", 0.5)), *arguments)
    assert done.code == 2
    assert message in done.error
    assert done.out == ""


def test_folders_without_records(command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "0123456789abcdef.json.aside-0").write_text("{}")
    (tmp_path / "other.json").write_text("[]")
    done = command("rank", "--results", tmp_path)
    assert done.code == 2
    assert done.error == f"There are no records in '{tmp_path}': python -m bench run makes some."
    done = command("rank", "--results", tmp_path / "none")
    assert (done.code, done.error) == (2, f"There is no results folder '{tmp_path / 'none'}'.")
    stored(tmp_path, ending("mlp", 0.5))
    assert len(command("rank", "--results", tmp_path, "--json").json["rows"]) == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def older(record: Made) -> Made:
    return record | {"schema": 0}


def uneven(record: Made) -> Made:
    del record["curve"]["test_accuracy"][0]
    return record


def more_than_all(record: Made) -> Made:
    record["final"]["test_accuracy"] = 1.5
    return record


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (older, "its schema is 0, this version reads 1"),
        (uneven, "the parts of its curve are of different lengths"),
        (more_than_all, "its test_accuracy is 1.5"),
        (lambda record: record["spec"].pop("precision") and record, "it lacks 'precision'"),
        (lambda record: record | {"flops": "many"}, "its flops is 'many'"),
    ],
)
def test_a_broken_record_is_named_and_may_be_skipped(command: Command, tmp_path: Path, spoil: Any, why: str) -> None:
    good, bad = ending("mlp", 0.5, 0.6)
    stored(tmp_path, [good, spoil(bad)])
    content = (tmp_path / f"{bad['id']}.json").read_bytes()
    done = command("rank", "--results", tmp_path)
    assert done.code == 1
    assert f"{bad['id']}.json' is damaged: {why}" in done.error
    assert done.error.endswith("--skip-broken ranks the others.")
    done = command("rank", "--results", tmp_path, "--skip-broken", "--json")
    assert done.code == 0
    assert [row["n"] for row in done.json["rows"]] == [1]
    assert any(f"Broken records, left out: {bad['id']}." in line for line in done.json["caption"])
    assert (tmp_path / f"{bad['id']}.json").read_bytes() == content


def test_nothing_but_broken_records(command: Command, tmp_path: Path) -> None:
    stored(tmp_path, [older(r) for r in ending("mlp", 0.5, 0.6)])
    assert "No record in" in command("rank", "--results", tmp_path, "--skip-broken").error
    with pytest.raises(StoreError, match="damaged"):
        rank(records=[uneven(ending("mlp", 0.5)[0])])


def test_reading_keeps_one_record_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is kept of ten thousand records must be little: curves are not."""
    import tracemalloc

    stored(tmp_path, many(200))
    monkeypatch.setattr(Store, "records", None)
    tracemalloc.start()
    rank(results=str(tmp_path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * 15_000


def many(n: int, points: int = 115) -> list[Made]:
    """Records as large as real ones, five to a row."""
    steps = [10 * (i + 1) for i in range(points)]
    accuracies = [round(i / points, 4) + 1e-9 for i in range(points)]
    made = [run("mlp", i % 5, accuracies, steps=steps, combine=f"c{i // 5}") for i in range(n)]
    for record in made:
        losses = {f"{part}_loss": [0.123456789 + i / 1e7 for i in range(points)] for part in ("train", "test")}
        record["curve"] |= {**losses, "validation_loss": [None] * points}
    return made


def test_a_thousand_records(tmp_path: Path) -> None:
    stored(tmp_path, many(1000))
    assert len(rank(results=str(tmp_path), by="steps").rows) == 200


def test_help_of_rank_imports_nothing_heavy() -> None:
    import subprocess

    code = """
import sys
from bench.cli._commands import cli
from bench.cli._commands import exit_code
exit_code(["rank", "--help"])
print({"numpy", "scipy", "rich", "torch"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.splitlines()[-1] == "set()"


def test_what_comes_after_the_horizon_counts_for_nothing(tmp_path: Path) -> None:
    """Runs that are alike up to there score alike, whatever they did later."""
    early = [0.2, 0.2, 1.0, 1.0, 1.0]
    later = {"fell": [0.2] * 5, "went on": [1.0] * 5}
    rows = [run("stopped", s, early, steps=STEPS[:5]) for s in range(3)]
    rows += [run(name, s, early + more) for name, more in later.items() for s in range(3)]
    gone = [run("diverged", s, [*early, None], steps=STEPS[:6], status="diverged") for s in range(3)]  # type: ignore[list-item]
    for record in rows + gone:
        Store(tmp_path, create=True).write(record)
    for by in ("accuracy", "steps"):
        ranking = rank(results=tmp_path, by=by, horizon=500)
        assert len(ranking.rows) == 4
        assert {(row.rank, row.estimate, row.solved, row.diverged) for row in ranking.rows} == {
            (1, 1.0 if by == "accuracy" else ranking.rows[0].estimate, 1.0, 0)
        }


def test_a_larger_budget_is_read_at_the_smaller_one(tmp_path: Path) -> None:
    """Two of five get there, in the longer runs a little sooner: those come first."""
    short = solving("short", 400, 500, None, None, None)
    times = [390, 490, 1000, 4000, 9000]
    curves = [[1.0 if at is not None and s >= at else 0.2 for s in times] for at in (390, 490, None, None, None)]
    long = [run("long", seed, curve, steps=times) for seed, curve in enumerate(curves)]
    for record in short + long:
        Store(tmp_path, create=True).write(record)
    assert [row.learner for row in rank(results=tmp_path, by="steps").rows] == ["long", "short"]


def test_probes_that_never_solve_hide_no_difference_of_others(tmp_path: Path) -> None:
    rows = [*solving("quick", 100, 100, 200, 100, 200), *solving("slow", 700, 700, 600, 700, 700)]
    rows += [run("ridge", seed, [0.1], steps=[0], budget=0) for seed in range(5)]
    for record in rows:
        Store(tmp_path, create=True).write(record)
    found = {
        row.learner: (row.rank_low, row.rank_high) for row in rank(results=tmp_path, by="steps", crossing="first").rows
    }
    assert found == {"quick": (1, 1), "slow": (2, 2), "ridge": (3, 3)}
