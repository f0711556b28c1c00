"""Published figures as cited rows below a league: of the same tasks, without a rank, with what makes them differ."""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.ranking.question import Block, Question
from bench.results import percent

FILE = Path(__file__).with_suffix(".toml")
UNITS: Mapping[str, Callable[[float], str]] = {
    "steps": lambda value: f"{value:,.0f}",
    "epochs": lambda value: f"{value:,.4g}",
    "fold": lambda value: f"× {value:g}",
    "accuracy": percent,
}
"""How a figure of each unit is written; of the first two, the unit stands behind it."""
READ = {"": "", "abstract": "its abstract alone was read", "press": "from a summary in the press"}
PUBLISHED_TITLE = "Published, not ranked"
NOTES = (
    "Published figures are cited, not measured here, and have no rank. Other work nearly always splits ordered pairs, "
    "so that the mirrored twin of many a test pair is in training, counts the first time that 95 % are right, and has "
    "one to five seeds.",
)


@dataclass(frozen=True)
class Published:
    """A figure that somebody published; None or "" for what its source does not state.

    :param name: a short one, of this figure alone.
    :param task, modulus, pairs, train_fraction: as in a request.
    :param target: the accuracy that was to be reached, ``crossing`` which time counts.
    :param learner: with its optimizer, in words.
    :param unit: "steps", "epochs", "fold" (of two times: the ratio) or "accuracy".
    :param value: the figure; None where there is a range alone.
    :param low, high: its range over the seeds.
    :param bound: "above" for a figure that was not reached: the true one is larger.
    :param statistic: over the seeds or settings, as "median".
    :param seeds: how many, a number or words.
    :param source: an arXiv id, a DOI, or a page with its year where that is known.
    :param read: "abstract" or "press" where the source itself was not read whole.
    :param note: what else makes it differ.
    :param differs: in words, what is not as in the ranking below which it stands.
    """

    name: str
    task: str
    learner: str
    unit: str
    source: str
    modulus: int | None = None
    pairs: str | None = None
    train_fraction: float | None = None
    target: float | None = None
    crossing: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: str = ""
    statistic: str = ""
    seeds: int | str | None = None
    read: str = ""
    note: str = ""
    differs: tuple[str, ...] = ()

    @property
    def figure(self) -> str:
        """As "100 steps, median", "> 20,000 steps", "5,300–5,400 steps" or "× 1.11"."""
        show = UNITS[self.unit]
        span = "" if self.low is None or self.high is None else f"{show(self.low)}–{show(self.high)}"
        value = "" if self.value is None else f"{'> ' * (self.bound == 'above')}{show(self.value)}"
        both = f"{value} ({span})" if value and span else value or span
        unit = self.unit if self.unit in ("steps", "epochs") else ""
        return f"{both} {unit}".rstrip() + (f", {self.statistic}" if self.statistic else "")

    @property
    def cited(self) -> str:
        """The source, and how much of it was read."""
        return "; ".join(part for part in (self.source, READ[self.read]) if part)

    def to_dict(self) -> dict[str, Any]:
        """As in a document."""
        return asdict(self)


COLUMNS: Mapping[str, Callable[[Published], str]] = {
    "name": lambda one: one.name,
    "published": lambda one: one.figure,
    "learner": lambda one: one.learner,
    "seeds": lambda one: "–" if one.seeds is None else str(one.seeds),
    "differs": lambda one: "; ".join(one.differs),
    "source": lambda one: one.cited,
}
"""Cells by the headings of the table."""


def published_table(rows: Iterable[Published]) -> tuple[list[str], list[list[str]]]:
    """The headings and the cells of a table."""
    return list(COLUMNS), [[cell(one) for cell in COLUMNS.values()] for one in rows]


def published_notes(rows: Sequence[Published]) -> list[str]:
    """What to know about such a table, or that there is none."""
    return list(NOTES) if rows else ["No published figure of these tasks is listed."]


def all_published() -> list[Published]:
    """All figures of the file, in its order."""
    return [Published(**figure) for figure in tomllib.loads(FILE.read_text("utf-8"))["figure"]]


def published_beside(blocks: Sequence[Block], question: Question) -> list[Published]:
    """The figures of the tasks of these blocks, those of the same modulus first, with what differs from the nearest."""
    found = []
    for one in all_published():
        same = [block for block in blocks if block.task == one.task]
        if same:
            found.append((one.modulus not in {block.modulus for block in same}, one, _differs(one, same, question)))
    return [replace(one, differs=differs) for _, one, differs in sorted(found, key=lambda three: three[0])]


def _differs(one: Published, blocks: Sequence[Block], question: Question) -> tuple[str, ...]:
    """What is not as in that block of its task which it differs least from."""

    def others_than(block: Block) -> list[tuple[str, Any, str]]:
        asked = (
            ("modulus", one.modulus, one.modulus == block.modulus, "mod {}"),
            ("pairs", one.pairs, one.pairs == block.protocol, "{} pairs"),
            ("fraction", one.train_fraction, block.train_fraction in (None, one.train_fraction), "{:.4g} % train"),
            ("noise", 0.0, not block.label_noise, "no label noise"),
            ("target", one.target, one.unit == "accuracy" or one.target == question.target, "target {:.4g} %"),
        )
        return [(name, value, words) for name, value, is_same, words in asked if not is_same]

    others = min(map(others_than, blocks), key=len)
    unstated = [name for name, value, _ in others if value is None]
    known = [words.format(100 * value if "%" in words else value) for _, value, words in others if value is not None]
    crossing = "" if one.crossing in (None, question.crossing) else f"{one.crossing} crossing"
    more = (crossing, one.note, f"not stated: {', '.join(unstated)}" if unstated else "")
    return (*known, *filter(None, more))
