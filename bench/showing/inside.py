"""What happens inside the learner of a stored record."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.errors import RequestError
from bench.reports import Grid, Inside, Look, Part, grid_of, look_inside
from bench.results import open_store
from bench.showing.learners import remade
from bench.specs import Cell
from learners import Learner

SLOTS = 2


def inside_of(
    id: str,
    *,
    results: str | Path = "results",
    along: bool = False,
    say: Callable[[str], None] | None = None,
) -> Inside:
    """The spectra of a record's learner, and its losses with and without key frequencies.

    :param id: the id of the record or an unambiguous beginning of it.
    :param along: at steps along its training, too.
    :param say: receives a line that says what is done, and how long it took before, ahead of the work.
    :raises RequestError: where the folder or the record does not exist, the run failed or diverged, this version cannot
        make it, or its task has no spectrum.
    :raises StoreError: where the record cannot be read.
    """
    source = open_store(results)
    with remade(source, source.find(id), say, along, lambda cell: grid_of(cell.task)) as found:
        cell = found.cell
        grid = grid_of(cell.task)
        # Weights are small beside scores, and the end decides which frequencies are looked at.
        learners = [(step, copy.deepcopy(learner)) for step, learner in found.learners]
        looks = (_look(cell, grid, step, learner) for step, learner in [learners[-1], *learners[:-1]])
        held_out = np.concatenate([cell.split.validation, cell.split.test])
        parts = _part(cell, grid, cell.split.train), _part(cell, grid, held_out)
        told = tuple(line for line in (grid.told, found.how) if line)
        return look_inside(found.title, grid, looks, *parts, cell.learner.losses, told)


def _look(cell: Cell, grid: Grid, step: int, learner: Learner) -> Look:
    codes = cell.encoder.codes(grid.pairs())
    scores_NC = learner.scores(codes)
    if not np.isfinite(scores_NC).all():
        raise RequestError(f"The run {cell.spec.id!r} diverged: its scores at step {step:,} are not finite.")
    embedded_SUD = learner.embed(codes) if codes.n_slots == SLOTS else None
    if embedded_SUD is None:
        return Look(step, scores_NC, None)
    A = len(grid.operands_A)
    first = [codes.index_NS[::A, 0], codes.index_NS[:A, 1]]  # the codes of each operand in either slot
    return Look(step, scores_NC, np.stack([embedded_SUD[slot][own] for slot, own in enumerate(first)]))


def _part(cell: Cell, grid: Grid, rows: np.ndarray) -> Part:
    """Those of these pairs that are in the grid, with training answers as the learner was given them."""
    places = grid.places(cell.task.operands_NK[rows])
    return Part(places[places >= 0], cell.answers_N[rows][places >= 0])
