"""What lies in a results folder, kind by kind, and what of it is damaged or left over: to be told or to be put right.

Only files that are known by their names are looked at. What a living process has leased stays as it is. A file that
cannot be handled is told, and the others are looked at all the same.
"""

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from bench.errors import DamagedError, StoreError
from bench.results.clean import HOUR, temporary_files
from bench.results.files import read_regular, set_aside
from bench.results.findings import Finding, Kind, place_of, remedy_of
from bench.results.leases import leased
from bench.results.locks import exclusive, is_locked, owners
from bench.results.packs.archive import BEGIN, read_archive
from bench.results.store import SUFFIX, Store
from bench.results.words import few_of, many

WITH_END = "all with an end"
"""Said of archives: only the list of members at their end is read, not the members."""
SETTLING = 0.05
"""Seconds that a process which ends may take between releasing its lock and removing its files."""

_CHECKPOINT = re.compile(r"([0-9a-f]{16})-(\d+)\.npz")
_STATE = re.compile(r"\d+\.npz")
_ID = re.compile(r"[0-9a-f]{16}")
_LEASE = re.compile(r"(\d+-[0-9a-f]{8})\.(json|lease|status)")
_ASIDE = {
    ".": re.compile(r"([0-9a-f]{16}\.json|\.lock|.+\.(pack|journal))\.aside-\d+"),
    "checkpoints": re.compile(_CHECKPOINT.pattern + r"\.aside-\d+"),
    "states/*": re.compile(_STATE.pattern + r"\.aside-\d+"),
    "claims": re.compile(rf"({_LEASE.pattern}|\.lock)\.aside-\d+"),
}
"""How files are called that were renamed, by the folder that they lie in."""


def check_contents(results: str | Path, mend: bool = False) -> list[Finding]:
    """Check the files of a results folder, and put right what is wrong where that is asked for.

    Damaged records, checkpoints, states and packs are renamed, "NAME.aside-0", and so are checkpoints and states that
    belong to no record. Temporary files of an hour ago and leases of dead processes are removed. 10,000 records take
    as long as their ranking needs to read them. Nothing is mended where one cannot see which processes are at work.

    :raises StoreError: where the folder cannot be read.
    """
    store = Store(results)
    blind = _is_blind(store.folder / "claims")
    mend = mend and not blind
    locks = _locks(store, mend)  # first, since all else needs them
    busy = leased(store.folder)
    steps: dict[str, int | None] = {}
    records = _records(store, busy, mend, steps)
    kinds = [
        records,
        _checkpoints(store, mend, steps),
        _states(store, mend, steps),
        _temporary(store, mend),
        _leases(store, mend),
        _packs(store, mend),
        *([locks] if locks.bad or locks.mended else []),
    ]
    aside = sorted(
        path.name
        for where, name in _ASIDE.items()
        for path in store.folder.glob(f"{where}/*.aside-*")
        if name.fullmatch(path.name)
    )
    told = [Finding("set aside", f"{many(len(aside), 'file')} that nothing reads: {few_of(aside)}")] if aside else []
    for kind in kinds:
        kind.mendable = kind.mendable and not blind
    return [*(kind.finding() for kind in kinds), *told]


def is_busy(results: str | Path) -> bool:
    """Whether a living process works in a results folder, or may do so, where one cannot see that."""
    claims = Path(results) / "claims"
    return _is_blind(claims) or any(is_locked(path) for path in claims.glob("*.lease"))


def _is_blind(claims: Path) -> bool:
    """Whether one cannot see which processes are at work."""
    return claims.is_dir() and not os.access(claims, os.R_OK | os.X_OK)


def _locks(store: Store, mend: bool) -> Kind:
    """The files that processes lock, without which none can use the folder."""
    kind = Kind("lock files", mend)
    for path in (store.folder / ".lock", store.folder / "claims" / ".lock"):
        name = str(path.relative_to(store.folder))
        with kind.each(name):
            if os.path.lexists(path):
                kind.files += 1
                if path.is_dir() or not path.exists():
                    why = "it is a folder" if path.is_dir() else "it is a link that leads nowhere"
                    kind.take(name, why, _asider(path))
    return kind


def _records(store: Store, busy: Collection[str], mend: bool, steps: dict[str, int | None]) -> Kind:
    """All records.

    :param steps: receives the final step of each that is whole.
    """
    kind = Kind("records", mend)
    for id in store.ids():
        kind.files += 1
        try:
            record = store.read(id)
            if record is not None:
                steps[id] = record["final"]["step"]
        except DamagedError as error:
            if id in busy:
                kind.leave(error.path.name, error.why, "a process works on its cell")
            else:
                kind.take(error.path.name, error.why, partial(_put_record_aside, store, id))
        except StoreError as error:
            kind.leave(f"{id}.json", str(error).removesuffix("."), remedy_of(error))
    return kind


def _put_record_aside(store: Store, id: str) -> str:
    """Rename a damaged record, unless another process has replaced it."""
    found = store.set_damaged_aside([] if id in leased(store.folder) else [id])
    return f"now {found[0].aside.name}" if found and found[0].aside is not None else "a process has replaced it"


def _checkpoints(store: Store, mend: bool, steps: dict[str, int | None]) -> Kind:
    """Checkpoints, each of the final step of its record."""
    kind = Kind("checkpoints", mend, WITH_END)
    for path in _listed(store.checkpoints.folder, kind):
        named = _CHECKPOINT.fullmatch(path.name)
        if named is not None:
            of_record = named[1] in steps and steps[named[1]] == int(named[2])
            _check_archive(store, path, named[1], int(named[2]), of_record, kind)
    return kind


def _states(store: Store, mend: bool, steps: dict[str, int | None]) -> Kind:
    """Kept states, in a folder for each record."""
    kind = Kind("kept states", mend, WITH_END)
    for folder in _listed(store.states.folder, kind):
        with kind.each(name := f"states/{folder.name}"):
            if _ID.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                for path in _listed(folder, kind, name):
                    if _STATE.fullmatch(path.name):
                        _check_archive(store, path, folder.name, None, folder.name in steps, kind)
    return kind


def _check_archive(store: Store, path: Path, id: str, step: int | None, of_record: bool, kind: Kind) -> None:
    """Count a checkpoint, and whether its archive has an end and belongs to a record.

    :param step: of the checkpoint; None for a state, which may be of any step.
    :param of_record: whether it belonged to a record when the records were read, which may be seconds ago.
    """
    name = str(path.relative_to(store.folder))
    with kind.each(name):
        why = _fault_of_archive(path)
        if why is None:  # it is gone meanwhile
            return
        kind.files += 1
        if why or not of_record:
            why = _fault_now(store, path, id, step)
        if why:
            kind.take(name, why, partial(_put_aside, store, path, id, step))


def _fault_now(store: Store, path: Path, id: str, step: int | None) -> str:
    """What is wrong with a checkpoint or a state at this moment; "" if nothing is, or if a process works on it.

    :raises OSError: where the file cannot be read.
    """
    with ExitStack() as stack:
        if (store.folder / ".lock").is_file():  # else no process has ever stored a record here
            with suppress(StoreError):
                stack.enter_context(store.locked())
        return _fault_in_lock(store, path, id, step)


def _fault_in_lock(store: Store, path: Path, id: str, step: int | None) -> str:
    if id in leased(store.folder):
        return ""
    try:
        record = store.read(id)
    except StoreError:  # a record that cannot be read may refer to it
        return _fault_of_archive(path) or ""
    fault = _fault_of_archive(path)
    is_used = record is not None and step in (None, record["final"]["step"])
    return fault or ("" if is_used or fault is None else "of no record")


def _put_aside(store: Store, path: Path, id: str, step: int | None) -> str:
    """Rename a checkpoint or a state, unless a process has begun to use it since it was looked at.

    :raises StoreError: where it is in use.
    """
    with store.locked():
        if not _fault_in_lock(store, path, id, step):
            raise StoreError("a process has begun to use it")
        return f"now {set_aside(path).name}"


def _fault_of_archive(path: Path) -> str | None:
    """What is wrong with a zip archive, "" if nothing is; None where there is none. Its content is not read.

    :raises OSError: where it cannot be read, which does not say that it is damaged.
    """
    try:
        if not path.is_file():
            return None if not path.is_symlink() and not path.exists() else "it is no file"
        with ZipFile(path) as archive:
            return "" if archive.namelist() else "it is empty"
    except FileNotFoundError:
        return None
    except (BadZipFile, ValueError, NotImplementedError, EOFError):
        return "it is not whole" if path.stat().st_size else "it is empty"


def _temporary(store: Store, mend: bool) -> Kind:
    """Temporary files; one of an hour ago was left by a process that died."""
    kind = Kind("temporary files", mend)
    for path in temporary_files(store):
        with kind.each(path.name):
            age = time.time() - path.lstat().st_mtime
            kind.files += 1
            if age >= HOUR:
                kind.take(path.name, "left by a process that died", _removing([path]))
    return kind


def _leases(store: Store, mend: bool) -> Kind:
    """What processes say about themselves. A list whose lock nobody holds was left by a process that died."""
    kind, folder = Kind("leases", mend), store.folder / "claims"
    names = {found[1] for path in _listed(folder, kind) if (found := _LEASE.fullmatch(path.name))}
    left = [name for name in sorted(names) if _is_left(folder, name, kind)]
    if left:
        time.sleep(SETTLING)
    for name in left:
        lock = folder / f"{name}.lease"
        files = [*(folder / f"{name}.{suffix}" for suffix in ("json", "lease", "status")), *owners(lock)]
        folders = [path for path in files if path.is_dir()]
        for path in folders:
            kind.take(f"claims/{path.name}", "it is a folder", _asider(path))
        if not folders and any(map(os.path.lexists, files)) and not is_locked(lock):
            kind.take(name, "left by a process that died", _removing(files, folder / ".lock"))
    kind.files = len(names)
    return kind


def _is_left(folder: Path, name: str, kind: Kind) -> bool:
    """Whether a process seems to have left a lease. Its list is written after the lock is taken, so that a list without
    a lock is of a dead process; without a list, it may be starting.
    """
    listed, lock = folder / f"{name}.json", folder / f"{name}.lease"
    with kind.each(f"claims/{name}"):
        is_old = listed.exists() or time.time() - (lock if lock.exists() else folder).stat().st_mtime >= HOUR
        return lock.is_dir() or (is_old and not is_locked(lock))
    return False


def _removing(files: Sequence[Path], lock: Path | None = None) -> Callable[[], str]:
    def remove() -> str:
        with ExitStack() as stack:
            if lock is not None:
                stack.enter_context(exclusive(lock))
            for path in files:
                path.unlink(missing_ok=True)
        return "removed"

    return remove


def _packs(store: Store, mend: bool) -> Kind:
    """Packs, whose content is compared with its sums. What is named like one and is none is not touched."""
    kind = Kind("packs", mend)
    for path in sorted(store.folder.glob(f"*{SUFFIX}")):
        kind.files += 1
        with kind.each(path.name):
            try:
                read_archive(path)
            except StoreError as error:
                _check_pack(path, error, kind)
    return kind


def _check_pack(path: Path, error: StoreError, kind: Kind) -> None:
    """Count a pack that cannot be read. What does not begin as one may be anything of the user's."""
    try:
        is_ours = read_regular(path).startswith(BEGIN)
    except ValueError as fault:
        kind.leave(path.name, str(fault), "rename it or remove it")
        return
    why = str(error).removesuffix(".")
    if is_ours:
        kind.take(path.name, why, _asider(path))
    else:
        kind.leave(path.name, why, "rename it if it is no pack")


def _asider(path: Path) -> Callable[[], str]:
    return lambda: f"now {set_aside(path).name}"


def _listed(folder: Path, kind: Kind, name: str = "") -> Iterator[Path]:
    """What is in a folder, sorted; nothing where there is none.

    :param name: what it is called, where that is more than its own name.
    """
    found: list[Path] = []
    with kind.each(name or folder.name):
        why = place_of(folder)
        if why:
            kind.leave(name or folder.name, why)
        else:
            found = sorted(folder.iterdir())
    yield from found
