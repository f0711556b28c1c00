"""Shampoo: gradients whitened from both sides, with the length of Adam's step.

Shampoo rather than SOAP, whose rotating basis needs a QR decomposition in every step: roots of matrices can be had by
products alone, which a captured program does without waiting for the host.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from learners._hyperparameters import hyperparameter
from learners._kernels.products import matmul
from learners.optim._core import Context, Gradients, State, Transformation, per_replica, where
from learners.optim._moments import OfMoments, scale_by_adam

LARGEST = 1024
"""Rows or columns up to which a matrix is whitened; larger ones follow Adam."""
ITERATIONS = 20
TINY = 1e-30
FLOOR = 1e-17
"""Keeps entries that converge to zero, and their products, above denormal float32 numbers, with which a CPU computes
ten to a hundred times more slowly."""


def inverse_fourth_root(A: Tensor, ridge: Tensor) -> Tensor:
    """(A + δ ‖A‖_F I)^(−1/4) of symmetric matrices without negative eigenvalues, (N, d, d), up to a positive factor.

    M₀ = z (A + δ ‖A‖_F I), z = 5/2 / ‖·‖_F, X₀ = I; then T = (5 I − M) / 4, X ← X T, M ← T⁴ M, until M = I. Every
    iteration lifts small eigenvalues of M by a factor of up to (5/4)⁴ = 2.44, so that 20 suffice for all δ ≥ 10⁻⁶.

    Relative errors in Frobenius norm, measured for d = 97 and 256 and spectra from two to eight decades wide or half
    zero: in float32 up to 3·10⁻⁵, 3·10⁻⁴ and 3·10⁻³ for δ = 10⁻⁴, 10⁻⁵ and 10⁻⁶, in float64 up to 10⁻⁸.

    Source: Guo and Higham 2006, "A Schur–Newton Method for the Matrix pth Root and its Inverse"; Anil et al. 2020,
    "Scalable Second Order Optimization for Deep Learning" (arXiv 2002.09018).

    :param ridge: δ ≥ 10⁻⁶, (N,).
    """
    eye = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device).expand_as(A)
    size = A.norm(dim=(-2, -1), keepdim=True).clamp_min(TINY)
    M = A / size + per_replica(ridge, A) * eye
    M = 2.5 * M / M.norm(dim=(-2, -1), keepdim=True)
    X = eye
    for _ in range(ITERATIONS):
        T = 1.25 * eye - 0.25 * M
        X = matmul(X, T)
        square = matmul(T, T)
        M = matmul(matmul(square, square), M) + FLOOR
    return X


def _whitened(m: Tensor, L: Tensor, R: Tensor, ridge: Tensor) -> Tensor:
    """L^(−1/4) m R^(−1/4) up to a positive factor, (N, rows, columns)."""
    return matmul(matmul(inverse_fourth_root(L, ridge), m), inverse_fourth_root(R, ridge))


def scale_by_shampoo() -> Transformation:
    """The direction of matrices up to `LARGEST`. Hyperparameters: ``beta1``, ``beta2``, ``eps``, ``ridge``."""
    adam = scale_by_adam()

    def init(params: Gradients) -> State:
        state = adam.init(params)
        for name, x in params.items():
            for side, size in zip("LR", x.shape[-2:], strict=True):
                state[f"{side}.{name}"] = x.new_zeros((*x.shape[:-2], size, size))
        return state

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        graft, after = adam.update(grads, state, context)
        updates = {}
        for name, g in grads.items():
            beta2, flat = per_replica(context.hyper["beta2"], g), g.reshape(-1, *g.shape[-2:])
            for side, G in (("L", flat), ("R", flat.mT)):
                before = state[f"{side}.{name}"]
                after[f"{side}.{name}"] = torch.lerp(matmul(G, G.mT).reshape(before.shape), before, beta2)
            L, R, m = (after[f"{kind}.{name}"].flatten(0, -3) for kind in "LRm")
            ridge = per_replica(context.hyper["ridge"], g).expand(*g.shape[:-2], 1, 1).flatten()
            P = _whitened(m, L, R, ridge).reshape(g.shape)
            length, own = (x.flatten(1).norm(dim=1) for x in (graft[name], P))
            updates[name] = per_replica(length / own.clamp_min(TINY), g) * P
        return updates, after

    return Transformation(init, update)


@dataclass(kw_only=True, eq=False, repr=False)
class Shampoo(OfMoments):
    """Whitens the momentum of each matrix from both sides, and takes a step as long as Adam's.

    L ← β₂ L + (1 − β₂) G Gᵀ, R ← β₂ R + (1 − β₂) Gᵀ G, m ← β₁ m + (1 − β₁) G; P = (L + δ ‖L‖_F I)^(−1/4) m (R + δ ‖R‖_F
    I)^(−1/4); u = P ‖a‖_F / ‖P‖_F, a the step of `learners.optim.AdamW`, whose moments have the same β₁, β₂;
    w ← w − η (u + λ w). Vectors, and matrices with more than 1,024 rows or columns, follow a.

    With β₂ = 0 and no momentum, P is U Vᵀ, as in `learners.optim.EGD`.

    NOTE: L and R are running means, where the source has sums, and the length is Adam's: both are those of Anil et al.
    2020 and Shi et al. 2023 (arXiv 2309.06497). Roots are computed in every step, which on a CPU takes ten to twenty
    times as long as a step of AdamW (`learners.Quadratic` of width 128, a + b mod 31). With the precision "tf32" the
    roots are as rough as its products.

    Source: Gupta et al. 2018, "Shampoo: Preconditioned Stochastic Tensor Optimization" (arXiv 1802.09568).

    :param ridge: δ ≥ 10⁻⁶.
    :param decay: "decoupled" or "to-init".
    """

    ridge: float = hyperparameter(1e-5, at_least=1e-6, role="replica")
    decay: Literal["decoupled", "to-init"] = "decoupled"

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Step size, decay, β₂, δ."""
        return super().suggest(trial) | {"ridge": trial.suggest_float("ridge", 1e-6, 1e-2, log=True)}

    def direction(self) -> Transformation:
        """Whitened matrices, Adam for all else."""

        def small(name: str, x: Tensor) -> bool:
            return x.ndim >= 3 and max(x.shape[-2:]) <= LARGEST

        return where(small, scale_by_shampoo(), scale_by_adam())
