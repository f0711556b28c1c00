"""Capture CUDA graphs: in shared memory, with garbage collection off, and once more where a capture is broken off."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from learners._fleet.out_of_memory import out_of_memory

_keepers: dict[torch.device, tuple[Any, Any]] = {}


ATTEMPTS = 2
"""How often recording a graph is tried."""


T = TypeVar("T")


def keeper(device: torch.device) -> tuple[Any, Any]:
    """A captured graph whose memory all graphs of a device share, and the stream that they are captured on.

    Graphs can share memory because they run one after another and leave nothing there. This one is never freed: PyTorch
    refuses to capture into memory whose last graph is gone, and does not share memory between streams.
    """
    if device not in _keepers:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)
        with _undisturbed(), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            torch.zeros(1, device=device).add_(1)
        _keepers[device] = graph, stream
    return _keepers[device]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without garbage collection. Freeing the graphs, events or pinned memory of an earlier fleet while a graph is
    recorded would invalidate the recording.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def recorded(device: torch.device, work: Callable[[], T]) -> tuple[Any, T]:
    """Record the kernels that some work launches, without running them: the graph, and what the work returned.

    Memory in which a recording was broken off accepts no other. The second attempt therefore uses new memory.
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
