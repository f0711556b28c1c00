"""The forum thread's own split of a + b mod 97: the distinct pairs in order, shuffled by ``random.seed(0)``, halved.

The ordinary runs of the recipe forum-encoders draw splits of their own; this is the one that the thread's figures are
of. Its clocks and the net's weights are drawn anew for each seed: the thread does not say how it drew them.
"""

import random
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.recipes.measurements._fleets import Observation, device_words
from encoders import Cycle, PairEncoder
from learners import MLP

version = 1
UNITS = {"accuracy": "share", "train_accuracy": "share"}
QUICK: dict[str, Any] = {"hidden_layer_sizes": (32,), "epochs": 2}


def thread_split(modulus: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs a < b that train, and the others, (n, 2) each.

    >>> [len(part) for part in thread_split(97)]
    [2328, 2328]
    """
    pairs = [(a, b) for a in range(modulus) for b in range(a + 1, modulus)]
    random.Random(0).shuffle(pairs)  # the same order as random.seed(0) and random.shuffle
    half = len(pairs) // 2
    return np.array(pairs[:half]), np.array(pairs[half:])


def observe(*, seed: int, device: str, quick: bool, sdr: int, modulus: int = 97) -> Observation:
    """Fit the thread's regressor on codes of the K nearest of 400 clocks, whose periods are drawn from U(2, 10)."""
    started = time.perf_counter()
    train, test = thread_split(modulus)
    encoder = PairEncoder(Cycle(period=(2.0, 10.0), random_state=seed), combine="sum", sdr=sdr).fit(
        np.vstack([train, test])
    )
    learner = MLP(random_state=seed, **(QUICK if quick else {}))
    answers = [part.sum(axis=1) % modulus for part in (train, test)]
    learner.fit(encoder.transform(train), answers[0], classes=range(modulus))
    scores = [learner.score(encoder.transform(p), y) for p, y in zip((train, test), answers, strict=True)]
    return {
        "train_accuracy": scores[0],
        "accuracy": scores[1],
        "seconds": time.perf_counter() - started,
        "device": device_words("cpu"),
    }
