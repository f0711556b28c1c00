"""From a request to specs: everything that decides a result, resolved and written out."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from bench.errors import RequestError, one_of
from bench.specs import registry
from bench.specs.contracts import fault_of_task
from bench.specs.hints import for_several, offers, or_rather, share_hint
from bench.specs.parameters import parameters, settable
from bench.specs.spec import Family, Spec, derive_seed, make
from bench.specs.splits import PROTOCOLS, default_protocol
from bench.specs.values import alike, checked, hinted, hints, real, refuse_unknown, share, whole
from bench.tasks._base import Task
from encoders import Encoder
from learners import Learner

__all__ = ["family", "resolve"]

VALIDATION_FOR_STOPPING = 0.1


VAULT = 0.2
"""Share of the pairs that a study keeps for its end."""


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
    code = make(encoder_class, encoder_values)
    checked(code.check)
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
    refuse_unknown("spec", "vault", vault, {"fraction": 0, "seed": 0, "open": False})
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
    checked(make(cls, resolved).check)
    return resolved


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
    refuse_unknown("task", name, values, resolved)
    resolved |= {key: whole(f"task.{key}", value) for key, value in values.items()}
    made = checked(maker, **({} if modulus is None else {"modulus": modulus}), **resolved)
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
    refuse_unknown(kind, name, values, defaults)
    derived = {"random_state": derive_seed(seed, kind)}
    resolved: dict[str, Any] = {"name": registry.canonical(name)}
    for key, default in defaults.items():
        value = values.get(key, told.get(key, derived.get(key, default)))
        if key == "random_state":
            value = whole(f"{kind}.{key}", value, 0)
            if value is None:
                raise RequestError(f"{kind}.{key} must be an integer in [0, 2³¹), got None.")
        value = checked(hinted, value, hints(cls).get(key, ()))
        resolved[key] = checked(alike, value, default)
    return resolved


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
