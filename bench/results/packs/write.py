"""Pack the records of results folders into one file."""

import hashlib
import json
import marshal
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from bench.errors import RequestError, StoreError, one_of, optional_package
from bench.results import environment
from bench.results.choice import Disagreement, disagreements, furthest, opened_sources, owners_of, read_sound
from bench.results.files import check_output, stage
from bench.results.merge import Progress, silent
from bench.results.packs.archive import CURVES, LAYOUT, RUNS, write_archive
from bench.results.packs.columns import Columns, Layouts
from bench.results.packs.read import PackedStore
from bench.results.record import SCHEMA, Record
from bench.results.source import CURVES as LEVELS
from bench.results.source import RecordSource


@dataclass
class Packed:
    """What `pack` wrote.

    :param curves: how much of each curve: one of `bench.results.source.CURVES`.
    :param records: the number of records.
    :param evaluations: the number of evaluations that are packed of their curves.
    :param bytes: the size of the file.
    :param members: that of each of its members.
    :param disagreeing: records of which several sources hold the same step with other numbers.
    :param broken: a message for each record that could not be used.
    """

    output: str
    curves: str
    records: int = 0
    evaluations: int = 0
    bytes: int = 0
    members: dict[str, int] = field(default_factory=dict)
    disagreeing: list[Disagreement] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def pack(
    results: str | Path | Sequence[str | Path] = "results",
    *,
    output: str | Path,
    curves: str = "all",
    only: Collection[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Packed:
    """Pack the records of results folders, and of other packs, into one file that is read like a folder.

    Of several records of a cell one is chosen as by `bench merge`. Each record is read back and compared before the
    file gets its name, so that it is there whole or not at all; equal records of one commit give equal bytes.
    Checkpoints are not packed. 10,000 records of 179 evaluations each, 272 MB of JSON, take 12 s of one core of a Xeon
    and 0.4 GB of memory, and become 39 MB, or 4.0 MB with accuracies alone (n = 2 runs, 11.3 and 12.1 s).

    :param results: a results folder or a pack, or several.
    :param output: the file, usually named ``….pack``.
    :param curves: "all"; "accuracy" leaves out losses, norms and all else that `rank` does not read, which is most
        of a pack; "none" leaves out accuracies too, so that the pack is a table for other tools and is not ranked.
    :param only: ids of records, of which all others are left out.
    :param force: replace the file where there is one.
    :param progress: is called with the number of records that are read and of all records.
    :raises RequestError: where a source is no folder and no pack, has no records or too little of its curves, or the
        file exists, or pyarrow is missing.
    :raises StoreError: where a folder cannot be read, the file cannot be written, or no record can be used.

    >>> import bench, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = bench.run(encoder="onehot", learner="ridge", modulus=11, results=f"{folder}/results")
    ...     packed = bench.pack(f"{folder}/results", output=f"{folder}/league.pack")
    ...     [row] = bench.rank(results=f"{folder}/league.pack").rows
    >>> packed.records, row.n
    (1, 1)
    """
    to_parquet = _checked(output, curves, force)
    sources = opened_sources([results] if isinstance(results, str | Path) else results, output, "pack")
    for source in sources:
        source.check_curves(curves, f"`curves` {curves}")
    packed = Packed(str(output), curves)
    columns, digests = _collected(sources, packed, only, progress or silent)
    layouts, layout_of = columns.finish()
    tables = {RUNS: to_parquet.runs_table(columns, layout_of), CURVES: to_parquet.curves_table(columns)}
    members = {LAYOUT: _document(layouts, to_parquet.GROUP)}
    members |= {name: data for name, data in tables.items() if data is not None}
    with ExitStack() as undo:
        staged = stage(Path(output), lambda file: write_archive(file, _about(packed), members))
        undo.callback(staged.drop)
        _read_back(staged.temporary, digests)
        staged.flush()
        staged.settle()
    packed.members = {name: len(data) for name, data in members.items()}
    packed.bytes = Path(output).stat().st_size
    return packed


def _checked(output: str | Path, curves: str, force: bool) -> Any:
    """The room that needs pyarrow, if it is there and the request is right."""
    if curves not in LEVELS:
        raise RequestError(one_of("`curves`", curves, LEVELS))
    check_output(output, staged=True)
    if Path(output).exists() and not force:
        raise RequestError(f"{str(output)!r} exists: `force` replaces it.")
    optional_package("pyarrow", "pack", "A pack")
    from bench.results.packs import to_parquet

    return to_parquet


def _collected(
    sources: Sequence[RecordSource], packed: Packed, only: Collection[str] | None, progress: Progress
) -> tuple[Columns, list[bytes]]:
    """The records of all sources as columns, and their digests; adds counts, disagreements and broken files."""
    columns, digests = Columns(), []
    owners = {id: found for id, found in owners_of(sources).items() if only is None or id in only}
    for done, id in enumerate(sorted(owners), 1):
        found = [(one, record) for one in owners[id] if (record := read_sound(one, id, packed.broken)) is not None]
        if found:
            packed.disagreeing += disagreements(found)
            record = reduced(furthest(found)[1], packed.curves)
            columns.add(record)
            digests.append(_digest(record))
        progress(done, len(owners))
    if not owners:
        raise RequestError("These sources hold none of the records that are to be packed.")
    if not digests:
        raise StoreError(f"None of {len(owners):,} records can be packed: {packed.broken[0]}")
    packed.records, packed.evaluations = len(digests), sum(columns.lengths)
    return columns, digests


def _about(packed: Packed) -> dict[str, Any]:
    """What the manifest says. Whether files differ from the commit is left out: the new pack may be such a file."""
    counts = {"curves": packed.curves, "records": packed.records, "evaluations": packed.evaluations}
    commit, _ = environment.source_state()
    return {"schema": SCHEMA, **counts, "mod97": environment.versions()["mod97"], "git_commit": commit}


def reduced(record: Record, curves: str) -> Record:
    """A record with less of its curve.

    :param curves: "all"; "accuracy", which leaves out other series; "none", which leaves all lists empty.
    """
    curve: Mapping[str, Any] = record["curve"]
    if curves == "accuracy":
        curve = {name: values for name, values in curve.items() if name == "step" or name.endswith("_accuracy")}
    elif curves == "none":
        curve = {name: [] for name in curve}
    return cast("Record", {**record, "curve": curve})


def _document(layouts: Layouts, group: int) -> bytes:
    document = {"group": group, "columns": layouts.columns, "layouts": layouts.layouts}
    return json.dumps(document, separators=(",", ":")).encode()


def _digest(record: Record) -> bytes:
    """A digest that differs where a record differs in a bit of a number, or in the order of its keys."""
    # This version of the format takes no notice of which objects are shared, and is five times as fast as JSON.
    return hashlib.sha256(marshal.dumps(cast("Any", record), 2)).digest()


def _read_back(path: Path, digests: Sequence[bytes]) -> None:
    """Compare the records of a new pack with those that were packed.

    :raises StoreError: where one is another one.
    """
    packed = PackedStore(path)
    for id, digest in zip(packed.ids(), digests, strict=True):
        record = packed.stored(id)
        if record is None or _digest(record) != digest:
            raise StoreError(f"The record {id} cannot be packed: it is read back as another one (a bug).")
