"""Merge results folders, as of several machines."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zipfile import is_zipfile

from bench.errors import RequestError, StoreError
from bench.results.choice import Disagreement, disagreements, furthest, opened_sources, owners_of, read_sound
from bench.results.files import Staged
from bench.results.record import Record, goes_further
from bench.results.source import RecordSource
from bench.results.store import WRITERS, Store

GROUP_SIZE = 32
"""Files that are flushed at the same time, and for which the folder is locked once."""

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Is called with the number of items that are done and of all items."""


def silent(done: int, total: int) -> None:
    """Report no progress."""


def groups(items: Sequence[T], progress: Progress) -> Iterator[Sequence[T]]:
    """The items in groups of at most `GROUP_SIZE`; after each group the progress is reported."""
    for first in range(0, len(items), GROUP_SIZE):
        some = items[first : first + GROUP_SIZE]
        yield some
        progress(first + len(some), len(items))


@dataclass
class Merged:
    """What `merge` did, or would do in a dry run.

    :param copied: ids of records that the target lacked.
    :param replaced: ids of records that replaced one with fewer steps.
    :param kept: ids of records of the target that have as many steps or more.
    :param broken: a message for each file that could not be used.
    :param checkpoints: the number of checkpoints that were copied.
    :param bytes: their size.
    """

    into: str
    dry_run: bool = False
    copied: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    disagreeing: list[Disagreement] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    checkpoints: int = 0
    bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


@dataclass(frozen=True)
class _Move:
    """A record to copy into the target.

    :param checkpoint: the file to copy with it, or None.
    :param size: of that file in bytes.
    """

    record: Record
    checkpoint: Path | None
    size: int


def merge_folders(
    sources: Sequence[str | Path],
    into: str | Path,
    *,
    checkpoints: bool = True,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Merged:
    """Copy into a results folder the records that it lacks or has with fewer steps, from other folders and from packs.

    Of several records of a cell, the one with the larger final step is chosen; of equal ones the target's, then that of
    the first source. A failed record has fewer steps than any other. Records and checkpoints are written whole or not
    at all, a checkpoint before its record, so that the same call continues after a crash. As in `Store.keep_all`, the
    checkpoint of a replaced record is removed. The target is locked only while files are renamed, so that a sweep can
    write there at the same time; a cell that it was about to extend from a replaced record is trained from step 0.

    :param checkpoints: copy the checkpoints of the copied records too.
    :param dry_run: only report what would be copied.
    :param progress: is called with the number of records that are done and of all records.
    :raises RequestError: where a source is no folder and no pack, has no records or is the target, or is a pack without
        whole curves.
    :raises StoreError: where a folder or a file in it cannot be used; records that were merged before stay.
    """
    if not str(into):
        raise RequestError("The target of a merge must be a folder, got ''.")
    opened = opened_sources(sources, into, "merge")
    for source in opened:
        source.check_curves("all", "a results folder")
    owners = owners_of(opened)
    target = _target(into, dry_run)
    merged = Merged(str(into), dry_run)
    for ids in groups(sorted(owners), progress):
        moves = [move for id in ids if (move := _choose(id, owners[id], target, checkpoints, merged)) is not None]
        try:
            _copy(moves, target, merged)
        except StoreError as error:
            safe = len(merged.copied) + len(merged.replaced)
            raise StoreError(f"{error} {safe:,} records were merged before; the same request goes on.") from error
    return merged


def _target(into: str | Path, dry_run: bool) -> Store | None:
    """The target folder; None in a dry run where it does not exist and would be made."""
    if not dry_run:
        return Store(into, create=True)
    return None if not Path(into).exists() and Path(into).absolute().parent.is_dir() else Store(into)


def _choose(
    id: str, sources: Iterable[RecordSource], target: Store | None, checkpoints: bool, merged: Merged
) -> _Move | None:
    """The record to copy, None where the target's stays; adds disagreements and broken files to ``merged``."""
    found = [(one, record) for one in sources if (record := read_sound(one, id, merged.broken)) is not None]
    broken = len(merged.broken)
    stored = None if target is None else read_sound(target, id, merged.broken)
    if not found or len(merged.broken) > broken:
        return None
    merged.disagreeing += disagreements([*([(target, stored)] if target and stored else []), *found])
    source, best = furthest(found)
    if stored is not None and not goes_further(best, stored):
        merged.kept.append(id)
        return None
    path, size = _checkpoint(source, best, merged) if checkpoints else (None, 0)
    if merged.dry_run:
        _count(_Move(best, path, size), stored, merged)
        return None
    return _Move(best, path, size)


def _checkpoint(source: RecordSource, record: Record, merged: Merged) -> tuple[Path | None, int]:
    """The checkpoint of a record and its size; None where there is none, or a broken one, whose message is added."""
    if record["final"]["step"] is None or source.checkpoints is None:
        return None, 0
    path = source.checkpoints.path(record["id"], record["final"]["step"])
    try:
        with path.open("rb") as file:
            if is_zipfile(file):
                return path, os.fstat(file.fileno()).st_size
        why = "it is not whole"
    except FileNotFoundError:
        return None, 0
    except OSError as error:
        why = str(error.strerror)
    merged.broken.append(f"The checkpoint {str(path)!r} cannot be used: {why}. Its record cannot be extended.")
    return None, 0


def _copy(moves: Sequence[_Move], target: Store | None, merged: Merged) -> None:
    """Copy records and their checkpoints: write temporary files, flush them, then move them to their final paths."""
    if target is None or not moves:
        return
    with ExitStack() as undone:
        staged: list[tuple[_Move, Staged | None, Staged]] = []
        for move in moves:
            state = _stage_copy(target, move)
            if state is not None:
                undone.callback(state.drop)
            record = target.stage(move.record)
            undone.callback(record.drop)
            staged.append((move, state, record))
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(Staged.flush, [one for _, *files in staged for one in files if one]))
        with target.locked():
            for move, state, record in staged:
                _settle(move, state, record, target, merged)


def _stage_copy(target: Store, move: _Move) -> Staged | None:
    """Copy a checkpoint to a temporary file; None where it is gone, since a process has extended its run meanwhile."""
    if move.checkpoint is None:
        return None
    try:
        source = move.checkpoint.open("rb")
    except FileNotFoundError:
        return None
    with source:
        id, step = move.record["id"], move.record["final"]["step"]
        return target.checkpoints.stage_file(id, step, lambda file: shutil.copyfileobj(source, file, 2**20))


def _settle(move: _Move, state: Staged | None, record: Staged, target: Store, merged: Merged) -> None:
    """Move a checkpoint and then its record to their final paths, unless the target has as many steps meanwhile."""
    id, step = move.record["id"], move.record["final"]["step"]
    stored = target.stored(id)
    if stored is not None and not goes_further(move.record, stored):
        merged.kept.append(id)
        return
    if state is not None:
        state.settle()
    elif step is not None:
        # One of an interrupted merge may be of another machine's run, which this record must not be extended from.
        target.checkpoints.path(id, step).unlink(missing_ok=True)
    record.settle()
    before = None if stored is None else stored["final"]["step"]
    target.states.remove(id)  # of the run that this one replaces
    if before is not None:
        with suppress(OSError):
            target.checkpoints.path(id, before).unlink(missing_ok=True)
    _count(move if state is not None else _Move(move.record, None, 0), stored, merged)


def _count(move: _Move, stored: Record | None, merged: Merged) -> None:
    (merged.copied if stored is None else merged.replaced).append(move.record["id"])
    merged.checkpoints += move.checkpoint is not None
    merged.bytes += move.size
