"""Multi-layer perceptrons in torch, with scikit-learn's shape as a preset."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Generator, Tensor, nn

from learners._hyperparameters import hyperparameter
from learners._kernels.products import product
from learners._nets.modules import ACTIVATIONS, Activation, Embedding, Linear, Network, Noise
from learners._torch import WIDTHS, TorchLearner
from learners.optim import Adam, AdamW


@dataclass(eq=False, repr=False)
class TorchMLP(TorchLearner):
    """A multi-layer perceptron over the codes of all slots side by side.

    h₀ = (z(a), z(b)), or with an embedding (E z(a), E z(b)); hₗ = φ(Wₗ hₗ₋₁ + bₗ); scores = W h_L + b. With adapters
    of rank r every hidden matrix stays fixed and a product B A is trained and added, W + s B A, A (r, in) drawn,
    B (out, r) zero at first.

    `TorchMLP.scikit` gives the shape, loss, start and optimizer of `learners.MLP`, so that both can be compared.

    Source: LoRA is Hu et al. 2021 (arXiv 2106.09685); the preset is scikit-learn's MLPRegressor.

    :param hidden_layer_sizes: width of each hidden layer.
    :param activation: φ: "relu", "gelu", "tanh", "quadratic" or "identity".
    :param init: "torch" (U(±1/√in)) or "glorot" (U(±√(6/(in + out))), as scikit-learn draws).
    :param lora_rank: r; 0 trains all weights.
    :param lora_scale: s > 0.
    :param dropout: probability of dropping a hidden activation, in [0, 1).
    :param embedding: D of an embedding E of the codes, one for all slots, drawn N(0, 1); 0 has none.
    :raises ValueError: for a parameter out of range.

    >>> import numpy as np
    >>> X, y = np.eye(4)[[0, 1, 2, 3] * 4], [0, 1, 1, 0] * 4
    >>> TorchMLP((16,), optimizer=AdamW(lr=0.01), steps=200, random_state=0).fit(X, y).score(X, y)
    1.0
    """

    version = 1
    later_parameters = TorchLearner.later_parameters | {"embedding"}
    example: ClassVar = {
        "hidden_layer_sizes": (32,),
        "optimizer": AdamW(lr=0.01, weight_decay=0.01),
        "steps": 20,
        "random_state": 0,
    }

    hidden_layer_sizes: tuple[int, ...] = (256, 256)
    activation: Activation = "relu"
    init: Literal["torch", "glorot"] = "torch"
    lora_rank: int = hyperparameter(0, at_least=0)
    lora_scale: float = hyperparameter(1.0, above=0)
    dropout: float = hyperparameter(0.0, at_least=0, below=1, role="replica")
    embedding: int = hyperparameter(0, at_least=0)

    @classmethod
    def scikit(cls, **changes: Any) -> Self:
        """The shape, start, loss and optimizer of `learners.MLP` with its defaults."""
        preset: dict[str, Any] = {
            "hidden_layer_sizes": (400, 200, 200, 200, 200, 200),
            "init": "glorot",
            "loss": "squared",
            "optimizer": Adam(betas=(0.9, 0.999), warmup=0),
            "batch_size": 200,
            "steps": 2400,
        }
        return cls(**(preset | changes))

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Shape, activation."""
        width = trial.suggest_categorical("width", WIDTHS)
        depth = trial.suggest_categorical("depth", [1, 2, 4, 6])
        return {
            "hidden_layer_sizes": (width,) * depth,
            "activation": trial.suggest_categorical("activation", ["relu", "gelu", "quadratic"]),
        }

    def check_own(self) -> None:
        """A scale of the adapters only where there are adapters."""
        self.require_effect("lora_scale", self.lora_rank > 0, "without lora_rank")

    @property
    def has_hidden_matrices(self) -> bool:
        """True with a second hidden layer, an embedding below the first, or adapters, whose factors are hidden."""
        deep = len(self.hidden_layer_sizes) > 1 or (self.embedding > 0 and len(self.hidden_layer_sizes) > 0)
        return deep or self.lora_rank > 0

    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica."""
        embedding = Embedding(n_features, self.embedding, n_slots) if self.embedding else None
        widths = [n_slots * (self.embedding or n_features), *self.hidden_layer_sizes, n_classes]
        return _Layers(widths, self.activation, self.init == "glorot", self.lora_rank, self.lora_scale, embedding)


class _Layers(Network):
    looks_up = True

    def __init__(
        self,
        widths: Sequence[int],
        activation: str,
        glorot: bool,
        rank: int,
        scale: float,
        embedding: Embedding | None,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        make = (
            (lambda i, o: _Adapted(i, o, glorot, rank, scale)) if rank else (lambda i, o: Linear(i, o, glorot=glorot))
        )
        pairs = list(pairwise(widths))
        self.hidden = nn.ModuleList([make(i, o) for i, o in pairs[:-1]])
        self.readout = Linear(*pairs[-1], glorot=glorot)
        self.activation = ACTIVATIONS[activation]
        first = "hidden.0.weight" if embedding is None else "embedding.weight"
        self.not_for_muon = frozenset({first, "readout.weight"})

    def embed(self, table_UF: Tensor, n_slots: int) -> Tensor | None:
        if self.embedding is not None:
            return super().embed(table_UF, n_slots)
        (n, width), first = table_UF.shape, [*self.hidden, self.readout][0]
        placed_SUSF = table_UF.new_zeros(n_slots, n, n_slots, width)
        for slot in range(n_slots):
            placed_SUSF[slot, :, slot] = table_UF
        x = placed_SUSF.flatten(2)
        return first(x) - first(torch.zeros_like(x))

    def reset(self, generator: Generator, code_norm: float) -> None:
        if self.embedding is not None:
            self.embedding.reset(generator, code_norm)
        for layer in (*self.hidden, self.readout):
            layer.reset(generator)

    def forward(self, table_UF: Tensor, index_BS: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        h_BSD = table_UF[index_BS] if self.embedding is None else self.embedding(table_UF, index_BS)
        h = h_BSD.flatten(1)
        for site, layer in enumerate(self.hidden):
            h = self.activation(layer(h))
            if noise is not None:
                h = noise.drop(h, site)
        return self.readout(h), h


class _Adapted(nn.Module):
    """A fixed matrix plus a trained product of low rank."""

    def __init__(self, width_in: int, width_out: int, glorot: bool, rank: int, scale: float) -> None:
        super().__init__()
        self.base = Linear(width_in, width_out, glorot=glorot).requires_grad_(False)
        self.scale = scale
        self.down = nn.Parameter(torch.empty(rank, width_in))
        self.up = nn.Parameter(torch.empty(width_out, rank))

    def reset(self, generator: Generator) -> None:
        """Draw the base and A; B is zero, so that the layer starts as the base."""
        self.base.reset(generator)
        nn.init.normal_(self.down, 0.0, self.down.shape[1] ** -0.5, generator=generator)
        nn.init.zeros_(self.up)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.scale * product(product(x, self.down), self.up)
