"""What torch learners share: how they are trained, as constructor arguments, and how they train in fleets."""

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor
from torch.nn import functional as F

from encoders import Codes
from encoders._check import is_number, require, require_choice, require_flag, require_integer, require_number
from learners._base import Learner, Problem, Setting, Training
from learners._fleet.training import FleetTraining
from learners._nets.losses import LOSSES
from learners._nets.modules import Network
from learners.optim import (
    Transformation,
    adam,
    chain,
    decay_coupled,
    decay_decoupled,
    decay_to_init,
    gradient_noise,
    grokfast_ema,
    grokfast_ma,
    momentum,
    muon,
    orthograd,
    scale_by_rate,
    where_matrix,
)

__all__ = ["WIDTHS", "TorchLearner"]

LARGEST_SEED = 2**31 - 1
WIDTHS: Final = (64, 128, 256, 512)
"""What spaces offer: few of them, since trials of one shape train side by side."""
GROKFAST: Final = {"ema": {"alpha": 0.98, "lamb": 2.0}, "ma": {"lamb": 5.0, "window": 100}}
"""Published defaults (arXiv 2405.20233)."""
USUAL_DECAY: Final = {"adam": "coupled", "sgd": "coupled", "adamw": "decoupled", "muon": "decoupled"}
NUMERIC: Final = frozenset(
    [
        "lr",
        "betas",
        "eps",
        "momentum",
        "weight_decay",
        "grokfast_alpha",
        "grokfast_lamb",
        "gradient_noise",
        "weight_noise",
        "warmup",
        "decay_steps",
        "dropout",
        "muon_rest_lr",
    ]
)
"""Hyperparameters that may differ within a fleet, as `TorchLearner.starts` may; all others shape the program."""


@cache
def _defaults(cls: "type[TorchLearner]") -> dict[str, Any]:
    """Constructor arguments as they are where nothing is said."""
    return {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}


@cache
def _names(cls: "type[TorchLearner]") -> tuple[str, ...]:
    return tuple(cls._get_param_names())


class TorchLearner(Learner):
    """A learner that is a module and a loss for one replica; the fleet supplies the rest.

    :param loss: "cross-entropy", "squared" (on one-hot targets, summed over classes) or "stablemax".
    :param optimizer: "adam", "adamw", "sgd" or "muon" (hidden matrices by Muon, the rest by Adam).
    :param lr: step size η > 0; with Muon, that of the matrices.
    :param betas: Adam's β₁, β₂ in [0, 1).
    :param eps: Adam's ε > 0.
    :param momentum: μ in [0, 1) of SGD and Muon.
    :param nesterov: SGD looks ahead, as Muon always does.
    :param muon_rest_lr: step size of what Muon leaves to Adam.
    :param muon_freeze: with Muon, the weights of embedding and read-out stay as they were drawn; biases do not.
    :param weight_decay: λ ≥ 0.
    :param decay: "decoupled" (scaled by η alone), "coupled" (in the gradient, rescaled with it), "to-init" (towards the
        first weights), or None for the optimizer's usual: coupled for adam and sgd, decoupled for adamw and muon.
    :param grokfast: "none", "ema" or "ma": amplify the slow part of the gradient, before the optimizer.
    :param grokfast_alpha: α of the running mean; None takes the published 0.98.
    :param grokfast_lamb: λ; None takes the published 2 (ema) or 5 (ma).
    :param grokfast_window: w of the moving average; None takes the published 100. It remembers w gradients.
    :param orthograd: remove from each gradient its part along the weights.
    :param gradient_noise: deviation of noise on every gradient.
    :param weight_noise: deviation of noise on every weight, in training.
    :param warmup: steps of linear warm-up of η.
    :param schedule: "constant" or "cosine".
    :param decay_steps: steps until the cosine reaches zero; needed with it, since a budget may be extended.
    :param batch_size: examples of one update; None takes the learner's default, 0 all.
    :param steps: updates that `fit` makes. The benchmark sets its own budget.
    :param slots: equal parts that the columns of a plain matrix consist of. The benchmark passes codes.
    :param random_state: seed of weights, batches, dropout and noise.
    """

    devices = ("cpu", "cuda")
    precisions: ClassVar[tuple[str, ...]] = ("float32", "tf32", "bfloat16")
    budget_parameter = "steps"
    fit_parameters: ClassVar[tuple[str, ...]] = ("steps", "slots")
    starts: ClassVar[frozenset[str]] = frozenset()
    """Parameters by which the weights at the start are drawn and nothing else: they may differ within a fleet."""
    losses_known: ClassVar[tuple[str, ...]] = tuple(LOSSES)

    model_: dict[str, NDArray[np.float32]]
    n_slots_: int

    def __init__(
        self,
        *,
        loss: str,
        optimizer: Literal["adam", "adamw", "sgd", "muon"],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        momentum: float,
        nesterov: bool,
        muon_rest_lr: float,
        muon_freeze: bool,
        weight_decay: float,
        decay: Literal["decoupled", "coupled", "to-init"] | None,
        grokfast: Literal["none", "ema", "ma"],
        grokfast_alpha: float | None,
        grokfast_lamb: float | None,
        grokfast_window: int | None,
        orthograd: bool,
        gradient_noise: float,
        weight_noise: float,
        warmup: int,
        schedule: Literal["constant", "cosine"],
        decay_steps: int | None,
        batch_size: int | None,
        steps: int,
        slots: int,
        random_state: int | np.random.RandomState | None,
    ) -> None:
        self.loss = loss
        self.optimizer = optimizer
        self.lr = lr
        self.betas = betas
        self.eps = eps
        self.momentum = momentum
        self.nesterov = nesterov
        self.muon_rest_lr = muon_rest_lr
        self.muon_freeze = muon_freeze
        self.weight_decay = weight_decay
        self.decay = decay
        self.grokfast = grokfast
        self.grokfast_alpha = grokfast_alpha
        self.grokfast_lamb = grokfast_lamb
        self.grokfast_window = grokfast_window
        self.orthograd = orthograd
        self.gradient_noise = gradient_noise
        self.weight_noise = weight_noise
        self.warmup = warmup
        self.schedule = schedule
        self.decay_steps = decay_steps
        self.batch_size = batch_size
        self.steps = steps
        self.slots = slots
        self.random_state = random_state

    # What a learner adds

    @abstractmethod
    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica, weights not drawn."""

    @abstractmethod
    def check_own(self) -> None:
        """Rules of the learner's own parameters."""

    @abstractmethod
    def default_batch(self, n_train: int) -> int:
        """The batch size where none is given."""

    @property
    def has_hidden_matrices(self) -> bool:
        """Whether there are matrices between embedding and read-out, which Muon is for."""
        return True

    # Rules

    def check(self) -> None:
        """Known names, positive rates and sizes, and what belongs together."""
        require_choice(self, "loss", self.losses_known)
        require_choice(self, "optimizer", USUAL_DECAY)
        require_choice(self, "grokfast", ("none", "ema", "ma"))
        require_choice(self, "schedule", ("constant", "cosine"))
        if self.decay is not None:
            require_choice(self, "decay", ("decoupled", "coupled", "to-init"))
        require(
            self, "decay", not (self.optimizer == "adamw" and self.decay == "coupled"), "decoupled or to-init for adamw"
        )
        for name in ("lr", "eps", "muon_rest_lr"):
            require_number(self, name, above=0)
        for name in ("weight_decay", "gradient_noise", "weight_noise"):
            require_number(self, name, at_least=0)
        betas = self.betas
        valid = isinstance(betas, Sequence) and len(betas) == 2 and all(is_number(b) and 0 <= b < 1 for b in betas)
        require(self, "betas", valid, "two numbers in [0, 1)")
        require(self, "momentum", is_number(self.momentum) and 0 <= self.momentum < 1, "in [0, 1)")
        self._check_grokfast()
        for name in ("nesterov", "muon_freeze", "orthograd"):
            require_flag(self, name)
        for name in ("warmup",):
            require_integer(self, name, at_least=0)
        for name in ("steps", "slots"):
            require_integer(self, name)
        require_integer(self, "batch_size", at_least=0, optional=True)
        require_integer(self, "decay_steps", optional=True)
        cosine = self.schedule == "cosine"
        require(self, "decay_steps", (self.decay_steps is not None) is cosine, "given with the cosine schedule, only")
        self.check_own()
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        """Nothing is set that the optimizer does not have: it would be another name for the same run."""
        muon = self.optimizer == "muon"
        rule = f"another than 'muon': {type(self).__name__} as it is set has no hidden matrix for it"
        require(self, "optimizer", self.has_hidden_matrices or not muon, rule)
        owners = {
            **dict.fromkeys(("betas", "eps"), ("adam", "adamw", "muon")),
            "momentum": ("sgd", "muon"),
            "nesterov": ("sgd",),
            **dict.fromkeys(("muon_rest_lr", "muon_freeze"), ("muon",)),
        }
        for name, optimizers in owners.items():
            used = self.optimizer in optimizers
            self.require_effect(name, used, f"with optimizer={self.optimizer!r}, which has none")
        self.require_effect("decay", self.weight_decay > 0, "without weight_decay")

    def require_effect(self, name: str, has_effect: bool, when: str) -> None:
        """Raise a ValueError where a parameter is not at its default though it changes nothing."""
        default = _defaults(type(self))[name]
        value = getattr(self, name)
        same = tuple(value) == default if isinstance(default, tuple) else value == default
        require(self, name, has_effect or same, f"left at {default!r} {when}")

    def _check_grokfast(self) -> None:
        uses = {"none": (), "ema": ("alpha", "lamb"), "ma": ("lamb", "window")}[self.grokfast]
        for name in ("alpha", "lamb", "window"):
            full = f"grokfast_{name}"
            if getattr(self, full) is not None:
                require(self, full, name in uses, f"None with grokfast={self.grokfast!r}")
        alpha = self.grokfast_alpha
        require(self, "grokfast_alpha", alpha is None or (is_number(alpha) and 0 <= alpha < 1), "in [0, 1) or None")
        require_number(self, "grokfast_lamb", at_least=0, optional=True)
        require_integer(self, "grokfast_window", optional=True)

    # Time

    def resolved_batch(self, n_train: int) -> int:
        """Examples of one update."""
        chosen = self.default_batch(n_train) if self.batch_size is None else self.batch_size
        return min(chosen or n_train, n_train)

    def steps_per_epoch(self, n_train: int) -> int:
        """⌈n / batch⌉."""
        return -(-n_train // self.resolved_batch(n_train))

    def granularity(self, n_train: int) -> int:
        """It can be looked at after every update."""
        return 1

    def default_steps(self, n_train: int) -> int:
        """``steps``."""
        return self.steps

    # For the fleet

    @property
    def noisy(self) -> bool:
        """Whether the module draws random numbers in training."""
        return bool(getattr(self, "dropout", 0.0))

    def seed(self) -> int:
        """One integer for all randomness of a replica."""
        return int(check_random_state(self.random_state).randint(LARGEST_SEED))

    def structure(self, n_train: int) -> tuple[Any, ...]:
        """What must be equal for learners to train in one fleet."""
        fixed = {k: getattr(self, k) for k in _names(type(self)) if k not in NUMERIC | self.starts}
        for name in ("random_state", "batch_size", *self.fit_parameters):
            fixed.pop(name)
        used = (bool(self.gradient_noise), bool(self.weight_noise), bool(self.weight_decay), self.noisy)
        batch = self.resolved_batch(n_train)
        full = batch == n_train
        return (type(self), tuple(sorted((k, repr(v)) for k, v in fixed.items())), used, "full" if full else batch)

    def start(self) -> tuple[Any, ...]:
        """What weights at the start are drawn by, beside the seed and the structure."""
        return tuple(getattr(self, name, None) for name in sorted(self.starts))

    def hyper(self) -> dict[str, float]:
        """Numeric hyperparameters by the names that transformations use."""
        published = GROKFAST.get(self.grokfast, {})
        return {
            "lr": self.lr,
            "muon_rest_lr": self.muon_rest_lr,
            "beta1": self.betas[0],
            "beta2": self.betas[1],
            "eps": self.eps,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "grokfast_alpha": published.get("alpha", 0.0) if self.grokfast_alpha is None else self.grokfast_alpha,
            "grokfast_lamb": published.get("lamb", 0.0) if self.grokfast_lamb is None else self.grokfast_lamb,
            "gradient_noise": self.gradient_noise,
            "weight_noise": self.weight_noise,
            "warmup": float(self.warmup),
            "decay_steps": float(self.decay_steps or 0),
            "dropout": float(getattr(self, "dropout", 0.0)),
        }

    def transformation(self, network: Network) -> Transformation:
        """The chain from gradients to updates: noise, filter, projection, decay, optimizer, decay, rate."""
        decay = self.decay or USUAL_DECAY[self.optimizer]
        parts: list[Transformation] = []
        if self.gradient_noise:
            parts.append(gradient_noise())
        if self.grokfast == "ema":
            parts.append(grokfast_ema())
        if self.grokfast == "ma":
            parts.append(grokfast_ma(self.grokfast_window or int(GROKFAST["ma"]["window"])))
        if self.orthograd:
            parts.append(orthograd())
        decay = decay if self.weight_decay else "none"
        if decay == "coupled":
            parts.append(decay_coupled())
        rate = scale_by_rate(self.schedule)
        if self.optimizer == "sgd":
            parts.append(momentum(self.nesterov))
        elif self.optimizer == "muon":
            parts.append(where_matrix(muon(), adam(), network.frozen_by_muon))
            rate = where_matrix(rate, scale_by_rate(self.schedule, "muon_rest_lr"), network.frozen_by_muon)
        else:
            parts.append(adam())
        if decay == "decoupled":
            parts.append(decay_decoupled())
        if decay == "to-init":
            parts.append(decay_to_init())
        parts.append(rate)
        if self.optimizer == "muon" and self.muon_freeze:
            parts.append(_freeze(network.frozen_by_muon))
        return chain(*parts)

    @classmethod
    def begin(
        cls, learners: Sequence[Learner], problems: Sequence[Problem], setting: Setting | None = None
    ) -> Training:
        """Train all of them as one batched program."""
        return FleetTraining(learners, problems, setting)

    # On its own

    def losses(self, scores: Any, y: Any) -> Any:
        """The training loss of each example."""
        with torch.no_grad():
            scores = torch.as_tensor(scores)
            return LOSSES[self.loss](scores, torch.as_tensor(y, device=scores.device))

    def predict_proba(self, X: ArrayLike | Codes) -> NDArray[np.floating]:
        """Probabilities (N, C): softmax; of StableMax its own; of squared error the scores, shifted to be positive."""
        scores = torch.as_tensor(self.scores(X))
        if self.loss == "cross-entropy":
            return F.softmax(scores, dim=-1).numpy()
        if self.loss == "stablemax":
            s = torch.where(scores >= 0, scores + 1, 1 / (1 - scores.clamp_max(0)))
        else:
            s = scores - scores.amin(dim=-1, keepdim=True).clamp_max(0) + torch.finfo(scores.dtype).tiny
        return (s / s.sum(dim=-1, keepdim=True)).numpy()

    def _scores(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        n, slots = len(X), self.n_slots_
        table = torch.as_tensor(np.ascontiguousarray(X, dtype=np.float32).reshape(n * slots, -1))
        index = torch.arange(n * slots).reshape(n, slots)
        network = self.network(slots, table.shape[1], len(self.classes_))
        weights: dict[str, Tensor] = {name: torch.as_tensor(w) for name, w in self.model_.items()}
        with torch.no_grad():
            return torch.func.functional_call(network, weights, (table, index, None))[0].numpy()


def _freeze(names: frozenset[str]) -> Transformation:
    return Transformation(
        lambda params: {},
        lambda grads, state, context: ({n: torch.zeros_like(g) if n in names else g for n, g in grads.items()}, state),
    )
