"""One thread at a time in PyTorch's tracer, which changes modules for all threads while it works; in its defaults."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")

IN_PYTORCH: Final = threading.RLock()
"""Held while a program is traced, compiled or run. Threads of one process take turns; processes do not wait."""


@contextmanager
def own_defaults() -> Iterator[None]:
    """A block in which new tensors are of float32 and on the CPU, whatever the caller has set as defaults.

    Weights drawn in float64 would be other weights, and tensors on the device "meta" have no numbers.
    """
    dtype, on_cpu = torch.get_default_dtype(), torch.get_default_device().type == "cpu"
    if dtype == torch.float32 and on_cpu:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
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
