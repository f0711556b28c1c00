"""One update and one look, as pure functions of stacked tensors, and what they ask of a learner.

A learner gives a module, a loss and an optimizer for one replica.
"""

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from learners._base import Learner
from learners._fleet.feed import ABSENT
from learners._fleet.group import SHARED, Tensors
from learners._kernels.noise import key
from learners._kernels.products import stacked
from learners._nets.modules import Network, Noise
from learners.optim import Context, Part, Transformation

SPARSITY_ROWS = 512
SILENT = 0.01


class FleetLearner(Learner):
    """A learner that can train as one replica of a fleet.

    The fleet trains the module, and hands the weights back: ``model_`` holds them by name, ``n_slots_`` the number of
    slots of the codes.
    """

    model_: dict[str, NDArray[np.float32]]
    n_slots_: int

    @property
    @abstractmethod
    def parts(self) -> Sequence[Part]:
        """The parts of its optimizer."""

    @abstractmethod
    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica, its weights not drawn yet."""

    @abstractmethod
    def example_losses(self, scores: Tensor, y: Tensor) -> Tensor:
        """The loss of each example, (…), from scores (…, C) and classes (…)."""

    @abstractmethod
    def transformation(self, network: Network) -> Transformation:
        """How gradients become updates."""

    @abstractmethod
    def hyper(self) -> dict[str, float]:
        """Numbers that may differ from replica to replica, by the names that transformations use."""

    @abstractmethod
    def start(self) -> tuple[Any, ...]:
        """What decides the first weights beside the seed and the structure."""

    @abstractmethod
    def seed(self) -> int:
        """One integer from which all randomness of a replica is derived."""

    @abstractmethod
    def resolved_batch(self, n_train: int) -> int:
        """Examples of one update."""

    @property
    @abstractmethod
    def noisy(self) -> bool:
        """Whether the module draws random numbers in training."""

    @property
    def short_batches(self) -> bool:
        """Whether an epoch ends with a batch of the rows that are left."""
        return False


@dataclass(frozen=True)
class Rule:
    """How replicas of one structure learn.

    :param learner: any of them; only what the structure decides is read from it.
    :param precision: "float32"; "tf32", where a GPU's products round what goes into them to 10 bits; or "bfloat16" for
        the forward and backward pass. Weights, updates and loss stay in float32, and so do the sums inside of products,
        norms and softmax.
    :param key: equal for rules that do the same.
    """

    learner: FleetLearner
    network: Network
    transformation: Transformation
    precision: str = "float32"
    key: tuple[Hashable, ...] = ()

    def update(self, tensors: dict[str, Tensors], rows_RB: Tensor, all_move: bool) -> tuple[Tensors, Tensors]:
        """New parameters and state of all rows after one update; nothing is changed in place."""
        params, hyper, clock, data = (tensors[kind] for kind in ("params", "hyper", "clock", "data"))
        here_RB = rows_RB != ABSENT if self.learner.short_batches else None
        rows_RB = rows_RB if here_RB is None else rows_RB.clamp_min(0)
        index_RBS, y_RB = _batch(data, rows_RB)
        context = Context(params, hyper, clock["step"], clock["seed"])
        seen = params
        if self.transformation.seen is not None:
            seen = self.transformation.seen(params, tensors["state"], context)
        table, table_dim = _table(data)
        weight = _weight(data, rows_RB, None if here_RB is None else here_RB.to(table.dtype))
        noise_key = key(clock["seed"], clock["step"], "forward")
        dims = (0, 0, table_dim, 0, 0, None if weight is None else 0, 0, 0)
        arguments = (seen, tensors["frozen"], table, index_RBS, y_RB, weight, noise_key, hyper["dropout"])
        with stacked(len(rows_RB)):
            grads, loss = vmap(grad_and_value(self._loss_of_one), in_dims=dims)(*arguments)
            updates, state = self.transformation.update(grads, tensors["state"], replace(context, loss=loss))
        moved = {name: w + updates[name] for name, w in params.items()}
        if all_move:
            return moved, state
        alive = clock["alive"]
        moved = {name: torch.where(_like(alive, w), moved[name], w) for name, w in params.items()}
        return moved, {name: torch.where(_like(alive, x), state[name], x) for name, x in tensors["state"].items()}

    def look(self, tensors: dict[str, Tensors], index_RNS: Tensor, lengths: Tensor, vital: bool) -> tuple[Tensor, ...]:
        """Scores (R, N, C), and where vital the norm of all weights and the share of silent hidden units, (R,) each.

        :param lengths: how many rows each replica has, (R,): those beyond are padding.
        """
        table, table_dim = _table(tensors["data"])

        def one(params: Tensors, frozen: Tensors, table: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            return self._forward(params, frozen, table, index, None)

        params = tensors["params"]
        scores, hidden = vmap(one, in_dims=(0, 0, table_dim, 0))(params, tensors["frozen"], table, index_RNS)
        return (scores, _norm(params), _silent(hidden[:, :SPARSITY_ROWS], lengths)) if vital else (scores,)

    def _forward(
        self, params: Tensors, frozen: Tensors, table: Tensor, index: Tensor, *more: Noise | Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Scores, in the precision of the weights, and hidden units of one replica."""
        exact = table.dtype
        if self.precision == "bfloat16":
            params, frozen = ({name: w.to(torch.bfloat16) for name, w in own.items()} for own in (params, frozen))
            table = table.to(torch.bfloat16)
        scores, hidden = functional_call(self.network, (params, frozen), (table, index, *more))
        return scores.to(exact), hidden

    def _loss_of_one(
        self,
        params: Tensors,
        frozen: Tensors,
        table: Tensor,
        index: Tensor,
        y: Tensor,
        weight: Tensor | None,
        noise_key: Tensor,
        dropout: Tensor,
    ) -> Tensor:
        noise = Noise(noise_key, dropout) if self.learner.noisy else None
        if self.network.local:
            return self._forward(params, frozen, table, index, noise, y, weight)[0]
        scores, _ = self._forward(params, frozen, table, index, noise)
        losses = self.learner.example_losses(scores, y)
        return losses.mean() if weight is None else (losses * weight).sum()


def _norm(params: Tensors) -> Tensor:
    """In double precision: finite exactly where all weights are."""
    squares = torch.stack([x.double().square().flatten(1).sum(1) for x in params.values()])
    return squares.sum(0).sqrt()


def _silent(hidden_RNH: Tensor, lengths: Tensor) -> Tensor:
    size = hidden_RNH.abs()
    share_RN = (size <= SILENT * size.amax(dim=-1, keepdim=True)).to(torch.float64).mean(dim=2)
    real_RN = torch.arange(share_RN.shape[1], device=lengths.device) < lengths.unsqueeze(1)
    return (share_RN * real_RN).sum(1) / real_RN.sum(1)


def _table(data: Tensors) -> tuple[Tensor, int | None]:
    return (data[SHARED], None) if SHARED in data else (data["table"], 0)


def _batch(data: Tensors, rows_RB: Tensor) -> tuple[Tensor, Tensor]:
    index = data["index"]
    picked = rows_RB.unsqueeze(-1).expand(-1, -1, index.shape[-1])
    return index.gather(1, picked), data["y"].gather(1, rows_RB)


def _weight(data: Tensors, rows_RB: Tensor, here_RB: Tensor | None) -> Tensor | None:
    """The factors of the losses whose sum is the loss of a batch, (R, B); None for a plain mean.

    :param here_RB: 1 for a row, 0 where a batch is filled up; None where none is.
    """
    of_place = data.get("weight")
    if here_RB is not None:
        real_RB = here_RB if of_place is None else here_RB * of_place
        of_place = real_RB / real_RB.sum(1, keepdim=True)
    if "row_weight" not in data:
        return of_place
    of_row = data["row_weight"].gather(1, rows_RB)
    return of_row / rows_RB.shape[1] if of_place is None else of_row * of_place


def _like(mask: Tensor, x: Tensor) -> Tensor:
    return mask.reshape(-1, *[1] * (x.ndim - 1))
