"""The league as the page's table has it: columns of text, the values behind them, and what it says of itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.ranking import (
    CRITERIA,
    PAGE,
    PHONE,
    PROBES,
    PUBLISHED_TITLE,
    Column,
    Published,
    Ranking,
    Row,
    Run,
    horizon_suffix,
    published_notes,
    published_table,
)
from bench.reports.figures._elements import Style
from bench.reports.league_table import columns_of, footnotes, tables_of
from bench.reports.page.commands import with_options
from bench.reports.page.packing import short
from bench.results import many

FIELDS = (
    *("rank", "rank_low", "rank_high", "rank_level", "label", "encoder", "learner", "optimizer"),
    *("task", "modulus", "protocol"),
    *("train_fraction", "label_noise", "board", "n", "estimate", "low", "high", "level", "mean", "improvement"),
    *("solved", "solved_low", "solved_high", "unconfirmed", "stopped", "horizon", "gives_away", "test_accuracy"),
    *("lowest", "highest", "train_accuracy", "diagonal", "parameters", "seconds", "flops", "diverged"),
)
"""Values of a row in the CSV file that the page offers, as `rank --format csv` calls them; others are in `_values`."""
NAMED = 12
"""So many names are listed in the headline."""
MOST_CHOSEN = 12
"""Rows whose curves are shown at a time."""


def league_data(ranking: Ranking) -> dict[str, Any]:
    """What the page's table shows of a ranking."""
    tables, rows = tables_of(ranking), ranking.rows
    columns, values = columns_of(ranking, tables), [_values(row) for row in rows]
    of_block = [place for place, table in enumerate(tables) for _ in table.rows]
    tasks = _short_titles([table.title for table in tables])
    shown = [_column(replace(column, name=column.name or "configuration"), rows, ranking.legend) for column in columns]
    if len(tables) > 1 or ranking.baseline is not None:  # another column leaves less room for others
        for column in shown:
            column["shown"] &= column["name"] != "training"
    if len(tables) > 1:
        named = {id(row): tasks[place] for row, place in zip(rows, of_block, strict=True)}
        task = Column("task", lambda row: named[id(row)], seen=PAGE, rising=True, words=True)
        shown.insert(2, _column(task, rows, ranking.legend))
    return {
        "labels": [row.label for row in rows],
        "block": of_block,
        "blocks": [table.title for table in tables],
        "tasks": tasks,
        "columns": shown,
        "values": {name: [value[name] for value in values] for name in values[0]},
        "styles": [Style.of(place) for place in range(MOST_CHOSEN)],
        "notes": [with_options(line) for line in ranking.caption],
        "footnotes": [[task, footnotes(table.rows)] for task, table in zip(tasks, tables, strict=True)],
        "published": None if ranking.published is None else _published(ranking.published),
    }


def _published(rows: Sequence[Published]) -> dict[str, Any]:
    """The table of published figures, which stands apart from the league."""
    head, cells = published_table(rows)
    return {"title": PUBLISHED_TITLE, "head": head, "rows": cells, "notes": published_notes(rows)}


def _short_titles(titles: Sequence[str]) -> list[str]:
    """The titles of tables without what all of them have, but for what is asked.

    >>> _short_titles(["add mod 97 · 50 % train · up to step 100", "add mod 97 · 30 % train · up to step 100"])
    ['add mod 97 · 50 % train', 'add mod 97 · 30 % train']
    """
    parts = [title.split(" · ") for title in titles]
    shared = {part for part in parts[0] if all(part in others for others in parts)}
    return [" · ".join([first, *(part for part in others if part not in shared)]) for first, *others in parts]


def _column(column: Column, rows: Sequence[Row], legend: Mapping[str, str]) -> dict[str, Any]:
    """A column of cells, with the value that it is sorted by."""
    return {
        "name": column.name,
        "meaning": with_options(legend.get(column.name, "")),
        "key": column.key,
        "text": column.words,
        "rising": column.rising,
        "shown": column.seen >= PAGE,
        "phone": column.seen >= PHONE,
        "cells": [column.cell(row) for row in rows],
    }


def _values(row: Row) -> dict[str, Any]:
    """What the CSV file has of a row, all numbers with six digits."""
    fewest, most = row.steps or (None, None)
    return {
        **{name: short(getattr(row, name)) for name in FIELDS},
        **{probe: short(row.probes[probe]) for probe in PROBES},
        **({} if row.against is None else {name: short(value) for name, value in row.against.named().items()}),
        "fewest_steps": fewest,
        "most_steps": most,
        "incomplete": "; ".join(row.incomplete),
        "remarks": "; ".join(row.remarks),
    }


# The headline


def title_of(ranking: Ranking) -> str:
    """What is compared, as "10 encoders × 8 learners on add mod 97"."""
    rows = ranking.rows
    sides = [
        names[0] if len(names := _distinct(getattr(row, kind) for row in rows)) == 1 else many(len(names), kind)
        for kind in ("encoder", "learner")
    ]
    tasks = _distinct(task_of(row) for row in rows)
    return f"{' × '.join(sides)} on {tasks[0] if len(tasks) == 1 else many(len(tasks), 'task')}"


def task_of(row: Row) -> str:
    """The task of a row, as "add mod 97"."""
    return f"{row.task}" + ("" if row.modulus is None else f" mod {row.modulus}")


def facts_of(ranking: Ranking, where: str) -> list[list[str]]:
    """What was compared: names and values of a list of definitions."""
    rows, question = ranking.rows, ranking.question
    runs = [run for row in rows for run in row.runs]
    horizons = _distinct(filter(None, (horizon_suffix(row, question).removeprefix(" · ") for row in rows)))
    noise = _distinct(f"{100 * share:g} %" for share in sorted({run.block.label_noise for run in runs}))
    shares = _distinct(f"{100 * run.fraction:g} %" for run in sorted(runs, key=lambda run: run.fraction))
    return [
        ["records", f"{len(runs):,} in {where}, {many(len(rows), 'configuration')} of {_seeds(rows)}"],
        ["tasks", _names(task_of(row) for row in rows)],
        ["pairs", f"{_names(row.protocol or '' for row in rows)}; {', '.join(shares)} train"],
        *([["label noise", f"{', '.join(noise)} of the training answers are wrong"]] if noise != ["0 %"] else []),
        ["encoders", _names(row.encoder for row in rows)],
        ["learners", _names(row.learner for row in rows)],
        ["ranked by", f"{_criterion(ranking)}; target {100 * question.target:g} %, {question.crossing} crossing"],
        *([["horizon", f"{'; '.join(horizons)}: later evaluations are not counted"]] if horizons else []),
    ]


def _criterion(ranking: Ranking) -> str:
    names = {"accuracy": "test accuracy", "fraction": "the share of the pairs that is needed"}
    by = ranking.question.by
    return names.get(by, f"{CRITERIA[by].unit.words} to the target")


def _seeds(rows: Iterable[Row]) -> str:
    """As "10 seeds each", "1 to 5 seeds each" or, of one row, "1 seed"."""
    counts = [len({_seed(run) for run in row.runs}) for row in rows]
    low, high = min(counts), max(counts)
    said = many(high, "seed") if low == high else f"{low} to {many(high, 'seed')}"
    return said if len(counts) == 1 else f"{said} each"


def _seed(run: Run) -> int | None:
    return run.seeds[0]


def _names(names: Iterable[str]) -> str:
    """As "3: cycle, onehot, random"."""
    found = _distinct(names)
    shown = ", ".join(found[:NAMED]) + (", …" if len(found) > NAMED else "")
    return shown if len(found) < 3 else f"{len(found)}: {shown}"


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
