"""The records of several sources that an export or a site takes: those that pass all filters, each cell once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import FolderError, RequestError, StoreError, one_of
from bench.results.choice import furthest, opened_sources, owners_of
from bench.results.columns import FILTERS, RUN_COLUMNS
from bench.results.faults import told_of_faults
from bench.results.merge import Progress
from bench.results.record import Record
from bench.results.source import RecordSource
from bench.results.words import canonical


@dataclass
class Selection:
    """Which records are taken, and what became of the others.

    :param wanted: by filter, the values that pass.
    :param progress: is called with the number of records that are read and of all records.
    :ivar kept: the number of records that passed.
    :ivar faults: an error for each record that cannot be used.
    :ivar present: by filter, all values that records have.
    """

    sources: Sequence[RecordSource]
    wanted: Mapping[str, Sequence[Any]]
    progress: Progress
    kept: int = 0
    faults: list[StoreError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.present: dict[str, set[Any]] = {name: set() for name in self.wanted}
        self._done, self._total = 0, 0

    def parts(self) -> list[tuple[RecordSource, list[str]]]:
        """The sources, each with the ids of the cells that are taken from it: where it goes further than all others."""
        found: dict[RecordSource, list[str]] = {source: [] for source in self.sources}
        owners = owners_of(self.sources)
        for id, holders in owners.items():
            found[holders[0] if len(holders) == 1 else self._best(id, holders)].append(id)
        self._total = len(owners)
        return list(found.items())

    def _best(self, id: str, holders: Sequence[RecordSource]) -> RecordSource:
        sound = []
        for source in holders:
            try:
                record = source.stored(id)
            except StoreError:  # where no other source has it, it is read again, and the error is kept
                continue
            if record is not None:
                sound.append((source, record))
        return furthest(sound)[0] if sound else holders[0]

    def records(self) -> Iterator[tuple[RecordSource, Record]]:
        """All of them, one at a time."""
        for source, ids in self.parts():
            for record in self.records_of(source, ids):
                yield source, record

    def records_of(self, source: RecordSource, ids: Sequence[str]) -> Iterator[Record]:
        """Those of one source."""
        for id in ids:
            try:
                record = source.read(id)
            except StoreError as error:
                self.faults.append(error)
                record = None
            self.count(1)
            if record is not None and self.passes({name: RUN_COLUMNS[name].value(record) for name in self.compared()}):
                yield record

    def count(self, read: int) -> None:
        """Tell that so many records more were read."""
        self._done += read
        self.progress(self._done, self._total)

    def add(self, part: "Selection", read: int) -> None:
        """Add what became of a part of the records, of which so many were read."""
        self.kept += part.kept
        for name, present in part.present.items():
            self.present[name] |= present
        self.count(read)

    def drop(self, fault: StoreError) -> None:
        """Leave out a record that has passed, since it cannot be used."""
        self.faults.append(fault)
        self.kept -= 1

    def compared(self) -> list[str]:
        """The columns that the filters compare."""
        return [FILTERS[name] for name in self.wanted]

    def passes(self, values: Mapping[str, Any]) -> bool:
        """Whether a record passes all filters.

        :param values: those of the columns that are compared.
        """
        for name, present in self.present.items():
            present.add(values[FILTERS[name]])
        passed = all(values[FILTERS[name]] in wanted for name, wanted in self.wanted.items())
        self.kept += passed
        return passed

    def check(self, skip_broken: bool) -> None:
        """Check what was read.

        :raises StoreError: where records cannot be used and are not skipped.
        :raises RequestError: where a filter asks for what no record has, or nothing is left.
        """
        if self.faults and not skip_broken:
            which = "it" if len(self.faults) == 1 else "them"
            raise StoreError(f"{told_of_faults(self.faults)} `skip_broken` leaves {which} out.") from self.faults[0]
        where = ", ".join(repr(str(source.location)) for source in self.sources)
        for name, wanted in self.wanted.items():
            for value in wanted:
                if value not in self.present[name]:
                    known = [str(one) for one in self.present[name] if one is not None]
                    raise RequestError(one_of(f"`{name}` in {where}:", str(value), known))
        if not self.kept:
            broken = f" ({len(self.faults):,} broken)" if self.faults else ""
            raise RequestError(f"No record in {where} is left{broken}.")


def named_sources(results: str | Path | Sequence[str | Path], into: str | Path, purpose: str) -> list[RecordSource]:
    """Results folders and packs, as `opened_sources` of a request that names them.

    :raises RequestError: where one cannot be used.
    """
    try:
        return opened_sources([results] if isinstance(results, str | Path) else results, into, purpose)
    except StoreError as error:
        raise FolderError(str(error)) from error


def wanted_of(request: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The values of the filters that a request has, spelled as in records."""
    return {name: _listed(request[name]) for name in FILTERS if request.get(name) is not None}


def _listed(values: Any) -> list[Any]:
    listed = [values] if isinstance(values, str | float | int) else list(values)
    return [canonical(value) if isinstance(value, str) else value for value in listed]
