"""The command line around `run`: start-up, listing, information, health, completion, new plugins."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from conftest import Finished

import bench
import learners
from bench.cli import cli
from bench.cli._new import FOLDERS
from bench.specs import registry
from bench.specs.docstrings import documentation
from bench.specs.registry import listings
from learners import ForwardForward

Command = Callable[..., Finished]
ROOT = Path(__file__).parent.parent


def imported(code: str) -> set[str]:
    """Modules that a fresh Python has imported after some code: what it costs, on whatever machine."""
    shown = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    return set(subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True).stderr.split())


def test_help_costs_little_more_than_python_and_click() -> None:
    helped = imported("from bench.cli._commands import exit_code; assert exit_code(['--help']) == 0")
    more = helped - imported("import click")
    others = {name for name in more if name.partition(".")[0] not in sys.stdlib_module_names}  # no numpy, no torch
    assert {name.partition(".")[0] for name in others} == {"bench", "click", "lazy_loader"}
    assert len(more) < 80


def test_listing_imports_no_plugin_and_no_torch() -> None:
    code = """
import sys
import tomllib
from bench.cli._commands import exit_code
exit_code(["list", "--json"])
plugins = {m for m in sys.modules if m.startswith(("encoders.", "learners."))}
print(plugins | ({"torch", "sklearn", "optuna"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_importing_encoders_costs_what_it_needs_of_scikit_learn() -> None:
    """And no torch, whichever encoder is used."""
    needed = "sklearn.base, sklearn.utils.metaestimators, sklearn.utils.validation"
    code = f"""
import sys, scipy.sparse, {needed}
before = set(sys.modules)
import encoders
more = set(sys.modules) - before
assert {{name.partition(".")[0] for name in more}} == {{"encoders"}}, more
assert len(more) < 24, more
for name in ("Cycle", "OneHot", "RDSE", "Phasor"):
    getattr(encoders, name)
assert not {{"torch", "optuna", "learners", "bench"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_list(command: Command) -> None:
    done = command("list", "--json")
    assert done.code == 0
    names = {kind: [item["name"] for item in done.json[kind]] for kind in ("encoders", "learners", "tasks")}
    promised = "onehot cycle fourier thermometer binary residue scalar rdse random phasor"
    assert set(promised.split()) <= set(names["encoders"])
    assert {"mlp", "ridge", "knn"} <= set(names["learners"])
    assert set(names["tasks"]) == set(listings("task"))
    assert all(item["summary"] and not item["unavailable"] for kind in names for item in done.json[kind])
    assert "cycle" in command("list").out


@pytest.mark.parametrize("name", [n for kind in registry.KINDS for n in registry.listings(kind)])
def test_info_about_everything(command: Command, name: str) -> None:
    done = command("info", name, "--json")
    assert done.code == 0
    assert done.json["documentation"]
    shown = command("info", name)
    assert shown.code == 0
    if done.json["kind"] != "task":
        assert "Source:" in shown.out
    for parameter in done.json["parameters"]:
        assert parameter["name"] in shown.out or parameter["name"] == "modulus"


@pytest.mark.parametrize("width", [60, 100, 160])
@pytest.mark.parametrize("name", [n for kind in registry.KINDS for n in registry.listings(kind)])
def test_info_is_for_reading(command: Command, monkeypatch: pytest.MonkeyPatch, name: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = command("info", name).out
    for mark in (":param", ":raises", "`", ":class:", ">>>"):
        assert mark not in shown
    assert max(map(len, shown.splitlines())) <= width
    text = re.sub(r"\s+", " ", shown)
    described = command("info", name, "--json").json
    for parameter in described["parameters"]:
        called = "--modulus" if (parameter["name"], described["kind"]) == ("modulus", "task") else parameter["name"]
        assert re.search(rf"^{called}( = |  | \w)", shown, re.MULTILINE)
    if described["kind"] != "task":
        sentence = described["documentation"].partition("\n\n")[0]
        assert re.sub(r"\s+", " ", sentence).replace("`", "") in text


def test_info_puts_default_range_and_meaning_side_by_side(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    wide = [" ".join(line.split()) for line in command("info", "adamw").out.splitlines()]
    assert "lr 0.001 0.0001 … 0.01, logarithmic step size η > 0." in wide
    groups = ["structure", "training"]
    of_learner = [" ".join(line.split()) for line in command("info", "transformer").out.splitlines()]
    assert [line for line in of_learner if line in groups] == groups
    monkeypatch.setenv("COLUMNS", "60")
    narrow = command("info", "adamw").out.splitlines()
    place = narrow.index("lr = 0.001 (searched: 0.0001 … 0.01, logarithmic)")
    assert narrow[place + 1] == "    step size η > 0."


def test_info_tells_what_is_searched_from_what_can_be_set(command: Command) -> None:
    described = command("info", "adamw", "--json").json
    names = {parameter["name"]: parameter["searched"] for parameter in described["parameters"]}
    assert "beta2" not in names
    assert names["betas"] == "beta2 0.9 … 0.999"
    assert names["lr"] == "0.0001 … 0.01, logarithmic"
    assert described["drawn"]["betas"] == {"beta2": "0.9 … 0.999"}
    assert "A search draws beta2 to make betas: it is no parameter itself." in command("info", "adamw").out
    mlp = command("info", "mlp").out
    assert "A search draws width and depth to make hidden_layer_sizes: they are no parameters themselves." in mlp
    assert "no parameter" not in command("info", "ridge").out


def test_info_suggests_near_misses(command: Command) -> None:
    done = command("info", "cicle")
    assert done.code == 2
    assert done.error == "Unknown name 'cicle': did you mean 'cycle'?"


def test_doctor(command: Command, tmp_path: Path) -> None:
    done = command("doctor", "--results", tmp_path / "new", "--json")
    checks = {c["check"]: c for c in done.json["checks"]}
    assert done.code == 0
    assert all(c["ok"] for c in checks.values())
    assert {"python", "torch", "accelerator", "thread limits", "results folder", "plugins"} <= set(checks)
    assert not (tmp_path / "new").exists()
    done = command("doctor", "--results", tmp_path / "a" / "b")
    assert done.code == 1
    assert "PROBLEM" in done.out


@pytest.mark.parametrize("width", [50, 60, 80, 160])
def test_help_breaks_no_word(command: Command, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = command("run", "--help").out.splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert (
        "A parameter: encoder.n=400, learner.hidden_layer_sizes=400,200, adamw.lr=0.01, task.operand_max=200." in text
    )
    commands = command("--help").out.partition("Commands:")[2]
    assert "..." not in commands
    assert "Train one encoder and one learner on one task, over seeds." in " ".join(commands.split())


def test_the_group_of_all_commands_is_public() -> None:
    assert {"run", "sweep", "tune", "rank"} <= set(cli.commands)
    assert sorted(bench.cli.__all__) == ["cli", "main"]
    with pytest.raises(ImportError, match="nonsense"):
        from bench.cli import nonsense  # type: ignore[attr-defined]  # noqa: F401


def test_help_says_which_options_take_several_values_and_for_what() -> None:
    options = {(name, one.name): one for name, command in cli.commands.items() for one in command.params}
    several = {key: option for key, option in options.items() if getattr(option.type, "several", False)}
    assert {("sweep", "modulus"), ("tune", "sdr"), ("rank", "task"), ("speed", "replicas")} <= set(several)
    assert not [key for key, option in several.items() if "," not in (option.metavar or "")]
    assert options["sweep", "sdr"].metavar == options["tune", "sdr"].metavar == "K,off"
    said = {key: getattr(option, "help", "") for key, option in options.items()}
    assert said["sweep", "encoder"] == "Encoders, or all."
    assert said["sweep", "learner"] == "Learners, or all."
    assert "of each combination" in said["sweep", "seeds"]
    assert all("several are a choice" in said["tune", name] for name in ("encoder", "combine", "sdr"))
    assert "several where data is an objective" in said["tune", "train_fraction"]
    assert "default" in said["tune", "combine"]
    assert not [name for (command, name), text in said.items() if command == "rank" and text.startswith("Only these. ")]


def test_errors_of_usage_are_one_line(command: Command) -> None:
    assert command("rn").error.startswith("No such command 'rn'")
    assert "Missing option '--learner'" in command("run", "--encoder", "cycle").error
    assert command("run", "--encodr", "cycle").code == 2
    assert command().code == 2
    assert command("--version").out.startswith("mod97")


DRY = {
    "run": ("--encoder", "onehot", "--learner", "ridge"),
    "sweep": ("--encoder", "onehot", "--learner", "ridge"),
    "tune": ("--encoder", "onehot", "--learner", "ridge", "--objective", "accuracy", "--trials", 2),
}
WRONG: list[tuple[tuple[object, ...], str]] = [
    (("--jobs", 0), "--jobs must be an integer ≥ 1, got 0."),
    (("--executor", "lokal"), "Unknown executor 'lokal': did you mean 'local'?"),
    (("--results", "none/results"), "The results folder 'none/results' cannot be used: No such file or directory."),
    (("--device", "tpu"), "--device must be auto, cpu, cuda or cuda:NUMBER, got tpu."),
]
WRONG_MODEL: list[tuple[tuple[object, ...], str]] = [
    (("--save-model", "none/m"), "--save-model must name a file in a folder that can be written to, got 'none/m'."),
    (("--save-model", "m", "--seeds", 2), "--save-model needs {seed} in its path for 2 seeds, got 'm'."),
]


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [(verb, *wrong) for verb in DRY for wrong in WRONG] + [("run", *wrong) for wrong in WRONG_MODEL],
)
def test_a_dry_run_refuses_what_the_command_refuses(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, options: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for dry in ((), ("--dry-run",)):
        done = command(verb, *DRY[verb], *options, *dry)
        assert (done.code, done.error) == (2, message)


MODULE, SCRIPT = ("-m", "bench"), ("-c", "from bench.cli import main; main()")


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("encoders.py", MODULE),
        ("encoders.py", SCRIPT),
        ("learners.py", MODULE),
        ("learners/__init__.py", MODULE),
        ("click.py", MODULE),
        ("numpy.py", SCRIPT),
    ],
)
def test_a_file_that_stands_in_the_way_is_named(tmp_path: Path, name: str, program: tuple[str, str]) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise RuntimeError('not meant to be imported')\n")
    done = subprocess.run(
        [sys.executable, *program, "list"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = (tmp_path / name).resolve()
    package = name.partition("/")[0].removesuffix(".py")
    found = found.parent if found.name == "__init__.py" else found
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"Error: '{found}' stands in the way of the package {package!r}, which mod97 needs: rename it, or run mod97 "
        "from another folder."
    ]


def test_a_folder_of_data_stands_in_nobodys_way(tmp_path: Path) -> None:
    for name in ("encoders", "torch"):
        (tmp_path / name).mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench", "--version"]
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True).returncode == 0


# Completion


def completed(arguments: list[str], incomplete: str) -> list[str]:
    shell = ShellComplete(cli, {}, "mod97", "_MOD97_COMPLETE")
    return [item.value for item in shell.get_completions(arguments, incomplete)]


def test_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "cycle" in completed(["run", "--encoder"], "c")  # others may have been added
    assert "mlp" in completed(["run", "--learner"], "m")
    assert not [name for name in completed(["run", "--learner"], "m") if not name.startswith("m")]
    assert completed(["run", "--task"], "even_add_odd_m") == ["even-add-odd-multiply"]
    assert "encoder.period=" in completed(["run", "--encoder", "cycle", "--learner", "mlp", "--set"], "")
    assert completed(["run", "--encoder", "cycle", "--learner", "mlp", "--set"], "learner.al") == ["learner.alpha="]
    torch = ["run", "--encoder", "cycle", "--learner", "quadratic"]
    assert completed([*torch, "--set"], "adamw.l") == ["adamw.lr="]
    assert completed([*torch, "--optimizer", "grokfast-ema+adamw", "--set"], "grok") == [
        "grokfast-ema.alpha=",
        "grokfast-ema.lamb=",
    ]
    assert completed([*torch, "--optimizer"], "grokfast-ema+sg") == ["grokfast-ema+sgd"]
    assert completed(["run", "--encoder", "nonesuch", "--set"], "encoder") == []
    assert "rdse" in completed(["info"], "rd")
    assert completed(["rerun"], "") == []
    [record] = bench.run(encoder="onehot", learner="ridge", modulus=5, results=tmp_path / "results")
    assert completed(["rerun"], record["id"][:3]) == [record["id"]]


def test_a_parameter_is_documented_once() -> None:
    text = documentation(ForwardForward)
    named = re.findall(r"^:param (\w+):", text, re.MULTILINE)
    assert len(named) == len(set(named))
    assert {"loss", "optimizer", "steps"} <= set(named)
    assert "stablemax" not in text  # what a base says of a parameter of the class's own


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str) -> None:
    program = Path(sys.executable).parent / "mod97"
    done = subprocess.run(
        [str(program)],
        env={**os.environ, "_MOD97_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "mod97" in done.stdout


# New plugins and those of others


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the source, to put plugins into, and of what Python has compiled of it: files keep their times."""
    for part in ("encoders", "learners", "bench", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("frozen"))
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


MADE = ("encoder", "learner", "task")
MAKE_AND_RUN = f"""
from bench.cli._commands import exit_code

def call(*arguments):
    assert exit_code(arguments) == 0
    print("=====")

for kind in {MADE}:
    call("new", kind, f"Newly-Made-{{kind.title()}}")
call("list", "--json")
names = [word for kind in {MADE} for word in (f"--{{kind}}", f"newly_made_{{kind}}")]
call("run", *names, "--modulus", "5", "--json", "--quiet")
"""
"""One process, since each would import torch."""


def test_new_plugins_are_listed_run_and_pass_their_contracts_as_they_are(checkout: Path) -> None:
    made = python(checkout, "-c", MAKE_AND_RUN)
    assert made.returncode == 0, made.stderr
    *written, listed, ran, _ = made.stdout.split("=====\n")
    assert ["make golden" in text for text in written] == [True, True, False]
    assert "name it in OTHERS of tests/test_tasks.py" in written[-1]
    [task] = [task for task in json.loads(listed)["tasks"] if task["name"] == "newly-made-task"]
    assert (task["summary"], task["unavailable"]) == ("(a − b)²", None)
    [record] = json.loads(ran)["cells"]
    assert (record["status"], record["spec"]["protocol"]) == ("done", "unordered")
    assert [record["spec"]["encoder"]["name"], record["spec"]["learner"]["name"], record["spec"]["task"]] == [
        f"newly-made-{kind}" for kind in MADE
    ]
    files = [f"{FOLDERS[kind]}/newly_made_{kind}.py" for kind in MADE]
    suites = [f"tests/test_{name}.py" for name in ("encoder_contract", "learner_contract", "tasks")]
    asked = ["-k", "newly-made or newly_made", "-p", "no:cacheprovider", "-W", "error", "-v"]  # a dot a test
    checked = python(checkout, "-m", "pytest", *asked, *suites, *files)
    assert checked.returncode == 0, checked.stdout
    passed = {place: len(dots) for place, dots in re.findall(r"^(\S+\.py) (\.+) ", checked.stdout, re.MULTILINE)}
    assert list(passed) == [*suites, *files]
    assert min(passed[suites[0]], passed[suites[1]]) >= 15
    assert [*passed.values()][2:] == [2, 1, 1, 1]  # two contracts of all tasks, and the example of each file
    for words in (("check",), ("format", "--check")):
        styled = python(checkout, "-m", "ruff", *words, *files)
        assert styled.returncode == 0, styled.stdout


A_NEW_FIELD = """
import sys
import tomllib
import bench
import learners
from bench.cli import cli
from bench.cli._new import FOLDERS
from bench.scheduling import Grid
from bench.tuning.commands import tune_command

what = {"encoder": "onehot", "learner": "ridge", "modulus": 7}
options = [{flag for one in cli.commands[verb].params for flag in one.opts} for verb in ("run", "sweep", "tune")]
assert all("--noisy" in flags for flags in options)
assert bench.plan(**what, noisy=True, results=None).entries[0].request.noisy is True
grid = Grid.of({**what, "noisy": [False, True]})
assert [entry.request.noisy for entry in bench.plan_sweep(grid).entries] == [False, True]
search = {"objective": "accuracy", "trials": 2}
quiet, noisy = (bench.plan_tune(**what, **search, noisy=noisy) for noisy in (False, True))
assert (quiet.common["noisy"], noisy.common["noisy"]) == (False, True)
assert {name for name in quiet.what if quiet.what[name] != noisy.what[name]} == {"noisy"}
assert tune_command(noisy.asked).endswith("--noisy")
"""


def test_a_new_field_of_a_request_is_one_line(checkout: Path) -> None:
    path = checkout / "bench" / "specs" / "request.py"
    before, last, after = path.read_text().partition("    precision: str = option(\n")
    path.write_text(f'{before}    noisy: bool = option("Add noise.", default=False, parse=bool)\n{last}{after}')
    done = python(checkout, "-c", A_NEW_FIELD)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("encoder", "cycle"), "The encoder 'cycle' exists already"),
        (("coder", "x"), "Unknown kind of plugin 'coder': did you mean 'encoder'"),
        (("encoder", "2fast"), "NAME must be letters, digits and dashes"),
        (("encoder", "a/b"), "NAME must be letters, digits and dashes"),
        (("encoder", "class"), "NAME must be letters, digits and dashes"),
        (("encoder", "any"), "NAME must not be 'any': a new encoder imports 'Any'"),
        (("task", "add"), "The task 'add' exists already"),
        (("task", "ridge"), "The learner 'ridge' exists already"),
        (("task", "complete"), "NAME must not be 'complete': a new task imports 'complete'"),
        (("task", "modular", "--output", str(ROOT / "bench" / "tasks")), "cannot be written: File exists"),
        (("encoder", "fine", "--output", "/nonexistent"), "cannot be written"),
    ],
)
def test_new_refuses(command: Command, arguments: Any, message: str) -> None:
    done = command("new", *arguments)
    assert done.code == 2
    assert message in done.error


def test_new_outside_a_checkout(command: Command, tmp_path: Path) -> None:
    done = command("new", "encoder", "mine", "--output", tmp_path)
    assert done.code == 0
    assert 'entry-points."mod97.encoders"' in done.out
    assert (tmp_path / "mine.py").exists()
    assert "exists" in command("new", "encoder", "mine", "--output", tmp_path).error


def test_a_new_task_of_another_package_is_registered_by_the_lines_that_are_printed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "your_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    done = command("new", "task", "gap-of-two", "--output", package)
    lines = tomllib.loads(done.out.partition("package:\n")[2])["project"]["entry-points"]
    assert lines == {"mod97.tasks": {"gap_of_two": "your_package.gap_of_two:gap_of_two"}}
    info = tmp_path / "your_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: your_package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mod97.tasks]\ngap_of_two = your_package.gap_of_two:gap_of_two\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    registry.listings.cache_clear()
    try:
        run = ("run", "--task", "gap-of-two", "--modulus", 5, "--encoder", "onehot", "--learner", "ridge", "--quiet")
        [record] = command(*run, "--json", "--results", tmp_path / "r").json["cells"]
        assert (record["status"], record["spec"]["task"]) == ("done", "gap-of-two")
    finally:
        registry.listings.cache_clear()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody else's package with an encoder, a task, and a learner whose dependency is missing."""
    package = tmp_path / "others"
    package.mkdir()
    (package / "__init__.py").write_text("")
    template = (ROOT / "encoders" / "onehot.py").read_text()
    (package / "mine.py").write_text(
        template.replace("class OneHot(", "class Mine(").replace("version = 1", "version = 7")
    )
    (package / "task.py").write_text(
        "from bench.tasks import TASKS\ndef twice(modulus=97, factor=2):\n    return TASKS['add'](modulus=modulus)\n"
    )
    info = tmp_path / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mod97.encoders]\nmine = others.mine:Mine\ncycle = others.mine:Mine\nwrong = others.task:twice\n"
        "[mod97.learners]\nabsent = nonesuch_package.learner:Absent\n"
        "[mod97.tasks]\ntwice = others.task:twice\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    registry.listings.cache_clear()
    yield tmp_path
    registry.listings.cache_clear()


@pytest.mark.usefixtures("installed")
def test_third_parties_register_through_entry_points(command: Command, tmp_path: Path) -> None:
    listed = command("list", "--json").json
    assert "mine" in {item["name"] for item in listed["encoders"]}
    [absent] = [item for item in listed["learners"] if item["name"] == "absent"]
    assert absent["unavailable"] == "there is no module 'nonesuch_package'"
    run = ("run", "--encoder", "mine", "--learner", "ridge", "--task", "twice", "--modulus", 5, "--results", tmp_path)
    [record] = command(*run, "--quiet", "--json").json["cells"]
    assert record["status"] == "done"
    assert record["spec"]["task_parameters"] == {"factor": 2}
    assert registry.encoder("cycle").__name__ == "Cycle"  # the built-in one counts
    done = command("run", "--encoder", "mine", "--learner", "absent")
    assert done.code == 2
    assert done.error == "The learner 'absent' is unavailable: there is no module 'nonesuch_package'."
    assert "must be a subclass of Encoder" in command("run", "--encoder", "wrong", "--learner", "mlp").error


def test_a_plugin_whose_dependency_is_missing_is_listed_with_the_reason(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text(
        '"""Needs."""\nimport nonesuch_package\n\n\nclass Needy:\n    """Cannot be here."""\n'
    )
    (tmp_path / "cut.py").write_text("class Cut(:\n")
    places = learners.__spec__.submodule_search_locations
    monkeypatch.setattr(learners.__spec__, "submodule_search_locations", [*places, str(tmp_path)])
    registry.listings.cache_clear()
    try:
        done = command("list")
        assert "unavailable: there is no module 'nonesuch_package'" in done.out
        assert "unavailable: cut.py cannot be read" in done.out
        assert done.code == 0
        done = command("doctor", "--results", tmp_path, "--json")
        assert done.code == 1
        assert [check["check"] for check in done.json["checks"] if not check["ok"]] == ["plugins"]
    finally:
        registry.listings.cache_clear()
