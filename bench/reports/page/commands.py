"""The command lines that compute the runs of a row again."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.errors import BenchError
from bench.ranking import Run
from bench.specs import Spec, command_of, derive_seed, exact_request

MOST_LINES = 12
"""Command lines of a row; where it would take more, the first ones are given."""


class Limits(NamedTuple):
    """What ends a run, as in the budget of its record."""

    steps: int
    seconds: float | None
    stop_when_solved: bool


def commands_of(runs: Sequence[Run], limits: Mapping[str, Limits]) -> list[str]:
    """The command lines that compute the runs of one config again: one, where they are seeds 0 … n − 1.

    :param limits: by the ids of the runs.
    """
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.fraction, limits[run.id], _fixed_seeds(run)), []).append(run)
    return [line for some in groups.values() for line in _lines(some, limits[some[0].id])][:MOST_LINES]


def _fixed_seeds(run: Run) -> tuple[int | None, ...]:
    """The seeds of the split, the encoder and the learner where they do not follow from the run's seed."""
    seed, *given = run.seeds
    usual = (derive_seed(seed or 0, purpose) for purpose in ("split", "encoder", "learner"))
    return tuple(None if one in (None, own) else one for one, own in zip(given, usual, strict=True))


def _lines(runs: Sequence[Run], limits: Limits) -> list[str]:
    request = _request(runs[0])
    if request is None:  # of a study, whose vault no other command keeps aside, or of plugins that are not here
        return [f"python -m bench rerun {run.id}" for run in runs]
    del request["seed"]
    more = {"steps": limits.steps or None, "seconds": limits.seconds, "stop_when_solved": limits.stop_when_solved}
    seeds = sorted(run.seeds[0] or 0 for run in runs)
    if len(seeds) > 1 and seeds == list(range(len(seeds))):
        return [command_of({**request, **more, "seeds": len(seeds)})]
    return [command_of({**request, **more, "seed": seed}) for seed in seeds]


def _request(run: Run) -> dict[str, Any] | None:
    """The arguments of `bench.run` that make the spec of a run; None where none do."""
    seed, split_seed, encoder_state, learner_state = run.seeds
    values = {**run.config, "train_fraction": run.fraction, "seed": seed, "split_seed": split_seed}
    for owner, state in (("encoder", encoder_state), ("learner", learner_state)):
        values[owner] = values[owner] if state is None else {**values[owner], "random_state": state}
    try:
        return exact_request(Spec.from_dict(values))
    except (BenchError, TypeError):
        return None
