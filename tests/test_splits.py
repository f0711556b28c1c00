"""Splits: nothing crosses where it must not, for every protocol."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tasks import exchanged

from bench.specs.budget import count_train
from bench.specs.cell import draw_split
from bench.specs.registry import listings
from bench.specs.registry import task as maker
from bench.specs.resolve import resolve
from bench.specs.splits import PROTOCOLS, Protocol, Split, default_protocol, draw_vault, eligible, given_away, split
from bench.tasks._base import Task, sampled
from bench.tasks.modular import OPERATIONS

THREE = ("add-three", "divide-twice")
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
    task = maker(name)(modulus=p)
    s = split(task, protocol, fraction, validation, np.random.default_rng(seed))
    train, held, test = (twins(task.operands_NK, rows) for rows in parts(s))
    if protocol != "ordered":
        assert not train & held
        assert not train & test
        assert not held & test
    rows = np.concatenate(parts(s))
    assert np.array_equal(np.sort(rows), eligible(task, protocol))  # disjoint, and nothing is lost


@settings(max_examples=100, deadline=None)
@given(tasks, protocols, moduli, seeds, fractions)
def test_fractions_count_pairs(name: str, protocol: str, p: int, seed: int, fraction: float) -> None:
    task = maker(name)(modulus=p)
    s = split(task, protocol, fraction, 0.2, np.random.default_rng(seed))
    n = len(eligible(task, protocol))
    slack = 1 if protocol == "grouped" else 0
    assert round(fraction * n) - slack <= len(s.train) <= round(fraction * n)
    assert abs(len(s.validation) - round(0.2 * n)) <= slack


@settings(max_examples=100, deadline=None)
@given(tasks, protocols, moduli, seeds, seeds)
def test_nothing_touches_the_vault(name: str, protocol: str, p: int, seed: int, other: int) -> None:
    task = maker(name)(modulus=p)
    vault = draw_vault(task, protocol, 0.3, np.random.default_rng(seed))
    closed = split(task, protocol, 0.4, 0.2, np.random.default_rng(other), vault)
    seen = np.concatenate([closed.train, closed.validation])
    assert not np.intersect1d(seen, vault).size
    if protocol != "ordered":
        assert not twins(task.operands_NK, seen) & twins(task.operands_NK, vault)
    assert not closed.test.size
    opened = split(task, protocol, 0.4, 0.2, np.random.default_rng(other), vault, open_vault=True)
    assert np.array_equal(opened.test, vault)
    assert np.array_equal(opened.train, closed.train)


def test_ordered_leaks_and_says_so_by_its_name() -> None:
    task = maker("add")()
    s = split(task, "ordered", 0.5, 0.0, np.random.default_rng(0))
    leaked = twins(task.operands_NK, s.train) & twins(task.operands_NK, s.test)
    assert 2200 < len(leaked) < 2450  # half of the 4,656


def test_sizes_of_the_protocols() -> None:
    task = maker("add")()
    assert {q: len(eligible(task, q)) for q in PROTOCOLS} == {
        "ordered": 9409,
        "grouped": 9409,
        "unordered": 4753,
        "distinct": 4656,
    }


def test_same_seed_same_split_other_seed_other_split() -> None:
    task = maker("add")(modulus=11)
    first, again, other = (split(task, "grouped", 0.5, 0.0, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_impossible_fractions(fraction: float) -> None:
    task = maker("add")(modulus=11)
    with pytest.raises(ValueError, match=r"`train_fraction` must be in \(0, 1\)"):
        split(task, "ordered", fraction, 0.0, np.random.default_rng(0))


@pytest.mark.parametrize(("train", "validation"), [(0.5, 0.5), (0.6, 0.4), (0.7, 0.6), (0.001, 0.0), (0.999, 0.0)])
def test_empty_parts(train: float, validation: float) -> None:
    task = maker("add")(modulus=5)
    with pytest.raises(ValueError, match="leave"):
        split(task, "ordered", train, validation, np.random.default_rng(0))


def test_a_vault_leaves_room_or_says_so() -> None:
    task = maker("add")(modulus=11)
    vault = draw_vault(task, "grouped", 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="do not fit beside a vault"):
        split(task, "grouped", 0.5, 0.2, np.random.default_rng(0), vault)
    with pytest.raises(ValueError, match="`vault` must be"):
        draw_vault(task, "grouped", 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="holds none"):
        draw_vault(task, "grouped", 0.001, np.random.default_rng(0))


@pytest.mark.parametrize("vault", [None, {"fraction": 0.3, "seed": 3, "open": False}])
@pytest.mark.parametrize("pairs", PROTOCOLS)
def test_training_pairs_are_counted_once_for_splits_of_one_size(
    pairs: Protocol, vault: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {"encoder": "onehot", "learner": "ridge", "modulus": 13, "pairs": pairs, "train_fraction": 0.37}
    specs = resolve(**request, vault=vault, seeds=range(6))
    sizes = [len(draw_split(spec, spec.make_task()).train) for spec in specs]
    assert [count_train(spec) for spec in specs] == sizes
    monkeypatch.setattr("bench.specs.budget.draw_split", None)
    assert [count_train(spec) for spec in reversed(specs)] == sizes[::-1]


def leaked(task: Task, s: Split) -> int:
    """Test questions with a twin of the same answer in training, counted one by one."""
    answers = {tuple(q.tolist()): int(y) for q, y in zip(task.operands_NK, task.answers_N, strict=True)}
    train, test = ({tuple(task.operands_NK[row].tolist()) for row in rows} for rows in (s.train, s.test))
    return sum(any(twin in train and answers[twin] == answers[q] for twin in exchanged(q, task.groups)) for q in test)


def every_task() -> list[Task]:
    """Of several moduli, and with operands beyond the modulus."""
    groups = [name for name in listings("task") if name.startswith("s5")]
    others = [maker("sparse-parity")(bits=8, examples=200), maker("sparse-parity")(bits=6, examples=0)]
    three = [maker(name)(modulus=p, examples=n) for name in THREE for p, n in ((3, 0), (5, 0), (7, 150))]
    modular = [maker(name) for name in OPERATIONS]
    small = [make(modulus=p) for make in modular for p in (5, 8, 11, 12)]
    larger = [make(modulus=6, operand_max=13) for make in modular]
    return [*(maker(name)() for name in groups), *others, *three, *small, *larger]


def test_a_default_protocol_leaves_no_twin_of_the_same_answer_on_the_other_side() -> None:
    found = {}
    for task in every_task():
        protocol = default_protocol(task)
        [spec] = resolve(encoder="onehot", learner="ridge", **asked(task))
        assert spec.protocol == protocol
        s = draw_split(spec, spec.make_task())
        assert leaked(task, s) == 0, task
        found[task.name, task.modulus, task.n_operands] = protocol
        ordered = split(task, "ordered", 0.5, 0.0, np.random.default_rng(0))
        assert given_away(task, ordered) == leaked(task, ordered)
    assert found["subtract", 11, 11] == found["quad-x", 11, 11] == "ordered"  # no two twins agree: nothing to group
    assert found["subtract", 8, 8] == "grouped"  # a − b = b − a where they are half of the modulus apart
    assert found["divide", 11, 11] == "grouped"  # a / b = b / a where a = −b
    assert found["even-add-odd-multiply", 11, 11] == found["even-add-odd-subtract", 11, 11] == "grouped"
    assert found["s5", None, 120] == "grouped"  # some permutations commute
    assert found["add-three", 7, 7] == found["divide-twice", 7, 7] == "unordered"
    assert found["sparse-parity", None, 2] == "ordered"
    commuting = {"add", "multiply", "sum-of-squares", "quad", "random-of-sum"}
    assert {protocol for (name, _, _), protocol in found.items() if name in commuting} == {"unordered"}


def asked(task: Task) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if task.name == "sparse-parity":
        settings = {"bits": len(task.sizes), "examples": 200 if len(task.sizes) == 8 else 0}
    elif task.name in THREE:
        settings = {"examples": 150 if task.modulus == 7 else 0}
    elif task.modulus is not None:
        settings = {"operand_max": task.n_operands - 1}
    modulus = {} if task.modulus is None else {"modulus": task.modulus}
    return {"task": task.name, **modulus, "settings": {f"task.{name}": value for name, value in settings.items()}}


def test_ordered_pairs_of_twins_that_agree_were_a_leak() -> None:
    """As the default of both was until 0.1: nearest neighbours read a quarter of the one and an eighth of the other."""
    shares = []
    for name in ("even-add-odd-multiply", "even-add-odd-subtract", "subtract"):
        task = maker(name)()
        s = split(task, "ordered", 0.5, 0.0, np.random.default_rng(0))
        shares.append(given_away(task, s) / len(s.test))
    assert shares == [pytest.approx(0.243, abs=0.02), pytest.approx(0.126, abs=0.02), 0.0]


def test_a_task_that_says_nothing_of_twins_is_found_to_be_symmetric() -> None:
    add = maker("add")(modulus=11)
    assert default_protocol(replace(add, exchange=None)) == "unordered"
    assert default_protocol(replace(add, exchange=())) == "ordered"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(2, 4), protocols, seeds, st.data())
def test_no_twin_of_any_number_of_operands_crosses(K: int, size: int, protocol: Protocol, seed: int, data: Any) -> None:
    """Of a complete table or a sample, with any groups of places to exchange."""
    places = list(data.draw(st.permutations(range(K))))
    cut = data.draw(st.integers(0, K))
    examples = data.draw(st.sampled_from([0, size**K // 2 + 1]))
    operands = sampled((size,) * K, examples, seed)
    answers = np.random.default_rng(seed).integers(0, 2, len(operands))
    task = Task("mine", "", operands, answers, 2, (size,) * K, None, (tuple(places[:cut]), tuple(places[cut:])))
    rows = eligible(task, protocol)
    questions = [tuple(q) for q in operands[rows].tolist()]
    if protocol in ("unordered", "distinct"):
        assert all(len(exchanged(q, task.groups) & set(questions)) == 1 for q in questions)
        different = [all(len({q[k] for k in g}) == len(g) for g in task.groups) for q in map(tuple, operands.tolist())]
        orbits = {frozenset(exchanged(tuple(q), task.groups)) for q in operands[different].tolist()}
        if protocol == "distinct":
            assert len(rows) == len(orbits)
    try:
        s = split(task, protocol, 0.4, 0.2, np.random.default_rng(seed))
    except ValueError:
        return
    sides = [{tuple(q) for q in operands[part].tolist()} for part in parts(s)]
    if protocol != "ordered":
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert not any(exchanged(q, task.groups) & sides[other] for q in sides[one])


def test_twins_are_counted_once_for_all_cells_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    sort = np.sort

    def counting(x: np.ndarray, **how: Any) -> np.ndarray:
        if x.ndim == 1:
            counted.append(len(x))
        return sort(x, **how)

    monkeypatch.setattr(np, "sort", counting)
    for fraction in (0.3, 0.4, 0.5):
        resolve(encoder="onehot", learner="ridge", task="cube", modulus=61, train_fraction=fraction, seeds=range(3))
    assert counted == [61 * 61]
