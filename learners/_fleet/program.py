"""The two programs of a group: one step, and one look."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners._fleet.compiler import Compiler, worthwhile
from learners._fleet.group import Group, Tensors
from learners._fleet.step import Rule
from learners._fleet.trace import Work, trace

__all__ = ["BLOCK", "Looker", "Stepper"]

BLOCK = 64
"""Steps whose batches are drawn and uploaded together."""
STRIDE = 8
"""Steps of the longer of two captured graphs."""

Inputs = dict[str, Tensors]


class Stepper:
    """One step of a group: traced, compiled where that repays itself, captured as a graph on a GPU.

    :param batch: examples of one update.
    :param steps: how many steps are still to come, as far as anybody knows.
    """

    def __init__(self, rule: Rule, group: Group, batch: int, steps: int, compiler: Compiler) -> None:
        self.group = group
        self.device = group.clock["step"].device
        self.fresh = True
        self.block = torch.zeros((BLOCK, len(group.ids), batch), dtype=torch.int64, device=self.device)
        self.place = torch.zeros((), dtype=torch.int64, device=self.device)
        update, key = partial(rule.update, all_move=group.all_move), ("update", group.all_move, rule.key)
        self.traced = trace(update, key, group.tensors, self.block[0])
        self.work = Work.of(self.traced)
        self.compiler = compiler
        wanted = worthwhile(self.work, steps, self.device.type, torch.get_num_threads())
        self.compiled = compiler(self._in_place, *self._rehearsal()) if wanted else None
        self.graphs: dict[int, Any] = {}

    def _rehearsal(self) -> tuple[Inputs, Tensor]:
        """Arguments that may be spoiled."""
        group = self.group
        copies = {kind: {name: x.clone() for name, x in group.tensors[kind].items()} for kind in ("params", "state")}
        return group.tensors | copies, self.block[0]

    def load(self, rows_KRB: NDArray[np.int64]) -> None:
        """The batches of the next steps."""
        self.block[: len(rows_KRB)] = torch.as_tensor(rows_KRB)
        self.place.zero_()
        self.fresh = False

    def run(self, count: int, movers: NDArray[np.bool_]) -> None:
        """Do so many steps and count them for those that move."""
        if self.device.type != "cuda":
            for _ in range(count):
                self._step()
                self.group.steps[movers] += 1
            return
        if not self.graphs:
            self.graphs = self._capture()
        for _ in range(count // STRIDE):
            self.graphs[STRIDE].replay()
        for _ in range(count % STRIDE):
            self.graphs[1].replay()
        self.group.steps[movers] += count

    def _step(self) -> None:
        rows = self.block.index_select(0, self.place.reshape(1)).squeeze(0)
        tensors = self.group.tensors
        if self.compiled is not None:
            self.compiled(tensors, rows)
        elif self.device.type == "cuda":  # a captured graph reads and writes the same memory in every replay
            self._in_place(tensors, rows)
        else:
            tensors["params"], tensors["state"] = self.traced(tensors, rows)
        tensors["clock"]["step"] += tensors["clock"]["alive"]
        self.place.add_(1).remainder_(BLOCK)

    def _in_place(self, tensors: Inputs, rows: Tensor) -> None:
        params, state = self.traced(tensors, rows)
        for before, after in ((tensors["params"], params), (tensors["state"], state)):
            for name, x in before.items():
                x.copy_(after[name])

    def _capture(self) -> dict[int, Any]:
        """Record one step, and several; rehearsals on a stream of their own leave no trace."""
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            arguments = self._rehearsal()
            for _ in range(2):
                (self.compiled or self._in_place)(*arguments)
            del arguments
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graphs = {}
        for steps in (1, STRIDE):
            graphs[steps] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graphs[steps], stream=stream):
                for _ in range(steps):
                    self._step()
        return graphs


class Looker:
    """Scores and vital signs of a group, piece by piece of the rows asked about.

    :param looks: how many looks are still to come.
    """

    def __init__(self, rule: Rule, group: Group, pieces_RNS: list[Tensor], looks: int, compiler: Compiler) -> None:
        self.programs: list[Callable[..., tuple[Tensor, ...]]] = []
        for vital in (True, False) if len(pieces_RNS) > 1 else (True,):
            traced = trace(partial(rule.look, vital=vital), ("look", vital, rule.key), group.tensors, pieces_RNS[0])
            times = looks if vital else looks * (len(pieces_RNS) - 1)
            wanted = worthwhile(Work.of(traced), times, pieces_RNS[0].device.type, torch.get_num_threads())
            compiled = compiler(traced, group.tensors, pieces_RNS[0]) if wanted else None
            self.programs.append(compiled or traced)

    @torch.no_grad()
    def __call__(self, group: Group, pieces_RNS: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (R, N, C) of all pieces, norm and share of silent units (R,)."""
        scores, norm, silent = self.programs[0](group.tensors, pieces_RNS[0])
        rest = [self.programs[1](group.tensors, piece)[0] for piece in pieces_RNS[1:]]
        return torch.cat([scores, *rest], dim=1) if rest else scores, norm, silent
