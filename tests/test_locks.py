"""Locks on files: they exclude other processes and end with the process that holds them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import PATIENCE
from filelock import Timeout

from bench.results.locks import exclusive, is_locked, share

HOLDER = """
import sys, time
from pathlib import Path
from bench.results.locks import exclusive, share
path = Path(sys.argv[1])
lock = exclusive(path).acquire() if sys.argv[2] == "exclusive" else share(file := path.open("r"))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock."""
    path.touch()
    command = [sys.executable, "-c", HOLDER, str(path), kind]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("kind", ["exclusive", "shared"])
def test_a_lock_excludes_another_process_until_that_is_killed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock"
    with holder(path, kind) as process:
        assert is_locked(path)
        with pytest.raises(Timeout):
            exclusive(path).acquire(blocking=False)
        process.kill()
        process.wait(PATIENCE)
        assert not is_locked(path)
        with exclusive(path).acquire(timeout=PATIENCE):
            assert is_locked(path)
    assert not is_locked(path)


def test_a_lock_that_is_waited_for_is_taken_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path, "exclusive") as first:
        command = [sys.executable, "-c", HOLDER, str(path), "exclusive"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
            first.kill()
            assert second.stdout is not None
            assert second.stdout.readline() == "held\n"
            assert is_locked(path)
            second.kill()


def test_shared_locks_do_not_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path, "shared"), path.open("r") as file:
        share(file)
    assert not is_locked(path)


def test_asking_for_a_lock_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    assert not list(tmp_path.iterdir())


def test_a_lock_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(OSError, match="directory"), exclusive(tmp_path / "lock"):
        pass


def test_the_lock_of_a_path_keeps_its_file(tmp_path: Path) -> None:
    """Processes that wait would otherwise lock files of different inodes."""
    (tmp_path / "lock").write_text("content")
    with exclusive(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == "content"
