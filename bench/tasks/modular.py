"""Tasks: all pairs of operands and their answers.

Operations of Power et al. 2022 (arXiv 2201.02177) and its code, and one control of ours.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import permutations
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OPERATIONS", "TASKS", "Task"]

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

MAX_OPERANDS = 3000
"""9 million pairs: beyond that the tables of pairs no longer fit small machines."""
OPERANDS = 2
"""Of every question: tasks of other numbers are refused until splits know them."""
LABELLING = 1997
"""Seed of the random labelling, fixed: it is part of the task."""


@dataclass(frozen=True, eq=False)
class Task:
    """A finite table of questions and answers.

    :param name: as on the command line.
    :param formula: what is asked, for people.
    :param pairs_N2: the operands (a, b) of every question, (N, 2), in lexicographic order.
    :param answers_N: the class of every answer, (N,) integers in [0, n_classes).
    :param n_classes: C.
    :param commutative: whether a ∘ b = b ∘ a for all operands, so that mirrored pairs give each other away.
    :param n_operands: operands are 0 … n_operands − 1.
    :param modulus: p, or None where there is none.
    :raises ValueError: where a question has other than two operands, or pairs and answers do not fit together.
    """

    name: str
    formula: str
    pairs_N2: Integers = field(repr=False)
    answers_N: Integers = field(repr=False)
    n_classes: int
    commutative: bool
    n_operands: int
    modulus: int | None

    def __post_init__(self) -> None:
        for values, what in ((self.pairs_N2, "questions"), (self.answers_N, "answers")):
            self._require(isinstance(values, np.ndarray), f"a numpy array of {what}", type(values).__name__)
        # Splits and protocols look at a and b alone: of three operands most permutations would leak into training.
        shape = np.shape(self.pairs_N2)
        operands = shape[1] if len(shape) == 2 else None
        self._require(
            operands == OPERANDS, f"exactly {OPERANDS} operands", _shaped(shape) if operands is None else operands
        )
        self._require(shape[0] > 0, "at least one question", 0)
        answers = np.shape(self.answers_N)
        self._require(answers == shape[:1], f"an answer for each of its {shape[0]:,} questions", _shaped(answers))
        for values, what, n in (
            (self.pairs_N2, "operands", self.n_operands),
            (self.answers_N, "answers", self.n_classes),
        ):
            kind, low, high = values.dtype, values.min(), values.max()
            self._require(kind.kind in "iu", f"integers as {what}", kind)
            self._require(low >= 0 and high < n, f"{what} in [0, {n})", low if low < 0 else high)

    def _require(self, holds: bool, rule: str, found: object) -> None:
        if not holds:
            raise ValueError(f"The task {self.name!r} must have {rule}, got {found}.")

    @cached_property
    def twins_agree(self) -> bool:
        """Whether any pair (a, b), a ≠ b, has the answer of its mirrored twin (b, a).

        By accident too: a / b = b / a where a = −b. Counted once, as equal keys of unordered pair and answer.
        """
        a, b = self.pairs_N2.T
        parted = a != b
        low, high = np.minimum(a, b)[parted], np.maximum(a, b)[parted]
        keys = np.sort((low * (high.max(initial=0) + 1) + high) * self.n_classes + self.answers_N[parted])
        return bool((keys[1:] == keys[:-1]).any())


def _shaped(shape: tuple[int, ...]) -> str:
    return f"the shape {shape}"


@dataclass(frozen=True)
class Operation:
    """a ∘ b in terms of a, b and p; ``defined`` says for which pairs."""

    formula: str
    answer: Callable[[Integers, Integers, int], Integers]
    commutative: bool = False
    defined: Callable[[Integers, Integers, int], Booleans] = lambda a, b, p: np.ones(len(a), dtype=bool)


def _inverses(p: int) -> Integers:
    """x⁻¹ mod p where it exists, 0 elsewhere; (p,)."""
    return np.array([pow(x, -1, p) if gcd(x, p) == 1 else 0 for x in range(p)], dtype=np.int64)


def _invertible(a: Integers, b: Integers, p: int) -> Booleans:
    return np.gcd(b, p) == 1


def _divide(a: Integers, b: Integers, p: int) -> Integers:
    return a * _inverses(p)[b % p] % p


def _random_of_sum(a: Integers, b: Integers, p: int) -> Integers:
    labels = np.random.default_rng(LABELLING).integers(0, p, size=int((a + b).max()) + 1)
    return labels[a + b]


def _even(a: Integers) -> Booleans:
    return a % 2 == 0


OPERATIONS: dict[str, Operation] = {
    "add": Operation("a + b", lambda a, b, p: (a + b) % p, commutative=True),
    "subtract": Operation("a − b", lambda a, b, p: (a - b) % p),
    "multiply": Operation("a · b", lambda a, b, p: a * b % p, commutative=True),
    "divide": Operation("a / b", _divide, defined=_invertible),
    "sum-of-squares": Operation("a² + b²", lambda a, b, p: (a * a + b * b) % p, commutative=True),
    "quad": Operation("a² + ab + b²", lambda a, b, p: (a * a + a * b + b * b) % p, commutative=True),
    "quad-x": Operation("a² + ab + b² + a", lambda a, b, p: (a * a + a * b + b * b + a) % p),
    "cube": Operation("a³ + ab", lambda a, b, p: (a**3 + a * b) % p),
    "cube-y": Operation("a³ + ab² + b", lambda a, b, p: (a**3 + a * b * b + b) % p),
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
    "random-of-sum": Operation("f(a + b), f a fixed random labelling of the integer sum", _random_of_sum, True),
}


def _all_pairs(n: int) -> Integers:
    return np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)


def modular(name: str, modulus: int = 97, operand_max: int | None = None) -> Task:
    """One of `OPERATIONS` over operands 0 … operand_max, answers modulo p.

    :param modulus: p, an integer ≥ 2. A composite one is fine: b is then divisible where it is coprime to p.
    :param operand_max: the largest operand; None takes p − 1. Beyond p − 1 operands stay what they are (97 is not 0).
    :raises ValueError: for a modulus below 2, or no or too many operands.
    """
    if modulus < 2:
        raise ValueError(f"The modulus must be an integer ≥ 2, got {modulus}.")
    n_operands = modulus if operand_max is None else operand_max + 1
    if not 2 <= n_operands <= MAX_OPERANDS:
        raise ValueError(f"The largest operand must be in [1, {MAX_OPERANDS - 1}], got {n_operands - 1}.")
    operation = OPERATIONS[name]
    pairs = _all_pairs(n_operands)
    pairs = pairs[operation.defined(pairs[:, 0], pairs[:, 1], modulus)]
    answers = operation.answer(pairs[:, 0], pairs[:, 1], modulus)
    formula = operation.formula if name == "random-of-sum" else f"{operation.formula} mod {modulus}"
    return Task(name, formula, pairs, answers, modulus, operation.commutative, n_operands, modulus)


def _s5_table() -> Integers:
    """Index of a·b, first a and then b, for the 120 permutations of five in lexicographic order; (120, 120)."""
    elements = list(permutations(range(5)))
    index = {element: i for i, element in enumerate(elements)}
    return np.array([[index[tuple(b[i] for i in a)] for b in elements] for a in elements])


def s5(name: str) -> Task:
    """Composition in the symmetric group of five: no modulus, 120 operands, 120 answers."""
    table = _s5_table()
    inverse = table.argmin(axis=1)  # the identity comes first
    pairs = _all_pairs(len(table))
    a, b = pairs[:, 0], pairs[:, 1]
    product = table[a, b]
    formula, answers = {
        "s5": ("a · b in S5", product),
        "s5-conjugate": ("a · b · a⁻¹ in S5", table[product, inverse[a]]),
        "s5-aba": ("a · b · a in S5", table[product, a]),
    }[name]
    return Task(name, formula, pairs, answers, len(table), False, len(table), None)


TASKS: dict[str, Callable[..., Task]] = {
    **{name: partial(modular, name) for name in OPERATIONS},
    **{name: partial(s5, name) for name in ("s5", "s5-conjugate", "s5-aba")},
}
"""Makers of tasks by name; their keyword arguments are the task's parameters."""

FORMULAS: dict[str, Any] = {name: operation.formula for name, operation in OPERATIONS.items()} | {
    "s5": "a · b in S5",
    "s5-conjugate": "a · b · a⁻¹ in S5",
    "s5-aba": "a · b · a in S5",
}
