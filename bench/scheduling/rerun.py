"""Computes a stored cell again and compares the results."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bench.errors import RequestError
from bench.executors import Job, WorkUnit, graceful, open_channel, run_job
from bench.results import Record, open_store
from bench.scheduling.devices import resolve_device
from bench.scheduling.plan import PlannedCell
from bench.scheduling.run import Display
from bench.specs import Budget, spec_of


@dataclass(frozen=True)
class Comparison:
    """A stored record and the record of the same cell computed again.

    :param same: whether curves, final values, parameters and probes are equal.
    :param difference: the largest difference between two accuracies of the same step; None if there are none.
    """

    stored: Record
    again: Record
    same: bool
    difference: float | None


def rerun(id: str, *, results: str | Path = "results", display: Display | None = None) -> Comparison:
    """Compute a stored cell again and compare the results; nothing is stored.

    :param id: the id of the record or an unambiguous beginning of it.
    :param results: the results folder, or a pack.
    :param display: shows the progress.
    :raises RequestError: if the folder or the record does not exist, if this version cannot compute it, or if a pack
        does not hold whole curves.
    :raises StoreError: if the record cannot be read.
    """
    source = open_store(results)
    source.check_curves("all", "a comparison")
    stored = source.find(id)
    if stored["final"]["step"] is None:
        raise RequestError(f"The record {stored['id']!r} failed: there is no result to compare with.")
    spec = spec_of(stored)
    budget = Budget(stored["final"]["step"])
    device = resolve_device(stored["environment"]["device"], spec)
    # Sums over another number of threads round differently.
    job = Job((WorkUnit(spec, budget),), device, stored["environment"]["threads"])
    shown = display or (lambda cells, channel: nullcontext(lambda record: None))
    cells = [PlannedCell(spec, budget, None, "run")]
    with open_channel() as channel, graceful(channel.request_stop), shown(cells, channel) as on_record:
        records = [result.record for result in run_job(job, channel)]
        for record in records:
            on_record(record)
    if not records or records[0]["status"] == "interrupted":
        raise KeyboardInterrupt
    [again] = records
    one, other = cast("dict[str, Any]", stored), cast("dict[str, Any]", again)
    measures = ("train_accuracy", "validation_accuracy", "test_accuracy")
    before, after = one["curve"], other["curve"]
    rows = {step: row for row, step in enumerate(after["step"])}
    pairs = [(before[m][i], after[m][rows[s]]) for m in measures for i, s in enumerate(before["step"]) if s in rows]
    pairs += [(one["final"][m], other["final"][m]) for m in measures]
    gaps = [abs(x - y) for x, y in pairs if x is not None and y is not None]
    probes = one["probes"].keys() & other["probes"].keys()  # records of earlier versions have fewer
    same = all(one["probes"][probe] == other["probes"][probe] for probe in probes) and all(
        one[key] == other[key] for key in ("final", "curve", "test_accuracy_diagonal", "parameters")
    )
    return Comparison(stored, again, same, max(gaps, default=None))
