"""Captured CUDA graphs, and what they must not be disturbed by."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from learners._fleet.memory import out_of_memory

__all__ = ["keeper", "recorded"]

_keepers: dict[torch.device, tuple[Any, Any]] = {}


ATTEMPTS = 2
"""Times that recording a graph is tried."""


T = TypeVar("T")


def keeper(device: torch.device) -> tuple[Any, Any]:
    """A captured graph whose memory all others of a device share, and the stream that they are captured on.

    They run one after another and keep nothing in it. It is not freed as long as graphs are recorded into it: PyTorch
    refuses to capture into memory whose last graph is gone, and it gives memory of one stream to no other.
    """
    if device not in _keepers:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)
        with _undisturbed(), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            torch.zeros(1, device=device).add_(1)
        _keepers[device] = graph, stream
    return _keepers[device]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep Python from collecting garbage: what a fleet leaves that is gone, graphs, events and pinned memory, must not
    be freed while another's graph is recorded, which that would spoil.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def recorded(device: torch.device, work: Callable[[], T]) -> tuple[Any, T]:
    """A graph of what is launched by some work, which is recorded and not done, and what the work returned.

    Memory in which a recording was broken off accepts no other: then there is a new keeper, and one more attempt.
    """
    for attempt in range(ATTEMPTS):
        graph = torch.cuda.CUDAGraph()
        try:
            shared, stream = keeper(device)
            recording = torch.cuda.graph(graph, pool=shared.pool(), stream=stream, capture_error_mode="thread_local")
            with _undisturbed(), recording:
                made = work()
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            _keepers.pop(device, None)
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return graph, made
    raise AssertionError
