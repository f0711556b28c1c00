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


def problem_of(learner: Any, X: ArrayLike | Codes, y: ArrayLike, classes: ArrayLike | None) -> Problem:
    """What a learner shall learn. Its ``classes_`` and number of features become those of X, y and ``classes``.

    :param learner: a `Learner`, which is above this module.
    :param classes: all classes that exist, where y may miss some.
    :raises ValueError: for labels that are not among ``classes``, or columns that do not divide into slots.
    """
    given = X.dense() if isinstance(X, Codes) else X
    matrix, labels = validate_data(learner, given, y, accept_sparse="csr", dtype=np.float32)
    check_classification_targets(labels)
    learner.classes_ = np.unique(labels if classes is None else np.asarray(classes))
    unknown = np.setdiff1d(labels, learner.classes_)
    if unknown.size:
        raise ValueError(f"The labels of {type(learner).__name__} must be among classes, got {unknown[0]!r}.")
    y_N, n_classes = np.searchsorted(learner.classes_, labels), len(learner.classes_)
    rows = _taken(learner, matrix)
    if issparse(rows):
        return SparseProblem(rows, y_N, n_classes)
    codes = X if isinstance(X, Codes) else _codes(learner, rows)
    return Problem(codes, np.arange(len(codes)), y_N, n_classes)


def _taken(learner: Any, matrix: Any) -> Any:
    """A matrix, sparse only where the learner takes sparse rows."""
    return matrix.toarray() if issparse(matrix) and not learner.takes_sparse else matrix


def _codes(learner: Any, rows: NDArray[np.float32]) -> Codes:
    n, slots = len(rows), getattr(learner, "slots", 1)
    if rows.shape[1] % slots:
        raise ValueError(f"The {rows.shape[1]} columns of X do not divide into slots={slots} equal parts.")
    return Codes(rows.reshape(n * slots, -1), np.arange(n * slots).reshape(n, slots))
