"""A Kolmogorov-Arnold network: a learned function of one variable on every edge."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from learners._hyperparameters import hyperparameter
from learners._kernels.products import Gradient, gather, product
from learners._nets.modules import Embedding, Linear, Network, Noise
from learners._torch import TorchLearner
from learners.optim import AdamW, Part

COEFFICIENT: Final = 0.1
"""Standard deviation of the spline of an edge's coefficients at the start, times √in."""


@dataclass(eq=False, repr=False)
class KAN(TorchLearner):
    """A Kolmogorov-Arnold network with B-splines over the embedded codes of all slots side by side.

    h₀ = (E z(a), E z(b)); hₗ,ⱼ = Σᵢ φₗ,ⱼᵢ(hₗ₋₁,ᵢ), and the scores are the last of these sums. Every edge has a function
    of its own, φ(x) = w silu(x) + Σₘ cₘ Bₘ(x), with the G + k B-splines of order k on G equal intervals of [−1, 1].
    Outside, the splines fall to zero within k more intervals; from there on only the silu branch acts.

    The first layer is a sum over slots of functions of one code each, so it is computed once for each distinct code.

    NOTE: The knots are fixed: the paper moves them to where activations are, and refines them in training. A spline has
    no factor of its own, which the paper's wₛ is beside cₘ. Of the comparison with an MLP by can-kan-grok (p = 113,
    five seeds: 693 ± 54 epochs against 1,360 ± 1,800 for addition) these are known: the operations, and the package
    that its layers are from (efficient-kan, whose defaults are this grid, order, range and silu). How it embeds
    operands, widths, decay, the split and the accuracy that counts as grokked are not; those here are this project's.

    Source: Liu et al. 2024, "KAN: Kolmogorov-Arnold Networks" (arXiv 2404.19756), with the basis as a matrix product.

    :param hidden_layer_sizes: width of each hidden layer.
    :param width: D, of the embedding E of one slot.
    :param tied: one embedding for all slots.
    :param grid: G, intervals of the grid.
    :param order: k, degree of the polynomials between knots.
    :param init_scale: standard deviation of the entries of an embedded code at the start, where the grid ends at 1.
    :raises ValueError: for a parameter out of range.

    >>> import numpy as np
    >>> X, y = np.eye(4)[[0, 1, 2, 3] * 4], [0, 1, 1, 0] * 4
    >>> KAN((8,), width=8, steps=100, random_state=0).fit(X, y).score(X, y)
    1.0
    """

    version = 1
    example: ClassVar = {"hidden_layer_sizes": (8,), "width": 8, "grid": 3, "steps": 20, "random_state": 0}

    hidden_layer_sizes: tuple[int, ...] = (64,)
    width: int = 32
    tied: bool = True
    grid: int = 5
    order: int = 3
    init_scale: float = hyperparameter(0.5, above=0, role="start")

    @classmethod
    def default_optimizer(cls) -> list[Part]:
        """AdamW with large steps and decay."""
        return [AdamW(lr=0.01, weight_decay=1.0)]

    def default_batch(self, n_train: int) -> int:
        """All training rows."""
        return n_train

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Shape, intervals of the grid, scale of the start."""
        width = trial.suggest_categorical("width", (32, 64, 128))
        depth = trial.suggest_categorical("depth", [1, 2])
        return {
            "hidden_layer_sizes": (width,) * depth,
            "grid": trial.suggest_categorical("grid", [3, 5, 10]),
            "init_scale": trial.suggest_float("init_scale", 0.05, 1.0, log=True),
        }

    @property
    def has_hidden_matrices(self) -> bool:
        """True with a hidden layer: the last layer is the read-out."""
        return len(self.hidden_layer_sizes) > 0

    def network(self, n_slots: int, n_features: int, n_classes: int) -> Network:
        """The module of one replica."""
        embedding = Embedding(n_features, self.width, n_slots, self.tied, self.init_scale)
        widths = [n_slots * self.width, *self.hidden_layer_sizes, n_classes]
        return _Layers(embedding, widths, self.grid, self.order)


def splines(x: Tensor, grid: int, order: int) -> Tensor:
    """The B-splines of order k on G equal intervals of [−1, 1], (…) → (…, G + k), in float32 at least.

    By Cox and de Boor's recursion, with knots tᵢ = −1 + (i − k) h, i = 0 … G + 2k, h = 2/G:

    Bᵢ,₀(x) = [tᵢ ≤ x < tᵢ₊₁], Bᵢ,ₖ(x) = ((x − tᵢ) Bᵢ,ₖ₋₁(x) + (tᵢ₊ₖ₊₁ − x) Bᵢ₊₁,ₖ₋₁(x)) / (k h)

    They sum to 1 on [−1, 1], and are 0 from k h beyond it.

    Source: de Boor 1978, "A Practical Guide to Splines", chapter IX.
    """
    return _raised(_intervals(x, grid, order), 0, order)


def _intervals(x: Tensor, grid: int, order: int) -> Tensor:
    """(x − tᵢ) / h for all knots but the last, (…, G + 2k)."""
    exact = torch.promote_types(x.dtype, torch.float32)  # numbers of 8 bits do not tell places in an interval apart
    knots = torch.arange(grid + 2 * order, device=x.device, dtype=exact)
    return (x.to(exact).unsqueeze(-1) + 1) * (grid / 2) + order - knots


def _raised(v: Tensor, less: int, order: int) -> Tensor:
    """B-splines of order k − ``less`` on the knots of order k, from v = (x − tᵢ) / h: (…, G + k + ``less``)."""
    basis = ((v >= 0) & (v < 1)).to(v.dtype)
    for k in range(1, order - less + 1):
        u = v[..., :-k]
        basis = (u * basis[..., :-1] + (k + 1 - u) * basis[..., 1:]) / k
    return basis


class _Basis(Gradient):
    """`splines` with B′ᵢ,ₖ = (Bᵢ,ₖ₋₁ − Bᵢ₊₁,ₖ₋₁) / h, which needs x alone and not all that the recursion passed."""

    @staticmethod
    def forward(x: Tensor, grid: int, order: int) -> Tensor:
        return splines(x, grid, order).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.grid, ctx.order = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        [x] = ctx.saved_tensors
        lower = _raised(_intervals(x, ctx.grid, ctx.order), 1, ctx.order)
        slopes = (lower[..., :-1] - lower[..., 1:]) * (ctx.grid / 2)
        return (slopes * grad).sum(-1).to(x.dtype), None, None


class _Edges(nn.Module):
    """φⱼᵢ of all edges of a layer, summed over i: the basis of all inputs times all coefficients, one product."""

    def __init__(self, width_in: int, width_out: int, grid: int, order: int) -> None:
        super().__init__()
        self.grid, self.order = grid, order
        self.base = Linear(width_in, width_out, bias=False)
        self.spline = Linear(width_in * (grid + order), width_out, bias=False)

    def reset(self, generator: Generator) -> None:
        """Draw w as any linear map, c from N(0, 0.1²/in)."""
        self.base.reset(generator)
        std = COEFFICIENT * self.base.weight.shape[1] ** -0.5
        nn.init.normal_(self.spline.weight, 0.0, std, generator=generator)

    def forward(self, x: Tensor, part: int = 0, parts: int = 1) -> Tensor:
        """(B, in / parts) → (B, out), from the edges of one of equal parts of the inputs."""
        base, spline = (linear.weight.chunk(parts, dim=1)[part] for linear in (self.base, self.spline))
        basis = _Basis.apply(x, self.grid, self.order).flatten(-2)
        return product(F.silu(x), base) + product(basis, spline)


class _Layers(Network):
    looks_up = True

    def __init__(self, embedding: Embedding, widths: Sequence[int], grid: int, order: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = nn.ModuleList([_Edges(i, o, grid, order) for i, o in pairwise(widths)])
        last = f"layers.{len(self.layers) - 1}"
        self.not_for_muon = frozenset({"embedding.weight", f"{last}.base.weight", f"{last}.spline.weight"})

    def reset(self, generator: Generator, code_norm: float) -> None:
        self.embedding.reset(generator, code_norm)
        for layer in self.layers:
            layer.reset(generator)

    def forward(self, table_UF: Tensor, index_BS: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        first, *others = self.layers
        slots = index_BS.shape[1]
        if len(table_UF) <= len(index_BS):
            parts = [first(self.embedding.rows(table_UF, s), s, slots) for s in range(slots)]
            parts = [gather(part, index_BS[:, s]) for s, part in enumerate(parts)]
        else:
            parts = [first(self.embedding.rows(table_UF, s, index_BS[:, s]), s, slots) for s in range(slots)]
        h = hidden = sum(parts[1:], start=parts[0])
        for layer in others:
            hidden, h = h, layer(h)
        return h, hidden
