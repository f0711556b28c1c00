"""Leases on cells: several processes share a results folder without computing a cell twice.

A process that sweeps writes the ids of the cells that it works on into a list, and it and its workers hold a shared
lock on a file beside that list for as long as they live. The list counts while that lock is held: the cells of a
process that was killed are free at once, and no clock is compared. Beside the list, the process may say how far it is.
"""

import json
import math
import os
import platform
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import StoreError, os_errors_as
from bench.results.files import stage
from bench.results.locks import exclusive, is_locked, owners, shared

PUBLISHED_EVERY = 1.0
"""Seconds between two activities of a process."""
YEAR_3000 = 32_503_680_000
"""In seconds since 1970."""
_LIST = re.compile(r"\d+-[0-9a-f]{8}\.json")


@dataclass(frozen=True)
class Activity:
    """What a process says about its work.

    :param process: the id of the process.
    :param since: when it began, in seconds since 1970.
    :param what: what it does, as "sweep league".
    :param lines: how far it is, in words.
    :param at: when it said so, in seconds since 1970.
    """

    process: int
    host: str
    since: float
    what: str
    lines: Sequence[str]
    at: float


class Lease:
    """The cells that this process works on, so that no other process does.

    :param results: the results folder.
    :raises StoreError: where nothing can be written there.
    """

    def __init__(self, results: str | Path) -> None:
        self.folder = Path(results) / "claims"
        self.ids: set[str] = set()
        name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.path = self.folder / f"{name}.lease"
        self.list = self.folder / f"{name}.json"
        with os_errors_as(StoreError, f"{str(self.folder)!r} cannot be used"):
            self.folder.mkdir(exist_ok=True)
            self.path.touch()
            self._held = ExitStack()
            try:
                self._held.enter_context(shared(self.path))
            except OSError:
                self.path.unlink(missing_ok=True)
                raise
        self._since, self._published = time.time(), -math.inf

    def take(self, ids: Iterable[str]) -> set[str]:
        """Lease cells; returns those that no other process has leased, which are now this process's.

        :raises StoreError: where nothing can be written.
        """
        with os_errors_as(StoreError, f"{str(self.folder)!r} cannot be used"), exclusive(self.folder / ".lock"):
            for path in _lists(self.folder):
                if not is_locked(path.with_suffix(".lease")):  # its process has ended
                    _remove(path)
            taken = set(ids) - leased(self.folder.parent, besides=self.list)
            self.ids |= taken
            if taken or not self.list.exists():
                self._write()
        return taken

    def release(self, ids: Iterable[str]) -> None:
        """Return cells, computed or not."""
        self.ids -= set(ids)
        with suppress(StoreError):
            self._write()

    def publish(self, what: str, describe: Callable[[], Sequence[str]]) -> None:
        """Tell other processes what this one does and how far it is; at most once a second, and never with an error.

        :param what: as "sweep league".
        :param describe: makes the lines that say how far it is.
        """
        if time.monotonic() - self._published < PUBLISHED_EVERY:
            return
        self._published = time.monotonic()
        activity = Activity(os.getpid(), platform.node(), self._since, what, list(describe()), time.time())
        text = json.dumps(asdict(activity)).encode()
        with suppress(StoreError):
            stage(self.path.with_suffix(".status"), lambda file: file.write(text)).settle()
            if not self.list.exists():  # a search of a database leases no cells
                self._write()

    def close(self) -> None:
        """Return all cells."""
        self._held.close()  # first, since Windows removes no open file
        _remove(self.list)

    def _write(self) -> None:
        stage(self.list, lambda file: file.write(json.dumps(sorted(self.ids)).encode())).settle()


def status(results: str | Path = "results") -> list[Activity]:
    """What runs, sweeps and searches that are at work in a results folder say about it, the oldest process first."""
    found = []
    for path in _lists(Path(results) / "claims"):
        if is_locked(path.with_suffix(".lease")):
            with suppress(OSError, ValueError, TypeError, RecursionError):
                found.append(_activity(json.loads(path.with_suffix(".status").read_text())))
    return sorted(found, key=lambda activity: activity.since)


def leased(results: str | Path, besides: Path | None = None) -> set[str]:
    """Ids of the cells of a results folder that living processes have leased.

    :param besides: a list to leave out.
    """
    ids: set[str] = set()
    for path in _lists(Path(results) / "claims"):
        if path != besides and is_locked(path.with_suffix(".lease")):
            with suppress(OSError, ValueError, TypeError, RecursionError):  # of a damaged list
                ids.update(map(str, json.loads(path.read_text())))
    return ids


def _activity(said: Any) -> Activity:
    """What a process has said.

    :raises ValueError, TypeError: where that is not what a process says.
    """
    activity = Activity(**said)
    times = (activity.since, activity.at)
    if not isinstance(activity.lines, list) or not all(math.isfinite(time) and 0 <= time < YEAR_3000 for time in times):
        raise ValueError("no activity")
    return activity


@contextmanager
def sharing(path: str | None) -> Iterator[None]:
    """Share the lock of a lease: the cells of a worker that outlives the main process are not free yet.

    :param path: the lease's file, or None.
    """
    with ExitStack() as stack:
        if path is not None:
            with suppress(OSError):  # the main process has returned the cells already
                stack.enter_context(shared(Path(path)))
        yield


def _lists(folder: Path) -> list[Path]:
    """The lists of leased cells in a folder. Other files are left alone."""
    return [path for path in folder.glob("*.json") if _LIST.fullmatch(path.name)]


def _remove(path: Path) -> None:
    """Remove a list, the file that is locked for it, and what its process said."""
    lease = path.with_suffix(".lease")
    for one in (path, lease, path.with_suffix(".status"), *owners(lease)):
        with suppress(OSError):
            one.unlink(missing_ok=True)
