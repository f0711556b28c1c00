"""Lion: steps of one size along the sign of a momentum."""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from learners._hyperparameters import hyperparameter
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like
from learners.optim._part import Descent


@dataclass(kw_only=True, eq=False, repr=False)
class Lion(Descent):
    """Moves every weight by the same amount, in the direction of a mix of its momentum and its gradient.

    u = sign(β₁ m + (1 − β₁) g); m ← β₂ m + (1 − β₂) g; w ← w − η (u + λ w).

    Unlike in `learners.optim.SignSGD` the momentum that is kept forgets more slowly than the one that is followed.

    NOTE: the source proposes β₂ = 0.99, and a tenth to a third of AdamW's η with as much more λ. Here η = 0.001 and
    β₂ = 0.97 are those of the claim below, which is without decay, and λ is that of `learners.optim.AdamW`.

    Source: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms" (arXiv 2302.06675).

    Published claim: with `learners.optim.RowClip` 95 % after 535 (·), 570 (+), 730 (/) and 775 (−) steps mod 97, at
    50 % of ordered pairs, medians of 100 seeds; AdamW with decay 0.01 takes 35,040 on x · y (cliptogrok).

    :param betas: β₁ of the direction and β₂ of the momentum, in [0, 1).
    :param decay: "decoupled" or "to-init".
    """

    lr: float = 1e-3
    weight_decay: float = 1.0
    decay: Literal["decoupled", "to-init"] = "decoupled"
    betas: tuple[float, float] = hyperparameter((0.9, 0.97), at_least=0, below=1, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Step size, decay, β₂."""
        return super().suggest(trial) | {"betas": (self.betas[0], trial.suggest_float("beta2", 0.9, 0.999))}

    def direction(self) -> Transformation:
        """The sign of the mix."""

        def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
            beta1, beta2 = context.hyper["beta1"], context.hyper["beta2"]
            updates, after = {}, {}
            for name, g in grads.items():
                m = state[f"m.{name}"]
                updates[name] = torch.lerp(g, m, per_replica(beta1, g)).sign()
                after[f"m.{name}"] = torch.lerp(g, m, per_replica(beta2, g))
            return updates, after

        return Transformation(lambda params: zeros_like(params, "m."), update)
