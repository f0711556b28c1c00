"""Results folders as wholes: join those of several machines, and clear away what only an extension needs."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zipfile import is_zipfile

from bench.errors import RequestError, StoreError
from bench.results.files import Staged
from bench.results.record import Record, goes_further
from bench.results.store import WRITERS, Store

__all__ = ["Disagreement", "Merged", "Progress", "groups", "merge", "silent"]

TOGETHER = 32
"""Files whose flushes wait for the disk together, and for which the folder is held once."""


T = TypeVar("T")


Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in groups of at most `TOGETHER`."""
    for first in range(0, len(items), TOGETHER):
        yield items[first : first + TOGETHER]


@dataclass(frozen=True)
class Disagreement:
    """Two records of one cell at one step, whose curves have other numbers.

    :param accuracy: the largest difference of an accuracy; 0 where only losses differ.
    """

    id: str
    step: int
    folders: tuple[str, str]
    accuracy: float


@dataclass
class Merged:
    """What `merge` did, or would do: ids of records, and what to say of them.

    :param copied: there was none in the target.
    :param replaced: the target's went less far.
    :param kept: the target's goes as far or further.
    :param broken: a line for each file that could not be used.
    :param checkpoints: how many came along, and
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
    """A record on its way into the target.

    :param checkpoint: the file that comes along, or None.
    """

    record: Record
    checkpoint: Path | None
    size: int


def merge(
    sources: Sequence[str | Path],
    into: str | Path,
    *,
    checkpoints: bool = True,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Merged:
    """Copy into a results folder the records that it lacks, or of which it has less.

    The record with the larger final step counts; of equal ones the target's, then that of the first source. One that
    failed counts less than any result. Records and checkpoints arrive whole or not at all, a checkpoint before its
    record, so that the same call goes on after a crash. As in `Store.keep_all`, the checkpoint of a record that is
    replaced goes with it. The target is held only while files are renamed: a sweep may write there meanwhile;
    one that was about to extend such a record begins its cell anew.

    :param checkpoints: bring along those of the copied records, where there are any.
    :param dry_run: only say what would happen.
    :param progress: is told how many of how many records are done.
    :raises RequestError: where a source is no folder or has no records, or is the target.
    :raises StoreError: where a folder or a file in it cannot be used; what is merged by then stays.
    """
    folders = _sources(sources, into)
    owners: dict[str, list[Store]] = {}
    for store in folders:
        for id in store.ids():
            owners.setdefault(id, []).append(store)
    target = _target(into, dry_run)
    merged = Merged(str(into), dry_run)
    done = 0
    for ids in groups(sorted(owners)):
        moves = [move for id in ids if (move := _choose(id, owners[id], target, checkpoints, merged)) is not None]
        try:
            _bring(moves, target, merged)
        except StoreError as error:
            safe = len(merged.copied) + len(merged.replaced)
            raise StoreError(f"{error} {safe:,} records were merged before; the same request goes on.") from error
        done += len(ids)
        progress(done, len(owners))
    return merged


def _sources(sources: Sequence[str | Path], into: str | Path) -> list[Store]:
    """The folders to read from, each once."""
    if not str(into):
        raise RequestError("The target of a merge must be a folder, got ''.")
    if not sources:
        raise RequestError("A merge needs at least one source.")
    found: dict[Path, Store] = {}
    for source in sources:
        if not Path(source).is_dir() or not str(source):
            raise RequestError(f"A source of a merge must be a results folder, got {str(source)!r}.")
        if Path(source).resolve() == Path(into).resolve():
            raise RequestError(f"The target of a merge must be none of its sources, got {str(source)!r} as both.")
        store = Store(source)
        if not store.ids():
            raise RequestError(f"The source {str(source)!r} holds no records.")
        found.setdefault(Path(source).resolve(), store)
    return list(found.values())


def _target(into: str | Path, dry_run: bool) -> Store | None:
    """The folder to merge into; None where a dry run finds none, and would have it made."""
    if not dry_run:
        return Store(into, create=True)
    return None if not Path(into).exists() and Path(into).absolute().parent.is_dir() else Store(into)


def _choose(id: str, sources: Iterable[Store], target: Store | None, checkpoints: bool, merged: Merged) -> _Move | None:
    """The record to copy, None where the target's stays; notes what was seen on the way."""
    found = [(store, record) for store in sources if (record := _read(store, id, merged)) is not None]
    broken = len(merged.broken)
    stored = None if target is None else _read(target, id, merged)
    if not found or len(merged.broken) > broken:
        return None
    merged.disagreeing += _disagreements([*([(target, stored)] if target and stored else []), *found])
    source, best = found[0]
    for other, record in found[1:]:
        if goes_further(record, best):
            source, best = other, record
    if stored is not None and not goes_further(best, stored):
        merged.kept.append(id)
        return None
    path, size = _checkpoint(source, best, merged) if checkpoints else (None, 0)
    if merged.dry_run:
        _count(_Move(best, path, size), stored, merged)
        return None
    return _Move(best, path, size)


def _read(store: Store, id: str, merged: Merged) -> Record | None:
    """A record, None where there is none, or none that can be used: that is noted."""
    try:
        record = store.read(id)
    except StoreError as error:
        merged.broken.append(str(error))
        return None
    if record is not None and not _is_sound(record):
        merged.broken.append(f"The record {str(store.path(id))!r} is corrupt: its curve or final step is no number.")
        return None
    return record


def _is_sound(record: Record) -> bool:
    """Whether steps can be compared and curves read."""
    step = record["final"]["step"]
    series: list[Any] = list(record["curve"].values())
    if not isinstance(step, int | None) or not all(isinstance(one, list) for one in series):
        return False
    return len(set(map(len, series))) == 1 and all(isinstance(x, int | float | None) for one in series for x in one)


def _checkpoint(store: Store, record: Record, merged: Merged) -> tuple[Path | None, int]:
    """The checkpoint of a record and its size; None where there is none, or a cut one: that is noted."""
    if record["final"]["step"] is None:
        return None, 0
    path = store.checkpoints.path(record["id"], record["final"]["step"])
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


def _disagreements(found: Sequence[tuple[Store, Record]]) -> Iterator[Disagreement]:
    """Records that end at the same step as an earlier one, with other numbers."""
    first: dict[int, tuple[Store, Record]] = {}
    for store, record in found:
        step = record["final"]["step"]
        if step is None:
            continue
        before, one = first.setdefault(step, (store, record))
        gap = _gap(one["curve"], record["curve"])
        if gap is not None:
            yield Disagreement(record["id"], step, (str(before.folder), str(store.folder)), gap)


def _gap(one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """The largest difference of an accuracy, None where all numbers agree at the steps that both curves have.

    A run that was extended was evaluated at the end of its first budget too: that alone is no disagreement.
    """
    at = {step: j for j, step in enumerate(other["step"])}
    shared = [(i, at[step]) for i, step in enumerate(one["step"]) if step in at]
    pairs = [(name, one[name][i], other[name][j]) for name in one.keys() & other.keys() for i, j in shared]
    if all(x == y for _, x, y in pairs):
        return None
    gaps = [abs(x - y) for name, x, y in pairs if name.endswith("accuracy") and x is not None and y is not None]
    return float(max(gaps, default=0.0))


def _bring(moves: Sequence[_Move], target: Store | None, merged: Merged) -> None:
    """Copy some records and their checkpoints: beside where they belong, to the disk, then to their places."""
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
    """A copy of a checkpoint beside where it belongs; None where it has gone: a process there goes on from it."""
    if move.checkpoint is None:
        return None
    try:
        source = move.checkpoint.open("rb")
    except FileNotFoundError:
        return None
    with source:
        return target.checkpoints.stage_file(move.checkpoint.name, lambda file: shutil.copyfileobj(source, file, 2**20))


def _settle(move: _Move, state: Staged | None, record: Staged, target: Store, merged: Merged) -> None:
    """Move a checkpoint, then its record to their places, unless the target has gone as far meanwhile."""
    id, step = move.record["id"], move.record["final"]["step"]
    stored = target.read(id)
    if stored is not None and not goes_further(move.record, stored):
        merged.kept.append(id)
        return
    if state is not None:
        state.settle()
    elif step is not None:
        # One that an interrupted merge left there may be of another machine's run: it must not be extended from.
        target.checkpoints.path(id, step).unlink(missing_ok=True)
    record.settle()
    before = None if stored is None else stored["final"]["step"]
    if before is not None:
        with suppress(OSError):
            target.checkpoints.path(id, before).unlink(missing_ok=True)
    _count(move if state is not None else _Move(move.record, None, 0), stored, merged)


def _count(move: _Move, stored: Record | None, merged: Merged) -> None:
    (merged.copied if stored is None else merged.replaced).append(move.record["id"])
    merged.checkpoints += move.checkpoint is not None
    merged.bytes += move.size
