"""Learners in closed form: they are solved at once, without steps."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learners._one_by_one import Solitary, Solo
from learners._problem import Problem, State


class ClosedForm(Solitary):
    """A learner that wraps a scikit-learn estimator, fitted at once."""

    model_: Any

    @abstractmethod
    def _solve(self, X: Any, targets_NC: NDArray[np.float32]) -> Any:
        """A fitted estimator. X is float32, (N, F), and sparse only where the learner ``takes_sparse``.

        One whose `fit` takes weights has a third argument, ``weight`` (N,) or None.
        """

    def steps_per_epoch(self, n_train: int) -> int:
        """0: there are no steps."""
        return 0

    def granularity(self, n_train: int) -> int:
        """0: there are no steps."""
        return 0

    def default_steps(self, n_train: int) -> int:
        """0: there are no steps."""
        return 0

    def solo(self, problem: Problem) -> Solo:
        """This learner, to be solved for one problem."""
        return _Solve(self, problem)

    @abstractmethod
    def _parameters(self) -> int:
        """Trainable numbers, once fitted."""

    def operations(self, n_train: int, n_features: int, n_classes: int) -> int | None:
        """Floating-point operations of the solve, by its formula; None where none is known."""
        return None


class _Solve(Solo):
    learner: ClosedForm

    def advance(self, step: int) -> None:
        weight = self.problem.weight
        more: dict[str, Any] = {} if weight is None else {"weight": weight}
        self.learner.model_ = self.learner._solve(self.train_rows, self.onehot_targets, **more)

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        self.advance(0)

    def parameters(self) -> int:
        return self.learner._parameters()

    def flops(self, step: int) -> int | None:
        return self.learner.operations(len(self.problem.train), self.X.shape[1], self.problem.n_classes)
