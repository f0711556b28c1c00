"""Run cells from Python, as the command line does."""

import inspect
import json
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from bench.errors import RequestError, StoreError, one_of
from bench.executors.worker import Board, Job, Result, Unit, board, check_model_path, run_jobs
from bench.harness.probes import Probes
from bench.harness.train import solved
from bench.results import environment
from bench.results.store import Record, Store
from bench.specs import registry
from bench.specs.cell import drawn, prepare
from bench.specs.resolve import Budget, Spec, family, real, resolve, whole

__all__ = [
    "THREADS",
    "Comparison",
    "Plan",
    "Step",
    "action",
    "check_arithmetic",
    "check_run",
    "count_train",
    "execute",
    "gpus",
    "kind_of_device",
    "places",
    "plan",
    "prepared_device",
    "rerun",
    "resolve_budget",
    "run",
    "seeds_of",
]

THREADS = 1
"""Threads of a cell that trains alone. Sums of several threads round differently: with one, a spec has one result on a
machine, whether its seeds run alone or side by side, and every core trains a seed of its own."""

WORTH_A_PROCESS = 4_000
"""Updates, of all replicas together, that repay the seconds which a process of its own takes to start."""

Display = Callable[["Plan", Board], AbstractContextManager[Callable[[Record], None]]]


@dataclass(frozen=True)
class Step:
    """One cell of a plan.

    :param record: what is stored of it, or None.
    :param action: "run", "extend", "resume", "retry", or "done" where the stored record covers the budget.
    """

    spec: Spec
    budget: Budget
    record: Record | None
    action: str

    def to_dict(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        budget = asdict(self.budget)
        return {
            "id": self.spec.id,
            "label": self.spec.label,
            "action": self.action,
            "spec": self.spec.to_dict(),
            "budget": budget,
        }


@dataclass(frozen=True)
class Plan:
    """All cells of a request, validated; nothing has run."""

    steps: list[Step]
    device: str
    results: str | None
    force: bool = False

    @property
    def todo(self) -> list[Step]:
        """Cells that are not covered by what is stored."""
        return [step for step in self.steps if step.action != "done"]


def plan(
    *,
    seeds: int | None = None,
    seed: int | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    stop_when_solved: bool = False,
    device: str = "auto",
    results: str | Path | None = "results",
    force: bool = False,
    **what: Any,
) -> Plan:
    """Resolve and validate a request whole, and look up what of it is done already.

    :param seeds: how many seeds, from 0 on; None takes one.
    :param seed: this one seed instead.
    :param steps: budget in updates, or
    :param epochs: in passes over the training pairs; neither takes the learner's own.
    :param seconds: safety limit of each cell.
    :param stop_when_solved: stop once 99 % of the validation pairs have held over 20 % more steps.
    :param device: "auto", "cpu", "cuda" or "cuda:i".
    :param results: the results folder, None to look nothing up.
    :param force: plan to compute anew what is stored.
    :param what: encoder, learner, settings (``{"learner.alpha": 0.1}``), combine, sdr, task, modulus, pairs,
        train_fraction, validation_fraction, split_seed and precision, as in `bench.specs.resolve.resolve`.
    :raises RequestError: where anything in the request is wrong.
    :raises StoreError: where a stored record cannot be read.
    """
    known = inspect.signature(family).parameters
    for name in what:
        if name not in known:
            raise RequestError(one_of("argument", name, {*known, *inspect.signature(plan).parameters} - {"what"}))
    for name in ("encoder", "learner"):
        if name not in what:
            raise RequestError(f"Missing argument {name!r}.")
    specs = resolve(stop_when_solved=stop_when_solved, seeds=seeds_of(seeds, seed), **what)
    chosen = prepared_device(device, specs[0])
    check_arithmetic(specs[0], chosen)
    prepare(specs[0])
    if results is not None and not str(results):
        raise RequestError("--results must name a folder, got ''.")
    store = None if results is None or force or not Path(results).exists() else Store(results)
    planned = []
    for spec in specs:
        budget = resolve_budget(spec, count_train(spec), steps, epochs, seconds, stop_when_solved)
        record = None if store is None else store.read(spec.id)
        planned.append(Step(spec, budget, record, "run" if record is None else action(record, budget)))
    return Plan(planned, chosen, None if results is None else str(results), force)


def run(
    *,
    save_model: str | Path | None = None,
    jobs: int | None = None,
    display: Display | None = None,
    results: str | Path | None = "results",
    **request: Any,
) -> list[Record]:
    """Run the cells of a request, one for each seed, and return their records in the order of the seeds.

    Cells that are stored already are returned as they are; a larger budget extends them.

    :param save_model: a file for the fitted pipeline; with several seeds it contains ``{seed}``.
    :param jobs: worker processes; None takes one for each core, at most one for each cell.
    :param display: makes a progress display.
    :param results: the results folder, None to keep nothing.
    :param request: all arguments of `plan`.
    :raises RequestError: where anything in the request is wrong; nothing ran.
    :raises StoreError: where the results folder fails; what was computed is in its ``records``.

    >>> [record] = run(encoder="phasor", learner="ridge", modulus=13, results=None)
    >>> record["final"]["test_accuracy"]
    1.0
    """
    planned = plan(results=results, **request)
    check_run(planned, save_model, jobs)
    return execute(planned, save_model, jobs, display)


def check_run(planned: Plan, model: str | Path | None, jobs: int | None) -> None:
    """Raise RequestError where a plan cannot be run so."""
    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs must be an integer ≥ 1, got {jobs}.")
    if model is not None:
        check_model_path(str(model), len(planned.steps))


def execute(
    planned: Plan, model: str | Path | None = None, jobs: int | None = None, display: Display | None = None
) -> list[Record]:
    """Run what a plan leaves to do; the records of all its cells that have one, in the plan's order."""
    if planned.results is not None:
        Store(planned.results, create=True)
    todo = _jobs(planned, None if model is None else str(model), jobs or joblib.cpu_count())
    outcomes: list[Result] = []
    if todo:
        with board() as on, display(planned, on) if display else nullcontext(lambda record: None) as finished:
            outcomes = run_jobs(todo, on, jobs or joblib.cpu_count(), finished)
    found = {step.spec.id: step.record for step in planned.steps if step.action == "done"}
    found |= {result.record["id"]: result.record for result in outcomes}
    records = [record for step in planned.steps if (record := found.get(step.spec.id)) is not None]
    problems = [result.problem for result in outcomes if result.problem]
    if problems:
        raise StoreError(problems[0], records)
    return records


def _jobs(planned: Plan, model: str | None, cores: int) -> list[Job]:
    """What is to run, in groups that train side by side."""
    source = environment.source_state()
    groups: dict[Any, list[Unit]] = {}
    for number, step in enumerate(planned.steps):
        if step.action == "done" and model is None:
            continue
        structure = step.spec.make_learner().structure(count_train(step.spec))
        groups.setdefault(number if structure is None or step.action == "done" else structure, []).append(
            Unit(
                step.spec,
                step.budget,
                prior=step.record if step.action in ("extend", "resume", "done") else None,
                recalled=step.action == "done",
                model=None if model is None else model.replace("{seed}", str(step.spec.seed)),
            )
        )
    jobs = []
    for key, units in groups.items():
        updates = sum(unit.budget.steps for unit in units)
        alone = [(planned.device, THREADS)]
        parts = places(planned.device, len(units), updates, cores) if isinstance(key, tuple) else alone
        for number, (device, threads) in enumerate(parts):
            share = tuple(units[number :: len(parts)])
            jobs.append(Job(share, device, threads, planned.results, planned.force, source))
    return jobs


def places(device: str, replicas: int, updates: int, cores: int) -> list[tuple[str, int]]:
    """Where the parts of a fleet train, one process each: device and threads of each part.

    A process for each GPU, or for each core: two cores train two halves faster than both of them one whole. The choice
    depends on nothing that a clock says, since a fleet of another size rounds differently.

    :param updates: of all replicas together.
    """
    parts = min(replicas, max(1, updates // WORTH_A_PROCESS))
    if device == "cuda":
        return [(f"cuda:{i}" if gpus() > 1 else "cuda", 1) for i in range(min(parts, gpus()))]
    if device == "cpu":
        parts = min(parts, cores)
        return [("cpu", max(1, cores // parts))] * parts
    return [(device, 1)]


@dataclass(frozen=True)
class Comparison:
    """A stored record beside the same cell computed anew.

    :param same: whether the curves agree in every number.
    :param difference: the largest difference of an accuracy on the curve, None where the curves differ in length.
    """

    stored: Record
    again: Record
    same: bool
    difference: float | None


def rerun(id: str, *, results: str | Path = "results", display: Display | None = None) -> Comparison:
    """Compute a stored cell anew, keep nothing, and compare: does it come out the same?

    :param id: the record's id or an unambiguous beginning of it.
    :raises RequestError: where there is no such folder or record, or where it cannot be computed by this version.
    :raises StoreError: where the record cannot be read.
    """
    stored = Store(results).find(id)
    if stored["final"]["step"] is None:
        raise RequestError(f"The record {stored['id']!r} failed: there is no result to compare with.")
    spec = Spec.from_dict(stored["spec"])
    if spec.id != stored["id"]:
        raise RequestError(f"The record {stored['id']!r} was made by other versions of its plugins: {spec.versions}.")
    budget = Budget(stored["final"]["step"])
    device = prepared_device(stored["environment"]["device"], spec)
    planned = Plan([Step(spec, budget, None, "run")], device, None)
    # As many threads as then: sums of more or fewer round differently.
    records = execute(planned, None, stored["environment"]["threads"], display)
    if not records or records[0]["status"] == "interrupted":
        raise KeyboardInterrupt
    [again] = records
    measures = ("train_accuracy", "validation_accuracy", "test_accuracy")
    before, after = stored["curve"], again["curve"]
    shared = [step for step in before["step"] if step in set(after["step"])]
    rows = [(before["step"].index(step), after["step"].index(step)) for step in shared]
    pairs = [(before[m][i], after[m][j]) for m in measures for i, j in rows]
    pairs += [(stored["final"][m], again["final"][m]) for m in measures]
    gaps = [abs(x - y) for x, y in pairs if x is not None and y is not None]
    compared = ("final", "curve", "test_accuracy_diagonal", "parameters")
    same = all(stored[key] == again[key] for key in compared) and _agree(stored["probes"], again["probes"])
    return Comparison(stored, again, same, float(np.max(gaps)) if gaps else None)


def _agree(some: Probes, others: Probes) -> bool:
    """Whether two records' probes are equal, as far as both have them: earlier versions knew fewer."""
    return all(some[name] == others[name] for name in some.keys() & others.keys())


def action(record: Record, budget: Budget) -> str:
    """What is left to do for a budget, given what is stored."""
    status, reached = record["status"], record["final"]["step"]
    if status == "failed":
        return "retry"
    limit = record["budget"]["seconds"]
    if reached is None:  # it could not even be asked how far it was
        return "done" if _no_longer(budget.seconds, limit) else "retry"
    if status == "diverged" or reached >= budget.steps:
        return "done"
    if budget.stop_when_solved and solved(record["curve"]):
        return "done"
    if status == "timeout" and _no_longer(budget.seconds, limit):
        return "done"
    return "resume" if status == "interrupted" else "extend"


def _no_longer(seconds: float | None, limit: float | None) -> bool:
    return limit is not None and seconds is not None and seconds <= limit


def resolve_budget(
    spec: Spec,
    n_train: int,
    steps: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    stop_when_solved: bool = False,
) -> Budget:
    """How long a cell may train.

    :raises RequestError: for a limit that is none, or that does not apply.
    """
    steps, epochs = whole("--steps", steps), whole("--epochs", epochs)
    seconds = None if seconds is None else real("--seconds", seconds)
    if seconds is not None and not 0 < seconds < math.inf:
        raise RequestError(f"--seconds must be a finite number above 0, got {seconds}.")
    if stop_when_solved and not spec.validation_fraction:
        raise RequestError("--stop-when-solved needs a --validation-fraction above 0: test pairs must not stop a run.")
    return Budget(_steps(spec, n_train, steps, epochs), seconds, stop_when_solved)


def check_arithmetic(spec: Spec, device: str) -> None:
    """Raise RequestError where a device has no such arithmetic."""
    if spec.precision == "tf32" and device == "cpu":
        raise RequestError("--precision tf32 is arithmetic of GPUs, and this trains on the CPU.")


def _steps(spec: Spec, n: int, steps: int | None, epochs: int | None) -> int:
    """The budget in updates, up to the next moment at which the learner can be looked at."""
    learner = spec.make_learner()
    granule, per_epoch = learner.granularity(n), learner.steps_per_epoch(n)
    for option, value in (("--steps", steps), ("--epochs", epochs)):
        if value is not None and granule == 0:
            raise RequestError(f"{option} does not apply to {spec.learner['name']}: it takes no steps.")
        if value is not None and value < 1:
            raise RequestError(f"{option} must be an integer ≥ 1, got {value}.")
    if steps is not None and epochs is not None:
        raise RequestError("--steps and --epochs exclude each other.")
    if granule == 0:
        return 0
    wanted = steps or (epochs * per_epoch if epochs else learner.default_steps(n))
    return -(-wanted // granule) * granule


def count_train(spec: Spec) -> int:
    """Training pairs; of cells whose splits have one size they are counted once."""
    seed = spec.split_seed if spec.protocol == "grouped" else 0
    task = (spec.task, spec.modulus, spec.task_parameters, spec.protocol)
    return _count(json.dumps([*task, spec.train_fraction, spec.validation_fraction, seed, spec.vault]))


@lru_cache(maxsize=1 << 16)
def _count(key: str) -> int:
    *split, vault = json.loads(key)
    spec = replace(plain_spec(*split), vault=vault)
    try:
        return len(drawn(spec, spec.make_task()).train)
    except ValueError as error:
        raise RequestError(str(error)) from error


def plain_spec(
    task: str,
    modulus: int | None,
    task_parameters: dict[str, Any],
    protocol: str,
    train_fraction: float,
    validation_fraction: float,
    split_seed: int,
) -> Spec:
    """A spec of a split, with the simplest of all else."""
    data = (task, modulus, task_parameters, protocol, train_fraction, validation_fraction)
    return Spec(*data, {"name": "onehot"}, "concat", None, {"name": "ridge", "alpha": 1.0}, "float32", split_seed, 0)


def seeds_of(seeds: int | None, seed: int | None) -> Sequence[int]:
    """0 … seeds − 1, or this one seed; seed 0 where neither is given."""
    if seed is not None:
        if seeds is not None:
            raise RequestError("--seed and --seeds exclude each other.")
        return [whole("--seed", seed, 0) or 0]
    number = 1 if seeds is None else whole("--seeds", seeds)
    if number is None or number < 1:
        raise RequestError(f"--seeds must be an integer ≥ 1, got {seeds}.")
    return range(number)


def kind_of_device(device: str) -> str:
    """Its kind, or "auto".

    :raises RequestError: where it is none.
    """
    kind, colon, number = device.partition(":")
    numbered = number.isascii() and number.isdigit()
    if kind not in ("auto", "cpu", "cuda") or (colon and (kind != "cuda" or not numbered)):
        raise RequestError(f"--device must be auto, cpu, cuda or cuda:NUMBER, got {device or repr(device)}.")
    return kind


def prepared_device(device: str, spec: Spec) -> str:
    """The device to train on.

    :raises RequestError: where it is unknown, or the learner cannot use it.
    """
    kind = kind_of_device(device)
    devices = registry.learner(spec.learner["name"]).devices
    if kind not in ("auto", *devices):
        raise RequestError(f"--device must be {' or '.join(devices)} for {spec.learner['name']}, got {device}.")
    if kind == "cpu" or "cuda" not in devices:
        return "cpu"
    found = gpus()
    if kind == "auto":
        return "cuda" if found else "cpu"
    if int(device.partition(":")[2] or 0) >= found:
        raise RequestError(f"--device {device}: there {'is no GPU' if not found else f'are {found} GPUs'} here.")
    return device


def gpus() -> int:
    """How many GPUs there are."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
