"""Counter-based noise: a stateless hash of seed, step, site and element.

The hash ``mod97::lowbias32`` is an operator of its own, see `fuse_mix`.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from learners._kernels.products import define
from learners._torch_internals import lower

_MASK = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9


def _formula(x: Any, plus: int, ops: Any, number: Callable[[int], Any] = int) -> Any:
    """Lowbias32 of x + plus, with the operators of a library.

    NOTE: x is masked before the sum, too. Otherwise PyTorch's compiler adds a large number to an index of 32 bits,
    which a GPU's compiler refuses. Counts of operations leave this mask out.

    :param number: makes constants of integers.
    """
    if plus:
        x = ops.bitwise_and(ops.add(ops.bitwise_and(x, number(_MASK)), number(plus)), number(_MASK))
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ops.bitwise_xor(x, ops.bitwise_right_shift(x, number(shift)))
        x = ops.bitwise_and(ops.mul(x, number(factor)), number(_MASK))
    return ops.bitwise_xor(x, ops.bitwise_right_shift(x, number(16)))


define(
    "lowbias32(Tensor x, int plus) -> Tensor",
    lambda x, plus: torch.empty_like(x),
    CompositeExplicitAutograd=lambda x, plus: _formula(x, plus, torch),
)


@cache
def fuse_mix() -> None:
    """Let PyTorch's compiler compute `mix` inside of its kernels.

    It writes an operator's operands out in full wherever they are used. Here each of the three shifts uses its operand
    twice, and hashes are nested: that made compiling dropout, or noise on all weights, take minutes on two cores. A
    PyTorch without these private parts calls the operator instead.

    NOTE: PyTorch keeps compiled programs by the names of their operators: another formula needs another name.
    """
    with suppress(ImportError, AttributeError, TypeError):
        lower(torch.ops.mod97.lowbias32.default, _formula)


def mix(x: Tensor, plus: int = 0) -> Tensor:
    """A bijection of 32-bit integers (held in int64) whose outputs look random, of x + plus modulo 2³².

    Source: Ettinger, "Integer hash function prospector", the function lowbias32.
    """
    return torch.ops.mod97.lowbias32(x, plus)


def key(seed: Tensor, step: Tensor, site: str) -> Tensor:
    """A 32-bit key, of the shape of ``seed``, for one place in one step of a replica."""
    x = mix((seed & _MASK) ^ crc32(site.encode()))
    return mix((x + _GOLDEN * (step & _MASK)) & _MASK)


def uniform(k: Tensor, shape: torch.Size | tuple[int, ...], draw: int = 0) -> Tensor:
    """Independent uniforms in (0, 1), float32, of ``shape``; k is one key, or one for each leading index (R,)."""
    size = math.prod(shape[k.ndim :])
    elements = torch.arange(size, device=k.device, dtype=torch.int64)
    counter = mix(elements, (draw + 1) * _GOLDEN)
    bits = mix(counter ^ k.unsqueeze(-1)).reshape(shape)
    return ((bits >> 8).to(torch.float32) + 0.5) * 2.0**-24


def normal(k: Tensor, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Independent N(0, 1), float32, by Box and Muller."""
    radius = torch.sqrt(-2 * torch.log(uniform(k, shape, 0)))
    return radius * torch.cos(2 * math.pi * uniform(k, shape, 1))
