"""One thread at a time in PyTorch's tracer, which changes modules for all threads while it works."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

IN_PYTORCH: Final = threading.RLock()
"""Held while a program is traced, compiled or run. Threads of one process take turns; processes do not wait."""


def one_at_a_time(function: Callable[P, T]) -> Callable[P, T]:
    """The function, which waits until no other thread is in one of those that are wrapped so."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with IN_PYTORCH:
            return function(*args, **kwargs)

    return wrapped


def exclusive(*methods: str) -> Callable[[type[T]], type[T]]:
    """A decorator of classes: these methods are `one_at_a_time`."""

    def decorated(cls: type[T]) -> type[T]:
        for name in methods:
            setattr(cls, name, one_at_a_time(getattr(cls, name)))
        return cls

    return decorated
