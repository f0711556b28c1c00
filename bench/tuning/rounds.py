"""A search in rounds: trials are asked for, trained side by side, and told to Optuna before the next ones are drawn."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import optuna

from bench.executors import Channel, Job, WorkUnit
from bench.results import Record, environment
from bench.scheduling import THREADS, device_kind, fleets_of, structure_of
from bench.specs import count_train
from bench.tuning import samplers, stopping, wording
from bench.tuning.costs import Costs
from bench.tuning.progress import Progress, Reporter
from bench.tuning.storage.ownership import Owner
from bench.tuning.study import StudyPlan
from bench.tuning.trial import Trials
from bench.tuning.winner import Winner


class Rounds:
    """The jobs of a study, as a queue for `bench.executors.Executor`: rounds of trials, then the winner's cells.

    A round begins when the last one is over: what a round draws does not depend on the speed of the machine.

    :param jobs: as of `StudyPlan.parts`.
    :param channel: the channel on which workers write how far they are.
    :param reporter: receives the lines that the search reports.
    :param show: brings the page of the study up to date.
    """

    def __init__(
        self,
        plan: StudyPlan,
        study: optuna.Study,
        owner: Owner,
        jobs: int | None,
        channel: Channel,
        reporter: Reporter,
        show: Callable[[], None],
    ) -> None:
        self.plan, self.study, self.owner, self.channel, self.reporter = plan, study, owner, channel, reporter
        self.costs = Costs(plan, study, show)
        self.trials = Trials(plan, study, owner, self.costs, reporter)
        self.winner = Winner(plan, study, self.costs)
        self.progress = Progress(plan, study, channel)
        self.devices = plan.parts(jobs)
        self.source = environment.source_state()
        self.waiting: deque[Job] = deque()
        self.jobs_in_work = self.elsewhere = 0
        self.finished = False

    def next(self, device: str) -> Job | None:
        """A job, or None until the round is over."""
        if not self.waiting and not self.jobs_in_work and not self.finished:
            self._continue()
        if not self.waiting:
            return None
        self.jobs_in_work += 1
        return replace(self.waiting.popleft(), device=device)

    def finish(self, job: Job) -> None:
        """Count a job that came back."""
        self.jobs_in_work -= 1

    def requeue_halves(self, job: Job) -> bool:
        """Queue the two halves of a job whose worker process died; False if it has one cell only."""
        middle = len(job.units) // 2
        if middle:
            self.waiting += [replace(job, units=half) for half in (job.units[:middle], job.units[middle:])]
        return bool(middle)

    def recheck_leases(self) -> int:
        """Trials that other processes have in work."""
        return self.elsewhere

    def collect(self, record: Record | None) -> None:
        """Take the record of a cell that is over; None, from time to time, reports the progress."""
        if record is None:
            self.reporter.report_progress(self.describe_progress)
            return
        if record["error"]:
            self.reporter.report_traceback(record["error"]["traceback"])
        self.trials.add(record)
        if record["id"] in {spec.id for spec in self.winner.specs}:
            ended = f"{record['status']}, {wording.describe_test_crossing(record)}"
            self.reporter.report(f"fresh seed {record['spec']['seed']}: {ended}")

    def describe_progress(self) -> str:
        """How far the search, or the training of the winner, is."""
        if self.winner.specs:
            records = [self.winner.read(spec) for spec in self.winner.specs]
            over = sum(record is not None and record["final"]["step"] is not None for record in records)
            return self.progress.of_winner(over, len(records))
        in_work = self.trials.in_work.items()
        cells = {number: {id: id in mine.records for id in mine.ids} for number, mine in in_work}
        return self.progress.of_search(cells, waits=bool(self.elsewhere))

    def end(self) -> None:
        """Fail what is still in work, and store what the search cost."""
        self.trials.interrupt()
        self.costs.publish()

    def _continue(self) -> None:
        """Queue the next round; after the last one the winner's cells; after these nothing."""
        self.elsewhere = 0
        if self.winner.specs:
            self.finished = True
            return
        if not self.winner.is_chosen:
            self.progress.begin()
            while not self.waiting and not self.channel.stop_requested() and self._ask_round():
                pass
            self.costs.publish()
            if self.channel.stop_requested():
                return
            self.elsewhere = 0 if self.waiting else self._count_running()
        if not self.waiting and not self.elsewhere:
            self._open_vault()

    def _count_running(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)))

    def _ask_round(self) -> int:
        """Ask for a round and queue its cells; how many trials it has, 0 if the search is stopped or over."""
        with self.owner.turn(self.channel.stop_requested) as turn:
            if not turn:
                return 0
            self.owner.fail_orphans()
            known, rule = self.study.get_trials(deepcopy=False), self.plan.rule_of(self.study)
            room, limit = self._room(rule, known), rule["compute"]
            if not room:
                return 0
            entropy, objectives = (self.plan.entropy, len(known)), len(self.plan.objectives)
            self.study.sampler = samplers.make_sampler(self.plan.sampler, entropy, objectives, self.plan.round)
            left = math.inf if limit is None else limit - stopping.used_flops(known) - self.costs.late_flops
            units: dict[str, WorkUnit] = {}
            for _ in range(room):
                if self.channel.stop_requested():
                    return 0
                mine = self.trials.ask(known, limited=limit is not None)
                if mine is None:
                    continue
                if mine.flops > left:
                    self.trials.skip(mine, left)
                    continue
                left -= mine.flops
                units |= {unit.spec.id: unit for unit in mine.units}  # what is drawn twice is trained once
        self._queue(list(units.values()), repeats=max(1, round(self.repeats * self.costs.usual_share)))
        return room

    def _room(self, rule: Mapping[str, Any], known: Sequence[optuna.trial.FrozenTrial]) -> int:
        """How many trials the next round may have."""
        room = self.plan.round if stopping.may_continue(rule, known, self.costs.late_flops) else 0
        return room if rule["trials"] is None else max(0, min(room, rule["trials"] - stopping.count_trials(known)))

    def _queue(self, units: Sequence[WorkUnit], **details: Any) -> None:
        kind = device_kind(self.plan.device)
        fleets = fleets_of(units, kind, len(self.devices))
        self.waiting += [Job(fleet, kind, THREADS, source=self.source, **details) for fleet in fleets]

    @cached_property
    def repeats(self) -> int:
        """How many jobs of a structure a worker may expect: one a round, fewer if trials differ in structure."""
        if self.plan.trials is None or self.plan.rounds == 1:
            return 1
        structures = {structure_of(spec, count_train(spec)) for spec in self.plan.drafts()}
        return max(1, min(self.plan.rounds, self.plan.trials // len(structures)))

    def _open_vault(self) -> None:
        """Choose the winner, once for all processes, and queue its cells on fresh seeds: they open the vault."""
        if not self.plan.fresh:
            self.finished = True
            return
        with self.owner.turn(self.channel.stop_requested) as turn:
            if not turn:
                return
            if (not self.winner.is_chosen and self._is_unfinished()) or not self.owner.claim_vault():
                self.elsewhere = 1
                return
            if not self.winner.choose():
                self.finished = True
                return
        units = self.winner.units()
        self._queue(units, results=self.plan.results, tuning=self.winner.provenance())
        for line in self.winner.announce(units, len(self.devices)) if units else ():
            self.reporter.report(line)

    def _is_unfinished(self) -> bool:
        """Whether another process has asked for a trial, or raised the stopping rule, since this one looked."""
        known, rule = self.study.get_trials(deepcopy=False), self.plan.rule_of(self.study)
        running = any(trial.state == optuna.trial.TrialState.RUNNING for trial in known)
        return running or stopping.may_continue(rule, known, self.costs.late_flops)
