"""Sparse parity: the sum modulo 2 of a few of many bits."""

import numpy as np

from bench.tasks._base import Maker, Task, sampled

FORMULA = "the parity of k of n bits"


def sparse_parity(bits: int = 20, relevant: int = 3, examples: int = 2000, sample: int = 0) -> Task:
    """Whether the sum of k of n bits is odd, for a sample of all 2ⁿ questions.

    Which bits are relevant is drawn with the sample. No two questions count as twins: exchanging two relevant bits
    leaves the answer, but a learner does not know which these are.

    Source: Barak et al. 2022, "Hidden progress in deep learning: SGD learns parities near the computational limit"
    (arXiv 2207.08799).

    :param bits: n, at most 62.
    :param relevant: k, at most n.
    :param examples: at most so many questions, drawn at random; 0 takes all.
    :param sample: the seed of the draw: it is part of the task.
    :raises ValueError: for a number that there is not.
    """
    if not 1 <= bits <= 62:
        raise ValueError(f"The number of bits must be in [1, 62], got {bits}.")
    if not 1 <= relevant <= bits:
        raise ValueError(f"The number of relevant bits must be in [1, {bits}], got {relevant}.")
    operands = sampled((2,) * bits, examples, sample)
    places = np.random.default_rng([sample, bits]).choice(bits, relevant, replace=False)
    answers = operands[:, places].sum(axis=1) % 2
    formula = f"parity of {relevant} of {bits} bits"
    return Task("sparse-parity", formula, operands, answers, 2, (2,) * bits, exchange=())


TASKS = {"sparse-parity": Maker(FORMULA, sparse_parity)}
