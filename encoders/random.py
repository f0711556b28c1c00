"""Fixed random codes: a control without information about the numbers."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from encoders._base import Block, Encoder, Invertible, Values, numbered
from encoders._check import require_choice, require_integer, require_random_state


class Random(Invertible, Encoder):
    """A code for each value, drawn once: dense like a trained embedding, and saying as little as one-hot.

    z(x) = row x of a fixed table, of independent N(0, 1) or of −1 and +1 with equal chances. Rows do not depend on
    how many values there are.

    Source: random indexing, Kanerva et al. 2000; bipolar codes of Kanerva 2009 (doi 10.1007/s12559-009-9009-8).

    :param n: F, features of the code.
    :param distribution: "gaussian" or "bipolar".
    :param random_state: seed of the table. An integer by default, so that two encoders agree.
    :raises ValueError: for n < 1, an unknown distribution, or values beyond those seen by `fit`.

    >>> Random(n=4, distribution="bipolar").fit_transform([[0], [1], [0]]).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, 1.0, 1.0]]
    """

    version = 1
    domain = "categorical"
    example: ClassVar = {"n": 24}

    def __init__(
        self,
        n: int = 128,
        distribution: Literal["gaussian", "bipolar"] = "gaussian",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.n = n
        self.distribution = distribution
        self.random_state = random_state

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Size and distribution of the codes."""
        return {
            "n": trial.suggest_int("n", 16, 512, log=True),
            "distribution": trial.suggest_categorical("distribution", ["gaussian", "bipolar"]),
        }

    def check(self) -> None:
        """n ≥ 1, a known distribution."""
        require_integer(self, "n")
        require_choice(self, "distribution", ("gaussian", "bipolar"))
        require_random_state(self)

    def _fit(self, values: Values) -> Sequence[str]:
        table = check_random_state(self.random_state).standard_normal((int(values.max()) + 1, self.n))
        self.table_ = (np.where(table < 0, -1, 1) if self.distribution == "bipolar" else table).astype(np.float32)
        return numbered(self.n)

    def _encode(self, values: Values) -> Block:
        if values.max() >= len(self.table_):
            raise ValueError(f"Random was fitted on values below {len(self.table_)}, got {values.max():g}.")
        return self.table_[values.astype(np.intp)]

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The value whose code is nearest."""
        squares = (self.table_.astype(np.float64) ** 2).sum(axis=1)
        return (squares - 2 * codes_NF @ self.table_.T).argmin(axis=1).astype(np.float64)
