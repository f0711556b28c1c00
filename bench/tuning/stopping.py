"""When a search ends: its rule, and what counts by it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.errors import RequestError
from bench.tuning.dashboard.notes import limits_of
from bench.tuning.study import Say, Tuning

__all__ = ["TOO_DEAR", "as_ruled", "check_rule", "claimed", "counted", "goes_on", "settled_rule"]

COUNT = ("refused", "failed")
"""States of a trial that came to no value but was tried: what died with its process or was interrupted was not."""


TOO_DEAR = "too dear"
"""State of a trial whose whole budget does not fit into what is left of the compute: it is not begun."""


DEAR = 8
"""Trials in a row that were all too dear for what is left: the next would be too."""


HOPELESS = 32
"""Trials of which none came to a value: the next would not either."""


def counted(trials: Sequence[Any]) -> int:
    """Trials that count by the rule, those in work included."""
    return len(_tried(trials))


def _tried(trials: Sequence[Any]) -> list[Any]:
    return [trial for trial in trials if _has_value(trial) or trial.user_attrs.get("status") in COUNT]


def _has_value(trial: Any) -> bool:
    """Whether it has one, or may come to one."""
    return trial.state.name in ("COMPLETE", "RUNNING")


def claimed(trials: Sequence[Any]) -> float:
    """FLOPs that trials took, and that those in work may still come to. What a dead process took, nobody knows."""
    at_most = [trial.user_attrs.get("predicted", 0.0) if trial.state.name == "RUNNING" else 0.0 for trial in trials]
    return float(sum(trial.user_attrs.get("flops", most) for trial, most in zip(trials, at_most, strict=True)))


def goes_on(rule: Mapping[str, Any], trials: Sequence[Any], late: float = 0.0) -> bool:
    """Whether a rule lets another trial begin: there are not so many yet, there is compute left, and there is hope.

    By compute alone a search would never end where trials come to no value any more, or to none that is new: so many of
    them in a row end it.

    :param late: FLOPs that no trial says.
    """
    tried = _tried(trials)
    if rule["trials"] is not None and len(tried) >= rule["trials"]:
        return False
    if rule["compute"] is not None and not _affords(rule["compute"] - late, trials):
        return False
    recent = tried if rule["trials"] is not None else tried[-HOPELESS:]
    return len(tried) < HOPELESS or any(_has_value(trial) and "same_as" not in trial.user_attrs for trial in recent)


def _affords(compute: float, trials: Sequence[Any]) -> bool:
    """Whether there is compute left; and so much that one of the last draws would fit, where all were too dear."""
    left, last = compute - claimed(trials), [trial.user_attrs for trial in trials[-DEAR:]]
    too_dear = [attributes.get("status") == TOO_DEAR and attributes["predicted"] > left for attributes in last]
    return left > 0 and not (len(last) == DEAR and all(too_dear))


def settled_rule(planned: Tuning, study: Any, say: Say) -> Tuning:
    """The plan by the rule of the study, which all of its processes go by.

    Whoever asks for more raises it. Whoever asks for less goes by it: the command that began a study goes on with it,
    though another one raised its rule meanwhile.

    :raises RequestError: where more is asked of one limit and less of the other, or more once the vault was opened.
    """
    more, less = check_rule(planned, study)
    before, rule = study.user_attrs.get("rule"), planned.rule
    if more and "winner" not in study.user_attrs:
        study.set_user_attr("rule", rule)
    if not less:
        return planned
    differ = f"{limits_of(before)}, not {limits_of(rule)}"
    say(f"The rule of the study {planned.study!r} is {differ}: a rule is not lowered.")
    return as_ruled(planned, study)


def check_rule(planned: Tuning, study: Any) -> tuple[bool, bool]:
    """Whether more is asked of some limit than the study's rule says, and whether less; raises as `settled_rule`."""
    known, rule = study.get_trials(deepcopy=False), planned.rule
    before = study.user_attrs.get("rule", dict.fromkeys(rule, 0))
    more = any(_is_less(before[name], limit) for name, limit in rule.items())
    less = any(_is_less(limit, before[name]) for name, limit in rule.items())
    if "winner" in study.user_attrs:
        if more and goes_on(rule, known):
            over = f"its vault was opened after {counted(known)} trials, so that it cannot go on to {limits_of(rule)}"
            raise RequestError(f"The study {planned.study!r} is over: {over}. --study names another.")
    elif more and less:
        both = f"a later command may ask for more, not for {limits_of(rule)}"
        raise RequestError(f"The study {planned.study!r} goes on to {limits_of(before)}: {both}.")
    return more, less


def as_ruled(planned: Tuning, study: Any) -> Tuning:
    """The plan by the rule of the study as it is now: another process may have raised it."""
    rule = study.user_attrs.get("rule", planned.rule)
    if rule == planned.rule:
        return planned
    limits = {name: limit for name, limit in rule.items() if limit is not None}
    asked = {name: value for name, value in planned.asked.items() if name not in rule}
    return replace(planned, trials=rule["trials"], compute=rule["compute"], asked=asked | limits)


def _is_less(limit: float | None, before: float | None) -> bool:
    """None is no limit."""
    return limit is not None and (before is None or limit < before)
