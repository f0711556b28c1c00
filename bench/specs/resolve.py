"""From a request to specs, in which every parameter that decides a result has its value."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from bench.errors import RequestError, one_of
from bench.specs import registry
from bench.specs.normalize import (
    annotations,
    as_annotated,
    as_integer,
    as_label_noise,
    as_number,
    as_share,
    call_plugin,
    like_default,
    refuse_unknown,
)
from bench.specs.optimizers import make_optimizer, parts_of, resolve_optimizer
from bench.specs.parameters import defaults_of, identifying, settable
from bench.specs.plugin_contract import COMBINES, fault_of_task
from bench.specs.request import VALIDATION_FOR_STOPPING, VAULT, Request
from bench.specs.spec import Family, Spec, derive_seed, make_encoder, make_learner
from bench.specs.splits import PROTOCOLS, default_protocol
from bench.specs.suggestions import did_you_mean, matching_parameters, percent_hint, several_message
from bench.tasks import Task
from learners import Learner


def resolve(*, seeds: Sequence[int] = (0,), **request: Any) -> list[Spec]:
    """The specs of a request, one for each seed.

    :param request: the fields of `Request`; those that limit the budget are ignored.
    :raises RequestError: as `family` does.
    """
    if not len(seeds):
        return []
    found = family(Request.of(request), seeds[0])
    return [found.at(seed) for seed in seeds]


def family(request: Request, seed: int = 0, checked: bool = True) -> Family:
    """The specs of a request, for any seed.

    :param seed: the seed of the spec that is resolved and checked.
    :param checked: whether the learner's parameters have to fit together.
    :raises RequestError: where a name is unknown or a value breaks its rule.
    """
    for kind in registry.KINDS:
        name = getattr(request, kind)
        if not isinstance(name, str) and not (kind == "optimizer" and name is None):
            raise RequestError(f"`{kind}` takes a name, got {name!r}.")
    split_seed = as_integer("split_seed", request.split_seed, 0)
    encoder_class, learner_class = registry.encoder(request.encoder), registry.learner(request.learner)
    parts = {name: type(part) for name, part in parts_of(learner_class, request.optimizer).items()}
    makers: dict[str, Any] = {
        "encoder": encoder_class,
        "learner": learner_class,
        "task": registry.task(request.task),
        **parts,
    }
    owned = _by_owner(request.settings or {}, makers)
    optimizer = resolve_optimizer(learner_class, request.optimizer, {name: owned[name] for name in parts})
    task_values, task = _resolve_task(request.task, as_integer("modulus", request.modulus), owned["task"])
    from_task = {"modulus": task.modulus or task.n_operands}
    encoder_values = _resolve_values("encoder", request.encoder, encoder_class, owned["encoder"], seed, from_task)
    encoder = make_encoder(encoder_class, encoder_values)
    call_plugin(encoder.check)
    validation, sdr = request.validation_fraction, request.sdr
    if validation is None:
        validation = VALIDATION_FOR_STOPPING if request.stop_when_solved else 0.0
    first = Spec(
        task=registry.canonical(request.task),
        modulus=task.modulus,
        task_parameters=task_values,
        protocol=_one_of("pairs", "protocol of pairs", request.pairs, PROTOCOLS) or default_protocol(task),
        train_fraction=as_share("train", request.train_fraction),
        validation_fraction=as_share("validation", validation),
        encoder=encoder_values,
        combine=_one_of("combine", "combination", request.combine, COMBINES) or encoder.default_combine,
        sdr=encoder.default_sdr if sdr is None else None if sdr == "off" else as_integer("sdr", sdr),
        learner=_resolve_learner(request.learner, learner_class, owned["learner"], seed, optimizer, checked),
        optimizer=optimizer,
        precision=_resolve_precision(request, learner_class),
        split_seed=derive_seed(seed, "split") if split_seed is None else split_seed,
        seed=seed,
        vault=_resolve_vault(request.vault),
        label_noise=as_label_noise(request.label_noise),
    )
    follows = {
        "split": split_seed is None,
        "encoder": "random_state" in encoder_values and "random_state" not in owned["encoder"],
        "learner": "random_state" in first.learner and "random_state" not in owned["learner"],
    }
    return Family(first, tuple(purpose for purpose, yes in follows.items() if yes))


def _resolve_precision(request: Request, learner: type[Learner]) -> str:
    if request.precision not in learner.precisions:
        known = ", ".join(learner.precisions)
        raise RequestError(f"`precision` must be one of {known} for {request.learner}, got {request.precision}.")
    return request.precision


def _resolve_vault(vault: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if vault is None:
        return None
    refuse_unknown("spec", "vault", vault, {"fraction": 0, "seed": 0, "open": False})
    fraction, seed = as_number("vault", vault.get("fraction", VAULT)), as_integer("vault_seed", vault.get("seed", 0), 0)
    if not 0 < fraction < 1:
        raise RequestError(f"`vault` must be in (0, 1), got {fraction:g}{percent_hint(fraction)}")
    return {"fraction": fraction, "seed": seed, "open": bool(vault.get("open", False))}


def _resolve_learner(
    name: str,
    cls: type[Learner],
    values: Mapping[str, Any],
    seed: int,
    optimizer: Mapping[str, Any] | None,
    checked: bool,
) -> dict[str, Any]:
    """All constructor arguments but the budget, which is not part of a spec, and the optimizer, which is apart."""
    budget = cls.budget_parameter
    if budget in values:
        options = " or ".join(f"`{name}`" for name in ("epochs", "steps") if name in (budget, "steps"))
        raise RequestError(f"learner.{budget} is the budget: set it by {options}.")
    resolved = _resolve_values("learner", name, cls, values, seed, {})
    for parameter in cls.fit_parameters:
        if parameter in values:
            raise RequestError(f"learner.{parameter} is for 'fit' alone: it does not apply here.")
        resolved.pop(parameter)
    if checked:
        parts = None if optimizer is None else call_plugin(make_optimizer, optimizer)
        call_plugin(make_learner(cls, resolved, parts).check)
    return resolved


def _by_owner(settings: Mapping[str, Any], makers: Mapping[str, Callable[..., Any]]) -> dict[str, dict[str, Any]]:
    """The settings by owner: encoder, learner, task, and each part of the optimizer."""
    owned: dict[str, dict[str, Any]] = {owner: {} for owner in makers}
    for key, value in settings.items():
        written, dot, name = key.partition(".")
        owner, name = registry.canonical(written), name.replace("-", "_")
        if not dot or owner not in owned:
            owners = [f"{one}.NAME=VALUE" for one in makers]
            rule = f"`settings` takes {', '.join(owners[:-1])} or {owners[-1]}"
            raise RequestError(f"{rule}, got {key!r}{did_you_mean(_matching(key, makers, near=True))}")
        known = name.partition(".")[0] in defaults_of(makers[owner])
        if not known and (elsewhere := _matching(key, makers)):
            raise RequestError(f"There is no parameter {key!r}{did_you_mean(elsewhere)}")
        owned[owner][name] = value
    return owned


def _matching(key: str, makers: Mapping[str, Callable[..., Any]], near: bool = False) -> list[str]:
    return matching_parameters(key, {owner: [settable(owner, maker)] for owner, maker in makers.items()}, near)


def _resolve_task(name: str, modulus: int | None, values: Mapping[str, Any]) -> tuple[dict[str, Any], Task]:
    try:
        resolved, made = _known_task(name, modulus, tuple(values.items()))
    except TypeError:  # a value that cannot be hashed: the call without the cache raises the right error
        resolved, made = _known_task.__wrapped__(name, modulus, tuple(values.items()))
    return dict(resolved), made


@lru_cache(maxsize=256)
def _known_task(name: str, modulus: int | None, settings: tuple[tuple[str, Any], ...]) -> tuple[dict[str, Any], Task]:
    values = dict(settings)
    maker = registry.task(name)
    known = defaults_of(maker)
    if modulus is not None and "modulus" not in known:
        raise RequestError(f"`modulus` does not apply to the task {registry.canonical(name)!r}.")
    resolved = {k: v for k, v in known.items() if k not in ("modulus", "name")}
    refuse_unknown("task", name, values, resolved)
    resolved |= {key: as_integer(f"task.{key}", value) for key, value in values.items()}
    made = call_plugin(maker, **({} if modulus is None else {"modulus": modulus}), **resolved)
    if fault := fault_of_task(made):
        raise RequestError(f"The task {registry.canonical(name)!r} cannot be used: {fault}.")
    if resolved.get("operand_max", 0) is None:
        resolved["operand_max"] = made.n_operands - 1
    return resolved, made


def _one_of(option: str, kind: str, value: str | None, known: Sequence[str]) -> str | None:
    """The value or None; raises RequestError for an unknown value."""
    if value is not None and value not in known:
        raise RequestError(several_message(option, str(value)) or one_of(kind, value, known))
    return value


def _resolve_values(
    kind: str, name: str, cls: type, values: Mapping[str, Any], seed: int, from_task: Mapping[str, Any]
) -> dict[str, Any]:
    """All constructor arguments: from the request, the task, the seed or the defaults, in this order."""
    defaults = defaults_of(cls)
    refuse_unknown(kind, name, values, defaults)
    derived = {"random_state": derive_seed(seed, kind)}
    resolved: dict[str, Any] = {"name": registry.canonical(name)}
    for key, default in defaults.items():
        value = values.get(key, from_task.get(key, derived.get(key, default)))
        if key == "random_state":
            value = as_integer(f"{kind}.{key}", value, 0)
            if value is None:
                raise RequestError(f"{kind}.{key} must be an integer in [0, 2³¹), got None.")
        value = call_plugin(as_annotated, value, annotations(cls).get(key, ()))
        resolved[key] = call_plugin(like_default, value, default)
    return identifying(cls, resolved)
