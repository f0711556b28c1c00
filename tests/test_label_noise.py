"""Label noise: how many training answers are wrong, which, and that nothing else is."""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Finished
from records import ending
from test_report import data

import bench
from bench.errors import RequestError
from bench.harness import train_cells
from bench.harness.evaluation import Evaluator
from bench.ranking.league import rank
from bench.showing.predictions import predictions_of
from bench.specs import Budget, Cell, Request, Spec, exact_request, family, given_away, minimal_spec, prepare
from bench.specs.label_noise import noisy_answers
from bench.specs.normalize import as_label_noise
from bench.tuning import plan_tune
from bench.tuning.study import StudyPlan
from learners import KNN, Problem, Ridge

Command = Callable[..., Finished]
WHAT: dict[str, Any] = {"encoder": "onehot", "learner": "knn", "modulus": 13, "validation_fraction": 0.1}


def cell_of(share: float, seed: int = 0, **more: Any) -> Cell:
    return prepare(family(Request(**WHAT | more, label_noise=share), seed).first)


# The draw


@pytest.mark.parametrize("n_classes", [2, 3, 97])
@pytest.mark.parametrize("share", [0.0, 0.004, 0.1, 0.5, 0.99])
def test_so_many_answers_are_wrong_and_none_by_chance_right(n_classes: int, share: float) -> None:
    right = np.arange(200) % n_classes
    given = noisy_answers(right, n_classes, share, np.random.default_rng(5))
    assert (given != right).sum() == round(200 * share)
    assert given.min() >= 0
    assert given.max() < n_classes
    assert np.array_equal(right, np.arange(200) % n_classes)


def test_every_wrong_answer_is_equally_likely() -> None:
    """n = 40,000 draws of 4 wrong classes: each count is within 5 standard deviations of 10,000."""
    given = noisy_answers(np.full(40_000, 2), 5, 1 - 1e-9, np.random.default_rng(0))
    counts = np.bincount(given, minlength=5)
    assert counts[2] == 0
    assert np.abs(np.delete(counts, 2) - 10_000).max() < 5 * np.sqrt(40_000 * 0.25 * 0.75)


def test_more_noise_keeps_the_wrong_answers_of_less() -> None:
    right = np.arange(100) % 7
    little, much = (noisy_answers(right, 7, share, np.random.default_rng(1)) for share in (0.1, 0.3))
    wrong = little != right
    assert np.array_equal(little[wrong], much[wrong])
    assert (much != right).sum() == 30


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64])
def test_answers_of_any_integer_type(kind: type) -> None:
    given = noisy_answers(np.full(10, 199, kind), 200, 0.5, np.random.default_rng(0))
    assert given.dtype == np.int64
    assert (given != 199).sum() == 5


def test_a_task_of_one_answer_has_no_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = minimal_spec("add", 7, {}, "ordered", 0.5, 0.0, 0)
    task = made.make_task()
    only = replace(task, answers_N=np.zeros_like(task.answers_N), n_classes=1)
    monkeypatch.setattr(Spec, "make_task", lambda spec: only)
    assert prepare(made).task.n_classes == 1
    with pytest.raises(RequestError, match="`label_noise` needs a task of two answers or more, got 1"):
        prepare(replace(made, label_noise=0.1))


# A cell


@pytest.mark.parametrize("pairs", ["ordered", "grouped", "unordered", "distinct"])
def test_training_answers_alone_are_wrong(pairs: str) -> None:
    noisy, plain = cell_of(0.2, pairs=pairs), cell_of(0.0, pairs=pairs)
    for part, rows in plain.parts.items():
        assert np.array_equal(noisy.parts[part], rows)
    wrong = noisy.answers_N != noisy.task.answers_N
    assert wrong.sum() == noisy.n_noisy == round(0.2 * noisy.n_train)
    assert set(np.flatnonzero(wrong)) <= set(noisy.split.train)
    assert np.array_equal(noisy.answers_N[noisy.split.train], noisy.problem.y)
    assert np.array_equal(noisy.task.answers_N, plain.task.answers_N)
    assert plain.answers_N is plain.task.answers_N
    assert (plain.n_noisy, noisy.conflicts) == (0, plain.conflicts)


def test_it_follows_the_seed_of_the_split() -> None:
    first, again, other = cell_of(0.2), cell_of(0.2), cell_of(0.2, seed=1)
    assert np.array_equal(first.problem.y, again.problem.y)
    assert not np.array_equal(first.answers_N, other.answers_N)
    fixed = [cell_of(0.2, seed, split_seed=4) for seed in (0, 1)]
    assert np.array_equal(fixed[0].answers_N, fixed[1].answers_N)
    assert not np.array_equal(fixed[0].answers_N, cell_of(0.2, split_seed=5).answers_N)


def test_the_stream_of_the_noise_is_not_that_of_the_split() -> None:
    """Else the wrong answers would go to the rows that the split draws first."""
    cell = cell_of(0.5)
    assert not np.array_equal(
        np.random.default_rng(cell.spec.split_seed).permutation(cell.n_train)[: cell.n_noisy],
        np.flatnonzero(cell.problem.y != cell.task.answers_N[cell.split.train]),
    )
    assert len({bench.specs.derive_seed(3, purpose) for purpose in ("split", "encoder", "learner", "noise")}) == 4


def test_an_open_vault_trains_on_the_answers_of_the_closed_one() -> None:
    vault = {"fraction": 0.2, "seed": 1}
    shut, wide = (cell_of(0.2, vault={**vault, "open": opened}) for opened in (False, True))
    assert np.array_equal(shut.problem.y, wide.problem.y)
    assert np.array_equal(wide.answers_N[wide.split.test], wide.task.answers_N[wide.split.test])


def test_a_twin_that_was_taught_another_answer_gives_nothing_away() -> None:
    noisy = cell_of(0.5, pairs="ordered")
    told, true = (given_away(noisy.task, noisy.split, answers) for answers in (noisy.answers_N, noisy.task.answers_N))
    assert true == given_away(noisy.task, noisy.split)
    assert 0 < told < true


# What learners see, and what they are measured against


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Problem]:
    """The problems that any nearest-neighbour or ridge learner is begun with, a probe included."""
    problems: list[Problem] = []
    for cls in (KNN, Ridge):

        def begin(cls: Any, learners: Any, given: Any, *more: Any, begin: Any = cls.begin.__func__) -> Any:
            problems.extend(given)
            return begin(cls, learners, given, *more)

        monkeypatch.setattr(cls, "begin", classmethod(begin))
    return problems


def trained(cell: Cell) -> Any:
    told: list[Any] = []
    train_cells([cell], [Budget(0)], told.extend)
    return told[-1][1].record


def test_a_learner_and_the_probes_see_the_noise_and_no_other_answer(seen: list[Problem]) -> None:
    cell = cell_of(0.3)
    trained(cell)
    assert len(seen) == 4  # the learner, ridge, knn, and ridge on products
    for problem in seen:
        assert len(problem.y) == cell.n_train
        assert np.array_equal(problem.y, cell.problem.y)


def test_what_memorizes_is_right_in_training_and_worse_on_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest neighbour knows a task whose answer is a coarse part of its first operand, until 40 % are wrong."""
    task = cell_of(0.0, encoder="thermometer").task
    smooth = replace(task, answers_N=task.operands_NK[:, 0] * 3 // 13, n_classes=3, exchange=())
    monkeypatch.setattr(Spec, "make_task", lambda spec: smooth)
    plain, noisy = (trained(cell_of(share, encoder="thermometer"))["final"] for share in (0.0, 0.4))
    assert (plain["train_accuracy"], noisy["train_accuracy"]) == (1.0, 1.0)
    assert plain["test_accuracy"] > 0.9
    assert noisy["test_accuracy"] < 0.75
    assert noisy["validation_accuracy"] < plain["validation_accuracy"]


def test_a_perfect_learner_is_wrong_where_it_was_taught_wrong() -> None:
    """Train accuracy is against the given answers, validation and test accuracy against the right ones."""
    cell = cell_of(0.25)
    evaluator = Evaluator([cell])
    perfect = np.eye(13)[cell.task.answers_N[evaluator.rows[0]]]
    for scores in (perfect[None], torch.as_tensor(perfect[None])):
        [found] = evaluator.evaluate(scores, [0], lambda scores, y: scores[..., 0] * 0)
        assert found.accuracy["train"] == pytest.approx(1 - cell.n_noisy / cell.n_train)
        assert (found.accuracy["validation"], found.accuracy["test"]) == (1.0, 1.0)


# Specs and records


def test_ids_without_noise_are_what_they_were() -> None:
    plain, none = (family(Request(**WHAT, **more)).first for more in ({}, {"label_noise": 0}))
    assert plain.id == none.id
    assert "label_noise" not in none.to_dict()
    noisy = family(Request(**WHAT, label_noise=0.1))
    assert noisy.first.to_dict()["label_noise"] == 0.1
    assert Spec.from_dict(noisy.first.to_dict()) == noisy.first
    assert noisy.first.id != plain.id
    assert noisy.id(3) == noisy.at(3).id
    assert list(noisy.first.older_ids) == []
    assert noisy.older_ids(0) == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1, "must be in [0, 1), got 1."),
        (-0.1, "must be in [0, 1), got -0.1."),
        (float("nan"), "must be in [0, 1), got nan."),
        (10, "must be in [0, 1), got 10: did you mean 0.1?"),
        ("10%", "must be a number, got '10%': did you mean 0.1?"),
        (None, "must be a number, got None."),
        ([0.1], "must be a number, got [0.1]."),
    ],
)
def test_what_is_no_share_is_refused_in_a_line(command: Command, value: Any, message: str) -> None:
    with pytest.raises(RequestError) as raised:
        family(Request(**WHAT, label_noise=value))
    assert str(raised.value) == f"`label_noise` {message}"
    if value is not None and not isinstance(value, list):
        done = command("run", "--encoder", "onehot", "--learner", "knn", "--label-noise", value, "--dry-run")
        assert (done.code, done.error) == (2, f"--label-noise {message}")


def test_a_share_may_be_a_number_of_any_library() -> None:
    assert [as_label_noise(value) for value in (0, 0.25, np.float32(0.25), "0.25")] == [0.0, 0.25, 0.25, 0.25]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two seeds each without noise and with two shares of it, and one whose split is fixed."""
    for share in (0.0, 0.1, 0.2):
        bench.run(**WHAT, label_noise=share, seeds=2, results=tmp_path / "r", jobs=1)
    bench.run(**WHAT, label_noise=0.2, seed=2, split_seed=5, results=tmp_path / "r", jobs=1)
    return tmp_path / "r"


def test_rows_of_different_noise_are_ranked_apart(folder: Path, command: Command) -> None:
    ranking = rank(results=str(folder))
    assert [(row.label_noise, row.n, row.rank) for row in ranking.rows] == [(0.0, 2, 1), (0.1, 2, 1), (0.2, 3, 1)]
    ends = [row.title.partition(" train")[2] for row in ranking.rows]
    assert ends == ["", " · 10 % label noise", " · 20 % label noise"]
    assert [row.label_noise for row in rank(results=str(folder), label_noise=[0, 0.2]).rows] == [0.0, 0.2]
    shown = command("rank", "--results", folder, "--label-noise", "0.1", "--json").json["rows"]
    assert [row["label_noise"] for row in shown] == [0.1]
    assert "did you mean '0.1'" in command("rank", "--results", folder, "--label-noise", "0.11").error


def test_noise_is_a_block_and_no_other_configuration() -> None:
    records = [
        record
        for share in ({}, {"label_noise": 0.1}, {"label_noise": 0.2})
        for learner, end in (("mlp", 0.9), ("ridge", 0.5), ("knn", 0.2))
        for record in ending(learner, end, end, **share)
    ]
    ranking = rank(records=records, blocks=True)
    assert [(row.learner, row.label_noise) for row in ranking.rows] == [("mlp", None), ("ridge", None), ("knn", None)]
    assert len(ranking.comparison.blocks) == 3


def test_a_published_figure_had_no_noise(folder: Path) -> None:
    figures = rank(results=str(folder), published=True, label_noise=0.2).published
    assert all("no label noise" in one.differs for one in figures)
    assert not any("no label noise" in one.differs for one in rank(results=str(folder), published=True).published)


def test_the_tables_of_load_have_it(folder: Path) -> None:
    runs = bench.load(folder).runs
    assert sorted(runs.label_noise) == [0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.2]


def test_commands_of_a_report_and_of_show_make_the_same_records(folder: Path, command: Command, tmp_path: Path) -> None:
    runs = data(bench.report(tmp_path / "report.html", results=folder))["runs"]
    lines = [line for row in runs["commands"] for line in row]
    shown = [bench.show(id, results=folder).command for id in runs["id"]]
    for found in (lines, shown):
        made: set[str] = set()
        for line in found:
            done = command(*shlex.split(line)[3:], "--dry-run", "--json")
            made |= {cell["id"] for cell in done.json["cells"]}
        assert made == set(runs["id"])
    for path in folder.glob("*.json"):
        spec = Spec.from_dict(json.loads(path.read_text())["spec"])
        assert exact_request(spec).get("label_noise", 0.0) == spec.label_noise


def test_a_record_is_rerun_and_says_what_is_wrong(folder: Path, command: Command) -> None:
    run = rank(results=str(folder)).rows[-1].runs[-1]
    assert "The same: every number of the result agrees." in command("rerun", run.id, "--results", folder).out
    head = command("show", run.id, "--results", folder).out
    assert "· 20 % label noise" in head
    assert "9 of 46 training answers were replaced by wrong ones" in head


def test_errors_are_those_of_a_learner_and_not_of_its_answers(folder: Path) -> None:
    """A nearest neighbour repeats what it was taught: no training pair is wrong, and no held-out answer is another."""
    run = rank(results=str(folder), label_noise=0.2).rows[0].runs[0]
    found = predictions_of(run.id, results=folder)
    assert not found.wrong[found.trained_N].any()
    right = (found.operands_NK.sum(1) % 13)[~found.trained_N]
    assert np.array_equal(found.answers_N[~found.trained_N], right)
    assert found.told[-1] == (
        "9 training pairs had a wrong answer: 9 are answered as they were taught, 0 with the right answer."
    )


# Grids and studies


def test_a_sweep_takes_several_shares(command: Command, tmp_path: Path) -> None:
    options = ("--encoder", "onehot", "--learner", "knn", "--modulus", 7, "--label-noise", "0,0.25")
    done = command("sweep", *options, "--results", tmp_path, "--jobs", 1, "--quiet")
    assert done.code == 0, done.err
    assert "add mod 7, 50 % of unordered pairs, 25 % label noise" in done.out
    specs = [json.loads(path.read_text())["spec"] for path in tmp_path.glob("*.json")]
    assert {spec.get("label_noise") for spec in specs} == {None, 0.25}


STUDY: dict[str, Any] = {"encoder": "onehot", "learner": "ridge", "modulus": 11, "objective": "accuracy", "trials": 2}


def test_a_study_with_noise_is_another_study(tmp_path: Path) -> None:
    plain, noisy = (plan_tune(**STUDY, label_noise=share, results=tmp_path) for share in (0.0, 0.1))
    assert plain.study == plan_tune(**STUDY, results=tmp_path).study
    assert noisy.study == plain.study.replace(" accuracy", " 10% noise accuracy") != plain.study
    assert {name for name in plain.what if plain.what[name] != noisy.what[name]} == {"label_noise"}
    assert (plain.what["label_noise"], noisy.what["label_noise"]) == (0.0, 0.1)
    assert plain.common["vault"] == noisy.common["vault"]


@pytest.mark.usefixtures("inline")
def test_a_study_trains_all_its_cells_with_noise(tmp_path: Path, command: Command) -> None:
    request = STUDY | {"study": "s", "results": tmp_path, "jobs": 1, "label_noise": 0.1}
    done = bench.tune(**request, fresh=2)
    assert {cell["spec"]["label_noise"] for cell in done.cells} == {0.1}
    [made] = command(*shlex.split(done.command)[3:], "--dry-run", "--json", "--seeds", 1).json["cells"]
    assert made["spec"]["label_noise"] == 0.1
    with pytest.raises(RequestError, match=r"its label_noise is 0.1, not 0.0"):
        bench.tune(**request | {"label_noise": 0.0}, fresh=2)


@pytest.mark.usefixtures("inline")
def test_a_study_from_before_there_was_noise_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    what = StudyPlan.what.func
    request = STUDY | {"study": "s", "results": tmp_path, "jobs": 1, "fresh": 0}
    with monkeypatch.context() as before:
        older = property(lambda plan: {k: v for k, v in what(plan).items() if k != "label_noise"})
        before.setattr(StudyPlan, "what", older)
        bench.tune(**request)
    assert bench.tune(**request | {"trials": 3}).trials == 3
    with pytest.raises(RequestError, match=r"its label_noise is 0.0, not 0.1"):
        bench.tune(**request | {"trials": 4}, label_noise=0.1)
