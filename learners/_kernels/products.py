"""Products, gathers and scatters of stacked replicas, by kernels that are fast on a CPU.

They are operators of their own, which tracing and compiling leave as they are:

- ``mod97::product``: x wᵀ of float32 matrices by oneDNN, a stack of them one after another. PyTorch calls MKL for them,
  which reaches half of that on processors that are not Intel's (a core of an AMD EPYC: 107 against 230 GFLOP/s).
- ``mod97::settled``: a copy in memory. It makes a compiled program compute a number of each replica, such as β₁ᵗ, once,
  instead of again for each weight that the number scales.
- ``mod97::rows`` and ``mod97::rows_gradient``: rows of a table by an index, and the gradient of that. PyTorch's general
  indexing adds gradients by atomics on several threads: 3.4 ms where `index_add` takes 0.1 (4,752 × 256 into 97 rows).
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from learners._torch_internals import onednn_linear

ONEDNN_LINEAR = onednn_linear()
LARGEST_TABLE = 512
"""Rows of a table up to which its gradient on a GPU is a product; for larger tables nearly all factors are zero."""

MANY = {"cuda": 16}
"""Replicas from which on the time on a GPU goes to memory; with fewer it goes to launching kernels."""

_replicas = ContextVar("replicas", default=1)

_library = torch.library.Library("mod97", "DEF")


def define(schema: str, fake: Callable[..., Any], **kernels: Callable[..., Any]) -> None:
    """Define an operator ``mod97::name``. Under `vmap` it takes all tensors with the replica axis in front.

    :param schema: as PyTorch writes it.
    :param fake: tensors of the result's shapes, for tracing.
    :param kernels: what computes it, by dispatch key.
    """
    name = schema.partition("(")[0]
    _library.define(schema)
    for key, kernel in kernels.items():
        _library.impl(name, kernel, key)
    torch.library.register_fake(f"mod97::{name}", fake, lib=_library)

    def batched(info: Any, dims: Sequence[int | None], *arguments: Any) -> tuple[Any, Any]:
        pairs = zip(arguments, dims, strict=True)
        made = getattr(torch.ops.mod97, name)(*(_in_front(x, dim, info.batch_size) for x, dim in pairs))
        return made, (0,) * len(made) if isinstance(made, tuple) else 0

    torch.library.register_vmap(f"mod97::{name}", batched, lib=_library)


def _in_front(x: Any, dim: int | None, size: int) -> Any:
    """A tensor with the replica axis in front; anything else as it is."""
    if not isinstance(x, Tensor):
        return x
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)


def _product(x: Tensor, w: Tensor) -> Tensor:
    """(…, B, K), (…, N, K) → (…, B, N)."""
    linear = ONEDNN_LINEAR
    if x.ndim == 2:
        return linear(x, w, None, "none", [], "")
    products = [linear(a, b, None, "none", [], "") for a, b in zip(x.unbind(0), w.unbind(0), strict=True)]
    return products[0].unsqueeze(0) if len(products) == 1 else torch.stack(products)


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """(…, U, D), (…, B) → (…, B, D)."""
    flat = table.reshape(-1, table.shape[-1]).index_select(0, _flat(index, table.shape[-2]))
    return flat.reshape(*index.shape, table.shape[-1])


def _rows_gradient(grad: Tensor, index: Tensor, n_rows: int) -> Tensor:
    """(…, B, D), (…, B) → (…, U, D)."""
    outer, width = index.shape[:-1], grad.shape[-1]
    exact = torch.float32 if grad.dtype is torch.bfloat16 else grad.dtype
    total = grad.new_zeros((n_rows * outer.numel(), width), dtype=exact)
    total.index_add_(0, _flat(index, n_rows), grad.reshape(-1, width).to(exact))
    return total.reshape(*outer, n_rows, width).to(grad.dtype)


def _flat(index: Tensor, n_rows: int) -> Tensor:
    """An index into stacked tables as one into their concatenation."""
    if index.ndim == 1:
        return index
    offset = torch.arange(index.shape[:-1].numel(), device=index.device).mul_(n_rows)
    return (index.reshape(len(offset), -1) + offset.unsqueeze(1)).reshape(-1)


define("product(Tensor x, Tensor w) -> Tensor", lambda x, w: x.new_empty(*x.shape[:-1], w.shape[-2]), CPU=_product)
define("settled(Tensor x) -> Tensor", torch.empty_like, CompositeExplicitAutograd=torch.clone)
define(
    "rows(Tensor table, Tensor index) -> Tensor",
    lambda table, index: table.new_empty(*index.shape, table.shape[-1]),
    CPU=_rows,
)
define(
    "rows_gradient(Tensor grad, Tensor index, int n_rows) -> Tensor",
    lambda grad, index, n_rows: grad.new_empty(*index.shape[:-1], n_rows, grad.shape[-1]),
    CPU=_rows_gradient,
)


def _by_onednn(x: Tensor) -> bool:
    return ONEDNN_LINEAR is not None and x.device.type == "cpu" and x.dtype is torch.float32


@contextmanager
def tensor_cores(precision: str) -> Iterator[None]:
    """Let float32 products on a GPU use its tensor cores where the precision is "tf32": 10 bits of mantissa go in."""
    if precision != "tf32":
        yield
        return
    # PyTorch has two switches; its compiler reads the older one.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = True
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before


class Gradient(torch.autograd.Function):
    """An operator of one replica with a gradient of its own, which `vmap` also makes one of stacked replicas."""

    generate_vmap_rule = True


class _Product(Gradient):
    """x (B, K), w (N, K) → x wᵀ (B, N)."""

    @staticmethod
    def forward(x: Tensor, w: Tensor) -> Tensor:
        return torch.ops.mod97.product(x, w)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, w = ctx.saved_tensors
        for_x = torch.ops.mod97.product(grad, w.mT) if ctx.needs_input_grad[0] else None
        return for_x, torch.ops.mod97.product(grad.mT, x.mT) if ctx.needs_input_grad[1] else None


def product(x: Tensor, w_NK: Tensor) -> Tensor:
    """x wᵀ of one replica, (…, K) and (N, K) → (…, N)."""
    if not _by_onednn(x):
        return F.linear(x, w_NK)
    return _Product.apply(x.reshape(-1, x.shape[-1]), w_NK).reshape(*x.shape[:-1], len(w_NK))


def matmul(a_RNK: Tensor, b_RKM: Tensor) -> Tensor:
    """Products of stacked matrices, without gradients."""
    return torch.ops.mod97.product(a_RNK, b_RKM.mT) if _by_onednn(a_RNK) else torch.bmm(a_RNK, b_RKM)


class _Gather(Gradient):
    """index (B,), tables (U, D), … → (B, D), …"""

    @staticmethod
    def forward(index: Tensor, *tables: Tensor) -> tuple[Tensor, ...]:
        if index.device.type == "cpu":
            return tuple(torch.ops.mod97.rows(table, index) for table in tables)
        return tuple(table.index_select(0, index) for table in tables)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        index, table, *_ = inputs
        ctx.n_rows = len(table)
        ctx.save_for_backward(index)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        [index] = ctx.saved_tensors
        if index.device.type == "cpu":
            return None, *(torch.ops.mod97.rows_gradient(grad, index, ctx.n_rows) for grad in grads)
        onehot_UB = (torch.arange(ctx.n_rows, device=index.device).unsqueeze(1) == index).to(grads[0].dtype)
        return None, *(onehot_UB @ grad for grad in grads)


def gather(table_UD: Tensor, index: Tensor) -> Tensor:
    """The rows of a table at an index (…): (…, D).

    On a GPU the table's gradient is Oᵀ g with O the one-hot rows of the index: a scatter adds in an
    order that varies from run to run, the product always in the same one, and at the speed of matrix products.
    """
    if table_UD.device.type != "cpu" and len(table_UD) > LARGEST_TABLE:
        return table_UD[index]
    [rows] = _Gather.apply(index.reshape(-1), table_UD)
    return rows.reshape(*index.shape, table_UD.shape[-1])


def gather_all(tables: Sequence[Tensor], index_B: Tensor) -> Sequence[Tensor]:
    """`gather` from several tables of equally many rows, (U, D) each.

    They are read as one wide table, except for many replicas on a GPU: there a compiled program that concatenates the
    gradients computes each element by the rules of all parts, which costs more than the products it saves.
    """
    if many(index_B) and len(tables[0]) <= LARGEST_TABLE:
        return _Gather.apply(index_B, *tables)
    return gather(torch.cat(list(tables), dim=1), index_B).split([table.shape[1] for table in tables], dim=1)


@contextmanager
def stacked(replicas: int) -> Iterator[None]:
    """Tell operators of one replica how many are stacked, which decides what limits their speed."""
    token = _replicas.set(replicas)
    try:
        yield
    finally:
        _replicas.reset(token)


def many(x: Tensor) -> bool:
    """Whether the time of operators on this goes to memory rather than to launching them."""
    return _replicas.get() >= MANY.get(x.device.type, math.inf)


def settled(*numbers_R: Tensor) -> tuple[Tensor, ...]:
    """Numbers of replicas, computed once a step where many are stacked."""
    if not many(numbers_R[0]):
        return numbers_R
    return torch.ops.mod97.settled(torch.stack(numbers_R)).unbind(0)


class _Shift(Gradient):
    """x (N, D), b (D,) → x + b."""

    @staticmethod
    def forward(x: Tensor, b: Tensor) -> Tensor:
        return x + b

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return grad, _sums(grad)


class _Scale(Gradient):
    """x (N, D), w (D,) → x · w."""

    @staticmethod
    def forward(x: Tensor, w: Tensor) -> Tensor:
        return x * w

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, w = ctx.saved_tensors
        return grad * w, _sums(grad * x)


def _sums(x_ND: Tensor) -> Tensor:
    """The sum of each column, as a product: it reads memory at four times the rate of compiled sums over rows."""
    ones_N8 = torch.ones_like(x_ND[:, :8])  # eight columns: products of fewer are not aligned
    return (ones_N8.mT @ x_ND)[0]


def shift(x: Tensor, b_D: Tensor) -> Tensor:
    """x + b, (…, D) and (D,), with a fast gradient."""
    return _Shift.apply(x.reshape(-1, len(b_D)), b_D).reshape(x.shape) if many(x) else x + b_D


def scale(x: Tensor, w_D: Tensor) -> Tensor:
    """x · w, (…, D) and (D,), with a fast gradient."""
    return _Scale.apply(x.reshape(-1, len(w_D)), w_D).reshape(x.shape) if many(x) else x * w_D
