"""Learners as other people's work uses them: their scores, sparse rows, and what scikit-learn builds around them."""

import pickle
import re
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import discovered
from joblib import parallel_config
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import AdaBoostClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter
from test_learner_contract import ANSWERS, CODES, ROWS, small

from bench.specs import registry
from learners import KNN, MLP, ClosedForm, Problem, Quadratic, Ridge, TorchMLP
from learners import _torch as torch_learners
from learners._fleet.feed import batch_rows
from learners._fleet.training import FleetTraining
from learners.optim import SGD, AdamW, GrokFastMA, ScheduleFreeAdamW, WeightNoise

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
def test_sparse_rows_are_the_same_rows(name: str) -> None:
    learner, other = small(name).fit(X, ANSWERS), small(name).fit(sparse.csc_array(X.astype(np.int8)), ANSWERS)
    assert np.allclose(learner.scores(X), other.scores(X), atol=1e-5)
    for form, kind in product(FORMS, (np.float64, np.int64, np.uint8, bool)):
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

WEIGHTED = ["forward-forward", "kan", "mlp", "quadratic", "ridge", "torch-mlp", "transformer"]
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


@pytest.mark.parametrize("name", ["forward-forward", "mlp", "quadratic", "ridge", "torch-mlp"])
def test_a_weight_is_a_number_of_equal_rows(name: str) -> None:
    weighted, repeated = in_full_batches(name), in_full_batches(name)
    weighted.fit(X, ANSWERS, sample_weight=WEIGHTS, classes=range(5))
    repeated.fit(X.repeat(WEIGHTS, axis=0), ANSWERS.repeat(WEIGHTS), classes=range(5))
    plain = in_full_batches(name).fit(X, ANSWERS)
    assert np.allclose(weighted.scores(X), repeated.scores(X), rtol=1e-3, atol=1e-3)
    assert not np.allclose(weighted.scores(X), plain.scores(X), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["mlp", "quadratic", "ridge"])
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


@pytest.mark.parametrize("name", ["torch-mlp", "quadratic"])
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


# Going on

INCREMENTAL = ["forward-forward", "kan", "mlp", "quadratic", "torch-mlp", "transformer"]
BATCHES_OF_ROWS: dict[str, Any] = {
    "mlp-classifier": MLP((8,), head="classifier", batch_size=10, random_state=0),
    "dropout": TorchMLP((8,), dropout=0.3, batch_size=0, random_state=0),
    "lora": TorchMLP((8, 8), lora_rank=2, batch_size=0, random_state=0),
    "averages": Quadratic(width=8, optimizer=[GrokFastMA(window=3), ScheduleFreeAdamW(warmup=4)], random_state=0),
    "noise": Quadratic(width=8, optimizer=[WeightNoise(sigma=0.1), AdamW(decay="to-init")], random_state=0),
}


def of_steps(learner: Any, passes: int) -> Any:
    return learner.set_params(**{learner.budget_parameter: passes})


def test_who_goes_on() -> None:
    assert [name for name in registry.listings("learner") if hasattr(small(name), "partial_fit")] == INCREMENTAL


@pytest.mark.parametrize("name", ["forward-forward", "mlp", "quadratic", "torch-mlp", *BATCHES_OF_ROWS])
def test_calls_on_the_same_rows_are_one_training(name: str) -> None:
    """Whatever of `fit` and `partial_fit` they are, pickled or not; shuffles of `mlp` go on, too."""
    learner = clone(BATCHES_OF_ROWS[name]) if name in BATCHES_OF_ROWS else in_full_batches(name)
    if name == "mlp":
        learner.set_params(batch_size=10)
    straight = of_steps(clone(learner), 6).fit(X, ANSWERS)
    called = clone(learner)
    for _ in range(3):
        called.partial_fit(X, ANSWERS, classes=range(5))
    called = pickle.loads(pickle.dumps(called)).partial_fit(X, ANSWERS)
    again = of_steps(clone(learner), 4).fit(X, ANSWERS)
    for gone_on in (called, again):
        for _ in range(2):
            gone_on.partial_fit(X, ANSWERS)
        assert np.allclose(gone_on.scores(X), straight.scores(X), rtol=1e-4, atol=1e-5)
    assert not hasattr(clone(called), "model_")


def test_a_pass_sees_each_row_once_in_an_order_of_its_own() -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(FleetTraining):
        def _draw(self, group: Any, block: int, row: int, into_KB: Any) -> None:
            super()._draw(group, block, row, into_KB)
            seen.append(tuple(into_KB[: self.sizes[0], 0].tolist()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_learners, "FleetTraining", Watched)
        learner = Quadratic(width=4, batch_size=1, random_state=0)
        for rows in (9, 9, 5):
            learner.partial_fit(X[:rows], ANSWERS[:rows], classes=range(5))
    assert [sorted(order) for order in seen] == [list(range(9)), list(range(9)), list(range(5))]
    assert seen[0] != seen[1]


@pytest.mark.parametrize("name", ["mlp", "quadratic", "torch-mlp"])
def test_later_rows_may_be_fewer_and_are_learned_from(name: str) -> None:
    learner = small(name).partial_fit(X, ANSWERS, classes=[*range(5), 7])
    assert learner.scores(X).shape == (25, 6)
    before = learner.score(X, ANSWERS)
    for _ in range(50 if name == "mlp" else 20):
        learner.partial_fit(X[:15], ANSWERS[:15])
        learner.partial_fit(sparse.csr_array(X[10:]), ANSWERS[10:], sample_weight=1.0 + ANSWERS[10:])
    assert learner.score(X, ANSWERS) > max(before, 0.8)


@pytest.mark.parametrize("name", ["mlp", "quadratic"])
def test_what_cannot_go_on_is_refused(name: str) -> None:
    learner = small(name)
    owner = type(learner).__name__
    with pytest.raises(ValueError, match=f"^The classes of {owner} must be passed on the first call to partial_fit.$"):
        learner.partial_fit(X, ANSWERS)
    learner.partial_fit(X[ANSWERS < 4], ANSWERS[ANSWERS < 4], classes=range(4))
    with pytest.raises(ValueError, match=f"^The labels of {owner} must be among classes, got .*4.*\\.$"):
        learner.partial_fit(X, ANSWERS)
    with pytest.raises(
        ValueError, match=rf"^The classes of {owner} must be those of before, \[0, 1, 2, 3\], got \[0, 1\]"
    ):
        learner.partial_fit(X, ANSWERS, classes=[0, 1])
    with pytest.raises(ValueError, match="X has 9 features"):
        learner.partial_fit(X[:, 1:], ANSWERS)
    wider = {"hidden_layer_sizes": (9,)} if name == "mlp" else {"width": 9}
    with pytest.raises(ValueError, match=f" of {owner} must be those of its weights to go on with them"):
        learner.set_params(**wider).partial_fit(X[:2], ANSWERS[:2])


def test_another_optimizer_cannot_go_on_with_what_one_has_kept() -> None:
    learner = Quadratic(width=4, random_state=0).partial_fit(X, ANSWERS, classes=range(5))
    with pytest.raises(ValueError, match=r"must be those of its weights to go on with them: .* must have"):
        learner.set_params(optimizer=SGD(momentum=0.0)).partial_fit(X, ANSWERS)


@pytest.mark.parametrize("name", ["mlp", "quadratic"])
def test_settings_of_numbers_may_change_on_the_way(name: str) -> None:
    learner = small(name).fit(X, ANSWERS)
    before = learner.scores(X)
    rate = "learning_rate_init" if name == "mlp" else "optimizer__adamw__lr"
    still = pickle.loads(pickle.dumps(learner)).set_params(**{rate: 1e-12})
    assert np.allclose(still.partial_fit(X, ANSWERS).scores(X), before, atol=1e-5)
    assert not np.allclose(learner.partial_fit(X, ANSWERS).scores(X), before, atol=1e-4)


@pytest.mark.parametrize("name", ["mlp", "quadratic"])
def test_learners_of_the_benchmark_go_on_with_their_weights(name: str) -> None:
    """They keep nothing else, and those of earlier versions do not either."""
    learner = of_steps(small(name), 5)
    problem = Problem(CODES, np.arange(25), ANSWERS, 5)
    training = type(learner).begin([learner], [problem])
    training.advance(40 * learner.granularity(25), [0])
    training.learner(0)
    vars(learner).pop("seed_", None)
    before = learner.score(X, ANSWERS)
    assert learner.partial_fit(CODES, ANSWERS).score(X, ANSWERS) >= before - 0.1 > 0.5


# What scikit-learn builds around learners

NET = MLP((8,), epochs=30, learning_rate_init=0.02, random_state=0)
SOLVED = [Ridge(), KNN(n_neighbors=3), NET]
of_scikit_learn = pytest.mark.parametrize("learner", SOLVED, ids=lambda learner: type(learner).__name__)
POINTS, KINDS = make_classification(90, n_features=6, n_informative=4, n_classes=3, random_state=0)
HALF = KINDS > 0


@of_scikit_learn
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_searches_over_grids_in_parallel(learner: Any, backend: str) -> None:
    name, values = {"Ridge": ("alpha", [0.1, 1e6]), "KNN": ("n_neighbors", [1, 80]), "MLP": ("alpha", [1e-4, 10.0])}[
        type(learner).__name__
    ]
    alone = GridSearchCV(learner, {name: values}, cv=3).fit(POINTS, KINDS)
    with parallel_config(backend=backend, n_jobs=2):
        together = GridSearchCV(learner, {name: values}, cv=3).fit(POINTS, KINDS)
    assert np.array_equal(alone.cv_results_["mean_test_score"], together.cv_results_["mean_test_score"])
    assert alone.best_params_ == together.best_params_
    assert len(set(alone.cv_results_["mean_test_score"])) == 2


@of_scikit_learn
def test_area_under_the_curve_in_a_pipeline(learner: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), learner)
    areas = cross_val_score(pipeline, POINTS, HALF, scoring="roc_auc", cv=3, error_score="raise")
    assert areas.mean() > 0.6
    assert not np.allclose(areas, areas.round(1))


@of_scikit_learn
@pytest.mark.parametrize("ensemble", [True, False])
def test_calibration(learner: Any, ensemble: bool) -> None:
    calibrated = CalibratedClassifierCV(learner, cv=3, ensemble=ensemble).fit(POINTS, KINDS)
    proba = calibrated.predict_proba(POINTS)
    assert np.allclose(proba.sum(axis=1), 1)
    assert calibrated.score(POINTS, KINDS) > 0.5


@pytest.mark.parametrize("learner", [Ridge(), clone(NET).set_params(head="classifier")], ids=["ridge", "mlp"])
def test_scores_of_rows_that_were_left_out(learner: Any) -> None:
    method = "predict_proba" if hasattr(learner, "predict_proba") else "decision_function"
    found = cross_val_predict(learner, sparse.csr_array(POINTS), KINDS, method=method, cv=3)
    labels = cross_val_predict(learner, sparse.csr_array(POINTS), KINDS, cv=3)
    assert np.array_equal(found.argmax(axis=1), labels)


def test_torch_learners_in_calibration_and_boosting() -> None:
    """Calibration hands weights on, and boosting lives of them."""
    learner = TorchMLP((8,), steps=20, batch_size=0, optimizer=AdamW(lr=0.03), random_state=0)
    calibrated = CalibratedClassifierCV(learner, cv=2).fit(POINTS, KINDS, sample_weight=1.0 + HALF)
    assert np.allclose(calibrated.predict_proba(POINTS).sum(axis=1), 1)
    boosted = AdaBoostClassifier(learner, n_estimators=3).fit(POINTS, KINDS)
    assert boosted.score(POINTS, KINDS) > 0.6
