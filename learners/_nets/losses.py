"""Losses of one example each, from scores (…, C) and classes (…)."""

from collections.abc import Callable
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Literal["cross-entropy", "squared", "stablemax"]


def cross_entropy(scores: Tensor, y: Tensor) -> Tensor:
    """−log softmax(s)_y, (…)."""
    return F.cross_entropy(scores.flatten(0, -2), y.flatten(), reduction="none").reshape(y.shape)


def squared(scores: Tensor, y: Tensor) -> Tensor:
    """½ Σ_c (s_c − [c = y])², (…): a sum over classes, so that its gradient does not shrink with their number."""
    target = torch.arange(scores.shape[-1], device=y.device) == y.unsqueeze(-1)
    return 0.5 * ((scores - target.to(scores.dtype)) ** 2).sum(-1)


def stablemax(scores: Tensor, y: Tensor) -> Tensor:
    """−log(s(x_y) / Σ_c s(x_c)), s(x) = x + 1 for x ≥ 0, 1 / (1 − x) below: no exponential that could overflow.

    Source: Prieto et al. 2025, "Grokking at the Edge of Numerical Stability" (arXiv 2501.04697).
    """
    # Each branch sees only its own side: 1 / (1 − x) of x = 1 would poison the gradient through `where`.
    positive, negative = scores.clamp_min(0), scores.clamp_max(0)
    s = torch.where(scores >= 0, positive + 1, 1 / (1 - negative))
    return torch.log(s.sum(-1)) - torch.log(s.gather(-1, y.unsqueeze(-1)).squeeze(-1))


LOSSES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "cross-entropy": cross_entropy,
    "squared": squared,
    "stablemax": stablemax,
}
