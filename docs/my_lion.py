"""Lion: the sign of an interpolated momentum."""

from dataclasses import dataclass

import torch

from learners.optim import Context, Descent, Gradients, State, Transformation, hyperparameter, per_replica, zeros_like


@dataclass(kw_only=True, eq=False, repr=False)
class MyLion(Descent):
    """Follows the sign of a mix of momentum and gradient, and lets the momentum follow more slowly.

    u = sign(β₁ m + (1 − β₁) g); m ← β₂ m + (1 − β₂) g; w ← w − η (u + λ w).

    Source: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms" (arXiv 2302.06675).

    :param betas: β₁, β₂ in [0, 1).
    """

    lr: float = 3e-4
    betas: tuple[float, float] = hyperparameter((0.9, 0.99), at_least=0, below=1, role="replica")

    def direction(self) -> Transformation:
        """The sign."""

        def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
            beta1, beta2 = context.hyper["beta1"], context.hyper["beta2"]
            mixed = {name: torch.lerp(g, state[name], per_replica(beta1, g)) for name, g in grads.items()}
            means = {name: torch.lerp(g, state[name], per_replica(beta2, g)) for name, g in grads.items()}
            return {name: x.sign() for name, x in mixed.items()}, means

        return Transformation(lambda params: zeros_like(params, ""), update)
