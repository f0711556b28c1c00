"""Encoders whose code covers a range of numbers."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if

from encoders._admitted import Admitted
from encoders._base import Encoder, Values
from encoders._check import require_choice
from encoders._columns import column_names, for_each, names_of, one_for_each

Unknown = Literal["error", "zeros", "clip"]


def _can_be_learned_in_parts(encoder: "Bounded") -> bool:
    """Whether there is `partial_fit`."""
    if not encoder._learns_range_alone:
        raise AttributeError(
            f"{type(encoder).__name__} has no partial_fit without a size or a resolution: it would have to learn "
            "quantiles."
        )
    return True


@dataclass(kw_only=True, eq=False, repr=False)
class Bounded(Encoder):
    """An encoder that has codes for the numbers of a range alone, each column for its own range.

    :param unknown: what to do with numbers that have no code. "error" refuses them, "zeros" writes a code of zeros,
        and "clip" takes the nearest number of the range.
    """

    unknown: Unknown = "error"

    @property
    @abstractmethod
    def _bounds(self) -> tuple[float, float]:
        """The least and the greatest number of one column that have a code, once fitted."""

    @property
    def _learns_range_alone(self) -> bool:
        """Whether the least and the greatest number are all that the code of a column is learned from."""
        return True

    def check(self) -> None:
        """A known way with unknown numbers."""
        super().check()  # type: ignore[safe-super]
        require_choice(self, "unknown", ("error", "zeros", "clip"))

    @available_if(_can_be_learned_in_parts)
    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:
        """Widen the range of each column by the numbers of X (n, columns); the first call is as `fit`. y is ignored.

        :raises ValueError: as `fit` does.
        :raises AttributeError: where more than the range is learned, so that there is no `partial_fit`.
        """
        known = self.columns_ if self.__sklearn_is_fitted__() else []
        values_NC = self._numbers(X, reset=not known)
        columns: list[Self] = one_for_each(self, names_of(self, X))
        for column, before in zip(columns, known, strict=False):  # of a first call none is known
            column.seen_ = before.seen_
            if "random_state" in vars(column):
                vars(column)["random_state"] = vars(before)["random_state"]
        for_each(columns, column_names(self), values_NC, type(self)._widen)
        self._keep(columns)
        return self

    def _widen(self, values: Values) -> None:
        present = self._present(values)
        low, high = getattr(self, "seen_", (np.inf, -np.inf))
        ends = np.array([min(low, present.min()), max(high, present.max())])
        self._learn(ends, *ends.tolist())

    def _clip(self, values: Values) -> Values:
        return np.clip(values, *self._bounds)

    def _admit(self, values: Values) -> Admitted:
        missing = np.isnan(values)
        low, high = self._bounds
        without: NDArray[np.bool_] = (values < low) | (values > high)
        if self.domain == "categorical" and self.unknown == "zeros":
            without |= (values != np.floor(values)) & ~missing
        if self.unknown == "clip" and without.any():
            values = self._clip(values)
        if self.unknown != "zeros":
            self._refuse_others(values[~missing] if missing.any() else values)
        if self.unknown == "error":
            self._refuse_outside(values, without)
        absent = missing | without if self.unknown == "zeros" else missing
        if not absent.any():
            return Admitted(self, values, None, None)
        return Admitted(
            self,
            np.where(absent, np.clip(self.seen_[0], low, high), values),
            absent,
            missing if missing.any() else None,
        )

    def _refuse_outside(self, values: Values, without: NDArray[np.bool_]) -> None:
        if without.any():
            raise ValueError(
                f"{type(self).__name__} has codes for {self._range_in_words()}, got {values[without][0]:g}: "
                "unknown='zeros' or 'clip' takes it."
            )

    def _range_in_words(self) -> str:
        low, high = self._bounds
        return f"numbers from {low:g} to {high:g}"
