"""The league table: records in, rows out, best first.

A row is a spec without its seeds. What it scores depends on its own records alone; only its place, the interval of its
place and how likely it is to beat the next row depend on who else is there.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench import statistics
from bench.diagram import Comparison, compare
from bench.errors import RequestError, one_of
from bench.metrics import CONFIRMATION, TARGETS
from bench.registry import canonical
from bench.runs import (
    FILTERS,
    OF_BLOCKS,
    TIMED,
    Block,
    Question,
    Reading,
    Run,
    each_once,
    grouped,
    many,
    of_unequal_budgets,
    on_fewer_splits,
)
from bench.statistics import Estimate
from bench.store import Record, Store

__all__ = ["BY", "CROSSINGS", "Block", "Question", "Ranking", "Row", "rank"]

T = TypeVar("T")

BY = ("accuracy", "steps", "seconds", "flops", "fraction")
CROSSINGS = ("first", "sustained")
FEWEST = 3
"""Fewest blocks, and fewest rows in all of them, that Friedman's test compares."""
DIGITS = 12
"""Sums of the same numbers in another order agree to so many digits."""
ROUNDING = 10.0**-DIGITS
UNKNOWN = Estimate(None, None, None)

_NAMES = {"steps": "steps", "seconds": "seconds of training", "flops": "FLOPs of training"}
_MEANS = ("solved", "test_accuracy", "train_accuracy", "diagonal", "seconds", "flops")


@dataclass(frozen=True)
class Row:
    """A spec without its seeds, and how its runs did.

    :param rank: 1 is best, equal scores share a rank, None where there is no score.
    :param config: the spec without its seeds.
    :param n: runs that count.
    :param estimate: what it is ranked by; None where that was not reached or is unknown.
    :param solved: share of the runs that reached the target.
    :param restricted_mean: mean cost until the target, or until the end of the row's longest run.
    :param improvement: probability that a run of this row beats one of the next.
    :param probes: what the encoding alone gives away; `gives_away` where that reaches the target.
    :param test_accuracy: mean over the runs, as the train accuracy and that on pairs of equal operands.
    :param parameters: trainable numbers.
    :param seconds: of training, the mean of the runs, as the FLOPs.
    :param steps: the fewest and the most of the runs.
    :param fractions: those that were tried, where rows are ranked by the fraction that they need.
    :param incomplete: what is missing, in words.
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
    solved: float | None
    solved_low: float | None
    solved_high: float | None
    restricted_mean: float | None
    probes: dict[str, float | None]
    gives_away: bool
    test_accuracy: float | None
    train_accuracy: float | None
    diagonal: float | None
    parameters: int | None
    seconds: float | None
    flops: float | None
    steps: list[int] | None
    diverged: int
    incomplete: list[str]
    board: str = ""
    tuning: list[dict[str, Any]] = field(default_factory=list)
    fractions: list[dict[str, Any]] = field(default_factory=list)
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    improvement: float | None = None

    @property
    def title(self) -> str:
        """Of its block."""
        parameters = json.dumps(self.task_parameters, sort_keys=True)
        block = Block(self.task or "", self.modulus, parameters, self.protocol or "", self.train_fraction, self.board)
        return block.title

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON document, its rank first."""
        first = ("rank", "rank_low", "rank_high")
        return {name: getattr(self, name) for name in (*first, *(n for n in vars(self) if n not in first))}


@dataclass(frozen=True)
class Ranking:
    """Rows, best first, block by block, and what is to be said of them.

    :param caption: lines for below the table.
    :param comparison: of the rows over all blocks, where that was asked for.
    """

    question: Question
    rows: list[Row]
    caption: list[str]
    comparison: Comparison | None = None


def rank(
    *,
    results: str = "results",
    records: Iterable[Record] | None = None,
    by: str = "accuracy",
    target: float = 0.99,
    crossing: str = "sustained",
    at: int | None = None,
    encoder: str | Sequence[str] | None = None,
    learner: str | Sequence[str] | None = None,
    task: str | Sequence[str] | None = None,
    pairs: str | Sequence[str] | None = None,
    train_fraction: float | Sequence[float] | None = None,
    modulus: int | Sequence[int] | None = None,
    parameters: tuple[float | None, float | None] = (None, None),
    blocks: bool = False,
    skip_broken: bool = False,
) -> Ranking:
    """Rank what a results folder holds, or these records.

    Rows of different tasks, moduli, protocols or fractions are ranked apart, each block by itself.

    :param by: "accuracy", "steps", "seconds" or "flops" to the target, or the "fraction" of the pairs that it takes.
    :param target: 0.95 or 0.99.
    :param crossing: "first" or "sustained".
    :param at: compare accuracy at this step, and follow runs up to it; each run's last step where it is None.
    :param parameters: the least and the most trainable numbers of a row.
    :param blocks: compare the rows that are in every block by their mean rank over blocks.
    :param skip_broken: leave out records that cannot be read.
    :raises RequestError: for a request that is wrong, or that no record answers.
    :raises StoreError: where the folder or a record in it cannot be used.
    """
    question = _question(by, target, crossing, at)
    asked = zip(FILTERS, (encoder, learner, task, pairs, train_fraction, modulus), strict=True)
    reading = Reading(question, {name: _listed(value) for name, value in asked if value is not None})
    if records is None:
        reading.read(Store(results), skip_broken)
    else:
        for record in records:
            reading.take(record)
    reading.check("these records" if records is not None else repr(results))
    runs, notes = each_once(reading.runs)
    tuned = sum(run.tuning is not None for run in runs)
    if blocks and tuned:
        # The winner of a study is another row in every block.
        runs = [run for run in runs if run.tuning is None]
        notes.append(f"{many(tuned, 'record')} of tuned rows left out: --blocks compares one setting over all blocks.")
        if not runs:
            raise RequestError("--blocks compares one setting over all blocks, and all records here are of tuned rows.")
    groups = grouped(runs, lambda run: (run.block, run.key))
    scored = [_scored(group, question) for group in groups]
    fitting = [_within(one.row.parameters, *parameters) for one in scored]
    matched = list(compress(scored, fitting))
    if not matched:
        raise RequestError(f"--parameters {_span(*parameters)} leaves none of {many(len(scored), 'row')}.")
    notes = [
        *reading.notes(len(matched), len(scored) - len(matched)),
        *notes,
        *on_fewer_splits(compress(groups, fitting)),
        *(of_unequal_budgets(compress(groups, fitting)) if question.by == "accuracy" and at is None else ()),
    ]
    if by == "seconds":
        notes.append(
            f"Seconds of training, of a fleet its share, on {', '.join(sorted({run.device for run in runs}))}."
        )
    if blocks:
        rows, comparison = _compare(matched)
        return Ranking(
            question, rows, [*notes, *_explained(question, rows, blocks), *_compared(comparison)], comparison
        )
    by_block = sorted(grouped(matched, lambda one: one.block), key=lambda group: group[0].block.place)
    rows = [row for group in by_block for row in _placed(group, question)]
    return Ranking(question, rows, [*notes, *_explained(question, rows)])


def _question(by: str, target: float, crossing: str, at: int | None) -> Question:
    if by not in BY:
        raise RequestError(one_of("--by", by, BY))
    if crossing not in CROSSINGS:
        raise RequestError(one_of("--crossing", crossing, CROSSINGS))
    if target not in TARGETS:
        raise RequestError(f"--target must be one of {', '.join(map(str, TARGETS))}, got {target}.")
    if at is not None and at < 1:
        raise RequestError(f"--at must be a step ≥ 1, got {at}.")
    return Question(by, float(target), crossing, at)


def _listed(values: Any) -> list[Any]:
    """The values of a filter, as records spell them."""
    listed = [values] if isinstance(values, str | float | int) else list(values)
    return [canonical(v) if isinstance(v, str) else v for v in listed]


def _within(parameters: int | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return parameters is not None and (low or 0) <= parameters <= (math.inf if high is None else high)


def _span(low: float | None, high: float | None) -> str:
    return "..".join("" if end is None else f"{end:g}" for end in (low, high))


# Rows


class _Score(NamedTuple):
    """What a row is ranked by.

    :param order: smaller is better, equal is a tie; None where there is no score.
    :param runs: those that are described beside it.
    """

    estimate: Estimate
    order: tuple[float, ...] | None
    runs: list[Run]
    restricted_mean: float | None = None
    fractions: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class _Scored:
    """A row that has no place yet, and its runs."""

    row: Row
    block: Block
    score: _Score


def _scored(runs: list[Run], question: Question) -> _Scored:
    known = [run for run in runs if run.accuracy is not None]
    score = _score(known, question)
    shown, config, block = score.runs, runs[0].config, runs[0].block
    solved = statistics.solved_interval(sum(r.solved for r in shown), len(shown)) if shown else UNKNOWN
    probes = {name: _mean([getattr(run, name) for run in runs]) for name in ("ridge", "knn")}
    sizes = [run.parameters for run in runs if run.parameters is not None]
    steps = [run.step for run in shown if run.step is not None]
    row = Row(
        label=runs[0].label,
        config=config,
        encoder=config["encoder"]["name"],
        learner=config["learner"]["name"],
        task=block.task,
        task_parameters=config["task_parameters"],
        modulus=block.modulus,
        protocol=block.protocol,
        train_fraction=block.train_fraction,
        n=len(shown),
        estimate=score.estimate.value,
        low=score.estimate.low,
        high=score.estimate.high,
        solved=solved.value,
        solved_low=solved.low,
        solved_high=solved.high,
        restricted_mean=score.restricted_mean,
        probes=probes,
        gives_away=any(value is not None and value >= question.target for value in probes.values()),
        test_accuracy=_mean([run.accuracy for run in shown]),
        train_accuracy=_mean([run.train_accuracy for run in shown]),
        diagonal=_mean([run.diagonal for run in shown]),
        parameters=max(sizes) if sizes else None,
        seconds=_mean([run.seconds for run in shown]),
        flops=_mean([run.flops for run in shown]),
        steps=[min(steps), max(steps)] if steps else None,
        diverged=sum(run.status == "diverged" for run in runs),
        incomplete=[f"{n} {gap}" for gap, n in Counter(run.gap for run in runs if run.gap).items()],
        board=block.board,
        tuning=[group[0].tuning for group in grouped(runs, _study) if group[0].tuning is not None],
        fractions=list(score.fractions),
    )
    return _Scored(row, block, score)


def _study(run: Run) -> str:
    return "" if run.tuning is None else str(run.tuning["study"])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _score(runs: list[Run], question: Question) -> _Score:
    if not runs:
        return _Score(UNKNOWN, None, [])
    if question.by == "fraction":
        return _by_fraction(runs, question.target)
    return _by_cost(runs) if question.by in TIMED else _by_accuracy(runs)


def _by_accuracy(runs: list[Run]) -> _Score:
    mean = statistics.mean_interval(_accuracies(runs))
    assert mean.value is not None
    return _Score(mean, (-round(mean.value, DIGITS),), runs)


def _accuracies(runs: Sequence[Run]) -> list[float]:
    return [run.accuracy for run in runs if run.accuracy is not None]


def _by_cost(runs: list[Run]) -> _Score:
    """By the median; where half of the runs never got there by how many did, then by how soon those that did.

    The restricted mean is told, but orders nothing: a larger budget would make it larger. Rows without one solved run
    share the last place: how long they were watched says nothing of how fast they are.
    """
    if any(run.end is None for run in runs):
        return _Score(UNKNOWN, None, runs)
    times, solved = _times(runs)
    median, share = statistics.median_interval(times, solved), sum(solved) / len(solved)
    restricted = statistics.restricted_mean(times, solved, max(times)).value if max(times) else None
    soon = float(np.mean([time for time, there in zip(times, solved, strict=True) if there])) if share else 0.0
    if median.value is not None:
        return _Score(median, (0, median.value, -share, soon), runs, restricted)
    return _Score(median, (1, -share, soon) if share else (2,), runs, restricted)


def _times(runs: Sequence[Run]) -> tuple[list[float], list[bool]]:
    """When runs reached the target or were last seen without it, and which did.

    A diverged run will never get there: it counts as watched to the end of the row's longest run. Censored where it
    diverged it would be taken for one that may still succeed.
    """
    longest = max(run.end or 0.0 for run in runs)
    times = [longest if run.status == "diverged" else run.crossing if run.solved else run.end for run in runs]
    return [time or 0.0 for time in times], [run.solved for run in runs]


def _by_fraction(runs: list[Run], target: float) -> _Score:
    """By the smallest fraction whose mean accuracy reaches the target.

    Its interval goes from the smallest fraction at which the interval of the mean reaches the target with its upper
    end to the smallest at which it does with its lower end.
    """
    groups = sorted(grouped(runs, lambda run: run.fraction), key=lambda group: group[0].fraction)
    means = [statistics.mean_interval(_accuracies(group)) for group in groups]

    def smallest(values: Sequence[float | None]) -> int | None:
        return next((i for i, v in enumerate(values) if v is not None and v >= target - ROUNDING), None)

    places = [smallest([getattr(mean, end) for mean in means]) for end in ("value", "high", "low")]
    at, low, high = (None if i is None else groups[i][0].fraction for i in places)
    shown = groups[-1 if places[0] is None else places[0]]
    estimate = Estimate(at, None, None) if len(shown) == 1 else Estimate(at, low, high)
    tried = [
        {"train_fraction": group[0].fraction, "n": len(group), "mean": m.value, "low": m.low, "high": m.high}
        for group, m in zip(groups, means, strict=True)
    ]
    return _Score(estimate, (math.inf if at is None else at,), shown, fractions=tried)


# Places


def _placed(block: Sequence[_Scored], question: Question) -> list[Row]:
    """The rows of a block, best first; those without a score last."""
    ranked = sorted((one for one in block if one.score.order is not None), key=_standing)
    others = sorted((one.row for one in block if one.score.order is None), key=lambda row: row.label)
    orders = [one.score.order for one in ranked]
    first = {order: place for place, order in reversed(list(enumerate(orders, 1)))}
    places = [first[order] for order in orders]
    lows, highs = _rank_intervals(ranked, question)
    beats = [*(_improvement(a, b, question) for a, b in pairwise(ranked)), None]
    rows = [
        replace(one.row, rank=place, rank_low=min(low, place), rank_high=max(high, place), improvement=beat)
        for one, place, low, high, beat in zip(ranked, places, lows, highs, beats, strict=True)
    ]
    return [*rows, *others]


def _standing(one: _Scored) -> tuple[tuple[float, ...], str, str]:
    assert one.score.order is not None
    return one.score.order, one.row.label, one.score.runs[0].key


def _rank_intervals(ranked: Sequence[_Scored], question: Question) -> tuple[list[int], list[int]]:
    """Least and largest place of each row. Single runs are told from no row, so that they need no comparison."""
    if question.by == "fraction":
        return _apart([_bounds(one.row) for one in ranked])
    least, most = [1] * len(ranked), [len(ranked)] * len(ranked)
    several = [i for i, one in enumerate(ranked) if one.row.n > 1]
    runs = [ranked[i].score.runs for i in several]
    if question.by == "accuracy":
        low, high = statistics.rank_intervals([_accuracies(group) for group in runs])
    else:
        timed = [_times(group) for group in runs]
        never = 1 + 2 * max((time for times, _ in timed for time in times), default=0.0)
        for group, (times, solved) in zip(runs, timed, strict=True):
            for place, run in enumerate(group):
                if run.step == 0 and not solved[place]:  # it takes no steps: watched for longer it would be no better
                    times[place], solved[place] = never, True
        low, high = statistics.rank_intervals(
            [times for times, _ in timed], higher_is_better=False, solved=[solved for _, solved in timed]
        )
    for i, one_low, one_high in zip(several, low.tolist(), high.tolist(), strict=True):
        least[i], most[i] = one_low, one_high + len(ranked) - len(several)
    return least, most


def _bounds(row: Row) -> tuple[float, float]:
    """Least and largest fraction that a row may need; anything where a single run gives no interval."""
    if row.n == 1:
        return 0.0, math.inf
    return math.inf if row.low is None else row.low, math.inf if row.high is None else row.high


def _apart(bounds: Sequence[tuple[float, float]]) -> tuple[list[int], list[int]]:
    """Places of rows by their intervals: behind those that are wholly better, before those that are wholly worse."""
    lows, highs = np.array(bounds).reshape(-1, 2).T
    least = [int((highs < low).sum()) + 1 for low in lows]
    return least, [len(bounds) - int((lows > high).sum()) for high in highs]


def _improvement(a: _Scored, b: _Scored, question: Question) -> float | None:
    if question.by == "fraction":
        return None
    if question.by == "accuracy":
        return statistics.improvement(_accuracies(a.score.runs), _accuracies(b.score.runs)).value
    (times_a, solved_a), (times_b, solved_b) = _times(a.score.runs), _times(b.score.runs)
    return statistics.improvement(times_a, times_b, higher_is_better=False, solved=(solved_a, solved_b)).value


# Blocks


def _compare(scored: Sequence[_Scored]) -> tuple[list[Row], Comparison]:
    """Mean ranks over blocks of the rows that are in all of them, best first; then the rows that are not."""
    blocks = sorted({one.block for one in scored}, key=lambda block: block.place)
    groups = [sorted(group, key=lambda one: one.block.place) for group in grouped(scored, _across)]
    whole = [group for group in groups if _known(group) == len(blocks)]
    if min(len(blocks), len(whole)) < FEWEST:
        found = f"{many(len(whole), 'row')} with a score in each of {many(len(blocks), 'block')}"
        raise RequestError(f"--blocks compares at least {FEWEST} rows over at least {FEWEST} blocks, found {found}.")
    ranks_BM = np.array([_ranks(column) for column in zip(*whole, strict=True)])
    tested = statistics.friedman(ranks_BM, higher_is_better=False)
    order = sorted(range(len(whole)), key=lambda m: (tested.mean_ranks_M[m], whole[m][0].row.label))
    ranks_BM = ranks_BM[:, order]
    comparison = compare([block.title for block in blocks], tested, ranks_BM)
    means = ranks_BM.mean(0)
    apart = comparison.apart
    beats = [_beats(ranks_BM[:, m], ranks_BM[:, m + 1]) for m in range(len(order) - 1)]
    rows = [
        replace(
            _over_blocks(whole[order[m]]),
            rank=int((means < means[m] - ROUNDING).sum()) + 1,
            rank_low=int((means <= means[m] - apart).sum()) + 1,
            rank_high=len(means) - int((means >= means[m] + apart).sum()),
            estimate=float(means[m]),
            low=float(ranks_BM[:, m].min()),
            high=float(ranks_BM[:, m].max()),
            improvement=beat,
        )
        for m, beat in enumerate([*beats, None])
    ]
    partial = [group for group in groups if _known(group) < len(blocks)]
    others = [_over_blocks(group, f"scored in {_known(group)} of {len(blocks)} blocks") for group in partial]
    return [*rows, *sorted(others, key=lambda row: row.label)], comparison


def _known(group: Sequence[_Scored]) -> int:
    return sum(one.score.order is not None for one in group)


def _across(one: _Scored) -> str:
    """A config as text without what makes its block, and without the modulus that the task told the encoder."""
    config = {name: value for name, value in one.row.config.items() if name not in OF_BLOCKS}
    if one.block.modulus in (None, config["encoder"].get("modulus")):
        config["encoder"] = {name: value for name, value in config["encoder"].items() if name != "modulus"}
    return json.dumps(config, sort_keys=True)


def _ranks(column: Sequence[_Scored]) -> NDArray[np.float64]:
    """Ranks within a block, ties halved, (M,)."""
    known = sorted({one.score.order for one in column if one.score.order is not None})
    return rankdata([known.index(one.score.order) for one in column if one.score.order is not None])


def _beats(ranks_B: NDArray[np.float64], others_B: NDArray[np.float64]) -> float:
    """Share of the blocks in which a row is before another, ties halved."""
    return float(((ranks_B < others_B) + (ranks_B == others_B) / 2).mean())


def _over_blocks(group: Sequence[_Scored], *missing: str) -> Row:
    """What rows of one config are over their blocks, without a place."""
    rows = [one.row for one in group]
    sizes = [row.parameters for row in rows if row.parameters is not None]
    steps = [step for row in rows for step in row.steps or ()]
    reasons = dict.fromkeys(f"{reason} ({row.task})" for row in rows for reason in row.incomplete)
    nothing = ("estimate", "low", "high", "solved_low", "solved_high", "restricted_mean", *OF_BLOCKS)
    changed: dict[str, Any] = {
        **dict.fromkeys(nothing),
        **{name: _mean([getattr(row, name) for row in rows]) for name in _MEANS},
    }
    return replace(
        rows[0],
        **changed,
        config={name: value for name, value in rows[0].config.items() if name not in OF_BLOCKS},
        n=sum(row.n for row in rows),
        probes={name: _mean([row.probes[name] for row in rows]) for name in rows[0].probes},
        gives_away=any(row.gives_away for row in rows),
        parameters=max(sizes) if sizes else None,
        steps=[min(steps), max(steps)] if steps else None,
        diverged=sum(row.diverged for row in rows),
        incomplete=[*missing, *reasons],
        fractions=[],
    )


# Captions

MEAN = "95 % interval of the mean: skewness-corrected t, with the rule of three where scores are saturated"
MEDIAN = (
    "Kaplan–Meier median, runs that never get there censored at their end; 95 % interval between order statistics, "
    "from five runs on"
)
PAIRS = "Welch's test of every pair with Holm's correction"


def _explained(question: Question, rows: Sequence[Row], blocks: bool = False) -> list[str]:
    """What the columns mean."""
    probes = "test accuracy of a linear readout (ridge) and of the nearest neighbour (1-NN)"
    lines = [
        _score_explained(question),
        *_crossing_explained(question),
        _places_explained(question, blocks),
        f"Probes: {probes}: what the encoding alone gives away.",
    ]
    lines += _boards_explained(rows)
    if any(row.diverged for row in rows):
        lines.append("A diverged run counts with accuracy 0 and as never solved.")
    return lines


def _boards_explained(rows: Sequence[Row]) -> list[str]:
    """What tuned rows are, and what their search cost."""
    studies = {study["study"]: study for row in rows for study in row.tuning}
    if not studies:
        return []
    costs = [
        f"{name}: {many(study['trials'], 'trial')}, "
        f"{'unknown' if study['flops'] is None else format(study['flops'], '.2g')} FLOPs, {study['seconds']:.0f} s"
        for name, study in sorted(studies.items())
    ]
    return [
        "Tuned: the winner of a search on validation pairs; its runs have fresh seeds and were tested once, on the "
        f"pairs that their study kept aside. Searches, not in the rows' own cost: {'; '.join(costs)}."
    ]


def _places_explained(question: Question, blocks: bool) -> str:
    ways = {"fraction": "by intervals that do not overlap"}
    way = "by Nemenyi's test" if blocks else ways.get(question.by, f"by {PAIRS}")
    beats = {"fraction": ""}.get(question.by, "; >next: probability that a run beats one of the next row, ties half")
    beats = "; >next: share of the blocks in which a row is before the next, ties half" if blocks else beats
    return f"Ranks: where a row's place may lie, {way}{beats}."


def _score_explained(question: Question) -> str:
    target, at = f"{100 * question.target:g} %", question.at
    if question.by in TIMED:
        followed = "" if at is None else f", followed to step {at:,}"
        return f"Score: {_NAMES[question.by]} to {target} of the test pairs{followed}; {MEDIAN}."
    mean = f"mean test accuracy at {'the end of each run' if at is None else f'step {at:,}'}"
    if question.by == "accuracy":
        return f"Score: {mean}; {MEAN}."
    ends = "its interval: where the upper, and where the lower end of the mean's interval does"
    return f"Score: smallest fraction tried whose {mean} reaches {target}; {ends} ({MEAN})."


def _crossing_explained(question: Question) -> list[str]:
    if question.by == "fraction":
        return []
    held = f"from which on it stayed there, over at least {100 * (CONFIRMATION - 1):.0f} % more steps"
    what = held if question.crossing == "sustained" else "whatever came after"
    target = f"{100 * question.target:g} %"
    return [f"Solved: runs with a {question.crossing} crossing of {target}: the first evaluation there, {what}."]


def _compared(comparison: Comparison) -> list[str]:
    """What the test found."""
    alike = {block.rpartition(" · ")[0] for block in comparison.blocks}
    verdict = "groups are by Nemenyi's test" if comparison.differ else "no row can be told from another"
    several = "; fractions of one task are not independent, so that p is too small" * (
        len(alike) < len(comparison.blocks)
    )
    return [
        f"Blocks: {'; '.join(comparison.blocks)}{several}.",
        f"Friedman over {len(comparison.blocks)} blocks: χ² = {comparison.statistic:.2f}, "
        f"p = {comparison.p_value:.2g}: {verdict} (critical difference {comparison.critical_difference:.2f}).",
        "Mean ranks compare these rows with each other: unlike all other numbers they change with who else is here.",
    ]
