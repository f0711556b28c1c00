"""Splits: nothing crosses where it must not, for every protocol."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import count_train
from bench.cells import drawn
from bench.spec import resolve
from bench.splits import PROTOCOLS, Protocol, Split, draw_vault, eligible, split
from bench.tasks import TASKS

tasks = st.sampled_from(["add", "subtract", "divide", "quad", "cube-y"])
protocols = st.sampled_from(PROTOCOLS)
moduli = st.integers(7, 13)
seeds = st.integers(0, 2**32)
fractions = st.floats(0.1, 0.6)


def twins(pairs: np.ndarray, rows: np.ndarray) -> set[tuple[int, int]]:
    """Unordered pairs of these rows."""
    return {(int(min(a, b)), int(max(a, b))) for a, b in pairs[rows]}


def parts(s: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return s.train, s.validation, s.test


@settings(max_examples=150, deadline=None)
@given(tasks, protocols, moduli, seeds, fractions, st.floats(0.1, 0.3))
def test_no_mirrored_twin_crosses_where_it_must_not(
    name: str, protocol: str, p: int, seed: int, fraction: float, validation: float
) -> None:
    pairs = TASKS[name](modulus=p).pairs_N2
    s = split(pairs, protocol, fraction, validation, np.random.default_rng(seed))
    train, held, test = (twins(pairs, rows) for rows in parts(s))
    if protocol != "ordered":
        assert not train & held
        assert not train & test
        assert not held & test
    rows = np.concatenate(parts(s))
    assert np.array_equal(np.sort(rows), eligible(pairs, protocol))  # disjoint, and nothing is lost


@settings(max_examples=100, deadline=None)
@given(tasks, protocols, moduli, seeds, fractions)
def test_fractions_count_pairs(name: str, protocol: str, p: int, seed: int, fraction: float) -> None:
    pairs = TASKS[name](modulus=p).pairs_N2
    s = split(pairs, protocol, fraction, 0.2, np.random.default_rng(seed))
    n = len(eligible(pairs, protocol))
    slack = 1 if protocol == "grouped" else 0
    assert round(fraction * n) - slack <= len(s.train) <= round(fraction * n)
    assert abs(len(s.validation) - round(0.2 * n)) <= slack


@settings(max_examples=100, deadline=None)
@given(tasks, protocols, moduli, seeds, seeds)
def test_nothing_touches_the_vault(name: str, protocol: str, p: int, seed: int, other: int) -> None:
    pairs = TASKS[name](modulus=p).pairs_N2
    vault = draw_vault(pairs, protocol, 0.3, np.random.default_rng(seed))
    closed = split(pairs, protocol, 0.4, 0.2, np.random.default_rng(other), vault)
    seen = np.concatenate([closed.train, closed.validation])
    assert not np.intersect1d(seen, vault).size
    if protocol != "ordered":
        assert not twins(pairs, seen) & twins(pairs, vault)
    assert not closed.test.size
    opened = split(pairs, protocol, 0.4, 0.2, np.random.default_rng(other), vault, open_vault=True)
    assert np.array_equal(opened.test, vault)
    assert np.array_equal(opened.train, closed.train)


def test_ordered_leaks_and_says_so_by_its_name() -> None:
    pairs = TASKS["add"]().pairs_N2
    s = split(pairs, "ordered", 0.5, 0.0, np.random.default_rng(0))
    leaked = twins(pairs, s.train) & twins(pairs, s.test)
    assert 2200 < len(leaked) < 2450  # half of the 4,656


def test_sizes_of_the_protocols() -> None:
    pairs = TASKS["add"]().pairs_N2
    assert {q: len(eligible(pairs, q)) for q in PROTOCOLS} == {
        "ordered": 9409,
        "grouped": 9409,
        "unordered": 4753,
        "distinct": 4656,
    }


def test_same_seed_same_split_other_seed_other_split() -> None:
    pairs = TASKS["add"](modulus=11).pairs_N2
    first, again, other = (split(pairs, "grouped", 0.5, 0.0, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_impossible_fractions(fraction: float) -> None:
    pairs = TASKS["add"](modulus=11).pairs_N2
    with pytest.raises(ValueError, match=r"train_fraction must be in \(0, 1\)"):
        split(pairs, "ordered", fraction, 0.0, np.random.default_rng(0))


@pytest.mark.parametrize(("train", "validation"), [(0.5, 0.5), (0.6, 0.4), (0.7, 0.6), (0.001, 0.0), (0.999, 0.0)])
def test_empty_parts(train: float, validation: float) -> None:
    pairs = TASKS["add"](modulus=5).pairs_N2
    with pytest.raises(ValueError, match="leave"):
        split(pairs, "ordered", train, validation, np.random.default_rng(0))


def test_a_vault_leaves_room_or_says_so() -> None:
    pairs = TASKS["add"](modulus=11).pairs_N2
    vault = draw_vault(pairs, "grouped", 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="do not fit beside a vault"):
        split(pairs, "grouped", 0.5, 0.2, np.random.default_rng(0), vault)
    with pytest.raises(ValueError, match="vault_fraction"):
        draw_vault(pairs, "grouped", 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="holds none"):
        draw_vault(pairs, "grouped", 0.001, np.random.default_rng(0))


@pytest.mark.parametrize("vault", [None, {"fraction": 0.3, "seed": 3, "open": False}])
@pytest.mark.parametrize("pairs", PROTOCOLS)
def test_training_pairs_are_counted_once_for_splits_of_one_size(
    pairs: Protocol, vault: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {"encoder": "onehot", "learner": "ridge", "modulus": 13, "pairs": pairs, "train_fraction": 0.37}
    specs = resolve(**request, vault=vault, seeds=range(6))
    sizes = [len(drawn(spec, spec.make_task()).train) for spec in specs]
    assert [count_train(spec) for spec in specs] == sizes
    monkeypatch.setattr("bench.api.drawn", None)
    assert [count_train(spec) for spec in reversed(specs)] == sizes[::-1]
