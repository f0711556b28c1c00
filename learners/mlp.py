"""scikit-learn's multi-layer perceptron, epoch by epoch."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from encoders import Codes
from learners._base import Learner, Training
from learners._hyperparameters import check_fields, hyperparameter
from learners._one_by_one import OneByOne, Solitary, Solo
from learners._outside import Incremental
from learners._problem import Problem, State

LARGEST_SEED = 2**31 - 1
NEVER = 10**9


def _classifies(learner: "MLP") -> bool:
    return learner.head == "classifier"


@dataclass(eq=False, repr=False)
class MLP(Incremental, Solitary):
    """A multi-layer perceptron trained by Adam, as scikit-learn implements it.

    ``head="regressor"``: outputs f(x) of `sklearn.neural_network.MLPRegressor` fit one-hot targets; a batch of n
    minimises (1/2n) (Σ ‖f(x) − onehot‖² + α ‖W‖²), a sum over classes, though the loss on the curve is their mean; the
    largest output wins. ``head="classifier"``: `MLPClassifier`, softmax and cross-entropy. Training goes on for the
    whole budget in float32: no tolerance, no early stop, a fresh shuffle every epoch that depends on the seed and the
    epoch's number alone. It can be evaluated after whole epochs. With weights w the sum over a batch is
    Σ wᵢ ‖f(xᵢ) − onehot‖² and n is Σ wᵢ, as if a row of weight 2 were given twice. `partial_fit` is one epoch.

    NOTE: ``alpha`` is coupled decay, part of the gradient that Adam normalises; decoupled decay is another learner.

    Source: shape, head and epochs after the HTM forum's "CycleEncoder and VarCycleEncoder"; Adam is Kingma & Ba 2014
    (arXiv 1412.6980).

    :param hidden_layer_sizes: width of each hidden layer.
    :param head: "regressor" or "classifier".
    :param activation: "relu", "tanh", "logistic" or "identity".
    :param alpha: L2 penalty α ≥ 0.
    :param learning_rate_init: Adam's step size > 0.
    :param batch_size: examples of one update; all where there are fewer.
    :param epochs: passes over the data that `fit` makes. The benchmark sets its own budget.
    :param random_state: seed of the weights and the shuffles.
    :raises ValueError: for a parameter out of range.

    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    >>> MLP((32,), learning_rate_init=0.02, random_state=0).fit(X, y).predict(X).tolist()
    [0, 1, 1, 0]
    """

    version = 1
    takes_sparse = True
    budget_parameter = "epochs"
    fit_parameters = ("epochs",)
    inapplicable_checks: ClassVar = {
        f"check_sample_weight_equivalence_on_{kind}_data": "it compares seven digits, more than float32 sums keep"
        for kind in ("dense", "sparse")
    }
    example: ClassVar = {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01, "epochs": 60, "random_state": 0}

    hidden_layer_sizes: tuple[int, ...] = (400, 200, 200, 200, 200, 200)
    head: Literal["regressor", "classifier"] = "regressor"
    activation: Literal["relu", "tanh", "logistic", "identity"] = "relu"
    alpha: float = hyperparameter(1e-4, at_least=0)
    learning_rate_init: float = hyperparameter(1e-3, above=0)
    batch_size: int = 200
    epochs: int = 200
    random_state: int | np.random.RandomState | None = None

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Shape, head, penalty, step size, batch."""
        width = trial.suggest_int("width", 50, 800, log=True)
        depth = trial.suggest_int("depth", 1, 6)
        return {
            "hidden_layer_sizes": (width,) * depth,
            "head": trial.suggest_categorical("head", ["regressor", "classifier"]),
            "alpha": trial.suggest_float("alpha", 1e-6, 1e-1, log=True),
            "learning_rate_init": trial.suggest_float("learning_rate_init", 1e-4, 1e-2, log=True),
            "batch_size": trial.suggest_int("batch_size", 32, 512, log=True),
        }

    def check(self) -> None:
        """Positive sizes and rates, known names."""
        check_fields(self)

    def steps_per_epoch(self, n_train: int) -> int:
        """⌈n / batch⌉."""
        return -(-n_train // min(self.batch_size, n_train))

    def granularity(self, n_train: int) -> int:
        """One epoch."""
        return self.steps_per_epoch(n_train)

    def default_steps(self, n_train: int) -> int:
        """``epochs`` passes."""
        return self.epochs * self.steps_per_epoch(n_train)

    def solo(self, problem: Problem) -> Solo:
        """This learner, trained epoch by epoch."""
        return _Epochs(self, problem)

    def _seed(self, anew: bool) -> int:
        """The seed of weights and shuffles, a new one or that of before, which learners of older versions lack."""
        if anew or not hasattr(self, "seed_"):
            self.seed_ = int(check_random_state(self.random_state).randint(LARGEST_SEED))
        return self.seed_

    def _going_on(self, problem: Problem) -> Training:
        wanted, found = self._network(len(problem.train)), self.model_
        fixed = [(type(network), network.hidden_layer_sizes) for network in (wanted, found)]
        if fixed[0] != fixed[1]:
            raise ValueError(
                "The head and the hidden_layer_sizes of MLP must be those of its weights to go on with them."
            )
        found.set_params(**wanted.get_params())
        found._optimizer.learning_rate_init = self.learning_rate_init
        return OneByOne([_Epochs(self, problem, goes_on=True)])

    def losses(self, scores: NDArray[np.floating], y: NDArray[np.intp]) -> NDArray[np.floating]:
        """Squared error of the regressor, −log p(y) of the classifier.

        Scores that were changed, so that some are negative, are cut off at 0 and divided by their sum.
        """
        if self.head == "regressor":
            return super().losses(scores, y)
        if (scores < 0).any():
            scores = np.maximum(scores, 0) / np.maximum(scores, 0).sum(axis=1, keepdims=True)
        return -np.log(np.maximum(scores[np.arange(len(y)), y].astype(np.float64), np.finfo(np.float32).tiny))

    @available_if(_classifies)
    def predict_proba(self, X: ArrayLike | Codes) -> NDArray[np.floating]:
        """Probabilities (N, C) of ``head="classifier"``: softmax. The regressor has `decision_function`."""
        return self.scores(X)

    def _scores(self, X: Any) -> NDArray[np.floating]:
        if isinstance(self.model_, MLPClassifier):
            return self.model_.predict_proba(X)
        return self.model_.predict(X).reshape(X.shape[0], -1)

    def embed(self, codes: Codes) -> NDArray[np.floating]:
        """The image of every code under the first layer, (S, U, D)."""
        return codes.table_UF @ self.model_.coefs_[0].reshape(codes.n_slots, codes.n_features, -1)

    def _network(self, n_train: int) -> MLPRegressor | MLPClassifier:
        network = MLPRegressor if self.head == "regressor" else MLPClassifier
        return network(
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            alpha=self.alpha,
            learning_rate_init=self.learning_rate_init,
            batch_size=min(self.batch_size, n_train),
            tol=0.0,
            n_iter_no_change=NEVER,
        )


class _Epochs(Solo):
    """One MLP, trained by `partial_fit`, which keeps Adam's state where `fit` would reset it.

    :param goes_on: begin with the learner's own network and its seed.
    """

    learner: MLP

    def __init__(self, learner: Learner, problem: Problem, goes_on: bool = False) -> None:
        super().__init__(learner, problem)
        self.n = len(problem.train)
        self.per_epoch = self.learner.steps_per_epoch(self.n)
        self.seed = self.learner._seed(anew=not goes_on)
        if not goes_on:
            self.learner.model_ = self.learner._network(self.n)
        self.earlier = len(self.learner.model_.loss_curve_) if goes_on else 0  # epochs; ``n_iter_`` is that of a call
        self._rows = self.train_rows
        targets = self.onehot_targets
        targets = targets.ravel() if targets.shape[1] == 1 else targets  # as scikit-learn has a single output
        self._targets = targets if self.learner.head == "regressor" else problem.y

    def advance(self, step: int) -> None:
        while self.step < step and not self.diverged:
            self._epoch()

    def _epoch(self) -> None:
        network = self.learner.model_
        # A fixed integer would repeat one shuffle; a stream would make an epoch depend on all earlier ones.
        epoch = self.earlier + self.step // self.per_epoch
        epoch_seed = np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]
        network.random_state = int(epoch_seed)
        more: dict[str, Any] = {} if self.problem.weight is None else {"sample_weight": self.problem.weight}
        if self.learner.head == "classifier":
            more["classes"] = np.arange(self.problem.n_classes)
        try:
            with np.errstate(all="ignore"):  # of this thread alone, which filters of warnings are not
                network.partial_fit(self._rows, self._targets, **more)
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            self.diverged = True
        self.step += self.per_epoch

    def state(self) -> State:
        arrays: State = {"step": np.array(self.step), "t": np.array(self.learner.model_._optimizer.t)}
        for name, group in self._groups():
            arrays |= {f"{name}{i}": array.copy() for i, array in enumerate(group)}
        return arrays

    def restore(self, state: State) -> None:
        self.step = 0
        self._epoch()  # scikit-learn builds weights and optimizer on first use
        for name, group in self._groups():
            for i, array in enumerate(group):
                array[...] = state[f"{name}{i}"]
        self.learner.model_._optimizer.t = int(state["t"])
        self.step = int(state["step"])

    def _groups(self) -> list[tuple[str, list[NDArray[np.float32]]]]:
        # scikit-learn has no public access to Adam's moments.
        network = self.learner.model_
        moments = network._optimizer
        return [("w", network.coefs_), ("b", network.intercepts_), ("m", moments.ms), ("v", moments.vs)]

    def parameters(self) -> int:
        return sum(width_in * width_out + width_out for width_in, width_out in pairwise(self._widths()))

    def flops(self, step: int) -> int | None:
        """Products, elementwise arithmetic and Adam, counted as for the learners of PyTorch: one for each number.

        An example takes, for widths w₀ … w_L: products 2 Σ wₗ wₗ₊₁ forward, as many for the gradient by weights, and as
        many but for the first layer by inputs; 5 Σ wₗ₊₁ for bias, activation, its derivative, and the sum that is the
        gradient of the bias, or at the end the error and its square. An update takes 17 for each weight: 5 for the
        penalty and the mean over the batch, 12 of Adam, which are all that a bias takes.
        """
        epochs, layers = step // self.per_epoch, list(pairwise(self._widths()))
        products = [2 * width_in * width_out for width_in, width_out in layers]
        outputs = sum(width_out for _, width_out in layers)
        per_example = 3 * sum(products) - products[0] + 5 * outputs
        per_update = 17 * sum(products) // 2 + 12 * outputs
        return epochs * (self.n * per_example + self.per_epoch * per_update)

    def _widths(self) -> list[int]:
        outputs = self.problem.n_classes
        if self.learner.head == "classifier" and outputs == 2:
            outputs = 1
        return [self.X.shape[1], *self.learner.hidden_layer_sizes, outputs]
