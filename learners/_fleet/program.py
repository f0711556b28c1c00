"""The two programs of a group: one step, and one evaluation (a look)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.fx import GraphModule

from learners._fleet.capture import keeper, recorded
from learners._fleet.compiler import Compiler
from learners._fleet.feed import BLOCK, Feed
from learners._fleet.group import Group, Tensors
from learners._fleet.trace import Work, in_place, trace
from learners._fleet.update_rule import Rule

STRIDE = 8
"""Steps of the longer of two captured graphs."""


OVERWRITTEN = ("params", "state", "clock", "feed")
"""Kinds of tensors that a step overwrites."""


Inputs = dict[str, Tensors]


class Step:
    """One step of a group: take the next batch, update by it, and advance the step counters.

    :param all_move: all rows are updated; otherwise those that are alive.
    """

    def __init__(self, rule: Rule, all_move: bool) -> None:
        self.rule, self.all_move = rule, all_move

    def __call__(self, tensors: dict[str, Tensors]) -> dict[str, Tensors]:
        """The new parameters, state, step counters and place in the feed."""
        feed, clock = tensors["feed"], tensors["clock"]
        rows_RB = feed["rows"].index_select(0, feed["place"]).squeeze(0).long()
        params, state = self.rule.update(tensors, rows_RB, all_move=self.all_move)
        step, place = clock["step"] + clock["alive"], (feed["place"] + 1) % BLOCK
        return {"params": params, "state": state, "clock": {"step": step}, "feed": {"place": place}}


class StepProgram:
    """The program of one step: traced, compiled where that pays, and captured as a graph on a GPU.

    :param feed: the group's batches.
    :param steps: expected number of steps still to come.
    :param all_move: all rows are updated in all steps.
    :param leaving: that will change. A program that updates some rows only reads a mask. Where the mask costs little,
        in a compiled program and on a GPU, there is no second program without it.
    """

    def __init__(
        self, rule: Rule, group: Group, feed: Feed, steps: int, compiler: Compiler, all_move: bool, leaving: bool
    ) -> None:
        self.group, self.feed, self.compiler = group, feed, compiler
        self.device = group.clock["step"].device
        self.masked = leaving and self.device.type == "cuda"
        self.all_move = all_move and not self.masked
        self.graphs: dict[int, Any] = {}
        with compiler.making():
            self._make(rule, steps, leaving)

    def serves(self, all_move: bool) -> bool:
        """Whether it can run where all rows move, or where only some do."""
        return self.all_move == all_move or (not self.all_move and (self.masked or self.compiled is not None))

    def _make(self, rule: Rule, steps: int, leaving: bool) -> None:
        self.compiled: Callable[..., Any] | None = None
        wanted, key = self.all_move, ("step", self.all_move and not leaving, rule.key)  # of a compiled program
        name = self.compiler.name(key, (self._tensors(),))
        found = self.compiler.ready(name, steps, lambda: (self._copies(),))
        if found is not None:
            self.compiled, self.work = found
            self.all_move = wanted and not leaving
            return
        self.traced = self._trace(rule)
        self.work = Work.of(self.traced)
        if self.compiler.wanted(self.work, steps):
            self.all_move = wanted and not leaving
            self._write(rule)
            self.compiled = self.compiler(self.writing, self._copies(), name=name, work=self.work)
            if self.compiled is not None:
                return
            self.all_move = wanted
        self._write(rule)

    def _write(self, rule: Rule) -> None:
        self.traced = self._trace(rule)
        self.writing = in_place(self.traced, self._tensors())

    def _trace(self, rule: Rule) -> GraphModule:
        return trace(Step(rule, self.all_move), ("step", self.all_move, rule.key), self._tensors())

    def _tensors(self) -> Inputs:
        return self.group.tensors | {"feed": self.feed.tensors}

    def _copies(self) -> Inputs:
        """The tensors, with copies of those that a step overwrites: for runs whose results are dropped."""
        tensors = self._tensors()
        return {
            kind: {name: x.clone() if kind in OVERWRITTEN else x for name, x in own.items()}
            for kind, own in tensors.items()
        }

    def run(self, first: int, count: int, movers: NDArray[np.bool_]) -> None:
        """Do so many steps of one block, and count them for the rows that move."""
        self.feed.go_to(first)
        self._run(count, movers)
        self.feed.gone_on(count)

    def _run(self, count: int, movers: NDArray[np.bool_]) -> None:
        if self.device.type != "cuda":
            for _ in range(count):
                self._step()
                self.group.steps[movers] += 1
            return
        if not self.graphs:
            with self.compiler.making():
                self.graphs = self._capture()
        for _ in range(count // STRIDE):
            self.graphs[STRIDE].replay()
        for _ in range(count % STRIDE):
            self.graphs[1].replay()
        self.group.steps[movers] += count

    def _step(self) -> None:
        if self.compiled is not None:
            self.compiled(self._tensors())
        elif self.device.type == "cuda":  # a captured graph reads and writes the same memory in every replay
            self.writing(self._tensors())
        else:
            new = self.traced(self._tensors())
            self.group.tensors["params"], self.group.tensors["state"] = new["params"], new["state"]
            self.group.clock["step"], self.feed.place = new["clock"]["step"], new["feed"]["place"]

    def _capture(self) -> dict[int, Any]:
        """Record one step, and several, after two trial steps on copies, on a stream of their own."""
        _, stream = keeper(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            arguments = self._copies()
            for _ in range(2):
                (self.writing if self.compiled is None else self.compiled)(arguments)
            del arguments
        torch.cuda.current_stream(self.device).wait_stream(stream)
        return {steps: recorded(self.device, partial(self._steps, steps))[0] for steps in (1, STRIDE)}

    def _steps(self, count: int) -> None:
        for _ in range(count):
            self._step()


class LookProgram:
    """The program of a look: scores of a group, its norm of weights and its share of silent units, piece by piece.

    On a GPU the looks after the first are one captured graph: its scores are overwritten by the next look or step.

    :param pieces_RNS: the codes of the rows, in pieces of equal size.
    :param lengths: how many rows each replica has, (R,).
    :param looks: expected number of looks still to come.
    :param whole: the tensors of the group keep their place in memory from look to look.
    """

    def __init__(
        self,
        rule: Rule,
        group: Group,
        pieces_RNS: list[Tensor],
        lengths: Tensor,
        looks: int,
        whole: bool,
        compiler: Compiler,
    ) -> None:
        self.pieces_RNS, self.lengths, self.compiler = pieces_RNS, lengths, compiler
        self.captured = whole and pieces_RNS[0].device.type == "cuda"
        self.graph: Any = None
        self.seen: tuple[Tensor, Tensor, Tensor] | None = None
        self.programs: list[Callable[..., tuple[Tensor, ...]]] = []
        with compiler.making():
            self._make(rule, group, looks)

    def _make(self, rule: Rule, group: Group, looks: int) -> None:
        pieces_RNS, lengths = self.pieces_RNS, self.lengths
        for vital in (True, False) if len(pieces_RNS) > 1 else (True,):
            look, key = partial(rule.look, vital=vital), ("look", vital, rule.key)
            arguments = group.tensors, pieces_RNS[0], lengths
            times = looks if vital else looks * (len(pieces_RNS) - 1)
            name = self.compiler.name(key, arguments)
            found = self.compiler.ready(name, times, partial(tuple, arguments))
            if found is not None:
                self.programs.append(found[0])
                continue
            traced = trace(look, key, *arguments)
            work = Work.of(traced)
            wanted = self.compiler.wanted(work, times)
            compiled = self.compiler(traced, *arguments, name=name, work=work) if wanted else None
            self.programs.append(traced if compiled is None else compiled)

    def __call__(self, group: Group) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (R, N, C) of all pieces, norm and share of silent units (R,)."""
        if not self.captured:
            return self._look(group)
        if self.seen is None:  # kernels are loaded and tuned on first use, which a capture does not allow
            self.seen = self._look(group)
            return self.seen
        if self.graph is None:
            self.seen = None
            with self.compiler.making():
                self.graph, self.seen = recorded(self.pieces_RNS[0].device, partial(self._look, group))
        self.graph.replay()
        assert self.seen is not None
        return self.seen

    def _look(self, group: Group) -> tuple[Tensor, Tensor, Tensor]:
        scores, norm, silent = self.programs[0](group.tensors, self.pieces_RNS[0], self.lengths)
        rest = [self.programs[1](group.tensors, piece, self.lengths)[0] for piece in self.pieces_RNS[1:]]
        return torch.cat([scores, *rest], dim=1) if rest else scores, norm, silent
