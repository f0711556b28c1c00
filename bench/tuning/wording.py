"""Sentences about stopping rules, trials and crossings, which the command line and notes share."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench.results import CONFIRMATION, Record, crossings, many, shown
from bench.tuning.objectives import LABELS, RATIOS


def describe_limits(rule: Mapping[str, Any]) -> str:
    """What ends a search.

    >>> describe_limits({"trials": 64, "compute": 1e12})
    '64 trials and 1e+12 FLOPs of training'
    """
    limits = [many(rule["trials"], "trial")] if rule["trials"] is not None else []
    limits += [f"{rule['compute']:.3g} FLOPs of training"] if rule["compute"] is not None else []
    return " and ".join(limits)


def describe_values(objectives: Sequence[str], values: Sequence[float]) -> str:
    """The values of a trial, each with its objective.

    >>> describe_values(["accuracy", "data"], [0.5, 0.25])
    'validation accuracy 0.5, share of the pairs that train 0.25'
    """
    return ", ".join(f"{LABELS[name]} {shown(value)}" for name, value in zip(objectives, values, strict=True))


def caveat(objectives: Sequence[str], seeds: int, attributes: Mapping[str, Any]) -> str:
    """What a reader should know of a winner that steps or cost chose; empty if all its seeds held 99 %, confirmed.

    :param seeds: of each trial.
    :param attributes: of the trial, see `bench.tuning.objectives.trial_attributes`.

    >>> caveat(["steps"], 1, {"held_steps_to_99": 1200.0, "unconfirmed": 1})
    'it is not confirmed, having held 99 % only to the end of the budget, before 1.5 times the step'
    """
    few = attributes.get("unconfirmed", 0)
    if objectives[0] not in RATIOS:
        return ""
    if "held_steps_to_99" not in attributes:
        return "it did not hold 99 %" if seeds == 1 else "not every seed of it held 99 %"
    who = "it is" if seeds == 1 else f"{few} of its {seeds} seeds {'is' if few == 1 else 'are'}"
    when = f"having held 99 % only to the end of the budget, before {CONFIRMATION:g} times the step"
    return f"{who} not confirmed, {when}" if few else ""


def describe_outcome(attributes: Mapping[str, Any]) -> str:
    """How a trial ended, as "99 % held from step 1,200, validation at the end 99.8 %"."""
    held, accuracy = attributes.get("held_steps_to_99"), attributes.get("validation_accuracy", 0.0)
    solved = "99 % not held" if held is None else f"99 % held from step {held:,.0f}"
    solved += ", not yet confirmed" if held is not None and attributes.get("unconfirmed") else ""
    ended = {"timeout": "out of time, ", "diverged": "diverged, "}.get(str(attributes.get("status")), "")
    return f"{ended}{solved}, validation at the end {100 * accuracy:.1f} %"


def describe_test_crossings(cells: Sequence[Record]) -> str:
    """How many cells reached 99 % of the test pairs, held it and are confirmed, and from which step on."""
    found = [crossings(cell["curve"], ["test"]) for cell in cells]  # records of earlier versions do not say what held
    keys = ("steps_to", "held", "sustained_steps_to")
    first, held, sure = ([one[key]["test"]["0.99"] for one in found] for key in keys)
    counts = [sum(step is not None for step in steps) for steps in (first, held, sure)]
    middle = median(math.inf if span is None else span[0] for span in held)
    start = "" if middle == math.inf else f", from step {middle:,.1f}".removesuffix(".0") + " in the median"
    return (
        f"99 % of the vault's pairs reached by {counts[0]} of {many(len(cells), 'seed')}, held to the end by "
        f"{counts[1]}{start}, confirmed (to 1.5 times that step) for {counts[2]}"
    )


def describe_test_crossing(record: Record) -> str:
    """Whether a cell reached 99 % of the test pairs and held it."""
    found = {key: of["test"]["0.99"] for key, of in crossings(record["curve"], ["test"]).items()}
    if found["held"] is not None:
        return f"99 % held from step {found['held'][0]:,}"
    return "99 % not reached" if found["steps_to"] is None else f"99 % reached at step {found['steps_to']:,}, not held"
