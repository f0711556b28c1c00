"""A study in a journal file that several processes append to, and several writes to it as one.

Lines that a thread writes in a block of `batch_writes` reach the file when the block ends.
"""

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from filelock import Timeout, has_fcntl, lock_descriptor, unlock_descriptor

from bench.errors import Notice, RequestError, StoreError, doctor_command, notify
from bench.results import free_aside, is_refused, require_locks, size, without_flock
from bench.tuning.storage.lines import Made, described, end_of_whole, faults_of, is_journal, split

JOURNAL = "journal:///"


SUFFIX = ".journal"
"""How the names of journals end that the doctor looks at."""


LOCKED = 60
"""Seconds to wait for another writer of a journal."""


MOMENT = 0.005
"""Seconds between two attempts to be the writer."""


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
        self._files: dict[int, Any] = {}

    def acquire(self) -> bool:
        """Take the lock; this thread may still have it, where Ctrl-C came before it could release it.

        :raises StoreError: if another writer has it for too long, as a suspended process would.
        :raises ValueError: if the end of the file shows that it is not a journal.
        """
        self.release()
        with ExitStack() as stack:
            file = stack.enter_context(self.hold("ab+"))
            if not _ends(file):
                time.sleep(10 * MOMENT)  # other programs write a journal without this lock
            if not _ends(file):
                cut_end(file, self.path)
            self._files[threading.get_ident()], self._held[threading.get_ident()] = file, stack.pop_all()
        return True

    def release(self) -> None:
        """Release the lock."""
        if held := self._held.pop(threading.get_ident(), None):
            held.close()

    def cut_end(self) -> None:
        """Cut off lines at the end of the journal that cannot be read, as `cut_end` does; this thread has the lock."""
        cut_end(self._files[threading.get_ident()], self.path)

    @contextmanager
    def hold(self, mode: str) -> Iterator[Any]:
        """A block in which this thread has the lock, and the journal open in such a mode.

        :raises StoreError: if another writer has the lock for too long.
        """
        with ExitStack() as stack:
            file = stack.enter_context(self.path.open(mode, buffering=0))
            try:
                self._wait(file)
                stack.callback(unlock_descriptor, file.fileno())  # a forked process may have the file open too
            except OSError as error:
                if not is_refused(error):
                    raise
                self._wait_without_flock(stack)
            yield file

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


def cut_end(file: Any, path: Path) -> bool:
    """Cut off lines at the end of a journal that cannot be read: what a killed writer or a power cut has left.

    No other line can follow them. The journal is copied before, and the user is told.

    :param file: the journal, open and locked.
    :returns: whether there were such lines.
    :raises ValueError: if it is no journal.
    """
    file.seek(0)
    whole = file.readall()
    end = end_of_whole(whole)
    if end == len(whole):
        return False
    aside = copy_aside(path, whole)
    file.truncate(end)
    notify(
        f"The end of the journal {str(path)!r}, {size(len(whole) - end)} that cannot be read, was cut off: "
        f"all before it is whole, and a copy is kept as {aside.name}."
    )
    return True


def copy_aside(path: Path, content: bytes) -> Path:
    """Write the content of a journal to a file beside it, "NAME.aside-0", and wait until it is on the disk."""
    aside = free_aside(path)
    with aside.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return aside


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

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The lines from a number on.

        :raises ValueError: where all are read and one names what no earlier line has made.
        """
        logs = super().read_logs(log_number_from)
        yield from logs if log_number_from else _checked(logs)

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


class _UnmendedFile(BatchingFile):
    """A journal whose end cannot be read, for who only reads it.

    :param end: where that end begins.
    """

    def __init__(self, path: str, lock: Any, end: int) -> None:
        super().__init__(path, lock)
        self.path, self.end = Path(path), end

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The lines before the damaged end, from a number on."""
        logs = map(json.loads, split(self.path.read_bytes()[: self.end])[log_number_from:])
        yield from logs if log_number_from else _checked(logs)


def _checked(logs: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All lines of a journal, as long as none names what no earlier line has made."""
    made = Made()
    for log in logs:
        if lack := made.lack(log):
            raise ValueError(lack)
        yield log


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


def open_journal(url: str, path: Path, reading: bool = False) -> BatchingStorage:
    """Open a journal file as a storage, or make it.

    Lines at its end that cannot be read are cut off, and a copy is kept; who only reads leaves them out.

    :param reading: whether the file is only read.
    :raises RequestError: if it cannot be used, is not a journal, or has damaged lines before its end.
    """
    if not url.removeprefix(JOURNAL) or path.is_dir():
        raise RequestError(f"`storage` {JOURNAL}PATH must name a file, got {url!r}.")
    given, path = path, path.absolute()
    lock = JournalLock(path)
    try:
        if reading:
            return BatchingStorage(_file_to_read(path, lock))
        lock.acquire()
        try:
            lock.cut_end()
        finally:
            lock.release()
        return BatchingStorage(BatchingFile(str(path), lock))
    except OSError as error:
        raise RequestError(f"`storage` {url}: {str(path)!r} cannot be used: {error.strerror}.") from error
    except (StoreError, Notice):
        raise
    except Exception as error:  # whatever Optuna raises for what the lines say
        raise RequestError(f"`storage` {url}: {fault_of_journal(given)}") from error


def _file_to_read(path: Path, lock: Any) -> BatchingFile:
    """A journal that is only read, without the lines at its end that cannot be read."""
    whole = path.read_bytes()
    end = end_of_whole(whole)
    if end == len(whole):
        return BatchingFile(str(path), lock)
    what = f"{size(len(whole) - end)} at the end of the journal {str(path)!r} cannot be read and are left out"
    notify(f"{what}. {doctor_command(path.parent)} cuts them off and keeps a copy.")
    return _UnmendedFile(str(path), lock, end)


def fault_of_journal(path: Path) -> str:
    """What is wrong with a journal that Optuna cannot read, with the remedy."""
    lines = split(path.read_bytes())
    faults = list(faults_of(lines))
    if not faults or not is_journal(lines):
        return f"{str(path)!r} is no journal of Optuna's."
    remedy = f"{doctor_command(path.parent)} writes it without what is damaged, and keeps a copy."
    told = described(faults, path)
    return f"{told}. {remedy}" if path.suffix == SUFFIX else f"{told}. The same for a copy named *{SUFFIX}: {remedy}"
