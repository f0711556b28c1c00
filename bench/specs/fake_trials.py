"""Look into a search space: stand-ins for an Optuna trial that write down what is asked of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class RecordingTrial:
    """Answers every question with the middle of its range and remembers the question, for people."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """The middle of the range, geometric where it is logarithmic."""
        self.asked[name] = f"{low:g} … {high:g}{', logarithmic' if log else ''}{f', step {step:g}' if step else ''}"
        return float(np.sqrt(low * high)) if log else (low + high) / 2

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The middle of the range, geometric where it is logarithmic."""
        self.asked[name] = f"{low} … {high}{', logarithmic' if log else ''}{f', step {step}' if step > 1 else ''}"
        middle = np.sqrt(low * high) if log else (low + high) / 2
        return low + round((middle - low) / step) * step

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The first choice."""
        self.asked[name] = ", ".join(map(str, choices))
        return choices[0]


class RandomTrial:
    """Answers at random."""

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
    """What a search space asks, in words, by name."""
    recorder = RecordingTrial()
    suggest(recorder)
    return recorder.asked


class _Nudged(RecordingTrial):
    """Answers one question with an end of its range, all others with the middle."""

    def __init__(self, nudged: str) -> None:
        super().__init__()
        self.nudged = nudged

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """The upper end of the one, the middle of others."""
        middle = super().suggest_float(name, low, high, step=step, log=log)
        return high if name == self.nudged else middle

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The upper end of the one, the middle of others."""
        middle = super().suggest_int(name, low, high, step=step, log=log)
        return high if name == self.nudged else middle

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The last choice of the one, the first of others."""
        first = super().suggest_categorical(name, choices)
        return choices[-1] if name == self.nudged else first


def described_draws(suggest: Callable[[Any], dict[str, Any]]) -> dict[str, dict[str, str]]:
    """For each parameter that a search space gives, what is drawn for it: name and range in words.

    A space may draw what is no parameter itself: two ends of a range, the width and depth that make layer sizes.
    """
    recorder = RecordingTrial()
    middle = suggest(recorder)
    found: dict[str, dict[str, str]] = {parameter: {} for parameter in middle}
    for name, words in recorder.asked.items():
        moved = suggest(_Nudged(name))
        for parameter in middle:
            if moved.get(parameter) != middle[parameter] or name == parameter:
                found[parameter][name] = words
    return found
