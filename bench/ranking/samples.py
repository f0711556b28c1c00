"""The runs of a few records as one sample, whatever settings they have: what a claim compares with another one."""

from collections.abc import Iterable

from bench.ranking.question import Question
from bench.ranking.reading import Reading, without_duplicates
from bench.ranking.rows import ScoredRow, scored_rows
from bench.results import Record


def sample_of(records: Iterable[Record], question: Question) -> ScoredRow:
    """All of these records as one row, read up to the smallest budget of them.

    :raises RequestError: where there is none.
    :raises StoreError: for a record that is damaged.
    """
    reading = Reading(question, {})
    for record in records:
        reading.take(record)
    reading.check("these records")
    runs, _ = without_duplicates(reading.runs)
    [row] = scored_rows([runs], question)
    return row
