"""Tune: search a space under a rule, then train the winner on fresh seeds and open the vault for it, once."""

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import joblib
import numpy as np
import optuna
import sqlalchemy
from optuna.trial import FixedTrial

from bench.cli._progress.tune import Telling
from bench.errors import BenchError, RequestError, StoreError
from bench.executors.local import Slots
from bench.executors.worker import board
from bench.ranking.reading import many
from bench.results.record import SCHEMA
from bench.results.store import Record, Store
from bench.scheduling.run import check_arithmetic, count_train, prepared_device, resolve_budget
from bench.specs import registry
from bench.specs.cell import prepare
from bench.specs.resolve import LARGEST_SEED, VALIDATION_FOR_STOPPING, VAULT, Budget, Family, Spec, family, real, whole
from bench.specs.stand_ins import Sampler
from bench.tuning.dashboard.notes import limits_of, note_of, note_of_trial, run_command, tested_of
from bench.tuning.dashboard.server import artifacts_folder, decorate
from bench.tuning.objectives import (
    DIRECTIONS,
    RATIOS,
    Most,
    check_sampler,
    counted,
    fresh_seeds,
    goes_on,
    label_of,
    objectives_of,
    trial_seeds,
)
from bench.tuning.rounds import Rounds
from bench.tuning.space.space import Choice, Range, Space, make_space, native
from bench.tuning.storage.open import close_storage, default_url, journal_path, open_storage, shown_url
from bench.tuning.storage.ownership import owner_of
from encoders import PairEncoder
from learners import Setting

__all__ = ["Tuned", "Tuning", "look_at", "plan_tune", "run_tune", "tune"]

ROUND = {"cpu": 8, "cuda": 32}
"""Trials that are asked for at a time: what a GPU trains side by side; fewer where none is gained by more."""
DRAWS = 32
"""Random draws of a space, all of them refused, after which it counts as one that nobody accepts."""
DEAREST = 6
"""Random draws whose FLOPs are looked at for the dearest budget: for each, a cell is trained for a step."""
REFUSALS = (ValueError, TypeError, OverflowError, MemoryError)
"""What constructors say against a draw."""
FRESH = 5

Say = Callable[[str], None]
P = ParamSpec("P")
T = TypeVar("T")


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
        return _number(f"{self.study} sampler")

    def family(self, drawn: Mapping[str, Any], opened: bool = False) -> Family:
        """The specs of a draw; with the vault open for the winner.

        :raises RequestError: where a constructor refuses it.
        """
        vault = {**self.common["vault"], "open": opened}
        return family(**{**self.common, **drawn, "vault": vault})

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


@dataclass
class Tuned:
    """What came of it.

    :ivar trials: that count by the rule.
    :ivar best: number, params and value of the winner, two values where there are two objectives; as ``held`` the step
        from which on it held 99 %, the geometric mean over its seeds, None where a seed did not; as ``unconfirmed`` how
        many seeds held it but not yet to 1.5 times that step; as ``doubt`` what a reader should know of that, in words;
        its budget in steps. None where no trial has come to one yet.
    :ivar cells: records of its fresh seeds.
    :ivar cost: trials, FLOPs (None where unknown) and seconds of the search.
    :ivar whole: whether it got to its end.
    :ivar front: with two objectives, the trials that no other beats in both, of which the winner is the best by the
        first: number, params and values of each. None but the winner is tested.
    :ivar problems: what could not be written, and records that do not say what this study cost.
    :ivar rule: what ended the search, by whichever command asked for most.
    :ivar command: the command line that trains the setting of the winner; empty where there is none.
    """

    study: str
    storage: str
    trials: int
    best: dict[str, Any] | None
    cells: list[Record]
    cost: dict[str, Any]
    whole: bool
    problems: list[str] = field(default_factory=list)
    front: list[dict[str, Any]] = field(default_factory=list)
    rule: dict[str, Any] = field(default_factory=dict)
    command: str = ""


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
        vault = {**vault, "seed": _number(f"{json.dumps(pairs, sort_keys=True)} vault")}
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


def _number(text: str) -> int:
    """A seed from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & LARGEST_SEED


def tune(*, jobs: int | None = None, say: Say | None = None, **request: Any) -> Tuned:
    """Search, then train the winner on fresh seeds. The same call goes on after an interruption; several may share it.

    :param jobs: worker processes on the CPU; None takes one for each core.
    :param say: is told how it goes, line by line.
    :param request: all arguments of `plan_tune`.
    :raises RequestError: where anything in the request is wrong, or the study is another's; nothing ran.
    :raises StoreError: where the results folder fails.
    """
    return run_tune(plan_tune(**request), jobs, say)


def run_tune(planned: Tuning, jobs: int | None = None, say: Say | None = None, telling: Telling | None = None) -> Tuned:
    """Run what a plan leaves to do; arguments as of `tune`.

    :param telling: what ``say`` is told beside the rule, the winner, and what went wrong.
    """
    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs must be an integer ≥ 1, got {jobs}.")
    if planned.url == default_url(planned.results):
        Store(planned.results, create=True)
    storage = open_storage(planned.url)
    try:
        Store(planned.results, create=True)
        return _run(planned, storage, jobs, say, telling or Telling())
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        why = str(error.__cause__ or getattr(error, "orig", None) or error).strip().splitlines()[0]
        message = f"The storage {planned.storage} failed: {why}. What is told is kept; the same command goes on."
        raise StoreError(message) from error
    except KeyError as error:  # what a storage says of a study that is gone
        if planned.study in optuna.get_all_study_names(storage):
            raise
        raise StoreError(f"The study {planned.study!r} is gone from {planned.storage}: it was deleted.") from error
    finally:
        close_storage(storage)


def _run(planned: Tuning, storage: Any, jobs: int | None, say: Say | None, telling: Telling) -> Tuned:
    study, tell = _study(planned, storage), say or (lambda text: None)
    owner = owner_of(study, storage, planned.url, planned.results)
    try:
        with owner.asking():  # of two that begin a study, one says what it is of
            planned = _on_its_vault(planned, study)
            _agree(planned, study)
            planned = _settled_rule(planned, study, tell)
        over = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
        if stored := counted(over):  # what is in work is another's, or was left by a process that died
            tell(f"{many(stored, 'trial')} of the study {planned.study!r} are stored already")
        with board() as on:
            slots_of_cpu = jobs or joblib.cpu_count()

            def show() -> None:
                decorate(study, **_shown(_as_ruled(planned, study), study))

            rounds = Rounds(planned, study, owner, slots_of_cpu, on, tell, show, telling)
            slots = Slots(rounds.devices, on, rounds.told)
            try:
                whole = slots.run(rounds)
            finally:
                rounds.end()
    finally:
        owner.close()
    if slots.problems and not whole:
        raise StoreError(slots.problems[0])
    return _tuned(_as_ruled(planned, study), study, rounds, whole, slots.problems)


def look_at(planned: Tuning) -> tuple[Tuning, int]:
    """The plan by the vault and the rule of its study, and how many trials are stored; the study is left as it is.

    Asks a journal alone: in a database Optuna makes its tables where it looks for a study.

    :raises RequestError: where the study is another's, or cannot go on.
    """
    journal = journal_path(planned.url)
    if journal is None or not journal.exists():
        return planned, 0
    storage = open_storage(planned.url)
    if planned.study not in optuna.get_all_study_names(storage):
        return planned, 0
    study = optuna.load_study(storage=storage, study_name=planned.study)
    planned = _on_its_vault(planned, study)
    if "what" in study.user_attrs or study.get_trials(deepcopy=False):
        _agree(planned, study)
    if _check_rule(planned, study)[1]:
        planned = _as_ruled(planned, study)
    return planned, counted([trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()])


def _study(planned: Tuning, storage: Any) -> Any:
    """The study, made or found."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # that a sampler lacks an optional package is no news
    if planned.study in optuna.get_all_study_names(storage):  # nothing is written to what may be another's
        return optuna.load_study(storage=storage, study_name=planned.study)
    directions = [DIRECTIONS[objective] for objective in planned.objectives]
    return optuna.create_study(storage=storage, study_name=planned.study, directions=directions, load_if_exists=True)


def _on_its_vault(planned: Tuning, study: Any) -> Tuning:
    """The plan on the vault that the study began with, where none was asked for: defaults may change."""
    before = json.loads(study.user_attrs.get("what", "{}")).get("vault")
    if before is None or "vault_seed" in planned.asked or before["fraction"] != planned.common["vault"]["fraction"]:
        return planned
    return replace(planned, common={**planned.common, "vault": before})


def _agree(planned: Tuning, study: Any) -> None:
    """Say what the study is of, or raise RequestError where it is another's."""
    known = study.user_attrs.get("what")
    if known is None:
        if study.get_trials(deepcopy=False):
            raise RequestError(f"The study {planned.study!r} was not made by tune: --study names another.")
        study.set_user_attr("what", json.dumps(planned.what))
        return
    stored = json.loads(known)
    if "unit" in planned.what and "unit" not in stored:
        older = "keeps logarithms of steps or FLOPs, as earlier versions did, and now they are kept themselves"
        raise RequestError(f"The study {planned.study!r} {older}: use another --study name.")
    for name, before in stored.items():  # what an older version did not say agrees
        now = planned.what.get(name)
        if before != now:
            differ = f"its {name} is {_plain(name, before)}, not {_plain(name, now)}"
            raise RequestError(f"The study {planned.study!r} is of something else: {differ}. --study names another.")


def _shown(planned: Tuning, study: Any, best: dict[str, Any] | None = None) -> dict[str, Any]:
    """What optuna-dashboard is to say of the study."""
    note = note_of(planned, best, study.user_attrs.get("tested"))
    metrics = [label_of(objective) for objective in planned.objectives]
    artifacts = artifacts_folder(planned.results)

    def of_trial(trial: Any) -> str:
        return note_of_trial(planned, trial, planned.command_of(trial.params))

    return {"note": note, "metrics": metrics, "of_trial": of_trial, "artifacts": artifacts}


def _plain(name: str, value: Any) -> str:
    if value is None and name.startswith("limit of "):
        return "none" if name == "limit of seconds" else "the learner's default"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _settled_rule(planned: Tuning, study: Any, say: Say) -> Tuning:
    """The plan by the rule of the study, which all of its processes go by.

    Whoever asks for more raises it. Whoever asks for less goes by it: the command that began a study goes on with it,
    though another one raised its rule meanwhile.

    :raises RequestError: where more is asked of one limit and less of the other, or more once the vault was opened.
    """
    more, less = _check_rule(planned, study)
    before, rule = study.user_attrs.get("rule"), planned.rule
    if more and "winner" not in study.user_attrs:
        study.set_user_attr("rule", rule)
    if not less:
        return planned
    differ = f"{limits_of(before)}, not {limits_of(rule)}"
    say(f"The rule of the study {planned.study!r} is {differ}: a rule is not lowered.")
    return _as_ruled(planned, study)


def _check_rule(planned: Tuning, study: Any) -> tuple[bool, bool]:
    """Whether more is asked of some limit than the study's rule says, and whether less; raises as `_settled_rule`."""
    known, rule = study.get_trials(deepcopy=False), planned.rule
    before = study.user_attrs.get("rule", dict.fromkeys(rule, 0))
    more = any(_is_less(before[name], limit) for name, limit in rule.items())
    less = any(_is_less(limit, before[name]) for name, limit in rule.items())
    if "winner" in study.user_attrs:
        if more and goes_on(rule, known):
            over = f"its vault was opened after {counted(known)} trials, so that it cannot go on to {limits_of(rule)}"
            raise RequestError(f"The study {planned.study!r} is over: {over}. --study names another.")
    elif more and less:
        both = f"a later command may ask for more, not for {limits_of(rule)}"
        raise RequestError(f"The study {planned.study!r} goes on to {limits_of(before)}: {both}.")
    return more, less


def _as_ruled(planned: Tuning, study: Any) -> Tuning:
    """The plan by the rule of the study as it is now: another process may have raised it."""
    rule = study.user_attrs.get("rule", planned.rule)
    if rule == planned.rule:
        return planned
    limits = {name: limit for name, limit in rule.items() if limit is not None}
    asked = {name: value for name, value in planned.asked.items() if name not in rule}
    return replace(planned, trials=rule["trials"], compute=rule["compute"], asked=asked | limits)


def _is_less(limit: float | None, before: float | None) -> bool:
    """None is no limit."""
    return limit is not None and (before is None or limit < before)


def _tuned(planned: Tuning, study: Any, rounds: Rounds, whole: bool, problems: list[str]) -> Tuned:
    best, cells = rounds.best(), rounds.cells()
    winner = Store(planned.results).path(cells[0]["id"]) if cells else None
    tested = tested_of(cells)
    if tested is not None and study.user_attrs.get("tested") != tested:
        study.set_user_attr("tested", tested)
    decorate(study, **_shown(planned, study, best), winner=winner, figures=True)
    if best is None and whole:
        why = next((t.user_attrs["error"] for t in study.get_trials(deepcopy=False) if "error" in t.user_attrs), "")
        raise BenchError(f"No trial of the study {planned.study!r} came to a value: {why}")
    cost = rounds.cost()
    problems = [*problems, *rounds.problems]
    over = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    statuses = {trial.number: trial.user_attrs.get("status") for trial in over}
    if best is not None and statuses[best["number"]] == "timeout":
        late = f"{sum(status == 'timeout' for status in statuses.values()):,} of {len(statuses):,}"
        problems.append(f"The best trial ran out of time, as did {late} in all: --seconds is too little to judge by.")
    front, rule = rounds.front(), planned.rule
    command = "" if best is None else planned.command_of(best["params"])
    found = (best, cells, cost, whole, problems, front, rule, command)
    return Tuned(planned.study, planned.storage, cost["trials"], *found)
