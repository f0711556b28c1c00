"""One thread at a time in PyTorch's tracer, which changes modules for all threads while it works; in its defaults."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")

IN_PYTORCH: Final = threading.RLock()
"""Held while a program is traced, compiled or run. Threads of one process take turns; processes do not wait."""


_counting = threading.Lock()
_blocks: list[torch.dtype] = []
"""For each block of `own_defaults` that any thread is in, the type that the caller had set before the first."""


@contextmanager
def own_defaults() -> Iterator[None]:
    """A block in which new tensors are of float32 and on the CPU, whatever the caller has set as defaults.

    Weights drawn in float64 would be other weights, and tensors on the device "meta" have no numbers.
    """
    with _counting:
        if not _blocks:
            _blocks.append(torch.get_default_dtype())
        else:
            _blocks.append(_blocks[0])
        if _blocks[0] != torch.float32:
            torch.set_default_dtype(torch.float32)
    try:
        with nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu"):
            yield
    finally:
        with _counting:
            dtype = _blocks.pop()
            if not _blocks and dtype != torch.float32:
                torch.set_default_dtype(dtype)


def one_at_a_time(function: Callable[P, T]) -> Callable[P, T]:
    """The function, which waits until no other thread is in one of those that are wrapped so.

    It runs in PyTorch's own defaults.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with IN_PYTORCH, own_defaults():
            return function(*args, **kwargs)

    return wrapped


def exclusive(*methods: str) -> Callable[[type[T]], type[T]]:
    """A decorator of classes: these methods are `one_at_a_time`."""

    def decorated(cls: type[T]) -> type[T]:
        for name in methods:
            setattr(cls, name, one_at_a_time(getattr(cls, name)))
        return cls

    return decorated
