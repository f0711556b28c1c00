"""Noise on weights, drawn from a stateless hash of (seed, step, site, element)."""

from dataclasses import dataclass, replace
from typing import Any

from learners._hyperparameters import hyperparameter
from learners._kernels.noise import key, normal
from learners._nets.modules import Network
from learners.optim._core import IDENTITY, Context, Gradients, State, Transformation, per_replica
from learners.optim._part import Filter


@dataclass(kw_only=True, eq=False, repr=False)
class WeightNoise(Filter):
    """Takes the gradient at weights with independent Gaussian noise: g = ∇L(w + σ ε), ε ~ N(0, 1).

    The noise is new in every step; the weights themselves stay without.

    Source: Power et al. 2022, "Grokking: Generalization Beyond Overfitting on Small Algorithmic Datasets" (arXiv
    2201.02177), section 3.3.

    :param sigma: σ ≥ 0.
    """

    sigma: float = hyperparameter(0.01, at_least=0, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """The deviation."""
        return {"sigma": trial.suggest_float("sigma", 1e-4, 1.0, log=True)}

    def transformation(self, network: Network) -> Transformation:
        """For all parameters."""

        def seen(params: Gradients, state: State, context: Context) -> Gradients:
            sigma = context.hyper["sigma"]
            return {
                name: w + per_replica(sigma, w) * normal(key(context.seed, context.step, name), w.shape).to(w.dtype)
                for name, w in params.items()
            }

        return replace(IDENTITY, seen=seen)
