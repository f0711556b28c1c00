"""Stand-ins for an Optuna trial: one that a request overrides, and one with values that are given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.tuning.space.ranges import Choices, Range, drawn_as


@dataclass
class OverridingTrial:
    """A trial for the `suggest` of a learner or encoder: it adds the owner to names, and overrides ranges.

    :param trial: draws the values.
    :param owner: the first part of the parameters' names.
    :param ranges: ranges and choices that override those of `suggest`, by full name.
    :param fixed: values that need not be drawn, by full name.
    :ivar asked: the names that `suggest` has asked for.
    """

    trial: Any
    owner: str
    ranges: Mapping[str, Range | Choices] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        """A number, unless the parameter is overridden."""
        if self._is_overridden(name):
            return self.override(name, low + 0.0)
        return self.trial.suggest_float(f"{self.owner}.{name}", low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        """An integer, unless the parameter is overridden."""
        if self._is_overridden(name):
            return self.override(name, low)
        return self.trial.suggest_int(f"{self.owner}.{name}", low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices, unless the parameter is overridden."""
        if self._is_overridden(name):
            return self.override(name, choices[0])
        return self.trial.suggest_categorical(f"{self.owner}.{name}", choices)

    def override(self, name: str, like: Any) -> Any:
        """The fixed value of a parameter, or one from the range or choices that override its own.

        :param like: a value of the parameter's own type.
        """
        full = f"{self.owner}.{name}"
        if full in self.fixed:
            return self.fixed[full]
        wanted = self.ranges[full]
        if isinstance(wanted, Range):
            return wanted.ask(self.trial, full, like)
        drawn = self.trial.suggest_categorical(full, list(map(drawn_as, wanted)))
        return {drawn_as(choice): choice for choice in wanted}[drawn]

    def _is_overridden(self, name: str) -> bool:
        self.asked.add(name)
        full = f"{self.owner}.{name}"
        return full in self.fixed or full in self.ranges


@dataclass(frozen=True)
class PinnedTrial:
    """A trial with given values of some parameters; another trial draws the others."""

    given: Mapping[str, Any]
    others: Any

    def suggest_float(self, name: str, *where: Any, **how: Any) -> float:
        """A number."""
        return float(self.given[name] if name in self.given else self.others.suggest_float(name, *where, **how))

    def suggest_int(self, name: str, *where: Any, **how: Any) -> int:
        """An integer."""
        return int(self.given[name] if name in self.given else self.others.suggest_int(name, *where, **how))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self.given[name] if name in self.given else self.others.suggest_categorical(name, choices)
