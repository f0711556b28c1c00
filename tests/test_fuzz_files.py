"""Stored files that anything may have happened to, read by every command: no traceback, the documented exit codes.

``MOD97_FUZZ_EXAMPLES=5000 python -m pytest tests/test_fuzz_files.py`` tries more of them.
"""

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis
import optuna
import pytest
from conftest import Finished
from hypothesis import strategies as st

import bench
from bench.executors.local import _ThisProcess
from bench.results.leases import Lease
from bench.results.store import Store
from bench.scheduling.planner import plan_sweep

Command = Callable[..., Finished]

EXAMPLES = int(os.environ.get("MOD97_FUZZ_EXAMPLES", "150"))
FROZEN = Path(__file__).parent / "frozen" / "results"
GRID: dict[str, Any] = {"encoder": ["onehot", "phasor"], "learner": "ridge", "modulus": 7, "seeds": 2}
SWEEP = ("sweep", "--encoder", "onehot,phasor", "--learner", "ridge", "--modulus", "7", "--seeds", "2", "--jobs", "1")
READING = {
    "rank": ("rank", "--results", "{folder}"),
    "rank what can be read": ("rank", "--results", "{folder}", "--skip-broken", "--json"),
    "rank by steps": ("rank", "--results", "{folder}", "--skip-broken", "--by", "steps", "--format", "markdown"),
    "report": ("report", "--results", "{folder}", "--skip-broken", "-o", "{out}/report.html"),
    "plot": ("plot", "curves", "--results", "{folder}", "--skip-broken", "-o", "{out}/curves.html"),
    "plot a study": ("plot", "trials", "--results", "{folder}", "--study", "open", "-o", "{out}/trials.html"),
    "show": ("show", "{id}", "--results", "{folder}"),
    "merge": ("merge", "{folder}", "--into", "{out}/merged"),
    "clean": ("clean", "--results", "{folder}", "--dry-run"),
    "status": ("status", "--results", "{folder}"),
    "doctor": ("doctor", "--results", "{folder}", "--json"),
    "sweep, dry": (*SWEEP, "--results", "{folder}", "--dry-run"),
}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 10**30, 1e300, -0.5, 1.5])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@st.composite
def changed_documents(draw: st.DrawFn, document: Any) -> bytes:
    """A document in which values are replaced, or keys are left out or added."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        place, depth = changed, draw(st.integers(0, 3))
        while isinstance(place, dict | list) and place:
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(keys))
            if depth and isinstance(place[key], dict | list) and place[key]:
                place, depth = place[key], depth - 1
                continue
            kind = draw(st.sampled_from(["replaced", "replaced", "left out", "added"]))
            if kind == "left out":
                del place[key]
            elif kind == "added" and isinstance(place, dict):
                place[draw(st.text(max_size=5))] = draw(DOCUMENTS)
            else:
                place[key] = draw(DOCUMENTS)
            break
    return json.dumps(changed).encode()


@st.composite
def damages(draw: st.DrawFn, content: bytes, is_document: bool) -> bytes | str:
    """What a file may become: other bytes, "a folder" or "a link"."""
    kinds = ["cut", "NULs", "bytes", "inserted", "text", "a folder", "a link", *["changed"] * (6 * is_document)]
    kind = draw(st.sampled_from(kinds))
    at = int(draw(st.floats(0, 1)) * len(content))
    if kind == "cut":
        return content[:at]
    if kind == "NULs":
        return content[:at] + bytes(len(content) - at)
    if kind == "bytes":
        return draw(st.binary(max_size=40))
    if kind == "inserted":
        return content[:at] + draw(st.binary(min_size=1, max_size=4)) + content[at:]
    if kind == "text":
        return json.dumps(draw(DOCUMENTS)).encode(draw(st.sampled_from(["utf-8", "utf-16", "utf-32"])))
    return draw(changed_documents(json.loads(content))) if kind == "changed" else kind


def damage(path: Path, what: bytes | str) -> None:
    path.unlink()
    if what == "a folder":
        path.mkdir()
    elif what == "a link":
        path.symlink_to("nowhere")
    else:
        assert isinstance(what, bytes)
        path.write_bytes(what)


def content(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A results folder with the cells of a sweep, records of earlier versions, checkpoints, a journal and a lease."""
    folder = tmp_path_factory.mktemp("whole") / "results"
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    list(bench.sweep(GRID, results=_made(folder), jobs=1))
    shutil.copy(FROZEN / "studies.journal", folder)
    for number, path in enumerate(sorted(FROZEN.glob("*.json"))):
        if number % 4 == 0:
            shutil.copy(path, folder)
    shutil.copytree(FROZEN / "checkpoints", folder / "checkpoints")
    yield folder
    optuna.logging.set_verbosity(before)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def read(whole: Path, place: Path, data: st.DataObject, command: Command) -> None:
    """Damage some files of a copy of a folder, and run a command on it."""
    folder, out = place / "results", place / "out"
    for path in (folder, out):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("claims"))
    out.mkdir()
    with closing(Lease(folder)) as lease:
        lease.take(["a"])
        lease.publish("sweep", lambda: ["1 of 2 cells"])
        _read(folder, out, lease, data, command)


def _read(folder: Path, out: Path, lease: Lease, data: st.DataObject, command: Command) -> None:
    records = sorted(folder.glob("*.json"))
    said = [lease.list, lease.path.with_suffix(".status")]
    others = [folder / "studies.journal", *sorted((folder / "checkpoints").iterdir()), *said]
    for path in data.draw(st.lists(st.sampled_from([*records * 3, *others]), min_size=1, max_size=3, unique=True)):
        damage(path, data.draw(damages(path.read_bytes(), path.suffix in (".json", ".status"))))
    before, name = content(folder), data.draw(st.sampled_from([*READING, "sweep", "doctor --mend"]))
    mine = {"folder": folder, "out": out, "id": data.draw(st.sampled_from(records)).stem}
    arguments = READING.get(name, ("doctor", "--results", "{folder}", "--mend"))
    arguments = (*SWEEP, "--results", "{folder}") if name == "sweep" else arguments
    hypothesis.note(f"{name}: {sorted(before)}")
    done = command(*(argument.format(**mine) for argument in arguments))
    hypothesis.note(f"{done.code}: {done.err}")
    assert done.code in (0, 1, 2)
    assert "Traceback" not in done.err
    assert "this is a bug" not in done.err
    assert done.code == 0 or done.err or "doctor" in name
    if name in READING:
        assert content(folder) == before
    else:  # nothing is lost: what is renamed is there under another name
        kept = list(content(folder).values())
        assert all(text in kept for path, text in before.items() if not path.startswith("claims/"))
    if name == "sweep" and done.code == 0:
        planned = plan_sweep(GRID, results=folder)
        assert planned.counts["done"] == len(planned)


@hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize="MOD97_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(st.data())
def test_whatever_happened_to_stored_files_costs_a_line(
    whole: Path,
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
) -> None:
    monkeypatch.setattr("bench.executors.warm.process", lambda device: _ThisProcess())
    monkeypatch.setattr("bench.cli._look._examine", lambda folder: [])  # of the installation
    read(whole, tmp_path, data, command)
    assert Store(whole).ids()
