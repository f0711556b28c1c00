"""Adam's rescaling of the gradient."""

import torch

from learners._kernels.products import settled
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like


def adam() -> Transformation:
    """Divide the running mean of the gradient by the root of the running mean of its square.

    m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²; m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), t = 1, 2, …;
    u = m̂ / (√v̂ + ε).

    Source: Kingma & Ba 2014, "Adam" (arXiv 1412.6980). Hyperparameters: ``beta1``, ``beta2``, ``eps``.
    """

    def init(params: Gradients) -> State:
        return zeros_like(params, "m.") | zeros_like(params, "v.")

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        hyper, updates, after = context.hyper, {}, {}
        beta1, beta2 = hyper["beta1"], hyper["beta2"]
        t = (context.step + 1).to(beta1.dtype)
        correct1, correct2 = 1 - beta1**t, 1 - beta2**t
        # u = m / (√v · c₁/√c₂ + c₁ε): the same, in three passes over memory instead of six.
        gain, floor = settled(correct1 / correct2.sqrt(), correct1 * hyper["eps"])
        for name, g in grads.items():
            m = torch.lerp(g, state[f"m.{name}"], per_replica(beta1, g))
            v = torch.lerp(g * g, state[f"v.{name}"], per_replica(beta2, g))
            updates[name] = m / torch.addcmul(per_replica(floor, g), v.sqrt(), per_replica(gain, g))
            after[f"m.{name}"], after[f"v.{name}"] = m, v
        return updates, after

    return Transformation(init, update)
