"""Standard streams that are closed, full or without a reader: what was computed is kept all the same."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Watched:
    """A stream that remembers why it could not be written. Where its reader has left, what comes later goes nowhere.

    :param stream: the stream.
    :param forgiving: whether errors end here: the loss of progress and messages is no reason to end a computation.
    """

    def __init__(self, stream: Any, forgiving: bool = False) -> None:
        self.stream, self.forgiving = stream, forgiving
        self.failed: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text."""
        with self._watching():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        with self._watching():
            self.stream.flush()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            closed = error.errno == errno.EIO and _is_of_terminal(self.stream)
            self.failed = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) if closed else error
            if reader_left(self.failed):
                _send_nowhere(self.stream)
            elif not self.forgiving:
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def prepare_streams() -> None:
    """Open closed streams to nowhere, before a file takes their place, and forgive errors of stderr."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = Watched(sys.stdout), Watched(sys.stderr, forgiving=True)


def unwrap_streams() -> None:
    """Give the streams back as they were."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, Watched):
            setattr(sys, name, stream.stream)
            if stream.failed:  # what could not be written is flushed once more, else when Python ends
                try:
                    stream.stream.flush()
                except (OSError, ValueError):
                    _send_nowhere(stream.stream)


def failure_of_output() -> OSError | None:
    """Why stdout could not be written, or None."""
    stdout = sys.stdout
    with suppress(OSError):
        stdout.flush()
    failed: OSError | None = getattr(stdout, "failed", None)
    if failed is not None:
        _send_nowhere(stdout)
    return failed


def _send_nowhere(stream: Any) -> None:
    """Let the rest of a stream end nowhere, as Python flushes it once more when it ends."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _is_of_terminal(stream: Any) -> bool:
    """Whether a stream is of a terminal; a terminal that is closed is only a device."""
    try:
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def reader_left(error: OSError) -> bool:
    """Whether the reader of the output has ended, as in ``… | head``, or the terminal is closed."""
    return error.errno == errno.EPIPE
