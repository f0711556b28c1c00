"""Locks on files: each ends with the process that holds it, however that process ends.

A lock is an flock, where the file system has it. Some of networks, clusters and containers refuse it, and Windows has
none that is shared: there a file beside the locked one names the owner, who renews it. Such a lock ends with a process
of this machine at once, and with one of another machine after `SILENT` seconds. Both are `filelock`'s, but for the
shared flock: that package's shared locks keep a database or marker files beside the file.
"""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease, SoftFileLock, Timeout, lock_descriptor

from bench.errors import notify

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

INTERVAL = 0.002
"""Seconds between two attempts to take a lock."""
LONG = 5.0
"""Seconds after which the user is told what is waited for."""
SILENT = 60.0
"""Seconds without a sign of its owner, seen by who waits, after which a lock without flock is free."""

_REFUSALS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EPERM}
_with_flock: dict[Path, bool] = {}
"""Whether the files of a folder can be locked, as was found when this process first met a lock there."""
_waiting_for: dict[Path, SoftFileLease] = {}
"""Locks that another process held when this one last looked: each knows since when it has seen no sign of the owner."""


@contextmanager
def exclusive(path: Path, wait: bool = True) -> Iterator[None]:
    """A block in which this process alone holds the lock of a file.

    :param wait: for other processes; otherwise `filelock.Timeout` is raised.
    :raises OSError: on entry, where the file cannot be opened.
    """
    with ExitStack() as stack:
        try:
            require_locks(_has_flock(path.parent))
            _take(stack, FileLock(path, poll_interval=INTERVAL, fallback_to_soft=False), wait)
        except OSError as error:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{str(path)!r}: {os.strerror(errno.EISDIR)}") from error
            if not is_refused(error):
                raise
            _take(stack, without_flock(path), wait)
        yield


def _take(stack: ExitStack, lock: BaseFileLock, wait: bool) -> None:
    """Take a lock for a block; where another process holds it for long, the user is told."""
    try:
        stack.enter_context(lock.acquire(timeout=LONG if wait else 0))
    except Timeout:
        if not wait:
            raise
        notify(f"Waiting for another process that has locked {lock.lock_file!r}; it may be suspended.")
        stack.enter_context(lock.acquire(timeout=-1))


def _has_flock(folder: Path) -> bool:
    """Whether the files of a folder can be locked. Some file systems answer as if another process held any lock."""
    if folder not in _with_flock:
        try:
            require_locks(not issubclass(FileLock, SoftFileLock))
            with tempfile.NamedTemporaryFile(dir=folder) as file:
                _with_flock[folder] = lock_descriptor(file.fileno(), blocking=False)
        except OSError as error:
            _with_flock[folder] = not is_refused(error)
    return _with_flock[folder]


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """A block in which this process holds the lock of a file together with others.

    :raises OSError: on entry, where the file cannot be opened.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("r"))
        try:
            require_locks(fcntl is not None and _has_flock(path.parent))
            fcntl.flock(file, fcntl.LOCK_SH)
        except OSError as error:
            if not is_refused(error):
                raise
            own = path.with_name(f"{path.name}.{os.getpid()}")  # which a job in the main process shares with it
            stack.enter_context(SoftFileLease(own, lease_duration=SILENT, thread_local=False, is_singleton=True))
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock on a file."""
    try:
        descriptor = _opened(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        if not lock_descriptor(descriptor, blocking=False) and _has_flock(path.parent):
            return True
    except OSError as error:
        if not is_refused(error):
            return True
    finally:
        os.close(descriptor)
    return any(map(_is_held, [_beside(path), *owners(path)]))


def owners(path: Path) -> list[Path]:
    """The files beside a file by which processes share its lock without flock."""
    one = re.compile(re.escape(path.name) + r"\.\d+")
    return [other for other in path.parent.glob(f"{path.name}.*") if one.fullmatch(other.name)]


def without_flock(path: Path, timeout: float = -1) -> SoftFileLease:
    """The lock of a file as a file beside it.

    :param timeout: seconds to wait for it; -1 is for ever.
    """
    return SoftFileLease(
        _beside(path), timeout=timeout, poll_interval=INTERVAL, lease_duration=SILENT, thread_local=False
    )


def kind_of_locks(folder: Path) -> str:
    """Which locks the files of a folder have, in words.

    :raises OSError: where no file can be made in it.
    """
    with tempfile.NamedTemporaryFile(dir=folder):
        pass
    return "of the file system" if _has_flock(folder) else "files with owner and sign of life: the file system has none"


def is_refused(error: OSError) -> bool:
    """Whether an error says that the file system has no locks, rather than that another process holds this one."""
    return error.errno in _REFUSALS


def require_locks(present: bool) -> None:
    """Raise the error of a file system without locks where the whole system has none of a kind."""
    if not present:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.owner")


def _opened(path: Path) -> int:
    """A descriptor of a file: to write, as some file systems want it for an exclusive lock, or only to read."""
    try:
        return os.open(path, os.O_RDWR)
    except FileNotFoundError:
        raise
    except OSError:  # of another user, or of a file system that is mounted read-only
        return os.open(path, os.O_RDONLY)


def _is_held(path: Path) -> bool:
    """Whether the process that a file names as an owner lives."""
    if not path.exists():
        return False
    lock = _waiting_for.setdefault(path, SoftFileLease(path, timeout=0, lease_duration=SILENT, thread_local=False))
    try:
        with lock:
            _waiting_for.pop(path, None)
    except OSError:  # Timeout is one
        return True
    return False
