"""Stochastic gradient descent with momentum."""

from dataclasses import dataclass
from typing import Any

from learners._hyperparameters import hyperparameter
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like
from learners.optim._part import Decay, Descent


def trace(nesterov: bool = False) -> Transformation:
    """Follow a decaying sum of gradients. Hyperparameter: ``momentum``."""

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        updates, after = {}, {}
        for name, g in grads.items():
            mu = per_replica(context.hyper["momentum"], g)
            b = mu * state[f"b.{name}"] + g
            updates[name] = g + mu * b if nesterov else b
            after[f"b.{name}"] = b
        return updates, after

    return Transformation(lambda params: zeros_like(params, "b."), update)


@dataclass(kw_only=True, eq=False, repr=False)
class SGD(Descent):
    """Descent along a decaying sum of gradients.

    g ← g + λ w; b ← μ b + g; w ← w − η b, or w ← w − η (g + μ b) with Nesterov's look ahead. Unlike the running mean
    in Adam the sum is not divided by anything: a constant gradient grows to g / (1 − μ).

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", in the form of
    PyTorch's SGD.

    :param momentum: μ in [0, 1).
    :param nesterov: Nesterov's momentum.
    """

    lr: float = 0.1
    weight_decay: float = 0.0
    decay: Decay = "coupled"
    momentum: float = hyperparameter(0.95, at_least=0, below=1, role="replica")
    nesterov: bool = False

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Step size, decay where there is any, momentum."""
        return super().suggest(trial) | {"momentum": trial.suggest_float("momentum", 0.8, 0.99)}

    def direction(self) -> Transformation:
        """Momentum."""
        return trace(self.nesterov)
