"""The records of a results folder: one JSON document each, with checkpoints beside them."""

import errno
import json
import os
import re
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zipfile import is_zipfile

from bench.errors import DamagedError, FolderError, StoreError, os_errors_as, shell_words
from bench.results.checkpoints import Checkpoints, KeptStates, State
from bench.results.faults import fault_of_record, is_newer
from bench.results.files import Staged, read_regular, set_aside, stage
from bench.results.locks import exclusive
from bench.results.record import Record, goes_further
from bench.results.source import RecordSource

try:
    import orjson
except ImportError:  # it comes with the extra `pack`
    orjson = None  # type: ignore[assignment]

WRITERS = 8
"""Threads that write files."""

SUFFIX = ".pack"
"""What the name of a pack usually ends with."""

_RECORD = re.compile(r"[0-9a-f]{16}\.json")


def check_folder(folder: str | Path) -> None:
    """Check, without writing, that a results folder can be used or, where there is none, be made in its parent.

    :raises FolderError: as `Store` would, if it were to create it.
    """
    path, code = Path(folder), 0
    _refuse_pack(path)
    wanted, effective = os.R_OK | os.W_OK | os.X_OK, os.access in os.supports_effective_ids
    try:
        existing = path if os.path.lexists(path) else path.absolute().parent
        if not stat.S_ISDIR(existing.stat().st_mode):
            code = errno.EEXIST if existing is path else errno.ENOTDIR
        elif not os.access(existing, wanted if existing is path else wanted & ~os.R_OK, effective_ids=effective):
            code = errno.EACCES
        with suppress(FileNotFoundError):
            path.stat()  # a name can be too long
    except OSError as error:
        code = error.errno or errno.EIO
    if code:
        raise FolderError(f"The results folder {str(path)!r} cannot be used: {os.strerror(code)}.")


def _refuse_pack(path: Path) -> None:
    """Raise FolderError where a path is a pack, or none at all."""
    if "\0" in str(path):
        raise FolderError(f"The results folder must be a path, got {str(path)!r}.")
    try:
        is_pack = path.is_file() and (path.suffix == SUFFIX or is_zipfile(path))
    except OSError:  # a name that is too long, or a folder that cannot be read, has its own message
        return
    if is_pack:
        remedy = f"python -m bench merge {shell_words(path)} --into DIR makes a results folder of it"
        raise FolderError(f"{str(path)!r} is a pack, which is only read: {remedy}.")


class Store(RecordSource):
    """Records by id in a folder. Other files in the folder are left alone.

    :param folder: the results folder.
    :param create: make the folder, where its parent exists, and check that it can be written to.
    :raises FolderError: where the folder cannot be used.
    """

    checkpoints: Checkpoints
    states: KeptStates

    def __init__(self, folder: str | Path, create: bool = False) -> None:
        if not str(folder):
            raise FolderError("The results folder must have a name, got ''.")
        self.folder = self.location = Path(folder)
        self.checkpoints, self.states = Checkpoints(self.folder), KeptStates(self.folder)
        _refuse_pack(self.folder)
        if create:
            self._make_writable()
        if not self.folder.is_dir():
            raise FolderError(f"There is no results folder {str(self.folder)!r}.")

    def _make_writable(self) -> None:
        with os_errors_as(FolderError, f"The results folder {str(self.folder)!r} cannot be used"):
            self.folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as probe:
                probe.write(b"\0" * 4096)

    def path(self, id: str) -> Path:
        """The file of a record."""
        return self.folder / f"{id}.json"

    def ids(self) -> list[str]:
        """Ids of all records, sorted.

        :raises FolderError: where the folder cannot be read.
        """
        with os_errors_as(FolderError, f"The results folder {str(self.folder)!r} cannot be read"):
            return sorted(p.stem for p in self.folder.iterdir() if _RECORD.fullmatch(p.name))

    def stored(self, id: str) -> Record | None:
        """A record as it was written; None where there is none.

        :raises DamagedError: where the file is not a complete record.
        :raises StoreError: where it cannot be read.
        """
        path = self.path(id)
        try:
            content = read_regular(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"The record {str(path)!r} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise DamagedError("record", path, str(error)) from error
        try:
            record = _parsed(content)
        except (ValueError, RecursionError) as error:
            said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            why = f"it is no JSON document ({said})"
            raise DamagedError("record", path, why) from error
        if is_newer(record):
            schema = f"its schema is {record['schema']}"
            raise StoreError(f"The record {str(path)!r} was written by a newer version of mod97 ({schema}).")
        fault = fault_of_record(record, id)
        if fault:
            raise DamagedError("record", path, fault)
        return cast("Record", record)

    def write(self, record: Record) -> None:
        """Write or replace a record.

        :raises StoreError: where it cannot be written; the stored record is kept.
        """
        self.stage(record).keep()

    def stage(self, record: Record) -> Staged:
        """Write a record under a temporary name.

        :raises StoreError: where it cannot be written.
        """
        try:
            text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise StoreError(f"The record {record['id']} cannot be written: {error}.") from error
        return stage(self.path(record["id"]), lambda file: file.write(text.encode()))

    def keep(self, record: Record, state: State, force: bool = False) -> None:
        """`keep_all` of one record.

        :raises StoreError: where anything cannot be written; minor where only the checkpoint cannot.
        """
        [problem] = self.keep_all([(record, state)], {record["id"]} if force else set())
        if problem:
            raise problem

    def keep_all(self, items: Sequence[tuple[Record, State]], force: Collection[str] = ()) -> list[StoreError | None]:
        """Write records and checkpoints, unless the stored record has more steps; returns the error of each, if any.

        The checkpoint is written first, then the record that refers to it; then the older checkpoint is removed. The
        folder is locked while records are compared and files are renamed, but not while they are written and flushed:
        several processes can do that at the same time. Files are flushed in several threads, because each flush waits
        for the disk.

        :param force: ids whose stored record is replaced in any case; one with more steps, or that cannot be read, is
            renamed first.
        :raises StoreError: where the folder cannot be used.
        """
        with ThreadPoolExecutor(WRITERS) as pool:
            writing = [pool.submit(self._written, *item) for item in items]
        with ExitStack() as undo:
            for future in writing:
                if not future.exception():
                    undo.callback(future.result().drop)
            written = [future.result() for future in writing]
            with self.locked():
                pairs = zip(items, written, strict=True)
                return [self._settled(record, one, record["id"] in force) for (record, _), one in pairs]

    def _written(self, record: Record, state: State) -> "_Written":
        """Write a checkpoint and a record under temporary names, and wait until they are on the disk."""
        written = _Written(extensible=bool(state) and record["status"] not in ("failed", "diverged"))
        try:
            if written.extensible:
                try:
                    written.state = self.checkpoints.stage(record["id"], record["final"]["step"], state)
                except StoreError as error:
                    written.problem = _not_extensible(error)
            written.record = self.stage(record)
        except StoreError as error:
            written.problem = error
        except BaseException:
            written.drop()
            raise
        for staged in written.files():
            staged.flush()
        return written

    def _stored(self, record: Record, force: bool) -> Record | None:
        """The stored record of the same id; it is renamed where it is damaged, and by force also where it has more
        steps or cannot be read.
        """
        try:
            stored = self.read(record["id"])
            if not force or stored is None or not goes_further(stored, record):
                return stored
        except StoreError as error:
            if not force and not isinstance(error, DamagedError):
                raise
        self.set_aside(record["id"])
        return None

    def _settled(self, record: Record, written: "_Written", force: bool) -> StoreError | None:
        """Move files to their final paths, unless the stored record has more steps."""
        if written.record is None:
            return written.problem
        problem, id = written.problem, record["id"]
        try:
            stored = self._stored(record, force)
            if stored is not None and goes_further(stored, record):
                return _kept_instead_of(record)
            if written.state is not None:
                try:
                    written.state.settle()
                except StoreError as error:
                    problem = _not_extensible(error)
            written.record.settle()
        except StoreError as error:
            return error
        before = None if stored is None else stored["final"]["step"]
        if before is not None and not (written.extensible and before == record["final"]["step"]):
            with suppress(OSError):
                self.checkpoints.path(id, before).unlink(missing_ok=True)
        return problem

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for other processes, while records are compared and replaced.

        :raises StoreError: where the folder cannot be used.
        """
        problem = f"The results folder {str(self.folder)!r} cannot be used"
        with os_errors_as(StoreError, problem), exclusive(self.folder / ".lock"):
            yield

    def set_aside(self, id: str) -> Path:
        """Rename a record, so that it is not lost when its cell is computed anew.

        :raises StoreError: where it cannot be renamed.
        """
        return set_aside(self.path(id))

    def set_damaged_aside(self, ids: Iterable[str]) -> list[DamagedError]:
        """Rename those of these records that are damaged, so that their cells can be computed anew.

        Each is read again while the folder is locked: another process may have replaced it.

        :raises StoreError: where one cannot be renamed.
        """
        found = []
        with self.locked():
            for id in ids:
                try:
                    self.read(id)
                except DamagedError as error:
                    error.aside = self.set_aside(id)
                    found.append(error)
                except StoreError:  # whoever needs the record says so
                    continue
        return found


@dataclass
class _Written:
    """A checkpoint and a record under temporary names, or why there is no record.

    :param extensible: the run can be extended from the record's step, by this checkpoint or, where it could not be
        written, by one that is already stored.
    """

    state: Staged | None = None
    record: Staged | None = None
    problem: StoreError | None = None
    extensible: bool = False

    def files(self) -> list[Staged]:
        return [staged for staged in (self.state, self.record) if staged is not None]

    def drop(self) -> None:
        for staged in self.files():
            staged.drop()


def _kept_instead_of(record: Record) -> StoreError | None:
    """The error of a record that is not written because the stored one has more steps; None where it has none."""
    if record["error"] is None:
        return None
    return StoreError(f"{record['error']['message']} (the stored record {record['id']} is kept)", minor=True)


def _not_extensible(error: StoreError) -> StoreError:
    return StoreError(f"{error} The record is kept, but cannot be extended.", minor=True)


def _parsed(content: bytes) -> Any:
    """The JSON document of a file, by orjson where that is installed: four times as fast.

    What orjson refuses or would change is read by the standard library: half characters, and whole numbers beyond 64
    bits, which it makes floats.
    """
    if orjson is not None:
        with suppress(orjson.JSONDecodeError):
            document = orjson.loads(content)
            if not _has_large(document.get("spec") if isinstance(document, dict) else None):
                return document
    return json.loads(content, parse_constant=_no_constant)


def _has_large(values: Any) -> bool:
    """Whether there is a float in nested values that may have been a whole number."""
    if isinstance(values, dict | list):
        return any(map(_has_large, values.values() if isinstance(values, dict) else values))
    return type(values) is float and abs(values) >= 2**63


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
