"""Shards: parts of a grid that machines without a connection sweep, each into a results folder of its own."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.errors import RequestError
from bench.scheduling.fleets import FLEET
from bench.scheduling.plan import Group


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """The number of a shard, counted from 0, and the number of shards.

    >>> parse_shard("2/24")
    (1, 24)

    :raises RequestError: if it is no such pair.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text) if isinstance(text, str) else None
    number, of = (int(part) for part in found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise RequestError(f"`shard` must be K/N with 1 ≤ K ≤ N, as 2/24, got {text!r}.")
    return number - 1, of


def in_shard(shard: tuple[int, int], group: NDArray[np.int64], groups: Sequence[Group]) -> NDArray[np.bool_]:
    """Which cells of a whole grid are of a shard: those of every N-th job, as jobs are on a CPU.

    The jobs are counted over all cells, done or not, and do not depend on the machine, so that the shards of several
    machines are disjoint and complete.

    :param group: of each cell.
    """
    kept, before = np.zeros(len(group), dtype=bool), 0
    for number, one in enumerate(groups):
        cells = np.flatnonzero(group == number)
        jobs = before + np.arange(len(cells)) // (min(one.size, FLEET["cpu"]) if one.fleet else one.size)
        kept[cells] = jobs % shard[1] == shard[0]
        before = jobs[-1] + 1 if len(jobs) else before
    return kept
