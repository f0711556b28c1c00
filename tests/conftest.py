"""What several tests share."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from bench.cli import _exit_code

os.environ.pop("COLUMNS", None)  # pytest-xdist gives its workers the width of its own terminal; a pipe has none


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
        code = _exit_code([str(a) for a in arguments])
        return Finished(code, *capsys.readouterr())

    return call


SMALL = ("--learner", "mlp", "--set", "learner.hidden_layer_sizes=24", "--modulus", "7")
"""A learner and a task that train in milliseconds."""
