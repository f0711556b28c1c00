"""The module of forward-forward: each layer has a loss of its own, of the goodness of right and wrong labels."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from learners._kernels.products import gather, product
from learners._nets.modules import Embedding, Linear, Network, Noise

LARGEST = 1 << 23
"""Activations of one layer, over examples and labels, that are in memory together when all labels are scored."""
BELOW_ONE = 1 - 2.0**-24
EPSILON = 1e-6
"""Added to a mean square before its root, so that activations that are all zero stay zero."""


def threshold(good_B: Tensor, bad_BM: Tensor, theta: float) -> Tensor:
    """log(1 + exp(θ − g⁺)) + mean over negatives of log(1 + exp(g⁻ − θ)), (B,).

    Source: Hinton 2022, "The Forward-Forward Algorithm" (arXiv 2212.13345).
    """
    return F.softplus(theta - good_B) + F.softplus(bad_BM - theta).mean(1)


def symba(good_B: Tensor, bad_BM: Tensor, alpha: float) -> Tensor:
    """Mean over negatives of log(1 + exp(−α (g⁺ − g⁻))), (B,): only the difference counts.

    Source: Lee and Song 2023, "SymBa" (arXiv 2303.08418).
    """
    return F.softplus(-alpha * (good_B.unsqueeze(1) - bad_BM)).mean(1)


def softmax(good_B: Tensor, bad_BM: Tensor, alpha: float) -> Tensor:
    """−log(exp(α g⁺) / (exp(α g⁺) + Σ exp(α g⁻))), (B,): with all wrong labels the cross-entropy over labels.

    With one negative it is `symba`.
    """
    return -F.log_softmax(alpha * torch.cat([good_B.unsqueeze(1), bad_BM], dim=1), dim=1)[:, 0]


CONTRASTS: Final[dict[str, Callable[[Tensor, Tensor, float], Tensor]]] = {
    "threshold": threshold,
    "symba": symba,
    "softmax": softmax,
}
"""Losses of a layer, from the goodness of the right label (B,) and of M wrong ones (B, M)."""


def winners(x: Tensor, k: int) -> Tensor:
    """max(0, x) of the k largest along the last axis, zero elsewhere; values equal to the k-th are kept, too."""
    return F.relu(x) * (x >= x.topk(k, dim=-1).values[..., -1:])


class _Layer(nn.Module):
    """h = φ(W x + V c): a linear map of the input, plus a row for the label.

    :param below: W: an embedding of the slots, or a matrix.
    :param n_labels: rows of V; 0 for a layer that does not see the label.
    """

    def __init__(self, below: Embedding | Linear, n_labels: int, width: int, std: float) -> None:
        super().__init__()
        self.below, self.std = below, std
        self.labels = nn.Parameter(torch.empty(n_labels, width)) if n_labels else None

    def reset(self, generator: Generator, code_norm: float) -> None:
        """Draw the map, then the rows of the labels."""
        if isinstance(self.below, Embedding):
            self.below.reset(generator, code_norm)
        else:
            self.below.reset(generator)
        if self.labels is not None:
            nn.init.normal_(self.labels, 0.0, self.std, generator=generator)

    def label_rows(self, labels_BM: Tensor | None) -> Tensor | None:
        """V c of these labels, (B, M, D), or of all, (1, C, D)."""
        if self.labels is None:
            return None
        return self.labels.unsqueeze(0) if labels_BM is None else gather(self.labels, labels_BM)


class GoodnessNet(Network):
    """From codes to the summed goodness of every label, or, given answers, to the sum of the layers' losses.

    No gradient passes from a layer to the one below. `ForwardForward` documents the formulas and the arguments.
    """

    local = True

    def __init__(
        self,
        n_slots: int,
        n_features: int,
        n_classes: int,
        *,
        depth: int,
        width: int,
        tied: bool,
        labels_everywhere: bool,
        goodness: str,
        contrast: str,
        scale: float,
        negatives: str,
        n_negatives: int,
        sharpness: float,
        norm: str,
        peer_weight: float,
        activation: str,
        k: int | None,
        init_scale: float,
    ) -> None:
        super().__init__()
        self.n_classes, self.width = n_classes, width
        self.activation, self.k = activation, k
        self.measure, self.norm, self.peer_weight = goodness, norm, peer_weight
        self.contrast, self.scale, self.sharpness = CONTRASTS[contrast], scale, sharpness
        self.negatives, self.n_negatives = negatives, n_negatives
        self.expands = depth == 1 and activation == "quadratic" and goodness != "reconstruction"
        self.rows_per_example = 1 if self.expands else n_classes
        first = _Layer(Embedding(n_features, width, n_slots, tied, init_scale), n_classes, width, init_scale)
        own = n_classes if labels_everywhere else 0
        rest = [_Layer(Linear(width, width, bias=False), own, width, init_scale) for _ in range(depth - 1)]
        self.layers = nn.ModuleList([first, *rest])
        self.not_for_muon = frozenset({"layers.0.below.weight", *(f"layers.{i}.labels" for i in range(depth))})

    def reset(self, generator: Generator, code_norm: float) -> None:
        for layer in self.layers:
            layer.reset(generator, code_norm)

    def forward(
        self,
        table_UF: Tensor,
        index_BS: Tensor,
        noise: Noise | None = None,
        answers_B: Tensor | None = None,
        weight_B: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        if answers_B is not None:
            losses = self.layer_losses(table_UF, index_BS, noise, answers_B, weight_B)
            return torch.stack(losses).sum(), answers_B
        if self.expands:
            goodness = self._expanded(table_UF, index_BS)
            [(hidden, _)] = self._layers(table_UF, index_BS, goodness.argmax(dim=1, keepdim=True))
            return goodness, hidden.squeeze(1)
        rows = max(1, LARGEST // (self.n_classes * self.width))
        seen = [self._scored(table_UF, piece) for piece in index_BS.split(rows)]
        return torch.cat([goodness for goodness, _ in seen]), torch.cat([hidden for _, hidden in seen])

    def _scored(self, table_UF: Tensor, index_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Summed goodness of all labels, and the last layer's activations with the best label."""
        found = list(self._layers(table_UF, index_BS, None))
        goodness = torch.stack([good_BC for _, good_BC in found]).sum(0)
        return goodness, _of(found[-1][0], goodness.argmax(dim=1))

    # Learning

    def layer_losses(
        self,
        table_UF: Tensor,
        index_BS: Tensor,
        noise: Noise | None,
        answers_B: Tensor,
        weight_B: Tensor | None = None,
    ) -> list[Tensor]:
        """The loss of each layer: the mean over examples, or the weighted sum."""
        wrong_BM = self._wrong(table_UF, index_BS, noise, answers_B)
        labels_BM = torch.cat([answers_B.unsqueeze(1), wrong_BM], dim=1)

        def contrast(good_BM: Tensor) -> Tensor:
            losses = self.contrast(good_BM[:, 0], good_BM[:, 1:], self.scale)
            return losses.mean() if weight_B is None else (losses * weight_B).sum()

        everything = self.negatives == "all"
        if everything and self.expands:
            loss = contrast(self._expanded(table_UF, index_BS).gather(1, labels_BM))
            if self.norm == "peer":
                [(hidden, _)] = self._layers(table_UF, index_BS, answers_B.unsqueeze(1))
                loss = loss + self.peer_weight * _peers(hidden[:, 0], weight_B)
            return [loss]
        losses = []
        # With all labels at once no rows are picked for each example: the first layer adds two tables.
        for hidden, found in self._layers(table_UF, index_BS, None if everything else labels_BM):
            loss = contrast(found.gather(1, labels_BM) if everything else found)
            if self.norm == "peer":
                right_BD = _of(hidden, answers_B) if everything else hidden[:, 0]
                loss = loss + self.peer_weight * _peers(right_BD, weight_B)
            losses.append(loss)
        return losses

    def _wrong(self, table_UF: Tensor, index_BS: Tensor, noise: Noise | None, answers_B: Tensor) -> Tensor:
        """Wrong labels of each example, (B, M); where there is a single class, that class."""
        others = max(1, self.n_classes - 1)
        answers_B1 = answers_B.unsqueeze(1)
        if self.negatives == "all":
            return (answers_B1 + torch.arange(1, others + 1, device=answers_B.device)) % self.n_classes
        assert noise is not None
        if self.negatives == "random":
            u_BM = noise.uniform((len(answers_B), self.n_negatives))
            return (answers_B1 + 1 + (u_BM * others).long().clamp_max(others - 1)) % self.n_classes
        goodness, _ = self(table_UF, index_BS)
        u_BC = noise.uniform((len(answers_B), self.n_classes)).clamp_max(BELOW_ONE)
        gumbel_BC = -torch.log(-torch.log(u_BC))
        right_BC = torch.arange(self.n_classes, device=answers_B.device) == answers_B1
        drawn_BC = (self.sharpness * goodness.detach() + gumbel_BC).masked_fill(right_BC, -math.inf)
        return drawn_BC.topk(min(self.n_negatives, others), dim=1).indices

    # Layers

    def _expanded(self, table_UF: Tensor, index_BS: Tensor) -> Tensor:
        """Σ_d (u_d + v_cd)⁴ for all labels c, (B, C), as one product: u⁴ + (4u³, 6u², 4u)·(v, v², v³) + v⁴."""
        [first] = self.layers
        assert isinstance(first, _Layer)
        u_BD, v_CD = first.below(table_UF, index_BS).sum(dim=1), first.labels
        assert v_CD is not None
        u2_BD, v2_CD = u_BD.square(), v_CD.square()
        mixed_BC = product(
            torch.cat([4 * u_BD * u2_BD, 6 * u2_BD, 4 * u_BD], dim=1), torch.cat([v_CD, v2_CD, v_CD * v2_CD], dim=1)
        )
        total_BC = u2_BD.square().sum(1, keepdim=True) + mixed_BC + v2_CD.square().sum(1)
        return total_BC / u_BD.shape[1] if self.measure == "mean" else total_BC

    def _layers(self, table_UF: Tensor, index_BS: Tensor, labels_BM: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Activations (B, M, D) and goodness (B, M) of each layer, for these labels or for all."""
        below: Tensor | None = None
        for layer in self.layers:
            if below is None:
                fed = layer.below(table_UF, index_BS).sum(dim=1).unsqueeze(1)
            else:
                below = self._normalised(below.detach())
                fed = product(below, layer.below.weight)
            rows = layer.label_rows(labels_BM)
            hidden = self._active(fed if rows is None else fed + rows)
            if self.measure == "reconstruction":
                good = 1 - self._error(layer, hidden, below, table_UF, index_BS, labels_BM)
            else:
                good = hidden.square().mean(-1) if self.measure == "mean" else hidden.square().sum(-1)
            yield hidden, good
            below = hidden

    def _active(self, x: Tensor) -> Tensor:
        if self.activation == "k-wta":
            assert self.k is not None
            return winners(x, self.k)
        return F.relu(x) if self.activation == "relu" else x.square()

    def _normalised(self, h: Tensor) -> Tensor:
        if self.norm == "none":
            return h
        if self.norm == "layer":
            h = h - h.mean(-1, keepdim=True)
        return h * torch.rsqrt(h.square().mean(-1, keepdim=True) + EPSILON)

    def _error(
        self,
        layer: _Layer,
        hidden_BMD: Tensor,
        below: Tensor | None,
        table_UF: Tensor,
        index_BS: Tensor,
        labels_BM: Tensor | None,
    ) -> Tensor:
        """‖x − Wᵀ h‖² / ‖x‖² of the layer's input, codes and label, (B, M): 1 where nothing is reconstructed."""
        errors: list[Tensor] = []
        given: list[Tensor] = []
        if below is None:
            weight = layer.below.weight
            assert isinstance(weight, Tensor)
            for slot in range(index_BS.shape[1]):
                back = product(hidden_BMD, weight if weight.ndim == 2 else weight[slot])
                given.append(table_UF[index_BS[:, slot]].unsqueeze(1))
                errors.append(given[-1] - back)
        else:
            given.append(below)
            errors.append(below - product(hidden_BMD, layer.below.weight.mT))
        if layer.labels is not None:
            classes = torch.arange(self.n_classes, device=hidden_BMD.device)
            label = classes.unsqueeze(0) if labels_BM is None else labels_BM
            onehot = (label.unsqueeze(-1) == classes).to(hidden_BMD.dtype)
            given.append(onehot)
            errors.append(onehot - product(hidden_BMD, layer.labels))
        return _square(errors) / (_square(given) + EPSILON)


def _of(hidden_BCD: Tensor, labels_B: Tensor) -> Tensor:
    """Activations with one label for each example, (B, D)."""
    picked_B1D = labels_B.reshape(-1, 1, 1).expand(-1, 1, hidden_BCD.shape[-1])
    return hidden_BCD.take_along_dim(picked_B1D, dim=1).squeeze(1)


def _square(parts: Sequence[Tensor]) -> Tensor:
    """Squared length of vectors that are given in parts."""
    total = sum(part.square().sum(-1) for part in parts)
    assert isinstance(total, Tensor)
    return total


def _peers(hidden_BD: Tensor, weight_B: Tensor | None) -> Tensor:
    """Mean square deviation of the units' mean activations from their common mean: it evens them out.

    Source: Hinton 2022, "peer normalization", with the batch's own means in place of running ones.
    """
    means_D = hidden_BD.mean(0) if weight_B is None else (hidden_BD * weight_B.unsqueeze(1)).sum(0)
    return (means_D - means_D.mean()).square().mean()
