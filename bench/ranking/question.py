"""What a ranking is asked: by which criterion rows are ranked, and in which blocks."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from bench.errors import RequestError, one_of
from bench.ranking.criteria import CRITERIA, CROSSINGS, Criterion, Unit
from bench.results import TARGETS

FILTERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "encoder": lambda spec: spec["encoder"]["name"],
    "learner": lambda spec: spec["learner"]["name"],
    "optimizer": lambda spec: (spec["optimizer"] or {}).get("name"),
    "task": lambda spec: spec["task"],
    "pairs": lambda spec: spec["protocol"],
    "train_fraction": lambda spec: spec["train_fraction"],
    "modulus": lambda spec: spec["modulus"],
    "label_noise": lambda spec: spec.get("label_noise", 0.0),
}
"""The value of a spec that each filter compares, by the name of the filter."""

BLOCK_FIELDS = ("task", "task_parameters", "modulus", "protocol", "train_fraction", "label_noise")
"""Fields of a config that belong to the block, not to the row."""


@dataclass(frozen=True)
class Question:
    """What rows are ranked by.

    :param by: the name of a criterion.
    :param target: the test accuracy to reach.
    :param crossing: "first": reached once, whatever comes after; "sustained": reached and held from then on.
    :param horizon: up to where all runs are read, in `unit`; None takes, in each block, the smallest budget of a row.
    """

    by: str = "accuracy"
    target: float = 0.99
    crossing: str = "sustained"
    horizon: float | None = None

    @property
    def criterion(self) -> Criterion:
        """The criterion of that name."""
        return CRITERIA[self.by]

    @property
    def unit(self) -> Unit:
        """What crossings and the horizon are counted in."""
        return self.criterion.unit

    def checked(self) -> "Question":
        """The question with numbers of the right type.

        :raises RequestError: for a value that is not allowed.
        """
        if self.by not in CRITERIA:
            raise RequestError(one_of("`by`", self.by, CRITERIA))
        if self.crossing not in CROSSINGS:
            raise RequestError(one_of("`crossing`", self.crossing, CROSSINGS))
        if self.target not in TARGETS:
            raise RequestError(f"`target` must be one of {', '.join(map(str, TARGETS))}, got {self.target}.")
        horizon, steps = self.horizon, self.unit.name == "steps"
        if horizon is not None and (not 0 < horizon < math.inf or (steps and horizon != int(horizon))):
            least = "a step ≥ 1" if steps else f"a number of {self.unit.name} above 0"
            raise RequestError(f"`horizon` must be {least}, got {horizon:g}.")
        return replace(self, target=float(self.target), horizon=int(horizon) if horizon and steps else horizon)


class Block(NamedTuple):
    """The conditions that rows of one table share: rows of different blocks are not compared.

    :param train_fraction: None where rows are ranked by the fraction that they need.
    :param board: the rule by which rows were tuned, in words; "" for rows that were not tuned.
    :param label_noise: the share of the training answers that are wrong: with another one, it is another question.
    """

    task: str
    modulus: int | None
    task_parameters: str
    protocol: str
    train_fraction: float | None
    board: str = ""
    label_noise: float = 0.0

    @property
    def title(self) -> str:
        """As "add mod 97 · unordered pairs · 50 % train · tuned: 64 trials"."""
        return _title(self)

    @property
    def sort_key(self) -> tuple[str, int, str, float, float, str, str]:
        """Blocks are sorted by this: None cannot be compared."""
        fraction = self.train_fraction or 0.0
        conditions = self.protocol, fraction, self.label_noise
        return self.task, self.modulus or 0, *conditions, self.task_parameters, self.board


@cache
def _title(block: Block) -> str:
    modulus = "" if block.modulus is None else f" mod {block.modulus}"
    usual = {None} if block.modulus is None else {None, block.modulus - 1}
    values = json.loads(block.task_parameters)
    parameters = "".join(f", {name}={value}" for name, value in values.items() if value not in usual)
    fraction = "" if block.train_fraction is None else f" · {100 * block.train_fraction:g} % train"
    noise = f" · {100 * block.label_noise:g} % label noise" if block.label_noise else ""
    board = f" · {block.board}" if block.board else ""
    return f"{block.task}{modulus}{parameters} · {block.protocol} pairs{fraction}{noise}{board}"
