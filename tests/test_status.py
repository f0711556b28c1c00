"""What processes say about their work, and who reads it."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Finished

import bench
from bench.executors.base import Executor, RunningJob
from bench.harness.outcome import CellProgress
from bench.results import leases
from bench.results.leases import Activity, Lease
from bench.results.store import Store
from bench.scheduling.planner import plan_sweep
from bench.scheduling.progress import PlanProgress
from bench.scheduling.run import execute

GRID: dict[str, Any] = {"encoder": ["onehot", "phasor"], "learner": "ridge", "modulus": 7, "seeds": 2}


def test_processes_say_what_they_do_until_they_end(tmp_path: Path) -> None:
    first, second = Lease(tmp_path), Lease(tmp_path)
    first.publish("sweep one", lambda: ["1 of 2 cells"])
    second.publish("search two", lambda: ["3 trials", "best so far trial 1"])
    found = bench.status(tmp_path)
    assert [(activity.what, activity.lines) for activity in found] == [
        ("sweep one", ["1 of 2 cells"]),
        ("search two", ["3 trials", "best so far trial 1"]),
    ]
    assert {activity.process for activity in found} == {os.getpid()}
    first.close()
    assert [activity.what for activity in bench.status(tmp_path)] == ["search two"]
    second.close()
    assert not list((tmp_path / "claims").glob("*.status"))


def test_what_a_killed_process_said_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir()
    for suffix, text in ((".json", "[]"), (".lease", ""), (".status", json.dumps({"what": "sweep"}))):
        (tmp_path / "claims" / f"123-abcdef01{suffix}").write_text(text)
    assert bench.status(tmp_path) == []
    lease = Lease(tmp_path)
    lease.take([])
    lease.close()
    assert [path.name for path in (tmp_path / "claims").iterdir()] == [".lock"]


def test_a_process_speaks_once_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = 0.0, []
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))
    lease = Lease(tmp_path)
    for now in (0.0, 0.4, 0.9, 1.1, 2.0, 2.2):
        lease.publish("run", lambda at=now: said.append(at) or [])  # type: ignore[misc]
    lease.close()
    assert said == [0.0, 1.1, 2.2]


def test_a_folder_that_is_full_costs_the_status_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.errors import StoreError

    def full(path: Path, write: Any) -> None:
        raise StoreError("No space left.")

    lease = Lease(tmp_path)
    monkeypatch.setattr(leases, "stage", full)
    lease.publish("run", list)
    lease.close()


@pytest.mark.usefixtures("inline")
def test_a_sweep_tells_other_processes_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "PUBLISHED_EVERY", 0.0)
    seen: list[Activity] = []

    @contextmanager
    def display(progress: PlanProgress, runs: Executor) -> Iterator[Callable[..., None]]:
        yield lambda record: seen.extend(bench.status(tmp_path))

    planned = plan_sweep(GRID | {"name": "small"}, results=tmp_path)
    assert execute(planned, 1, display)
    assert {activity.what for activity in seen} == {"sweep small"}
    last = seen[-1].lines
    assert last[:2] == ["4 of 4 cells", "best so far phasor+product → ridge: test 85.7%, mean of 2 cells"]
    assert bench.status(tmp_path) == []


@pytest.mark.usefixtures("inline")
def test_a_search_tells_other_processes_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "PUBLISHED_EVERY", 0.0)
    seen: list[Activity] = []
    bench.tune(
        encoder="phasor",
        learner="ridge",
        modulus=7,
        validation_fraction=0.2,
        trials=2,
        fresh=1,
        study="mine",
        objective="accuracy",
        results=tmp_path,
        jobs=1,
        say=lambda line: seen.extend(bench.status(tmp_path)),
    )
    assert {activity.what for activity in seen} == {"search mine"}
    assert any("of 2 trials" in activity.lines[0] for activity in seen)


def test_status_on_the_command_line(tmp_path: Path, command: Callable[..., Finished]) -> None:
    Store(tmp_path, create=True)
    assert command("status", "--results", tmp_path).out == f"Nothing runs in {str(tmp_path)!r}.\n"
    lease = Lease(tmp_path)
    lease.publish("sweep [b]league[/b]", lambda: ["37 of 200 cells", "best so far …"])
    shown = command("status", "--results", tmp_path)
    [process] = command("status", "--results", tmp_path, "--json").json["processes"]
    lease.close()
    head, *lines = shown.out.splitlines()
    assert head.startswith(f"sweep [b]league[/b]: process {os.getpid()} on ")
    assert lines == ["  37 of 200 cells", "  best so far …"]
    assert process["lines"] == ["37 of 200 cells", "best so far …"]
    assert command("status", "--results", tmp_path / "none").code == 2


def test_cells_in_training_are_told_with_their_accuracy(tmp_path: Path) -> None:
    planned = plan_sweep(GRID | {"learner": "quadratic", "encoder": "onehot"}, results=tmp_path)
    cells = (planned.spec(0), planned.spec(1))
    moments = tuple(
        CellProgress(cell.id, 12, 60, 1.0, accuracy, 1.0) for cell, accuracy in zip(cells, (0.25, 0.5), strict=True)
    )
    runs: Any = SimpleNamespace(
        running_jobs=lambda: [RunningJob(cells, moments, 8.0)],
        channel=SimpleNamespace(leased_elsewhere=1, results=None),
    )
    assert PlanProgress(planned, 1).lines(runs) == [
        "0 of 2 cells",
        "onehot+concat → quadratic, seeds 0–1: step 12 of 60 for 8 s, test 25.0% to 50.0%",
        "waiting for 1 cell that another process is training",
    ]


@pytest.mark.parametrize("text", ["", "[", "[1]", "3", "{}", '{"since": 1}', "[" * 100_000, "\0" * 50, '"one"'])
def test_what_a_process_says_may_be_damaged(tmp_path: Path, command: Callable[..., Finished], text: str) -> None:
    """What is left of its list counts as it is: the process writes it anew when it takes a cell."""
    lease, other = Lease(tmp_path), Lease(tmp_path)
    lease.take(["a"])
    lease.publish("sweep", list)
    whole = json.loads(lease.path.with_suffix(".status").read_text())
    lease.path.with_suffix(".status").write_text(text)
    assert command("status", "--results", tmp_path).out == f"Nothing runs in '{tmp_path}'.\n"
    for key, value in (("since", "now"), ("at", 1e300), ("lines", None)):
        lease.path.with_suffix(".status").write_text(json.dumps({**whole, key: value}))
        assert bench.status(tmp_path) == []
    lease.list.write_text(text)
    assert other.take(["b"]) == {"b"}
    for one in (lease, other):
        one.close()
