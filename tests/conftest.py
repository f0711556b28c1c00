"""What several tests share."""

import gc
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import optuna
import pytest

import bench
from bench.cli._commands import exit_code
from bench.executors.local import _ThisProcess
from bench.tuning.storage.open import default_url, open_storage

os.environ.pop("COLUMNS", None)  # pytest-xdist gives its workers the width of its own terminal; a pipe has none


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests, not garbage: nearly all that is made stays, and looking at it takes as long again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


PATIENCE = 300
"""Seconds after which a test gives up waiting for an event. No test passes or fails by how fast a machine is."""

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def wait_until(happened: Callable[[], Any]) -> None:
    """Wait for an event."""
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until, "what was waited for did not happen"
        time.sleep(0.02)


def read_until(process: "subprocess.Popen[str]", stream: Any, pattern: str) -> "re.Match[str]":
    """Read lines of a process until one of them matches."""
    limit = threading.Timer(PATIENCE, process.kill)
    limit.start()
    try:
        found = next(filter(None, (re.search(pattern, line) for line in stream)), None)
    finally:
        limit.cancel()
    assert found, f"it ended without a line like {pattern!r}"
    return found


class Finished:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """The document on stdout: exactly one."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line of an error, without its "Error: "."""
        [line] = self.err.splitlines()
        assert line.startswith("Error: ")
        return line.removeprefix("Error: ")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run the command line in this process."""

    def call(*arguments: object) -> Finished:
        capsys.readouterr()
        code = exit_code([str(a) for a in arguments])
        return Finished(code, *capsys.readouterr())

    return call


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run at once, in this process, where a worker process would take seconds to start."""
    monkeypatch.setattr("bench.executors.warm.process", lambda device: _ThisProcess())


INLINE = "from bench.executors import local, warm; warm.process = lambda device: local._ThisProcess()\n"
"""The same as `inline`, as the first line of a program that a test starts."""

AT_ONCE = f"""{INLINE}
import os, sys, time
from pathlib import Path
import sklearn.linear_model
from bench.cli import main

folder = Path(sys.argv.pop(1))
(folder / str(os.getpid())).touch()
until = time.monotonic() + {PATIENCE}
while len(list(folder.iterdir())) < 2 and time.monotonic() < until:
    time.sleep(0.01)
main()
"""


def two_at_once(folder: Path, *arguments: object) -> list[tuple[str, str]]:
    """Run a command twice at the same time; what each wrote to stdout and stderr.

    :param folder: in which the processes find each other, so that neither begins before the other is ready.
    """
    folder.mkdir()
    call = [sys.executable, "-c", AT_ONCE, str(folder), *map(str, arguments)]
    both = [subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=PATIENCE) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    return outputs


SMALL = ("--learner", "mlp", "--set", "learner.hidden_layer_sizes=24", "--modulus", "7")
"""A learner and a task that train in milliseconds."""


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of small runs: learners with steps and without, three tasks, two fractions, two studies."""
    folder = tmp_path_factory.mktemp("real") / "results"
    shared: dict[str, Any] = {"results": str(folder), "modulus": 7, "jobs": 1}
    small = {"encoder": "onehot", "learner": "quadratic", "settings": {"learner.width": 16}, "steps": 40}
    bench.run(**shared, **small, seeds=3)
    bench.run(**shared, **small, seeds=2, train_fraction=0.8)
    for task in ("add", "subtract", "multiply"):
        for encoder, learner in (("phasor", "ridge"), ("onehot", "knn"), ("onehot", "ridge")):
            bench.run(**shared, encoder=encoder, learner=learner, task=task, seeds=2)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _search(folder)
    optuna.logging.set_verbosity(before)
    return folder


def _search(folder: Path) -> None:
    """Two studies as `tune` keeps them: "one" of steps, "two" of accuracy and data."""
    storage = open_storage(default_url(folder))
    one = optuna.create_study(study_name="one", storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    one.set_user_attr("what", json.dumps({"unit": "steps"}))
    both = optuna.create_study(study_name="two", storage=storage, directions=["maximize", "minimize"])
    for number in range(21):
        trial = one.ask()
        rate, kind = (
            trial.suggest_float("lr", 1e-3, 1.0, log=True),
            trial.suggest_categorical("decay", ["to-init", None]),
        )
        trial.set_user_attr("steps", 40)
        if rate < 0.5:
            trial.set_user_attr("held_steps_to_99", 10.0)
        trial.report(rate**0.1, 10)
        trial.report(1 - rate / 10, 100)
        one.tell(trial, 100 * rate**0.5 + 10 * (kind is None))
        if number < 5:
            trial = both.ask()
            share = trial.suggest_float("train_fraction", 0.1, 0.9)
            both.tell(trial, [share**0.5, share])
