"""`bench speed`: scripts that compute the same as the learner, and honest ratios."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import wait_until
from torch.nn import functional as F

from bench.errors import RequestError
from bench.recipes.measurements import fleet_rates, speed
from bench.recipes.measurements.fleet_rates import WINDOWS, ProcessPoolExecutor, Subject, fleets, rates_of
from bench.recipes.measurements.plain_script import PlainTransformer, Script, plain_module
from bench.recipes.measurements.speed import _row, measure
from bench.scheduling.devices import fleet_parts
from bench.specs.cell import prepare
from bench.specs.resolve import resolve
from learners import Quadratic, TorchMLP, Transformer
from learners.optim import SGD, AdamW, GrokFastEMA

FLEET = {"rates": [40.0], "flops": 1, "compiled": False, "compile": 0.0, "memory": None}
"""What a fleet of one process might be measured at."""


@pytest.fixture(autouse=True)
def small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate of a device is told by smaller matrices than usual, which take milliseconds."""
    monkeypatch.setitem(fleet_rates.SIDES, "cpu", (128, 256))


def cell(learner: str, **settings: Any) -> Any:
    [spec] = resolve(encoder="onehot", learner=learner, modulus=7, settings=settings)
    return prepare(spec)


def script(made: Any, usual: bool = False) -> Script:
    rows = made.split.test
    return Script(made.learner, made.problem, (rows, made.task.answers_N[rows]), "cpu", usual)


def test_the_plain_transformer_is_the_learner_s() -> None:
    learner = Transformer(width=12, heads=3, bias=True, activation="gelu")
    network = learner.network(2, 7, 7)
    network.reset(torch.Generator().manual_seed(0), 1.0)
    module = PlainTransformer(learner, 2, 7, 7)
    module.load_state_dict({name: x.detach() for name, x in network.named_parameters()})
    tokens = torch.randint(7, (30, 2))
    assert torch.allclose(module(tokens), network(torch.eye(7), tokens)[0], atol=1e-5)


@pytest.mark.parametrize("name", ["transformer", "torch-mlp", "quadratic", "forward-forward"])
def test_a_script_takes_the_learner_s_first_step(name: str) -> None:
    """With all pairs in a batch the order does not matter: script and learner then have the same weights."""
    drawn = {"learner.negatives": "all"} if name == "forward-forward" else {}  # what is drawn, each draws for itself
    made = cell(name, **{"learner.batch_size": 0, "adamw.warmup": 3, **drawn})
    lone = script(made)
    lone.run(3)
    training = type(made.learner).begin([made.learner], [made.problem])
    training.advance(3, [0])
    rows = np.concatenate([made.split.train, made.split.test])
    scores = training.look([0], [rows]).scores[0]
    plain = lone.module(torch.as_tensor(made.problem.codes.index_NS[rows]))
    untrained = plain_module(made.learner, made.problem)(torch.as_tensor(made.problem.codes.index_NS[rows]))
    apart, moved = (float((plain - other).detach().abs().max()) for other in (scores, untrained))
    assert apart < 0.02 * moved  # Adam divides by gradients that are nearly zero: rounding shows


def test_layers_that_learn_alone_have_a_usual_script() -> None:
    made = cell("forward-forward", **{"learner.batch_size": 5})
    lone = script(made, usual=True)
    lone.run(3)
    before = lone.log[0][0]
    lone.run(300)
    assert lone.log[-1][0] < before
    assert 0 <= lone.log[-1][1] <= 1


def test_the_usual_script_reads_and_evaluates() -> None:
    made = cell("transformer", **{"learner.batch_size": 5})
    lone = script(made, usual=True)
    per_epoch = -(-made.n_train // 5)
    lone.run(per_epoch + 1)
    assert len(lone.log) == per_epoch + 2  # one for each step, one for the held-out pairs
    loss, accuracy = lone.log[per_epoch]
    with torch.no_grad():
        scores = lone.module(lone.held_x)
    assert 0 <= accuracy <= 1
    assert loss == pytest.approx(float(F.cross_entropy(scores, lone.held_y)), rel=0.5)


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (Transformer(norm="post"), "written for the default form"),
        (Transformer(router="soft"), "written for the default form"),
        (TorchMLP(dropout=0.1), "written for dropout=0.0, got 0.1"),
        (Quadratic(optimizer=SGD()), "written for adam and adamw as they come, got .SGD"),
        (Quadratic(optimizer=[GrokFastEMA(), AdamW()]), "written for adam and adamw as they come"),
        (Quadratic(optimizer=AdamW(decay="to-init")), "as they come, got .AdamW.decay='to-init'"),
        (Quadratic(optimizer=AdamW(schedule="cosine", decay_steps=9)), "written for adam and adamw as they come"),
    ],
)
def test_what_nobody_wrote_plainly_is_refused(learner: Any, message: str) -> None:
    made = cell("quadratic")
    with pytest.raises(ValueError, match=message):
        Script(learner, made.problem, (made.split.test, made.task.answers_N[made.split.test]), "cpu", False)


@pytest.mark.usefixtures("inline")
def test_speed_prints_one_document(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.recipes.measurements.speed.RUN_STEPS", 8)
    monkeypatch.setitem(speed.RUN_REPLICAS, "cpu", 2)
    quick = ("--seconds", 0.02, "--replicas", 2, "--precision", "float32", "--eager", "--device", "cpu")
    small = ("--learner", "quadratic", "--set", "learner.width=8")
    done = command("speed", *small, *quick, "--json", "--quiet")
    assert done.code == 0
    found = done.json
    assert found["device"] == "cpu"
    usual, lean = found["usual_script_steps_per_second"], found["lean_script_steps_per_second"]
    [row] = found["rows"]  # each starts processes, which takes seconds
    assert (row["replicas"], row["precision"], row["compiled"]) == (2, "float32", False)
    assert row["ratio"] == pytest.approx(row["model_steps_per_second"] / usual)
    lowest, highest = row["window_range"]
    assert 0 < lowest <= row["model_steps_per_second"] <= highest
    assert row["lean_ratio"] == pytest.approx(row["model_steps_per_second"] / lean)
    assert 0 < row["of_product_rate"] < 1
    shares = found["run"]["shares"]
    assert sum(shares.values()) == pytest.approx(1.0)


def test_speed_prints_a_table(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.recipes.measurements.speed.fleets", lambda *arguments: [FLEET])
    quick = ("--seconds", 0.02, "--replicas", "1,2", "--precision", "float32", "--eager", "--device", "cpu")
    small = ("--learner", "quadratic", "--set", "learner.width=8")
    brief = command("speed", *small, *quick, "--no-run")
    assert "fleet of 2" in brief.out
    assert "A run of" not in brief.out
    found = command("speed", *small, *quick, "--no-run", "--json", "--quiet").json
    assert [row["replicas"] for row in found["rows"]] == [1, 2]


def test_a_load_beside_one_window_is_in_that_window_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, taken = [0.0], iter([7.0, 1.0, 1.0, 8.0, 0.5, 1.0])  # the first warms up, during the fourth there is a load
    monkeypatch.setattr("bench.recipes.measurements.fleet_rates.time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def run(steps: int) -> None:
        clock[0] += next(taken)

    assert rates_of(run, "cpu", 0.5 * WINDOWS) == [2.0, 2.0, 0.25, 4.0, 2.0]


def test_a_row_is_of_medians_summed_over_processes() -> None:
    found = [
        {"rates": [30.0, 10.0, 20.0, 1.0, 21.0], "flops": 3, "compiled": True, "compile": 2.0, "memory": 5},
        {"rates": [100.0, 100.0, 100.0, 100.0, 900.0], "flops": 1, "compiled": True, "compile": 4.0, "memory": 6},
    ]
    row = _row(8, "float32", found, usual=10.0, lean=20.0, rate=1000.0)
    assert (row.model_steps_per_second, row.window_range) == (120.0, (101.0, 930.0))
    assert (row.ratio, row.lean_ratio, row.of_product_rate) == (12.0, 6.0, 0.16)
    assert (row.compile_seconds, row.peak_memory_bytes) == (4.0, 11)


def test_scripts_are_timed_before_and_after_the_fleets(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([[5.0, 1.0], [9.0, 7.0], [3.0, 1.0], [7.0, 7.0]])  # usual and lean, before and after
    monkeypatch.setattr("bench.recipes.measurements.speed.rates_of", lambda run, device, seconds: next(told))
    monkeypatch.setattr("bench.recipes.measurements.speed.fleets", lambda *arguments: [FLEET])
    found = measure("quadratic", device="cpu", replicas=[1], precisions=["float32"], whole_run=False)
    assert found.usual_script_steps_per_second == 2.0
    assert found.script_ranges == {"usual": (1.0, 5.0), "lean": (7.0, 9.0)}
    assert found.rows[0].ratio == 20.0


def failing(*arguments: Any) -> Any:
    """A part that cannot be measured, beside one that waits for it."""
    seeds, meet = arguments[2], arguments[-1]
    if 1 in seeds:
        raise MemoryError("too many")
    meet()
    return {}


def test_who_waits_for_a_part_that_failed_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.recipes.measurements.fleet_rates._fleet", failing)
    monkeypatch.setattr(
        "bench.recipes.measurements.fleet_rates.fleet_parts", lambda *arguments: [("cpu", 1), ("cpu", 1)]
    )
    ended: list[bool] = []
    shutdown = ProcessPoolExecutor.shutdown

    def ending(pool: Any, wait: bool = True, kill_workers: bool = False) -> None:
        ended.append(kill_workers)
        shutdown(pool, wait=wait, kill_workers=kill_workers)

    monkeypatch.setattr("bench.recipes.measurements.fleet_rates.ProcessPoolExecutor.shutdown", ending)
    with pytest.raises(MemoryError, match="too many"):
        fleets(Subject("quadratic", "onehot", None), "float32", 2, "cpu", 1.0, False)
    assert ended == [True]  # a process that is not ended would wait for ten minutes


def test_processes_end_with_the_one_that_they_measure_for() -> None:
    program = (
        "import os, time\nfrom bench.recipes.measurements.fleet_rates import _processes\nif __name__ == '__main__':\n"
        "  with _processes(1, 'cpu') as pool:\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n    pool.submit(time.sleep, 3600).result()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        worker = int(owner.stdout.readline())
        owner.kill()
        owner.wait()
    wait_until(lambda: not alive(worker))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_interrupted_measurement_is_none(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**request: Any) -> list[Any]:
        return [{"status": "interrupted"}]

    monkeypatch.setattr("bench.run", interrupted)
    monkeypatch.setattr("bench.recipes.measurements.speed.fleets", lambda *arguments: [FLEET])
    done = command("speed", "--learner", "quadratic", "--seconds", 0.01, "--replicas", 1, "--device", "cpu", "--json")
    assert done.code == 130
    assert not done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--learner", "mlp"), "--learner must be one that trains in fleets, got mlp"),
        (("--replicas", "4,x"), "--replicas must be an integer ≥ 1, got 'x'"),
        (("--replicas", "0"), "--replicas must be an integer ≥ 1"),
        (("--replicas", "²"), "--replicas must be an integer ≥ 1"),
        (("--precision", "float16"), "--precision must be one of float32, bfloat16 here, got float16"),
        (("--seconds", "0"), "--seconds must be a finite number above 0, got 0.0"),
        (("--set", "learner.norm=post"), "written for the default form of the transformer and one-hot codes"),
        (("--encoder", "cycle"), "written for the default form of the transformer and one-hot codes"),
    ],
)
def test_bad_requests_get_one_line(command: Any, arguments: tuple[str, ...], message: str) -> None:
    done = command("speed", "--device", "cpu", "--quiet", *arguments)
    assert done.code == 2
    assert message in done.error


def test_fleets_spread_over_cores_and_gpus() -> None:
    many = 10**6
    assert fleet_parts("cpu", 20, many, 2) == [("cpu", 1), ("cpu", 1)]
    assert fleet_parts("cpu", 1, many, 8) == [("cpu", 8)]
    assert fleet_parts("cpu", 3, many, 8) == [("cpu", 2)] * 3
    assert fleet_parts("cpu", 20, 100, 8) == [("cpu", 8)]  # a process would cost more than it saves
    assert fleet_parts("cuda", 1024, many, 16, lambda: 4) == [(f"cuda:{i}", 1) for i in range(4)]
    assert fleet_parts("cuda", 2, many, 16, lambda: 4) == [("cuda:0", 1), ("cuda:1", 1)]
    assert fleet_parts("cuda:2", 64, many, 16, lambda: 4) == [("cuda:2", 1)]
    assert fleet_parts("cuda", 64, many, 16, lambda: 1) == [("cuda", 1)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_tf32_is_of_gpus(command: Any) -> None:
    done = command("run", "--encoder", "onehot", "--learner", "quadratic", "--precision", "tf32")
    assert done.code == 2
    assert "--precision tf32 is arithmetic of GPUs" in done.error
    assert RequestError.exit_code == 2


def test_torch_mlp_scripts_take_any_encoder() -> None:
    made = prepare(resolve(encoder="cycle", learner="torch-mlp", modulus=7)[0])
    assert isinstance(made.learner, TorchMLP)
    lone = script(made)
    before = lone.loss(lone.module(lone.x), lone.y).mean().item()
    lone.run(30)
    assert lone.loss(lone.module(lone.x), lone.y).mean().item() < before


def test_programs_of_the_fleets_are_kept_where_all_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr("bench.recipes.measurements.speed.fleets", lambda *arguments: [FLEET])
    found = measure("quadratic", device="cpu", replicas=[1], seconds=0.01, compile=False, whole_run=False)
    assert [row.replicas for row in found.rows] == [1, 1]
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "mod97" / "programs")
