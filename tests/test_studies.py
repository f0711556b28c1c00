"""Studies: what they count. What they measure takes longer than a test may."""

import subprocess
import sys
from argparse import Namespace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PATIENCE
from optuna.trial import TrialState

from bench.studies import gpus, search_speed

START = datetime(2026, 1, 1)


def trial(first: float, last: float, state: TrialState = TrialState.COMPLETE, **attributes: Any) -> Any:
    begin, end = START + timedelta(seconds=first), START + timedelta(seconds=last)
    return SimpleNamespace(datetime_start=begin, datetime_complete=end, state=state, user_attrs=attributes)


def test_a_search_is_timed_from_its_first_question_to_its_last_answer() -> None:
    trials = [
        trial(1, 31, steps=300),
        trial(31, 36, steps=100),
        trial(36, 36, steps=100, same_as=1),  # trained nothing
        trial(36, 41, TrialState.FAIL, steps=50),
    ]
    whole = search_speed.figures(trials, seeds=2, warm=False)
    assert (whole["trials"], whole["failed"], whole["trainings"], whole["steps"]) == (4, 1, 6, 450)
    assert (whole["seconds"], whole["seconds_a_training"]) == (40.0, pytest.approx(40 / 6))
    warm = search_speed.figures(trials, seeds=1, warm=True)
    assert (warm["trials"], warm["trainings"], warm["steps"], warm["seconds"]) == (3, 2, 150, 10.0)


def test_what_workers_of_gpus_import_can_be_imported() -> None:
    done = subprocess.run([sys.executable, "-c", "from bench.early import _import; _import()"], timeout=PATIENCE)
    assert done.returncode == 0


@pytest.mark.parametrize(("seen", "expected"), [(None, "0,1"), ("5,2,7", "5,2")])
def test_a_run_sees_the_first_so_many_gpus(seen: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert gpus.environment(2)["CUDA_VISIBLE_DEVICES"] == expected
    assert "MOD97_ONLY_GPU" not in gpus.environment(2)


def test_the_sweep_of_the_gpus_study_is_one_that_can_be_asked_for(tmp_path: Any) -> None:
    command = gpus.command(Namespace(precision="bfloat16", steps=7, seeds=64), str(tmp_path))
    plan = [*command[: command.index("--device")], "--results", str(tmp_path), "--dry-run"]
    done = subprocess.run(plan, capture_output=True, text=True, timeout=PATIENCE)
    assert command[0] == sys.executable
    assert "1,024 cells, 0 done already" in done.stdout + done.stderr


def test_a_sweep_on_gpus_is_summed_up() -> None:
    def records(last: float = 0.3) -> list[dict[str, Any]]:
        seconds = {"train": 1.0, "evaluate": 0.25, "compile": 0.0, "probes": 0.0, "harness": 0.25}
        curve = {"step": [1, 2], "test_loss": [0.7, last]}
        return [
            {"id": id, "status": status, "seconds": seconds, "curve": curve}
            for id, status in (("a", "done"), ("b", "diverged"), ("c", "done"))
        ]

    found = gpus.summary(records())
    assert found["cells"] == 2
    assert found["worker_seconds"] == {"train": 3.0, "evaluate": 0.8, "compile": 0.0, "probes": 0.0, "harness": 0.8}
    assert found["curves"] == gpus.summary(reversed(records()))["curves"]
    assert found["curves"] != gpus.summary(records(0.3 + 1e-15))["curves"]


@pytest.mark.parametrize(
    ("study", "arguments", "words"),
    [
        ("gpus", ["99"], "N must be a number of the GPUs that are here"),
        ("gpus", ["0"], "got 0"),
        ("search_speed", ["--trials", "2"], "--trials must be an integer ≥ 3, got 2."),
        ("search_speed", ["--learner", "nope"], "Unknown learner 'nope'"),
    ],
)
def test_wrong_requests_are_told(study: str, arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", f"bench.studies.{study}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]
