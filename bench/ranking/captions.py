"""Text below a league table: its caption, what to know about the rows, and its legend, what each column means."""

from collections.abc import Iterable, Sequence

from bench.ranking.baseline import baseline_column
from bench.ranking.places import Comparison
from bench.ranking.question import Question
from bench.ranking.rows import Row
from bench.ranking.statistics import FEWEST, LEVEL, MOST_FLIPPED, rank_level
from bench.results import CONFIRMATION, many


def estimate_name(question: Question, blocks: bool) -> str:
    """The name of the column that rows are ordered by."""
    return "mean rank" if blocks else question.criterion.column


def horizon_suffix(row: Row, question: Question) -> str:
    """Up to where the runs of a table are read, as " · up to step 1,000"; "" where no row takes steps."""
    if row.horizon is None:
        return ""
    amount = question.unit.amount(row.horizon)
    return f" · up to step {amount}" if question.unit.name == "steps" else f" · within {amount} {question.unit.noun}"


def caption(
    question: Question, rows: Sequence[Row], devices: Iterable[str], comparison: Comparison | None = None
) -> list[str]:
    """What to know about the rows.

    :param devices: on which the runs were trained.
    """
    lines = [*_horizons(question, rows), *_searches(rows)]
    if question.criterion.note:
        lines.append(question.criterion.note.format(devices=", ".join(sorted(devices))))
    if any(row.diverged for row in rows):
        lines.append("A diverged run counts with accuracy 0 and as one that does not hold the target.")
    return lines if comparison is None else [*lines, *_friedman(comparison)]


def legend(question: Question, blocks: bool = False, baseline: bool = False) -> dict[str, str]:
    """What each column means, by its name.

    :param baseline: whether rows are compared with one.
    """
    target = f"{100 * question.target:g} %"
    named = {estimate_name(question, blocks): _estimate(question, target, blocks)}
    if blocks:
        return {
            **named,
            "ranks": "by Nemenyi's test.",
            "beats next": "share of the blocks in which a row is before the next, ties half.",
            **_readouts(),
        }
    used = "used up to the horizon"
    return {
        **named,
        **_spread(question),
        **(dict([baseline_column(question)]) if baseline else {}),
        **({} if question.criterion.kind == "fraction" else _solved(question, target)),
        "ranks": _places(question),
        "beats next": "probability that a run does better than one of the next row, ties half.",
        "tried": "smallest to largest share of the pairs that was tried (how many).",
        "test": "median test accuracy at the horizon.",
        "min–max": "the lowest and the highest run.",
        **_readouts(),
        "a=b": "mean accuracy on the test pairs of equal operands.",
        "params": "trainable numbers.",
        "steps": f"{used}: fewest–most.",
        "training": f"time of training steps {used}, without compiling, evaluation and probes: mean of the runs.",
        "FLOPs": f"{used}: mean of the runs.",
    }


def _readouts() -> dict[str, str]:
    what = "mean test accuracy of a simple readout of the same codes, what the encoding alone gives away"
    return {
        "ridge": f"{what}: a linear one.",
        "bilinear": f"{what}: one that is linear in products of the operands' codes.",
        "1-NN": f"{what}: the nearest neighbour.",
    }


def _horizons(question: Question, rows: Sequence[Row]) -> list[str]:
    if all(row.horizon is None for row in rows):
        return []
    if question.horizon is not None:
        what = "`horizon`. Rows that were given less have no rank"
    else:
        what = "the smallest budget among its rows, learners without steps not counted. `horizon` sets another"
    return [f"Each table reads all its runs up to one point, its horizon, which its title names: {what}."]


def _estimate(question: Question, target: str, blocks: bool) -> str:
    kind = question.criterion.kind
    if blocks:
        return f"over the blocks, in each of which rows are ranked {ranked_by(question)}."
    if kind == "fraction":
        return (
            "the smallest share of the pairs, of those that were tried, whose median test accuracy reaches "
            f"{target}; n, solved and test are of the runs at that share, else at the largest tried."
        )
    if kind == "accuracy":
        return "test accuracy at the horizon, or at a run's end before it, of the middle run (of two: their midpoint)."
    until = f"until {target} of the test pairs are right"
    held = f"up to where {target} of the test pairs are right and stay so"
    unsure = "; unconfirmed: more than half hold it at the end, too few of them for long enough. Both are the slowest"
    maybe = "" if question.crossing == "first" else unsure
    return (
        f"{question.unit.words} {until if question.crossing == 'first' else held}, of the middle run of all (of two: "
        f"their midpoint). not reached: half of the runs or more do not get there{maybe}."
    )


def _spread(question: Question) -> dict[str, str]:
    kind = question.criterion.kind
    if kind == "fraction":
        what = (
            "more than a share that surely does not suffice, up to one that surely does, by the intervals of those "
            "medians (two of the runs in order); what was not tried is not known."
        )
        return {"interval": what, "conf.": "with what probability it holds the smallest share that suffices."}
    before = "" if kind == "accuracy" else " Its low end is the evaluation before the crossing."
    mean = "" if kind == "accuracy" else ", those that do not get there counted at the horizon"
    return {
        "interval": "two of the runs in order, which enclose the median of all possible runs; "
        f"from {FEWEST} runs on.{before}",
        "conf.": "with what probability they do, whatever the distribution.",
        "mean": f"of all runs{mean}.",
    }


def ranked_by(question: Question) -> str:
    """What rows are ordered by, as "by median test accuracy"."""
    target = f"{100 * question.target:g} %"
    return {
        "accuracy": "by median test accuracy",
        "cost": f"by the median {question.unit.words} to {target}",
        "fraction": f"by the share of the pairs that {target} takes",
    }[question.criterion.kind]


def _solved(question: Question, target: str) -> dict[str, str]:
    if question.crossing == "first":
        what = f"runs that reach {target} at any evaluation, whatever comes after."
    else:
        what = (
            f"runs that reach {target} and hold it to the horizon, or to their end before it, provided that this is at "
            f"least {CONFIRMATION:g} times the step at which they got there; +k?: k more hold it at the end, but not "
            "yet for so long (unconfirmed)."
        )
    return {
        "solved": what,
        "P(solved)": f"exact {100 * LEVEL:g} % interval of the probability that a run is solved (Clopper–Pearson).",
    }


def _places(question: Question) -> str:
    kind = question.criterion.kind
    if kind == "fraction":
        return "where a row's place may lie, by intervals that do not overlap."
    means = "mean accuracy" if kind == "accuracy" else f"the mean logarithm of {question.unit.words}"
    few = f"{100 * rank_level(FEWEST):.1f} % for {FEWEST} runs; none below {FEWEST}"
    counted = "" if kind == "accuracy" else ", which counts what is not there, or unconfirmed, at the horizon"
    return (
        f"where a row's place by {means} lies, each taken alone with a probability of {100 * LEVEL:g} % ({few}). Rows "
        f"stand in the order of their medians, equal ones or none by the mean{counted}. Two rows are compared by the "
        f"seeds that they share: an exact sign-flip test of up to {MOST_FLIPPED} where so many can pass Holm's "
        f"correction over a row's comparisons, else a paired t test; below {FEWEST} in common an unpaired one."
    )


def _searches(rows: Sequence[Row]) -> list[str]:
    """What tuned rows are, and what the search for their settings cost."""
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


def _friedman(comparison: Comparison) -> list[str]:
    """The blocks and the result of Friedman's test."""
    alike = {block.rpartition(" · ")[0] for block in comparison.blocks}
    verdict = "groups are by Nemenyi's test" if comparison.differ else "no significant difference between rows"
    several = "; fractions of one task are not independent, so that p is too small" * (
        len(alike) < len(comparison.blocks)
    )
    return [
        f"Blocks: {'; '.join(comparison.blocks)}{several}.",
        f"Friedman over {len(comparison.blocks)} blocks: χ² = {comparison.statistic:.2f}, "
        f"p = {comparison.p_value:.2g}: {verdict} (critical difference {comparison.critical_difference:.2f}).",
        "Mean ranks compare these rows with each other: unlike all other numbers they change with the other rows.",
    ]
