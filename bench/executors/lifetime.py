"""When processes end: signals, and workers whose owner is gone."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def graceful(stop: Callable[[], None]) -> Iterator[None]:
    """On the first signal ask to stop, on the second stop at once. Only the main thread can listen to signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def listen(number: int, frame: Any) -> None:
        os.write(2, b"\nStopping: what is done is being kept. Once more to stop at once.\n")
        stop()
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, listen)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


_working = threading.Event()


@contextmanager
def working_on_job() -> Iterator[None]:
    """Mark this process as busy, so that it finishes its job before it leaves with its owner."""
    _working.set()
    try:
        yield
    finally:
        _working.clear()


@cache
def leave_with(owner: int) -> None:
    """End this worker process, once it has nothing to do, when the one that it works for is gone."""

    def watch() -> None:
        while os.getppid() == owner or _working.is_set():
            time.sleep(1.0)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def begin_worker(owner: int) -> None:
    """Make a fresh process a worker, which ends with the process that it works for.

    Ctrl-C reaches all processes of a terminal: the owner decides what it means.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_with(owner)
