"""Steps of one size along the sign of the gradient, or of its running mean."""

from dataclasses import dataclass
from typing import Any

import torch

from learners._hyperparameters import hyperparameter
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like
from learners.optim._part import Descent


@dataclass(kw_only=True, eq=False, repr=False)
class SignSGD(Descent):
    """Moves every weight by the same amount, in the direction of the running mean of its gradient.

    m ← μ m + (1 − μ) g; u = sign(m); w ← w − η (u + λ w). With μ = 0 it is the source's SignSGD, with momentum its
    Signum. Coupled decay is in the gradient, so that it decides signs only.

    Source: Bernstein et al. 2018, "signSGD: Compressed Optimisation for Non-Convex Problems" (arXiv 1802.04434).

    Published claim: with `learners.optim.RowClip` 95 % of x · y mod 97 after a median of 1,140 steps, without
    decay (cliptogrok).

    :param momentum: μ in [0, 1).
    """

    lr: float = 1e-3
    weight_decay: float = 1.0
    momentum: float = hyperparameter(0.9, at_least=0, below=1, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Step size, decay, momentum."""
        return super().suggest(trial) | {"momentum": trial.suggest_float("momentum", 0.0, 0.99)}

    def direction(self) -> Transformation:
        """The sign of the running mean."""

        def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
            mu, after = context.hyper["momentum"], {}
            for name, g in grads.items():
                after[f"m.{name}"] = torch.lerp(g, state[f"m.{name}"], per_replica(mu, g))
            return {name: after[f"m.{name}"].sign() for name in grads}, after

        return Transformation(lambda params: zeros_like(params, "m."), update)
