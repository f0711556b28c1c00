"""Tasks against their definitions, written out in plain Python."""

from collections.abc import Callable
from itertools import permutations

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
    "divide-or-subtract": lambda a, b, p: (a * inverse(b % p, p) if b % 2 else a - b) % p,
    "even-add-odd-multiply": lambda a, b, p: (a * b if a % 2 else a + b) % p,
    "even-add-odd-subtract": lambda a, b, p: (a - b if a % 2 else a + b) % p,
}


@pytest.mark.parametrize("operand_max", [None, 30])
@pytest.mark.parametrize("modulus", [2, 11, 12])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_definition(name: str, modulus: int, operand_max: int | None) -> None:
    task = maker(name)(modulus=modulus, operand_max=operand_max)
    expected = [DEFINITIONS[name](int(a), int(b), modulus) for a, b in task.pairs_N2]
    assert task.answers_N.tolist() == expected
    assert task.n_classes == modulus
    n = modulus if operand_max is None else 31
    assert task.n_operands == n
    if not name.startswith("divide"):
        assert len(task.pairs_N2) == n * n


def test_published_sizes() -> None:
    assert len(maker("add")().pairs_N2) == 9409
    assert len(maker("divide")().pairs_N2) == 97 * 96
    assert len(maker("divide-or-subtract")().pairs_N2) == 9409
    assert len(maker("s5")().pairs_N2) == 14400


def test_the_package_hands_out_the_makers_of_its_tasks() -> None:
    assert {*DEFINITIONS, "random-of-sum", "s5", "s5-conjugate", "s5-aba"} == set(tasks.TASKS)
    for name, make in tasks.TASKS.items():
        assert make is maker(name)
        assert isinstance(make(), tasks.Task)
    assert tasks.OPERATIONS is OPERATIONS


def test_every_task_is_known_by_a_definition_or_a_test_here() -> None:
    assert set(listings("task")) == {*DEFINITIONS, "random-of-sum", "s5", "s5-conjugate", "s5-aba"}


@pytest.mark.parametrize("name", listings("task"))
def test_commutative_means_that_mirrored_pairs_have_one_answer(name: str) -> None:
    task = maker(name)() if name.startswith("s5") else maker(name)(modulus=11)
    answers = {(int(a), int(b)): int(y) for (a, b), y in zip(task.pairs_N2, task.answers_N, strict=True)}
    mirrored = all(answers[b, a] == y for (a, b), y in answers.items() if (b, a) in answers)
    assert mirrored == task.commutative


@pytest.mark.parametrize("name", listings("task"))
def test_answers_are_classes(name: str) -> None:
    task = maker(name)()
    assert task.answers_N.min() >= 0
    assert task.answers_N.max() < task.n_classes
    assert np.array_equal(task.pairs_N2, np.unique(task.pairs_N2, axis=0))


def test_random_of_sum_depends_on_the_integer_sum_alone() -> None:
    task = maker("random-of-sum")()
    sums = task.pairs_N2.sum(axis=1)
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
        a, b = (elements[i] for i in product.pairs_N2[row])
        assert product.answers_N[row] == index[times(a, b)]
        assert conjugate.answers_N[row] == index[times(times(a, b), inverted(a))]
        assert aba.answers_N[row] == index[times(times(a, b), a)]


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
    assert task.pairs_N2.max() == 20
    assert set(OPERATIONS) <= set(listings("task"))
