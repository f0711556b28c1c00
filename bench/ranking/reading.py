"""Runs as a ranking needs them: read one record at a time, and little of it kept."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import RequestError, StoreError, one_of
from bench.ranking.question import FILTERS, Block, Question
from bench.results.record import Record
from bench.results.store import Store
from bench.results.words import few_of, many

__all__ = ["PROBES", "Curve", "Reading", "Run", "grouped"]

T = TypeVar("T")


PROBES = ("ridge", "bilinear", "knn")


class Curve(NamedTuple):
    """Test and train accuracy at each evaluation, NaN where there is none.

    :param steps_T: shared by runs that were looked at at the same steps.
    """

    steps_T: NDArray[np.int64]
    test_T: NDArray[np.float64]
    train_T: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """What a ranking keeps of a record.

    :param key: the config as text: equal for runs of one row.
    :param seeds: seed, seed of the split, of the encoder and of the learner.
    :param last: its last step, 0 for a closed form; None where it was never evaluated.
    :param budget: of steps.
    :param diagonal: accuracy of the test pairs a = b at the last step.
    :param seconds: of training, up to the last step.
    :param flops: likewise; None also of records of earlier versions, which counted products alone.
    :param tuning: the study that chose its settings, and what that cost; None where none did.
    """

    id: str
    label: str
    block: Block
    key: str
    config: dict[str, Any]
    seeds: tuple[int | None, ...]
    fraction: float
    status: str
    last: int | None
    budget: int
    curve: Curve
    diagonal: float | None
    probes: dict[str, float | None]
    parameters: int | None
    seconds: float | None
    flops: float | None
    device: str
    tuning: dict[str, Any] | None = None

    @property
    def iterative(self) -> bool:
        """Whether it takes steps: a closed form does not."""
        return self.budget > 0

    def cost(self, step: float, unit: str) -> float | None:
        """What it had cost at a step, each step as much as every other; all of it where it takes none.

        None where that is unknown.
        """
        if unit == "steps":
            return step
        total = self.seconds if unit == "seconds" else self.flops
        return total if total is None or not self.last else total * step / self.last

    def steps_within(self, cost: float, unit: str) -> int:
        """How many of its steps that pays for."""
        if unit == "steps" or not self.last:
            return int(cost)
        total = self.seconds if unit == "seconds" else self.flops
        return int(cost * self.last / total * (1 + 1e-9)) if total else self.last


class Reading:
    """Runs, and what became of the records that are none.

    :param wanted: values by filter.
    """

    def __init__(self, question: Question, wanted: Mapping[str, Sequence[Any]]) -> None:
        self.question, self.wanted = question, wanted
        self.runs: list[Run] = []
        self.broken: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.known: dict[str, set[Any]] = {name: set() for name in wanted}
        self._configs: dict[str, dict[str, Any]] = {}
        self._steps: dict[bytes, NDArray[np.int64]] = {}

    def read(self, store: Store, skip_broken: bool) -> None:
        """Take the records of a folder, one at a time."""
        for id in store.ids():
            try:
                record = store.read(id)
                if record is not None:
                    self.take(record, str(store.path(id)))
            except StoreError as error:
                if not skip_broken:
                    raise StoreError(f"{error} --skip-broken ranks the others.") from error
                self.broken.append(id)

    def take(self, record: Record, path: str = "") -> None:
        """Keep what the ranking needs of a record.

        :raises StoreError: where it lacks that.
        """
        try:
            refused = self._refused(record["spec"])
            if refused:
                self.left_out[refused] += 1
            else:
                self.runs.append(_run(record, self.question, self._configs, self._steps))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            remedy = "Move it away, or compute it anew with --force."
            raise StoreError(f"The record {path or record.get('id')!r} is corrupt: {why}. {remedy}") from error

    def _refused(self, spec: Mapping[str, Any]) -> str | None:
        """The first filter that leaves a spec out."""
        refused = None
        for name, wanted in self.wanted.items():
            value = FILTERS[name](spec)
            self.known[name].add(value)
            if refused is None and value not in wanted:
                refused = name
        return refused

    def check(self, where: str) -> None:
        """Raise RequestError where there is nothing to rank, or a filter asks for what no record has."""
        if not self.runs and not self.left_out and not self.broken:
            raise RequestError(f"There are no records in {where}: python -m bench run makes some.")
        for name, wanted in self.wanted.items():
            for value in wanted:
                if value not in self.known[name]:
                    option = f"--{name.replace('_', '-')}"
                    raise RequestError(one_of(f"{option} in {where}:", str(value), map(str, self.known[name])))
        if not self.runs:
            raise RequestError(f"No record in {where} is left: {self._causes()}.")

    def _causes(self) -> str:
        causes = [f"{n:,} left out by --{name.replace('_', '-')}" for name, n in self.left_out.items()]
        return ", ".join([*causes, *([f"{len(self.broken):,} broken"] if self.broken else [])])

    def notes(self, n_rows: int, n_others: int) -> list[str]:
        """What was counted and what was not."""
        causes = self._causes()
        others = f"; {many(n_others, 'row')} left out by --parameters" if n_others else ""
        ranked = f"{many(len(self.runs), 'record')} in {many(n_rows, 'row')}{others}{f'; {causes}' if causes else ''}."
        if not self.broken:
            return [ranked]
        return [ranked, f"Broken records, left out: {few_of(self.broken)}."]


def _run(
    record: Record, question: Question, configs: dict[str, dict[str, Any]], grids: dict[bytes, NDArray[np.int64]]
) -> Run:
    """What is needed of a record.

    :param configs: configs by their text, shared by the runs of a row.
    :param grids: steps of evaluations by their bytes, shared by runs that were looked at at the same ones.
    """
    spec, probes = record["spec"], record["probes"]
    config = _config(spec, question)
    key = json.dumps(config, sort_keys=True)
    last = None if record["status"] == "failed" else _number(record["final"], "step")
    _share(record["final"], "test_accuracy")
    return Run(
        id=record["id"],
        label=_label(record),
        block=_block(record, question),
        key=key,
        config=configs.setdefault(key, config),
        seeds=(spec["seed"], spec["split_seed"], *(spec[o].get("random_state") for o in ("encoder", "learner"))),
        fraction=spec["train_fraction"],
        status=record["status"],
        last=last,
        budget=_number(record["budget"], "steps"),
        curve=_curve(record["curve"], grids),
        diagonal=_share(record, "test_accuracy_diagonal"),
        probes={name: _share(probes, name) if name in probes else None for name in PROBES},
        parameters=_number(record, "parameters"),
        seconds=_number(record["seconds"], "train"),
        flops=_number(record, "flops") if "held" in record else None,
        device=f"{record['environment']['device']} ({record['environment'].get('processor')})",
        tuning=record.get("tuning"),
    )


def _curve(curve: Mapping[str, Any], grids: dict[bytes, NDArray[np.int64]]) -> Curve:
    steps_T = np.array(curve["step"], np.int64)
    test_T, train_T = (np.array(curve[f"{part}_accuracy"], np.float64) for part in ("test", "train"))
    if not len(steps_T) == len(test_T) == len(train_T):
        raise ValueError("the parts of its curve are of different lengths")
    if (test_T < 0).any() or (test_T > 1).any():
        raise ValueError("an accuracy of its curve is not between 0 and 1")
    return Curve(grids.setdefault(steps_T.tobytes(), steps_T), test_T, train_T)


def _number(values: Mapping[str, Any], name: str) -> Any:
    value = values[name]
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"its {name} is {value!r}")
    return value


def _share(values: Mapping[str, Any], name: str) -> float | None:
    value: float | None = _number(values, name)
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"its {name} is {value!r}")
    return value


def _block(record: Record, question: Question) -> Block:
    spec = record["spec"]
    fraction = None if question.by == "fraction" else spec["train_fraction"]
    parameters = json.dumps(spec["task_parameters"], sort_keys=True)
    return Block(spec["task"], spec["modulus"], parameters, spec["protocol"], fraction, _board(record))


def _board(record: Record) -> str:
    """The rule of a study and its vault, in words: winners of equal rules are compared by the same test pairs."""
    tuning = record.get("tuning")
    if tuning is None:
        return ""
    trials, compute, seeds = tuning["rule"]["trials"], tuning["rule"]["compute"], tuning.get("seeds", 1)
    each = f" of {many(seeds, 'seed')}" if seeds > 1 else ""
    limits = [f"{many(trials, 'trial')}{each}"] if trials is not None else []
    limits += [f"{compute:.3g} FLOPs"] if compute is not None else []
    vault = record["spec"].get("vault")
    tested = [f"vault {vault['seed']}, {100 * vault['fraction']:g} %"] if vault is not None else []
    return " · ".join([f"tuned: {', '.join(limits)}", *tested])


def _config(spec: Mapping[str, Any], question: Question) -> dict[str, Any]:
    """The spec without its seeds, and without the fraction where that is what is asked for."""
    hidden = {"seed", "split_seed"} | ({"train_fraction"} if question.by == "fraction" else set())
    config = {name: value for name, value in spec.items() if name not in hidden}
    for owner in ("encoder", "learner"):
        config[owner] = {name: value for name, value in spec[owner].items() if name != "random_state"}
    return config


def _label(record: Record) -> str:
    """The record's label, with what it leaves out of the spec."""
    spec = record["spec"]
    told = spec["encoder"].get("modulus", spec["modulus"])
    more = [
        *([] if told == spec["modulus"] or spec["modulus"] is None else [f"encoder.modulus={told}"]),
        *([] if spec["precision"] == "float32" else [spec["precision"]]),
        *([f"{100 * spec['validation_fraction']:g} % validate"] if spec["validation_fraction"] else []),
    ]
    return " · ".join([record["label"], *more])


def grouped(items: Iterable[T], key: Callable[[T], Any]) -> list[list[T]]:
    """Items with equal keys together, in the order in which keys come first."""
    groups: dict[Any, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())
