"""Remove checkpoints and temporary files from a results folder."""

import math
import re
import stat
import time
from collections.abc import Collection
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import RequestError, StoreError
from bench.results.checkpoints import STATES
from bench.results.leases import leased
from bench.results.merge import Progress, groups, silent
from bench.results.store import Store

HOUR = 3600.0
DAY = 24 * HOUR

_CHECKPOINT = re.compile(r"([0-9a-f]{16})-(\d+)\.npz")
_ID = re.compile(r"[0-9a-f]{16}")
_STATE = re.compile(r"(\d+)\.npz")
_TEMPORARY = re.compile(r"\.([0-9a-f]{16}(-\d+)?|\d+)-[a-z0-9_]{8}\.tmp")
_TEMPORARY_LIST = re.compile(r"\.(\d+-[0-9a-f]{8}-)?[a-z0-9_]{8}\.tmp")
"""A list of leases; earlier versions put no name in front."""


@dataclass(frozen=True)
class File:
    """A file other than a record.

    :param kind: "checkpoint", "stray checkpoint" (of a step that is not its record's last), "state" (kept along
        training by ``--keep-states``) or "temporary".
    """

    path: str
    kind: str
    bytes: int


@dataclass
class Cleaned:
    """What `clean` removed, or would remove.

    :param in_flight: checkpoints that stay, of cells that a process has leased or that were interrupted within the last
        hour.
    :param younger: files that stay because they are too young.
    :param broken: messages about records beside these files that could not be read.
    """

    results: str
    dry_run: bool = False
    removed: list[File] = field(default_factory=list)
    in_flight: list[File] = field(default_factory=list)
    younger: list[File] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Size of the removed files."""
        return sum(file.bytes for file in self.removed)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**asdict(self), "bytes": self.bytes}


def clean_folder(
    results: str | Path = "results",
    *,
    older_than: float | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Cleaned:
    """Remove checkpoints, states that were kept along training, and temporary files of processes that were killed.

    Records and other files stay. Checkpoints and states of cells stay that a living process has leased; so do those
    younger than an hour whose record is "interrupted", because a cell in training writes such a record from time to
    time. If any other checkpoint is removed just before a process leases its cell, that cell is trained from
    step 0, and its record stays until the new one has more steps. The folder is locked, so that nothing is removed
    after a checkpoint is written and before its record is.

    :param older_than: keep files that are younger than this many days.
    :param dry_run: only report what would be removed.
    :param progress: is called with the number of files that are done and of all files.
    :raises RequestError: where ``older_than`` is not a number of days.
    :raises StoreError: where the folder cannot be used.
    """
    if older_than is not None and not 0 <= older_than < math.inf:
        raise RequestError(f"`older_than` must be a number of days ≥ 0, got {older_than}.")
    store = Store(results)
    cleaned = Cleaned(str(results), dry_run)
    least = DAY * (older_than or 0)
    for some in groups(_candidates(store), progress):
        # A dry run writes nothing, not even the file of the lock.
        with nullcontext() if dry_run else store.locked():
            ids = leased(store.folder)
            for path in some:
                _sweep_away(path, store, least, ids, cleaned)
    return cleaned


def _candidates(store: Store, skip: bool = False) -> list[Path]:
    """Checkpoints, states and temporary files, recognized by their names."""
    ours: dict[Path, tuple[re.Pattern[str], ...]] = {
        store.folder: (_TEMPORARY,),
        store.checkpoints.folder: (_CHECKPOINT, _TEMPORARY),
        store.folder / "claims": (_TEMPORARY_LIST,),
        **dict.fromkeys(_folders_of_states(store), (_STATE, _TEMPORARY)),
    }
    found: list[Path] = []
    for folder, names in ours.items():
        try:
            found += sorted(path for path in folder.iterdir() if any(name.fullmatch(path.name) for name in names))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if skip:
                continue
            raise StoreError(f"The folder {str(folder)!r} cannot be read: {error.strerror}.") from error
    return found


def temporary_files(store: Store) -> list[Path]:
    """Files under a temporary name, of processes that are writing or have died, in the folders that can be read."""
    return [path for path in _candidates(store, skip=True) if path.suffix == ".tmp"]


def _folders_of_states(store: Store) -> list[Path]:
    folders = sorted(store.states.folder.glob("*/"))
    return [path for path in folders if _ID.fullmatch(path.name) and not path.is_symlink()]


def _sweep_away(path: Path, store: Store, least: float, ids: Collection[str], cleaned: Cleaned) -> None:
    """Remove a file, unless it is too young or in use."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        return
    # The clock of a file server can be ahead: the age of a file from the future is 0.
    age = max(0.0, time.time() - found.st_mtime)
    kind, interrupted = _kind(path, store, cleaned)
    id = path.parent.name if kind == "state" else path.name[:16]
    in_flight = kind in ("checkpoint", "state") and (id in ids or (interrupted and age < HOUR))
    file = File(str(path), kind, found.st_size)
    if in_flight:
        cleaned.in_flight.append(file)
    elif age < max(least, HOUR if kind == "temporary" else 0):
        cleaned.younger.append(file)
    else:
        _remove(path, cleaned)
        cleaned.removed.append(file)


def _kind(path: Path, store: Store, cleaned: Cleaned) -> tuple[str, bool]:
    """The kind of a file, and whether its record is "interrupted"."""
    named, is_state = _CHECKPOINT.fullmatch(path.name), _STATE.fullmatch(path.name) is not None
    if named is None and not is_state:
        return "temporary", False
    kind = "checkpoint" if named else "state"
    try:
        record = store.read(named[1] if named else path.parent.name)
    except StoreError as error:
        # A record that cannot be read may refer to this file.
        if str(error) not in cleaned.broken:
            cleaned.broken.append(str(error))
        return kind, False
    if named and (record is None or record["final"]["step"] != int(named[2])):
        return "stray checkpoint", False
    return kind, record is not None and record["status"] == "interrupted"


def _remove(path: Path, cleaned: Cleaned) -> None:
    if cleaned.dry_run:
        return
    try:
        path.unlink(missing_ok=True)
        if path.parent.parent.name == STATES:
            with suppress(OSError):  # others are left in it
                path.parent.rmdir()
    except OSError as error:
        gone = f" {len(cleaned.removed):,} files were removed before." if cleaned.removed else ""
        raise StoreError(f"{str(path)!r} cannot be removed: {error.strerror}.{gone}") from error
