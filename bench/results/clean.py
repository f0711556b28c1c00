"""Remove from a results folder what nobody needs."""

import math
import re
import stat
import time
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import RequestError, StoreError
from bench.results.leases import in_hand
from bench.results.merge import Progress, groups, silent
from bench.results.store import Store

__all__ = ["Cleaned", "File", "clean"]

HOUR = 3600.0


DAY = 24 * HOUR


_CHECKPOINT = re.compile(r"([0-9a-f]{16})-(\d+)\.npz")


_TEMPORARY = re.compile(r"\.[0-9a-f]{16}(-\d+)?-[a-z0-9_]{8}\.tmp")


_TEMPORARY_CLAIM = re.compile(r"\.[a-z0-9_]{8}\.tmp")


@dataclass(frozen=True)
class File:
    """A file that is no record.

    :param kind: "checkpoint", "stray checkpoint" (of no record as it is stored) or "temporary".
    """

    path: str
    kind: str
    bytes: int


@dataclass
class Cleaned:
    """What `clean` removed, or would remove.

    :param in_flight: checkpoints that stay, of cells that a process has in hand, or that were interrupted within the
        hour.
    :param younger: files that stay because they are too young.
    """

    results: str
    dry_run: bool = False
    removed: list[File] = field(default_factory=list)
    in_flight: list[File] = field(default_factory=list)
    younger: list[File] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """How much room there is now."""
        return sum(file.bytes for file in self.removed)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**asdict(self), "bytes": self.bytes}


def clean(
    results: str | Path = "results",
    *,
    older_than: float | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Cleaned:
    """Remove checkpoints, and temporary files that killed processes left; no record and no file of anybody else.

    The checkpoint of a cell that a living process has claimed stays, and one younger than an hour whose record says
    "interrupted": a cell in training keeps such a pair from time to time. Any other may go while a process is about to
    claim its cell; that cell then begins anew, and its record stays until the new one has gone further. Nothing is
    removed between a checkpoint and its record, since the folder is held meanwhile.

    :param older_than: leave files younger than so many days.
    :param dry_run: only say what would happen.
    :param progress: is told how many of how many files are done.
    :raises RequestError: where a number of days is none.
    :raises StoreError: where the folder cannot be used.
    """
    if older_than is not None and not 0 <= older_than < math.inf:
        raise RequestError(f"--older-than must be a number of days ≥ 0, got {older_than}.")
    store = Store(results)
    cleaned = Cleaned(str(results), dry_run)
    least = DAY * (older_than or 0)
    paths = _candidates(store)
    done = 0
    for some in groups(paths):
        # A dry run changes nothing, the lock's file included.
        with nullcontext() if dry_run else store.locked():
            claimed = in_hand(store.folder)
            for path in some:
                _sweep_away(path, store, least, claimed, cleaned)
        done += len(some)
        progress(done, len(paths))
    return cleaned


def _candidates(store: Store) -> list[Path]:
    """Checkpoints and temporary files by their names."""
    ours = {
        store.folder: (_TEMPORARY,),
        store.checkpoints.folder: (_CHECKPOINT, _TEMPORARY),
        store.folder / "claims": (_TEMPORARY_CLAIM,),
    }
    found: list[Path] = []
    for folder, names in ours.items():
        try:
            found += sorted(path for path in folder.iterdir() if any(name.fullmatch(path.name) for name in names))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StoreError(f"The folder {str(folder)!r} cannot be read: {error.strerror}.") from error
    return found


def _sweep_away(path: Path, store: Store, least: float, claimed: Collection[str], cleaned: Cleaned) -> None:
    """Remove a file, unless it is too young or in use."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        return
    # Clocks of file servers differ: what is from the future is new, not younger than any age.
    age = max(0.0, time.time() - found.st_mtime)
    kind, interrupted = _kind(path, store)
    in_flight = kind == "checkpoint" and (path.name[:16] in claimed or (interrupted and age < HOUR))
    file = File(str(path), kind, found.st_size)
    if in_flight:
        cleaned.in_flight.append(file)
    elif age < max(least, HOUR if kind == "temporary" else 0):
        cleaned.younger.append(file)
    else:
        _remove(path, cleaned)
        cleaned.removed.append(file)


def _kind(path: Path, store: Store) -> tuple[str, bool]:
    """What a file is, and whether its record says that the cell is not at its end."""
    named = _CHECKPOINT.fullmatch(path.name)
    if named is None:
        return "temporary", False
    try:
        record = store.read(named[1])
    except StoreError:
        # Which checkpoint a record that cannot be read points to is not known.
        return "checkpoint", False
    if record is None or record["final"]["step"] != int(named[2]):
        return "stray checkpoint", False
    return "checkpoint", record["status"] == "interrupted"


def _remove(path: Path, cleaned: Cleaned) -> None:
    if cleaned.dry_run:
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        gone = f" {len(cleaned.removed):,} files were removed before." if cleaned.removed else ""
        raise StoreError(f"{str(path)!r} cannot be removed: {error.strerror}.{gone}") from error
