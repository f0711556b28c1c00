"""What users hold, as earlier code has written it in tests/frozen: it is read, ranked, merged, extended and rerun."""

import inspect
import json
import os
import tomllib
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from frozen import make
from sklearn.exceptions import InconsistentVersionWarning

import bench
from bench.errors import RequestError
from bench.results.environment import describe

HERE = make.HERE
RECORDS = make.stored()
MEASURES = ("train_accuracy", "validation_accuracy", "test_accuracy")
ELSEWHERE = 0.25
"""Other processors and libraries round differently, and some pairs among a dozen come out otherwise: where those of a
record are not those of this machine, accuracies may differ by so much. Where they are, nothing may differ."""
MADE_IN = next(make.rounding(record["environment"]) for record in RECORDS.values())
"""The environment of all frozen records and models."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of what is frozen, in which everything runs."""
    make.lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frozen(name: str) -> Any:
    text = (HERE / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else text


def anew(part: str) -> str:
    return f"Where that is meant, `python -m tests.frozen.make {part}` makes it anew."


def check(name: str, found: Any, part: str, loose: bool = False) -> None:
    """Fail, in words, where something is not as it is frozen."""
    said = make.differences(frozen(name), found, name, loose)
    more = f"\n… and {len(said) - 20} more differences" if len(said) > 20 else ""
    assert not said, (
        "\n".join([f"Users hold what tests/frozen/{name} says, and now", *said[:20]]) + f"{more}\n{anew(part)}"
    )


def check_text(name: str, found: str, part: str) -> None:
    before, after = (text.splitlines() for text in (frozen(name), found))
    gone = [f"  gone: {line}" for line in before if line not in after]
    new = [f"  new:  {line}" for line in after if line not in before]
    lines = "\n".join([*gone[:10], *new[:10]]) or "  the same lines, in another order or number"
    assert frozen(name) == found, f"What is printed differs from tests/frozen/{name}:\n{lines}\n{anew(part)}"


# Records


def test_records_are_of_every_kind_and_name_no_folder_of_a_machine() -> None:
    assert {record["status"] for record in RECORDS.values()} == {
        *("done", "diverged", "failed", "interrupted", "timeout"),
    }
    assert any("tuning" in record for record in RECORDS.values())
    for path in HERE.rglob("*"):
        if path.suffix in (".json", ".journal", ".txt", ".md", ".csv"):
            text = path.read_text("utf-8")
            assert not any(root in text for root in ("/home/", "/tmp/", "/root/", "/Users/")), path


def test_what_is_left_to_do_of_each_record(place: Path) -> None:
    check("plans.json", make.plans(), "plans")
    seen = {id for cells in frozen("plans.json").values() for id in cells}
    others = [record for id, record in RECORDS.items() if id not in seen]
    assert {"failed", "done"} == {record["status"] for record in others}  # the plugin's, and the winner of the study
    assert all("tuning" in record for record in others if record["status"] == "done")


def test_ids_and_labels() -> None:
    check("ids.json", make.ids(), "ids")


def test_the_ids_of_records_are_their_names() -> None:
    for id, record in RECORDS.items():
        assert record["id"] == id
    for name, request in make.REQUESTS.items():
        for step in bench.plan(results=None, **request).steps:
            told = step.to_dict()
            said = make.differences(RECORDS[told["id"]]["spec"], told["spec"], f"the spec of {name}")
            assert not said, "\n".join(said)
            assert told["label"] == RECORDS[told["id"]]["label"]


@pytest.mark.parametrize("by", ["accuracy", "steps"])
def test_rank_from_python(place: Path, by: str) -> None:
    more = {"target": 0.95, "crossing": "first", "encoder": "phasor"} if by == "steps" else {}
    rows = [row.to_dict() for row in bench.rank(results="results", by=by, **more).rows]
    said = make.differences(frozen(f"json/rank-{by}.json")["document"]["rows"], json.loads(json.dumps(rows)), "rows")
    assert not said, "\n".join([*said[:20], anew("json")])


@pytest.mark.parametrize("name", make.EXTENDED)
def test_a_larger_budget_goes_on_from_the_checkpoint(place: Path, name: str) -> None:
    """A mark is left in the stored curve: one that is trained from step 0 would not have it."""
    [step] = bench.plan(results="results", **{**make.REQUESTS[name], "seeds": 1}).steps
    assert step.record is not None
    path = place / "results" / f"{step.spec.id}.json"
    marked = json.loads(path.read_text("utf-8"))
    marked["curve"]["train_loss"][0] = 123.0
    path.write_text(json.dumps(marked), "utf-8")
    record = make.extend(name)
    reached = len(marked["curve"]["step"])
    for key, values in marked["curve"].items():
        assert record["curve"][key][:reached] == values, f"{name} was extended, and its {key} up to there has changed"
    assert record["final"]["step"] > marked["final"]["step"]
    agree(frozen("extended.json")[name], make.tail(record))


def agree(old: dict[str, Any], new: dict[str, Any]) -> None:
    """What an extension adds is the same, or elsewhere about the same."""
    if is_here(old["environment"]):
        assert old == new
    assert old["curve"]["step"] == new["curve"]["step"]
    for measure in MEASURES:
        close(old["curve"][measure], new["curve"][measure])


def is_here(environment: Mapping[str, Any]) -> bool:
    """Whether this machine has the libraries and the processor of an environment, so that nothing rounds otherwise.

    Processors of one name differ, and a variable may choose other kernels: products are compared, too.
    """
    here = describe(environment["device"], environment["threads"])
    return make.rounding(here) == make.rounding(environment) and make.arithmetic() == frozen("arithmetic.json")


def test_results_are_compared_exactly_where_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """With this machine's own environment in place of that of the records, whichever machine this is."""
    monkeypatch.setattr(make, "arithmetic", lambda: frozen("arithmetic.json"))
    assert all(make.rounding(record["environment"]) == MADE_IN for record in RECORDS.values())
    here = describe("cpu", 1)
    assert is_here(here)
    old = frozen("extended.json")["mlp"] | {"environment": make.rounding(here)}
    curve = old["curve"] | {"test_accuracy": [accuracy + 0.01 for accuracy in old["curve"]["test_accuracy"]]}
    with pytest.raises(AssertionError):
        agree(old, old | {"curve": curve})
    elsewhere = old | {"environment": make.rounding(here | {"processor": "another"})}
    agree(elsewhere, elsewhere | {"curve": curve})
    for name in ("numpy", "scipy", "scikit-learn", "torch"):
        assert not is_here({**here, "versions": {**here["versions"], name: "0.0.1"}})
    assert not is_here({**here, "processor": "another"})
    monkeypatch.setattr(make, "arithmetic", lambda: {"numpy": "another"})
    assert not is_here(here)


def close(some: Any, others: Any) -> None:
    """Two lists of accuracies differ by no more than other processors make them."""
    some, others = (np.array(values, dtype=np.float64) for values in (some, others))
    np.testing.assert_allclose(some, others, rtol=0, atol=ELSEWHERE)


@pytest.mark.parametrize("name", ["ridge", "mlp", "knn", "torch-mlp", "transformer", "forward-forward", "quadratic"])
def test_rerun(place: Path, name: str) -> None:
    step = bench.plan(results="results", **make.REQUESTS[name]).steps[-1]
    found = bench.rerun(step.spec.id[:8], results="results")
    assert found.stored == RECORDS[step.spec.id]
    assert found.difference is not None
    assert found.difference <= ELSEWHERE
    assert found.same or not is_here(found.stored["environment"])


def test_a_study_goes_on_with_the_trials_that_it_has(place: Path) -> None:
    journal = place / "results" / "studies.journal"
    before = journal.read_text("utf-8")
    assert make.differences(frozen("json/tune-stored.json"), make.document("tune-stored"), "the study") == []
    assert make.differences(frozen("json/tune-open.json"), make.document("tune-open"), "the open study") == []
    assert begun(journal.read_text("utf-8")) == begun(before)  # nothing was left to do
    done = make.call(*make.OPEN, make.OPEN_TRIALS + 1, "--json")
    assert done.code == 0, done.err
    after = journal.read_text("utf-8")
    assert after.startswith(before)
    assert begun(after) == begun(before) + 1
    assert json.loads(done.out)["trials"] == make.OPEN_TRIALS + 1
    assert json.loads(done.out)["best"]["value"] >= frozen("json/tune-open.json")["document"]["best"]["value"]


def begun(journal: str) -> int:
    """How many trials the journal of a storage says that were created."""
    return sum('"op_code":4,' in line for line in journal.splitlines())


def test_a_record_that_failed_is_tried_again_and_plugins_of_others_are_found(place: Path) -> None:
    """A process of its own, since names are looked up once in a process."""
    make.write_plugin(place / "plugin")
    listed = json.loads(make.with_plugin(place / "plugin", "list", "--json").out)
    named = {(kind, item["name"]): item["unavailable"] for kind in listed if kind != "schema" for item in listed[kind]}
    for kind, name in (("encoders", "code"), ("learners", "plain"), ("learners", "failure"), ("tasks", "sum")):
        assert named.get((kind, f"guarded-{name}"), "not listed") is None, f"the entry points of mod97.{kind}"
    [planned] = json.loads(make.with_plugin(place / "plugin", *make.FAILING_RUN, "--dry-run").out)["cells"]
    assert planned["action"] == "retry"
    assert RECORDS[planned["id"]]["status"] == "failed"
    plain = ["guarded-plain" if word == "guarded-failure" else word for word in make.FAILING_RUN]
    done = make.with_plugin(place / "plugin", *plain)
    assert done.code == 0, done.err
    assert json.loads(done.out)["cells"][0]["status"] == "done"


# Saved models


@pytest.mark.parametrize("name", make.MODELS)
def test_saved_models_answer_as_they_did(name: str) -> None:
    path = HERE / "models" / f"{name}.joblib"
    expected = frozen(f"models/{name}.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        try:
            model = joblib.load(path)
        except (ImportError, AttributeError) as error:
            pytest.fail(f"{path.name}, which names {', '.join(expected['names'])}, cannot be loaded: {error}")
    found = make.answers(model)
    assert found["predict"] == expected["predict"]
    for scores in expected.keys() - {"names", "predict"}:
        np.testing.assert_allclose(found[scores], expected[scores], rtol=1e-3, atol=1e-5)
        assert found[scores] == expected[scores] or not is_here(MADE_IN)


# The command line


@pytest.mark.parametrize("name", ["all", *make.COMMANDS])
def test_help(name: str) -> None:
    check_text(f"help/{name}.txt", make.helps_of(name), "help")


def test_no_command_is_without_frozen_help() -> None:
    listed = make.helps_of("all").partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed if line[2:3].strip()] == list(make.COMMANDS)


@pytest.mark.parametrize("name", make.DOCUMENTS)
def test_json(place: Path, name: str) -> None:
    check(f"json/{name}.json", make.document(name), "json", loose=name in make.SHAPE)


def test_info_as_json() -> None:
    check("json/info.json", make.infos(), "json")


@pytest.mark.parametrize("name", make.TEXTS)
def test_what_is_printed(place: Path, name: str) -> None:
    check_text(f"texts/{name}", make.call(*make.TEXTS[name]).out, "texts")


def test_errors(place: Path) -> None:
    check("texts/errors.json", make.errors(), "texts")


def test_merged_folders_hold_the_same_bytes(place: Path) -> None:
    for target in ("empty", "half"):
        assert make.call("merge", "results", "--into", target, "--quiet").code == 0
        assert {path.stem for path in (place / target).glob("*.json")} == set(RECORDS)
        for path in [*(place / target).glob("*.json"), *(place / target / "checkpoints").glob("*.npz")]:
            original = place / "results" / path.relative_to(place / target)
            assert path.read_bytes() == original.read_bytes(), f"{path.name} merged into {target!r}"
    assert len(list((place / "empty" / "checkpoints").iterdir())) == len(make.EXTENDED)


def test_clean_removes_checkpoints_and_keeps_records(place: Path) -> None:
    temporary = place / "results" / ".0123456789abcdef-abcdefgh.tmp"
    temporary.write_text("half a record")
    os.utime(temporary, (make.LONG_AGO, make.LONG_AGO))
    found = json.loads(make.call("clean", "--json", "--quiet").out)
    assert [file["kind"] for file in found["removed"]] == ["temporary", *["checkpoint"] * len(make.EXTENDED)]
    left = {path.stem for path in (place / "results").glob("*.json")}
    assert left == set(RECORDS)
    assert not list((place / "results" / "checkpoints").iterdir())


# Names


def test_public_names() -> None:
    found, then = make.names(), frozen("names.json")
    said = make.differences(then["bench"], found["bench"], "bench")
    for package in ("encoders", "learners"):
        for module, held in {package: then[package]["names"], **then[package]["modules"]}.items():
            said += missing(module, held)
        classes = [name for held in then[package]["modules"].values() for name in held]
        offered = [name for name in classes if name.lower() in {n.replace("_", "") for n in then[package]["names"]}]
        said += missing(package, offered)
    assert not said, "\n".join([*said, anew("names")])


def missing(module: str, names: list[str]) -> list[str]:
    """In words, which of these names cannot be imported from a module, or from modules below it."""
    try:
        found = import_module(module)
    except ImportError as error:
        return [f"{module} cannot be imported: {error}"]
    said = []
    for name in names:
        if not hasattr(found, name):
            try:
                import_module(f"{module}.{name}")
            except ImportError:
                said.append(f"{name} cannot be imported from {module}")
    return said


def test_the_command_of_the_installed_package() -> None:
    project = tomllib.loads((make.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "mod97"
    assert project["scripts"] == {"mod97": "bench.cli:main"}


def test_differences_are_told_in_words() -> None:
    told = make.differences({"a": [1, 2.0], "b": "x", "c": 1}, {"a": [1, 2.1], "b": None, "d": 1})
    assert told == [
        "the document has no 'c' any more",
        "the document has 'd', which is new",
        "the document.a[1] is 2.1 instead of 2.0",
        "the document.b is None instead of 'x'",
    ]
    assert make.differences({"a": 1.0}, {"a": 1.0 + 1e-12}) == []
    assert make.differences(make.shape({"a": [1]}), make.shape({"a": []}), loose=True) == []
    assert make.differences(True, 1)


TAKEN = {
    "plan": "seeds seed steps epochs seconds stop_when_solved device results force encoder learner settings combine "
    "sdr task modulus pairs train_fraction validation_fraction split_seed precision vault",
    "plan_tune": "encoder learner trials compute objective sampler space fix combine sdr task modulus pairs "
    "train_fraction validation_fraction vault vault_seed seeds fresh steps epochs seconds precision device at_once "
    "results storage study",
}
"""Arguments that earlier versions took by name."""


@pytest.mark.parametrize("name", TAKEN)
def test_every_argument_is_still_taken(name: str) -> None:
    function = getattr(bench, name)
    own = {argument for argument, found in inspect.signature(function).parameters.items() if found.kind.value == 3}
    with pytest.raises(RequestError) as refused:
        function(nonsense_that_is_like_nothing=1)
    fields = str(refused.value).partition("must be one of ")[2].rstrip(".").split(", ")
    assert set(TAKEN[name].split()) <= own | set(fields)
