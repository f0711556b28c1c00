"""Gradients of one length in every step."""

from dataclasses import dataclass
from typing import Any

import torch

from learners._hyperparameters import hyperparameter
from learners._nets.modules import Network
from learners.optim._core import Context, Gradients, Transformation, per_replica, stateless
from learners.optim._part import Filter

TINY = 1e-30


@dataclass(kw_only=True, eq=False, repr=False)
class GradientNormalization(Filter):
    """Gives the gradient of all parameters of a replica together one length in every step.

    u = c g / ‖g‖, the norm over all parameters. As the loss falls the gradient keeps its size, which matters to rules
    that remember sizes: Adam's v is then a mean of shares, in which late steps count as much as early ones.

    Source: Zhou et al. 2025, "NeuralGrok: Accelerate Grokking by Neural Gradient Transformation" (arXiv 2504.17243),
    with all learned weights p = 1, which leaves c p ⊙ g / ‖p ⊙ g‖ = c g / ‖g‖.

    Published claim: NeuralGrok's gain is mostly this normalization (documentation of SuperGrok 1.5, an ablation).

    :param norm: the length c > 0.
    """

    norm: float = hyperparameter(1.0, above=0, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """The length. Only rules that are not indifferent to it have a use for the search."""
        return {"norm": trial.suggest_float("norm", 0.1, 10.0, log=True)}

    def transformation(self, network: Network) -> Transformation:
        """For all parameters together."""

        def update(grads: Gradients, context: Context) -> Gradients:
            norms = torch.stack([g.flatten(1).norm(dim=1) for g in grads.values()])
            gain = context.hyper["norm"] / norms.norm(dim=0).clamp_min(TINY)
            return {name: per_replica(gain, g) * g for name, g in grads.items()}

        return stateless(update)
