"""Learners as other people's work uses them: their scores, sparse rows, and what scikit-learn builds around them."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import discovered
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import has_fit_parameter
from test_learner_contract import ANSWERS, CODES, ROWS, small

from bench.specs import registry
from learners import KNN, MLP, ClosedForm, Problem, Quadratic, Ridge, TorchMLP
from learners._fleet.feed import batch_rows
from learners.optim import SGD

every_learner = pytest.mark.parametrize("name", discovered("learner"))

X = CODES.dense()
FORMS = (sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.csc_matrix)
"""Sparse rows that are taken without a copy, and some that are turned first."""


# Names


@pytest.mark.parametrize("kind", ["learner", "optimizer"])
def test_type_checkers_see_every_class(kind: registry.Kind) -> None:
    """A newcomer adds one line, which this test names."""
    package = import_module(registry.PACKAGES[kind])
    source = Path(str(package.__file__)).read_text()
    found = [listing.target.split(":") for listing in registry.listings(kind).values() if not listing.registered]
    assert len(found) >= 7
    wanted = {f"from {module} import {name} as {name}" for module, name in found}
    missing = sorted(line for line in wanted if f"    {line}\n" not in source)
    assert not missing, f"`if TYPE_CHECKING:` in {package.__file__} lacks: {'; '.join(missing)}"
    stale = {line.strip() for line in re.findall(r"^    from .* import .* as .*$", source, re.MULTILINE)} - wanted
    assert not stale


def test_packages_say_that_they_are_typed() -> None:
    for package in ("learners", "bench"):
        assert Path(str(import_module(package).__file__)).with_name("py.typed").exists()


# Scores


@every_learner
def test_either_probabilities_or_scores(name: str) -> None:
    """Both rank the classes as `predict` does; there is never a choice between them."""
    learner = small(name).fit(CODES, ANSWERS)
    assert hasattr(learner, "predict_proba") is not hasattr(learner, "decision_function")
    if hasattr(learner, "predict_proba"):
        ranked: NDArray[np.floating] = learner.predict_proba(CODES)
        assert np.allclose(ranked.sum(axis=1), 1, atol=1e-5)
        assert (ranked >= 0).all()
    else:
        ranked = learner.decision_function(CODES)
        assert np.array_equal(ranked, learner.scores(CODES))
    assert np.array_equal(learner.classes_[ranked.argmax(axis=1)], learner.predict(CODES))


@pytest.mark.parametrize("learner", [Ridge(), MLP((8,), epochs=5, random_state=0)], ids=["ridge", "mlp"])
def test_of_two_classes_the_second_wins_above_zero(learner: Any) -> None:
    y = np.where(ANSWERS > 2, "yes", "no")
    scores = learner.fit(X, y).scores(X)
    decisions = learner.decision_function(X)
    assert np.array_equal(decisions, scores[:, 1] - scores[:, 0])
    assert np.array_equal(np.where(decisions > 0, "yes", "no"), learner.predict(X))


def test_probabilities_of_neighbours_are_their_shares() -> None:
    learner = KNN(n_neighbors=4).fit([[0.0], [1.0], [2.0], [3.0], [9.0]], [0, 1, 1, 1, 0])
    assert learner.predict_proba([[1.0]]).tolist() == [[0.25, 0.75]]


def test_a_net_has_probabilities_where_it_classifies() -> None:
    regressor, classifier = (MLP((8,), head=head, epochs=3, random_state=0) for head in ("regressor", "classifier"))
    assert hasattr(regressor, "decision_function")
    assert not hasattr(regressor, "predict_proba")
    assert hasattr(classifier, "predict_proba")
    with pytest.raises(AttributeError, match="decision_function"):
        _ = classifier.decision_function


# Sparse rows


@every_learner
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_sparse_rows_are_the_same_rows(name: str, form: Any) -> None:
    learner, other = small(name).fit(X, ANSWERS), small(name).fit(form(X.astype(np.int8)), ANSWERS)
    assert np.allclose(learner.scores(X), other.scores(X), atol=1e-5)
    for kind in (np.float64, np.int64, np.uint8, bool):
        assert np.allclose(learner.scores(form(X.astype(kind))), learner.scores(X), atol=1e-6)


@pytest.mark.parametrize("features", [12, 300])
def test_ridge_of_sparse_rows_is_as_exact_as_of_dense_ones(features: int) -> None:
    rng = np.random.default_rng(0)
    rows = sparse.random_array((100, features), density=0.05, rng=rng).astype(np.float32)
    y = rng.integers(0, 4, 100)
    dense, thin = Ridge(alpha=0.01).fit(rows.toarray(), y), Ridge(alpha=0.01).fit(rows, y)
    assert np.allclose(dense.scores(rows), thin.scores(rows), atol=1e-6)


@pytest.mark.parametrize("cls", [KNN, MLP, Ridge])
def test_rows_are_not_written_out_where_a_learner_takes_them_so(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(matrix: Any, *arguments: Any, **more: Any) -> None:
        raise AssertionError("written out")

    rows = sparse.csr_array(X)
    monkeypatch.setattr(sparse.csr_array, "toarray", refuse)
    learner = cls(**cls.example).fit(rows, ANSWERS)
    assert learner.scores(rows).shape == (25, 5)
    with pytest.raises(AssertionError, match="written out"):
        Quadratic(width=4, steps=1).fit(rows, ANSWERS)


def test_a_learner_that_says_nothing_of_sparse_rows_is_given_dense_ones() -> None:
    class Plain(Ridge):
        takes_sparse = False

        def _solve(self, X: Any, targets_NC: Any) -> Any:
            assert isinstance(X, np.ndarray)
            return super()._solve(X, targets_NC)

    assert not ClosedForm.takes_sparse
    learner = Plain().fit(sparse.csr_array(X), ANSWERS)
    assert np.allclose(learner.scores(sparse.csr_array(X)), Ridge().fit(X, ANSWERS).scores(X))


def test_a_sparse_matrix_divides_into_slots() -> None:
    learner = Quadratic(width=8, slots=2, steps=5, random_state=0).fit(sparse.csr_array(X), ANSWERS)
    assert learner.n_slots_ == 2
    with pytest.raises(ValueError, match="The 10 columns of X do not divide into slots=3 equal parts"):
        Quadratic(slots=3).fit(sparse.csr_array(X), ANSWERS)


# Weights of rows

WEIGHTED = ["forward-forward", "mlp", "quadratic", "ridge", "torch-mlp", "transformer"]
every_weighted = pytest.mark.parametrize("name", WEIGHTED)
WEIGHTS = np.random.default_rng(0).integers(0, 4, 25)


def in_full_batches(name: str) -> Any:
    """A small learner in which nothing random depends on the number of rows."""
    learner = small(name)
    if name == "mlp":
        return learner.set_params(batch_size=1000)
    if name == "forward-forward":
        learner.set_params(loss="softmax")  # all wrong labels, instead of some that are drawn for each row
    return learner if name == "ridge" else learner.set_params(batch_size=0)


def test_who_takes_weights() -> None:
    weighted = {name for name in registry.listings("learner") if has_fit_parameter(small(name), "sample_weight")}
    assert weighted == set(WEIGHTED)
    with pytest.raises(TypeError, match="sample_weight"):
        KNN().fit(X, ANSWERS, sample_weight=WEIGHTS)  # type: ignore[call-arg]


@every_weighted
def test_a_weight_is_a_number_of_equal_rows(name: str) -> None:
    weighted, repeated = in_full_batches(name), in_full_batches(name)
    weighted.fit(X, ANSWERS, sample_weight=WEIGHTS, classes=range(5))
    repeated.fit(X.repeat(WEIGHTS, axis=0), ANSWERS.repeat(WEIGHTS), classes=range(5))
    plain = in_full_batches(name).fit(X, ANSWERS)
    assert np.allclose(weighted.scores(X), repeated.scores(X), rtol=1e-3, atol=1e-3)
    assert not np.allclose(weighted.scores(X), plain.scores(X), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["mlp", "quadratic", "ridge", "torch-mlp"])
def test_rows_of_weight_zero_are_not_there(name: str) -> None:
    """Whatever the batches; a class of which nothing remains does not exist."""
    kept = ANSWERS > 0
    weighted = small(name).fit(X, ANSWERS, sample_weight=kept)
    without = small(name).fit(X[kept], ANSWERS[kept])
    by_codes = small(name).fit(CODES, ANSWERS, sample_weight=kept)
    assert list(weighted.classes_) == [1, 2, 3, 4] == list(by_codes.classes_)
    assert np.allclose(weighted.scores(X), without.scores(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "quadratic", "ridge"])
def test_equal_weights_are_none(name: str) -> None:
    weighted, plain = small(name).fit(X, ANSWERS, sample_weight=np.ones(25)), small(name).fit(X, ANSWERS)
    assert np.allclose(weighted.scores(X), plain.scores(X), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["forward-forward", "torch-mlp", "quadratic"])
def test_the_scale_of_weights_makes_no_difference_to_a_mean(name: str) -> None:
    once, more = (small(name).fit(X, ANSWERS, sample_weight=c * (1 + ANSWERS)) for c in (0.5, 500))
    assert np.allclose(once.scores(X), more.scores(X), rtol=1e-3, atol=1e-3)


def test_the_scale_of_weights_divides_the_penalty_of_a_sum() -> None:
    weight = 1 + ANSWERS
    more, weaker = Ridge(alpha=2.0).fit(X, ANSWERS, sample_weight=8 * weight), Ridge(alpha=0.25)
    assert np.allclose(more.scores(X), weaker.fit(X, ANSWERS, sample_weight=weight).scores(X))


def test_a_batch_of_one_row_steps_by_its_weight() -> None:
    """(1/B) Σ wᵢ ℓᵢ: an update of plain gradient descent is as long as the weight says, relative to the mean."""
    plain = {"optimizer": SGD(lr=0.1, momentum=0.0), "batch_size": 1, "steps": 1, "random_state": 0}
    start = TorchMLP((4,), **(plain | {"optimizer": SGD(lr=1e-12, momentum=0.0)})).fit(X, ANSWERS)
    step = TorchMLP((4,), **plain).fit(X, ANSWERS)
    [row] = batch_rows(step.seed(), 25, 1, 0, 1)[0]
    weight = np.where(np.arange(25) == row, 3.0, 1.0)
    longer = TorchMLP((4,), **plain).fit(X, ANSWERS, sample_weight=weight)
    for name, first in start.model_.items():
        assert np.allclose(longer.model_[name] - first, (step.model_[name] - first) * 3 / weight.mean(), atol=1e-6)


@pytest.mark.parametrize("batch", [0, 4])
def test_weighted_replicas_train_beside_others(batch: int) -> None:
    """Full batches of different lengths are padded, and so are their weights."""
    weight = np.linspace(0.5, 3, 9)
    rows = np.arange(9)
    problems = [Problem(CODES, rows, ANSWERS[rows], 5, weight), Problem(CODES, rows[:7], ANSWERS[:7], 5)]
    learners = [Quadratic(width=8, batch_size=batch, random_state=seed) for seed in (1, 2)]
    both = Quadratic.begin(learners, problems)
    both.advance(6, [0, 1])
    for r in (0, 1):
        alone = Quadratic.begin([learners[r]], [problems[r]])
        alone.advance(6, [0])
        for name, array in alone.state(0).items():
            assert np.allclose(array, both.state(r)[name], rtol=1e-4, atol=1e-6)


def test_programs_of_fleets_without_weights_know_none() -> None:
    def operators(weight: Any) -> int:
        training: Any = Quadratic.begin(
            [Quadratic(width=8, random_state=0)], [Problem(CODES, ROWS, ANSWERS[ROWS], 5, weight)]
        )
        training.advance(1, [0])
        [group] = training.groups
        assert ("row_weight" in group.tensors["data"]) is (weight is not None)
        return group.program.work.operators

    plain, weighted = operators(None), operators(np.ones(len(ROWS)))
    assert plain < weighted <= plain + 4


@pytest.mark.parametrize(
    ("weight", "found"),
    [
        (np.ones(24), "the shape (24,)"),
        (np.ones((25, 2)), "the shape (25, 2)"),
        (2.0, "the shape ()"),
        (np.where(ANSWERS == 1, -0.5, 1), "-0.5"),
        (np.where(ANSWERS == 1, np.nan, 1), "nan"),
        (np.where(ANSWERS == 1, np.inf, 1), "inf"),
        (np.zeros(25), "zeros alone"),
    ],
)
def test_weights_that_cannot_be(weight: Any, found: str) -> None:
    rule = "The sample_weight of Ridge must be a finite number >= 0 for each of the 25 rows, not zero for all, got "
    with pytest.raises(ValueError, match=f"^{re.escape(rule + found)}.$"):
        Ridge().fit(X, ANSWERS, sample_weight=weight)
