"""Composition in the symmetric group of five (Power et al. 2022, arXiv 2201.02177)."""

from functools import partial
from itertools import permutations

import numpy as np

from bench.tasks._base import Integers, Maker, Task, complete


def _s5_table() -> Integers:
    """Index of a·b, first a and then b, for the 120 permutations of five in lexicographic order; (120, 120)."""
    elements = list(permutations(range(5)))
    index = {element: i for i, element in enumerate(elements)}
    return np.array([[index[tuple(b[i] for i in a)] for b in elements] for a in elements])


FORMULAS = {"s5": "a · b in S5", "s5-conjugate": "a · b · a⁻¹ in S5", "s5-aba": "a · b · a in S5"}


def s5(name: str) -> Task:
    """One of `FORMULAS` over the symmetric group of five: no modulus, 120 operands, 120 answers."""
    table = _s5_table()
    inverse = table.argmin(axis=1)  # the identity comes first
    pairs = complete(len(table), len(table))
    a, b = pairs[:, 0], pairs[:, 1]
    product = table[a, b]
    answers = {"s5": product, "s5-conjugate": table[product, inverse[a]], "s5-aba": table[product, a]}[name]
    return Task(name, FORMULAS[name], pairs, answers, len(table), (len(table), len(table)))


TASKS = {name: Maker(formula, partial(s5, name)) for name, formula in FORMULAS.items()}
