"""The channel between the main process and its workers: workers report progress and receive the request to stop."""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path

from bench.harness import CellProgress


class Channel:
    """A folder in which workers write their progress, and in which a file asks them to stop.

    :ivar leased_elsewhere: the number of cells that other processes have leased, while the executor waits for these
        alone. Workers do not see it.
    :ivar results: the results folder, in which these processes say what they do; None without one.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.owner = os.getpid()
        self.requested = False
        self.leased_elsewhere = 0
        self.results: str | None = None

    def report(self, job: str, cells: Sequence[CellProgress]) -> None:
        """Write the progress of the cells of a job; an empty sequence removes it."""
        path = self.folder / f"{job}.json"
        with suppress(OSError):
            if cells:
                path.with_suffix(".new").write_text(json.dumps([astuple(cell) for cell in cells]))
                path.with_suffix(".new").replace(path)
            else:
                path.unlink(missing_ok=True)

    def progress(self) -> list[CellProgress]:
        """The progress of all cells in training."""
        found: list[CellProgress] = []
        for path in self.folder.glob("*.json"):
            with suppress(OSError, ValueError):
                found += [CellProgress(*fields) for fields in json.loads(path.read_text())]
        return found

    def request_stop(self) -> None:
        """Ask all cells to end at their next evaluation."""
        self.requested = True
        with suppress(OSError):
            (self.folder / "stop").touch()

    def stop_requested(self) -> bool:
        """Whether a stop was requested, or the process that collects the results is gone."""
        orphaned = os.getpid() != self.owner and os.getppid() != self.owner
        return orphaned or self.requested or (self.folder / "stop").exists()


@contextmanager
def open_channel(results: str | Path | None = None) -> Iterator[Channel]:
    """A channel in a temporary folder, which is removed at the end of the block.

    :param results: the results folder, in which it lies where the system has no place for temporary files.
    """
    try:
        place = tempfile.gettempdir()
    except FileNotFoundError:
        if results is None:
            raise
        place = str(results)
    with tempfile.TemporaryDirectory(prefix="mod97-", dir=place) as folder:
        yield Channel(folder)
