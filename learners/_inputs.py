"""From the matrices and labels that users hand in to what learners take."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from encoders import Codes
from learners._problem import Problem, SparseProblem


def rows_of(learner: Any, X: ArrayLike | Codes) -> Any:
    """The rows of X for a learner that is fitted, (N, S·F) of float32, sparse where X is sparse and it takes that."""
    given = X.dense() if isinstance(X, Codes) else X
    return _taken(learner, validate_data(learner, given, accept_sparse="csr", dtype=np.float32, reset=False))


def problem_of(
    learner: Any,
    X: ArrayLike | Codes,
    y: ArrayLike,
    classes: ArrayLike | None,
    sample_weight: ArrayLike | None = None,
    goes_on: bool = False,
) -> Problem:
    """What a learner shall learn. Its ``classes_`` and number of features become those of X, y and ``classes``.

    :param learner: a `Learner`, which is above this module.
    :param classes: all classes that exist, where y may miss some.
    :param sample_weight: of each row, (N,). Rows of weight 0 are left out, as if they had not been given.
    :param goes_on: its classes and number of features stay, and X, y and ``classes`` must fit them.
    :raises ValueError: for labels that are not among ``classes``, weights that cannot be, or columns that do not divide
        into slots.
    """
    given = X.dense() if isinstance(X, Codes) else X
    matrix, labels = validate_data(learner, given, y, accept_sparse="csr", dtype=np.float32, reset=not goes_on)
    check_classification_targets(labels)
    rows, weight = _taken(learner, matrix), None
    if sample_weight is not None:
        weight = _weights(learner, sample_weight, len(labels))
        counted = np.flatnonzero(weight)
        rows, labels, weight = rows[counted], labels[counted], weight[counted]
        X = X[counted] if isinstance(X, Codes) else X
    known = labels if classes is None else np.asarray(classes)
    if not goes_on:
        learner.classes_ = np.unique(known)
    elif classes is not None and not np.array_equal(learner.classes_, np.unique(known)):
        owner, before = type(learner).__name__, learner.classes_.tolist()
        raise ValueError(f"The classes of {owner} must be those of before, {before}, got {np.unique(known).tolist()}.")
    unknown = np.setdiff1d(labels, learner.classes_)
    if unknown.size:
        raise ValueError(f"The labels of {type(learner).__name__} must be among classes, got {unknown[0]!r}.")
    y_N, n_classes = np.searchsorted(learner.classes_, labels), len(learner.classes_)
    if issparse(rows):
        return SparseProblem(rows, y_N, n_classes, weight)
    codes = X if isinstance(X, Codes) else _codes(learner, rows)
    return Problem(codes, np.arange(len(codes)), y_N, n_classes, weight)


def _weights(learner: Any, sample_weight: ArrayLike, n: int) -> NDArray[np.float64]:
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,):
        found = f"the shape {weight.shape}"
    elif not (usual := np.isfinite(weight) & (weight >= 0)).all():
        found = repr(float(weight[~usual][0]))
    elif not weight.any():
        found = "zeros alone"
    else:
        return weight
    raise ValueError(
        f"The sample_weight of {type(learner).__name__} must be a finite number >= 0 for each of the {n} rows, "
        f"not zero for all, got {found}."
    )


def _taken(learner: Any, matrix: Any) -> Any:
    """A matrix, sparse only where the learner takes sparse rows."""
    return matrix.toarray() if issparse(matrix) and not learner.takes_sparse else matrix


def _codes(learner: Any, rows: NDArray[np.float32]) -> Codes:
    n, slots = len(rows), getattr(learner, "slots", 1)
    if rows.shape[1] % slots:
        raise ValueError(f"The {rows.shape[1]} columns of X do not divide into slots={slots} equal parts.")
    return Codes(rows.reshape(n * slots, -1), np.arange(n * slots).reshape(n, slots))
