"""When processes end: on signals, and workers when their parent process is gone."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def graceful(request_stop: Callable[[], None]) -> Iterator[None]:
    """Request a stop on the first signal and end at once on the second. Python handles signals in the main thread only.

    :param request_stop: the function that requests the stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: Any) -> None:
        os.write(2, b"\nStopping: what is done is being kept. Once more to stop at once.\n")
        request_stop()
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


_working = threading.Event()


@contextmanager
def working_on_job() -> Iterator[None]:
    """Mark this process as busy, so that it finishes its job after its parent process is gone."""
    _working.set()
    try:
        yield
    finally:
        _working.clear()


def begin_worker(owner: int) -> None:
    """Initialize a worker process, which ends when it is idle and its parent process is gone.

    Ctrl-C reaches all processes of a terminal. Workers ignore it, and the parent process requests the stop.

    :param owner: the id of the parent process.
    """

    def watch() -> None:
        while os.getppid() == owner or _working.is_set():
            time.sleep(1.0)
        os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
