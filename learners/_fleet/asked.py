"""What a look asks of each replica, padded to one shape."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners._base import Rows
from learners._fleet.program import Looker
from learners._fleet.step import SPARSITY_ROWS

__all__ = ["Asked", "padded"]

EXAMPLES_AT_ONCE = {"cpu": 4_096, "cuda": 1_048_576}
"""Replicas times examples of one piece of a look."""


CROWD = {"cpu": 1.0, "cuda": 0.0}
"""The share of a group that must be asked about for a look at all of it: a GPU repeats one captured graph for whoever
is left, where a CPU would rather do less."""


NOTHING = np.zeros(1, dtype=np.intp)
"""The rows of a replica that nobody asks about, in a look at its whole group."""


class Asked:
    """A question that is asked again and again: which rows of which replicas, prepared once.

    It also answers for some of its replicas.
    """

    def __init__(self, training: Any, replicas: list[int], rows: list[Rows]) -> None:
        self.training, self.replicas, self.rows = training, replicas, rows
        self.crowd = CROWD[training.device.type]
        self.found = {r: training._find(r)[0] for r in replicas}
        found = {id(group): group for group in self.found.values()}
        self.parts = []
        self.wanted = dict(zip(replicas, rows, strict=True))
        for group in found.values():
            mine = [r for r in group.ids if r in self.wanted]
            if len(mine) >= self.crowd * len(group.ids):
                mine = group.ids
            asked = [self.wanted.get(r, NOTHING) for r in mine]
            lengths = torch.tensor([len(some) for some in asked], device=training.device)
            self.parts.append((group, list(mine), self._pieces(mine, asked), lengths))
        self.lookers: dict[int, Looker] = {}
        self.order: tuple[list[int], Tensor | None] | None = None

    def covers(self, replicas: Sequence[int], rows: Sequence[Rows]) -> bool:
        """Whether the same is asked of the same groups, or of enough of their replicas."""
        asked = set(replicas)
        enough = len(replicas) >= self.crowd * len(self.replicas)
        enough = enough and not any(asked.isdisjoint(mine) for _, mine, _, _ in self.parts)
        same = enough and all(self.wanted.get(r) is some for r, some in zip(replicas, rows, strict=True))
        return same and all(self.found[r] is self.training._find(r)[0] for r in replicas)

    def _pieces(self, mine: list[int], asked: Sequence[Rows]) -> list[Tensor]:
        """Codes of the rows in pieces of equal size."""
        training = self.training
        index_RNS = padded([training.problems[r].codes.index_NS[rows] for r, rows in zip(mine, asked, strict=True)])
        longest = index_RNS.shape[1]
        rows = len(mine) * training.network.rows_per_example
        limit = max(SPARSITY_ROWS, EXAMPLES_AT_ONCE[training.device.type] // rows)
        count = max(1, math.ceil(longest / limit))
        size = max(1, math.ceil(longest / count))
        filled = np.pad(index_RNS, ((0, 0), (0, size * count - longest), (0, 0)))
        return list(torch.as_tensor(filled, device=training.device).split(size, dim=1))

    def answer(self, replicas: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (R, N, C), norms and shares (R,), in the order of these replicas."""
        longest = max(len(self.wanted[r]) for r in replicas)
        if not self.order or self.order[0] != list(replicas):
            places = {r: place for place, r in enumerate(r for _, mine, _, _ in self.parts for r in mine)}
            ordered = [places[r] for r in replicas]
            whole = ordered == list(range(len(places)))
            self.order = list(replicas), None if whole else torch.tensor(ordered, device=self.training.device)
        # Captured looks share memory: each leaves alone what was recorded before it, so that their order matters.
        looks = [self._look(number, longest) for number in range(len(self.parts))]
        scores, norm, silent = looks[0] if len(looks) == 1 else (torch.cat(parts) for parts in zip(*looks, strict=True))
        chosen = self.order[1]
        return (scores, norm, silent) if chosen is None else (scores[chosen], norm[chosen], silent[chosen])

    def _look(self, number: int, longest: int) -> tuple[Tensor, Tensor, Tensor]:
        """At one of the groups; scores of so many rows."""
        group, mine, pieces, lengths = self.parts[number]
        part = group if mine == group.ids else group.select([group.ids.index(r) for r in mine])
        if number not in self.lookers:
            training = self.training
            looks = training.setting.looks
            whole_group = part is group
            training.compiler.takers = training.takers(part)
            self.lookers[number] = Looker(training.rule, part, pieces, lengths, looks, whole_group, training.compiler)
        scores, norm, silent = self.lookers[number](part)
        missing = longest - scores.shape[1]
        return torch.nn.functional.pad(scores, (0, 0, 0, missing)) if missing > 0 else scores[:, :longest], norm, silent


def padded(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack arrays whose first axes differ; what is added is never looked at."""
    longest = max(len(a) for a in arrays)
    return np.stack([np.concatenate([a, np.zeros((longest - len(a), *a.shape[1:]), a.dtype)]) for a in arrays])
