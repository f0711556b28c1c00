"""The winner of a study: which trial it is, its cells on fresh seeds, and the records of these."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import optuna

from bench.errors import StoreError
from bench.executors import WorkUnit
from bench.results import Record, Store, about, many, tell_set_aside
from bench.scheduling import action
from bench.specs import Family, Spec
from bench.tuning.costs import Costs
from bench.tuning.objectives import DIRECTIONS, best_trial, can_win
from bench.tuning.study import StudyPlan
from bench.tuning.wording import caveat


class Winner:
    """The best trial of a study, and its cells on fresh seeds, which alone are tested on the vault.

    :ivar specs: its cells on fresh seeds, once it is chosen.
    :ivar problems: what a user should know of their records.
    """

    def __init__(self, plan: StudyPlan, study: optuna.Study, costs: Costs) -> None:
        self.plan, self.study, self.costs = plan, study, costs
        self.store = Store(plan.results)
        self.specs: list[Spec] = []
        self.problems: list[str] = []

    @property
    def is_chosen(self) -> bool:
        """Whether some process has chosen the winner, after which the search cannot go on."""
        return "winner" in self.study.user_attrs

    def number(self) -> int | None:
        """The number of the winner, of the best trial so far, or None."""
        if self.is_chosen:
            return int(self.study.user_attrs["winner"])
        known = self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        able = [trial for trial in known if can_win(trial.user_attrs, self.plan.seeds)]
        return best_trial(self.plan.objectives, [(trial.number, trial.values) for trial in able])

    def choose(self) -> bool:
        """Choose the winner for all processes; False if no trial can win."""
        number = self.number()
        if number is not None:
            self.study.set_user_attr("winner", number)
            self.specs = [self._family(number).at(seed) for seed in self.plan.seeds_of_winner]
        return number is not None

    def units(self) -> list[WorkUnit]:
        """The cells on fresh seeds that still have to be trained. Their records that are damaged are set aside."""
        tell_set_aside(self.store.set_damaged_aside(spec.id for spec in self.specs))
        return [unit for spec in self.specs if (unit := self._unit(spec)) is not None]

    def _unit(self, spec: Spec) -> WorkUnit | None:
        # To the end of the budget, as the cells that it is compared with: a later loss of accuracy counts too.
        budget = replace(self.plan.budget(spec), stop_when_solved=False)
        try:
            record = self.store.read(spec.id)
        except StoreError as error:
            self.problems.append(str(error))
            return None
        todo = "run" if record is None else action(record, budget)
        return None if todo == "done" else WorkUnit(spec, budget, record if todo in ("extend", "resume") else None)

    def _trial(self, number: int) -> optuna.trial.FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def _family(self, number: int) -> Family:
        return self.plan.family(self.plan.space.draw(optuna.trial.FixedTrial(self._trial(number).params)), opened=True)

    def announce(self, units: Sequence[WorkUnit], slots: int) -> list[str]:
        """Which trial is the winner, and what its fresh seeds take.

        :param units: cells that have to be trained.
        :param slots: jobs that run at a time.
        """
        number = self.study.user_attrs["winner"]
        found = self._trial(number).user_attrs
        doubt = caveat(self.plan.objectives, self.plan.seeds, found)
        found = {**self._trial(found.get("same_as", number)).user_attrs, **found}
        steps = max(unit.budget.steps for unit in units)
        whole = f", to the end of {steps:,} steps each," if steps else ""
        what = f"now it is trained on {many(len(units), 'fresh seed')}{whole} and tested on the vault"
        if "seconds" in found and (found.get("steps") or not steps):
            share = steps / found["steps"] if steps else 1 / self.plan.seeds
            what += f": {about(found['seconds'] * share * len(units) / min(slots, len(units)))}"
        return [f"trial {number} is the winner{f', though {doubt}' if doubt else ''}", what]

    def read(self, spec: Spec) -> Record | None:
        """The record of a cell; None where there is none or it cannot be read."""
        with suppress(StoreError):
            return self.store.read(spec.id)
        return None

    def provenance(self) -> dict[str, Any]:
        """What the winner's records say of the study: its stopping rule, and what it cost."""
        return {
            "study": self.study.study_name,
            "rule": self.plan.rule_of(self.study),
            "seeds": self.plan.seeds,
            **self.costs.total(),
        }

    def best(self) -> dict[str, Any] | None:
        """The winner, or the best trial so far: see `bench.tuning.tune.Tuned.best`."""
        number = self.number()
        if number is None:
            return None
        found, steps = self._trial(number), self.plan.budget(self._family(number).first).steps
        return {
            **_shown(found),
            "value": found.values[0] if len(found.values) == 1 else list(found.values),
            "held": found.user_attrs.get("held_steps_to_99"),
            "unconfirmed": found.user_attrs.get("unconfirmed", 0),
            "doubt": caveat(self.plan.objectives, self.plan.seeds, found.user_attrs),
            "budget": steps,
        }

    def front(self) -> list[dict[str, Any]]:
        """The Pareto front of two objectives, the best trial by the first one first; empty for one objective."""
        if len(self.plan.objectives) == 1:
            return []
        sign = 1 if DIRECTIONS[self.plan.objectives[0]] == "minimize" else -1
        by_values = {tuple(trial.values): trial for trial in reversed(self.study.best_trials)}  # of equals the first
        return [_shown(trial) for trial in sorted(by_values.values(), key=lambda trial: sign * trial.values[0])]

    def cells(self) -> list[Record]:
        """The records on fresh seeds, each with what the study cost."""
        provenance = self.provenance()
        records = [record for spec in self.specs if (record := self.read(spec)) is not None]
        return [self._with_provenance(record, provenance) for record in records]

    def _with_provenance(self, record: Record, provenance: Mapping[str, Any]) -> Record:
        kept = record.get("tuning", provenance)
        if kept["study"] != provenance["study"]:
            cost = f"its tuning is that of the study {kept['study']!r}, and the cost of {provenance['study']!r}"
            self.problems.append(f"The record {record['id']} was there before: {cost} is not in it.")
            return record
        whole = {"seeds": provenance["seeds"], **kept}
        if record.get("tuning") != whole:  # an earlier version kept less of it, or none
            record = {**record, "tuning": whole}
            self.store.write(record)
        return record


def _shown(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    return {"number": trial.number, "params": dict(trial.params), "value": list(trial.values)}
