"""Label noise: a share of the training answers is replaced by wrong ones.

Which answers, and by which, follows from the seed of the split: it is a property of the training set, as the split is.
A fixed ``split_seed`` fixes both.
"""

import numpy as np
from numpy.typing import NDArray

from bench.tasks import Integers


def noisy_answers(answers_N: NDArray[np.integer], n_classes: int, share: float, rng: np.random.Generator) -> Integers:
    """The answers with a share of them wrong.

    y'_n = (y_n + δ_n) mod C for the rows n of a random set of round(share · N), δ_n uniform in 1 … C − 1.

    All wrong classes are equally likely. The draws do not depend on the share: a larger one keeps the wrong answers of
    a smaller one and adds others. Rows are drawn one by one: where both of two twins are in training, one of them may
    become wrong or both, and then with different answers.

    Source: Zhang et al. 2016, "Understanding deep learning requires rethinking generalization" (arXiv 1611.03530); on
    modular addition Doshi et al. 2023, "To grok or not to grok" (arXiv 2310.13061).

    NOTE: Zhang et al. replace each answer with a probability, by any class, the right one included. Here the number of
    wrong answers is exact.

    :param answers_N: the right answers, in 0 … C − 1.
    :param n_classes: C.
    :param share: in [0, 1). One that rounds to no row changes nothing.
    :raises ValueError: where there is no wrong answer, since C is 1.

    >>> noisy_answers(np.zeros(8, np.int64), 2, 0.25, np.random.default_rng(0)).sum()
    np.int64(2)
    """
    if n_classes < 2:
        raise ValueError(f"`label_noise` needs a task of two answers or more, got {n_classes}.")
    order, shifts_N = rng.permutation(len(answers_N)), rng.integers(1, n_classes, len(answers_N))
    wrong = order[: round(share * len(answers_N))]
    noisy_N = np.array(answers_N, np.int64)
    noisy_N[wrong] = (noisy_N[wrong] + shifts_N[wrong]) % n_classes
    return noisy_N
