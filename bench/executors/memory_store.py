"""What a job needs of a results folder, in the memory of a worker that does not see the folder."""

from collections.abc import Collection, Sequence

from bench.errors import StoreError
from bench.results import Record, State


class MemoryCheckpoints:
    """Checkpoints by id and step, as a results folder has them."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, int | None], State] = {}

    def write(self, id: str, step: int | None, state: State) -> None:
        """Keep a checkpoint: a copy, since training goes on with the arrays."""
        self._states[id, step] = {name: array.copy() for name, array in state.items()}

    def read(self, id: str, step: int | None) -> State | None:
        """The checkpoint of a record at a step; None where there is none."""
        return self._states.get((id, step))

    def steps(self, id: str) -> list[int]:
        """The steps of a record of which there are checkpoints, increasing."""
        return sorted(step for one, step in self._states if one == id and step is not None)

    def remove(self, id: str) -> None:
        """Remove those of a record, which is trained anew."""
        for step in self.steps(id):
            del self._states[id, step]


class MemoryStore:
    """Records by id, each with its last checkpoint, as `bench.results.Store` has them."""

    def __init__(self) -> None:
        self.checkpoints, self.states = MemoryCheckpoints(), MemoryCheckpoints()
        self._records: dict[str, Record] = {}

    def read(self, id: str) -> Record | None:
        """A record; None where there is none."""
        return self._records.get(id)

    def keep_all(self, items: Sequence[tuple[Record, State]], force: Collection[str] = ()) -> list[StoreError | None]:
        """Keep records and checkpoints in place of earlier ones; returns None for each, since nothing can fail.

        :param force: changes nothing: all cells are of one job, which goes forward.
        """
        for record, state in items:
            self._records[record["id"]] = record
            self.checkpoints.remove(record["id"])
            if state:
                self.checkpoints.write(record["id"], record["final"]["step"], state)
        return [None] * len(items)
