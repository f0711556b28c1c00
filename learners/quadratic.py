"""Two layers with a quadratic activation, the fastest of the learners on modular addition."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from learners._hyperparameters import hyperparameter
from learners._nets.losses import Loss
from learners._nets.modules import Embedding, Linear, Network, Noise
from learners._torch import WIDTHS, TorchLearner
from learners.optim import AdamW, Part


@dataclass(eq=False, repr=False)
class Quadratic(TorchLearner):
    """A two-layer net with a quadratic activation and no bias, full batch.

    f(a, b) = W (E z(a) + E z(b))², z the codes of the slots; untied, each slot has an E of its own. Cosines of a and b
    in the hidden layer multiply to cosines of a + b, which is all that modular addition needs.

    Source: Gromov 2023, "Grokking modular arithmetic" (arXiv 2301.02679), where the solution is written down in closed
    form; tied operands and AdamW with strong decay are from
    this project.

    :param width: hidden units D.
    :param tied: one embedding for all slots.
    :param init_scale: standard deviation of the entries of W, and of an embedded code, at the start. Small values are
        faster: 30 steps at 0.02, not solved in 60 at 0.5 (a + b mod 97, 50 % of unordered pairs).
    :raises ValueError: for a parameter out of range.

    >>> import numpy as np
    >>> pairs = np.random.default_rng(0).permutation([[a, b] for a in range(31) for b in range(31)])
    >>> X, y = np.eye(31)[pairs].reshape(961, 62), pairs.sum(axis=1) % 31
    >>> Quadratic(slots=2, steps=100, random_state=0).fit(X[:480], y[:480]).score(X, y)
    1.0
    """

    version = 1
    example: ClassVar = {"width": 32, "steps": 20, "random_state": 0}

    inapplicable_checks: ClassVar = {
        **TorchLearner.inapplicable_checks,
        "check_classifiers_train": "without bias the net is an even function: it scores x and −x alike",
    }

    width: int = 256
    tied: bool = True
    init_scale: float = hyperparameter(0.02, above=0, role="start")
    _: KW_ONLY
    loss: Loss = "squared"
    steps: int = 1000

    @classmethod
    def default_optimizer(cls) -> list[Part]:
        """AdamW with large steps and strong decay."""
        return [AdamW(lr=0.03, weight_decay=3.0)]

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Width, scale of the start."""
        return {
            "width": trial.suggest_categorical("width", WIDTHS),
            "init_scale": trial.suggest_float("init_scale", 0.003, 0.1, log=True),
        }

    @property
    def has_hidden_matrices(self) -> bool:
        """False: there are only embedding and read-out."""
        return False

    def default_batch(self, n_train: int) -> int:
        """All training rows."""
        return n_train

    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica."""
        return _Squares(n_slots, n_features, n_classes, self.width, self.tied, self.init_scale)


class _Squares(Network):
    not_for_muon = frozenset({"embedding.weight", "readout.weight"})

    looks_up = True

    def __init__(self, n_slots: int, n_features: int, n_classes: int, width: int, tied: bool, std: float) -> None:
        super().__init__()
        self.embedding = Embedding(n_features, width, n_slots, tied, std)
        self.readout = Linear(width, n_classes, bias=False)

    def reset(self, generator: Generator, code_norm: float) -> None:
        self.embedding.reset(generator, code_norm)
        nn.init.normal_(self.readout.weight, 0.0, self.embedding.std, generator=generator)

    def forward(self, table_UF: Tensor, index_BS: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        hidden_BD = torch.square(self.embedding(table_UF, index_BS).sum(dim=1))
        return self.readout(hidden_BD), hidden_BD
