"""Notes: the Markdown text of studies and trials in optuna-dashboard, with the commands that make them again."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from optuna.trial import FrozenTrial

from bench.results import Record, many, percent, shown
from bench.tuning.commands import tune_command
from bench.tuning.objectives import LABELS
from bench.tuning.study import StudyPlan
from bench.tuning.wording import caveat, describe_limits, describe_test_crossings, describe_values


def describe_plan(plan: StudyPlan) -> list[str]:
    """A plan in sentences: stopping rule, objectives, vault, winner, storage."""
    worth = " and ".join(LABELS[objective] for objective in plan.objectives)
    fewest, steps = plan.budgets
    budget = f"{'up to ' if fewest < steps else ''}{steps:,} steps"
    stop = ", less where solved" if plan.stops_when_solved else ""
    few = plan.trials is not None and plan.trials <= plan.round
    asked = "all at once" if few else f"{plan.round:,} at a time"
    vault = 100 * plan.common["vault"]["fraction"]
    tested = f"{many(plan.fresh, 'fresh seed')}, {budget}, tested on the vault"
    each = f"{many(plan.seeds, 'seed')} and {budget} each{stop}"
    return [
        f"{describe_limits(plan.rule)} by {plan.sampler}, {asked}, {each}.",
        f"Objective: {worth}.",
        *_describe_unsolved(plan),
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
        held = "the step from which on 99 % of the validation pairs are right at every look, to the end"
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


def trial_note(plan: StudyPlan, trial: FrozenTrial, command: str) -> str:
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
