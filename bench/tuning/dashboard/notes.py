"""What a study tunes under which rules, in words, and the command that asks for it."""

import shlex
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bench.cli._progress.run import percent
from bench.ranking.reading import many
from bench.results.store import Record
from bench.specs import registry
from bench.specs.resolve import Spec, family, parameters
from bench.tuning.objectives import crossed_by, doubt_of, label_of, shown
from bench.tuning.space.space import Range
from bench.tuning.storage.open import shown_url

if TYPE_CHECKING:
    from bench.tuning.tune import Tuning

__all__ = [
    "command_of",
    "limits_of",
    "note_of",
    "note_of_trial",
    "rules_of",
    "run_command",
    "tested_of",
]


def command_of(asked: Mapping[str, Any]) -> str:
    """The command line of a request.

    :param asked: arguments of `bench.tune`.

    >>> command_of({"encoder": ["onehot", "cycle"], "learner": "ridge", "fix": {"learner.alpha": 1.0}, "trials": 8})
    'python -m bench tune --encoder onehot,cycle --learner ridge --fix learner.alpha=1.0 --trials 8'
    """
    words = ["python", "-m", "bench", "tune"]
    for name, value in asked.items():
        option = "--round" if name == "at_once" else f"--{name.replace('_', '-')}"
        if isinstance(value, Mapping):
            for key, one in value.items():
                words += [option, f"{key}={_text(one)}"]
        else:
            words += [option, shown_url(value) if name == "storage" else _text(value)]
    return shlex.join(words)


def _text(value: Any) -> str:
    if isinstance(value, Range):
        return f"{value.low}..{value.high}{':log' if value.log else ''}"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def run_command(spec: Spec, limits: Mapping[str, Any], seeds: int, results: str) -> str:
    """The command line of `bench run` that trains a setting; it names all that is not a default.

    :param limits: steps, epochs and seconds of a cell, None where there is none.
    """
    words = ["python", "-m", "bench", "run", "--encoder", spec.encoder["name"], "--learner", spec.learner["name"]]
    for kind, maker in (("encoder", registry.encoder), ("learner", registry.learner)):
        chosen = getattr(spec, kind)
        for name, default in parameters(maker(chosen["name"])).items():
            if name in chosen and name != "random_state" and _plain(chosen[name]) != _plain(default):
                words += ["--set", f"{kind}.{name}={_setting(chosen[name])}"]
    plain = family(encoder=spec.encoder["name"], learner=spec.learner["name"], task=spec.task).first
    options = {
        "combine": (spec.combine, plain.combine),
        "sdr": (spec.sdr or "off", plain.sdr or "off"),
        "task": (spec.task, "add"),
        "modulus": (spec.modulus, plain.modulus),
        "pairs": (spec.protocol, plain.protocol),
        "train-fraction": (spec.train_fraction, plain.train_fraction),
        "precision": (spec.precision, plain.precision),
        **{name: (limit, None) for name, limit in limits.items()},
        "results": (results, "results"),
    }
    for name, (value, default) in options.items():
        words += [] if value == default else [f"--{name}", str(value)]
    return shlex.join([*words, "--seeds", str(seeds)])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _setting(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, list | tuple):
        return repr(tuple(value)).replace(" ", "")
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


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
