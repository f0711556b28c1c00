"""Several writes to a journal as one: the lines that a thread writes in a block reach the file when the block ends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend


class BatchingFile(JournalFileBackend):
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


class BatchingStorage(JournalStorage):
    """A storage in a journal file whose writes can be batched."""

    def __init__(self, file: BatchingFile) -> None:
        self.file = file
        super().__init__(file)


@contextmanager
def batch_writes(storage: BaseStorage) -> Iterator[None]:
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
        with suppress(UpdateFinishedTrialError):
            _read_back(storage)
        raise
    _read_back(storage)


def _read_back(storage: BatchingStorage) -> None:
    """Read all that was written: each line that is too late for its trial raises an error and stops the reading."""
    try:
        storage.get_all_studies()
    except UpdateFinishedTrialError:
        with suppress(UpdateFinishedTrialError):
            _read_back(storage)
        raise
