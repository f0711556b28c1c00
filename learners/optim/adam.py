"""Adam, whose weight decay is part of the gradient."""

from dataclasses import dataclass
from typing import Any, ClassVar

from learners._hyperparameters import hyperparameter
from learners.optim._core import Transformation
from learners.optim._part import Descent
from learners.optim.adamw import scale_by_adam


@dataclass(kw_only=True, eq=False, repr=False)
class Adam(Descent):
    """The running mean of the gradient, divided by the root of the running mean of its square.

    g ← g + λ w; m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²; m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), t = 1, 2, …;
    w ← w − η m̂ / (√v̂ + ε).

    Decay is coupled: Adam rescales it as the gradient. `learners.optim.AdamW` has it apart.

    Source: Kingma and Ba 2014, "Adam: A Method for Stochastic Optimization" (arXiv 1412.6980).

    :param betas: β₁, β₂ in [0, 1).
    :param eps: ε > 0.
    """

    betas: tuple[float, float] = hyperparameter((0.9, 0.98), at_least=0, below=1, role="replica")
    eps: float = hyperparameter(1e-8, above=0, role="replica")
    weight_decay: float = 0.0
    decay: ClassVar[str] = "coupled"  # type: ignore[assignment, misc]

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Step size, decay where there is any, β₂."""
        return super().suggest(trial) | {"betas": (self.betas[0], trial.suggest_float("beta2", 0.9, 0.999))}

    def direction(self) -> Transformation:
        """Adam's rescaling of the gradient."""
        return scale_by_adam()
