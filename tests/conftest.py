"""What several tests share."""

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest

from bench.cli._commands import exit_code

os.environ.pop("COLUMNS", None)  # pytest-xdist gives its workers the width of its own terminal; a pipe has none

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


SMALL = ("--learner", "mlp", "--set", "learner.hidden_layer_sizes=24", "--modulus", "7")
"""A learner and a task that train in milliseconds."""
