"""Packs: a folder of results in one file, from which every record comes back as it was, or a line says why not."""

import io
import json
import marshal
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Finished
from frozen.make import HERE
from hypothesis import strategies as st

import bench
from bench.cli._look import _folder
from bench.cli._options import record_completer
from bench.errors import BenchError, FolderError, RequestError, StoreError
from bench.results import open_store
from bench.results.packs import archive, to_parquet, write
from bench.results.packs.columns import Column
from bench.results.packs.read import PackedStore
from bench.results.store import Store

Command = Callable[..., Finished]
FROZEN = HERE / "results"
TEMPLATE = json.loads((Path(__file__).parent / "record.json").read_text())
A, B, C = (letter * 16 for letter in "abc")


@pytest.fixture(scope="module")
def league(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of records of every kind."""
    path = tmp_path_factory.mktemp("packs") / "league.pack"
    bench.pack(FROZEN, output=path)
    return path


@pytest.fixture
def place(tmp_path: Path, league: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a copy of that pack: its name in messages is short."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(league, tmp_path / "league.pack")
    return tmp_path


def bits(record: Any) -> bytes:
    """Equal where keys are in the same order, and values of the same type and bits: 1 is not 1.0, nor 0.0 the same as
    -0.0."""
    return marshal.dumps(record, 2)


def folder_of(path: Path, *records: dict[str, Any]) -> Path:
    path.mkdir(exist_ok=True)
    for record in records:
        (path / f"{record['id']}.json").write_text(json.dumps(record))
    return path


def record(id: str, **more: Any) -> dict[str, Any]:
    return {**TEMPLATE, "id": id, **more}


def at(id: str, step: int, accuracy: float = 0.5) -> dict[str, Any]:
    """A record that ends at a step."""
    curve = {name: [None if name.endswith("loss") else accuracy] for name in TEMPLATE["curve"]} | {"step": [step]}
    return record(id, curve=curve, final={**TEMPLATE["final"], "step": step})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


# Records come back


def test_records_of_every_kind_come_back_bit_for_bit(league: Path) -> None:
    folder, packed = Store(FROZEN), open_store(league)
    assert {one["status"] for one in packed.records()} == {"done", "diverged", "failed", "interrupted", "timeout"}
    assert any("tuning" in one for one in packed.records())
    assert packed.ids() == folder.ids()
    for id in reversed(folder.ids()):
        assert bits(packed.read(id)) == bits(folder.read(id))
        assert packed.find(id[:8]) == folder.find(id)
    assert packed.read("f" * 16) is None
    with pytest.raises(RequestError, match=r"Unknown record in '.*league\.pack': ''"):
        packed.find("")


def test_what_a_reader_changes_is_not_read_again(league: Path) -> None:
    packed, id = open_store(league), Store(FROZEN).ids()[0]
    changed: Any = packed.read(id)
    changed["notices"].append("changed")
    changed["curve"]["step"].clear()
    changed["spec"]["encoder"]["name"] = "changed"
    assert packed.read(id) == Store(FROZEN).read(id)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_groups_of_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Some groups hold no evaluations at all, and the last one is not full."""
    monkeypatch.setattr(to_parquet, "GROUP", size)
    failed = {
        **TEMPLATE,
        "curve": {name: [] for name in TEMPLATE["curve"]},
        "final": {**TEMPLATE["final"], "step": None},
    }
    records = [at(f"{i:016x}", i + 1) if i % 5 > 1 else {**failed, "id": f"{i:016x}"} for i in range(13)]
    bench.pack(folder_of(tmp_path / "results", *records), output=tmp_path / "a.pack")
    packed = PackedStore(tmp_path / "a.pack")
    for one in [*records, *records[::-3]]:
        assert bits(packed.read(one["id"])) == bits(one)


NUMBERS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(["layout", "run", "a", "a.b", "final.step", "", "κ", "x (2)"]) | st.text(max_size=4)
TREES = st.recursive(
    NUMBERS | st.text(max_size=4), lambda s: st.lists(s, max_size=3) | st.dictionaries(NAMES, s, max_size=3)
)


@st.composite
def curves(draw: st.DrawFn) -> dict[str, list[Any]]:
    """A curve whose lists are of one length, mostly of one type."""
    length, names = draw(st.integers(0, 3)), draw(st.lists(NAMES, max_size=2))
    shares, losses = st.none() | st.floats(0, 1), st.none() | st.floats(allow_nan=False, allow_infinity=False)
    cells = st.sampled_from([NUMBERS, st.none(), st.integers(0, 9), shares, st.sampled_from([0.0, -0.0])])
    usual = {name: shares if name.endswith("accuracy") else losses for name in TEMPLATE["curve"]}
    usual |= {name: draw(cells) for name in names} | {"step": st.integers(0, 9)}
    return {name: draw(st.lists(kind, min_size=length, max_size=length)) for name, kind in usual.items()}


@hypothesis.settings(max_examples=15, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(st.lists(st.tuples(TREES, curves(), NAMES), min_size=1, max_size=4))
def test_records_that_nobody_has_thought_of_come_back(tmp_path: Path, drawn: list[Any]) -> None:
    shutil.rmtree(tmp_path / "results", ignore_errors=True)
    records = [
        record(f"{i:016x}", **{f"added{name}": tree, "curve": curve}) for i, (tree, curve, name) in enumerate(drawn)
    ]
    folder = Store(folder_of(tmp_path / "results", *records))
    done = bench.pack(folder.folder, output=tmp_path / "a.pack", force=True)
    assert done.broken == []
    assert [bits(one) for one in PackedStore(tmp_path / "a.pack").records()] == [bits(one) for one in folder.records()]


def test_numbers_that_columns_could_confuse(tmp_path: Path) -> None:
    values = [
        0.0,
        -0.0,
        0,
        1,
        1.0,
        True,
        None,
        2**63,
        -(2**63),
        2**53 + 1,
        5e-324,
        0.1 + 0.2,
        "1",
        "",
        [],
        {},
        [1, [2.0]],
    ]
    records = [record(f"{i:016x}", added=value) for i, value in enumerate([*values, *values])]
    bench.pack(folder_of(tmp_path / "results", *records), output=tmp_path / "a.pack")
    assert [bits(one) for one in PackedStore(tmp_path / "a.pack").records()] == [bits(one) for one in records]


def test_a_record_that_would_not_come_back_is_not_packed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = PackedStore.stored
    monkeypatch.setattr(PackedStore, "stored", lambda *at: {**(read(*at) or {}), "label": "another"})
    with pytest.raises(StoreError, match=r"The record [0-9a-f]{16} cannot be packed: it is read back as another one"):
        bench.pack(FROZEN, output="new.pack")
    assert [path.name for path in place.iterdir()] == ["league.pack"]


# Equal records are equal packs


def test_the_same_records_give_the_same_bytes(place: Path) -> None:
    """From a copy that was written in another order, from two halves, and from a pack."""
    before = (place / "league.pack").read_bytes()
    for name in ("copy", "half", "others"):
        (place / name).mkdir()
    for number, path in enumerate(sorted(FROZEN.glob("*.json"), reverse=True)):
        shutil.copyfile(path, place / "copy" / path.name)
        shutil.copyfile(path, place / ("half" if number % 2 else "others") / path.name)
    for sources in ("copy", ["half", "others"], Path("league.pack"), ["copy", "league.pack"]):
        bench.pack(sources, output="again.pack", force=True)
        assert (place / "again.pack").read_bytes() == before


# A pack is read like a folder


@pytest.mark.parametrize("by", ["accuracy", "steps", "seconds", "flops", "fraction"])
def test_the_ranking_of_a_pack_is_that_of_the_folder(tmp_path: Path, league: Path, by: str) -> None:
    small = tmp_path / "small.pack"
    bench.pack(league, output=small, curves="accuracy")
    expected, *found = (bench.rank(results=str(source), by=by) for source in (FROZEN, league, small))
    assert len(expected.rows) > 3
    for ranking in found:
        assert [row.to_dict() for row in ranking.rows] == [row.to_dict() for row in expected.rows]
        assert ranking.caption == expected.caption


def test_rank_and_rerun_on_the_command_line(place: Path, command: Command) -> None:
    assert command("rank", "--results", "league.pack").out == command("rank", "--results", FROZEN).out
    ridge = next(one for one in Store(FROZEN).records() if one["spec"]["learner"]["name"] == "ridge")
    done = command("rerun", ridge["id"][:8], "--results", "league.pack", "--json", "--quiet")
    assert bits(done.json["cells"][0]) == bits(ridge)
    assert done.json["cells"][1]["id"] == ridge["id"]


def test_ids_of_a_pack_are_completed(league: Path) -> None:
    context: Any = type("Context", (), {"params": {"results": str(league)}})
    ids = Store(FROZEN).ids()
    assert [item.value for item in record_completer(context, context, ids[0][:3])] == [ids[0]]
    context.params = {"results": "nowhere.pack"}
    assert record_completer(context, context, "") == []


def test_a_pack_is_merged_like_a_folder(place: Path, command: Command) -> None:
    done = command("merge", "league.pack", "--into", "all")
    assert (done.code, done.err) == (0, "")
    assert (
        done.out.splitlines()[0]
        == f"Merged into 'all': {len(content(FROZEN))} copied, 0 replaced by ones that go further, 0 kept."
    )
    assert content(place / "all") == content(FROZEN)
    assert command("merge", "league.pack", "all", "--into", "again", "--json").json["disagreeing"] == []
    assert content(place / "again") == content(FROZEN)


def test_merging_packs_and_folders_takes_what_goes_further(place: Path) -> None:
    folder_of(place / "one", at(A, 5), at(B, 9))
    folder_of(place / "two", at(A, 7), at(B, 2), at(C, 1))
    bench.pack("one", output="one.pack")
    merged = bench.results.merge_folders(["one.pack", "two"], "all")
    assert (merged.copied, merged.checkpoints) == ([A, B, C], 0)
    assert [one["final"]["step"] for one in Store("all").records()] == [7, 9, 1]


def test_records_of_several_sources_are_chosen_as_by_merge(place: Path, command: Command) -> None:
    folder_of(place / "one", at(A, 5), at(B, 9))
    folder_of(place / "two", at(A, 7), at(B, 9, accuracy=0.25))
    done = command("pack", "one", "two", "-o", "both.pack")
    size = (place / "both.pack").stat().st_size
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            f"Packed 2 records into 'both.pack': {size / 1000:.3g} kB, 2 evaluations.",
            "1 disagreeing, 0 broken and left out.",
            "Ranked like a folder: python -m bench rank --results both.pack",
        ],
    )
    assert f"{B} at step 9, 'one' and 'two': accuracies by up to 25 points" in done.err
    assert [bits(one) for one in open_store("both.pack").records()] == [bits(at(A, 7)), bits(at(B, 9))]


def test_a_broken_record_is_named_and_left_out(place: Path, command: Command) -> None:
    folder_of(place / "results", at(A, 5), record(B, curve={**TEMPLATE["curve"], "step": []}))
    (place / "results" / f"{C}.json").write_text("{")
    done = command("pack", "results", "-o", "new.pack", "--json")
    assert (done.code, done.json["records"]) == (1, 1)
    assert [line.partition(" is damaged")[0] for line in done.err.splitlines()] == [
        f"The record '{Path('results') / B}.json'",
        f"The record '{Path('results') / C}.json'",
    ]
    (place / "results" / f"{A}.json").unlink()
    done = command("pack", "results", "-o", "none.pack")
    assert done.code == 1
    assert done.error.startswith(f"None of 2 records can be packed: The record '{Path('results') / B}.json' is damaged")
    assert not (place / "none.pack").exists()


# How much of the curves


def test_packs_with_less_of_the_curves(place: Path) -> None:
    names = ("step", "train_accuracy", "validation_accuracy", "test_accuracy")
    small, table = (bench.pack("league.pack", output=f"{level}.pack", curves=level) for level in ("accuracy", "none"))
    assert small.evaluations == sum(len(one["curve"]["step"]) for one in Store(FROZEN).records()) > 100
    assert table.evaluations == 0
    assert Path("league.pack").stat().st_size > small.bytes > table.bytes == Path("none.pack").stat().st_size
    stored: list[Any] = list(Store(FROZEN).records())
    accuracies = [{name: one["curve"][name] for name in names} for one in stored]
    nothing = [{name: [] for name in one["curve"]} for one in stored]
    for level, expected in (("accuracy", accuracies), ("none", nothing)):
        found = [bits(one) for one in open_store(f"{level}.pack").records()]
        assert found == [bits({**one, "curve": curve}) for one, curve in zip(stored, expected, strict=True)]
    # What is left out does not come back.
    bench.pack("accuracy.pack", output="again.pack", curves="none")
    assert open_store("again.pack").manifest["curves"] == "none"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("level", "arguments", "message"),
    [
        (
            "none",
            ["rank", "--results", "small.pack"],
            "holds no curves, and a ranking needs at least accuracies: pack it with --curves accuracy.",
        ),
        (
            "accuracy",
            ["rerun", "8489", "--results", "small.pack"],
            "holds only the accuracies of its curves, and a comparison needs whole curves: pack it with --curves all.",
        ),
        ("accuracy", ["merge", "small.pack", "--into", "all"], "and a results folder needs whole curves"),
        ("accuracy", ["pack", "small.pack", "-o", "all"], "and --curves all needs whole curves"),
        (
            "none",
            ["pack", "small.pack", "-o", "all", "--curves", "accuracy"],
            "and --curves accuracy needs at least accuracies",
        ),
    ],
)
def test_what_needs_more_of_the_curves_says_so(
    place: Path, command: Command, level: str, arguments: list[str], message: str
) -> None:
    bench.pack("league.pack", output="small.pack", curves=level)
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.error
    assert not (place / "all").exists()


# Other tools


def test_the_tables_are_read_by_other_tools(league: Path) -> None:
    with zipfile.ZipFile(league) as opened:
        runs, curves = (pq.read_table(io.BytesIO(opened.read(f"{name}.parquet"))) for name in ("runs", "curves"))
        manifest = json.loads(opened.read("manifest.json"))
    stored = list(Store(FROZEN).records())
    assert manifest["records"] == len(runs) == len(stored)
    assert manifest["evaluations"] == len(curves)
    assert runs["id"].to_pylist() == [one["id"] for one in stored]
    assert runs["final.test_accuracy"].to_pylist() == [one["final"]["test_accuracy"] for one in stored]
    assert runs["spec.learner.name"].to_pylist() == [one["spec"]["learner"]["name"] for one in stored]
    of_run = curves.filter(np.array(curves["run"]) == 3)
    assert {name: of_run[name].to_pylist() for name in stored[3]["curve"]} == stored[3]["curve"]


def test_names_of_columns_are_unique() -> None:
    paths = [("a", "b"), ("a.b",), ("run",), ("a.b (2)",), ("\ud800",), ("?",)]
    names = to_parquet.column_names([Column(path, "int") for path in paths])
    assert names == ["a.b", "a.b (2)", "run (2)", "a.b (2) (2)", "?", "? (2)"]


# Faults


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def rebuilt(path: Path, found: dict[str, bytes], **about: Any) -> None:
    """A pack of these members that is whole by its checksums."""
    manifest = {**json.loads(found[archive.MANIFEST]), **about}
    others = {name: data for name, data in found.items() if name != archive.MANIFEST}
    with path.open("wb") as file:
        archive.write_archive(
            file, {k: v for k, v in manifest.items() if k not in ("format", "version", "members")}, others
        )


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_a_bit(name: str) -> Callable[[Path], None]:
    def turn(path: Path) -> None:
        data, inside = bytearray(path.read_bytes()), zipfile.ZipFile(path).getinfo(name)
        data[inside.header_offset + 30 + len(name) + inside.compress_size // 2] ^= 16
        path.write_bytes(data)

    return turn


def change(name: str, data: bytes) -> Callable[[Path], None]:
    """Replace a member, with a check sum of the archive that fits: only the manifest tells."""

    def replace(path: Path) -> None:
        found = members(path) | {name: data}
        with zipfile.ZipFile(path, "w") as opened:
            for one, value in found.items():
                opened.writestr(one, value)

    return replace


def forge(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Replace a member and its check sum in the manifest."""
    return lambda path: rebuilt(path, (found := members(path)) | {name: edit(found[name])})


def with_id(id: str) -> Callable[[Path], None]:
    """Give the first record another id, which a merge would make the name of a file."""

    def edit(data: bytes) -> bytes:
        table = pq.read_table(io.BytesIO(data))
        ids = [id, *table["id"].to_pylist()[1:]]
        table = table.set_column(table.column_names.index("id"), "id", [ids])
        pq.write_table(table, sink := io.BytesIO())
        return sink.getvalue()

    return forge("runs.parquet", edit)


def layout(**changed: Any) -> Callable[[Path], None]:
    return forge("layout.json", lambda data: json.dumps({**json.loads(data), **changed}).encode())


def add(name: str) -> Callable[[Path], None]:
    def append(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as opened:
            opened.writestr(name, b"evil")

    return append


def twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        add("runs.parquet")(path)


def inflate(path: Path) -> None:
    """A document that would fill the memory."""
    found = members(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in found.items():
            opened.writestr(name, bytes(archive.LARGEST_DOCUMENT + 1) if name == "layout.json" else data)


def version(path: Path) -> None:
    change("manifest.json", members(path)["manifest.json"].replace(b'"version": 1', b'"version": 2'))(path)


def no_pack(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


MENDED = "Copy it again, or pack its records anew."
FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut": (cut, "is damaged: its end is missing, or it was changed"),
    "halved": (halve, "is damaged: its end is missing, or it was changed"),
    "empty": (lambda path: path.write_bytes(b""), "'league.pack' is no pack: it is no zip archive."),
    "text": (lambda path: path.write_text("{}"), "'league.pack' is no pack: it is no zip archive."),
    "another archive": (no_pack, "'league.pack' is no pack: the archive holds no manifest.json."),
    "another manifest": (change("manifest.json", b"{}"), "'league.pack' is no pack: its manifest.json is of something"),
    "a list": (change("manifest.json", b"[]"), "'league.pack' is no pack: its manifest.json is of something else."),
    "a broken manifest": (change("manifest.json", b"{"), "is damaged: Expecting property name"),
    "a newer version": (version, "is of version 2 of the format, and this mod97 reads version 1: update mod97"),
    "a bit of the runs": (turn_a_bit("runs.parquet"), "is damaged: its end is missing, or it was changed (Bad CRC-32"),
    "a bit of the curves": (turn_a_bit("curves.parquet"), "is damaged: its end is missing, or it was changed (Bad CRC"),
    "other curves": (
        change("curves.parquet", b"PAR1"),
        "is damaged: its curves.parquet is not what was packed, by its",
    ),
    "no Parquet": (forge("runs.parquet", lambda data: data[:200]), "is damaged: ArrowInvalid: "),
    "a hostile member": (add("../../evil.json"), "is damaged: it holds '../../evil.json', which its manifest does not"),
    "a member twice": (twice, "is damaged: it holds 'runs.parquet', which its manifest does not tell of"),
    "a hostile manifest": (
        lambda path: rebuilt(path, members(path) | {"../evil": b""}),
        "is damaged: its manifest tells of",
    ),
    "a missing member": (
        lambda path: rebuilt(path, {k: v for k, v in members(path).items() if k != "layout.json"}),
        "is damaged: its manifest tells of",
    ),
    "a bomb": (inflate, "is damaged: its layout.json would be 67,108,865 bytes"),
    "other records": (
        lambda path: rebuilt(path, members(path), records=3),
        "is damaged: its manifest tells of other records",
    ),
    "a hostile id": (with_id("../../../evil0000"), "is damaged: its ids are no sorted ids of records"),
    "ids that are not sorted": (with_id("f" * 16), "is damaged: its ids are no sorted ids of records"),
    "another id": (
        layout(columns=[[["label"], "text"]]),
        "is damaged: its table of runs has other columns than its layout",
    ),
    "a layout without plans": (layout(layouts=[]), "IndexError"),
    "a layout without ids": (layout(layouts=[[1, 2]] * 99), "it lacks schema, status, spec, "),
    "groups of none": (layout(group=0), "ZeroDivisionError"),
    "other groups": (
        layout(group=7),
        "is damaged: its record 01b599a647a58117: its table of curves has other groups than",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_pack_that_is_damaged_costs_one_line(place: Path, command: Command, name: str) -> None:
    damage, message = FAULTS[name]
    damage(place / "league.pack")
    before = (place / "league.pack").read_bytes()
    ranked = command("rank", "--results", "league.pack")
    assert (ranked.code, ranked.out) == (1, "")
    assert "'league.pack'" in ranked.error
    assert message in ranked.error
    assert command("merge", "league.pack", "--into", "all").code == 1
    assert not list((place / "all").glob("*.json"))
    assert (place / "league.pack").read_bytes() == before
    assert not list(place.parent.rglob("evil*"))


def test_a_pack_that_cannot_be_opened(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StoreError, match=r"The pack 'league\.pack' cannot be read: Permission denied\."):
        open_store("league.pack")


def test_without_pyarrow_folders_are_read_and_a_line_says_what_packs_need(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        one for one in sys.modules if one.startswith("bench.results.packs.") or one.partition(".")[0] == "pyarrow"
    ]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("to_parquet", "from_parquet"):
        monkeypatch.delattr(f"bench.results.packs.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert command("rank", "--results", FROZEN).code == 0
    for arguments in (["rank", "--results", "league.pack"], ["pack", FROZEN, "-o", "new.pack"]):
        done = command(*arguments)
        assert done.code == 2
        assert "needs pyarrow: pip install 'mod97[pack]'" in done.error


# Nothing is written to a pack, nor over one


RIDGE = ("--encoder", "onehot", "--learner", "ridge", "--modulus", "5", "--results", "league.pack")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", *RIDGE),
        ("run", *RIDGE, "--dry-run"),
        ("sweep", *RIDGE),
        ("tune", *RIDGE, "--trials", "2"),
        ("clean", "--results", "league.pack"),
        ("merge", FROZEN, "--into", "league.pack"),
        ("merge", FROZEN, "--into", "league.pack", "--dry-run"),
    ],
)
def test_nothing_writes_to_a_pack(place: Path, command: Command, arguments: tuple[str, ...]) -> None:
    before = (place / "league.pack").read_bytes()
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    remedy = "python -m bench merge league.pack --into DIR makes a results folder of it"
    assert done.error == f"'league.pack' is a pack, which is only read: {remedy}."
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"league.pack": before}


def test_nothing_writes_to_a_pack_from_python(place: Path) -> None:
    request = {"encoder": "onehot", "learner": "ridge", "modulus": 5, "results": "league.pack"}
    for function in (bench.run, bench.plan):
        with pytest.raises(FolderError, match="is a pack, which is only read"):
            function(**request)


def test_doctor_says_that_a_pack_cannot_be_written_to(place: Path) -> None:
    [(_, said, is_well)] = _folder("league.pack")
    assert "is a pack, which is only read" in said
    assert not is_well


def test_a_file_is_replaced_by_force_alone(place: Path, command: Command) -> None:
    folder_of(place / "one", at(A, 5))
    before = (place / "league.pack").read_bytes()
    assert command("pack", "one", "-o", "league.pack").error == "'league.pack' exists: --force replaces it."
    assert (place / "league.pack").read_bytes() == before
    assert command("pack", "one", "-o", "league.pack", "--force").code == 0
    assert open_store("league.pack").ids() == [A]
    assert sorted(path.name for path in place.iterdir()) == ["league.pack", "one"]
    assert os.stat("league.pack").st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "-o", "new.pack"], "A source of a pack must be a results folder or a pack, got 'nowhere'."),
        (["", "-o", "new.pack"], "A source of a pack must be a results folder or a pack, got ''."),
        (["empty", "-o", "new.pack"], "The source 'empty' holds no records."),
        (["league.pack", "-o", "league.pack", "--force"], "must be none of its sources, got 'league.pack' as both."),
        (["league.pack", "-o", "no/new.pack"], "--output must be in a folder that exists, got 'no/new.pack'."),
        (["league.pack", "-o", "empty"], "--output cannot be written to 'empty'."),
        (["league.pack", "-o", ""], "--output cannot be written to ''."),
        (
            ["league.pack", "-o", "new.pack", "--curves", "acuracy"],
            "Unknown --curves 'acuracy': did you mean 'accuracy'?",
        ),
        (["league.pack"], "Missing option '-o' / '--output'."),
        (["-o", "new.pack"], "Missing argument 'RESULTS…'."),
    ],
)
def test_wrong_requests(place: Path, command: Command, arguments: list[str], message: str) -> None:
    (place / "empty").mkdir()
    done = command("pack", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.error
    assert not (place / "new.pack").exists()


def test_an_interruption_leaves_no_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "_read_back", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.pack(FROZEN, output="league.pack", force=True)
    assert [path.name for path in place.iterdir()] == ["league.pack"]
    assert open_store("league.pack").ids() == Store(FROZEN).ids()


def test_progress_counts_records(place: Path) -> None:
    told: list[tuple[int, int]] = []
    bench.pack("league.pack", output="new.pack", progress=lambda done, total: told.append((done, total)))
    n = len(Store(FROZEN).ids())
    assert told == [(done, n) for done in range(1, n + 1)]


def test_errors_of_packs_are_errors_of_the_bench(place: Path) -> None:
    with pytest.raises(BenchError, match="needs at least one source"):
        bench.pack([], output="new.pack")


def test_the_command_of_a_record_of_a_pack_trains_into_no_pack(league: Path, command: Command) -> None:
    id = bench.plan(encoder="phasor", learner="ridge", modulus=7, results=None).steps[0].spec.id
    shown = command("show", id, "--results", league)
    assert shown.code == 0
    assert f"Records: {league}" in shown.out.replace("\n", "")
    assert "--results" not in shown.out.split("The command that computes it:")[1]
