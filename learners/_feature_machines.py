"""Recursive feature machines in training: batches of replicas with equally many training rows."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners._agop import AGOPS, KERNELS, metric_of, operations, solve
from learners._base import Learner, Look, Setting, Training
from learners._exclusive import exclusive
from learners._fleet.out_of_memory import out_of_memory
from learners._problem import Problem, Rows, State

ROOM: Final = {"cpu": 2**28, "cuda": 2**34}
"""Bytes of kernel matrices of one batch. On a CPU a batch of large matrices is no faster than one after another."""
MATRICES: Final = 6
"""Matrices of the size of K that a step holds at the same time."""


class FeatureMachine(Learner):
    """What these trainings read of a learner: its kernel and its numbers."""

    kernel: Literal["quadratic", "gaussian"]
    ridge: float
    bandwidth: float
    power: float


@dataclass
class _Replica:
    """One machine, its tensors on the device.

    :param table: the distinct codes, (U, F).
    :param index: the codes of all examples, (N, S).
    :param X: the training rows, (n, D).
    :param targets: one-hot, (n, C).
    :param metric: M, (D, D).
    :param alpha: α, (n, C).
    """

    learner: FeatureMachine
    problem: Problem
    table: Tensor
    index: Tensor
    X: Tensor
    targets: Tensor
    metric: Tensor
    alpha: Tensor
    step: int = 0

    def examples(self, rows: Tensor) -> Tensor:
        """Examples written out, (N, D)."""
        return self.table[self.index[rows]].flatten(1)


@exclusive("__init__", "advance", "look", "diverged", "state", "restore", "learner")
class FeatureMachines(Training):
    """R recursive feature machines of one kernel.

    Replicas that are at the same step and have equally many training rows go on as one batch, in parts where memory
    does not suffice.
    """

    def __init__(
        self, learners: Sequence[FeatureMachine], problems: Sequence[Problem], setting: Setting | None = None
    ) -> None:
        structures = {learner.structure(len(p.train)) for learner, p in zip(learners, problems, strict=True)}
        if len(structures) > 1:
            raise ValueError(f"The learners of a batch must be of one kernel, got {len(structures)} different ones.")
        self.device = torch.device((setting or Setting()).device)
        self.kernel = learners[0].kernel
        self.room = ROOM[self.device.type]
        shared: dict[int, tuple[Tensor, Tensor]] = {}
        self.replicas = [self._replica(*each, shared) for each in zip(learners, problems, strict=True)]

    def _replica(self, learner: FeatureMachine, problem: Problem, shared: dict[int, tuple[Tensor, Tensor]]) -> _Replica:
        codes = problem.codes
        if id(codes) not in shared:  # replicas may share their codes
            table = torch.as_tensor(codes.table_UF, dtype=torch.float64, device=self.device)
            shared[id(codes)] = table, torch.as_tensor(codes.index_NS, device=self.device)
        table, index = shared[id(codes)]
        if not hasattr(learner, "classes_"):
            learner.classes_ = np.arange(problem.n_classes)
            learner.n_features_in_ = codes.shape[1]
        X = table[index[torch.as_tensor(problem.train, device=self.device)]].flatten(1)
        targets = torch.eye(problem.n_classes, dtype=torch.float64, device=self.device)[torch.as_tensor(problem.y)]
        metric = torch.eye(X.shape[1], dtype=torch.float64, device=self.device)
        return _Replica(learner, problem, table, index, X, targets, metric, torch.zeros_like(targets))

    # Training

    def advance(self, step: int, replicas: Sequence[int]) -> None:
        """Train these replicas until ``step`` solves are done; others stay as they are."""
        with self._here():
            while behind := [self.replicas[r] for r in replicas if self.replicas[r].step < step]:
                together: dict[tuple[int, int], list[_Replica]] = {}
                for replica in behind:
                    together.setdefault((replica.step, len(replica.X)), []).append(replica)
                for (_, n), some in together.items():
                    self._in_parts(some, n * n * MATRICES, self._step)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _step(self, some: Sequence[_Replica]) -> None:
        X, metric = _stacked(some, "X"), _stacked(some, "metric")
        ridge, bandwidth, power = self._numbers(some)
        if some[0].step:
            agop = AGOPS[self.kernel](X, _stacked(some, "alpha"), metric, bandwidth)
            metric = metric_of(agop, power, metric)
        K = KERNELS[self.kernel](X, X, metric, bandwidth)
        alpha = solve(K, _stacked(some, "targets"), ridge)
        for i, replica in enumerate(some):
            replica.metric, replica.alpha, replica.step = metric[i].clone(), alpha[i].clone(), replica.step + 1

    def _numbers(self, some: Sequence[_Replica]) -> list[Tensor]:
        """Ridge, bandwidth and power of each replica, (R, 1, 1)."""
        values = [[x.learner.ridge, x.learner.bandwidth, x.learner.power] for x in some]
        return list(torch.tensor(values, dtype=torch.float64, device=self.device).T[..., None, None])

    def _in_parts(self, some: Sequence[_Replica], numbers: int, work: Callable[[Sequence[_Replica]], Any]) -> None:
        """Do some work for replicas, as many at once as there is room for; half as many where memory runs out.

        :param numbers: how many numbers the work holds for each replica.
        """
        done = 0
        while done < len(some):
            part = some[done : done + max(1, self.room // (8 * max(numbers, 1)))]
            if self._fits(part, work):
                done += len(part)
            else:
                self.room = 8 * numbers * (len(part) // 2)

    def _fits(self, part: Sequence[_Replica], work: Callable[[Sequence[_Replica]], Any]) -> bool:
        """Do some work; False where memory does not suffice, which leaves the replicas as they were."""
        try:
            work(part)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or len(part) == 1:
                raise
        else:
            return True
        return False

    def _here(self) -> AbstractContextManager[Any]:
        return torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()

    # Looking

    def look(self, replicas: Sequence[int], rows: Sequence[Rows]) -> Look:
        """Scores on the device, and whether α is finite. There are no other vitals."""
        chosen = [self.replicas[r] for r in replicas]
        longest = max(map(len, rows))
        scores_RNC = torch.zeros(len(chosen), longest, chosen[0].targets.shape[1], device=self.device)
        together: dict[tuple[int, int], list[int]] = {}
        for i, (replica, mine) in enumerate(zip(chosen, rows, strict=True)):
            together.setdefault((len(mine), len(replica.X)), []).append(i)
        place = {id(replica): i for i, replica in enumerate(chosen)}

        def see(some: Sequence[_Replica]) -> None:
            where = [place[id(replica)] for replica in some]
            scores_RNC[where, : len(rows[where[0]])] = self._scores(some, [rows[i] for i in where]).float()

        with self._here():
            for (n_rows, n), places in together.items():
                self._in_parts([chosen[i] for i in places], n_rows * n * 2, see)
        return Look(scores_RNC, {}, np.array([self._diverged(replica) for replica in chosen]))

    def _scores(self, some: Sequence[_Replica], rows: Sequence[Rows]) -> Tensor:
        examples = torch.stack(
            [x.examples(torch.as_tensor(mine, device=self.device)) for x, mine in zip(some, rows, strict=True)]
        )
        K = KERNELS[self.kernel](examples, _stacked(some, "X"), _stacked(some, "metric"), self._numbers(some)[1])
        return K @ _stacked(some, "alpha")

    def diverged(self, replica: int) -> bool:
        """Whether α is not finite, as where K is singular and the ridge too small."""
        return self._diverged(self.replicas[replica])

    def _diverged(self, replica: _Replica) -> bool:
        return not bool(replica.alpha.isfinite().all())

    # Keeping

    def state(self, replica: int) -> State:
        """M, α and the step. α follows from M, and is kept so that going on does not depend on the batch."""
        x = self.replicas[replica]
        return {"metric": _copied(x.metric), "alpha": _copied(x.alpha), "step": np.array(x.step)}

    def restore(self, replica: int, state: State) -> None:
        """Inverse of `state`."""
        x = self.replicas[replica]
        for name in ("metric", "alpha"):
            stored = torch.as_tensor(state[name]).to(x.X, copy=True)
            if stored.shape != getattr(x, name).shape:
                raise ValueError(f"{name} has the shape {tuple(stored.shape)}")
            setattr(x, name, stored)
        x.step = int(state["step"])

    def learner(self, replica: int) -> Learner:
        """The learner with its metric and coefficients as of now."""
        x = self.replicas[replica]
        x.learner.model_ = {"metric": _copied(x.metric), "centers": _copied(x.X.float()), "alpha": _copied(x.alpha)}
        return x.learner

    def parameters(self, replica: int) -> int:
        """The numbers of M and α."""
        x = self.replicas[replica]
        return x.metric.numel() + x.alpha.numel()

    def flops(self, replica: int, step: int) -> int | None:
        """Operations of so many steps, each counted with the metric that it leads to."""
        x = self.replicas[replica]
        return operations(self.kernel, len(x.X), x.X.shape[1], x.targets.shape[1]) * step


def _stacked(some: Sequence[_Replica], name: str) -> Tensor:
    return torch.stack([getattr(replica, name) for replica in some])


def _copied(x: Tensor) -> NDArray[Any]:
    return x.to("cpu", copy=True).numpy()
