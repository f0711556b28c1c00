"""The command lines that compute the runs of a row again."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any, NamedTuple

from bench.errors import as_options, shell_words
from bench.ranking import Row, Run, rank
from bench.reports.page.settings import usual_settings
from bench.reports.pictures import picture_kinds
from bench.specs import Request, command_of, derive_seed, in_folder, options, request_of

MOST_LINES = 12
"""Command lines of a row; where it would take more, the first ones are given."""
PURPOSES = ("split", "encoder", "learner")
"""Of the seeds of a run after its first one."""
FROM_PYTHON = {"records", "watch"}
"""Arguments of `bench.rank` that are no options."""


class Limits(NamedTuple):
    """What ends a run, as in the budget of its record."""

    steps: int
    seconds: float | None
    stop_when_solved: bool


def commands_of(
    row: Row, changed: Mapping[str, Any], limits: Mapping[str, Limits], folder: str = "results"
) -> list[str]:
    """The command lines that compute the runs of a row again: one, where they are seeds 0 … n − 1.

    For runs that no request makes, as those of a study, whose vault no other command keeps aside, or of plugins that
    are not installed, a line for each run that computes it from its record.

    :param changed: the settings of the row that differ from their defaults.
    :param limits: by the ids of the runs.
    :param folder: of the records.
    """
    request = _request(row, changed)
    if request is None:
        where = [] if folder == "results" else ["--results", folder]
        lines = [shell_words("python", "-m", "bench", "rerun", run.id, *where) for run in row.runs]
        return _first(lines)
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in row.runs:
        groups.setdefault((run.fraction, limits[run.id], _fixed_seeds(run)), []).append(run)
    request |= in_folder(folder)
    made = (line for (_, limit, fixed), runs in groups.items() for line in _lines(request, runs, limit, fixed))
    return _first(list(made))


def _first(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many others there are, as a comment of the shell."""
    rest = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"# and {rest:,} more, one for each of the other runs"] if rest > 0 else [])]


def _request(row: Row, changed: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of `bench.run` for the runs of a row, without seeds and limits; None where none make them."""
    usual = usual_settings(row.encoder, row.learner, str(row.task))
    if not usual or "vault" in row.config:
        return None
    named: dict[str, Any] = {"encoder": row.encoder, "learner": row.learner}
    named |= {} if row.task == Request.task else {"task": row.task}
    named |= {} if row.optimizer == usual.get("optimizer.name") else {"optimizer": row.optimizer}
    named |= {} if row.modulus == usual["modulus"] else {"modulus": row.modulus}
    return named | request_of(changed)


def _fixed_seeds(run: Run) -> tuple[int | None, ...]:
    """The seeds of the split, the encoder and the learner where they do not follow from the run's seed."""
    seed, *given = run.seeds
    usual = (derive_seed(seed or 0, purpose) for purpose in PURPOSES)
    return tuple(None if one in (None, own) else one for one, own in zip(given, usual, strict=True))


def _lines(
    request: Mapping[str, Any], runs: Sequence[Run], limits: Limits, fixed: Sequence[int | None]
) -> Iterator[str]:
    """One line for all seeds where they are 0 … n − 1, else a line for each seed."""
    split, *states = fixed
    owned = {f"{owner}.random_state": state for owner, state in zip(PURPOSES[1:], states, strict=True)}
    settings = request["settings"] | {name: state for name, state in owned.items() if state is not None}
    asked = {**request, "settings": settings, "split_seed": split, **limits._asdict(), "steps": limits.steps or None}
    asked["train_fraction"] = runs[0].fraction  # of a row that is ranked by the fraction, the request has none
    seeds = sorted(run.seeds[0] or 0 for run in runs)
    if len(seeds) > 1 and seeds == list(range(len(seeds))):
        yield command_of({**asked, "seeds": len(seeds)})
    else:
        yield from (command_of({**asked, "seed": seed}) for seed in seeds)


def with_options(text: str) -> str:
    """A text of the ranking, whose fields the page shows as options, since it shows commands."""
    return as_options(text, _option_names())


@cache
def _option_names() -> set[str]:
    """The fields of requests, and the arguments of rankings and pictures."""
    of_pictures = {name for kind in picture_kinds().values() for name in kind.options}
    return {*options(Request), *of_pictures, *signature(rank).parameters} - FROM_PYTHON
