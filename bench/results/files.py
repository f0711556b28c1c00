"""Files that are written whole or not at all."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import StoreError

__all__ = ["Staged", "cannot_write", "flush"]


@dataclass
class Staged:
    """A file that is written but not yet where it belongs.

    :param failed: what the disk said when it was flushed.
    """

    temporary: Path
    path: Path
    failed: OSError | None = None

    def drop(self) -> None:
        """Away with it."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


def flush(staged: Staged) -> None:
    """Wait until the disk has a file."""
    try:
        descriptor = os.open(staged.temporary, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        staged.failed = error


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The error to raise where a file cannot be written."""
    return StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}.")
