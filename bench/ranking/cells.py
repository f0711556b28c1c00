"""Values of rows as the text of a cell, for tables on a terminal, in a document and in a notebook."""

from collections.abc import Callable

from bench.ranking.question import Question
from bench.ranking.rows import Row
from bench.results import percent

Show = Callable[[float | None], str]


def shown_or_dash(value: float | None, show: Callable[[float], str]) -> str:
    """A value in words; "–" where there is none."""
    return "–" if value is None else show(value)


def span_text(low: str, high: str) -> str:
    """As "98.1–99.2", or one value where both are the same."""
    return low if low == high else f"{low}–{high}"


def estimate_text(row: Row, score: Show, question: Question) -> str:
    """The estimate; where there is none, why."""
    if row.estimate is not None or row.rank is None:
        return score(row.estimate)
    if question.criterion.kind == "fraction":
        return "none of them"
    maybe = round((row.solved or 0.0) * row.n) + row.unconfirmed
    if 2 * maybe > row.n:
        return "unconfirmed"
    return "unknown" if 2 * (maybe + row.stopped) > row.n else "not reached"


def interval_text(row: Row, score: Show) -> str:
    """As "98.1–99.2%", "400–∞"; "–" where there is none."""
    if row.low is None and row.high is None:
        return "–"
    if row.high is None and row.fractions:
        return f">{score(row.low)}"
    low, high = "0" if row.low is None else score(row.low), "∞" if row.high is None else score(row.high)
    shared = next((unit for unit in ("%", "min", "s") if low.endswith(unit) and high.endswith(unit)), "")
    return span_text(low.removesuffix(shared), high.removesuffix(shared)) + shared


def solved_text(row: Row, mean_rank: bool) -> str:
    """As "4/5 +1?", of five runs four that are solved and one that is not confirmed."""
    if mean_rank or row.solved is None:
        return percent(row.solved)
    more = f" +{row.unconfirmed}?" if row.unconfirmed else ""
    return f"{round(row.solved * row.n)}/{row.n}{more}"
