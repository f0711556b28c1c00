"""What torch learners share: hyperparameters of training, rules for them, and what the fleet needs to train them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from torch import Tensor
from torch.nn import functional as F

from encoders import Codes
from encoders._check import require
from learners._base import Learner, Setting, Training
from learners._exclusive import one_at_a_time, own_defaults
from learners._fleet.going_on import go_on, kept
from learners._fleet.training import FleetTraining
from learners._fleet.update_rule import FleetLearner
from learners._hyperparameters import check_fields, defaults, hyperparameter, with_role
from learners._nets.losses import LOSSES, Loss
from learners._nets.modules import Network
from learners._outside import Incremental
from learners._problem import Problem
from learners.optim import AdamW, Part, Transformation, check_chain, hyper_of, part_name, transformation_of

LARGEST_SEED = 2**31 - 1
WIDTHS: Final = (64, 128, 256, 512)
"""Widths in search spaces. They are few because trials of equal shape train together."""
OF_CHAIN: Final = "optimizer__"
"""How nested parameters of the optimizer's parts begin."""


@dataclass(kw_only=True, eq=False, repr=False)
class TorchLearner(Incremental, FleetLearner):
    """A learner that is a module and a loss for one replica.

    With weights of rows, the loss of a batch of B is (1/B) Σ wᵢ ℓᵢ, weights divided by their mean over all training
    rows: their scale makes no difference, and the mean over batches is the weighted loss of all rows. (Divided by its
    own Σ wᵢ, as in scikit-learn's networks, a batch would count as much as any other whatever it weighs, and at B = 1
    weights would do nothing.) The first weights of the net are drawn as without weights of rows. FLOPs leave them out.

    A hyperparameter of training is declared here once, by a line of this text and a field below. A subclass declares
    its own hyperparameters in front, and repeats a field only to change its default.

    :param loss: "cross-entropy", "squared" (on one-hot targets, summed over classes) or "stablemax".
    :param optimizer: the parts of `learners.optim` that turn gradients into updates, or one alone: filters, one rule,
        constraints. None takes the learner's own. Parameters of parts are nested: ``optimizer__adamw__lr``.
    :param batch_size: examples of one update; None takes the learner's default, 0 all.
    :param steps: updates that `fit` makes. The benchmark sets its own budget.
    :param slots: equal parts that the columns of a plain matrix consist of. The benchmark passes codes.
    :param random_state: seed of weights, batches, dropout and noise.
    :param last_batch: of an epoch: "filled" with the first rows of the next epoch, or "short", the rows that are left,
        as in most published loops. A short batch is an update as any other, along a noisier gradient.
    """

    devices = ("cpu", "cuda")
    precisions: ClassVar[tuple[str, ...]] = ("float32", "tf32", "bfloat16")
    budget_parameter = "steps"
    fit_parameters: ClassVar[tuple[str, ...]] = ("steps", "slots")
    later_parameters: ClassVar[frozenset[str]] = frozenset({"last_batch"})
    inapplicable_checks: ClassVar[Mapping[str, str]] = {
        f"check_sample_weight_equivalence_on_{kind}_data": "batches are drawn from rows, and nets scaled by them"
        for kind in ("dense", "sparse")
    }

    loss: Loss = "cross-entropy"
    optimizer: Sequence[Part] | Part | None = hyperparameter(None, role="part")  # noqa: RUF009
    batch_size: int | None = hyperparameter(None, at_least=0, role="run")
    steps: int = hyperparameter(10_000, role="run")
    slots: int = hyperparameter(1, role="run")
    random_state: int | np.random.RandomState | None = hyperparameter(None, role="run")  # noqa: RUF009
    last_batch: Literal["filled", "short"] = "filled"

    # What a learner adds

    @classmethod
    def default_optimizer(cls) -> list[Part]:
        """The parts of its optimizer where none are given."""
        return [AdamW()]

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

    @property
    def short_batches(self) -> bool:
        """Whether an epoch ends with a batch of the rows that are left."""
        return self.last_batch == "short"

    def example_losses(self, scores: Tensor, y: Tensor) -> Tensor:
        """The loss of each example."""
        return LOSSES[self.loss](scores, y)

    # Rules

    def check(self) -> None:
        """Each field is of its kind and within its bounds, and they fit together; the optimizer can act."""
        check_fields(self)
        self.require_effect("last_batch", self.batch_size != 0, "with the full batch")
        self.check_own()
        check_chain(self.parts, self)

    def require_effect(self, name: str, has_effect: bool, when: str) -> None:
        """Raise a ValueError where a parameter is not at its default though it changes nothing."""
        default = defaults(type(self))[name]
        value = getattr(self, name)
        same = tuple(value) == default if isinstance(default, tuple) else value == default
        require(self, name, has_effect or same, f"left at {default!r} {when}")

    # The optimizer

    @property
    def parts(self) -> list[Part]:
        """The parts of its optimizer: those given, or its own."""
        return self._listed(self.optimizer)

    def _listed(self, optimizer: Any) -> list[Part]:
        if optimizer is None:
            return self.default_optimizer()
        # What is no sequence is one part, or what `check` refuses.
        return list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments, and where deep those of the optimizer's parts as ``optimizer__PART__NAME``."""
        found = super().get_params(deep=False)
        if deep:
            for part in self.parts:
                own = part.get_params() if isinstance(part, Part) else {}
                found |= {f"{OF_CHAIN}{part_name(part)}__{name}": value for name, value in own.items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments. Setting one of a part copies the parts first: other learners may hold them."""
        nested = {name: params.pop(name) for name in list(params) if name.startswith(OF_CHAIN)}
        given = params.get("optimizer", self.optimizer)
        parts = {part_name(part): clone(part) for part in self._listed(given)} if nested else {}
        for name, value in sorted(nested.items()):  # a part before its parameters
            part, _, parameter = name.removeprefix(OF_CHAIN).partition("__")
            if part not in parts:
                known = ", ".join(parts)
                raise ValueError(f"The optimizer of {type(self).__name__} has no part {part!r}, it has {known}.")
            if parameter:
                parts[part].set_params(**{parameter: value})
            else:
                parts[part] = value
        super().set_params(**params)
        if nested:
            self.optimizer = list(parts.values())
        return self

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
        parts = tuple(part.structure() for part in self.parts)
        batch = self.resolved_batch(n_train)
        return (type(self), tuple(fixed), parts, self.noisy, "full" if batch == n_train else batch)

    def start(self) -> tuple[Any, ...]:
        """What decides the first weights beside the seed and the structure."""
        return tuple(getattr(self, name) for name in with_role(type(self), "start"))

    def hyper(self) -> dict[str, float]:
        """Numeric hyperparameters by the names that the program uses."""
        own = {name: float(getattr(self, name)) for name in with_role(type(self), "replica")}
        return {"dropout": 0.0} | own | hyper_of(self.parts)

    def transformation(self, network: Network) -> Transformation:
        """From gradients to updates."""
        return transformation_of(self.parts, network)

    @classmethod
    def begin(
        cls, learners: Sequence[Learner], problems: Sequence[Problem], setting: Setting | None = None
    ) -> Training:
        """Train all of them as one batched program."""
        return FleetTraining(cast("Sequence[FleetLearner]", learners), problems, setting)

    # On its own

    def _keep(self, training: Training) -> None:
        assert isinstance(training, FleetTraining)
        self.training_state_ = kept(training)

    def _going_on(self, problem: Problem) -> Training:
        training = FleetTraining([clone(self)], [problem])  # which draws another seed than this learner's, not from it
        go_on(training, self.model_, getattr(self, "training_state_", None))
        training.learners[0] = self
        return training

    def losses(self, scores: Any, y: Any) -> Any:
        """The training loss of each example."""
        with own_defaults(), torch.no_grad():
            scores = torch.as_tensor(scores)
            return self.example_losses(scores, torch.as_tensor(y, device=scores.device))

    @one_at_a_time
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

    @one_at_a_time
    def embed(self, codes: Codes) -> NDArray[np.floating] | None:
        """The image of every code under the embedding, or the first layer, (S, U, D)."""
        network = self._fitted_network(codes.n_features)
        with torch.no_grad():
            embedded = network.embed(torch.as_tensor(codes.table_UF, dtype=torch.float32), codes.n_slots)
        return None if embedded is None else embedded.numpy()

    @one_at_a_time
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
