"""Systems without what worker processes need, and signals: what is computed is kept."""

import errno
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PATIENCE, wait_until

import bench
from bench.errors import BenchError, Notice, StoreError
from bench.executors import lifetime, processes, warm
from bench.results import Store, files, status

GRID = {"encoder": ["onehot", "phasor"], "learner": "ridge", "modulus": 11, "seeds": 2}


@pytest.fixture
def no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refused)


@pytest.mark.usefixtures("no_shared_memory")
def test_without_shared_memory_jobs_run_in_this_process(tmp_path: Path) -> None:
    """A run, a sweep and a search alike."""
    with pytest.warns(Notice, match="shared memory"):
        records = list(bench.sweep(GRID, jobs=2, results=tmp_path))
    assert [record["status"] for record in records] == ["done"] * 4
    mlp = {"encoder": "onehot", "learner": "mlp", "modulus": 7, "steps": 3, "results": tmp_path}
    with pytest.warns(Notice, match="shared memory"):
        assert {record["status"] for record in bench.run(**mlp, seeds=2)} == {"done"}
    with pytest.warns(Notice, match="shared memory"):
        assert bench.tune(**mlp, objective="accuracy", trials=2).trials == 2


@pytest.mark.usefixtures("no_shared_memory")
def test_the_command_line_says_once_that_there_is_no_shared_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.cli._commands import exit_code

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as of the suite, or of a user
        options = ["--encoder", "onehot,phasor", "--learner", "ridge", "--modulus", "11", "--results", str(tmp_path)]
        assert exit_code(["sweep", *options]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "shared memory" in line]
    [line] = said
    assert line.startswith("Note: No worker process can be started here (for want of shared memory: No such file")


def test_where_the_system_starts_no_more_processes_jobs_run_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("bench.executors.warm.process", refused)
    with pytest.warns(Notice, match="Resource temporarily unavailable"):
        records = list(bench.sweep(GRID, jobs=2, results=tmp_path))
    assert [record["status"] for record in records] == ["done"] * 4


def test_processes_can_be_started_here() -> None:
    assert processes.why_none() is None


NAMES = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU", "SIGPWR")
ENDING = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


@pytest.fixture
def as_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the command line's."""
    monkeypatch.setattr(lifetime, "_own_process", threading.Event())
    lifetime.own_all_signals()


@pytest.mark.usefixtures("as_command")
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_asks_for_a_stop_and_ctrl_c_again_ends(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    written: list[bytes] = []
    monkeypatch.setattr(lifetime.os, "write", lambda descriptor, text: written.append(text))
    inherited = signal.getsignal(number)
    before = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    signal.signal(number, before)  # a job of a shell may have been told to ignore it
    try:
        with lifetime.graceful(lambda: asked.append(number)):
            os.kill(os.getpid(), number)
            assert asked == [number]
            assert written
            if number in lifetime.AT_ONCE:
                assert signal.getsignal(number) == before
            else:  # a terminal that closes sends it twice
                os.kill(os.getpid(), number)
                assert asked == [number] * 2
        assert signal.getsignal(number) == before
    finally:
        signal.signal(number, inherited)


def test_a_library_takes_no_signals_but_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that faulthandler has registered looks like none, and could not be given back."""
    monkeypatch.setattr(lifetime, "_own_process", threading.Event())  # another test may have run a command here
    with lifetime.graceful(lambda: None):
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_ctrl_c_again_ends_a_job_that_was_told_to_ignore_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with lifetime.graceful(lambda: None):
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("as_command")
def test_signals_that_the_caller_handles_or_ignores_stay_so() -> None:
    """As of nohup."""
    seen: list[int] = []
    before = [signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))]
    try:
        with lifetime.graceful(lambda: seen.append(2)):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGHUP, before[0])
        signal.signal(signal.SIGUSR1, before[1])
    assert seen == [1]


def test_a_closed_terminal_does_not_end_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise OSError(5, "Input/output error")

    asked: list[bool] = []
    monkeypatch.setattr(lifetime.os, "write", closed)
    with lifetime.graceful(lambda: asked.append(True)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert asked == [True]


def test_a_closed_terminal_keeps_what_a_sweep_has_done(tmp_path: Path) -> None:
    """All of its processes get a signal: each cell has a record to go on from, and nobody complains."""
    options = ["--encoder", "onehot", "--learner", "mlp", "--modulus", "31", "--steps", "1000000", "--seeds", "2"]
    command = [sys.executable, "-m", "bench", "sweep", *options, "--jobs", "2", "--results", str(tmp_path)]
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a suite that nohup has started ignores it
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        try:
            wait_until(lambda: "seed 0: step" in told(tmp_path) and "seed 1: step" in told(tmp_path))
            os.killpg(process.pid, signal.SIGHUP)
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in said
    records = [Store(tmp_path).read(id) for id in Store(tmp_path).ids()]
    assert [record["status"] for record in records if record] == ["interrupted"] * 2


def told(folder: Path) -> str:
    """What the processes say that work in a results folder."""
    return "\n".join(line for activity in status(folder) for line in activity.lines)


def test_a_search_whose_trials_all_diverged_leaves_the_vault_closed(tmp_path: Path) -> None:
    search = {"encoder": "onehot", "learner": "mlp", "modulus": 7, "steps": 5, "results": tmp_path}
    with pytest.raises(BenchError, match="2 trials diverged with every seed: there is no winner, and the vault stays"):
        bench.tune(**search, trials=2, fix={"learner.learning_rate_init": 1e300})
    assert Store(tmp_path).ids() == []


def test_who_waits_for_the_turn_of_another_process_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.tuning.storage import ownership

    said: list[str] = []
    monkeypatch.setattr(ownership, "LONG", 0.0)
    answers = iter([set(), set(), set(), {"turn"}])
    locks: Any = SimpleNamespace(take=lambda names: next(answers), release=lambda names: None)
    owner: Any = SimpleNamespace(prefix="", locks=locks)
    with ownership.Owner.turn(owner, waiting=lambda: said.append("waits")) as turn:
        assert turn
    assert said == ["waits"]


def test_a_sweep_goes_on_once_a_full_disk_has_space_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: None
) -> None:
    """Nothing that was stored is lost or computed twice."""
    grid, left, make = GRID | {"seeds": 10}, iter(range(12)), files.tempfile.mkstemp

    def until_full(*arguments: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return make(*arguments, **options)

    with monkeypatch.context() as full:
        full.setattr(files.tempfile, "mkstemp", until_full)
        for _ in range(2):
            with pytest.raises(StoreError, match="No space left on device"):
                bench.sweep(grid, jobs=1, results=tmp_path)
    store = Store(tmp_path)
    before = {id: store.path(id).stat().st_mtime_ns for id in store.ids()}
    assert 0 < len(before) < 20
    assert [record["status"] for record in bench.sweep(grid, jobs=1, results=tmp_path)] == ["done"] * 20
    assert {id: store.path(id).stat().st_mtime_ns for id in before} == before


def test_threads_that_start_processes_leave_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    entered = threading.Event()

    def other() -> None:
        with warm._outside_the_working_folder():
            entered.set()

    thread = threading.Thread(target=other)
    with warm._outside_the_working_folder():
        thread.start()
        assert not entered.wait(0.05)  # it takes its turn
        assert os.environ["PYTHONSAFEPATH"] == "1"
    thread.join(PATIENCE)
    assert entered.is_set()
    assert "PYTHONSAFEPATH" not in os.environ


def test_a_channel_lies_in_the_results_folder_where_there_is_no_place_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    [record] = bench.run(encoder="phasor", learner="ridge", modulus=7, results=tmp_path)
    assert record["status"] == "done"
    with pytest.raises(FileNotFoundError):
        bench.run(encoder="phasor", learner="ridge", modulus=7, results=None)
