"""Files that are written whole or not at all, and whether one can be written."""

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bench.errors import RequestError, StoreError


def check_output(path: str | Path, option: str = "`output`", staged: bool = False) -> None:
    """Raise RequestError where a file cannot be written, before the work that it is the result of.

    :param option: what errors call the path.
    :param staged: whether it is written under a temporary name first, for which its folder must be writable.
    """
    file = Path(path)
    if "\0" in str(path):
        raise RequestError(f"{option} must be a path, got {str(path)!r}.")
    if not file.parent.is_dir():
        raise RequestError(f"{option} must be in a folder that exists, got {str(path)!r}.")
    if file.is_dir() or not os.access(file if file.exists() and not staged else file.parent, os.W_OK):
        raise RequestError(f"{option} cannot be written to {str(path)!r}.")


@dataclass
class Staged:
    """A file that is written under a temporary name: `flush` and `settle` follow, or both as `keep`, or `drop`.

    :param path: its final path.
    :param failed: the error of the flush.
    """

    temporary: Path
    path: Path
    failed: OSError | None = None

    def flush(self) -> None:
        """Wait until the file is on the disk. An error is raised by `settle`."""
        try:
            descriptor = os.open(self.temporary, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.failed = error

    def settle(self) -> None:
        """Move the file to its final path.

        :raises StoreError: where that or the flush failed; the temporary file is removed.
        """
        try:
            if self.failed:
                raise self.failed
            self.temporary.replace(self.path)
        except OSError as error:
            self.drop()
            raise _cannot_write(self.path, error) from error

    def keep(self) -> None:
        """Flush and settle.

        :raises StoreError: as `settle` does.
        """
        self.flush()
        self.settle()

    def drop(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


def stage(path: Path, write: Callable[[BinaryIO], object]) -> Staged:
    """Write a temporary file beside its final path, so that a reader or a crash sees the old file or the new one.

    :param write: writes the content.
    :raises StoreError: where it cannot be written; no temporary file is left.
    """
    try:
        with ExitStack() as undo:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
            staged = Staged(Path(temporary), path)
            undo.callback(staged.drop)
            with os.fdopen(descriptor, "wb") as file:
                write(file)
            staged.temporary.chmod(0o644)
            undo.pop_all()
    except OSError as error:
        raise _cannot_write(path, error) from error
    return staged


def read_regular(path: Path, empty: bytes | None = None) -> bytes:
    """The content of a file.

    :param empty: what to return of one that is empty; None makes that an error.
    :raises FileNotFoundError: where there is none.
    :raises OSError: where it cannot be read.
    :raises ValueError: where it is no file, but a folder or a link that leads nowhere, or holds nothing; its message
        says what it is.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("it is a folder" if path.is_dir() else "it is no file")
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            raise ValueError("it is a link that leads nowhere") from None
        raise
    content = path.read_bytes()
    if not content.strip(b"\0"):
        if not content and empty is not None:
            return empty
        raise ValueError("it holds NULs alone, as after a power cut" if content else "it is empty")
    return content


def set_aside(path: Path) -> Path:
    """Rename a file to a name that is free, "NAME.aside-0", and return that.

    :raises StoreError: where it cannot be renamed.
    """
    aside = free_aside(path)
    try:
        path.rename(aside)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be renamed: {error.strerror}.") from error
    return aside


def free_aside(path: Path) -> Path:
    """The first of "NAME.aside-0", "NAME.aside-1", … that is free."""
    number = 0
    while os.path.lexists(aside := path.with_name(f"{path.name}.aside-{number}")):
        number += 1
    return aside


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}.")
