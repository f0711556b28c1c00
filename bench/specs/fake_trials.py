"""Objects with the methods of an Optuna trial, which describe a search space or draw from it without Optuna."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class RecordingTrial:
    """Suggests the middle of each range, and records the ranges in words.

    :param last: the name of a range of which it suggests the upper end instead, or the last choice.
    :ivar ranges: by name, as "1 … 64, logarithmic".
    """

    def __init__(self, last: str | None = None) -> None:
        self.last = last
        self.ranges: dict[str, str] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """The middle of the range, geometric where it is logarithmic."""
        self.ranges[name] = f"{low:g} … {high:g}{', logarithmic' if log else ''}{f', step {step:g}' if step else ''}"
        middle = float(np.sqrt(low * high)) if log else (low + high) / 2
        return high if name == self.last else middle

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The middle of the range, geometric where it is logarithmic."""
        self.ranges[name] = f"{low} … {high}{', logarithmic' if log else ''}{f', step {step}' if step > 1 else ''}"
        middle = np.sqrt(low * high) if log else (low + high) / 2
        return high if name == self.last else low + round((middle - low) / step) * step

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The first choice."""
        self.ranges[name] = ", ".join(map(str, choices))
        return choices[-1 if name == self.last else 0]


class RandomTrial:
    """Suggests random values."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Uniform in the range, or in its logarithm."""
        if step:
            return low + step * float(self.rng.integers(0, int((high - low) / step) + 1))
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))) if log else self.rng.uniform(low, high))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Uniform in the range, or in its logarithm."""
        if log:
            return int(np.clip(round(np.exp(self.rng.uniform(np.log(low), np.log(high)))), low, high))
        return low + step * int(self.rng.integers(0, (high - low) // step + 1))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Any choice."""
        return choices[int(self.rng.integers(len(choices)))]


def described_ranges(suggest: Callable[[Any], dict[str, Any]]) -> dict[str, str]:
    """The ranges of a search space in words, by name."""
    trial = RecordingTrial()
    suggest(trial)
    return trial.ranges


def described_draws(suggest: Callable[[Any], dict[str, Any]]) -> dict[str, dict[str, str]]:
    """For each parameter of a search space, the name and the range, in words, of each number that it depends on.

    A space may draw numbers that are no parameters themselves, such as the width and the depth that make layer sizes.
    """
    trial = RecordingTrial()
    middle = suggest(trial)
    found: dict[str, dict[str, str]] = {parameter: {} for parameter in middle}
    for name, words in trial.ranges.items():
        moved = suggest(RecordingTrial(name))
        for parameter in middle:
            if moved.get(parameter) != middle[parameter] or name == parameter:
                found[parameter][name] = words
    return found
