"""Make the fixtures that freeze what users hold, by public means alone: commands and the functions of `bench`.

``python -m tests.frozen.make PART …``, in the root of the checkout, makes the named parts anew: that is how a change is
made on purpose. The records in ``results/`` and the models in ``models/`` are what earlier code has written, so they
are made once and never again: the parts ``results`` and ``models`` refuse to replace what is there. ``results-1/`` and
``ids-1.json`` are what code wrote whose records had schema 1.
"""

import contextlib
import inspect
import io
import json
import math
import os
import pkgutil
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import bench

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WIDTH = "120"
LONG_AGO = 1_700_000_000
"""Time stamp of every file in a copy of the results: nothing is too young to be cleaned away."""
FEATURES = {"learner.hidden_layer_sizes": 8}
SMALL_TRANSFORMER = {"learner.width": 4, "learner.depth": 1, "learner.heads": 2}

REQUESTS: dict[str, dict[str, Any]] = {
    "ridge": {"encoder": "phasor", "learner": "ridge", "modulus": 7, "seeds": 5},
    "mlp": {
        "encoder": "phasor",
        "learner": "mlp",
        "settings": {**FEATURES, "encoder.n": 16},
        "modulus": 7,
        "seeds": 5,
        "steps": 16,
    },
    "knn": {"encoder": "thermometer", "learner": "knn", "modulus": 11, "task": "subtract"},
    "grouped": {"encoder": "random", "learner": "ridge", "modulus": 5, "task": "divide", "pairs": "grouped"},
    "torch-mlp": {
        "encoder": "cycle",
        "learner": "torch-mlp",
        "settings": FEATURES,
        "combine": "concat",
        "sdr": "off",
        "modulus": 5,
        "pairs": "ordered",
        "train_fraction": 0.6,
        "validation_fraction": 0.2,
        "steps": 12,
    },
    "bfloat16": {
        "encoder": "onehot",
        "learner": "torch-mlp",
        "settings": FEATURES,
        "modulus": 5,
        "precision": "bfloat16",
        "split_seed": 3,
        "seed": 4,
        "steps": 6,
    },
    "transformer": {
        "encoder": "onehot",
        "learner": "transformer",
        "settings": SMALL_TRANSFORMER,
        "modulus": 5,
        "pairs": "ordered",
        "steps": 12,
    },
    "forward-forward": {"encoder": "onehot", "learner": "forward-forward", "modulus": 5, "pairs": "distinct"},
    "quadratic": {"encoder": "onehot", "learner": "quadratic", "modulus": 5, "steps": 8},
    "diverged": {
        "encoder": "onehot",
        "learner": "mlp",
        "modulus": 7,
        "steps": 30,
        "settings": {**FEATURES, "learner.learning_rate_init": 1e30, "learner.activation": "identity"},
    },
    "timeout": {
        "encoder": "onehot",
        "learner": "mlp",
        "settings": FEATURES,
        "modulus": 7,
        "steps": 100_000,
        "seconds": 0.05,
    },
    "interrupted": {"encoder": "thermometer", "learner": "mlp", "settings": FEATURES, "modulus": 7, "steps": 100_000},
}
"""What the records were asked for, by the arguments of `bench.run`. The one that failed is of `PLUGIN`."""
FORWARD = {"learner.width": 8, "learner.depth": 2}
REQUESTS["forward-forward"] |= {"settings": FORWARD, "steps": 8}

FAILING = {"encoder": "guarded-code", "learner": "guarded-failure", "task": "guarded-sum", "modulus": 5}

SEARCH = (
    *("tune", "--encoder", "phasor", "--learner", "mlp", "--modulus", "7", "--fix", "learner.width=8"),
    *("--fix", "learner.depth=1", "--fix", "learner.batch_size=8", "--space", "learner.alpha=0.0001..0.1:log"),
    *("--objective", "accuracy", "--sampler", "random", "--steps", "16", "--jobs", "1", "--quiet"),
)
TUNE = (*SEARCH, "--trials", "3", "--fresh", "1")
"""A study that is over: its vault was opened."""
OPEN = (*SEARCH, "--fresh", "0", "--study", "open", "--trials")
"""A study that can go on, without the number of its trials, which is `OPEN_TRIALS` so far."""
OPEN_TRIALS = 2

EXTENDED: dict[str, int] = {"interrupted": 40, "mlp": 20, "transformer": 6}
"""Requests that are extended, their first seed, by so many steps. Their checkpoints are kept, all others are not."""

MODELS: dict[str, dict[str, Any]] = {
    "ridge": {"encoder": "phasor", "learner": "ridge", "modulus": 7},
    "knn": {"encoder": "thermometer", "learner": "knn", "modulus": 7},
    "mlp": {
        "encoder": "cycle",
        "learner": "mlp",
        "settings": {**FEATURES, "encoder.n": 32},
        "sdr": 8,
        "modulus": 7,
        "steps": 60,
    },
    "torch-mlp": {"encoder": "onehot", "learner": "torch-mlp", "settings": FEATURES, "modulus": 7, "steps": 30},
    "transformer": {
        "encoder": "onehot",
        "learner": "transformer",
        "settings": SMALL_TRANSFORMER,
        "modulus": 7,
        "steps": 20,
    },
    "forward-forward": {
        "encoder": "onehot",
        "learner": "forward-forward",
        "settings": FORWARD,
        "modulus": 7,
        "steps": 8,
    },
}

PLUGIN = {
    "guarded/__init__.py": "",
    "guarded/parts.py": '''
import numpy as np

from bench.tasks import Task
from encoders import Encoder, OneHot
from learners import ClosedForm, Ridge
from learners.optim import SGD


class Code(OneHot):
    """One-hot codes of another package."""


class Plain(Ridge):
    """Ridge regression of another package."""


class Failure(Ridge):
    """A learner that fails as it is fitted."""

    def _solve(self, X, targets_NC):
        raise ZeroDivisionError("by design")


class Follow(SGD):
    """A rule of another package."""


def guarded_sum(modulus=5):
    pairs = np.stack(np.meshgrid(np.arange(modulus), np.arange(modulus), indexing="ij"), axis=-1).reshape(-1, 2)
    return Task("guarded-sum", "a + b of another package", pairs, pairs.sum(axis=1) % modulus, modulus, True,
                modulus, modulus)
''',
    "guarded-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: guarded\nVersion: 1.0\n",
    "guarded-1.0.dist-info/entry_points.txt": (
        "[mod97.encoders]\nguarded-code = guarded.parts:Code\n"
        "[mod97.learners]\nguarded-plain = guarded.parts:Plain\nguarded-failure = guarded.parts:Failure\n"
        "[mod97.optimizers]\nguarded-follow = guarded.parts:Follow\n"
        "[mod97.tasks]\nguarded-sum = guarded.parts:guarded_sum\n"
    ),
}
"""A package of somebody else, which registers an encoder, two learners, a part of optimizers and a task."""

COMMANDS = (
    *(
        "clean",
        "dashboard",
        "doctor",
        "export",
        "info",
        "list",
        "merge",
        "new",
        "pack",
        "plot",
        "publish",
        "rank",
        "report",
        "reproduce",
    ),
    *("rerun", "run", "show", "speed", "status", "sweep", "tune"),
)
ENCODERS = ("binary", "cycle", "fourier", "onehot", "phasor", "random", "rdse", "residue", "scalar", "thermometer")
LEARNERS = ("forward-forward", "kan", "knn", "mlp", "quadratic", "ridge", "torch-mlp", "transformer")

RUN_MLP = (
    *("run", "--encoder", "phasor", "--learner", "mlp", "--set", "learner.hidden_layer_sizes=8"),
    *("--set", "encoder.n=16", "--modulus", "7", "--seeds", "5", "--jobs", "1", "--quiet"),
)
SWEEP = (
    *("sweep", "--encoder", "phasor", "--learner", "mlp", "--vary", "learner.hidden_layer_sizes=8,9"),
    *("--modulus", "7", "--seeds", "2", "--jobs", "1", "--quiet"),
)
SWEEP_RIDGE = (
    *("sweep", "--encoder", "phasor", "--learner", "ridge", "--modulus", "7", "--seeds", "3"),
    *("--jobs", "1", "--quiet"),
)
RIDGE = ("run", "--encoder", "onehot", "--learner", "ridge", "--modulus", "7", "--jobs", "1", "--quiet")
VALUE: dict[str, tuple[str, ...]] = {
    "list": ("list",),
    "run-stored": (*RUN_MLP, "--steps", "16"),
    "run-dry": (*RUN_MLP, "--steps", "50", "--dry-run"),
    "tune-stored": TUNE,
    "tune-open": (*OPEN, str(OPEN_TRIALS)),
    "tune-dry": (*TUNE, "--dry-run"),
    "rank-accuracy": ("rank",),
    "rank-steps": ("rank", "--by", "steps", "--target", "0.95", "--crossing", "first", "--encoder", "phasor"),
    "rank-seconds": ("rank", "--by", "seconds", "--encoder", "phasor"),
    "rank-flops": ("rank", "--by", "flops", "--encoder", "onehot", "--modulus", "7"),
    "rank-fraction": ("rank", "--by", "fraction", "--learner", "ridge"),
    "merge-into-empty": ("merge", "results", "--into", "empty", "--quiet"),
    "merge-into-half": ("merge", "results", "--into", "half", "--quiet"),
    "merge-dry": ("merge", "results", "--into", "half", "--dry-run", "--quiet"),
    "clean-dry": ("clean", "--dry-run", "--quiet"),
}
"""Commands whose document is the same each time."""
SHAPE: dict[str, tuple[str, ...]] = {
    "run": (*RIDGE, "--results", "new"),
    "sweep-stored": SWEEP_RIDGE,
    "sweep-dry": (*SWEEP, "--dry-run"),
    "doctor": ("doctor",),
}
"""Commands whose document says how long something took or where it ran: only keys and types are the same.

`speed` is not among them: it takes ten seconds, and tests/test_speed.py looks at its document.
"""
TEXTS: dict[str, tuple[str, ...]] = {
    "rank.txt": ("rank",),
    "rank-steps.txt": ("rank", "--by", "steps", "--target", "0.95", "--crossing", "first"),
    "rank.md": ("rank", "--format", "markdown", "--top", "1", "--encoder", "phasor"),
    "rank.csv": ("rank", "--format", "csv", "--encoder", "phasor"),
    "run-stored.txt": (*RUN_MLP, "--steps", "16"),
    "run-dry.txt": (*RUN_MLP, "--steps", "50", "--dry-run"),
    "list.txt": ("list",),
}
DOCUMENTS = {**VALUE, **SHAPE}
ERRORS: tuple[tuple[str, ...], ...] = (
    ("run",),
    ("run", "--encoder", "nothing", "--learner", "ridge"),
    ("run", "--encoder", "onehot", "--learner", "ridge", "--steps", "3"),
    ("run", "--encoder", "onehot", "--learner", "mlp", "--set", "learner.nothing=1"),
    ("run", "--encoder", "onehot", "--learner", "mlp", "--pairs", "nothing"),
    ("sweep",),
    ("tune", "--encoder", "onehot", "--learner", "mlp"),
    (*SEARCH, "--trials", "4", "--fresh", "1"),
    ("rank", "--by", "nothing"),
    ("rank", "--results", "nowhere"),
    ("rerun", "ffffffffffffffff", "--results", "new-nowhere"),
    ("merge", "nowhere", "--into", "empty"),
    ("info", "nothing"),
    ("nothing",),
)


class Finished:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def call(*arguments: object) -> Finished:
    """Run the command line in this process, at a fixed width and without colours."""
    from bench.cli import main

    out, err, code = io.StringIO(), io.StringIO(), 0
    before, program = os.environ.get("COLUMNS"), sys.argv[0]
    os.environ["COLUMNS"], sys.argv[0] = WIDTH, "bench"
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv[0] = program
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return Finished(code, out.getvalue(), err.getvalue())


def lay_out(place: Path) -> None:
    """Put into a folder what the commands work on: the results, half of them, and a folder that is empty."""
    shutil.copytree(HERE / "results", place / "results")
    shutil.copytree(HERE / "results-1", place / "results-1")
    (place / "half").mkdir()
    (place / "empty").mkdir()
    for number, record in enumerate(sorted((place / "results").glob("*.json"))):
        if number % 2:
            shutil.copy(record, place / "half")
    for path in place.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def stored(folder: str = "results") -> dict[str, Any]:
    """The frozen records by id."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((HERE / folder).glob("*.json"))}


# What is compared


def shape(value: Any) -> Any:
    """Keys and types of a document; of a list what its first item is."""
    if isinstance(value, Mapping):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    for kind, name in ((bool, "yes or no"), (int, "number"), (float, "number"), (str, "text")):
        if isinstance(value, kind):
            return name
    return None


def shortened(value: Any, records: Mapping[str, Any]) -> Any:
    """A document in which the whole text of a stored record gives way to its id."""
    if isinstance(value, Mapping):
        if value in records.values():
            return f"the record {value['id']}, as it is stored"
        return {key: shortened(one, records) for key, one in value.items()}
    return [shortened(one, records) for one in value] if isinstance(value, list) else value


def differences(frozen: Any, found: Any, where: str = "the document", loose: bool = False) -> list[str]:
    """In words, where two documents differ by more than the rounding of a number.

    :param loose: they are shapes: what is null in one of them may be anything in the other.
    """
    if loose and (frozen is None or found is None):
        return []
    if isinstance(frozen, dict) and isinstance(found, dict):
        said = [f"{where} has no {key!r} any more" for key in frozen if key not in found]
        said += [f"{where} has {key!r}, which is new" for key in found if key not in frozen]
        shared = [key for key in frozen if key in found]
        return said + [d for key in shared for d in differences(frozen[key], found[key], f"{where}.{key}", loose)]
    if isinstance(frozen, list) and isinstance(found, list):
        if len(frozen) != len(found) and not (loose and not (frozen and found)):
            return [f"{where} has {len(found)} items instead of {len(frozen)}"]
        pairs = enumerate(zip(frozen, found, strict=False))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{where}[{i}]", loose)]
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (frozen, found))
    same = math.isclose(frozen, found, rel_tol=1e-9) if numbers else frozen == found and type(frozen) is type(found)
    return [] if same else [f"{where} is {found!r} instead of {frozen!r}"]


# Parts that are made anew each time and compared


def document(name: str) -> dict[str, Any]:
    """The document of a command, in the folder that `lay_out` filled, with what may differ left out."""
    command = DOCUMENTS[name]
    done = call(*command, "--json")
    found = json.loads(done.out) if done.out else {"error": done.err}
    kept = shortened(found, stored()) if name in VALUE else shape(found)
    return {"command": " ".join([*command, "--json"]), "code": done.code, "document": kept}


def described(kind: str, name: str) -> dict[str, Any]:
    """What ``info NAME --json`` says, without its prose."""
    found = json.loads(call("info", name, "--json").out)
    return {"kind": kind, **{key: shape(one) if key == "documentation" else one for key, one in found.items()}}


def infos() -> dict[str, Any]:
    """What is said of all plugins."""
    listed = json.loads(call("list", "--json").out)
    return {
        f"{kind} {item['name']}": described(kind, item["name"])
        for kind in ("encoder", "learner", "optimizer", "task")
        for item in listed[f"{kind}s"]
    }


def helps_of(name: str) -> str:
    """The help of a command, or of the command line as a whole."""
    return call(*([name] if name != "all" else []), "--help").out


def errors() -> dict[str, Any]:
    """How commands that are wrong end."""
    found = ((command, call(*command)) for command in ERRORS)
    return {" ".join(command): {"code": done.code, "stderr": done.err} for command, done in found}


def requests() -> Iterator[dict[str, Any]]:
    """Requests of every encoder with every learner, and of everything else that is part of an identity."""
    yield from ({"encoder": encoder, "learner": learner} for encoder in ENCODERS for learner in LEARNERS)
    plain = {"encoder": "onehot", "learner": "ridge", "modulus": 11}
    for item in json.loads(call("list", "--json").out)["tasks"]:
        yield {"encoder": "onehot", "learner": "ridge", "task": item["name"]}
    for pairs in ("ordered", "grouped", "unordered", "distinct"):
        yield {**plain, "pairs": pairs}
        yield {**plain, "pairs": pairs, "task": "subtract", "train_fraction": 0.4}
    small = {"encoder": "cycle", "learner": "mlp", "modulus": 11}
    yield {**small, "seeds": 6}
    yield {**small, "seed": 12345}
    yield {**small, "seed": 2, "split_seed": 9}
    yield {**small, "validation_fraction": 0.2}
    yield {**small, "stop_when_solved": True}
    yield {**small, "steps": 70}
    yield {**small, "epochs": 7, "seconds": 3}
    yield {**small, "combine": "product", "sdr": 5}
    yield {**small, "combine": "concat", "sdr": "off"}
    yield {**small, "settings": {"encoder.n": 300, "learner.hidden_layer_sizes": (20, 10), "learner.alpha": 0.5}}
    yield {**small, "settings": {"encoder.random_state": 7, "learner.random_state": 8}}
    yield {**small, "settings": {"task.operand_max": 20}}
    yield {**small, "vault": {"fraction": 0.2, "seed": 7, "open": True}}
    torch = {"encoder": "residue", "learner": "torch-mlp", "modulus": 15, "device": "cpu"}
    yield {**torch, "precision": "bfloat16"}
    yield {**torch, "optimizer": "grokfast-ema+muon", "settings": {"muon.lr": 1, "muon.rest.weight_decay": 0}}
    yield {**torch, "settings": {"adamw.betas": (0.9, 0.999)}}
    yield {**torch, "learner": "transformer", "settings": SMALL_TRANSFORMER}


def ids() -> list[dict[str, Any]]:
    """Id, label and budget of each request; the whole spec where a name comes first."""
    told: set[str] = set()
    found = []
    for request in requests():
        steps = [step.to_dict() for step in bench.plan(results=None, **request).steps]
        spec = steps[0]["spec"]
        entry: dict[str, Any] = {
            "request": request,
            "ids": [step["id"] for step in steps],
            "label": steps[0]["label"],
            "budget": list(steps[0]["budget"].values()),
        }
        fresh = {name for name in (spec["encoder"]["name"], spec["learner"]["name"], spec["task"]) if name not in told}
        told |= fresh
        if fresh or "vault" in request:
            entry["spec"] = spec
        found.append(entry)
    return json.loads(json.dumps(found))


def plans() -> dict[str, Any]:
    """What is left to do of each stored record for an equal, a larger and a smaller budget."""
    found = {}
    for name, request in REQUESTS.items():
        budgets: dict[str, dict[str, Any]] = {"equal": {}}
        if "steps" in request:
            budgets |= {"larger": {"steps": 2 * request["steps"]}, "smaller": {"steps": 2}}
        if "seconds" in request:
            budgets |= {"more seconds": {"seconds": 60}, "fewer seconds": {"seconds": 0.01}}
        for budget, change in budgets.items():
            planned = bench.plan(results="results", **{**request, **change})
            found[f"{name}, {budget} budget"] = {step.id: step.action for step in planned.steps}
    return found


def names() -> dict[str, Any]:
    """Public names: functions with their arguments, modules, and what can be imported from packages."""
    from importlib.metadata import entry_points

    functions = {}
    for name in sorted(dir(bench)):
        arguments = inspect.signature(getattr(bench, name)).parameters.values()
        functions[name] = [
            f"{a.kind.description} {a.name}" + ("" if a.default is a.empty else f" = {a.default!r}") for a in arguments
        ]
    found: dict[str, Any] = {"bench": functions}
    for package in ("encoders", "learners"):
        root = import_module(package)
        found[package] = {"names": sorted(dir(root)), "modules": {}}
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if "._" not in module.name:
                held = vars(import_module(module.name))
                own = [n for n, v in held.items() if n[0] != "_" and getattr(v, "__module__", "") == module.name]
                found[package]["modules"][module.name] = sorted(held.get("__all__", own))
    scripts = [point.value for point in entry_points(group="console_scripts") if point.name == "mod97"]
    return found | {"mod97": scripts[:1]}


def write_plugin(place: Path) -> None:
    """Put somebody else's package into a folder."""
    for name, text in PLUGIN.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, "utf-8")


SEVERAL = """
import json, sys
from bench.cli._commands import exit_code
sys.exit(max(map(exit_code, json.loads(sys.argv[1]))))
"""
"""A program that runs several commands one after another, and ends with the highest of their exit codes."""


def with_plugin(place: Path, *commands: Sequence[str]) -> Finished:
    """Run commands in a process of its own that finds somebody else's package in a folder."""
    environment = {**os.environ, "COLUMNS": WIDTH, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)])}
    program = [sys.executable, "-c", SEVERAL, json.dumps([list(one) for one in commands])]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


FAILING_RUN = (
    *("run", *(part for key, value in FAILING.items() for part in (f"--{key}", str(value)))),
    *("--jobs", "1", "--quiet", "--json"),
)


def extended() -> dict[str, Any]:
    """What extensions add to records in the folder that `lay_out` filled."""
    return {name: tail(extend(name)) for name in EXTENDED}


def tail(record: Mapping[str, Any]) -> dict[str, Any]:
    """What an extension adds to a record, and the environment in which that is the same each time."""
    before = len(stored()[record["id"]]["curve"]["step"])
    kept = {key: record[key] for key in ("id", "status", "budget", "final", "steps_to")}
    curve = {key: values[before:] for key, values in record["curve"].items()}
    return {**kept, "curve": curve, "environment": rounding(record["environment"])}


def rounding(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What of an environment decides how numbers are rounded: the libraries, the processor and the threads."""
    libraries = {name: environment["versions"][name] for name in ("numpy", "scipy", "scikit-learn", "torch")}
    return {"versions": libraries, **{name: environment[name] for name in ("device", "processor", "threads")}}


def arithmetic() -> dict[str, str]:
    """Digests of products and exponentials, which differ between kernels of a library."""
    matrix = np.random.default_rng(0).standard_normal((200, 300))
    found = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for kind in (np.float32, np.float64):
            some = matrix.astype(kind)
            other = torch.from_numpy(some)
            results = {"numpy": np.exp(-np.abs(some.T @ some)), "torch": torch.exp(-(other.T @ other).abs()).numpy()}
            found |= {f"{name} {kind.__name__}": sha256(array.tobytes()).hexdigest() for name, array in results.items()}
    torch.set_num_threads(threads)
    return found


def extend(name: str) -> Any:
    """Extend the first seed of a request."""
    request = {**REQUESTS[name], "seeds": 1}
    [step] = bench.plan(results="results", **request).steps
    assert step.record is not None, f"there is no record of {name!r}"
    steps = step.record["final"]["step"] + EXTENDED[name]
    [record] = bench.run(results="results", device="cpu", jobs=1, **{**request, "steps": steps})
    return record


def answers(model: Any) -> dict[str, Any]:
    """What a model says of all pairs below 7, and its scores of the first ones."""
    import numpy as np

    pairs = np.stack(np.meshgrid(np.arange(7), np.arange(7), indexing="ij"), axis=-1).reshape(-1, 2)
    found = {"predict": model.predict(pairs).tolist()}
    for scores in ("decision_function", "predict_proba"):
        if hasattr(model, scores):
            found[scores] = np.asarray(getattr(model, scores)(pairs[:4]), np.float64).tolist()
    return found


def names_in_model(path: Path) -> list[str]:
    """The classes and functions of this project that a saved model names, as "module:name"."""
    from joblib import numpy_pickle

    named: set[str] = set()

    class Reader(numpy_pickle.NumpyUnpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module.partition(".")[0] in ("bench", "encoders", "learners"):
                named.add(f"{module}:{name}")
            return super().find_class(module, name)

    with io.BytesIO(zlib.decompress(path.read_bytes())) as file:
        Reader(str(path), file, ensure_native_byte_order=True).load()
    return sorted(named)


# Parts that are made once


def make_results() -> None:
    """Records of every kind."""
    target = HERE / "results"
    _refuse(target)
    with working() as place:
        for name, request in REQUESTS.items():
            if name != "interrupted":
                said = bench.run(results="results", device="cpu", jobs=1, **request)
                print(name, *(record["status"] for record in said))
        _interrupt()
        write_plugin(place / "plugin")
        print("failed", with_plugin(place / "plugin", FAILING_RUN).code)
        print("tune", call(*TUNE).code, call(*OPEN, OPEN_TRIALS).code)
        _tidy(place / "results")
        shutil.copytree(place / "results", target)


def _interrupt() -> None:
    """Press Ctrl-C as soon as a run has gone some steps."""
    request = REQUESTS["interrupted"]
    options = [part for key in ("encoder", "learner", "modulus", "steps") for part in (f"--{key}", str(request[key]))]
    command = [sys.executable, "-m", "bench", "run", *options, "--set", "learner.hidden_layer_sizes=8", "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(r"\] seeds? ([^:]+): step [1-9]", line):
            process.send_signal(signal.SIGINT)
            break
    process.communicate()
    print("interrupted", process.returncode)


def _tidy(results: Path) -> None:
    """Keep the checkpoints that are asked for, and no path of this machine."""
    kept = {bench.plan(results="results", **{**REQUESTS[name], "seeds": 1}).steps[0].spec.id for name in EXTENDED}
    for path in results.rglob("*"):
        if path.name.startswith(".") or (path.suffix == ".npz" and path.name[:16] not in kept):
            path.unlink()
    for path in [*results.glob("*.json"), *results.glob("*.journal")]:
        text = path.read_text("utf-8")
        for root, name in ((str(Path.cwd()), "PLACE"), (str(ROOT), "ROOT"), (sys.prefix, "ENVIRONMENT")):
            text = text.replace(root, name)
        path.write_text(re.sub(r'File \\"/[^"]*/', r'File \\"', text), "utf-8")


def make_models() -> None:
    """Saved models, and what they answer."""
    target = HERE / "models"
    _refuse(target)
    target.mkdir()
    import joblib

    with working():
        for name, request in MODELS.items():
            path = target / f"{name}.joblib"
            bench.run(results=None, device="cpu", jobs=1, save_model=path, **request)
            model = joblib.load(path)
            write(target / f"{name}.json", {"names": names_in_model(path), **answers(model)})


def _refuse(target: Path) -> None:
    if target.exists():
        raise SystemExit(f"{target.name}/ is there: what earlier code has written is not made anew.")


@contextlib.contextmanager
def working() -> Iterator[Path]:
    """Work in a temporary folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


@contextlib.contextmanager
def laid_out() -> Iterator[None]:
    """Work in a temporary folder that `lay_out` filled."""
    with working() as place:
        lay_out(place)
        yield


def write(path: Path, value: Any) -> None:
    """Write a text, or a document: what has up to a thousand letters is one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else _dense(value) + "\n", "utf-8")


def _dense(value: Any, indent: str = "") -> str:
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= 1000 or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + " "
    if isinstance(value, list):
        return "[\n" + ",\n".join(deeper + _dense(one, deeper) for one in value) + f"\n{indent}]"
    items = (f"{deeper}{json.dumps(key, ensure_ascii=False)}: {_dense(one, deeper)}" for key, one in value.items())
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"


def make_help() -> None:
    """The help texts."""
    for name in ("all", *COMMANDS):
        write(HERE / "help" / f"{name}.txt", helps_of(name))


def make_json() -> None:
    """The documents of commands."""
    for name in DOCUMENTS:
        with laid_out():
            write(HERE / "json" / f"{name}.json", document(name))
    write(HERE / "json" / "info.json", infos())


def make_texts() -> None:
    """What commands print as tables, and how they end that are wrong."""
    with laid_out():
        for name, command in TEXTS.items():
            write(HERE / "texts" / name, call(*command).out)
        write(HERE / "texts" / "errors.json", errors())


def make_plans() -> None:
    """What is left to do of the records."""
    with laid_out():
        write(HERE / "plans.json", plans())


def make_extended() -> None:
    """Extended records."""
    with laid_out():
        write(HERE / "extended.json", extended())
    write(HERE / "arithmetic.json", arithmetic())


PARTS: dict[str, Callable[[], object]] = {
    "results": make_results,
    "models": make_models,
    "help": make_help,
    "json": make_json,
    "texts": make_texts,
    "ids": lambda: write(HERE / "ids.json", ids()),
    "plans": make_plans,
    "names": lambda: write(HERE / "names.json", names()),
    "extended": make_extended,
}


def main(parts: list[str]) -> None:
    """Make the named parts."""
    if not parts or set(parts) - set(PARTS):
        raise SystemExit(f"Name some of these parts: {', '.join(PARTS)}.")
    os.environ["OMP_NUM_THREADS"] = "1"
    for part in parts:
        began = time.monotonic()
        PARTS[part]()
        print(f"{part}: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
