"""What one replica learns from: codes or sparse rows, and the answers of the training rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from encoders import Codes

Rows = NDArray[np.intp]
State = dict[str, NDArray[Any]]
"""A checkpoint: arrays by name, without pickles."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What one replica learns from. It holds the answers of the training rows only.

    :param codes: the codes of all examples that the replica may train on or be evaluated on. Other replicas may share
        them, so that they must not be changed.
    :param train: the training rows of ``codes``, (N,).
    :param y: the class of each training row, (N,) integers in [0, n_classes).
    :param n_classes: C; a small training set may miss some classes.
    :param weight: how much each training row counts, (N,) numbers > 0; None where all count the same.
    """

    codes: Codes
    train: Rows
    y: NDArray[np.intp]
    n_classes: int
    weight: NDArray[np.float64] | None = None

    @property
    def matrix(self) -> Any:
        """All examples as a matrix, (N, S·F)."""
        return self.codes.dense()


class SparseProblem(Problem):
    """A problem given as a sparse matrix, whose rows are all training rows.

    :param rows: (N, F).
    :param y: the class of each row, (N,).
    :param weight: of each row, (N,), or None.
    """

    rows: Any

    def __init__(
        self,
        rows: csr_array | csr_matrix,
        y: NDArray[np.intp],
        n_classes: int,
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        vars(self).update(rows=rows, train=np.arange(len(y)), y=y, n_classes=n_classes, weight=weight)

    @property
    def matrix(self) -> Any:
        """The sparse matrix itself."""
        return self.rows

    @cached_property
    def codes(self) -> Codes:
        """The rows written out, for a learner that asks for codes."""
        return Codes(self.rows.toarray(), np.arange(len(self.y))[:, np.newaxis])
