"""Environment variables and modes that a user has set for other work: refused at the door, or without influence."""

import asyncio
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import sklearn
import torch

import bench
from bench.cli._commands import COMMANDS
from bench.errors import RequestError
from bench.executors import check_variables, settle_variables, told_variables
from bench.executors.variables import RULES, TOLD
from bench.specs import describe, docstring, documentation, registry
from encoders import OneHot, PairEncoder
from learners import MLP, Quadratic, Ridge
from tests.conftest import Finished

ROOT = Path(__file__).parent.parent


# Variables


TAKEN = [
    *(("OMP_NUM_THREADS", value) for value in ("1", " 4 ", "4,2", "4, 2", "999999999")),
    *(("OMP_WAIT_POLICY", value) for value in ("active", "PASSIVE")),
    *(("OMP_PROC_BIND", value) for value in ("true", "close,spread")),
    *(("GOMP_SPINCOUNT", value) for value in ("0", "10k", "infinity")),
    ("OMP_DYNAMIC", "FALSE"),
    *(("OMP_STACKSIZE", "4M"), ("OMP_PLACES", "cores(2)"), ("OMP_PLACES", "{0:4}:4:4"), ("OMP_SCHEDULE", "dynamic,4")),
    *(("GOMP_CPU_AFFINITY", "0 3 1-2 4-15:2"), ("OMP_NESTED", "TRUE"), ("OMP_THREAD_LIMIT", "8")),
    ("LOKY_MAX_CPU_COUNT", "3"),
    ("LOKY_MAX_MEMORY_LEAK_SIZE", "1e18"),
    ("JOBLIB_MULTIPROCESSING", "0"),
    ("JOBLIB_START_METHOD", "spawn"),
    ("SOURCE_DATE_EPOCH", "0"),
    ("PYTORCH_ALLOC_CONF", "expandable_segments:True,roundup_power2_divisions:[256:1,512:2]"),
    ("XDG_CACHE_HOME", "."),
]
REFUSED = [
    *(("OMP_NUM_THREADS", value) for value in ("auto", "-1", "0", "", "4,", "4,0", "1.5")),
    *(("OMP_WAIT_POLICY", "idle"), ("OMP_PROC_BIND", "yes"), ("GOMP_SPINCOUNT", "x"), ("OMP_DYNAMIC", "true")),
    *(("LOKY_MAX_CPU_COUNT", value) for value in ("0", "x", "-2", "", "1e3")),
    ("LOKY_MAX_DEPTH", "deep"),
    ("LOKY_MAX_MEMORY_LEAK_SIZE", "much"),
    ("JOBLIB_MULTIPROCESSING", "yes"),
    ("JOBLIB_START_METHOD", "foo"),
    ("SKLEARN_WORKING_MEMORY", "1GB"),
    ("SOURCE_DATE_EPOCH", "today"),
    *(("OMP_STACKSIZE", "foo"), ("OMP_PLACES", "foo"), ("OMP_THREAD_LIMIT", "0"), ("OMP_MAX_ACTIVE_LEVELS", "x")),
    *(("OMP_NESTED", "maybe"), ("OMP_NUM_THREADS", "9" * 20), ("OMP_SCHEDULE", "foo"), ("GOMP_CPU_AFFINITY", "x")),
    *(("PYTORCH_ALLOC_CONF", "junk"), ("PYTORCH_CUDA_ALLOC_CONF", "a:1,b")),
    ("TORCHINDUCTOR_COMPILE_THREADS", "all"),
]


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_values_that_libraries_take_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    check_variables()


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_values_that_libraries_do_not_take_are_refused(
    monkeypatch: pytest.MonkeyPatch, command: Callable[..., Finished], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    said = f"The environment variable {name} must be {RULES[name].words}, got {value!r}."
    with pytest.raises(RequestError) as raised:
        check_variables()
    assert str(raised.value) == said
    with pytest.raises(RequestError, match=name):
        bench.run(encoder="onehot", learner="ridge", modulus=5, results=None)
    if value:
        done = command("list")
        assert (done.code, done.out, done.error) == (2, "", said)


@pytest.mark.parametrize("name", [*RULES, "TORCH_LOGS"])
def test_the_command_line_takes_empty_values_for_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, " ")
    monkeypatch.setenv("MPLBACKEND", "junk")
    settle_variables()
    assert name not in os.environ
    assert os.environ["MPLBACKEND"] == "agg"
    check_variables()


def test_help_is_given_in_any_environment(monkeypatch: pytest.MonkeyPatch, command: Callable[..., Finished]) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "x")
    assert command("run", "--help").code == 0
    assert command("--version").code == 0


def test_doctor_shows_the_variables_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "junk")
    monkeypatch.setenv("TORCHINDUCTOR_FREEZING", "1")
    monkeypatch.setenv("MY_PASSWORD", "secret")
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")  # mod97's own
    told = list(told_variables())
    assert {"CUDA_VISIBLE_DEVICES=junk", "TORCHINDUCTOR_FREEZING=1"} <= set(told)
    assert not [one for one in told if one.startswith(("MY_", "GOMP_"))]
    assert all(TOLD.fullmatch(name) for name in RULES)


def started(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_pytorch_itself_says_which_logs_there_are() -> None:
    done = started("-m", "bench", "list", TORCH_LOGS="junk")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        "Error: The environment variable TORCH_LOGS must be one that PyTorch knows, as +dynamo,guards, got 'junk'."
    )


def test_without_docstrings_they_are_read_from_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``python -OO`` has it; starting that here would compile all libraries anew."""
    plugins: list[Any] = [registry.learner("forward-forward"), registry.encoder("cycle"), registry.optimizer("muon")]
    described = [(documentation(one), describe(one)) for one in plugins]
    optimized = SimpleNamespace(flags=SimpleNamespace(optimize=2), modules=sys.modules)
    monkeypatch.setattr("bench.specs.docstrings.sys", optimized)
    monkeypatch.setattr("bench.specs.docstrings.inspect.getdoc", lambda thing: "what there is not")
    assert [(documentation(one), describe(one)) for one in plugins] == described
    for one in COMMANDS:
        assert docstring(one.callback).split() == (one.help or "").split() != []


# Modes


@contextmanager
def switched(on: Callable[[], Any], off: Callable[[], Any]) -> Iterator[None]:
    on()
    try:
        yield
    finally:
        off()


USUAL_STACK = sys.getrecursionlimit()


@contextmanager
def strict_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextmanager
def anomalies() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is slow
        context = torch.autograd.set_detect_anomaly(True)
    with context:
        yield


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "anomalies": anomalies,
    "float64": lambda: switched(
        lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)
    ),
    "meta": lambda: switched(lambda: torch.set_default_device("meta"), lambda: torch.set_default_device(None)),
    "deterministic": lambda: switched(
        lambda: torch.use_deterministic_algorithms(True), lambda: torch.use_deterministic_algorithms(False)
    ),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "medium products": lambda: switched(
        lambda: torch.set_float32_matmul_precision("medium"), lambda: torch.set_float32_matmul_precision("highest")
    ),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "strict numbers": lambda: np.errstate(all="raise"),
    "strict warnings": strict_warnings,
    "tables": lambda: sklearn.config_context(transform_output="pandas"),
    "metadata": lambda: sklearn.config_context(enable_metadata_routing=True),
    "short stack": lambda: switched(lambda: sys.setrecursionlimit(600), lambda: sys.setrecursionlimit(USUAL_STACK)),
    "seeds of others": lambda: switched(lambda: (np.random.seed(3), torch.manual_seed(3)), lambda: None),  # noqa: NPY002
    "none": nullcontext,
}


def modes_now() -> list[Any]:
    """What a caller may have set."""
    return [
        *(torch.get_default_dtype(), torch.get_default_device(), torch.are_deterministic_algorithms_enabled()),
        *(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_float32_matmul_precision()),
        *(torch.is_anomaly_enabled(), torch.is_autocast_enabled("cpu"), torch.get_num_threads()),
        *(torch.get_rng_state().tolist() if torch.get_default_device().type == "cpu" else [], sys.getrecursionlimit()),
        *(np.geterr(), np.random.get_state()[1].tolist(), sklearn.get_config()),  # type: ignore[index]  # noqa: NPY002
    ]


RUNS: dict[str, dict[str, Any]] = {
    "ridge": {"encoder": "fourier", "learner": "ridge"},
    "mlp": {"encoder": "cycle", "learner": "mlp", "steps": 3, "settings": {"learner.hidden_layer_sizes": 8}},
    "quadratic": {"encoder": "onehot", "learner": "quadratic", "steps": 3, "settings": {"learner.width": 8}},
}


@pytest.fixture(scope="module")
def curves() -> dict[str, Any]:
    return {name: bench.run(**request, modulus=5, results=None)[0]["curve"] for name, request in RUNS.items()}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("mode", MODES)
def test_modes_of_the_caller_do_not_change_a_run(curves: dict[str, Any], mode: str, name: str) -> None:
    with MODES[mode]():
        before = modes_now()
        [record] = bench.run(**RUNS[name], modulus=5, results=None)
        after = modes_now()
    assert record["status"] == "done", record["error"]
    assert record["curve"] == curves[name]
    assert after == before


PAIRS = np.array([[a, b] for a in range(5) for b in range(5)])
X = np.eye(5, dtype=np.float32)[PAIRS].reshape(25, 10)
LEARNERS: dict[str, Callable[[], Any]] = {
    "ridge": Ridge,
    "mlp": lambda: MLP(hidden_layer_sizes=(4,), random_state=0),
    "quadratic": lambda: Quadratic(width=8, steps=3, random_state=0),
}


def fitted(name: str) -> list[Any]:
    learner = LEARNERS[name]().fit(X, PAIRS.sum(axis=1) % 5)
    of_class = getattr(learner, "predict_proba", None) or learner.decision_function
    return [learner.predict(X).tolist(), of_class(X).tolist()]


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("mode", ["float64", "meta", "no gradients", "inference", "strict numbers", "strict warnings"])
def test_modes_of_the_caller_do_not_change_a_learner(mode: str, name: str) -> None:
    expected = fitted(name)
    with MODES[mode]():
        before = modes_now()
        assert fitted(name) == expected
        assert modes_now() == before


def test_codes_are_arrays_where_tables_are_the_output_of_transformers() -> None:
    expected = PairEncoder(OneHot()).fit(PAIRS).codes(PAIRS).table_UF
    with sklearn.config_context(transform_output="pandas"):
        encoder = PairEncoder(OneHot()).fit(PAIRS)
        assert type(encoder.transform(PAIRS)).__name__ == "DataFrame"
        np.testing.assert_array_equal(encoder.codes(PAIRS).table_UF, expected)


def test_a_run_in_another_thread_is_the_same(curves: dict[str, Any]) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(bench.run(**RUNS["quadratic"], modulus=5, results=None)))
    thread.start()
    thread.join()
    assert found[0]["curve"] == curves["quadratic"]


def test_a_run_inside_an_event_loop_is_the_same(curves: dict[str, Any]) -> None:
    async def cell() -> Any:
        return bench.run(**RUNS["quadratic"], modulus=5, results=None)

    assert asyncio.run(cell())[0]["curve"] == curves["quadratic"]


def test_a_search_gives_the_loudness_of_optuna_back(inline: None, tmp_path: Path) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        request = {"encoder": "onehot", "learner": "ridge", "modulus": 5, "objective": "accuracy"}
        bench.tune(**request, trials=1, fresh=0, results=tmp_path / "r", jobs=1)
        assert optuna.logging.get_verbosity() == optuna.logging.WARNING
    finally:
        optuna.logging.set_verbosity(before)
