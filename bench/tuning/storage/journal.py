"""A study in a journal file that several processes append to, and several writes to it as one.

Lines that a thread writes in a block of `batch_writes` reach the file when the block ends.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from filelock import Timeout, has_fcntl, lock_descriptor, unlock_descriptor

from bench.errors import RequestError, StoreError
from bench.results import is_refused, require_locks, without_flock

JOURNAL = "journal:///"


LOCKED = 60
"""Seconds to wait for another writer of a journal."""


MOMENT = 0.005
"""Seconds between two attempts to be the writer."""


_LINE = b'{"op_code":'
"""How each line of a journal begins."""


class JournalLock:
    """Lets one thread of one process write to a journal at a time.

    Optuna's own locks are links and files, which a killed process leaves behind; this one ends with its process. It is
    a lock of `filelock` on a descriptor of the journal. A `FileLock` by path would refuse a journal that is a symbolic
    link, and its descriptor is not available to remove half a line of a killed writer, which no other line can follow.
    Where there is no flock, it is a file beside the journal.

    :param path: the journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: dict[int, ExitStack] = {}

    def acquire(self) -> bool:
        """Take the lock; this thread may still have it, where Ctrl-C came before it could release it.

        :raises StoreError: if another writer has it for too long, as a suspended process would.
        :raises ValueError: if the end of the file shows that it is not a journal.
        """
        self.release()
        with ExitStack() as stack:
            file = stack.enter_context(self.path.open("ab+", buffering=0))
            try:
                self._wait(file)
                stack.callback(unlock_descriptor, file.fileno())  # a forked process may have the file open too
            except OSError as error:
                if not is_refused(error):
                    raise
                self._wait_without_flock(stack)
            _mend(file)
            self._held[threading.get_ident()] = stack.pop_all()
        return True

    def _wait(self, file: Any) -> None:
        """Wait in short sleeps, between which signals are handled."""
        require_locks(has_fcntl)  # a lock of Windows would keep others from reading
        until = time.monotonic() + LOCKED
        while not lock_descriptor(file.fileno(), blocking=False):
            if time.monotonic() > until:
                raise self._too_long()
            time.sleep(MOMENT)

    def _wait_without_flock(self, stack: ExitStack) -> None:
        try:
            stack.enter_context(without_flock(self.path, LOCKED))
        except Timeout:
            raise self._too_long() from None

    def _too_long(self) -> StoreError:
        return StoreError(f"{str(self.path)!r} has been locked by another process for {LOCKED} s.")

    def release(self) -> None:
        """Release the lock."""
        if held := self._held.pop(threading.get_ident(), None):
            held.close()


def _mend(file: Any) -> None:
    """Remove the half of a line at the end of a journal."""
    if _ends(file):
        return
    time.sleep(10 * MOMENT)  # other programs write a journal without this lock
    if _ends(file):
        return
    file.seek(0)
    whole = file.readall()
    end = whole.rfind(b"\n") + 1
    if not (whole.startswith(_LINE, end) or _LINE.startswith(whole[end:])):
        raise ValueError("no journal")
    file.truncate(end)


def _ends(file: Any) -> bool:
    """Whether the last line is whole."""
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


class BatchingFile(optuna.storages.journal.JournalFileBackend):
    """A journal file that can hold back the lines of a thread."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._held: dict[int, list[dict[str, Any]]] = {}

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines, or hold them back."""
        held = self._held.get(threading.get_ident())
        if held is None:
            super().append_logs(logs)
        else:
            held += logs

    def is_holding(self) -> bool:
        """Whether lines of this thread are held back."""
        return threading.get_ident() in self._held

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold lines back during a block, and write them when it ends, even by an error."""
        mine = threading.get_ident()
        self._held[mine] = []
        try:
            yield
        finally:
            lines = self._held.pop(mine)
            if lines:
                super().append_logs(lines)


class BatchingStorage(optuna.storages.JournalStorage):
    """A storage in a journal file whose writes can be batched."""

    def __init__(self, file: BatchingFile) -> None:
        self.file = file
        super().__init__(file)


@contextmanager
def batch_writes(storage: optuna.storages.BaseStorage) -> Iterator[None]:
    """Write what this thread stores in a block to the journal at once, when the block ends.

    Dozens of values belong to a trial, and the journal waits for the disk at each write. Nothing in the block may read
    what was written in it, as asking for a trial does. A database gets each value by itself, and a block within another
    one is part of that.

    :raises UpdateFinishedTrialError: at the end of the block, if a trial was over before.
    """
    if not isinstance(storage, BatchingStorage) or storage.file.is_holding():
        yield
        return
    try:
        with storage.file.hold():
            yield
    except BaseException:
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            _read_back(storage)
        raise
    _read_back(storage)


def _read_back(storage: BatchingStorage) -> None:
    """Read all that was written: each line that is too late for its trial raises an error and stops the reading."""
    try:
        storage.get_all_studies()
    except optuna.exceptions.UpdateFinishedTrialError:
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            _read_back(storage)
        raise


def open_journal(url: str, path: Path) -> BatchingStorage:
    """Open a journal file as a storage, or make it.

    :raises RequestError: if it cannot be used, or is not a journal.
    """
    if not url.removeprefix(JOURNAL) or path.is_dir():
        raise RequestError(f"`storage` {JOURNAL}PATH must name a file, got {url!r}.")
    path = path.absolute()
    lock = JournalLock(path)
    try:
        lock.acquire()
        lock.release()
        return BatchingStorage(BatchingFile(str(path), lock))
    except OSError as error:
        raise RequestError(f"`storage` {url}: {str(path)!r} cannot be used: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:  # what its lines say is no journal
        raise RequestError(f"`storage` {url}: {str(path)!r} is no journal of Optuna's.") from error
