"""Which replicas are in which group: a fleet is divided, its groups are halved, compacted, and filled up again."""

from collections.abc import Callable
from typing import Any

import torch

from learners._fleet.group import Group

DIVISIONS = {"cpu": (), "cuda": (4, 3, 2)}
"""Numbers of equal groups that a fleet may be divided into if its replicas stop at different times; the first that fits
is taken. Equal groups share one program and run in turn, and the remaining replicas move into as few as hold them."""
FILLING = 25_000_000
"""Weights of a group that keep a GPU nearly as busy as several such groups at once would: 64 of the default transformer
(27 million) make 0.93 times as many steps a second as 256 on an H100, and 0.87 times on an H200 (bfloat16)."""
SMALL = {"cpu": 1, "cuda": 4}
"""Groups of at most so many replicas are not compacted: half as many would take about as long."""


def divisions(replicas: int, weights: int, kind: str) -> int:
    """Into how many groups a fleet is divided whose replicas stop at different times.

    :param weights: trainable numbers of one replica.
    :param kind: of the device.
    """
    fitting = (n for n in DIVISIONS[kind] if replicas % n == 0 and replicas // n * weights >= FILLING)
    return next(fitting, 1)


class Occupancy:
    """The groups of a fleet.

    :param everyone: a group of all replicas.
    :param count: equal groups to divide it into.
    :ivar groups: groups that can advance.
    :ivar left: the group of each replica that stopped and left; it may be an old group that others left, too.
    :ivar prepared: what was prepared for a look at the groups as they are; dropped before they change.
    """

    def __init__(self, everyone: Group, count: int) -> None:
        self.count, self.size = count, len(everyone.ids) // count
        self.device = everyone.clock["step"].device
        self.groups = _divided(everyone, count)
        self.left: dict[int, Group] = {}
        self.prepared: Any = None

    @property
    def divided(self) -> bool:
        """Whether there are several groups, or were, and all are equal parts of the fleet."""
        return self.count > 1 and all(len(group.ids) == self.size for group in self.groups)

    def sharers(self, group: Group) -> int:
        """How many groups run the programs of this one."""
        return self.count if len(group.ids) == self.size else 1

    def find(self, replica: int) -> tuple[Group, int]:
        """The group of a replica, and its row there."""
        for group in (*self.groups, *([self.left[replica]] if replica in self.left else [])):
            if replica in group.ids:
                return group, group.ids.index(replica)
        raise AssertionError(replica)

    def largest(self, replica: int) -> Group:
        """The largest group that can advance; where there is none, that of a replica."""
        return max(self.groups, key=lambda group: len(group.ids), default=self.find(replica)[0])

    def arrange(self, wanted: set[int], worth_it: Callable[[Group, list[int], int], bool]) -> None:
        """Let replicas that stopped leave, where that saves time, and bring back those that go on.

        :param wanted: replicas that advance next.
        :param worth_it: whether a group should shrink to some of its rows, padded to a size.
        """
        divided = self.divided
        if divided:
            self._gather(wanted)
        if not divided or len(self.groups) == 1:  # beside equal groups a smaller one would prevent moves
            self.groups = [g for group in self.groups for g in self._compacted(group, wanted, worth_it)]
        old = {r: self.left.pop(r) for r in sorted(wanted & self.left.keys())}
        back = [group.select([group.ids.index(r)]) for r, group in old.items()]
        if back:  # replicas that were further wait here until the others have caught up
            self.groups += _divided(Group.join(back), len(back) // self.size if len(back) % self.size == 0 else 1)
            self.prepared = None

    def halve(self, group: Group) -> list[Group]:
        """Two groups of half the rows: they take less memory at a time and have the same trajectories."""
        group.program = self.prepared = None
        middle = len(group.ids) // 2
        halves = [group.select(range(middle)), group.select(range(middle, len(group.ids)))]
        self.groups = [g for g in self.groups if g is not group] + halves
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return halves

    def _compacted(
        self, group: Group, wanted: set[int], worth_it: Callable[[Group, list[int], int], bool]
    ) -> list[Group]:
        """The group, or a smaller one once at most half of its rows are wanted. Sizes are powers of two, so that few
        programs are needed.
        """
        staying = [row for row, r in enumerate(group.ids) if r in wanted]
        size = 1 << max(0, len(staying) - 1).bit_length()
        small = len(group.ids) <= SMALL[self.device.type] and staying
        if small or len(staying) == len(group.ids) or size > len(group.ids) // 2:
            return [group]
        if staying and not worth_it(group, staying, size):
            return [group]
        padding = [row for row in range(len(group.ids)) if row not in set(staying)]
        kept = sorted(staying + padding[: size - len(staying)]) if staying else []
        for row in set(range(len(group.ids))) - set(kept):
            self.left[group.ids[row]] = group.select([row])
        self.prepared = None  # it would keep the larger group in memory beside the new one
        return [group.select(kept)] if kept else []

    def _gather(self, wanted: set[int]) -> None:
        """Move the wanted replicas into as few of the equal groups as hold them, by exchange with stopped ones."""
        while len(self.groups) > 1:
            staying = {id(g): [row for row, r in enumerate(g.ids) if r in wanted] for g in self.groups}
            source, *others = sorted(self.groups, key=lambda g: len(staying[id(g)]))
            level = len({int(g.steps[row]) for g in self.groups for row in staying[id(g)]}) <= 1
            moving, room = staying[id(source)], sum(len(g.ids) - len(staying[id(g)]) for g in others)
            if not level or len(moving) > room:
                return
            for group in reversed(others):
                free = sorted(set(range(len(group.ids))) - set(staying[id(group)]))
                group.swap(free[: len(moving)], source, moving[: len(free)])
                moving = moving[len(free) :]
            source.program = self.prepared = None  # what was prepared refers to replicas by their rows
            self.groups = others
            self.left |= dict.fromkeys(source.ids, source)


def _divided(group: Group, count: int) -> list[Group]:
    """A group as so many equal ones."""
    size = len(group.ids) // count
    starts = range(0, count * size, size)
    return [group] if count == 1 else [group.select(range(first, first + size)) for first in starts]
