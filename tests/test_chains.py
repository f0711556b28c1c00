"""The optimizer as an axis: its name, its settings, in runs, sweeps, searches, rankings and records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Finished
from sklearn.base import clone

import bench
from bench.errors import RequestError
from bench.scheduling import Grid, plan_sweep
from bench.specs import Request, canonical_optimizer, family
from bench.specs.commands import exact_request
from bench.tuning.space.search_space import make_space
from learners import MLP, Quadratic, TorchMLP, Transformer
from learners.optim import SGD, Adam, AdamW, GrokFastEMA, Muon, OrthoGrad

Command = Callable[..., Finished]
SMALL: dict[str, Any] = {"encoder": "onehot", "learner": "torch-mlp", "modulus": 7, "results": None}
HIDDEN = {"learner.hidden_layer_sizes": (8, 8)}


def spec(**request: Any) -> Any:
    return family(Request(**{"encoder": "onehot", "learner": "torch-mlp", **request})).first


# Names


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("adamw", "adamw"),
        (" GrokFast_EMA + AdamW ", "grokfast-ema+adamw"),
        ("muon(rest=adam)", "muon(rest=adam)"),
        ("orthograd+muon( rest = sgd )", "orthograd+muon(rest=sgd)"),
    ],
)
def test_one_optimizer_has_one_name(written: str, name: str) -> None:
    assert canonical_optimizer(written) == name
    assert spec(optimizer=written).optimizer["name"] == name


def test_the_usual_rest_is_not_named() -> None:
    assert spec(optimizer="muon(rest=adamw)").id == spec(optimizer="muon").id
    assert spec(optimizer="muon(rest=adam)").id != spec(optimizer="muon").id


def test_a_parameter_that_came_later_is_part_of_an_identity_where_it_is_set() -> None:
    def of(**settings: Any) -> Any:
        return spec(optimizer="delayed-compression+adam", settings=settings)

    assert "while_below" not in of().optimizer["delayed-compression"]
    assert of(**{"delayed-compression.while_below": None}).id == of().id
    assert of(**{"delayed-compression.while_below": 0.1}).id != of().id


REFUSED = [
    ({"optimizer": "adamm"}, "Unknown optimizer 'adamm': did you mean 'adam' or 'adamw'?"),
    ({"optimizer": "cycle"}, "('cycle' is an encoder)"),
    ({"optimizer": "adamw+sgd"}, "An optimizer has one rule, got adamw and sgd in adamw+sgd."),
    ({"optimizer": "grokfast-ema"}, "An optimizer has one rule, got none in grokfast-ema."),
    ({"optimizer": "adamw+orthograd"}, "orthograd is a filter, which stands in front of the rule, got adamw+"),
    ({"optimizer": "orthograd+orthograd+adamw"}, "An optimizer has each part once"),
    ({"optimizer": "adamw,muon"}, "`optimizer` takes one, got 'adamw,muon': a sweep takes several."),
    ({"optimizer": ""}, "`optimizer` takes parts joined by +"),
    ({"optimizer": "adamw++sgd"}, "`optimizer` takes parts joined by +"),
    ({"optimizer": "muon(rest=adam"}, "`optimizer` takes parts joined by +"),
    ({"optimizer": "muon(rest)"}, "`optimizer` takes parts joined by +"),
    ({"optimizer": "adamw!"}, "`optimizer` takes parts joined by +"),
    ({"optimizer": "adamw(rest=adam)"}, "adamw has no part 'rest' inside, it has none."),
    ({"optimizer": "muon(rest=orthograd)"}, "'rest' parameter of Muon must be a rule other than Muon, or None"),
    ({"optimizer": "muon(rest=muon)"}, "'rest' parameter of Muon must be a rule other than Muon, or None"),
    ({"optimizer": "muon(rest=adam,rest=sgd)"}, "`optimizer` takes parts joined by +"),
    ({"optimizer": "egd+sgd", "settings": {"egd.x": 1}}, "The optimizer 'egd' has no parameters, got 'x'."),
    ({"settings": {"adamw.lr": {"a": 1}}}, "adamw.lr takes a value, got {'a': 1}."),
    ({"optimizer": 3}, "`optimizer` takes a name, got 3."),
    ({"optimizer": "muon", "learner": "quadratic"}, "muon moves hidden matrices; Quadratic as it is set has none."),
    ({"optimizer": "muon", "settings": {"learner.hidden_layer_sizes": 8}}, "TorchMLP as it is set has none."),
    ({"optimizer": "adamw", "learner": "mlp"}, "`optimizer` does not apply to MLP, which brings its own, got 'adamw'."),
    ({"settings": {"learner.lr": 1}}, "There is no parameter 'learner.lr': did you mean 'adamw.lr'?"),
    ({"settings": {"learner.optimizer": "sgd"}}, "did you mean `optimizer`?"),
    ({"settings": {"muon.lr": 1}}, "learner.NAME=VALUE, task.NAME=VALUE or adamw.NAME=VALUE, got 'muon.lr'"),
    ({"settings": {"adamw.nothing": 1}}, "Unknown parameter of the optimizer 'adamw': 'nothing'"),
    ({"settings": {"adamw.lr": 0}}, "The 'lr' parameter of AdamW must be a number > 0, got lr=0.0."),
    ({"settings": {"adamw.betas": (0.9, 1)}}, "The 'betas' parameter of AdamW must be two numbers ≥ 0 and < 1"),
    ({"optimizer": "muon", "settings": {"muon.rest": "adam"}}, "muon.rest is a part: --optimizer 'muon(rest=NAME)'"),
    ({"optimizer": "muon", "settings": {"muon.rest.lr": -1}}, "The 'lr' parameter of AdamW must be a number > 0"),
    ({"optimizer": "muon", "settings": {"muon.rest.no": 1}}, "Unknown parameter of the optimizer 'adamw': 'no'"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "message"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_makes_no_optimizer_gets_one_line(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as refused:
        spec(**request_)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


# Settings


def test_parts_of_the_learner_s_own_optimizer_keep_its_settings() -> None:
    quadratic = {"learner": "quadratic"}
    own, filtered, other = (spec(**quadratic, optimizer=name).optimizer for name in (None, "orthograd+adamw", "adam"))
    assert own["adamw"]["lr"] == filtered["adamw"]["lr"] == 0.03
    assert own["adamw"]["weight_decay"] == filtered["adamw"]["weight_decay"] == 3.0
    assert other["adam"]["lr"] == Adam().lr
    assert spec(**quadratic).id == spec(**quadratic, optimizer="adamw").id


def test_equal_settings_are_one_cell() -> None:
    written: list[dict[str, Any]] = [{"adamw.lr": 1}, {"AdamW.lr": 1.0}, {"adamw.betas": [0.9, 0.98], "adamw.lr": 1.0}]
    assert len({spec(settings=settings).id for settings in written}) == 1
    assert (
        spec(optimizer="grokfast-ema+adamw", settings={"grokfast_ema.lamb": 1}).optimizer["grokfast-ema"]["lamb"] == 1
    )


def test_a_spec_makes_the_learner_that_python_makes() -> None:
    settings = {**HIDDEN, "muon.lr": 0.1, "muon.rest.betas": (0.5, 0.6)}
    made = spec(optimizer="orthograd+muon(rest=adam)", settings=settings).make_learner()
    by_hand = TorchMLP((8, 8), optimizer=[OrthoGrad(), Muon(lr=0.1, rest=Adam(betas=(0.5, 0.6)))])
    assert repr(made.set_params(random_state=None)) == repr(by_hand)
    assert made.structure(20) == by_hand.structure(20)
    assert made.hyper() == by_hand.hyper()


def test_labels_tell_what_is_not_the_learner_s_own() -> None:
    labels = {
        None: "onehot+concat → torch-mlp",
        "adamw": "onehot+concat → torch-mlp",
        "grokfast-ema+adamw": "onehot+concat → torch-mlp · grokfast-ema+adamw",
    }
    assert {name: spec(optimizer=name).label for name in labels} == labels
    changed = spec(optimizer="muon(rest=adam)", settings={"muon.rest.lr": 0.5, "muon.momentum": 0.5})
    assert changed.label == "onehot+concat → torch-mlp · muon(rest=adam)(momentum=0.5, rest.lr=0.5)"
    assert spec(learner="quadratic", settings={"adamw.lr": 0.5}).label.endswith("quadratic · adamw(lr=0.5)")


@pytest.mark.parametrize("optimizer", [None, "sgd", "grokfast-ma+muon(rest=adam)"])
def test_a_command_line_makes_the_spec_again(optimizer: str | None) -> None:
    rule = (optimizer or "adamw").rpartition("+")[2].partition("(")[0]
    one = spec(optimizer=optimizer, settings={**HIDDEN, f"{rule}.lr": 0.7, f"{rule}.warmup": 3})
    request = exact_request(one)
    assert request is not None
    assert family(Request.of(request), one.seed).first.id == one.id
    assert request.get("optimizer") == optimizer


def test_learners_nest_the_parameters_of_parts() -> None:
    learner = Transformer(optimizer=[GrokFastEMA(lamb=5.0), Muon()])
    other = clone(learner).set_params(optimizer__grokfast_ema__lamb=1.0, optimizer__muon__lr=0.3)
    assert [part.get_params()["lamb"] for part in (learner.optimizer[0], other.optimizer[0])] == [5.0, 1.0]
    assert other.get_params()["optimizer__muon__lr"] == 0.3
    own = Quadratic().set_params(optimizer__adamw__weight_decay=7.0)
    assert own.optimizer[0].get_params() == AdamW(lr=0.03, weight_decay=7.0).get_params()
    assert Quadratic().get_params()["optimizer__adamw__weight_decay"] == 3.0
    with pytest.raises(ValueError, match="has no part 'sgd', it has adamw"):
        Quadratic().set_params(optimizer__sgd__lr=1.0)
    for wrong in ("muon", 3, [AdamW(), "x"], AdamW):
        with pytest.raises(ValueError, match="'optimizer' parameter of Quadratic takes parts of optimizers"):
            Quadratic(optimizer=wrong).check()  # type: ignore[arg-type]
    assert not hasattr(MLP, "default_optimizer")
    nested = TorchMLP(optimizer=Muon()).set_params(optimizer__muon__rest__lr=0.5)
    assert nested.get_params()["optimizer__muon__rest__lr"] == 0.5
    assert Muon().rest is None
    other = TorchMLP(optimizer=[GrokFastEMA(), AdamW()]).set_params(optimizer__adamw=SGD(lr=0.3), steps=7)
    assert [type(part) for part in other.parts] == [GrokFastEMA, SGD]
    with pytest.raises(ValueError, match="has no part 'sgdd'"):
        other.set_params(steps=9, optimizer__sgdd__lr=1.0)
    assert other.steps == 7


def test_usual_settings_need_not_fit_the_learner_as_it_comes(tmp_path: Path, command: Command) -> None:
    """Row clipping needs a setting of its own on this learner, and Muon a second layer."""
    folder = tmp_path / "r"
    cells_: list[dict[str, Any]] = [
        {"learner": "quadratic", "optimizer": "adamw+row-clip", "settings": {"row-clip.matrices": "all"}},
        {"learner": "forward-forward", "optimizer": "muon", "settings": {"learner.depth": 2, "learner.width": 8}},
    ]
    for request in cells_:
        [record] = bench.run(encoder="onehot", modulus=5, steps=2, results=folder, device="cpu", **request)
        shown = command("show", record["id"], "--results", folder)
        assert "cannot be made" not in shown.out
        assert f"--optimizer {request['optimizer']}" in shown.out


@pytest.mark.parametrize("name", ["name", "encoder", "learner", "task", "optimizer"])
def test_names_that_settings_need_are_refused(tmp_path: Path, command: Command, name: str) -> None:
    done = command("new", "optimizer", name, "--output", tmp_path)
    assert done.code == 2
    assert "has another meaning in names of settings" in done.error
    assert not list(tmp_path.iterdir())


# Sweeps


def cells(**grid: Any) -> list[tuple[str, str | None]]:
    """Learner and optimizer of each cell of a grid."""
    planned = plan_sweep(Grid.of({"encoder": "onehot", "modulus": 7, **grid}), device="cpu", results="nowhere")
    specs = [step.spec for step in planned.steps]
    return [(one.learner["name"], one.optimizer and one.optimizer["name"]) for one in specs]


def test_learners_that_bring_their_own_appear_once() -> None:
    found = cells(learner=["ridge", "mlp", "quadratic"], optimizer=["adamw", "orthograd+adamw"])
    several = ("adamw", "orthograd+adamw")
    assert sorted(found, key=str) == sorted(
        [("ridge", None), ("mlp", None), *(("quadratic", name) for name in several)], key=str
    )


def test_settings_of_a_part_apply_to_chains_that_have_it() -> None:
    grid = {"learner": ["ridge", "transformer"], "optimizer": ["adamw", "muon", "sgd"], "muon.lr": [0.01, 0.02]}
    found = cells(**grid)
    assert sorted(found, key=str).count(("transformer", "muon")) == 2
    assert len(found) == 5
    with pytest.raises(RequestError, match=r"no combination has an optimizer with grokfast-ema\.lamb"):
        cells(learner="quadratic", optimizer="adamw", **{"grokfast-ema.lamb": [1, 2]})
    with pytest.raises(RequestError, match=r"task\.NAME=VALUE or adamw\.NAME=VALUE, got 'adamm\.lr'"):
        cells(learner="quadratic", **{"adamm.lr": [1, 2]})


def test_grids_write_settings_below_the_optimizer() -> None:
    below = {"transformer": {"optimizer": ["adamw", {"muon": {"lr": [0.01, 0.02]}}], "depth": 1, "steps": 5}}
    assert cells(learner=[below]).count(("transformer", "muon")) == 2
    several = {"grokfast-ema+sgd": {"sgd.lr": [0.1, 0.2], "grokfast-ema.lamb": 1}}
    assert cells(learner="quadratic", optimizer=[several]) == [("quadratic", "grokfast-ema+sgd")] * 2
    assert cells(learner=[{"quadratic": {"adamw.lr": [0.1, 0.2, 0.3]}}]) == [("quadratic", "adamw")] * 3
    inside = {"muon(rest=lion)": {"rest.lr": [0.1, 0.2], "lr": 0.01}}
    assert cells(learner="transformer", optimizer=[inside]) == [("transformer", "muon(rest=lion)")] * 2
    with pytest.raises(RequestError, match="Unknown optimizer 'nonsense'"):
        cells(learner=["ridge"], optimizer="nonsense")
    with pytest.raises(RequestError, match=r"grokfast-ema\+sgd has several parts: a parameter is PART.NAME, got lr"):
        cells(learner="quadratic", optimizer=[{"grokfast-ema+sgd": {"lr": 1}}])


# Searches


def test_optimizers_are_searched_as_a_choice() -> None:
    request = Request(encoder="onehot", learner="transformer", optimizer=["adamw", "grokfast_ema+muon"])  # type: ignore[arg-type]
    space = make_space(request, {"grokfast-ema.lamb": "1..2"}, {"muon.rest.weight_decay": 0.5, "adamw.warmup": 3})
    described = space.describe()
    assert described["optimizer"] == "adamw, grokfast-ema+muon"
    assert described["grokfast-ema.lamb"] == "1 … 2"
    assert {"adamw.lr", "adamw.beta2", "muon.lr", "muon.rest.lr", "grokfast-ema.alpha"} <= described.keys()
    drawn = space.draw(_Drawing("grokfast-ema+muon"))
    assert drawn["optimizer"] == "grokfast-ema+muon"
    assert drawn["settings"]["muon.rest.weight_decay"] == 0.5
    assert not [name for name in drawn["settings"] if name.startswith("adamw")]
    assert family(Request(**drawn)).first.optimizer["muon"]["rest"]["weight_decay"] == 0.5
    with pytest.raises(RequestError, match="`optimizer` takes each choice once, got muon,muon"):
        make_space(Request(encoder="onehot", learner="transformer", optimizer=["muon", "Muon(rest=adamw)"]))  # type: ignore[arg-type]
    for space_, fixed in (({"sgd.lr": "1..2"}, {}), ({}, {"muon.rest": "adam"}), ({}, {"adamw.no": 1})):
        with pytest.raises(RequestError):
            make_space(request, space_, fixed)


class _Drawing:
    """Draws the middle of every range, and one optimizer."""

    def __init__(self, optimizer: str) -> None:
        self.optimizer = optimizer

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        return (low + high) / 2

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        return (low + high) // 2

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self.optimizer if name == "optimizer" else choices[0]


@pytest.mark.usefixtures("inline")
def test_a_search_over_optimizers_tests_its_winner(tmp_path: Path) -> None:
    request = {"encoder": "onehot", "learner": "torch-mlp", "optimizer": ["adamw", "sgd"], "modulus": 7, "steps": 4}
    fixed = {"learner.width": 8, "learner.depth": 1, "learner.activation": "relu"}
    done = bench.tune(**request, fix=fixed, trials=4, fresh=1, sampler="random", results=tmp_path, jobs=1, device="cpu")
    assert done.best is not None
    chosen = done.best["params"]["optimizer"]
    assert [cell["spec"]["optimizer"]["name"] for cell in done.cells] == [chosen]
    assert f"--optimizer {chosen}" in done.command or chosen == "adamw"


# Rankings and records


@pytest.mark.usefixtures("inline")
def test_ranks_by_optimizer(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "r"
    grid = {**SMALL, "optimizer": ["adamw", "sgd"], "steps": 3, "learner.hidden_layer_sizes": [8]}
    del grid["results"]
    assert {r["spec"]["optimizer"]["name"] for r in bench.sweep(grid, results=folder, jobs=1)} == {
        "adamw",
        "sgd",
    }
    bench.run(encoder="onehot", learner="ridge", modulus=7, results=folder)
    rows = bench.rank(results=str(folder)).rows
    assert {(row.learner, row.optimizer) for row in rows} == {
        ("torch-mlp", "adamw"),
        ("torch-mlp", "sgd"),
        ("ridge", None),
    }
    assert [row.optimizer for row in bench.rank(results=str(folder), optimizer="sgd").rows] == ["sgd"]
    printed = command("rank", "--results", folder, "--optimizer", "sgd,adamw", "--format", "csv").out
    assert "sgd" in printed
    refused = command("rank", "--results", folder, "--optimizer", "muon")
    assert refused.code == 2
    assert refused.error.rstrip().endswith("'muon': it must be one of adamw, sgd.")
    beside = bench.rank(results=str(folder), baseline="torch-mlp sgd")
    assert beside.baseline is not None
    assert beside.baseline.endswith("torch-mlp(hidden_layer_sizes=[8]) · sgd")
    runs, _ = bench.load(folder)
    assert set(runs["optimizer"].dropna()) == {"adamw", "sgd"}
    assert runs.set_index("optimizer").loc["sgd", "sgd.momentum"] == SGD().momentum
    assert runs["adamw.lr"].notna().sum() == 1
