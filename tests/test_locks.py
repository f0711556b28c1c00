"""Locks on files: they exclude other processes and end with the process that holds them, with flock and without."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import PATIENCE, wait_until
from filelock import SoftFileLease, Timeout

import bench
from bench.results import Lease, leased, locks, without_flock
from bench.results.locks import exclusive, is_locked, kind_of_locks, shared

HOLDER = """
import sys
from pathlib import Path
from bench.results.locks import exclusive, shared
path = Path(sys.argv[1])
with (exclusive if sys.argv[2] == "exclusive" else shared)(path):
    print("held", flush=True)
    sys.stdin.read()
"""
SYSTEMS = {
    "flock": "",
    "ENOSYS": "import errno, fcntl, os\ndef flock(*_): raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))\n"
    "fcntl.flock = flock",
    "ENOLCK": "import errno, fcntl, os\ndef flock(*_): raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))\n"
    "fcntl.flock = flock",
    "EACCES": "import errno, fcntl, os\ndef flock(*_): raise OSError(errno.EACCES, os.strerror(errno.EACCES))\n"
    "fcntl.flock = flock",
    "EPERM": "import errno, fcntl, os\ndef flock(*_): raise OSError(errno.EPERM, os.strerror(errno.EPERM))\n"
    "fcntl.flock = flock",
    "no fcntl": "import sys, warnings\nsys.modules['fcntl'] = None\nwarnings.simplefilter('ignore')",
}
"""What Python runs first: a file system that refuses locks, and a system without `fcntl`, as Windows."""


@pytest.fixture(params=SYSTEMS)
def system(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """This process and those that it starts run on such a system."""
    name: str = request.param
    monkeypatch.setattr(locks, "_with_flock", {})
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(SYSTEMS[name])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), *sys.path])))
    if name.startswith("E"):

        def flock(*_: object) -> None:
            raise OSError(getattr(errno, name), "refused")

        monkeypatch.setattr("fcntl.flock", flock)
    elif name == "no fcntl":
        monkeypatch.setattr(locks, "fcntl", None)
        monkeypatch.setattr(locks, "FileLock", locks.SoftFileLock)
        monkeypatch.setattr(locks, "lock_descriptor", refuse)
    return name


def refuse(*_: object, **__: object) -> bool:
    raise OSError(errno.ENOSYS, "fcntl is unavailable")


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


def test_a_lock_excludes_another_process_until_that_is_killed(tmp_path: Path, system: str) -> None:
    path = tmp_path / "lock"
    with holder(path, "exclusive") as process:
        assert is_locked(path)
        with pytest.raises(Timeout), exclusive(path, wait=False):
            pass
        process.kill()
        process.wait(PATIENCE)
        assert not is_locked(path)
        with exclusive(path):
            assert is_locked(path)
    assert not is_locked(path)


def test_a_shared_lock_is_held_until_its_last_process_is_killed(tmp_path: Path, system: str) -> None:
    path = tmp_path / "lock"
    with holder(path, "shared") as first, holder(path, "shared") as second:
        for process in (first, second):
            assert is_locked(path)
            process.kill()
            process.wait(PATIENCE)
    assert not is_locked(path)


def test_a_lock_that_is_waited_for_is_taken_when_it_is_free(tmp_path: Path, system: str) -> None:
    path = tmp_path / "lock"
    with holder(path, "exclusive") as first:
        command = [sys.executable, "-c", HOLDER, str(path), "exclusive"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
            first.kill()
            first.wait(PATIENCE)
            assert second.stdout is not None
            assert second.stdout.readline() == "held\n"
            assert is_locked(path)
            second.kill()


def test_what_a_killed_process_leased_is_free(tmp_path: Path, system: str) -> None:
    """For others at once, and a list that was left without its lock is free as well."""
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "123-abcdef01.json").write_text('["a"]')
    (tmp_path / "claims" / "123-abcdef01.lease").touch()
    code = f"import sys; from bench.results import Lease; lease = Lease({str(tmp_path)!r}); lease.take(['b']); "
    command = [sys.executable, "-c", f"{code} print('held', flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        mine = Lease(tmp_path)
        assert leased(tmp_path) == {"b"}
        assert mine.take(["a", "b"]) == {"a"}
        process.kill()
        process.wait(PATIENCE)
        assert mine.take(["b"]) == {"b"}
    mine.close()
    assert {path.name for path in (tmp_path / "claims").iterdir()} <= {".lock"}


def test_a_lock_of_another_machine_ends_without_signs_of_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SILENT", 0.2)
    path = tmp_path / "lock"
    path.touch()
    with suppress(KeyError), SoftFileLease(tmp_path / "lock.owner", lease_duration=0.2, heartbeat_interval=0.1):
        text = (tmp_path / "lock.owner").read_text().splitlines()
        assert is_locked(path)
        raise KeyError
    of_another = [line for line in text if not line.startswith("start=")]
    of_another = ["host=elsewhere" if line.startswith("host=") else line for line in of_another]
    (tmp_path / "lock.owner").write_text("\n".join(of_another) + "\n")
    assert is_locked(path)
    wait_until(lambda: not is_locked(path))
    with without_flock(path, 0):
        assert is_locked(path)


def test_a_lock_that_others_may_only_read_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a lease of another user."""
    path, open_file = tmp_path / "lock", os.open

    def denied(path: Path, flags: int, *mode: int) -> int:
        if flags != os.O_RDONLY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, flags, *mode)

    with holder(path, "shared"), monkeypatch.context() as patch:
        patch.setattr(locks.os, "open", denied)
        assert is_locked(path)


def test_shared_locks_do_not_exclude_each_other(tmp_path: Path, system: str) -> None:
    path = tmp_path / "lock"
    with holder(path, "shared"), shared(path), shared(path):  # a job in the main process
        pass
    assert not is_locked(path)


def test_asking_for_a_lock_makes_no_file(tmp_path: Path, system: str) -> None:
    assert not is_locked(tmp_path / "lock")
    assert not list(tmp_path.iterdir())


def test_a_lock_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(OSError, match="directory"), exclusive(tmp_path / "lock"):
        pass


def test_the_lock_of_a_path_keeps_its_file(tmp_path: Path, system: str) -> None:
    """Processes that wait would otherwise lock files of different inodes."""
    (tmp_path / "lock").write_text("content")
    with exclusive(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == "content"


@pytest.mark.parametrize("system", ["ENOLCK", "no fcntl"], indirect=True)
def test_runs_and_searches_keep_what_they_compute(tmp_path: Path, system: str) -> None:
    [record] = bench.run(encoder="phasor", learner="ridge", modulus=11, results=tmp_path)
    assert bench.run(encoder="phasor", learner="ridge", modulus=11, results=tmp_path) == [record]
    search = {"encoder": "onehot", "learner": "ridge", "modulus": 11, "objective": "accuracy", "results": tmp_path}
    found = bench.tune(**search, trials=2, jobs=1)
    assert found.trials == 2
    assert found.cells
    assert bench.tune(**search, trials=2, jobs=1).cells == found.cells
    assert "the file system has none" in kind_of_locks(tmp_path)
    assert {path.name for path in (tmp_path / "claims").iterdir()} <= {".lock"}
