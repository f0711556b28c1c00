"""What a sweep would do, and what came of it, for people and as JSON."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import click
import joblib
import numpy as np

from bench.cli._options import as_options
from bench.cli._print import console, print_table
from bench.results import SCHEMA, Record, about, duration, percent
from bench.scheduling import ACTIONS, Plan, gpus

MOST_ROWS = 40
ONE_EACH = 1000
"""Cells up to which a plan as JSON names each."""


def show_plan(planned: Plan, as_json: bool, jobs: int | None) -> None:
    """The plan: cells, which are done, fleets, time left."""
    slots = jobs or joblib.cpu_count()
    counts, fleets = planned.counts, _fleets(planned, slots)
    seconds, unknown = planned.seconds_left(max(1, len(planned.worker_devices(slots))))
    if as_json:
        document = {
            "dry_run": True,
            "name": planned.name,
            "cells": len(planned),
            "actions": {action: counts[action] for action in ACTIONS},
            "fleets": fleets,
            "seconds_left": seconds,
            "cells_of_unknown_time": unknown,
            "ids": [planned.id(place) for place in range(len(planned))] if len(planned) <= ONE_EACH else None,
        }
        print(json.dumps({"schema": SCHEMA, **document}))
        return
    rows: dict[tuple[str, str, str], list[int]] = {}
    for place in range(len(planned)) if len(planned) <= 100 * ONE_EACH else ():
        entry = planned.entries[planned.entry[place]]
        key = (entry.request.encoder, entry.request.learner, f"{entry.budget.steps:,}")
        row = rows.setdefault(key, [0, 0])
        row[0] += 1
        row[1] += planned.actions[place] == ACTIONS.index("done")
    table = [[*key, f"{count:,}", f"{done:,}"] for key, (count, done) in rows.items()]
    if table:
        print_table(None, ["encoder", "learner", "steps", "cells", "done"], table[:MOST_ROWS])
        if len(table) > MOST_ROWS:
            click.echo(f"… and {len(table) - MOST_ROWS:,} more rows.")
        click.echo("")
    said = ", ".join(f"{counts[action]:,} to {action}" for action in ACTIONS[:-1] if counts[action])
    todo = len(planned) - counts["done"]
    click.echo(f"{planned.name}: {len(planned):,} cells, {counts['done']:,} done already{f'; {said}' if said else ''}.")
    if todo:
        alone = sum(fleet["fleets"] for fleet in fleets if fleet["largest"] == 1)
        together = [f for f in fleets if f["largest"] > 1]
        largest = max((fleet["largest"] for fleet in together), default=0)
        side = f"{sum(fleet['fleets'] for fleet in together):,} fleets of up to {largest} cells"
        parts = ([side] if together else []) + ([f"{alone:,} cell{'s' if alone > 1 else ''} alone"] if alone else [])
        click.echo(f"To run: {' and '.join(parts)}, {slots} at a time on the CPU. Nothing has run.")
        click.echo(_time_left(seconds, unknown, todo))


def _time_left(seconds: float, unknown: int, todo: int) -> str:
    if unknown == todo:
        return "How long it takes is unknown: no cell of these learners is stored here."
    beside = f", and {unknown:,} cells of learners of which none is stored here" if unknown else ""
    return f"{about(seconds).capitalize()} by what stored cells of these learners took{beside}."


def _fleets(planned: Plan, cores: int) -> list[dict[str, Any]]:
    """Jobs by group: how many, and how large the largest is."""
    groups = np.array([entry.group for entry in planned.entries], dtype=np.int64)
    numbers, counts = np.unique(groups[planned.entry[planned.todo]], return_counts=True)
    found = []
    for group, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        largest = planned.fleet_size(group, count, cores if planned.groups[group].device == "cpu" else max(1, gpus()))
        fleets = -(-count // largest)
        found.append({"learner": planned.groups[group].learner, "cells": count, "fleets": fleets, "largest": largest})
    return found


@dataclass
class _Row:
    """Cells that differ in their seed alone."""

    label: str
    question: str
    tests: list[float] = field(default_factory=list)
    solved: int = 0
    cells: int = 0
    troubles: dict[str, int] = field(default_factory=dict)
    error: str | None = None

    def add(self, record: Record) -> None:
        """Count a record."""
        self.cells += 1
        if record["final"]["test_accuracy"] is not None:
            self.tests.append(record["final"]["test_accuracy"])
        self.solved += record["steps_to"]["test"]["0.99"] is not None
        if record["status"] != "done":
            self.troubles[record["status"]] = self.troubles.get(record["status"], 0) + 1
        if record["error"]:
            self.error = record["error"]["message"]


def show_results(planned: Plan, as_json: bool, whole: bool) -> int:
    """The outcome of a sweep; returns the exit code."""
    rows: dict[str, _Row] = {}
    seen = 0
    short: set[str] = set()
    longer: list[int] = []
    for place, record in _written(planned.indexed_records(), as_json):
        seen += 1
        reached = record["final"]["step"]
        if reached is None or reached < planned.entries[planned.entry[place]].budget.steps:
            short.add(record["status"])
        elif reached > planned.entries[planned.entry[place]].budget.steps:
            longer.append(reached)
        spec = record["spec"]
        modulus = f" mod {spec['modulus']}" if spec["modulus"] is not None else ""
        question = f"{spec['task']}{modulus}, {100 * spec['train_fraction']:g} % of {spec['protocol']} pairs"
        rows.setdefault(f"{record['label']} {question}", _Row(record["label"], question)).add(record)
    if not as_json:
        _print_rows(planned, list(rows.values()))
    if longer:
        beyond = f"{len(longer):,} of {seen:,} cells were trained for longer than asked, up to {max(longer):,} steps"
        click.echo(f"Note: {beyond}: rank reads all runs of a row at the smallest budget of one.", err=True)
    for problem in dict.fromkeys(planned.problems):
        click.echo(f"Note: {as_options(problem)}", err=True)
    stored = {planned.id(place) for place in planned.todo.tolist()} & planned.failures.keys()
    for status, message in dict.fromkeys(planned.failures[id] for id in sorted(stored)):
        what = "ran out of time" if status == "timeout" else status
        click.echo(f"Note: a cell {what}: {' '.join((message or 'it was at its limit').split())}", err=True)
    if not whole or seen < len(planned) or "interrupted" in short:
        click.echo("Interrupted. What is done is stored; the same command goes on from there.", err=True)
        return 130
    return 1 if planned.failures or planned.problems or short & {"failed", "timeout"} else 0


def _written(records: Iterable[tuple[int, Record]], as_json: bool) -> Iterator[tuple[int, Record]]:
    """Pass records through; as JSON, into one document on the way."""
    if not as_json:
        yield from records
        return
    sys.stdout.write(f'{{"schema": {SCHEMA}, "cells": [')
    for number, (place, record) in enumerate(records):
        sys.stdout.write((", " if number else "") + json.dumps(record, ensure_ascii=False, allow_nan=False))
        yield place, record
    sys.stdout.write("]}\n")


def _print_rows(planned: Plan, rows: list[_Row]) -> None:
    questions = {row.question for row in rows}
    table = [
        [
            row.label,
            *([row.question] if len(questions) > 1 else []),
            str(row.cells),
            percent(float(np.mean(row.tests))) if row.tests else "–",
            percent(min(row.tests)) if row.tests else "–",
            f"{row.solved} of {row.cells}",
            ", ".join(f"{count} {status}" for status, count in row.troubles.items()),
        ]
        for row in rows
    ]
    columns = ["", *(["pairs"] if len(questions) > 1 else []), "cells", "test", "lowest", "≥99%", "not done"]
    if not any(row.troubles for row in rows):
        columns, table = columns[:-1], [line[:-1] for line in table]
    title = f"{planned.name}: {' '.join(questions)}" if len(questions) == 1 else planned.name
    print_table(title, columns, table[:MOST_ROWS])
    out = console()
    if len(table) > MOST_ROWS:
        out.print(f"… and {len(table) - MOST_ROWS:,} more rows.")
    for row in rows:
        if row.error:
            out.print(f"{row.label}: {' '.join(row.error.split())}", markup=False)
    if planned.busy:
        shares = {purpose: seconds / planned.busy for purpose, seconds in planned.spent.items()}
        said = ", ".join(f"{purpose} {100 * share:.1f} %" for purpose, share in shares.items() if share >= 0.0005)
        rest = f"everything else {100 * max(0.0, 1 - sum(shares.values())):.1f} %"
        out.print(f"\nTime of worker processes, {duration(planned.busy)} in all: {said}, {rest}.", markup=False)
    out.print("\ntest: mean of the final test accuracies; ≥99%: cells that were there at any evaluation.")
    out.print(f"python -m bench rank --results {planned.results}: intervals, ranks, costs.", markup=False)
