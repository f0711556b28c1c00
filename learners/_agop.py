"""Kernel machines with a metric, and the average gradient outer product (AGOP) of what they have learned.

Everything is batched over R replicas: rows X (R, N, D), outputs of C classes, a metric M (R, D, D), symmetric and
positive semi-definite. Numbers of a replica are (R, 1, 1).
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor


def quadratic_kernel(X: Tensor, Z: Tensor, M: Tensor, bandwidth: Tensor) -> Tensor:
    """(xᵀ M z)², (R, N, K) of rows x of X (R, N, D) and z of Z (R, K, D). The bandwidth is not used."""
    return (X @ M @ Z.mT).square_()


def gaussian_kernel(X: Tensor, Z: Tensor, M: Tensor, bandwidth: Tensor) -> Tensor:
    """exp(−(x − z)ᵀ M (x − z) / L), (R, N, K) of rows x of X (R, N, D) and z of Z (R, K, D)."""
    XM, ZM = X @ M, Z @ M
    distances = (XM @ Z.mT).mul_(-2)
    distances += (XM * X).sum(-1).unsqueeze(-1)
    distances += (ZM * Z).sum(-1).unsqueeze(-2)
    return distances.clamp_min_(0).div_(-bandwidth).exp_()


def solve(K: Tensor, Y: Tensor, ridge: Tensor) -> Tensor:
    """α = (K + ρ k I)⁻¹ Y, (R, N, C), with k the mean of K's diagonal. K is overwritten.

    Where K + ρ k I is not positive definite in this arithmetic, α is not a number.
    """
    diagonal = K.diagonal(dim1=-2, dim2=-1)
    scale = diagonal.mean(-1, keepdim=True)
    diagonal += ridge.squeeze(-1) * torch.where(scale > 0, scale, 1.0)
    factor, failed = torch.linalg.cholesky_ex(K)
    alpha = torch.cholesky_solve(Y, factor)
    return torch.where((failed != 0)[:, None, None], torch.nan, alpha)


def quadratic_agop(X: Tensor, alpha: Tensor, M: Tensor, bandwidth: Tensor) -> Tensor:
    """The average over rows x of X of Σ_c ∇f_c(x) ∇f_c(x)ᵀ, gradients centred, (R, D, D), for f = k(·, X) α.

    ∇f_c(x) = 2 M Σⱼ αⱼ_c (xᵀ M xⱼ) xⱼ. With S the covariance of the rows, which centring leaves, the average is
    4 M Xᵀ ((X M S M Xᵀ) ∘ (α αᵀ)) X M: no gradient is written out, which would be N·C·D numbers.
    """
    XM = X @ M
    W = XM @ _covariance(X) @ XM.mT
    W *= alpha @ alpha.mT
    return 4 * XM.mT @ W @ XM


def gaussian_agop(X: Tensor, alpha: Tensor, M: Tensor, bandwidth: Tensor) -> Tensor:
    """The average over rows x of X of Σ_c ∇f_c(x) ∇f_c(x)ᵀ, gradients centred, (R, D, D), for f = k(·, X) α.

    ∇f_c(x) = (2/L) M (Σⱼ αⱼ_c k(x, xⱼ) xⱼ − f_c(x) x). Multiplied out, the sum over c is a product of matrices of N
    rows: Xᵀ (K² ∘ α αᵀ) X − B − Bᵀ + Xᵀ diag(‖f(x)‖²) X with B = Xᵀ (K ∘ f αᵀ) X.
    """
    n = X.shape[-2]
    K = gaussian_kernel(X, X, M, bandwidth)
    f = K @ alpha
    inner = X.mT @ (K @ K).mul_(alpha @ alpha.mT) @ X
    cross = X.mT @ (f @ alpha.mT).mul_(K) @ X
    inner += X.mT @ (f.square().sum(-1, keepdim=True) * X) - cross - cross.mT
    mean_CD = (alpha * K.mean(-2).unsqueeze(-1)).mT @ X - f.mT @ X / n
    inner = inner / n - mean_CD.mT @ mean_CD
    return 4 / bandwidth**2 * (M @ inner @ M)


def _covariance(X: Tensor) -> Tensor:
    centred = X - X.mean(-2, keepdim=True)
    return centred.mT @ centred / X.shape[-2]


def metric_of(agop: Tensor, power: Tensor, before: Tensor) -> Tensor:
    """AGOPˢ scaled to trace D, the trace of the identity, (R, D, D).

    Where the AGOP is zero, as of a constant f, the metric stays what it was; where it is not finite, so is the metric.
    """
    finite = agop.isfinite().all(-1).all(-1)[:, None, None]
    values, vectors = torch.linalg.eigh(torch.where(finite, (agop + agop.mT) / 2, torch.eye(agop.shape[-1]).to(agop)))
    largest = values[:, -1:].clamp_min(0)
    shares = (values / torch.where(largest > 0, largest, 1.0)).clamp_min(0)  # a power of the largest could overflow
    powers = torch.where(shares > 0, shares ** power.squeeze(-1), 0.0)
    scaled = powers * (agop.shape[-1] / powers.sum(-1, keepdim=True))
    M = (vectors * scaled.unsqueeze(-2)) @ vectors.mT
    M = torch.where((largest > 0).unsqueeze(-1), (M + M.mT) / 2, before)
    return torch.where(finite, M, torch.nan)


Kernel = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

KERNELS: Final[dict[str, Kernel]] = {"quadratic": quadratic_kernel, "gaussian": gaussian_kernel}
AGOPS: Final[dict[str, Kernel]] = {"quadratic": quadratic_agop, "gaussian": gaussian_agop}


def operations(kernel: str, n: int, d: int, c: int) -> int:
    """Floating-point operations of one solve and one new metric, of N rows of D numbers and C classes.

    A product of an (a, b) and a (b, c) matrix takes 2abc, other arithmetic one for each number; Cholesky's factor N³/3,
    two triangular solves 2N²C; eigenvectors 9D³ (Golub and Van Loan), and 2D³ the metric made of them.
    """
    products = 2 * n * d * d + 2 * n * n * d  # X M Xᵀ
    solved = n**3 // 3 + 2 * n * n * c + 2 * n
    squared = 11 * d**3 + 2 * n * n * c + n * n  # the power of the AGOP; α αᵀ and a product with it, number by number
    if kernel == "quadratic":
        # XᵀX, X M once more, (X M) S, its product with X M, and W between X M and X M.
        return products + n * n + solved + squared + 8 * n * d * d + 4 * n * n * d
    distances = 5 * n * n + 2 * n * d * d + 4 * n * d
    # The kernel once more, f = K α, K², f αᵀ and two matrices between X and X, Xᵀ diag X, means, M between.
    more = 2 * n * n * c + 2 * n**3 + 2 * n * n * c + 2 * n * n + 4 * n * n * d + 6 * n * d * d + 4 * n * c * d
    return 2 * (products + distances) + solved + squared + more + 2 * c * d * d + 4 * d**3
