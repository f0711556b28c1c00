"""A look at a fleet, prepared once: the rows that each replica is scored on, padded to one shape."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners._fleet.group import Group, padded
from learners._fleet.occupancy import Occupancy
from learners._fleet.update_rule import SPARSITY_ROWS
from learners._problem import Problem, Rows

EXAMPLES_AT_ONCE = {"cpu": 4_096, "cuda": 1_048_576}
"""Replicas times examples of one piece of a look."""
WHOLE_GROUP = {"cpu": 1.0, "cuda": 0.0}
"""The share of a group's replicas from which on the whole group is scored. A GPU repeats one captured graph whichever
replicas remain; a CPU scores only those that it must."""
UNUSED = np.zeros(1, dtype=np.intp)
"""The rows of a replica that is scored only because its whole group is."""

Results = tuple[Tensor, Tensor, Tensor]
Programs = Callable[[Group, list[Tensor], Tensor, bool], Callable[[Group], Results]]
"""Makes the program of a look: from a group, the pieces of codes, the number of rows of each replica, and whether the
group's tensors stay where they are."""


class PreparedLook:
    """Which rows of which replicas are scored; it also serves looks at some of these replicas.

    :param rows_per_example: rows of hidden units that one example takes.
    :param replicas: that are scored.
    :param rows: of each of them.
    """

    def __init__(
        self,
        occupancy: Occupancy,
        problems: Sequence[Problem],
        rows_per_example: int,
        replicas: list[int],
        rows: list[Rows],
    ) -> None:
        self.occupancy, self.problems, self.rows_per_example = occupancy, problems, rows_per_example
        self.replicas, self.device = replicas, occupancy.device
        self.share = WHOLE_GROUP[self.device.type]
        self.found = {r: occupancy.find(r)[0] for r in replicas}
        self.rows = dict(zip(replicas, rows, strict=True))
        self.parts = [self._part(group) for group in {id(group): group for group in self.found.values()}.values()]
        self.programs: dict[int, Callable[[Group], Results]] = {}
        self.order: tuple[list[int], Tensor | None] | None = None

    def _part(self, group: Group) -> tuple[Group, list[int], list[Tensor], Tensor]:
        """A group, its replicas that are scored, their codes in pieces, and how many rows each has."""
        mine = [r for r in group.ids if r in self.rows]
        if len(mine) >= self.share * len(group.ids):
            mine = list(group.ids)
        rows = [self.rows.get(r, UNUSED) for r in mine]
        lengths = torch.tensor([len(some) for some in rows], device=self.device)
        return group, mine, self._pieces(mine, rows), lengths

    def _pieces(self, mine: list[int], rows: Sequence[Rows]) -> list[Tensor]:
        """Codes of the rows in pieces of equal size."""
        index_RNS: NDArray[np.intp] = padded(
            [self.problems[r].codes.index_NS[some] for r, some in zip(mine, rows, strict=True)]
        )
        longest = index_RNS.shape[1]
        limit = max(SPARSITY_ROWS, EXAMPLES_AT_ONCE[self.device.type] // (len(mine) * self.rows_per_example))
        count = max(1, math.ceil(longest / limit))
        size = max(1, math.ceil(longest / count))
        filled = np.pad(index_RNS, ((0, 0), (0, size * count - longest), (0, 0)))
        return list(torch.as_tensor(filled, device=self.device).split(size, dim=1))

    def covers(self, replicas: Sequence[int], rows: Sequence[Rows]) -> bool:
        """Whether it serves these rows of these replicas: the groups are the same, and enough replicas are scored."""
        wanted = set(replicas)
        enough = len(replicas) >= self.share * len(self.replicas)
        enough = enough and not any(wanted.isdisjoint(mine) for _, mine, _, _ in self.parts)
        same = enough and all(self.rows.get(r) is some for r, some in zip(replicas, rows, strict=True))
        return same and all(self.found[r] is self.occupancy.find(r)[0] for r in replicas)

    def results(self, replicas: Sequence[int], make: Programs) -> Results:
        """Scores (R, N, C), norms and shares of silent units (R,), in the order of these replicas.

        :param make: the program of a group that has none yet.
        """
        longest = max(len(self.rows[r]) for r in replicas)
        if not self.order or self.order[0] != list(replicas):
            places = {r: place for place, r in enumerate(r for _, mine, _, _ in self.parts for r in mine)}
            ordered = [places[r] for r in replicas]
            whole = ordered == list(range(len(places)))
            self.order = list(replicas), None if whole else torch.tensor(ordered, device=self.device)
        # Captured looks share memory: each leaves alone what was recorded before it, so that their order matters.
        looks = [self._look(number, longest, make) for number in range(len(self.parts))]
        scores, norm, silent = looks[0] if len(looks) == 1 else (torch.cat(parts) for parts in zip(*looks, strict=True))
        chosen = self.order[1]
        return (scores, norm, silent) if chosen is None else (scores[chosen], norm[chosen], silent[chosen])

    def _look(self, number: int, longest: int, make: Programs) -> Results:
        """One of the groups, with scores of so many rows."""
        group, mine, pieces, lengths = self.parts[number]
        whole = mine == group.ids
        part = group if whole else group.select([group.ids.index(r) for r in mine])
        if number not in self.programs:
            self.programs[number] = make(part, pieces, lengths, whole)
        scores, norm, silent = self.programs[number](part)
        missing = longest - scores.shape[1]
        return torch.nn.functional.pad(scores, (0, 0, 0, missing)) if missing > 0 else scores[:, :longest], norm, silent
