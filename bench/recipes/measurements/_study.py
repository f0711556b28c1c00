"""Shared parts of the measurements: a parser, rows chosen by name and measured in turn, costs, lines of progress."""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import bench
from bench.errors import BenchError, as_options
from bench.ranking import median_interval
from bench.results import Record, duration
from bench.specs import Request
from bench.tuning import Search

ALL = "all"
INTERRUPTED = "Interrupted. What is done is stored; the same command goes on from there.\n"


def parser_of(name: str, doc: str | None, **options: tuple[Any, str]) -> argparse.ArgumentParser:
    """The parser of a measurement, described by the first line of its module's docstring.

    :param options: the default and the help of each option, whose values are of the default's type.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.recipes.measurements.{name}",
        description=(doc or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for option, (default, text) in options.items():
        parser.add_argument(f"--{option}", type=type(default), default=default, help=text)
    return parser


FIELDS = ("device", "jobs", "results", *(field.name for request in (Request, Search) for field in fields(request)))


def message_of(error: BenchError) -> str:
    """The message of an error, with options in place of fields."""
    return as_options(str(error), FIELDS)


def tell(text: str) -> None:
    """Print a line on stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def each_cell(*_: Any) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A display for `bench.run`: a line for each cell that is done."""
    yield lambda record: tell(f"  seed {record['spec']['seed']}: {record['status']}")


def timed() -> Callable[[str], None]:
    """A function like `tell` that puts the seconds since now in front."""
    start = time.monotonic()
    return lambda text: tell(f"[{time.monotonic() - start:6.1f} s] {text}")


H200 = 1e13
"""FLOP/s of a fleet of twenty on an H200, roughly: of 256 in float32, 2.7e13 were measured (docs/results/speed.md)."""
SHORTEST = 60.0
"""Fewest seconds of a command on a GPU: programs are compiled first."""


def cost(steps: int, seeds: int, giga: float, seconds: float) -> str:
    """The rough cost of so many steps of so many seeds, in words.

    :param giga: GFLOP of a step.
    :param seconds: of a step on one CPU core.

    >>> cost(steps=2_000, seeds=20, giga=1.8, seconds=0.12)
    '2,000 steps × 20 seeds, 7.2e+13 FLOPs: about 60 s on an H200, 80 min of a CPU core'
    """
    flops = giga * 1e9 * steps * seeds
    gpu, core = duration(max(SHORTEST, flops / H200)), duration(seconds * steps * seeds)
    return f"{steps:,} steps × {seeds} seeds, {flops:.1e} FLOPs: about {gpu} on an H200, {core} of a CPU core"


def chosen(
    parser: argparse.ArgumentParser, word: str, given: Sequence[str], known: Mapping[str, Callable[[], str]]
) -> list[str]:
    """The names that were asked for, or all; without any, list them and exit with 2, since a study takes hours.

    :param word: what a name is called in the usage.
    :param known: by name, a function that describes the row.
    """
    if not given:
        for name, describe in known.items():
            print(f"{name}: {describe()}")
        parser.exit(2, f"Nothing has run: name {word}s of the above, or {ALL}.\n")
    for name in given:
        if name not in known and name != ALL:
            parser.error(f"{word} must be one of {', '.join(known)}, or {ALL}, got {name!r}.")
    return list(known) if ALL in given else list(dict.fromkeys(given))


def measure_each(
    parser: argparse.ArgumentParser,
    word: str,
    described: Mapping[str, Callable[[], str]],
    measure: Callable[[str], Sequence[Mapping[str, Any]]],
    file: Path | None = None,
) -> None:
    """Measure one row after the other, print what is found as lines of JSON, and keep it in a file.

    :param word: what a row is called.
    :param described: by name, a function that describes the row.
    :param measure: raises KeyboardInterrupt where it was interrupted.
    """
    found: list[Mapping[str, Any]] = []
    try:
        for number, (name, describe) in enumerate(described.items(), 1):
            tell(f"{word} {number} of {len(described)}, {name}: {describe()}")
            rows = measure(name)
            for row in rows:
                print(json.dumps(row), flush=True)
            found += rows
            if file:
                file.write_text(json.dumps(found, indent=1))
    except KeyboardInterrupt:
        parser.exit(130, INTERRUPTED)
    except BenchError as error:
        parser.error(message_of(error))


def run_seeds(seeds: int, display: Callable[..., Any] | None = each_cell, **request: Any) -> list[Record]:
    """The records of a run of so many seeds, by default with a line for each on stderr.

    :raises KeyboardInterrupt: where it was interrupted.
    """
    records = bench.run(**request, seeds=seeds, display=display)
    if len(records) < seeds or any(r["status"] == "interrupted" for r in records):
        raise KeyboardInterrupt
    return records


def crossing(records: Sequence[Mapping[str, Any]], part: str, target: str) -> dict[str, Any]:
    """The first crossing over seeds: how many reach the target, their range, and the median of all with its interval.

    A seed that does not reach the target counts as the slowest. A median that is not reached is None.
    """
    steps = [r["steps_to"][part][target] for r in records]
    reached = [s for s in steps if s is not None]
    counts: dict[str, Any] = {"n": len(records), "reached": len(reached)}
    if not reached:
        return counts
    middle = median_interval([math.inf if s is None else s for s in steps])
    return counts | {
        "first": min(reached),
        "last": max(reached),
        "median": middle.value,
        "low": middle.low,
        "high": middle.high,
        "level": middle.level,
    }


def typed_command(steps: int, request: Mapping[str, Any], settings: Mapping[str, Any], seeds: int) -> str:
    """The command line of a run."""
    options = [f"--{name.replace('_', '-')} {value}" for name, value in request.items()]
    options += [f"--set {name}={_typed(value)}" for name, value in settings.items()]
    return f"python -m bench run {' '.join(options)} --steps {steps} --seeds {seeds}"


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
