"""Prodigy: Adam that finds its step size."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from learners._hyperparameters import hyperparameter
from learners._nets.modules import Network
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like
from learners.optim._part import Rule, suggest_around

TINY = 1e-30


@dataclass(kw_only=True, eq=False, repr=False)
class Prodigy(Rule):
    """Adam whose step size is an estimate d of the distance from the first weights to the solution.

    r ← √β₂ r + (1 − √β₂) η d² ⟨g, w₀ − w⟩, s ← √β₂ s + (1 − √β₂) η d² g; m ← β₁ m + (1 − β₁) d g,
    v ← β₂ v + (1 − β₂) d² g²; w ← w − η d (m / (√v + d ε) + λ w); d ← max(d, r / ‖s‖₁). Inner product and norm are over
    all parameters of a replica; d = d₀ before the first step.

    The estimate only grows: gradients that go on pointing the same way raise it until steps are as long as the way.

    NOTE: decay is decoupled and scaled by d, as in the authors' program. There is no schedule; theirs is a cosine.
    The source has β₂ = 0.999 and no decay of its own. With β₂ = 0.999 and λ = 1 the estimate goes on growing after the
    solution is found, and training accuracy falls again (a + b mod 31, 800 steps).

    Source: Mishchenko and Defazio 2023, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner" (arXiv 2306.06101),
    algorithm 4.

    :param lr: factor η > 0 of the step size found; 1 in the source.
    :param weight_decay: λ ≥ 0.
    :param betas: β₁, β₂ in [0, 1).
    :param eps: ε > 0.
    :param first: d₀ > 0, the first estimate.
    """

    lr: float = hyperparameter(1.0, above=0, role="replica")
    weight_decay: float = hyperparameter(1.0, at_least=0, role="replica")
    betas: tuple[float, float] = hyperparameter((0.9, 0.99), at_least=0, below=1, role="replica")
    eps: float = hyperparameter(1e-8, above=0, role="replica")
    first: float = hyperparameter(1e-6, above=0, role="replica")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """The factor, decay where there is any, β₂."""
        beta2 = trial.suggest_float("beta2", 0.9, 0.9999)
        return suggest_around(self, trial, factor=4) | {"betas": (self.betas[0], beta2)}

    def transformation(self, network: Network) -> Transformation:
        """The same for all parameters."""
        return Transformation(_init, _update)


def _init(params: Gradients) -> State:
    state = {f"w0.{name}": x.clone() for name, x in params.items()}
    for kind in ("m", "v", "s"):
        state |= zeros_like(params, f"{kind}.")
    for x in list(params.values())[:1]:
        state |= {"d": x.new_zeros(len(x)), "r": x.new_zeros(len(x))}
    return state


def _update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
    if not grads:
        return {}, state
    hyper = context.hyper
    d = torch.maximum(state["d"], hyper["first"])
    slow, size = hyper["beta2"].sqrt(), hyper["lr"] * d
    updates, gained, length = {}, [], []
    after: State = {}
    for name, g in grads.items():
        w, beta1, beta2 = context.params[name], per_replica(hyper["beta1"], g), per_replica(hyper["beta2"], g)
        scaled = per_replica(d, g) * g
        m = torch.lerp(scaled, state[f"m.{name}"], beta1)
        v = torch.lerp(scaled * scaled, state[f"v.{name}"], beta2)
        s = torch.lerp(per_replica(size, g) * scaled, state[f"s.{name}"], per_replica(slow, g))
        direction = m / (v.sqrt() + per_replica(d * hyper["eps"], g)) + per_replica(hyper["weight_decay"], g) * w
        updates[name] = -per_replica(size, g) * direction
        after |= {f"w0.{name}": state[f"w0.{name}"], f"m.{name}": m, f"v.{name}": v, f"s.{name}": s}
        gained.append(_sum(g * (state[f"w0.{name}"] - w)))
        length.append(_sum(s.abs()))
    r = torch.lerp(size * d * _total(gained), state["r"], slow)
    return updates, after | {"r": r, "d": torch.maximum(d, r / _total(length).clamp_min(TINY))}


def _sum(x: Tensor) -> Tensor:
    """Over all but the replicas."""
    return x.flatten(1).sum(1)


def _total(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum(0)
