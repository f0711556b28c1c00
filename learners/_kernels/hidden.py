"""A hidden layer of rectified units, fused into its matrix products to save passes over memory.

For h = max(0, x Uᵀ + b), y = h Vᵀ, a step on a GPU reads and writes the large h (rows × hidden units) five times
outside of its products: for the rectifier, for its gradient, and for the gradient of the bias. Here the products add,
rectify, mask and sum their results in registers, before they are written.

- ``mod97::rectified``: max(0, x Uᵀ + b).
- ``mod97::masked``: (g V) · [h > 0] and, on request, its sums over the rows of each tile.
"""

import functools
from typing import Any

import torch
from torch import Tensor

from learners._kernels.products import Gradient, define, many

try:
    import triton
    import triton.language as tl
except ImportError:  # builds of PyTorch for a CPU have no Triton
    triton = None

TILE = (128, 128, 64)
"""Rows, columns and summands of a tile, the fastest of 7 shapes (one H100)."""
SMALLEST = 16
"""The smallest side of a matrix that Triton multiplies."""

if triton is not None:

    @triton.jit
    def _kernel(  # type: ignore[no-untyped-def]
        a_ptr, b_ptr, c_ptr, bias_ptr, mask_ptr, sums_ptr,
        rows, columns, inner: tl.constexpr,
        a_replica, a_row, a_inner,
        b_replica, b_inner, b_column,
        c_replica, c_row,
        RECTIFY: tl.constexpr, BIAS: tl.constexpr, SUMS: tl.constexpr,
        ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr,
    ):  # fmt: skip
        """C = A B for one tile of one replica, and what follows: max(0, C + bias), or C · [mask > 0] with its sums."""
        replica, across = tl.program_id(1).to(tl.int64), tl.cdiv(columns, COLUMNS)
        tile_row, tile_column = tl.program_id(0) // across, tl.program_id(0) % across
        m = tile_row * ROWS + tl.arange(0, ROWS)
        n = tile_column * COLUMNS + tl.arange(0, COLUMNS)
        k = tl.arange(0, INNER)
        # Rows and columns beyond the last wrap around to the first ones; their results are not written.
        a = a_ptr + replica * a_replica + (m % rows)[:, None] * a_row + k[None, :] * a_inner
        b = b_ptr + replica * b_replica + k[:, None] * b_inner + (n % columns)[None, :] * b_column
        total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
        for first in range(0, inner, INNER):
            if inner % INNER == 0:
                left, right = tl.load(a), tl.load(b)
            else:
                left = tl.load(a, mask=k[None, :] < inner - first, other=0.0)
                right = tl.load(b, mask=k[:, None] < inner - first, other=0.0)
            total = tl.dot(left, right, total)
            a += INNER * a_inner
            b += INNER * b_inner
        here = (m < rows)[:, None] & (n < columns)[None, :]
        place = replica * c_replica + m[:, None] * c_row + n[None, :]
        if BIAS:
            total += tl.load(bias_ptr + replica * columns + n, mask=n < columns, other=0.0).to(tl.float32)[None, :]
        if RECTIFY:
            total = tl.where(total < 0.0, 0.0, total)  # NaN stays NaN
        else:
            total = tl.where(tl.load(mask_ptr + place, mask=here, other=0.0) > 0, total, 0.0)
        if SUMS:
            row = replica * tl.cdiv(rows, ROWS) + tile_row
            tl.store(sums_ptr + row * columns + n, tl.sum(total, axis=0), mask=n < columns)
        tl.store(c_ptr + place, total.to(c_ptr.dtype.element_ty), mask=here)


def _run(
    a_RMK: Tensor, b_RKN: Tensor, bias: Tensor | None = None, mask: Tensor | None = None, sums: bool = False
) -> tuple[Tensor, Tensor]:
    (replicas, rows, inner), columns = a_RMK.shape, b_RKN.shape[2]
    tile_rows, tile_columns, tile_inner = TILE
    down, across = -(-rows // tile_rows), -(-columns // tile_columns)
    made = a_RMK.new_empty((replicas, rows, columns))
    summed = a_RMK.new_empty((replicas, down if sums else 0, columns), dtype=torch.float32)
    _kernel[(down * across, replicas)](
        a_RMK, b_RKN, made, made if bias is None else bias, made if mask is None else mask, summed,
        rows, columns, inner,
        *a_RMK.stride(), *b_RKN.stride(), made.stride(0), made.stride(1),
        mask is None, bias is not None, sums, tile_rows, tile_columns, tile_inner,
        num_warps=4, num_stages=3,
    )  # fmt: skip
    return made, summed


def _rectified(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """(R, N, K), (R, H, K), (R, H) → (R, N, H)."""
    return _run(x, w.mT, None if b is None else b.contiguous())[0]


def _masked(grad: Tensor, w: Tensor, hidden: Tensor, sums: bool) -> tuple[Tensor, Tensor]:
    """(R, N, D), (R, D, H), (R, N, H) → (R, N, H), and sums over tiles of rows, (R, T, H)."""
    return _run(grad, w, mask=hidden.contiguous(), sums=sums)


def _plainly_rectified(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    return torch.relu(x @ w.mT if b is None else x @ w.mT + b.unsqueeze(-2))


def _plainly_masked(grad: Tensor, w: Tensor, hidden: Tensor, sums: bool) -> tuple[Tensor, Tensor]:
    made = torch.where(hidden > 0, grad @ w, 0)
    tiles = made.split(TILE[0], dim=-2) if sums else ()
    none = made.new_empty((*made.shape[:-2], 0, made.shape[-1]), dtype=torch.float32)
    return made, torch.stack([tile.sum(-2, dtype=torch.float32) for tile in tiles], dim=-2) if tiles else none


def _masked_shapes(grad: Tensor, w: Tensor, hidden: Tensor, sums: bool) -> tuple[Tensor, Tensor]:
    tiles = -(-grad.shape[-2] // TILE[0]) if sums else 0
    return grad.new_empty(hidden.shape), grad.new_empty((*grad.shape[:-2], tiles, w.shape[-1]), dtype=torch.float32)


define(
    "rectified(Tensor x, Tensor w, Tensor? b) -> Tensor",
    lambda x, w, b: x.new_empty(*x.shape[:-1], w.shape[-2]),
    CUDA=_rectified,
    CPU=_plainly_rectified,
)
define(
    "masked(Tensor grad, Tensor w, Tensor hidden, bool sums) -> (Tensor, Tensor)",
    _masked_shapes,
    CUDA=_masked,
    CPU=_plainly_masked,
)


class _HiddenLayer(Gradient):
    """x (N, D), U (H, D), V (D, H), b (H,) or nothing → h Vᵀ (N, D), and h (N, H), which has no gradient."""

    @staticmethod
    def forward(x: Tensor, up: Tensor, down: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        hidden = torch.ops.mod97.rectified(x, up, bias)
        return hidden @ down.mT, hidden

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, up, down, bias = inputs
        ctx.biased = bias is not None
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, up, down, output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Any:
        x, up, down, hidden = ctx.saved_tensors
        behind, sums = torch.ops.mod97.masked(grad, down, hidden, ctx.biased)
        for_bias = sums.sum(0).to(x.dtype) if ctx.biased else None
        return behind @ up, behind.mT @ x, grad.mT @ hidden, for_bias


@functools.cache
def _capable(device: torch.device) -> bool:
    """Whether the GPU is of the generation that the tiles were chosen for, or later."""
    return triton is not None and torch.version.hip is None and torch.cuda.get_device_capability(device) >= (9, 0)


def fits(x: Tensor, width: int) -> bool:
    """Whether the fused layer is faster for such inputs: on a GPU whose time goes to memory, in bfloat16."""
    return x.dtype is torch.bfloat16 and many(x) and min(x.shape[-1], width) >= SMALLEST and _capable(x.device)


def hidden_layer(x_ND: Tensor, up_HD: Tensor, down_DH: Tensor, bias_H: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """h Vᵀ and h = max(0, x Uᵀ + b). Gradients flow through the first result only.

    :param x_ND: inputs.
    :param up_HD: U.
    :param down_DH: V, for any number of outputs.
    :param bias_H: b, or none.
    """
    return _HiddenLayer.apply(x_ND, up_HD, down_DH, bias_H)
