"""Records in, runs out: those that pass the filters of a request, read one at a time.

Runs that are not independent are told apart afterwards: of runs that draw the same, one counts; those that share a
split are named.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, DamagedError, RequestError, StoreError, doctor_command, one_of
from bench.ranking.question import FILTERS, Question
from bench.ranking.runs import Run, grouped, run_of
from bench.results import Record, RecordSource, few_of, many, told_of_faults, upgraded
from bench.specs import Spec


class Reading:
    """The runs of the records that pass all filters, and a count of the other records.

    :param wanted: by filter, the values that pass.
    :param watch: receives each record whose run is kept.
    """

    def __init__(
        self,
        question: Question,
        wanted: Mapping[str, Sequence[Any]],
        watch: Callable[[Record], None] | None = None,
    ) -> None:
        self.question, self.wanted, self.watch = question, wanted, watch or (lambda record: None)
        self.runs: list[Run] = []
        self.broken: list[str] = []
        self.remedies: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.present: dict[str, set[Any]] = {name: set() for name in wanted}
        self._configs: dict[str, dict[str, Any]] = {}
        self._grids: dict[bytes, NDArray[np.int64]] = {}

    def read(self, source: RecordSource, skip_broken: bool) -> None:
        """Read the records of a folder or a pack, one at a time: thousands of them do not fit in memory.

        :raises StoreError: where some cannot be read and are not skipped; it names them.
        """
        faults = []
        for id in source.ids():
            try:
                record = source.read(id)
                if record is not None:
                    self.take(record, str(source.path(id)))
            except StoreError as error:
                self.broken.append(id)
                faults.append(error)
        if faults and not skip_broken:
            raise StoreError(f"{told_of_faults(faults)} `skip_broken` ranks the others.") from faults[0]
        self.remedies = [doctor_command(source.location)] if any(isinstance(e, DamagedError) for e in faults) else []

    def take(self, record: Record, path: str = "") -> None:
        """Keep the run of a record, if it passes all filters.

        :raises StoreError: for a record that is damaged.
        """
        try:
            record = upgraded(record)
            stopped_by = self._filtered(record["spec"])
            if stopped_by is None:
                run = run_of(record, self.question, self._configs, self._grids)
                self.watch(record)
                self.runs.append(run)
            else:
                self.left_out[stopped_by] += 1
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            remedy = "Move it away, or compute it anew with `force`."
            raise StoreError(f"The record {path or record.get('id')!r} is damaged: {why}. {remedy}") from error

    def _filtered(self, spec: Mapping[str, Any]) -> str | None:
        """The name of the first filter that a spec does not pass; None where it passes all."""
        values = {name: FILTERS[name](spec) for name in self.wanted}
        for name, value in values.items():
            self.present[name].add(value)
        return next((name for name, value in values.items() if value not in self.wanted[name]), None)

    def check(self, where: str) -> None:
        """Raise RequestError where there is nothing to rank, or a filter asks for what no record has."""
        if not self.runs and not self.left_out and not self.broken:
            raise RequestError(f"There are no records in {where}: python -m bench run makes some.")
        for name, wanted in self.wanted.items():
            for value in wanted:
                if value not in self.present[name]:
                    known = [str(one) for one in self.present[name] if one is not None]
                    raise RequestError(one_of(f"`{name}` in {where}:", str(value), known))
        if not self.runs:
            raise RequestError(f"No record in {where} is left: {self._causes()}.")

    def _causes(self) -> str:
        causes = [f"{n:,} left out by `{name}`" for name, n in self.left_out.items()]
        return ", ".join([*causes, *([f"{len(self.broken):,} broken"] if self.broken else [])])

    def notes(self, n_rows: int, n_others: int) -> list[str]:
        """How many records are ranked, and why others are not."""
        causes = self._causes()
        others = f"; {many(n_others, 'row')} left out by `parameters`" if n_others else ""
        ranked = f"{many(len(self.runs), 'record')} in {many(n_rows, 'row')}{others}{f'; {causes}' if causes else ''}."
        if not self.broken:
            return [ranked]
        remedies = [f"{command} sets aside those that are damaged." for command in self.remedies]
        return [ranked, " ".join([f"Broken records, left out: {few_of(self.broken)}.", *remedies])]


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
        notes.append(
            f"Specs stored twice, by two versions of a plugin or of records: the newer counts, left out {left}."
        )
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
