"""The plan of a study: what it searches, by which objectives and stopping rule, and what of it must not change."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import optuna

from bench.errors import RequestError
from bench.executors import Executor, executor_class
from bench.results import SCHEMA
from bench.scheduling import gpu_names
from bench.specs import (
    LARGEST_SEED,
    Budget,
    Family,
    RandomTrial,
    Request,
    Spec,
    count_train,
    family,
    prepare,
    registry,
    resolve_budget,
)
from bench.tuning.commands import run_command
from bench.tuning.objectives import RATIOS, LargestBudget
from bench.tuning.search import FRESH
from bench.tuning.space.search_space import Choice, SearchSpace
from bench.tuning.storage.open import shown_url
from encoders import PairEncoder
from learners import Setting

ROUND = {"cpu": 8, "cuda": 32}
"""Trials of a round: on a GPU as many as it trains well side by side, on a CPU fewer."""


DRAWS = 32
"""Random draws of a space, all of them refused by constructors, after which the space itself is refused."""


FLOPS_DRAWS = 6
"""Random draws whose FLOPs are counted to find the largest budget: for each, a cell is trained for a step."""


REFUSALS = (ValueError, TypeError, OverflowError, MemoryError)
"""Errors by which constructors refuse a draw."""


@dataclass(frozen=True)
class StudyPlan:
    """A study as it was requested and validated; nothing has run.

    :param common: arguments of `bench.specs.resolve.family` that all trials share.
    :param limits: steps, epochs and seconds of a cell.
    :param seeds: how many seeds each trial has.
    :param fresh: how many seeds the winner has; 0 leaves the vault closed.
    :param trials: the number of trials that ends the search; None is no limit.
    :param compute: the FLOPs of all trials that end the search; None is no limit.
    :param executor: where its jobs run.
    :param at_once: trials of a round; None takes the device's usual number.
    :param first_seed: of the trials.
    :param asked: the arguments of the request, for a command line that makes the same one.
    """

    study: str
    url: str
    space: SearchSpace
    common: Mapping[str, Any]
    limits: Mapping[str, Any]
    objectives: tuple[str, ...]
    sampler: str
    seeds: int
    fresh: int
    trials: int | None
    compute: float | None
    device: str
    results: str
    executor: type[Executor] = field(default_factory=executor_class)
    at_once: int | None = None
    first_seed: int = 0
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> dict[str, Any]:
        """The stopping rule."""
        return {"trials": self.trials, "compute": self.compute}

    def rule_of(self, study: optuna.Study) -> dict[str, Any]:
        """The stopping rule of the study itself: the highest that any process has asked for."""
        return dict(study.user_attrs.get("rule", self.rule))

    @property
    def storage(self) -> str:
        """The URL of the storage, without a password."""
        return shown_url(self.url)

    @property
    def round(self) -> int:
        """Trials of a round."""
        return self.at_once or ROUND[self.device.partition(":")[0]]

    def parts(self, jobs: int | None) -> list[str]:
        """The device of each part into which the cells of a round are divided.

        Where workers come and go, the parts do not depend on their number, since a fleet of another size rounds
        differently: four workers find what one finds.

        :param jobs: the number of parts on the CPU, and where workers come and go; None takes the usual one.
        """
        if self.executor.workers_vary:
            return [self.device] * (jobs or (self.round if self.device == "cpu" else 1))
        if self.device == "cpu":
            return ["cpu"] * (jobs or self.executor.cores())
        return gpu_names(self.executor.gpus()) if self.device == "cuda" else [self.device]

    @property
    def rounds(self) -> int:
        """How many rounds the search has; 1 if only the compute is limited."""
        return 1 if self.trials is None else math.ceil(self.trials / self.round)

    @property
    def stops_when_solved(self) -> bool:
        """Whether a cell ends once it is solved: steps and cost are known then, accuracy at the budget is not."""
        return bool({"steps", "cost"} & set(self.objectives))

    @property
    def seeds_of_trials(self) -> range:
        """The seeds of every trial: equal ones, so that they are compared on the same splits and initial weights."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def seeds_of_winner(self) -> range:
        """The fresh seeds of the winner, which no trial has."""
        return range(self.seeds_of_trials.stop, self.seeds_of_trials.stop + self.fresh)

    @property
    def entropy(self) -> int:
        """The seed of the samplers."""
        return number_of(f"{self.study} sampler")

    def family(self, drawn: Mapping[str, Any], opened: bool = False) -> Family:
        """The specs of a draw.

        :param opened: whether the vault is open, as it is for the winner.
        :raises RequestError: if a constructor refuses the draw.
        """
        return family(Request(**{**self.common, **drawn, "vault": {**self.common["vault"], "open": opened}}))

    def budget(self, spec: Spec) -> Budget:
        """The budget of a cell."""
        return resolve_budget(spec, count_train(spec), **self.limits, stop_when_solved=self.stops_when_solved)

    def flops(self, spec: Spec) -> float | None:
        """FLOPs of the whole budget of a cell, counted in its first step; None if its learner does not count FLOPs.

        :raises RequestError: if the cell cannot be trained.
        """
        cell, steps = prepare(spec), self.budget(spec).steps
        try:
            training = type(cell.learner).begin([cell.learner], [cell.problem], Setting(steps=1))
            if training.flops(0, steps) is None:  # a fleet counts as it trains
                training.advance(cell.learner.granularity(cell.n_train), [0])
        except (*REFUSALS, RuntimeError) as error:
            raise RequestError(str(error) or type(error).__name__) from error
        return training.flops(0, steps)

    def run_command(self, params: Mapping[str, Any]) -> str:
        """The command line that trains the parameters of a trial with the same budget, on seeds from 0.

        Trials have these seeds too. It tests on all pairs that do not train, including the vault and the pairs that
        chose the parameters.
        """
        spec = self.family(self.space.draw(optuna.trial.FixedTrial(dict(params)))).first
        return run_command(spec, self.limits, self.fresh or FRESH, self.results)

    @cached_property
    def budgets(self) -> tuple[int, int]:
        """The smallest and the largest budget of a cell in steps: they differ if they are in epochs."""
        steps = [resolve_budget(spec, count_train(spec), **self.limits).steps for spec in self.drafts()]
        return min(steps), max(steps)

    @cached_property
    def largest_budget(self) -> LargestBudget:
        """The largest budget of a cell, over the lowest draw, the highest draw, and a few random ones.

        It is equal for all processes of a study and at all times. With two objectives, each cell's FLOPs count by its
        own budget.
        """
        if self.objectives == ("accuracy",):
            return LargestBudget()
        flops = 0.0
        for spec in self.drafts(FLOPS_DRAWS) if self.objectives == ("cost",) else ():
            with suppress(RequestError):
                flops = max(flops, self.flops(spec) or 0.0)
        return LargestBudget(self.budgets[1], flops)

    def drafts(self, number: int = DRAWS) -> Iterator[Spec]:
        """The specs of the lowest draw, the highest one, and so many random ones, if constructors accept them."""
        ends = [RandomTrial(_Extreme(highest)) for highest in (False, True)]  # type: ignore[arg-type]
        for sampler in (*ends, *(RandomTrial(np.random.default_rng(i)) for i in range(number))):
            with suppress(*REFUSALS):
                yield self.family(self.space.draw(sampler)).first

    @cached_property
    def example(self) -> Spec:
        """The spec of the first random draw that constructors accept."""
        found = self._first_accepted(self.space)
        if isinstance(found, Spec):
            return found
        for choice in self.space.choices():
            ranges = {name: wanted for name, wanted in self.space.ranges.items() if name != choice.name}
            others = replace(self.space, ranges=ranges)
            if ranges != self.space.ranges and isinstance(self._first_accepted(others), Spec):
                raise RequestError(f"{choice.option}: {found}") from found
        raise found

    def _first_accepted(self, space: SearchSpace) -> Spec | RequestError:
        """The spec of the first random draw that constructors accept, or the error of the very first draw."""
        refused = None
        for number in range(DRAWS):
            try:
                spec = self.family(space.draw(RandomTrial(np.random.default_rng(number)))).first
                prepare(spec)
            except RequestError as error:
                refused = refused or error
            else:
                return spec
        assert refused is not None
        return refused

    def check_choices(self) -> None:
        """Raise RequestError if constructors refuse every draw with some choice of the request."""
        for choice in self.space.choices():
            errors = (self._refusal(choice, number) for number in range(DRAWS))
            first = next(errors)
            if first is not None and all(errors):
                raise RequestError(f"{choice.option}: {first}")

    def _refusal(self, choice: Choice, number: int) -> str | None:
        """Why constructors refuse a draw with a choice; None if they accept it."""
        trial = choice.pinned(number, RandomTrial(np.random.default_rng(number)))
        try:
            spec = self.family(self.space.draw(trial)).first
            if choice.name == "train_fraction":
                count_train(spec)
            elif choice.name.partition(".")[0] in {"encoder", "combine", "sdr", *self.space.encoders}:
                operands_NK = spec.make_task().operands_NK
                # One question is enough: codes of all can take long.
                PairEncoder(spec.make_encoder(), spec.combine, spec.sdr).fit(operands_NK).codes(operands_NK[:1])  # type: ignore[arg-type]
        except REFUSALS as error:
            return str(error) or type(error).__name__
        return None

    @cached_property
    def what(self) -> dict[str, Any]:
        """What all processes of a study must agree on, and what must not change when it is resumed."""
        spec, space = self.example, self.space
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "task": spec.task,
            "modulus": spec.modulus,
            "task_parameters": spec.task_parameters,
            "pairs": spec.protocol,
            "train_fraction": None if self.space.fraction else spec.train_fraction,
            "validation_fraction": spec.validation_fraction,
            "label_noise": spec.label_noise,
            "vault": self.common["vault"],
            "encoder": list(space.encoders),
            "learner": space.learner,
            "optimizer": list(space.optimizers),
            "objective": list(self.objectives),
            **({"unit": "steps and FLOPs"} if set(RATIOS) & set(self.objectives) else {}),
            "sampler": self.sampler,
            "space": space.describe(),
            "fixed": json.loads(json.dumps(dict(space.fixed))),
            "combine": list(space.combine),
            "sdr": list(space.sdr),
            "seeds": self.seeds,
            **({"first seed": self.first_seed} if self.first_seed else {}),
            **{f"limit of {name}": value for name, value in self.limits.items()},
            "precision": spec.precision,
            "versions": {
                **{name: registry.encoder(name).version for name in space.encoders},
                space.learner: registry.learner(space.learner).version,
                **{name: registry.optimizer(name).version for name in space.parts},
            },
        }
        return found | {name: value for name, value in self.common.items() if name not in found}


@dataclass(frozen=True)
class _Extreme:
    """A generator whose every draw is the lowest possible one, or the highest."""

    highest: bool

    def uniform(self, low: float, high: float) -> float:
        """One end of the range."""
        return high if self.highest else low

    def integers(self, low: int, high: int | None = None) -> int:
        """One end of the range, which starts at 0 if one number is given, and excludes the last one."""
        first, beyond = (0, low) if high is None else (low, high)
        return beyond - 1 if self.highest else first


def number_of(text: str) -> int:
    """A seed that is derived from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & LARGEST_SEED
