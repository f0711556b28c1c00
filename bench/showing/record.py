"""``bench.show``: one record, with its command and where its learner errs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench import results as stored
from bench.errors import BenchError
from bench.reports import Predictions
from bench.results import PARTS, Record, RecordSource, open_store
from bench.showing.learners import is_restorable, remade_spec
from bench.showing.predictions import predicted
from bench.specs import Spec, changed_settings, command_of, exact_request, in_folder

WORST = 3
"""So many operands and answers are named on which a learner errs most."""


class Milestone(NamedTuple):
    """When a part of the pairs reached a target.

    :param first: the first evaluation there; None where it never was.
    :param held: the step from which on it stayed so to the end; None where it did not.
    :param confirmed: whether it held for long enough to count as sustained.
    """

    part: str
    target: str
    first: int | None
    held: int | None
    confirmed: bool


class Errors(NamedTuple):
    """How many held-out pairs a learner answers wrongly.

    :param worst: the operands and answers with the largest shares of wrong pairs, each with the wrong and all pairs.
    """

    wrong: int
    pairs: int
    worst: dict[str, tuple[int, int]]


class Shown(NamedTuple):
    """One record as `bench show` shows it.

    :param changed: settings that differ from their defaults, each with its value and its default; None where a plugin
        is not installed.
    :param command: the command line that computes it; None where no request makes it.
    :param errors: None where they are not known.
    :param notes: what a reader must know, in sentences.
    """

    record: Record
    changed: dict[str, tuple[Any, Any]] | None
    milestones: list[Milestone]
    errors: Errors | None
    command: str | None
    notes: list[str]


def show(
    id: str,
    *,
    results: str | Path = "results",
    errors: bool | None = None,
    say: Callable[[str], None] | None = None,
) -> Shown:
    """One record: the settings that differ from their defaults, milestones, where its learner errs, and the command.

    :param id: the id of the record or an unambiguous beginning of it.
    :param results: the results folder.
    :param errors: whether to find out where it errs, for which the learner is restored or trained anew; None does where
        there is a checkpoint, or nothing to train.
    :param say: receives a line ahead of work that takes time.
    :raises RequestError: where the folder or the record does not exist.
    :raises StoreError: where the record cannot be read.
    """
    store = open_store(results)
    record = store.find(id)
    notes: list[str] = []
    try:
        spec = Spec.from_dict(record["spec"])
        request, changed = exact_request(spec), changed_settings(spec)
    except (BenchError, TypeError) as error:  # a plugin or a parameter that this installation does not have
        return Shown(record, None, milestones_of(record), None, None, [f"It cannot be made here: {error}"])
    found = None
    if record["final"]["step"] is None:
        notes.append("It failed: there is no learner.")
    elif errors or (errors is None and _is_quick(record, store)):
        try:
            remade_spec(record)
            found = errors_of(predicted(store, record, say))
        except BenchError as error:
            notes.append(str(error))
    if request is None:
        notes.append("No request makes it: it is of a study, which keeps pairs aside, or of other plugin versions.")
        return Shown(record, changed, milestones_of(record), found, None, notes)
    limits: dict[str, Any] = {"steps": record["budget"]["steps"] or None, "seconds": record["budget"]["seconds"]}
    limits["stop_when_solved"] = record["budget"]["stop_when_solved"]
    command = command_of({**request, **limits, **in_folder(results)})
    return Shown(record, changed, milestones_of(record), found, command, notes)


def milestones_of(record: Record) -> list[Milestone]:
    """The crossings of each part that was evaluated."""
    found = stored.crossings(record["curve"], PARTS)  # records of earlier versions lack some
    milestones = []
    for part in PARTS:
        if not any(value is not None for value in record["curve"][f"{part}_accuracy"]):  # type: ignore[literal-required]
            continue
        for target, first in found["steps_to"][part].items():
            span = found["held"][part][target]
            milestones.append(
                Milestone(part, target, first, span and span[0], span is not None and stored.confirmed(*span))
            )
    return milestones


def errors_of(p: Predictions) -> Errors:
    """How many held-out pairs are wrong, and on which operands and answers most of them are."""
    held = ~p.trained_N
    wrong = held & p.wrong
    pairs = p.operands_NK.shape[1] == 2
    groups = {
        **{f"{'a or b' if pairs else 'any'} = {n}": (p.operands_NK == n).any(1) for n in range(p.n_operands)},
        **{f"answer {n}": p.answers_N == n for n in range(p.n_classes)},
        **({"a = b": p.operands_NK[:, 0] == p.operands_NK[:, 1]} if pairs else {}),
    }
    counts = {name: (int((wrong & rows).sum()), int((held & rows).sum())) for name, rows in groups.items()}
    order = sorted((name for name, (n, _) in counts.items() if n), key=lambda name: -counts[name][0] / counts[name][1])
    return Errors(int(wrong.sum()), int(held.sum()), {name: counts[name] for name in order[:WORST]})


def _is_quick(record: Record, store: RecordSource) -> bool:
    return not record["final"]["step"] or is_restorable(store, record)
