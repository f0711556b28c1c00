"""Planning a search: its request, resolved and validated whole."""

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bench.errors import RequestError
from bench.scheduling import check_arithmetic, prepared_device
from bench.specs import VALIDATION_FOR_STOPPING, VAULT, Spec, count_train, real, whole
from bench.tuning.objectives import objectives_of
from bench.tuning.samplers import check_sampler
from bench.tuning.space.ranges import Range, native
from bench.tuning.space.search_space import make_space
from bench.tuning.storage.open import default_url
from bench.tuning.study import FRESH, number_of
from bench.tuning.study import StudyPlan as Tuning

__all__ = ["plan_tune"]

P = ParamSpec("P")


T = TypeVar("T")


def _natively(call: Callable[P, T]) -> Callable[P, T]:
    """Takes numpy's scalars as Python's."""

    @wraps(call)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        kwargs.update(native(kwargs))
        return call(*args, **kwargs)

    return called


@_natively
def plan_tune(
    *,
    encoder: str | Sequence[str],
    learner: str,
    trials: int | None = None,
    compute: float | None = None,
    objective: str = "steps",
    sampler: str | None = None,
    space: Mapping[str, Any] | None = None,
    fix: Mapping[str, Any] | None = None,
    combine: str | Sequence[str] | None = None,
    sdr: int | str | Sequence[int | str] | None = None,
    task: str = "add",
    modulus: int | None = None,
    pairs: str | None = None,
    train_fraction: float | str | Sequence[float] = 0.5,
    validation_fraction: float = VALIDATION_FOR_STOPPING,
    vault: float = VAULT,
    vault_seed: int | None = None,
    seeds: int = 1,
    fresh: int = FRESH,
    steps: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    precision: str = "float32",
    device: str = "auto",
    at_once: int | None = None,
    results: str | Path = "results",
    storage: str | None = None,
    study: str | None = None,
) -> Tuning:
    """Resolve and validate a request to tune.

    :param encoder: a name, or several to choose from.
    :param trials: the rule: so many trials in all, by whatever processes and however often interrupted, or
    :param compute: so many FLOPs of training in all: a trial whose whole budget does not fit into what is left is not
        begun, and eight such in a row end the search. What died with its process is not counted. Or both. A later call
        may ask for more; one that asks for less goes by what was asked before.
    :param objective: "steps", "accuracy", "cost", or two with a comma, of which "data" may be one; the first names the
        winner.
    :param sampler: "tpe", "random", "gp", "cmaes" or "nsgaii"; None takes tpe, and nsgaii for two objectives.
    :param space: ranges and choices by name: ``{"learner.lr": "1e-4..1e-1:log", "encoder.base": [2, 10]}``.
    :param fix: parameters held at one value.
    :param combine: one way to join operands, or several to choose from.
    :param sdr: features to keep of a slot, or several numbers to choose from; "off" is one.
    :param train_fraction: share of the pairs that train; a range or choices, as of a parameter, where "data" is an
        objective.
    :param validation_fraction: share of the pairs that say how good a trial is.
    :param vault: share of the pairs that no trial sees, and that the winner is tested on.
    :param vault_seed: which pairs; None derives it from the task and its pairs, so that studies of these share it.
    :param seeds: of each trial, the same for all.
    :param fresh: seeds of the winner, none of them a trial's.
    :param steps: budget of a cell in updates, or
    :param epochs: in passes over the training pairs; neither takes the learner's own.
    :param seconds: safety limit of each cell.
    :param at_once: trials of a round, which train side by side and of which none knows how the others went; None takes
        32 on a GPU and 8 on a CPU.
    :param results: the folder in which the winner's records land.
    :param storage: where the study lies; None is a journal in the results folder.
    :param study: its name; None makes one of encoder, learner, task and fraction.
    :raises RequestError: where anything in the request is wrong.
    """
    asked = {name: value for name, value in locals().items() if value != _DEFAULTS[name] and value not in ({}, [])}
    if not str(results):
        raise RequestError("--results must name a folder, got ''.")
    objectives = objectives_of(objective)
    searched = isinstance(train_fraction, str | list | tuple | Range)
    if searched is not ("data" in objectives):
        needs = "--train-fraction LOW..HIGH or A,B and 'data' as one of two objectives need each other"
        raise RequestError(f"{needs}, got {train_fraction} and {objective}.")
    chosen = make_space(encoder, learner, combine, sdr, space, fix, train_fraction if searched else None)
    sampler = sampler or ("tpe" if len(objectives) == 1 else "nsgaii")
    check_sampler(sampler, len(objectives))
    if trials is None and compute is None:
        raise RequestError("Missing --trials N, --compute FLOPS, or both: how long to search.")
    compute = None if compute is None else real("--compute", compute)
    if compute is not None and not 0 < compute < math.inf:
        raise RequestError(f"--compute must be a number of FLOPs above 0, got {compute:g}.")
    if study is not None and not study.strip():
        raise RequestError(f"--study must be a name, got {study!r}.")
    common = {
        "task": task,
        "modulus": modulus,
        "pairs": pairs,
        **({} if searched else {"train_fraction": train_fraction}),
        "validation_fraction": real("--validation-fraction", validation_fraction),
        "precision": precision,
        "vault": {"fraction": real("--vault", vault), "seed": whole("--vault-seed", vault_seed, 0) or 0},
    }
    planned = Tuning(
        study=study or "",
        url=storage or default_url(results),
        space=chosen,
        common=common,
        limits={"steps": steps, "epochs": epochs, "seconds": seconds},
        objectives=objectives,
        sampler=sampler,
        seeds=whole("--seeds", seeds, 1) or 1,
        fresh=whole("--fresh", fresh, 0) or 0,
        trials=whole("--trials", trials, 1),
        compute=compute,
        device=device,
        results=str(results),
        at_once=whole("--round", at_once, 1),
        asked=asked,
    )
    return _settled(planned, named_vault=vault_seed is not None)


_DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(plan_tune).parameters.items()}


def _settled(planned: Tuning, named_vault: bool) -> Tuning:
    """With a name, a vault of that name, and a device; checked on an example."""
    spec = planned.example
    name = planned.study or _name(planned, spec)
    vault = planned.common["vault"]
    if not named_vault:  # studies of the same pairs are tested on the same ones
        pairs = [spec.task, spec.modulus, spec.task_parameters, spec.protocol, vault["fraction"]]
        vault = {**vault, "seed": number_of(f"{json.dumps(pairs, sort_keys=True)} vault")}
    device = prepared_device(planned.device, spec)
    check_arithmetic(spec, device)
    settled = replace(planned, study=name, device=device, common={**planned.common, "vault": vault})
    if not spec.validation_fraction:
        raise RequestError("--validation-fraction must be in (0, 1): test pairs must not tune, got 0.")
    settled.budget(settled.example)
    if settled.example.make_learner().granularity(count_train(spec)) == 0:
        _check_closed_form(settled)
    settled.check_choices()
    if settled.compute is not None and settled.flops(settled.example) is None:
        raise RequestError(f"--compute does not apply to {settled.space.learner}: it does not count FLOPs.")
    return settled


def _check_closed_form(planned: Tuning) -> None:
    """Raise RequestError where a learner that takes no steps is to be judged, or stopped, by what they cost."""
    learner, objective = planned.space.learner, ",".join(planned.objectives)
    if planned.compute is not None:
        raise RequestError(f"--compute does not apply to {learner}: it does not count FLOPs.")
    if set(planned.objectives) - {"accuracy", "data"}:
        takes = f"{learner}, which takes no steps: --objective accuracy does"
        raise RequestError(f"--objective {objective} does not apply to {takes}.")


def _name(planned: Tuning, spec: Spec) -> str:
    modulus = "" if spec.modulus is None else str(spec.modulus)
    space, objectives = planned.space, "+".join(planned.objectives)
    shares = [f"{100 * one:g}%" for one in space.fractions or (spec.train_fraction,)]
    fraction = (".." if isinstance(space.fraction, Range) else "+").join(shares)
    return " ".join(["+".join(space.encoders), space.learner, spec.task + modulus, spec.protocol, fraction, objectives])
