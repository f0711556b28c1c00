"""GrokFast with a running mean: amplify the slow part of the gradient."""

from dataclasses import dataclass
from typing import Any

import torch

from learners._hyperparameters import hyperparameter
from learners._nets.modules import Network
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like
from learners.optim._part import Filter


@dataclass(kw_only=True, eq=False, repr=False)
class GrokFastEMA(Filter):
    """Adds a multiple of the gradient's running mean to the gradient.

    μ ← α μ + (1 − α) g, with μ = g before the first step; u = g + λ μ. A constant gradient comes out (1 + λ) times as
    large from the first step on.

    Source: Lee et al. 2024, "Grokfast: Accelerated Grokking by Amplifying Slow Gradients" (arXiv 2405.20233),
    algorithm 2.

    Published claim: 43.84 times fewer steps to 95 % on x · y mod 97 than Adam without decay (the same source).

    :param alpha: α in [0, 1).
    :param lamb: λ ≥ −1: 0 changes nothing, −1 takes the slow part away and leaves the fast one.
    """

    alpha: float = hyperparameter(0.98, at_least=0, below=1, role="replica")
    lamb: float = hyperparameter(2.0, at_least=-1, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Both."""
        alpha = trial.suggest_float("alpha", 0.8, 0.99)
        return {"alpha": alpha, "lamb": trial.suggest_float("lamb", 0.1, 10.0, log=True)}

    def transformation(self, network: Network) -> Transformation:
        """For all parameters."""

        def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
            updates, after = {}, {}
            for name, g in grads.items():
                first = per_replica(context.step, g) == 0
                before = torch.where(first, g, state[f"mu.{name}"])
                mean = torch.lerp(g, before, per_replica(context.hyper["alpha"], g))
                updates[name] = g + per_replica(context.hyper["lamb"], g) * mean
                after[f"mu.{name}"] = mean
            return updates, after

        return Transformation(lambda params: zeros_like(params, "mu."), update)
