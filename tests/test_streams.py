"""Standard streams that are closed, full or without a reader: what was computed is kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = f"{sys.executable} -m bench"
RUN = f"{BENCH} run --encoder onehot --learner ridge --modulus 7 --results results"


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def kept(folder: Path) -> int:
    return len(list((folder / "results").glob("*.json")))


def test_a_reader_that_stops_early_is_no_failure(tmp_path: Path) -> None:
    done = shell(f"{BENCH} list --json | head -c 10; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert done.stdout.splitlines()[-1].endswith("0")
    assert done.stderr == ""


@pytest.mark.parametrize(("options", "code"), [("", "0"), (" --learner mlp --steps 1000000 --seconds 0.01", "1")])
def test_the_exit_code_is_that_of_the_cells_where_the_reader_stops_early(
    options: str, code: str, tmp_path: Path
) -> None:
    done = shell(f'{RUN}{options} 2>&1 | head -c 1; echo " ${{PIPESTATUS[0]}}"', tmp_path)
    assert done.stdout.split()[-1] == code
    assert kept(tmp_path) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device here that is always full")
@pytest.mark.parametrize("command", [f"{BENCH} list", f"{BENCH} --help"])
def test_a_full_device_is_one_line(command: str, tmp_path: Path) -> None:
    done = shell(f"{command} > /dev/full; echo $?", tmp_path)
    assert done.stdout == "1\n"
    assert done.stderr == "Error: The output cannot be written: No space left on device. What was computed is kept.\n"


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_run_is_kept_whatever_the_streams_are(streams: str, tmp_path: Path) -> None:
    done = shell(f"{RUN} {streams}; echo $?", tmp_path)
    assert done.stdout.splitlines()[-1] == "0"
    assert kept(tmp_path) == 1
    assert "bug" not in done.stderr
