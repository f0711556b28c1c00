"""Every learner keeps the contract. A new one joins by existing."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import (
    check_by_scikit_learn,
    check_constructor_only_assigns,
    check_documented,
    check_search_space,
    discovered,
)
from sklearn.base import clone

from bench.recipes import golden
from bench.specs import registry
from encoders import Codes
from learners import Learner, Problem, Training

every_learner = pytest.mark.parametrize("name", discovered("learner"))

PAIRS = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2)
CODES = Codes(np.eye(5), PAIRS)
ANSWERS = PAIRS.sum(axis=1) % 5


def small(name: str, seed: int = 0) -> Learner:
    cls: Any = registry.learner(name)
    learner = cls(**cls.example)
    return learner.set_params(random_state=seed) if "random_state" in learner.get_params() else learner


def problem(rows: np.ndarray) -> Problem:
    return Problem(CODES, rows, ANSWERS[rows], 5)


def scores(training: Training, replica: int) -> np.ndarray:
    return np.asarray(training.look([replica], [np.arange(25)]).scores[0])


def trained(learner: Learner, rows: np.ndarray, granules: int = 3) -> np.ndarray:
    training = type(learner).begin([learner], [problem(rows)])
    training.advance(granules * learner.granularity(len(rows)), [0])
    return scores(training, 0)


ROWS = np.arange(0, 25, 2)


@every_learner
def test_scikit_learn_checks(name: str) -> None:
    learner = small(name)
    check_by_scikit_learn(learner, type(learner).inapplicable_checks, at_least=50)


@every_learner
def test_documentation(name: str) -> None:
    check_documented(registry.learner(name))


@every_learner
def test_constructor_only_assigns(name: str) -> None:
    check_constructor_only_assigns(registry.learner(name))


@every_learner
def test_search_space(name: str) -> None:
    check_search_space(registry.learner(name))


@every_learner
def test_named_by_its_module(name: str) -> None:
    cls = registry.learner(name)
    assert cls.__module__.rpartition(".")[2].replace("_", "") == cls.__name__.lower()


@every_learner
def test_budget_parameter_exists(name: str) -> None:
    learner = small(name)
    assert learner.budget_parameter is None or learner.budget_parameter in learner.get_params()
    assert set(learner.devices) <= {"cpu", "cuda"}
    assert "float32" in learner.precisions


@every_learner
def test_learns_separable_classes(name: str) -> None:
    X = np.repeat(np.eye(4), 10, axis=0)
    y = np.repeat(["north", "east", "south", "west"], 10)
    learner = small(name).fit(X, y)
    assert learner.score(X, y) == 1.0
    assert list(learner.classes_) == ["east", "north", "south", "west"]


@every_learner
def test_codes_are_a_matrix_written_shorter(name: str) -> None:
    by_codes = small(name).fit(CODES, ANSWERS)
    by_matrix = small(name)
    if "slots" in by_matrix.get_params():
        by_matrix.set_params(slots=2)
    by_matrix.fit(CODES.dense(), ANSWERS)
    assert np.allclose(by_codes.scores(CODES), by_matrix.scores(CODES.dense()), atol=1e-2)
    assert np.allclose(by_codes.scores(CODES), by_codes.scores(CODES.dense()), atol=1e-5)


@every_learner
def test_classes_that_training_misses(name: str) -> None:
    few = ANSWERS < 3
    learner = small(name).fit(CODES.take(np.flatnonzero(few)), ANSWERS[few], classes=np.arange(5))
    assert learner.scores(CODES).shape == (25, 5)
    assert np.isfinite(learner.scores(CODES)).all()
    with pytest.raises(ValueError, match="must be among classes, got"):
        small(name).fit(CODES, ANSWERS, classes=[0, 1, 2])


@every_learner
def test_same_result_every_time(name: str) -> None:
    first, second = trained(small(name), ROWS), trained(clone(small(name)), ROWS)
    assert np.array_equal(first, second)


@every_learner
def test_pickle(name: str) -> None:
    learner = small(name).fit(CODES, ANSWERS)
    assert np.array_equal(pickle.loads(pickle.dumps(learner)).scores(CODES), learner.scores(CODES))


@every_learner
def test_a_replica_does_not_depend_on_its_neighbours(name: str) -> None:
    rows = [ROWS, np.arange(13), np.arange(12, 25)]
    learners = [small(name, seed) for seed in range(3)]
    training = type(learners[0]).begin(learners, [problem(r) for r in rows])
    training.advance(3 * learners[0].granularity(13), [0, 1, 2])
    for seed, row in enumerate(rows):
        alone = trained(small(name, seed), row)
        assert np.allclose(scores(training, seed), alone, atol=1e-5)


@every_learner
def test_only_the_named_replicas_train(name: str) -> None:
    learners = [small(name, seed) for seed in range(2)]
    granule = learners[0].granularity(13)
    training = type(learners[0]).begin(learners, [problem(ROWS)] * 2)
    training.advance(granule, [0, 1])
    before = scores(training, 1)
    training.advance(4 * granule, [0])
    assert np.array_equal(scores(training, 1), before)


@every_learner
def test_extension_equals_an_uninterrupted_run(name: str) -> None:
    learner = small(name)
    granule = learner.granularity(13)
    training = type(learner).begin([learner], [problem(ROWS)])
    training.advance(2 * granule, [0])
    state = {key: array.copy() for key, array in training.state(0).items()}
    assert all(array.dtype != object for array in state.values())
    again = clone(learner)
    continued = type(again).begin([again], [problem(ROWS)])
    continued.restore(0, state)
    continued.advance(5 * granule, [0])
    assert np.array_equal(scores(continued, 0), trained(small(name), ROWS, 5))
    continued.restore(0, state)  # back, on a training that has gone on
    continued.advance(5 * granule, [0])
    assert np.array_equal(scores(continued, 0), trained(small(name), ROWS, 5))


@every_learner
def test_counts(name: str) -> None:
    learner = small(name)
    granule = learner.granularity(13)
    training = type(learner).begin([learner], [problem(ROWS)])
    training.advance(2 * granule, [0])
    assert training.parameters(0) >= 0
    assert not training.look([0], [np.arange(25)]).diverged.any()
    once, twice = training.flops(0, granule), training.flops(0, 2 * granule)
    if once is None or twice is None:  # a newcomer may not know
        assert once is twice
    else:
        assert once > 0
        assert twice == (2 * once if granule else once)
    assert learner.default_steps(13) % granule == 0 if granule else learner.default_steps(13) == 0


@every_learner
def test_losses(name: str) -> None:
    learner = small(name)
    right, wrong = np.eye(5)[[1, 2]], np.eye(5)[[3, 3]]
    y = np.array([1, 2])
    assert learner.losses(right, y).shape == (2,)
    assert (learner.losses(right, y) < learner.losses(wrong, y)).all()


@every_learner
def test_golden(name: str) -> None:
    path = golden.path("learner", name, Path(__file__).parent / "golden")
    assert path.exists(), "a new plugin: `make golden` keeps its first trajectory"
    stored, now = json.loads(path.read_text()), golden.trajectory("learner", name)
    assert stored["version"] == now["version"], "a new version: `make golden` keeps its trajectory"
    assert np.allclose(stored["numbers"], now["numbers"], atol=2e-3), "results changed: raise `version`, `make golden`"
