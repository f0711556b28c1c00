"""From a direction to a step: the learning rate and its schedule."""

import math
from typing import Literal

import torch
from torch import Tensor

from learners._kernels.products import settled
from learners.optim._core import Context, Gradients, Hyper, Transformation, per_replica, stateless


def rate(hyper: Hyper, step: Tensor, schedule: Literal["constant", "cosine"]) -> Tensor:
    """The learning rate of the step after ``step`` updates, (R,).

    η · min(1, (t + 1) / w) for w warm-up steps; with "cosine" times ½ (1 + cos(π min(1, t / T))), T = ``decay_steps``.
    """
    t = step.to(hyper["lr"].dtype)
    warm = torch.clamp((t + 1) / hyper["warmup"].clamp_min(1), max=1)
    if schedule == "constant":
        return hyper["lr"] * warm
    done = torch.clamp(t / hyper["decay_steps"].clamp_min(1), max=1)
    return hyper["lr"] * warm * 0.5 * (1 + torch.cos(math.pi * done))


def scale_by_rate(schedule: Literal["constant", "cosine"] = "constant") -> Transformation:
    """u = −η(t) g: the last link of a rule. Hyperparameters: ``lr``, ``warmup``, ``decay_steps``."""

    def update(grads: Gradients, context: Context) -> Gradients:
        [eta] = settled(rate(context.hyper, context.step, schedule))
        return {key: -per_replica(eta, g) * g for key, g in grads.items()}

    return stateless(update)
