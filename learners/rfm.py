"""The recursive feature machine: a kernel machine that learns features without gradient descent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from encoders import Codes
from encoders._check import require
from learners._agop import KERNELS
from learners._base import Learner, Setting, Training
from learners._exclusive import one_at_a_time
from learners._feature_machines import FeatureMachine, FeatureMachines
from learners._hyperparameters import check_fields, defaults, hyperparameter
from learners._problem import Problem

ROWS = 2048
"""Rows that are scored at a time, which bounds the memory."""


@dataclass(eq=False, repr=False)
class RFM(FeatureMachine):
    """Kernel regression on one-hot targets whose metric is made of its own gradients, step by step.

    The metric M is the identity at first. A step is

    - from the second on M ← G^s · D / tr(G^s), where G = (1/N) Σ_x Σ_c (∇f_c(x) − ḡ_c) (∇f_c(x) − ḡ_c)ᵀ is the average
      gradient outer product of f over the N training rows x and the classes c, and ḡ_c the mean of ∇f_c over the rows;
    - α = (K + ρ k I)⁻¹ Y, where K = k_M(X, X) of the training rows, k is the mean of K's diagonal, and Y is one-hot;
      then f(x) = k_M(x, X) α.

    ``kernel="quadratic"``: k_M(x, z) = (xᵀ M z)². ``kernel="gaussian"``: exp(−(x − z)ᵀ M (x − z) / L). The largest
    output wins. The first step is the plain kernel machine; before it all scores are 0. Nothing is random.

    Steps of R replicas are one batch of linear algebra on a CPU or a GPU, of replicas with equally many training rows,
    always in float64, since K is nearly singular. A step takes memory for N² numbers and time for N³ operations.

    Source: Mallinar et al. 2024, "Emergence in non-neural models: grokking modular arithmetic via average gradient
    outer product" (arXiv 2407.20199), and its public code: p = 61, 50 % of the pairs, 50 iterations, s = 1/2, ρ = 0,
    L = 2 · 2.5², centred gradients. The algorithm is of Radhakrishnan et al. 2022 (arXiv 2212.13881).

    NOTE: theirs does not scale M. The quadratic kernel does not depend on its scale; the Gaussian kernel does, whose L
    here means the same in every step. Their ridge is 0 and would be absolute; here it is relative to K and not 0, so
    that rows may be given twice.

    :param kernel: "quadratic" or "gaussian".
    :param ridge: ρ ≥ 0, as a part of the mean of K's diagonal.
    :param bandwidth: L > 0 of the Gaussian kernel, in units of squared distances between codes.
    :param power: s > 0.
    :param steps: steps that `fit` makes. The benchmark sets its own budget.
    :raises ValueError: for a parameter out of range, or a bandwidth for the quadratic kernel.

    >>> import numpy as np
    >>> pairs = np.random.default_rng(0).permutation([[a, b] for a in range(23) for b in range(23)])
    >>> X, y = np.eye(23)[pairs].reshape(529, 46), pairs.sum(axis=1) % 23
    >>> kernel_machine = RFM("gaussian", bandwidth=50.0, steps=1).fit(X[:370], y[:370])
    >>> feature_machine = RFM("gaussian", bandwidth=50.0, steps=20).fit(X[:370], y[:370])
    >>> kernel_machine.score(X[370:], y[370:]) < 0.05, feature_machine.score(X[370:], y[370:]) > 0.95
    (True, True)
    """

    version = 1
    devices = ("cpu", "cuda")
    budget_parameter = "steps"
    fit_parameters = ("steps",)
    example: ClassVar = {"steps": 5}
    inapplicable_checks: ClassVar = {
        "check_classifiers_train": "the quadratic kernel is an even function: it scores x and −x alike",
    }

    kernel: Literal["quadratic", "gaussian"] = "quadratic"
    ridge: float = hyperparameter(1e-6, at_least=0, role="replica")
    bandwidth: float = hyperparameter(12.5, above=0, role="replica")
    power: float = hyperparameter(0.5, above=0, role="replica")
    steps: int = hyperparameter(50, role="run")

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Kernel, ridge, power, and the bandwidth of a Gaussian kernel."""
        kernel = trial.suggest_categorical("kernel", ["quadratic", "gaussian"])
        drawn = {
            "kernel": kernel,
            "ridge": trial.suggest_float("ridge", 1e-8, 1e-1, log=True),
            "power": trial.suggest_float("power", 0.25, 1.0),
        }
        if kernel == "gaussian":
            drawn["bandwidth"] = trial.suggest_float("bandwidth", 1.0, 1e3, log=True)
        return drawn

    def check(self) -> None:
        """Numbers within their bounds, known names, and no bandwidth where there is none."""
        check_fields(self)
        usual = defaults(type(self))["bandwidth"]
        without = self.kernel == "gaussian" or self.bandwidth == usual
        require(self, "bandwidth", without, f"left at {usual!r} with the quadratic kernel")

    def steps_per_epoch(self, n_train: int) -> int:
        """1: a step is a pass over the training rows."""
        return 1

    def granularity(self, n_train: int) -> int:
        """It can be evaluated after every step."""
        return 1

    def default_steps(self, n_train: int) -> int:
        """``steps``."""
        return self.steps

    def structure(self, n_train: int) -> tuple[Any, ...]:
        """The kernel; numbers may differ."""
        return type(self), self.kernel

    @classmethod
    def begin(
        cls, learners: Sequence[Learner], problems: Sequence[Problem], setting: Setting | None = None
    ) -> Training:
        """Train all of them as batches of linear algebra."""
        return FeatureMachines(cast("Sequence[FeatureMachine]", learners), problems, setting)

    def losses(self, scores: Any, y: Any) -> Any:
        """½ mean over classes of (score − onehot)², of arrays or tensors, with any dimensions in front."""
        scores = torch.as_tensor(scores)
        y = torch.as_tensor(y, device=scores.device)
        own = scores.gather(-1, y.unsqueeze(-1)).squeeze(-1).double()
        return 0.5 * (scores.double().square().sum(-1) - 2 * own + 1) / scores.shape[-1]

    def embed(self, codes: Codes) -> NDArray[np.floating]:
        """The image of every code under M^½, whose squared distances are those that the kernel sees, (S, U, D)."""
        values, vectors = np.linalg.eigh(self.model_["metric"])
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        return codes.table_UF @ root.reshape(codes.n_slots, codes.n_features, -1)

    @one_at_a_time
    def _scores(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        metric, centers, alpha = (
            torch.as_tensor(self.model_[name], dtype=torch.float64)[None] for name in ("metric", "centers", "alpha")
        )
        bandwidth = torch.tensor(float(self.bandwidth), dtype=torch.float64)
        rows = torch.as_tensor(np.asarray(X, dtype=np.float64))[None]
        scores = [KERNELS[self.kernel](part, centers, metric, bandwidth) @ alpha for part in rows.split(ROWS, dim=1)]
        return torch.cat(scores, dim=1)[0].numpy()
