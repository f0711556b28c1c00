"""What lies in a results folder, kind by kind, and what of it is damaged or left over: to be told or to be put right.

Only files that are known by their names are looked at. What a living process has leased stays as it is.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from bench.errors import DamagedError, StoreError
from bench.results.clean import HOUR, temporary_files
from bench.results.files import read_regular, set_aside
from bench.results.leases import leased
from bench.results.locks import exclusive, is_locked, owners
from bench.results.packs.archive import BEGIN, read_archive
from bench.results.store import SUFFIX, Store
from bench.results.words import few_of, many

_CHECKPOINT = re.compile(r"([0-9a-f]{16})-(\d+)\.npz")
_STATE = re.compile(r"\d+\.npz")
_ID = re.compile(r"[0-9a-f]{16}")
_LEASE = re.compile(r"(\d+-[0-9a-f]{8})\.(json|lease|status)")
_ASIDE = re.compile(r".+\.aside-\d+")


@dataclass(frozen=True)
class Finding:
    """What was found of one kind of files.

    :param check: the kind.
    :param found: how many there are, and which are not as they should be.
    :param ok: whether all are as they should be, after mending where that was asked for.
    """

    check: str
    found: str
    ok: bool = True


@dataclass
class _Kind:
    """The files of one kind.

    :param check: what they are called.
    :param files: how many there are.
    :param bad: the names of those that are not as they should be, each with what is wrong.
    :param mended: those that were, with what was done.
    """

    check: str
    files: int = 0
    bad: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)

    def take(self, name: str, why: str, mend: Callable[[], str] | None) -> None:
        """Count a file that is not as it should be.

        :param mend: puts it right and says how; None leaves it.
        """
        if mend is None:
            self.bad.append(f"{name} ({why})")
            return
        try:
            self.mended.append(f"{name} ({why}; {mend()})")
        except (OSError, StoreError) as error:
            self.bad.append(f"{name} ({why}; {error})")

    def finding(self) -> Finding:
        """The count in words."""
        parts = [f"{self.files:,}" if self.files else "none"]
        parts += [f"{len(self.bad):,} not as they should be: {few_of(self.bad)}"] if self.bad else []
        parts += [f"{len(self.mended):,} put right: {few_of(self.mended)}"] if self.mended else []
        all_right = f"{self.files:,}, all whole" if self.files and not self.bad and not self.mended else None
        return Finding(self.check, all_right or "; ".join(parts), not self.bad)


def check_contents(results: str | Path, mend: bool = False) -> list[Finding]:
    """Check the files of a results folder, and put right what is wrong where that is asked for.

    Damaged records, checkpoints, states and packs are renamed, "NAME.aside-0", and so are checkpoints and states that
    belong to no record. Temporary files of an hour ago and leases of dead processes are removed. 10,000 records take
    as long as their ranking needs to read them.

    :raises StoreError: where the folder cannot be read or, where it is mended, not be written.
    """
    store = Store(results)
    busy = leased(store.folder)
    steps: dict[str, int | None] = {}
    records = _records(store, busy, mend, steps)
    unknown = {id for id in store.ids() if id not in steps}  # they may refer to checkpoints
    kinds = [
        records,
        _checkpoints(store, busy | unknown, mend, steps),
        _states(store, busy | unknown, mend, steps),
        _temporary(store, mend),
        _leases(store, mend),
        _packs(store, mend),
    ]
    aside = sorted(path.name for path in store.folder.glob("**/*.aside-*") if _ASIDE.fullmatch(path.name))
    told = [Finding("set aside", f"{many(len(aside), 'file')} that nothing reads: {few_of(aside)}")] if aside else []
    return [*(kind.finding() for kind in kinds), *told]


def is_busy(results: str | Path) -> bool:
    """Whether a living process works in a results folder."""
    return any(is_locked(path) for path in (Path(results) / "claims").glob("*.lease"))


def _records(store: Store, busy: Collection[str], mend: bool, steps: dict[str, int | None]) -> _Kind:
    """All records.

    :param steps: receives the final step of each that is whole.
    """
    kind, damaged = _Kind("records"), dict[str, DamagedError]()
    for id in store.ids():
        kind.files += 1
        try:
            record = store.read(id)
            if record is not None:
                steps[id] = record["final"]["step"]
        except DamagedError as error:
            damaged[id] = error
        except StoreError as error:
            kind.bad.append(str(error).removesuffix("."))
    aside = {error.path: error for error in store.set_damaged_aside(damaged.keys() - busy)} if mend and damaged else {}
    for id, fault in damaged.items():
        done = aside.get(fault.path)
        if done is not None and done.aside is not None:
            kind.mended.append(f"{fault.path.name} ({fault.why}; now {done.aside.name})")
        elif not mend or id in busy:
            in_use = "; a process works on its cell" if id in busy else ""
            kind.bad.append(f"{fault.path.name} ({fault.why}{in_use})")
    return kind


def _checkpoints(store: Store, busy: Collection[str], mend: bool, steps: dict[str, int | None]) -> _Kind:
    """Checkpoints, each of the final step of its record."""
    kind = _Kind("checkpoints")
    for path in _listed(store.checkpoints.folder, kind):
        named = _CHECKPOINT.fullmatch(path.name)
        if named is not None:
            of_record = named[1] in steps and steps[named[1]] == int(named[2])
            free = named[1] not in busy
            aside = partial(_put_aside, store, path, named[1], int(named[2])) if mend and free else None
            _check_archive(path, of_record or not free, free, aside, kind)
    return kind


def _states(store: Store, busy: Collection[str], mend: bool, steps: dict[str, int | None]) -> _Kind:
    """Kept states, in a folder for each record."""
    kind = _Kind("kept states")
    for folder in _listed(store.states.folder, kind):
        if _ID.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            for path in _listed(folder, kind):
                if _STATE.fullmatch(path.name):
                    free = folder.name not in busy
                    aside = partial(_put_aside, store, path, folder.name, None) if mend and free else None
                    _check_archive(path, folder.name in steps or not free, free, aside, kind)
    return kind


def _check_archive(path: Path, of_record: bool, free: bool, mend: Callable[[], str] | None, kind: _Kind) -> None:
    """Count a checkpoint, and whether its archive has an end and belongs to a record.

    :param free: whether no process works on it: one that is being written is not looked at.
    :param mend: renames it.
    """
    kind.files += 1
    why = _fault_of_archive(path) if free else ""
    if why is None:  # it is gone meanwhile
        kind.files -= 1
    elif why or not of_record:
        kind.take(f"{path.parent.name}/{path.name}", why or "of no record", mend)


def _put_aside(store: Store, path: Path, id: str, step: int | None) -> str:
    """Rename a checkpoint or a state, unless a process has begun to use it since it was looked at.

    :param step: of the checkpoint; None for a state, which may be of any step.
    :raises StoreError: where it is in use.
    """
    with store.locked():
        record = store.read(id)
        is_used = record is not None and step in (None, record["final"]["step"])
        if id in leased(store.folder) or (is_used and not _fault_of_archive(path)):
            raise StoreError("a process has begun to use it")
        return f"now {set_aside(path).name}"


def _fault_of_archive(path: Path) -> str | None:
    """What is wrong with a zip archive, "" if nothing is; None where there is none. Its content is not read."""
    try:
        if not path.is_file():
            return None if not path.is_symlink() and not path.exists() else "it is no file"
        with ZipFile(path) as archive:
            return "" if archive.namelist() else "it is empty"
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    except (BadZipFile, ValueError, NotImplementedError, EOFError):
        return "it is not whole" if path.stat().st_size else "it is empty"


def _temporary(store: Store, mend: bool) -> _Kind:
    """Temporary files; one of an hour ago was left by a process that died."""
    kind = _Kind("temporary files")
    for path in temporary_files(store):
        with suppress(FileNotFoundError):
            age = time.time() - path.lstat().st_mtime
            kind.files += 1
            if age >= HOUR:
                kind.take(path.name, "left by a process that died", _removing([path]) if mend else None)
    return kind


def _leases(store: Store, mend: bool) -> _Kind:
    """What processes say about themselves. A list whose lock nobody holds was left by a process that died."""
    kind, folder = _Kind("leases"), store.folder / "claims"
    names = {found[1] for path in _listed(folder, kind) if (found := _LEASE.fullmatch(path.name))}
    for name in sorted(names):
        kind.files += 1
        listed, lock = folder / f"{name}.json", folder / f"{name}.lease"
        with suppress(FileNotFoundError):
            # The list is written after the lock is taken, so that its process is dead; without one it may be starting.
            is_old = listed.exists() or time.time() - (lock if lock.exists() else folder).stat().st_mtime >= HOUR
            if is_old and not is_locked(lock):
                files = [*(folder / f"{name}.{suffix}" for suffix in ("json", "lease", "status")), *owners(lock)]
                kind.take(name, "left by a process that died", _removing(files, folder / ".lock") if mend else None)
    return kind


def _removing(files: Sequence[Path], lock: Path | None = None) -> Callable[[], str]:
    def remove() -> str:
        if lock is None:
            for path in files:
                path.unlink(missing_ok=True)
        else:
            with exclusive(lock):
                for path in files:
                    path.unlink(missing_ok=True)
        return "removed"

    return remove


def _packs(store: Store, mend: bool) -> _Kind:
    """Packs, whose content is compared with its sums. What is named like one and is none is not touched."""
    kind = _Kind("packs")
    for path in sorted(store.folder.glob(f"*{SUFFIX}")):
        kind.files += 1
        try:
            read_archive(path)
        except StoreError as error:
            is_ours = False
            with suppress(OSError, ValueError):
                is_ours = read_regular(path).startswith(BEGIN)
            kind.take(path.name, str(error).removesuffix("."), _asider(path) if mend and is_ours else None)
    return kind


def _asider(path: Path) -> Callable[[], str]:
    return lambda: f"now {set_aside(path).name}"


def _listed(folder: Path, kind: _Kind) -> Iterator[Path]:
    """What is in a folder, sorted; nothing where there is none."""
    try:
        yield from sorted(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        kind.bad.append(f"{folder.name} cannot be read: {error.strerror}")
