"""A study: what it searches, by which rule, and what came of it."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from optuna.trial import FixedTrial

from bench.errors import RequestError
from bench.results.record import SCHEMA
from bench.specs import registry
from bench.specs.budget import count_train, resolve_budget
from bench.specs.cell import prepare
from bench.specs.request import Request
from bench.specs.resolve import family
from bench.specs.spec import LARGEST_SEED, Budget, Family, Spec
from bench.specs.stand_ins import Sampler
from bench.tuning.commands import run_command
from bench.tuning.objectives import RATIOS, Most
from bench.tuning.space.space import Choice, Space
from bench.tuning.storage.open import shown_url
from encoders import PairEncoder
from learners import Setting

__all__ = ["FRESH", "Say", "Tuning", "fresh_seeds", "number_of", "trial_seeds"]


def trial_seeds(seeds: int) -> range:
    """The seeds of every trial: the same for all, so that settings are compared on the same splits and starts."""
    return range(seeds)


def fresh_seeds(seeds: int, fresh: int) -> range:
    """The winner's seeds, none of them a trial's."""
    return range(seeds, seeds + fresh)


ROUND = {"cpu": 8, "cuda": 32}
"""Trials that are asked for at a time: what a GPU trains side by side; fewer where none is gained by more."""


DRAWS = 32
"""Random draws of a space, all of them refused, after which it counts as one that nobody accepts."""


DEAREST = 6
"""Random draws whose FLOPs are looked at for the dearest budget: for each, a cell is trained for a step."""


REFUSALS = (ValueError, TypeError, OverflowError, MemoryError)
"""What constructors say against a draw."""


Say = Callable[[str], None]


@dataclass(frozen=True)
class Tuning:
    """A study as it was asked for, validated; nothing has run.

    :param common: arguments of `bench.specs.resolve.family` that all trials share.
    :param limits: steps, epochs and seconds of a cell.
    :param trials: how many trials count in all, None for no limit.
    :param compute: FLOPs of all trials, None for no limit.
    :param fresh: seeds of the winner; 0 leaves the vault closed.
    :param at_once: trials asked for at a time; None goes by the device.
    :param asked: the arguments that were given, for a command that asks for the same.
    """

    study: str
    url: str
    space: Space
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
    at_once: int | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> dict[str, Any]:
        """What ends the search."""
        return {"trials": self.trials, "compute": self.compute}

    @property
    def storage(self) -> str:
        """Where the study lies, without a password."""
        return shown_url(self.url)

    @property
    def round(self) -> int:
        """Trials asked for at a time."""
        return self.at_once or ROUND[self.device.partition(":")[0]]

    @property
    def rounds(self) -> int:
        """How many rounds that makes; 1 where only the compute is known."""
        return 1 if self.trials is None else math.ceil(self.trials / self.round)

    @property
    def stops_when_solved(self) -> bool:
        """Steps and cost are over when a cell is solved; accuracy at a budget is known at the budget."""
        return bool({"steps", "cost"} & set(self.objectives))

    @property
    def seeds_of_trials(self) -> range:
        """Seeds of every trial."""
        return trial_seeds(self.seeds)

    @property
    def seeds_of_winner(self) -> range:
        """Fresh seeds."""
        return fresh_seeds(self.seeds, self.fresh)

    @property
    def entropy(self) -> int:
        """What the samplers are seeded by."""
        return number_of(f"{self.study} sampler")

    def family(self, drawn: Mapping[str, Any], opened: bool = False) -> Family:
        """The specs of a draw; with the vault open for the winner.

        :raises RequestError: where a constructor refuses it.
        """
        common = {**self.common, **drawn}
        vault = {**common.pop("vault"), "open": opened}
        return family(Request(**common), vault=vault)

    def budget(self, spec: Spec) -> Budget:
        """How long a cell may train."""
        return resolve_budget(spec, count_train(spec), **self.limits, stop_when_solved=self.stops_when_solved)

    def flops(self, spec: Spec) -> float | None:
        """What the whole budget of a cell takes, by its first step; None where its learner does not count FLOPs.

        :raises RequestError: where it cannot be trained.
        """
        cell, steps = prepare(spec), self.budget(spec).steps
        try:
            training = type(cell.learner).begin([cell.learner], [cell.problem], Setting(steps=1))
            if training.flops(0, steps) is None:  # a fleet counts as it trains
                training.advance(cell.learner.granularity(cell.n_train), [0])
        except (*REFUSALS, RuntimeError) as error:
            raise RequestError(str(error) or type(error).__name__) from error
        return training.flops(0, steps)

    def command_of(self, params: Mapping[str, Any]) -> str:
        """The command line that trains what a trial drew for as long, on seeds from 0, which the trials had too.

        It is tested on all pairs that do not train it, those of the vault and those that chose the setting among them.
        """
        spec = self.family(self.space.draw(FixedTrial(dict(params)))).first
        return run_command(spec, self.limits, self.fresh or FRESH, self.results)

    @cached_property
    def budgets(self) -> tuple[int, int]:
        """The smallest and the largest budget of a cell in steps: where they are in epochs, they go by the batch."""
        steps = [resolve_budget(spec, count_train(spec), **self.limits).steps for spec in self.drafts()]
        return min(steps), max(steps)

    @cached_property
    def most(self) -> Most:
        """What a cell may take at most, as far as draws of all that is lowest, of all that is highest, and some tell.

        Equal for all processes of a study and at all times. With two objectives, cost goes by the cell's own budget: to
        be dear is then not outweighed by what was not solved.
        """
        if self.objectives == ("accuracy",):
            return Most()
        dearest = 0.0
        for spec in self.drafts(DEAREST) if self.objectives == ("cost",) else ():
            with suppress(RequestError):
                dearest = max(dearest, self.flops(spec) or 0.0)
        return Most(self.budgets[1], dearest)

    def drafts(self, number: int = DRAWS) -> Iterator[Spec]:
        """The specs of the lowest and the highest draw, and of so many random ones, as far as they are accepted."""
        ends = [Sampler(End(highest)) for highest in (False, True)]  # type: ignore[arg-type]
        for sampler in (*ends, *(Sampler(np.random.default_rng(i)) for i in range(number))):
            spec = None
            with suppress(*REFUSALS):
                spec = self.family(self.space.draw(sampler)).first
            if spec is not None:
                yield spec

    @cached_property
    def example(self) -> Spec:
        """The spec of some draw that constructors accept."""
        found = self._first_accepted(self.space)
        if isinstance(found, Spec):
            return found
        for choice in self.space.choices():
            ranges = {name: wanted for name, wanted in self.space.ranges.items() if name != choice.name}
            others = replace(self.space, ranges=ranges)
            if ranges != self.space.ranges and isinstance(self._first_accepted(others), Spec):
                raise RequestError(f"{choice.option}: {found}") from found
        raise found

    def _first_accepted(self, space: Space) -> Spec | RequestError:
        """The spec of some draw that constructors accept, or what is said against the first."""
        refused = None
        for number in range(DRAWS):
            try:
                spec = self.family(space.draw(Sampler(np.random.default_rng(number)))).first
                prepare(spec)
            except RequestError as error:
                refused = refused or error
            else:
                return spec
        assert refused is not None
        return refused

    def check_choices(self) -> None:
        """Raise RequestError where no draw with some choice of the request is accepted, which would waste trials."""
        for choice in self.space.choices():
            errors = (self._refusal(choice, number) for number in range(DRAWS))
            first = next(errors)
            if first is not None and all(errors):
                raise RequestError(f"{choice.option}: {first}")

    def _refusal(self, choice: Choice, number: int) -> str | None:
        """What constructors say against a draw with a choice."""
        trial = choice.pinned(number, Sampler(np.random.default_rng(number)))
        try:
            spec = self.family(self.space.draw(trial)).first
            if choice.name == "train_fraction":
                count_train(spec)
            elif not choice.name.startswith("learner."):
                pairs_N2 = spec.make_task().pairs_N2
                # Of one pair, since those of all of them can take long.
                PairEncoder(spec.make_encoder(), spec.combine, spec.sdr).fit(pairs_N2).codes(pairs_N2[:1])  # type: ignore[arg-type]
        except REFUSALS as error:
            return str(error) or type(error).__name__
        return None

    @cached_property
    def what(self) -> dict[str, Any]:
        """All that must agree for processes to work on one study, and for it to go on."""
        spec, space = self.example, self.space
        return {
            "schema": SCHEMA,
            "task": spec.task,
            "modulus": spec.modulus,
            "task_parameters": spec.task_parameters,
            "pairs": spec.protocol,
            "train_fraction": None if self.space.fraction else spec.train_fraction,
            "validation_fraction": spec.validation_fraction,
            "vault": self.common["vault"],
            "encoder": list(space.encoders),
            "learner": space.learner,
            "objective": list(self.objectives),
            **({"unit": "steps and FLOPs"} if set(RATIOS) & set(self.objectives) else {}),
            "sampler": self.sampler,
            "space": space.describe(),
            "fixed": json.loads(json.dumps(dict(space.fixed))),
            "combine": list(space.combine),
            "sdr": list(space.sdr),
            "seeds": self.seeds,
            **{f"limit of {name}": value for name, value in self.limits.items()},
            "precision": spec.precision,
            "versions": {
                **{name: registry.encoder(name).version for name in space.encoders},
                space.learner: registry.learner(space.learner).version,
            },
        }


@dataclass(frozen=True)
class End:
    """A generator that draws the lowest of everything, or the highest."""

    highest: bool

    def uniform(self, low: float, high: float) -> float:
        """One end of the range."""
        return high if self.highest else low

    def integers(self, low: int, high: int | None = None) -> int:
        """One end of the range, which begins at 0 where one number is given, and ends before the last."""
        first, beyond = (0, low) if high is None else (low, high)
        return beyond - 1 if self.highest else first


def number_of(text: str) -> int:
    """A seed from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & LARGEST_SEED


FRESH = 5
