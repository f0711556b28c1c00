"""A study as the page has it: what was searched, what came of it, and its pictures."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import optuna

from bench.reports.figures.study.result import outcome
from bench.reports.page.content import StudyPart
from bench.reports.page.pictures import picture_data


def study_data(part: StudyPart) -> dict[str, Any]:
    """A study for the page."""
    return {
        "name": part.study.study_name,
        "facts": study_facts(part),
        "pictures": [picture_data(picture.figure) for picture in part.pictures],
    }


def study_facts(part: StudyPart) -> list[list[str]]:
    """What was searched and what came of it: names and values of a list of definitions."""
    counts = Counter(trial.state.name.lower() for trial in part.study.get_trials(deepcopy=False))
    trials = ", ".join(f"{n:,} {state}" for state, n in counts.items())
    facts = [*_search(part.study), ["trials", trials or "none yet"]]
    return [*facts, *map(list, (outcome(part.study, part.names) or {}).items())]


def _search(study: optuna.Study) -> list[list[str]]:
    """What `tune` has stored of its plan; nothing for studies of other programs, or where it cannot be read."""
    try:
        what = json.loads(study.user_attrs["what"])
    except (KeyError, TypeError, ValueError):
        return []
    if not isinstance(what, Mapping):
        return []
    sides = (_listed(what.get(side)) for side in ("encoder", "learner", "task"))
    encoder, learner, task = (side or "?" for side in sides)
    modulus = "" if what.get("modulus") is None else f" mod {what['modulus']}"
    return [
        ["searched", f"{encoder} × {learner} on {task}{modulus}"],
        ["objective", f"{_listed(what.get('objective'))}, by {what.get('sampler')}"],
        ["seeds", f"{what.get('seeds')} of each trial"],
    ]


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
