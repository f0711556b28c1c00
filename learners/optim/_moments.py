"""Adam's rescaling of the gradient, and what rules with its two moments share."""

from dataclasses import dataclass
from typing import Any

import torch

from learners._hyperparameters import hyperparameter
from learners._kernels.products import settled
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like
from learners.optim._part import Descent


@dataclass(kw_only=True, eq=False, repr=False)
class OfMoments(Descent):
    """A rule with running means of the gradient and of its square.

    :param betas: β₁, β₂ in [0, 1).
    :param eps: ε > 0.
    """

    betas: tuple[float, float] = hyperparameter((0.9, 0.98), at_least=0, below=1, role="replica")
    eps: float = hyperparameter(1e-8, above=0, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Step size, decay where there is any, β₂."""
        return super().suggest(trial) | {"betas": (self.betas[0], trial.suggest_float("beta2", 0.9, 0.999))}

    def direction(self) -> Transformation:
        """Adam's rescaling of the gradient."""
        return scale_by_adam()


def scale_by_adam() -> Transformation:
    """Divide the running mean of the gradient by the root of the running mean of its square.

    Hyperparameters: ``beta1``, ``beta2``, ``eps``.
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
