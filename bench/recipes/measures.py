"""What claims measure: a number of each run and the median over runs, or one number of all runs of an arm.

A run that does not reach a target is only known to take longer than its budget: such numbers are intervals from the
start, and medians and ratios of them are those of `bench.ranking`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench.ranking import Question, sample_of
from bench.ranking.statistics import (
    Bounds,
    Estimate,
    hodges_lehmann,
    median,
    median_interval,
    shift_interval,
    solved_interval,
)
from bench.results import Record, first_crossing

FEWEST_SEARCHES = 3
"""So many searches of an arm give an interval: the range of three ratios each way holds the truth in 90 % of cases."""


class Asked(Protocol):
    """What a measure needs to know of a claim."""

    @property
    def measure(self) -> str:
        """Its name."""

    @property
    def target(self) -> float:
        """The accuracy to reach."""

    @property
    def crossing(self) -> str:
        """Which evaluation counts: "first" or "sustained"."""


class Sample(NamedTuple):
    """A number of each run, each known to lie between two bounds.

    :param middle: bounds by which the estimate is made: of a step between two evaluations, the later one.
    :param ends: bounds by which the interval is made.
    """

    middle: Bounds
    ends: Bounds


class Measure(NamedTuple):
    """How a number is read and written.

    :param unit: a key of `UNITS`.
    :param of_run: the number of one run, for measures that curves alone give.
    :param criterion: that of a ranking which gives the numbers, otherwise.
    """

    unit: str
    meaning: str
    of_run: Callable[[Mapping[str, Any], Asked], float | None] | None = None
    criterion: str = ""


@dataclass(frozen=True)
class Quantity:
    """What was found of a claim.

    :param n: runs of each arm; searches of each where its arms were tuned.
    :param estimate: value, interval and level.
    :param least, most: bounds of the value, equal where it is known.
    """

    n: tuple[int, ...]
    estimate: Estimate
    least: float
    most: float


UNITS: dict[str, Callable[[float], str]] = {
    "steps": lambda x: f"{x:,.1f}".removesuffix(".0"),
    "seconds": lambda x: f"{x:.3g} s",
    "FLOPs": lambda x: f"{x:.3g}",
    "share": lambda x: f"{100 * x:.3g} %",
    "fold": lambda x: f"× {x:.3g}",
    "MiB": lambda x: f"{x / 2**20:,.0f} MiB",
    "number": lambda x: f"{x:.4g}",
}
"""How a number of each unit is written."""


def _curve(record: Mapping[str, Any], name: str) -> list[float]:
    values = record["curve"].get(name) or []
    return [math.nan if value is None else float(value) for value in values]


def _best(record: Mapping[str, Any], asked: Asked) -> float | None:
    known = [x for x in _curve(record, "test_accuracy") if not math.isnan(x)]
    return max(known, default=None)


def _train_steps(record: Mapping[str, Any], asked: Asked) -> float | None:
    return first_crossing(record["curve"]["step"], record["curve"]["train_accuracy"], asked.target)


def _delay(record: Mapping[str, Any], asked: Asked) -> float | None:
    train = _train_steps(record, asked)
    test = first_crossing(record["curve"]["step"], record["curve"]["test_accuracy"], asked.target)
    if train is None:
        return None
    return math.inf if test is None else test / max(train, 1)


def _relapses(record: Mapping[str, Any], asked: Asked) -> float | None:
    test = _curve(record, "test_accuracy")
    start = next((i for i, x in enumerate(test) if x >= asked.target), None)
    return None if start is None else float(sum(x < asked.target for x in test[start:]))


def _loss_rise(record: Mapping[str, Any], asked: Asked) -> float | None:
    loss = np.array([x for x in _curve(record, "test_loss") if not math.isnan(x)])
    return float((loss / np.minimum.accumulate(loss)).max()) if len(loss) else None


def _loss_fall(record: Mapping[str, Any], asked: Asked) -> float | None:
    loss = np.array([x for x in _curve(record, "test_loss") if not math.isnan(x)])
    return float(loss.max() / max(loss[-1], np.finfo(float).tiny)) if len(loss) else None


def _step_seconds(record: Mapping[str, Any], asked: Asked) -> float | None:
    steps = record["final"]["step"]
    return record["seconds"]["train"] / steps if steps else None


def _memory(record: Mapping[str, Any], asked: Asked) -> float | None:
    peak, replicas = record["peak_memory_bytes"], record.get("replicas") or 1
    return None if peak is None else peak / replicas


MEASURES: dict[str, Measure] = {
    "steps": Measure("steps", "steps until the target is reached on test pairs", criterion="steps"),
    "seconds": Measure("seconds", "seconds of training until then, of a fleet its share", criterion="seconds"),
    "flops": Measure("FLOPs", "FLOPs of training until then", criterion="flops"),
    "solved": Measure("share", "the share of runs that reach the target", criterion="steps"),
    "accuracy": Measure("share", "test accuracy at the end", criterion="accuracy"),
    "fraction": Measure(
        "share", "the smallest fraction tried at which the median run ends at the target", criterion="fraction"
    ),
    "best-accuracy": Measure("share", "the best test accuracy of the run", _best),
    "train-steps": Measure("steps", "steps until the target is reached on training pairs", _train_steps),
    "delay": Measure("fold", "steps to the target on test pairs over those on training pairs", _delay),
    "relapses": Measure("number", "evaluations below the target after it was first reached", _relapses),
    "loss-rise": Measure("fold", "the largest test loss over the smallest before it", _loss_rise),
    "loss-fall": Measure("fold", "the largest test loss over the last", _loss_fall),
    "step-seconds": Measure("seconds", "seconds of training a step, of a fleet its share", _step_seconds),
    "memory": Measure("MiB", "peak memory, of a fleet its share", _memory),
}
"""By name. A measurement (`bench.recipes.measurements`) has names of its own beside these."""


def measured(
    asked: Asked, arms: Sequence[Sequence[Record]], horizons: Sequence[int | None] | None = None
) -> Quantity | None:
    """The number of one arm, or the ratio of the first of two arms to the second; None where a run lacks it.

    Of arms that were tuned, a search counts as one: by the median of its winner's runs.

    :param horizons: up to which step the runs of each arm are read; None reads all. A measure of the whole curve, as of
        its best value, reads all of it.
    """
    measure = MEASURES[asked.measure]
    by = measure.criterion or "accuracy"
    ends = [end or None if by in ("accuracy", "steps", "fraction") else None for end in horizons or [None] * len(arms)]
    questions = [Question(by, asked.target, asked.crossing, end).checked() for end in ends]
    pairs = list(zip(arms, questions, strict=True))
    if asked.measure in ("solved", "fraction"):
        found = [_of_all(asked, sample_of(records, question).row) for records, question in pairs]
        return found[0] if len(found) == 1 else _ratio(*found)
    samples = [_sample(asked, measure, question, records) for records, question in pairs]
    known = [sample for sample in samples if sample is not None]
    return quantity(known, _by_search(arms)) if len(known) == len(arms) else None


def quantity(samples: Sequence[Sample], of_searches: bool = False) -> Quantity:
    """The median of a sample, or the ratio of the first of two to the second (Hodges–Lehmann, Mann–Whitney)."""
    n = tuple(len(sample.middle.low) for sample in samples)
    fewest = {"fewest": FEWEST_SEARCHES} if of_searches else {}
    if len(samples) == 1:
        [one] = samples
        least, most = median(one.middle.low), median(one.middle.high)
        found = median_interval(one.ends.high, low=one.ends.low, **fewest)
        return Quantity(n, Estimate(_known(least, most), found.low, found.high, found.level), least, most)
    logs = [
        Sample(*(Bounds(*(np.log(np.maximum(end, 1e-12)) for end in ends)) for ends in sample)) for sample in samples
    ]
    least, most = (math.exp(end) for end in hodges_lehmann(logs[0].middle, logs[1].middle))
    found = shift_interval(logs[0].ends, logs[1].ends, **fewest)
    low, high = (None if end is None else math.exp(end) for end in (found.low, found.high))
    return Quantity(n, Estimate(_known(least, most), low, high, found.level), least, most)


def _known(least: float, most: float) -> float | None:
    """The number that lies between two; None where they differ, or are infinite."""
    return least if least == most and math.isfinite(least) else None


def exact(values: Sequence[float]) -> Sample:
    """A sample of numbers that are known."""
    x = np.array(values, dtype=float)
    return Sample(Bounds(x, x), Bounds(x, x))


def _of_all(asked: Asked, row: Any) -> Quantity:
    if asked.measure == "fraction":
        value = row.estimate
        least, most = (value, value) if value is not None else (0.0, math.inf)
        return Quantity((row.n,), Estimate(value, row.low, row.high, row.level), least, most)
    share = solved_interval(round((row.solved or 0.0) * row.n), row.n) if row.n else Estimate(0.0)
    return Quantity((row.n,), share, share.value or 0.0, share.value or 0.0)


def _ratio(one: Quantity, other: Quantity) -> Quantity:
    """The ratio of two shares, from the lowest to the highest that their intervals allow."""

    def divided(x: float | None, y: float | None) -> float | None:
        return None if x is None or not y else x / y

    a, b = one.estimate, other.estimate
    value = divided(a.value, b.value)
    level = None if a.level is None or b.level is None else max(0.0, a.level + b.level - 1)
    estimate = Estimate(value, divided(a.low, b.high), divided(a.high, b.low), level)
    return Quantity((*one.n, *other.n), estimate, value or 0.0, math.inf if value is None else value)


def _sample(asked: Asked, measure: Measure, question: Question, records: Sequence[Record]) -> Sample | None:
    groups = _searches(records)
    if len(groups) > 1:
        each = [_sample_of_runs(asked, measure, question, group) for group in groups]
        return None if None in each else _medians([one for one in each if one is not None])
    return _sample_of_runs(asked, measure, question, records)


def _sample_of_runs(asked: Asked, measure: Measure, question: Question, records: Sequence[Record]) -> Sample | None:
    if measure.of_run is not None:
        values = [measure.of_run(record, asked) for record in records]
        return exact([x for x in values if x is not None]) if values and None not in values else None
    score = sample_of(records, question).score
    if score.measured is None:
        return None
    return Sample(*score.measured)


def _searches(records: Sequence[Record]) -> list[list[Record]]:
    """The runs of each search; all runs together where none was searched."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault((record.get("tuning") or {}).get("study", ""), []).append(record)
    return list(groups.values())


def _by_search(arms: Sequence[Sequence[Record]]) -> bool:
    return any(len(_searches(records)) > 1 for records in arms)


def _medians(samples: Sequence[Sample]) -> Sample:
    """A sample of the medians of samples."""
    return Sample(*(Bounds(*(np.array([median(one[i][j]) for one in samples]) for j in (0, 1))) for i in (0, 1)))
