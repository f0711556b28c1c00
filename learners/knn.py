"""Nearest neighbours: what the distances of an encoding reveal."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors

from encoders import Codes
from encoders._check import require_integer
from learners._closed_form import ClosedForm


class KNN(ClosedForm):
    """The share of each class among the k nearest training rows (Euclidean); the largest wins.

    It learns nothing. As a probe with k = 1 it exposes leaks: under summed codes a mirrored twin is at distance 0.

    Source: Cover & Hart 1967 (doi 10.1109/TIT.1967.1053964); computed by scikit-learn.

    :param n_neighbors: k; all training rows where there are fewer.
    :raises ValueError: for k < 1.

    >>> KNN().fit([[0.0], [1.0], [5.0]], ["a", "a", "b"]).predict([[4.0]]).tolist()
    ['b']
    """

    version = 1
    takes_sparse = True
    example: ClassVar = {"n_neighbors": 1}

    def __init__(self, n_neighbors: int = 1) -> None:
        self.n_neighbors = n_neighbors

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """How many neighbours."""
        return {"n_neighbors": trial.suggest_int("n_neighbors", 1, 16, log=True)}

    def check(self) -> None:
        """At least one neighbour."""
        require_integer(self, "n_neighbors")

    def predict_proba(self, X: ArrayLike | Codes) -> NDArray[np.floating]:
        """Probabilities (N, C): the shares."""
        return self.scores(X)

    def _solve(self, X: Any, targets_NC: NDArray[np.float32]) -> Any:
        self.targets_ = targets_NC
        return NearestNeighbors(n_neighbors=min(self.n_neighbors, X.shape[0]), algorithm="brute").fit(X)

    def _scores(self, X: Any) -> NDArray[np.floating]:
        neighbors_NK = self.model_.kneighbors(X, return_distance=False)
        return self.targets_[neighbors_NK].mean(axis=1)

    def operations(self, n_train: int, n_features: int, n_classes: int) -> int:
        """2 N F: the squared lengths of the training rows, the part of a distance that does not depend on the query.

        NOTE: it learns by keeping the rows. Its arithmetic is in prediction, which is counted for no learner.
        """
        return 2 * n_train * n_features

    def _parameters(self) -> int:
        return 0
