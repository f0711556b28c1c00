"""Specs: everything that decides a result, and the id that follows from it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from bench.results import SCHEMA
from bench.specs import registry
from bench.specs.parameters import defaults_of
from bench.tasks import Task
from encoders import Encoder
from learners import Learner

LARGEST_SEED = 2**31 - 1
_PURPOSES = ("split", "encoder", "learner")


@lru_cache(maxsize=1 << 16)
def derive_seed(seed: int, purpose: str) -> int:
    """The seed of one of the separate random streams of a seed: "split", "encoder" or "learner"."""
    state = np.random.SeedSequence([seed, _PURPOSES.index(purpose)]).generate_state(1)[0]
    return int(state) & LARGEST_SEED


@dataclass(frozen=True)
class Budget:
    """How long a cell may train: updates, a safety limit in seconds, and whether to stop once solved."""

    steps: int
    seconds: float | None = None
    stop_when_solved: bool = False


@dataclass(frozen=True)
class Spec:
    """Everything but the budget that decides a result. Values are those of JSON: tuples are lists.

    :param vault: test pairs that a study keeps aside while it tunes, ``{fraction, seed, open}``, or None.
    """

    task: str
    modulus: int | None
    task_parameters: dict[str, Any]
    protocol: str
    train_fraction: float
    validation_fraction: float
    encoder: dict[str, Any]
    combine: str
    sdr: int | None
    learner: dict[str, Any]
    precision: str
    split_seed: int
    seed: int
    vault: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in a record, without the vault where there is none."""
        values = {name: getattr(self, name) for name in _FIELDS}
        if self.vault is None:
            del values["vault"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Spec":
        """Inverse of `to_dict`."""
        return cls(**values)

    @cached_property
    def data(self) -> str:
        """The part of a spec that decides the pairs, their split and their codes, as JSON."""
        others = ("learner", "precision", "seed")
        values = {name: value for name, value in self.to_dict().items() if name not in others}
        return json.dumps(values, sort_keys=True, default=repr)

    @cached_property
    def versions(self) -> dict[str, int]:
        """The versions of the plugins, from which the id is made, too."""
        return {
            "encoder": registry.encoder(self.encoder["name"]).version,
            "learner": registry.learner(self.learner["name"]).version,
        }

    @cached_property
    def id(self) -> str:
        """A hash of the spec and the versions of its plugins, 16 hexadecimal digits."""
        return hashlib.sha256(_identity(self.to_dict(), self.versions).encode()).hexdigest()[:16]

    @cached_property
    def label(self) -> str:
        """A short name of the configuration: the settings that differ from the defaults, without the seeds.

        >>> from bench.specs.resolve import resolve
        >>> resolve(encoder="cycle", learner="mlp", settings={"learner.alpha": 0.1})[0].label
        'cycle+sum+sdr200 → mlp(alpha=0.1)'
        """
        sdr = [] if self.sdr is None else [f"sdr{self.sdr}"]
        code = "+".join([_short(self.encoder, registry.encoder), self.combine, *sdr])
        return f"{code} → {_short(self.learner, registry.learner)}"

    def make_task(self) -> Task:
        """The task."""
        modulus = {} if self.modulus is None else {"modulus": self.modulus}
        return registry.task(self.task)(**modulus, **self.task_parameters)

    def make_encoder(self) -> Encoder:
        """The encoder of one operand, not fitted."""
        return make(registry.encoder(self.encoder["name"]), self.encoder)

    def make_learner(self) -> Learner:
        """The learner, not fitted."""
        return make(registry.learner(self.learner["name"]), self.learner)


_FIELDS = tuple(field.name for field in fields(Spec))


@dataclass(frozen=True)
class Family:
    """Specs that differ only in their seed.

    :param first: one of them.
    :param follows: those of the random streams "split", "encoder" and "learner" that depend on the seed.
    """

    first: Spec
    follows: tuple[str, ...]

    def at(self, seed: int) -> Spec:
        """The spec of a seed."""
        return Spec(**self._values({purpose: derive_seed(seed, purpose) for purpose in self.follows} | {"seed": seed}))

    def id(self, seed: int) -> str:
        """The id of the spec of a seed, without making the spec: a sweep may have a million of them."""
        text = self._identity[0]
        for purpose, mark in self._identity[1].items():
            text = text.replace(mark, str(seed if purpose == "seed" else derive_seed(seed, purpose)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _values(self, seeds: Mapping[str, Any]) -> dict[str, Any]:
        values = self.first.to_dict() | {"seed": seeds["seed"]}
        if "split" in seeds:
            values["split_seed"] = seeds["split"]
        for owner in ("encoder", "learner"):
            if owner in seeds:
                values[owner] = values[owner] | {"random_state": seeds[owner]}
        return values

    @cached_property
    def _identity(self) -> tuple[str, dict[str, str]]:
        """The text whose hash is the id, with marks in place of seeds, and the mark of each seed."""
        marks = {purpose: f"\0{purpose}\0" for purpose in (*self.follows, "seed")}
        return _identity(self._values(marks), self.first.versions), {p: json.dumps(m) for p, m in marks.items()}


def _identity(spec: Mapping[str, Any], versions: Mapping[str, int]) -> str:
    return json.dumps({"schema": SCHEMA, "spec": spec, "versions": versions}, sort_keys=True)


def make(cls: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """An encoder or a learner from its name and constructor arguments."""
    return cls(**{name: _tupled(value) for name, value in values.items() if name != "name"})


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def listed(value: Any) -> Any:
    """The value with lists in place of tuples, as JSON has it."""
    return [listed(v) for v in value] if isinstance(value, tuple | list) else value


def non_defaults(maker: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a spec's encoder or learner that are not at their defaults."""
    defaults = defaults_of(maker)
    return {k: v for k, v in values.items() if k != "name" and v != listed(defaults[k])}


def _short(values: Mapping[str, Any], load: Callable[[str], Any]) -> str:
    hidden = {"random_state", "modulus"}
    changed = {k: v for k, v in non_defaults(load(values["name"]), values).items() if k not in hidden}
    inside = ", ".join(f"{k}={v}" for k, v in changed.items())
    return f"{values['name']}({inside})" if inside else values["name"]
