"""Planning a study: a request to tune, resolved and validated whole."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from bench.errors import RequestError, one_of
from bench.executors import executor_class
from bench.scheduling import check_precision, resolve_device
from bench.specs import VALIDATION_FOR_STOPPING, Request, Spec, as_integer, as_number, count_train
from bench.tuning.objectives import objectives_of
from bench.tuning.samplers import check_sampler
from bench.tuning.search import LIMITS, SEARCHED, SHARED, Search
from bench.tuning.space.ranges import Range, native
from bench.tuning.space.search_space import make_space
from bench.tuning.storage.open import default_url
from bench.tuning.study import StudyPlan, number_of


def plan_tune(
    *, device: str = "auto", results: str | Path = "results", executor: str = "local", **asked: Any
) -> StudyPlan:
    """Resolve and validate a request to tune.

    :param device: "auto", "cpu", "cuda" or "cuda:i".
    :param results: the folder in which the winner's records land.
    :param executor: where jobs are going to run: "local", or "dask:" and the address of a scheduler.
    :param asked: the fields of `Search`, and those of `bench.specs.Request` named in `SHARED`, of which `SEARCHED` may
        be several values to choose from.
    :raises RequestError: where anything in the request is wrong.
    """
    request, search = _parted(native(asked))
    if not str(results):
        raise RequestError("`results` must name a folder, got ''.")
    objectives = objectives_of(search.objective)
    searched = isinstance(request.train_fraction, str | list | tuple | Range)
    if searched is not ("data" in objectives):
        needs = "`train_fraction` LOW..HIGH or A,B and 'data' as one of two objectives need each other"
        raise RequestError(f"{needs}, got {request.train_fraction} and {search.objective}.")
    sampler = search.sampler or ("tpe" if len(objectives) == 1 else "nsgaii")
    check_sampler(sampler, len(objectives))
    if search.study is not None and not search.study.strip():
        raise RequestError(f"`study` must be a name, got {search.study!r}.")
    fraction = request.train_fraction if searched else None
    apart = {"learner", "validation_fraction", *SEARCHED, *LIMITS}
    common = {name: getattr(request, name) for name in SHARED if name not in apart}
    common |= {} if searched else {"train_fraction": fraction or request.train_fraction}
    common["validation_fraction"] = as_number("validation_fraction", request.validation_fraction)
    seed = as_integer("vault_seed", search.vault_seed, 0) or 0
    common["vault"] = {"fraction": as_number("vault", search.vault), "seed": seed}
    planned = StudyPlan(
        study=search.study or "",
        url=search.storage or default_url(results),
        space=make_space(request, search.space, search.fix, fraction),
        common=common,
        limits={name: getattr(request, name) for name in LIMITS},
        objectives=objectives,
        sampler=sampler,
        seeds=as_integer("seeds", search.seeds, 1) or 1,
        fresh=as_integer("fresh", search.fresh, 0) or 0,
        first_seed=as_integer("first_seed", search.first_seed, 0) or 0,
        trials=as_integer("trials", search.trials, 1),
        compute=_compute(search),
        device=device,
        results=str(results),
        executor=executor_class(executor),
        at_once=as_integer("at_once", search.at_once, 1),
        asked=_given(request, search, device=device, results=str(results)),
    )
    return _settled(planned, named_vault=search.vault_seed is not None)


def _parted(asked: Mapping[str, Any]) -> tuple[Request, Search]:
    """What to train, and how to search."""
    own = [one.name for one in fields(Search)]
    for name in asked:
        if name not in SHARED and name not in own:
            raise RequestError(one_of("argument", name, {*SHARED, *own, "device", "results", "jobs", "executor"}))
    what = {"validation_fraction": VALIDATION_FOR_STOPPING} | {n: value for n, value in asked.items() if n in SHARED}
    return Request.of(what), Search(**{name: value for name, value in asked.items() if name in own})


def _given(request: Request, search: Search, **others: str) -> dict[str, Any]:
    """The arguments that are not at their defaults."""
    usual = {one.name: one.default for cls in (Request, Search) for one in fields(cls)}
    usual |= {"validation_fraction": VALIDATION_FOR_STOPPING, "device": "auto", "results": "results"}
    shared = {name: getattr(request, name) for name in SHARED}
    values = {name: shared[name] for name in ("encoder", "learner")} | vars(search) | shared | others
    return {name: value for name, value in values.items() if value != usual[name] and value not in ({}, [], None)}


def _compute(search: Search) -> float | None:
    if search.compute is None:
        if search.trials is None:
            raise RequestError("Missing `trials` N, `compute` FLOPS, or both: how long to search.")
        return None
    compute = as_number("compute", search.compute)
    if not 0 < compute < math.inf:
        raise RequestError(f"`compute` must be a number of FLOPs above 0, got {compute:g}.")
    return compute


def _settled(planned: StudyPlan, named_vault: bool) -> StudyPlan:
    """With a name, a vault of that name, and a device; checked on an example."""
    spec = planned.example
    name = planned.study or _name(planned, spec)
    vault = planned.common["vault"]
    if not named_vault:  # studies of the same pairs are tested on the same ones
        pairs = [spec.task, spec.modulus, spec.task_parameters, spec.protocol, vault["fraction"]]
        vault = {**vault, "seed": number_of(f"{json.dumps(pairs, sort_keys=True)} vault")}
    device = resolve_device(planned.device, spec, planned.executor)
    check_precision(spec, device)
    settled = replace(planned, study=name, device=device, common={**planned.common, "vault": vault})
    if not spec.validation_fraction:
        raise RequestError("`validation_fraction` must be in (0, 1): test pairs must not tune, got 0.")
    settled.budget(settled.example)
    if settled.example.make_learner().granularity(count_train(spec)) == 0:
        _check_closed_form(settled)
    settled.check_choices()
    if settled.compute is not None and settled.flops(settled.example) is None:
        raise RequestError(f"`compute` does not apply to {settled.space.learner}: it does not count FLOPs.")
    return settled


def _check_closed_form(planned: StudyPlan) -> None:
    """Raise RequestError where a learner that takes no steps is to be judged, or stopped, by what they cost."""
    learner, objective = planned.space.learner, ",".join(planned.objectives)
    if planned.compute is not None:
        raise RequestError(f"`compute` does not apply to {learner}: it does not count FLOPs.")
    if set(planned.objectives) - {"accuracy", "data"}:
        takes = f"{learner}, which takes no steps: `objective` accuracy does"
        raise RequestError(f"`objective` {objective} does not apply to {takes}.")


def _name(planned: StudyPlan, spec: Spec) -> str:
    modulus = "" if spec.modulus is None else str(spec.modulus)
    space, objectives = planned.space, "+".join(planned.objectives)
    shares = [f"{100 * one:g}%" for one in space.fractions or (spec.train_fraction,)]
    fraction = (".." if isinstance(space.fraction, Range) else "+").join(shares)
    tuned = [space.learner, *([f"({', '.join(space.optimizers)})"] if space.optimizers else [])]
    noise = [f"{100 * spec.label_noise:g}% noise"] if spec.label_noise else []
    conditions = [spec.task + modulus, spec.protocol, fraction, *noise]
    return " ".join(["+".join(space.encoders), *tuned, *conditions, objectives])
