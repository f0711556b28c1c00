"""`merge` and `clean`: nothing is lost, whatever happens, and what is reported is what is on the disk."""

import codecs
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished

import bench
from bench.errors import FolderError, Notice, RequestError, StoreError
from bench.results import merge as folders
from bench.results.clean import clean_folder
from bench.results.files import Staged
from bench.results.merge import merge_folders
from bench.results.store import Store, check_folder

Command = Callable[..., Finished]
TEMPLATE = json.loads((Path(__file__).parent / "record.json").read_text())
A, B, C, D, E = (letter * 16 for letter in "abcde")


def at(id: str, step: int | None, accuracy: float = 0.5, status: str = "done") -> dict[str, Any]:
    """A record that ends at a step."""
    steps = [] if step is None else sorted({1, step})
    names = [name for name in TEMPLATE["curve"] if name != "step"]
    curve: dict[str, list[Any]] = {"step": steps, **{name: [None] * len(steps) for name in names}}
    curve["test_accuracy"] = [accuracy for _ in steps]
    return {**TEMPLATE, "id": id, "status": status, "final": {**TEMPLATE["final"], "step": step}, "curve": curve}


def failed(id: str) -> dict[str, Any]:
    return {**at(id, None, status="failed"), "error": {"type": "E", "message": "too large", "traceback": ""}}


def make(folder: Path, *records: dict[str, Any], states: bool = True) -> Store:
    """A results folder; checkpoints say who made them."""
    store = Store(folder, create=True)
    for record in records:
        step = record["final"]["step"]
        goes_on = states and step is not None
        store.keep(record, {"step": np.array(step), "made_in": np.array(folder.name)} if goes_on else {})
    return store


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def reached(store: Store) -> dict[str, int | None]:
    return {record["id"]: record["final"]["step"] for record in store.records()}


def made_in(store: Store, id: str, step: int) -> str | None:
    state = store.checkpoints.read(id, step)
    return None if state is None else str(state["made_in"])


# merge


def test_what_goes_further_wins(tmp_path: Path) -> None:
    one = make(tmp_path / "one", at(A, 5), at(B, 20), at(C, 5, 0.4), failed(D), at(E, 7))
    two = make(tmp_path / "two", at(A, 9), at(B, 10), failed(C), at("f" * 16, 3))
    all_ = make(tmp_path / "all", at(B, 15), at(C, 5, 0.3), at(D, 2), failed(E))
    before = [content(store.folder) for store in (one, two)]
    merged = merge_folders([one.folder, two.folder], all_.folder)
    assert (merged.copied, merged.replaced, merged.kept) == ([A, "f" * 16], [B, E], [C, D])
    assert reached(all_) == {A: 9, B: 20, C: 5, D: 2, E: 7, "f" * 16: 3}
    assert all_.find(C)["curve"]["test_accuracy"] == [0.3, 0.3]
    places = {A: "two", B: "one", C: "all", D: "all", E: "one", "f" * 16: "two"}
    assert {id: made_in(all_, id, step or 0) for id, step in reached(all_).items()} == places
    assert len(list(all_.checkpoints.folder.iterdir())) == 6
    assert [content(store.folder) for store in (one, two)] == before
    assert merged.checkpoints == 4
    assert merged.bytes == sum(
        all_.checkpoints.path(*k).stat().st_size for k in ((A, 9), (B, 20), (E, 7), ("f" * 16, 3))
    )


def test_records_and_checkpoints_arrive_bit_for_bit(tmp_path: Path) -> None:
    make(tmp_path / "one", at(A, 5), {**at(B, 3), "label": "κ → λ", "added_later": [1.1, None]})
    merge_folders([tmp_path / "one"], tmp_path / "new")
    assert content(tmp_path / "new") == content(tmp_path / "one")


def test_again_it_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path / "one", at(A, 5), at(B, 3))
    merge_folders([tmp_path / "one"], tmp_path / "new")
    before = content(tmp_path / "new")
    again = merge_folders([tmp_path / "one"], tmp_path / "new")
    assert (again.copied, again.replaced, again.kept, again.checkpoints) == ([], [], [A, B], 0)
    assert content(tmp_path / "new") == before


def test_a_failed_record_is_copied_where_there_is_none(tmp_path: Path) -> None:
    make(tmp_path / "one", failed(A))
    make(tmp_path / "two", failed(A), at(B, 2, status="diverged"))
    assert merge_folders([tmp_path / "one", tmp_path / "two"], tmp_path / "new").copied == [A, B]
    assert reached(Store(tmp_path / "new")) == {A: None, B: 2}
    assert merge_folders([tmp_path / "two"], tmp_path / "new").kept == [A, B]


def test_without_checkpoints(tmp_path: Path) -> None:
    make(tmp_path / "one", at(A, 5), at(B, 9))
    target = make(tmp_path / "all", at(B, 4))
    merged = merge_folders([tmp_path / "one"], target.folder, checkpoints=False)
    assert (merged.copied, merged.replaced, merged.checkpoints, merged.bytes) == ([A], [B], 0, 0)
    assert list(target.checkpoints.folder.iterdir()) == []


def test_a_record_is_not_extended_from_a_checkpoint_of_another_run(tmp_path: Path) -> None:
    """A merge that was killed between the two left a checkpoint; the record then comes from elsewhere."""
    make(tmp_path / "one", at(A, 5), states=False)
    target = make(tmp_path / "all", at(B, 1))
    target.checkpoints.write(A, 5, {"step": np.array(5), "made_in": np.array("killed")})
    merge_folders([tmp_path / "one"], target.folder)
    assert reached(target) == {A: 5, B: 1}
    assert target.checkpoints.read(A, 5) is None


def test_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path / "one", at(A, 5), at(B, 20), at(C, 5, 0.4), failed(D))
    target = make(tmp_path / "all", at(B, 15), at(C, 5, 0.3), at(D, 2))
    before = content(target.folder)
    would = merge_folders([tmp_path / "one"], target.folder, dry_run=True).to_dict()
    assert content(target.folder) == before
    assert would.pop("dry_run")
    did = merge_folders([tmp_path / "one"], target.folder).to_dict()
    assert not did.pop("dry_run")
    assert would == did
    assert merge_folders([tmp_path / "one"], tmp_path / "new", dry_run=True).copied == [A, B, C, D]
    assert not (tmp_path / "new").exists()


def test_disagreeing_records_are_named(tmp_path: Path, command: Command) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    loss = at(C, 5)
    loss["curve"]["test_loss"] = [0.1, 0.2]
    other = at(C, 5)
    other["curve"]["test_loss"] = [0.1, 0.25]
    make(one, at(A, 5, 0.25), at(B, 5), loss, at(D, 3), failed(E))
    # B was extended on the way and has one more point; D ends elsewhere; E failed on both.
    extended = at(B, 5)
    extended["curve"] = {name: [*series[:1], *series] for name, series in extended["curve"].items()}
    extended["curve"]["step"] = [1, 3, 5]
    make(two, at(A, 5, 0.75), extended, other, at(D, 4, 0.9), failed(E))
    merged = merge_folders([one, two], tmp_path / "all", dry_run=True)
    found = [(d.id, d.step, d.folders, d.accuracy) for d in merged.disagreeing]
    assert found == [(A, 5, (str(one), str(two)), 0.5), (C, 5, (str(one), str(two)), 0.0)]
    done = command("merge", one, two, "--into", tmp_path / "all")
    assert done.code == 0
    note, first, second = done.err.splitlines()
    assert note == "Note: 2 records of the same cell and step with other numbers on the curve:"
    assert first.strip() == f"{A} at step 5, '{one}' and '{two}': accuracies by up to 50 points"
    assert second.endswith("losses alone")
    # What was merged is the target's now, and the second machine still disagrees with it.
    again = command("merge", two, "--into", tmp_path / "all", "--json")
    assert [d["folders"] for d in again.json["disagreeing"]] == [[str(tmp_path / "all"), str(two)]] * 2


SCHEMA_0 = json.dumps({**at(A, 5), "schema": 0}).encode()
NO_NUMBER = json.dumps(at(A, 5) | {"final": {**TEMPLATE["final"], "step": "5"}}).encode()
UNEVEN = json.dumps(at(A, 5) | {"curve": {**at(A, 5)["curve"], "step": [1, 2, 5]}}).encode()
NO_POINT = json.dumps(at(A, 5) | {"curve": {**at(A, 5)["curve"], "step": [1, "5"]}}).encode()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (b'{"schema": 1, ', "it is no JSON document"),
        (SCHEMA_0, "its schema is 0, this version reads 1"),
        (NO_NUMBER, "its final.step is '5'"),
        (UNEVEN, "the parts of its curve are of different lengths"),
        (NO_POINT, "its curve.step is [1, '5']"),
    ],
    ids=range(5),
)
def test_what_is_broken_is_named_and_the_rest_merged(tmp_path: Path, command: Command, broken: bytes, why: str) -> None:
    one = make(tmp_path / "one", at(B, 2), at(C, 2))
    one.path(A).write_bytes(broken)
    one.path(D).mkdir()
    done = command("merge", one.folder, "--into", tmp_path / "all")
    assert done.code == 1
    first, second = done.err.splitlines()
    assert first.startswith(f"The record '{one.path(A)}' is damaged: {why}")
    assert second.startswith(f"The record '{one.path(D)}' is damaged: it is a folder")
    assert "2 copied, 0 replaced by ones that go further, 0 kept." in done.out
    assert "0 disagreeing, 2 broken." in done.out
    assert reached(Store(tmp_path / "all")) == {B: 2, C: 2}
    # Another machine has it whole.
    make(tmp_path / "two", at(A, 1))
    done = command("merge", one.folder, tmp_path / "two", "--into", tmp_path / "all", "--json")
    assert done.code == 1
    assert done.json["copied"] == [A]


def test_a_broken_record_of_the_target_is_kept(tmp_path: Path, command: Command) -> None:
    make(tmp_path / "one", at(A, 9), at(B, 2))
    target = Store(tmp_path / "all", create=True)
    target.path(A).write_bytes(b"half a rec")
    done = command("merge", tmp_path / "one", "--into", target.folder, "--json")
    assert done.code == 1
    assert (done.json["copied"], len(done.json["broken"])) == ([B], 1)
    assert str(target.path(A)) in done.json["broken"][0]
    remedy = f"python -m bench doctor --results {target.folder} --mend sets it aside."
    assert remedy in done.json["broken"][0]
    assert remedy in command("merge", tmp_path / "one", "--into", target.folder).err
    assert target.path(A).read_bytes() == b"half a rec"


def test_a_cut_checkpoint_stays_behind(tmp_path: Path, command: Command) -> None:
    one = make(tmp_path / "one", at(A, 5), at(B, 5))
    path = one.checkpoints.path(A, 5)
    path.write_bytes(path.read_bytes()[:-30])
    done = command("merge", one.folder, "--into", tmp_path / "all")
    assert done.code == 1
    assert f"The checkpoint '{path}' cannot be used: it is not whole." in done.err
    target = Store(tmp_path / "all")
    assert reached(target) == {A: 5, B: 5}
    assert [p.name for p in target.checkpoints.folder.iterdir()] == [f"{B}-5.npz"]


def test_foreign_files_are_neither_copied_nor_touched(tmp_path: Path) -> None:
    one, target = make(tmp_path / "one", at(A, 5)), make(tmp_path / "all", at(B, 5))
    for folder in (one.folder, one.checkpoints.folder, target.folder, target.checkpoints.folder):
        (folder / "notes.txt").write_text(str(folder))
    one.checkpoints.write(C, 3, {"step": np.array(3)})
    (one.folder / f"{A}.json.aside-0").write_text("{}")
    merge_folders([one.folder], target.folder)
    assert set(content(target.folder)) == {
        *(f"{id}.json" for id in (A, B)),
        *(f"checkpoints/{id}-5.npz" for id in (A, B)),
        *("notes.txt", "checkpoints/notes.txt"),
    }
    assert (target.folder / "notes.txt").read_text() == str(target.folder)


def test_wrong_requests_of_merge(tmp_path: Path, command: Command) -> None:
    one = make(tmp_path / "one", at(A, 5)).folder
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(one)
    into = ("--into", tmp_path / "all")
    wrong = {
        (one, tmp_path / "missing", *into): f"must be a results folder or a pack, got '{tmp_path / 'missing'}'",
        (tmp_path / "empty", *into): f"The source '{tmp_path / 'empty'}' holds no records.",
        (one, "--into", one): f"must be none of its sources, got '{one}' as both",
        (tmp_path / "link", "--into", one): f"must be none of its sources, got '{tmp_path / 'link'}' as both",
        (one, "--into", ""): "must be a folder, got ''",
        (one,): "Missing option '--into'",
        into: "Missing argument 'SOURCE…'",
    }
    for arguments, message in wrong.items():
        done = command("merge", *arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert message in done.error
    assert not (tmp_path / "all").exists()
    for dry in ([], ["--dry-run"]):
        done = command("merge", one, "--into", tmp_path / "a" / "b", *dry)
        assert done.code == 2
        assert str(tmp_path / "a" / "b") in done.error
    with pytest.raises(RequestError, match="at least one source"):
        merge_folders([], tmp_path / "all")
    with pytest.warns(Notice, match=f"Without records: '{tmp_path / 'empty'}'"):  # as of a shard without a job
        assert merge_folders([tmp_path / "empty", one], tmp_path / "of-shards").copied == [A]
    # The same folder by two names is read once.
    assert merge_folders([one, tmp_path / "link"], tmp_path / "all").copied == [A]


def test_output_of_merge(tmp_path: Path, command: Command) -> None:
    one = make(tmp_path / "one", at(A, 5), at(B, 9)).folder
    target = make(tmp_path / "all", at(B, 3), at(C, 1)).folder
    done = command("merge", one, "--into", target, "--dry-run")
    n_bytes = sum(path.stat().st_size for path in (one / "checkpoints").iterdir())
    merged, states, counts, nothing = done.out.splitlines()
    assert merged == f"Would merge into '{target}': 1 copied, 1 replaced by ones that go further, 0 kept."
    assert states == f"2 checkpoints with them, {n_bytes / 1000:.3g} kB."
    assert (counts, nothing, done.err) == ("0 disagreeing, 0 broken.", "Nothing was changed.", "")
    done = command("merge", one, "--into", target, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {
        "schema": 1,
        "into": str(target),
        "dry_run": False,
        "copied": [A],
        "replaced": [B],
        "kept": [],
        "disagreeing": [],
        "broken": [],
        "checkpoints": 2,
        "bytes": n_bytes,
    }


def test_progress_is_told_unless_quiet(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cli._print.LINES_EVERY", -1.0)
    monkeypatch.setattr(folders, "GROUP_SIZE", 2)
    make(tmp_path / "one", *(at(id, 5) for id in (A, B, C, D, E)))
    done = command("merge", tmp_path / "one", "--into", tmp_path / "all", "--json")
    assert done.err.splitlines() == ["2 of 5 records", "4 of 5 records"]
    assert done.json["copied"] == [A, B, C, D, E]
    assert command("merge", tmp_path / "one", "--into", tmp_path / "more", "--quiet").err == ""
    assert command("clean", "--results", tmp_path / "more", "--json").err.splitlines()[0] == "2 of 5 files"
    assert command("clean", "--results", tmp_path / "all", "--quiet").err == ""


def test_the_target_may_go_further_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep keeps a record between the look and the rename."""
    make(tmp_path / "one", at(A, 9), at(B, 9))
    target = make(tmp_path / "all", at(A, 3))
    flush = Staged.flush

    def slow(staged: Any) -> None:
        if reached(target)[A] == 3:
            monkeypatch.setattr(Staged, "flush", flush)
            target.keep(at(A, 20), {"step": np.array(20), "made_in": np.array("sweep")})
        flush(staged)

    monkeypatch.setattr(Staged, "flush", slow)
    monkeypatch.setattr(folders, "WRITERS", 1)
    merged = merge_folders([tmp_path / "one"], target.folder)
    assert (merged.copied, merged.kept, merged.replaced, merged.checkpoints) == ([B], [A], [], 1)
    assert reached(target) == {A: 20, B: 9}
    assert made_in(target, A, 20) == "sweep"
    assert sorted(content(target.folder)) == sorted(
        [f"{A}.json", f"{B}.json", f"checkpoints/{A}-20.npz", f"checkpoints/{B}-9.npz"]
    )


FULL = """
import resource, signal, sys
from bench.errors import StoreError
from bench.results import merge as folders
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
folders.GROUP_SIZE = 1
try:
    folders.merge_folders([sys.argv[1]], sys.argv[2])
except StoreError as error:
    print(error)
"""


def test_a_full_disk_stops_it_and_loses_nothing(tmp_path: Path) -> None:
    one = make(tmp_path / "one", at(A, 5), at(B, 5), at(C, 5))
    one.checkpoints.write(B, 5, {"step": np.array(5), "made_in": np.array("one"), "w": np.zeros(9_000)})
    target = make(tmp_path / "all", at(B, 2))
    call = [sys.executable, "-c", FULL, str(one.folder), str(target.folder)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    [line] = done.stdout.splitlines()
    assert "cannot be written: File too large. 1 records were merged before; the same request goes on." in line
    assert reached(target) == {A: 5, B: 2}
    assert made_in(target, B, 2) == "all"
    assert not [name for name in content(target.folder) if name.endswith(".tmp")]
    assert merge_folders([one.folder], target.folder).kept == [A]
    assert reached(target) == {A: 5, B: 5, C: 5}
    assert made_in(target, B, 5) == "one"


def test_whichever_file_comes_last_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash after every number of renames: a record is never without the checkpoint that it came with."""
    one = make(tmp_path / "one", *(at(id, 9) for id in (A, B, C)))
    settle = Staged.settle
    for renames in range(6):
        target = make(tmp_path / f"all-{renames}", at(B, 4))
        left = iter(range(renames))

        def crash(staged: Staged, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            settle(staged)

        monkeypatch.setattr(Staged, "settle", crash)
        with pytest.raises(KeyboardInterrupt):
            merge_folders([one.folder], target.folder)
        monkeypatch.setattr(Staged, "settle", settle)
        found = reached(target)
        assert sum(step == 9 for step in found.values()) == renames // 2
        places = {id: "one" if step == 9 else target.folder.name for id, step in found.items()}
        assert {id: made_in(target, id, step or 0) for id, step in found.items()} == places
        assert not [name for name in content(target.folder) if name.endswith(".tmp")]
        merge_folders([one.folder], target.folder)
        assert content(target.folder) == content(one.folder)


MERGER = """
import sys
from bench.results import merge as folders
folders.GROUP_SIZE = 4

def told(*how):
    print(*how, flush=True)
    sys.stdin.readline()  # until it is allowed to go on

folders.merge_folders([sys.argv[1]], sys.argv[2], progress=told)
"""


def test_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """kill -9 at random moments of a merge of 300 records; every third is in the target, and goes less far."""
    rng = np.random.default_rng(0)
    ids = [f"{number:016x}" for number in range(300)]
    source = _quickly(tmp_path / "one", [at(id, 9) for id in ids])
    target = _quickly(tmp_path / "all", [at(id, 4) for id in ids[::3]])
    before = content(source.folder)
    seen: list[int] = []
    for _ in range(8):
        call = [sys.executable, "-c", MERGER, str(source.folder), str(target.folder)]
        with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as merger:
            assert merger.stdin is not None
            assert merger.stdout is not None
            for _ in range(rng.integers(1, 60)):  # of 75 times that it asks
                if not merger.stdout.readline():
                    break
                merger.stdin.write(b"\n")
                merger.stdin.flush()
            time.sleep(rng.uniform(0.0, 0.01))  # it is anywhere before the next question, or at it
            merger.send_signal(signal.SIGKILL)
        found = reached(target)
        assert set(found) >= set(ids[::3])
        assert set(found.values()) <= {4, 9}
        for id, step in found.items():
            assert step is not None
            assert made_in(target, id, step) == ("one" if step == 9 else "all")
        seen.append(sum(step == 9 for step in found.values()))
    assert seen == sorted(seen)
    assert any(100 < number < 300 for number in seen), f"never killed in the middle: {seen}"
    merged = merge_folders([source.folder], target.folder)
    assert len(merged.copied) + len(merged.replaced) == 300 - seen[-1]
    assert reached(target) == dict.fromkeys(ids, 9)
    assert {made_in(target, id, 9) for id in ids} == {"one"}
    assert content(source.folder) == before
    # What killed processes left goes with `clean`, once it is old enough.
    for path in [*target.folder.iterdir(), *target.checkpoints.folder.iterdir()]:
        age(path, 1)
    clean_folder(target.folder)
    assert set(content(target.folder)) == {f"{id}.json" for id in ids}


def _quickly(folder: Path, records: list[dict[str, Any]]) -> Store:
    """A large folder, all at once."""
    store = Store(folder, create=True)
    made = np.array(folder.name)
    problems = store.keep_all([(r, {"step": np.array(r["final"]["step"]), "made_in": made}) for r in records])
    assert not any(problems)
    return store


# clean


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then), follow_symlinks=False)


def test_clean_removes_what_is_ours_and_no_more(tmp_path: Path) -> None:
    store = make(tmp_path / "results", at(A, 5), at(B, 5), failed(C), at(D, 7), states=True)
    for id, step in ((B, 3), (E, 9)):
        store.checkpoints.write(id, step, {"step": np.array(step)})
    store.path(D).write_bytes(b"cut")
    (store.folder / f"{E}.json.aside-0").write_text("{}")
    old = [f".{A}-abcd_123.tmp", f"checkpoints/.{A}-17-abcd_123.tmp"]
    theirs = ["notes.txt", ".notes.tmp", f".{A}-x.tmp", "checkpoints/mine.npz", f"checkpoints/{A}-5.npz.bak"]
    theirs += [f"checkpoints/{A}.npz", f"{A}-5.npz", "checkpoints/.mine-abcd_123.tmp"]
    for name in [*old, *theirs]:
        (store.folder / name).write_text("x" * 10)
        age(store.folder / name, 1)
    young = store.folder / f".{B}-abcd_123.tmp"
    young.write_text("in use")
    (store.checkpoints.folder / f"{A}-6.npz").mkdir()
    (store.checkpoints.folder / f"{A}-8.npz").symlink_to(store.folder / "notes.txt")
    before = content(store.folder)
    would = clean_folder(store.folder, dry_run=True)
    assert content(store.folder) == before
    cleaned = clean_folder(store.folder)
    assert {**would.to_dict(), "dry_run": False} == cleaned.to_dict()
    [message] = cleaned.broken
    assert f"{D}.json' is damaged" in message
    gone = {name: before[name] for name in before if name not in content(store.folder)}
    ours = {f"checkpoints/{id}-{step}.npz" for id, step in ((A, 5), (B, 5), (D, 7), (B, 3), (E, 9))}
    assert set(gone) == {*ours, *old}
    assert content(store.folder) == {name: before[name] for name in before if name not in gone}
    kinds = {str(Path(f.path).relative_to(store.folder)): (f.kind, f.bytes) for f in cleaned.removed}
    stray = [f"checkpoints/{B}-3.npz", f"checkpoints/{E}-9.npz"]
    assert {name for name, (kind, _) in kinds.items() if kind == "stray checkpoint"} == set(stray)
    assert {name for name, (kind, _) in kinds.items() if kind == "temporary"} == set(old)
    assert {name: n for name, (_, n) in kinds.items()} == {name: len(data) for name, data in gone.items()}
    assert cleaned.bytes == sum(map(len, gone.values()))
    assert [f.path for f in cleaned.younger] == [str(young)]


def test_older_than(tmp_path: Path, command: Command) -> None:
    store = make(tmp_path / "results", at(A, 5), at(B, 5))
    age(store.checkpoints.path(A, 5), 3)
    # A file server whose clock is ahead.
    age(store.checkpoints.path(B, 5), -1)
    left = store.folder / f".{B}-abcd_123.tmp"
    left.touch()
    age(left, 1)
    done = command("clean", "--results", store.folder, "--older-than", 2, "--json")
    assert [Path(f["path"]).name for f in done.json["removed"]] == [f"{A}-5.npz"]
    assert {Path(f["path"]).name for f in done.json["younger"]} == {left.name, f"{B}-5.npz"}
    assert store.checkpoints.read(B, 5) is not None
    assert {f.kind for f in clean_folder(store.folder, older_than=0).removed} == {"checkpoint", "temporary"}
    for wrong, message in ((-1, "a number of days ≥ 0, got -1"), ("nan", "got nan"), ("inf", "got inf")):
        done = command("clean", "--results", store.folder, "--older-than", wrong)
        assert done.code == 2
        assert message in done.error
    assert command("clean", "--results", store.folder, "--older-than", "soon").code == 2
    done = command("clean", "--results", tmp_path / "missing")
    assert (done.code, done.error) == (2, f"There is no results folder '{tmp_path / 'missing'}'.")


def test_a_cell_in_training_keeps_its_checkpoint(tmp_path: Path, command: Command) -> None:
    store = make(tmp_path / "results", at(A, 5, status="interrupted"), at(B, 5, status="interrupted"), at(C, 5))
    age(store.checkpoints.path(B, 5), 0.1)
    store.checkpoints.write(A, 4, {"step": np.array(4)})
    done = command("clean", "--results", store.folder)
    assert [path.name for path in store.checkpoints.folder.iterdir()] == [f"{A}-5.npz"]
    assert "Stays: 1 checkpoint, " in done.out
    assert "in training or were interrupted within the hour" in done.out
    age(store.checkpoints.path(A, 5), 0.1)
    assert len(clean_folder(store.folder).removed) == 1


def test_a_cell_that_a_process_has_leased_keeps_its_checkpoint(tmp_path: Path) -> None:
    store = make(tmp_path / "results", at(A, 5), at(B, 5))
    for id in (A, B):
        age(store.checkpoints.path(id, 5), 10)
    store.checkpoints.write(A, 4, {"step": np.array(4)})
    call = [sys.executable, "-c", CLAIMER, str(store.folder), A]
    sweep = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert sweep.stdout is not None
    assert sweep.stdout.readline() == "ready\n"
    cleaned = clean_folder(store.folder)
    assert [Path(f.path).name for f in cleaned.in_flight] == [f"{A}-5.npz"]
    assert [path.name for path in store.checkpoints.folder.iterdir()] == [f"{A}-5.npz"]
    sweep.kill()
    sweep.communicate()
    left = store.folder / "claims" / ".abcd_123.tmp"
    left.touch()
    age(left, 1)
    assert [f.kind for f in clean_folder(store.folder).removed] == ["checkpoint", "temporary"]


CLAIMER = """
import sys
from bench.results.leases import Lease
lease = Lease(sys.argv[1])
lease.take([sys.argv[2]])
print("ready", flush=True)
sys.stdin.read()
"""


def test_nothing_goes_between_a_checkpoint_and_its_record(tmp_path: Path) -> None:
    """A cell in training keeps what it has again and again; what it kept last is never without its checkpoint."""
    store = make(tmp_path / "results", at(A, 1, status="interrupted"))
    call = [sys.executable, "-c", SWEEP, str(store.folder), str(Path(__file__).parent)]
    sweep = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    assert sweep.stdout is not None
    assert sweep.stdout.readline() == "ready\n"
    removed = 0
    while sweep.poll() is None:
        removed += len(clean_folder(store.folder).removed)
    assert sweep.stdout.read() == "checkpoints missing: 0\n"
    sweep.stdout.close()
    assert removed == 0
    assert reached(store) == {A: 150}


SWEEP = """
import sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from test_folders import A, at
from bench.results.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
missing = 0
for step in range(2, 151):
    store.keep(at(A, step, status="interrupted"), {"step": np.array(step)})
    missing += store.checkpoints.read(A, step) is None
print("checkpoints missing:", missing)
"""


def test_a_cell_whose_checkpoint_is_gone_begins_anew(tmp_path: Path) -> None:
    """What the help promises: the extension gives the numbers of one long run."""
    import bench

    cell: dict[str, Any] = {"encoder": "onehot", "learner": "mlp", "modulus": 7}
    cell["settings"] = {"learner.hidden_layer_sizes": (8,)}
    results = tmp_path / "results"
    [short] = bench.run(**cell, steps=3, results=results)
    assert len(clean_folder(results).removed) == 1
    [longer] = bench.run(**cell, steps=8, results=results)
    [whole] = bench.run(**cell, steps=8, results=None)
    assert (short["final"]["step"], longer["final"]["step"]) == (3, 8)
    assert longer["curve"] == whole["curve"]
    assert Store(results).checkpoints.read(longer["id"], 8) is not None


def test_output_of_clean(tmp_path: Path, command: Command) -> None:
    store = make(tmp_path / "results", at(A, 5), at(B, 5))
    store.checkpoints.write(E, 9, {"step": np.array(9)})
    (left := store.folder / f".{A}-abcd_123.tmp").write_bytes(b"x" * 12_345)
    age(left, 1)
    sizes = {path.name: path.stat().st_size for path in store.checkpoints.folder.iterdir()}
    two, stray = sizes[f"{A}-5.npz"] + sizes[f"{B}-5.npz"], sizes[f"{E}-9.npz"]
    done = command("clean", "--results", store.folder, "--dry-run")
    first, second = done.out.splitlines()
    assert first.startswith(f"Would remove from '{store.folder}': 2 checkpoints, ")
    assert f"; 1 checkpoint of no record, {stray} B; 1 temporary file, 12.3 kB. " in first
    assert first.endswith(" kB in all.")
    assert second == "All records stay; one of these that is extended would train anew."
    document = command("clean", "--results", store.folder, "--json").json
    assert (document["schema"], document["dry_run"], document["results"]) == (1, False, str(store.folder))
    assert document["bytes"] == 12_345 + two + stray
    assert sum(f["bytes"] for f in document["removed"]) == document["bytes"]
    store.checkpoints.write(A, 5, {"step": np.array(5)})
    assert command("clean", "--results", store.folder).out.splitlines() == [
        f"Removed from '{store.folder}': 1 checkpoint, {stray} B.",
        "All records stay; one of these that is extended trains anew.",
    ]
    done = command("clean", "--results", store.folder)
    assert (done.code, done.out) == (0, f"Nothing to remove from '{store.folder}'.\n")
    assert reached(store) == {A: 5, B: 5}


# Permissions


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder of a user without privileges, who is who runs the test."""
    folder = Path(tempfile.mkdtemp())
    privileged = os.geteuid() == 0
    if privileged:
        codecs.lookup("cp437")  # of zip files; Python may lie where that user cannot read it, and failures are kept
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if privileged:
            os.seteuid(0)
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(folder)


def test_what_can_be_seen_of_a_folder_is_what_it_comes_to(nobody: Path) -> None:
    """A check that writes nothing says of each what making it would say."""
    (nobody / "file").touch()
    for name, mode in (("closed", 0), ("unwritable", 0o500), ("open", 0o700)):
        (nobody / name / "inside").mkdir(parents=True)
        (nobody / name).chmod(mode)
    names = ("closed", "closed/new", "closed/inside", "unwritable", "unwritable/new", "open", "open/new", "open/a/b")
    for name in (*names, "file", "file/new", "x" * 300):
        said: list[str | None] = []
        for look in (check_folder, partial(Store, create=True)):
            try:
                look(nobody / name)
            except FolderError as error:
                said.append(str(error))
            else:
                said.append(None)
        assert said[0] == said[1], name
        assert (said[0] is None) == (name in ("open", "open/new"))


def test_a_folder_that_cannot_be_read_is_a_wrong_request(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    grid = {"encoder": "onehot", "learner": "ridge"}
    looks = (bench.rank, partial(bench.rerun, "0"), partial(bench.plan_sweep, grid))
    for look in looks:  # once before: what they import may be nobody's to read
        with pytest.raises(RequestError) if look is not looks[-1] else nullcontext():
            look(results=make(tmp_path / "empty").folder)
    nobody = request.getfixturevalue("nobody")
    folder = make(nobody / "results", at(A, 5)).folder
    folder.chmod(0o300)
    message = f"The results folder '{folder}' cannot be read: Permission denied."
    for look in looks:
        with pytest.raises(FolderError) as caught:
            look(results=folder)
        assert str(caught.value) == message
    with pytest.raises(FolderError):
        merge_folders([folder], nobody / "all")


def test_permissions_of_merge(nobody: Path, command: Command) -> None:
    one = make(nobody / "one", at(A, 5), at(B, 5), at(C, 5))
    one.path(A).chmod(0)
    one.checkpoints.path(B, 5).chmod(0)
    one.checkpoints.folder.chmod(0o500)
    one.folder.chmod(0o500)
    done = command("merge", one.folder, "--into", nobody / "all")
    assert done.code == 1
    record, state = done.err.splitlines()
    assert record == f"The record '{one.path(A)}' cannot be read: Permission denied."
    assert state.startswith(f"The checkpoint '{one.checkpoints.path(B, 5)}' cannot be used: Permission denied.")
    target = Store(nobody / "all")
    assert reached(target) == {B: 5, C: 5}
    assert made_in(target, C, 5) == "one"
    make(nobody / "two", at(A, 1))
    target.folder.chmod(0o500)
    done = command("merge", nobody / "two", "--into", target.folder)
    assert (done.code, done.error) == (2, f"The results folder '{target.folder}' cannot be used: Permission denied.")
    assert command("merge", nobody / "two", "--into", target.folder, "--dry-run").code == 0
    target.folder.chmod(0o700)
    target.checkpoints.folder.chmod(0o500)
    done = command("merge", nobody / "two", "--into", target.folder)
    assert done.code == 1
    assert "cannot be written: Permission denied. 0 records were merged before" in done.error
    assert set(reached(target)) == {B, C}
    (nobody / "two").chmod(0)
    done = command("merge", nobody / "two", "--into", nobody / "all")
    assert (done.code, done.error) == (2, f"The results folder '{nobody / 'two'}' cannot be read: Permission denied.")


def test_permissions_of_clean(nobody: Path) -> None:
    store = make(nobody / "results", at(A, 5))
    store.checkpoints.folder.chmod(0o500)
    with pytest.raises(StoreError, match=r"a-5.npz' cannot be removed: Permission denied\."):
        clean_folder(store.folder)
    assert len(clean_folder(store.folder, dry_run=True).removed) == 1
    store.checkpoints.folder.chmod(0)
    with pytest.raises(StoreError, match="checkpoints' cannot be read: Permission denied"):
        clean_folder(store.folder)
    store.checkpoints.folder.chmod(0o700)
    assert made_in(store, A, 5) == "results"
