"""The contract of learners: scikit-learn classifiers whose training can also be driven step by step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

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
    """

    codes: Codes
    train: Rows
    y: NDArray[np.intp]
    n_classes: int


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


class Learner(ClassifierMixin, BaseEstimator, ABC):
    """A classifier of codes.

    Used alone it has `fit` and `predict`. The benchmark calls `begin` instead and drives the training. A step is one
    optimizer update; `granularity` says after how many a learner can be evaluated.
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
    example: ClassVar[Mapping[str, Any]] = {}
    """Constructor arguments of a small instance, for the contract tests."""
    inapplicable_checks: ClassVar[Mapping[str, str]] = {}
    """scikit-learn's estimator checks that cannot apply, with the reason; at most three."""

    classes_: NDArray[Any]

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
    def _scores(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        """Scores (N, C) of a matrix, once fitted."""

    def losses(self, scores: NDArray[np.floating], y: NDArray[np.intp]) -> NDArray[np.floating]:
        """Loss of each example, (N,): ½ mean over classes of (score − onehot)², unless a learner says otherwise."""
        errors = scores.astype(np.float64)
        errors[np.arange(len(y)), y] -= 1
        return 0.5 * (errors**2).mean(axis=1)

    def fit(self, X: ArrayLike | Codes, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Train on X, a matrix (N, features) or `Codes`, and labels y (N,) for the default budget.

        :param classes: all classes that exist, where y may miss some.
        :raises ValueError: for a parameter out of range, or labels that are not among ``classes``.
        """
        self.check()
        matrix, labels = validate_data(self, _dense(X), y, dtype=np.float32)
        check_classification_targets(labels)
        self.classes_ = np.unique(labels if classes is None else np.asarray(classes))
        unknown = np.setdiff1d(labels, self.classes_)
        if unknown.size:
            raise ValueError(f"The labels of {type(self).__name__} must be among classes, got {unknown[0]!r}.")
        n, slots = len(matrix), getattr(self, "slots", 1)
        if matrix.shape[1] % slots:
            raise ValueError(f"The {matrix.shape[1]} columns of X do not divide into slots={slots} equal parts.")
        codes = (
            X if isinstance(X, Codes) else Codes(matrix.reshape(n * slots, -1), np.arange(n * slots).reshape(n, slots))
        )
        problem = Problem(codes, np.arange(n), np.searchsorted(self.classes_, labels), len(self.classes_))
        steps = self.default_steps(n)
        training = self.begin([self], [problem], Setting(steps=steps, looks=1))
        training.advance(steps, [0])
        if training.look([0], [np.arange(1)]).diverged.any():
            raise ValueError(f"{type(self).__name__} diverged: its weights are no longer finite.")
        training.learner(0)
        return self

    def predict(self, X: ArrayLike | Codes) -> NDArray[Any]:
        """The class of highest score for each row of X, (N,)."""
        scores_NC = self.scores(X)
        return self.classes_[scores_NC.argmax(axis=1)]

    def scores(self, X: ArrayLike | Codes) -> NDArray[np.floating]:
        """Scores of all classes for each row of X, (N, C)."""
        check_is_fitted(self)
        return self._scores(validate_data(self, _dense(X), dtype=np.float32, reset=False))

    def embed(self, codes: Codes) -> NDArray[np.floating] | None:
        """The image of every code in each slot under the first linear map, (S, U, D); None where there is none."""
        return None

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")


def _dense(X: ArrayLike | Codes) -> Any:
    return X.dense() if isinstance(X, Codes) else X


class Solo(ABC):
    """One replica that trains by itself: the learner's ``model_`` is trained in place."""

    def __init__(self, learner: Learner, problem: Problem) -> None:
        self.learner, self.problem = learner, problem
        self.X = problem.codes.dense()
        self.step = 0
        self.diverged = False
        if not hasattr(learner, "classes_"):
            learner.classes_ = np.arange(problem.n_classes)
            learner.n_features_in_ = self.X.shape[1]

    @property
    def train_rows(self) -> NDArray[np.float32]:
        """The training rows, (N, S·F)."""
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
        return OneByOne([learner.solo(problem) for learner, problem in zip(learners, problems, strict=True)])
