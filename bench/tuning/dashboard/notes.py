"""What a study tunes under which rules, in words, and the command that asks for it."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bench.results.record import Record
from bench.results.words import many, percent, shown
from bench.tuning.commands import command_of
from bench.tuning.objectives import crossed_by, doubt_of, label_of

if TYPE_CHECKING:
    from bench.tuning.study import Tuning

__all__ = ["limits_of", "note_of", "note_of_trial", "rules_of", "tested_of"]


def limits_of(rule: Mapping[str, Any]) -> str:
    """What ends a search.

    >>> limits_of({"trials": 64, "compute": 1e12})
    '64 trials and 1e+12 FLOPs of training'
    """
    limits = [many(rule["trials"], "trial")] if rule["trials"] is not None else []
    limits += [f"{rule['compute']:.3g} FLOPs of training"] if rule["compute"] is not None else []
    return " and ".join(limits)


def rules_of(planned: "Tuning") -> list[str]:
    """A sentence for each rule."""
    worth = " and ".join(label_of(objective) for objective in planned.objectives)
    fewest, steps = planned.budgets
    budget = f"{'up to ' if fewest < steps else ''}{steps:,} steps"
    stop = ", less where solved" if planned.stops_when_solved else ""
    few = planned.trials is not None and planned.trials <= planned.round
    asked = "all at once" if few else f"{planned.round:,} at a time"
    vault = 100 * planned.common["vault"]["fraction"]
    tested = f"{many(planned.fresh, 'fresh seed')}, {budget}, tested on the vault"
    each = f"{many(planned.seeds, 'seed')} and {budget} each{stop}"
    return [
        f"{limits_of(planned.rule)} by {planned.sampler}, {asked}, {each}.",
        f"Objective: {worth}.",
        *_in_words(planned),
        f"The vault: {vault:g} % of the pairs, that no trial sees.",
        f"The winner: {tested if planned.fresh else 'named alone, the vault stays closed'}.",
        f"Study {planned.study!r} in {planned.storage}.",
    ]


def _in_words(planned: "Tuning") -> list[str]:
    """What steps or cost count where they are an objective."""
    steps = planned.budgets[1]
    if "steps" in planned.objectives:
        counts = (
            f"{steps:,} to {2 * steps:,} where this does not happen, by the best accuracy; {3 * steps:,} if diverged"
        )
        held = "the step from which on 99 % of the validation pairs are right at every look, to the end"
        return [f"Steps to hold 99 %: {held}, the geometric mean over seeds. It counts as {counts}."]
    if planned.objectives == ("cost",):
        return ["FLOPs to that step; where it is not reached, one to two whole budgets of them, three if diverged."]
    return []


def note_of(planned: "Tuning", best: Mapping[str, Any] | None = None, tested: str | None = None) -> str:
    """The rules in Markdown, and what came of them.

    :param best: number, params and value of the best trial, once the search is over.
    :param tested: how its fresh seeds did, once the vault is open.
    """
    drawn = {} if best is None else best["params"]
    rows = [[f"`{name}`", words, shown(drawn.get(name, ""))] for name, words in planned.space.describe().items()]
    rows += [[f"`{name}`", f"{value}, fixed", str(value)] for name, value in planned.space.fixed.items()]
    head = ["parameter", "space", "" if best is None else f"trial {best['number']}"]
    width = 2 if best is None else 3
    table = ["| " + " | ".join(row[:width]) + " |" for row in (head, ["---"] * 3, *rows)]
    rules = [f"- {rule}" for rule in [*rules_of(planned), *_outcome(planned, best), *([tested] if tested else [])]]
    return "\n".join([*rules, "", *table, "", "```", command_of(planned.asked), "```", ""])


def note_of_trial(planned: "Tuning", trial: Any, command: str) -> str:
    """What a trial is worth, in Markdown, and the command that trains its setting."""
    found, values = trial.user_attrs, zip(planned.objectives, trial.values, strict=True)
    worth = ", ".join(f"{label_of(name)} {shown(value)}" for name, value in values)
    doubt = doubt_of(planned.objectives, planned.seeds, found)
    same = f"\n\nTrial {found['same_as']} drew the same, and trained it." if "same_as" in found else ""
    judged = f"**{worth}**" if not doubt else f"**{doubt[0].upper()}{doubt[1:]}**; it counts as {worth}"
    ended = f"validation accuracy at the end {percent(found['validation_accuracy'])}"
    over = f"the mean over {many(planned.seeds, 'seed')}"
    lines = command.replace(" --", " \\\n  --")
    return f"{judged}; {ended}, {over}.{same}\n\nTo train this setting:\n\n```\n{lines}\n```\n"


def _outcome(planned: "Tuning", best: Mapping[str, Any] | None) -> list[str]:
    if best is None:
        return []
    values = best["value"] if isinstance(best["value"], list) else [best["value"]]
    worth = ", ".join(
        f"{label_of(name)} {shown(value)}" for name, value in zip(planned.objectives, values, strict=True)
    )
    doubt = f" NOTE: {best['doubt']}." if best.get("doubt") else ""
    return [f"**Trial {best['number']} is the best**: {worth}.{doubt}"]


def tested_of(cells: Sequence[Record]) -> str | None:
    """How the winner's fresh seeds did on the vault, in Markdown; None where none was tested."""
    ends = [cell["final"]["test_accuracy"] for cell in cells if cell["final"]["test_accuracy"] is not None]
    if not ends:
        return None
    mean, span = percent(fmean(ends)), f"{percent(min(ends))} to {percent(max(ends))}"
    return f"**On the vault** it ends at {mean} ({span}, n = {many(len(ends), 'fresh seed')}); {crossed_by(cells)}."
