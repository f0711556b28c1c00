"""Where compiled programs are kept: a folder that cannot be used costs time alone."""

import errno
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from learners._fleet import cache_folder
from learners._fleet.compiler import Compiler


@pytest.fixture
def cache_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable names a folder, the home is `tmp_path/home`, and temporary files go to `tmp_path/tmp`."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME", "MOD97_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # so that what the code sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "var").mkdir()
    monkeypatch.setattr(cache_folder.tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(cache_folder, "TEMPORARY", (str(tmp_path / "var"),))
    return tmp_path


def chosen(monkeypatch: pytest.MonkeyPatch, **variables: object) -> Path:
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    cache_folder.keep_programs()
    folder = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    (folder / "kept").mkdir(parents=True)  # it can be written to
    return folder


def test_programs_are_kept_in_the_first_folder_that_is_named(
    cache_places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = cache_places
    assert chosen(monkeypatch) == places / "home" / ".cache" / "mod97" / "programs"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    assert chosen(monkeypatch, XDG_CACHE_HOME=places / "xdg") == places / "xdg" / "mod97" / "programs"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    assert chosen(monkeypatch, MOD97_CACHE_DIR=places / "own") == places / "own" / "programs"
    assert chosen(monkeypatch, TORCHINDUCTOR_CACHE_DIR=places / "mine") == places / "mine"


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME", "MOD97_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"])
@pytest.mark.parametrize("place", ["a file", "with space", "it's", '"', "füße", "$HOME;", "/proc"])
def test_a_cache_that_cannot_be_used_is_replaced(
    cache_places: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str
) -> None:
    if place == "a file":
        (cache_places / "file").touch()
    folder = Path(place) if place.startswith("/") else cache_places / ("file" if place == "a file" else place)
    found = chosen(monkeypatch, **{name: folder})
    usual = cache_places / "home" / ".cache" / "mod97"
    assert found == (temporary_cache(cache_places) if name == "HOME" else usual) / "programs"


def temporary_cache(places: Path) -> Path:
    return places / "tmp" / f"mod97-{os.getuid()}"


def test_without_a_home_programs_are_kept_in_a_private_temporary_folder(
    cache_places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a user without an entry in the list of users, which containers have."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert chosen(monkeypatch, XDG_CACHE_HOME="not/absolute") == temporary_cache(cache_places) / "programs"
    assert temporary_cache(cache_places).stat().st_mode & 0o777 == 0o700


def test_a_temporary_folder_that_others_may_write_to_holds_no_programs(
    cache_places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = temporary_cache(cache_places)
    folder.mkdir()
    folder.chmod(0o777)
    found = chosen(monkeypatch, HOME="/proc")
    assert found == cache_places / "var" / folder.name / "programs"


def test_where_no_file_can_be_written_compiling_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    tries = 0
    monkeypatch.setattr(torch, "compile", full)
    monkeypatch.setattr(Compiler, "broken", None)
    for factor in (2, 3):
        compiler, arguments = Compiler("cpu", lambda text: None), (torch.ones(2),)
        assert compiler(make_fx(partial(torch.mul, factor))(*arguments), arguments) is None
        assert "No space left on device" in str(compiler.notice)
    assert tries == 1
