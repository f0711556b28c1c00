"""Run a stored cell again and compare."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from bench.errors import RequestError
from bench.executors import Job, Unit, board, graceful, run_job
from bench.harness import Probes
from bench.results import Record, Store
from bench.scheduling.devices import prepared_device
from bench.scheduling.plan import Step
from bench.scheduling.run import Display
from bench.specs import Budget, Spec


@dataclass(frozen=True)
class Comparison:
    """A stored record beside the same cell computed anew.

    :param same: whether the curves agree in every number.
    :param difference: the largest difference of an accuracy on the curve, None where the curves differ in length.
    """

    stored: Record
    again: Record
    same: bool
    difference: float | None


def rerun(id: str, *, results: str | Path = "results", display: Display | None = None) -> Comparison:
    """Compute a stored cell anew, keep nothing, and compare: does it come out the same?

    :param id: the record's id or an unambiguous beginning of it.
    :raises RequestError: where there is no such folder or record, or where it cannot be computed by this version.
    :raises StoreError: where the record cannot be read.
    """
    stored = Store(results).find(id)
    if stored["final"]["step"] is None:
        raise RequestError(f"The record {stored['id']!r} failed: there is no result to compare with.")
    spec = Spec.from_dict(stored["spec"])
    if spec.id != stored["id"]:
        raise RequestError(f"The record {stored['id']!r} was made by other versions of its plugins: {spec.versions}.")
    budget = Budget(stored["final"]["step"])
    device = prepared_device(stored["environment"]["device"], spec)
    # As many threads as then: sums of more or fewer round differently.
    job = Job((Unit(spec, budget),), device, stored["environment"]["threads"])
    shown = display or (lambda steps, on: nullcontext(lambda record: None))
    with board() as on, graceful(on.stop), shown([Step(spec, budget, None, "run")], on) as finished:
        records = [result.record for result in run_job(job, on)]
        for record in records:
            finished(record)
    if not records or records[0]["status"] == "interrupted":
        raise KeyboardInterrupt
    [again] = records
    one, other = cast("dict[str, Any]", stored), cast("dict[str, Any]", again)
    measures = ("train_accuracy", "validation_accuracy", "test_accuracy")
    before, after = one["curve"], other["curve"]
    shared = [step for step in before["step"] if step in set(after["step"])]
    rows = [(before["step"].index(step), after["step"].index(step)) for step in shared]
    pairs = [(before[m][i], after[m][j]) for m in measures for i, j in rows]
    pairs += [(one["final"][m], other["final"][m]) for m in measures]
    gaps = [abs(x - y) for x, y in pairs if x is not None and y is not None]
    compared = ("final", "curve", "test_accuracy_diagonal", "parameters")
    same = all(one[key] == other[key] for key in compared) and _agree(one["probes"], other["probes"])
    return Comparison(stored, again, same, float(np.max(gaps)) if gaps else None)


def _agree(some: Probes, others: Probes) -> bool:
    """Whether two records' probes are equal, as far as both have them: earlier versions knew fewer."""
    return all(some[name] == others[name] for name in some.keys() & others.keys())
