"""What torch learners share: hyperparameters of training, rules for them, and what the fleet needs to train them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor
from torch.nn import functional as F

from encoders import Codes
from encoders._check import is_number, require
from learners._base import Learner, Problem, Setting, Training
from learners._fleet.training import FleetTraining
from learners._fleet.update_rule import FleetLearner
from learners._hyperparameters import check_fields, defaults, hyperparameter, with_role
from learners._nets.losses import LOSSES, Loss
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
from learners.optim._core import stateless

LARGEST_SEED = 2**31 - 1
WIDTHS: Final = (64, 128, 256, 512)
"""Widths in search spaces. They are few because trials of equal shape train together."""
GROKFAST: Final = {"ema": {"alpha": 0.98, "lamb": 2.0}, "ma": {"lamb": 5.0, "window": 100}}
"""Published defaults (arXiv 2405.20233)."""
USUAL_DECAY: Final = {"adam": "coupled", "sgd": "coupled", "adamw": "decoupled", "muon": "decoupled"}
USED_BY: Final = {
    "betas": ("adam", "adamw", "muon"),
    "eps": ("adam", "adamw", "muon"),
    "momentum": ("sgd", "muon"),
    "nesterov": ("sgd",),
    "muon_rest_lr": ("muon",),
    "muon_freeze": ("muon",),
}
"""The optimizers that have a hyperparameter."""


@dataclass(kw_only=True, eq=False, repr=False)
class TorchLearner(FleetLearner):
    """A learner that is a module and a loss for one replica.

    A hyperparameter of training is declared here once, by a line of this text and a field below. A subclass declares
    its own hyperparameters in front, and repeats a field only to change its default.

    :param loss: "cross-entropy", "squared" (on one-hot targets, summed over classes) or "stablemax".
    :param optimizer: "adam", "adamw", "sgd" or "muon" (hidden matrices by Muon, the rest by Adam).
    :param lr: step size η > 0; with Muon, that of the matrices.
    :param betas: Adam's β₁, β₂ in [0, 1).
    :param eps: Adam's ε > 0.
    :param momentum: μ in [0, 1) of SGD and Muon.
    :param nesterov: Nesterov's momentum in SGD; Muon always has it.
    :param muon_rest_lr: step size of the parameters that Muon leaves to Adam.
    :param muon_freeze: with Muon, keep the weights of embedding and read-out as they were drawn; biases still train.
    :param weight_decay: λ ≥ 0.
    :param decay: "decoupled" (scaled by η alone), "coupled" (in the gradient, rescaled with it), "to-init" (towards the
        first weights), or None for the optimizer's usual: coupled for adam and sgd, decoupled for adamw and muon.
    :param grokfast: "none", "ema" or "ma": amplify the slow part of the gradient, before the optimizer.
    :param grokfast_alpha: α of the running mean; None takes the published 0.98.
    :param grokfast_lamb: λ; None takes the published 2 (ema) or 5 (ma).
    :param grokfast_window: w of the moving average; None takes the published 100. It stores w gradients.
    :param orthograd: remove from each gradient its part along the weights.
    :param gradient_noise: standard deviation of noise on every gradient.
    :param weight_noise: standard deviation of noise on every weight, in training.
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

    loss: Loss = "cross-entropy"
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adamw"
    lr: float = hyperparameter(1e-3, above=0, role="replica")
    betas: tuple[float, float] = hyperparameter((0.9, 0.98), role="replica")
    eps: float = hyperparameter(1e-8, above=0, role="replica")
    momentum: float = hyperparameter(0.95, at_least=0, below=1, role="replica")
    nesterov: bool = False
    muon_rest_lr: float = hyperparameter(1e-3, above=0, role="replica")
    muon_freeze: bool = False
    weight_decay: float = hyperparameter(1.0, at_least=0, role="replica")
    decay: Literal["decoupled", "coupled", "to-init"] | None = None
    grokfast: Literal["none", "ema", "ma"] = "none"
    grokfast_alpha: float | None = hyperparameter(None, at_least=0, below=1, role="replica")
    grokfast_lamb: float | None = hyperparameter(None, at_least=0, role="replica")
    grokfast_window: int | None = None
    orthograd: bool = False
    gradient_noise: float = hyperparameter(0.0, at_least=0, role="replica")
    weight_noise: float = hyperparameter(0.0, at_least=0, role="replica")
    warmup: int = hyperparameter(10, at_least=0, role="replica")
    schedule: Literal["constant", "cosine"] = "constant"
    decay_steps: int | None = hyperparameter(None, role="replica")
    batch_size: int | None = hyperparameter(None, at_least=0, role="run")
    steps: int = hyperparameter(10_000, role="run")
    slots: int = hyperparameter(1, role="run")
    random_state: int | np.random.RandomState | None = hyperparameter(None, role="run")  # noqa: RUF009

    # What a learner adds

    def check_own(self) -> None:
        """Rules that concern several of the learner's own parameters; there may be none."""

    def default_batch(self, n_train: int) -> int:
        """The batch size where none is given: half of the training rows, at most 512."""
        return min(512, -(-n_train // 2))

    @property
    def has_hidden_matrices(self) -> bool:
        """Whether there are matrices between embedding and read-out, which Muon is for."""
        return True

    @property
    def noisy(self) -> bool:
        """Whether the module draws random numbers in training."""
        return bool(getattr(self, "dropout", 0.0))

    def example_losses(self, scores: Tensor, y: Tensor) -> Tensor:
        """The loss of each example."""
        return LOSSES[self.loss](scores, y)

    # Rules

    def check(self) -> None:
        """Each field is of its kind and within its bounds, and they fit together."""
        check_fields(self)
        coupled = self.optimizer == "adamw" and self.decay == "coupled"
        require(self, "decay", not coupled, "decoupled or to-init for adamw")
        betas = self.betas
        valid = isinstance(betas, Sequence) and len(betas) == 2 and all(is_number(b) and 0 <= b < 1 for b in betas)
        require(self, "betas", valid, "two numbers in [0, 1)")
        has = {"none": (), "ema": ("alpha", "lamb"), "ma": ("lamb", "window")}[self.grokfast]
        for name in ("alpha", "lamb", "window"):
            unset = getattr(self, f"grokfast_{name}") is None
            require(self, f"grokfast_{name}", name in has or unset, f"None with grokfast={self.grokfast!r}")
        cosine = self.schedule == "cosine"
        require(self, "decay_steps", (self.decay_steps is not None) is cosine, "given with the cosine schedule, only")
        self.check_own()
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        """No setting that the optimizer does not have: it would be another name for the same run."""
        rule = f"another than 'muon': {type(self).__name__} as it is set has no hidden matrix for it"
        require(self, "optimizer", self.has_hidden_matrices or self.optimizer != "muon", rule)
        for name, optimizers in USED_BY.items():
            used = self.optimizer in optimizers
            self.require_effect(name, used, f"with optimizer={self.optimizer!r}, which has none")
        self.require_effect("decay", self.weight_decay > 0, "without weight_decay")

    def require_effect(self, name: str, has_effect: bool, when: str) -> None:
        """Raise a ValueError where a parameter is not at its default though it changes nothing."""
        default = defaults(type(self))[name]
        value = getattr(self, name)
        same = tuple(value) == default if isinstance(default, tuple) else value == default
        require(self, name, has_effect or same, f"left at {default!r} {when}")

    # Time

    def resolved_batch(self, n_train: int) -> int:
        """Examples of one update."""
        chosen = self.default_batch(n_train) if self.batch_size is None else self.batch_size
        return min(chosen or n_train, n_train)

    def steps_per_epoch(self, n_train: int) -> int:
        """⌈n / batch⌉."""
        return -(-n_train // self.resolved_batch(n_train))

    def granularity(self, n_train: int) -> int:
        """It can be evaluated after every update."""
        return 1

    def default_steps(self, n_train: int) -> int:
        """``steps``."""
        return self.steps

    # For the fleet

    def seed(self) -> int:
        """One integer from which all randomness of a replica is derived."""
        return int(check_random_state(self.random_state).randint(LARGEST_SEED))

    def structure(self, n_train: int) -> tuple[Any, ...]:
        """What must be equal for learners to train in one fleet."""
        fixed = sorted((name, repr(getattr(self, name))) for name in with_role(type(self), "structure"))
        used = (bool(self.gradient_noise), bool(self.weight_noise), bool(self.weight_decay), self.noisy)
        batch = self.resolved_batch(n_train)
        return (type(self), tuple(fixed), used, "full" if batch == n_train else batch)

    def start(self) -> tuple[Any, ...]:
        """What decides the first weights beside the seed and the structure."""
        return tuple(getattr(self, name) for name in with_role(type(self), "start"))

    def hyper(self) -> dict[str, float]:
        """Numeric hyperparameters by the names that transformations use."""
        numbers: dict[str, Any] = {name: getattr(self, name) for name in with_role(type(self), "replica")}
        numbers["beta1"], numbers["beta2"] = numbers.pop("betas")
        for name, published in GROKFAST.get(self.grokfast, {}).items():
            if numbers.get(f"grokfast_{name}", 0) is None:
                numbers[f"grokfast_{name}"] = published
        return {"dropout": 0.0} | {name: float(number or 0) for name, number in numbers.items()}

    def transformation(self, network: Network) -> Transformation:
        """The chain from gradients to updates: noise, filter, projection, decay, optimizer, decay, rate."""
        decay = (self.decay or USUAL_DECAY[self.optimizer]) if self.weight_decay else "none"
        kept = network.not_for_muon
        rule, rate = adam(), scale_by_rate(self.schedule)
        if self.optimizer == "sgd":
            rule = momentum(self.nesterov)
        elif self.optimizer == "muon":
            rule = where_matrix(muon(), rule, kept)
            rate = where_matrix(rate, scale_by_rate(self.schedule, "muon_rest_lr"), kept)
        window = self.grokfast_window or int(GROKFAST["ma"]["window"])
        parts = [
            (self.gradient_noise, gradient_noise()),
            (self.grokfast == "ema", grokfast_ema()),
            (self.grokfast == "ma", grokfast_ma(window)),
            (self.orthograd, orthograd()),
            (decay == "coupled", decay_coupled()),
            (True, rule),
            (decay == "decoupled", decay_decoupled()),
            (decay == "to-init", decay_to_init()),
            (True, rate),
            (self.optimizer == "muon" and self.muon_freeze, _freeze(kept)),
        ]
        return chain(*(part for used, part in parts if used))

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
            return self.example_losses(scores, torch.as_tensor(y, device=scores.device))

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

    def embed(self, codes: Codes) -> NDArray[np.floating] | None:
        """The image of every code under the embedding, or the first layer, (S, U, D)."""
        network = self._fitted_network(codes.n_features)
        with torch.no_grad():
            embedded = network.embed(torch.as_tensor(codes.table_UF, dtype=torch.float32), codes.n_slots)
        return None if embedded is None else embedded.numpy()

    def _scores(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        n, slots = len(X), self.n_slots_
        table = torch.as_tensor(np.ascontiguousarray(X, dtype=np.float32).reshape(n * slots, -1))
        index = torch.arange(n * slots).reshape(n, slots)
        with torch.no_grad():
            return self._fitted_network(table.shape[1])(table, index, None)[0].numpy()

    def _fitted_network(self, n_features: int) -> Network:
        """The module with its weights."""
        network = self.network(self.n_slots_, n_features, len(self.classes_))
        network.load_state_dict({name: torch.as_tensor(w) for name, w in self.model_.items()}, assign=True)
        return network


def _freeze(names: frozenset[str]) -> Transformation:
    """No update for these parameters."""
    return stateless(lambda grads, _: {n: torch.zeros_like(g) if n in names else g for n, g in grads.items()})
