"""A run: what a ranking keeps of a record."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.ranking.question import Block, Question
from bench.results import PARTS, SCHEMA, Record, many
from bench.specs import Spec

T = TypeVar("T")

CURVE_KEYS = {"step", *(f"{part}_{kind}" for part in PARTS for kind in ("accuracy", "loss"))}
"""The lists of a curve that every learner has."""
PROBES = {"ridge": "ridge", "bilinear": "bilinear", "knn": "1-NN"}
"""Headings of the probes' columns, by the names that records have for them."""


class Curve(NamedTuple):
    """Test and train accuracy at each evaluation, NaN where there is none.

    :param steps_T: one array for all runs that were evaluated at the same steps.
    :param vitals: what else a learner keeps of its training, by name, as "weight_norm".
    """

    steps_T: NDArray[np.int64]
    test_T: NDArray[np.float64]
    train_T: NDArray[np.float64]
    vitals: Mapping[str, NDArray[np.float64]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Run:
    """What a ranking keeps of a record.

    :param key: the config as text, equal for runs of one row.
    :param seeds: the seed, and those of the split, the encoder and the learner.
    :param fraction: the share of the pairs that train.
    :param last: the last step, 0 for a closed form; None where the run was never evaluated.
    :param budget: in steps.
    :param diagonal: accuracy on the test pairs a = b at the last step.
    :param seconds: of training, up to the last step.
    :param flops: likewise; None also for records of earlier versions, which counted matrix products alone.
    :param tuning: the study that chose the settings, with its cost; None for a run that was not tuned.
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
        """Whether the learner takes steps: a closed form does not."""
        return self.budget > 0

    def cost(self, step: float, unit: str) -> float | None:
        """What the run had cost up to a step, where each step costs the same; a closed form costs all at step 0.

        None where the cost is unknown.
        """
        if unit == "steps":
            return step
        total: float | None = getattr(self, unit)
        return total if total is None or not self.last else total * step / self.last

    def steps_within(self, cost: float, unit: str) -> int:
        """The number of steps that can be made at this cost."""
        if unit == "steps" or not self.last:
            return int(cost)
        total = getattr(self, unit)
        return int(cost * self.last / total * (1 + 1e-9)) if total else self.last

    def asked(self, question: Question, configs: dict[str, dict[str, Any]]) -> "Run":
        """The same run for another question: the fraction belongs to the run, or to its config and block.

        :param configs: as in `run_of`.
        """
        fraction = None if question.criterion.kind == "fraction" else self.fraction
        config = {name: value for name, value in self.config.items() if name != "train_fraction"}
        config |= {} if fraction is None else {"train_fraction": fraction}
        key = json.dumps(config, sort_keys=True)
        block = self.block._replace(train_fraction=fraction)
        return replace(self, block=block, key=key, config=configs.setdefault(key, config))


def run_of(
    record: Record, question: Question, configs: dict[str, dict[str, Any]], grids: dict[bytes, NDArray[np.int64]]
) -> Run:
    """The run that a record describes.

    :param configs: configs by their text: runs of one row share theirs.
    :param grids: steps of evaluations by their bytes: runs that were evaluated at the same steps share theirs.
    :raises KeyError, TypeError, AttributeError, ValueError: for a record that is damaged.
    """
    spec, probes = record["spec"], record["probes"]
    config = _config(spec, question)
    key = json.dumps(config, sort_keys=True)
    last = None if record["status"] == "failed" else _number(record["final"], "step")
    _share(record["final"], "test_accuracy")  # checked, though the curve has it, too
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
    named = {name: np.array(values, np.float64) for name, values in curve.items() if name not in CURVE_KEYS}
    if {len(values) for values in (test_T, train_T, *named.values())} != {len(steps_T)}:
        raise ValueError("the parts of its curve are of different lengths")
    if (test_T < 0).any() or (test_T > 1).any():
        raise ValueError("an accuracy of its curve is not between 0 and 1")
    return Curve(grids.setdefault(steps_T.tobytes(), steps_T), test_T, train_T, named)


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
    fraction = None if question.criterion.kind == "fraction" else spec["train_fraction"]
    parameters = json.dumps(spec["task_parameters"], sort_keys=True)
    noise = spec.get("label_noise", 0.0)
    return Block(spec["task"], spec["modulus"], parameters, spec["protocol"], fraction, _board(record), noise)


def _board(record: Record) -> str:
    """The rule of a study and its vault, in words: winners of one rule and vault are ranked in one table."""
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
    """The spec without its seeds, and without the fraction where that is what rows are ranked by."""
    hidden = {"seed", "split_seed"} | ({"train_fraction"} if question.criterion.kind == "fraction" else set())
    config = {name: value for name, value in spec.items() if name not in hidden}
    for owner in ("encoder", "learner"):
        config[owner] = {name: value for name, value in spec[owner].items() if name != "random_state"}
    return config


def _label(record: Record) -> str:
    """The record's label, with those settings of the spec that it leaves out."""
    spec = record["spec"]
    told = spec["encoder"].get("modulus", spec["modulus"])
    more = [
        *([] if told == spec["modulus"] or spec["modulus"] is None else [f"encoder.modulus={told}"]),
        *([] if spec["precision"] == "float32" else [spec["precision"]]),
        *([f"{100 * spec['validation_fraction']:g} % validate"] if spec["validation_fraction"] else []),
    ]
    label = (
        record["label"]
        if record["schema"] == SCHEMA
        else _label_today(json.dumps(_without_seeds(spec))) or record["label"]
    )
    return " · ".join([label, *more])


def _without_seeds(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with one seed in place of any, so that the rows of a table share their label."""
    owners = {
        owner: {**spec[owner], "random_state": 0} for owner in ("encoder", "learner") if "random_state" in spec[owner]
    }
    return {**spec, **owners, "seed": 0, "split_seed": 0}


@lru_cache(maxsize=1 << 12)
def _label_today(spec: str) -> str | None:
    """The label that a record of an earlier schema would have today; None where a plugin is not installed."""
    with suppress(BenchError, KeyError):
        return Spec.from_dict(json.loads(spec)).label
    return None


def grouped(items: Iterable[T], key: Callable[[T], Any]) -> list[list[T]]:
    """Lists of items with equal keys, in the order in which the keys first appear."""
    groups: dict[Any, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())
