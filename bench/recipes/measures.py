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
"""Fewest searches of two arms for an interval of their ratio: the range of the nine ratios holds the true one in 90 %
of all cases, where the medians of the searches are independent."""
Runs = Sequence[Sequence[Record]]
"""The runs of an arm by search; those of an arm that was not searched are one group."""


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


class Known(NamedTuple):
    """A number of a run, as far as it is known.

    :param value: the number, or the smallest that it may be.
    :param low, high: it lies between these: a step lies between two evaluations.
    """

    value: float
    low: float
    high: float


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
    :param of_run: the number of one run, for measures that a record alone gives.
    :param criterion: that of a ranking which gives the numbers, otherwise.
    :param of_fleet: whether all runs of a fleet have one number, which then counts once.
    """

    unit: str
    meaning: str
    of_run: Callable[[Mapping[str, Any], Asked], Known | None] | None = None
    criterion: str = ""
    of_fleet: bool = False


@dataclass(frozen=True)
class Quantity:
    """What was found of a claim.

    :param n: numbers of each arm: runs, searches where it was tuned, or fleets.
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
    "points": lambda x: f"{100 * x:+.1f} points",
    "fold": lambda x: f"× {x:.3g}",
    "MiB": lambda x: f"{x / 2**20:,.0f} MiB",
    "number": lambda x: f"{x:.4g}",
}
"""How a number of each unit is written. Points are those of a difference of shares, in percent."""


def exactly(value: float) -> Known:
    """A number that is known."""
    return Known(value, value, value)


def _series(record: Mapping[str, Any], name: str) -> list[float]:
    values = record["curve"].get(name) or []
    return [math.nan if value is None else float(value) for value in values]


def _best(record: Mapping[str, Any], asked: Asked) -> Known | None:
    known = [x for x in _series(record, "test_accuracy") if not math.isnan(x)]
    return exactly(max(known)) if known else None


def _crossing(record: Mapping[str, Any], part: str, target: float) -> Known:
    """The step of the first crossing, between the evaluation before and itself; at least the last one where none is."""
    steps = [0, *record["curve"]["step"]]
    found = first_crossing(record["curve"]["step"], record["curve"][f"{part}_accuracy"], target)
    if found is None:
        return Known(steps[-1], steps[-1], math.inf)
    return Known(found, steps[steps.index(found, 1) - 1], found)


def _train_steps(record: Mapping[str, Any], asked: Asked) -> Known:
    return _crossing(record, "train", asked.target)


def _delay(record: Mapping[str, Any], asked: Asked) -> Known | None:
    train, test = (_crossing(record, part, asked.target) for part in ("train", "test"))
    if math.isinf(train.high):
        return None
    return Known(
        *(late / max(early, 1) for late, early in zip(test, (train.value, train.high, train.low), strict=True))
    )


def _relapses(record: Mapping[str, Any], asked: Asked) -> Known:
    test = _series(record, "test_accuracy")
    start = next((i for i, x in enumerate(test) if x >= asked.target), None)
    if start is None:
        return Known(0, 0, math.inf)
    return exactly(sum(not x >= asked.target for x in test[start:]))


def _loss_rise(record: Mapping[str, Any], asked: Asked) -> Known | None:
    loss = np.array([x for x in _series(record, "test_loss") if not math.isnan(x)])
    return exactly(float((loss / np.minimum.accumulate(loss)).max())) if len(loss) else None


def _loss_fall(record: Mapping[str, Any], asked: Asked) -> Known | None:
    loss = np.array([x for x in _series(record, "test_loss") if not math.isnan(x)])
    return exactly(float(loss.max() / max(loss[-1], np.finfo(float).tiny))) if len(loss) else None


def _step_seconds(record: Mapping[str, Any], asked: Asked) -> Known | None:
    steps = record["final"]["step"]
    return exactly(record["seconds"]["train"] / steps) if steps else None


def _memory(record: Mapping[str, Any], asked: Asked) -> Known | None:
    peak, replicas = record["peak_memory_bytes"], record.get("replicas") or 1
    return None if peak is None else exactly(peak / replicas)


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
    "step-seconds": Measure(
        "seconds", "seconds of training a step, of a fleet its share", _step_seconds, of_fleet=True
    ),
    "memory": Measure("MiB", "peak memory, of a fleet its share", _memory, of_fleet=True),
}
"""By name. A measurement (`bench.recipes.measurements`) has names of its own beside these."""
IN_POINTS = ("accuracy", "best-accuracy", "solved")
"""Shares of which two arms are compared by their difference: a ratio exaggerates near 0, and near 1 hides what is left
to err. Fractions of the pairs are compared by their ratio."""


def described_measures() -> list[dict[str, str]]:
    """The name of each measure, its meaning and unit, and what two arms are compared by."""
    return [
        {
            "measure": name,
            "meaning": measure.meaning,
            "unit": measure.unit,
            "comparison": "difference" if name in IN_POINTS else "ratio",
        }
        for name, measure in MEASURES.items()
    ]


def unit_of(measure: str, arms: int, units: Mapping[str, str] | None = None) -> str:
    """The unit of a number of one arm, or of what two arms are compared by.

    :param units: those of a measurement.
    """
    if arms == 1:
        return MEASURES[measure].unit if units is None else units[measure]
    in_points = measure in IN_POINTS if units is None else units[measure] == "share"
    return "points" if in_points else "fold"


def measured(asked: Asked, arms: Sequence[Runs]) -> Quantity | None:
    """The number of one arm, or of two arms the first over the second, or less it; None where a run lacks it.

    Of arms that were searched, a search counts as one: by the median of its winner's runs.
    """
    measure = MEASURES[asked.measure]
    if asked.measure in ("solved", "fraction"):
        question = Question(measure.criterion, asked.target, asked.crossing).checked()
        found = [_of_all(asked, sample_of(_joined(runs), question).row) for runs in arms]
        return found[0] if len(found) == 1 else _both(found, asked.measure)
    samples = [_sample(asked, measure, runs) for runs in arms]
    known = [sample for sample in samples if sample is not None]
    if len(known) < len(arms):
        return None
    searched = all(len(runs) > 1 for runs in arms)
    return quantity(known, unit_of(asked.measure, len(arms)) == "points", FEWEST_SEARCHES if searched else None)


def quantity(samples: Sequence[Sample], in_points: bool = False, fewest: int | None = None) -> Quantity:
    """The median of a sample, or of two the ratio or the difference (Hodges–Lehmann, Mann–Whitney).

    :param fewest: numbers of each of two samples below which there is no interval; None takes that of rankings.
    """
    n = tuple(len(sample.middle.low) for sample in samples)
    if len(samples) == 1:
        [one] = samples
        least, most = median(one.middle.low), median(one.middle.high)
        found = median_interval(one.ends.high, low=one.ends.low)
        return Quantity(n, Estimate(_one(least, most), found.low, found.high, found.level), least, most)
    x, y = samples if in_points else map(_logarithms, samples)
    back = (lambda end: end) if in_points else math.exp
    least, most = (back(end) for end in hodges_lehmann(x.middle, y.middle))
    found = shift_interval(x.ends, y.ends, **({} if fewest is None else {"fewest": fewest}))
    low, high = (None if end is None else back(end) for end in (found.low, found.high))
    return Quantity(n, Estimate(_one(least, most), low, high, found.level), least, most)


def sample_of_known(values: Sequence[Known]) -> Sample:
    """A sample of numbers, each with its bounds."""
    value, low, high = (np.array(x, dtype=float) for x in zip(*values, strict=True))
    return Sample(Bounds(value, np.where(np.isinf(high), high, value)), Bounds(low, high))


def _one(least: float, most: float) -> float | None:
    """The number that lies between two; None where they differ, or are infinite."""
    return least if least == most and math.isfinite(least) else None


def _logarithms(sample: Sample) -> Sample:
    with np.errstate(divide="ignore"):
        return Sample(*(Bounds(*(np.log(end) for end in ends)) for ends in sample))


def _joined(runs: Runs) -> list[Record]:
    return [record for group in runs for record in group]


def _of_all(asked: Asked, row: Any) -> Quantity:
    """The number of all runs of an arm."""
    if asked.measure == "fraction":
        least = most = row.estimate
        if least is None:
            least, most = max((one["train_fraction"] for one in row.fractions), default=0.0), math.inf
        elif least == min(one["train_fraction"] for one in row.fractions):
            least = 0.0  # a smaller one may suffice as well
        return Quantity((row.n,), Estimate(_one(least, most), row.low, row.high, row.level), least, most)
    share = solved_interval(round((row.solved or 0.0) * row.n), row.n)
    return Quantity((row.n,), share, share.value or 0.0, share.value or 0.0)


def _both(found: Sequence[Quantity], measure: str) -> Quantity:
    """The ratio of two fractions, or the difference of two shares, as far as their intervals allow."""
    one, other = found

    def joined(x: float | None, y: float | None) -> float | None:
        if x is None or y is None:
            return None
        return x - y if measure == "solved" else x / y if y else None

    a, b = one.estimate, other.estimate
    level = None if a.level is None or b.level is None else max(0.0, a.level + b.level - 1)
    estimate = Estimate(joined(a.value, b.value), joined(a.low, b.high), joined(a.high, b.low), level)
    least, most = joined(one.least, other.most), joined(one.most, other.least)
    lowest = -math.inf if measure == "solved" else 0.0
    return Quantity(
        (*one.n, *other.n), estimate, lowest if least is None else least, math.inf if most is None else most
    )


def _sample(asked: Asked, measure: Measure, runs: Runs) -> Sample | None:
    """The numbers of the runs of an arm; the medians of its searches, where it has several."""
    groups = [_sample_of_runs(asked, measure, group) for group in runs]
    known = [one for one in groups if one is not None]
    if len(known) < len(groups) or not known:
        return None
    return known[0] if len(known) == 1 else _medians(known)


def _sample_of_runs(asked: Asked, measure: Measure, records: Sequence[Record]) -> Sample | None:
    if measure.of_run is None:
        question = Question(measure.criterion, asked.target, asked.crossing).checked()
        score = sample_of(records, question).score
        return None if score.measured is None else Sample(*score.measured)
    values = [measure.of_run(record, asked) for record in records]
    known = [x for x in values if x is not None]
    if len(known) < len(values) or not known:
        return None
    return sample_of_known(list(dict.fromkeys(known)) if measure.of_fleet else known)


def _medians(samples: Sequence[Sample]) -> Sample:
    """A sample of the medians of samples."""
    return Sample(*(Bounds(*(np.array([median(one[i][j]) for one in samples]) for j in (0, 1))) for i in (0, 1)))
