"""The channel between the process that asks and its workers: how far they are, and whether to stop."""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path

from bench.harness import Moment


class Board:
    """A folder through which worker processes tell how far they are and are told to stop."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.owner = os.getpid()
        self.asked = False

    def post(self, job: str, moments: Sequence[Moment]) -> None:
        """Say how far the cells of a job are; none, once it is over."""
        path = self.folder / f"{job}.json"
        with suppress(OSError):
            if moments:
                path.with_suffix(".new").write_text(json.dumps([astuple(moment) for moment in moments]))
                path.with_suffix(".new").replace(path)
            else:
                path.unlink(missing_ok=True)

    def moments(self) -> list[Moment]:
        """How far all cells in training are."""
        found: list[Moment] = []
        for path in self.folder.glob("*.json"):
            with suppress(OSError, ValueError):
                found += [Moment(*fields) for fields in json.loads(path.read_text())]
        return found

    def stop(self) -> None:
        """Ask all cells to end at their next evaluation."""
        self.asked = True
        with suppress(OSError):
            (self.folder / "stop").touch()

    def stopped(self) -> bool:
        """Whether somebody asked to stop, or the process that would collect the results is gone."""
        orphaned = os.getpid() != self.owner and os.getppid() != self.owner
        return orphaned or self.asked or (self.folder / "stop").exists()


@contextmanager
def board() -> Iterator[Board]:
    """A board for as long as a run lasts."""
    with tempfile.TemporaryDirectory(prefix="mod97-") as folder:
        yield Board(folder)
