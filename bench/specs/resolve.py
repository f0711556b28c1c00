"""From a request to specs: everything that decides a result, resolved and written out."""

import hashlib
import inspect
import json
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property, lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from bench.errors import RequestError, one_of
from bench.results.record import SCHEMA
from bench.specs import registry
from bench.specs.contracts import fault_of_task
from bench.specs.hints import for_several, offers, or_rather, share_hint
from bench.specs.splits import PROTOCOLS, default_protocol
from bench.tasks.modular import Task
from encoders import Encoder
from learners import Learner

__all__ = ["Budget", "Family", "Spec", "derive_seed", "differing", "family", "resolve", "settable", "share"]

T = TypeVar("T")

LARGEST_SEED = 2**31 - 1
VALIDATION_FOR_STOPPING = 0.1
VAULT = 0.2
"""Share of the pairs that a study keeps for its end."""
_PURPOSES = ("split", "encoder", "learner")
_WORDS = {"yes": True, "on": True, "no": False, "off": False}


@lru_cache(maxsize=1 << 16)
def derive_seed(seed: int, purpose: str) -> int:
    """One of the separate streams of a seed: "split", "encoder" or "learner"."""
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
    """All that decides a result but the budget. Values are JSON's: what was a tuple is a list.

    :param vault: test pairs kept aside while a study tunes, ``{fraction, seed, open}``; None where nothing is.
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
        """All that decides the pairs, their split and their codes, as JSON."""
        others = ("learner", "precision", "seed")
        values = {name: value for name, value in self.to_dict().items() if name not in others}
        return json.dumps(values, sort_keys=True, default=repr)

    @cached_property
    def versions(self) -> dict[str, int]:
        """Versions of the plugins, part of the identity."""
        return {
            "encoder": registry.encoder(self.encoder["name"]).version,
            "learner": registry.learner(self.learner["name"]).version,
        }

    @cached_property
    def id(self) -> str:
        """Hash of the spec and the versions of its plugins, 16 hexadecimal digits."""
        return hashlib.sha256(_identity(self.to_dict(), self.versions).encode()).hexdigest()[:16]

    @cached_property
    def label(self) -> str:
        """Short name of the configuration: what differs from the defaults, without the seeds.

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
        return _make(registry.encoder(self.encoder["name"]), self.encoder)

    def make_learner(self) -> Learner:
        """The learner, not fitted."""
        return _make(registry.learner(self.learner["name"]), self.learner)


_FIELDS = tuple(field.name for field in fields(Spec))


@dataclass(frozen=True)
class Family:
    """Specs that differ in their seed alone.

    :param first: one of them.
    :param follows: which of the streams "split", "encoder" and "learner" follow the seed.
    """

    first: Spec
    follows: tuple[str, ...]

    def at(self, seed: int) -> Spec:
        """The spec of a seed."""
        return Spec(**self._values({purpose: derive_seed(seed, purpose) for purpose in self.follows} | {"seed": seed}))

    def id(self, seed: int) -> str:
        """The id of the spec of a seed, as fast as a million of them need it."""
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
        """What an id is the hash of, with marks where seeds belong."""
        marks = {purpose: f"\0{purpose}\0" for purpose in (*self.follows, "seed")}
        return _identity(self._values(marks), self.first.versions), {p: json.dumps(m) for p, m in marks.items()}


def _identity(spec: Mapping[str, Any], versions: Mapping[str, int]) -> str:
    return json.dumps({"schema": SCHEMA, "spec": spec, "versions": versions}, sort_keys=True)


def _make(cls: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    return cls(**{name: _tupled(value) for name, value in values.items() if name != "name"})


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def _listed(value: Any) -> Any:
    return [_listed(v) for v in value] if isinstance(value, tuple | list) else value


def differing(maker: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a spec's encoder or learner that are not at their defaults."""
    defaults = parameters(maker)
    return {k: v for k, v in values.items() if k != "name" and v != _listed(defaults[k])}


def _short(values: Mapping[str, Any], load: Callable[[str], Any]) -> str:
    hidden = {"random_state", "modulus"}
    changed = {k: v for k, v in differing(load(values["name"]), values).items() if k not in hidden}
    inside = ", ".join(f"{k}={v}" for k, v in changed.items())
    return f"{values['name']}({inside})" if inside else values["name"]


def parameters(maker: Callable[..., Any]) -> dict[str, Any]:
    """Keyword arguments of a class or a maker of tasks, with their defaults."""
    return dict(_parameters(maker))


@cache
def _parameters(maker: Callable[..., Any]) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(maker).parameters.items() if p.default is not p.empty}


def documentation(cls: type) -> str:
    """What a class says of itself, with what its bases say of parameters that it inherits."""
    texts = [inspect.getdoc(cls) or ""]
    for base in cls.__mro__[1:]:
        missing = [p for p in parameters(cls) if f":param {p}:" not in "".join(texts)]
        if any(f":param {p}:" in (base.__doc__ or "") for p in missing):
            told = set(re.findall(r"^:param (\w+):", "\n".join(texts), re.MULTILINE))
            texts.append(_without(told, inspect.cleandoc(base.__doc__ or "")))
    return "\n\n".join(texts)


def _without(told: set[str], text: str) -> str:
    """A docstring without these parameters: what a class says of one is not what its base says of it."""
    kept, leaving = [], False
    for line in text.splitlines():
        if found := re.match(r":(?:param )?(\w+)", line):
            leaving = found[1] in told
        elif line and not line.startswith(" "):
            leaving = False
        if not leaving:
            kept.append(line)
    return "\n".join(kept)


def resolve(*, seeds: Sequence[int] = (0,), **request: Any) -> list[Spec]:
    """The specs of a request, one for each seed.

    :param request: all arguments of `family` but the seed.
    :raises RequestError: as `family` does.
    """
    if not len(seeds):
        return []
    found = family(**request, seed=seeds[0])
    return [found.at(seed) for seed in seeds]


def family(
    *,
    encoder: str,
    learner: str,
    settings: Mapping[str, Any] | None = None,
    combine: str | None = None,
    sdr: int | str | None = None,
    task: str = "add",
    modulus: int | None = None,
    pairs: str | None = None,
    train_fraction: float = 0.5,
    validation_fraction: float | None = None,
    stop_when_solved: bool = False,
    precision: str = "float32",
    split_seed: int | None = None,
    seed: int = 0,
    vault: Mapping[str, Any] | None = None,
) -> "Family":
    """The specs of a request, for any seed.

    :param seed: of the one that is resolved and checked.
    :param vault: test pairs to keep aside, ``{"fraction": 0.2, "seed": 7, "open": False}``, as a study does.
    :param settings: parameters by owner and name: ``{"encoder.n": 400, "task.operand_max": 200}``.
    :param sdr: k, "off", or None for the encoder's own.
    :raises RequestError: where a name is unknown or a value breaks its rule.
    """
    for option, name in (("--encoder", encoder), ("--learner", learner), ("--task", task)):
        if not isinstance(name, str):
            raise RequestError(f"{option} takes a name, got {name!r}.")
    modulus = whole("--modulus", modulus)
    split_seed = whole("--split-seed", split_seed, 0)
    train_fraction = share("train", train_fraction)
    encoder_class, learner_class = registry.encoder(encoder), registry.learner(learner)
    owned = _by_owner(settings or {}, encoder=encoder_class, learner=learner_class, task=registry.task(task))
    task_values, made_task = _resolve_task(task, modulus, owned["task"])
    if precision not in learner_class.precisions:
        known = ", ".join(learner_class.precisions)
        raise RequestError(f"--precision must be one of {known} for {learner}, got {precision}.")
    if validation_fraction is None:
        validation_fraction = VALIDATION_FOR_STOPPING if stop_when_solved else 0.0
    validation_fraction = share("validation", validation_fraction)
    told = {"modulus": made_task.modulus or made_task.n_operands}
    encoder_values = _resolve_values("encoder", encoder, encoder_class, owned["encoder"], seed, told)
    code = _make(encoder_class, encoder_values)
    _checked(code.check)
    first = Spec(
        task=registry.canonical(task),
        modulus=made_task.modulus,
        task_parameters=task_values,
        protocol=_resolve_protocol(pairs, made_task),
        train_fraction=train_fraction,
        validation_fraction=validation_fraction,
        encoder=encoder_values,
        combine=_resolve_combine(combine, code),
        sdr=_resolve_sdr(sdr, code),
        learner=_resolve_learner(learner, learner_class, owned["learner"], seed),
        precision=precision,
        split_seed=derive_seed(seed, "split") if split_seed is None else split_seed,
        seed=seed,
        vault=_resolve_vault(vault),
    )
    follows = {
        "split": split_seed is None,
        "encoder": "random_state" in encoder_values and "random_state" not in owned["encoder"],
        "learner": "random_state" in first.learner and "random_state" not in owned["learner"],
    }
    return Family(first, tuple(purpose for purpose, yes in follows.items() if yes))


def _resolve_vault(vault: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if vault is None:
        return None
    _refuse_unknown("spec", "vault", vault, {"fraction": 0, "seed": 0, "open": False})
    fraction, seed = real("--vault", vault.get("fraction", VAULT)), whole("--vault-seed", vault.get("seed", 0), 0)
    if not 0 < fraction < 1:
        raise RequestError(f"--vault must be in (0, 1), got {fraction:g}{share_hint(fraction)}")
    return {"fraction": fraction, "seed": seed, "open": bool(vault.get("open", False))}


def _resolve_learner(name: str, cls: type[Learner], values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """All constructor arguments but the budget, which is no part of what decides a result."""
    budget = cls.budget_parameter
    if budget in values:
        options = " or ".join(dict.fromkeys((f"--{budget}", "--steps")))
        raise RequestError(f"learner.{budget} is the budget: set it by {options}.")
    resolved = _resolve_values("learner", name, cls, values, seed, {})
    for parameter in cls.fit_parameters:
        if parameter in values:
            raise RequestError(f"learner.{parameter} is for `fit` alone: it does not apply here.")
        resolved.pop(parameter)
    _checked(_make(cls, resolved).check)
    return resolved


def _checked(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call something of a plugin's; what it says of a bad value is the user's to mend."""
    try:
        return call(*args, **kwargs)
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise RequestError(str(error) or type(error).__name__) from error


def whole(option: str, value: Any, at_least: int | None = None) -> int | None:
    """An integer of any library, or None.

    :raises RequestError: for anything else.
    """
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        raise RequestError(f"{option} must be an integer, got {value!r}.") from None
    if isinstance(value, bool):
        raise RequestError(f"{option} must be an integer, got {value!r}.")
    if at_least is not None and not at_least <= number <= LARGEST_SEED:
        raise RequestError(f"{option} must be an integer in [{at_least}, 2³¹), got {value!r}.")
    return number


def real(option: str, value: Any) -> float:
    """A number of any library.

    :raises RequestError: for anything else.
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        raise RequestError(f"{option} must be a number, got {value!r}.") from None


def share(part: str, value: Any) -> float:
    """A share of the pairs; whether it leaves pairs for every part, the split says.

    :param part: "train" or "validation".
    :raises RequestError: for what is no number, or is one in percent.
    """
    hint = share_hint(value)
    if isinstance(value, str) and hint != ".":
        raise RequestError(f"--{part}-fraction must be a number, got {value!r}{hint}")
    number = real(f"--{part}-fraction", value)
    if hint != ".":
        raise RequestError(f"The {part}_fraction must be in (0, 1), got {number:g}{hint}")
    return number


def _by_owner(settings: Mapping[str, Any], **makers: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    owned: dict[str, dict[str, Any]] = {owner: {} for owner in makers}
    for key, value in settings.items():
        owner, dot, name = key.partition(".")
        name = name.replace("-", "_")
        if not dot or owner not in owned:
            rule = "--set takes encoder.NAME=VALUE, learner.NAME=VALUE or task.NAME=VALUE"
            raise RequestError(f"{rule}, got {key!r}{or_rather(_offered(key, makers, near=True))}")
        if name not in parameters(makers[owner]) and (elsewhere := _offered(key, makers)):
            raise RequestError(f"There is no parameter {key!r}{or_rather(elsewhere)}")
        owned[owner][name] = value
    return owned


def _offered(key: str, makers: Mapping[str, Callable[..., Any]], near: bool = False) -> list[str]:
    return offers(key, {owner: [settable(owner, maker)] for owner, maker in makers.items()}, near)


def settable(owner: str, maker: Callable[..., Any]) -> dict[str, Any]:
    """The parameters, with their defaults, that ``--set owner.NAME=VALUE`` takes."""
    hidden = {"name", "modulus"} if owner == "task" else set(getattr(maker, "fit_parameters", ()))
    return {name: default for name, default in parameters(maker).items() if name not in hidden}


def _resolve_task(name: str, modulus: int | None, values: Mapping[str, Any]) -> tuple[dict[str, Any], Task]:
    try:
        resolved, made = _known_task(name, modulus, tuple(values.items()))
    except TypeError:  # a value that cannot be hashed is none that a task takes
        resolved, made = _known_task.__wrapped__(name, modulus, tuple(values.items()))
    return dict(resolved), made


@lru_cache(maxsize=256)
def _known_task(name: str, modulus: int | None, settings: tuple[tuple[str, Any], ...]) -> tuple[dict[str, Any], Task]:
    values = dict(settings)
    maker = registry.task(name)
    known = parameters(maker)
    if modulus is not None and "modulus" not in known:
        raise RequestError(f"--modulus does not apply to the task {registry.canonical(name)!r}.")
    resolved = {k: v for k, v in known.items() if k not in ("modulus", "name")}
    _refuse_unknown("task", name, values, resolved)
    resolved |= {key: whole(f"task.{key}", value) for key, value in values.items()}
    made = _checked(maker, **({} if modulus is None else {"modulus": modulus}), **resolved)
    if fault := fault_of_task(made):
        raise RequestError(f"The task {registry.canonical(name)!r} cannot be used: {fault}.")
    if resolved.get("operand_max", 0) is None:
        resolved["operand_max"] = made.n_operands - 1
    return resolved, made


def _resolve_protocol(pairs: str | None, task: Task) -> str:
    if pairs is None:
        return default_protocol(task)
    if pairs not in PROTOCOLS:
        if several := for_several("--pairs", str(pairs)):
            raise RequestError(several)
        raise RequestError(one_of("protocol of pairs", pairs, PROTOCOLS))
    return pairs


def _resolve_values(
    kind: str, name: str, cls: type, values: Mapping[str, Any], seed: int, told: Mapping[str, Any]
) -> dict[str, Any]:
    """All constructor arguments: given, told by the task, derived from the seed, or default, in this order."""
    defaults = parameters(cls)
    _refuse_unknown(kind, name, values, defaults)
    derived = {"random_state": derive_seed(seed, kind)}
    resolved: dict[str, Any] = {"name": registry.canonical(name)}
    for key, default in defaults.items():
        value = values.get(key, told.get(key, derived.get(key, default)))
        if key == "random_state":
            value = whole(f"{kind}.{key}", value, 0)
            if value is None:
                raise RequestError(f"{kind}.{key} must be an integer in [0, 2³¹), got None.")
        value = _checked(_hinted, value, _hints(cls).get(key, ()))
        resolved[key] = _checked(_alike, value, default)
    return resolved


@cache
def _hints(cls: type) -> dict[str, tuple[Any, ...]]:
    """What the annotation of each constructor argument allows: types, and the words of a Literal."""
    try:
        found = get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, TypeError):  # names that only a type checker knows
        return {}
    return {name: tuple(_allowed(hint)) for name, hint in found.items()}


def _allowed(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Literal, Union, UnionType):
        for one in get_args(hint):
            yield from _allowed(one)
    else:
        yield hint


def _hinted(value: Any, allowed: Collection[Any]) -> Any:
    """What is written none is the word, where a word of that name is allowed and None is not; an integer is a float
    where only floats are, and a whole float an integer where only integers are.
    """
    if value is None and "none" in allowed and NoneType not in allowed:
        return "none"
    if isinstance(value, float) and value.is_integer() and int in allowed and float not in allowed:
        return int(value)
    whole_number = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole_number and float in allowed and int not in allowed else value


def _alike(value: Any, default: Any) -> Any:
    """The value in the default's form: 1 and 1.0 are one setting, 400 and (400,) too, and must be one identity."""
    value = value.item() if isinstance(value, np.generic) else value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, bool) and value in _WORDS:
        return _WORDS[value]
    if number and isinstance(default, float):
        return float(value)
    if number and isinstance(default, int) and float(value).is_integer():
        return int(value)
    if isinstance(default, tuple) and default:
        values = [value] if number else value
        return [_alike(v, default[0]) for v in values] if isinstance(values, tuple | list) else value
    return _listed(value)


def _refuse_unknown(kind: str, name: str, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in values:
        if key not in known:
            raise RequestError(one_of(f"parameter of the {kind} {registry.canonical(name)!r}:", key, known))


def _resolve_combine(combine: str | None, encoder: Encoder) -> str:
    known = ("concat", "sum", "product")
    if combine is not None and combine not in known:
        if several := for_several("--combine", str(combine)):
            raise RequestError(several)
        raise RequestError(one_of("combination", combine, known))
    return combine or encoder.default_combine


def _resolve_sdr(sdr: int | str | None, encoder: Encoder) -> int | None:
    if sdr is None:
        return encoder.default_sdr
    return None if sdr == "off" else whole("--sdr", sdr)
