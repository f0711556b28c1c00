"""GrokFast: amplify the slow part of the gradient."""

import torch
from torch import Tensor

from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like


def grokfast_ema() -> Transformation:
    """Add a multiple of the gradient's running mean to the gradient.

    μ ← α μ + (1 − α) g, with μ = g before the first step; u = g + λ μ. A constant gradient comes out (1 + λ) times as
    large from the first step on.

    Source: Lee et al. 2024, "Grokfast" (arXiv 2405.20233), algorithm 2. Hyperparameters: ``grokfast_alpha`` α,
    ``grokfast_lamb`` λ.
    """

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        updates, after = {}, {}
        for name, g in grads.items():
            first = per_replica(context.step, g) == 0
            before = torch.where(first, g, state[f"mu.{name}"])
            mean = torch.lerp(g, before, per_replica(context.hyper["grokfast_alpha"], g))
            updates[name] = g + per_replica(context.hyper["grokfast_lamb"], g) * mean
            after[f"mu.{name}"] = mean
        return updates, after

    return Transformation(lambda params: zeros_like(params, "mu."), update)


def grokfast_ma(window: int) -> Transformation:
    """Add a multiple of the mean of the last w gradients, once w have been seen.

    u = g + λ · (1/w) Σ gₜ over the last w gradients, this one included; u = g before. Unlike `grokfast_ema` it forgets
    a gradient completely after w steps, and stores the last w gradients (a ring buffer).

    Source: Lee et al. 2024, "Grokfast" (arXiv 2405.20233), algorithm 1. Hyperparameter: ``grokfast_lamb`` λ.

    :param window: w; it decides the shape of the state, and is therefore the same for all replicas.
    """

    def init(params: Gradients) -> State:
        ring = {f"ring.{name}": x.new_zeros((len(x), window, *x.shape[1:])) for name, x in params.items()}
        return ring | zeros_like(params, "sum.") | zeros_like(params, "lost.")

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        updates, after = {}, {}
        place = context.step % window
        for name, g in grads.items():
            ring = state[f"ring.{name}"]
            index = place.reshape(-1, *[1] * g.ndim).expand(-1, 1, *g.shape[1:])
            oldest = ring.gather(1, index).squeeze(1)
            after[f"ring.{name}"] = ring.scatter(1, index, g.unsqueeze(1))
            # Early gradients are large: their rounding errors would stay in a plain running sum.
            total, lost_in = two_sum(state[f"sum.{name}"], g)
            total, lost_out = two_sum(total, -oldest)
            lost = state[f"lost.{name}"] + (lost_in + lost_out)
            after[f"sum.{name}"], after[f"lost.{name}"] = total, lost
            full = per_replica(context.step + 1, g) >= window
            gain = per_replica(context.hyper["grokfast_lamb"], g) / window
            updates[name] = torch.where(full, g + gain * (total + lost), g)
        return updates, after

    return Transformation(init, update)


def two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a + b rounded, and what rounding lost, exactly (Knuth, TAOCP 4.2.2)."""
    total = a + b
    from_b = total - a
    return total, (a - (total - from_b)) + (b - from_b)
