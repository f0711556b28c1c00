"""Clocks with random phases: the CycleEncoder and the VarCycleEncoder in one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from encoders._base import LARGEST_INTEGER, Block, Encoder, PerColumn, Values, numbered
from encoders._check import is_number, require, require_choice, require_random_state, require_size
from encoders._inverse import Nearest


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


@dataclass(eq=False, repr=False)
class Cycle(Nearest, Encoder):
    """The hands of n clocks, each with a random start: a value advances every clock.

    zᵢ(x) = w(frac(x / Pᵢ + φᵢ)), φᵢ ~ U(0, 1), i = 1 … n. With one period P for all this is the CycleEncoder; with a
    range (l, h), Pᵢ ~ U(l, h), the VarCycleEncoder. w is the wave: sawtooth t; cosine cos 2πt; triangle
    ``|2t − 1|``; square [t < ½]. Sparsified, the code is the k clocks nearest twelve. Every number has a code, up
    to 2^53 turns of the fastest clock.

    NOTE: No original source is public. This is the reconstruction that reproduces the author's figures: codes are
    added first and sparsified afterwards, and the wave is the sawtooth.

    Source: HTM forum, topic "CycleEncoder and VarCycleEncoder".

    :param n: number of clocks, the features F of the code.
    :param period: one period in the unit of x, or the range (l, h) that periods are drawn from. It must be given; the
        benchmark has (2, 10).
    :param wave: "sawtooth", "cosine", "triangle" or "square".
    :param random_state: seed of phases and periods. An integer by default, so that two encoders agree.
    :raises ValueError: for n < 1, no period or one that is not positive, an empty range or an unknown wave.

    >>> Cycle(n=3, period=12, wave="square").fit_transform([[0], [6], [12]]).tolist()
    [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """

    version = 1
    domain = "real"
    default_combine = "sum"
    benchmark_defaults: ClassVar = {"period": (2.0, 10.0)}
    example: ClassVar = {"n": 40, "period": (2.0, 10.0)}

    n: PerColumn[int] = 400
    period: PerColumn[float | tuple[float, float] | None] = None
    wave: PerColumn[Literal["sawtooth", "cosine", "triangle", "square"]] = "sawtooth"
    random_state: int | np.random.RandomState | None = 0

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
        return max(1, self._own.n // 2)

    @property
    def periods(self) -> tuple[float, ...]:
        """The periods that were given as such, not as a range."""
        given = self.period.values() if isinstance(self.period, Mapping) else (self.period,)
        ranges = [_range(one) for one in given if one is not None]
        return tuple(float(low) for low, high in ranges if low == high)

    def check(self) -> None:
        """n ≥ 1, 0 < l ≤ h, a known wave."""
        require_size(self, "n")
        require_choice(self, "wave", WAVES)
        require_random_state(self)
        bounds: Any = self.period if isinstance(self.period, Sequence) else (self.period,)
        valid = len(bounds) in (1, 2) and all(map(is_number, bounds)) and 0 < bounds[0] <= bounds[-1]
        require(
            self,
            "period",
            valid,
            "given: a number > 0, a range (low, high) with 0 < low ≤ high, or a mapping as {'hour': 24}",
        )

    def _fit(self, values: Values) -> Sequence[str]:
        random, n = check_random_state(self.random_state), self._own.n
        self.phases_ = random.uniform(0, 1, n)
        low, high = _range(self.period)
        self.periods_ = random.uniform(low, high, n)
        return numbered(n)

    def _encode(self, values: Values) -> Block:
        with np.errstate(over="ignore"):
            turns = values[:, np.newaxis] / self.periods_ + self.phases_
        if not (np.abs(turns) <= LARGEST_INTEGER).all():
            raise ValueError(f"Cycle counts up to 2^53 turns: period={self.period!r} is too short for the values.")
        return WAVES[self._own.wave](turns - np.floor(turns)).astype(np.float32)

    def _candidates(self) -> tuple[float, float, int]:
        """Steps of 1/32 of the shortest period over the range that `fit` saw; of one period, over one turn at most."""
        (low, high), (shortest, longest) = self._searched, _range(self.period)
        step = float(shortest) / 32
        last = low + longest - step if shortest == longest else high
        return low, step, 1 + int(np.ceil((min(high, last) - low) / step))

    def _decode(self, codes_NF: NDArray[np.float64]) -> Values:
        """The number whose code is nearest; of one period, the one in the turn from the least that `fit` saw on."""
        numbers = super()._decode(codes_NF)
        low, (shortest, longest) = self.seen_[0], _range(self.period)
        return low + np.mod(numbers - low, longest) if shortest == longest else numbers

    def _refined(self, codes_NF: NDArray[np.float64], numbers: Values, first: float, step: float, count: int) -> Values:
        """As for other codes, but the hands of a sawtooth jump, so that they are first compared around their clocks."""
        if self.wave != "sawtooth":
            return super()._refined(codes_NF, numbers, first, step, count)
        around = numbers
        for _ in range(2):
            turns = codes_NF - around[:, np.newaxis] / self.periods_ - self.phases_
            around = around + np.median((turns - np.rint(turns)) * self.periods_, axis=1)
        apart = [((self._dense(x) - codes_NF) ** 2).sum(axis=1) for x in (numbers, around)]
        closer = apart[1] < apart[0]
        numbers = np.where(closer, around, numbers)
        if not closer.all():  # other codes than hands of clocks, such as sparse ones
            numbers[~closer] = super()._refined(codes_NF[~closer], numbers[~closer], first, step, count)
        return numbers


def _range(period: Any) -> tuple[float, float]:
    return (period[0], period[-1]) if isinstance(period, Sequence) else (period, period)
