"""What studies say: which rows there are and what they cost, and what is under way."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bench.results.words import duration

__all__ = ["INTERRUPTED", "chosen", "cost", "each_cell", "tell", "timed"]

ALL = "all"
INTERRUPTED = "Interrupted. What is done is stored; the same command goes on from there.\n"


def tell(text: str) -> None:
    """A line on stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def each_cell(*_: Any) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A display for `bench.run`: a line for each cell that ends."""
    yield lambda record: tell(f"  seed {record['spec']['seed']}: {record['status']}")


def timed() -> Callable[[str], None]:
    """As `tell`, with the seconds since now in front."""
    start = time.monotonic()
    return lambda text: tell(f"[{time.monotonic() - start:6.1f} s] {text}")


H200 = 1e13
"""FLOP/s that a fleet of twenty makes there, roughly: 2.7e13 were measured of 256 in float32 (README, "How fast")."""
SHORTEST = 60.0
"""Seconds of a command on a GPU: programs are made first."""


def cost(steps: int, seeds: int, giga: float, seconds: float) -> str:
    """What so many steps of so many seeds take, roughly.

    :param giga: GFLOP of a step.
    :param seconds: of a step on a core.

    >>> cost(steps=2_000, seeds=20, giga=1.8, seconds=0.12)
    '2,000 steps × 20 seeds, 7.2e+13 FLOPs: about 60 s on an H200, 80 min of a CPU core'
    """
    flops = giga * 1e9 * steps * seeds
    gpu, core = duration(max(SHORTEST, flops / H200)), duration(seconds * steps * seeds)
    return f"{steps:,} steps × {seeds} seeds, {flops:.1e} FLOPs: about {gpu} on an H200, {core} of a CPU core"


def chosen(
    parser: argparse.ArgumentParser, word: str, given: Sequence[str], known: Mapping[str, Callable[[], str]]
) -> list[str]:
    """The names that were asked for, or all; without any, list them and exit with 2: a study takes hours.

    :param word: what a name is called in the usage.
    :param known: what to say of each.
    """
    if not given:
        for name, describe in known.items():
            print(f"{name}: {describe()}")
        parser.exit(2, f"Nothing has run: name {word}s of the above, or {ALL}.\n")
    for name in given:
        if name not in known and name != ALL:
            parser.error(f"{word} must be one of {', '.join(known)}, or {ALL}, got {name!r}.")
    return list(known) if ALL in given else list(dict.fromkeys(given))
