"""Learners whose replicas train one after another."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from learners._base import Learner, Look, Setting, Training
from learners._problem import Problem, Rows, State


class Solo(ABC):
    """One replica that trains by itself: the learner's ``model_`` is trained in place."""

    def __init__(self, learner: Learner, problem: Problem) -> None:
        self.learner, self.problem = learner, problem
        self.X = problem.matrix
        self.step = 0
        self.diverged = False
        if not hasattr(learner, "classes_"):
            learner.classes_ = np.arange(problem.n_classes)
            learner.n_features_in_ = self.X.shape[1]

    @property
    def train_rows(self) -> Any:
        """The training rows, (N, S·F), sparse where the learner takes sparse rows and X is sparse."""
        return self.X[self.problem.train]

    @property
    def onehot_targets(self) -> NDArray[np.float32]:
        """The answers of the training rows as a matrix (N, C)."""
        return np.eye(self.problem.n_classes, dtype=np.float32)[self.problem.y]

    @abstractmethod
    def advance(self, step: int) -> None:
        """Train until ``step`` updates are done."""

    @abstractmethod
    def state(self) -> State:
        """Everything that is needed to continue later."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Return to a state."""

    @abstractmethod
    def parameters(self) -> int:
        """Trainable numbers."""

    @abstractmethod
    def flops(self, step: int) -> int | None:
        """Floating-point operations that training until ``step`` takes; None where unknown."""


def _scored(solo: Solo, rows: Rows) -> NDArray[np.floating]:
    return solo.learner._scores(solo.X[rows])


class OneByOne(Training):
    """R replicas trained one after another."""

    def __init__(self, solos: Sequence[Solo]) -> None:
        self._solos = list(solos)

    def advance(self, step: int, replicas: Sequence[int]) -> None:
        """Train each of these replicas in turn."""
        for replica in replicas:
            if not self._solos[replica].diverged:
                self._solos[replica].advance(step)

    def look(self, replicas: Sequence[int], rows: Sequence[Rows]) -> Look:
        """Scores, and whether weights are still finite. There are no other vitals: none is cheap enough."""
        solos = [self._solos[replica] for replica in replicas]
        longest = max(len(mine) for mine in rows)
        said = [
            np.zeros((len(mine), solo.problem.n_classes), np.float32) if solo.diverged else _scored(solo, mine)
            for solo, mine in zip(solos, rows, strict=True)
        ]
        scores = np.stack([np.pad(s, ((0, longest - len(s)), (0, 0))) for s in said])
        return Look(scores, {}, np.array([solo.diverged for solo in solos]))

    def diverged(self, replica: int) -> bool:
        """Whether weights are no longer finite."""
        return self._solos[replica].diverged

    def state(self, replica: int) -> State:
        """Arrays by name."""
        return self._solos[replica].state()

    def restore(self, replica: int, state: State) -> None:
        """Inverse of `state`."""
        self._solos[replica].restore(state)

    def learner(self, replica: int) -> Learner:
        """The fitted learner."""
        return self._solos[replica].learner

    def parameters(self, replica: int) -> int:
        """Trainable numbers."""
        return self._solos[replica].parameters()

    def flops(self, replica: int, step: int) -> int | None:
        """Floating-point operations."""
        return self._solos[replica].flops(step)


class Solitary(Learner):
    """A learner whose replicas train one after another."""

    @abstractmethod
    def solo(self, problem: Problem) -> Solo:
        """This learner in training on a problem."""

    def structure(self, n_train: int) -> None:
        """None: there is no batched program."""

    @classmethod
    def begin(
        cls, learners: Sequence[Learner], problems: Sequence[Problem], setting: Setting | None = None
    ) -> Training:
        """Train one after another."""
        solitary = cast("Sequence[Solitary]", learners)
        return OneByOne([learner.solo(problem) for learner, problem in zip(solitary, problems, strict=True)])
