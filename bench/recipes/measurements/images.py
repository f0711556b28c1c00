"""GrokFast on images, in a small version: networks that start eight times too large learn scikit-learn's digits.

Liu et al. made a network grok on images by starting it from weights that are too large: it first fits the training
images, and generalizes much later, when weight decay has made the weights small. GrokFast was tested in this setting:
1,000 images of MNIST, batches of 200, squared loss on one-hot targets, AdamW. MNIST has to be downloaded, so that the
1,797 images of 8 × 8 pixels that scikit-learn comes with stand in: 1,000 train, 797 test, pixels in [0, 1].

The squared loss here is ½ Σ over classes, theirs the mean over classes: a constant factor, which changes neither AdamW
nor a filter that is linear.

Source: Liu et al. 2022, "Omnigrok: Grokking Beyond Algorithmic Data" (arXiv 2210.01117); Lee et al. 2024, "Grokfast"
(arXiv 2405.20233), section 4.2.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from bench.recipes.measurements._fleets import Observation, Rows, Together, at_least, crossing, looks, watch
from encoders import Codes
from learners import Problem, Setting, TorchMLP
from learners.fleet import FleetTraining
from learners.optim import AdamW, GrokFastEMA, Part

version = 1
UNITS = {"steps": "steps", "train_steps": "steps", "accuracy": "share"}
TARGET = 0.95
TRAIN = 1000
"""Images that train."""
BRIGHTEST = 16
"""The largest value of a pixel of `load_digits`."""


def network_of(
    seed: int, *, depth: int, width: int, weight_decay: float, ema: bool, alpha: float, lamb: float, lora_rank: int
) -> TorchMLP:
    """The network with its optimizer.

    :param depth: matrices, of which all but the last are followed by a ReLU.
    :param ema: whether gradients pass GrokFast's running mean, of α and λ.
    :param lora_rank: rank of the adapters of hidden matrices, which then stay as drawn; the last matrix is trained; 0
        trains all.
    """
    rule: Part = AdamW(lr=1e-3, betas=(0.9, 0.999), weight_decay=weight_decay, warmup=0)
    return TorchMLP(
        (width,) * (depth - 1),
        loss="squared",
        optimizer=[GrokFastEMA(alpha=alpha, lamb=lamb), rule] if ema else [rule],
        batch_size=200,
        lora_rank=lora_rank,
        random_state=seed,
    )


def begin(learners: Sequence[TorchMLP], problems: Sequence[Problem], scale: float, setting: Setting) -> FleetTraining:
    """A training whose first weights are so many times those that are usually drawn, biases and adapters included."""
    training = FleetTraining(learners, problems, setting)
    for group in training.groups:
        for weights in (*group.params.values(), *group.frozen.values()):
            weights.mul_(scale)
    return training


def split(seed: int, n: int) -> tuple[Rows, Rows]:
    """Rows that train, and the others."""
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[:TRAIN]), np.sort(order[TRAIN:])


def _observe(
    seeds: Sequence[int],
    *,
    device: str,
    quick: bool,
    steps: int,
    scale: float = 8.0,
    depth: int = 3,
    width: int = 200,
    weight_decay: float = 0.01,
    ema: bool = False,
    alpha: float = 0.8,
    lamb: float = 0.1,
    lora_rank: int = 0,
) -> list[Observation]:
    at_least(1, steps=steps, depth=depth, width=width)
    at_least(0, lora_rank=lora_rank)
    images, digits = load_digits(return_X_y=True)
    codes = Codes(images / BRIGHTEST, np.arange(len(images))[:, np.newaxis])
    splits = [split(seed, len(images)) for seed in seeds]
    own: dict[str, Any] = {"alpha": alpha, "lamb": lamb, "lora_rank": lora_rank, "ema": ema}
    learners = [network_of(seed, depth=depth, width=width, weight_decay=weight_decay, **own) for seed in seeds]
    problems = [Problem(codes, train, digits[train], int(digits.max()) + 1) for train, _ in splits]
    at = looks(steps)
    training = begin(learners, problems, scale, Setting(device, steps=steps, looks=len(at)))
    parts = {"train": [train for train, _ in splits], "test": [test for _, test in splits]}
    seen = watch(training, at, parts, [digits] * len(seeds))
    return [
        {
            **crossing("steps", at, seen["test"][:, r].tolist(), TARGET),
            **crossing("train_steps", at, seen["train"][:, r].tolist(), TARGET),
            "accuracy": float(seen["test"][-1, r]),
        }
        for r in range(len(seeds))
    ]


observe = Together(_observe)
"""Observes one seed of an arm: steps to 95 % of the test images and of the training images, and how it ends.

Steps are those of the first look at or above the target; looks lie at most 5 % apart.
"""
