"""How long a cell may train, and how many pairs it trains on."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from bench.errors import RequestError
from bench.specs.cell import draw_split
from bench.specs.normalize import as_integer, as_number
from bench.specs.spec import Budget, Spec
from bench.specs.values import MOST_SEEDS, MOST_STEPS


def resolve_budget(
    spec: Spec,
    n_train: int,
    steps: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    stop_when_solved: bool = False,
) -> Budget:
    """The budget of a cell, from the limits in its request.

    :raises RequestError: for a limit that is not valid, or that does not apply to the learner.
    """
    steps, epochs = as_integer("steps", steps), as_integer("epochs", epochs)
    seconds = None if seconds is None else as_number("seconds", seconds)
    if seconds is not None and not 0 < seconds < math.inf:
        raise RequestError(f"`seconds` must be a finite number above 0, got {seconds}.")
    if stop_when_solved and not spec.validation_fraction:
        raise RequestError("`stop_when_solved` needs a `validation_fraction` above 0: test pairs must not stop a run.")
    return Budget(_steps(spec, n_train, steps, epochs), seconds, stop_when_solved)


def _steps(spec: Spec, n: int, steps: int | None, epochs: int | None) -> int:
    """The budget in updates, rounded up to the next step at which the learner can be evaluated."""
    learner = spec.make_learner()
    granule, per_epoch = learner.granularity(n), learner.steps_per_epoch(n)
    for option, value in (("`steps`", steps), ("`epochs`", epochs)):
        if value is not None and granule == 0:
            raise RequestError(f"{option} does not apply to {spec.learner['name']}: it takes no steps.")
        if value is not None and value < 1:
            raise RequestError(f"{option} must be an integer ≥ 1, got {value}.")
        if value is not None and value * max(1, per_epoch) > MOST_STEPS:
            raise RequestError(f"{option} must make at most 2⁵³ updates, got {value}.")
    if steps is not None and epochs is not None:
        raise RequestError("`steps` and `epochs` exclude each other.")
    if granule == 0:
        return 0
    wanted = steps or (epochs * per_epoch if epochs else learner.default_steps(n))
    return -(-wanted // granule) * granule


def count_train(spec: Spec) -> int:
    """The number of training pairs. The count is cached for all specs whose splits have the same size."""
    seed = spec.split_seed if spec.protocol == "grouped" else 0
    task = (spec.task, spec.modulus, spec.task_parameters, spec.protocol)
    return _count(json.dumps([*task, spec.train_fraction, spec.validation_fraction, seed, spec.vault]))


@lru_cache(maxsize=1 << 16)
def _count(key: str) -> int:
    *split, vault = json.loads(key)
    spec = replace(minimal_spec(*split), vault=vault)
    try:
        return len(draw_split(spec, spec.make_task()).train)
    except ValueError as error:
        raise RequestError(str(error)) from error


def minimal_spec(
    task: str,
    modulus: int | None,
    task_parameters: dict[str, Any],
    protocol: str,
    train_fraction: float,
    validation_fraction: float,
    split_seed: int,
) -> Spec:
    """A spec with this task and split, and with the simplest encoder and learner."""
    data = (task, modulus, task_parameters, protocol, train_fraction, validation_fraction)
    return Spec(*data, {"name": "onehot"}, "concat", None, {"name": "ridge", "alpha": 1.0}, "float32", split_seed, 0)


def seeds_of(seeds: int | None, seed: int | None) -> Sequence[int]:
    """The seeds 0 … seeds − 1, or this one seed; seed 0 where neither is given."""
    if seed is not None and seeds is not None:
        raise RequestError("`seed` and `seeds` exclude each other.")
    if seed is not None:
        return [as_integer("seed", seed, 0) or 0]
    number = 1 if seeds is None else as_integer("seeds", seeds)
    if number is None or number < 1:
        raise RequestError(f"`seeds` must be an integer ≥ 1, got {seeds}.")
    if number > MOST_SEEDS:
        raise RequestError(f"`seeds` must be an integer in [1, {MOST_SEEDS:,}], got {seeds}.")
    return range(number)
