"""A row of a league table: runs of one config in, what the table shows of them out."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.ranking import statistics
from bench.ranking.observations import horizon_of, observe, row_budget
from bench.ranking.question import Block, Question
from bench.ranking.runs import PROBES, Run, grouped
from bench.ranking.scores import NO_SCORE, Score, score
from bench.results import known_mean


class Against(NamedTuple):
    """How far a row is from the baseline of its block: `bench.ranking.baseline`.

    :param measure: "ratio", of its cost to the baseline's, or "difference", of its accuracy from the baseline's.
    :param value: the estimate; None where bounds of it are known at most.
    :param least, most: the estimate lies between them; None for an end that is open.
    :param low, high: its interval; None for no interval or an end that is open.
    :param level: the confidence level of the interval.
    """

    measure: str
    value: float | None = None
    least: float | None = None
    most: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None

    def named(self) -> dict[str, float | None]:
        """As in documents: "ratio", "ratio_least" and so on."""
        ends = {f"{self.measure}_{name}": getattr(self, name) for name in ("least", "most", "low", "high", "level")}
        return {self.measure: self.value, **ends}


@dataclass(frozen=True)
class Row:
    """A spec without its seeds, and what its runs show up to the horizon of its block.

    :param rank: 1 is best, equal scores share a rank, None where there is no score.
    :param rank_low: the best rank of the interval of ranks; None below five runs.
    :param rank_high: the worst rank of that interval.
    :param rank_level: its confidence level.
    :param config: the spec without its seeds.
    :param optimizer: its name; None for a learner that brings its own.
    :param label_noise: the share of the training answers that were wrong; None for a row over blocks.
    :param n: runs that count.
    :param estimate: what the row is ranked by: the median over all runs, of which those that do not reach the target
        are the worst; the smallest fraction known to suffice; the mean rank over blocks. None where the median is not
        reached, or where it depends on runs that are not confirmed.
    :param low: the lower end of the interval of the median; None for no interval.
    :param high: its upper end; None for no interval or an open end.
    :param level: its confidence level.
    :param mean: test accuracy over the runs; of a cost, with all that do not reach the target counted at the horizon.
    :param solved: share of the runs that reached the target, ``solved_low`` to ``solved_high`` its 95 % interval.
    :param unconfirmed: number of runs that hold the target at the end, but not for long enough to be confirmed.
    :param stopped: number of runs that ended before the horizon without the target.
    :param horizon: up to where all runs of the block are read: a step, seconds or FLOPs.
    :param improvement: probability that a run of this row beats one of the next.
    :param probes: what the encoding alone gives away; ``gives_away`` says whether one reaches the target.
    :param test_accuracy: median over the runs; ``lowest`` and ``highest`` are those of single runs.
    :param train_accuracy: mean over the runs, like ``diagonal``, the accuracy on pairs of equal operands.
    :param parameters: trainable numbers.
    :param seconds: of training up to the horizon, mean over the runs, like ``flops``.
    :param steps: the fewest and the most of the runs, up to the horizon.
    :param fractions: those that were tried, where rows are ranked by the fraction that they need.
    :param incomplete: what is missing, in words.
    :param remarks: what the median does not show, in words.
    :param board: the rule by which the row was tuned; "" for one that was not.
    :param tuning: the studies that chose the settings, with the cost of each.
    :param against: how far it is from the baseline; None for a ranking without one.
    :param runs: all runs of the config, those included that do not count.
    """

    label: str
    config: dict[str, Any]
    encoder: str
    learner: str
    optimizer: str | None
    task: str | None
    task_parameters: dict[str, Any] | None
    modulus: int | None
    protocol: str | None
    train_fraction: float | None
    label_noise: float | None
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
    against: Against | None = None
    runs: Sequence[Run] = field(default=(), repr=False, compare=False)

    @property
    def title(self) -> str:
        """The title of its block."""
        parameters = json.dumps(self.task_parameters, sort_keys=True)
        conditions = self.protocol or "", self.train_fraction, self.board, self.label_noise or 0.0
        return Block(self.task or "", self.modulus, parameters, *conditions).title

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON document, its rank first, without its runs; beside a baseline with how far it is from that."""
        first = ("rank", "rank_low", "rank_high", "rank_level")
        others = (name for name in vars(self) if name not in (*first, "against", "runs"))
        values = {name: getattr(self, name) for name in (*first, *others)}
        return values | ({} if self.against is None else self.against.named())

    def to_flat(self) -> dict[str, Any]:
        """The same with a value for each probe, for the fewest and the most steps, and lists of words joined."""
        row = self.to_dict()
        probes, steps = row.pop("probes"), row.pop("steps") or [None, None]
        row |= {**probes, "fewest_steps": steps[0], "most_steps": steps[1]}
        return row | {name: "; ".join(row[name]) for name in ("incomplete", "remarks")}


@dataclass(frozen=True)
class ScoredRow:
    """A row that has a score and no place yet."""

    row: Row
    block: Block
    score: Score


def scored_rows(groups: Sequence[Sequence[Run]], question: Question) -> list[ScoredRow]:
    """The rows of a block: each of the groups holds the runs of one config."""
    horizon = horizon_of(groups, question)
    return [_scored_row(runs, question, horizon) for runs in groups]


def _scored_row(runs: Sequence[Run], question: Question, horizon: float | None) -> ScoredRow:
    """The row of some runs of one config; without a score where their budget is below the horizon asked for."""
    budget, asked = row_budget(runs, question.unit.name), question.horizon
    if asked is not None and budget is not None and budget < asked * (1 - 1e-9):
        found, incomplete = NO_SCORE, [f"given {question.unit.amount(budget)} {question.unit.noun} only"]
    else:
        observed = [observe(run, question, horizon) for run in runs]
        gaps = Counter(gap for _, gap in observed if gap)
        found = score([one for one, _ in observed if one is not None], question, horizon)
        incomplete = [f"{n} {gap}" for gap, n in gaps.items()]
    return ScoredRow(_row(runs, found, incomplete, question, horizon), runs[0].block, found)


def _row(runs: Sequence[Run], found: Score, incomplete: list[str], question: Question, horizon: float | None) -> Row:
    observations, config, block = found.observations, runs[0].config, runs[0].block
    crossings = [one.crossing for one in observations if one.crossing is not None]
    n, solved = len(observations), statistics.Estimate(None)
    if n and len(crossings) == n:
        solved = statistics.solved_interval(sum(c.solved for c in crossings), n)
    tests, steps = [one.accuracy for one in observations], [one.step for one in observations]
    probes = {name: known_mean(run.probes[name] for run in runs) for name in PROBES}
    return Row(
        label=runs[0].label,
        config=config,
        encoder=config["encoder"]["name"],
        learner=config["learner"]["name"],
        optimizer=(config["optimizer"] or {}).get("name"),
        task=block.task,
        task_parameters=config["task_parameters"],
        modulus=block.modulus,
        protocol=block.protocol,
        train_fraction=block.train_fraction,
        label_noise=block.label_noise,
        n=n,
        estimate=found.estimate.value,
        low=found.estimate.low,
        high=found.estimate.high,
        level=found.estimate.level,
        mean=found.mean,
        solved=solved.value,
        solved_low=solved.low,
        solved_high=solved.high,
        unconfirmed=sum(c.unconfirmed for c in crossings),
        stopped=sum(c.stopped for c in crossings),
        horizon=horizon,
        probes=probes,
        gives_away=any(value is not None and value >= question.target for value in probes.values()),
        test_accuracy=statistics.median(tests) if tests else None,
        lowest=min(tests, default=None),
        highest=max(tests, default=None),
        train_accuracy=known_mean(one.train_accuracy for one in observations),
        diagonal=known_mean(one.diagonal for one in observations),
        parameters=max((run.parameters for run in runs if run.parameters is not None), default=None),
        seconds=known_mean(one.seconds for one in observations),
        flops=known_mean(one.flops for one in observations),
        steps=[min(steps), max(steps)] if steps else None,
        diverged=sum(one.diverged for one in observations),
        incomplete=incomplete,
        remarks=list(found.remarks),
        board=block.board,
        tuning=[same[0] for same in grouped((run.tuning for run in runs if run.tuning), lambda study: study["study"])],
        fractions=list(found.fractions),
        runs=tuple(runs),
    )
