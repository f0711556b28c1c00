"""The parts of an optimizer: a filter, the rule, or a constraint, each a configuration that makes a transformation."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from encoders._check import require
from encoders._typed_bases import BaseEstimator
from learners._hyperparameters import check_fields, hyperparameter, with_role
from learners._nets.modules import Network
from learners.optim._core import Transformation, chain
from learners.optim._decay import decay_coupled, decay_decoupled, decay_to_init
from learners.optim._schedule import scale_by_rate

Kind = Literal["filter", "rule", "constraint"]
"""Where a part stands in a chain: filters in front of the one rule, constraints after it."""

Decay = Literal["decoupled", "coupled", "to-init"]


class Part(BaseEstimator, ABC):
    """One part of an optimizer, a dataclass: the constructor is the configuration, and only assigns.

    A field declared by ``hyperparameter(…, role="replica")`` is a number that may differ between the replicas of a
    fleet, and reaches the transformation as ``context.hyper["NAME"]``, a tensor (R,); a tuple of numbers ``betas`` is
    ``beta1``, ``beta2``. All other fields are part of the program, and equal for all replicas.

    :cvar kind: where it stands in a chain.
    :cvar version: raised whenever results change: it is part of the identity of every result.
    :cvar later_parameters: constructor arguments that came after records had been made: at its default one is no part
        of a result's identity, so that these records stay valid.
    :cvar example: constructor arguments of an instance for the contract tests.
    """

    kind: ClassVar[Kind]
    version: ClassVar[int] = 1
    later_parameters: ClassVar[frozenset[str]] = frozenset()
    example: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def transformation(self, network: Network) -> Transformation:
        """What it does to the stacked gradients, or updates, of a network of this kind."""

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Draw constructor arguments from a search space around this configuration, by an Optuna trial's methods."""
        return {}

    def check(self) -> None:
        """Raise ValueError where a parameter breaks its rule."""
        check_fields(self)
        for part in self.inner().values():
            part.check()

    def fault(self, learner: Any) -> str:
        """Why it cannot act on this learner, as a sentence; "" where it can."""
        return ""

    def inner(self) -> "dict[str, Part]":
        """The parts inside this one, by the name of their parameter; most have none."""
        return {}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments, and where deep those of inner parts as ``rest__lr``."""
        found: dict[str, Any] = super().get_params(deep=False)
        for name, part in self.inner().items() if deep else ():
            found |= {f"{name}__{key}": value for key, value in part.get_params().items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments, those of inner parts as ``rest__lr``."""
        for name, part in self.inner().items():
            if any(key.startswith(f"{name}__") for key in params) and name not in params:
                setattr(self, name, part)  # instead of None, which stands for the usual one
        super().set_params(**params)
        return self

    def hyper(self) -> dict[str, float]:
        """Its numbers by the names that its transformation uses; those of an inner part begin with its name."""
        found: dict[str, float] = {}
        for name in with_role(type(self), "replica"):
            value = getattr(self, name)
            several = value if isinstance(value, tuple | list | np.ndarray) else None
            named = {name: value} if several is None else {f"{name[:-1]}{i + 1}": x for i, x in enumerate(several)}
            found |= {key: float(number or 0) for key, number in named.items()}
        for name, part in self.inner().items():
            found |= {f"{name}.{key}": number for key, number in part.hyper().items()}
        return found

    def structure(self) -> tuple[Any, ...]:
        """What must be equal for replicas to train in one fleet."""
        fixed = tuple((name, repr(getattr(self, name))) for name in with_role(type(self), "structure"))
        return (type(self), fixed, tuple((name, part.structure()) for name, part in self.inner().items()))


class Filter(Part):
    """A part in front of the rule: gradients in, gradients out. It may also say where the gradient is taken."""

    kind = "filter"


class Rule(Part):
    """The part that turns gradients into updates, which are added to the parameters. A chain has one."""

    kind = "rule"


class Constraint(Part):
    """A part behind the rule: updates in, updates out. The parameters after the step are ``params + updates``."""

    kind = "constraint"


def suggest_around(rule: Any, trial: Any, factor: float = 10.0) -> dict[str, Any]:
    """Draw the step size within a factor of the rule's own, and decay, if there is any, from 1/100 to 10 times."""
    drawn = {"lr": trial.suggest_float("lr", rule.lr / factor, rule.lr * factor, log=True)}
    if rule.weight_decay:
        low, high = rule.weight_decay / 100, rule.weight_decay * 10
        drawn["weight_decay"] = trial.suggest_float("weight_decay", low, high, log=True)
    return drawn


@dataclass(kw_only=True, eq=False, repr=False)
class Descent(Rule):
    """A rule that follows a direction: w ← w − η(t) (u + λ w).

    A subclass gives the direction u of a gradient. The step size, its warm-up and schedule, and weight decay are here:

    - "decoupled": λ w beside the direction, scaled by η alone (Loshchilov and Hutter 2017, arXiv 1711.05101);
    - "coupled": λ w in the gradient, which the rule rescales with it;
    - "to-init": λ (w − w₀) beside the direction, towards the first weights (Power et al. 2022, arXiv 2201.02177).

    :param lr: step size η > 0.
    :param weight_decay: λ ≥ 0.
    :param decay: "decoupled", "coupled" or "to-init".
    :param warmup: steps of linear warm-up of η.
    :param schedule: "constant" or "cosine".
    :param decay_steps: steps until the cosine reaches zero; needed with it, since a budget may be extended.
    """

    lr: float = hyperparameter(1e-3, above=0, role="replica")
    weight_decay: float = hyperparameter(1.0, at_least=0, role="replica")
    decay: Decay = "decoupled"
    warmup: int = hyperparameter(10, at_least=0, role="replica")
    schedule: Literal["constant", "cosine"] = "constant"
    decay_steps: int | None = hyperparameter(None, role="replica")

    @abstractmethod
    def direction(self) -> Transformation:
        """From gradients to directions u, along which a step of size η goes downhill."""

    def check(self) -> None:
        """Fields within their bounds; nothing that has no effect."""
        super().check()
        cosine = self.schedule == "cosine"
        require(self, "decay_steps", (self.decay_steps is not None) is cosine, "given with the cosine schedule, only")
        usual = self.weight_decay > 0 or self.decay == type(self).decay
        require(self, "decay", usual, f"left at {type(self).decay!r} without weight_decay")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Step size within a factor of 10 of this one, decay from a hundredth of this one to ten times."""
        return suggest_around(self, trial)

    def structure(self) -> tuple[Any, ...]:
        """As of any part, and whether there is decay: without it the program has none."""
        return (*super().structure(), bool(self.weight_decay))

    def transformation(self, network: Network) -> Transformation:
        """Decay, direction, decay, step size."""
        return self.descent()

    def descent(self) -> Transformation:
        """The same, which is equal for all parameters of a network."""
        decay = self.decay if self.weight_decay else None
        parts = (
            (decay == "coupled", decay_coupled()),
            (True, self.direction()),
            (decay == "decoupled", decay_decoupled()),
            (decay == "to-init", decay_to_init()),
            (True, scale_by_rate(self.schedule)),
        )
        return chain(*(part for used, part in parts if used))
