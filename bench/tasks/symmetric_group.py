"""Composition in the symmetric group of five."""

from itertools import permutations

import numpy as np

from bench.tasks._base import Integers, Task, all_pairs

__all__ = ["s5"]


def _s5_table() -> Integers:
    """Index of a·b, first a and then b, for the 120 permutations of five in lexicographic order; (120, 120)."""
    elements = list(permutations(range(5)))
    index = {element: i for i, element in enumerate(elements)}
    return np.array([[index[tuple(b[i] for i in a)] for b in elements] for a in elements])


def s5(name: str) -> Task:
    """Composition in the symmetric group of five: no modulus, 120 operands, 120 answers."""
    table = _s5_table()
    inverse = table.argmin(axis=1)  # the identity comes first
    pairs = all_pairs(len(table))
    a, b = pairs[:, 0], pairs[:, 1]
    product = table[a, b]
    formula, answers = {
        "s5": ("a · b in S5", product),
        "s5-conjugate": ("a · b · a⁻¹ in S5", table[product, inverse[a]]),
        "s5-aba": ("a · b · a in S5", table[product, a]),
    }[name]
    return Task(name, formula, pairs, answers, len(table), False, len(table), None)
