"""Locks on files: each ends with the process that holds it, however that process ends.

An exclusive lock is the `filelock` package's. A shared lock is an flock of this module, since that package's shared
locks keep a database or marker files beside the file. Both are locks of the same kind, so that each excludes the other.
"""

from pathlib import Path
from typing import IO

from filelock import BaseFileLock, FileLock, lock_descriptor

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

INTERVAL = 0.002
"""Seconds between two attempts to take a lock."""


def exclusive(path: Path) -> BaseFileLock:
    """A context manager in which this process alone holds the lock of a file; it waits for other processes.

    :raises OSError: on entry, where the file cannot be opened.
    """
    return FileLock(path, poll_interval=INTERVAL)


def share(file: IO[str]) -> None:
    """Take a shared lock on an open file until it is closed.

    Where the system has no flock, the first process alone holds the lock, and others share the file without it.
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_SH)
    else:
        lock_descriptor(file.fileno(), blocking=False)


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock on a file."""
    try:
        with path.open("r") as file:
            return not lock_descriptor(file.fileno(), blocking=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True
