"""AdamW without a schedule: the weights are a mean of those that the steps go through."""

from dataclasses import dataclass
from typing import Any

import torch

from learners._hyperparameters import hyperparameter
from learners._nets.modules import Network
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like
from learners.optim._part import Rule, suggest_around


@dataclass(kw_only=True, eq=False, repr=False)
class ScheduleFreeAdamW(Rule):
    """Takes AdamW's steps with one sequence z, evaluates its running mean x, and takes gradients between the two.

    y = (1 − β₁) z + β₁ x, g = ∇L(y); v ← β₂ v + (1 − β₂) g²; γₜ = η √(1 − β₂ᵗ) min(1, t / w), t = 1, 2, …;
    z ← z − γₜ (g / (√v + ε) + λ y); cₜ = γₜ² / Σ γᵢ² over i ≤ t; x ← (1 − cₜ) x + cₜ z. The weights are x, and z = x at
    the start.

    The mean takes the place of a schedule that falls to zero, without knowing when training ends.

    NOTE: a filter in front changes g, and sees x where it uses weights, as `learners.optim.OrthoGrad` and
    `learners.optim.DelayedCompression` do, though g is taken at y. A constraint behind bounds x and leaves z free.

    NOTE: β₂ = 0.98 and strong decay are for grokking, as in `learners.optim.AdamW`; the source has β₂ = 0.999.

    Source: Defazio et al. 2024, "The Road Less Scheduled" (arXiv 2405.15682), algorithm 1.

    :param lr: step size η > 0 of z. The source finds larger ones best than with a schedule.
    :param weight_decay: λ ≥ 0, at y.
    :param warmup: w, steps of linear warm-up.
    :param betas: β₁ between z and x, β₂ of the squares, in [0, 1).
    :param eps: ε > 0.
    """

    lr: float = hyperparameter(3e-3, above=0, role="replica")
    weight_decay: float = hyperparameter(1.0, at_least=0, role="replica")
    warmup: int = hyperparameter(10, at_least=0, role="replica")
    betas: tuple[float, float] = hyperparameter((0.9, 0.98), at_least=0, below=1, role="replica")
    eps: float = hyperparameter(1e-8, above=0, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Step size, decay where there is any, β₂."""
        return suggest_around(self, trial) | {"betas": (self.betas[0], trial.suggest_float("beta2", 0.9, 0.999))}

    def transformation(self, network: Network) -> Transformation:
        """The same for all parameters."""
        return Transformation(_init, _update, _seen)


def _init(params: Gradients) -> State:
    state = {f"z.{name}": x.clone() for name, x in params.items()} | zeros_like(params, "v.")
    for x in list(params.values())[:1]:
        state["weight"] = x.new_zeros(len(x))
    return state


def _seen(params: Gradients, state: State, context: Context) -> Gradients:
    """Where the gradient is taken, from parameters to which a filter may have added something."""
    return {name: w + _ahead(name, state, context) for name, w in params.items()}


def _ahead(name: str, state: State, context: Context) -> torch.Tensor:
    """y − x."""
    x = context.params[name]
    return (1 - per_replica(context.hyper["beta1"], x)) * (state[f"z.{name}"] - x)


def _update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
    if not grads:
        return {}, state
    hyper = context.hyper
    t = (context.step + 1).to(hyper["lr"].dtype)
    size = hyper["lr"] * (1 - hyper["beta2"] ** t).sqrt() * torch.clamp(t / hyper["warmup"].clamp_min(1), max=1)
    total = state["weight"] + size**2
    share, updates, after = size**2 / total, {}, {"weight": total}
    for name, g in grads.items():
        x, beta2, eps, decay = (
            context.params[name],
            *(per_replica(hyper[k], g) for k in ("beta2", "eps", "weight_decay")),
        )
        v = torch.lerp(g * g, state[f"v.{name}"], beta2)
        direction = g / (v.sqrt() + eps) + decay * (x + _ahead(name, state, context))
        z = state[f"z.{name}"] - per_replica(size, g) * direction
        updates[name] = per_replica(share, g) * (z - x)
        after |= {f"z.{name}": z, f"v.{name}": v}
    return updates, after
