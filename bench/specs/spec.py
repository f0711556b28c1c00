"""Specs: everything that decides a result, and the id that follows from it."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from bench.errors import RequestError
from bench.results import SCHEMA, downgraded_specs, flat
from bench.specs import registry
from bench.specs.optimizers import changed_parts, links_of, make_optimizer, own_optimizer, part_names
from bench.specs.parameters import defaults_of
from bench.specs.values import LARGEST_SEED, listed, tupled
from bench.tasks import Task
from encoders import Encoder
from learners import Learner

_PURPOSES = ("split", "encoder", "learner", "noise")


@lru_cache(maxsize=1 << 16)
def derive_seed(seed: int, purpose: str) -> int:
    """The seed of one of the separate random streams of a seed: "split", "encoder", "learner" or "noise"."""
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
    :param optimizer: the learner's, as `bench.specs.optimizers` describes it; None where the learner brings its own.
    :param label_noise: the share of the training answers that are wrong; which ones follows from ``split_seed``.
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
    optimizer: dict[str, Any] | None = None
    label_noise: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As in a record, without the vault and the label noise where there is none."""
        values = {name: getattr(self, name) for name in _FIELDS}
        if self.vault is None:
            del values["vault"]
        if not self.label_noise:
            del values["label_noise"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Spec":
        """Inverse of `to_dict`."""
        return cls(**values)

    @cached_property
    def data(self) -> str:
        """The part of a spec that decides the pairs, their split, codes and training answers, as JSON."""
        others = ("learner", "optimizer", "precision", "seed")
        values = {name: value for name, value in self.to_dict().items() if name not in others}
        return json.dumps(values, sort_keys=True, default=repr)

    @cached_property
    def versions(self) -> dict[str, Any]:
        """The versions of the plugins, from which the id is made, too."""
        plugins = {
            "encoder": registry.encoder(self.encoder["name"]).version,
            "learner": registry.learner(self.learner["name"]).version,
        }
        if self.optimizer is None:
            return plugins
        return plugins | {"optimizer": {name: registry.optimizer(name).version for name in self.optimizer_parts}}

    @property
    def optimizer_parts(self) -> list[str]:
        """The names of the optimizer's parts, those inside others included."""
        return [] if self.optimizer is None else part_names(self.optimizer)

    @cached_property
    def id(self) -> str:
        """A hash of the spec and the versions of its plugins, 16 hexadecimal digits."""
        return _hash(_identity(self.to_dict(), self.versions))

    @property
    def older_ids(self) -> Iterator[str]:
        """The ids that records of schema 1 had for this spec, the usual one first."""
        return (_hash(_identity(older, self.versions, schema=1)) for older in downgraded_specs(self.to_dict()))

    @cached_property
    def label(self) -> str:
        """A short name of the configuration: the settings that differ from the defaults, without the seeds.

        >>> from bench.specs.resolve import resolve
        >>> resolve(encoder="cycle", learner="mlp", settings={"learner.alpha": 0.1})[0].label
        'cycle+sum+sdr200 → mlp(alpha=0.1)'
        >>> resolve(encoder="onehot", learner="transformer", optimizer="muon", settings={"muon.lr": 0.1})[0].label
        'onehot+concat → transformer · muon(lr=0.1)'
        """
        sdr = [] if self.sdr is None else [f"sdr{self.sdr}"]
        code = "+".join([_short(self.encoder, registry.encoder), self.combine, *sdr])
        return f"{code} → {_short(self.learner, registry.learner)}{self._optimizer_label()}"

    def _optimizer_label(self) -> str:
        """The optimizer, where it is not the learner's own as it comes."""
        if self.optimizer is None:
            return ""
        learner = registry.learner(self.learner["name"])
        changed = self.optimizer_settings(changed=True)
        if not any(changed.values()) and list(changed) == list(own_optimizer(learner)):
            return ""
        return f" · {'+'.join(_called(name, values) for name, values in changed.items())}"

    def optimizer_settings(self, changed: bool) -> dict[str, dict[str, Any]]:
        """The parameters of the optimizer's parts, by the part's name and the names of parts inside it.

        :param changed: only those that are not as the learner, or the part itself, has them.
        """
        if self.optimizer is None:
            return {}
        own = {name: flat(self.optimizer[name]) for name in self.optimizer if name != "name"}
        if changed:
            own = dict(changed_parts(registry.learner(self.learner["name"]), self.optimizer))
        return {str(link): own[link.name] for link in links_of(self.optimizer["name"])}

    def make_task(self) -> Task:
        """The task."""
        modulus = {} if self.modulus is None else {"modulus": self.modulus}
        return registry.task(self.task)(**modulus, **self.task_parameters)

    def make_encoder(self) -> Encoder:
        """The encoder of one operand, not fitted."""
        return make_encoder(registry.encoder(self.encoder["name"]), self.encoder)

    def make_learner(self) -> Learner:
        """The learner, not fitted."""
        optimizer = None if self.optimizer is None else make_optimizer(self.optimizer)
        return make_learner(registry.learner(self.learner["name"]), self.learner, optimizer)


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
        return self._hashed(self._identity, seed)

    def older_ids(self, seed: int) -> list[str]:
        """The ids that records of schema 1 had for the spec of a seed."""
        return [self._hashed(text, seed) for text in self._older]

    def _hashed(self, text: str, seed: int) -> str:
        for purpose, mark in self._written_marks:
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
    def _marks(self) -> dict[str, str]:
        """What stands in place of each seed."""
        return {purpose: f"\0{purpose}\0" for purpose in (*self.follows, "seed")}

    @cached_property
    def _written_marks(self) -> list[tuple[str, str]]:
        """The same as JSON."""
        return [(purpose, json.dumps(mark)) for purpose, mark in self._marks.items()]

    @cached_property
    def _identity(self) -> str:
        """The text whose hash is the id, with marks in place of seeds."""
        return _identity(self._values(self._marks), self.first.versions)

    @cached_property
    def _older(self) -> list[str]:
        """The same of schema 1, for each way to write it."""
        written = downgraded_specs(self._values(self._marks))
        return [_identity(older, self.first.versions, schema=1) for older in written]


def _identity(spec: Mapping[str, Any], versions: Mapping[str, Any], schema: int = SCHEMA) -> str:
    """The text whose hash is the id. Records of schema 1 did not know versions of optimizers."""
    if schema == 1:
        versions = {owner: version for owner, version in versions.items() if owner != "optimizer"}
    return json.dumps({"schema": schema, "spec": spec, "versions": versions}, sort_keys=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def spec_of(record: Mapping[str, Any]) -> Spec:
    """The spec of a record, as one that this version can compute again.

    :raises RequestError: where other versions of its plugins made it.
    """
    spec = Spec.from_dict(record["spec"])
    if record["id"] not in ([spec.id] if record["schema"] == SCHEMA else spec.older_ids):
        raise RequestError(f"The record {record['id']!r} was made by other versions of its plugins: {spec.versions}.")
    return spec


def make(cls: Callable[..., Any], values: Mapping[str, Any], **more: Any) -> Any:
    """A plugin from its name and constructor arguments."""
    return cls(**{name: tupled(value) for name, value in values.items() if name != "name"}, **more)


def make_encoder(cls: type[Encoder], values: Mapping[str, Any]) -> Any:
    """An encoder from its name and constructor arguments, with those that follow from numbers that are integers."""
    known = defaults_of(cls)
    derived = {name: value for name, value in cls.integer_arguments(values).items() if name in known}
    return make(cls, {**values, **derived})


def make_learner(cls: type[Learner], values: Mapping[str, Any], optimizer: Sequence[Any] | None) -> Any:
    """A learner from its name and constructor arguments, with an optimizer where it takes one."""
    return make(cls, values) if optimizer is None else make(cls, values, optimizer=optimizer)


def non_defaults(maker: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a spec's encoder or learner that are not at their defaults."""
    defaults = defaults_of(maker)
    return {k: v for k, v in values.items() if k != "name" and v != listed(defaults[k])}


def _short(values: Mapping[str, Any], load: Callable[[str], Any]) -> str:
    hidden = {"random_state", "modulus"}
    changed = {k: v for k, v in non_defaults(load(values["name"]), values).items() if k not in hidden}
    return _called(values["name"], changed)


def _called(name: Any, values: Mapping[str, Any]) -> str:
    inside = ", ".join(f"{k}={v}" for k, v in values.items())
    return f"{name}({inside})" if inside else str(name)
