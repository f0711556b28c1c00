"""The lines below a league table: what each column means."""

from collections.abc import Sequence

from bench.diagram import Comparison
from bench.metrics import CONFIRMATION
from bench.rows import Row
from bench.runs import TIMED, Question, many
from bench.scored import amount
from bench.statistics import FEWEST, LEVEL, rank_level

__all__ = ["explained", "reading_of"]

NAMES = {"steps": "steps", "seconds": "seconds of training", "flops": "FLOPs of training"}


def explained(question: Question, rows: Sequence[Row], comparison: Comparison | None = None) -> list[str]:
    """What the columns mean."""
    lines = [
        *_horizon_explained(question, rows),
        *_score_explained(question, comparison is not None),
        *_crossing_explained(question),
        _places_explained(question, comparison is not None),
        "ridge, bilinear, 1-NN: test accuracy of three simple readouts of the same codes (a linear one, a linear one "
        "of products of the operands' codes, the nearest neighbour): what the encoding alone gives away.",
        *_boards_explained(rows),
    ]
    if any(row.diverged for row in rows):
        lines.append("A diverged run counts with accuracy 0 and as one that does not get there.")
    return lines if comparison is None else [*lines, *_compared(comparison)]


def reading_of(row: Row, question: Question) -> str:
    """Up to where the runs of a block are read, as " · up to step 1,000"; nothing where no row takes steps."""
    if row.horizon is None:
        return ""
    if question.unit == "steps":
        return f" · up to step {row.horizon:,.0f}"
    return f" · within {amount(row.horizon, question.unit)}"


def _horizon_explained(question: Question, rows: Sequence[Row]) -> list[str]:
    if all(row.horizon is None for row in rows):
        return []
    if question.horizon is not None:
        what = "--horizon. Rows that were given less have no rank"
    else:
        what = "the smallest budget of a row that takes steps. --horizon sets another"
    return [
        f"All runs of a block are read up to one point, its horizon, which the title names, and no further: {what}."
    ]


def _score_explained(question: Question, blocks: bool) -> list[str]:
    target = f"{100 * question.target:g} %"
    if blocks:
        return [f"mean rank: over the blocks, in each of which rows are ranked {_by(question, target)}."]
    enclosed = (
        "interval: two of the runs in order, which enclose the median of all possible runs with the probability under "
        f"level, whatever the distribution; from {FEWEST} runs on."
    )
    if question.by == "fraction":
        return [
            "needs: the smallest share of the pairs, of those that were tried, whose median test accuracy reaches "
            f"{target}. interval: more than a share that surely does not suffice, up to one that surely does, by the "
            "intervals of those medians (two of the runs in order); what was not tried is not known.",
        ]
    if question.by == "accuracy":
        return ["median: test accuracy at the horizon, of the middle run (of two: their midpoint).", enclosed]
    return [
        f"median: {NAMES[question.by]} until {target} of the test pairs are right, of the middle run of all (of two: "
        "their midpoint); a run that does not get there counts as the slowest. mean: of all runs, those that do not "
        "get there counted at the horizon.",
        f"{enclosed} Its low end is the evaluation before the crossing.",
    ]


def _by(question: Question, target: str) -> str:
    if question.by == "accuracy":
        return "by median test accuracy"
    if question.by in TIMED:
        return f"by the median {NAMES[question.by]} to {target}"
    return f"by the share of the pairs that {target} takes"


def _crossing_explained(question: Question) -> list[str]:
    if question.by == "fraction":
        return []
    target = f"{100 * question.target:g} %"
    if question.crossing == "first":
        return [f"solved: runs that reach {target} at any evaluation, whatever comes after; {_chance()}"]
    return [
        f"solved: runs that reach {target} and hold it up to the horizon, which is {CONFIRMATION:g} times the step at "
        f"which they got there, or more; {_chance()}",
        "?: so many more hold it at the end, but not yet for so long: they may or may not be solved.",
    ]


def _chance() -> str:
    return f"chance: exact {100 * LEVEL:g} % interval of the probability that a run is (Clopper–Pearson)."


def _places_explained(question: Question, blocks: bool) -> str:
    if blocks:
        return "ranks: by Nemenyi's test. beats next: share of the blocks in which a row is before the next, ties half."
    if question.by == "fraction":
        return "ranks: where a row's place may lie, by intervals that do not overlap."
    few = f"{100 * rank_level(FEWEST):.1f} % for {FEWEST} runs; none below {FEWEST}"
    return (
        f"ranks: where a row's true place lies, with a probability of {100 * LEVEL:g} % ({few}). Rows are compared by "
        "the seeds that they share (exact sign-flip test; a paired t test where that cannot be sure enough; an "
        "unpaired one without common seeds), with Holm's correction over each row's comparisons. beats next: "
        "probability that a run does better than one of the next row, ties half."
    )


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
