"""Tuning: what a trial is worth, what it may see, what happens to it when its process dies."""

import io
import itertools
import json
import math
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from conftest import INLINE, PATIENCE, Finished, read_until, two_at_once, wait_until
from optuna.storages.journal import JournalFileBackend

import bench
from bench.cli._progress.tune import search_display
from bench.errors import BenchError, Notice, RequestError, StoreError
from bench.executors.channel import open_channel
from bench.executors.jobs import Job
from bench.executors.worker import failed, run_job
from bench.harness.outcome import CellProgress
from bench.harness.train import train_cells
from bench.recipes.measurements import optimizers
from bench.results.curves import crossings
from bench.results.leases import Lease
from bench.results.store import Store
from bench.results.words import percent, shown
from bench.specs.budget import count_train
from bench.specs.cell import draw_split, prepare
from bench.specs.request import Request
from bench.specs.resolve import family
from bench.specs.spec import Budget, Spec
from bench.specs.splits import draw_vault
from bench.tuning.costs import Costs
from bench.tuning.objectives import (
    LargestBudget,
    best_trial,
    learning_curve,
    objectives_of,
    trial_attributes,
    trial_values,
)
from bench.tuning.progress import Reporter, Verbosity
from bench.tuning.request import plan_tune
from bench.tuning.rounds import Rounds
from bench.tuning.samplers import make_sampler
from bench.tuning.space.search_space import make_space
from bench.tuning.stopping import count_trials, may_continue
from bench.tuning.storage.open import close_storage, default_url, open_storage
from bench.tuning.storage.ownership import owner_of
from bench.tuning.study import StudyPlan
from bench.tuning.tune import Tuned, check_same_request, run_tune
from bench.tuning.wording import describe_plan
from learners.ridge import Ridge

Command = Callable[..., Finished]
RIDGE = {
    "encoder": "onehot",
    "learner": "ridge",
    "modulus": 7,
    "validation_fraction": 0.2,
    "objective": "accuracy",
}
MLP_REQUEST = {"encoder": "onehot", "learner": "mlp", "modulus": 7, "validation_fraction": 0.2, "epochs": 5}
MLP = ("--learner", "mlp", "--fix", "learner.width=8", "--fix", "learner.depth=1", "--fix", "learner.head=classifier")


def record(accuracies: list[float | None], budget: int = 100, status: str = "done") -> Any:
    """Of validation accuracies at steps 10, 20, …"""
    steps = list(range(10, 10 * len(accuracies) + 10, 10))
    return {
        "label": "it",
        "status": status,
        "budget": {"steps": budget},
        **crossings({"step": steps, "validation_accuracy": accuracies}, ["validation"]),
        "final": {"step": steps[-1], "validation_accuracy": accuracies[-1]},
        "curve": {"step": steps, "validation_accuracy": accuracies},
        "flops": 1000,
        "seconds": {"train": 1.0, "total": 2.0},
        "parameters": 7,
        "error": None,
    }


def worth(*records: Any) -> float:
    return trial_values(["steps"], records)[0]


def solved(at: int, until: int, **how: Any) -> Any:
    """A record that holds 99 % from a step on, and ends at another."""
    return record([1.0 if step >= at else 0.5 for step in range(10, until + 10, 10)], **how)


# The objective


def test_the_objective_in_closed_form() -> None:
    assert worth(solved(20, 40)) == 20
    assert worth(record([0.5, 0.7, 0.6])) == pytest.approx(100 * 1.3)
    assert worth(record([0.5, None], status="diverged")) == 300
    assert worth(solved(10, 20), record([0.0])) == pytest.approx(math.sqrt(10 * 200))
    assert worth(solved(20, 40), solved(80, 160)) == pytest.approx(40)


@pytest.mark.parametrize(("until", "unconfirmed"), [(60, 0), (59, 1), (40, 1), (80, 0)])
def test_a_crossing_counts_by_its_step_whether_it_is_confirmed_or_not(until: int, unconfirmed: int) -> None:
    """Confirmed is what reached 1.5 times its step."""
    steps = [39, 40, until]
    found = record([0.5, 1.0, 1.0], budget=60)
    found |= crossings({"step": steps, "validation_accuracy": [0.5, 1.0, 1.0]}, ["validation"])
    found["final"]["step"] = until
    assert worth(found) == 40
    kept = trial_attributes([found])
    assert kept["unconfirmed"] == unconfirmed
    assert kept["held_steps_to_99"] == 40
    assert kept.get("sustained_steps_to_99") == (None if unconfirmed else 40)


def test_the_order_of_what_trials_are_worth() -> None:
    """Sooner, later, not yet confirmed, lost at the end, nearly, never, diverged."""
    ranking = [
        solved(10, 20),
        solved(60, 100),
        solved(70, 100),  # not confirmed, which would take 105 steps
        solved(100, 100),
        record([1.0] * 9 + [0.98]),
        record([0.98] * 10),
        record([0.0] * 10),
        record([0.98, None], status="diverged"),
    ]
    values = [worth(one) for one in ranking]
    assert values == sorted(values)
    assert values == pytest.approx([10, 60, 70, 100, 100, 102, 200, 300])
    assert [trial_attributes([one])["unconfirmed"] for one in ranking] == [0, 0, 1, 1, 0, 0, 0, 0]


def test_the_last_of_a_budget_is_neither_never_nor_ahead_of_what_is_confirmed() -> None:
    """Of 1,500 steps, a crossing at 1,490 was once as bad as none: 15,000 steps or more."""
    late, confirmed = solved(1490, 1500, budget=1500), solved(1000, 1500, budget=1500)
    assert (
        worth(confirmed) == 1000 < worth(late) == 1490 < worth(record([0.9] * 150, budget=1500)) == pytest.approx(1650)
    )


def test_a_crossing_that_ran_out_of_time_before_it_was_confirmed_is_not_ahead_of_one_that_was() -> None:
    late = solved(20, 20, status="timeout")
    assert worth(solved(60, 100)) == 60 < worth(late) == 100
    assert worth(solved(20, 40, status="timeout")) == 20
    assert trial_attributes([late])["held_steps_to_99"] == 20


def test_never_is_worse_than_solved_whatever_the_budgets() -> None:
    """Budgets in epochs differ in steps: the study's largest is the measure of all."""
    late, never = solved(30_000, 40_000, budget=40_000), record([0.9], budget=1000)
    assert worth(never) < worth(late)
    assert trial_values(["steps"], [never], LargestBudget(40_000)) == [pytest.approx(40_000 * 1.1)]
    assert trial_values(["steps"], [never], LargestBudget(500)) == [worth(never)]


def test_the_largest_budget_is_that_of_the_smallest_batch() -> None:
    planned = plan_tune(encoder="onehot", learner="mlp", modulus=23, epochs=5, trials=4)
    n_train = count_train(planned.example)
    sizes = [min(size, n_train) for size in (512, 32)]
    assert planned.budgets == tuple(5 * -(-n_train // size) for size in sizes)
    assert planned.largest_budget == LargestBudget(planned.budgets[1])
    assert f"up to {planned.budgets[1]:,} steps each, less where solved" in describe_plan(planned)[0]
    request: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "steps": 10, "trials": 4}
    costs, both = (plan_tune(**request, objective=objective) for objective in ("cost", "accuracy,cost"))
    assert costs.largest_budget.steps == 10 < costs.largest_budget.flops
    assert both.largest_budget.flops == 0


def test_accuracy() -> None:
    assert trial_values(["accuracy"], [record([0.2, 0.6]), record([0.8, 0.8])]) == [0.7]
    assert trial_values(["accuracy"], [record([0.2, None], status="diverged")]) == [0.0]


def test_cost_in_closed_form() -> None:
    """1,000 FLOPs in 20 steps: 500 until the step of the crossing, 5,000 to the end of a budget of 100."""

    def cost(one: Any, most: LargestBudget | None = None) -> float:
        return trial_values(["cost"], [one], most)[0]

    assert cost(solved(10, 20)) == 500
    assert cost(solved(20, 20)) == 1000
    assert cost(record([0.2, 0.6])) == pytest.approx(5000 * 1.4)
    assert cost(record([0.2, None], status="diverged")) == 5000 * 3
    assert cost(record([0.2, 0.6]), LargestBudget(100, 1e6)) == pytest.approx(1e6 * 1.4)
    assert cost({**solved(10, 20), "flops": None}) == 0.5
    assert cost({**record([0.5]), "flops": None}) == pytest.approx(10 * 1.5)
    assert trial_values(["cost"], [solved(10, 20), record([0.2, 0.6])]) == [pytest.approx(math.sqrt(500 * 7000))]
    for beside in (record([0.2, 0.6]), record([0.2, None], status="diverged")):  # accuracy says that it is not solved
        assert trial_values(["accuracy", "cost"], [beside])[1] == 5000


def test_what_is_trained_after_the_crossing_is_no_cost_of_it() -> None:
    """A trial goes on to twice its crossing, to see whether it holds."""
    short, long = {**solved(10, 20), "flops": 2000}, {**solved(10, 100), "flops": 10_000}
    assert trial_values(["cost"], [short]) == trial_values(["cost"], [long]) == [1000]


def test_to_diverge_or_give_up_early_is_not_cheap() -> None:
    ranking = [
        {**solved(60, 100), "flops": 10**6},
        {**solved(90, 100), "flops": 10**6},
        record([0.9] * 10),
        record([0.3], status="timeout"),
        record([None], status="diverged"),
    ]
    values = [trial_values(["cost"], [one], LargestBudget(100, 1e6))[0] for one in ranking]
    assert values == sorted(values)
    assert len(set(values)) == len(values)


def test_the_winner_is_the_first_best() -> None:
    assert best_trial(["steps"], [(0, [2.0]), (1, [1.0]), (2, [1.0])]) == 1
    assert best_trial(["accuracy", "cost"], [(0, [0.5, 1.0]), (1, [0.9, 7.0]), (2, [0.9, 5.0])]) == 2
    assert best_trial(["steps"], []) is None
    with pytest.raises(RequestError, match="did you mean 'accuracy'"):
        objectives_of("acuracy")
    with pytest.raises(RequestError, match="two different ones"):
        objectives_of("cost,cost")


def test_curves_are_thin_and_end_where_they_ended() -> None:
    long = record([i / 500 for i in range(500)])
    short = record([0.0, 1.0])
    points = list(learning_curve([long, short]).items())
    assert len(points) <= 60
    assert points[0] == (10, 0.0)
    assert points[-1] == (5000, pytest.approx((499 / 500 + 1) / 2))


def test_fresh_seeds_are_no_trials_seeds() -> None:
    planned = plan_tune(**RIDGE, trials=2, seeds=3, fresh=20)
    assert len(planned.seeds_of_trials) == 3
    assert not set(planned.seeds_of_trials) & set(planned.seeds_of_winner)
    assert len(planned.seeds_of_winner) == 20


def test_samplers_do_not_repeat_themselves_when_a_study_resumes() -> None:
    draws = []
    for known in (0, 0, 8):
        study = optuna.create_study(sampler=make_sampler("random", [5, known]))
        draws.append(study.ask().suggest_float("x", 0, 1))
    assert draws[0] == draws[1] != draws[2]
    with pytest.raises(RequestError, match="did you mean 'tpe'"):
        make_sampler("tp", [0])
    with pytest.raises(RequestError, match="takes one objective"):
        make_sampler("cmaes", [0], 2)


# Vaults


def test_specs_without_a_vault_are_what_they_were() -> None:
    spec = family(Request(encoder="onehot", learner="ridge", modulus=11)).first
    assert spec.id == "60181d860185bd49"
    assert "vault" not in spec.to_dict()
    held = family(Request(encoder="onehot", learner="ridge", modulus=11, vault={"fraction": 0.2, "seed": 3})).first
    assert held.to_dict()["vault"] == {"fraction": 0.2, "seed": 3, "open": False}
    assert Spec.from_dict(held.to_dict()) == held
    assert held.id != spec.id


def test_a_closed_vault_leaves_no_test_pairs_and_an_open_one_the_same_training() -> None:
    request = {"encoder": "onehot", "learner": "mlp", "modulus": 11, "validation_fraction": 0.2}
    shut = family(Request(**request, vault={"fraction": 0.2, "seed": 3})).first
    wide = family(Request(**request, vault={"fraction": 0.2, "seed": 3, "open": True})).first
    task = shut.make_task()
    closed, opened = draw_split(shut, task), draw_split(wide, task)
    assert closed.test.size == 0
    np.testing.assert_array_equal(closed.train, opened.train)
    vault = draw_vault(task, "unordered", 0.2, np.random.default_rng(3))
    np.testing.assert_array_equal(opened.test, vault)
    assert not set(vault) & {*opened.train, *opened.validation}


@pytest.mark.parametrize("learner", ["ridge", "mlp", "quadratic"])
def test_a_record_of_a_closed_vault_says_nothing_of_test_pairs(learner: str) -> None:
    request = {"encoder": "onehot", "learner": learner, "modulus": 7, "validation_fraction": 0.2}
    cell = prepare(family(Request(**request, vault={"fraction": 0.2, "seed": 3})).first)
    told: list[Any] = []
    train_cells([cell], [Budget(0 if learner == "ridge" else 20, None, True)], told.extend)
    found = told[-1][1].record
    assert found["status"] == "done"
    assert found["final"]["test_accuracy"] is found["final"]["test_loss"] is found["test_accuracy_diagonal"] is None
    assert set(found["curve"]["test_accuracy"]) == {None}
    assert found["steps_to"]["test"] == {"0.95": None, "0.99": None}
    assert found["final"]["validation_accuracy"] is not None


def trials_of(folder: Path, url: str | None = None) -> list[Any]:
    storage = open_storage(url or f"journal:///{folder / 'studies.journal'}")
    [summary] = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=storage).get_trials(deepcopy=False)
    close_storage(storage)
    return trials


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    "request_",
    [
        {"encoder": "phasor", "learner": "ridge", "modulus": 11, "objective": "accuracy"},
        {
            "encoder": "onehot",
            "learner": "quadratic",
            "modulus": 23,
            "train_fraction": 0.6,
            "steps": 150,
            "fix": {"learner.width": 128},
        },
    ],
)
def test_nothing_of_the_vault_reaches_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: dict[str, Any]
) -> None:
    """With all answers of the vault swapped for others, trials and winner are the same, and its test is not."""
    request = request_ | {"trials": 10, "fresh": 2, "vault_seed": 4, "study": "s", "jobs": 1, "device": "cpu"}
    plain = bench.tune(**request, results=tmp_path / "a")
    made = Spec.make_task

    def swapped(spec: Spec) -> Any:
        task = made(spec)
        vault = draw_vault(task, spec.protocol, 0.2, np.random.default_rng(4))  # type: ignore[arg-type]
        task.answers_N[vault] = (task.answers_N[vault] + 1) % task.n_classes
        return task

    monkeypatch.setattr(Spec, "make_task", swapped)
    other = bench.tune(**request, results=tmp_path / "b")
    timed = ("seconds", "label")
    one, two = (
        [
            (t.params, t.values, {k: v for k, v in t.user_attrs.items() if k not in timed})
            for t in trials_of(tmp_path / name)
        ]
        for name in "ab"
    )
    assert one == two
    assert plain.best == other.best
    assert [cell["curve"]["validation_accuracy"] for cell in plain.cells] == [
        cell["curve"]["validation_accuracy"] for cell in other.cells
    ]
    assert min(cell["final"]["test_accuracy"] for cell in plain.cells) > 0.9
    assert max(cell["final"]["test_accuracy"] for cell in other.cells) < 0.5


# Spaces


def test_names_have_owners_and_overrides_count() -> None:
    space = make_space(
        Request(encoder="onehot", learner="quadratic"),
        space={"learner.width": "8..16", "adamw.warmup": "1..5"},
        fix={"adamw.lr": 0.01},
    )
    trial = optuna.create_study().ask()
    settings = space.draw(trial)["settings"]
    assert trial.params.keys() == {
        *("learner.width", "adamw.warmup", "adamw.weight_decay", "adamw.beta2", "learner.init_scale"),
    }
    assert settings["adamw.lr"] == 0.01
    assert 8 <= settings["learner.width"] <= 16
    assert 1 <= settings["adamw.warmup"] <= 5
    assert isinstance(settings["adamw.warmup"], int)


def test_several_encoders_combinations_and_sdrs_are_choices() -> None:
    choices: dict[str, Any] = {"encoder": ["cycle", "rdse"], "combine": ["sum", "concat"], "sdr": [20, "off"]}
    several = Request(**choices, learner="ridge")
    space = make_space(several, {"cycle.n": [50, 100]})
    assert {"encoder", "combine", "sdr", "cycle.n", "rdse.size", "learner.alpha"} <= space.describe().keys()
    drawn = [space.draw(optuna.create_study().ask()) for _ in range(20)]
    assert {request["encoder"] for request in drawn} == {"cycle", "rdse"}
    for request in drawn:
        if request["encoder"] == "cycle":
            assert request["settings"]["encoder.n"] in (50, 100)
        assert not [name for name in request["settings"] if name.startswith(("cycle", "rdse"))]


# A study


@pytest.mark.usefixtures("inline")
def test_a_study_from_end_to_end(tmp_path: Path, command: Command) -> None:
    options = ("--encoder", "onehot", "--learner", "quadratic", "--modulus", 23, "--train-fraction", 0.6)
    more = ("--trials", 10, "--steps", 150, "--fresh", 2, "--results", tmp_path, "--jobs", 1)
    space = (
        "--space",
        "learner.width=32,64",
        "--space",
        "adamw.lr=0.01..0.05:log",
        "--fix",
        "learner.init_scale=0.02",
    )
    call = ("tune", *options, *more, *space)
    done = command(*call, "--json")
    assert done.code == 0, done.err
    document = done.json
    found = {"trials", "best", "front", "cells", "cost", "command"}
    assert document.keys() == {"schema", "study", "storage", "objective", "sampler", "rule"} | found
    assert document["front"] == []
    assert document["trials"] == 10
    assert document["best"]["params"].keys() == {"learner.width", "adamw.lr", "adamw.weight_decay", "adamw.beta2"}
    trials = trials_of(tmp_path)
    assert document["best"]["value"] == min(trial.value for trial in trials)
    for trial in trials:
        assert not [name for name in trial.user_attrs if "test" in name]
        assert all(isinstance(value, str | int | float) for value in trial.user_attrs.values())
        assert trial.user_attrs["status"] in ("done", "diverged")
        assert 1 < len(trial.intermediate_values) <= 60
        assert max(trial.intermediate_values.values()) <= 1
    cells = document["cells"]
    assert [cell["spec"]["seed"] for cell in cells] == [1, 2]
    assert {cell["spec"]["vault"]["open"] for cell in cells} == {True}
    spent = sum(trial.user_attrs["flops"] for trial in trials)
    for cell in cells:
        assert cell["final"]["test_accuracy"] is not None
        assert cell["tuning"]["study"] == document["study"]
        assert cell["tuning"]["rule"] == {"trials": 10, "compute": None}
        assert cell["tuning"]["trials"] == 10
        assert cell["tuning"]["flops"] == spent
        assert Store(tmp_path).read(cell["id"]) == cell
    assert len(Store(tmp_path).ids()) == 2
    # Once more: what is stored is shown, and the vault stays as it was opened.
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert command(*call, "--json").json == document
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert len(trials_of(tmp_path)) == 10
    shown = command(*call)
    assert "steps" in shown.out
    assert re.search(r"The search took \d\.\d\de\d+ FLOPs and \d+ s", shown.out)
    assert "% train, 10 % validate, 20 % vault" in shown.out
    longer = command(*("tune", *options, "--trials", 11, *more[2:], *space))
    assert longer.code == 2
    assert "its vault was opened after 10 trials" in longer.error


@pytest.mark.usefixtures("inline")
def test_a_study_goes_on_to_more_trials_while_its_vault_is_closed(tmp_path: Path) -> None:
    request = RIDGE | {"results": tmp_path, "fresh": 0, "jobs": 1, "seeds": 2}
    first = bench.tune(**request, trials=3)
    assert first.trials == 3
    assert not first.cells
    before = [(t.number, t.params, t.values) for t in trials_of(tmp_path)]
    second = bench.tune(**request, trials=9)
    after = [(t.number, t.params, t.values) for t in trials_of(tmp_path)]
    assert second.trials == 9
    assert after[:3] == before
    assert len({json.dumps(params) for _, params, _ in after}) == 9


@pytest.mark.usefixtures("inline")
def test_a_winner_is_chosen_once(tmp_path: Path) -> None:
    """The vault is opened for what was chosen before, whatever would be chosen now."""
    request = RIDGE | {"results": tmp_path, "jobs": 1, "trials": 4}
    first = bench.tune(**request, fresh=0)
    assert first.best is not None
    other = (first.best["number"] + 1) % 4
    storage = open_storage(f"journal:///{tmp_path / 'studies.journal'}")
    optuna.load_study(study_name=first.study, storage=storage).set_user_attr("winner", other)
    done = bench.tune(**request, fresh=2)
    assert done.best is not None
    assert done.best["number"] == other
    alpha = trials_of(tmp_path)[other].params["learner.alpha"]
    assert [cell["spec"]["learner"]["alpha"] for cell in done.cells] == [alpha, alpha]
    more = bench.tune(**request, fresh=3)
    assert [cell["id"] for cell in more.cells][:2] == [cell["id"] for cell in done.cells]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    ("learner", "how", "compute"),
    [
        ("mlp", {"epochs": 5, "fix": {"learner.depth": 1}, "space": {"learner.width": "4..64:log"}}, 4e6),
        ("quadratic", {"steps": 5, "space": {"learner.width": [8, 64]}}, 4e6),
    ],
)
def test_compute_is_not_exceeded(tmp_path: Path, learner: str, how: dict[str, Any], compute: float) -> None:
    """Trials differ in what they take: each is begun only if its whole budget fits."""
    request = {"encoder": "onehot", "learner": learner, "modulus": 7, "validation_fraction": 0.2} | how
    done = bench.tune(**request, compute=compute, seeds=2, fresh=0, results=tmp_path, jobs=1, objective="accuracy")
    asked = trials_of(tmp_path)
    begun = [one for one in asked if one.state.name == "COMPLETE" and "same_as" not in one.user_attrs]
    each = [trial.user_attrs["flops"] for trial in begun]
    assert each == [trial.user_attrs["predicted"] for trial in begun]
    assert done.cost["flops"] == sum(each) <= compute
    for dear in asked[-8:]:
        assert dear.user_attrs["status"] == "too dear"
        assert sum(each) + dear.user_attrs["predicted"] > compute
    assert done.trials == count_trials(asked) > 3
    assert max(each) > 2 * min(each)
    assert len({one.user_attrs["status"] for one in asked}) == 2
    again = bench.tune(**request, compute=compute, seeds=2, fresh=0, results=tmp_path, jobs=1, objective="accuracy")
    assert again.trials == done.trials


@pytest.mark.usefixtures("inline")
def test_compute_for_no_trial_is_told(tmp_path: Path) -> None:
    request = {"encoder": "onehot", "learner": "mlp", "modulus": 7, "validation_fraction": 0.2, "epochs": 5}
    with pytest.raises(BenchError, match=r"its whole budget takes .* FLOPs, and 1e\+03 are left"):
        bench.tune(**request, compute=1000, results=tmp_path, jobs=1)


def trial(state: str = "COMPLETE", **attributes: Any) -> Any:
    values = {"value": 1.0} if state == "COMPLETE" else {}
    return optuna.trial.create_trial(state=optuna.trial.TrialState[state], user_attrs=attributes, **values)


def test_when_a_rule_is_met() -> None:
    done, refused = trial(flops=10.0), trial("FAIL", status="refused")
    by_trials, by_compute = {"trials": 3, "compute": None}, {"trials": None, "compute": 100.0}
    assert may_continue(by_trials, [done, trial("FAIL", status="interrupted"), trial("RUNNING")])
    assert not may_continue(by_trials, [done, refused, trial("RUNNING")])
    assert may_continue(by_compute, [done] * 9)
    assert not may_continue(by_compute, [done] * 10)
    assert not may_continue(by_compute, [done] * 5 + [trial("RUNNING", predicted=50.0)])
    dear = [trial("FAIL", status="too dear", predicted=60.0)] * 8
    assert not may_continue(by_compute, [done, trial("RUNNING", predicted=50.0), *dear])
    assert may_continue(by_compute, [done, trial(flops=20.0, predicted=50.0), *dear])
    assert may_continue(by_compute, [trial("RUNNING", predicted=60.0), *dear[1:]])
    assert may_continue({"trials": 100, "compute": None}, [done] + [refused] * 40)
    assert not may_continue({"trials": 100, "compute": None}, [refused] * 32)
    assert may_continue(by_compute, [done] + [refused] * 31)
    assert not may_continue(by_compute, [done] + [refused] * 32)
    assert not may_continue(by_compute, [done] + [trial(same_as=0)] * 32)
    assert may_continue({"trials": 100, "compute": None}, [done] + [trial(same_as=0)] * 40)


@pytest.mark.usefixtures("inline")
def test_a_cell_that_was_ended_without_a_step_is_a_failed_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = TimeoutError("It did not end at its limit of seconds.")
    monkeypatch.setattr("bench.executors.local.run_job", lambda job, on: failed(job, on, late, "timeout"))
    request = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "validation_fraction": 0.2, "steps": 5}
    for number, objective in enumerate(("steps", "accuracy", "cost")):
        with pytest.raises(BenchError, match="has a value: It did not end"):
            bench.tune(**request, trials=2, objective=objective, results=tmp_path / str(number), jobs=1)
        told = trials_of(tmp_path / str(number))
        assert [(one.state.name, one.user_attrs["status"]) for one in told] == [("FAIL", "failed")] * 2


@pytest.mark.usefixtures("inline")
def test_two_objectives(tmp_path: Path) -> None:
    request = {"encoder": ["onehot", "phasor"], "learner": "mlp", "modulus": 7, "epochs": 5}
    fixed = {"learner.depth": 1, "learner.head": "classifier"}
    done = bench.tune(**request, trials=8, objective="accuracy,cost", fix=fixed, fresh=1, results=tmp_path, jobs=1)
    values = [trial.values for trial in trials_of(tmp_path)]
    assert done.best is not None
    assert done.best["value"] == max(values, key=lambda pair: (pair[0], -pair[1]))
    assert len(done.cells) == 1


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(("seeds", "but"), [(1, "it did not hold 99 %"), (2, "not every seed of it held 99 %")])
def test_a_winner_that_did_not_hold_is_told(tmp_path: Path, seeds: int, but: str) -> None:
    said: list[str] = []
    request = {"encoder": "onehot", "learner": "quadratic", "fix": {"learner.width": 8}, "modulus": 11, "steps": 3}
    bench.tune(**request, trials=1, seeds=seeds, fresh=1, device="cpu", jobs=1, results=tmp_path, say=said.append)
    [line] = [text for text in said if "is the winner" in text]
    assert line == f"trial 0 is the winner, though {but}"
    [again] = [text for text in said if "fresh seed" in text and "trained" in text]
    start = "now it is trained on 1 fresh seed, to the end of 3 steps each, and tested on the vault: about "
    assert re.fullmatch(rf"{start}\d+ s", again)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(("seeds", "doubt"), [(1, "it is not confirmed, having held 99 %"), (2, "of its 2 seeds")])
def test_a_winner_that_is_not_confirmed_is_told(tmp_path: Path, command: Command, seeds: int, doubt: str) -> None:
    """The budget ends where the slowest seed has just crossed."""
    pytest.importorskip("optuna_dashboard")
    from optuna_dashboard import get_note

    what: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 23, "train_fraction": 0.6}
    fixed = {"learner.width": 64, "adamw.lr": 0.03, "learner.init_scale": 0.02, "adamw.weight_decay": 1.0}
    steps = last_unconfirmed(seeds, fixed, plan_tune(**what, trials=1, device="cpu", results=tmp_path))
    options = [word for name, value in what.items() for word in (f"--{name.replace('_', '-')}", value)]
    options += [word for name, value in fixed.items() for word in ("--fix", f"{name}={value}")]
    call = ("tune", *options, "--trials", 1, "--seeds", seeds, "--fresh", 1, "--device", "cpu")
    done = command(*call, "--steps", steps, "--jobs", 1, "--results", tmp_path / "r", "--study", "s", "--verbose")
    [trial] = trials_of(tmp_path / "r")
    assert trial.user_attrs["unconfirmed"] >= 1
    assert trial.user_attrs["held_steps_to_99"] == pytest.approx(trial.value, abs=0.5)
    assert "sustained_steps_to_99" not in trial.user_attrs
    assert trial.value <= steps < 1.5 * trial.value
    assert "not yet confirmed" in next(line for line in done.err.splitlines() if "] trial 0:" in line)
    assert len([line for line in done.out.splitlines() if line.startswith("Note that ")]) == 1
    for where in (next(line for line in done.err.splitlines() if "is the winner" in line), done.out):
        assert doubt in where
    study = optuna.load_study(study_name="s", storage=open_storage(default_url(tmp_path / "r")))
    assert doubt in get_note(study)


@pytest.mark.usefixtures("inline")
def test_that_a_winner_did_not_hold_it_is_said_once_on_stdout(tmp_path: Path, command: Command) -> None:
    what = ("--encoder", "onehot", "--learner", "quadratic", "--modulus", 7, "--device", "cpu", "--results", tmp_path)
    done = command("tune", *what, "--trials", 1, "--steps", 3, "--fresh", 0, "--jobs", 1)
    assert "not held within 3 steps, which counts as" in done.out
    assert "Note that" not in done.out


def last_unconfirmed(seeds: int, fixed: dict[str, Any], like: StudyPlan) -> int:
    """The last step at which a seed of a trial crosses 99 %, all of which hold it."""
    found = like.family({"encoder": "onehot", "learner": "quadratic", "settings": fixed})
    told: list[Any] = []
    train_cells([prepare(found.at(seed)) for seed in range(seeds)], [Budget(600, None, True)] * seeds, told.extend)
    spans = [outcome.record["held"]["validation"]["0.99"] for _, outcome in told]
    return max(span[0] for span in spans)


@pytest.mark.parametrize("fraction", ["0.2..0.5", [0.2, 0.3, 0.5]])
def test_accuracy_against_data(tmp_path: Path, fraction: Any) -> None:
    request = RIDGE | {"objective": "accuracy,data", "train_fraction": fraction}
    done = bench.tune(**request, trials=10, fresh=1, results=tmp_path, jobs=1)
    trials = [(trial.values, trial.params["train_fraction"]) for trial in trials_of(tmp_path) if trial.values]
    assert len(trials) == 10
    assert all(values[1] == share and 0.2 <= share <= 0.5 for values, share in trials)
    assert len({share for _, share in trials}) > 1
    assert done.best is not None
    assert done.front[0]["number"] == done.best["number"]
    for one, two in itertools.pairwise(done.front):  # less accuracy for less data
        assert all(a > b for a, b in zip(one["value"], two["value"], strict=True))
    for values, _ in trials:
        assert any(a >= values[0] and b <= values[1] for a, b in (one["value"] for one in done.front))
    [cell] = done.cells
    assert cell["spec"]["train_fraction"] == done.best["params"]["train_fraction"] == done.best["value"][1]


@pytest.mark.usefixtures("inline")
def test_accuracy_against_data_is_that_at_the_budget(tmp_path: Path) -> None:
    """Whoever has more pairs takes more FLOPs, though all train on all of their pairs at once, and all to the end."""
    request = {"encoder": "onehot", "learner": "quadratic", "modulus": 23, "steps": 150}
    space = {"adamw.weight_decay": "1..5"}
    fixed = {"learner.width": 64, "adamw.lr": 0.03, "learner.init_scale": 0.02}
    both = {"objective": "accuracy,data", "train_fraction": [0.5, 0.6, 0.7], "fix": fixed, "space": space}
    more = {"trials": 8, "compute": 1e12, "seeds": 2, "sampler": "random"}
    bench.tune(**request | both | more, fresh=0, results=tmp_path, jobs=1)
    own = [one for one in trials_of(tmp_path) if "same_as" not in one.user_attrs]
    assert [(one.user_attrs["status"], one.user_attrs["steps"]) for one in own] == [("done", 300)] * len(own)
    assert any("sustained_steps_to_99" in one.user_attrs for one in own)
    assert [one.user_attrs["predicted"] for one in own] == [one.user_attrs["flops"] for one in own]
    flops = {one.params["train_fraction"]: one.user_attrs["flops"] for one in own}
    assert len(set(flops.values())) == len(flops) > 1
    assert sorted(flops, key=flops.__getitem__) == sorted(flops)


@pytest.mark.parametrize(
    ("what", "least", "most"),
    [
        ({"learner": "quadratic", "fix": {"learner.width": 8}}, 8, 8),
        ({"learner": "quadratic", "fix": {"learner.width": 8}, "combine": ["sum", "concat"], "sdr": [3, "off"]}, 8, 8),
        ({"learner": "quadratic", "space": {"learner.width": list(range(1, 17))}}, 4, 6),
        ({"learner": "torch-mlp"}, 1, 2),
    ],
)
def test_a_worker_expects_as_many_jobs_of_a_structure_as_there_may_be(
    tmp_path: Path, what: dict[str, Any], least: int, most: int
) -> None:
    planned = plan_tune(encoder="onehot", modulus=11, trials=64, at_once=8, device="cpu", results=tmp_path, **what)
    asked = Rounds(planned, None, None, 1, None, Reporter(print), print)  # type: ignore[arg-type]
    assert least <= asked.repeats <= most
    by_compute = plan_tune(encoder="onehot", modulus=11, compute=1e9, device="cpu", results=tmp_path, **what)
    assert Rounds(by_compute, None, None, 1, None, Reporter(print), print).repeats == 1  # type: ignore[arg-type]


def test_trials_last_as_long_as_those_before(tmp_path: Path) -> None:
    request = {"encoder": "onehot", "learner": "quadratic", "modulus": 11, "device": "cpu", "results": tmp_path}
    request |= {"trials": 64, "steps": 100, "seeds": 2}
    told = [{"steps": 200}, {"steps": 20}, {"steps": 30}, {"steps": 200, "same_as": 0}, {}]
    for attributes, objective, share in ((told, "steps", 0.15), ([], "steps", 0.75), (told, "accuracy", 1.0)):
        trials = [SimpleNamespace(user_attrs=each) for each in attributes]
        study = SimpleNamespace(get_trials=lambda trials=trials, **how: trials)
        planned = plan_tune(**request, objective=objective)
        assert Costs(planned, study, print).usual_share == share  # type: ignore[arg-type]


@pytest.mark.usefixtures("inline")
def test_what_is_drawn_again_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []

    def counting(job: Job, on: Any) -> Any:
        trained.extend(unit.spec.id for unit in job.units)
        return run_job(job, on)

    monkeypatch.setattr("bench.executors.local.run_job", counting)
    request = RIDGE | {"combine": ["sum", "concat"], "fix": {"learner.alpha": 1.0}, "sampler": "random"}
    done = bench.tune(**request, trials=12, at_once=4, fresh=0, results=tmp_path, jobs=1)
    assert len(trained) == len(set(trained)) == 2
    told = trials_of(tmp_path)
    assert {one.state.name for one in told} == {"COMPLETE"}
    assert len(told) == 12 == done.trials
    own = [one for one in told if "same_as" not in one.user_attrs]
    assert len(own) == 2
    assert done.cost["seconds"] == sum(one.user_attrs["seconds"] for one in own)
    for one in told:
        first = told[one.user_attrs.get("same_as", one.number)]
        assert first in own
        assert (one.params, one.values) == (first.params, first.values)
        assert one.intermediate_values == first.intermediate_values != {}
        assert ("seconds" in one.user_attrs) == (one is first)


@pytest.mark.usefixtures("inline")
def test_a_space_that_fails_fails_its_trial_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suggest = Ridge.suggest

    def broken(asking: Any) -> dict[str, Any]:
        if isinstance(asking.trial, optuna.Trial) and asking.trial.number % 2:
            raise KeyError("no such thing")
        return suggest(asking)

    monkeypatch.setattr(Ridge, "suggest", staticmethod(broken))
    said: list[str] = []
    done = bench.tune(**RIDGE, trials=4, fresh=0, results=tmp_path, jobs=1, say=said.append)
    assert [one.state.name for one in trials_of(tmp_path)] == ["COMPLETE", "FAIL"] * 2
    assert [one.user_attrs["status"] for one in trials_of(tmp_path)] == ["done", "failed"] * 2
    assert done.trials == 4
    assert "trial 1: failed, 'no such thing'" in said


@pytest.mark.usefixtures("inline")
def test_what_is_interrupted_is_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def once(job: Job, on: Any) -> Any:
        results = run_job(job, on)
        on.request_stop()
        return results

    monkeypatch.setattr("bench.executors.local.run_job", once)
    request = {"encoder": "onehot", "learner": "mlp", "modulus": 7, "validation_fraction": 0.2, "epochs": 5, "seeds": 2}
    done = bench.tune(**request, trials=1, results=tmp_path, jobs=1)
    assert not done.whole
    [stopped] = trials_of(tmp_path)
    assert stopped.user_attrs["status"] == "interrupted"
    assert done.cost["seconds"] == stopped.user_attrs["seconds"] > 0
    assert done.cost["flops"] == stopped.user_attrs["flops"] > 0
    assert done.trials == 0


@pytest.mark.usefixtures("inline")
def test_a_winners_record_says_from_the_first_what_its_tuning_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    keep_all = Store.keep_all

    def keeping(store: Store, items: Any, force: Any = ()) -> Any:
        kept.extend(record["tuning"] for record, _ in items)
        return keep_all(store, items, force)

    monkeypatch.setattr(Store, "keep_all", keeping)
    done = bench.tune(**RIDGE, trials=2, fresh=2, study="s", results=tmp_path, jobs=1)
    assert kept == [{"study": "s", "rule": {"trials": 2, "compute": None}, "seeds": 1, **done.cost}] * 2


@pytest.mark.usefixtures("inline")
def test_a_record_of_two_studies_is_told(tmp_path: Path) -> None:
    request = RIDGE | {"fix": {"learner.alpha": 1.0}, "vault_seed": 3, "trials": 2, "fresh": 1, "jobs": 1}
    first = bench.tune(**request, study="a", results=tmp_path)
    second = bench.tune(**request, study="b", results=tmp_path)
    assert second.cells == first.cells
    assert not first.problems
    [problem] = second.problems
    assert "its tuning is that of the study 'a', and the cost of 'b' is not in it" in problem


@pytest.mark.usefixtures("inline")
def test_a_rule_is_raised_by_any_process_until_the_vault_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process asks for more in the last moment before this one would open the vault."""
    running = Rounds._count_running

    def raising(self: Rounds) -> int:
        self.study.set_user_attr("rule", {"trials": 6, "compute": None})
        return running(self)

    monkeypatch.setattr(Rounds, "_count_running", raising)
    done = bench.tune(**RIDGE, trials=2, fresh=1, results=tmp_path, jobs=1)
    assert done.trials == 6
    assert done.cells[0]["tuning"]["rule"] == {"trials": 6, "compute": None}


@pytest.mark.usefixtures("inline")
def test_whoever_asks_for_less_goes_by_the_rule_of_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process raised the rule of an interrupted search: its own command still goes on."""
    request, said = MLP_REQUEST | {"study": "s", "results": tmp_path, "jobs": 1}, []
    first, more = {"trials": 2, "compute": 1e9}, {"trials": 4, "compute": 2e9}
    with monkeypatch.context() as patched:
        patched.setattr("bench.executors.local.run_job", lambda job, on: on.request_stop() or run_job(job, on))
        for rule in (first, more):
            assert not bench.tune(**request, **rule).whole
    with pytest.raises(RequestError, match=r"goes on to 4 trials and 2e\+09 FLOPs .*, not for 9 trials and 1e\+09"):
        bench.tune(**request, trials=9, compute=1e9)
    done = bench.tune(**request, **first, say=said.append)
    assert "rule of the study 's' is 4 trials and 2e+09 FLOPs of training, not 2 trials and 1e+09 FLOPs" in said[0]
    assert done.trials == 4
    assert done.cells[0]["tuning"]["rule"] == more
    again = bench.tune(**request, **first)
    assert again.cells == done.cells


def rounds(tmp_path: Path, on: Any, say: Any, show: Any) -> Rounds:
    """Of a study in memory, of which this process knows of no other."""
    planned = plan_tune(**RIDGE, trials=8, results=tmp_path, study="s")
    return Rounds(planned, optuna.create_study(), None, 1, on, Reporter(say), show)  # type: ignore[arg-type]


def test_what_is_shown_changes_with_the_trials_that_are_over(tmp_path: Path) -> None:
    shows: list[None] = []
    waiting = rounds(tmp_path, None, None, lambda: shows.append(None))
    asked = waiting.study.ask()
    for _ in range(3):
        waiting.costs.publish()
    assert len(shows) == 1
    waiting.study.tell(asked, 1.0)
    waiting.costs.publish()
    assert len(shows) == 2
    assert waiting.study.user_attrs["trials"] == 1


def test_the_slowest_cell_is_one_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.tuning.progress.SILENCE", 0)
    said: list[str] = []
    with open_channel() as on:
        on.report("job", [CellProgress(str(step), step, 100, None, None, 1.0, over=step == 5) for step in (80, 5, 60)])
        rounds(tmp_path, on, said.append, None).collect(None)
    assert said == ["0 of 8 trials; 2 cells in training, the slowest at step 60 of 100"]


def test_moments_say_who_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.harness.train.PROGRESS_EVERY", -1.0)
    found = family(Request(encoder="onehot", learner="quadratic", modulus=7))
    seen: list[list[bool]] = []

    def watch(moments: Any) -> None:
        seen.append([moment.over for moment in moments])

    cells = [prepare(found.at(seed)) for seed in range(2)]
    train_cells(cells, [Budget(5, None, False), Budget(50, None, False)], lambda outcomes: None, on_progress=watch)
    assert [True, False] in seen
    assert seen[-1] == [True, True]
    monkeypatch.undo()
    seen.clear()
    train_cells([prepare(found.at(3))], [Budget(5, None, False)], lambda outcomes: None, on_progress=watch)
    assert seen[-1] == [True]  # the end is told of, however soon it comes


@pytest.mark.usefixtures("inline")
def test_what_a_constructor_refuses_is_a_failed_trial(tmp_path: Path) -> None:
    space = {"encoder.size": "8..64", "encoder.active_bits": "1..32"}
    request = RIDGE | {"encoder": "rdse", "space": space, "sampler": "random"}
    done = bench.tune(**request, trials=12, fresh=0, results=tmp_path, jobs=1)
    trials = trials_of(tmp_path)
    # What is refused counts, and costs nothing.
    refused = [trial for trial in trials if trial.state.name == "FAIL"]
    assert 0 < len(refused) < 12 == len(trials) == done.trials
    assert all(trial.user_attrs["status"] == "refused" for trial in refused)
    assert all("The 'active_bits' parameter of RDSE must be" in trial.user_attrs["error"] for trial in refused)
    for trial in trials:
        assert (trial.params["encoder.active_bits"] > trial.params["encoder.size"]) == (trial in refused)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("sampler", ["random", "gp", "cmaes", "nsgaii"])
def test_samplers(tmp_path: Path, sampler: str) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    done = bench.tune(**RIDGE, sampler=sampler, trials=16, at_once=4, fresh=0, results=tmp_path, jobs=1)
    assert done.trials == 16


@pytest.mark.usefixtures("inline")
def test_a_round_of_nsgaii_is_a_generation(tmp_path: Path) -> None:
    bench.tune(**RIDGE, sampler="nsgaii", trials=12, at_once=4, fresh=0, results=tmp_path, jobs=1)
    generations = [one.system_attrs["NSGAIISampler:generation"] for one in trials_of(tmp_path)]
    assert generations == [0] * 4 + [1] * 4 + [2] * 4


def test_samplers_say_nothing_of_their_own(tmp_path: Path) -> None:
    """Of a sampler that looks for a package which may be missing, in a process that has not met it yet."""
    code = f"import sys; sys.modules['greenlet'] = None; {INLINE}from bench.cli import main; main()"
    options = ("--validation-fraction", 0.2, "--sampler", "gp", "--trials", 16, "--round", 4, "--fresh", 0, "--jobs", 1)
    options += ("--verbose",)
    call = [sys.executable, "-c", code, "tune", *map(str, (*START, *options, "--results", tmp_path))]
    done = subprocess.run(call, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert {line[:2] for line in done.stderr.splitlines()} == {"[ "}


def test_a_dry_run_shows_space_and_rules(tmp_path: Path, command: Command) -> None:
    options = ("--encoder", "onehot", "--learner", "quadratic", "--trials", 64, "--fix", "adamw.lr=0.02")
    done = command("tune", *options, "--space", "learner.width=64..128", "--dry-run", "--results", tmp_path / "r")
    assert done.code == 0
    for words in ("64 … 128", "0.02 (fixed)", "64 trials by tpe", "Nothing has run", "studies.journal"):
        assert words in done.out
    assert not (tmp_path / "r").exists()


@pytest.mark.usefixtures("inline")
def test_the_note_of_a_study_says_what_came_of_it_once_its_vault_is_open(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    from optuna_dashboard import get_note

    request = RIDGE | {"results": tmp_path, "jobs": 1, "trials": 2, "study": "s"}
    study = partial(optuna.load_study, study_name="s", storage=open_storage(default_url(tmp_path)))
    bench.tune(**request, fresh=0)
    assert "is the best**: validation accuracy" in get_note(study())
    assert "On the vault" not in get_note(study())
    done = bench.tune(**request, fresh=3)
    assert done.best is not None
    ends = [cell["final"]["test_accuracy"] for cell in done.cells]
    note = get_note(study())
    assert f"it ends at {percent(sum(ends) / 3)} ({percent(min(ends))} to {percent(max(ends))}, n = 3" in note
    assert f"| parameter | space | trial {done.best['number']} |" in note
    assert f"| {shown(done.best['params']['learner.alpha'])} |" in note
    bench.tune(**request, fresh=0)
    assert "On the vault" in get_note(study())  # whoever asks for no fresh seeds takes nothing of it away


@pytest.mark.usefixtures("inline")
def test_the_note_of_a_study_has_its_command(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    request = RIDGE | {"encoder": ["onehot", "phasor"], "trials": 2, "fresh": 1, "space": {"learner.alpha": "1..2"}}
    bench.tune(**request, results=tmp_path, jobs=1)
    storage = open_storage(f"journal:///{tmp_path / 'studies.journal'}")
    study = optuna.load_study(storage=storage, study_name=optuna.get_all_study_names(storage)[0])
    from optuna_dashboard import get_note

    note = get_note(study)
    assert "python -m bench tune --encoder onehot,phasor --learner ridge --trials 2" in note
    assert "--space learner.alpha=1..2" in note
    assert "| `learner.alpha` | 1 … 2 |" in note


# Bad input


@pytest.mark.usefixtures("inline")
def test_what_would_be_tuned_is_held_against_the_study(tmp_path: Path, command: Command) -> None:
    """A dry run refuses what the command itself would refuse, says what is stored, and changes nothing."""
    options = (*START, "--results", tmp_path)
    assert command("tune", *options, "--trials", 3, "--fresh", 0).code == 0
    journal = (tmp_path / "studies.journal").read_bytes()
    assert "3 trials of it are stored already." in command("tune", *options, "--trials", 9, "--dry-run").out
    assert command("tune", *options, "--trials", 9, "--dry-run", "--json").json["stored"] == 3
    other = (*options, "--trials", 9, "--space", "learner.alpha=1..2")
    for dry in ((), ("--dry-run",)):
        done = command("tune", *other, *dry)
        assert (done.code, "is of something else" in done.error) == (2, True)
    assert (tmp_path / "studies.journal").read_bytes() == journal
    assert command("tune", *options, "--trials", 3, "--fresh", 1).code == 0
    for dry in (("--dry-run",), ()):
        done = command("tune", *options, "--trials", 9, *dry)
        assert (done.code, "its vault was opened after 3 trials" in done.error) == (2, True)


@pytest.mark.usefixtures("inline")
def test_a_search_whose_best_trial_ran_out_of_time_has_failed(tmp_path: Path, command: Command) -> None:
    late = ("--encoder", "onehot", "--learner", "quadratic", "--seconds", 0.01, "--trials", 2, "--fresh", 0)
    done = command("tune", *late, "--results", tmp_path)
    assert done.code == 1
    assert "The best trial ran out of time, as did 2 of 2 in all" in done.err


@pytest.mark.parametrize(("before", "now"), [(None, 500), (500, None)])
def test_a_limit_that_nobody_set_is_the_learners_default(tmp_path: Path, before: int | None, now: int | None) -> None:
    of_study, asked = (
        plan_tune(
            encoder="onehot", learner="quadratic", modulus=7, trials=2, steps=steps, device="cpu", results=tmp_path
        )
        for steps in (before, now)
    )
    study = optuna.create_study()
    check_same_request(of_study, study)
    said = {None: "the learner's default", 500: "500"}
    with pytest.raises(RequestError, match=f"its limit of steps is {said[before]}, not {said[now]}"):
        check_same_request(asked, study)


START = ("--encoder", "onehot", "--learner", "ridge", "--modulus", 7, "--objective", "accuracy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*START, "--trials", 0), "--trials must be an integer in [1, 2³¹), got 0"),
        (START, "Missing --trials N, --compute FLOPS, or both"),
        ((*START, "--compute", -1), "--compute must be a number of FLOPs above 0"),
        ((*START, "--compute", 1e9), "--compute does not apply to ridge"),
        ((*START, "--trials", 3, "--objective", "step"), "did you mean 'steps'"),
        ((*START, "--trials", 3, "--objective", "data"), "--objective data needs another"),
        ((*START, "--trials", 3, "--objective", "accuracy,data"), "need each other"),
        ((*START, "--trials", 3, "--train-fraction", "0.1..0.5"), "need each other"),
        ((*START, "--trials", 3, "--train-fraction", "half"), "--train-fraction takes a number, LOW..HIGH or A,B"),
        (
            (*START, "--trials", 3, "--objective", "accuracy,data", "--train-fraction", "0.2,0.95"),
            "do not fit beside a vault",
        ),
        ((*START, "--trials", 3, "--sampler", "tpee"), "did you mean 'tpe'"),
        ((*START, "--trials", 3, "--space", "learner.alphaa=1..2"), "did you mean 'alpha'"),
        ((*START, "--trials", 3, "--space", "learner.alpha=2..1"), "must go from a lower to a higher number"),
        ((*START, "--trials", 3, "--space", "learner.alpha=1..1"), "--fix holds a parameter at one value"),
        ((*START, "--trials", 3, "--space", "learner.alpha=0..1:log"), "must begin above 0 to be logarithmic"),
        ((*START, "--trials", 3, "--space", "learner.alpha=a..b"), "takes numbers LOW..HIGH"),
        ((*START, "--trials", 3, "--space", "alpha=1..2"), "takes OWNER.NAME="),
        ((*START, "--trials", 3, "--space", "learner.alpha=-2..-1"), "The 'alpha' parameter of Ridge must be"),
        ((*START, "--trials", 3, "--fix", "cycle.n=3"), "take encoder.NAME or learner.NAME"),
        ((*START, "--trials", 3, "--vault", 0.6), "do not fit beside a vault"),
        ((*START, "--trials", 3, "--validation-fraction", 0), "--validation-fraction must be in (0, 1)"),
        ((*START, "--trials", 3, "--sdr", "x"), "--sdr must be a number of features"),
        ((*START, "--trials", 3, "--storage", "redis"), "--storage must be journal:///PATH or a database's URL"),
        ((*START, "--trials", 3, "--storage", "journal:////nowhere/at/all"), "cannot be used: No such file"),
        ((*START, "--trials", 3, "--storage", "sqlite:////nowhere/at/all"), "unable to open database file"),
        ((*START, "--trials", 3, "--storage", "postgresql+psycopg://u:secret@127.0.0.1:1/x"), "cannot be used"),
        (("--encoder", "onehot", "--learner", "mlp", "--trials", 3, "--fix", "learner.epochs=3"), "is the budget"),
        (
            ("--encoder", "onehot", "--learner", "mlp", "--trials", 3, "--fix", "learner.hidden_layer_sizes=3"),
            "is made of",
        ),
    ],
)
def test_bad_requests_get_one_line(command: Command, tmp_path: Path, arguments: Any, message: str) -> None:
    if "psycopg" in str(arguments):
        pytest.importorskip("psycopg")
    done = command("tune", *arguments, "--results", tmp_path / "r")
    assert done.code == 2, done.err
    assert message in done.error
    assert "secret" not in done.error
    assert not (tmp_path / "r").exists()


@pytest.mark.usefixtures("inline")
def test_a_study_of_something_else_is_refused_and_nothing_of_it_lost(tmp_path: Path, command: Command) -> None:
    call = ("tune", *START, "--trials", 2, "--fresh", 0, "--results", tmp_path, "--study", "mine", "--jobs", 1)
    assert command(*call, "--validation-fraction", 0.2).code == 0
    before = (tmp_path / "studies.journal").read_bytes()
    for more, differs in (
        (("--validation-fraction", 0.1), "its validation_fraction is 0.2, not 0.1"),
        (("--validation-fraction", 0.2, "--task", "multiply"), "its task is add, not multiply"),
        (("--validation-fraction", 0.2, "--sampler", "random"), "its sampler is tpe, not random"),
        (("--validation-fraction", 0.2, "--seeds", 2), "its seeds is 1, not 2"),
    ):
        done = command(*call, *more)
        assert done.code == 2
        assert differs in done.error
    assert (tmp_path / "studies.journal").read_bytes() == before
    optuna.create_study(storage=open_storage(f"journal:///{tmp_path / 'studies.journal'}"), study_name="x").ask()
    foreign = command(*call[:-3], "x", "--jobs", 1)
    assert foreign.code == 2
    assert "was not made by tune" in foreign.error


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("objective", ["steps", "cost", "accuracy,cost"])
def test_a_study_of_logarithms_does_not_go_on(tmp_path: Path, command: Command, objective: str) -> None:
    """Earlier versions kept log₁₀ of steps and FLOPs."""
    options = (
        "--encoder",
        "onehot",
        "--learner",
        "quadratic",
        "--modulus",
        7,
        "--steps",
        3,
        "--fix",
        "learner.width=8",
    )
    call = ("tune", *options, "--trials", 2, "--fresh", 0, "--results", tmp_path, "--study", "mine", "--jobs", 1)
    assert command(*call, "--objective", objective).code == 0
    study = optuna.load_study(study_name="mine", storage=open_storage(default_url(tmp_path)))
    what = json.loads(study.user_attrs["what"])
    study.set_user_attr("what", json.dumps({name: value for name, value in what.items() if name != "unit"}))
    journal = (tmp_path / "studies.journal").read_bytes()
    for dry in ((), ("--dry-run",)):
        done = command(*call, "--objective", objective, *dry)
        assert done.code == 2
        assert "The study 'mine' keeps logarithms of steps or FLOPs" in done.error
        assert "use another --study name" in done.error
    assert (tmp_path / "studies.journal").read_bytes() == journal


@pytest.mark.usefixtures("inline")
def test_a_study_of_accuracies_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    request = RIDGE | {"results": tmp_path, "fresh": 0, "jobs": 1, "study": "s"}
    bench.tune(**request, trials=1)
    study = optuna.load_study(study_name="s", storage=open_storage(default_url(tmp_path)))
    assert "unit" not in json.loads(study.user_attrs["what"])
    assert bench.tune(**request, trials=2).trials == 2


# What is told while it runs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("inline")
def test_a_line_for_each_trial_is_for_those_who_ask(tmp_path: Path, command: Command) -> None:
    options = ("tune", *START, "--validation-fraction", 0.2, "--trials", 4, "--fresh", 2, "--jobs", 1)
    brief, long = (command(*options, *more, "--results", tmp_path / f"{len(more)}") for more in ((), ("--verbose",)))
    per_trial = re.compile(r"\] trial \d+: ")
    assert len(per_trial.findall(brief.err)) == 0
    assert len(per_trial.findall(long.err)) == 4
    for done in (brief, long):
        assert re.search(r"\] trial \d is the winner\n", done.err)
        assert "now it is trained on 2 fresh seeds and tested on the vault" in done.err


@pytest.mark.usefixtures("inline")
def test_how_far_a_search_is_names_the_best_and_the_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = 0.0, list[str]()
    monkeypatch.setattr("bench.tuning.progress.time", SimpleNamespace(monotonic=lambda: now))
    with open_channel() as on:
        asked = rounds(tmp_path, on, said.append, None)
        asked.progress.begin()
        assert asked.describe_progress() == "0 of 8 trials"
        for value in (0.5, 0.75):
            asked.study.add_trial(optuna.trial.create_trial(value=value))
        now = 10.0
        best = "best so far trial 0: validation accuracy 0.5"  # of a study that minimizes, made for this test
        monkeypatch.setattr("bench.tuning.progress.best_trial", lambda objectives, trials: trials[0][0])
        assert asked.describe_progress() == f"2 of 8 trials, about 30 s left; {best}"
        on.report("job", [CellProgress("a", 60, 100, None, None, 1.0)])
        assert asked.describe_progress().endswith(f"{best}; 1 cell in training, the slowest at step 60 of 100")
        assert not said
        asked.collect(None)
        assert said == [asked.describe_progress()]
        now = 19.0
        asked.collect(None)
        assert len(said) == 1
        now = 20.0
        asked.collect(None)
        assert len(said) == 2


@pytest.mark.usefixtures("inline")
def test_on_a_terminal_one_line_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with search_display() as (report, status):
        assert status is not None
        status("12 of 64 trials [best]")
        report("trial 3 is the winner")
    assert "trial 3 is the winner" in terminal.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with search_display() as (report, status):
        assert status is None


WINNERS: list[dict[str, Any]] = [
    {"encoder": ["onehot", "phasor"], "learner": "ridge", "modulus": 11, "objective": "accuracy"},
    {"encoder": "cycle", "learner": "mlp", "modulus": 7, "epochs": 3, "sdr": [20, "off"], "pairs": "ordered"},
    {"encoder": "rdse", "learner": "quadratic", "modulus": 7, "steps": 3, "combine": ["sum", "concat"]},
    {"encoder": "onehot", "learner": "transformer", "modulus": 7, "steps": 2, "fix": {"learner.width": 16},
     "optimizer": ["muon", "grokfast-ema+adamw"]},
    {"encoder": "onehot", "learner": "torch-mlp", "task": "subtract", "modulus": 7, "steps": 2},
]  # fmt: skip


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("request_", WINNERS, ids=lambda request: str(request["learner"]))
def test_the_command_at_the_end_trains_the_winner(tmp_path: Path, command: Command, request_: dict[str, Any]) -> None:
    """Pasted, it makes cells of the same encoder and learner, on the same pairs, for as long."""
    more = {"trials": 2, "fresh": 2, "validation_fraction": 0.2, "device": "cpu", "jobs": 1}
    done = bench.tune(**request_ | more, results=tmp_path)
    words = shlex.split(done.command)
    assert words[:4] == ["python", "-m", "bench", "run"]
    ran = command(*words[3:], "--json", "--device", "cpu", "--quiet")
    assert ran.code == 0, ran.err
    assert len(ran.json["cells"]) == 2
    for again, cell in zip(ran.json["cells"], done.cells, strict=True):
        for part in ("encoder", "learner"):
            made, tuned = ({k: v for k, v in one["spec"][part].items() if k != "random_state"} for one in (again, cell))
            assert made == tuned
        for part in ("task", "modulus", "protocol", "train_fraction", "combine", "sdr", "precision"):
            assert again["spec"][part] == cell["spec"][part]
        assert again["budget"]["steps"] == cell["budget"]["steps"]


def test_tracebacks_are_for_those_who_debug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, inline: None
) -> None:
    def broken(learner: Ridge, *data: Any) -> None:
        raise RuntimeError("by design")

    monkeypatch.setattr(Ridge, "_solve", broken)
    options = ("--encoder", "onehot", "--learner", "ridge", "--modulus", 7, "--jobs", 1)
    search = ("tune", *options, "--objective", "accuracy", "--validation-fraction", 0.2, "--trials", 1)
    for number, call in enumerate((search, ("sweep", *options))):
        plain, debugged = (
            command(*call, *more, "--results", tmp_path / f"{number}{len(more)}") for more in ((), ("--debug",))
        )
        assert plain.code == debugged.code == 1
        assert "by design" in plain.err
        assert "Traceback" not in plain.err
        assert 'raise RuntimeError("by design")' in debugged.err


MESSAGE = "`train_fraction` is too small: `foo_bar` of mine needs more"


@pytest.mark.parametrize("verb", ["run", "sweep", "tune"])
def test_fields_in_messages_are_options_and_words_of_plugins_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, inline: None, verb: str
) -> None:
    def broken(learner: Ridge, *data: Any) -> None:
        raise RequestError(MESSAGE)

    monkeypatch.setattr(Ridge, "_solve", broken)
    options = ("--encoder", "onehot", "--learner", "ridge", "--modulus", 7, "--jobs", 1, "--results", tmp_path)
    search = ("--objective", "accuracy", "--validation-fraction", 0.2, "--trials", 1, "--fresh", 1)
    done = command(verb, *options, *(search if verb == "tune" else ()))
    assert done.code == 1
    assert "`train_fraction`" not in done.out + done.err
    for stream in (done.out, done.err):
        assert stream.count("too small") == stream.count("--train-fraction is too small: `foo_bar` of mine needs more")
    assert done.err.count("too small") >= 1
    assert done.out.count("too small") == (verb != "tune")


def test_a_message_that_is_stored_names_no_option(tmp_path: Path, inline: None) -> None:
    """Products of one-hot codes are zero unless a = b; a grid, and a search among others, meet them as they train."""
    rule = "The combination 'product' of onehot codes is zero for 9"
    grid = {"encoder": "onehot", "learner": "ridge", "combine": "product", "modulus": 29}
    [record] = bench.sweep(grid, results=tmp_path, jobs=1)
    assert record["status"] == "failed"
    assert record["error"] is not None
    assert record["error"]["message"].startswith(rule)
    request = RIDGE | {"modulus": 29, "combine": ["concat", "product"], "sampler": "random", "results": tmp_path}
    said: list[str] = []
    bench.tune(**request, trials=4, fresh=0, jobs=1, say=said.append)
    study = optuna.load_study(study_name=None, storage=open_storage(default_url(tmp_path)))
    errors = [trial.user_attrs["error"] for trial in study.trials if trial.params["combine"] == "product"]
    assert errors
    assert all(error.startswith(rule) for error in errors)
    assert not [line for line in said if "`" in line]


# Processes


HALTING = """
import time
from bench import cli
from bench.tuning.rounds import Rounds

collect = Rounds.collect

def halting(rounds, record):
    before = len(rounds.trials.in_work)
    collect(rounds, record)
    if len(rounds.trials.in_work) < before:
        print("told", flush=True)
        while not rounds.channel.stop_requested():
            time.sleep(0.01)

Rounds.collect = halting
cli.main()
"""


def halted(*arguments: Any) -> "subprocess.Popen[str]":
    """A search that has told of one more trial, and does nothing more until it gets a signal."""
    call = [sys.executable, "-c", HALTING, "tune", *map(str, arguments)]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    read_until(process, process.stdout, "^told$")
    return process


@pytest.mark.usefixtures("inline")
def test_after_ctrl_c_and_kill_9_no_trial_is_repeated_and_orphans_fail(tmp_path: Path, command: Command) -> None:
    options = ("--encoder", "onehot", *MLP, "--modulus", 7, "--epochs", 20, "--objective", "accuracy", "--jobs", 1)
    call = (*options, "--trials", 6, "--fresh", 1, "--results", tmp_path)
    with halted(*call) as process:
        process.send_signal(signal.SIGINT)
        assert "the same command goes on" in process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130
    stopped = trials_of(tmp_path)
    assert {trial.user_attrs["status"] for trial in stopped if trial.state.name == "FAIL"} == {"interrupted"}
    assert "RUNNING" not in {trial.state.name for trial in stopped}
    with halted(*call) as process:
        process.send_signal(signal.SIGKILL)
    before = [trial for trial in trials_of(tmp_path) if trial.state.name == "COMPLETE"]
    left = [trial.number for trial in trials_of(tmp_path) if trial.state.name == "RUNNING"]
    assert len(before) >= 2
    assert left
    done = command("tune", *call)
    assert done.code == 0, done.err
    assert f"{len(before)} trials of the study" in done.err  # not those that were under way
    trials = trials_of(tmp_path)
    for trial in before:
        again = trials[trial.number]
        assert (again.params, again.values, again.datetime_complete) == (
            trial.params,
            trial.values,
            trial.datetime_complete,
        )
    assert {trials[number].state.name for number in left} == {"FAIL"}
    assert {trials[number].user_attrs["status"] for number in left} == {"orphaned"}
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert len(complete) == 6
    assert len({json.dumps(trial.params) for trial in complete}) == 6


def test_an_orphan_in_a_database_is_found_by_its_heartbeat(tmp_path: Path, inline: None) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    request = RIDGE | {"results": tmp_path / "r", "storage": url, "fresh": 0, "jobs": 1}
    bench.tune(**request, trials=1)
    storage = open_storage(url)
    study = optuna.load_study(study_name=optuna.get_all_study_names(storage)[0], storage=storage)
    with pytest.warns(UserWarning, match="Heartbeat"):
        left = study.ask()
    storage.record_heartbeat(left._trial_id)
    with sqlite3.connect(tmp_path / "studies.db") as database:  # an hour passes
        database.execute("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-1 hour')")
    database.close()
    assert bench.tune(**request, trials=3).trials == 3
    trials = study.get_trials(deepcopy=False)
    assert trials[left.number].state.name == "FAIL"
    assert [trial.state.name for trial in trials].count("COMPLETE") == 3
    close_storage(storage)


def test_whoever_waits_for_a_turn_hears_that_it_is_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = default_url(tmp_path)
    storage = open_storage(url)
    study = optuna.create_study(study_name="s", storage=storage)
    owner, other = (owner_of(study, storage, url, tmp_path) for _ in range(2))
    planned = plan_tune(**RIDGE, trials=8, results=tmp_path, study="s")
    with open_channel() as on:
        asked = Rounds(planned, study, owner, 1, on, Reporter(lambda text: None), lambda: None)
        with other.turn() as turn:
            assert turn
            jobs: list[Job | None] = []
            thread = threading.Thread(target=lambda: jobs.append(asked.next("cpu")), daemon=True)
            looks, stopped = [], on.stop_requested
            monkeypatch.setattr(on, "stop_requested", lambda: looks.append(None) or stopped())
            thread.start()
            wait_until(lambda: len(looks) > 3)
            assert not jobs
            on.request_stop()
            thread.join(PATIENCE)
            assert jobs == [None]
    assert not study.get_trials()
    for one in (owner, other):
        one.close()


def test_a_stop_between_two_questions_ends_a_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = default_url(tmp_path)
    storage = open_storage(url)
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    owner = owner_of(study, storage, url, tmp_path)
    with open_channel() as on:
        planned = plan_tune(**RIDGE, trials=8, results=tmp_path)
        asked = Rounds(planned, study, owner, 1, on, Reporter(lambda text: None), lambda: None)
        ask = asked.trials.ask
        monkeypatch.setattr(asked.trials, "ask", lambda *where, **how: on.request_stop() or ask(*where, **how))
        assert asked.next("cpu") is None
        asked.end()
    assert [trial.user_attrs for trial in study.get_trials()] == [{"status": "interrupted"}]
    owner.close()


def test_what_was_told_too_late_is_charged(tmp_path: Path) -> None:
    """Another process took this one for dead, and failed its trial."""
    url, said = default_url(tmp_path), list[str]()
    study = optuna.create_study(study_name="s", storage=open_storage(url), direction="maximize")
    owner = owner_of(study, study._storage, url, tmp_path)
    with open_channel() as on:
        planned = plan_tune(**RIDGE, trials=8, results=tmp_path)
        asked = Rounds(planned, study, owner, 1, on, Reporter(said.append), lambda: None)
        job = asked.next("cpu")
        assert job is not None
        elsewhere = optuna.load_study(study_name="s", storage=open_storage(url))
        for number in (0, 1):
            elsewhere.tell(number, state=optuna.trial.TrialState.FAIL)
        for result in run_job(job, on):
            record = result.record
            record["flops"] = 1000
            asked.collect(record)
        cost = asked.costs.total()
        asked.end()
        asked.trials.in_work.clear()
    assert [line.partition(":")[0] for line in said if "told too late" in line] == ["trial 0", "trial 1"]
    assert not any("trial 0" in line for line in said if "told too late" not in line)
    told = study.get_trials()
    assert [trial.state.name for trial in told[:3]] == ["FAIL", "FAIL", "COMPLETE"]
    assert [set(study.user_attrs[f"late trial {n}"]) for n in (0, 1)] == [{"flops", "seconds"}] * 2
    assert cost["trials"] == 6
    assert cost["flops"] == 8000
    late = [study.user_attrs[f"late trial {n}"] for n in (0, 1)]
    in_time = [one.user_attrs for one in told[2:]]
    assert cost["seconds"] == pytest.approx(sum(found["seconds"] for found in late + in_time))
    assert study.user_attrs["flops"] == 8000  # what is shown of the study
    for compute, more in ((8001.0, True), (8000.0, False)):
        study.set_user_attr("rule", {"trials": None, "compute": compute})
        assert bool(asked._room(planned.rule_of(study), told)) is more
        assert asked._is_unfinished() is more
    owner.close()


@pytest.mark.usefixtures("inline")
def test_a_trial_is_told_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal waits for the disk once for all values of a trial, not once for each."""
    written: list[list[dict[str, Any]]] = []
    append = JournalFileBackend.append_logs

    def appending(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        written.append(logs)
        append(self, logs)

    monkeypatch.setattr(JournalFileBackend, "append_logs", appending)
    request = MLP_REQUEST | {"objective": "accuracy"}
    bench.tune(**request, trials=2, fresh=0, results=tmp_path, jobs=1)
    told = trials_of(tmp_path)
    sizes = [len(logs) for logs in written if len(logs) > 1]
    pictures = [any(name.startswith("artifacts:") for name in trial.system_attrs) for trial in told]
    kept = [len(trial.intermediate_values) + len(trial.user_attrs) for trial in told]
    assert sizes[: len(kept)] == [values + picture for values, picture in zip(kept, pictures, strict=True)]
    assert all(len(trial.intermediate_values) > 1 for trial in told)


def test_studies_of_the_same_pairs_share_a_vault(tmp_path: Path) -> None:
    def vault(learner: str, **changes: Any) -> dict[str, Any]:
        request: dict[str, Any] = RIDGE | {"learner": learner, "objective": "accuracy", "trials": 2} | changes
        return dict(plan_tune(**request, results=tmp_path).common["vault"])

    assert vault("ridge") == vault("quadratic") == vault("mlp", study="another", encoder="cycle")
    for others in ({"modulus": 11}, {"task": "subtract"}, {"pairs": "ordered"}, {"vault": 0.1}):
        assert vault("ridge", **others)["seed"] != vault("ridge")["seed"]
    assert vault("ridge", vault_seed=3)["seed"] == 3


@pytest.mark.usefixtures("inline")
def test_a_journal_has_one_owner_by_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "link.journal").symlink_to(tmp_path / "a" / "studies.journal")
    urls = [f"journal:///{tmp_path}/a/studies.journal", f"journal:///{tmp_path}/b/link.journal"]
    study = optuna.create_study(study_name="s", storage=open_storage(urls[0]))
    mine, other = (owner_of(study, study._storage, url, tmp_path) for url in urls)
    trial = study.ask()
    mine.claim(trial)
    other.fail_orphans()
    assert [one.state.name for one in study.get_trials()] == ["RUNNING"]
    mine.release(trial)
    other.fail_orphans()
    assert [one.state.name for one in study.get_trials()] == ["FAIL"]
    for owner in (mine, other):
        owner.close()


def test_what_is_said_of_the_rule_is_the_studys(command: Command, tmp_path: Path) -> None:
    options = ("--encoder", "onehot", "--learner", "ridge", "--modulus", 7, "--validation-fraction", 0.2)
    options += ("--objective", "accuracy", "--fresh", 0, "--jobs", 1, "--results", tmp_path)
    assert command("tune", *options, "--trials", 4).code == 0
    done = command("tune", *options, "--trials", 2, "--json")
    assert done.json["rule"] == {"trials": 4, "compute": None}
    assert done.json["trials"] == 4


@pytest.mark.usefixtures("inline")
def test_a_study_that_somebody_deletes_ends_in_one_line(tmp_path: Path) -> None:
    url = default_url(tmp_path)

    def deleting(text: str) -> None:
        storage = open_storage(url)
        for name in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=name, storage=storage)

    with pytest.raises(StoreError, match=r"The study 's' is gone from .*: it was deleted"):
        bench.tune(**RIDGE, trials=4, fresh=0, results=tmp_path, jobs=1, study="s", say=deleting)


@pytest.mark.usefixtures("inline")
def test_a_study_stays_on_the_vault_that_it_began_with(tmp_path: Path) -> None:
    """The default of an older version was another."""
    request = RIDGE | {"study": "s", "results": tmp_path, "jobs": 1}
    bench.tune(**request, trials=2, fresh=0, vault_seed=5)
    done = bench.tune(**request, trials=3, fresh=1)
    assert done.trials == 3
    assert [cell["spec"]["vault"]["seed"] for cell in done.cells] == [5]
    with pytest.raises(RequestError, match=r"its vault is .*5.*, not .*6"):
        bench.tune(**request, trials=3, fresh=1, vault_seed=6)


@pytest.mark.usefixtures("inline")
def test_a_winners_record_of_an_older_version_is_told_how_many_seeds_its_trials_had(tmp_path: Path) -> None:
    request = RIDGE | {"study": "s", "results": tmp_path, "jobs": 1, "trials": 2, "seeds": 2}
    [cell] = bench.tune(**request, fresh=1).cells
    store = Store(tmp_path)
    store.write({**cell, "tuning": {k: v for k, v in cell["tuning"].items() if k != "seeds"}})
    cells = bench.tune(**request, fresh=2).cells
    assert [each["tuning"]["seeds"] for each in cells] == [2, 2]
    assert store.read(cell["id"])["tuning"]["seeds"] == 2  # type: ignore[index]


def test_who_gets_nothing_writes_nothing(tmp_path: Path) -> None:
    mine, other = Lease(tmp_path), Lease(tmp_path)
    assert mine.take(["turn"]) == {"turn"}
    assert other.take(["turn"]) == set()
    before = other.list.stat().st_ino
    assert other.take(["turn"]) == set()
    assert other.list.stat().st_ino == before
    mine.release(["turn"])
    assert other.take(["turn"]) == {"turn"}
    assert json.loads(other.list.read_text()) == ["turn"]
    for lease in (mine, other):
        lease.close()


def share(tmp_path: Path, *options: Any, trials: int) -> list[Any]:
    """Two processes on one study; their trials."""
    call = (*START, "--validation-fraction", 0.2, "--trials", trials, "--fresh", 2, "--jobs", 1, *options)
    outputs = two_at_once(tmp_path / "ready", "tune", *call, "--verbose", "--json")
    documents = [json.loads(out) for out, _ in outputs]
    assert documents[0]["best"] == documents[1]["best"]
    assert [cell["id"] for cell in documents[0]["cells"]] == [cell["id"] for cell in documents[1]["cells"]]
    spoken = [sum("] trial" in line and "winner" not in line for line in err.splitlines()) for _, err in outputs]
    assert sum(spoken) == documents[0]["trials"]
    return documents


def test_two_processes_share_a_journal(tmp_path: Path) -> None:
    documents = share(tmp_path, "--results", tmp_path, trials=40)
    assert documents[0]["trials"] == documents[1]["trials"] == 40
    trials = trials_of(tmp_path)
    assert len(trials) == 40
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert len({json.dumps(trial.params) for trial in trials}) == 40


class Server:
    """A PostgreSQL server on loopback."""

    def __init__(self, url: str, start: Callable[[], None], stop: Callable[[], None]) -> None:
        self.url, self.start, self.stop = url, start, stop


@pytest.fixture
def postgres(server: Server) -> str:
    """The URL of a server."""
    return server.url


@pytest.fixture
def server() -> Iterator[Server]:
    """A server for as long as a test lasts."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("initdb and pg_ctl are not installed")
    pytest.importorskip("psycopg")
    user = {}
    if os.geteuid() == 0:  # it refuses to run as root
        found = [who for who in pwd.getpwall() if who.pw_name in ("postgres", "nobody")]
        if not found:
            pytest.skip("a server refuses to run as root, and there is no other user")
        who = max(found, key=lambda one: one.pw_name)
        user = {"user": who.pw_uid, "group": who.pw_gid}
    folder = tempfile.mkdtemp(prefix="mod97-postgres-")
    if user:
        shutil.chown(folder, **user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*call: str) -> None:
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=PATIENCE, **user)  # type: ignore[call-overload]

    def start() -> None:
        listen = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
        run("pg_ctl", "-D", f"{folder}/data", "-o", listen, "-l", f"{folder}/log", "-w", "start")

    def stop() -> None:
        run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "-w", "stop")

    try:
        run("initdb", "-D", f"{folder}/data", "-U", "bench", "-A", "trust", "--no-sync")
        start()
        yield Server(f"postgresql+psycopg://bench@127.0.0.1:{port}/postgres", start, stop)
    finally:
        if Path(folder, "data", "postmaster.pid").exists():
            stop()
        shutil.rmtree(folder)


def test_two_processes_share_a_postgresql_server(tmp_path: Path, postgres: str) -> None:
    documents = share(tmp_path, "--results", tmp_path, "--storage", postgres, trials=30)
    trials = trials_of(tmp_path, postgres)
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert len(trials) == 30
    assert documents[0]["storage"] == postgres


@pytest.mark.usefixtures("inline")
def test_a_search_goes_on_after_its_server_has_died(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("open", "ownership"):  # trials of dead processes are found sooner
        monkeypatch.setattr(f"bench.tuning.storage.{module}.HEARTBEAT", 1)
    monkeypatch.setattr("bench.tuning.storage.open.STALE", 2)
    request = RIDGE | {"sampler": "random", "results": tmp_path, "storage": server.url, "fresh": 2, "jobs": 1}

    def say(text: str) -> None:
        if text.startswith("trial 3"):
            server.stop()

    planned = plan_tune(**{key: value for key, value in request.items() if key != "jobs"}, trials=12)
    with pytest.raises(StoreError, match="What is stored is kept; the same command goes on") as failed_at:
        run_tune(planned, 1, say, Verbosity(trials=True))
    assert "\n" not in str(failed_at.value)
    server.start()
    before = {t.number: t.values for t in trials_of(tmp_path, server.url) if t.state.name == "COMPLETE"}
    assert before
    found = bench.tune(**request, trials=12)
    assert found.trials == 12
    assert len(found.cells) == 2
    after = {t.number: t.values for t in trials_of(tmp_path, server.url) if t.state.name == "COMPLETE"}
    assert len(after) == 12
    assert before.items() <= after.items()


# The study of optimizers


def run_optimizers(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """Its exit status."""
    monkeypatch.setattr(sys, "argv", ["optimizers", *arguments])
    with pytest.raises(SystemExit) as ended:
        optimizers.main()
    return ended.value.code


def test_ctrl_c_ends_all_arms(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    began: list[Any] = []

    def interrupted(**request: Any) -> Tuned:
        began.append(request["study"])
        return Tuned(request["study"], "", 0, None, [], {}, whole=False)

    monkeypatch.setattr(optimizers, "tune", interrupted)
    assert run_optimizers(monkeypatch, "adamw", "muon") == 130
    assert began == ["adamw 50%"]
    said = capsys.readouterr()
    assert said.out == ""
    assert "the same command goes on" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adamw", "--fractions", "0.95"), "do not fit beside a vault"),
        (("adamw", "--seeds", "0"), "--seeds must be an integer"),
        (("adamw", "--search", "0"), "--search must be an integer ≥ 1, got 0"),
    ],
)
def test_the_study_of_optimizers_says_what_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    more = ("--precision", "float32", "--results", str(tmp_path / "r"))
    assert run_optimizers(monkeypatch, *arguments, *more) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("inline")
def test_a_damaged_record_of_the_winner_is_set_aside_and_computed_anew(tmp_path: Path) -> None:
    request = RIDGE | {"study": "s", "results": tmp_path, "jobs": 1, "trials": 2, "fresh": 2}
    before = bench.tune(**request).cells
    path = Store(tmp_path).path(before[0]["id"])
    path.write_bytes(bytes(100))
    with pytest.warns(Notice, match=f"NULs alone, as after a power cut. It is kept as {path.name}.aside-0"):
        done = bench.tune(**request)
    assert [cell["final"] for cell in done.cells] == [cell["final"] for cell in before]
    assert done.problems == []
    assert path.with_name(f"{path.name}.aside-0").read_bytes() == bytes(100)


def test_a_search_whose_journal_is_damaged_while_it_runs_says_so_in_a_line(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "studies.journal"

    def damaging(*request: Any) -> None:
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join([*lines, b"junk\n", *lines[-1:]]))

    monkeypatch.setattr("bench.tuning.tune.check_same_request", damaging)
    asked = ("--learner", "ridge", "--encoder", "onehot", "--modulus", 7, "--objective", "accuracy", "--trials", 2)
    done = command("tune", *asked, "--results", tmp_path)
    assert done.code == 1
    assert re.search(r"failed: line 2 of '.*studies.journal' cannot be read \(it is no JSON: 'junk'\)", done.error)
    assert done.error.endswith("--mend writes it without what is damaged, and keeps a copy.")
