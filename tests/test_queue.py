"""The jobs of a plan: how cells are shared among workers, and what is done about cells of other processes."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, Finished, wait_until

import bench
from bench.cli._progress.run import progress
from bench.errors import StoreError
from bench.executors.channel import Channel
from bench.executors.jobs import Job
from bench.results import locks
from bench.results.leases import Lease
from bench.results.record import Record
from bench.results.store import Store
from bench.scheduling.planner import plan, plan_sweep
from bench.scheduling.queue import CellQueue

RIDGE: dict[str, Any] = {"encoder": "onehot", "learner": "ridge", "modulus": 7}
FLEET: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 7}
MLP: dict[str, Any] = {"encoder": "onehot", "learner": "mlp", "modulus": 7}


def jobs_of(queue: CellQueue) -> list[Job]:
    return list(iter(lambda: queue.next("cpu"), None))


@pytest.fixture
def stored(tmp_path: Path) -> Record:
    """The record of `RIDGE`, in ``tmp_path``."""
    [record] = bench.run(**RIDGE, results=tmp_path)
    return record


@pytest.mark.parametrize(
    ("request_of", "jobs", "workers", "sizes", "threads"),
    [
        (FLEET | {"steps": 4000, "seeds": 20}, 2, 2, [10, 10], 1),  # larger than a fleet of a grid
        (FLEET | {"steps": 4000, "seeds": 5}, 4, 4, [2, 1, 1, 1], 1),
        (FLEET | {"steps": 4000, "seeds": 3}, 8, 3, [1, 1, 1], 2),
        (FLEET | {"steps": 100, "seeds": 20}, 8, 1, [20], 8),  # a process would cost more than it saves
        (MLP | {"epochs": 10, "seeds": 5}, 5, 5, [1] * 5, 1),
        (MLP | {"epochs": 10, "seeds": 5}, 2, 2, [1] * 5, 1),
        (MLP | {"epochs": 10, "seeds": 5}, 1, 1, [1] * 5, 1),
        (RIDGE | {"seeds": 5}, 8, 5, [1] * 5, 1),
    ],
)
def test_a_request_is_shared_among_workers(
    request_of: dict[str, Any], jobs: int, workers: int, sizes: list[int], threads: int
) -> None:
    queue = CellQueue(plan(**request_of, results=None), None, jobs)
    assert queue.devices == ["cpu"] * workers
    assert queue.in_process == (1 in (len(sizes), workers))
    made = jobs_of(queue)
    assert [len(job.units) for job in made] == sizes
    assert {job.threads for job in made} == {threads}
    seeds = sorted(unit.spec.seed for job in made for unit in job.units)
    assert seeds == list(range(request_of["seeds"]))


@pytest.mark.parametrize(("seeds", "jobs", "inside"), [(16, None, True), (17, None, False), (16, 2, False)])
def test_a_few_closed_forms_need_no_process_unless_it_is_asked_for(seeds: int, jobs: int | None, inside: bool) -> None:
    assert CellQueue(plan(**RIDGE, seeds=seeds, results=None), None, jobs).in_process == inside


@pytest.mark.usefixtures("inline")
def test_threads_of_a_sweep_do_not_depend_on_what_is_left(tmp_path: Path) -> None:
    grid = {"encoder": "onehot", "learner": "quadratic", "steps": 9, "modulus": 7, "seeds": 2}
    list(bench.sweep(grid | {"seeds": 1}, results=tmp_path, jobs=1))
    lease = Lease(tmp_path)
    [job] = jobs_of(CellQueue(plan_sweep(grid, results=tmp_path), lease, 8))
    lease.close()
    assert (len(job.units), job.threads) == (1, 1)


def test_a_job_in_this_process_runs_in_the_calling_thread_and_ends_with_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[threading.Thread] = []

    def interrupted(job: Job, channel: Channel) -> None:
        seen.append(threading.current_thread())
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.executors.local.run_job", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.run(**RIDGE, results=tmp_path)
    assert seen == [threading.current_thread()]
    assert not list((tmp_path / "claims").glob("*.lease"))


def test_a_failure_of_before_is_not_returned_in_place_of_the_new_result(stored: Record, tmp_path: Path) -> None:
    error = {"type": "ValueError", "message": "of before", "traceback": ""}
    final = {**stored["final"], "step": None}
    Store(tmp_path).write({**stored, "status": "failed", "error": error, "final": final})  # type: ignore[typeddict-item]
    other = Lease(tmp_path)
    other.take([stored["id"]])
    found: list[Record] = []
    running = threading.Thread(target=lambda: found.extend(bench.run(**RIDGE, results=tmp_path)))
    running.start()
    wait_until(lambda: len(list((tmp_path / "claims").glob("*.lease"))) == 2)
    other.close()
    running.join(PATIENCE)
    assert [record["status"] for record in found] == ["done"]


def test_what_another_process_has_computed_is_returned(stored: Record, tmp_path: Path) -> None:
    late = tmp_path / "late"
    planned = plan(**RIDGE, results=late)
    Store(late, create=True).write(stored)
    from bench.scheduling.run import run_plan

    assert run_plan(planned) == [stored]


@pytest.mark.usefixtures("inline")
def test_a_queue_keeps_no_records_of_other_processes(tmp_path: Path) -> None:
    grid = RIDGE | {"seeds": 3}
    planned = plan_sweep(grid, results=tmp_path)
    ids = {record["id"] for record in bench.sweep(grid, results=tmp_path, jobs=1)}
    lease = Lease(tmp_path)
    queue = CellQueue(planned, lease, 1)
    assert jobs_of(queue) == []
    lease.close()
    assert queue.done_elsewhere == ids


def test_a_model_of_a_stored_record_is_saved_while_another_process_has_its_lease(
    stored: Record, tmp_path: Path
) -> None:
    other = Lease(tmp_path)
    other.take([stored["id"]])
    assert bench.run(**RIDGE, results=tmp_path, save_model=tmp_path / "m.joblib") == [stored]
    other.close()
    assert (tmp_path / "m.joblib").is_file()


def test_models_of_stored_and_new_records(stored: Record, tmp_path: Path) -> None:
    other = Lease(tmp_path)
    other.take([stored["id"]])
    records = bench.run(**RIDGE, seeds=2, results=tmp_path, save_model=tmp_path / "m{seed}.joblib")
    other.close()
    assert [record["status"] for record in records] == ["done", "done"]
    assert {path.name for path in tmp_path.glob("*.joblib")} == {"m0.joblib", "m1.joblib"}


def test_a_model_of_a_record_of_before_that_lacks_some_seconds(stored: Record, tmp_path: Path) -> None:
    for purpose in ("compile", "evaluate"):
        del stored["seconds"][purpose]  # type: ignore[misc]
    Store(tmp_path).write(stored)
    assert bench.run(**RIDGE, results=tmp_path, save_model=tmp_path / "m.joblib") == [stored]


def test_leases_of_a_killed_process_end_without_flock_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.setattr(locks, "fcntl", None)
    [cell] = plan(**RIDGE, results=tmp_path).steps
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "123-abcdef01.json").write_text(json.dumps([cell.spec.id]))
    (tmp_path / "claims" / "123-abcdef01.lease").touch()
    mine, other = Lease(tmp_path), Lease(tmp_path)
    assert mine.take([cell.spec.id]) == {cell.spec.id}
    assert other.take([cell.spec.id]) == set()
    mine.close()
    assert other.take([cell.spec.id]) == {cell.spec.id}
    other.close()


def test_who_waits_for_another_process_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Lease(tmp_path)
    other.publish("sweep league", list)
    monkeypatch.setattr("os.getpid", lambda: 1)
    channel = Channel(tmp_path)
    channel.leased_elsewhere, channel.results = 2, str(tmp_path)
    said = ""
    with progress([], channel):

        def spoken() -> bool:
            nonlocal said
            said += capsys.readouterr().err
            return bool(said)

        wait_until(spoken)
    other.close()
    assert "waiting for 2 cells that another process is training (sweep league: process " in said


def test_a_run_does_not_list_the_folder(stored: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_list(store: Store) -> None:
        raise AssertionError("a folder may hold a million records")

    monkeypatch.setattr(Store, "ids", no_list)
    assert bench.run(**RIDGE, results=tmp_path) == [stored]


def test_no_limit_in_a_grid_stands_above_the_limit_of_the_command(tmp_path: Path) -> None:
    limits = [plan_sweep(RIDGE | grid, results=tmp_path, seconds=9).entries for grid in ({}, {"seconds": None})]
    assert [[entry.budget.seconds for entry in entries] for entries in limits] == [[9], [None]]


def test_records_are_handed_on_where_leasing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Lease.take
    calls: list[Any] = []

    def full(lease: Lease, ids: Any) -> set[str]:
        calls.append(ids)
        if len(calls) > 1:
            raise StoreError("No space left.")
        return take(lease, ids)

    monkeypatch.setattr(Lease, "take", full)
    with pytest.raises(StoreError, match="No space") as raised:
        bench.run(**RIDGE, seeds=2, results=tmp_path)
    assert [record["status"] for record in raised.value.records] == ["done"]


def test_a_run_in_the_command_line_shows_what_it_has_where_leasing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    def full(lease: Lease, ids: Any) -> set[str]:
        raise StoreError("No space left.")

    monkeypatch.setattr(Lease, "take", full)
    done: Finished = command("run", "--encoder", "onehot", "--learner", "ridge", "--results", tmp_path, "--quiet")
    assert (done.code, done.error) == (1, "No space left.")
