"""Muon: momentum, made orthogonal."""

import torch
from torch import Tensor

from learners._kernels.products import matmul
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
TINY = 1e-7


def newton_schulz(G: Tensor) -> Tensor:
    """Nearly the orthogonal factor U Vᵀ of G = U S Vᵀ, for the last two axes.

    X ← G / ‖G‖_F, then five times X ← a X + (b A + c A²) X with A = X Xᵀ. Singular values end between about 0.7 and
    1.2: the coefficients trade exactness for speed at zero.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    a, b, c = COEFFICIENTS
    tall = G.shape[-2] > G.shape[-1]
    X = G.mT if tall else G
    X = X / (X.norm(dim=(-2, -1), keepdim=True).clamp_min(TINY))
    for _ in range(ITERATIONS):
        A = matmul(X, X.mT)
        X = a * X + matmul(b * A + c * matmul(A, A), X)
    return X.mT if tall else X


def muon() -> Transformation:
    """Move every matrix by the orthogonal factor of its momentum, with Nesterov's look ahead.

    b ← μ b + (1 − μ) g; u = √max(1, rows/columns) · NS(μ b + (1 − μ) g).

    NOTE: Newton–Schulz runs in the precision of the weights, not in bfloat16.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale is the original's.
    Hyperparameter: ``momentum``. For matrices (R, rows, columns) only: combine by `where_matrix`.
    """

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        updates, after = {}, {}
        for name, g in grads.items():
            mu = per_replica(context.hyper["momentum"], g)
            b = torch.lerp(g, state[f"b.{name}"], mu)
            scale = max(1.0, g.shape[-2] / g.shape[-1]) ** 0.5
            updates[name] = scale * newton_schulz(torch.lerp(g, b, mu))
            after[f"b.{name}"] = b
        return updates, after

    return Transformation(lambda params: zeros_like(params, "b."), update)
