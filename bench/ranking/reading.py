"""Runs as a ranking needs them: read one record at a time, and little of it kept."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, RequestError, StoreError, one_of
from bench.results.store import Record, Store

__all__ = [
    "FILTERS",
    "OF_BLOCKS",
    "PROBES",
    "TIMED",
    "Block",
    "Curve",
    "Question",
    "Reading",
    "Run",
    "each_once",
    "grouped",
    "many",
    "on_fewer_splits",
]

T = TypeVar("T")

NAMED = 3
"""So many records are named in a note."""
TIMED = ("steps", "seconds", "flops")
PROBES = ("ridge", "bilinear", "knn")
FILTERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "encoder": lambda spec: spec["encoder"]["name"],
    "learner": lambda spec: spec["learner"]["name"],
    "task": lambda spec: spec["task"],
    "pairs": lambda spec: spec["protocol"],
    "train_fraction": lambda spec: spec["train_fraction"],
    "modulus": lambda spec: spec["modulus"],
}
OF_BLOCKS = ("task", "task_parameters", "modulus", "protocol", "train_fraction")


@dataclass(frozen=True)
class Question:
    """What rows are ordered by.

    :param by: "accuracy", "steps", "seconds", "flops" or "fraction".
    :param target: the test accuracy to reach.
    :param crossing: "first": reached once, whatever comes after; "sustained": reached and held from then on.
    :param horizon: up to where all runs are read, in `unit`; None takes, in each block, the smallest budget of a row.
    """

    by: str = "accuracy"
    target: float = 0.99
    crossing: str = "sustained"
    horizon: float | None = None

    @property
    def unit(self) -> str:
        """What crossings and the horizon are counted in."""
        return self.by if self.by in ("seconds", "flops") else "steps"


class Block(NamedTuple):
    """What a row answers: rows of different blocks answer different questions.

    :param train_fraction: None where rows differ by the fraction that they need.
    :param board: the rule by which rows were tuned, in words; "" for settings as somebody chose them.
    """

    task: str
    modulus: int | None
    task_parameters: str
    protocol: str
    train_fraction: float | None
    board: str = ""

    @property
    def title(self) -> str:
        """As "add mod 97 · unordered pairs · 50 % train · tuned: 64 trials"."""
        modulus = "" if self.modulus is None else f" mod {self.modulus}"
        usual = {None} if self.modulus is None else {None, self.modulus - 1}
        values = json.loads(self.task_parameters)
        parameters = "".join(f", {name}={value}" for name, value in values.items() if value not in usual)
        fraction = "" if self.train_fraction is None else f" · {100 * self.train_fraction:g} % train"
        board = f" · {self.board}" if self.board else ""
        return f"{self.task}{modulus}{parameters} · {self.protocol} pairs{fraction}{board}"

    @property
    def place(self) -> tuple[str, int, str, float, str, str]:
        """To sort by."""
        fraction = self.train_fraction or 0.0
        return self.task, self.modulus or 0, self.protocol, fraction, self.task_parameters, self.board


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
        named = ", ".join(self.broken[:NAMED]) + (", …" if len(self.broken) > NAMED else "")
        return [ranked, f"Broken records, left out: {named}."]


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


def _curve(curve: Mapping[str, list[Any]], grids: dict[bytes, NDArray[np.int64]]) -> Curve:
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


def each_once(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Runs without those of plugins that have a newer version, where the same spec is stored twice, and without those
    that differ in a seed from which nothing is drawn: of equal draws the longest run counts.
    """
    kept, dropped = [], []
    for twins in grouped(runs, lambda run: (run.block, run.key, run.fraction, run.seeds)):
        current = next((run for run in twins if len(twins) > 1 and run.id == _id_now(run)), twins[0])
        kept.append(current)
        dropped += [run.id for run in twins if run is not current]
    notes = [f"Specs stored twice, by two versions of a plugin: the newer counts, left out {_named(dropped)}."]
    notes = notes if dropped else []
    drawn = [
        max(same, key=_reach) for same in grouped(kept, lambda run: (run.block, run.key, run.fraction, run.seeds[1:]))
    ]
    if len(drawn) < len(kept):
        ids = {run.id for run in drawn}
        left = _named([run.id for run in kept if run.id not in ids])
        notes.append(f"Seeds from which nothing is drawn, since all that they seed is fixed: left out {left}.")
    return drawn, notes


def _reach(run: Run) -> tuple[bool, int]:
    """Whole runs before others, then by the steps."""
    return run.status in ("done", "diverged"), -1 if run.last is None else run.last


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:NAMED]) + (", …" if len(ids) > NAMED else "")


def on_fewer_splits(rows: Iterable[Sequence[Run]]) -> list[str]:
    """What is to be known of rows whose runs share splits, as they do where a seed was set alone."""
    counted = [(runs[0].label, len(runs), len({(run.fraction, run.seeds[1]) for run in runs})) for runs in rows]
    shared = [f"{label}: {many(n, 'run')} on {many(splits, 'split')}" for label, n, splits in counted if splits < n]
    shared = list(dict.fromkeys(shared))
    if not shared:
        return []
    more = "; …" if len(shared) > NAMED else ""
    return [f"Runs that share splits, so that intervals do not speak of others: {'; '.join(shared[:NAMED])}{more}."]


def _id_now(run: Run) -> str | None:
    """The id that the run's spec has with the plugins that are installed; None where they are not."""
    from bench.specs.resolve import Spec  # imports what encoders and learners need: for records stored twice alone

    seed, split_seed, encoder_state, learner_state = run.seeds
    values = {**run.config, "train_fraction": run.fraction, "seed": seed, "split_seed": split_seed}
    for owner, state in (("encoder", encoder_state), ("learner", learner_state)):
        values[owner] = values[owner] if state is None else {**values[owner], "random_state": state}
    try:
        return Spec.from_dict(values).id
    except (BenchError, TypeError):
        return None


def grouped(items: Iterable[T], key: Callable[[T], Any]) -> list[list[T]]:
    """Items with equal keys together, in the order in which keys come first."""
    groups: dict[Any, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())


def many(n: int, what: str) -> str:
    """As "1 row" or "1,000 rows"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
