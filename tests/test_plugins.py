"""Plugins that do not keep the contract: every door says what is missing, and nothing runs."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished

from bench.specs import registry
from bench.specs.plugin_contract import fault_of_class
from bench.specs.registry import task as maker
from bench.tasks._base import Task
from encoders import Encoder, OneHot
from learners import Learner, Ridge

Command = Callable[..., Finished]
ROOT = Path(__file__).parent.parent

TASKS_OF_OTHERS = """
import numpy as np
from bench.tasks.modular import Task

def triple(modulus=5):
    triples = np.stack(np.meshgrid(*[np.arange(modulus)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return Task("triple", "a + b + c", triples, triples.sum(axis=1) % modulus, modulus, (modulus,) * 2, modulus)

def growing(modulus=5, k=2):
    rows = np.stack(np.meshgrid(*[np.arange(modulus)] * k, indexing="ij"), axis=-1).reshape(-1, k)
    return Task("growing", "a + …", rows, rows.sum(axis=1) % modulus, modulus, (modulus,) * k, modulus)

def nothing(modulus=5):
    return {"pairs": []}

def needy(modulus):
    return None
"""
PARTS_OF_OTHERS = '''
from encoders import Encoder
from learners import ClosedForm

class NoCheck(Encoder):
    """An encoder without check and suggest."""
    domain = "real"
    def __init__(self, scale=1.0): self.scale = scale
    def _fit(self, values): return ["x"]
    def _encode(self, values): return values[:, None]

class NoSuggest(ClosedForm):
    """A learner without suggest."""
    def __init__(self): pass
    def check(self): pass
    def _solve(self, X, targets_NC): return targets_NC
    def _scores(self, X): return X
    def _parameters(self): return 0
'''
REFUSED = {
    ("task", "triple"): "The task 'triple' must have questions of 2 operands, one for each size, got (125, 3)",
    ("task", "nothing"): "it must make a bench.tasks.Task, got dict",
    ("task", "needy"): "its parameter 'modulus' must have a default",
    ("encoder", "no-check"): "it lacks check and suggest",
    ("learner", "no-suggest"): "it lacks suggest",
}


@pytest.fixture
def incomplete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody else's package whose plugins each miss a part of the contract."""
    package = tmp_path / "halfway"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text(TASKS_OF_OTHERS)
    (package / "parts.py").write_text(PARTS_OF_OTHERS)
    info = tmp_path / "halfway-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halfway\nVersion: 1.0\n")
    names = "".join(f"{name} = halfway.tasks:{name}\n" for name in ("triple", "growing", "nothing", "needy"))
    (info / "entry_points.txt").write_text(
        f"[mod97.tasks]\n{names}"
        "[mod97.encoders]\nno-check = halfway.parts:NoCheck\n"
        "[mod97.learners]\nno-suggest = halfway.parts:NoSuggest\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    registry.listings.cache_clear()
    yield
    registry.listings.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "halfway"]:
        del sys.modules[name]


@pytest.mark.usefixtures("incomplete")
def test_list_info_and_doctor_say_what_is_missing(command: Command, tmp_path: Path) -> None:
    listed = command("list", "--json").json
    doctor = command("doctor", "--json", "--results", tmp_path)
    [plugins] = [check for check in doctor.json["checks"] if check["check"] == "plugins"]
    assert doctor.code == 1
    assert not plugins["ok"]
    for (kind, name), reason in REFUSED.items():
        [item] = [item for item in listed[f"{kind}s"] if item["name"] == name]
        assert item["unavailable"] == reason
        assert f"{kind} {name}: {reason}" in plugins["found"]
        info = command("info", name)
        assert info.code == 2
        assert info.error == f"The {kind} {name!r} is unavailable: {reason}."
    assert not [item for item in listed["tasks"] if item["name"] in ("growing", "add") and item["unavailable"]]


@pytest.mark.usefixtures("incomplete")
@pytest.mark.parametrize(("kind", "name"), REFUSED)
@pytest.mark.parametrize("verb", ["run", "sweep", "tune"])
def test_nothing_runs(command: Command, tmp_path: Path, kind: str, name: str, verb: str) -> None:
    request = {"encoder": "onehot", "learner": "ridge", "task": "add"} | {kind: name}
    options = [part for key, value in request.items() for part in (f"--{key}", value)]
    done = command(verb, *options, *(["--trials", 2] if verb == "tune" else []), "--results", tmp_path / "r")
    assert done.code == 2
    assert REFUSED[kind, name] in done.error
    assert repr(name) in done.error
    assert "bug" not in done.error


@pytest.mark.usefixtures("incomplete")
def test_a_task_of_another_package_has_any_number_of_operands(command: Command, tmp_path: Path) -> None:
    run = ("run", "--encoder", "onehot", "--learner", "ridge", "--task", "growing", "--results", tmp_path, "--quiet")
    for k in (1, 2, 3):
        [cell] = command(*run, "--set", f"task.k={k}", "--json").json["cells"]
        assert (cell["status"], cell["test_accuracy_diagonal"] is None) == ("done", k != 2)
        assert cell["spec"]["protocol"] == ("unordered" if k > 1 else "ordered")


@pytest.mark.usefixtures("incomplete")
def test_all_leaves_incomplete_ones_out(command: Command, tmp_path: Path) -> None:
    options = ("--encoder", "all", "--learner", "ridge", "--dry-run", "--json", "--results", tmp_path)
    found = command("sweep", *options)
    assert found.code == 0
    assert found.json["cells"] == len(registry.listings("encoder")) - 1


def made(operands: Any, answers: Any, sizes: tuple[int, ...] = (3, 3), **more: Any) -> Task:
    return Task("mine", "a ∘ b", np.array(operands), np.array(answers), 3, sizes, **more)


def test_a_task_of_pairs_may_be_made_as_before() -> None:
    pairs = np.array([[0, 1], [1, 0], [2, 2]])
    before = Task("mine", "a ∘ b", pairs, np.array([1, 1, 0]), 3, True, 3, 5)  # type: ignore[arg-type]
    assert (before.sizes, before.modulus, before.groups, before.symmetric) == ((3, 3), 5, [[0, 1]], True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0, 1]), "must have questions of 2 operands, one for each size, got (2,)"),
        (([[0]], [0]), "must have questions of 2 operands, one for each size, got (1, 1)"),
        (([[0, 1, 2]], [0]), "must have questions of 2 operands, one for each size, got (1, 3)"),
        (([[0, 1]], [0, 1]), "must have an answer for each of its 1 questions, got the shape (2,)"),
        ((np.empty((0, 2), dtype=int), np.empty(0, dtype=int)), "must have at least one question, got 0"),
        (([[0, 3]], [0]), "must have operands at place 1 in [0, 3), got 3"),
        (([[-1, 0]], [0]), "must have operands at place 0 in [0, 3), got -1"),
        (([[0, 1], [2, 0], [0, 1]], [0, 1, 2]), "must have questions that are all different, got 1 repeated"),
        (([[0, 1]], [-1]), "must have answers in [0, 3), got -1"),
        (([[0.0, 1.0]], [0]), "must have integers as questions, got float64"),
        (([[0, 1]], [0], (3, 3), ((0, 2),)), "must have groups of different places below 2 to exchange, got ((0, 2),)"),
        (([[0, 1]], [0], (3, 3), ((0, 0),)), "must have groups of different places below 2 to exchange, got ((0, 0),)"),
    ],
)
def test_a_task_is_a_table_of_questions_and_answers(arguments: Any, message: str) -> None:
    operands, answers, *more = arguments
    with pytest.raises(ValueError, match="The task 'mine' ") as raised:
        made(operands, answers, *more[:1], **({"exchange": more[1]} if more[1:] else {}))
    assert message in str(raised.value)
    assert made([[0, 1]], [2]).n_operands == 3
    assert maker("s5")().operands_NK.shape == (14400, 2)


@pytest.mark.parametrize("kind", ["encoder", "learner"])
def test_what_the_suite_brings_along_is_whole(kind: registry.Kind) -> None:
    assert not [item for item in registry.checked_listings(kind, every=True).values() if item.unavailable]


@pytest.mark.parametrize(
    ("kind", "base", "body", "fault"),
    [
        ("encoder", OneHot, {"version": "one"}, "its version must be an integer, got 'one'"),
        ("encoder", OneHot, {"domain": "words"}, "its domain must be 'categorical' or 'real', got 'words'"),
        ("learner", Ridge, {"devices": ("tpu",)}, "its devices must be some of 'cpu' and 'cuda', got ('tpu',)"),
        ("learner", Ridge, {"fit_parameters": ("x",)}, "its fit_parameters must be parameters of its constructor"),
        (
            "learner",
            Ridge,
            {"suggest": staticmethod(lambda trial: {"beta": 1})},
            "its suggest(trial) gives 'beta', which its constructor does not take",
        ),
        ("learner", Ridge, {"suggest": lambda self, trial: {}}, "its suggest(trial) fails: TypeError"),
        ("learner", Ridge, {"suggest": staticmethod(lambda trial: None)}, "must return its parameters by name"),
        ("encoder", Ridge, {}, "it must be a subclass of Encoder"),
    ],
)
def test_a_class_says_what_breaks_the_contract(kind: str, base: type, body: dict[str, Any], fault: str) -> None:
    cls = type("Broken", (base,), body)
    found = fault_of_class(kind, cls, Encoder if kind == "encoder" else Learner)
    assert found is not None
    assert fault in found
    assert fault_of_class("learner", Ridge, Learner) is None


def test_a_constructor_names_and_defaults_its_parameters() -> None:
    class Needy(OneHot):
        def __init__(self, n_values: int) -> None:
            self.n_values = n_values

    class Greedy(OneHot):
        def __init__(self, *values: int) -> None:
            self.values = values

    assert fault_of_class("encoder", Needy, Encoder) == "its parameter 'n_values' must have a default"
    assert fault_of_class("encoder", Greedy, Encoder) == "its parameters must be named one by one, got *values: int"


def test_a_file_of_the_checkout_is_read_and_not_imported(tmp_path: Path) -> None:
    """As `list` and completion do: what its bases ask for is found in their text."""
    for part in ("encoders", "learners", "bench"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    head = "from {0} import {1}\nprint('imported')\n\n\nclass {2}({1}):\n    '''Half.'''\n"
    (tmp_path / "encoders" / "half_made.py").write_text(
        head.format("encoders", "Encoder", "HalfMade") + "    def check(self): ...\n"
    )
    (tmp_path / "learners" / "closed.py").write_text(
        head.format("learners", "ClosedForm", "Closed") + "    def _scores(self, X): ...\n"
    )
    (tmp_path / "learners" / "mixed.py").write_text(
        "from nowhere_to_be_read import Part\n" + head.format("learners", "Learner", "Mixed")
    )
    code = "from bench.specs import registry as r; print([(n, l.unavailable) for k in r.KINDS "
    code += "for n, l in r.listings(k).items() if l.unavailable])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, env={"PYTHONPATH": "."}
    )
    assert eval(done.stdout) == [  # nothing was imported: nothing else is printed
        ("half-made", "it lacks _encode, _fit, domain and suggest"),
        ("closed", "it lacks _parameters, _solve, check and suggest"),
        ("mixed", "there is no module 'nowhere_to_be_read'"),
    ]


def test_a_package_of_helpers_is_no_plugin() -> None:
    """Plugins are modules: `learners.fleet` and `learners.optim` are packages, and listed nowhere."""
    import learners

    for package in ("fleet", "optim"):
        assert importlib.import_module(f"learners.{package}").__path__
        assert package not in registry.listings("learner")
        assert package not in dir(learners)
