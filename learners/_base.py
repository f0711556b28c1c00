"""The contract of learners: scikit-learn classifiers whose training can also be driven step by step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from encoders import Codes
from encoders._typed_bases import BaseEstimator, ClassifierMixin
from learners._inputs import problem_of, rows_of
from learners._problem import Problem, Rows, State


@dataclass(frozen=True)
class Setting:
    """Where and how replicas train. The expected lengths decide only which programs are worth compiling.

    :param device: one whose kind is among the learner's ``devices``.
    :param precision: one of its ``precisions``.
    :param steps: expected updates until the end.
    :param looks: expected number of looks.
    :param announce: is called with a short message when something delays the training, and with "" when it goes on.
    :param repeats: expected number of trainings of this structure one after another, this one included.
    :param leaving: some replicas may stop before others.
    """

    device: str = "cpu"
    precision: str = "float32"
    steps: int = 0
    looks: int = 0
    announce: Callable[[str], None] = lambda words: None
    repeats: int = 1
    leaving: bool = False


@dataclass(frozen=True)
class Look:
    """An evaluation of R replicas.

    :param scores: (R, N, C), an array or a tensor on any device; the largest score wins. A replica with fewer rows than
        N has padding behind them.
    :param vitals: other values worth a curve, by name, (R,) each.
    :param diverged: whether weights are no longer finite, (R,).
    """

    scores: Any
    vitals: Mapping[str, NDArray[np.floating]]
    diverged: NDArray[np.bool_]


class Training(ABC):
    """R replicas of one learner in training, each on a problem of its own.

    The caller decides how far to advance, when to look at the scores, and which replicas to stop.
    """

    @property
    def compile_seconds(self) -> float:
        """Seconds spent so far on tracing, compiling and capturing programs. They do not count as training."""
        return 0.0

    @property
    def compiled(self) -> bool:
        """Whether it trains with a compiled program, which rounds differently."""
        return False

    @property
    def notices(self) -> Sequence[str]:
        """Messages for the user, a line each."""
        return ()

    @abstractmethod
    def advance(self, step: int, replicas: Sequence[int]) -> None:
        """Train these replicas until ``step`` updates are done."""

    @abstractmethod
    def look(self, replicas: Sequence[int], rows: Sequence[Rows]) -> Look:
        """Evaluate each replica on rows of its codes."""

    def diverged(self, replica: int) -> bool:
        """Whether weights are no longer finite: by a look, unless a training knows without one."""
        return bool(self.look([replica], [np.arange(1)]).diverged[0])

    @abstractmethod
    def state(self, replica: int) -> State:
        """Everything that is needed to continue later; empty where continuing changes nothing."""

    @abstractmethod
    def restore(self, replica: int, state: State) -> None:
        """Return, from any step, to a state of a replica of equal configuration and problem."""

    @abstractmethod
    def learner(self, replica: int) -> "Learner":
        """The fitted learner as of now."""

    @abstractmethod
    def parameters(self, replica: int) -> int:
        """Trainable numbers."""

    @abstractmethod
    def flops(self, replica: int, step: int) -> int | None:
        """Floating-point operations that training until ``step`` takes; None where unknown."""


def _has_no_probabilities(learner: "Learner") -> bool:
    return not hasattr(learner, "predict_proba")


class Learner(ClassifierMixin, BaseEstimator, ABC):
    """A classifier of codes.

    Used alone it has `fit`, `predict`, and either ``predict_proba`` or `decision_function`. The benchmark calls `begin`
    instead and drives the training. A step is one optimizer update; `granularity` says after how many a learner can be
    evaluated.
    """

    version: ClassVar[int] = 1
    """Raised whenever results change: it is part of the identity of every result."""
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """Kinds of device that it trains on."""
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    """Kinds of arithmetic that it trains in."""
    budget_parameter: ClassVar[str | None] = None
    """The constructor argument that says how long `fit` trains. The benchmark sets budgets itself."""
    fit_parameters: ClassVar[tuple[str, ...]] = ()
    """Constructor arguments that only `fit` uses. The benchmark does not compare them."""
    later_parameters: ClassVar[frozenset[str]] = frozenset()
    """Constructor arguments younger than the first records: a spec names them where they are not at their default."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Constructor arguments of a small instance, for the contract tests."""
    inapplicable_checks: ClassVar[Mapping[str, str]] = {}
    """scikit-learn's estimator checks that cannot apply, with the reason; at most three."""

    takes_sparse: ClassVar[bool] = False
    """Whether it takes sparse rows as they are. For others sparse X (N, F) is written out once: 4 N F bytes."""

    classes_: NDArray[Any]
    n_features_in_: int
    model_: Any

    @staticmethod
    @abstractmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Draw constructor arguments from a search space, by the methods of an Optuna trial."""

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where a parameter breaks its rule."""

    @abstractmethod
    def steps_per_epoch(self, n_train: int) -> int:
        """Updates in one pass over the training rows; 0 for a learner in closed form."""

    @abstractmethod
    def granularity(self, n_train: int) -> int:
        """Updates between two steps at which it can be evaluated; 0 for a learner in closed form."""

    @abstractmethod
    def default_steps(self, n_train: int) -> int:
        """The budget where none is given, in updates."""

    @classmethod
    @abstractmethod
    def begin(
        cls, learners: "Sequence[Learner]", problems: Sequence[Problem], setting: Setting | None = None
    ) -> Training:
        """Start to train R learners of equal structure on R problems, by default on the CPU."""

    @abstractmethod
    def structure(self, n_train: int) -> tuple[Any, ...] | None:
        """What must be equal for learners to train as one batched program; None where they train one by one."""

    def check_codes(self, codes: Codes, n_classes: int) -> None:
        """Raise ValueError where it cannot learn this number of classes from these codes."""

    @abstractmethod
    def _scores(self, X: Any) -> NDArray[np.floating]:
        """Scores (N, C) of a matrix, once fitted. It is sparse only where the learner ``takes_sparse``."""

    def losses(self, scores: NDArray[np.floating], y: NDArray[np.intp]) -> NDArray[np.floating]:
        """Loss of each example, (N,): ½ mean over classes of (score − onehot)², unless a learner says otherwise."""
        errors = scores.astype(np.float64)
        errors[np.arange(len(y)), y] -= 1
        return 0.5 * (errors**2).mean(axis=1)

    def fit(self, X: ArrayLike | Codes, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Train on X, a matrix (N, F), dense or sparse, or `Codes`, and labels y (N,) for the default budget.

        :param classes: all classes that exist, where y may miss some.
        :raises ValueError: for a parameter out of range, or labels that are not among ``classes``.
        """
        return self._fit(X, y, classes)

    def _fit(
        self, X: ArrayLike | Codes, y: ArrayLike, classes: ArrayLike | None, sample_weight: ArrayLike | None = None
    ) -> Self:
        self.check()
        problem = problem_of(self, X, y, classes, sample_weight)
        steps = self.default_steps(len(problem.train))
        return self._finish(self.begin([self], [problem], Setting(steps=steps)), steps)

    def _finish(self, training: Training, steps: int) -> Self:
        """Train for so many updates, and become the learner that results.

        :raises ValueError: where its weights are no longer finite.
        """
        training.advance(steps, [0])
        if training.diverged(0):
            vars(self).pop("model_", None)  # what is not finite predicts nothing
            raise ValueError(f"{type(self).__name__} diverged: its weights are no longer finite.")
        training.learner(0)
        self._keep(training)
        return self

    def _keep(self, training: Training) -> None:
        """Keep what it takes to go on with a training beside the learner itself: nothing, unless one says otherwise."""

    def predict(self, X: ArrayLike | Codes) -> NDArray[Any]:
        """The class of highest score for each row of X, (N,)."""
        scores_NC = self.scores(X)
        return self.classes_[scores_NC.argmax(axis=1)]

    def scores(self, X: ArrayLike | Codes) -> NDArray[np.floating]:
        """Scores of all classes for each row of X, (N, C)."""
        check_is_fitted(self)
        return self._scores(rows_of(self, X))

    @available_if(_has_no_probabilities)
    def decision_function(self, X: ArrayLike | Codes) -> NDArray[np.floating]:
        """The same scores in scikit-learn's form: (N, C), of two classes s₁ − s₀, (N,).

        Learners that have ``predict_proba`` do not have it.
        """
        scores_NC = self.scores(X)
        return scores_NC[:, 1] - scores_NC[:, 0] if scores_NC.shape[1] == 2 else scores_NC

    def embed(self, codes: Codes) -> NDArray[np.floating] | None:
        """The image of every code in each slot under the first linear map, (S, U, D); None where there is none."""
        return None

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
