"""A router over a bank of blocks: how much each block moves the state of each token."""

from typing import Literal

import torch
from torch import Generator, Tensor, nn

from learners._nets.modules import Linear

Routing = Literal["none", "soft", "top"]


def routing_weights(scores_NE: Tensor, top: bool) -> Tensor:
    """The weight of each of E blocks, (N, E), in float32 at least.

    wₑ = softmax(s)ₑ; with ``top`` that of the highest score, of equal ones the first, and 0 for all others.
    """
    exact = torch.promote_types(scores_NE.dtype, torch.float32)
    weights_NE = torch.softmax(scores_NE.to(exact), dim=-1)
    if top:
        blocks_E = torch.arange(scores_NE.shape[-1], device=scores_NE.device)
        weights_NE = weights_NE * (blocks_E == scores_NE.argmax(dim=-1, keepdim=True))
    return weights_NE.to(scores_NE.dtype)


class Router(nn.Module):
    """Weights of blocks from a linear map of the state, without bias."""

    def __init__(self, width: int, n_blocks: int, top: bool, gain: float) -> None:
        super().__init__()
        self.top = top
        self.scores = Linear(width, n_blocks, bias=False, gain=gain)

    def reset(self, generator: Generator) -> None:
        """Draw the map."""
        self.scores.reset(generator)

    def forward(self, x_ND: Tensor) -> Tensor:
        """States (N, D) → weights (N, E)."""
        return routing_weights(self.scores(x_ND), self.top)
