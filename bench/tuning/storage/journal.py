"""A study in a journal file that several processes append to."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from filelock import has_fcntl, lock_descriptor, unlock_descriptor

from bench.errors import RequestError, StoreError

__all__ = ["JOURNAL", "JournalLock", "open_journal", "together"]

JOURNAL = "journal:///"


LOCKED = 60
"""Seconds to wait for another writer of a journal."""


MOMENT = 0.005
"""Seconds between two attempts to be the writer."""


_LINE = b'{"op_code":'
"""How each line of a journal begins."""


class JournalLock:
    """One writer of a journal at a time, among threads and processes.

    Optuna's own locks are links and files, which a killed process leaves behind; this one ends with its process. It is
    a lock of `filelock` on a descriptor of the journal. A `FileLock` by path would refuse a journal that is a symbolic
    link, and its descriptor is not available to remove half a line of a killed writer, which no other line can follow.

    :param path: the journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[int, Any] = {}

    def acquire(self) -> bool:
        """Become the writer; also where this thread still is, since Ctrl-C came before it could release.

        :raises StoreError: where another is for too long, as a process that was stopped would be.
        :raises ValueError: where the end of the file says that it is no journal.
        """
        self.release()
        file = self.path.open("ab+", buffering=0)
        try:
            self._wait(file)
            _mend(file)
        except BaseException:
            file.close()
            raise
        self._files[threading.get_ident()] = file
        return True

    def _wait(self, file: Any) -> None:
        """In short sleeps, so that signals are heard."""
        until = time.monotonic() + LOCKED
        while not lock_descriptor(file.fileno(), blocking=False):
            if time.monotonic() > until:
                raise StoreError(f"{str(self.path)!r} has been locked by another process for {LOCKED} s.")
            time.sleep(MOMENT)

    def release(self) -> None:
        """Let others write."""
        file = self._files.pop(threading.get_ident(), None)
        if file is not None:
            unlock_descriptor(file.fileno())  # a process that was forked meanwhile has the file open too
            file.close()


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


@contextmanager
def together(storage: Any) -> Iterator[None]:
    """Let what this thread writes in a block reach a journal as one piece when it ends.

    A synchronisation with the disk for each of dozens of values is most of what telling a trial costs. Nothing that has
    to read what was written, as to ask for a trial does, may be done in the block. A database gets each value by
    itself, and a block in another one is part of that.

    :raises UpdateFinishedTrialError: at the end, where a trial was over before.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    backend = getattr(storage, "_backend", None)
    if not isinstance(backend, journal_file()) or backend.holds():
        yield
        return
    try:
        with backend.held():
            yield
    except BaseException:
        with suppress(UpdateFinishedTrialError):
            _catch_up(storage)
        raise
    _catch_up(storage)


def _catch_up(storage: Any) -> None:
    """Read what was written: each line that comes too late for its trial is said by itself, and stops the reading."""
    from optuna.exceptions import UpdateFinishedTrialError

    late = None
    while True:
        try:
            storage.get_all_studies()
            break
        except UpdateFinishedTrialError as error:
            late = error
    if late is not None:
        raise late


@cache
def journal_file() -> Any:
    """Optuna's journal file, of which several lines can be held and written at once; made when Optuna is wanted."""
    from optuna.storages.journal import JournalFileBackend

    class HoldingJournal(JournalFileBackend):
        """A journal file that can hold lines of a thread back."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._held: dict[int, list[dict[str, Any]]] = {}

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            held = self._held.get(threading.get_ident())
            if held is None:
                super().append_logs(logs)
            else:
                held += logs

        def holds(self) -> bool:
            """Whether lines of this thread are held back."""
            return threading.get_ident() in self._held

        @contextmanager
        def held(self) -> Iterator[None]:
            """Hold lines back until the end of the block, and write them then, whatever ended it."""
            mine = threading.get_ident()
            self._held[mine] = []
            try:
                yield
            finally:
                lines = self._held.pop(mine)
                if lines:
                    super().append_logs(lines)

    return HoldingJournal


def open_journal(url: str, path: Path) -> Any:
    """Optuna's storage in a journal file."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileOpenLock

    if not url.removeprefix(JOURNAL) or path.is_dir():
        raise RequestError(f"--storage {JOURNAL}PATH must name a file, got {url!r}.")
    path = path.absolute()
    lock = JournalFileOpenLock(str(path)) if not has_fcntl else JournalLock(path)
    try:
        lock.acquire()
        lock.release()
        return JournalStorage(journal_file()(str(path), lock))
    except OSError as error:
        raise RequestError(f"--storage {url}: {str(path)!r} cannot be used: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:  # what its lines say is no journal
        raise RequestError(f"--storage {url}: {str(path)!r} is no journal of Optuna's.") from error
