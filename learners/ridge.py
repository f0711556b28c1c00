"""Ridge regression on one-hot targets: what a linear read-out finds in a code."""

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.linear_model import Ridge as RidgeRegression

from encoders._check import require_number
from learners._closed_form import ClosedForm
from learners._outside import Weighted

ITERATIVE: Final[dict[str, Any]] = {"solver": "sparse_cg", "tol": 1e-10}
"""How sparse rows are solved, which are never written out. scikit-learn's usual tolerance is 1e-4."""


class Ridge(Weighted, ClosedForm):
    """The linear map W, b with the smallest ‖XW + b − Y‖² + α‖W‖²; the largest output wins. Y is one-hot.

    It learns no features. As a probe it shows how much of a task the encoding alone solves. Sparse rows are solved by
    conjugate gradients without being written out, to a residual of 1e-10. A weight multiplies the squared error of its
    row: a row of weight 2 is a row given twice.

    Source: Hoerl & Kennard 1970 (doi 10.1080/00401706.1970.10488634); computed by scikit-learn.

    :param alpha: α > 0.
    :raises ValueError: for an α that is not positive.

    >>> Ridge().fit([[0.0, 1.0], [1.0, 0.0]], [3, 5]).predict([[0.9, 0.2]]).tolist()
    [5]
    """

    version = 1
    takes_sparse = True
    example: ClassVar = {"alpha": 0.1}

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """α."""
        return {"alpha": trial.suggest_float("alpha", 1e-4, 1e4, log=True)}

    def check(self) -> None:
        """α > 0."""
        require_number(self, "alpha", above=0)

    def _solve(self, X: Any, targets_NC: NDArray[np.float32], weight: NDArray[np.float64] | None = None) -> Any:
        # float64: the normal equations square the condition number of a code.
        solver = RidgeRegression(alpha=self.alpha, **(ITERATIVE if issparse(X) else {}))
        return solver.fit(X.astype(np.float64), targets_NC.astype(np.float64), sample_weight=weight)

    def _scores(self, X: Any) -> NDArray[np.floating]:
        return self.model_.predict(X.astype(np.float64)).reshape(X.shape[0], -1)

    def operations(self, n_train: int, n_features: int, n_classes: int) -> int:
        """Means taken off, normal equations, Cholesky's factor, two triangular solves, intercept.

        With S = min(N, F) the side of the system, XᵀX or, for more features than rows, XXᵀ:
        2 N (F + C) + 2 N F S + S³/3 + 2 S² C + 2 N F C + 2 F C.
        """
        n, f, c, side = n_train, n_features, n_classes, min(n_train, n_features)
        return 2 * n * (f + c) + 2 * n * f * side + side**3 // 3 + 2 * side**2 * c + 2 * n * f * c + 2 * f * c

    def _parameters(self) -> int:
        return int(self.model_.coef_.size + np.size(self.model_.intercept_))
