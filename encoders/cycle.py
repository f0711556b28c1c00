"""Clocks with random phases: the CycleEncoder and the VarCycleEncoder in one."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from encoders._base import LARGEST_INTEGER, Block, Encoder, Values, numbered
from encoders._check import is_number, require, require_choice, require_integer, require_random_state


def sawtooth(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rises from 0 to 1 within a turn, then falls back at once."""
    return turn


def cosine(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cos 2πt."""
    return np.cos(2 * np.pi * turn)


def triangle(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Falls from 1 at t = 0 to 0 at t = 1/2 and rises again."""
    return np.abs(2 * turn - 1)


def square(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 in the first half of a turn, 0 in the second."""
    return (turn < 0.5).astype(np.float64)


WAVES = {wave.__name__: wave for wave in (sawtooth, cosine, triangle, square)}


class Cycle(Encoder):
    """The hands of n clocks, each with a random start: a value advances every clock.

    zᵢ(x) = w(frac(x / Pᵢ + φᵢ)), φᵢ ~ U(0, 1), i = 1 … n. With one period P for all this is the CycleEncoder; with a
    range (l, h), Pᵢ ~ U(l, h), the VarCycleEncoder. w is the wave: sawtooth t; cosine cos 2πt; triangle
    ``|2t − 1|``; square [t < ½]. Sparsified, the code is the k clocks nearest twelve.

    NOTE: No original source is public. This is the reconstruction that reproduces the author's figures: codes are
    added first and sparsified afterwards, and the wave is the sawtooth.

    Source: HTM forum, topic "CycleEncoder and VarCycleEncoder".

    :param n: number of clocks, the features F of the code.
    :param period: one period in the unit of x, or the range (l, h) that periods are drawn from.
    :param wave: "sawtooth", "cosine", "triangle" or "square".
    :param random_state: seed of phases and periods. An integer by default, so that two encoders agree.
    :raises ValueError: for n < 1, a period that is not positive, an empty range or an unknown wave.

    >>> Cycle(n=3, period=12, wave="square").fit_transform([[0], [6], [12]]).tolist()
    [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """

    version = 1
    domain = "real"
    default_combine = "sum"
    example: ClassVar = {"n": 40}

    def __init__(
        self,
        n: int = 400,
        period: float | tuple[float, float] = (2.0, 10.0),
        wave: Literal["sawtooth", "cosine", "triangle", "square"] = "sawtooth",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.n = n
        self.period = period
        self.wave = wave
        self.random_state = random_state

    @staticmethod
    def suggest(trial: Any) -> dict[str, Any]:
        """Number of clocks, the range of their periods, the wave."""
        low = trial.suggest_float("period_low", 1.0, 8.0, log=True)
        ratio = trial.suggest_float("period_ratio", 1.0, 32.0, log=True)
        return {
            "n": trial.suggest_int("n", 50, 800, log=True),
            "period": (low, low * ratio),
            "wave": trial.suggest_categorical("wave", list(WAVES)),
        }

    @property
    def default_sdr(self) -> int | None:
        """Half of the clocks: 200 of 400, measured better than 133 and 50 for a + b mod 97."""
        return max(1, self.n // 2)

    @property
    def periods(self) -> tuple[float, ...]:
        """The period, where one was given."""
        low, high = self._period_range()
        return (float(low),) if low == high else ()

    def check(self) -> None:
        """n ≥ 1, 0 < l ≤ h, a known wave."""
        require_integer(self, "n")
        require_choice(self, "wave", WAVES)
        require_random_state(self)
        bounds = self.period if isinstance(self.period, Sequence) else (self.period,)
        valid = len(bounds) in (1, 2) and all(map(is_number, bounds)) and 0 < bounds[0] <= bounds[-1]
        require(self, "period", valid, "a number > 0 or a range (low, high) with 0 < low ≤ high")

    def _period_range(self) -> tuple[float, float]:
        return (self.period[0], self.period[-1]) if isinstance(self.period, Sequence) else (self.period, self.period)

    def _fit(self, values: Values) -> Sequence[str]:
        random = check_random_state(self.random_state)
        self.phases_ = random.uniform(0, 1, self.n)
        low, high = self._period_range()
        self.periods_ = random.uniform(low, high, self.n)
        return numbered(self.n)

    def _encode(self, values: Values) -> Block:
        with np.errstate(over="ignore"):
            turns = values[:, np.newaxis] / self.periods_ + self.phases_
        if not (np.abs(turns) <= LARGEST_INTEGER).all():
            raise ValueError(f"Cycle counts up to 2^53 turns: period={self.period!r} is too short for the values.")
        return WAVES[self.wave](turns - np.floor(turns)).astype(np.float32)
