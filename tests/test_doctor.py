"""What the doctor finds in a results folder, and what it puts right."""

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished
from records import run, solving, stored

from bench.errors import StoreError
from bench.results.check import check_contents
from bench.results.leases import Lease
from bench.results.store import Store

Command = Callable[..., Finished]
DAMAGE = {
    "empty": (b"", "it is empty"),
    "NULs": (bytes(5000), "it holds NULs alone, as after a power cut"),
    "half": (b'{"schema": 2, "id": "', "it is no JSON document (Unterminated"),
    "another encoding": ("Grüße".encode("latin-1"), "it is no JSON document ('utf-8' codec"),
    "another shape": (b"[1, 2]", "it is no record"),
}
OLD = time.time() - 7200


def content(folder: Path) -> dict[str, bytes | str]:
    """Every file of a folder, byte by byte; folders and links by what they are."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def rows(done: Finished) -> dict[str, dict[str, Any]]:
    return {row["check"]: row for row in done.json["checks"]}


@pytest.fixture(autouse=True)
def _no_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks of the installation take a moment, and have tests of their own."""
    monkeypatch.setattr("bench.cli._look._examine", lambda folder: [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A results folder with four records, of which two have checkpoints and one kept states."""
    (tmp_path / "results").mkdir()
    records = solving("mlp", 100, 200, 300, 400)
    store = Store(stored(tmp_path / "results", records))
    for record in records[:2]:
        store.checkpoints.write(record["id"], record["final"]["step"], {"x": np.ones(3)})
    store.states.write(records[0]["id"], 3, {"x": np.ones(3)})
    (store.folder / "notes.txt").write_text("mine")
    (store.folder / "other.json").write_text("{")
    return store.folder


def test_a_folder_that_is_well_is_left_as_it_is(folder: Path, command: Command) -> None:
    before = content(folder)
    for more in ([], ["--mend"]):
        done = command("doctor", "--results", folder, "--json", *more)
        assert done.code == 0
        found = {name: rows(done)[name]["found"] for name in ("records", "checkpoints", "kept states", "journal")}
        assert found == {
            "records": "4, all whole",
            "checkpoints": "2, all with an end",
            "kept states": "1, all with an end",
            "journal": "none",
        }
        assert content(folder) == before


@pytest.mark.parametrize(("damage", "why"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_records_are_told_and_set_aside(folder: Path, command: Command, damage: bytes, why: str) -> None:
    [bad, *_] = Store(folder).ids()
    (folder / f"{bad}.json").write_bytes(damage)
    before = content(folder)
    done = command("doctor", "--results", folder, "--json")
    assert done.code == 1
    assert rows(done)["records"]["found"].startswith(f"4; 1 not as they should be: {bad}.json ({why}")
    assert not rows(done)["records"]["ok"]
    assert command("doctor", "--results", folder).out.endswith(
        f"python -m bench doctor --results {folder} --mend puts this folder right, and deletes no result.\n"
    )
    assert content(folder) == before
    done = command("doctor", "--results", folder, "--mend")
    assert done.code == 0
    after = content(folder)
    assert after.pop(f"{bad}.json.aside-0") == before.pop(f"{bad}.json") == damage
    moved = {name for name in before if name not in after}  # the checkpoint and the state that are now of no record
    assert all(after[f"{name}.aside-0"] == before[name] for name in moved)
    assert {name: after[name] for name in before if name not in moved} == {
        name: text for name, text in before.items() if name not in moved
    }
    assert command("doctor", "--results", folder).code == 0
    assert command("rank", "--results", folder, "--json").json["rows"][0]["n"] == 3


def test_folders_and_links_in_place_of_files(folder: Path, command: Command) -> None:
    first, second, third, _ = Store(folder).ids()
    for id in (first, second, third):
        (folder / f"{id}.json").unlink()
    (folder / f"{first}.json").mkdir()
    (folder / f"{second}.json").symlink_to("nowhere")
    (folder / f"{third}.json").symlink_to(f"{third}.json")
    done = command("doctor", "--results", folder, "--json")
    assert done.code == 1
    for why in (f"{first}.json (it is a folder)", f"{second}.json (it is a link that leads nowhere)"):
        assert why in rows(done)["records"]["found"]
    assert command("doctor", "--results", folder, "--mend").code == 0
    assert (folder / f"{first}.json.aside-0").is_dir()
    assert os.readlink(folder / f"{second}.json.aside-0") == "nowhere"
    assert Store(folder).ids() == [*set(Store(folder).ids()) - {first, second, third}]


def test_checkpoints_and_states_that_are_cut_or_of_no_record(folder: Path, command: Command) -> None:
    store = Store(folder)
    [one, other] = sorted(store.checkpoints.folder.iterdir())
    one.write_bytes(one.read_bytes()[:50])
    stray = store.checkpoints.folder / f"{'f' * 16}-7.npz"
    stray.write_bytes(other.read_bytes())
    [state] = store.states.folder.glob("*/*")
    state.write_bytes(b"")
    before = content(folder)
    done = command("doctor", "--results", folder, "--json")
    assert done.code == 1
    assert rows(done)["checkpoints"]["found"] == (
        f"3; 2 not as they should be: checkpoints/{one.name} (it is not whole), checkpoints/{stray.name} (of no record)"
    )
    assert rows(done)["kept states"]["found"].endswith("/3.npz (it is empty)")
    assert content(folder) == before
    assert command("doctor", "--results", folder, "--mend").code == 0
    (folder / ".lock").unlink()
    assert content(folder) == {
        f"{name}.aside-0" if folder / name in (one, stray, state) else name: text for name, text in before.items()
    }
    assert rows(command("doctor", "--results", folder, "--json"))["set aside"]["found"].startswith("3 files that")


def test_what_dead_processes_have_left_is_removed_and_what_living_ones_use_stays(
    folder: Path, command: Command
) -> None:
    [id, free, *_] = Store(folder).ids()
    old, new = folder / f".{id}-abcdefgh.tmp", folder / f".{id}-ijklmnop.tmp"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (OLD, OLD))
    with closing(Lease(folder)) as lease:
        lease.take([id])
        for suffix in ("json", "lease", "status"):
            (folder / "claims" / f"123-abcdef01.{suffix}").write_text("[")
        (folder / "claims" / "124-abcdef01.lease").write_text("")  # of a process that is starting
        for damaged in (id, free):
            (folder / f"{damaged}.json").write_text("")
        done = command("doctor", "--results", folder, "--json")
        found = {name: row["found"] for name, row in rows(done).items()}
        assert found["temporary files"] == f"2; 1 not as they should be: {old.name} (left by a process that died)"
        assert found["leases"] == "3; 1 not as they should be: 123-abcdef01 (left by a process that died)"
        done = command("doctor", "--results", folder, "--mend", "--json")
        assert done.code == 1  # what a process works on is still damaged
        assert f"{id}.json (it is empty; a process works on its cell)" in rows(done)["records"]["found"]
        assert (folder / f"{id}.json").exists()
        assert not (folder / f"{free}.json").exists()
        assert lease.path.exists()
        assert lease.list.exists()
    assert (new.exists(), old.exists()) == (True, False)
    assert {path.name for path in (folder / "claims").iterdir()} == {".lock", "124-abcdef01.lease"}
    assert command("doctor", "--results", folder, "--mend").code == 0


def test_a_checkpoint_that_a_process_begins_to_use_while_the_doctor_looks_stays(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the doctor read the records, there was none of a checkpoint; before it tells that, a process writes it."""
    store, id = Store(folder), "e" * 16
    store.checkpoints.write(id, 9, {"x": np.ones(3)})
    records = store.ids()
    monkeypatch.setattr(Store, "ids", lambda store: records)
    record = run(steps=range(10), accuracies=[0.5] * 10)
    (folder / f"{id}.json").write_text(json.dumps({**record, "id": id}))
    for more in ([], ["--mend"]):
        done = command("doctor", "--results", folder, "--json", *more)
        assert rows(done)["checkpoints"]["found"] == "3, all with an end"
    assert store.checkpoints.has(id, 9)


def test_packs_are_compared_with_their_sums(folder: Path, command: Command) -> None:
    pytest.importorskip("pyarrow")
    assert command("pack", folder, "-o", folder / "a.pack").code == 0
    whole = (folder / "a.pack").read_bytes()
    (folder / "b.pack").write_bytes(whole[: len(whole) // 2])
    (folder / "c.pack").write_text("a pack of something else")
    done = command("doctor", "--results", folder, "--json")
    assert rows(done)["packs"]["found"].startswith("3; 2 not as they should be: b.pack (The pack")
    assert command("doctor", "--results", folder, "--mend").code == 1  # c.pack may be anything
    assert (folder / "a.pack").read_bytes() == whole
    assert (folder / "b.pack.aside-0").read_bytes() == whole[: len(whole) // 2]
    assert (folder / "c.pack").read_text() == "a pack of something else"


def test_a_file_in_place_of_a_folder_is_told(folder: Path, command: Command) -> None:
    for path in (folder / "claims", folder / "checkpoints2"):
        path.write_text("mine")
    done = command("doctor", "--results", folder, "--mend", "--json")
    assert done.code == 1
    assert rows(done)["leases"]["found"] == "none; 1 not as they should be: claims (it is a file: rename it)"


def test_a_checkpoint_that_a_process_leases_while_the_doctor_looks_is_no_problem(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, id = Store(folder), "e" * 16
    store.checkpoints.write(id, 9, {"x": np.ones(3)})
    ids, leases = Store.ids, []
    with ExitStack() as stack:

        def start(store: Store) -> list[str]:  # a process starts after the doctor has read who is at work
            leases.append(stack.enter_context(closing(Lease(folder))))
            leases[-1].take([id])
            return ids(store)

        monkeypatch.setattr(Store, "ids", start)
        assert rows(command("doctor", "--results", folder, "--json"))["checkpoints"]["ok"]
    assert len(leases) == 1


def test_only_what_can_be_mended_is_said_to_be(folder: Path, command: Command) -> None:
    (folder / "claims").write_text("mine")
    (folder / "a.pack").write_text("")
    (folder / "b.pack").symlink_to("nowhere")
    done = command("doctor", "--results", folder)
    assert (done.code, "--mend" in done.out) == (1, False)
    files = {
        file["name"]: file["what"]
        for row in rows(command("doctor", "--results", folder, "--json")).values()
        for file in row["files"]
    }
    assert files == {
        "claims": "it is a file: rename it",
        "a.pack": "it is empty; rename it or remove it",
        "b.pack": "it is a link that leads nowhere; rename it or remove it",
    }
    [id, *_] = Store(folder).ids()
    (folder / f"{id}.json").write_text("")
    done = command("doctor", "--results", folder)
    assert done.out.endswith("--mend puts right what it can, and deletes no result.\n")


@pytest.mark.parametrize("name", [".lock", "claims/.lock"])
def test_a_folder_in_place_of_a_lock_is_named_and_renamed(folder: Path, command: Command, name: str) -> None:
    (folder / name).mkdir(parents=True)
    records = solving("mlp", 100)
    with closing(Lease(folder)) as lease:
        use = partial(lease.take, []) if name != ".lock" else partial(Store(folder).keep, records[0], {})
        with pytest.raises(StoreError, match=f"cannot be used: '{folder / name}': Is a directory"):
            use()
    done = command("doctor", "--results", folder, "--json")
    assert rows(done)["lock files"]["files"] == [{"name": name, "what": "it is a folder"}]
    assert command("doctor", "--results", folder, "--mend").code == 0
    assert (folder / f"{name}.aside-0").is_dir()
    assert command("doctor", "--results", folder).code == 0


def test_a_file_that_cannot_be_renamed_hides_no_other(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = Store(folder).ids()
    for id in (first, second):
        (folder / f"{id}.json").write_text("")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == f"{first}.json":
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    done = command("doctor", "--results", folder, "--mend", "--json")
    [bad, mended] = rows(done)["records"]["files"]
    assert (done.code, bad["name"], mended["name"]) == (1, f"{first}.json", f"{second}.json")
    assert bad["what"].endswith("cannot be renamed: Permission denied")
    assert rows(done)["packs"]["ok"]


def test_a_folder_that_cannot_be_read_hides_no_other(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterdir = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path.name == "checkpoints":
            raise PermissionError(errno.EACCES, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    done = command("doctor", "--results", folder, "--json")
    assert [row["what"] for row in rows(done)["checkpoints"]["files"]] == [
        "it cannot be read: Permission denied; chmod u+rwX gives access to it"
    ]
    assert rows(done)["records"]["ok"]
    assert rows(done)["temporary files"]["ok"]


def test_nothing_is_mended_where_one_cannot_see_who_is_at_work(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "claims").mkdir()
    [id, *_] = Store(folder).ids()
    for name in (f"{id}.json", "studies.journal"):
        (folder / name).write_text("x")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode, **more: path != folder / "claims" and access(path, mode, **more)
    )
    before = content(folder)
    for more in ([], ["--mend"]):
        done = command("doctor", "--results", folder, *more)
        assert (done.code, "--mend" in done.out) == (1, False)
        assert content(folder) == before


def test_a_lease_that_is_a_folder_is_renamed(folder: Path, command: Command) -> None:
    (folder / "claims" / "123-abcdef01.json").mkdir(parents=True)
    assert command("doctor", "--results", folder).code == 1
    assert command("doctor", "--results", folder, "--mend").code == 0
    assert (folder / "claims" / "123-abcdef01.json.aside-0").is_dir()


def test_all_damaged_files_are_listed_and_foreign_ones_are_not_counted(folder: Path, command: Command) -> None:
    ids = Store(folder).ids()
    for id in ids:
        (folder / f"{id}.json").write_text("")
    done = command("doctor", "--results", folder, "--json")
    assert [file["name"] for file in rows(done)["records"]["files"]] == [f"{id}.json" for id in ids]
    for name in ("notes.txt.aside-0", "mine/a.pack.aside-0", f"checkpoints/{'a' * 16}-3.npz.aside-1"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    done = command("doctor", "--results", folder, "--json")
    assert rows(done)["set aside"]["found"] == f"1 file that nothing reads: {'a' * 16}-3.npz.aside-1"


def test_a_missing_folder_is_not_made(tmp_path: Path, command: Command) -> None:
    done = command("doctor", "--results", tmp_path / "none", "--mend", "--json")
    assert done.code == 0
    assert "records" not in rows(done)
    assert not (tmp_path / "none").exists()


def test_a_record_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand records are to take as long as reading them."""
    stored(tmp_path, [run(seed=seed) for seed in range(50)])
    reads: list[str] = []
    read = Store.stored
    monkeypatch.setattr(Store, "stored", lambda store, one: reads.append(one) or read(store, one))
    assert check_contents(tmp_path)[0].found == "50, all whole"
    assert len(reads) == 50
    assert json.loads((tmp_path / f"{reads[0]}.json").read_text())["id"] == reads[0]
