"""All pairs of operands in the order in which a spectrum over them is taken."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import RequestError
from bench.tasks import Task

FEWEST_OPERANDS, MOST_OPERANDS = 3, 400
"""The scores of 160,000 pairs for 400 classes take 256 MB."""


class Grid(NamedTuple):
    """The operands in the order of their coordinates i = 0 … A − 1, which add up modulo A.

    The coordinate of an operand of a sum is itself. That of an operand x of a product modulo a prime p is the exponent
    i in x = gⁱ, g the smallest primitive root: multiplication adds exponents modulo p − 1. 0 is no power of g, and
    pairs with it are left out.

    :param operands_A: the operand of each coordinate.
    :param first: the coordinate of the first operand in words.
    :param second: likewise of the second.
    :param told: a sentence about the order where it is not that of the operands.
    """

    operands_A: NDArray[np.int64]
    first: str = "a"
    second: str = "b"
    told: str = ""

    def pairs(self) -> NDArray[np.int64]:
        """All pairs (a, b), (A², 2), the second coordinate running fastest."""
        return np.stack(np.meshgrid(self.operands_A, self.operands_A, indexing="ij"), axis=-1).reshape(-1, 2)

    def places(self, pairs_N2: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each of these pairs in ``pairs()``, (N,); −1 for a pair that is left out."""
        coordinates = np.full(max(int(self.operands_A.max()), int(pairs_N2.max(initial=0))) + 1, -1)
        coordinates[self.operands_A] = np.arange(len(self.operands_A))
        i, j = coordinates[pairs_N2].T
        return np.where((i < 0) | (j < 0), -1, i * len(self.operands_A) + j)


def grid_of(task: Task) -> Grid:
    """The order in which the operands of a task are put.

    :raises RequestError: where the operands are not all residues of a modulus, or there are too many of them.
    """
    p = task.modulus
    if len(task.sizes) != 2:
        raise RequestError(f"A spectrum is over pairs: the task {task.name!r} has {len(task.sizes)} operands.")
    if p is None or task.n_operands != p:
        raise RequestError(
            f"A spectrum is over all residues of a modulus: the task {task.name!r} has "
            f"{'no modulus' if p is None else f'{task.n_operands:,} operands and the modulus {p:,}'}."
        )
    if p > MOST_OPERANDS:
        raise RequestError(f"The scores of {p:,} × {p:,} pairs are too many: a spectrum takes up to {MOST_OPERANDS}.")
    if p < FEWEST_OPERANDS:
        raise RequestError(f"A spectrum takes a modulus of {FEWEST_OPERANDS} and more, got {p}.")
    if not _multiplies(task, p):
        return Grid(np.arange(p))
    g = next(g for g in range(1, p) if len(set(_powers(g, p))) == p - 1)
    told = f"log x is the exponent of {g} in x modulo {p}; pairs with 0 are left out."
    return Grid(np.array(_powers(g, p)), "log a", "log b", told)


def _multiplies(task: Task, p: int) -> bool:
    """Whether the answers are products or quotients of the operands modulo a prime."""
    if any(p % n == 0 for n in range(2, int(p**0.5) + 1)):
        return False
    (a, b), c = task.operands_NK.T, task.answers_N
    return bool((c == a * b % p).all() or (c * b % p == a).all())


def _powers(g: int, p: int) -> list[int]:
    """g⁰ … gᵖ⁻² modulo p."""
    powers = [1]
    for _ in range(p - 2):
        powers.append(powers[-1] * g % p)
    return powers
