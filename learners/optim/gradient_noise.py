"""Noise on gradients, drawn from a stateless hash of (seed, step, site, element)."""

from dataclasses import dataclass
from typing import Any

from learners._hyperparameters import hyperparameter
from learners._kernels.noise import key, normal
from learners._nets.modules import Network
from learners.optim._core import Context, Gradients, Transformation, per_replica, stateless
from learners.optim._part import Filter


@dataclass(kw_only=True, eq=False, repr=False)
class GradientNoise(Filter):
    """Independent Gaussian noise on every gradient: u = g + σ ε, ε ~ N(0, 1).

    NOTE: σ is constant; in the source it falls with the step.

    Source: Neelakantan et al. 2015, "Adding Gradient Noise Improves Learning for Very Deep Networks" (arXiv
    1511.06807).

    :param sigma: σ ≥ 0.
    """

    sigma: float = hyperparameter(0.01, at_least=0, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """The deviation."""
        return {"sigma": trial.suggest_float("sigma", 1e-4, 1.0, log=True)}

    def transformation(self, network: Network) -> Transformation:
        """For all parameters."""

        def update(grads: Gradients, context: Context) -> Gradients:
            sigma = context.hyper["sigma"]
            return {
                name: g
                + per_replica(sigma, g) * normal(key(context.seed, context.step, f"grad.{name}"), g.shape).to(g.dtype)
                for name, g in grads.items()
            }

        return stateless(update)
