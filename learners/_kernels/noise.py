"""Counter-based noise: a stateless hash of seed, step, site and element."""

import math
from zlib import crc32

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


_GOLDEN = 0x9E3779B9


def mix(x: Tensor) -> Tensor:
    """A bijection of 32-bit integers (held in int64) whose outputs look random.

    Source: Ettinger, "Integer hash function prospector", the function lowbias32.
    """
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _MASK
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _MASK
    return x ^ (x >> 16)


def key(seed: Tensor, step: Tensor, site: str) -> Tensor:
    """A 32-bit key, of the shape of ``seed``, for one place in one step of a replica."""
    x = mix((seed & _MASK) ^ crc32(site.encode()))
    return mix((x + _GOLDEN * (step & _MASK)) & _MASK)


def uniform(k: Tensor, shape: torch.Size | tuple[int, ...], draw: int = 0) -> Tensor:
    """Independent uniforms in (0, 1), float32, of ``shape``; k is one key, or one for each leading index (R,)."""
    size = math.prod(shape[k.ndim :])
    elements = torch.arange(size, device=k.device, dtype=torch.int64)
    counter = mix((elements + (draw + 1) * _GOLDEN) & _MASK)
    bits = mix(counter ^ k.unsqueeze(-1)).reshape(shape)
    return ((bits >> 8).to(torch.float32) + 0.5) * 2.0**-24


def normal(k: Tensor, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Independent N(0, 1), float32, by Box and Muller."""
    radius = torch.sqrt(-2 * torch.log(uniform(k, shape, 0)))
    return radius * torch.cos(2 * math.pi * uniform(k, shape, 1))
