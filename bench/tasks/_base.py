"""Tasks: all pairs of operands and their answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

MAX_OPERANDS = 3000
"""9 million pairs: beyond that the tables of pairs no longer fit small machines."""
OPERANDS = 2
"""The number of operands of every question; splits support no other number."""


@dataclass(frozen=True, eq=False)
class Task:
    """A finite table of questions and answers.

    :param name: as on the command line.
    :param formula: the question as text.
    :param pairs_N2: the operands (a, b) of every question, (N, 2), in lexicographic order.
    :param answers_N: the class of every answer, (N,) integers in [0, n_classes).
    :param n_classes: C.
    :param commutative: whether a ∘ b = b ∘ a for all operands, so that mirrored pairs have the same answer.
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
        # Splits only keep (a, b) and (b, a) together: of three operands most permutations would leak into training.
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
        """Whether any pair (a, b), a ≠ b, has the same answer as its mirrored twin (b, a).

        Division is an example: a / b = b / a where a = −b. Twins with one answer have equal keys, made from the
        unordered pair and the answer.
        """
        a, b = self.pairs_N2.T
        different = a != b
        low, high = np.minimum(a, b)[different], np.maximum(a, b)[different]
        keys = np.sort((low * (high.max(initial=0) + 1) + high) * self.n_classes + self.answers_N[different])
        return bool((keys[1:] == keys[:-1]).any())


class Maker(NamedTuple):
    """A row of the table ``TASKS`` of a module: how to make the task of a name.

    :param formula: the question as text, for lists of tasks.
    :param make: takes the task's parameters as keyword arguments, all of which have defaults.
    """

    formula: str
    make: Callable[..., Task]


def _shaped(shape: tuple[int, ...]) -> str:
    return f"the shape {shape}"


def all_pairs(n: int) -> Integers:
    """All pairs of 0 … n − 1 in lexicographic order, (n², 2)."""
    return np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)
