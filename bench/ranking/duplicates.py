"""Runs that are not independent: of runs that draw the same, one counts; runs that share a split are named."""

from collections.abc import Iterable, Sequence

from bench.errors import BenchError
from bench.ranking.runs import Run, grouped
from bench.results import few_of, many


def without_duplicates(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """One run of each spec and of each set of seeds that are drawn from, and notes on those that are left out.

    A spec that is stored twice was run by two versions of a plugin: the version that is installed counts. Where runs
    differ in a seed alone from which nothing is drawn, the longest one counts.
    """
    notes = []
    current = [
        _of_this_version(same) for same in grouped(runs, lambda run: (run.block, run.key, run.fraction, run.seeds))
    ]
    if len(current) < len(runs):
        left = _left_out(runs, current)
        notes.append(f"Specs stored twice, by two versions of a plugin: the newer counts, left out {left}.")
    draws = grouped(current, lambda run: (run.block, run.key, run.fraction, run.seeds[1:]))
    kept = [max(same, key=_completeness) for same in draws]
    if len(kept) < len(current):
        left = _left_out(current, kept)
        notes.append(f"Seeds from which nothing is drawn, since all that they seed is fixed: left out {left}.")
    return kept, notes


def _left_out(runs: Sequence[Run], kept: Sequence[Run]) -> str:
    ids = {id(run) for run in kept}
    return few_of([run.id for run in runs if id(run) not in ids])


def _completeness(run: Run) -> tuple[bool, int]:
    """Whole runs before others, then by the steps."""
    return run.status in ("done", "diverged"), -1 if run.last is None else run.last


def _of_this_version(runs: Sequence[Run]) -> Run:
    """Of runs of one spec the one that was made by the plugins that are installed; the first where none was."""
    return next((run for run in runs if len(runs) > 1 and run.id == _id_now(run)), runs[0])


def _id_now(run: Run) -> str | None:
    """The id that the run's spec has with the plugins that are installed; None where one is not installed."""
    from bench.specs import Spec

    seed, split_seed, encoder_state, learner_state = run.seeds
    values = {**run.config, "train_fraction": run.fraction, "seed": seed, "split_seed": split_seed}
    for owner, state in (("encoder", encoder_state), ("learner", learner_state)):
        values[owner] = values[owner] if state is None else {**values[owner], "random_state": state}
    try:
        return Spec.from_dict(values).id
    except (BenchError, TypeError):
        return None


def note_shared_splits(rows: Iterable[Sequence[Run]]) -> list[str]:
    """A note on rows whose runs share splits, as they do where another seed was set alone."""
    counted = [(runs[0].label, len(runs), len({(run.fraction, run.seeds[1]) for run in runs})) for runs in rows]
    shared = [f"{label}: {many(n, 'run')} on {many(splits, 'split')}" for label, n, splits in counted if splits < n]
    if not shared:
        return []
    names = few_of(list(dict.fromkeys(shared)), "; ")
    return [f"Runs that share splits, so that intervals do not speak of others: {names}."]
