"""Arithmetic modulo p.

Operations of Power et al. 2022 (arXiv 2201.02177) and its code, modular exponentiation, and two controls of ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import gcd

import numpy as np

from bench.tasks._base import MAX_OPERANDS, Booleans, Integers, Maker, Task, complete

LABELLING = 1997
"""Seed of the random labelling, fixed: it is part of the task."""


@dataclass(frozen=True)
class Operation:
    """a ∘ b in terms of a, b and p; ``defined`` says for which pairs."""

    formula: str
    answer: Callable[[Integers, Integers, int], Integers]
    defined: Callable[[Integers, Integers, int], Booleans] = lambda a, b, p: np.ones(len(a), dtype=bool)


def inverses(p: int) -> Integers:
    """x⁻¹ mod p where it exists, 0 elsewhere; (p,)."""
    return np.array([pow(x, -1, p) if gcd(x, p) == 1 else 0 for x in range(p)], dtype=np.int64)


def _invertible(a: Integers, b: Integers, p: int) -> Booleans:
    return np.gcd(b, p) == 1


def _divide(a: Integers, b: Integers, p: int) -> Integers:
    return a * inverses(p)[b % p] % p


def _random_of_sum(a: Integers, b: Integers, p: int) -> Integers:
    labels = np.random.default_rng(LABELLING).integers(0, p, size=int((a + b).max()) + 1)
    return labels[a + b]


def _random(a: Integers, b: Integers, p: int) -> Integers:
    # All answers are equally frequent: knowing how often each occurs in training does not help either.
    n = int(max(a.max(), b.max())) + 1
    return np.random.default_rng(LABELLING).permutation(np.arange(n * n) % p).reshape(n, n)[a, b]


def _power(a: Integers, b: Integers, p: int) -> Integers:
    powers = np.ones((p, int(b.max()) + 1), np.int64)
    for exponent in range(1, powers.shape[1]):
        powers[:, exponent] = powers[:, exponent - 1] * np.arange(p) % p
    return powers[a % p, b]


def _even(a: Integers) -> Booleans:
    return a % 2 == 0


OPERATIONS: dict[str, Operation] = {
    "add": Operation("a + b", lambda a, b, p: (a + b) % p),
    "subtract": Operation("a − b", lambda a, b, p: (a - b) % p),
    "multiply": Operation("a · b", lambda a, b, p: a * b % p),
    "divide": Operation("a / b", _divide, defined=_invertible),
    "sum-of-squares": Operation("a² + b²", lambda a, b, p: (a * a + b * b) % p),
    "quad": Operation("a² + ab + b²", lambda a, b, p: (a * a + a * b + b * b) % p),
    "quad-x": Operation("a² + ab + b² + a", lambda a, b, p: (a * a + a * b + b * b + a) % p),
    "cube": Operation("a³ + ab", lambda a, b, p: (a**3 + a * b) % p),
    "cube-y": Operation("a³ + ab² + b", lambda a, b, p: (a**3 + a * b * b + b) % p),
    "square-add": Operation("a² + b", lambda a, b, p: (a * a + b) % p),
    "cube-add": Operation("a³ + b", lambda a, b, p: (a**3 + b) % p),
    "power": Operation("a ^ b", _power),
    "divide-or-subtract": Operation(
        "a / b where b is odd, else a − b",
        lambda a, b, p: np.where(_even(b), (a - b) % p, _divide(a, b, p)),
        defined=lambda a, b, p: _even(b) | _invertible(a, b, p),
    ),
    "even-add-odd-multiply": Operation(
        "a + b where a is even, else a · b", lambda a, b, p: np.where(_even(a), a + b, a * b) % p
    ),
    "even-add-odd-subtract": Operation(
        "a + b where a is even, else a − b", lambda a, b, p: np.where(_even(a), a + b, a - b) % p
    ),
    "random": Operation("f(a, b), f a fixed random function: nobody may beat chance", _random),
    "random-of-sum": Operation("f(a + b), f a fixed random labelling of the integer sum", _random_of_sum),
}


def modular(name: str, modulus: int = 97, operand_max: int | None = None) -> Task:
    """One of `OPERATIONS` over operands 0 … operand_max, answers modulo p.

    :param modulus: p, an integer ≥ 2. It may be composite: a / b is then defined where b is coprime to p.
    :param operand_max: the largest operand; None takes p − 1. Larger operands are not reduced: 97 is not 0.
    :raises ValueError: for a modulus below 2, or no or too many operands.
    """
    if modulus < 2:
        raise ValueError(f"The modulus must be an integer ≥ 2, got {modulus}.")
    n_operands = modulus if operand_max is None else operand_max + 1
    if not 2 <= n_operands <= MAX_OPERANDS:
        raise ValueError(f"The largest operand must be in [1, {MAX_OPERANDS - 1}], got {n_operands - 1}.")
    operation = OPERATIONS[name]
    pairs = complete(n_operands, n_operands)
    pairs = pairs[operation.defined(pairs[:, 0], pairs[:, 1], modulus)]
    answers = operation.answer(pairs[:, 0], pairs[:, 1], modulus)
    formula = operation.formula if name.startswith("random") else f"{operation.formula} mod {modulus}"
    return Task(name, formula, pairs, answers, modulus, (n_operands, n_operands), modulus)


TASKS = {name: Maker(operation.formula, partial(modular, name)) for name, operation in OPERATIONS.items()}
