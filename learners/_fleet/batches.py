"""Which training rows a replica sees in which step: a function of its seed and the step alone."""

import numpy as np
from numpy.typing import NDArray


def batch_rows(seed: int, n: int, batch: int, step: int, count: int) -> NDArray[np.int64]:
    """Rows of the batches of steps ``step`` … ``step + count − 1``, (count, batch), integers in [0, n).

    A stream of permutations of all n rows, one an epoch, each drawn from (seed, epoch), cut into batches of constant
    size: a batch may end one epoch and begin the next. A full batch is all rows in order.
    """
    if batch >= n:
        return np.broadcast_to(np.arange(n), (count, n)).copy()
    start, stop = step * batch, (step + count) * batch
    epochs = range(start // n, -(-stop // n))
    stream = np.concatenate([np.random.default_rng([seed, epoch]).permutation(n) for epoch in epochs])
    offset = start - epochs[0] * n
    return stream[offset : offset + stop - start].reshape(count, batch)
