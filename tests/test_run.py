"""`bench run` from end to end, on tasks of a few milliseconds."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from conftest import PATIENCE, SMALL, Finished, read_until, wait_until

import bench
from bench.cli._tables.records import _spread
from bench.errors import Notice, RequestError, StoreError
from bench.executors import worker as execute
from bench.harness import pace as pacing
from bench.harness.outcome import Outcome
from bench.harness.train import train_cells
from bench.results.curves import evaluation_steps
from bench.results.store import Store
from bench.scheduling.planner import plan
from bench.specs.cell import Cell, prepare
from bench.specs.resolve import resolve
from bench.specs.spec import Budget
from encoders import Cycle
from learners import MLP

Command = Callable[..., Finished]
RUN = ("run", "--encoder", "onehot", *SMALL, "--quiet")
REQUEST: dict[str, Any] = {
    "encoder": "onehot",
    "learner": "mlp",
    "settings": {"learner.hidden_layer_sizes": (24,)},
    "modulus": 7,
    "jobs": 1,
}


def untimed(record: dict[str, Any]) -> dict[str, Any]:
    """What must be equal where two records are of one result."""
    return {k: v for k, v in record.items() if k not in ("seconds", "peak_memory_bytes", "environment")}


def test_a_record_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    [record] = bench.run(**REQUEST, epochs=5, validation_fraction=0.2, results=tmp_path)
    assert set(record) >= {
        *("schema", "id", "label", "status", "spec", "budget", "parameters", "final", "steps_to"),
        *("sustained_steps_to", "test_accuracy_diagonal", "seconds", "replicas", "flops", "peak_memory_bytes"),
        *("probes", "environment", "curve", "error"),
    }
    assert set(record["spec"]) == {
        *("task", "modulus", "task_parameters", "protocol", "train_fraction", "validation_fraction", "encoder"),
        *("combine", "sdr", "learner", "optimizer", "precision", "split_seed", "seed"),
    }
    measures = {f"{p}_{m}" for p in ("train", "validation", "test") for m in ("accuracy", "loss")}
    assert set(record["final"]) == {"step", *measures} == set(record["curve"])
    assert set(record["seconds"]) == {"train", "evaluate", "compile", "probes", "harness", "total"}
    assert record["seconds"]["total"] == pytest.approx(sum(v for k, v in record["seconds"].items() if k != "total"))
    assert set(record["environment"]) >= {"versions", "device", "threads", "git_commit", "dirty"}
    assert record["schema"] == 2
    assert record["status"] == "done"
    assert record["error"] is None
    assert record["peak_memory_bytes"] > 1e7
    assert record["parameters"] == 14 * 24 + 24 + 24 * 7 + 7
    assert record["budget"] == {"steps": 5, "seconds": None, "stop_when_solved": False}
    for target in ("0.95", "0.99"):
        assert all(target in record[k][p] for k in ("steps_to", "sustained_steps_to") for p in ("train", "test"))
    assert json.loads((tmp_path / f"{record['id']}.json").read_text()) == record


def test_train_and_test_never_meet() -> None:
    """What a learner becomes does not depend on any answer but those of the training pairs."""
    [spec] = resolve(encoder="onehot", learner="mlp", modulus=7, settings={"learner.hidden_layer_sizes": (24,)})
    honest = prepare(spec)
    poisoned = poison(honest)
    first, second = (trained(cell, Budget(20)) for cell in (honest, poisoned))
    for state in first.state():
        assert np.array_equal(first.state()[state], second.state()[state])
    assert first.record["curve"]["train_accuracy"] == second.record["curve"]["train_accuracy"]
    assert first.record["curve"]["test_loss"] != second.record["curve"]["test_loss"]


def trained(cell: Cell, budget: Budget) -> Outcome:
    """The outcome of one cell."""
    outcomes: list[Outcome] = []
    train_cells([cell], [budget], lambda kept: outcomes.extend(outcome for _, outcome in kept))
    assert outcomes[-1].record["status"] in ("done", "diverged")
    return outcomes[-1]


def poison(cell: Cell) -> Cell:
    """The same cell with all test answers wrong."""
    answers = cell.task.answers_N.copy()
    answers[cell.split.test] = (answers[cell.split.test] + 1) % 7
    return replace(cell, task=replace(cell.task, answers_N=answers))


def test_stopping_looks_at_validation_alone() -> None:
    request = {"encoder": "phasor", "learner": "mlp", "modulus": 7, "stop_when_solved": True}
    [spec] = resolve(**request, settings={"learner.hidden_layer_sizes": (64,), "learner.learning_rate_init": 0.01})
    assert spec.validation_fraction == 0.1
    cell = prepare(spec)
    budget = Budget(500, stop_when_solved=True)
    honest, poisoned = (trained(c, budget).record for c in (cell, poison(cell)))
    assert honest["status"] == "done"
    stopped = honest["final"]["step"]
    assert stopped < 500
    solved = honest["sustained_steps_to"]["validation"]["0.99"]
    assert solved * 2 <= stopped <= solved * 2.1 + 2
    assert honest["held"]["validation"]["0.99"] == [solved, stopped]
    assert poisoned["final"]["step"] == stopped
    assert poisoned["final"]["test_accuracy"] < 0.5
    assert honest["budget"]["stop_when_solved"] is True


def test_stopping_without_validation_pairs_is_refused(command: Command) -> None:
    done = command(*RUN, "--stop-when-solved", "--validation-fraction", 0)
    assert done.code == 2
    assert "test pairs must not stop a run" in done.error


def test_same_seed_same_record_other_seed_other_record(tmp_path: Path) -> None:
    first, other = bench.run(**REQUEST, epochs=3, seeds=2, results=tmp_path)
    [again] = bench.run(**REQUEST, epochs=3, seed=0, results=None)
    assert untimed(first) == untimed(again)
    assert first["id"] != other["id"]
    assert first["curve"] != other["curve"]
    seeds = [{k: r["spec"][k] for k in ("split_seed", "seed")} for r in (first, other)]
    assert all(seeds[0][k] != seeds[1][k] for k in seeds[0])


def test_each_stream_can_be_set_alone() -> None:
    def spec(**more: Any) -> Any:
        return resolve(encoder="cycle", learner="mlp", seeds=[3], **more)[0]

    plain, split = spec(), spec(split_seed=5)
    assert split.split_seed == 5
    assert split.encoder == plain.encoder
    assert split.learner == plain.learner
    code = spec(settings={"encoder.random_state": 5})
    assert code.encoder["random_state"] == 5
    assert (code.split_seed, code.learner) == (plain.split_seed, plain.learner)
    weights = spec(settings={"learner.random_state": 5})
    assert weights.learner["random_state"] == 5
    assert (weights.split_seed, weights.encoder) == (plain.split_seed, plain.encoder)
    assert len({plain.id, split.id, code.id, weights.id}) == 4


def test_parallel_and_alone_are_the_same(tmp_path: Path) -> None:
    request = {**REQUEST, "jobs": 2, "epochs": 4}
    parallel = bench.run(**request, seeds=3, results=tmp_path)
    alone = [bench.run(**{**REQUEST, "epochs": 4}, seed=s, results=None)[0] for s in range(3)]
    assert [untimed(r) for r in parallel] == [untimed(r) for r in alone]
    assert [r["spec"]["seed"] for r in parallel] == [0, 1, 2]


def test_running_again_computes_nothing(tmp_path: Path) -> None:
    first = bench.run(**REQUEST, epochs=3, results=tmp_path)
    stamp = os.stat(tmp_path / f"{first[0]['id']}.json").st_mtime_ns
    assert bench.run(**REQUEST, epochs=3, results=tmp_path) == first
    assert bench.run(**REQUEST, epochs=2, results=tmp_path) == first
    assert os.stat(tmp_path / f"{first[0]['id']}.json").st_mtime_ns == stamp
    [forced] = bench.run(**REQUEST, epochs=3, results=tmp_path, force=True)
    assert untimed(forced) == untimed(first[0])
    assert os.stat(tmp_path / f"{first[0]['id']}.json").st_mtime_ns != stamp


@pytest.mark.parametrize("head", ["regressor", "classifier"])
def test_a_larger_budget_extends_and_equals_an_uninterrupted_run(tmp_path: Path, head: str) -> None:
    request = {**REQUEST, "settings": {"learner.hidden_layer_sizes": (24,), "learner.head": head}}
    [short] = bench.run(**request, epochs=43, results=tmp_path)
    assert (
        plan(**{k: v for k, v in request.items() if k != "jobs"}, epochs=90, results=tmp_path).steps[0].action
        == "extend"
    )
    [extended] = bench.run(**request, epochs=90, results=tmp_path)
    [straight] = bench.run(**request, epochs=90, results=None)
    assert untimed(extended) == untimed(straight)
    assert short["id"] == extended["id"]
    assert extended["seconds"]["train"] > short["seconds"]["train"]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_a_lost_checkpoint_costs_time_but_no_result(tmp_path: Path) -> None:
    bench.run(**REQUEST, epochs=10, results=tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    [extended] = bench.run(**REQUEST, epochs=20, results=tmp_path)
    [straight] = bench.run(**REQUEST, epochs=20, results=None)
    assert untimed(extended) == untimed(straight)


def test_a_solved_run_goes_on_when_asked_for_its_whole_budget(tmp_path: Path) -> None:
    request = {**REQUEST, "encoder": "phasor", "validation_fraction": 0.1, "results": tmp_path}
    request["settings"] = {"learner.hidden_layer_sizes": (64,), "learner.learning_rate_init": 0.01}
    [solved] = bench.run(**request, epochs=400, stop_when_solved=True)
    assert solved["final"]["step"] < 400
    assert bench.run(**request, epochs=400, stop_when_solved=True) == [solved]
    [whole] = bench.run(**request, epochs=400)
    assert whole["final"]["step"] == 400


def test_a_smaller_budget_never_spoils_what_is_stored(tmp_path: Path, command: Command) -> None:
    whole = command(*RUN, "--epochs", 40, "--seconds", 1e-9, "--results", tmp_path, "--json").json["cells"][0]
    assert whole["status"] == "timeout"
    less = command(*RUN, "--epochs", 1, "--results", tmp_path, "--json")
    assert less.code == 0
    assert less.json["cells"] == [whole]
    [record] = bench.run(**REQUEST, epochs=40, results=tmp_path)
    said = command(*RUN, "--epochs", 2, "--results", tmp_path)
    assert "trained for longer than asked, up to 40 steps" in said.err
    assert Store(tmp_path).read(record["id"]) == record


def test_a_failing_extension_keeps_the_record(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    [record] = bench.run(**REQUEST, epochs=10, results=tmp_path)

    def broken(self: Any) -> None:
        raise MemoryError("by design")

    with monkeypatch.context() as patch:
        patch.setattr("learners.mlp._Epochs._epoch", broken)
        done = command(*RUN, "--epochs", 20, "--results", tmp_path)
    assert done.code == 1
    assert "by design (the stored record" in done.err
    assert Store(tmp_path).read(record["id"]) == record
    [extended] = bench.run(**REQUEST, epochs=20, results=tmp_path)
    assert extended["final"]["step"] == 20


def test_a_foreign_checkpoint_is_not_used(tmp_path: Path) -> None:
    [record] = bench.run(**REQUEST, epochs=10, results=tmp_path)
    Store(tmp_path).checkpoints.write(record["id"], 10, {"step": np.array(10), "w0": np.zeros(3)})
    [extended] = bench.run(**REQUEST, epochs=20, results=tmp_path)
    [straight] = bench.run(**REQUEST, epochs=20, results=None)
    assert untimed(extended) == untimed(straight)


@pytest.mark.parametrize("step_takes", [0.0005, 0.005, 0.02, 0.7])
def test_somebody_can_say_stop_twice_a_second(step_takes: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """However near the points of the grid are, at which all stop as well."""
    now, reached, slices = 0.0, 0, []

    class Training:
        def advance(self, step: int, who: Any) -> None:
            nonlocal now, reached
            slices.append((step - reached) * step_takes)
            now, reached = now + slices[-1], step

    monkeypatch.setattr(pacing, "time", SimpleNamespace(perf_counter=lambda: now))
    pace, replica = pacing.Pace(), SimpleNamespace(step=0, granularity=1)
    for step in evaluation_steps(40_000, 1):
        while replica.step < step:
            pace.advance(Training(), step, [0], [replica])  # type: ignore[arg-type, list-item]
    assert reached == 40_000
    assert max(slices) <= max(0.5, step_takes) + 1e-9
    assert len(slices) < 300 + 3 * 40_000 * step_takes  # nor more often than that


def test_a_curve_does_not_depend_on_the_budgets_of_its_neighbours() -> None:
    def trained(*budgets: int) -> list[Any]:
        specs = resolve(encoder="onehot", learner="quadratic", modulus=7, seeds=range(len(budgets)))
        kept: dict[int, Any] = {}
        cells = [prepare(spec) for spec in specs]
        train_cells(cells, [Budget(n) for n in budgets], lambda some: kept.update((r, o.record) for r, o in some))
        return [kept[r] for r in range(len(budgets))]

    [alone], (beside, shorter) = trained(99), trained(99, 77)
    assert shorter["curve"]["step"][-1] == 77
    assert 77 not in beside["curve"]["step"]
    assert beside["curve"]["step"] == alone["curve"]["step"]
    assert beside["curve"]["train_loss"] == pytest.approx(alone["curve"]["train_loss"], rel=1e-4)


def test_what_there_is_is_kept_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.harness.train.SAVE_SPACING", 0.0)
    [spec] = resolve(encoder="onehot", learner="mlp", modulus=7, settings={"learner.hidden_layer_sizes": (24,)})
    kept: list[Outcome] = []
    train_cells(
        [prepare(spec)],
        [Budget(30)],
        lambda some: kept.extend(replace(outcome, state=partial(dict, outcome.state())) for _, outcome in some),
        save_every=0.0,
    )
    assert [o.record["status"] for o in kept] == ["interrupted"] * (len(kept) - 1) + ["done"]
    assert len(kept) == len(kept[-1].record["curve"]["step"]) > 20
    assert all(int(o.state()["step"]) == o.record["final"]["step"] for o in kept)


def test_ends_of_neighbours_do_not_keep_a_cell_from_being_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a second; three neighbours end just before a point of the long cell."""
    monkeypatch.setattr("bench.harness.train.SAVE_SPACING", 0.0)
    points = evaluation_steps(900, 1)
    specs = resolve(encoder="onehot", learner="quadratic", modulus=7, seeds=range(4))
    clock = SimpleNamespace(elapsed=0.0)
    kept: list[int] = []
    original = pacing.Pace.advance

    def advance(self: Any, training: Any, step: int, *rest: Any) -> int:
        clock.elapsed = float(original(self, training, step, *rest))
        return int(clock.elapsed)

    monkeypatch.setattr(pacing.Pace, "advance", advance)
    train_cells(
        [prepare(spec) for spec in specs],
        [Budget(900), *(Budget(point - 1) for point in points[-4:-1])],
        lambda some: kept.extend(outcome.record["final"]["step"] for r, outcome in some if r == 0),
        clock=clock,  # type: ignore[arg-type]
        save_every=30.0,
    )
    assert kept[-1] == 900
    assert set(points[-4:-1]) <= set(kept)


def test_plugins_that_changed_are_noticed(tmp_path: Path, command: Command) -> None:
    [record] = bench.run(**REQUEST, epochs=2, results=tmp_path)
    assert "may be stale" not in command(*RUN, "--epochs", 2, "--results", tmp_path).err
    record["environment"]["sources"]["encoder"] = "0" * 12
    Store(tmp_path).write(record)
    assert "may be stale" in command(*RUN, "--epochs", 2, "--results", tmp_path).err


def test_seconds_are_a_safety_limit(tmp_path: Path, command: Command) -> None:
    done = command(*RUN, "--epochs", 400, "--seconds", 0.05, "--results", tmp_path, "--json")
    assert done.code == 1
    [record] = done.json["cells"]
    assert record["status"] == "timeout"
    assert 0 < record["final"]["step"] < 400
    again = command(*RUN, "--epochs", 400, "--seconds", 0.05, "--results", tmp_path, "--json")
    assert again.json["cells"] == [record]
    more = command(*RUN, "--epochs", 400, "--results", tmp_path, "--json")
    assert more.code == 0
    assert more.json["cells"][0]["final"]["step"] == 400


def test_divergence_is_a_result(tmp_path: Path, command: Command) -> None:
    wild = ("--set", "learner.learning_rate_init=1e30", "--set", "learner.activation=identity")
    done = command(*RUN, *wild, "--epochs", 30, "--results", tmp_path, "--json")
    assert done.code == 0
    [record] = done.json["cells"]
    assert record["status"] == "diverged"
    assert record["final"]["test_accuracy"] is None
    assert record["curve"]["train_loss"][-1] is None
    assert command(*RUN, *wild, "--epochs", 30, "--results", tmp_path, "--json").json["cells"] == [record]


def test_a_cell_that_raises_is_recorded_and_tried_again(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: MLP, n_train: int) -> Any:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(MLP, "_network", broken)
    done = command(*RUN, "--epochs", 3, "--results", tmp_path, "--json")
    assert done.code == 1
    [record] = done.json["cells"]
    assert record["status"] == "failed"
    assert record["error"]["type"] == "ZeroDivisionError"
    assert "by design" in record["error"]["traceback"]
    monkeypatch.undo()
    done = command(*RUN, "--epochs", 3, "--results", tmp_path, "--json")
    assert done.code == 0
    assert done.json["cells"][0]["status"] == "done"
    assert set(done.json["cells"][0]) == set(record)


def test_a_failed_cell_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = train_cells

    def broken(cells: Any, *rest: Any, **more: Any) -> Any:
        if cells[0].spec.seed == 1:
            raise MemoryError("too large")
        return original(cells, *rest, **more)

    monkeypatch.setattr(execute, "train_cells", broken)
    records = bench.run(**REQUEST, epochs=2, seeds=3, results=tmp_path)
    assert [r["status"] for r in records] == ["done", "failed", "done"]


def test_debug_shows_where_each_failed_cell_failed(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("by design")

    monkeypatch.setattr(MLP, "_network", broken)
    options = (*RUN, "--epochs", 2, "--seeds", 2, "--jobs", 1, "--results", tmp_path, "--quiet")
    plain = command(*options)
    assert plain.code == 1
    assert "Traceback" not in plain.err
    debugged = command(*options, "--debug", "--json")
    assert debugged.code == 1
    assert debugged.err.count("Traceback (most recent call last)") == 2
    assert "onehot+concat → mlp(hidden_layer_sizes=[24]), seed 1:" in debugged.err
    assert "RuntimeError: by design" in debugged.err
    [first, _] = debugged.json["cells"]
    again = command("rerun", first["id"], "--results", tmp_path, "--debug")
    assert again.code == 2
    assert "RuntimeError: by design" in again.err
    assert command("rerun", first["id"], "--results", tmp_path).error.startswith("The record")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ([], "cycle → sum → SDR 200 → mlp"),
        (["encoder.n=400", "learner.alpha=1e-4"], "cycle → sum → SDR 200 → mlp"),
        (["encoder.n=300", "learner.alpha=0.5"], "cycle(n=300) → sum → SDR 150 → mlp(alpha=0.5)"),
        (["encoder.random_state=7"], "cycle → sum → SDR 200 → mlp"),
    ],
)
def test_the_head_line_names_what_differs_from_the_defaults(command: Command, settings: list[str], line: str) -> None:
    options = [part for setting in settings for part in ("--set", setting)]
    done = command("run", "--encoder", "cycle", "--learner", "mlp", *options, "--dry-run")
    assert done.out.splitlines()[1] == line


def test_the_head_line_names_a_modulus_that_is_not_the_tasks(command: Command) -> None:
    run = ("run", "--encoder", "phasor", "--learner", "ridge", "--modulus", 13, "--dry-run")
    assert command(*run).out.splitlines()[1].startswith("phasor → product")
    assert command(*run, "--set", "encoder.modulus=11").out.splitlines()[1].startswith("phasor(modulus=11) → product")
    assert command(*run, "--verbose").out.splitlines()[1].startswith("phasor(n=64, modulus=13, highest=None) → ")


def test_halves_of_a_fleet_that_failed_have_their_own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job took two seconds until it failed, and each half another one: none of those is in its neighbours'."""
    original, now = train_cells, 0.0

    def failing(cells: Any, *rest: Any, **more: Any) -> Any:
        nonlocal now
        if len(cells) > 2:
            now += 2.0
            raise RuntimeError("too many")
        now += 1.0
        return original(cells, *rest, **more)

    monkeypatch.setattr(execute, "train_cells", failing)
    monkeypatch.setattr(pacing, "time", SimpleNamespace(perf_counter=lambda: now))
    records = bench.run(encoder="onehot", learner="quadratic", modulus=7, steps=9, seeds=4, jobs=1, results=None)
    assert [(r["status"], r["replicas"], r["seconds"]["total"]) for r in records] == [("done", 2, 0.5)] * 4


def test_a_full_disk_still_shows_the_result(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Store, record: dict[str, Any]) -> None:
        raise StoreError("'r.json' cannot be written: No space left on device.")

    monkeypatch.setattr(Store, "stage", full)
    done = command(*RUN, "--epochs", 2, "--results", tmp_path, "--json")
    assert done.code == 1
    assert done.json["cells"][0]["status"] == "done"
    assert "No space left" in done.error


def test_a_damaged_record_is_set_aside_and_its_cell_computed_anew(tmp_path: Path, command: Command) -> None:
    [record] = bench.run(**REQUEST, epochs=2, results=tmp_path)
    path = tmp_path / f"{record['id']}.json"
    path.write_text(path.read_text()[:100])
    done = command(*RUN, "--epochs", 2, "--results", tmp_path, "--dry-run")
    assert done.code == 0
    assert f"Note: The record '{path}' is damaged: it is no JSON document" in done.err
    assert done.err.endswith("Its cell would be computed anew.\n")
    assert len(path.read_text()) == 100
    done = command(*RUN, "--epochs", 2, "--results", tmp_path, "--json", "--quiet")
    assert done.code == 0
    assert f"It is kept as {path.name}.aside-0, and its cell is computed anew." in done.err
    assert done.json["cells"][0]["curve"]["step"] == record["curve"]["step"]
    assert len((tmp_path / f"{path.name}.aside-0").read_text()) == 100
    path.write_bytes(b"")
    with pytest.warns(Notice, match=f"it is empty. It is kept as {path.name}.aside-1"):
        bench.run(**REQUEST, epochs=2, results=tmp_path, force=True)
    assert (tmp_path / f"{path.name}.aside-1").read_bytes() == b""


def test_a_record_that_cannot_be_read_is_an_error_of_its_cell_alone(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = bench.run(**REQUEST, epochs=2, results=tmp_path, seeds=2)
    bad, content = tmp_path / f"{first['id']}.json", (tmp_path / f"{first['id']}.json").read_bytes()
    read = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path == bad:
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    done = command(*RUN, "--seeds", 3, "--epochs", 2, "--results", tmp_path, "--json", "--quiet")
    assert done.code == 1
    assert f"Error: The record '{bad}' cannot be read: Input/output error.\n" in done.err
    assert [cell["spec"]["seed"] for cell in done.json["cells"]] == [1, 2]
    assert done.json["cells"][0]["id"] == second["id"]
    done = command("sweep", *RUN[1:], "--seeds", 3, "--epochs", 2, "--results", tmp_path, "--json", "--quiet")
    assert done.code == 1
    assert f"Note: The record '{bad}' cannot be read: Input/output error.\n" == done.err
    assert len(done.json["cells"]) == 2
    with pytest.raises(StoreError, match="Input/output error") as caught:
        bench.run(**REQUEST, epochs=2, results=tmp_path, seeds=3)
    assert len(caught.value.records) == 2
    assert read(bad) == content


def test_rerun(tmp_path: Path, command: Command) -> None:
    [record] = bench.run(**REQUEST, epochs=4, results=tmp_path)
    done = command("rerun", record["id"][:6], "--results", tmp_path, "--quiet")
    assert done.code == 0
    assert "The same: every number of the result agrees." in done.out
    record["curve"]["test_accuracy"][2] += 0.25
    Store(tmp_path).write(record)
    done = command("rerun", record["id"], "--results", tmp_path, "--quiet", "--json")
    assert done.code == 1
    assert done.json["same"] is False
    assert done.json["difference"] == pytest.approx(0.25)
    assert command("rerun", "ffff", "--results", tmp_path).code == 2
    done = command("rerun", "ffff", "--results", tmp_path / "none")
    assert (done.code, done.error) == (2, f"There is no results folder '{tmp_path / 'none'}'.")


def test_save_model(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "model-{seed}.joblib"
    run = (*RUN, "--epochs", 30, "--seeds", 2, "--jobs", 1, "--results", tmp_path, "--save-model", path)
    cells = command(*run, "--json").json["cells"]
    for cell in cells:
        model = joblib.load(str(path).format(seed=cell["spec"]["seed"]))
        pairs = np.array([[a, b] for a in range(7) for b in range(a, 7)])
        right = (model.predict(pairs) == pairs.sum(axis=1) % 7).sum()
        final = cell["final"]
        assert right == round(14 * final["train_accuracy"] + 14 * final["test_accuracy"])
    # Stored already: the model still comes, from the checkpoint.
    first = joblib.load(str(path).format(seed=0))
    os.unlink(str(path).format(seed=0))
    again = command(*run, "--json")
    assert [untimed(c) for c in again.json["cells"]] == [untimed(c) for c in cells]
    second = joblib.load(str(path).format(seed=0))
    assert np.array_equal(
        first[-1].scores(first[:-1].transform(pairs)), second[-1].scores(second[:-1].transform(pairs))
    )


def test_dry_run_touches_nothing(tmp_path: Path, command: Command) -> None:
    done = command(*RUN, "--seeds", 3, "--epochs", 7, "--results", tmp_path / "results", "--dry-run", "--json")
    assert done.code == 0
    assert [cell["action"] for cell in done.json["cells"]] == ["run"] * 3
    assert done.json["cells"][0]["budget"]["steps"] == 7
    assert not (tmp_path / "results").exists()
    bench.run(**REQUEST, epochs=7, results=tmp_path / "results")
    done = command(*RUN, "--seeds", 2, "--epochs", 7, "--results", tmp_path / "results", "--dry-run")
    assert "1 of 2 cells to run" in done.out


def test_epochs_and_steps(command: Command) -> None:
    def steps(*options: object) -> int:
        run = ("run", "--encoder", "onehot", "--learner", "mlp", "--dry-run", "--json")
        return int(command(*run, *options).json["cells"][0]["budget"]["steps"])

    assert steps() == 200 * 12  # 2,376 pairs in batches of 200
    assert steps("--epochs", 3) == 36
    assert steps("--steps", 30) == 36  # up to the end of an epoch
    assert steps("--set", "learner.batch_size=100", "--epochs", 1) == 24


def test_the_head_line_has_four_digits_and_all_with_verbose(tmp_path: Path, command: Command) -> None:
    settings = ("--set", "adamw.lr=0.020961900543150613", "--steps", 3, "--seeds", 2, "--device", "cpu")
    call = ("run", "--encoder", "onehot", "--learner", "quadratic", "--modulus", 7, *settings, "--results", tmp_path)
    short, whole = (command(*call, *more, "--quiet").out for more in ((), ("--verbose",)))
    assert "quadratic · adamw(lr=0.02096)" in short
    assert "lr=0.020961900543150613" in whole
    assert "time: of a seed, its share of the fleet: all of it, compiling included." in short


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ((0.988, 0.997, 0.994), "n = 3 seeds, mean 99.3 %, standard deviation 0.46 points, range 98.8 to 99.7 %"),
        ((1.0, 0.99996), "n = 2 seeds, mean 99.9 %, standard deviation 0.0028 points, range 99.9 to 100.0 %"),
    ],
)
def test_the_spread_over_seeds_is_in_percent_and_points(accuracies: tuple[float, ...], said: str) -> None:
    assert _spread(accuracies) == said


def test_table_names_the_pipeline_and_its_probes(tmp_path: Path, command: Command) -> None:
    done = command(*RUN, "--epochs", 3, "--results", tmp_path, "--seeds", 2, "--jobs", 1)
    assert done.code == 0
    words = " ".join(done.out.split())
    assert "onehot → concat → no SDR → mlp(hidden_layer_sizes=(24)) ! 14 pairs" in words
    full = " ".join(command(*RUN, "--epochs", 3, "--results", tmp_path, "--verbose", "--quiet").out.split())
    assert "onehot(n_values=None, sparse_output=False) → concat → no SDR → mlp(hidden_layer_sizes=(24), head=" in full
    assert "its share of the fleet" not in words
    for word in ("ridge", "1-NN", "mean", "n = 2 seeds, mean ", "standard deviation", "unordered pairs (a ≤ b)"):
        assert word in words
    oracle = command("run", "--encoder", "phasor", "--learner", "ridge", "--results", tmp_path, "--quiet").out
    assert "An oracle" in oracle
    assert "was told the modulus" in oracle
    told = command(
        "run", "--encoder", "residue", "--set", "encoder.moduli=97", "--learner", "ridge", "--results", tmp_path
    )
    assert "was told the modulus" in told.out


def test_progress_on_stderr_and_one_document_on_stdout(tmp_path: Path, command: Command) -> None:
    run = [a for a in RUN if a != "--quiet"]
    done = command(*run, "--epochs", 3, "--results", tmp_path, "--json")
    assert done.json["schema"] == 1
    assert "seed 0: done, test" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--encoder", "cycl", "--learner", "mlp"), "Unknown encoder 'cycl': did you mean 'cycle'?"),
        (("--encoder", "cycle", "--learner", "mpl"), "Unknown learner 'mpl': did you mean 'mlp'?"),
        (("--encoder", "zzz", "--learner", "mlp"), "must be one of binary, cycle"),
        (("--task", "ad"), "Unknown task 'ad': did you mean 'add'"),
        (("--sdr", 500), "The 'k' parameter of SDRify must be in [1, 400]"),
        (("--sdr", 0), "The 'k' parameter of SDRify must be in [1, 400]"),
        (("--sdr", "many"), "--sdr must be a number of features or 'off', got 'many'"),
        (("--modulus", "many"), "--modulus must be an integer, got 'many'."),
        (("--train-fraction", 0), "--train-fraction must be in (0, 1), got 0.0"),
        (("--train-fraction", 1), "--train-fraction must be in (0, 1), got 1.0"),
        (("--train-fraction", 0.9, "--validation-fraction", 0.2), "leave"),
        (("--modulus", 1), "modulus must be an integer ≥ 2, got 1"),
        (("--modulus", 97, "--task", "s5"), "--modulus does not apply to the task 's5'"),
        (("--combine", "add"), "Unknown combination 'add': it must be one of concat, product, sum"),
        (("--pairs", "orderd"), "Unknown protocol of pairs 'orderd': did you mean 'ordered'"),
        (("--set", "learner.alfa=1"), "'alfa': did you mean 'alpha'?"),
        (("--set", "encoder.k=1"), "Unknown parameter of the encoder 'cycle'"),
        (("--set", "task.max=1"), "Unknown parameter of the task 'add'"),
        (("--set", "task.operand_max=1.5"), "task.operand_max must be an integer"),
        (("--set", "alpha=1"), "--set takes encoder.NAME=VALUE"),
        (("--set", "alpha=1"), "got 'alpha': did you mean 'learner.alpha'?"),
        (("--set", "random_state=1"), "did you mean 'encoder.random_state' or 'learner.random_state'?"),
        (("--set", "alhpa=1"), "got 'alhpa': did you mean 'learner.alpha'?"),
        (("--set", "cycle.n=40"), "got 'cycle.n': did you mean 'encoder.n'?"),
        (("--set", "encoder.alpha=1"), "There is no parameter 'encoder.alpha': did you mean 'learner.alpha'?"),
        (("--set", "operand-max=5"), "did you mean 'task.operand_max'?"),
        (("--set", "train-fraction=0.3"), "did you mean --train-fraction?"),
        (("--set", "learner.modulus=5"), "There is no parameter 'learner.modulus': did you mean --modulus?"),
        (("--encoder", "onehot,cycle", "--learner", "mlp"), "--encoder takes one, got 'onehot,cycle': a sweep takes"),
        (("--encoder", "cycle", "--learner", "mlp,knn"), "--learner takes one, got 'mlp,knn': a sweep takes several."),
        (("--task", "add,multiply"), "--task takes one, got 'add,multiply': a sweep takes several."),
        (("--pairs", "ordered,distinct"), "--pairs takes one, got 'ordered,distinct': a sweep takes several."),
        (("--combine", "sum,concat"), "--combine takes one, got 'sum,concat': a sweep takes several."),
        (("--sdr", "10,off"), "--sdr takes one, got '10,off': a sweep takes several."),
        (("--modulus", "5,7"), "--modulus takes one, got '5,7': a sweep takes several."),
        (("--train-fraction", "0.3,0.5"), "--train-fraction takes one, got '0.3,0.5': a sweep takes several."),
        (("--encoder", "all", "--learner", "mlp"), "--encoder takes one, got 'all': a sweep takes several."),
        (("--steps", "1e3"), "--steps must be an integer, got '1e3': did you mean 1000?"),
        (("--steps", "10,000"), "--steps must be an integer, got '10,000': did you mean 10000?"),
        (("--seeds", "0,1"), "--seeds must be an integer, got '0,1'."),
        (("--seconds", "1m"), "--seconds must be a number, got '1m'."),
        (("--train-fraction", "50"), "--train-fraction must be in (0, 1), got 50: did you mean 0.5?"),
        (("--train-fraction", "50%"), "--train-fraction must be a number, got '50%': did you mean 0.5?"),
        (("--train-fraction", "half"), "--train-fraction must be a number, got 'half'."),
        (("--validation-fraction", "12.5"), "--validation-fraction must be in (0, 1), got 12.5: did you mean 0.125?"),
        (("--set", "learner.alpha"), "--set takes OWNER.NAME=VALUE"),
        (("--set", "learner.alpha=-1"), "The 'alpha' parameter of MLP must be a number ≥ 0, got alpha=-1.0"),
        (("--set", "learner.hidden_layer_sizes=0"), "'hidden_layer_sizes' parameter of MLP"),
        (("--set", "learner.epochs=3"), "set it by --epochs or --steps"),
        (("--set", "encoder.n=two"), "The 'n' parameter of Cycle must be an integer ≥ 1, got n='two'"),
        (("--seed", 1, "--seeds", 2), "--seed and --seeds exclude each other"),
        (("--seeds", 0), "--seeds must be an integer ≥ 1, got 0"),
        (("--seed", -1), "--seed must be an integer in"),
        (("--split-seed", -1), "--split-seed must be an integer in"),
        (("--steps", 0), "--steps must be an integer ≥ 1, got 0"),
        (("--steps", 5, "--epochs", 5), "--steps and --epochs exclude each other"),
        (("--learner", "ridge", "--steps", 5), "--steps does not apply to ridge"),
        (("--seconds", "inf"), "--seconds must be a finite number above 0, got inf"),
        (("--set", "encoder.random_state=none"), "encoder.random_state must be an integer in [0, 2³¹), got None"),
        (("--set", "learner.random_state=-1"), "learner.random_state must be an integer in [0, 2³¹), got -1"),
        (("--set", "encoder.n=100000000000000"), "must be an integer in [1, 1,048,576]"),
        (("--set", "encoder.period=1e-320"), "is too short for the values"),
        (("--set", f"learner.alpha={10**400}"), "too large"),
        (("--modulus", 10**23, "--set", "task.operand_max=5"), "too large"),
        (
            ("--encoder", "binary", "--set", "encoder.gray=maybe"),
            "The 'gray' parameter of Binary must be True or False",
        ),
        (("--device", "cpu:"), "--device must be auto"),
        (("--save-model", "."), "--save-model must name a file"),
        (("--learner", "cycle"), "('cycle' is an encoder)"),
        (("--seconds", 0), "--seconds must be a finite number above 0"),
        (("--jobs", 0), "--jobs must be an integer ≥ 1"),
        (("--device", "mps"), "--device must be auto, cpu, cuda or cuda:NUMBER, got mps"),
        (("--device", "cuda"), "--device must be cpu for mlp, got cuda"),
        (("--precision", "float16"), "--precision must be one of float32 for mlp, got float16"),
        (("--save-model", "m", "--seeds", 2), "--save-model needs {seed}"),
        (("--save-model", "none/m"), "--save-model must name a file in a folder"),
        (("--nonsense",), "No such option '--nonsense'"),
    ],
)
def test_bad_input_gets_one_clear_line(tmp_path: Path, command: Command, options: Any, message: str) -> None:
    base = ["run", "--encoder", "cycle", "--learner", "mlp", "--results", tmp_path / "results"]
    done = command(*base, *options)
    assert done.code == 2
    assert message in done.error
    assert done.out == ""
    assert not (tmp_path / "results").exists()


def test_unusable_results_folders(tmp_path: Path, command: Command) -> None:
    done = command(*RUN, "--epochs", 1, "--results", tmp_path / "a" / "b")
    assert done.code == 2
    assert "cannot be used: No such file or directory" in done.error


def test_debug_shows_where(command: Command) -> None:
    done = command("run", "--encoder", "cycl", "--learner", "mlp", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err


def test_the_same_from_python() -> None:
    with pytest.raises(RequestError, match="Unknown encoder"):
        bench.run(encoder="cycl", learner="mlp", results=None)
    with pytest.raises(RequestError, match="Unknown argument 'sede': did you mean 'seed'"):
        bench.run(encoder="cycle", learner="mlp", sede=3, results=None)
    with pytest.raises(RequestError, match="Missing argument 'learner'"):
        bench.run(encoder="cycle", results=None)
    with pytest.raises(RequestError, match="`encoder` takes a name"):
        bench.run(encoder=Cycle(), learner="mlp", results=None)  # type: ignore[arg-type]
    plans = {"plan", "plan_sweep", "plan_tune"}
    shown, written = {"rank", "plot", "report", "show", "load", "status"}, {"pack", "export", "publish"}
    assert set(dir(bench)) == {"run", "reproduce", "rerun", "sweep", "tune", *plans, *shown, *written}


def test_numbers_of_any_library_and_one_identity_for_one_setting() -> None:
    def id(**more: Any) -> str:
        return resolve(**({"encoder": "cycle", "learner": "mlp"} | more))[0].id

    assert id() == id(settings={"encoder.n": np.int64(400)}) == id(settings={"encoder.period": (2, 10)})
    assert id() == id(
        settings={"learner.alpha": np.float64(1e-4), "task.operand_max": np.int64(96)}, modulus=np.int32(97)
    )
    assert id(encoder="fourier") == id(encoder="fourier", settings={"encoder.modulus": 97.0})
    assert id(settings={"encoder.period": 8}) == id(settings={"encoder.period": (8.0,)})
    for wrong in (
        {"modulus": 5.5},
        {"train_fraction": "x"},
        {"sdr": 3.7},
        {"settings": {"learner.random_state": None}},
    ):
        with pytest.raises(RequestError, match="must be"):
            resolve(encoder="cycle", learner="mlp", **wrong)
    with pytest.raises(RequestError, match="`epochs` must be an integer"):
        plan(encoder="cycle", learner="mlp", epochs=2.5)


@pytest.mark.parametrize(("truth", "names"), [(True, (1, 1.0, np.int64(1), "yes", "on")), (False, (0, 0.0, "no"))])
def test_a_flag_has_one_identity_however_its_truth_is_written(truth: bool, names: tuple[Any, ...]) -> None:
    def spec(tied: Any) -> Any:
        return resolve(encoder="onehot", learner="transformer", modulus=7, settings={"learner.tied": tied})[0]

    for name in names:
        assert spec(name).id == spec(truth).id
        assert spec(name).learner["tied"] is truth
    for wrong in (2, 0.5, "maybe", (1, 0)):
        with pytest.raises(RequestError, match="The 'tied' parameter of Transformer must be True or False, got"):
            spec(wrong)


def test_the_bench_tells_the_modulus_and_nothing_else() -> None:
    [spec] = resolve(encoder="fourier", learner="ridge", modulus=11)
    assert spec.make_encoder().modulus == 11
    [spec] = resolve(encoder="phasor", learner="ridge", task="s5")
    assert spec.make_encoder().modulus == 120


def test_probes_and_the_diagonal_are_of_test_pairs() -> None:
    [spec] = resolve(encoder="cycle", learner="knn", modulus=11, pairs="ordered")
    cell = prepare(spec)
    record = trained(cell, Budget(0)).record
    X, y, test = cell.problem.codes.dense(), cell.task.answers_N, cell.split.test
    nearest = ((X[test][:, np.newaxis] - X[cell.split.train]) ** 2).sum(-1).argmin(1)
    right = y[cell.split.train][nearest] == y[test]
    assert 0 < right.mean() < 1
    assert record["probes"]["knn"] == pytest.approx(right.mean())
    assert record["final"]["test_accuracy"] == pytest.approx(right.mean())
    diagonal = cell.task.operands_NK[test, 0] == cell.task.operands_NK[test, 1]
    assert diagonal.any()
    assert record["test_accuracy_diagonal"] == pytest.approx(right[diagonal].mean())
    poisoned = trained(poison(cell), Budget(0)).record
    assert poisoned["probes"] != record["probes"]
    assert poisoned["final"]["train_accuracy"] == record["final"]["train_accuracy"]


def test_pairs_that_no_learner_can_tell_apart_are_counted(tmp_path: Path, command: Command) -> None:
    done = command(
        "run", "--encoder", "cycle", "--learner", "ridge", "--task", "subtract", "--modulus", 11, "--results", tmp_path
    )
    assert "110 of 121 pairs share their code with a pair of another answer: unsolvable." in done.out
    solvable = command("run", "--encoder", "cycle", "--learner", "ridge", "--modulus", 11, "--results", tmp_path)
    assert "unsolvable" not in solvable.out


def test_codes_that_vanish_for_nearly_all_pairs_are_refused_before_anything_runs(
    tmp_path: Path, command: Command
) -> None:
    """Products of one-hot codes are zero unless a = b."""
    product = ("--encoder", "onehot", "--combine", "product", "--learner", "quadratic", "--results", tmp_path)
    for refused in (command("run", *product), command("run", *product, "--dry-run")):
        assert refused.code == 2
        assert "The combination 'product' of onehot codes is zero for 98 % of the pairs" in refused.err
    assert not list(tmp_path.glob("*.json"))
    with pytest.raises(RequestError, match=r"is zero for 92 % of the pairs"):
        prepare(resolve(encoder="onehot", combine="product", learner="ridge", modulus=23)[0])


def test_equal_codes_of_different_pairs_count_as_shared() -> None:
    """Of products of bits many are equal, though each stands in a row of its own."""
    [spec] = resolve(encoder="binary", combine="product", learner="ridge", modulus=11)
    cell = prepare(spec)
    codes, answers = cell.problem.codes.dense(), cell.task.answers_N
    rows = np.concatenate(list(cell.parts.values()))
    shared = [any((codes[i] == codes[j]).all() and answers[i] != answers[j] for j in rows) for i in rows]
    assert cell.conflicts == sum(shared) > 0


SLOW = (
    *("run", "--encoder", "cycle", "--learner", "mlp", "--epochs", "100000"),
    *("--set", "learner.hidden_layer_sizes=100", "--modulus", "31"),
)


def start(results: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench", *SLOW, "--results", str(results), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize("seeds", ["1", "2"])
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(tmp_path: Path, seeds: str) -> None:
    running = start(tmp_path, "--seeds", seeds)
    begun: set[str] = set()
    while len(begun) < int(seeds):  # a line as "[   3.1 s] seeds 0–1: step 812 of 100,000, about 9 s left, …"
        begun |= set(re.findall(r"\d+", read_until(running, running.stderr, r"\] seeds? ([^:]+): step [1-9]")[1]))
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the whole group
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert "Stopping: what is done is being kept" in err
    assert "the same command goes on" in err
    records = list(Store(tmp_path).records())
    assert len(records) == int(seeds)
    assert all(r["status"] == "interrupted" and r["final"]["step"] > 0 for r in records)
    [spec] = {json.dumps(r["spec"]["learner"]["hidden_layer_sizes"]) for r in records}
    assert spec == "[100]"
    reached = records[0]["final"]["step"]
    settings = {"learner.hidden_layer_sizes": 100}
    request = {
        "encoder": "cycle",
        "learner": "mlp",
        "modulus": 31,
        "settings": settings,
        "seed": records[0]["spec"]["seed"],
    }
    planned = plan(**request, epochs=reached + 10, results=tmp_path)
    assert planned.steps[0].action == "resume"


def test_kill_9_leaves_whole_records_only(tmp_path: Path) -> None:
    """Killed while seed after seed finishes: what is there is whole, and the same command does the rest."""
    running = start(tmp_path, "--seconds", "0.1", "--seeds", "200", "--jobs", "1")
    wait_until(lambda: len(list(tmp_path.glob("*.json"))) >= 3)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    records = list(Store(tmp_path).records())
    assert 3 <= len(records) < 200
    assert all(record["status"] == "timeout" for record in records)


def test_a_record_of_a_device_that_is_missing_is_not_computed(tmp_path: Path, command: Command) -> None:
    [record] = bench.run(encoder="onehot", learner="quadratic", modulus=5, steps=2, device="cpu", results=tmp_path)
    record["environment"]["device"] = "cuda:7"
    Store(tmp_path).write(record)
    done = command("rerun", record["id"], "--results", tmp_path, "--quiet")
    assert done.code == 2
    assert "cuda" in done.error


def test_a_step_count_that_is_a_truth_value() -> None:
    with pytest.raises(RequestError, match=r"must be an integer, got True\.$"):
        bench.plan(encoder="onehot", learner="quadratic", steps=True)


def test_an_mlp_without_units_is_refused() -> None:
    with pytest.raises(RequestError, match="must be enough for one unit of the MLP"):
        bench.plan(encoder="onehot", learner="transformer", settings={"learner.mlp_ratio": 0.001})


def test_whole_floats_are_integers_where_only_these_are() -> None:
    of_floats, of_integers = (
        bench.plan(encoder="onehot", learner="quadratic", settings={"learner.batch_size": n}, results=None)
        for n in (64.0, 64)
    )
    assert [step.spec.id for step in of_floats.steps] == [step.spec.id for step in of_integers.steps]


def test_torch_learners_train_without_denormal_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """And who calls finds the arithmetic of the process as it was."""
    seen = []

    def smallest() -> float:
        return float(torch.tensor(1e-40) * 1)

    monkeypatch.setattr(execute, "train_cells", lambda *args, **more: seen.append(smallest()))
    before = smallest()
    bench.run(encoder="onehot", learner="quadratic", modulus=7, steps=1, results=None, jobs=1)
    assert (seen, smallest()) == ([0.0], before)
    assert before > 0
