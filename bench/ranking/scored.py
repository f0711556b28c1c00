"""Runs of one row in, a row without a place out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.ranking import statistics
from bench.ranking.criteria import Score, score
from bench.ranking.observations import observe, row_budget
from bench.ranking.question import Block, Question
from bench.ranking.reading import PROBES, Run, grouped
from bench.ranking.rows import Row
from bench.ranking.statistics import Estimate

__all__ = ["Scored", "mean", "scored"]


@dataclass(frozen=True)
class Scored:
    """A row that has no place yet, and its runs."""

    row: Row
    block: Block
    score: Score


def scored(runs: Sequence[Run], question: Question, horizon: float | None) -> Scored:
    """The row of some runs of one config, read up to the horizon of their block.

    A row that was not given so much has no score.
    """
    found = [observe(run, question, horizon) for run in runs]
    gaps = Counter(gap for _, gap in found if gap)
    short, asked = row_budget(runs, question.unit), question.horizon
    if asked is not None and short is not None and short < asked * (1 - 1e-9):
        why = f"given {amount(short, question.unit)} only"
        return _row(runs, Score(Estimate(None), None, []), [why], question, horizon)
    seen = [one for one, _ in found if one is not None]
    return _row(runs, score(seen, question, horizon), [f"{n} {gap}" for gap, n in gaps.items()], question, horizon)


def amount(cost: float, unit: str) -> str:
    """As "1,000 steps", "2.5 seconds" or "1.30e12 FLOPs"."""
    if unit == "flops":
        return f"{cost:.2e} FLOPs".replace("e+", "e")
    return f"{cost:,.0f} steps" if unit == "steps" else f"{cost:.3g} seconds"


def _row(runs: Sequence[Run], found: Score, incomplete: list[str], question: Question, horizon: float | None) -> Scored:
    seen, config, block = found.seen, runs[0].config, runs[0].block
    crossings = [one.crossing for one in seen if one.crossing is not None]
    told = bool(seen) and len(crossings) == len(seen)
    solved = statistics.solved_interval(sum(c.solved for c in crossings), len(seen)) if told else Estimate(None)
    tests = [one.accuracy for one in seen]
    probes = {name: mean([run.probes[name] for run in runs]) for name in PROBES}
    sizes = [run.parameters for run in runs if run.parameters is not None]
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
        n=len(seen),
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
        train_accuracy=mean([one.train_accuracy for one in seen]),
        diagonal=mean([one.diagonal for one in seen]),
        parameters=max(sizes) if sizes else None,
        seconds=mean([one.seconds for one in seen]),
        flops=mean([one.flops for one in seen]),
        steps=[min(one.step for one in seen), max(one.step for one in seen)] if seen else None,
        diverged=sum(one.diverged for one in seen),
        incomplete=incomplete,
        remarks=list(found.remarks),
        board=block.board,
        tuning=[group[0].tuning for group in grouped(runs, _study) if group[0].tuning is not None],
        fractions=list(found.fractions),
    )
    return Scored(row, block, found)


def _study(run: Run) -> str:
    return "" if run.tuning is None else str(run.tuning["study"])


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
