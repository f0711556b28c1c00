"""Several sources of records, and which record of a cell is taken where more than one of them holds one."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import RequestError, StoreError, notify
from bench.results.packs.read import open_store
from bench.results.record import Record, last_step
from bench.results.source import RecordSource
from bench.results.words import few_of

Found = tuple[RecordSource, Record]
"""A record and where it was read."""


@dataclass(frozen=True)
class Disagreement:
    """Two records of one cell that end at the same step with different curves.

    :param accuracy: the largest difference of an accuracy; 0 where only losses differ.
    """

    id: str
    step: int
    folders: tuple[str, str]
    accuracy: float


def opened_sources(sources: Sequence[str | Path], into: str | Path, purpose: str) -> list[RecordSource]:
    """Results folders and packs without duplicates.

    :param into: the folder or file that is written, which must be none of them.
    :param purpose: the noun for what is made of them, in messages.
    :raises RequestError: where there is none, or none holds records. Those of several that hold none are told of.
    """
    if not sources:
        raise RequestError(f"A {purpose} needs at least one source.")
    found: dict[Path, RecordSource] = {}
    empty: list[str] = []
    for source in sources:
        if not str(source) or not os.path.exists(source):
            raise RequestError(f"A source of a {purpose} must be a results folder or a pack, got {str(source)!r}.")
        if Path(source).resolve() == Path(into).resolve():
            raise RequestError(f"The target of a {purpose} must be none of its sources, got {str(source)!r} as both.")
        opened = open_store(source)
        if not opened.ids():
            empty.append(str(source))
            continue
        found.setdefault(Path(source).resolve(), opened)
    if not found:
        raise RequestError(f"The source {empty[0]!r} holds no records.")
    if empty:
        notify(f"Without records: {few_of(list(map(repr, empty)))}.")
    return list(found.values())


def owners_of(sources: Sequence[RecordSource]) -> dict[str, list[RecordSource]]:
    """The sources that hold each id, in their order."""
    owners: dict[str, list[RecordSource]] = {}
    for source in sources:
        for id in source.ids():
            owners.setdefault(id, []).append(source)
    return owners


def read_sound(source: RecordSource, id: str, broken: list[str]) -> Record | None:
    """A record as it was written; None where there is none, or a broken one, whose message is added to ``broken``."""
    try:
        return source.stored(id)
    except StoreError as error:
        broken.append(str(error))
        return None


def furthest(found: Sequence[Found]) -> Found:
    """The record with the largest final step; of equal ones the first. A failed one has fewer steps than any other."""
    return max(found, key=lambda one: last_step(one[1]))


def disagreements(found: Sequence[Found]) -> Iterator[Disagreement]:
    """Pairs of records that end at the same step with different numbers."""
    first: dict[int, Found] = {}
    for source, record in found:
        step = record["final"]["step"]
        if step is None:
            continue
        before, one = first.setdefault(step, (source, record))
        gap = None if one is record else _gap(one["curve"], record["curve"])
        if gap is not None:
            yield Disagreement(record["id"], step, (str(before.location), str(source.location)), gap)


def _gap(one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """The largest difference of an accuracy; None where all numbers agree at the steps that both curves have.

    An extended run was evaluated at the end of its first budget too: that step alone is no disagreement.
    """
    at = {step: j for j, step in enumerate(other["step"])}
    shared = [(i, at[step]) for i, step in enumerate(one["step"]) if step in at]
    pairs = [(name, one[name][i], other[name][j]) for name in one.keys() & other.keys() for i, j in shared]
    if all(x == y for _, x, y in pairs):
        return None
    gaps = [abs(x - y) for name, x, y in pairs if name.endswith("accuracy") and x is not None and y is not None]
    return float(max(gaps, default=0.0))
