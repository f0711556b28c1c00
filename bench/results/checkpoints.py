"""Checkpoints of a results folder: what a learner needs to go on training, as arrays by name without pickles."""

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bench.errors import StoreError, os_errors_as
from bench.results.files import Staged, stage

State = dict[str, np.ndarray]
"""The arrays of a checkpoint by name."""

STATES = "states"
"""The folder of the checkpoints along training."""

BUFFERED = 16 * 2**20
"""Bytes of the largest checkpoint that is put together in memory."""


class Checkpoints:
    """The checkpoints of a results folder, by the id of a record and its final step.

    :param results: the results folder.
    """

    def __init__(self, results: Path) -> None:
        self.folder = results / "checkpoints"

    def path(self, id: str, step: int | None) -> Path:
        """The file of a checkpoint."""
        return self.folder / f"{id}-{step}.npz"

    def write(self, id: str, step: int | None, state: State) -> None:
        """Write or replace a checkpoint.

        :raises StoreError: where it cannot be written.
        """
        self.stage(id, step, state).keep()

    def stage(self, id: str, step: int | None, state: State) -> Staged:
        """Write a checkpoint under a temporary name.

        :raises StoreError: where it cannot be written.
        """
        if sum(x.nbytes for x in state.values()) > BUFFERED:
            return self.stage_file(id, step, lambda file: np.savez(file, **state))  # type: ignore[arg-type]
        buffer = io.BytesIO()  # an archive by itself is hundreds of small writes
        np.savez(buffer, **state)  # type: ignore[arg-type]
        return self.stage_file(id, step, lambda file: file.write(buffer.getbuffer()))

    def stage_file(self, id: str, step: int | None, write: Callable[[BinaryIO], object]) -> Staged:
        """Write the file of a checkpoint under a temporary name; make its folder where there is none.

        :raises StoreError: where that fails.
        """
        path = self.path(id, step)
        with os_errors_as(StoreError, f"{str(path.parent)!r} cannot be made"):
            self.folder.mkdir(exist_ok=True)
            path.parent.mkdir(exist_ok=True)
        return stage(path, write)

    def read(self, id: str, step: int | None) -> State | None:
        """The checkpoint of a record at a step; None where it is missing or damaged."""
        try:
            with self.path(id, step).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except Exception:  # what numpy and zipfile raise for damaged archives is of a dozen kinds
            return None

    def has(self, id: str, step: int | None) -> bool:
        """Whether there is a file of the checkpoint, damaged or not."""
        return self.path(id, step).is_file()


class KeptStates(Checkpoints):
    """Checkpoints of steps along training, which `keep_states` asks for, in a folder for each record.

    :param results: the results folder.
    """

    def __init__(self, results: Path) -> None:
        self.folder = results / STATES

    def path(self, id: str, step: int | None) -> Path:
        """The file of a checkpoint."""
        return self.folder / id / f"{step}.npz"

    def steps(self, id: str) -> list[int]:
        """The steps of a record of which there are checkpoints, increasing."""
        return sorted(int(path.stem) for path in (self.folder / id).glob("*.npz") if path.stem.isdecimal())

    def remove(self, id: str) -> None:
        """Remove those of a record, which is trained anew."""
        for step in self.steps(id):
            with suppress(OSError):
                self.path(id, step).unlink(missing_ok=True)
