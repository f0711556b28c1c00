"""What a reader should know of the records behind a ranking."""

from collections.abc import Iterable, Sequence

from bench.errors import BenchError
from bench.ranking.reading import Run, grouped
from bench.results.words import few_of, many

__all__ = ["each_once", "on_fewer_splits"]


def each_once(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Runs without those of plugins that have a newer version, where the same spec is stored twice, and without those
    that differ in a seed from which nothing is drawn: of equal draws the longest run counts.
    """
    kept, dropped = [], []
    for twins in grouped(runs, lambda run: (run.block, run.key, run.fraction, run.seeds)):
        current = next((run for run in twins if len(twins) > 1 and run.id == _id_now(run)), twins[0])
        kept.append(current)
        dropped += [run.id for run in twins if run is not current]
    notes = [f"Specs stored twice, by two versions of a plugin: the newer counts, left out {few_of(dropped)}."]
    notes = notes if dropped else []
    drawn = [
        max(same, key=_reach) for same in grouped(kept, lambda run: (run.block, run.key, run.fraction, run.seeds[1:]))
    ]
    if len(drawn) < len(kept):
        ids = {run.id for run in drawn}
        left = few_of([run.id for run in kept if run.id not in ids])
        notes.append(f"Seeds from which nothing is drawn, since all that they seed is fixed: left out {left}.")
    return drawn, notes


def _reach(run: Run) -> tuple[bool, int]:
    """Whole runs before others, then by the steps."""
    return run.status in ("done", "diverged"), -1 if run.last is None else run.last


def on_fewer_splits(rows: Iterable[Sequence[Run]]) -> list[str]:
    """What is to be known of rows whose runs share splits, as they do where a seed was set alone."""
    counted = [(runs[0].label, len(runs), len({(run.fraction, run.seeds[1]) for run in runs})) for runs in rows]
    shared = [f"{label}: {many(n, 'run')} on {many(splits, 'split')}" for label, n, splits in counted if splits < n]
    shared = list(dict.fromkeys(shared))
    if not shared:
        return []
    return [f"Runs that share splits, so that intervals do not speak of others: {few_of(shared, '; ')}."]


def _id_now(run: Run) -> str | None:
    """The id that the run's spec has with the plugins that are installed; None where they are not."""
    from bench.specs.spec import Spec

    seed, split_seed, encoder_state, learner_state = run.seeds
    values = {**run.config, "train_fraction": run.fraction, "seed": seed, "split_seed": split_seed}
    for owner, state in (("encoder", encoder_state), ("learner", learner_state)):
        values[owner] = values[owner] if state is None else {**values[owner], "random_state": state}
    try:
        return Spec.from_dict(values).id
    except (BenchError, TypeError):
        return None
