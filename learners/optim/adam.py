"""Adam, whose weight decay is part of the gradient."""

from dataclasses import dataclass
from typing import ClassVar

from learners.optim._moments import OfMoments


@dataclass(kw_only=True, eq=False, repr=False)
class Adam(OfMoments):
    """The running mean of the gradient, divided by the root of the running mean of its square.

    g ← g + λ w; m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²; m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), t = 1, 2, …;
    w ← w − η m̂ / (√v̂ + ε).

    Decay is coupled: Adam rescales it as the gradient. `learners.optim.AdamW` has it apart.

    Source: Kingma and Ba 2014, "Adam: A Method for Stochastic Optimization" (arXiv 1412.6980).
    """

    weight_decay: float = 0.0
    decay: ClassVar[str] = "coupled"  # type: ignore[assignment, misc]
