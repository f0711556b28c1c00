"""What a sweep would do, and what its results are, as tables and as JSON."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from bench import scheduling
from bench.cli._messages import printable, with_options
from bench.cli._print import print_json, print_notes, print_table, print_text
from bench.errors import shell_words
from bench.results import DOCUMENTS, Record, about, duration, many, percent
from bench.scheduling import Plan

MOST_ROWS = 40
"""Rows of a table that are printed at most."""
MOST_IDS = 1000
"""Plans of more cells do not list their ids as JSON."""
MOST_GROUPED = 100_000
"""Plans of more cells are printed without a table."""


def show_plan(planned: Plan, as_json: bool, jobs: int | None) -> None:
    """Print how many cells there are, which are done, how the others train side by side, and how long they take."""
    slots = jobs or planned.executor.cores()
    counts, fleets = planned.counts, _fleets(planned, slots)
    seconds, unknown = planned.seconds_left(max(1, len(planned.worker_devices(slots))))
    if as_json:
        print_json(
            dry_run=True,
            name=planned.name,
            cells=len(planned),
            actions={action: counts[action] for action in scheduling.ACTIONS},
            fleets=fleets,
            seconds_left=seconds,
            cells_of_unknown_time=unknown,
            ids=list(map(planned.id, range(len(planned)))) if len(planned) <= MOST_IDS else None,
        )
        return
    if 0 < len(planned) <= MOST_GROUPED:
        _print_rows(["encoder", "learner", "steps", "cells", "done"], _plan_rows(planned))
        click.echo("")
    todo = len(planned) - counts["done"]
    actions = [f"{counts[action]:,} to {action}" for action in scheduling.ACTIONS[:-1] if counts[action]]
    rest = f"; {', '.join(actions)}" if actions else ""
    click.echo(f"{printable(planned.name)}: {len(planned):,} cells, {counts['done']:,} done already{rest}.")
    if todo:
        alone = sum(fleet["fleets"] for fleet in fleets if fleet["largest"] == 1)
        shared = [fleet for fleet in fleets if fleet["largest"] > 1]
        parts = [f"{many(alone, 'cell')} alone"] if alone else []
        if shared:
            largest = max(fleet["largest"] for fleet in shared)
            parts.insert(0, f"{sum(fleet['fleets'] for fleet in shared):,} fleets of up to {largest} cells")
        click.echo(f"To run: {' and '.join(parts)}, {slots} at a time on the CPU. Nothing has run.")
        click.echo(_time_left(seconds, unknown, todo))


def _plan_rows(planned: Plan) -> list[list[str]]:
    """A row for each encoder, learner and budget: its cells, and how many of them are done."""
    cells, done = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    for number, action in zip(planned.entry.tolist(), planned.actions.tolist(), strict=True):
        entry = planned.entries[number]
        key = (entry.request.encoder, entry.request.learner, f"{entry.budget.steps:,}")
        cells[key] += 1
        done[key] += scheduling.ACTIONS[action] == "done"
    return [[*key, f"{count:,}", f"{done[key]:,}"] for key, count in cells.items()]


def _time_left(seconds: float, unknown: int, todo: int) -> str:
    if unknown == todo:
        return "How long it takes is unknown: no cell of these learners is stored here."
    others = f", and {unknown:,} cells of learners of which none is stored here" if unknown else ""
    return f"{about(seconds).capitalize()} by what stored cells of these learners took{others}."


def _fleets(planned: Plan, cores: int) -> list[dict[str, Any]]:
    """For each group of cells that may train side by side, how many fleets there are and how large the largest is."""
    counts = Counter[int]()
    for entry, count in Counter(planned.entry[planned.todo].tolist()).items():
        counts[planned.entries[entry].group] += count
    found = []
    for number, count in sorted(counts.items()):
        group = planned.groups[number]
        largest = planned.fleet_size(number, count, cores if group.device == "cpu" else max(1, planned.executor.gpus()))
        found.append({"learner": group.learner, "cells": count, "fleets": -(-count // largest), "largest": largest})
    return found


@dataclass
class _Row:
    """Cells that differ in their seed alone."""

    label: str
    question: str
    tests: list[float] = field(default_factory=list)
    solved: int = 0
    cells: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    error: str | None = None

    def add(self, record: Record) -> None:
        """Count a record."""
        self.cells += 1
        if record["final"]["test_accuracy"] is not None:
            self.tests.append(record["final"]["test_accuracy"])
        self.solved += record["steps_to"]["test"]["0.99"] is not None
        if record["status"] != "done":
            self.failures[record["status"]] += 1
        if record["error"]:
            self.error = record["error"]["message"]

    def cell_texts(self) -> list[str]:
        """As in the table, from the number of cells on."""
        mean, lowest = (sum(self.tests) / len(self.tests), min(self.tests)) if self.tests else (None, None)
        troubles = ", ".join(f"{count} {status}" for status, count in self.failures.items())
        return [str(self.cells), percent(mean), percent(lowest), f"{self.solved} of {self.cells}", troubles]


def show_results(planned: Plan, as_json: bool) -> tuple[int, set[str]]:
    """Print the results of a sweep; the number of stored cells, and the statuses of those below their budget."""
    rows: dict[str, _Row] = {}
    cells = 0
    short: set[str] = set()
    longer: list[int] = []
    for place, record in _write_json(planned.indexed_records()) if as_json else planned.indexed_records():
        cells += 1
        reached, budget = record["final"]["step"], planned.budget(place).steps
        if reached is None or reached < budget:
            short.add(record["status"])
        elif reached > budget:
            longer.append(reached)
        spec = record["spec"]
        modulus = f" mod {spec['modulus']}" if spec["modulus"] is not None else ""
        noise = f", {100 * spec['label_noise']:g} % label noise" if "label_noise" in spec else ""
        question = f"{spec['task']}{modulus}, {100 * spec['train_fraction']:g} % of {spec['protocol']} pairs{noise}"
        rows.setdefault(f"{record['label']} {question}", _Row(record["label"], question)).add(record)
    if not as_json:
        _show_rows(planned, list(rows.values()))
    notes = list(dict.fromkeys([*planned.problems, *planned.unread.values()]))
    if longer:
        beyond = f"{len(longer):,} of {cells:,} cells were trained for longer than asked, up to {max(longer):,} steps"
        notes.insert(0, f"{beyond}: rank reads all runs of a row at the smallest budget of one.")
    troubled = {planned.id(place) for place in planned.todo.tolist()} & planned.failures.keys()
    for status, message in dict.fromkeys(planned.failures[id] for id in sorted(troubled)):
        what = "ran out of time" if status == "timeout" else status
        notes.append(f"a cell {what}: {' '.join((message or 'it was at its limit').split())}")
    print_notes(notes)
    return cells, short


def _write_json(records: Iterable[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
    """Pass records on, and write them as one JSON document, without keeping them in memory."""
    sys.stdout.write(f'{{"schema": {DOCUMENTS}, "cells": [')
    for number, (place, record) in enumerate(records):
        sys.stdout.write((", " if number else "") + json.dumps(record, ensure_ascii=False, allow_nan=False))
        yield place, record
    sys.stdout.write("]}\n")


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    print_table(title, columns, rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        click.echo(f"… and {len(rows) - MOST_ROWS:,} more rows.")


def _show_rows(planned: Plan, rows: list[_Row]) -> None:
    questions = {row.question for row in rows}
    columns = ["", "pairs", "cells", "test", "lowest", "≥99%", "not done"]
    hidden = {"pairs"} if len(questions) < 2 else set()
    if not any(row.failures for row in rows):
        hidden.add("not done")
    shown = [i for i, column in enumerate(columns) if column not in hidden]
    texts = [[row.label, row.question, *row.cell_texts()] for row in rows]
    title = f"{planned.name}: {' '.join(questions)}" if len(questions) == 1 else planned.name
    _print_rows([columns[i] for i in shown], [[text[i] for i in shown] for text in texts], title)
    for row in rows:
        if row.error:
            print_text(f"{row.label}: {with_options(' '.join(row.error.split()))}")
    if planned.busy:
        shares = {purpose: seconds / planned.busy for purpose, seconds in planned.spent.items()}
        parts = ", ".join(f"{purpose} {100 * share:.1f} %" for purpose, share in shares.items() if share >= 0.0005)
        rest = f"everything else {100 * max(0.0, 1 - sum(shares.values())):.1f} %"
        print_text(f"\nTime of worker processes, {duration(planned.busy)} in all: {parts}, {rest}.")
    print_text("\ntest: mean of the final test accuracies; ≥99%: cells that were there at any evaluation.")
    print_text(f"python -m bench rank --results {shell_words(planned.results or 'results')}: intervals, ranks, costs.")
