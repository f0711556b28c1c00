"""The records of a selection as batches of rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import joblib

from bench.errors import StoreError
from bench.results.exports import from_pack
from bench.results.exports.rows import FAULTS, Batch, cells, evaluations
from bench.results.exports.selection import Selection
from bench.results.merge import silent
from bench.results.packs.archive import damaged
from bench.results.packs.read import PackedStore, said
from bench.results.record import Record
from bench.results.source import RecordSource

GROUP = 512
"""Records of a folder that are read together."""
MANY = 4096
"""From so many records on, a folder is read by several processes, which take seconds to start."""
PROCESSES = 4
"""At most so many: each takes 0.2 GB of memory, and all of them together are as fast as one that writes."""


def batches(selection: Selection, kind: str) -> Iterator[Batch]:
    """The rows of all records of a selection.

    :param kind: "cells" or "evaluations".
    :raises StoreError: where a pack is damaged. A record that is damaged is a fault of the selection.
    """
    for source, ids in selection.parts():
        if not isinstance(source, PackedStore):
            yield from (_by_several if len(ids) >= MANY else _by_record)(source, ids, selection, kind)
        elif not from_pack.is_plain(source):
            yield from _by_record(source, ids, selection, kind)
        else:
            yield from _by_column(source, ids, selection, kind)


def _by_column(source: PackedStore, ids: Sequence[str], selection: Selection, kind: str) -> Iterator[Batch]:
    try:
        yield from from_pack.batches(source, ids, selection, kind)
    except source.faults as error:
        raise damaged(source.location, said(error)) from error


def _by_several(source: RecordSource, ids: Sequence[str], selection: Selection, kind: str) -> Iterator[Batch]:
    """As `_by_record`, by several processes; what has a fault is read again by this one, which tells of it."""
    groups = [ids[first : first + GROUP] for first in range(0, len(ids), GROUP)]
    parallel = joblib.Parallel(min(PROCESSES, joblib.cpu_count()), return_as="generator")
    read = parallel(joblib.delayed(_group)(source, group, selection.wanted, kind) for group in groups)
    for group, (made, part) in zip(groups, read, strict=True):
        if part is None:
            yield from _by_record(source, group, selection, kind)
        else:
            selection.add(part, len(group))
            yield from made


def _group(
    source: RecordSource, ids: Sequence[str], wanted: Mapping[str, Sequence[Any]], kind: str
) -> tuple[list[Batch], Selection | None]:
    """The batches of a group, and the selection that they are of; None where a record has a fault."""
    selection = Selection([], wanted, silent)
    made = list(_by_record(source, ids, selection, kind))
    return ([], None) if selection.faults else (made, selection)


def _by_record(source: RecordSource, ids: Sequence[str], selection: Selection, kind: str) -> Iterator[Batch]:
    for first in range(0, len(ids), GROUP):
        records = list(selection.records_of(source, ids[first : first + GROUP]))
        if records:
            yield from _made(source, records, selection, kind)


def _made(source: RecordSource, records: Sequence[Record], selection: Selection, kind: str) -> Iterator[Batch]:
    """The batch of some records; of those among which one cannot be a row, a batch each."""
    try:
        made = [cells(records, str(source.location)) if kind == "cells" else evaluations(records)]
    except FAULTS as error:
        made = []
        if len(records) == 1:
            why = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
            remedy = "Move it away, or compute it anew with `force`."
            path = str(source.path(records[0]["id"]))
            selection.drop(StoreError(f"The record {path!r} is damaged: {why}. {remedy}"))
    yield from made
    if not made and len(records) > 1:
        for record in records:
            yield from _made(source, [record], selection, kind)
