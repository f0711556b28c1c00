"""Tasks against their definitions, written out in plain Python."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import tasks
from bench.specs.registry import listings
from bench.specs.registry import task as maker
from bench.tasks.modular import OPERATIONS


def inverse(b: int, p: int) -> int:
    return next(x for x in range(p) if b * x % p == 1 % p)


DEFINITIONS: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda a, b, p: (a + b) % p,
    "subtract": lambda a, b, p: (a - b) % p,
    "multiply": lambda a, b, p: (a * b) % p,
    "divide": lambda a, b, p: (a * inverse(b % p, p)) % p,
    "sum-of-squares": lambda a, b, p: (a**2 + b**2) % p,
    "quad": lambda a, b, p: (a**2 + a * b + b**2) % p,
    "quad-x": lambda a, b, p: (a**2 + a * b + b**2 + a) % p,
    "cube": lambda a, b, p: (a**3 + a * b) % p,
    "cube-y": lambda a, b, p: (a**3 + a * b**2 + b) % p,
    "square-add": lambda a, b, p: (a**2 + b) % p,
    "cube-add": lambda a, b, p: (a**3 + b) % p,
    "power": lambda a, b, p: pow(a, b, p),
    "divide-or-subtract": lambda a, b, p: (a * inverse(b % p, p) if b % 2 else a - b) % p,
    "even-add-odd-multiply": lambda a, b, p: (a * b if a % 2 else a + b) % p,
    "even-add-odd-subtract": lambda a, b, p: (a - b if a % 2 else a + b) % p,
}


OTHERS = {"random", "random-of-sum", "s5", "s5-conjugate", "s5-aba", "add-three", "divide-twice", "sparse-parity"}
SMALL: dict[str, dict[str, int]] = {
    **{name: {} for name in ("s5", "s5-conjugate", "s5-aba")},
    "sparse-parity": {"bits": 6, "examples": 0},
}
"""Parameters that make a task small; a modulus of 11 for those that are not here."""


@pytest.mark.parametrize("operand_max", [None, 30])
@pytest.mark.parametrize("modulus", [2, 11, 12])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_definition(name: str, modulus: int, operand_max: int | None) -> None:
    task = maker(name)(modulus=modulus, operand_max=operand_max)
    expected = [DEFINITIONS[name](int(a), int(b), modulus) for a, b in task.operands_NK]
    assert task.answers_N.tolist() == expected
    assert task.n_classes == modulus
    n = modulus if operand_max is None else 31
    assert task.n_operands == n
    if not name.startswith("divide"):
        assert len(task.operands_NK) == n * n


def test_published_sizes() -> None:
    assert len(maker("add")().operands_NK) == 9409
    assert len(maker("divide")().operands_NK) == 97 * 96
    assert len(maker("divide-or-subtract")().operands_NK) == 9409
    assert len(maker("s5")().operands_NK) == 14400


def test_the_package_hands_out_the_makers_of_its_tasks() -> None:
    assert {*DEFINITIONS, *OTHERS} == set(tasks.TASKS)
    for name, make in tasks.TASKS.items():
        assert make is maker(name)
        assert isinstance(make(), tasks.Task)
    assert tasks.OPERATIONS is OPERATIONS


def test_every_task_is_known_by_a_definition_or_a_test_here() -> None:
    assert set(listings("task")) == {*DEFINITIONS, *OTHERS}


@pytest.mark.parametrize("name", listings("task"))
def test_symmetric_means_that_questions_with_exchanged_operands_have_one_answer(name: str) -> None:
    task = maker(name)(**SMALL.get(name, {"modulus": 11}))
    answers = {tuple(q.tolist()): int(y) for q, y in zip(task.operands_NK, task.answers_N, strict=True)}
    agree = [
        answers[twin] == y for q, y in answers.items() for twin in exchanged(q, task.groups) - {q} if twin in answers
    ]
    assert task.symmetric == (bool(task.groups) and all(agree))
    assert task.twins_agree == any(agree)


def exchanged(question: tuple[int, ...], groups: list[list[int]]) -> set[tuple[int, ...]]:
    """The question with its operands in every order, as far as they may be exchanged."""
    found = {question}
    for group in groups:
        found = {
            tuple((dict(enumerate(one)) | dict(zip(group, order, strict=True))).values())
            for one in found
            for order in permutations([one[place] for place in group])
        }
    return found


def test_three_operands() -> None:
    inverses = [inverse(b, 5) if b else 0 for b in range(5)]
    for name, definition in (
        ("add-three", lambda a, b, c: (a + b + c) % 5),
        ("divide-twice", lambda a, b, c: a * inverses[b] * inverses[c] % 5),
    ):
        task = maker(name)(modulus=5, examples=0)
        assert task.answers_N.tolist() == [definition(*q) for q in task.operands_NK.tolist()]
        assert len(task.operands_NK) == (125 if name == "add-three" else 5 * 4 * 4)
        assert task.symmetric
    sample = maker("add-three")()
    assert sample.operands_NK.shape == (20_000, 3)
    assert np.array_equal(sample.operands_NK, maker("add-three")().operands_NK)
    assert not np.array_equal(sample.operands_NK, maker("add-three")(sample=1).operands_NK)


def test_sparse_parity_is_of_a_few_bits() -> None:
    task = maker("sparse-parity")(bits=8, relevant=3, examples=0)
    assert len(task.operands_NK) == 256
    relevant = [k for k in range(8) if answers_change(task, k)]
    assert len(relevant) == 3
    assert np.array_equal(task.answers_N, task.operands_NK[:, relevant].sum(axis=1) % 2)
    assert len(maker("sparse-parity")(bits=8, examples=300).operands_NK) == 256
    assert maker("sparse-parity")().operands_NK.shape == (2000, 20)
    assert maker("sparse-parity")(bits=62, examples=10).operands_NK.shape == (10, 62)


def answers_change(task: tasks.Task, place: int) -> bool:
    answers = dict(zip(map(tuple, task.operands_NK.tolist()), task.answers_N.tolist(), strict=True))
    return any(answers[(*q[:place], 1 - q[place], *q[place + 1 :])] != y for q, y in answers.items())


def test_answers_of_the_random_task_follow_from_nothing() -> None:
    task = maker("random")()
    assert len(task.operands_NK) == 97 * 97
    assert np.bincount(task.answers_N).tolist() == [97] * 97
    a, b = task.operands_NK.T
    swapped = task.answers_N.reshape(97, 97).T.ravel()
    assert (task.answers_N == swapped)[a != b].mean() == pytest.approx(1 / 97, abs=0.005)


@pytest.mark.parametrize(
    ("name", "settings", "why"),
    [
        ("add-three", {"modulus": 1}, "modulus must be an integer ≥ 2, got 1"),
        ("add-three", {"modulus": 5, "examples": -1}, "examples must be an integer ≥ 0, got -1"),
        ("add-three", {"modulus": 300, "examples": 0}, "27,000,000 questions are too many"),
        ("sparse-parity", {"bits": 63}, r"bits must be in \[1, 62\], got 63"),
        ("sparse-parity", {"bits": 4, "relevant": 5}, r"relevant bits must be in \[1, 4\], got 5"),
    ],
)
def test_impossible_samples(name: str, settings: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        maker(name)(**settings)


@pytest.mark.parametrize("name", listings("task"))
def test_answers_are_classes(name: str) -> None:
    task = maker(name)()
    assert task.answers_N.min() >= 0
    assert task.answers_N.max() < task.n_classes
    assert np.array_equal(task.operands_NK, np.unique(task.operands_NK, axis=0))


def test_random_of_sum_depends_on_the_integer_sum_alone() -> None:
    task = maker("random-of-sum")()
    sums = task.operands_NK.sum(axis=1)
    label_of = {int(s): set(task.answers_N[sums == s].tolist()) for s in range(193)}
    assert all(len(labels) == 1 for labels in label_of.values())
    # Knowing the sum modulo 97 is not enough.
    assert sum(label_of[s] != label_of[s + 97] for s in range(96)) > 80
    assert np.array_equal(task.answers_N, maker("random-of-sum")().answers_N)
    smaller = maker("random-of-sum")(operand_max=10)
    assert smaller.answers_N[0] == task.answers_N[0]


def test_s5_is_the_group_of_permutations_of_five() -> None:
    elements = list(permutations(range(5)))
    index = {e: i for i, e in enumerate(elements)}

    def times(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(b[i] for i in a)

    def inverted(a: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(a.index(i) for i in range(5))

    rng = np.random.default_rng(0)
    product, conjugate, aba = (maker(n)() for n in ("s5", "s5-conjugate", "s5-aba"))
    for row in rng.choice(14400, 200, replace=False):
        a, b = (elements[i] for i in product.operands_NK[row])
        assert product.answers_N[row] == index[times(a, b)]
        assert conjugate.answers_N[row] == index[times(times(a, b), inverted(a))]
        assert aba.answers_N[row] == index[times(times(a, b), a)]


def test_run_says_that_twins_of_three_operands_were_in_training(command: Any, tmp_path: Path) -> None:
    options = ("--task", "add-three", "--modulus", "5", "--encoder", "onehot", "--learner", "ridge")
    done = command("run", *options, "--pairs", "ordered", "--results", tmp_path)
    assert "a + b + c mod 5 · 125 ordered questions · 50 % train" in done.out
    assert "% of the test pairs a twin, the same operands in another order, with the same answer, was in" in done.out


@pytest.mark.parametrize("modulus", [1, 0, -3])
def test_impossible_modulus(modulus: int) -> None:
    with pytest.raises(ValueError, match=f"modulus must be an integer ≥ 2, got {modulus}"):
        maker("add")(modulus=modulus)


@pytest.mark.parametrize("operand_max", [0, -1, 5000])
def test_impossible_operands(operand_max: int) -> None:
    with pytest.raises(ValueError, match="largest operand"):
        maker("add")(operand_max=operand_max)


def test_operands_beyond_the_modulus_keep_their_identity() -> None:
    task = maker("add")(modulus=7, operand_max=20)
    assert task.operands_NK.max() == 20
    assert set(OPERATIONS) <= set(listings("task"))
