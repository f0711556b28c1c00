"""Grid, crossings, accuracy."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.results.curves import (
    crossings,
    evaluation_steps,
    first_crossing,
    held,
    is_correct,
    settled,
    sustained,
)


@given(st.integers(1, 100_000), st.integers(1, 40))
def test_grid(budget: int, granularity: int) -> None:
    steps = evaluation_steps(budget, granularity)
    assert steps[-1] == budget
    assert all(step % granularity == 0 for step in steps[:-1])
    granules = [step // granularity for step in steps[:-1]]
    gaps = zip([0, *granules], granules, strict=False)
    assert all(1 <= later - earlier <= max(1, 0.05 * earlier) for earlier, later in gaps)
    assert granules[:20] == list(range(1, 21))[: len(granules)]


@given(st.integers(1, 5_000), st.integers(5_001, 100_000), st.integers(1, 40))
def test_a_longer_run_passes_through_the_points_of_a_shorter_one(short: int, long: int, granularity: int) -> None:
    assert set(evaluation_steps(short, granularity)[:-1]) <= set(evaluation_steps(long, granularity))


def test_closed_form_is_looked_at_once() -> None:
    assert evaluation_steps(0, 0) == [0]


def test_first_and_sustained() -> None:
    steps = [1, 2, 3, 4, 5, 6]
    values = [0.5, 0.99, 0.9, 0.99, 1.0, 1.0]
    assert first_crossing(steps, values, 0.99) == 2
    assert sustained(steps, values, 0.99) == 4
    assert sustained(steps[:5], values[:5], 0.99) is None  # not confirmed: 5 < 1.5 · 4
    assert held(steps[:5], values[:5], 0.99) == 4
    assert sustained(steps, [1.0, 1.0, 1.0, 1.0, 1.0, 0.5], 0.99) is None
    assert first_crossing(steps, [0.1] * 6, 0.99) is None
    assert sustained([100, 149], [0.99, 1.0], 0.99) is None
    assert sustained([100, 150], [0.99, 1.0], 0.99) == 100
    assert sustained([0], [1.0], 0.99) == 0
    assert sustained([1, 2], [0.99, None], 0.99) is None


def test_a_run_is_settled_at_twice_its_crossing() -> None:
    assert not settled([100, 199], [0.99, 1.0], 0.99)
    assert settled([100, 200], [0.99, 1.0], 0.99)
    assert not settled([100, 200], [0.99, 0.98], 0.99)
    assert settled([0], [1.0], 0.99)


def test_crossings_by_part() -> None:
    curve = {"step": [10, 20], "test_accuracy": [0.96, 1.0], "validation_accuracy": [None, None]}
    found = crossings(curve, ["test", "validation"])
    assert found["steps_to"] == {"test": {"0.95": 10, "0.99": 20}, "validation": {"0.95": None, "0.99": None}}
    assert found["sustained_steps_to"] == {
        "test": {"0.95": 10, "0.99": None},
        "validation": {"0.95": None, "0.99": None},
    }
    assert found["held"]["test"] == {"0.95": [10, 20], "0.99": [20, 20]}
    assert found["held"]["validation"] == {"0.95": None, "0.99": None}


def test_right() -> None:
    scores, y = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]]), np.array([1, 1, 0])
    assert is_correct(scores, y).tolist() == [True, False, True]
    assert is_correct(torch.as_tensor(scores), y).tolist() == [True, False, True]
