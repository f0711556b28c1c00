"""What stands in for an Optuna trial while a space is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.tuning.space.ranges import Choices, Range, drawn_as

__all__ = ["Asking", "Pinned"]


@dataclass
class Asking:
    """A trial as a learner's or encoder's `suggest` sees it: names get their owner, overrides count.

    :ivar asked: names that `suggest` asked for.
    """

    trial: Any
    owner: str
    ranges: Mapping[str, Range | Choices] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        """A number, unless the request says otherwise."""
        if self._is_said(name):
            return self.said(name, low + 0.0)
        return self.trial.suggest_float(f"{self.owner}.{name}", low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        """An integer, unless the request says otherwise."""
        if self._is_said(name):
            return self.said(name, low)
        return self.trial.suggest_int(f"{self.owner}.{name}", low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices, unless the request says otherwise."""
        if self._is_said(name):
            return self.said(name, choices[0])
        return self.trial.suggest_categorical(f"{self.owner}.{name}", choices)

    def said(self, name: str, like: Any) -> Any:
        """What the request says of a parameter.

        :param like: what there would be otherwise.
        """
        full = f"{self.owner}.{name}"
        if full in self.fixed:
            return self.fixed[full]
        wanted = self.ranges[full]
        if isinstance(wanted, Range):
            return wanted.ask(self.trial, full, like)
        drawn = self.trial.suggest_categorical(full, list(map(drawn_as, wanted)))
        return {drawn_as(choice): choice for choice in wanted}[drawn]

    def _is_said(self, name: str) -> bool:
        self.asked.add(name)
        full = f"{self.owner}.{name}"
        return full in self.fixed or full in self.ranges


@dataclass(frozen=True)
class Pinned:
    """A trial that draws some names as it is told, and leaves the others to another."""

    told: Mapping[str, Any]
    others: Any

    def suggest_float(self, name: str, *where: Any, **how: Any) -> float:
        """A number."""
        return float(self.told[name] if name in self.told else self.others.suggest_float(name, *where, **how))

    def suggest_int(self, name: str, *where: Any, **how: Any) -> int:
        """An integer."""
        return int(self.told[name] if name in self.told else self.others.suggest_int(name, *where, **how))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self.told[name] if name in self.told else self.others.suggest_categorical(name, choices)
