"""Two layers and a square: the fastest known route to modular addition."""

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor, nn

from encoders._check import require_integer, require_number
from learners._nets.modules import Embedding, Linear, Network, Noise
from learners._torch import WIDTHS, TorchLearner


class Quadratic(TorchLearner):
    """A two-layer net with a quadratic activation and no bias, full batch.

    f(a, b) = W (E z(a) + E z(b))², z the codes of the slots; untied, each slot has an E of its own. Cosines of a and b
    in the hidden layer multiply to cosines of a + b, which is all that modular addition needs.

    Source: Gromov 2023, "Grokking modular arithmetic" (arXiv 2301.02679), where the solution is written down in closed
    form; tied operands and AdamW with strong decay are ours.

    :param width: hidden units D.
    :param tied: one embedding for all slots.
    :param init_scale: deviation of the entries of W, and of an embedded code, at the start. A small one is what makes
        it fast: 30 steps at 0.02, none in 60 at 0.5 (a + b mod 97, 50 % of unordered pairs).
    :raises ValueError: for a parameter out of range.

    >>> pairs = np.random.default_rng(0).permutation([[a, b] for a in range(31) for b in range(31)])
    >>> X, y = np.eye(31)[pairs].reshape(961, 62), pairs.sum(axis=1) % 31
    >>> Quadratic(slots=2, steps=100, random_state=0).fit(X[:480], y[:480]).score(X, y)
    1.0
    """

    version = 1
    starts = frozenset(["init_scale"])
    example: ClassVar = {"width": 32, "steps": 60, "random_state": 0}

    inapplicable_checks: ClassVar = {
        "check_classifiers_train": "without bias the net is an even function: it cannot tell a blob at x from one at −x"
    }

    def __init__(
        self,
        width: int = 256,
        tied: bool = True,
        init_scale: float = 0.02,
        *,
        loss: Literal["cross-entropy", "squared", "stablemax"] = "squared",
        optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adamw",
        lr: float = 0.03,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        momentum: float = 0.95,
        nesterov: bool = False,
        muon_rest_lr: float = 1e-3,
        muon_freeze: bool = False,
        weight_decay: float = 3.0,
        decay: Literal["decoupled", "coupled", "to-init"] | None = None,
        grokfast: Literal["none", "ema", "ma"] = "none",
        grokfast_alpha: float | None = None,
        grokfast_lamb: float | None = None,
        grokfast_window: int | None = None,
        orthograd: bool = False,
        gradient_noise: float = 0.0,
        weight_noise: float = 0.0,
        warmup: int = 10,
        schedule: Literal["constant", "cosine"] = "constant",
        decay_steps: int | None = None,
        batch_size: int | None = None,
        steps: int = 1000,
        slots: int = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.width = width
        self.tied = tied
        self.init_scale = init_scale
        super().__init__(
            loss=loss,
            optimizer=optimizer,
            lr=lr,
            betas=betas,
            eps=eps,
            momentum=momentum,
            nesterov=nesterov,
            muon_rest_lr=muon_rest_lr,
            muon_freeze=muon_freeze,
            weight_decay=weight_decay,
            decay=decay,
            grokfast=grokfast,
            grokfast_alpha=grokfast_alpha,
            grokfast_lamb=grokfast_lamb,
            grokfast_window=grokfast_window,
            orthograd=orthograd,
            gradient_noise=gradient_noise,
            weight_noise=weight_noise,
            warmup=warmup,
            schedule=schedule,
            decay_steps=decay_steps,
            batch_size=batch_size,
            steps=steps,
            slots=slots,
            random_state=random_state,
        )

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Width, step size, decay, scale of the start."""
        return {
            "width": trial.suggest_categorical("width", WIDTHS),
            "lr": trial.suggest_float("lr", 3e-3, 1e-1, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 0.1, 10.0, log=True),
            "init_scale": trial.suggest_float("init_scale", 0.003, 0.1, log=True),
        }

    def check_own(self) -> None:
        """At least one unit, a positive scale."""
        require_integer(self, "width")
        require_number(self, "init_scale", above=0)

    @property
    def has_hidden_matrices(self) -> bool:
        """Embedding and read-out are all."""
        return False

    def default_batch(self, n_train: int) -> int:
        """All."""
        return n_train

    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica."""
        return _Squares(n_slots, n_features, n_classes, self.width, self.tied, self.init_scale)


class _Squares(Network):
    frozen_by_muon = frozenset({"embedding.weight", "readout.weight"})

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
