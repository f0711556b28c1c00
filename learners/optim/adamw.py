"""Adam with decoupled weight decay."""

from dataclasses import dataclass
from typing import Literal

from learners.optim._moments import OfMoments


@dataclass(kw_only=True, eq=False, repr=False)
class AdamW(OfMoments):
    """Adam, with weight decay beside it, so that its strength does not depend on the size of the gradient.

    m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²; m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), t = 1, 2, …;
    u = m̂ / (√v̂ + ε); w ← w − η (u + λ w).

    Unlike in `learners.optim.Adam`, the decay is not divided by √v̂. The defaults are those of Power et al. 2022 (arXiv
    2201.02177) for grokking.

    Source: Loshchilov and Hutter 2017, "Decoupled Weight Decay Regularization" (arXiv 1711.05101).

    :param decay: "decoupled" or "to-init".
    """

    decay: Literal["decoupled", "to-init"] = "decoupled"
