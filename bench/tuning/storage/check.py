"""Storages in a results folder: whether they can be read line by line, and mending a journal that cannot."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from bench.errors import StoreError
from bench.results import Finding, few_of, is_busy, many, set_aside
from bench.tuning.storage.journal import SUFFIX, JournalLock, copy_aside
from bench.tuning.storage.lines import faults_of, split
from bench.tuning.storage.mending import mended

OURS = "studies.journal"
"""The journal that `tune` makes."""
SQLITE = b"SQLite format 3\0"


def check_storages(results: str | Path, mend: bool = False) -> list[Finding]:
    """Check the journals of a results folder, and its SQLite databases, which are not mended.

    A journal that is damaged is written without the damaged lines, and a copy is kept. A file that no line of looks
    like a journal's is left alone, unless it has the name of ours.

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
            if not mend:
                return Finding(check, "it is no file", ok=False)
            return Finding(check, f"it was no file; now {set_aside(path).name}")
        lines = split(path.read_bytes())
        faults = list(faults_of(lines))
        if not faults:
            return Finding(check, f"{many(len(lines), 'line')}, all whole" if lines else "empty")
        if len(faults) == len(lines) and path.name != OURS:
            return None
        found = f"{len(faults):,} of {many(len(lines), 'line')} cannot be read: "
        found += few_of([f"line {fault.number:,} ({fault.why})" for fault in faults])
        if not mend:
            return Finding(check, found, ok=False)
        if is_busy(path.parent):
            return Finding(check, f"{found}; not mended, since a process works in this folder", ok=False)
        losses, copy = mend_journal(path)
    except (OSError, StoreError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Finding(check, f"it cannot be mended: {why}" if mend else f"it cannot be read: {why}", ok=False)
    return Finding(check, f"mended, and a copy kept as {copy.name}. Lost: {'. '.join(losses)}")


def mend_journal(path: Path) -> tuple[list[str], Path]:
    """Write a journal without its damaged lines, as `bench.tuning.storage.mending.mended` says.

    :returns: what was lost, and the copy of the journal.
    :raises StoreError: where another process has locked it for too long.
    """
    with JournalLock(path).hold("rb+") as file:
        before = file.read()
        after, losses = mended(split(before))
        copy = copy_aside(path, before)
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
    remedy = "sqlite3 FILE .recover writes what can be read of it"
    return Finding(check, "whole") if said == "ok" else Finding(check, f"damaged: {said}; {remedy}", ok=False)
