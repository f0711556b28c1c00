"""The lines that a search reports while it runs."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

SILENCE = 10.0
"""Seconds without a line after which a search reports its progress."""


@dataclass(frozen=True)
class Verbosity:
    """What a search reports beside its stopping rule, its winner, and what went wrong.

    :param trials: a line for each trial.
    :param tracebacks: tracebacks of trials and cells that failed.
    :param status: shows the progress, several times a second, on a line that is written over; None reports it on a line
        of its own after ten seconds without one.
    """

    trials: bool = True
    tracebacks: bool = False
    status: Callable[[str], None] | None = None


class Reporter:
    """Reports lines, as many as were asked for.

    :param write: takes each line.
    """

    def __init__(self, write: Callable[[str], None], verbosity: Verbosity | None = None) -> None:
        self.write, self.verbosity = write, verbosity or Verbosity()
        self.last = time.monotonic()

    def report(self, text: str) -> None:
        """Report a line."""
        self.last = time.monotonic()
        self.write(text)

    def report_trial(self, text: str) -> None:
        """Report a line about one trial, if such lines were asked for."""
        if self.verbosity.trials:
            self.report(text)

    def report_traceback(self, error: Exception | str) -> None:
        """Report a traceback, if tracebacks were asked for."""
        if self.verbosity.tracebacks:
            self.report((error if isinstance(error, str) else "".join(traceback.format_exception(error))).rstrip())

    def report_progress(self, describe: Callable[[], str]) -> None:
        """Show the progress on the status line, or report it after a while without a line."""
        if self.verbosity.status is not None:
            self.verbosity.status(describe())
        elif time.monotonic() - self.last >= SILENCE:
            self.report(describe())
