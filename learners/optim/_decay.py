"""Weight decay as a transformation, in front of a rule or behind it."""

from collections.abc import Callable

import torch
from torch import Tensor

from learners.optim._core import Context, Gradients, State, Transformation, per_replica


def decay_coupled() -> Transformation:
    """u = g + λ w: L2 in the gradient, before the rule rescales it. Adam then divides it by √v̂ as well.

    Unlike `decay_decoupled` it belongs in front of the rule. Hyperparameter: ``weight_decay``.
    """
    return _toward(lambda w, anchor: w, remember=False)


def decay_decoupled() -> Transformation:
    """u = g + λ w: placed behind the rule's direction and scaled by the learning rate alone, as in AdamW.

    The same formula as `decay_coupled`, in another place. Source: Loshchilov & Hutter 2017 (arXiv 1711.05101).
    Hyperparameter: ``weight_decay``.
    """
    return _toward(lambda w, anchor: w, remember=False)


def decay_to_init() -> Transformation:
    """u = g + λ (w − w₀), behind the rule's direction: weights decay towards their first values instead of zero.

    Source: Power et al. 2022 (arXiv 2201.02177), section 3.3. Hyperparameter: ``weight_decay``.
    """
    return _toward(lambda w, anchor: w - anchor, remember=True)


def _toward(pull: Callable[[Tensor, Tensor], Tensor], remember: bool) -> Transformation:
    def init(params: Gradients) -> State:
        return {f"w0.{name}": x.clone() for name, x in params.items()} if remember else {}

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        updates = {}
        for name, g in grads.items():
            w = context.params[name]
            pulled = pull(w, state.get(f"w0.{name}", w))
            updates[name] = torch.addcmul(g, per_replica(context.hyper["weight_decay"], g), pulled)
        return updates, state

    return Transformation(init, update)
