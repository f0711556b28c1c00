"""The stopping rule of a study: how many trials or FLOPs end the search, and what counts towards them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna

from bench.errors import RequestError
from bench.tuning.study import StudyPlan
from bench.tuning.wording import describe_limits

COUNTED = ("refused", "failed")
"""States of a trial without a value that counts: one that was interrupted, or died with its process, does not."""


TOO_EXPENSIVE = "too dear"
"""State of a trial whose whole budget does not fit into what is left of the compute: it is not begun."""


MOST_TOO_EXPENSIVE = 8
"""Trials in a row, all of them too expensive for what is left, after which the search ends."""


MOST_WITHOUT_VALUE = 32
"""Trials in a row, none of them with a value of its own, after which the search ends."""


def count_trials(trials: Sequence[optuna.trial.FrozenTrial]) -> int:
    """How many trials count towards the stopping rule, those in work included."""
    return len(_counted(trials))


def _counted(trials: Sequence[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in trials if _may_have_value(trial) or trial.user_attrs.get("status") in COUNTED]


def _may_have_value(trial: optuna.trial.FrozenTrial) -> bool:
    return trial.state.name in ("COMPLETE", "RUNNING")


def used_flops(trials: Sequence[optuna.trial.FrozenTrial]) -> float:
    """FLOPs that trials took, or may take at most while in work; what a dead process used is not known."""
    at_most = [trial.user_attrs.get("predicted", 0.0) if trial.state.name == "RUNNING" else 0.0 for trial in trials]
    return float(sum(trial.user_attrs.get("flops", most) for trial, most in zip(trials, at_most, strict=True)))


def may_continue(rule: Mapping[str, Any], trials: Sequence[optuna.trial.FrozenTrial], late: float = 0.0) -> bool:
    """Whether a stopping rule lets another trial begin.

    A search by compute alone would never end if trials had no new values any more: 32 such trials in a row end it.

    :param late: FLOPs that no trial holds, see `bench.tuning.costs.Costs`.
    """
    tried = _counted(trials)
    if rule["trials"] is not None and len(tried) >= rule["trials"]:
        return False
    if rule["compute"] is not None and not _affords(rule["compute"] - late, trials):
        return False
    recent = tried if rule["trials"] is not None else tried[-MOST_WITHOUT_VALUE:]
    own = (_may_have_value(trial) and "same_as" not in trial.user_attrs for trial in recent)
    return len(tried) < MOST_WITHOUT_VALUE or any(own)


def _affords(compute: float, trials: Sequence[optuna.trial.FrozenTrial]) -> bool:
    """Whether compute is left; if the last trials were all too expensive, enough for one of them."""
    left, last = compute - used_flops(trials), [trial.user_attrs for trial in trials[-MOST_TOO_EXPENSIVE:]]
    expensive = [found.get("status") == TOO_EXPENSIVE and found["predicted"] > left for found in last]
    return left > 0 and not (len(last) == MOST_TOO_EXPENSIVE and all(expensive))


def settle_rule(plan: StudyPlan, study: optuna.Study, report: Callable[[str], None]) -> StudyPlan:
    """The plan with the stopping rule of the study, which holds for all of its processes.

    A command that asks for more raises the rule. One that asks for less follows it, so that the command that began a
    study can resume it after another one has raised the rule.

    :raises RequestError: if a command asks for more of one limit and less of the other, or for more after the vault was
        opened.
    """
    more, less = compare_rules(plan, study)
    before, rule = study.user_attrs.get("rule"), plan.rule
    if more and "winner" not in study.user_attrs:
        study.set_user_attr("rule", rule)
    if not less:
        return plan
    differ = f"{describe_limits(before)}, not {describe_limits(rule)}"
    report(f"The rule of the study {plan.study!r} is {differ}: a rule is not lowered.")
    return with_rule_of(study, plan)


def compare_rules(plan: StudyPlan, study: optuna.Study) -> tuple[bool, bool]:
    """Whether a plan asks for more than the study's stopping rule, and whether for less; raises as `settle_rule`."""
    known, rule = study.get_trials(deepcopy=False), plan.rule
    before = study.user_attrs.get("rule", dict.fromkeys(rule, 0))
    more = any(_is_less(before[name], limit) for name, limit in rule.items())
    less = any(_is_less(limit, before[name]) for name, limit in rule.items())
    if "winner" in study.user_attrs:
        if more and may_continue(rule, known):
            over = f"its vault was opened after {count_trials(known)} trials"
            why = f"{over}, so that it cannot go on to {describe_limits(rule)}"
            raise RequestError(f"The study {plan.study!r} is over: {why}. `study` names another.")
    elif more and less:
        both = f"a later command may ask for more, not for {describe_limits(rule)}"
        raise RequestError(f"The study {plan.study!r} goes on to {describe_limits(before)}: {both}.")
    return more, less


def with_rule_of(study: optuna.Study, plan: StudyPlan) -> StudyPlan:
    """The plan with the stopping rule of the study as it is now: another process may have raised it."""
    rule = plan.rule_of(study)
    if rule == plan.rule:
        return plan
    limits = {name: limit for name, limit in rule.items() if limit is not None}
    asked = {name: value for name, value in plan.asked.items() if name not in rule}
    return replace(plan, trials=rule["trials"], compute=rule["compute"], asked=asked | limits)


def _is_less(limit: float | None, before: float | None) -> bool:
    """Whether one limit is lower than another; None is no limit."""
    return limit is not None and (before is None or limit < before)
