"""How a search tells of itself: the best so far, the time left, what is in training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.harness.outcome import Moment
from bench.results.words import about, many

__all__ = ["Telling", "about", "in_training", "time_left"]

FIRST_SHARE = 0.02
"""Of a trial: before so much of one is done, how long the rest takes is anybody's guess."""


@dataclass(frozen=True)
class Telling:
    """What a search tells beside its rule, its winner, and what went wrong.

    :param trials: a line for each trial.
    :param tracebacks: of cells that failed.
    :param now: is told how far it is several times a second, for a line that is written over; None makes it a line of
        its own after ten seconds without one.
    """

    trials: bool = True
    tracebacks: bool = False
    now: Callable[[str], None] | None = None


def time_left(elapsed: float, done: float, left: float) -> str:
    """By trials done in a time, and those left; empty where nothing is known yet.

    >>> time_left(elapsed=10.0, done=4, left=8.5), time_left(10.0, 0.0, 12)
    ('about 21 s left', '')
    """
    return f"{about(elapsed * left / done)} left" if done > FIRST_SHARE else ""


def in_training(moments: Sequence[Moment]) -> str:
    """As "2 cells in training, the slowest at step 60 of 100"; empty where there are none."""
    running = [moment for moment in moments if not moment.over]
    if not running:
        return ""
    slowest = min(running, key=lambda moment: moment.step / max(1, moment.budget))
    note = f" ({slowest.note})" if slowest.note else ""
    where = f"the slowest at step {slowest.step:,} of {slowest.budget:,}{note}"
    return f"{many(len(running), 'cell')} in training, {where}"
