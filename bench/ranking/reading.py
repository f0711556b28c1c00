"""Records in, runs out: those that pass the filters of a request, read one at a time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import RequestError, StoreError, one_of
from bench.ranking.question import FILTERS, Question
from bench.ranking.runs import Run, run_of
from bench.results import Record, Store, few_of, many


class Reading:
    """The runs of the records that pass all filters, and a count of the other records.

    :param wanted: by filter, the values that pass.
    """

    def __init__(self, question: Question, wanted: Mapping[str, Sequence[Any]]) -> None:
        self.question, self.wanted = question, wanted
        self.runs: list[Run] = []
        self.broken: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.present: dict[str, set[Any]] = {name: set() for name in wanted}
        self._configs: dict[str, dict[str, Any]] = {}
        self._grids: dict[bytes, NDArray[np.int64]] = {}

    def read(self, store: Store, skip_broken: bool) -> None:
        """Read the records of a folder, one at a time: thousands of them do not fit in memory."""
        for id in store.ids():
            try:
                record = store.read(id)
                if record is not None:
                    self.take(record, str(store.path(id)))
            except StoreError as error:
                if not skip_broken:
                    raise StoreError(f"{error} `skip_broken` ranks the others.") from error
                self.broken.append(id)

    def take(self, record: Record, path: str = "") -> None:
        """Keep the run of a record, if it passes all filters.

        :raises StoreError: for a record that is corrupt.
        """
        try:
            stopped_by = self._filtered(record["spec"])
            if stopped_by is None:
                self.runs.append(run_of(record, self.question, self._configs, self._grids))
            else:
                self.left_out[stopped_by] += 1
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            remedy = "Move it away, or compute it anew with `force`."
            raise StoreError(f"The record {path or record.get('id')!r} is corrupt: {why}. {remedy}") from error

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
                    raise RequestError(one_of(f"`{name}` in {where}:", str(value), map(str, self.present[name])))
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
        return [ranked, f"Broken records, left out: {few_of(self.broken)}."]
