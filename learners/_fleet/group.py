"""Replicas that advance together: their tensors, one row each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Tensors = dict[str, torch.Tensor]

SHARED = "shared_table"
"""The name of the only tensor without a replica axis: the table of codes, where all replicas have the same."""


@dataclass
class Group:
    """Replicas that advance together, one row each.

    :param ids: the replica of each row.
    :param steps: updates done, on the host.
    :param tensors: by kind, each with the replica axis in front: ``params`` that are trained, ``frozen`` weights, the
        ``state`` of the transformation, ``hyper`` parameters (R,), ``data`` (table (U, F) or (R, U, F), training
        index (R, N, S) and answers (R, N); where needed weights of padded rows (R, B) and of training rows (R, N)), and
        ``clock`` (seed, step and alive, (R,)).
    :param program: one step of the group, once it is made.
    """

    ids: list[int]
    steps: NDArray[np.int64]
    tensors: dict[str, Tensors]
    program: Any = None

    @property
    def params(self) -> Tensors:
        """Weights that are trained."""
        return self.tensors["params"]

    @property
    def frozen(self) -> Tensors:
        """Weights that are not."""
        return self.tensors["frozen"]

    @property
    def state(self) -> Tensors:
        """The state of the transformation."""
        return self.tensors["state"]

    @property
    def clock(self) -> Tensors:
        """Seed, updates done, and whether the replica advances."""
        return self.tensors["clock"]

    @classmethod
    def join(cls, groups: "Sequence[Group]") -> "Group":
        """One group of the rows of several."""
        first = groups[0].tensors
        tensors = {
            kind: {n: x if n == SHARED else torch.cat([g.tensors[kind][n] for g in groups]) for n, x in own.items()}
            for kind, own in first.items()
        }
        return cls([r for g in groups for r in g.ids], np.concatenate([g.steps for g in groups]), tensors)

    def swap(self, rows: Sequence[int], other: "Group", others: Sequence[int]) -> None:
        """Exchange rows with as many of another group, in place, so that captured graphs stay valid.

        :param rows: of this group, each once.
        :param other: one of the same shapes.
        :param others: its rows, each once.
        """
        if not rows:
            return
        own, its = (torch.as_tensor(list(some), device=self.clock["step"].device) for some in (rows, others))
        for kind, tensors in self.tensors.items():
            for name, x in tensors.items():
                if name != SHARED:
                    y = other.tensors[kind][name]
                    x[own], y[its] = y[its], x[own]
        for row, place in zip(rows, others, strict=True):
            self.ids[row], other.ids[place] = other.ids[place], self.ids[row]
        mine, theirs = list(rows), list(others)
        self.steps[mine], other.steps[theirs] = other.steps[theirs], self.steps[mine]
        for group in (self, other):
            if group.program is not None:
                group.program.feed.forget()

    def select(self, rows: Sequence[int]) -> "Group":
        """A group of some of the rows, with tensors of its own."""
        index = torch.as_tensor(list(rows), device=self.clock["step"].device)
        tensors = {
            kind: {name: x if name == SHARED else x[index] for name, x in own.items()}
            for kind, own in self.tensors.items()
        }
        return Group([self.ids[r] for r in rows], self.steps[list(rows)], tensors)


def padded(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack arrays whose first axes differ in length; shorter ones are padded with zeros."""
    longest = max(len(a) for a in arrays)
    return np.stack([np.concatenate([a, np.zeros((longest - len(a), *a.shape[1:]), a.dtype)]) for a in arrays])
