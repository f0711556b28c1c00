"""The results folder: whole records or none, whatever happens."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
import bench.results.store as module
from bench.errors import DamagedError, FolderError, RequestError, StoreError
from bench.results.check import check_contents
from bench.results.faults import fault_of_record
from bench.results.store import Store

ID = "0123456789abcdef"


def record(id: str = ID, **more: Any) -> dict[str, Any]:
    return {**json.loads((Path(__file__).parent / "record.json").read_text()), "id": id, **more}


def at(step: int | None, **more: Any) -> dict[str, Any]:
    """A record that got this far."""
    return record(final={**record()["final"], "step": step}, label=f"{step}", **more)


def test_round_trip(tmp_path: Path) -> None:
    store = Store(tmp_path / "results", create=True)
    store.write(record(label="κ → λ"))
    assert store.read(ID) == record(label="κ → λ")
    assert store.read("f" * 16) is None
    assert store.ids() == [ID]
    assert [path.name for path in store.folder.iterdir()] == [f"{ID}.json"]


def test_numbers_that_are_not_finite_never_reach_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    with pytest.raises(StoreError, match="not JSON compliant"):
        store.write(record(label=float("nan")))
    assert store.ids() == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (bytes(4096), "it holds NULs alone"),
        (b"[" * 100_000, r"it is no JSON document \(nested too deeply"),
        (json.dumps(record(parameters="many")).encode(), "its parameters is 'many'"),
        (json.dumps(record(steps_to={"train": {}, "test": {}})).encode(), "its steps_to.train lacks 0.95, 0.99"),
        (json.dumps(record(label=None)).encode(), "its label is None"),
        (json.dumps(record()).replace("4480", "1e999").encode(), "its flops is inf"),
        (b'{"schema": 1, "id"', "it is no JSON document"),
        (b"\xff\xfe", "it is no JSON document"),
        (b"[]", "it is no record"),
        (b'{"schema": 1}', "it lacks id"),
        (json.dumps(record("f" * 16)).encode(), "it says that it is"),
        (json.dumps(record(schema=0)).encode(), "its schema is 0, this version reads 1"),
        (json.dumps(record(status="running")).encode(), "its status is 'running'"),
        (json.dumps(record(final={})).encode(), "its final lacks step"),
        (json.dumps(record(curve=None)).encode(), "its curve lacks step"),
        (json.dumps(record(flops=float("nan"))).encode(), "it is no JSON document"),
    ],
    ids=range(17),
)
def test_a_corrupt_record_is_named_and_kept(tmp_path: Path, content: bytes, why: str) -> None:
    store = Store(tmp_path, create=True)
    store.path(ID).write_bytes(content)
    with pytest.raises(StoreError, match=f"{ID}.json' is damaged: {why}"):
        store.read(ID)
    assert store.path(ID).read_bytes() == content
    first = store.set_aside(ID)
    assert first.read_bytes() == content
    store.path(ID).write_bytes(b"again")
    assert store.set_aside(ID) != first


@pytest.mark.parametrize("value", [2**64, -(2**70), [{"deep": 2**64}], 2**63, 0.1 + 0.2, "\ud800", 1e300, "κ", -0.0])
def test_a_document_is_the_same_with_and_without_orjson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    store, written = Store(tmp_path, create=True), record()
    written["spec"]["learner"]["theirs"] = value
    store.path(ID).write_text(json.dumps(written))
    assert module.orjson is not None
    found = store.read(ID)
    monkeypatch.setattr(module, "orjson", None)
    assert repr(found) == repr(store.read(ID)) == repr(written)


REQUIRED = {
    "": "schema, id, label, status, spec, budget, parameters, final, steps_to, sustained_steps_to, "
    "test_accuracy_diagonal, seconds, replicas, flops, peak_memory_bytes, probes, environment, curve, error",
    "spec": "task, protocol, encoder, learner, split_seed, seed",
    "budget": "steps, seconds, stop_when_solved",
    "final": "step, train_accuracy, test_accuracy",
    "steps_to": "train, test",
    "sustained_steps_to": "train, test",
    "seconds": "total",
    "probes": "ridge, knn",
    "environment": "device, threads, versions",
    "curve": "step, train_accuracy, validation_accuracy, test_accuracy",
}
"""Keys that every version has written. A record with these alone must stay readable."""


def smallest() -> dict[str, Any]:
    """A record of the required keys."""
    whole = record()
    found = {key: whole[key] for key in REQUIRED[""].split(", ")}
    return found | {key: {name: whole[key][name] for name in REQUIRED[key].split(", ")} for key in REQUIRED if key}


def test_records_of_every_version_are_accepted() -> None:
    assert fault_of_record(record(), ID) is None
    assert fault_of_record(smallest(), ID) is None
    assert fault_of_record(record(unknown=1, tuning={"study": "one"}, held={}), ID) is None
    for status in ("done", "diverged", "failed", "timeout", "interrupted"):
        assert fault_of_record(record(status=status), ID) is None


@pytest.mark.parametrize(("key", "names"), REQUIRED.items(), ids=[key or "record" for key in REQUIRED])
def test_a_record_without_a_required_key_is_refused(key: str, names: str) -> None:
    for name in names.split(", "):
        faulty = smallest()
        del (faulty[key] if key else faulty)[name]
        assert fault_of_record(faulty, ID) == (f"its {key} lacks {name}" if key else f"it lacks {name}")
    if key:
        for value in (None, [], "text", {}):
            fault = fault_of_record(smallest() | {key: value}, ID)
            assert fault is not None
            assert fault.startswith(f"its {key} lacks ")
            assert set(fault.removeprefix(f"its {key} lacks ").split(", ")) == set(names.split(", "))


@pytest.mark.parametrize("value", [None, [], "text", 3, True])
def test_what_is_no_object_is_no_record(value: Any) -> None:
    assert fault_of_record(value, ID) == "it is no record"


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    for name in ("notes.txt", "0123.json", "package.json", f".{ID}-x.tmp"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "folder").mkdir()
    store.write(record())
    assert store.ids() == [ID]
    assert len(list(store.records())) == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_find_by_the_beginning_of_an_id(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    store.write(record("aaaa000000000000"))
    store.write(record("aaab000000000000"))
    assert store.find("aaab")["id"] == "aaab000000000000"
    with pytest.raises(RequestError, match="2 records begin with 'aaa'"):
        store.find("aaa")
    with pytest.raises(RequestError, match="Unknown record"):
        store.find("ffff")


def test_an_unknown_record_is_answered_with_some_that_there_are(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    for number in range(21):
        store.write({**record(), "id": f"{number:016x}"})
    with pytest.raises(RequestError, match=r"0000000000000012, 0000000000000013, …\.$"):
        store.find("ffff")


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="must have a name"):
        Store("")
    with pytest.raises(FolderError, match="There is no results folder"):
        Store(tmp_path / "missing")
    with pytest.raises(FolderError, match="cannot be used: No such file or directory"):
        Store(tmp_path / "missing" / "deeper", create=True)
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="cannot be used: File exists"):
        Store(tmp_path / "file", create=True)


def test_a_record_gives_way_only_to_one_that_goes_further(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    state = {"step": np.array(0)}
    store.keep(at(50), state)
    store.keep(at(20), state)
    assert store.find("0")["label"] == "50"
    with pytest.raises(StoreError, match=r"too large \(the stored record 0123456789abcdef is kept\)"):
        store.keep(at(None, status="failed", error={"message": "too large"}), {})
    assert store.find("0")["label"] == "50"
    assert store.checkpoints.read(ID, 50) is not None
    store.keep(at(60), state)
    assert store.find("0")["label"] == "60"
    assert [p.name for p in store.checkpoints.folder.iterdir()] == [f"{ID}-60.npz"]
    store.keep(at(5), state, force=True)
    assert store.find("0")["label"] == "5"
    assert '"60"' in (tmp_path / f"{ID}.json.aside-0").read_text()


def test_other_processes_write_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    store, other = Store(tmp_path, create=True), Store(tmp_path)
    free = []

    def flush(staged: Any) -> None:
        with (tmp_path / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(staged.path.name)

    monkeypatch.setattr("bench.results.files.Staged.flush", flush)
    store.keep(at(3), {"w": np.ones(2)})
    assert sorted(free) == [f"{ID}-3.npz", f"{ID}.json"]

    def overtake(staged: Any) -> None:
        monkeypatch.setattr("bench.results.files.Staged.flush", lambda staged: None)
        other.keep(at(9), {"w": np.full(2, 9.0)})

    monkeypatch.setattr("bench.results.store.WRITERS", 1)
    monkeypatch.setattr("bench.results.files.Staged.flush", overtake)
    store.keep(at(5), {"w": np.full(2, 5.0)})
    assert store.find("0")["label"] == "9"
    assert sorted(path.name for path in store.checkpoints.folder.iterdir()) == [f"{ID}-9.npz"]
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_large_checkpoint_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, create=True)
    state = {"w.x": np.arange(1000.0), "step": np.array(3)}
    store.checkpoints.write(ID, 3, state)
    small = store.checkpoints.path(ID, 3).read_bytes()
    monkeypatch.setattr("bench.results.checkpoints.BUFFERED", 100)
    store.checkpoints.write(ID, 3, state)
    assert len(store.checkpoints.path(ID, 3).read_bytes()) == len(small)
    again = store.checkpoints.read(ID, 3)
    assert again is not None
    assert all(np.array_equal(again[name], x) for name, x in state.items())


def test_what_no_disk_is_to_blame_for_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, original = Store(tmp_path, create=True), np.savez

    def scarce(file: Any, **arrays: np.ndarray) -> None:
        if arrays["step"] == 2:
            raise MemoryError
        original(file, **arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(np, "savez", scarce)
    items = [(at(5) | {"id": f"{n:016x}"}, {"step": np.array(n)}) for n in range(5)]
    with pytest.raises(MemoryError):
        store.keep_all(items)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".tmp", ".json", ".npz")]


def test_one_that_cannot_be_written_does_not_cost_that_of_the_same_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, create=True)
    store.keep(at(50), {"w": np.ones(2)})

    def full(*arguments: Any) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(store.checkpoints, "stage", full)
    with pytest.raises(StoreError, match="disk full"):
        store.keep(at(50), {"w": np.ones(2)})
    assert store.checkpoints.read(ID, 50) is not None
    with pytest.raises(StoreError, match="disk full"):
        store.keep(at(60), {"w": np.ones(2)})
    assert store.read(ID) == at(60)
    assert store.checkpoints.read(ID, 50) is None  # of no record


def test_nothing_is_left_where_the_folder_is_lost_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, create=True)

    def lose(staged: Any) -> None:
        if not (tmp_path / ".lock").is_dir():
            (tmp_path / ".lock").unlink(missing_ok=True)
            (tmp_path / ".lock").mkdir()

    monkeypatch.setattr("bench.results.store.WRITERS", 1)
    monkeypatch.setattr("bench.results.files.Staged.flush", lose)
    with pytest.raises(StoreError, match="cannot be used") as lost:
        store.keep(at(50), {"w": np.ones(2)})
    assert lost.value.exit_code == 1  # the request was right
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_checkpoints_that_cannot_be_kept_do_not_cost_the_record(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    store.checkpoints.folder.touch()
    with pytest.raises(StoreError, match="The record is kept, but cannot be extended") as caught:
        store.keep(record(), {"step": np.array(0)})
    assert caught.value.minor
    assert store.ids() == [ID]


def test_checkpoints(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    state = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.array(5)}
    store.checkpoints.write(ID, 5, state)
    store.checkpoints.write(ID, 9, state)
    found = store.checkpoints.read(ID, 5)
    assert found is not None
    assert all(np.array_equal(found[name], state[name]) for name in state)
    assert store.checkpoints.read(ID, 9) is not None
    assert store.checkpoints.read(ID, 7) is None
    (tmp_path / "checkpoints" / f"{ID}-9.npz").write_bytes(b"PK\x03\x04 cut")
    assert store.checkpoints.read(ID, 9) is None


FULL = """
import json, resource, signal, sys
from bench.results.store import Store
from bench.errors import StoreError
store = Store(sys.argv[1], create=True)
record = json.loads(open(sys.argv[2]).read())
store.write({**record, "label": "small"})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    store.write({**record, "label": "x" * 50_000})
except StoreError as error:
    print(error)
print(store.read(record["id"])["label"])
"""
RECORD = Path(__file__).parent / "record.json"


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "results"), str(RECORD)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    problem, label = done.stdout.splitlines()
    assert "cannot be written: File too large" in problem
    assert label == "small"
    assert [path.suffix for path in (tmp_path / "results").iterdir()] == [".json"]


WRITER = """
import json, sys
from bench.results.store import Store
store = Store(sys.argv[1], create=True)
record = json.loads(open(sys.argv[2]).read())
print("ready", flush=True)
number = 0
while True:
    curve = {name: [*range(20_000)] if name == "step" else [None] * 20_000 for name in record["curve"]}
    store.write({**record, "id": f"{number % 3:016x}", "curve": curve, "number": number})
    print(number, flush=True)
    number += 1
"""


def test_kill_at_any_moment_leaves_whole_records(tmp_path: Path) -> None:
    """kill -9, twelve times, at random moments of a process that does nothing but write."""
    rng = np.random.default_rng(0)
    best = -1
    for _ in range(12):
        call = [sys.executable, "-c", WRITER, str(tmp_path), str(RECORD)]
        with subprocess.Popen(call, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(rng.integers(1, 8)):
                writer.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.03))  # whatever it is at
            writer.send_signal(signal.SIGKILL)
        found = list(Store(tmp_path).records())
        assert all(len(r["curve"]["step"]) == 20_000 for r in found)
        best = max([best, *(r["number"] for r in found)])
    assert best > 3


@pytest.mark.parametrize("damage", [b"", b"PK", bytes(500), b"damaged", b"\x93NUMPY", b"PK\5\6" + bytes(18)])
def test_a_damaged_checkpoint_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path, create=True)
    store.checkpoints.write(ID, 3, {"x": np.arange(1000.0)})
    path = store.checkpoints.path(ID, 3)
    whole = path.read_bytes()
    array = io.BytesIO()
    np.save(array, np.ones(3))
    for content in (damage, whole[:-30], whole[:100] + bytes(200) + whole[300:], whole[300:], array.getvalue()):
        path.write_bytes(content)
        found = store.checkpoints.read(ID, 3)
        assert not found  # an archive may be whole and empty


def test_a_record_of_a_newer_version_is_not_damaged(tmp_path: Path) -> None:
    """It is neither set aside nor written over, and other cells go on."""
    grid = {"encoder": ["onehot", "phasor"], "learner": "ridge", "modulus": 7}
    first, second = bench.sweep(grid, jobs=1, results=tmp_path)
    store = Store(tmp_path)
    newer = {**first, "schema": 99}
    store.path(first["id"]).write_text(json.dumps(newer))
    with pytest.raises(StoreError, match="was written by a newer version of mod97") as raised:
        store.read(first["id"])
    assert not isinstance(raised.value, DamagedError)
    records = iter(bench.sweep(grid, jobs=1, results=tmp_path))
    assert next(records) == second
    with pytest.raises(StoreError, match="newer version"):
        next(records)
    assert json.loads(store.path(first["id"]).read_text()) == newer
    assert store.read(second["id"]) == second
    doctor = check_contents(tmp_path, mend=True)
    assert json.loads(store.path(first["id"]).read_text()) == newer
    assert not next(one for one in doctor if one.check == "records").ok
