"""Who computes which cell: several processes share a results folder without doing a cell twice.

A process that sweeps has a lease, a file that it and its workers hold locked for as long as they live, and beside it
the ids of the cells that they have in hand. A claim counts while somebody holds its lease: what a killed process had
claimed is free at once, and no clock is asked.
"""

import json
import os
import re
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.errors import StoreError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_LIST = re.compile(r"\d+-[0-9a-f]{8}\.json")

__all__ = ["Claims", "holding", "in_hand"]


class Claims:
    """Cells that this process has in hand, and those of others.

    :param folder: the results folder.
    :raises StoreError: where nothing can be written there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) / "claims"
        self.mine: set[str] = set()
        name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.lease = self.folder / f"{name}.lease"
        self.list = self.folder / f"{name}.json"
        try:
            self.folder.mkdir(exist_ok=True)
            self._file: Any = self.lease.open("w")
        except OSError as error:
            raise StoreError(f"{str(self.folder)!r} cannot be used: {error.strerror}.") from error
        _lock(self._file, shared=True)

    def take(self, ids: Iterable[str]) -> set[str]:
        """Claim cells; those that nobody else has in hand, and which are now this process's."""
        with self._alone():
            got = set(ids) - self._of_others()
            self.mine |= got
            if got or not self.list.exists():
                self._write()
        return got

    def release(self, ids: Iterable[str]) -> None:
        """Give cells back: done, or given up."""
        self.mine -= set(ids)
        with suppress(OSError):
            self._write()

    def close(self) -> None:
        """Give everything back."""
        for path in (self.list, self.lease):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._file.close()

    def _of_others(self) -> set[str]:
        """Cells in hand of other processes; what dead ones left is removed."""
        for path in _lists(self.folder):
            if not _held(path.with_suffix(".lease")):
                for left in (path, path.with_suffix(".lease")):
                    with suppress(OSError):
                        left.unlink(missing_ok=True)
        return in_hand(self.folder.parent, besides=self.list)

    def _write(self) -> None:
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self.folder)
        with os.fdopen(descriptor, "w") as file:
            json.dump(sorted(self.mine), file)
        Path(temporary).replace(self.list)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process claims at a time."""
        try:
            with (self.folder / ".lock").open("w") as file:
                _lock(file)
                yield
        except OSError as error:
            raise StoreError(f"{str(self.folder)!r} cannot be used: {error.strerror}.") from error


def _lists(folder: Path) -> list[Path]:
    """The lists of claims in a folder; files of others are left alone."""
    return [path for path in folder.glob("*.json") if _LIST.fullmatch(path.name)]


def in_hand(folder: str | Path, besides: Path | None = None) -> set[str]:
    """Ids of the cells of a results folder that living processes have in hand.

    :param besides: a list that does not count.
    """
    taken: set[str] = set()
    for path in _lists(Path(folder) / "claims"):
        if path != besides and _held(path.with_suffix(".lease")):
            with suppress(OSError, ValueError):
                taken.update(json.loads(path.read_text()))
    return taken


@contextmanager
def holding(lease: str | None) -> Iterator[None]:
    """Hold a lease too: a worker that outlives its owner is still at work on what the owner claimed."""
    if lease is None:
        yield
        return
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            _lock(stack.enter_context(Path(lease).open("r")), shared=True)
        yield


def _lock(file: Any, shared: bool = False) -> None:
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def _held(lease: Path) -> bool:
    if fcntl is None:
        return True
    try:
        with lease.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
