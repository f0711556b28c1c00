"""The criteria by which rows can be ranked, in one table.

The command line takes its choices from this table, tables and captions their words, `bench.ranking.scores` the kind of
score. A new criterion is one more entry of `CRITERIA`. What else it may need stands below the table: a new unit is an
attribute of `bench.ranking.runs.Run` of the same name, and a new kind is a function in `bench.ranking.scores.KINDS`.

Nothing here imports numpy, so that ``rank --help`` is quick.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from bench.results import exponential, percent, short_duration

Kind = Literal["accuracy", "cost", "fraction"]


class Unit(NamedTuple):
    """The unit in which the costs of a run and the horizon are counted.

    :param noun: as in "1,000 steps".
    :param words: as in a sentence: "FLOPs of training".
    :param amount: a cost in this unit as a number.
    :param smallest: logarithms of costs take smaller ones as this.
    """

    name: str
    noun: str
    words: str
    amount: Callable[[float], str]
    smallest: float


class Criterion(NamedTuple):
    """What rows are ranked by.

    :param name: as on the command line.
    :param kind: how runs are scored: by their accuracy, by the cost at which they reach the target, or by the fraction
        of the pairs that is needed to reach it.
    :param column: the heading of the column.
    :param shown: a value as a cell.
    :param unit: of the horizon, and of the costs of runs.
    :param note: a line below the table; "{devices}" stands for those of the runs.
    """

    name: str
    kind: Kind
    column: str
    shown: Callable[[float], str]
    unit: Unit
    note: str = ""


STEPS = Unit("steps", "steps", "steps", lambda cost: f"{cost:,.0f}", smallest=1.0)
SECONDS = Unit("seconds", "seconds", "seconds of training", lambda cost: f"{cost:.3g}", smallest=1e-6)
FLOPS = Unit("flops", "FLOPs", "FLOPs of training", exponential, smallest=1.0)

CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion("accuracy", "accuracy", "median", percent, STEPS),
        Criterion("steps", "cost", "median steps", lambda steps: f"{steps:,.1f}".removesuffix(".0"), STEPS),
        Criterion(
            "seconds",
            "cost",
            "median time",
            short_duration,
            SECONDS,
            "Seconds of training, of a fleet its share, on {devices}.",
        ),
        Criterion(
            "flops",
            "cost",
            "median FLOPs",
            exponential,
            FLOPS,
            "FLOPs count all arithmetic alike, which is not time: an elementwise operation, of which forward-forward "
            "is made, takes 20 to 40 times as long as one of a matrix product (one core, default learners).",
        ),
        Criterion("fraction", "fraction", "needs", lambda share: f"{100 * share:g}%", STEPS),
    )
}

CROSSINGS = ("first", "sustained")
"""Which evaluation counts as the one that reaches the target: `bench.results.curves` defines both."""
