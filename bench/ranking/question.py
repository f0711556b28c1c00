"""What a ranking is asked: by which criterion, in which block."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["FILTERS", "OF_BLOCKS", "TIMED", "Block", "Question"]

TIMED = ("steps", "seconds", "flops")


FILTERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "encoder": lambda spec: spec["encoder"]["name"],
    "learner": lambda spec: spec["learner"]["name"],
    "task": lambda spec: spec["task"],
    "pairs": lambda spec: spec["protocol"],
    "train_fraction": lambda spec: spec["train_fraction"],
    "modulus": lambda spec: spec["modulus"],
}


OF_BLOCKS = ("task", "task_parameters", "modulus", "protocol", "train_fraction")


@dataclass(frozen=True)
class Question:
    """What rows are ordered by.

    :param by: "accuracy", "steps", "seconds", "flops" or "fraction".
    :param target: the test accuracy to reach.
    :param crossing: "first": reached once, whatever comes after; "sustained": reached and held from then on.
    :param horizon: up to where all runs are read, in `unit`; None takes, in each block, the smallest budget of a row.
    """

    by: str = "accuracy"
    target: float = 0.99
    crossing: str = "sustained"
    horizon: float | None = None

    @property
    def unit(self) -> str:
        """What crossings and the horizon are counted in."""
        return self.by if self.by in ("seconds", "flops") else "steps"


class Block(NamedTuple):
    """What a row answers: rows of different blocks answer different questions.

    :param train_fraction: None where rows differ by the fraction that they need.
    :param board: the rule by which rows were tuned, in words; "" for settings as somebody chose them.
    """

    task: str
    modulus: int | None
    task_parameters: str
    protocol: str
    train_fraction: float | None
    board: str = ""

    @property
    def title(self) -> str:
        """As "add mod 97 · unordered pairs · 50 % train · tuned: 64 trials"."""
        modulus = "" if self.modulus is None else f" mod {self.modulus}"
        usual = {None} if self.modulus is None else {None, self.modulus - 1}
        values = json.loads(self.task_parameters)
        parameters = "".join(f", {name}={value}" for name, value in values.items() if value not in usual)
        fraction = "" if self.train_fraction is None else f" · {100 * self.train_fraction:g} % train"
        board = f" · {self.board}" if self.board else ""
        return f"{self.task}{modulus}{parameters} · {self.protocol} pairs{fraction}{board}"

    @property
    def place(self) -> tuple[str, int, str, float, str, str]:
        """To sort by."""
        fraction = self.train_fraction or 0.0
        return self.task, self.modulus or 0, self.protocol, fraction, self.task_parameters, self.board
