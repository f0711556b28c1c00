"""When processes end: on signals, and workers when their parent process is gone."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_OF_FAULTS = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS", "SIGEMT"}
_HARMLESS = {"SIGCHLD", "SIGCLD", "SIGURG", "SIGWINCH", "SIGCONT", "SIGINFO", "SIGTSTP", "SIGTTIN", "SIGTTOU"}
_UNCATCHABLE = {"SIGKILL", "SIGSTOP"}
_LEFT_OUT = {getattr(signal, name, None) for name in _OF_FAULTS | _HARMLESS | _UNCATCHABLE}

ENDING = tuple(sorted(int(number) for number in signal.valid_signals() if number not in _LEFT_OUT))
"""Signals that ask a process to end: of terminals that close, of schedulers of clusters. Those of faults do not ask."""

_own_process = threading.Event()


def own_all_signals() -> None:
    """Let `graceful` take all signals of `ENDING`: this process is the command line's, and no library took one before.

    What a caller has set by other means than `signal.signal`, as `faulthandler.register` does, cannot be given back.
    """
    _own_process.set()


AT_ONCE = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a process at once when they come again. Others may come twice by themselves: a terminal that closes
sends SIGHUP, and so does its shell."""


def _handled() -> list[int]:
    """Ctrl-C and SIGTERM; of the command line the others as well, but for those that it was told to ignore (nohup)."""
    others = [one for one in ENDING if signal.getsignal(one) == signal.SIG_DFL] if _own_process.is_set() else []
    return [*AT_ONCE, *(number for number in others if number not in AT_ONCE)]


@contextmanager
def graceful(request_stop: Callable[[], None]) -> Iterator[None]:
    """Request a stop on the first signal; Ctrl-C and SIGTERM end at once when they come again.

    Python handles signals in the main thread only.

    :param request_stop: the function that requests the stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in _handled()}

    def handle(number: int, frame: Any) -> None:
        request_stop()
        if number in AT_ONCE:  # a job of a shell may ignore it
            signal.signal(number, signal.SIG_DFL if previous[number] == signal.SIG_IGN else previous[number])
        with suppress(OSError):  # the terminal may be closed
            again = b" Once more to stop at once." if number in AT_ONCE else b""
            os.write(2, b"\nStopping: what is done is being kept." + again + b"\n")

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def ignored_by_children() -> Iterator[None]:
    """A block in which processes are started that no such signal ends, as they clean up after the others."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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

    Ctrl-C reaches all processes of a terminal, and other signals all processes of a job or of a session. Workers ignore
    them, and the parent process requests the stop.

    :param owner: the id of the parent process.
    """

    def watch() -> None:
        while os.getppid() == owner or _working.is_set():
            time.sleep(1.0)
        os._exit(0)

    for number in ENDING:  # not SIG_IGN, which compilers that a worker starts would inherit
        signal.signal(number, lambda *_: None)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
    threading.Thread(target=watch, daemon=True).start()
