"""Sentences about studies, stopping rules, trials and crossings, for the command line and for notes in the dashboard.

A note is the Markdown text of a study or a trial in optuna-dashboard, with the command that makes it again.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import optuna

from bench.results import CONFIRMATION, Record, crossings, many, percent, shown
from bench.tuning.commands import tune_command
from bench.tuning.objectives import LABELS, RATIOS
from bench.tuning.study import StudyPlan


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


def describe_plan(plan: StudyPlan) -> list[str]:
    """A plan in sentences: stopping rule, objectives, vault, winner, storage."""
    fewest, steps = plan.budgets
    budget = f"{'up to ' if fewest < steps else ''}{steps:,} steps"
    stop = ", less where solved" if plan.stops_when_solved else ""
    few = plan.trials is not None and plan.trials <= plan.round
    asked = "all at once" if few else f"{plan.round:,} at a time"
    vault, noise = 100 * plan.common["vault"]["fraction"], plan.example.label_noise
    tested = f"{many(plan.fresh, 'fresh seed')}, {budget}, tested on the vault"
    each = f"{many(plan.seeds, 'seed')} and {budget} each{stop}"
    return [
        f"{describe_limits(plan.rule)} by {plan.sampler}, {asked}, {each}.",
        f"Objective: {' and '.join(LABELS[objective] for objective in plan.objectives)}.",
        *_describe_unsolved(plan),
        *([f"Label noise: {100 * noise:g} % of the training answers are wrong."] if noise else []),
        f"The vault: {vault:g} % of the pairs, that no trial sees.",
        f"The winner: {tested if plan.fresh else 'named alone, the vault stays closed'}.",
        f"Study {plan.study!r} in {plan.storage}.",
    ]


def _describe_unsolved(plan: StudyPlan) -> list[str]:
    """What a trial that did not hold 99 % counts as, if steps or cost are an objective."""
    steps = plan.budgets[1]
    if "steps" in plan.objectives:
        counts = (
            f"{steps:,} to {2 * steps:,} where this does not happen, by the best accuracy; {3 * steps:,} if diverged"
        )
        held = "the step from which on 99 % of the validation pairs are right at every evaluation, to the end"
        return [f"Steps to hold 99 %: {held}, the geometric mean over seeds. It counts as {counts}."]
    if plan.objectives == ("cost",):
        return ["FLOPs to that step; where it is not reached, one to two whole budgets of them, three if diverged."]
    return []


def study_note(plan: StudyPlan, best: Mapping[str, Any] | None = None, tested: str | None = None) -> str:
    """The note of a study: its plan, its space, its command, and its outcome.

    :param best: number, params and value of the best trial, once the search is over.
    :param tested: the sentence of `describe_tests`, once the vault is open.
    """
    drawn = {} if best is None else best["params"]
    rows = [[f"`{name}`", words, shown(drawn.get(name, ""))] for name, words in plan.space.describe().items()]
    rows += [[f"`{name}`", f"{value}, fixed", str(value)] for name, value in plan.space.fixed.items()]
    head = ["parameter", "space", "" if best is None else f"trial {best['number']}"]
    width = 2 if best is None else 3
    table = ["| " + " | ".join(row[:width]) + " |" for row in (head, ["---"] * 3, *rows)]
    rules = [f"- {rule}" for rule in [*describe_plan(plan), *_outcome(plan, best), *([tested] if tested else [])]]
    return "\n".join([*rules, "", *table, "", "```", tune_command(plan.asked), "```", ""])


def trial_note(plan: StudyPlan, trial: optuna.trial.FrozenTrial, command: str) -> str:
    """The note of a trial: its values, and the command that trains its parameters."""
    found, worth = trial.user_attrs, describe_values(plan.objectives, trial.values)
    doubt = caveat(plan.objectives, plan.seeds, found)
    same = f"\n\nTrial {found['same_as']} drew the same, and trained it." if "same_as" in found else ""
    judged = f"**{worth}**" if not doubt else f"**{doubt[0].upper()}{doubt[1:]}**; it counts as {worth}"
    ended = f"validation accuracy at the end {percent(found['validation_accuracy'])}"
    over = f"the mean over {many(plan.seeds, 'seed')}"
    lines = command.replace(" --", " \\\n  --")
    return f"{judged}; {ended}, {over}.{same}\n\nTo train this setting:\n\n```\n{lines}\n```\n"


def _outcome(plan: StudyPlan, best: Mapping[str, Any] | None) -> list[str]:
    if best is None:
        return []
    values = best["value"] if isinstance(best["value"], list) else [best["value"]]
    doubt = f" NOTE: {best['doubt']}." if best.get("doubt") else ""
    return [f"**Trial {best['number']} is the best**: {describe_values(plan.objectives, values)}.{doubt}"]


def describe_tests(cells: Sequence[Record]) -> str | None:
    """The test accuracies of the winner's fresh seeds on the vault, in Markdown; None if none was tested."""
    ends = [cell["final"]["test_accuracy"] for cell in cells if cell["final"]["test_accuracy"] is not None]
    if not ends:
        return None
    mean, span = percent(fmean(ends)), f"{percent(min(ends))} to {percent(max(ends))}"
    n = f"n = {many(len(ends), 'fresh seed')}"
    return f"**On the vault** it ends at {mean} ({span}, {n}); {describe_test_crossings(cells)}."
