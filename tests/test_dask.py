"""A Dask cluster as the place where jobs run: a scheduler and workers on this machine, started and ended here."""

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import warnings
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from conftest import PATIENCE, Finished, wait_until

import bench
from bench.errors import BenchError, Notice, RequestError
from bench.executors import Job, WorkUnit, dask, dask_client, executor_class, open_channel
from bench.executors.local import _ThisProcess
from bench.executors.memory_store import MemoryStore
from bench.executors.passports import SOURCE, difference, passport
from bench.recipes.measurements import dask_overhead
from bench.results import Record, Store
from bench.scheduling.planner import plan_sweep
from bench.specs import Budget, registry
from bench.tuning import default_url, pictured_study, plan_tune
from bench.tuning.samplers import make_sampler
from bench.tuning.search import SAMPLERS

ROOT = Path(__file__).parent.parent
MLP = {"mlp": {"hidden_layer_sizes": [[6]]}}
RECIPE = """
title: Two encoders
source: nobody
quarrel: Which encoder?
shared: {learner: ridge, modulus: 7}
arms: {one: {encoder: onehot}, other: {encoder: phasor}}
claims:
  - {claim: One is better., arms: [one, other], measure: accuracy, below: 0}
"""
TRAINED = ("final", "curve", "test_accuracy_diagonal", "parameters", "probes", "status", "budget")


class Cluster:
    """A scheduler and workers, as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes, self.started = folder, dict[str, subprocess.Popen[bytes]](), 0
        self.start_scheduler(0)

    @property
    def address(self) -> str:
        return str(json.loads((self.folder / "scheduler.json").read_text())["address"])

    @property
    def executor(self) -> str:
        return f"dask:{self.address}"

    def start_scheduler(self, port: int) -> None:
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self._start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--scheduler-file", str(file))
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))

    def start_worker(self, name: str, *arguments: str) -> None:
        place = ("--name", name, "--local-directory", str(self.folder / name), "--host", "127.0.0.1")
        alone = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0")
        self._start("worker", self.address, *place, *alone, *arguments, name=name)

    def _start(self, what: str, *arguments: str, name: str = "scheduler") -> None:
        module = f"distributed.cli.dask_{what}"
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "--no-dashboard"],
                cwd=ROOT,
                env=os.environ | dask_overhead.QUIET,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait(PATIENCE)

    def workers(self, number: int) -> dict[str, str]:
        """The addresses of workers, by name, once there are so many; those that lack are started."""
        running = [name for name in self.processes if name != "scheduler" and self.processes[name].poll() is None]
        for _ in range(number - len(running)):
            self.started += 1
            self.start_worker(f"worker-{self.started}")
        with dask_client.connected(self.address) as client:
            client.wait_for_workers(number, timeout=PATIENCE)
            return {worker["name"]: at for at, worker in dask_client.workers_of(client, self.address).items()}

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.workers(1)
        yield made
    finally:
        made.close()


def watched(watch: Callable[[Any, Record | None], None]) -> Any:
    """A display that calls a function with the executor and each record, and None in between."""
    return lambda progress, runs: nullcontext(lambda record: watch(runs, record))


def same(here: Record, there: Record) -> bool:
    """Whether two records of a cell tell the same, those of a fleet up to rounding."""
    one, other = ({key: record[key] for key in TRAINED} for record in (here, there))  # type: ignore[literal-required]
    if here["spec"]["learner"]["name"] in ("mlp", "ridge"):
        return bool(one == other)
    losses = [part["curve"][name] for part in (one, other) for name in ("train_loss", "test_loss")]
    steps = one["curve"]["step"] == other["curve"]["step"]
    return steps and np.allclose(losses[:2], losses[2:], rtol=1e-4)


GRID: dict[str, Any] = {
    "encoder": "onehot",
    "grids": [
        {"learner": MLP, "modulus": [5, 7], "steps": 2, "seeds": 10},
        {"learner": {"ridge": {"alpha": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}}, "modulus": [5, 7], "seeds": 10},
        {"learner": "rfm", "modulus": 5, "steps": 2, "seeds": 20},
    ],
}
"""200 cells, in 20 + 10 + 3 jobs, many of which share their probes."""


@pytest.mark.usefixtures("inline")
def test_the_cells_of_a_worker_that_was_killed_run_elsewhere_and_each_is_stored_once(
    cluster: Cluster, tmp_path: Path
) -> None:
    seen, (name, one) = Counter[str](), next(iter(cluster.workers(2).items()))
    suspended, losses = False, Counter[str]()

    def watch(runs: dask.Dask, record: Record | None) -> None:
        """Suspend a worker that has a job; kill it where the result is not here then, as it never will be."""
        nonlocal suspended, losses
        seen.update([] if record is None else [record["id"]])
        slot = next((slot for slot in runs.slots if slot.address == one), None)
        if slot is None or name not in cluster.processes:
            return
        busy = slot.future is not None and not slot.future.done()
        if suspended and busy:
            losses = runs.losses
            cluster.kill(name)
        elif suspended or busy:
            suspended = not suspended
            cluster.processes[name].send_signal(signal.SIGSTOP if suspended else signal.SIGCONT)

    there = list(bench.sweep(GRID, results=tmp_path / "there", executor=cluster.executor, display=watched(watch)))
    here = list(bench.sweep(GRID, results=tmp_path / "here", jobs=1))
    assert len(there) == 200
    assert [record["id"] for record in there] == [record["id"] for record in here]
    assert set(seen.values()) == {1}
    assert losses
    assert all(map(same, here, there))
    kept = [{path.name for path in (tmp_path / name / "checkpoints").iterdir()} for name in ("here", "there")]
    assert kept[0] == kept[1]


TUNE: dict[str, Any] = {
    "encoder": "onehot",
    "learner": "mlp",
    "modulus": 7,
    "steps": 4,
    "objective": "accuracy",
    "trials": 10,
    "fresh": 1,
}


def trials_of(folder: Path) -> list[Any]:
    study = pictured_study(default_url(folder), "s").study
    return [(trial.params, trial.values) for trial in study.get_trials(deepcopy=False)]


def test_two_workers_find_what_one_finds(cluster: Cluster, tmp_path: Path) -> None:
    request: dict[str, Any] = {
        **TUNE,
        "fix": {"learner.width": 8, "learner.depth": 1},
        "space": {"learner.learning_rate_init": "1e-3..1e-1:log"},
    }
    cluster.workers(2)
    by_one = bench.tune(**request, study="s", results=tmp_path / "one", jobs=1)
    by_two = bench.tune(**request, study="s", results=tmp_path / "two", executor=cluster.executor)
    assert (by_one.best, by_one.rule) == (by_two.best, by_two.rule)
    assert len(trials_of(tmp_path / "one")) == 10
    assert trials_of(tmp_path / "one") == trials_of(tmp_path / "two")
    assert all(map(same, by_one.cells, by_two.cells))


@pytest.mark.usefixtures("inline")
def test_a_cell_goes_on_from_its_checkpoint_on_a_worker_and_sends_its_states_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    cell: dict[str, Any] = {"encoder": "onehot", "learner": MLP, "modulus": 5, "results": tmp_path / "there"}
    cell = {"results": cell.pop("results"), "grid": cell}
    here: dict[str, Any] = {"results": tmp_path / "here", "jobs": 1}
    for steps, states in ((4, 0), (9, 3)):
        grid = cell["grid"] | {"steps": steps}
        [there] = bench.sweep(grid, results=cell["results"], executor=cluster.executor, keep_states=states)
        [local] = bench.sweep(grid, **here, keep_states=states)
        assert same(local, there)
        assert there["seconds"]["total"] > 0
    kept = [Store(tmp_path / name).states.steps(there["id"]) for name in ("here", "there")]
    assert kept[0] == kept[1] != []


def test_a_stop_cancels_what_is_out_and_leaves_the_workers_free(cluster: Cluster, tmp_path: Path) -> None:
    cluster.workers(2)
    endless = {"encoder": "onehot", "learner": MLP, "modulus": 5, "steps": 10**8, "seeds": 2}
    began: list[int] = []

    def watch(runs: dask.Dask, record: Record | None) -> None:
        busy = [slot for slot in runs.slots if slot.has_begun]
        if len(busy) == 2:
            began.append(len(busy))
            runs.channel.request_stop()

    where: dict[str, Any] = {"results": tmp_path, "executor": cluster.executor}
    assert list(bench.sweep(endless, **where, display=watched(watch))) == []
    assert began[0] == 2
    short = {"encoder": "onehot", "learner": "ridge", "modulus": 5, "seeds": 40}
    assert len(list(bench.sweep(short, **where))) == 40


def test_what_a_command_says_of_a_worker_that_lacks_a_plugin(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Finished]
) -> None:
    (tmp_path / "mine.py").write_text("from encoders import OneHot\n\nclass Mine(OneHot):\n    version = 3\n")
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mod97.encoders]\nmine = mine:Mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with fresh_listings():
        assert passport()["the encoder 'mine'"] == "of mine 1.0, version 3"
        where = ("--results", tmp_path / "r", "--executor", "dask", "--scheduler", cluster.address, "--quiet")
        done = command("sweep", "--encoder", "onehot", "--learner", "ridge", "--modulus", "5", *where)
    assert done.code == 2
    assert done.error.startswith("The worker tcp://127.0.0.1:")
    assert done.error.endswith(" lacks the encoder 'mine': nothing was sent.")
    assert Store(tmp_path / "r").ids() == []


@contextmanager
def fresh_listings() -> Iterator[None]:
    """A block in which plugins are listed anew, as afterwards."""
    for cached in (registry.listings, passport):
        cached.cache_clear()
    try:
        yield
    finally:
        for cached in (registry.listings, passport):
            cached.cache_clear()


@pytest.mark.usefixtures("inline")
def test_overhead_is_measured_on_cells_of_which_both_places_tell_the_same(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_overhead, "CELL", {"encoder": "onehot", "learner": "mlp", "modulus": 5})
    options = Namespace(cells=4, seconds=0.01, workers=1, blocks=2)
    found = list(dask_overhead.measured(options, cluster.address, cluster.processes["scheduler"].pid))
    assert [(one["cells"], one["differ"]) for one in found] == [(2, 0)] * 2
    assert all(one["local"] > 0 < one["dask"] for one in found)


def test_a_recipe_runs_on_workers(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    done = bench.reproduce(tmp_path / "small.yaml", quick=True, results=tmp_path / "results", executor=cluster.executor)
    assert done.whole
    assert [len(records) for records in done.records.values()] == [2, 2]


def test_a_scheduler_that_is_killed_loses_nothing_and_the_same_call_goes_on(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    grid = {"encoder": "onehot", "learner": MLP, "modulus": 5, "steps": 2, "seeds": 40}
    kept: list[str] = []
    port = int(cluster.address.rpartition(":")[2])

    def watch(runs: dask.Dask, record: Record | None) -> None:
        if record is not None:
            kept.append(record["id"])
            if "scheduler" in cluster.processes:
                cluster.kill("scheduler")

    where: dict[str, Any] = {"results": tmp_path, "executor": cluster.executor}
    with pytest.raises(BenchError, match=r"is gone\. What came back is kept; the same command goes on") as raised:
        bench.sweep(grid, **where, display=watched(watch))
    assert raised.value.exit_code == 1
    assert "\n" not in str(raised.value)
    assert (capfd.readouterr().err, caplog.records) == ("", [])
    assert 0 < len(kept) < 40
    assert set(kept) <= set(Store(tmp_path).ids())
    for name in list(cluster.processes):  # workers without a scheduler, which are going to end
        cluster.kill(name)
    cluster.start_scheduler(port)
    cluster.workers(1)
    before = {id: Store(tmp_path).path(id).stat().st_mtime_ns for id in kept}
    assert len(list(bench.sweep(grid, **where))) == 40
    assert before == {id: Store(tmp_path).path(id).stat().st_mtime_ns for id in kept}


# Without a cluster


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_no_scheduler_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Finished]
) -> None:
    monkeypatch.setattr("bench.executors.dask_client.CONNECT", 0.2)
    address = f"tcp://127.0.0.1:{free_port()}"
    for name, more in (("sweep", ()), ("tune", ("--trials", "2", "--objective", "accuracy"))):
        cell = ("--encoder", "onehot", "--learner", "ridge", "--modulus", "5", "--results", tmp_path / "r")
        done = command(name, *cell, *more, "--executor", "dask", "--scheduler", address, "--quiet")
        assert (done.code, done.error) == (2, f"--scheduler {address}: there is no scheduler of Dask.")


@pytest.mark.parametrize("address", ["foo", "tcp://127.0.0.1:abc", "tls://127.0.0.1:1"])
def test_a_wrong_address_leaves_no_client_that_waits(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    monkeypatch.setattr(pytest.importorskip("distributed").Client, "close", lambda self, **_: closed.append(self))
    with pytest.raises(RequestError, match="there is no scheduler of Dask"), dask_client.connected(address):
        pass
    gc.collect()
    assert not closed


def test_an_address_is_of_an_executor_that_has_one() -> None:
    with pytest.raises(RequestError, match="`executor` dask needs `scheduler`"):
        executor_class("dask")
    with pytest.raises(RequestError, match="`scheduler` does not apply to `executor` local, got 'tcp://1'"):
        executor_class("local:tcp://1")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, None),
        ({"torch": None}, "lacks torch"),
        ({"numpy": "1.0"}, rf"has numpy 1\.0, and this machine {np.__version__}"),
        ({"the learner 'ridge'": None}, "lacks the learner 'ridge'"),
        ({"the learner 'theirs'": "of theirs 1.0"}, None),
        ({SOURCE: "0"}, f"has {SOURCE} 0, and this machine {passport()[SOURCE]}"),
    ],
)
def test_what_differs_of_two_machines_is_named(there: dict[str, str | None], said: str | None) -> None:
    found = difference(passport(), {**passport(), **there})
    assert found is None if said is None else re.fullmatch(said, found or "")


def test_a_build_of_pytorch_may_differ() -> None:
    assert "+" not in (passport()["torch"] or "")


WORKER: dict[str, Any] = {"nthreads": 1, "resources": {}}


@contextmanager
def meeting(found: dict[str, Any]) -> Iterator[dask.Dask]:
    """An executor for both devices that learns these passports of workers."""
    with open_channel() as channel:
        runs: Any = executor_class("dask:tcp://none:1")(["cuda:0", "cuda:1", "cpu"], channel)
        runs.client = SimpleNamespace(run=lambda *_, workers, **__: {one: found[one] for one in workers})
        runs.pool = _ThisProcess()
        yield runs


def test_workers_that_join_later_are_checked_too() -> None:
    found = {
        "a": passport(),
        "b": {**passport(), "torch": "1.0"},
        "c": passport(),
        "d": ModuleNotFoundError("No bench"),
    }
    with meeting(found) as runs:
        runs._admit({"a": WORKER})
        more = {"a": WORKER, "b": WORKER, "c": WORKER | {"nthreads": 4}, "d": WORKER}
        with pytest.warns(Notice) as told:
            runs._admit(more)
        runs._admit(more)  # which says nothing again
        assert [slot.address for slot in runs.slots] == ["a", "a"]
    assert [str(one.message).partition(": it ")[2] for one in told] == [
        f"has torch 1.0, and this machine {passport()['torch']}.",
        "runs 4 jobs at a time, where results need one: start it with --nthreads 1.",
        "cannot run mod97: No bench.",
    ]


def test_workers_that_do_not_answer_get_no_jobs_and_later_ones_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "PATIENCE", -1.0)
    with meeting({"b": passport()}) as runs:
        answering, runs.pool = runs.pool, SimpleNamespace(submit=lambda call: Future())
        with pytest.warns(Notice, match="No answer within a minute from the workers a: they get no jobs"):
            runs._admit({"a": WORKER})
        runs.pool = answering
        runs._admit({"a": WORKER, "b": WORKER})
        assert [slot.address for slot in runs.slots] == ["b", "b"]


def test_the_first_worker_that_is_not_fit_is_an_error_before_anything_is_sent() -> None:
    with meeting({"a": {**passport(), "python": "2.7"}}) as runs, pytest.raises(RequestError, match="nothing was sent"):
        runs._admit({"a": WORKER})


class Sent:
    """Dask's future of a job that was sent."""

    def __init__(self, how: dict[str, Any]) -> None:
        self.how, self.is_over = how, False

    def done(self) -> bool:
        return self.is_over

    def result(self) -> list[Any]:
        return []

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        self.call = call

    def end(self) -> None:
        self.is_over = True
        self.call(self)


def job(device: str = "cpu") -> Job:
    plan = bench.plan(encoder="onehot", learner="ridge", modulus=5, results=None)
    return Job((WorkUnit(plan.spec(0), Budget(0)),), device)


@contextmanager
def workers(found: dict[str, Any]) -> Iterator[tuple[dask.Dask, list[Sent]]]:
    """An executor with these workers, whose jobs go nowhere, and what is sent."""
    sent: list[Sent] = []
    with meeting(dict.fromkeys(found, passport())) as runs:
        runs._admit(found)
        runs.client.submit = lambda *_, **how: sent.append(Sent(how)) or sent[-1]
        yield runs, sent


def test_a_worker_with_a_gpu_takes_one_job_that_needs_it_at_a_time() -> None:
    with workers({"a": WORKER, "b": WORKER | {"resources": {"GPU": 1.0}}}) as (runs, sent):
        assert [slot.devices for slot in runs.slots] == [("cpu",)] * 2 + [("cuda", "cpu")] * 2
        for slot, device in zip(runs.slots[::2], ("cpu", "cuda"), strict=True):
            slot.start(job(device), runs.channel)
    assert [(one.how["workers"], one.how["resources"]) for one in sent] == [(["a"], None), (["b"], {"GPU": 1})]


def test_jobs_that_no_worker_takes_are_told_of() -> None:
    with workers({"a": WORKER}) as (runs, _):
        runs.again.append(job("cuda"))
        with pytest.warns(Notice, match="No worker at tcp://none:1 takes jobs for cuda: they wait for one"):
            runs._tell_what_waits({"a": WORKER})
        runs._tell_what_waits({"a": WORKER, "b": WORKER})  # of which one is not checked yet


def test_a_worker_keeps_the_last_checkpoint_alone() -> None:
    store, [record] = MemoryStore(), bench.run(encoder="onehot", learner="ridge", modulus=5, results=None)
    for step in (1, 2):
        made: Any = {**record, "final": {**record["final"], "step": step}}
        assert store.keep_all([(made, {"w": np.zeros(2)})]) == [None]
    assert store.checkpoints.steps(record["id"]) == [2]
    store.keep_all([(made, {})])
    assert store.checkpoints.steps(record["id"]) == []


def test_a_short_job_is_sent_ahead_where_no_worker_is_idle() -> None:
    with workers({"a": WORKER, "b": WORKER}) as (runs, sent):
        one, second, other, fourth = runs.slots
        one.start(job(), runs.channel)
        assert [slot.is_free for slot in runs.slots] == [False, False, True, True]
        other.start(job(), runs.channel)
        assert not second.is_free  # nobody knows yet how long jobs are
        sent[0].end()
        one.future = None
        one.start(job(), runs.channel)
        assert [slot.is_free for slot in runs.slots] == [False, True, False, False]
        second.start(job(), runs.channel)
        assert (one.has_run, second.has_run) == (True, False)
        runs.took["b"] = 3600.0
        assert not fourth.is_free
        sent[2].end()
        assert second.has_run  # it was not seen to begin, but nothing was before it


def test_devices_are_those_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = WORKER | {"resources": {"GPU": 1.0}}
    grid = {"encoder": "onehot", "learner": "quadratic", "modulus": 5, "seeds": 100}
    for workers, expected in (({}, ["cpu"]), ({"a": WORKER, "b": WORKER}, ["cpu"] * 2), ({"a": gpu}, ["cuda"])):
        monkeypatch.setattr(dask.Dask, "_first_workers", classmethod(lambda cls, workers=workers: workers))
        assert plan_sweep(grid, executor="dask:a").worker_devices(len(workers) or 1) == expected
        assert {entry.device for entry in plan_sweep(grid, executor="dask:a", device="cuda").entries} == {"cuda"}
    with pytest.raises(RequestError, match="must be auto, cpu or cuda where each worker has one GPU, got cuda:1"):
        plan_sweep(grid, executor="dask:a", device="cuda:1")


def test_a_round_is_divided_alike_whatever_workers_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dask.Dask, "_first_workers", classmethod(lambda cls: {"a": WORKER}))
    request: dict[str, Any] = TUNE | {"learner": "quadratic", "results": tmp_path, "executor": "dask:a"}
    assert [plan_tune(**request).parts(jobs) for jobs in (None, 3)] == [["cpu"] * 8, ["cpu"] * 3]
    assert [plan_tune(**request, device="cuda").parts(jobs) for jobs in (None, 3)] == [["cuda"], ["cuda"] * 3]


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_a_round_draws_does_not_depend_on_which_trial_was_told_first(name: str) -> None:
    """A round begins when the last one is over, so that faster workers change nothing."""

    def second_round(order: int) -> list[dict[str, Any]]:
        study = optuna.create_study()
        study.sampler = make_sampler(name, (1, 0), at_once=12)
        trials = [study.ask() for _ in range(12)]
        values = {one: one.suggest_float("x", 0.0, 1.0) + one.suggest_float("y", 0.0, 1.0) for one in trials}
        for one in trials[::order]:
            study.tell(one, round(values[one], 1))  # some are equal
        study.sampler = make_sampler(name, (1, 12), at_once=12)
        more = [study.ask() for _ in range(3)]
        return [{key: one.suggest_float(key, 0.0, 1.0) for key in "xy"} for one in more]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert second_round(1) == second_round(-1)


class Halved:
    """A queue that remembers what it was to halve."""

    def __init__(self) -> None:
        self.asked: list[Job] = []

    def requeue_halves(self, job: Job) -> bool:
        self.asked.append(job)
        return len(job.units) > 1


def test_a_job_that_loses_worker_after_worker_is_halved_and_its_last_cell_fails() -> None:
    planned = bench.plan(encoder="onehot", learner="ridge", modulus=5, seeds=2, results=None)
    both = Job(tuple(WorkUnit(planned.spec(index), Budget(0)) for index in range(2)))
    with meeting({}) as runs:
        queue: Any = Halved()
        error = runs.loss(CancelledError())
        assert error is not None
        assert runs.loss(ValueError("of the job itself")) is None
        for _ in range(3):
            assert runs._lost(both, queue, error) is None
            assert runs._lost(both, queue, error, has_run=False) is None  # it waited behind another one
            assert runs.again.pop() is runs.again.pop() is both
        assert runs._lost(both, queue, error) == []
        assert queue.asked == [both]
        [result] = runs._lost(replace(both, units=both.units[:1]), queue, error) or []
        assert result.record["status"] == "failed"
        assert "lost again and again" in str(result.record["error"])


def test_a_worker_that_overruns_is_started_again_and_one_that_lost_its_job_is_checked_anew() -> None:
    ended, cancelled = list[list[str]](), list[Any]()
    with workers({"a": WORKER, "b": WORKER}) as (runs, sent):
        runs.client.restart_workers = lambda addresses, **_: ended.append(addresses)
        runs.client.cancel = lambda some, force: cancelled.extend(some)
        runs.client.status = "running"
        late, behind, lost, _ = runs.slots
        late.start(job(), runs.channel)
        behind.start(job(), runs.channel)
        lost.future = Future()
        lost.future.set_exception(CancelledError())
        for slot in (late, lost):
            slot.end()
        assert ended == [["a"]]
        assert cancelled == sent
        sent[0].end()  # too late: nothing of it is stored
        assert not late.expected
        assert late.future is not None
        assert not late.future.done()
        assert [slot.devices for slot in runs.slots] == [()] * 4
        assert runs.known == {"a"}
