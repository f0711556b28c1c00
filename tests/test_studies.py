"""Studies: what they count. What they measure takes longer than a test may."""

import json
import subprocess
import sys
from argparse import Namespace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PATIENCE
from optuna.trial import TrialState

import bench
from bench.errors import RequestError
from bench.recipes.measurements import gpus, grokking, kills, league, mlp_overhead, optimizers, precision, search_speed

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
    program = (
        "import sys; from bench.executors.warm import _import; _import(); "
        "assert {'torch', 'torch._inductor', 'learners.transformer'} <= sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=PATIENCE).returncode == 0


@pytest.mark.parametrize(("seen", "expected"), [(None, "0,1"), ("5,2,7", "5,2")])
def test_a_run_sees_the_first_so_many_gpus(seen: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert gpus.environment(2)["CUDA_VISIBLE_DEVICES"] == expected
    assert "MOD97_ONLY_GPU" not in gpus.environment(2)


def test_the_sweep_of_the_gpus_study_is_one_that_can_be_asked_for(tmp_path: Any, command: Any) -> None:
    words = gpus.command(Namespace(precision="bfloat16", steps=7, seeds=64), str(tmp_path))
    assert words[:3] == [sys.executable, "-m", "bench"]
    done = command(*words[3 : words.index("--device")], "--results", tmp_path, "--dry-run")
    assert "1,024 cells, 0 done already" in done.out + done.err


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
    ("study", "word", "names"),
    [
        (grokking, "ROW", grokking.ROWS),
        (optimizers, "ARM", optimizers.ARMS),
        (precision, "ROUTE", precision.ROUTES),
    ],
)
def test_without_a_name_a_study_lists_what_there_is_and_what_it_costs(
    study: Any,
    word: str,
    names: Any,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        call(study, monkeypatch)
    said = capsys.readouterr()
    listed = [line for line in said.out.splitlines() if not line.startswith(" ")]
    assert [line.partition(":")[0] for line in listed] == list(names)
    assert all("on an H200" in line and "CPU core" in line for line in listed)
    assert said.err == f"Nothing has run: name {word}s of the above, or all.\n"
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="2"):
        call(study, monkeypatch, "nope")
    assert f"{word} must be one of" in capsys.readouterr().err.splitlines()[-1]


def call(module: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    module.main()


@pytest.mark.usefixtures("inline")
def test_grokking_says_what_is_under_way_keeps_it_and_goes_on(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mlp = {"learner": "mlp", "encoder": "onehot", "modulus": 7}
    rows = {name: (4, mlp, {"learner.hidden_layer_sizes": (n,)}) for name, n in (("narrow", 8), ("wide", 24))}
    monkeypatch.setattr(grokking, "ROWS", rows)
    monkeypatch.setattr(grokking, "COSTS", dict.fromkeys(rows, (1.0, 0.1)))
    asked = ("all", "--seeds", 2, "--results", tmp_path / "kept", "--json", tmp_path / "all.json")
    call(grokking, monkeypatch, *asked)
    first = capsys.readouterr()
    assert [json.loads(line)["row"] for line in first.out.splitlines()] == ["narrow", "wide"]
    assert json.loads((tmp_path / "all.json").read_text())[1]["row"] == "wide"
    assert f"records are kept in {tmp_path / 'kept'}" in first.err
    assert "Row 2 of 2, wide: 4 steps × 2 seeds" in first.err
    assert "--set learner.hidden_layer_sizes=24 --steps 4 --seeds 2" in first.err
    assert "seed 1: done" in first.err
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("*.json")}
    assert len(kept) == 4
    call(grokking, monkeypatch, *asked)
    assert capsys.readouterr().out == first.out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("*.json")} == kept


def test_an_interrupted_row_exits_with_130(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "run", lambda **request: [{"status": "interrupted"}])
    for module, name in ((grokking, "decay"), (precision, "quadratic")):
        with pytest.raises(SystemExit) as left:
            call(module, monkeypatch, name, "--seeds", 1, "--results", tmp_path)
        assert left.value.code == 130
        assert "the same command goes on from there" in capsys.readouterr().err


def test_studies_announce_what_they_do_before_they_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def begun(*_: Any, **__: Any) -> Any:
        raise SystemExit(capsys.readouterr().err)

    monkeypatch.setattr(gpus, "count_gpus", lambda: 1)
    for module, worker, arguments, words in (
        (search_speed, "measure", (), "Three searches of 256 trials"),
        (gpus, "measure", (1,), "1 sweep of 1,024 cells"),
        (mlp_overhead, "ours", (), "3 × 200 epochs"),
        (kills, "burst", (), "1,000 kills of three commands that share a folder and live up to 8 s: about 22 min."),
    ):
        monkeypatch.setattr(module, worker, begun)
        with pytest.raises(SystemExit) as left:
            call(module, monkeypatch, *arguments)
        assert words in str(left.value.code)


@pytest.mark.parametrize(
    ("study", "arguments", "words"),
    [
        (gpus, ["99"], "N must be a number of the GPUs that are here"),
        (gpus, ["0"], "got 0"),
        (search_speed, ["--trials", "2"], "--trials must be an integer ≥ 3, got 2."),
        (search_speed, ["--learner", "nope"], "Unknown learner 'nope'"),
    ],
)
def test_wrong_requests_are_told(
    study: Any,
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        call(study, monkeypatch, *arguments)
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_league_is_of_one_block(tmp_path: Any) -> None:
    request = {"encoder": "onehot", "learner": "ridge", "results": tmp_path}
    bench.run(**request, modulus=7, seeds=2)
    bench.run(**request | {"learner": "quadratic"}, modulus=7, steps=3, seeds=2)
    header, *rows = league.table(str(tmp_path))
    assert header == ["encoding", "ridge", "bilinear", "1-NN", "quadratic, 3 steps"]
    assert [row[0] for row in rows] == ["onehot+concat"]
    bench.run(**request, modulus=11)
    with pytest.raises(RequestError, match="A league is of one task"):
        league.table(str(tmp_path))
