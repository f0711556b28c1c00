"""Storages of studies: locks that end with their process, orphans, and passwords that nobody sees."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import sqlalchemy
from conftest import PATIENCE, Finished, wait_until

from bench.errors import Notice, RequestError, StoreError
from bench.tuning.storage.journal import JournalLock, batch_writes
from bench.tuning.storage.open import close_storage, default_url, open_storage, shown_url
from bench.tuning.storage.ownership import owner_of

Command = Callable[..., Finished]


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)
        yield
    optuna.logging.set_verbosity(before)


def python(program: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True, **options
    )


# The lock of a journal

WRITES = """
import optuna
from bench.tuning.storage.open import default_url, open_storage
optuna.create_study(study_name="one", storage=open_storage(default_url("results")))
"""


def test_a_link_that_an_older_lock_left_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "studies.journal.lock").symlink_to("results/studies.journal")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = python(WRITES, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    try:
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
    assert optuna.get_all_study_names(open_storage(default_url(tmp_path / "results"))) == ["one"]


def test_a_journal_stays_the_same_where_the_folder_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_storage(default_url("."))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    optuna.create_study(study_name="one", storage=storage)
    assert not list((tmp_path / "elsewhere").iterdir())


COUNTS = """
import sys, threading, time
from pathlib import Path
from bench.tuning.storage.journal import JournalLock
folder, lock = Path(sys.argv[1]), JournalLock(Path(sys.argv[1]) / "journal")
def count():
    for _ in range(20):
        lock.acquire()
        value = int((folder / "count").read_text())
        time.sleep(0.001)
        (folder / "count").write_text(str(value + 1))
        lock.release()
threads = [threading.Thread(target=count) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_a_block_of_values_reaches_the_journal_as_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "studies.journal"
    storage = open_storage(f"journal:///{path}")
    study = optuna.create_study(storage=storage, study_name="one")
    trial = study.ask()
    synchronized = []
    monkeypatch.setattr(os, "fsync", lambda file: synchronized.append(path.read_bytes().count(b"\n")))
    before = path.read_bytes().count(b"\n")
    other = threading.Thread(target=study.set_user_attr, args=("other", 1))
    with batch_writes(storage):
        for step in range(100):
            trial.report(step / 100, step)
        other.start()
        other.join()  # another thread's line does not wait for this one's block
        assert path.read_bytes().count(b"\n") == before + 1
    study.tell(trial, 1.0)
    assert synchronized == [before + 1, before + 101, before + 102]
    [seen] = optuna.load_study(storage=open_storage(f"journal:///{path}"), study_name="one").trials
    assert seen.intermediate_values == {step: step / 100 for step in range(100)}
    with pytest.raises(KeyboardInterrupt):  # what was written before Ctrl-C stays written
        _write_and_stop(study)
    assert study.user_attrs == {"other": 1, "before": 2}


def _write_and_stop(study: optuna.Study) -> None:
    with batch_writes(study._storage):
        study.set_user_attr("before", 2)
        raise KeyboardInterrupt


def _report(study: optuna.Study, trial: optuna.Trial) -> None:
    with batch_writes(study._storage):
        for step in range(5):
            trial.report(0.5, step)


def test_values_that_come_too_late_are_said_once(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path / 'studies.journal'}"
    study = optuna.create_study(storage=open_storage(url), study_name="one")
    trial = study.ask()
    elsewhere = optuna.load_study(storage=open_storage(url), study_name="one")
    elsewhere.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        _report(study, trial)
    study.set_user_attr("on", True)
    assert study.user_attrs == {"on": True}
    [seen] = optuna.load_study(storage=open_storage(url), study_name="one").trials
    assert seen.state == optuna.trial.TrialState.FAIL
    assert not seen.intermediate_values


def test_an_interrupted_block_leaves_no_late_lines_behind(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path / 'studies.journal'}"
    study = optuna.create_study(storage=open_storage(url), study_name="one")
    trial = study.ask()
    optuna.load_study(storage=open_storage(url), study_name="one").tell(
        trial.number, state=optuna.trial.TrialState.FAIL
    )
    with pytest.raises(KeyboardInterrupt):
        _report_and_stop(study, trial)
    assert len(study.get_trials()) == 1


def _report_and_stop(study: optuna.Study, trial: optuna.Trial) -> None:
    with batch_writes(study._storage), batch_writes(study._storage):  # a block in another one is part of that
        for step in range(3):
            trial.report(0.5, step)
        raise KeyboardInterrupt


def test_a_database_takes_values_one_by_one(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    study = optuna.create_study(storage=storage, study_name="one")
    trial = study.ask()
    with batch_writes(study._storage):
        trial.report(0.5, 1)
        assert study.trials[0].intermediate_values == {1: 0.5}
    close_storage(storage)


def test_one_thread_of_one_process_writes_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    processes = [python(COUNTS, tmp_path) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=PATIENCE)
    assert (tmp_path / "count").read_text() == "120"


HOLDS = """
import sys, time
from pathlib import Path
from bench.tuning.storage.journal import JournalLock
lock = JournalLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(3600)
"""


def test_a_lock_ends_with_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, lock = python(HOLDS, tmp_path / "journal"), JournalLock(tmp_path / "journal")
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        monkeypatch.setattr("bench.tuning.storage.journal.LOCKED", 0.1)
        with pytest.raises(StoreError, match=r"has been locked by another process"):
            lock.acquire()
    finally:
        process.kill()  # as `kill -9` does
        process.communicate()
    assert lock.acquire()
    lock.release()


def test_a_thread_that_was_interrupted_before_it_could_release_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.tuning.storage.journal.LOCKED", 0.1)
    lock, refused = JournalLock(tmp_path / "journal"), []
    lock.acquire()
    lock.acquire()

    def other() -> None:
        with pytest.raises(StoreError) as error:
            lock.acquire()
        refused.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(PATIENCE)
    assert len(refused) == 1
    lock.release()
    free = JournalLock(tmp_path / "journal")
    assert free.acquire()
    free.release()


def test_signals_are_heard_while_a_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, heard = JournalLock(tmp_path / "journal"), []
    held.acquire()

    def handle(number: int, frame: Any) -> None:
        heard.append(number)
        held.release()

    before = signal.signal(signal.SIGTERM, handle)
    waiting = JournalLock(tmp_path / "journal")
    pause, pauses = time.sleep, []

    def pausing(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        pause(seconds)

    monkeypatch.setattr("bench.tuning.storage.journal.time", SimpleNamespace(sleep=pausing, monotonic=time.monotonic))
    monkeypatch.setattr("bench.tuning.storage.journal.LOCKED", PATIENCE)
    try:
        waiting.acquire()
        waiting.release()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


@pytest.mark.parametrize("half", ['{"op_code":3,"worker_id":"a","study_id":0,"system_attr":{"x": "', '{"op'])
def test_half_a_line_of_a_dead_writer_is_removed(half: str, tmp_path: Path) -> None:
    url, path = default_url(tmp_path), tmp_path / "studies.journal"
    study = optuna.create_study(study_name="one", storage=open_storage(url))
    with path.open("a") as file:
        file.write(half)
    with pytest.warns(Notice, match=r"a copy is kept as studies.journal.aside-0"):
        study.set_user_attr("after", 1)
    assert (tmp_path / "studies.journal.aside-0").read_text().endswith(half)
    again = optuna.load_study(study_name="one", storage=open_storage(url))
    again.set_user_attr("later", 2)
    assert study.user_attrs == again.user_attrs == {"after": 1, "later": 2}


@pytest.mark.parametrize("text", ["a line without an end", "one\ntwo", "one\ntwo\n"])
def test_what_is_no_journal_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(text)
    with pytest.raises(RequestError, match=r"is no journal of Optuna's"):
        open_storage(f"journal:///{tmp_path}/notes.txt")
    assert (tmp_path / "notes.txt").read_text() == text


# Who works on which trial


def in_sqlite(tmp_path: Path, results: str) -> tuple[Any, Any, Any]:
    """A process that works on a study in a database: the study, its storage and the process."""
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    storage = open_storage(url)
    study = optuna.create_study(study_name="one", storage=storage, load_if_exists=True)
    (tmp_path / results).mkdir(exist_ok=True)
    return study, storage, owner_of(study, storage, url, tmp_path / results)


def test_a_trial_without_a_heartbeat_is_an_orphan_to_whoever_asks(tmp_path: Path) -> None:
    study, storage, owner = in_sqlite(tmp_path, "here")
    theirs, their_storage, other = in_sqlite(tmp_path, "there")
    study.ask()  # and killed before it took it
    with other.turn():
        alive = theirs.ask()
        other.claim(alive)
    with owner.turn():
        owner.fail_orphans()
        mine = study.ask()
        owner.claim(mine)
        owner.fail_orphans()
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "RUNNING", "RUNNING"]
    assert study.get_trials()[0].user_attrs == {"status": "orphaned"}
    for one in (owner, other):
        one.close()
    for one in (storage, their_storage):
        close_storage(one)


def test_processes_of_one_database_ask_in_turns_whatever_their_results_folders(tmp_path: Path) -> None:
    study, storage, owner = in_sqlite(tmp_path, "here")
    theirs, their_storage, other = in_sqlite(tmp_path, "there")
    asked, looks = threading.Event(), list[None]()

    def waiting() -> bool:
        looks.append(None)
        return False

    def ask() -> None:
        with other.turn(waiting):
            other.fail_orphans()
            asked.set()

    with owner.turn():
        thread = threading.Thread(target=ask)
        thread.start()
        trial = study.ask()
        wait_until(lambda: len(looks) > 3)
        assert not asked.is_set()
        owner.claim(trial)
    thread.join(PATIENCE)
    assert asked.is_set()
    assert [trial.state.name for trial in theirs.get_trials()] == ["RUNNING"]
    for one in (owner, other):
        one.close()
    for one in (storage, their_storage):
        close_storage(one)


# What is shown of a URL


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://u:secret@h/x", "postgresql+psycopg://u:***@h/x"),
        ("postgresql+psycopg//u:secret@h/x", "postgresql+psycopg//***@h/x"),
        ("postgresql+psycopg:u:secret@h/x", "***@h/x"),
        ("u:secret@h/x", "***@h/x"),
        ("u:se//cret@h/x", "***@h/x"),
        ("postgresql://u:secret@h:port/x", "postgresql://***@h:port/x"),
        ("postgresql://u:secret", "postgresql://u:***"),
        ("postgresql://u:se@cret@h/x", "postgresql://u:***@h/x"),
        ("postgresql://u@h/x?password=secret&sslmode=require", "postgresql://u@h/x?password=***&sslmode=require"),
        ("postgresql://u@h/x?sslmode=require&pass%77ord=secret", "postgresql://u@h/x?password=***&sslmode=require"),
        ("mysql://h/x?passwd=secret", "mysql://h/x?passwd=***"),
        ("postgresql//h/x?password=secret", "postgresql//h/x?password=***"),
        ("sqlite:///studies.db", "sqlite:///studies.db"),
        ("journal:///results/a:b@c", "journal:///results/a:b@c"),
        ("nonsense", "nonsense"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg//u:secret@h/x",
        "postgresql+psycopg://u:secret",
        "postgresql+psycopg://u:p@secret@127.0.0.1/x",
        "postgresql+psycopg://127.0.0.1:1/x?password=secret",
    ],
)
def test_no_password_is_in_an_error(url: str, command: Command, tmp_path: Path) -> None:
    done = command("dashboard", "--results", tmp_path, "--storage", url)
    assert done.code == RequestError.exit_code
    assert "secret" not in done.error


@pytest.mark.parametrize("failures", [1, 4])
@pytest.mark.parametrize("words", ["table studies already exists", "database is locked"])
def test_tables_that_others_are_making_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, words: str
) -> None:
    """As where several processes open one new SQLite file in the same moment."""
    made, left, pauses = optuna.storages.RDBStorage, [failures], list[float]()

    def busy(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise sqlalchemy.exc.OperationalError("CREATE TABLE …", {}, sqlite3.OperationalError(words))
        return made(*args, **kwargs)

    monkeypatch.setattr(optuna.storages, "RDBStorage", busy)
    monkeypatch.setattr(time, "sleep", pauses.append)
    storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
    monkeypatch.setattr(optuna.storages, "RDBStorage", made)
    assert optuna.create_study(study_name="s", storage=storage).study_name == "s"
    assert len(pauses) == failures
    close_storage(storage)


def test_a_database_that_cannot_be_opened_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(RequestError, match="cannot be used: unable to open database file"):
        open_storage(f"sqlite:///{tmp_path}/nowhere/studies.db")
    assert not pauses
