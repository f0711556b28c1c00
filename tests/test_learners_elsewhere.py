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
from test_learner_contract import ANSWERS, CODES, small

from bench.specs import registry
from learners import KNN, MLP, ClosedForm, Quadratic, Ridge

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
