"""OrthoGrad: no step along the weights."""

from dataclasses import dataclass

from learners._nets.modules import Network
from learners.optim._core import Context, Gradients, Transformation, stateless
from learners.optim._part import Filter

TINY = 1e-30


@dataclass(kw_only=True, eq=False, repr=False)
class OrthoGrad(Filter):
    """Removes from each gradient its part along its weights, and restores its length.

    g⊥ = g − (⟨w, g⟩ / ⟨w, w⟩) w; u = g⊥ · ‖g‖ / ‖g⊥‖, norms over one replica's whole tensor. The removed part
    only scales the logits once the training data are memorised.

    Source: Prieto et al. 2025, "Grokking at the Edge of Numerical Stability" (arXiv 2501.04697), ⊥Grad.

    Published claim: generalization without weight decay, where AdamW without decay memorises for long (the same
    source).
    """

    def transformation(self, network: Network) -> Transformation:
        """For all parameters."""

        def update(grads: Gradients, context: Context) -> Gradients:
            updates = {}
            for name, g in grads.items():
                w, flat = context.params[name].flatten(1), g.flatten(1)
                along = (w * flat).sum(1, keepdim=True) / (w * w).sum(1, keepdim=True).clamp_min(TINY)
                across = flat - along * w
                length = flat.norm(dim=1, keepdim=True) / across.norm(dim=1, keepdim=True).clamp_min(TINY)
                updates[name] = (across * length).reshape(g.shape)
            return updates

        return stateless(update)
