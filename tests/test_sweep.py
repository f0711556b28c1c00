"""Sweeps: every cell once, whatever happens; leases between processes."""

import cProfile
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PATIENCE, Finished, read_until, two_at_once, wait_until

import bench
from bench.cli._progress import sweep as progress
from bench.errors import Notice, RequestError, StoreError
from bench.executors import warm as early
from bench.executors.base import RunningJob
from bench.executors.channel import Channel
from bench.executors.gpus import isolated_environment, likely_devices
from bench.executors.jobs import Job, WorkUnit
from bench.executors.local import Local, _Slot
from bench.executors.worker import failed
from bench.harness.outcome import CellProgress
from bench.results.clean import clean_folder
from bench.results.leases import Lease, leased
from bench.results.store import Store
from bench.scheduling.grid import Grid
from bench.scheduling.planner import plan_sweep
from bench.scheduling.progress import PlanProgress, describe_jobs, namer
from bench.scheduling.run import execute
from bench.specs.cell import prepare
from bench.specs.request import Request
from bench.specs.resolve import family
from bench.specs.spec import Budget

Command = Callable[..., Finished]
SMALL = {"encoder": ["onehot", "phasor"], "learner": ["ridge", "knn"], "modulus": 7, "seeds": 3}
ALL = 10**18
IDLE = SimpleNamespace(devices=["cpu"], running_jobs=list, channel=SimpleNamespace(leased_elsewhere=0))
"""An executor that does nothing."""
MLP = {"mlp": {"hidden_layer_sizes": [[8]]}}


def script(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "bench", "sweep", *map(str, arguments)]


@pytest.mark.usefixtures("inline")
def test_every_cell_once_and_none_again(tmp_path: Path) -> None:
    grid = SMALL | {"learner": ["ridge", "knn", {"mlp": {"hidden_layer_sizes": [[8]], "epochs": 2}}]}
    records = list(bench.sweep(grid, results=tmp_path, jobs=1))
    assert len(records) == 2 * 3 * 3
    assert {record["status"] for record in records} == {"done"}
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert len(stamps) == len(records)
    planned = plan_sweep(grid, results=tmp_path)
    assert planned.counts == {"done": 18}
    assert execute(planned)
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert not leased(tmp_path)


def test_the_same_records_as_by_run(tmp_path: Path) -> None:
    grid = {"encoder": "phasor", "learner": [MLP], "modulus": 7, "seeds": 2, "epochs": 3}
    swept = list(bench.sweep(grid, results=tmp_path, jobs=1))
    settings = {"learner.hidden_layer_sizes": (8,)}
    alone = bench.run(
        encoder="phasor", learner="mlp", settings=settings, modulus=7, seeds=2, epochs=3, results=None, jobs=1
    )
    for one, other in zip(swept, alone, strict=True):
        assert one["id"] == other["id"]
        assert one["curve"] == other["curve"]
        assert one["probes"] == other["probes"]


@pytest.mark.usefixtures("inline")
def test_fleets_of_different_settings_and_encoders_of_one_shape(tmp_path: Path) -> None:
    grid = {
        "encoder": "onehot",
        "learner": [{"quadratic": {"width": 16, "adamw.lr": [0.01, 0.02], "steps": 8}}],
        "train_fraction": [0.5, 0.6],
        "modulus": 7,
        "seeds": 2,
    }
    records = list(bench.sweep(grid, results=tmp_path, jobs=1))
    assert len({record["id"] for record in records}) == 8
    assert {record["status"] for record in records} == {"done"}
    assert max(record["replicas"] for record in records) > 2


@pytest.mark.usefixtures("inline")
def test_a_larger_budget_extends(tmp_path: Path) -> None:
    grid = {"encoder": "onehot", "learner": [MLP], "modulus": 7, "seeds": 2}
    list(bench.sweep(grid | {"epochs": 3}, results=tmp_path, jobs=1))
    assert plan_sweep(grid | {"epochs": 6}, results=tmp_path).counts == {"extend": 2}
    longer = list(bench.sweep(grid | {"epochs": 6}, results=tmp_path, jobs=1))
    straight = list(bench.sweep(grid | {"epochs": 6}, results=tmp_path / "new", jobs=1))
    assert [r["curve"] for r in longer] == [r["curve"] for r in straight]


def test_ids_of_a_family_are_those_of_its_specs() -> None:
    for more in ({}, {"split_seed": 5}, {"settings": {"encoder.random_state": 3, "learner.random_state": 4}}):
        found = family(Request(encoder="rdse", learner="mlp", **more))
        assert [found.id(seed) for seed in range(4)] == [found.at(seed).id for seed in range(4)]
        assert len({found.id(seed) for seed in range(4)}) == 4


def test_a_cell_that_stands_twice_counts_once_with_the_larger_budget(tmp_path: Path) -> None:
    twice = {"encoder": "onehot", "learner": "mlp", "grids": [{"epochs": 2}, {"epochs": 5}, {"epochs": 3}], "seeds": 2}
    planned = plan_sweep(twice, results=tmp_path)
    assert len(planned) == 2
    epochs = {planned.entries[number].request.epochs for number in planned.entry.tolist()}
    assert epochs == {5}


FRAGILE = ("--encoder", "onehot", "--learner", "fragile", "--modulus", 7)


def with_plugin(tmp_path: Path, *arguments: Any, command: str = "sweep") -> "subprocess.CompletedProcess[str]":
    """A sweep, or another command, where somebody else's learner is installed."""
    package = tmp_path / "plugin_that_fails"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text(PLUGIN)
    meta = tmp_path / "plugin_that_fails-1.dist-info"
    meta.mkdir(exist_ok=True)
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-that-fails\nVersion: 1\n")
    (meta / "entry_points.txt").write_text("[mod97.learners]\nfragile = plugin_that_fails:Fragile\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}
    call = script(*arguments, "--jobs", 1)
    call[3] = command
    return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=PATIENCE)


def test_a_failing_cell_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    grids = [
        {"learner": {"fragile": {"mode": ["fine", "raise", "leave"]}}, "seeds": 2},
        {
            "learner": {"fragile": {"mode": "die"}},
            "seeds": 1,
        },  # to replace a process takes seconds
    ]
    grid = tmp_path / "g.yaml"
    grid.write_text(json.dumps({"encoder": "onehot", "modulus": 7, "grids": grids}))
    done = with_plugin(tmp_path, grid, "--results", tmp_path / "r", "--json")
    assert done.returncode == 1, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert len(cells) == 7
    by_mode: dict[str, set[str]] = {}
    for cell in cells:
        by_mode.setdefault(cell["spec"]["learner"]["mode"], set()).add(cell["status"])
    assert by_mode == {"fine": {"done"}, "raise": {"failed"}, "die": {"failed"}, "leave": {"failed"}}
    messages = {cell["error"]["message"] for cell in cells if cell["error"]}
    assert messages == {"by design", "Its process was killed, by lack of memory perhaps.", "0"}
    assert "Note: a cell failed: by design" in done.stderr


def test_a_run_whose_worker_is_killed_records_it_too(tmp_path: Path) -> None:
    options = ("--seeds", 2, "--set", "learner.mode=die", "--results", tmp_path / "r", "--json", "--quiet")
    done = with_plugin(tmp_path, *FRAGILE, *options, command="run")
    assert done.returncode == 1, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert [cell["status"] for cell in cells] == ["failed", "failed"]
    assert {cell["error"]["message"] for cell in cells} == {"Its process was killed, by lack of memory perhaps."}


def test_a_run_waits_for_a_cell_that_another_process_has_leased(tmp_path: Path) -> None:
    Store(tmp_path, create=True)
    request = {"encoder": "onehot", "learner": "ridge", "modulus": 7, "results": tmp_path}
    other = Lease(tmp_path)
    other.take([bench.plan(**request).steps[0].spec.id])
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.extend(bench.run(**request)))
    waiting.start()
    wait_until(lambda: len(list((tmp_path / "claims").glob("*.lease"))) == 2)
    assert not found
    other.close()
    waiting.join(PATIENCE)
    assert [record["status"] for record in found] == ["done"]


def test_a_run_has_hard_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(job: Job, channel: Channel) -> None:
        time.sleep(3600)

    monkeypatch.setattr("bench.executors.slots.GRACE", 0.5)
    monkeypatch.setattr("bench.executors.local.run_job", endless)
    [record] = bench.run(encoder="onehot", learner="ridge", modulus=7, seconds=0.5, results=tmp_path)
    assert (record["status"], record["final"]["step"]) == ("timeout", None)


def test_an_executor_is_found_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import executors
    from bench.executors.choose import executor_class

    assert executor_class() is executor_class("local") is Local
    (tmp_path / "elsewhere.py").write_text(
        "from bench.executors.base import Executor\nclass Elsewhere(Executor):\n    run = running_jobs = None\n"
    )
    monkeypatch.setattr(executors, "__path__", [*executors.__path__, str(tmp_path)])
    assert executor_class("elsewhere").__name__ == "Elsewhere"
    with pytest.raises(RequestError, match="Unknown executor 'elsewere': did you mean 'elsewhere'"):
        executor_class("elsewere")


@pytest.mark.usefixtures("inline")
def test_an_extension_that_fails_is_told_and_what_there_was_is_kept(tmp_path: Path) -> None:
    grid = {"encoder": "onehot", "learner": [MLP], "modulus": 7, "seeds": 2}
    before = list(bench.sweep(grid | {"epochs": 3}, results=tmp_path / "r", jobs=1))
    longer = plan_sweep(grid | {"epochs": 6}, results=tmp_path / "r")
    (tmp_path / "r" / "checkpoints").rename(tmp_path / "elsewhere")
    (tmp_path / "r" / "checkpoints").write_text("no folder")
    execute(longer, 1)
    assert any("cannot be extended" in problem for problem in longer.problems)
    assert {record["final"]["step"] for record in longer.records()} == {
        2 * record["final"]["step"] for record in before
    }


PLUGIN = '''
import os
from learners import Ridge


class Fragile(Ridge):
    """A learner that fails in two ways."""

    def __init__(self, alpha: float = 1.0, mode: str = "fine") -> None:
        super().__init__(alpha)
        self.mode = mode

    def _solve(self, X, targets):
        if self.mode == "raise":
            raise ValueError("by design")
        if self.mode == "die":
            os.kill(os.getpid(), 9)
        if self.mode == "leave":
            raise SystemExit(0)
        return super()._solve(X, targets)
'''


def test_two_sweeps_of_one_folder_do_no_cell_twice(tmp_path: Path) -> None:
    options = ("--encoder", "all", "--learner", "ridge,knn", "--modulus", 11, "--seeds", 4, "--jobs", 1)
    results = tmp_path / "results"
    outputs = two_at_once(tmp_path / "ready", "sweep", *options, "--results", results)
    done = [int(err.strip().splitlines()[-1].split("] ")[1].split(" of ")[0]) for _, err in outputs]
    assert len(Store(results).ids()) == 10 * 2 * 4 == sum(done)
    assert not leased(results)


def test_kills_lose_at_most_the_cells_in_flight(tmp_path: Path) -> None:
    """A short burst of bench.recipes.measurements.kills."""
    from bench.recipes.measurements.kills import burst

    told = burst(tmp_path, kills=2, seed=3, longest=4.0)
    assert told.kills == 2
    assert told.lost == told.corrupt == told.twice == 0
    assert not told.complaints
    assert told.cells == told.done


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(tmp_path: Path) -> None:
    grid = tmp_path / "g.yaml"
    grid.write_text(
        "encoder: onehot\nlearner: [ridge, {mlp: {epochs: 400000, hidden_layer_sizes: [[8]]}}]\nmodulus: 7\n"
    )
    program = "from bench import cli; from bench.cli._progress import sweep; sweep.LINES_EVERY = 0.1; cli.main()"
    command = [sys.executable, "-c", program, "sweep", str(grid), "--results", str(tmp_path / "r"), "--jobs", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    read_until(process, process.stderr, r"→ mlp.*, seed 0: step [1-9]")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "the same command goes on" in err
    assert plan_sweep(grid, results=tmp_path / "r").counts == {"done": 1, "resume": 1}


def test_leases_end_with_their_process(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom bench.results.leases import Lease\nc = Lease(sys.argv[1])\n"
        "print(sorted(c.take(['a', 'b'])), flush=True)\ntime.sleep(3600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "['a', 'b']\n"
        mine = Lease(tmp_path)
        assert mine.take(["b", "c"]) == {"c"}
        assert leased(tmp_path) == {"a", "b", "c"}
        other.kill()
        other.wait()
        assert mine.take(["a", "b"]) == {"a", "b"}
    mine.release(["a"])
    assert leased(tmp_path) == {"b", "c"}
    mine.close()
    assert leased(tmp_path) == set()


def test_cells_of_another_process_are_waited_for_and_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.executors.slots.LEASE_POLL", 0.05)
    Store(tmp_path, create=True)
    planned = plan_sweep(SMALL, results=tmp_path)
    other = Lease(tmp_path)
    other.take([planned.id(0), planned.id(1)])
    waits = 0

    def told(record: Any) -> None:
        nonlocal waits
        waits += record is None
        if len(Store(tmp_path).ids()) == len(planned) - 2 and waits > 2:
            other.close()

    from contextlib import nullcontext

    assert execute(planned, 1, lambda planned, running_jobs: nullcontext(told))
    assert len(Store(tmp_path).ids()) == len(planned)


def test_planning_is_quick(tmp_path: Path) -> None:
    """In calls of functions: 1,400 a configuration and 11 a cell, of which a million take 50 s."""
    rates = {"from": 1e-5, "to": 1e-1, "count": 50, "log": True}
    decays = {"from": 1e-3, "to": 10.0, "count": 10, "log": True}
    grid = {"encoder": "onehot", "learner": "quadratic", "adamw.lr": rates, "adamw.weight_decay": decays}
    plan_sweep(grid | {"seeds": 1}, results=tmp_path / "r")  # imports
    calls = []
    for seeds in (1, 21):
        with cProfile.Profile() as profile:
            planned = plan_sweep(grid | {"seeds": seeds}, results=tmp_path / "r")
        calls.append(sum(row.callcount for row in profile.getstats()))
        assert len(planned) == 500 * seeds
    assert calls[0] < 2000 * 500
    assert calls[1] - calls[0] < 16 * 500 * 20


@pytest.mark.usefixtures("inline")
def test_dry_run(tmp_path: Path, command: Command) -> None:
    options = ("--encoder", "onehot,phasor", "--learner", "ridge,knn", "--modulus", 7, "--seeds", 3)
    done = command("sweep", *options, "--dry-run", "--results", tmp_path)
    assert done.code == 0
    assert "12 cells, 0 done already; 12 to run" in done.out
    assert "Nothing has run" in done.out
    assert not list(tmp_path.iterdir())
    list(bench.sweep(SMALL, results=tmp_path, jobs=1))
    document = command("sweep", *options[:6], "--seeds", 4, "--dry-run", "--json", "--results", tmp_path).json
    assert document["cells"] == 16
    assert document["actions"] == {"run": 4, "extend": 0, "resume": 0, "retry": 0, "done": 12}
    assert document["cells_of_unknown_time"] == 0
    assert document["seconds_left"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing GRID.yaml, or --encoder"),
        (("--encoder", "onehot"), "Missing GRID.yaml, or --learner"),
        (("g.yaml", "--seeds", 3), "from a file or from options"),
        (("missing.yaml",), "cannot be read"),
        (("--encoder", "onehot", "--learner", "mlpp"), "did you mean 'mlp'"),
        (("--encoder", "onehot", "--learner", "mlp", "--train-fraction", "x"), "--train-fraction must be a number"),
        (("--encoder", "onehot", "--learner", "mlp", "--train-fraction", "1.5"), "must be in (0, 1), got 1.5"),
        (("--encoder", "onehot", "--learner", "mlp", "--vary", "alpha=1"), "--vary takes OWNER.NAME=A,B"),
        (("--encoder", "onehot", "--learner", "mlp", "--vary", "learner.alphaa=1"), "did you mean 'alpha'"),
        (("--encoder", "onehot", "--learner", "mlp", "--seeds", 0), "--seeds must be an integer ≥ 1"),
        (("--encoder", "onehot", "--learner", "mlp", "--seconds", 0), "--seconds must be a finite number above 0"),
        (("--encoder", "onehot", "--learner", "mlp", "--jobs", 0), "--jobs must be an integer ≥ 1"),
    ],
)
def test_bad_requests_get_one_line(command: Command, tmp_path: Path, arguments: Any, message: str) -> None:
    done = command("sweep", *arguments, "--results", tmp_path / "r")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_bad_combination_says_where_it_is(tmp_path: Path) -> None:
    document = {"grids": [{"encoder": "onehot", "learner": "ridge"}, {"encoder": "onehot", "learner": "ridg"}]}
    with pytest.raises(RequestError, match=r"mine, grid 2: onehot → ridg: Unknown learner 'ridg'"):
        plan_sweep(Grid.of(document, "mine"), results=tmp_path)


def test_planning_keeps_few_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []

    def counting(spec: Any, known: Any = None) -> Any:
        if known is not None:
            built.append(len(known))
        return prepare(spec, known)

    monkeypatch.setattr("bench.scheduling.planner.prepare", counting)
    fractions = [0.3, 0.4, 0.5, 0.6, 0.7]
    request = {"encoder": "onehot", "modulus": 11, "train_fraction": fractions}
    plan_sweep(Grid.of(request | {"learner": "mlp"}, "mine"), results=tmp_path)
    assert not built
    plan_sweep(Grid.of(request | {"learner": {"transformer": {"width": [8, 16]}}}, "mine"), results=tmp_path)
    assert len(built) >= 10
    assert max(built) == 2


def test_what_a_learner_cannot_learn_is_said_before_anything_runs(tmp_path: Path) -> None:
    learners: list[Any] = ["quadratic", {"forward-forward": {"n_negatives": [2, 97]}}]
    refused = r"onehot → forward-forward: The 'n_negatives' parameter .* must be below the number of classes, 97"
    with pytest.raises(RequestError, match=refused):
        plan_sweep(Grid.of({"encoder": "onehot", "learner": learners}, "mine"), results=tmp_path)


@pytest.mark.usefixtures("inline")
def test_damaged_records_among_good_ones_are_set_aside_in_one_notice(tmp_path: Path) -> None:
    whole = {record["id"]: record for record in bench.sweep(SMALL, results=tmp_path, jobs=1)}
    (tmp_path / "notes.txt").write_text("mine")
    bad = list(whole)[:4]
    for id, content in zip(bad, (b"{", b"", bytes(100), b"\xff\xfe"), strict=True):
        (tmp_path / f"{id}.json").write_bytes(content)
    planned = plan_sweep(SMALL, results=tmp_path)
    assert set(planned.damaged) == set(bad)
    assert (planned.counts["run"], planned.counts["done"]) == (4, len(whole) - 4)
    with pytest.warns(Notice) as told:
        again = {record["id"]: record for record in bench.sweep(SMALL, results=tmp_path, jobs=1)}
    [notice] = told
    assert str(notice.message).startswith(f"4 records in '{tmp_path}' are damaged: ")
    assert str(notice.message).endswith(", …. They are kept as ….aside-N, and their cells are computed anew.")
    assert {id: record["curve"] for id, record in again.items()} == {id: one["curve"] for id, one in whole.items()}
    assert (tmp_path / f"{bad[0]}.json.aside-0").read_bytes() == b"{"
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("inline")
def test_a_record_that_is_damaged_after_the_plan_was_made_is_set_aside_too(tmp_path: Path) -> None:
    planned = plan_sweep(SMALL, results=tmp_path)
    path = tmp_path / f"{planned.id(0)}.json"
    path.write_text("[1, 2")
    with pytest.warns(Notice, match=f"It is kept as {path.name}.aside-0, and its cell is computed anew."):
        assert execute(planned, jobs=1)
    assert (tmp_path / f"{path.name}.aside-0").read_text() == "[1, 2"
    assert len(list(planned.records())) == len(planned)


@pytest.mark.usefixtures("inline")
def test_a_done_record_that_is_damaged_while_a_sweep_runs_is_named_at_its_end(tmp_path: Path) -> None:
    list(bench.sweep(SMALL, results=tmp_path, jobs=1))
    planned = plan_sweep(SMALL, results=tmp_path)
    (tmp_path / f"{planned.id(1)}.json").write_text("")
    assert execute(planned, jobs=1)
    assert len(list(planned.indexed_records())) == len(planned) - 1
    with pytest.raises(StoreError, match=f"{planned.id(1)}.json' is damaged: it is empty"):
        list(planned.records())


def test_what_was_damaged_while_its_cell_trained_loses_no_result(tmp_path: Path) -> None:
    [record] = bench.run(encoder="onehot", learner="ridge", modulus=7, results=tmp_path)
    store = Store(tmp_path)
    store.path(record["id"]).write_text("[")
    store.keep(record, {})
    assert store.read(record["id"]) == record
    assert (tmp_path / f"{record['id']}.json.aside-0").read_text() == "["


def test_the_grids_that_come_with_it_are_sound(tmp_path: Path) -> None:
    folder = Path(bench.__file__).parent / "grids"
    sizes = {path.stem: len(plan_sweep(path, results=tmp_path / "r")) for path in folder.glob("*.yaml")}
    assert sizes["quick"] == 75
    assert sizes["league"] >= 10 * 7 * 5


def test_a_hard_limit_ends_a_cell_that_overruns(tmp_path: Path) -> None:
    """One that can be asked ends at the limit; one whose single epoch takes longer loses its process."""
    asked = {"encoder": "onehot", "learner": [MLP], "modulus": 7, "epochs": 100_000, "seconds": 0.5}
    [record] = bench.sweep(asked, results=tmp_path / "a", jobs=1)
    assert record["status"] == "timeout"
    assert 0 < record["final"]["step"] < record["budget"]["steps"]


def test_a_cell_that_cannot_be_asked_loses_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.executors.slots.GRACE", 3.0)
    slow = {"mlp": {"hidden_layer_sizes": [[6000, 6000]], "epochs": 1, "seconds": 0.5}}
    grid = {"encoder": "onehot", "learner": [slow, "ridge"]}
    first, second = bench.sweep(grid, results=tmp_path, jobs=1)
    assert (first["status"], second["status"]) == ("timeout", "done")
    assert first["error"]["message"] == "It did not end at its limit of seconds."
    # The same limit again would end the same way; a larger one may not.
    assert plan_sweep(grid, results=tmp_path).counts == {"done": 2}
    slow["mlp"]["seconds"] = 9.0
    assert plan_sweep(grid, results=tmp_path).counts == {"retry": 1, "done": 1}


def test_a_process_that_has_grown_serves_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loky import process_executor

    assert process_executor._MAX_MEMORY_LEAK_SIZE < ALL  # it is still this name that says when one is replaced

    def growing(job: Any, on: Any) -> None:
        raise RuntimeError(f"{os.getpid()} {process_executor._MAX_MEMORY_LEAK_SIZE}")

    monkeypatch.setattr("bench.executors.local.run_job", growing)
    limits = []
    for device in ("cpu", "cuda"):
        slot = _Slot(device)
        slot.start(Job(()), Channel(tmp_path))
        assert slot.future is not None
        limits.append(int(str(slot.future.exception()).split()[1]))
        slot.future = None
        slot.end()
    assert limits == [ALL, ALL]


@pytest.mark.parametrize(
    ("seen", "device", "expected"),
    [(None, "cuda:2", "2"), ("4,6,7", "cuda:1", "6"), ("GPU-a, GPU-b", "cuda:1", "GPU-b")],
)
def test_a_process_of_one_gpu_of_several_sees_that_one_alone(
    seen: str | None, device: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)

    def telling(job: Any, on: Any) -> None:
        from bench.executors.gpus import local_name as _local

        raise RuntimeError(f"{os.environ['CUDA_VISIBLE_DEVICES']} {_local(job.device)} {_local('cuda:9')}")

    monkeypatch.setattr("bench.executors.local.run_job", telling)
    slot = _Slot(device)
    slot.start(Job((), device), Channel(tmp_path))
    assert slot.future is not None
    assert str(slot.future.exception()) == f"{expected} cuda:0 cuda:9"
    slot.future = None
    slot.end()
    assert all(isolated_environment(device) == {} for device in ("cuda", "cpu", "cuda:foo", "cuda:-1"))


def test_processes_for_gpus_start_before_there_is_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def importing() -> None:
        import this  # noqa: F401  # what processes for GPUs import, which takes seconds, is looked at in test_studies

    monkeypatch.setattr(early, "_import", importing)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    for device in ("cpu", "cuda:foo", "cuda:-1", "cuda:2"):  # two are to be seen
        early.start(device)
        assert early._started == {}
    early.start("auto")
    early.start("auto")
    assert sorted(early._started) == ["cuda:0", "cuda:1"]
    waiting = early._started["cuda:0"]

    def telling(job: Any, on: Any) -> None:
        raise RuntimeError(f"{os.getpid()} {os.environ['CUDA_VISIBLE_DEVICES']} {'this' in sys.modules}")

    monkeypatch.setattr("bench.executors.local.run_job", telling)
    slot = _Slot("cuda:1")
    slot.start(Job((), "cuda:1"), Channel(tmp_path))
    assert slot.future is not None
    pid, seen, warm = str(slot.future.exception()).split()
    assert (seen, warm) == ("5", "True")
    assert int(pid) in slot.pool._processes
    slot.future = None
    slot.end()
    early.stop_unused()
    assert early._started == {}
    with pytest.raises(RuntimeError):
        waiting.submit(int)


@pytest.mark.parametrize(("said", "count"), [("-1", 0), ("", 0), ("NoDevFiles", 0), ("1,-1,2", 1), ("GPU-a,MIG-b", 2)])
def test_which_gpus_are_to_be_seen_is_read_as_cuda_reads_it(
    said: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert len(likely_devices("auto")) == count


def test_processes_that_no_slot_asks_for_are_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    early.start("auto")
    Local(["cuda:1", "cpu"], Channel(tmp_path))
    assert list(early._started) == ["cuda:1"]
    early.stop_unused()


def test_idle_processes_end_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gives back the memory of its GPU, which takes time: here they wait until all of them are at it."""
    monkeypatch.setattr("bench.executors.local.EXIT_TIMEOUT", PATIENCE)
    together = threading.Barrier(3, timeout=PATIENCE)
    slots = Local(["cpu"] * 3, Channel(tmp_path))
    for slot in slots.slots:
        slot.pool = SimpleNamespace(shutdown=together.wait)
    nothing = SimpleNamespace(next=lambda device: None, recheck_leases=lambda: 0)
    assert slots.run(nothing, print)  # type: ignore[arg-type]
    assert not together.broken
    assert [slot.pool for slot in slots.slots] == [None] * 3


def test_a_wrong_request_waits_for_no_process(tmp_path: Path) -> None:
    program = (
        "import sys, time; from bench.executors import warm; from bench.cli import main; warm._import = time.sleep; "
        "submit = warm.ProcessPoolExecutor.submit; "
        "warm.ProcessPoolExecutor.submit = lambda pool, work: submit(pool, work, 3600); main(sys.argv[1:])"
    )
    wrong = ("sweep", "--encoder", "nope", "--learner", "ridge", "--results", str(tmp_path))
    command = [sys.executable, "-c", program, *wrong]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0,1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)  # both pipes are closed: nobody holds them


@pytest.mark.parametrize("device", ["mps", "cuda:foo", "cuda:-1", "cpu:0", "cuda:²", "cuda:１"])
def test_a_device_that_is_none_is_told_whatever_the_learner(device: str, tmp_path: Path, command: Command) -> None:
    done = command("sweep", "--encoder", "onehot", "--learner", "ridge", "--device", device, "--results", tmp_path)
    assert done.code == 2
    assert done.error == f"--device must be auto, cpu, cuda or cuda:NUMBER, got {device}."


def test_a_device_that_does_not_answer_is_told(tmp_path: Path) -> None:
    job = Job(
        (WorkUnit(family(Request(encoder="onehot", learner="quadratic")).first, Budget(3)),),
        "cuda:7",
        results=str(tmp_path),
    )
    [result] = failed(job, Channel(tmp_path), RuntimeError("no such device"))
    assert result.record["error"]["message"] == "no such device"
    assert result.record["environment"]["device"] == "cuda:7"
    assert Store(tmp_path).read(result.record["id"]) == result.record


def test_a_process_that_died_while_idle_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(job: Any, on: Any) -> int:
        return os.getpid()

    monkeypatch.setattr("bench.executors.local.run_job", told)
    slot, pids = _Slot("cpu"), []
    for _ in range(2):
        slot.start(Job(()), Channel(tmp_path))
        assert slot.future is not None
        pids.append(slot.future.result())
        slot.future = None
        os.kill(pids[-1], signal.SIGKILL)
        wait_until(lambda: slot.pool._flags.broken)  # its pool has noticed
    slot.end()
    assert pids[0] != pids[1]


@pytest.mark.usefixtures("inline")
def test_what_a_job_has_kept_before_it_fails_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(bench.sweep(SMALL, results=tmp_path, jobs=1))

    def late(job: Any, on: Any) -> None:
        from bench.executors.worker import run_job

        run_job(job, on)
        raise RuntimeError("too late")

    monkeypatch.setattr("bench.executors.local.run_job", late)
    records = list(bench.sweep(SMALL, results=tmp_path, jobs=1, force=True))
    assert {record["status"] for record in records} == {"done"}


def test_what_a_job_raises_fails_its_cells_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(job: Any, on: Any) -> None:
        raise RuntimeError(f"no device in process {os.getpid()}")

    monkeypatch.setattr("bench.executors.local.run_job", raising)
    records = list(bench.sweep(SMALL, results=tmp_path, jobs=1))
    assert {record["status"] for record in records} == {"failed"}
    assert len(records) == 12
    messages = {record["error"]["message"] for record in records}
    assert len(messages) == 1  # one process: it is not lost, and no half of a job is tried again
    assert "no device" in messages.pop()
    assert all("in raising" in record["error"]["traceback"] for record in records)


@pytest.mark.usefixtures("inline")
def test_where_the_time_went(tmp_path: Path, command: Command) -> None:
    planned = plan_sweep({"encoder": "phasor", "learner": [MLP], "modulus": 7, "epochs": 5}, results=tmp_path)
    assert execute(planned, 1)
    assert planned.busy > sum(planned.spent.values()) > 0
    longer = plan_sweep({"encoder": "phasor", "learner": [MLP], "modulus": 7, "epochs": 9}, results=tmp_path)
    assert execute(longer, 1)
    [record] = longer.records()
    # What an extended run had spent before is not charged again.
    assert longer.spent["train"] == pytest.approx(record["seconds"]["train"] - planned.spent["train"])
    shown = command("sweep", "--encoder", "onehot", "--learner", "ridge", "--modulus", 7, "--results", tmp_path)
    assert "Time of worker processes" in shown.out


@pytest.mark.usefixtures("inline")
def test_progress_says_how_long_the_rest_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bench.cli._progress.sweep import sweep_progress

    grid = {"encoder": "onehot", "learner": ["ridge", "knn"], "modulus": 7, "seeds": 3}
    planned = plan_sweep(grid, results=tmp_path / "a")
    records = list(bench.sweep(grid, results=tmp_path / "b", jobs=1))
    for record in records:
        record["seconds"]["total"] = 2.0
    tally = PlanProgress(planned, 1)
    with sweep_progress(tally, IDLE) as told:
        for record in (records[0], {**records[1], "status": "failed", "error": {"message": "too\nlarge"}}):
            tally.add(record)
            told(record)
        told(None)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("onehot+concat → ridge, seed 0: done, test 0.0%")
    assert lines[1].endswith("seed 1: failed, too large")
    assert "2 of 6 cells, 1 of them failed, diverged or ran out of time, about" in lines[-1]
    assert lines[-1].endswith("and 3 cells of learners not seen yet")


def test_what_is_under_way_is_said_whenever_nothing_was_said_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    for module in ("bench.cli._progress.sweep", "bench.scheduling.progress"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: now))
    found = family(Request(encoder="onehot", learner="quadratic", modulus=7))
    cells = tuple(found.at(seed) for seed in (0, 1, 3))
    moments = tuple(CellProgress(cell.id, 12 + n, 60, None, None, 1.0) for n, cell in enumerate(cells))
    jobs = [RunningJob(cells, moments, 71.0), *(RunningJob(cells[:1], (), float(n)) for n in (9, 8, 7, 6))]
    with progress.sweep_progress(
        PlanProgress(plan_sweep(SMALL, results=tmp_path), 1),
        SimpleNamespace(**vars(IDLE) | {"running_jobs": lambda: jobs}),
    ) as told:
        told(None)
        assert capsys.readouterr().err == ""
        now = 10.5
        told(None)
        [line] = capsys.readouterr().err.splitlines()
        assert "0 of 12 cells; under way: onehot+concat → quadratic, seeds 0–1, 3: step 12 of 60 for 71 s; " in line
        assert line.endswith(
            "seed 0: running for 9 s; onehot+concat → quadratic, seed 0: running for 8 s; and 2 other jobs"
        )
        now = 15.0
        told(None)
        assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("inline")
def test_cells_of_one_label_are_told_apart_by_what_differs_within_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = {"encoder": "onehot", "learner": "ridge", "train_fraction": [0.3, 0.5], "modulus": [7, 11], "task": "add"}
    records = list(bench.sweep(grid, results=tmp_path / "a", jobs=1))
    planned = plan_sweep(grid, results=tmp_path / "b")
    with progress.sweep_progress(PlanProgress(planned, 1), IDLE) as told:
        told(records[1])
    assert "onehot+concat → ridge, 30 % train, mod 11, seed 0: done" in capsys.readouterr().err
    job = RunningJob(tuple(replace(planned.spec(0), seed=seed) for seed in range(3)), (), 10.0)
    said = describe_jobs([job], namer(planned))
    assert said == "onehot+concat → ridge, 30 % train, mod 7, seeds 0–2: running for 10 s"


@pytest.mark.usefixtures("inline")
def test_after_a_stop_no_time_is_left_and_interrupted_cells_are_not_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = {"encoder": "onehot", "learner": "ridge", "modulus": 7, "seeds": 4}
    records = list(bench.sweep(grid, results=tmp_path / "a", jobs=1))
    for stopped, said in (
        (1, "1 of 4 cells done, 1 interrupted, 2 not begun"),
        (3, "1 of 4 cells done, 3 interrupted"),
    ):
        tally = PlanProgress(plan_sweep(grid, results=tmp_path / "b"), 1)
        with progress.sweep_progress(tally, IDLE) as told:
            for record in (records[0], *({**record, "status": "interrupted"} for record in records[1 : 1 + stopped])):
                tally.add(record)
                told(record)
        assert capsys.readouterr().err.splitlines()[-1].endswith(f"] {said}")


def test_slots_tell_what_they_are_at(tmp_path: Path) -> None:
    on = Channel(tmp_path)
    slots = Local(["cpu"] * 2, on)
    found = family(Request(encoder="onehot", learner="quadratic", modulus=7))
    units = [WorkUnit(found.at(seed), Budget(60)) for seed in range(3)]
    slots.slots[1].job = Job(tuple(units))
    on.report(
        "job", [CellProgress(unit.spec.id, 5, 60, None, None, 1.0, over=n == 0) for n, unit in enumerate(units[:2])]
    )
    [job] = slots.running_jobs()
    assert [cell.seed for cell in job.cells] == [1, 2]
    assert [moment.id for moment in job.progress] == [units[1].spec.id]


@pytest.mark.usefixtures("inline")
def test_longer_cells_are_told_to_take_longer_only_where_steps_count(tmp_path: Path) -> None:
    """Each cell takes 10 s once, above all for a program, and a third of a second a step; three are done."""
    grid = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "seeds": 2}
    store = Store(tmp_path, create=True)
    for record in list(bench.sweep(grid | {"steps": 3}, results=tmp_path, jobs=1)):
        spent = {"train": 1.0, "evaluate": 0.5, "compile": 8.0, "probes": 0.5, "harness": 1.0, "total": 11.0}
        store.write(record | {"seconds": spent})
    for steps, seconds in ((30, 2 * 19.0), (3000, 2 * 1009.0)):
        assert plan_sweep(grid | {"steps": steps}, results=tmp_path).seconds_left(1) == (pytest.approx(seconds), 0)
    assert plan_sweep(grid | {"steps": 3000, "seconds": 60}, results=tmp_path).seconds_left(2) == (60.0, 0)


@pytest.mark.parametrize("stops_at", [500, None])
def test_cells_that_end_early_do_not_make_the_rest_look_long(
    stops_at: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes 5 s: all are solved long before their budget, or every second one fails."""
    now = 0.0
    monkeypatch.setattr("bench.scheduling.progress.time", SimpleNamespace(monotonic=lambda: now))
    grid = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "steps": 10_000, "seeds": 100}
    planned = plan_sweep(grid, results=tmp_path)
    tally = PlanProgress(planned, 1)
    for n, place in enumerate(planned.todo.tolist()):
        now += 5.0
        failed = stops_at is None and n % 2
        tally.add(
            {
                "id": planned.id(place),
                "status": "failed" if failed else "done",
                "spec": planned.spec(place).to_dict(),
                "budget": {"steps": 10_000},
                "final": {"step": None if failed else stops_at or 10_000, "test_accuracy": None},
                "seconds": {"train": 4.0, "total": 5.0},
            }
        )
        if n > 10:
            assert tally.seconds_left()[0] == pytest.approx(5.0 * (99 - n), rel=0.11)


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """For time left: no second passes."""
    monkeypatch.setattr("bench.scheduling.progress.time", SimpleNamespace(monotonic=lambda: 0.0))


@pytest.mark.usefixtures("inline")
def test_how_long_a_learner_takes_is_told_by_other_cells_of_the_folder(tmp_path: Path, command: Command) -> None:
    grid = {"learner": "quadratic", "modulus": 7, "steps": 9}
    for record in list(bench.sweep(grid | {"encoder": "onehot", "seeds": 3}, results=tmp_path, jobs=1)):
        Store(tmp_path).write(record | {"seconds": record["seconds"] | {"train": 9.0, "total": 10.0}})
    assert plan_sweep(grid | {"encoder": "binary"}, results=tmp_path).seconds_left(1) == (pytest.approx(10.0), 0)
    said = command("sweep", "--encoder", "binary", "--learner", "torch-mlp", "--dry-run", "--results", tmp_path).out
    assert "no cell of these learners is stored here" in said


@pytest.mark.usefixtures("inline")
def test_cells_that_were_trained_for_longer_are_told_of(tmp_path: Path, command: Command) -> None:
    cells = ("--encoder", "onehot", "--learner", "quadratic", "--modulus", 7, "--results", tmp_path)
    assert command("run", *cells, "--steps", 30).code == 0
    done = command("sweep", *cells, "--seeds", 2, "--steps", 20)
    assert "1 of 2 cells were trained for longer than asked, up to 30 steps" in done.err
    ranked = command("rank", "--results", tmp_path)
    assert ranked.out.splitlines()[0].endswith("· up to step 20")
    assert "given 20 steps only" in command("rank", "--results", tmp_path, "--horizon", 30).out


@pytest.mark.parametrize("verb", ["run", "sweep", "tune"])
def test_what_would_run_would_not_in_a_folder_that_cannot_be(verb: str, tmp_path: Path, command: Command) -> None:
    (tmp_path / "file").touch()
    learner = ("--encoder", "onehot", "--learner", "quadratic", *(("--trials", 2) if verb == "tune" else ()))
    for folder, why in (("a/b", "No such file or directory"), ("file", ""), ("x" * 300, "File name too long")):
        for dry in ((), ("--dry-run",)):
            done = command(verb, *learner, "--results", tmp_path / folder, *dry)
            assert done.code == 2
            assert why in done.error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    assert command(verb, *learner, "--results", tmp_path / "new", "--dry-run").code == 0
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("stopped_clock", "inline")
def test_cells_that_end_with_nothing_do_not_spoil_the_time_left(tmp_path: Path) -> None:
    """Three cells of 100 s are stored, and one of ten fails at once, as does one whose process was ended."""
    grid = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "steps": 9}
    for made in list(bench.sweep(grid | {"seeds": 3}, results=tmp_path, jobs=1)):
        Store(tmp_path).write(made | {"seconds": made["seconds"] | {"train": 90.0, "total": 100.0}})
    planned = plan_sweep(grid | {"seeds": 13}, results=tmp_path)
    tally = PlanProgress(planned, 1)
    assert tally.seconds_left()[0] == pytest.approx(1000.0)
    for place, status in zip(planned.todo.tolist(), ("failed", "timeout", "interrupted"), strict=False):
        seconds = {"train": 0.0, "total": 0.01}
        nothing = {"id": planned.id(place), "status": status, "seconds": seconds, "budget": {"steps": 9}}
        final = {"step": None, "test_accuracy": None}
        tally.add(nothing | {"spec": planned.spec(place).to_dict(), "final": final})
    tally.pace, tally.paced_at = 1.0, 0.0
    assert tally.seconds_left()[0] == pytest.approx(800.0)  # what was interrupted is still to do


def test_a_cell_whose_process_was_ended_at_its_limit_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(job: Job, on: Channel) -> None:
        time.sleep(3600)

    monkeypatch.setattr("bench.executors.slots.GRACE", 0.5)
    monkeypatch.setattr("bench.executors.local.run_job", endless)
    planned = plan_sweep({"encoder": "onehot", "learner": "mlp", "modulus": 7, "seconds": 0.5}, results=tmp_path)
    assert execute(planned, 1, progress.sweep_progress)
    [record] = planned.records()
    assert (record["status"], record["final"]["step"]) == ("timeout", None)


@pytest.mark.usefixtures("stopped_clock", "inline")
def test_time_left_is_by_slots_from_the_beginning(tmp_path: Path) -> None:
    grid = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "steps": 9}
    for record in list(bench.sweep(grid | {"seeds": 1}, results=tmp_path, jobs=1)):
        Store(tmp_path).write(record | {"seconds": record["seconds"] | {"train": 90.0, "total": 100.0}})
    planned = plan_sweep(grid | {"seeds": 5}, results=tmp_path)
    for slots, left in ((1, 400.0), (2, 200.0), (9, 100.0)):
        assert PlanProgress(planned, slots).seconds_left()[0] == pytest.approx(left)


@pytest.mark.usefixtures("stopped_clock", "inline")
def test_cells_that_go_on_are_told_to_take_what_is_left_of_them(tmp_path: Path) -> None:
    """Of 100 steps 60 are stored: the rest of each cell takes 1 s once, and 0.1 s for each of 40 steps."""
    grid = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "seeds": 3}
    store = Store(tmp_path, create=True)
    for record in list(bench.sweep(grid | {"steps": 60}, results=tmp_path, jobs=1)):
        store.write(record | {"seconds": record["seconds"] | {"train": 6.0, "total": 7.0}})
    planned = plan_sweep(grid | {"steps": 100}, results=tmp_path)
    assert planned.counts["extend"] == 3
    assert planned.seconds_left(1) == (pytest.approx(3 * 5.0), 0)
    assert len(planned.worker_devices(2)) == 2
    tally = PlanProgress(planned, 1)
    assert tally.seconds_left()[0] == pytest.approx(3 * 5.0)
    for record in planned.records():
        seconds = record["seconds"] | {"train": 10.0, "total": 11.0}
        final = record["final"] | {"step": 100}
        tally.add(record | {"seconds": seconds, "budget": {"steps": 100}, "final": final})
    assert tally.left == {"quadratic": [0, 0]}
    assert tally.done == pytest.approx(3 * 4.0)
    clean_folder(tmp_path)  # without checkpoints they begin anew
    assert plan_sweep(grid | {"steps": 100}, results=tmp_path).seconds_left(1) == (pytest.approx(3 * 11.0), 0)


def test_grouped_pairs_train_as_many_as_they_do_alone(tmp_path: Path) -> None:
    """Twins stay together: how many pairs train, and so how many steps an epoch has, varies with the split."""
    settings = {"learner.batch_size": [23]}
    grid = {"encoder": "onehot", "learner": "mlp", "pairs": "grouped", "modulus": 7, "epochs": 3, "seeds": 12}
    planned = plan_sweep(grid | settings, results=tmp_path)
    alone = bench.plan(
        encoder="onehot",
        learner="mlp",
        pairs="grouped",
        modulus=7,
        epochs=3,
        seeds=12,
        settings={"learner.batch_size": 23},
        results=None,
    )
    wanted = {step.spec.id: step.budget.steps for step in alone.steps}
    steps = [planned.entries[number].budget.steps for number in planned.entry.tolist()]
    assert {planned.id(place): steps[place] for place in range(12)} == wanted
    assert len(set(wanted.values())) > 1


def test_fleets_of_a_group_are_of_one_size_whatever_is_left(tmp_path: Path) -> None:
    from bench.scheduling.queue import CellQueue

    grid = {"encoder": "onehot", "learner": [{"quadratic": {"steps": 9}}], "modulus": 7, "seeds": 9}
    planned = plan_sweep(grid, results=tmp_path)
    Store(tmp_path, create=True)
    lease = Lease(tmp_path)
    queue = CellQueue(planned, lease, 2)
    sizes = []
    while (job := queue.next("cpu")) is not None:
        sizes.append(len(job.units))
    lease.close()
    assert sizes == [5, 4]
    assert planned.fleet_size(0, 9, 2) == 5


@pytest.mark.usefixtures("inline")
def test_files_of_others_in_the_claims_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "note.json").write_text("hi")
    list(bench.sweep(SMALL | {"seeds": 1}, results=tmp_path, jobs=1))
    assert (tmp_path / "claims" / "note.json").read_text() == "hi"


def test_a_cell_that_failed_elsewhere_in_the_meantime_is_not_tried_again(tmp_path: Path) -> None:
    from bench.scheduling.queue import CellQueue

    Store(tmp_path, create=True)
    planned = plan_sweep(SMALL | {"learner": "ridge", "encoder": "onehot"}, results=tmp_path)
    mine, other = Lease(tmp_path), Lease(tmp_path)
    other.take([planned.id(0)])
    queue = CellQueue(planned, mine, 1)
    job = queue.next("cpu")
    assert job is not None
    assert len(job.units) == 2
    record = json.loads((Path(__file__).parent / "record.json").read_text())
    gone = {**record, "id": planned.id(0), "status": "failed", "final": {**record["final"], "step": None}}
    Store(tmp_path).write(gone)
    other.close()
    assert queue.recheck_leases() == 1
    assert queue.next("cpu") is None
    mine.close()


def test_what_covers_the_budget_is_no_trouble(tmp_path: Path, command: Command) -> None:
    options = ("--encoder", "onehot", "--learner", "mlp", "--set", "learner.hidden_layer_sizes=(8,)", "--modulus", 7)
    more = ("--results", tmp_path, "--jobs", 1)
    late = command("sweep", *options, "--epochs", 1_000_000, "--seconds", 0.5, *more)
    assert late.code == 1
    assert "ran out of time" in late.err
    assert command("sweep", *options, "--epochs", 2, *more).code == 0


def test_the_plan_of_one_cell(tmp_path: Path, command: Command) -> None:
    done = command("sweep", "--encoder", "onehot", "--learner", "mlp", "--dry-run", "--results", tmp_path)
    assert done.code == 0
    assert "To run: 1 cell alone" in done.out


def test_commas_in_brackets_part_nothing(command: Command, tmp_path: Path) -> None:
    sizes = "learner.hidden_layer_sizes=(8,8),(16,16),4"
    asked = ("--encoder", "onehot", "--learner", "mlp", "--vary", sizes, "--results", tmp_path, "--dry-run", "--json")
    assert command("sweep", *asked).json["cells"] == 3
