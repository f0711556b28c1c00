"""Records of schema 1, whose optimizer was a set of the learner's parameters, in the form of today.

Such a record keeps its id and its ``schema``; what it says of the optimizer is told as a chain of parts.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final, cast

from bench.results.record import Record

OF_OPTIMIZER: Final[Mapping[str, Any]] = {
    "optimizer": "adamw",
    "lr": 1e-3,
    "betas": [0.9, 0.98],
    "eps": 1e-8,
    "momentum": 0.95,
    "nesterov": False,
    "muon_rest_lr": 1e-3,
    "muon_freeze": False,
    "weight_decay": 1.0,
    "decay": None,
    "grokfast": "none",
    "grokfast_alpha": None,
    "grokfast_lamb": None,
    "grokfast_window": None,
    "orthograd": False,
    "gradient_noise": 0.0,
    "weight_noise": 0.0,
    "warmup": 10,
    "schedule": "constant",
    "decay_steps": None,
}
"""The parameters of a learner that were its optimizer's, with their defaults."""
MARKS: Final = {"optimizer", "lr", "weight_decay"}
"""A learner that has all of these had an optimizer."""
DESCENT: Final = ("lr", "weight_decay", "warmup", "schedule", "decay_steps")
"""What every rule has."""
LAMB: Final = {"ema": 2.0, "ma": 5.0}
ALPHA, WINDOW = 0.98, 100
"""What None stood for."""
GROKFAST: Final = {"grokfast-ema": "ema", "grokfast-ma": "ma"}
RULES: Final = ("adam", "adamw", "sgd", "muon")


def upgraded(record: Record) -> Record:
    """A record in the form of today: one of schema 1 with its optimizer as a chain of parts."""
    if record["schema"] != 1 or "optimizer" in record["spec"]:
        return record
    return cast("Record", {**record, "spec": upgraded_spec(record["spec"])})


def upgraded_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec of schema 1 in the form of today."""
    if not spec["learner"].keys() >= MARKS:
        return {**spec, "optimizer": None}
    learner = {name: value for name, value in spec["learner"].items() if name not in OF_OPTIMIZER}
    return {**spec, "learner": learner, "optimizer": _chain({**OF_OPTIMIZER, **spec["learner"]})}


def _chain(old: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of an optimizer by name, in their order."""
    kind = old["grokfast"]
    lamb = LAMB.get(kind) if old["grokfast_lamb"] is None else old["grokfast_lamb"]
    alpha = ALPHA if old["grokfast_alpha"] is None else old["grokfast_alpha"]
    parts: dict[str, Any] = {}
    if old["weight_noise"]:
        parts["weight-noise"] = {"sigma": old["weight_noise"]}
    if old["gradient_noise"]:
        parts["gradient-noise"] = {"sigma": old["gradient_noise"]}
    if kind == "ema":
        parts["grokfast-ema"] = {"alpha": alpha, "lamb": lamb}
    if kind == "ma":
        parts["grokfast-ma"] = {"window": old["grokfast_window"] or WINDOW, "lamb": lamb}
    if old["orthograd"]:
        parts["orthograd"] = {}
    rule = _rule(old)
    coupled = rule.get("muon", {}).get("rest", {}).get("name") == "adam"
    return {"name": "+".join([*parts, "muon(rest=adam)" if coupled else next(iter(rule))]), **parts, **rule}


def _rule(old: Mapping[str, Any]) -> dict[str, Any]:
    common = {name: old[name] for name in DESCENT}
    if old["optimizer"] == "sgd":
        decay = old["decay"] or "coupled"
        return {"sgd": {**common, "decay": decay, "momentum": old["momentum"], "nesterov": old["nesterov"]}}
    if old["optimizer"] == "muon":
        [(name, values)] = _adam(old, old["decay"] or "decoupled").items()
        rest = {"name": name, **values, "lr": old["muon_rest_lr"]}
        own = {"decay": old["decay"] or "decoupled", "momentum": old["momentum"], "freeze": old["muon_freeze"]}
        return {"muon": {**common, **own, "rest": rest}}
    return _adam(old, old["decay"] or ("coupled" if old["optimizer"] == "adam" else "decoupled"))


def _adam(old: Mapping[str, Any], decay: str) -> dict[str, Any]:
    """Adam, where decay was part of the gradient, else AdamW."""
    values = {name: old[name] for name in (*DESCENT, "betas", "eps")}
    return {"adam": values} if decay == "coupled" else {"adamw": {**values, "decay": decay}}


def downgraded_specs(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The specs of schema 1 that stood for this one, the usual one first; none where there was none.

    There are several where a value equals what None stood for.
    """
    if spec.get("label_noise"):
        return
    older = {name: value for name, value in spec.items() if name != "optimizer"}
    chain = spec["optimizer"]
    if chain is None:
        yield older
        return
    flags = _flags({name: values for name, values in chain.items() if name != "name"})
    for written in () if flags is None else _written(flags):
        one = {**older, "learner": {**older["learner"], **written}}
        if upgraded_spec(one)["optimizer"] == chain:
            yield one


def _flags(parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parameters that an optimizer was; None where it has parts that there were not."""
    filters = {name: values for name, values in parts.items() if name not in RULES}
    rules = [(name, values) for name, values in parts.items() if name in RULES]
    if len(rules) != 1 or not filters.keys() <= {"weight-noise", "gradient-noise", *GROKFAST, "orthograd"}:
        return None
    old = dict(OF_OPTIMIZER)
    for name in ("weight-noise", "gradient-noise"):
        old[name.replace("-", "_")] = filters.get(name, {}).get("sigma", 0.0)
    old["orthograd"] = "orthograd" in filters
    for name, kind in GROKFAST.items():
        if name in filters:
            old |= {"grokfast": kind, **{f"grokfast_{key}": value for key, value in filters[name].items()}}
    [(name, values)] = rules
    old |= {"optimizer": name, **{key: value for key, value in values.items() if key in old}}
    if name == "muon":
        rest = values["rest"]
        old |= {"muon_rest_lr": rest["lr"], "muon_freeze": values["freeze"]}
        old |= {key: rest[key] for key in ("betas", "eps") if key in rest}
    return old


def _written(flags: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The same parameters with None, or else the value that it stood for, where either may have been written.

    Adam with decay beside it, or towards the first weights, was another name for AdamW.
    """
    usual: dict[str, Any] = {"decay": "coupled" if flags["optimizer"] in ("adam", "sgd") else "decoupled"}
    usual |= {"grokfast_alpha": ALPHA} if flags["grokfast"] == "ema" else {}
    usual |= {"grokfast_window": WINDOW} if flags["grokfast"] == "ma" else {}
    usual |= {} if flags["grokfast"] == "none" else {"grokfast_lamb": LAMB[flags["grokfast"]]}
    either = [name for name, value in usual.items() if flags[name] in (None, value)]
    for given in product(*((None, usual[name]) for name in either)):
        yield {**flags, **dict(zip(either, given, strict=True))}
    if flags["optimizer"] == "adamw":
        decay = flags["decay"] or "decoupled"
        others = [name for name in either if name != "decay"]
        for given in product(*((None, usual[name]) for name in others)):
            yield {**flags, "optimizer": "adam", "decay": decay, **dict(zip(others, given, strict=True))}
