"""What a study tunes under which rules, in words, and the command that asks for it."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.runs import many
from bench.spaces import Range
from bench.storage import shown_url
from bench.tuning import label_of

if TYPE_CHECKING:
    from bench.tunes import Tuning

__all__ = ["command_of", "limits_of", "note_of", "rules_of"]


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
        f"The vault: {vault:g} % of the pairs, that no trial sees.",
        f"The winner: {tested if planned.fresh else 'named alone, the vault stays closed'}.",
        f"Study {planned.study!r} in {planned.storage}.",
    ]


def note_of(planned: "Tuning") -> str:
    """The rules in Markdown."""
    space = [f"| `{name}` | {words} |" for name, words in planned.space.describe().items()]
    fixed = [f"| `{name}` | {value}, fixed |" for name, value in planned.space.fixed.items()]
    table = ["| parameter | space |", "|---|---|", *space, *fixed]
    rules = [f"- {rule}" for rule in rules_of(planned)]
    return "\n".join([*rules, "", *table, "", "```", command_of(planned.asked), "```", ""])
