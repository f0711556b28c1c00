"""What a search reports while it runs: its lines, and how far it is."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import optuna

from bench.executors import Channel
from bench.harness import CellProgress
from bench.results import about, many
from bench.tuning import stopping, wording
from bench.tuning.objectives import best_trial, can_win
from bench.tuning.study import StudyPlan

FIRST_SHARE = 0.02
"""Trials that must be done, 0.02 of one, before the time that is left can be estimated."""
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
    :param publish: takes a function that makes the lines which other processes may read.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        verbosity: Verbosity | None = None,
        publish: Callable[[Callable[[], list[str]]], None] = lambda describe: None,
    ) -> None:
        self.write, self.verbosity, self.publish = write, verbosity or Verbosity(), publish
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
        """Show the progress on the status line, or report it after a while without a line; tell other processes."""
        self.publish(lambda: describe().split("; "))
        if self.verbosity.status is not None:
            self.verbosity.status(describe())
        elif time.monotonic() - self.last >= SILENCE:
            self.report(describe())


def time_left(elapsed: float, done: float, left: float) -> str:
    """The time that the trials left take, by the time that others took; empty while too little is done.

    >>> time_left(elapsed=10.0, done=4, left=8.5), time_left(10.0, 0.0, 12)
    ('about 21 s left', '')
    """
    return f"{about(elapsed * left / done)} left" if done > FIRST_SHARE else ""


def in_training(moments: Sequence[CellProgress]) -> str:
    """As "2 cells in training, the slowest at step 60 of 100"; empty if there are none."""
    running = [moment for moment in moments if not moment.over]
    if not running:
        return ""
    return f"{many(len(running), 'cell')} in training, the slowest at {min(running, key=_share).how_far}"


def _share(moment: CellProgress) -> float:
    return moment.step / max(1, moment.budget)


class Progress:
    """How far the search of this process is: trials, the time left, the best so far, and what is in training.

    :ivar before: trials that counted, and their FLOPs, when the search began; None before that.
    """

    def __init__(self, plan: StudyPlan, study: optuna.Study, on: Channel) -> None:
        self.plan, self.study, self.on = plan, study, on
        self.began = time.monotonic()
        self.before: tuple[int, float] | None = None

    def begin(self) -> None:
        """Start the clock, unless it is started."""
        if self.before is None:
            self.before, self.began = self._done(), time.monotonic()

    def of_search(self, cells: Mapping[int, Mapping[str, bool]], waits: bool) -> str:
        """As "12 of 64 trials, about 40 s left; best so far trial 7: …; 8 cells in training, …".

        :param cells: whether each cell of each trial in work is over, by number and id.
        :param waits: whether this process waits for trials of others.
        """
        training = in_training(self.on.progress()) or ("waiting for what other processes have in work" if waits else "")
        return "; ".join(filter(None, [self._counts(cells), self._best_so_far(), training]))

    def of_winner(self, over: int, cells: int) -> str:
        """As "2 of 5 fresh seeds of the winner; 3 cells in training, …"."""
        trained = f"{over} of {many(cells, 'fresh seed')} of the winner"
        return "; ".join(filter(None, [trained, in_training(self.on.progress())]))

    def _done(self) -> tuple[int, float]:
        """Trials that count and are over, and their FLOPs."""
        over = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]
        return stopping.count_trials(over), stopping.used_flops(over)

    def _counts(self, cells: Mapping[int, Mapping[str, bool]]) -> str:
        rule, (trials, flops), (earlier, charged) = self.plan.rule_of(self.study), self._done(), self.before or (0, 0.0)
        limits, partly = [], self._partly_done(cells)
        of = many(trials, "trial")
        if rule["trials"] is not None:
            of = f"{trials:,} of {many(rule['trials'], 'trial')}"
            limits.append((trials - earlier + partly, rule["trials"] - trials - partly))
        if rule["compute"] is not None:
            of += f", {flops:.3g} of {rule['compute']:.3g} FLOPs"
            limits.append(((flops - charged) / rule["compute"], (rule["compute"] - flops) / rule["compute"]))
        done, left = min(limits, key=lambda limit: limit[1] / max(limit[0], 1e-9))
        return ", ".join(filter(None, [of, time_left(time.monotonic() - self.began, done, max(0.0, left))]))

    def _partly_done(self, cells: Mapping[int, Mapping[str, bool]]) -> float:
        """The parts of trials in work that are done, in trials."""
        shares = {moment.id: min(1.0, _share(moment)) for moment in self.on.progress()}
        return sum(
            sum(1.0 if over else shares.get(id, 0.0) for id, over in mine.items()) / len(mine)
            for mine in cells.values()
            if mine
        )

    def _best_so_far(self) -> str:
        known = self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        objectives, complete = self.plan.objectives, {trial.number: trial for trial in known}
        able = [trial for trial in known if can_win(trial.user_attrs, self.plan.seeds)]
        number = best_trial(objectives, [(trial.number, trial.values) for trial in able])
        if number is None:
            return ""
        doubtful = wording.caveat(objectives, self.plan.seeds, found := complete[number].user_attrs)
        best = (
            wording.describe_outcome(found)
            if doubtful
            else wording.describe_values(objectives, complete[number].values)
        )
        return f"best so far trial {number}: {best}"
