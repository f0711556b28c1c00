"""Files of the user that bear the names of packages and modules which mod97 needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli._shadows import NEVER_IMPORTED, OTHERS, OURS
from bench.errors import RequestError, optional_package

ROOT = Path(__file__).parent.parent
MODULE = ("-m", "bench", "--version")
SCRIPT = ("-c", "import sys; sys.path.pop(0); sys.argv[1:] = ['--version']; from bench.cli import main; main()")
"""As the installed program, which looks into its own folder and not into the working folder."""
BROKEN = "raise RuntimeError('not meant to be imported')\n"


def started(
    folder: Path, *arguments: str, path: tuple[Path, ...] = (ROOT,), **environment: str
) -> "subprocess.CompletedProcess[str]":
    paths = os.pathsep.join(map(str, path))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(BROKEN)


@pytest.mark.parametrize(
    ("name", "found", "kind"),
    [
        ("torch.py", "torch.py", "package"),
        ("yaml/__init__.py", "yaml", "package"),
        ("encoders/__init__.py", "encoders", "package"),
        ("statistics.py", "statistics.py", "module"),
        ("typing.py", "typing.py", "module"),
        ("json/__init__.py", "json", "module"),
    ],
)
def test_what_stands_in_the_way_is_named_before_all_else(tmp_path: Path, name: str, found: str, kind: str) -> None:
    put(tmp_path, name)
    done = started(tmp_path, *MODULE)
    package = found.removesuffix(".py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: '{(tmp_path / found).resolve()}' stands in the way of the {kind} {package!r}, which mod97 needs: "
        "rename it, or run mod97 from another folder.\n"
    )


def test_a_link_in_the_working_folder_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "else.py").write_text(BROKEN)
    (tmp_path / "queue.py").symlink_to(tmp_path / "else.py")
    assert f"'{tmp_path.resolve() / 'queue.py'}' stands in the way" in started(tmp_path, *MODULE).stderr


def test_other_names_and_folders_of_data_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "tests/__init__.py", "docs/conf.py", "trace.py", "turtle.py", "my_numpy.py", "results/a.json")
    put(tmp_path, "time.py", "os.py")  # Python has these in itself
    for name in ("encoders", "torch", "plotly", "random"):
        (tmp_path / name).mkdir()
    done = started(tmp_path, *MODULE)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_installed_program_does_not_look_into_the_working_folder(tmp_path: Path) -> None:
    """Nor do its worker processes, and those that clean up after them."""
    put(tmp_path, "numpy.py", "bench.py", "queue.py", "encoders.py", "types.py", "signal.py")
    options = ["--encoder", "onehot,phasor", "--learner", "ridge", "--modulus", "7", "--jobs", "2"]
    sweep = SCRIPT[1].replace("['--version']", repr(["sweep", *options, "--results", str(tmp_path / "results")]))
    done = started(tmp_path, "-c", sweep)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_ones_own_bench_is_what_python_starts(tmp_path: Path) -> None:
    """Nothing of mod97 is loaded then: the documentation says that the installed program is the one to use."""
    (tmp_path / "bench.py").write_text("print('mine')\n")
    assert started(tmp_path, *MODULE).stdout == "mine\n"
    assert started(tmp_path, *SCRIPT).stdout.startswith("mod97")


def test_a_folder_of_the_path_counts_where_it_comes_first(tmp_path: Path) -> None:
    mine, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
    elsewhere.mkdir()
    put(mine, "click.py")
    first = started(elsewhere, *SCRIPT, path=(ROOT, mine))
    assert first.returncode == 2
    assert f"'{mine.resolve() / 'click.py'}' stands in the way of the package 'click'" in first.stderr
    put(mine, "encoders.py")
    (mine / "click.py").unlink()
    assert started(elsewhere, *SCRIPT, path=(ROOT, mine)).returncode == 0  # ours come first
    assert started(elsewhere, *SCRIPT, path=(mine, ROOT)).returncode == 2


def test_a_folder_that_packages_are_installed_into_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "statistics.py")  # nothing that --version needs
    (tmp_path / "anything-1.0.dist-info").mkdir()
    assert started(tmp_path, *MODULE).returncode == 0


def test_a_folder_of_data_is_no_optional_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nonesuch_frames").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RequestError, match=r"A table needs nonesuch-frames: pip install .*is a folder of data"):
        optional_package("nonesuch_frames", "frames", "A table")


def test_what_is_never_imported_is_of_the_standard_library_of_some_version() -> None:
    assert not NEVER_IMPORTED & (OURS | OTHERS)
    assert len(NEVER_IMPORTED & sys.stdlib_module_names) > 15
