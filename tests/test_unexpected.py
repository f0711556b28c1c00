"""Exceptions that no command expects: which are bugs of ours, and what is said of the others."""

import errno
import os
import re
import stat
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import torch

import bench.cli._status
from bench.cli._options import parse_value
from bench.cli._unexpected import described
from bench.errors import RequestError
from bench.specs import registry
from bench.specs.registry import Listing
from tests.conftest import Finished


@pytest.fixture
def failing(
    command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Finished]:
    """Run a command that raises an error, with a temporary folder of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def call(error: BaseException, *options: str) -> Finished:
        def status(folder: Any) -> None:
            raise error

        monkeypatch.setattr(bench.cli._status.results, "Store", status)
        return command("status", *options)

    return call


def test_a_bug_is_told_with_its_traceback_in_a_file(failing: Callable[..., Finished], tmp_path: Path) -> None:
    done = failing(KeyError("no\nsuch"))
    assert done.code == 1
    [file] = tmp_path.glob("mod97-traceback-*.txt")
    assert done.error == (
        "KeyError: 'no\\nsuch'. This is a bug in mod97: please report it with the output of `python -m bench doctor` "
        f"and the traceback in {str(file)!r}."
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith("Traceback (most recent call last):")
    assert "KeyError: 'no\\nsuch'" in file.read_text()


def test_the_file_is_named_however_long_the_message_is(failing: Callable[..., Finished]) -> None:
    assert Path(re.findall(r"traceback in '(.*)'\.$", failing(TypeError("x" * 5000)).error)[0]).exists()


def test_where_no_file_can_be_written_the_bug_is_told_without(
    failing: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent/folder")
    assert failing(TypeError("x")).error.endswith("with the output of `python -m bench doctor`.")


def test_debug_prints_the_traceback(failing: Callable[..., Finished], tmp_path: Path) -> None:
    done = failing(KeyError("x"), "--debug")
    assert done.err.startswith("Traceback (most recent call last):")
    assert done.err.splitlines()[-1].startswith("Error: KeyError: 'x'. This is a bug in mod97")
    assert not list(tmp_path.iterdir())


MORE_ROOM = "(what was stored before is kept; with more room, the same command goes on)"
NOT_OURS = [
    (OSError(errno.ENOSPC, "No space left on device", "/a/b"), f"'/a/b': No space left on device {MORE_ROOM}."),
    (OSError(errno.EROFS, "Read-only file system", b"/a"), "'/a': Read-only file system."),
    (OSError(errno.EIO, "Input/output error"), "The system refuses: Input/output error."),
    (
        OSError(errno.EMFILE, "Too many open files"),
        "The system refuses: Too many open files (`ulimit -n` raises the limit of this shell).",
    ),
    (PermissionError(errno.EACCES, "Permission denied", "x"), "'x': Permission denied."),
    (OSError("odd"), "The system refuses: odd."),
    (TimeoutError(), "The system refuses: TimeoutError."),
    (ModuleNotFoundError("No module named 'rich'", name="rich"), "The package 'rich' cannot be imported: No module"),
    (ImportError("libx.so: cannot open"), "A library cannot be imported: libx.so: cannot open."),
    (MemoryError(), "There is not enough memory. A smaller modulus, encoder, learner or --jobs needs less."),
    (MemoryError("Unable to allocate 7 GiB"), "There is not enough memory: Unable to allocate 7 GiB. A smaller"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "There is not enough memory: [Errno 12] Cannot allocate memory."),
    (torch.OutOfMemoryError("CUDA out of memory"), "There is not enough memory: CUDA out of memory."),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"), "There is not enough memory: Default"),
    (
        DeprecationWarning("old"),
        "test_unexpected warns, which PYTHONWARNINGS or -W makes an error: DeprecationWarning: old.",
    ),
    (sqlalchemy.exc.OperationalError("SELECT", {}, Exception("gone")), "The storage of studies fails: gone."),
]


@pytest.mark.parametrize(("error", "said"), NOT_OURS, ids=lambda one: type(one).__name__)
def test_what_is_no_bug_of_ours_is_told_in_one_line(
    failing: Callable[..., Finished], tmp_path: Path, error: Exception, said: str
) -> None:
    done = failing(error)
    assert done.code == 1
    assert done.error.startswith(said)
    assert not list(tmp_path.iterdir())


def test_an_import_that_fails_inside_is_a_bug(failing: Callable[..., Finished]) -> None:
    assert "bug in mod97" in failing(ImportError("cannot import name 'a' from 'bench.x'", name="bench.x")).error


def test_a_fault_of_a_plugin_is_told_as_one(failing: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("their_package.codes")
    exec("def check(error):\n    raise error\n", vars(module))
    listing = Listing("encoder", "theirs", "from their-distribution", None, "their_package.codes:Theirs", True)
    monkeypatch.setattr(registry, "listings", lambda kind: {"theirs": listing} if kind == "encoder" else {})
    error = ZeroDivisionError("division by zero")
    try:
        vars(module)["check"](error)
    except ZeroDivisionError as raised:
        error = raised
    assert failing(error).error == (
        "The encoder 'theirs' from their-distribution fails with ZeroDivisionError: division by zero. "
        "That is a fault of the plugin: its authors can mend it."
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--steps", "1e400"), "--steps must be an integer, got '1e400'."),
        (("--steps", "9" * 23), f"--steps must make at most 2⁵³ updates, got {'9' * 23}."),
        (("--epochs", str(2**53)), f"--epochs must make at most 2⁵³ updates, got {2**53}."),
        (("--seed", "9" * 23), f"--seed must be an integer in [0, 2³¹), got {'9' * 23}."),
        (("--seeds", "9" * 23), f"--seeds must be an integer in [1, 1,000,000], got {'9' * 23}."),
        (("--seconds", "1e400"), "--seconds must be a finite number above 0, got inf."),
        (
            ("--set", "encoder.n=1000000000", "--encoder", "cycle"),
            "The 'n' parameter of Cycle must be an integer in [1, 1,048,576], got n=1000000000.",
        ),
        (
            ("--set", "encoder.harmonics=1000000000", "--encoder", "fourier"),
            "The 'harmonics' parameter of Fourier must be an integer in [1, 1,048,576] or a tuple of integers ≥ 1, "
            "got harmonics=1000000000.",
        ),
    ],
)
def test_huge_numbers_are_refused_by_their_rule(
    command: Callable[..., Finished], tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = command("run", "--encoder", "onehot", "--learner", "mlp", "--results", tmp_path / "r", *options)
    assert (done.code, done.error) == (2, said)


def test_codes_that_are_larger_than_the_memory_are_not_begun(
    command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1_000, "SC_PAGE_SIZE": 4_096}.__getitem__)
    many = ("--set", "encoder.n_values=1000000", "--modulus", 11)
    done = command("run", "--encoder", "onehot", "--learner", "ridge", "--results", tmp_path / "r", *many)
    assert (done.code, done.error) == (
        1,
        "There is not enough memory: 11 codes of onehot with 1,000,000 features take 44 MB, this machine has 4.1 MB. "
        "A smaller modulus, encoder, learner or --jobs needs less.",
    )


@pytest.mark.parametrize("text", ["[" * 500 + "]" * 500, "(" * 200_000, "-" * 200_000 + "1", "9" * 5_000, "\\d", "1is"])
def test_values_that_python_does_not_read_stay_text(text: str) -> None:
    assert parse_value(text) == text


DEEP = "[" * 5_000 + "]" * 5_000
LAUGHS = "\n".join(
    ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    + [f"{b}: &{b} [{', '.join(['*' + a] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
)
GRIDS = [
    (f"encoder: {DEEP}", "is nested too deeply."),
    (LAUGHS, "is no YAML document, line 5: with its aliases written out, it has more than 100,000 values."),
    ("encoder: &a [*a]", "is no YAML document, line 1: an alias stands inside what it names."),
]


@pytest.mark.parametrize(("text", "said"), GRIDS, ids=["deep", "laughs", "itself"])
def test_grids_that_grow_when_they_are_read_are_refused(
    command: Callable[..., Finished], tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    assert command("sweep", path, "--results", tmp_path / "r").error == f"The grid {str(path)!r} {said}"


def test_a_number_beyond_all_floats_is_refused() -> None:
    with pytest.raises(RequestError, match="`seconds` must be a number"):
        bench.plan(encoder="onehot", learner="mlp", seconds=10**400, results=None)
    assert sys.get_int_max_str_digits() == 4300


def test_what_the_system_lacks_is_no_fault_of_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cli._unexpected._plugin", lambda error: "The learner 'theirs' from mine 1.0")
    assert described(MemoryError()).startswith("There is not enough memory")
    assert described(OSError(errno.ENOSPC, "No space left on device")).startswith("The system refuses: No space left")
    assert "a fault of the plugin" in described(ValueError("wrong"))


def test_a_file_of_the_user_that_is_no_python_is_named(tmp_path: Path) -> None:
    (tmp_path / "pytz.py").write_text("def\n")
    with pytest.raises(SyntaxError) as raised:
        compile((tmp_path / "pytz.py").read_text(), str(tmp_path / "pytz.py"), "exec")
    said = described(raised.value)
    assert said.startswith(f"{str(tmp_path / 'pytz.py')!r} is no Python")
    assert "bug" not in said


def test_a_pipe_that_breaks_elsewhere_is_told(
    monkeypatch: pytest.MonkeyPatch, command: Callable[..., Finished]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("bench.specs.checked_listings", broken)
    done = command("list")
    assert (done.code, done.error) == (1, "The system refuses: Broken pipe.")
