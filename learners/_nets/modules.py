"""Modules that torch learners are built from: ordinary modules of one replica, initialised by a given generator.

Their input is a table of codes and the index of a batch, as in `Codes`: an embedding is a linear map of the table. The
fleet supplies the replica axis.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from learners._kernels.noise import mix, uniform
from learners._kernels.products import gather, product, shift

Activation = Literal["relu", "gelu", "tanh", "quadratic", "identity"]
ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "quadratic": torch.square,
    "identity": lambda x: x,
}


@dataclass(frozen=True)
class Noise:
    """Randomness of one step of one replica.

    :param key: 32-bit key, a scalar.
    :param dropout: probability of dropping, a scalar.
    """

    key: Tensor
    dropout: Tensor

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Independent uniforms in (0, 1)."""
        return uniform(mix(self.key), shape)

    def drop(self, x: Tensor, site: int) -> Tensor:
        """Inverted dropout: x · [u > p] / (1 − p), u from the key, the site and the element."""
        kept = uniform(mix(self.key ^ (site + 1)), x.shape) > self.dropout
        return x * kept / (1 - self.dropout)


class Network(nn.Module, ABC):
    """A module of one replica: codes in, scores and hidden activations out."""

    not_for_muon: frozenset[str] = frozenset()
    """Matrices that Muon leaves to Adam: those of embedding and read-out."""
    local: bool = False
    """Whether layers have losses of their own: ``forward(table, index, noise, answers, weight)`` returns their sum."""
    looks_up: bool = False
    """Whether embeddings take the codes unchanged, so that one-hot codes may be looked up instead of multiplied."""
    rows_per_example: int = 1
    """Rows of hidden units that the scores of one example need; a look takes fewer examples at a time accordingly."""

    def set_onehot(self, onehot: bool) -> None:
        """Say whether the table of codes is the identity, so that embeddings need no product."""
        for module in self.modules():
            if isinstance(module, Embedding):
                module.onehot = onehot

    def embed(self, table_UF: Tensor, n_slots: int) -> Tensor | None:
        """The image of every code under the embedding, (S, U, D); None where there is none."""
        found = next((module for module in self.modules() if isinstance(module, Embedding)), None)
        return None if found is None else torch.stack([found.rows(table_UF, slot) for slot in range(n_slots)])

    @abstractmethod
    def reset(self, generator: Generator, code_norm: float) -> None:
        """Draw all weights.

        :param code_norm: root-mean-square norm of a row of the table: embeddings are drawn relative to it, so that
            encoders start equal.
        """

    @abstractmethod
    def forward(self, table_UF: Tensor, index_BS: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        """Scores (B, C) and the last hidden activations (B, H)."""


class Linear(nn.Module):
    """y = x Wᵀ + b, W (out, in), drawn U(±1/√in) as PyTorch does, or Glorot's U(±√(6/(in + out))), times a gain."""

    def __init__(
        self, width_in: int, width_out: int, bias: bool = True, glorot: bool = False, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.glorot, self.gain = glorot, gain
        self.weight = nn.Parameter(torch.empty(width_out, width_in))
        self.bias = nn.Parameter(torch.empty(width_out)) if bias else None

    def reset(self, generator: Generator) -> None:
        """Draw the weights, then the bias."""
        width_out, width_in = self.weight.shape
        bound = self.gain * (math.sqrt(6 / (width_in + width_out)) if self.glorot else 1 / math.sqrt(width_in))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        y = product(x, self.weight)
        return y if self.bias is None else shift(y, self.bias)


class Embedding(nn.Module):
    """A linear map of the table of codes, one for all slots or one a slot: (U, F), (B, S) → (B, S, D).

    e = z E, entries of E drawn N(0, σ²/ρ²), ρ the root-mean-square norm of a code: e then has entries of deviation σ.
    One-hot codes make it an ordinary embedding.

    :param tied: one map for all slots.
    :ivar onehot: the table is the identity, so that embedded codes are rows of E and no product is needed.
    """

    onehot: bool = False

    def __init__(self, n_features: int, width: int, n_slots: int, tied: bool = True, std: float = 1.0) -> None:
        super().__init__()
        self.std = std
        shape = (n_features, width) if tied else (n_slots, n_features, width)
        self.weight = nn.Parameter(torch.empty(shape))

    def reset(self, generator: Generator, code_norm: float) -> None:
        """Draw the map."""
        nn.init.normal_(self.weight, 0.0, self.std / code_norm, generator=generator)

    def rows(self, table_UF: Tensor, slot: int, index_B: Tensor | None = None) -> Tensor:
        """Embedded codes of one slot: all of them, (U, D), or those of a batch, (B, D).

        Multiply the table once and gather where it is smaller than the batch; otherwise gather first.
        """
        weight = self.weight if self.weight.ndim == 2 else self.weight[slot]
        if index_B is None:
            return self._embedded(table_UF, weight)
        if self.onehot or len(table_UF) <= len(index_B):
            return gather(self._embedded(table_UF, weight), index_B)
        return product(table_UF[index_B], weight.mT)

    def _embedded(self, table_UF: Tensor, weight_FD: Tensor) -> Tensor:
        return weight_FD if self.onehot else product(table_UF, weight_FD.mT)

    def forward(self, table_UF: Tensor, index_BS: Tensor) -> Tensor:
        """Embedded codes of all slots of a batch."""
        if self.weight.ndim == 2 and (self.onehot or len(table_UF) <= index_BS.numel()):
            return gather(self._embedded(table_UF, self.weight), index_BS)
        return torch.stack([self.rows(table_UF, s, index_BS[:, s]) for s in range(index_BS.shape[1])], dim=1)
