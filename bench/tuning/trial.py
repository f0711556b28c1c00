"""The trials that this process has in work: asking Optuna for them, and telling Optuna how they ended."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import optuna
from sqlalchemy.exc import SQLAlchemyError

from bench.errors import StoreError
from bench.executors import WorkUnit
from bench.results import Record, shown
from bench.tuning import stopping, wording
from bench.tuning.costs import Costs
from bench.tuning.dashboard.study_page import artifacts_folder, attach_curve
from bench.tuning.objectives import JUDGED, learning_curve, rounded, trial_attributes, trial_values
from bench.tuning.optuna_internals import storage_of, trial_id_of
from bench.tuning.progress import Reporter
from bench.tuning.storage.journal import batch_writes
from bench.tuning.storage.ownership import Owner
from bench.tuning.study import StudyPlan

COSTS = ("seconds", "flops", "predicted")
"""Attributes that a trial lacks if another trial trained its cells."""


@dataclass
class TrialInWork:
    """A trial in work.

    :param trial: Optuna's trial.
    :ivar params: the parameters that it drew.
    :ivar units: its cells, one for each seed.
    :ivar flops: what the whole budgets of its cells take, where the compute is limited.
    :ivar same_as: the number of a trial in work that drew the same and trains the cells of both.
    :ivar records: of its cells that are over, by id.
    """

    trial: optuna.Trial
    params: dict[str, Any] = field(default_factory=dict)
    units: list[WorkUnit] = field(default_factory=list)
    flops: float = 0.0
    same_as: int | None = None
    records: dict[str, Record] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """The ids of its cells, in the order of the seeds."""
        return [unit.spec.id for unit in self.units]

    @property
    def ordered(self) -> list[Record]:
        """The records so far, in the order of the seeds."""
        return [self.records[id] for id in self.ids if id in self.records]

    @property
    def attributes(self) -> dict[str, Any]:
        """What the study keeps of the trial beside its values, from the records so far."""
        found = trial_attributes(self.ordered) if self.records else {}
        return found if self.same_as is None else _without_costs(found, self.same_as)


class Trials:
    """The trials that this process has in work.

    :ivar in_work: these trials, by number.
    """

    def __init__(self, plan: StudyPlan, study: optuna.Study, owner: Owner, costs: Costs, reporter: Reporter) -> None:
        self.plan, self.study, self.owner, self.costs, self.reporter = plan, study, owner, costs, reporter
        self.in_work: dict[int, TrialInWork] = {}

    def ask(self, known: Sequence[optuna.trial.FrozenTrial], limited: bool) -> TrialInWork | None:
        """Ask for a trial; None if none of its cells has to be trained.

        :param known: the trials before this round.
        :param limited: whether the compute is limited, so that the FLOPs of the trial have to be predicted.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # this project sends heartbeats itself; some samplers are experimental
            trial = self.study.ask()
            mine = self.in_work[trial.number] = TrialInWork(trial)
            self.owner.claim(trial)
            try:
                family = self.plan.family(self.plan.space.draw(trial))
                mine.params = dict(trial.params)
                if self._repeat(mine, known):
                    return None
                specs = [family.at(seed) for seed in self.plan.seeds_of_trials]
                mine.units = [WorkUnit(spec, self.plan.budget(spec)) for spec in specs]
                twins = (n for n, other in self.in_work.items() if other is not mine and other.params == mine.params)
                mine.same_as = next(twins, None)
                if limited and mine.same_as is None:
                    mine.flops = len(specs) * self.costs.flops_of(mine.units[0])
                    trial.set_user_attr("predicted", mine.flops)
            except (optuna.exceptions.StorageInternalError, SQLAlchemyError, StoreError):
                raise
            except Exception as error:
                self._refuse(trial, error)
                return None
        return mine

    def _repeat(self, mine: TrialInWork, known: Sequence[optuna.trial.FrozenTrial]) -> bool:
        """Whether an earlier trial drew the same: then this one gets its values, and costs nothing."""
        complete = (trial for trial in known if trial.state == optuna.trial.TrialState.COMPLETE)
        before = next((trial for trial in complete if trial.params == mine.params), None)
        if before is None:
            return False
        number = before.user_attrs.get("same_as", before.number)
        self.end(mine.trial, _without_costs(before.user_attrs, number), before.values, before.intermediate_values)
        values = ", ".join(map(shown, before.values))
        self.reporter.report_trial(f"trial {mine.trial.number}: {values}, since trial {number} drew the same")
        return True

    def _refuse(self, trial: optuna.Trial, error: Exception) -> None:
        """Fail a trial because a constructor refused its parameters, or the ``suggest`` of a plugin raised an error.

        The trial counts, and the search goes on.
        """
        status = "refused" if isinstance(error, ValueError) else "failed"
        why = " ".join(str(error).split()) if str(error) else type(error).__name__
        self.end(trial, {"status": status, "error": why[:500]})
        self.reporter.report(f"trial {trial.number}: {status}, {why}")
        if status == "failed":
            self.reporter.report_traceback(error)

    def skip(self, mine: TrialInWork, left: float) -> None:
        """Fail a trial that would take more compute than is left."""
        why = f"its whole budget takes {mine.flops:.3g} FLOPs, and {max(0.0, left):.3g} are left"
        self.end(mine.trial, {"status": stopping.TOO_EXPENSIVE, "error": why})
        self.reporter.report_trial(f"trial {mine.trial.number}: not begun, {why}")

    def add(self, record: Record) -> None:
        """Take the record of a cell, and finish each trial whose last cell it was."""
        for mine in list(self.in_work.values()):
            if record["id"] in mine.ids:
                mine.records[record["id"]] = record
                if len(mine.ordered) == len(mine.units):
                    self.finish(mine)

    def finish(self, mine: TrialInWork) -> None:
        """Tell Optuna the values of a trial whose cells are all over."""
        trial, records, attributes, objectives = mine.trial, mine.ordered, mine.attributes, self.plan.objectives
        if any(record["status"] not in JUDGED or record["final"]["step"] is None for record in records):
            if attributes["status"] in JUDGED:  # its process was ended: there is nothing to judge it by
                attributes["status"] = "failed"
            why = f", {attributes['error']}" if "error" in attributes else ""
            if self.end(trial, attributes):
                self.reporter.report(f"trial {trial.number}: {attributes['status']}{why}")
            return
        found = trial_values(objectives, records, self.plan.largest_budget)
        values = [rounded(name, value) for name, value in zip(objectives, found, strict=True)]
        if self.end(trial, attributes, values, learning_curve(records) if len(values) == 1 else {}):
            drawn = ", ".join(f"{name} {shown(value)}" for name, value in mine.params.items())
            worth = f"{', '.join(map(shown, values))}, {wording.describe_outcome(attributes)}"
            self.reporter.report_trial(f"trial {trial.number}: {worth} ({drawn})")

    def interrupt(self) -> None:
        """Fail all trials in work: they do not count, but what is known of their cost does."""
        for mine in list(self.in_work.values()):
            self.end(mine.trial, mine.attributes | {"status": "interrupted"})

    def end(
        self,
        trial: optuna.Trial,
        attributes: Mapping[str, Any],
        values: Sequence[float] | None = None,
        curve: Mapping[int, float] = MappingProxyType({}),
    ) -> bool:
        """Store what is known of a trial and end it; False if another process believed this one dead and failed it.

        The cost of the trial is charged in either case.

        :param values: its values; None makes it a failed trial.
        :param curve: validation accuracy by step.
        """
        in_time, storage, id = True, storage_of(self.study), trial_id_of(trial)
        state = optuna.trial.TrialState.FAIL if values is None else optuna.trial.TrialState.COMPLETE
        try:
            with batch_writes(storage):  # a Trial would also remember what the storage then refuses
                for step, accuracy in sorted(curve.items()):
                    storage.set_trial_intermediate_value(id, step, accuracy)
                for name, value in attributes.items():
                    storage.set_trial_user_attr(id, name, value)
                attach_curve(trial, curve, artifacts_folder(self.plan.results))
            self.study.tell(trial, values, state=state, skip_if_finished=True)
        except optuna.exceptions.UpdateFinishedTrialError:
            in_time = False
            self.costs.charge_late(trial.number, attributes)
            why = "another process believed this one dead and failed the trial"
            self.reporter.report(f"trial {trial.number}: told too late, {why}; its cost is charged")
        self.in_work.pop(trial.number, None)
        self.owner.release(trial)
        return in_time


def _without_costs(attributes: Mapping[str, Any], same_as: int) -> dict[str, Any]:
    """The attributes of a trial whose cells another trial trained."""
    return {name: value for name, value in attributes.items() if name not in COSTS} | {"same_as": same_as}
