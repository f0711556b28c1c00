"""Storages in a results folder: whether they can be read line by line, and mending a journal that cannot."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from bench.errors import StoreError, notify
from bench.results import FileFinding, Finding, few_of, is_busy, many, remedy_of, set_aside
from bench.tuning.storage.journal import SUFFIX, JournalLock, copy_aside
from bench.tuning.storage.lines import Fault, faults_of, is_journal, split
from bench.tuning.storage.mending import mended

OURS = "studies.journal"
"""The journal that `tune` makes."""
NAMED = 3
"""Losses that are told in words; `Finding.files` has all."""
SQLITE = b"SQLite format 3\0"


def check_storages(results: str | Path, mend: bool = False) -> list[Finding]:
    """Check the journals of a results folder, and its SQLite databases, which are not mended.

    A journal that is damaged is written without the damaged lines, and a copy is kept. A file of which no line can be
    read is no journal: it is left alone, or renamed where it has the name of ours.

    :param mend: put right what is wrong, unless a process works in the folder.
    """
    folder = Path(results)
    journals = [_check_journal(path, mend) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    databases = [_check_database(path) for path in sorted(folder.glob("*.db"))]
    return [finding for finding in (*journals, *databases) if finding is not None] or [Finding("journal", "none")]


def _check_journal(path: Path, mend: bool) -> Finding | None:
    check = f"journal {path.name}"
    try:
        if not path.is_file():
            return _not_a_journal(path, "it is no file", mend)
        lines, faults = _read(path)
        if not faults:
            return Finding(check, f"{many(len(lines), 'line')}, all whole" if lines else "empty")
        if not is_journal(lines):
            return _not_a_journal(path, "it is no journal: no line can be read", mend) if path.name == OURS else None
        files = tuple(FileFinding(path.name, f"line {fault.number:,} ({fault.why})") for fault in faults)
        found = f"{len(faults):,} of {many(len(lines), 'line')} cannot be read: {few_of([one.what for one in files])}"
        if not mend:
            return Finding(check, found, ok=False, mendable=not is_busy(path.parent), files=files)
        if is_busy(path.parent):
            found += "; not mended, since a process works in this folder"
            return Finding(check, found, ok=False, files=files)
        losses, copy = mend_journal(path)
    except (OSError, StoreError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        remedy = remedy_of(error)
        why = f"it cannot be {'mended' if mend else 'read'}: {said}{remedy and f'; {remedy}'}"
        return Finding(check, why, ok=False, files=(FileFinding(path.name, why),))
    lost = few_of(losses, ". ") + (f" ({many(len(losses), 'place')} in all)" if len(losses) > NAMED else "")
    files = tuple(FileFinding(path.name, loss) for loss in losses)
    return Finding(check, f"mended, and a copy kept as {copy.name}. Lost: {lost}", files=files)


def _not_a_journal(path: Path, why: str, mend: bool) -> Finding:
    """What has the name of a journal and is none: renamed, unless a process works in the folder."""
    check, busy = f"journal {path.name}", is_busy(path.parent)
    if mend and not busy:
        why = f"{why}; renamed to {set_aside(path).name}"
        return Finding(check, why, files=(FileFinding(path.name, why),))
    why += "; not renamed, since a process works in this folder" if mend else ""
    return Finding(check, why, ok=False, mendable=not busy, files=(FileFinding(path.name, why),))


def _read(path: Path) -> tuple[list[bytes], list[Fault]]:
    """The lines of a journal and their faults; while another process is writing a line, its end is missing."""
    lines = split(path.read_bytes())
    faults = list(faults_of(lines))
    if faults and os.access(path.parent, os.W_OK):
        with JournalLock(path).hold("rb") as file:
            lines = split(file.readall())
        faults = list(faults_of(lines))
    return lines, faults


def mend_journal(path: Path) -> tuple[list[str], Path]:
    """Write a journal without its damaged lines, as `bench.tuning.storage.mending.mended` says.

    It is written in place, since other processes lock the file itself. The user is told of the copy before, and can
    rename that if the machine stops meanwhile.

    :returns: what was lost, and the copy of the journal.
    :raises StoreError: where another process has locked it for too long.
    """
    with JournalLock(path).hold("rb+") as file:
        before = file.readall()
        after, losses = mended(split(before))
        copy = copy_aside(path, before)
        notify(f"The journal {str(path)!r} is written without what is damaged; a copy is kept as {copy.name}.")
        with open(file.fileno(), "rb+", closefd=False) as whole:
            whole.seek(0)
            whole.write(after)
            whole.truncate()
        os.fsync(file.fileno())
    return losses, copy


def _check_database(path: Path) -> Finding | None:
    """Ask SQLite whether a database is whole; None for a file that is none."""
    check = f"database {path.name}"
    try:
        with path.open("rb") as file:
            if file.read(len(SQLITE)) != SQLITE:
                return None
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            [(said,), *_] = connection.execute("PRAGMA quick_check(1)").fetchall()
    except (OSError, sqlite3.Error, ValueError) as error:
        said = str(error)
    if said == "ok":
        return Finding(check, "whole")
    why = f"damaged: {said}; sqlite3 FILE .recover writes what can be read of it"
    return Finding(check, why, ok=False, files=(FileFinding(path.name, why),))
