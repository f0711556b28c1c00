"""What trials cost in FLOPs and seconds, and how much of its budget a trial uses."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import optuna

from bench.executors import WorkUnit
from bench.scheduling import structure_of
from bench.specs import count_train
from bench.tuning.stopping import count_trials
from bench.tuning.study import StudyPlan

USUAL_SHARE = 0.75
"""The share of its budget that a trial which stops when it is solved uses, as long as no trial is over. Over 256 trials
of the transformer by eight seeds, 1,500 steps each, it was 0.66, and 0.99 in the first round (one H200)."""
LATE = "late trial "
"""How attributes of a study begin that hold the cost of a trial which another process had failed before it ended."""


class Costs:
    """What the trials of a study cost.

    :param show: brings the page of the study up to date.
    """

    def __init__(self, plan: StudyPlan, study: optuna.Study, show: Callable[[], None]) -> None:
        self.plan, self.study, self.show = plan, study, show
        self.known_flops: dict[Hashable, float] = {}
        self.shown_at = -1

    def flops_of(self, unit: WorkUnit) -> float:
        """FLOPs of the whole budget of a cell, computed once for all cells of equal structure, pairs and steps."""
        n_train = count_train(unit.spec)
        key = structure_of(unit.spec, n_train), n_train, unit.budget.steps
        if isinstance(key[0], str) or key not in self.known_flops:  # cells of such a learner have no common structure
            self.known_flops[key] = self.plan.flops(unit.spec) or 0.0
        return self.known_flops[key]

    def charge_late(self, number: int, attributes: Mapping[str, Any]) -> None:
        """Charge the study for a trial that can no longer hold its own cost."""
        cost = {name: attributes[name] for name in ("flops", "seconds") if name in attributes}
        self.study.set_user_attr(f"{LATE}{number}", cost)

    def _late(self) -> list[dict[str, float]]:
        return [cost for name, cost in self.study.user_attrs.items() if name.startswith(LATE)]

    @property
    def late_flops(self) -> float:
        """FLOPs of late trials, which the trials themselves do not hold."""
        return float(sum(cost.get("flops", 0.0) for cost in self._late()))

    @property
    def usual_share(self) -> float:
        """The share of its budget that a trial uses: the median over trials so far, a guess before there is one."""
        if not self.plan.stops_when_solved:
            return 1.0
        known = self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        most, own = self.plan.budgets[1] * self.plan.seeds, [t.user_attrs for t in known]
        shares = [found["steps"] / most for found in own if "same_as" not in found and "steps" in found]
        return float(np.median(shares)) if shares and most else USUAL_SHARE

    def total(self) -> dict[str, Any]:
        """Trials that count, FLOPs and seconds of the search so far, interrupted and failed trials included.

        It lacks what was in training when its process died, and cells that were never evaluated.
        """
        known = self.study.get_trials(deepcopy=False)
        charged = [cost for cost in [*(trial.user_attrs for trial in known), *self._late()] if "seconds" in cost]
        counted = all("flops" in cost for cost in charged)
        return {
            "trials": count_trials(known),
            "flops": float(sum(cost["flops"] for cost in charged)) if counted else None,
            "seconds": float(sum(cost["seconds"] for cost in charged)),
        }

    def publish(self) -> None:
        """Store the total in the study, and show it, if more trials are over than at the last time."""
        over = sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False)) + len(self._late())
        if over == self.shown_at:
            return
        self.shown_at = over
        for name, exact in self.total().items():
            value = float(f"{exact:.3g}") if isinstance(exact, float) else exact  # as a dashboard shows it
            if self.study.user_attrs.get(name) != value:
                self.study.set_user_attr(name, value)
        self.show()
