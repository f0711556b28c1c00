"""The results folder: one JSON document a record, written whole or not at all, and checkpoints beside them."""

import errno
import io
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np

from bench.errors import FolderError, RequestError, StoreError, one_of
from bench.results.files import Staged, cannot_write, flush
from bench.results.record import Record, State, fault_of_record, goes_further

__all__ = ["Store", "check_folder"]

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


WRITERS = 8
"""Threads that write files."""


AT_ONCE = 16 * 2**20
"""Bytes of the largest checkpoint that is put together in memory."""


NAMED = 20
"""Ids that are listed to who asks for one that is not there."""


_RECORD = re.compile(r"[0-9a-f]{16}\.json")


def check_folder(folder: str | Path) -> None:
    """Nothing where a results folder can be used, or made in the one above it, as far as can be seen without writing.

    :raises FolderError: as `Store` would, if it were to create it.
    """
    place, code = Path(folder), 0
    wanted, effective = os.R_OK | os.W_OK | os.X_OK, os.access in os.supports_effective_ids
    try:
        existing = place if os.path.lexists(place) else place.absolute().parent
        if not stat.S_ISDIR(existing.stat().st_mode):
            code = errno.EEXIST if existing is place else errno.ENOTDIR
        elif not os.access(existing, wanted if existing is place else wanted & ~os.R_OK, effective_ids=effective):
            code = errno.EACCES
        with suppress(FileNotFoundError):
            place.stat()  # a name can be too long
    except OSError as error:
        code = error.errno or errno.EIO
    if code:
        raise FolderError(f"The results folder {str(place)!r} cannot be used: {os.strerror(code)}.")


class Store:
    """Records by id in a folder. Files that are no records of ours are left alone.

    :param folder: the results folder.
    :param create: make the folder, where the one above it exists, and check that it can be written to.
    :raises FolderError: where the folder cannot be used.
    """

    def __init__(self, folder: str | Path, create: bool = False) -> None:
        if not str(folder):
            raise FolderError("The results folder must have a name, got ''.")
        self.folder = Path(folder)
        self.checkpoints = self.folder / "checkpoints"
        if create:
            self._make_writable()
        if not self.folder.is_dir():
            raise FolderError(f"There is no results folder {str(self.folder)!r}.")

    def _make_writable(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as probe:
                probe.write(b"\0" * 4096)
        except OSError as error:
            raise FolderError(f"The results folder {str(self.folder)!r} cannot be used: {error.strerror}.") from error

    def path(self, id: str) -> Path:
        """Where a record lies."""
        return self.folder / f"{id}.json"

    def ids(self) -> list[str]:
        """Ids of all records, sorted.

        :raises FolderError: where the folder cannot be read.
        """
        try:
            return sorted(p.stem for p in self.folder.iterdir() if _RECORD.fullmatch(p.name))
        except OSError as error:
            raise FolderError(f"The results folder {str(self.folder)!r} cannot be read: {error.strerror}.") from error

    def find(self, prefix: str) -> Record:
        """The record whose id begins so.

        :raises RequestError: where none or several do.
        """
        ids = self.ids()
        matching = [id for id in ids if id.startswith(prefix)]
        if not matching or not prefix:
            known = ids[:NAMED] + ["…"] * (len(ids) > NAMED)
            raise RequestError(one_of(f"record in {str(self.folder)!r}:", prefix, known))
        if len(matching) > 1:
            some = ", ".join(matching[:5]) + (", …" if len(matching) > 5 else "")
            raise RequestError(f"{len(matching)} records begin with {prefix!r}: {some}.")
        record = self.read(matching[0])
        assert record is not None
        return record

    def read(self, id: str) -> Record | None:
        """A record, None where there is none.

        :raises StoreError: where the file is no whole record.
        """
        path = self.path(id)
        try:
            record = json.loads(path.read_bytes(), parse_constant=_no_constant)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"The record {str(path)!r} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise StoreError(_corrupt(path, f"it is no JSON document ({error})")) from error
        fault = fault_of_record(record, id)
        if fault:
            raise StoreError(_corrupt(path, fault))
        return record

    def records(self) -> Iterator[Record]:
        """All records in the order of their ids."""
        for id in self.ids():
            record = self.read(id)
            if record is not None:
                yield record

    def write(self, record: Record) -> None:
        """Write or replace a record.

        :raises StoreError: where it cannot be written; what was there before is kept.
        """
        staged = self._stage_record(record)
        flush(staged)
        self._settle(staged)

    def _stage_record(self, record: Record) -> "Staged":
        try:
            text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise StoreError(f"The record {record['id']} cannot be written: {error}.") from error
        return self._stage(self.path(record["id"]), lambda file: file.write(text.encode()))

    def keep(self, record: Record, state: State, force: bool = False) -> None:
        """`keep_all` of one record.

        :raises StoreError: where anything cannot be written; minor where the record itself could.
        """
        [problem] = self.keep_all([(record, state)], {record["id"]} if force else set())
        if problem:
            raise problem

    def keep_all(self, items: Sequence[tuple[Record, State]], force: Collection[str] = ()) -> list[StoreError | None]:
        """Keep records and their checkpoints, unless what is stored goes further; what went wrong with each.

        A checkpoint first, then the record that points to it, then away with the older checkpoint. The folder is held
        while records are compared and files take their places, not while these are written and flushed to the disk:
        several processes do that at the same time. Some files are written and flushed at a time, since each by itself
        waits for the disk.

        :param force: ids of which what is stored gives way; what goes further, or cannot be read, is set aside.
        :raises StoreError: where the folder cannot be used.
        """
        with self._locked():
            stays = [self._unwritten(record, record["id"] in force) for record, _ in items]
        with ThreadPoolExecutor(WRITERS) as pool:
            writing = [pool.submit(self._flushed, item, two) for item, two in zip(items, stays, strict=True)]
        if any(future.exception() for future in writing):  # no fault of the disk: that would be a problem of one record
            for future in writing:
                if not future.exception():
                    future.result().drop()
        staged = [future.result() for future in writing]
        try:
            with self._locked():
                ends = zip(items, staged, strict=True)
                return [self._end(record, two, record["id"] in force) for (record, _), two in ends]
        except StoreError:
            for two in staged:
                two.drop()
            raise

    def _unwritten(self, record: Record, force: bool) -> "_Written | None":
        """That nothing is written, where what is stored stays: by force it is set aside if it goes further."""
        try:
            stored = self._in_the_way(record, force)
        except StoreError as error:
            return _Written(problem=error)
        further = stored is not None and goes_further(stored, record)
        return _Written(problem=_stays(record["id"], record)) if further else None

    def _flushed(self, item: tuple[Record, State], stays: "_Written | None") -> "_Written":
        """What is written beside, and on the disk."""
        written = self._write_beside(*item) if stays is None else stays
        for staged in (written.state, written.record):
            if staged is not None:
                flush(staged)
        return written

    def _write_beside(self, record: Record, state: State) -> "_Written":
        """Write a checkpoint and a record beside where they belong."""
        whole: Staged | None = None
        problem: StoreError | None = None
        try:
            goes_on = bool(state) and record["status"] not in ("failed", "diverged")
            if goes_on:
                try:
                    whole = self._stage_state(record["id"], record["final"]["step"], state)
                except StoreError as error:
                    problem = _cannot_go_on(error)
            return _Written(whole, self._stage_record(record), problem, goes_on)
        except StoreError as error:
            if whole is not None:
                whole.drop()
            return _Written(problem=error)
        except BaseException:
            if whole is not None:
                whole.drop()
            raise

    def _in_the_way(self, record: Record, force: bool) -> Record | None:
        """The stored record; by force, set aside where it goes further or cannot be read."""
        try:
            stored = self.read(record["id"])
        except StoreError:
            if not force:
                raise
            self.set_aside(record["id"])
            return None
        if force and stored is not None and goes_further(stored, record):
            self.set_aside(record["id"])
            return None
        return stored

    def _end(self, record: Record, written: "_Written", force: bool) -> StoreError | None:
        """Move what was written to where it belongs, unless what is stored has gone further meanwhile."""
        if written.record is None:
            return written.problem
        problem, id = written.problem, record["id"]
        try:
            stored = self._in_the_way(record, force)
            if stored is not None and goes_further(stored, record):
                written.drop()
                return _stays(id, record)
            if written.state is not None:
                try:
                    self._settle(written.state)
                except StoreError as error:
                    problem = _cannot_go_on(error)
            self._settle(written.record)
        except StoreError as error:
            written.drop()
            return error
        before = None if stored is None else stored["final"]["step"]
        if before not in (None, record["final"]["step"] if written.goes_on else None):
            with suppress(OSError):
                self._state_path(id, before).unlink(missing_ok=True)
        return problem

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder while a record is compared and replaced."""
        try:
            with (self.folder / ".lock").open("w") as file:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StoreError(f"The results folder {str(self.folder)!r} cannot be used: {error.strerror}.") from error

    def set_aside(self, id: str) -> Path:
        """Rename a record, so that it is not lost when its cell is computed anew."""
        number = 0
        while (aside := self.folder / f"{id}.json.aside-{number}").exists():
            number += 1
        try:
            self.path(id).rename(aside)
        except OSError as error:
            raise StoreError(f"{str(self.path(id))!r} cannot be renamed: {error.strerror}.") from error
        return aside

    def write_state(self, id: str, step: int, state: State) -> None:
        """Keep a checkpoint: arrays by name, no pickles."""
        staged = self._stage_state(id, step, state)
        flush(staged)
        self._settle(staged)

    def _stage_state(self, id: str, step: int, state: State) -> "Staged":
        try:
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(f"{str(self.checkpoints)!r} cannot be made: {error.strerror}.") from error
        path = self._state_path(id, step)
        if sum(x.nbytes for x in state.values()) > AT_ONCE:
            return self._stage(path, lambda file: np.savez(file, **state))  # type: ignore[arg-type]
        whole = io.BytesIO()  # an archive by itself is hundreds of small writes
        np.savez(whole, **state)  # type: ignore[arg-type]
        return self._stage(path, lambda file: file.write(whole.getbuffer()))

    def read_state(self, id: str, step: int) -> State | None:
        """The checkpoint of a record at a step, None where it is gone or not whole."""
        try:
            with self._state_path(id, step).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, KeyError, BadZipFile):
            return None

    def has_state(self, id: str, step: int) -> bool:
        """Whether there is a checkpoint of a record at a step, whole or not."""
        return self._state_path(id, step).is_file()

    def _state_path(self, id: str, step: int) -> Path:
        return self.checkpoints / f"{id}-{step}.npz"

    def _stage(self, path: Path, write: Callable[[BinaryIO], object]) -> "Staged":
        """Write beside; `flush` and `_settle` follow: a reader or a crash sees the old file or the new one."""
        temporary: str | None = None
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
            with os.fdopen(descriptor, "wb") as file:
                write(file)
            Path(temporary).chmod(0o644)
            return Staged(Path(temporary), path)
        except BaseException as error:
            if temporary is not None:
                with suppress(OSError):
                    Path(temporary).unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise cannot_write(path, error) from error
            raise

    def _settle(self, staged: "Staged") -> None:
        try:
            if staged.failed:
                raise staged.failed
            staged.temporary.replace(staged.path)
        except OSError as error:
            staged.drop()
            raise cannot_write(staged.path, error) from error


@dataclass(frozen=True)
class _Written:
    """A checkpoint and a record on their way, or why there is no record.

    :param goes_on: it can be gone on from the record's step, by the checkpoint or, where that could not be written, by
        one that is there.
    """

    state: Staged | None = None
    record: Staged | None = None
    problem: StoreError | None = None
    goes_on: bool = False

    def drop(self) -> None:
        """Away with what has not got to its place."""
        for staged in (self.state, self.record):
            if staged is not None:
                staged.drop()


def _stays(id: str, record: Record) -> StoreError | None:
    """What is said of a record that does not go as far as the stored one."""
    if record["error"] is None:
        return None
    return StoreError(f"{record['error']['message']} (the stored record {id} is kept)", minor=True)


def _cannot_go_on(error: StoreError) -> StoreError:
    return StoreError(f"{error} The record is kept, but cannot be extended.", minor=True)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _corrupt(path: Path, why: str) -> str:
    return (
        f"The record {str(path)!r} is corrupt: {why}. Move it away, or compute it anew with --force (it is kept aside)."
    )
