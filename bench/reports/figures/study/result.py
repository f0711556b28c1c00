"""The best trial of a study and its result on the vault, in words."""

import json
from collections.abc import Sequence

import optuna

from bench.reports.figures._elements import Figure, figure
from bench.reports.figures._text import escaped
from bench.reports.figures.study._common import GRID, best_first, complete, is_timed, reached
from bench.results import shown

ID = "a-result"


def draw(study: optuna.Study, names: Sequence[str], curve: str) -> Figure | None:
    """A table of the best trial, its setting and its result on pairs that no trial saw; None before a trial is over."""
    rows = outcome(study, names)
    if rows is None:
        return None
    texts = ["<br>".join(map(escaped, text.split("\n"))) for text in rows.values()]
    cells = {
        "align": "left",
        "font": {"size": 13},
        "height": 24,
        "fill": {"color": "white"},
        "line": {"color": GRID},
        "values": [[f"<b>{name}</b>" for name in rows], texts],
    }
    table = {"type": "table", "columnwidth": [1, 4], "cells": cells, "header": {"height": 0, "values": ["", ""]}}
    below = "trials are judged by validation pairs, fresh seeds are tested on pairs that no trial saw"
    return figure("What came of it", [below], [table], showlegend=False)


def outcome(study: optuna.Study, names: Sequence[str]) -> dict[str, str] | None:
    """The best trial, its setting and its result on pairs that no trial saw, in lines of plain text."""
    trials = complete(study.get_trials(deepcopy=False))
    if not trials or "what" not in study.user_attrs:
        return None
    chosen = study.user_attrs.get("winner")
    best = (study.best_trials if len(names) > 1 else best_first(study, trials))[0]
    best = best if chosen is None else study.get_trials(deepcopy=False)[chosen]
    judged = ", ".join(f"{name} {shown(value)}" for name, value in zip(names, best.values, strict=True))
    worth = judged if len(names) > 1 or not is_timed(study) or reached(best) else _not_held(study, names[0], best)
    unconfirmed = best.user_attrs.get("unconfirmed", 0)
    doubt = f"\nNOTE: {unconfirmed} of its seeds held 99 %, but not yet to 1.5 times that step" if unconfirmed else ""
    return {
        "best trial": f"trial {best.number} of {len(trials)}: {worth}{doubt}",
        "its setting": "\n".join(f"{name} = {shown(value)}" for name, value in best.params.items()) or "all is fixed",
        "fresh seeds": _unbold(study.user_attrs.get("tested", "not trained yet: the vault is closed")),
    }


def _not_held(study: optuna.Study, name: str, best: optuna.trial.FrozenTrial) -> str:
    """As "99 % not held; counts as 1,000 steps"."""
    alone = json.loads(study.user_attrs["what"]).get("seeds") == 1
    unit = name.partition(" ")[0]
    return f"99 % not held{'' if alone else ' by every seed'}; counts as {shown(best.values[0])} {unit}"


def _unbold(text: str) -> str:
    """Markdown without bold type, a line for each clause."""
    return text.replace("**", "").replace("; ", ";\n").replace(" (", "\n(")
