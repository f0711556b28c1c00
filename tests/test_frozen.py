"""What users hold, as earlier code has written it in tests/frozen: it is read, ranked, merged, extended and rerun."""

import inspect
import json
import os
import pickle
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
from bench.results import open_store
from bench.results.environment import describe
from bench.results.schema1 import OF_OPTIMIZER, downgraded_specs, upgraded_spec
from bench.specs import prepare
from bench.specs.optimizers import canonical_optimizer, make_optimizer
from bench.specs.resolve import resolve
from learners import TorchMLP

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
    listed = json.loads(make.with_plugin(place / "plugin", ["list", "--json"]).out)
    named = {(kind, item["name"]): item["unavailable"] for kind in listed if kind != "schema" for item in listed[kind]}
    for kind, name in (("encoders", "code"), ("learners", "plain"), ("learners", "failure"), ("tasks", "sum")):
        assert named.get((kind, f"guarded-{name}"), "not listed") is None, f"the entry points of mod97.{kind}"
    plain = ["guarded-plain" if word == "guarded-failure" else word for word in make.FAILING_RUN]
    done = make.with_plugin(place / "plugin", [*make.FAILING_RUN, "--dry-run"], plain)
    assert done.code == 0, done.err
    [planned], [trained] = (json.loads(line)["cells"] for line in done.out.splitlines())
    assert planned["action"] == "retry"
    assert RECORDS[planned["id"]]["status"] == "failed"
    assert trained["status"] == "done"


# Records of schema 1


OLDER = make.stored("results-1")
BY_SECONDS = {"seconds"}
"""Values of a row that say how long something took."""


def older_id(name: str) -> str:
    """The id that the first record of a request had."""
    [older, *_] = bench.plan(results=None, **make.REQUESTS[name]).steps[0].spec.older_ids
    return older


def test_older_ids_are_those_that_there_were() -> None:
    """Of every encoder with every learner, and of all that is part of an identity."""
    known = 0
    for entry in frozen("ids-1.json"):
        if "learner.optimizer" not in entry["request"].get("settings", {}):
            steps = bench.plan(results=None, **entry["request"]).steps
            assert [next(step.spec.older_ids) for step in steps] == entry["ids"], entry["request"]
            known += len(steps)
    assert known > 100


def test_what_an_optimizer_was_is_what_it_is_told_as() -> None:
    """Flags of schema 1, drawn at random: the chain that stands for them leads back to them."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        flags = random_flags(rng)
        spec = {"learner": {"name": "torch-mlp", "hidden_layer_sizes": [8, 8], **flags}, "task": "add"}
        chain = upgraded_spec(spec)
        assert "lr" not in chain["learner"]
        assert spec in list(downgraded_specs(chain)), flags
        name = chain["optimizer"]["name"]
        assert name == canonical_optimizer(name)
        made = make_optimizer(chain["optimizer"])
        assert name.count("rest=adam") == (flags["optimizer"] == "muon" and flags["decay"] == "coupled")
        assert [part.kind for part in made].count("rule") == 1
        TorchMLP((8, 8), optimizer=made).check()


def random_flags(rng: np.random.Generator) -> dict[str, Any]:
    """Parameters of an optimizer that version 1 took."""
    flags = {**OF_OPTIMIZER, "optimizer": str(rng.choice(["adam", "adamw", "sgd", "muon"]))}
    flags["weight_decay"] = float(rng.choice([0.0, 0.5]))
    ways = [None, "to-init", "decoupled", *(["coupled"] if flags["optimizer"] != "adamw" else [])]
    flags["decay"] = ways[rng.integers(len(ways))] if flags["weight_decay"] else None
    for name in ("gradient_noise", "weight_noise"):
        flags[name] = float(rng.choice([0.0, 0.1]))
    flags["grokfast"] = str(rng.choice(["none", "ema", "ma"]))
    if flags["grokfast"] != "none":
        flags["grokfast_lamb"] = rng.choice([None, 2.0, 5.0, 7.0])
    flags["grokfast_alpha"] = rng.choice([None, 0.9]) if flags["grokfast"] == "ema" else None
    flags["grokfast_window"] = [None, 7, 100][rng.integers(3)] if flags["grokfast"] == "ma" else None
    flags["orthograd"] = bool(rng.integers(2))
    if rng.integers(2):
        flags |= {"schedule": "cosine", "decay_steps": 50}
    for name in ("momentum", "nesterov", "muon_rest_lr", "muon_freeze", "betas", "eps"):
        if flags["optimizer"] in USED_BY[name] and rng.integers(2):
            flags[name] = {"nesterov": True, "muon_freeze": True, "betas": [0.5, 0.6]}.get(name, 0.25)
    return flags


USED_BY = {
    "betas": ("adam", "adamw", "muon"),
    "eps": ("adam", "adamw", "muon"),
    "momentum": ("sgd", "muon"),
    "nesterov": ("sgd",),
    "muon_rest_lr": ("muon",),
    "muon_freeze": ("muon",),
}
"""The optimizers of version 1 that had a parameter."""


def test_older_records_rank_as_those_of_today(place: Path) -> None:
    tables = []
    for folder in ("results-1", "results"):
        whole = [r for r in open_store(folder).records() if r["status"] == "done" and "vault" not in r["spec"]]
        rows = [row.to_dict() for row in bench.rank(records=whole, by="accuracy").rows]
        tables.append([{name: value for name, value in row.items() if name not in BY_SECONDS} for row in rows])
    assert len(tables[0]) > 5
    assert make.differences(*tables) == []


def test_a_cell_that_is_stored_in_both_ways_counts_once(place: Path) -> None:
    for path in (place / "results-1").glob("*.json"):
        path.rename(place / "results" / path.name)
    found = bench.rank(results="results", encoder="phasor", learner="ridge")
    assert [row.n for row in found.rows] == [5]
    assert any(
        "stored twice, by two versions of a plugin or of records: the newer counts" in one for one in found.caption
    )


def test_older_records_are_merged_and_packed_as_they_are(place: Path) -> None:
    assert make.call("merge", "results-1", "--into", "older", "--quiet").code == 0
    for id in OLDER:
        copy, original = (place / folder / f"{id}.json" for folder in ("older", "results-1"))
        assert copy.read_bytes() == original.read_bytes()
    bench.pack("results-1", output="older.pack")
    packed = open_store("older.pack")
    assert {id: packed.stored(id) for id in packed.ids()} == OLDER
    assert [packed.read(id) for id in packed.ids()] == list(open_store("results-1").records())


@pytest.mark.parametrize("name", ["ridge", "mlp", "torch-mlp", "transformer", "forward-forward", "quadratic"])
def test_an_older_record_is_run_again(place: Path, name: str) -> None:
    found = bench.rerun(older_id(name), results="results-1")
    assert found.stored["schema"] == 1
    assert found.difference is not None
    assert found.difference <= ELSEWHERE
    assert found.same or not is_here(found.stored["environment"])


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_an_older_record_is_served_and_never_extended(place: Path, name: str) -> None:
    request = {**make.REQUESTS[name], "seeds": 1, "results": "results-1"}
    before = sorted(path.name for path in (place / "results-1").rglob("*"))
    [served] = bench.run(**request)
    assert served["id"] == older_id(name)
    assert served["final"]["step"] == OLDER[older_id(name)]["final"]["step"]
    grid = {key: value for key, value in request.items() if key not in ("settings", "results")}
    grid |= {key: [value] for key, value in request.get("settings", {}).items()}
    assert [r["id"] for r in bench.sweep(grid, results="results-1")] == [older_id(name)]
    for more in (
        lambda: bench.run(**request | {"steps": 99}),
        lambda: bench.sweep(grid | {"steps": 99}, results="results-1"),
    ):
        with pytest.raises(RequestError, match=r"has schema 1, .* and cannot be extended to") as refused:
            more()
        assert "\n" not in str(refused.value)
    with pytest.raises(RequestError, match="has schema 1, of which no model is made"):
        bench.run(**request, save_model=place / "model.joblib")
    assert sorted(path.name for path in (place / "results-1").rglob("*")) == before
    [anew] = bench.run(**request | {"steps": 99, "force": True})
    assert anew["schema"] == 2
    assert anew["final"]["step"] >= 99


@pytest.mark.parametrize("decay", [None, "decoupled"])
def test_an_older_record_is_found_however_it_was_written(tmp_path: Path, decay: str | None) -> None:
    """What None stood for was sometimes written out: then the id was another one."""
    request = {"encoder": "onehot", "learner": "quadratic", "modulus": 5, "steps": 8, "seed": 0}
    [step] = bench.plan(results=None, **request).steps
    [written] = [
        spec
        for spec in downgraded_specs(step.spec.to_dict())
        if (spec["learner"]["optimizer"], spec["learner"]["decay"]) == ("adamw", decay)
    ]
    place = list(downgraded_specs(step.spec.to_dict())).index(written)
    id = list(step.spec.older_ids)[place]
    record = {**OLDER[older_id("quadratic")], "id": id, "spec": written}
    (tmp_path / f"{id}.json").write_text(json.dumps(record), "utf-8")
    [served] = bench.run(**request, results=tmp_path)
    assert served["id"] == id
    assert [planned.action for planned in bench.plan(**request, results=tmp_path).steps] == ["done"]
    with pytest.raises(RequestError, match="has schema 1"):
        bench.run(**request | {"steps": 9}, results=tmp_path)


def test_the_learner_of_an_older_record_is_trained_anew(place: Path) -> None:
    """Its checkpoint names the state of its optimizer otherwise."""
    id = older_id("transformer")
    assert list((place / "results-1" / "checkpoints").glob(f"{id}*"))
    assert make.call("plot", "errors", id, "--results", "results-1", "-o", "errors.svg").code == 0
    shown = make.call("show", id, "--results", "results-1")
    assert shown.code == 0
    assert "cannot be made" not in shown.out + shown.err
    assert "python -m bench run" in shown.out


def test_an_older_study_does_not_go_on(place: Path) -> None:
    done = make.call(*make.OPEN, make.OPEN_TRIALS + 1, "--results", "results-1")
    assert done.code == 2
    assert done.err == "Error: The study 'open' is of something else: its schema is 1, not 2. --study names another.\n"


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


ENCODERS = pickle.loads((Path(__file__).parent / "frozen/encoders/shared-columns.pickle").read_bytes())
"""Encoders as they were pickled when all columns had one code: before a fit, after one, and the codes of three rows."""


@pytest.mark.parametrize("name", ENCODERS)
def test_pickled_encoders_write_the_codes_that_they_did(name: str) -> None:
    X, stored = np.array([[0.0, 5.0], [50.0, 96.0], [10.0, 20.0]]), ENCODERS[name]
    fitted = pickle.loads(stored["fitted"])
    assert np.array_equal(fitted.transform(X), stored["codes"])
    assert fitted.columns_[0] is not fitted.columns_[1]
    assert len(fitted.get_feature_names_out()) == stored["codes"].shape[1]
    fresh = pickle.loads(stored["fresh"])
    one_code = fresh.fit(X.reshape(-1, 1)).transform(X.reshape(-1, 1)).reshape(3, -1)
    assert np.array_equal(one_code, stored["codes"])
    if name in ("cycle", "rdse"):
        with pytest.raises(ValueError, match="was pickled by a version that kept no range to search"):
            fitted.inverse_transform(stored["codes"])
    else:
        numbers = fitted.inverse_transform(stored["codes"])
        modulus = 97 if name in ("fourier", "phasor") else np.inf
        assert np.allclose(np.mod(numbers + 1e-3, modulus) - 1e-3, X, atol=1e-3)
    if hasattr(fitted, "partial_fit"):
        assert np.array_equal(fitted.partial_fit([[1, 1]]).transform(X), stored["codes"])


def test_cells_whose_width_follows_from_integers_keep_their_ids() -> None:
    settings = {"encoder.periodic": True, "encoder.minimum": 0, "encoder.maximum": 97}
    [spec] = resolve(encoder="scalar", learner="ridge", settings=settings)
    assert spec.id == "e2a6f2716508b902"
    assert prepare(spec).problem.codes.n_features == 97
