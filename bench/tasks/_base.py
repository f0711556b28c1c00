"""Tasks: finite tables of questions and their answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

MAX_OPERANDS = 3000
MAX_QUESTIONS = MAX_OPERANDS**2
"""9 million: beyond that the tables of questions no longer fit small machines."""
LARGEST_KEY = 2**63
"""The number of all questions from which on they have no numbers of 64 bits."""


@dataclass(frozen=True, eq=False)
class Task:
    """A finite table of questions, each of K operands, and answers: complete, or a sample.

    Operands that may be exchanged make questions *twins*: (a, b) and (b, a), or all orders of (a, b, c). The questions
    of one such orbit are what splits keep together, or of which they use one; where they always have one answer the
    task is symmetric.

    :param name: as on the command line.
    :param formula: the question as text.
    :param operands_NK: the operands of every question, (N, K), no two rows equal.
    :param answers_N: the class of every answer, (N,) integers in [0, n_classes).
    :param n_classes: C.
    :param sizes: operand k is 0 … sizes[k] − 1, (K,).
    :param modulus: p, or None where there is none.
    :param exchange: groups of places whose operands may be exchanged among each other; None puts all places of equal
        size into one group, () says that no two questions are twins.
    :raises ValueError: where questions and answers do not fit together.
    """

    name: str
    formula: str
    operands_NK: Integers = field(repr=False)
    answers_N: Integers = field(repr=False)
    n_classes: int
    sizes: tuple[int, ...]
    modulus: int | None = None
    exchange: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.sizes, bool):  # other packages may pass commutative, n_operands, modulus, as before 0.1
            size, modulus = self.modulus, self.exchange
            for name, value in (("sizes", (size, size)), ("modulus", modulus), ("exchange", None)):
                object.__setattr__(self, name, value)
        for values, what in ((self.operands_NK, "questions"), (self.answers_N, "answers")):
            self._require(isinstance(values, np.ndarray), f"a numpy array of {what}", type(values).__name__)
            self._require(values.dtype.kind in "iu", f"integers as {what}", values.dtype)
        shape, K = np.shape(self.operands_NK), len(self.sizes)
        self._require(len(shape) == 2 and shape[1] == K > 0, f"questions of {K} operands, one for each size", shape)
        self._require(shape[0] > 0, "at least one question", 0)
        answers = np.shape(self.answers_N)
        self._require(answers == shape[:1], f"an answer for each of its {shape[0]:,} questions", f"the shape {answers}")
        self._require_range("answers", self.answers_N, self.n_classes)
        for place, size in enumerate(self.sizes):
            self._require_range(f"operands at place {place}", self.operands_NK[:, place], size)
        different = len(np.unique(self._numbered(self.operands_NK)))
        self._require(different == shape[0], "questions that are all different", f"{shape[0] - different:,} repeated")
        places = [place for group in self.exchange or () for place in group]
        known = len(set(places)) == len(places) and set(places) <= set(range(K))
        self._require(known, f"groups of different places below {K} to exchange", self.exchange)

    def _require(self, holds: object, rule: str, found: object) -> None:
        if not holds:
            raise ValueError(f"The task {self.name!r} must have {rule}, got {found}.")

    def _require_range(self, what: str, values: Integers, size: int) -> None:
        low, high = values.min(), values.max()
        self._require(low >= 0 and high < size, f"{what} in [0, {size})", low if low < 0 else high)

    @property
    def n_operands(self) -> int:
        """Operands are 0 … n_operands − 1, those of the largest size."""
        return max(self.sizes)

    @property
    def groups(self) -> list[list[int]]:
        """The groups of two places and more whose operands may be exchanged."""
        if self.exchange is not None:
            return [sorted(group) for group in self.exchange if len(group) > 1]
        places: dict[int, list[int]] = {}
        for place, size in enumerate(self.sizes):
            places.setdefault(size, []).append(place)
        return [group for group in places.values() if len(group) > 1]

    @cached_property
    def orbits(self) -> Integers:
        """The number of each question's orbit, (N,): twins have the same one."""
        sorted_NK = self.operands_NK.copy()
        for group in self.groups:
            sorted_NK[:, group] = np.sort(sorted_NK[:, group], axis=1)
        return np.unique(self._numbered(sorted_NK), return_inverse=True)[1]

    def _numbered(self, operands_NK: Integers) -> Integers:
        """A number for each row, equal for equal rows and in their order, (N,)."""
        if prod(self.sizes) < LARGEST_KEY:
            return np.ravel_multi_index(tuple(operands_NK.T), self.sizes)
        return np.unique(operands_NK, axis=0, return_inverse=True)[1].reshape(-1)

    @cached_property
    def symmetric(self) -> bool:
        """Whether all questions of any orbit have one answer, and operands may be exchanged at all.

        >>> from bench.tasks import TASKS
        >>> [name for name in ("add", "subtract", "multiply") if TASKS[name]().symmetric]
        ['add', 'multiply']
        """
        first = np.unique(self.orbits, return_index=True)[1]
        return bool(self.groups) and bool((self.answers_N == self.answers_N[first][self.orbits]).all())

    @cached_property
    def twins_agree(self) -> bool:
        """Whether any two questions of one orbit have the same answer.

        Division is an example: a / b = b / a where a = −b.
        """
        keys = np.sort(self.orbits * self.n_classes + self.answers_N)
        return bool((keys[1:] == keys[:-1]).any())


class Maker(NamedTuple):
    """A row of the table ``TASKS`` of a module: how to make the task of a name.

    :param formula: the question as text, for lists of tasks.
    :param make: takes the task's parameters as keyword arguments, all of which have defaults.
    """

    formula: str
    make: Callable[..., Task]


def complete(*sizes: int) -> Integers:
    """All questions of operands 0 … size − 1 in lexicographic order, (N, K)."""
    return np.stack(np.unravel_index(np.arange(prod(sizes)), sizes), axis=-1).astype(np.int64)


def sampled(sizes: tuple[int, ...], examples: int, seed: int) -> Integers:
    """Different questions drawn at random, in lexicographic order, (N, K).

    :param examples: at most so many; 0, or where there are no more, takes all that there are.
    :raises ValueError: for a negative number, or too many questions.
    """
    total = prod(sizes)
    if examples < 0:
        raise ValueError(f"The number of examples must be an integer ≥ 0, got {examples:,}.")
    wanted = min(examples or total, total)
    if wanted > MAX_QUESTIONS:
        raise ValueError(f"{wanted:,} questions are too many: examples must be at most {MAX_QUESTIONS:,}.")
    if wanted == total:
        return complete(*sizes)
    rows = np.random.default_rng(seed).choice(total, wanted, replace=False, shuffle=False)
    return np.stack(np.unravel_index(np.sort(rows), sizes), axis=-1).astype(np.int64)
