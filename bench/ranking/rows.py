"""The rows of a league table."""

import json
from dataclasses import dataclass, field
from typing import Any

from bench.ranking.comparison import Comparison
from bench.ranking.question import Block, Question

__all__ = ["Ranking", "Row"]


@dataclass(frozen=True)
class Row:
    """A spec without its seeds, and how its runs did up to the horizon of its block.

    :param rank: 1 is best, equal scores share a rank, None where there is no score.
    :param rank_low, rank_high: where its place may lie; None below five runs.
    :param rank_level: with what probability it lies there.
    :param config: the spec without its seeds.
    :param n: runs that count.
    :param estimate: what it is ranked by: the median over all runs, one that did not get there counting as worst; the
        smallest fraction known to suffice; the mean rank over blocks. None where the median is not reached, or where
        runs that are not confirmed decide it.
    :param low, high: ends of the interval of the median; None for no interval, ``high`` also for an open end.
    :param level: with what probability the interval holds the median.
    :param mean: test accuracy over the runs; of a cost, with all that did not get there counted at the horizon.
    :param solved: share of the runs that reached the target, ``solved_low`` to ``solved_high`` its 95 % interval.
    :param unconfirmed: number of runs that hold the target at the end, too early to be confirmed.
    :param stopped: number of runs that ended before the horizon without the target.
    :param horizon: up to where all runs of the block were read: a step, seconds or FLOPs.
    :param improvement: probability that a run of this row beats one of the next.
    :param probes: what the encoding alone gives away; `gives_away` where that reaches the target.
    :param test_accuracy: median over the runs; ``lowest`` and ``highest`` run.
    :param train_accuracy: mean over the runs, as that on pairs of equal operands.
    :param parameters: trainable numbers.
    :param seconds: of training up to the horizon, the mean of the runs, as the FLOPs.
    :param steps: the fewest and the most of the runs, up to the horizon.
    :param fractions: those that were tried, where rows are ranked by the fraction that they need.
    :param incomplete: what is missing, in words.
    :param remarks: what the typical run does not show, in words.
    :param board: the rule by which it was tuned; "" where its settings are somebody's choice.
    :param tuning: the studies that chose its settings, with what each cost.
    """

    label: str
    config: dict[str, Any]
    encoder: str
    learner: str
    task: str | None
    task_parameters: dict[str, Any] | None
    modulus: int | None
    protocol: str | None
    train_fraction: float | None
    n: int
    estimate: float | None
    low: float | None
    high: float | None
    level: float | None
    mean: float | None
    solved: float | None
    solved_low: float | None
    solved_high: float | None
    unconfirmed: int
    stopped: int
    horizon: float | None
    probes: dict[str, float | None]
    gives_away: bool
    test_accuracy: float | None
    lowest: float | None
    highest: float | None
    train_accuracy: float | None
    diagonal: float | None
    parameters: int | None
    seconds: float | None
    flops: float | None
    steps: list[int] | None
    diverged: int
    incomplete: list[str]
    remarks: list[str] = field(default_factory=list)
    board: str = ""
    tuning: list[dict[str, Any]] = field(default_factory=list)
    fractions: list[dict[str, Any]] = field(default_factory=list)
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    rank_level: float | None = None
    improvement: float | None = None

    @property
    def title(self) -> str:
        """Of its block."""
        parameters = json.dumps(self.task_parameters, sort_keys=True)
        block = Block(self.task or "", self.modulus, parameters, self.protocol or "", self.train_fraction, self.board)
        return block.title

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON document, its rank first."""
        first = ("rank", "rank_low", "rank_high", "rank_level")
        return {name: getattr(self, name) for name in (*first, *(n for n in vars(self) if n not in first))}


@dataclass(frozen=True)
class Ranking:
    """Rows, best first, block by block, and what is to be said of them.

    :param caption: lines for below the table.
    :param legend: what each column means, by its name.
    :param comparison: of the rows over all blocks, where that was asked for.
    """

    question: Question
    rows: list[Row]
    caption: list[str]
    legend: dict[str, str]
    comparison: Comparison | None = None
