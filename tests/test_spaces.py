"""Requests to tune: what is refused before anything runs, and what a study must agree in."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from conftest import Finished
from test_tune import trials_of

import bench
from bench.cli._tune import _choices, _worth
from bench.errors import RequestError
from bench.specs.request import Request
from bench.tuning.commands import tune_command
from bench.tuning.request import plan_tune
from bench.tuning.space.ranges import Range
from bench.tuning.space.search_space import make_space
from bench.tuning.storage.open import close_storage, open_storage
from bench.tuning.wording import describe_plan

PLAIN = Request(encoder="onehot", learner="quadratic")
Command = Callable[..., Finished]
ONEHOT = {"encoder": "onehot", "modulus": 7, "validation_fraction": 0.2}
RIDGE = ONEHOT | {"learner": "ridge", "objective": "accuracy"}
QUADRATIC = ONEHOT | {"learner": "quadratic", "steps": 10}
MLP = ONEHOT | {
    "learner": "mlp",
    "epochs": 5,
    "fix": {"learner.depth": 1, "learner.head": "classifier", "learner.width": 20},
}


def study_in(folder: Path) -> Any:
    """The only study of a results folder."""
    storage = open_storage(f"journal:///{folder / 'studies.journal'}")
    [name] = optuna.get_all_study_names(storage)
    return optuna.load_study(storage=storage, study_name=name)


# Choices that nobody accepts


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"combine": ["smu", "sum"]}, "`combine` smu: Unknown combination 'smu': did you mean 'sum'"),
        ({"combine": ["sum", "smu"]}, "`combine` smu: "),
        ({"sdr": [3, 700]}, "`sdr` 700: The 'k' parameter of SDRify"),
        ({"learner": "torch-mlp", "space": {"learner.activation": ["relu", "gleu"]}}, "learner.activation=gleu: "),
        ({"space": {"learner.width": [0, 8]}}, "`space` learner.width=0: The 'width' parameter"),
        ({"space": {"learner.width": "-5..-1"}}, "`space` learner.width=-5..-1: The 'width' parameter"),
        ({"space": {"learner.width": "0..1000"}}, "`space` learner.width=0..1000: The 'width' parameter"),
        ({"space": {"adamw.eps": "-2..-1"}}, "`space` adamw.eps=-2..-1: The 'eps' parameter"),
        ({"encoder": ["onehot", "random"], "space": {"random.n": [8, 0]}}, "`space` random.n=0: The 'n' parameter"),
        ({"encoder": "fourier", "space": {"encoder.harmonics": [(1, 2), (1, 0)]}}, "encoder.harmonics=(1, 0): "),
    ],
)  # fmt: skip
def test_a_choice_that_no_draw_accepts_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as refused:
        plan_tune(**QUADRATIC | more, trials=4)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "more",
    [
        {"space": {"adamw.lr": "0.1..1"}, "fix": {"learner.width": -1}},
        {"space": {"learner.width": "-5..-1"}, "fix": {"adamw.lr": -1.0}},
        {"space": {"adamw.lr": "0.1..1"}, "sdr": 700},
        {"space": {"adamw.lr": "0.1..1"}, "train_fraction": 0.999},
    ],
)
def test_a_range_that_is_not_all_that_is_refused_is_not_blamed(more: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"^(The '(width|lr|k)' parameter|A train_fraction of 0.999)"):
        plan_tune(**QUADRATIC | more, trials=4)


def test_a_choice_that_some_draw_accepts_is_kept() -> None:
    """A k that fits one of two codes, and the end of a range that fits one of two k."""
    several = plan_tune(**RIDGE | {"encoder": ["onehot", "random"]}, space={"random.n": [8, 64]}, sdr=[7, 40], trials=4)
    assert [choice.drawn for choice in several.space.choices()] == ["onehot", "random", 7, 40, 8, 64]
    assert plan_tune(**RIDGE | {"encoder": "random"}, space={"encoder.n": "8..64"}, sdr=[4, 40], trials=4)
    with pytest.raises(RequestError, match=r"`space` encoder.n=8\.\.64: The 'k' parameter"):
        plan_tune(**RIDGE | {"encoder": "random"}, space={"encoder.n": "8..64"}, sdr=40, trials=4)


# Numbers


def test_numpys_scalars_are_numbers() -> None:
    told: dict[str, Any] = QUADRATIC | {
        "steps": 20,
        "trials": 3,
        "vault_seed": 4,
        "sdr": 3,
        "compute": 0.5,
        "fix": {"adamw.lr": 0.25},
        "encoder": "fourier",
        "space": {"learner.width": [8, 16], "encoder.harmonics": [(1, 2), (1, 3)]},
    }
    numpys = told | {
        "modulus": np.int64(7),
        "steps": np.int64(20),
        "trials": np.int32(3),
        "vault_seed": np.uint8(4),
        "sdr": np.int64(3),
        "compute": np.float32(0.5),
        "fix": {"adamw.lr": np.float32(0.25)},
        "space": {
            "learner.width": np.array([8, 16]),
            "encoder.harmonics": [(np.int32(1), 2), (1, np.int64(3))],
        },
    }
    plain, planned = plan_tune(**told), plan_tune(**numpys)
    assert json.dumps(planned.what) == json.dumps(plain.what)
    assert planned.rule == plain.rule
    assert tune_command(planned.asked) == tune_command(plain.asked)
    assert plan_tune(**RIDGE, space={"learner.alpha": Range(np.int64(1), np.int64(5))}, trials=2).space.describe() == {
        "learner.alpha": "1 … 5"
    }


@pytest.mark.parametrize("high", [2**53 + 1, 10**23 - 1, 10**400])
def test_integers_have_bounds(high: int) -> None:
    for span in (f"1..{high}", Range(1, high), f"{-high}..1"):
        with pytest.raises(RequestError, match=r"learner\.width takes integers within ±2⁵³, got"):
            make_space(PLAIN, space={"learner.width": span})
    assert make_space(PLAIN, space={"learner.width": f"1..{2**53}"})


def test_a_flag_takes_no_numbers() -> None:
    with pytest.raises(RequestError, match=r"learner.tied takes true,false: it is a flag, got 0\.\.1"):
        make_space(PLAIN, space={"learner.tied": "0..1"})
    space = make_space(PLAIN, space={"learner.tied": [True, False]})
    assert space.describe()["learner.tied"] == "True, False"


# Lists


@pytest.mark.parametrize("option", ["combine", "sdr"])
def test_choices_are_one_or_more_and_different(option: str, command: Command) -> None:
    call = ("tune", "--encoder", "onehot", "--learner", "quadratic", "--trials", 2, "--dry-run", f"--{option}")
    assert f"--{option} takes one or more choices A,B, got none" in command(*call, "").error
    assert f"--{option} takes one or more choices A,B, got none" in command(*call, " , ").error
    one = {"combine": "sum", "sdr": "20"}[option]
    assert f"--{option} takes each choice once, got {one},{one}" in command(*call, f"{one},{one}").error
    with pytest.raises(RequestError, match="got none"):
        make_space(Request(encoder="onehot", learner="quadratic", **{option: []}))


def test_brackets_keep_tuples_together() -> None:
    assert _choices("(0.9,0.98),(0.9, 0.99)") == [(0.9, 0.98), (0.9, 0.99)]
    assert _choices("[8,(4,2)], 16 ,relu") == [[8, (4, 2)], 16, "relu"]
    assert _choices("1..5") == "1..5"
    with pytest.raises(RequestError, match="each once"):
        make_space(PLAIN, space={"learner.nothing": [(0.9, 0.98), [0.9, 0.98]]})


@pytest.mark.usefixtures("inline")
def test_tuples_can_be_choices(tmp_path: Path, command: Command) -> None:
    options = (
        "--encoder",
        "fourier",
        "--learner",
        "quadratic",
        "--modulus",
        7,
        "--validation-fraction",
        0.2,
        "--steps",
        5,
    )
    harmonics = "(1,2),(2,3)"
    more = (
        "--space",
        f"encoder.harmonics={harmonics}",
        "--trials",
        6,
        "--fresh",
        1,
        "--results",
        tmp_path,
        "--jobs",
        1,
    )
    done = command("tune", *options, *more, "--sampler", "random", "--json")
    assert done.code == 0, done.err
    drawn = {trial.params["encoder.harmonics"] for trial in trials_of(tmp_path)}
    assert drawn == {"(1, 2)", "(2, 3)"}
    won = done.json["best"]["params"]["encoder.harmonics"]
    assert done.json["cells"][0]["spec"]["encoder"]["harmonics"] == {"(1, 2)": [1, 2], "(2, 3)": [2, 3]}[won]


# What is said


def test_the_best_says_how_long_it_took_or_that_it_did_not_get_there() -> None:
    planned, held = plan_tune(**QUADRATIC, trials=2), {"held": 4321.6}
    assert _worth("steps", 4322.0, held, planned) == "steps to hold 99 % on validation 4,322"
    assert _worth("cost", 1.2345e9, held, planned) == "FLOPs to hold 99 % on validation 1.23e+09"
    never = {"held": None, "budget": 10}
    counts = "within 10 steps, which counts as 14"
    assert _worth("steps", 14.0, never, planned) == f"steps to hold 99 % on validation: not held {counts}"
    two = plan_tune(**QUADRATIC, trials=2, seeds=2)
    assert _worth("steps", 14.0, never, two) == f"steps to hold 99 % on validation: not held by every seed {counts}"
    assert _worth("accuracy", 0.51234, {"held": None}, planned) == "validation accuracy 0.512"


@pytest.mark.parametrize("objective", ["steps", "cost", "accuracy,cost"])
def test_a_closed_form_has_an_accuracy_alone(objective: str) -> None:
    with pytest.raises(RequestError) as refused:
        plan_tune(**RIDGE | {"objective": objective}, trials=2)
    assert str(refused.value) == (
        f"`objective` {objective} does not apply to ridge, which takes no steps: `objective` accuracy does."
    )


@pytest.mark.usefixtures("inline")
def test_a_table_says_whose_test_pairs_they_are(tmp_path: Path, command: Command) -> None:
    options = ("--encoder", "onehot", "--learner", "ridge", "--objective", "accuracy", "--modulus", 7, "--trials", 2)
    call = ("tune", *options, "--validation-fraction", 0.2, "--results", tmp_path, "--jobs", 1)
    assert "vault" not in command(*call, "--fresh", 0).out
    assert "test: on pairs of the vault, which no trial saw." in command(*call, "--fresh", 1).out


def test_a_round_is_at_least_one_trial_and_told(command: Command, tmp_path: Path) -> None:
    call = ("tune", "--encoder", "onehot", "--learner", "quadratic", "--device", "cpu", "--dry-run")
    call = (*call, "--results", tmp_path)
    for wrong in (0, -1):
        assert (
            f"--round must be an integer in [1, 2³¹), got {wrong}"
            in command(*call, "--trials", 2, "--round", wrong).error
        )
    assert "64 trials by tpe, 4 at a time, 1 seed" in command(*call, "--trials", 64, "--round", 4).out
    assert "64 trials by tpe, 8 at a time, 1 seed" in command(*call, "--trials", 64).out
    assert "4 trials by tpe, all at once, 1 seed" in command(*call, "--trials", 4, "--round", 4).out
    assert command(*call, "--trials", 64, "--round", 4, "--json").json["round"] == 4
    planned = plan_tune(**QUADRATIC, trials=10, at_once=4)
    assert (planned.round, planned.rounds) == (4, 3)
    assert "--round 4" in tune_command(planned.asked)
    with pytest.raises(RequestError, match="`at_once` must be an integer"):
        plan_tune(**QUADRATIC, trials=10, at_once=2.5)  # type: ignore[arg-type]
    endless = plan_tune(**QUADRATIC, compute=1e9, at_once=4)
    assert "1e+09 FLOPs of training by tpe, 4 at a time" in describe_plan(endless)[0]


@pytest.mark.usefixtures("inline")
def test_a_round_asks_for_so_many_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler is made for each round, from how many trials there are by then."""
    made: list[int] = []
    known = bench.tuning.samplers.make_sampler

    def counting(name: str, entropy: Any, *more: int) -> Any:
        made.append(entropy[1])
        return known(name, entropy, *more)

    monkeypatch.setattr("bench.tuning.samplers.make_sampler", counting)
    bench.tune(**RIDGE, trials=7, at_once=3, fresh=0, results=tmp_path, jobs=1)
    assert made[:3] == [0, 3, 6]


@pytest.mark.parametrize(
    ("fraction", "message"),
    [
        (["0.1", "0.2"], "takes numbers in (0, 1), got '0.1'."),
        ([None, 0.2], "takes numbers in (0, 1), got None."),
        ([0.2, True], "takes numbers in (0, 1), got True."),
        ([float("nan"), 0.2], "takes numbers in (0, 1), got nan."),
        ("0..0.5", "takes numbers in (0, 1), got 0.0."),
        ([0.2, 1.0], "takes numbers in (0, 1), got 1.0."),
        ("0.3..0.3", "must go from a lower to a higher number, got 0.3..0.3."),
        ("0.3", "takes LOW..HIGH, or two or more choices A,B, each once, got ['0.3']."),
    ],
)
def test_fractions_are_numbers_between_0_and_1(fraction: Any, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        plan_tune(**RIDGE | {"objective": "accuracy,data"}, train_fraction=fraction, trials=2)
    assert str(refused.value) == f"`train_fraction` {message}"


def test_a_range_and_a_choice_of_its_ends_are_two_studies() -> None:
    request = RIDGE | {"objective": "accuracy,data", "trials": 2}
    names = [plan_tune(**request, train_fraction=fraction).study for fraction in ("0.1..0.5", [0.1, 0.5])]
    assert [name.split()[-2] for name in names] == ["10%..50%", "10%+50%"]


@pytest.mark.parametrize(("objective", "stops"), [("accuracy,data", False), ("steps,data", True), ("cost,data", True)])
def test_what_is_judged_at_the_budget_goes_to_the_budget(objective: str, stops: bool) -> None:
    planned = plan_tune(**QUADRATIC, objective=objective, train_fraction="0.1..0.5", trials=2)
    assert planned.budget(planned.example).stop_when_solved is stops
    assert ("less where solved" in describe_plan(planned)[0]) is stops


def test_ranges_are_written_whole() -> None:
    assert tune_command({"space": {"learner.width": Range(1, 1234567, log=True)}}).endswith("=1..1234567:log")


# What a study agrees in


@pytest.mark.usefixtures("inline")
def test_of_two_that_begin_a_study_one_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process, with another request, has the first turn."""
    theirs = plan_tune(**RIDGE, task="multiply", trials=2, study="s", results=tmp_path)

    class Second:
        def __init__(self, study: Any) -> None:
            self.study = study

        @contextmanager
        def turn(self, waiting: Any) -> Iterator[None]:
            self.study.set_user_attr("what", json.dumps(theirs.what))
            yield

        def close(self) -> None:
            pass

    monkeypatch.setattr("bench.tuning.tune.owner_of", lambda study, *where: Second(study))
    with pytest.raises(RequestError, match="its task is multiply, not add"):
        bench.tune(**RIDGE, trials=2, study="s", results=tmp_path, jobs=1)


@pytest.mark.usefixtures("inline")
def test_a_study_has_one_sampler(tmp_path: Path) -> None:
    request = RIDGE | {"fresh": 0, "results": tmp_path, "jobs": 1}
    bench.tune(**request, trials=2)
    with pytest.raises(RequestError, match="its sampler is tpe, not random"):
        bench.tune(**request, trials=4, sampler="random")
    study = study_in(tmp_path)
    old = json.loads(study.user_attrs["what"])
    del old["sampler"]
    study.set_user_attr("what", json.dumps(old))
    assert bench.tune(**request, trials=4, sampler="random").trials == 4


@pytest.mark.usefixtures("inline")
def test_a_rule_cannot_be_less_than_what_was_done(tmp_path: Path) -> None:
    request = RIDGE | {"results": tmp_path, "jobs": 1, "study": "a"}
    said: list[str] = []
    bench.tune(**request, trials=8, fresh=0)
    done = bench.tune(**request, trials=4, fresh=1, say=said.append)
    assert said[0] == "The rule of the study 'a' is 8 trials, not 4 trials: a rule is not lowered."
    assert done.cells[0]["tuning"]["rule"]["trials"] == done.trials == 8


@pytest.mark.usefixtures("inline")
def test_an_open_vault_ends_a_search_by_compute(tmp_path: Path) -> None:
    request = MLP | {"results": tmp_path, "jobs": 1, "fresh": 1}
    done = bench.tune(**request, compute=4e6)
    assert bench.tune(**request, compute=4e6).cells == done.cells
    with pytest.raises(RequestError, match=f"opened after {done.trials} trials, .* cannot go on to 8e\\+06 FLOPs"):
        bench.tune(**request, compute=8e6)
    # Two rules: the one that ended it still does.
    assert bench.tune(**request, compute=4e6, trials=done.trials + 9).trials == done.trials
    with pytest.raises(RequestError, match=f"cannot go on to {done.trials + 1}"):
        bench.tune(**request, trials=done.trials + 1)
    close_storage(study_in(tmp_path)._storage)


def test_a_search_of_other_seeds_is_another_search() -> None:
    first, other = (plan_tune(**QUADRATIC, trials=4, seeds=2, fresh=3, first_seed=seed) for seed in (0, 100))
    assert [*other.seeds_of_trials, *other.seeds_of_winner] == [100, 101, 102, 103, 104]
    assert [*first.seeds_of_trials, *first.seeds_of_winner] == [0, 1, 2, 3, 4]
    assert other.what == first.what | {"first seed": 100}
    with pytest.raises(RequestError, match="first_seed"):
        plan_tune(**QUADRATIC, trials=4, first_seed=-1)
