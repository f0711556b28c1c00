"""What records are read from: a results folder, or a pack."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from bench.errors import DamagedError, RequestError, one_of
from bench.results.checkpoints import Checkpoints, KeptStates
from bench.results.record import Record
from bench.results.schema1 import upgraded

LISTED = 20
"""Ids that are listed in the message about an unknown one."""

CURVES = ("none", "accuracy", "all")
"""How much of each curve is kept: nothing, steps and accuracies, or everything. Each includes the one before."""


class RecordSource(ABC):
    """Records by id, to be read.

    :ivar location: the folder or the file that holds them.
    :ivar checkpoints: the checkpoints beside them; None where there can be none.
    :ivar states: likewise those of steps along training.
    :ivar curves: how much of each curve it holds, one of `CURVES`.
    """

    location: Path
    checkpoints: Checkpoints | None = None
    states: KeptStates | None = None
    curves: str = "all"

    @abstractmethod
    def path(self, id: str) -> Path:
        """Where a record is, or would be."""

    @abstractmethod
    def ids(self) -> list[str]:
        """Ids of all records, sorted.

        :raises StoreError: where they cannot be read.
        """

    @abstractmethod
    def stored(self, id: str) -> Record | None:
        """A record as it was written, perhaps of an earlier schema; None where there is none.

        :raises StoreError: where it cannot be read or is not a complete record.
        """

    def read(self, id: str) -> Record | None:
        """A record in the form of today; None where there is none. One of an earlier schema keeps its id and schema.

        :raises DamagedError: where it is not a complete record.
        :raises StoreError: where it cannot be read.
        """
        record = self.stored(id)
        if record is None:
            return None
        try:
            return upgraded(record)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise DamagedError("record", self.path(id), f"{error!r}") from error

    def find(self, prefix: str) -> Record:
        """The record whose id begins with a prefix.

        :raises RequestError: where there is none or more than one.
        """
        ids = self.ids()
        matching = [id for id in ids if id.startswith(prefix)]
        if not matching or not prefix:
            known = ids[:LISTED] + ["…"] * (len(ids) > LISTED)
            raise RequestError(one_of(f"record in {str(self.location)!r}:", prefix, known))
        if len(matching) > 1:
            some = ", ".join(matching[:5]) + (", …" if len(matching) > 5 else "")
            raise RequestError(f"{len(matching)} records begin with {prefix!r}: {some}.")
        record = self.read(matching[0])
        if record is None:
            raise RequestError(f"The record {matching[0]} has been removed from {str(self.location)!r}.")
        return record

    def records(self) -> Iterator[Record]:
        """All records in the order of their ids."""
        return (record for id in self.ids() if (record := self.read(id)) is not None)

    def check_curves(self, needed: str, purpose: str) -> None:
        """Check that enough of each curve is here.

        :param needed: one of `CURVES`.
        :param purpose: what needs it, as the subject of a sentence.
        :raises RequestError: where it is not.
        """
        if CURVES.index(self.curves) < CURVES.index(needed):
            held = "only the accuracies of its curves" if self.curves == "accuracy" else "no curves"
            whole = "whole curves" if needed == "all" else "at least accuracies"
            raise RequestError(
                f"The pack {str(self.location)!r} holds {held}, and {purpose} needs {whole}: pack it with "
                f"`curves` {needed}."
            )
