"""Arithmetic of three operands modulo p.

Their complete tables are large, 912,673 questions for p = 97, so that a sample is the default.
"""

from functools import partial

import numpy as np

from bench.tasks._base import Maker, Task, sampled
from bench.tasks.modular import inverses

FORMULAS = {"add-three": "a + b + c", "divide-twice": "a / b / c"}


def three(name: str, modulus: int = 97, examples: int = 20_000, sample: int = 0) -> Task:
    """One of `FORMULAS` over operands 0 … p − 1. Divisors are coprime to p.

    :param modulus: p, an integer ≥ 2.
    :param examples: at most so many questions, drawn at random; 0 takes all.
    :param sample: the seed of the draw: it is part of the task.
    :raises ValueError: for a modulus below 2, or a number of examples that there are not.
    """
    if modulus < 2:
        raise ValueError(f"The modulus must be an integer ≥ 2, got {modulus}.")
    divides = name == "divide-twice"
    units = np.flatnonzero(inverses(modulus)) if divides else np.arange(modulus)
    drawn = sampled((modulus, len(units), len(units)), examples, sample)
    a, b, c = operands = np.stack([drawn[:, 0], units[drawn[:, 1]], units[drawn[:, 2]]])
    inverse = inverses(modulus)
    answers = (a * inverse[b] % modulus * inverse[c] if divides else a + b + c) % modulus
    formula = f"{FORMULAS[name]} mod {modulus}"
    exchange = ((1, 2),) if divides else ((0, 1, 2),)
    return Task(name, formula, operands.T.copy(), answers, modulus, (modulus,) * 3, modulus, exchange)


TASKS = {name: Maker(formula, partial(three, name)) for name, formula in FORMULAS.items()}
