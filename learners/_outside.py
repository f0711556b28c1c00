"""What some learners offer beside the contract to those who use them outside of the benchmark."""

from typing import Self

from numpy.typing import ArrayLike

from encoders import Codes
from learners._base import Learner


class Weighted(Learner):
    """A learner whose training rows may have weights."""

    def fit(
        self,
        X: ArrayLike | Codes,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on X, a matrix (N, F), dense or sparse, or `Codes`, and labels y (N,) for the default budget.

        :param classes: all classes that exist, where y may miss some.
        :param sample_weight: how much each row counts, (N,) finite numbers ≥ 0. Rows of weight 0 are left out, as if
            they had not been given. The learner says what the others do to its loss.
        :raises ValueError: for a parameter out of range, labels that are not among ``classes``, or weights of another
            number or kind.
        """
        return self._fit(X, y, classes, sample_weight)
