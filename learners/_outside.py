"""What some learners offer beside the contract to those who use them outside of the benchmark."""

import copy
from abc import abstractmethod
from typing import Self

from numpy.typing import ArrayLike

from encoders import Codes
from learners._base import Learner, Training
from learners._inputs import problem_of
from learners._problem import Problem


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


class Incremental(Weighted):
    """A learner that can go on learning, from more rows or from the same."""

    def partial_fit(
        self,
        X: ArrayLike | Codes,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one pass over X (N, F) and y (N,), from where `fit` or the call before stopped.

        Weights and the optimizer's state go on; batches are drawn from these rows alone, in an order of its own for
        each call that follows from the seed. What is kept for the next call is as large as the optimizer's state: of
        Adam two numbers for each weight. A schedule of the step size goes on, too: once it has come to 0, nothing is
        learned. Where a call fails, the learner stays what it was.

        :param classes: all classes that exist; a first call needs them, since later rows may show others.
        :param sample_weight: as in `fit`. Weights are relative to those of the same call.
        :raises ValueError: as `fit` does; for a first call without classes; for other classes or another number of
            features than before; and for parameters that were changed so that the weights do not fit any more.
        """
        self.check()
        goes_on = self.__sklearn_is_fitted__()
        if classes is None and not goes_on:
            raise ValueError(f"The classes of {type(self).__name__} must be passed on the first call to partial_fit.")
        before = copy.deepcopy(vars(self)) if goes_on else {}
        try:
            problem = problem_of(self, X, y, classes, sample_weight, goes_on)
            training = self._going_on(problem) if goes_on else self.begin([self], [problem])
            return self._finish(training, self.steps_per_epoch(len(problem.train)))
        except ValueError:
            if goes_on:
                vars(self).clear()
                vars(self).update(before)
            raise

    @abstractmethod
    def _going_on(self, problem: Problem) -> Training:
        """A training at step 0 that begins with what this learner has learned.

        :raises ValueError: where the weights do not fit the parameters or the problem.
        """
