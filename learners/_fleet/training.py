"""Train R replicas of one module side by side: stacked parameters, `torch.func.vmap`, one program a step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners._base import Learner, Look, Problem, Rows, Setting, State, Training
from learners._fleet.asked import Asked, padded
from learners._fleet.batches import batch_rows
from learners._fleet.compiler import Compiler
from learners._fleet.counting import operations_of_step
from learners._fleet.feed import BLOCK, Feed
from learners._fleet.group import SHARED, Group, Tensors
from learners._fleet.kept import ours
from learners._fleet.memory import out_of_memory
from learners._fleet.program import Stepper
from learners._fleet.step import Rule
from learners._kernels.products import LARGEST_TABLE, tensor_cores
from learners._nets.modules import Embedding

if TYPE_CHECKING:
    from learners._torch import TorchLearner

__all__ = ["FleetTraining"]

DIVISIONS = {"cpu": (), "cuda": (4, 3, 2)}
"""Into how many equal groups a fleet is divided, the first number that fits, whose replicas leave before its end. They
have one program and take turns; who is left moves into as few of them as hold it."""


FILLING = 25_000_000
"""Weights of a group that keep a GPU nearly as busy as several such groups at once would: 64 of the default transformer
(27 million) make 0.93 times as many steps a second as 256 on an H100, and 0.87 times on an H200 (bfloat16)."""


SMALL = {"cpu": 1, "cuda": 4}
"""Replicas that take about as long as half as many: a program for these would not repay its making."""


class FleetTraining(Training):
    """R replicas of one torch learner.

    A replica's trajectory depends on its own seed, problem and hyperparameters alone: batches, dropout and noise are
    functions of (seed, step). Replicas that are no longer advanced leave once they are half of their group, if that
    saves time. On a GPU a large fleet is several groups of one size: others move into the places of those that left.

    :param learners: learners of equal structure; numeric hyperparameters may differ.
    :param setting: where, in which precision, and for how long.
    :param dtype: float32, or float64 for comparisons.
    """

    def __init__(
        self,
        learners: "Sequence[TorchLearner]",
        problems: Sequence[Problem],
        setting: Setting | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.learners, self.problems = list(learners), list(problems)
        self.setting = setting or Setting()
        self.device, self.dtype = torch.device(self.setting.device), dtype
        pairs = zip(self.learners, self.problems, strict=True)
        structures = {learner.structure(len(problem.train)) for learner, problem in pairs}
        if len(structures) > 1:
            raise ValueError(f"The learners of a fleet must be of one structure, got {len(structures)} different ones.")
        first, codes, n_classes = self.learners[0], self.problems[0].codes, self.problems[0].n_classes
        for learner, problem in zip(self.learners, self.problems, strict=True):
            learner.check_codes(problem.codes, problem.n_classes)
        self.network = first.network(codes.n_slots, codes.n_features, n_classes)
        if any(True for _ in self.network.buffers()):
            raise ValueError(
                f"{type(first).__name__} has buffers: a fleet trains parameters alone, no running statistics."
            )
        onehot = self.network.looks_up and all(
            problem.codes.onehot and len(problem.codes.table_UF) <= LARGEST_TABLE for problem in self.problems
        )
        for module in self.network.modules():
            if isinstance(module, Embedding):
                module.onehot = onehot
        key = (*structures, n_classes, onehot, self.setting.precision)
        self.rule = Rule(first, self.network, first.transformation(self.network), self.setting.precision, key)
        given = self.setting
        keeps = ours(first, self.network)
        self.compiler = Compiler(self.device.type, given.announce, given.repeats, given.precision, keeps)
        self.sizes = [len(problem.train) for problem in self.problems]
        self.batches = [learner.resolved_batch(n) for learner, n in zip(self.learners, self.sizes, strict=True)]
        self.seeds = [learner.seed() for learner in self.learners]
        self.left: dict[int, Group] = {}
        self.divisions = self._divisions()
        self.groups = _divided(self._make_group(), self.divisions)
        self._asked: Asked | None = None

    @property
    def compile_seconds(self) -> float:
        """Spent so far on making programs."""
        return self.compiler.seconds

    @property
    def notices(self) -> Sequence[str]:
        """What a user should know of how it trains."""
        return [self.compiler.notice] if self.compiler.notice else []

    @property
    def compiled(self) -> bool:
        """Whether a step is a compiled program now."""
        return any(group.program is not None and group.program.compiled is not None for group in self.groups)

    # Making

    def _divisions(self) -> int:
        """How many groups are made of them."""
        replicas, weights = len(self.learners), self.parameters(0)
        fitting = (n for n in DIVISIONS[self.device.type] if replicas % n == 0 and replicas // n * weights >= FILLING)
        return next(fitting, 1) if self.setting.leaving else 1

    @property
    def divided(self) -> bool:
        """Whether all groups are equal parts of the fleet."""
        size = len(self.learners) // self.divisions
        return self.divisions > 1 and all(len(group.ids) == size for group in self.groups)

    def takers(self, group: Group) -> int:
        """How many groups have the programs of this one."""
        return self.divisions if len(group.ids) == len(self.learners) // self.divisions else 1

    def _make_group(self) -> Group:
        ids = range(len(self.learners))
        known: dict[Any, Tensors] = {}
        weights = [self._initial(r, known) for r in ids]
        stacked = {name: torch.stack([w[name] for w in weights]).to(self.device, self.dtype) for name in weights[0]}
        trained = {name for name, parameter in self.network.named_parameters() if parameter.requires_grad}
        params = {name: x for name, x in stacked.items() if name in trained}
        hypers = [learner.hyper() for learner in self.learners]
        tensors = {
            "params": params,
            "frozen": {name: x for name, x in stacked.items() if name not in trained},
            "state": self.rule.transformation.init(params),
            "hyper": {h: torch.tensor([x[h] for x in hypers], device=self.device, dtype=self.dtype) for h in hypers[0]},
            "data": self._data(),
            "clock": {
                "seed": torch.tensor(self.seeds, device=self.device),
                "step": torch.zeros(len(ids), dtype=torch.int64, device=self.device),
                "alive": torch.ones(len(ids), dtype=torch.bool, device=self.device),
            },
        }
        return Group(list(ids), np.zeros(len(ids), dtype=np.int64), tensors)

    def _initial(self, r: int, known: dict[Any, Tensors]) -> Tensors:
        """The weights of a replica at the start, drawn on the CPU so that devices agree."""
        learner, codes = self.learners[r], self.problems[r].codes
        key = self.seeds[r], repr(learner.start()), id(codes), self.problems[r].n_classes
        if key not in known:
            known[key] = self._drawn(r)
        return known[key]

    def _drawn(self, r: int) -> Tensors:
        learner, codes = self.learners[r], self.problems[r].codes
        generator = torch.Generator().manual_seed(self.seeds[r])
        code_norm = float(np.sqrt((codes.table_UF.astype(np.float64) ** 2).sum(axis=1).mean())) or 1.0
        network = self.network
        if learner.start() != self.learners[0].start():
            network = learner.network(codes.n_slots, codes.n_features, self.problems[r].n_classes)
        network.reset(generator, code_norm)
        return {name: x.detach().clone() for name, x in network.named_parameters()}

    def _data(self) -> Tensors:
        longest = max(self.batches)
        if min(self.batches) < longest:
            # Full batches of different sizes: padded rows count for nothing.
            weights = [np.where(np.arange(longest) < n, 1 / n, 0.0) for n in self.batches]
            data_weights = {"weight": torch.as_tensor(np.stack(weights), device=self.device, dtype=self.dtype)}
        else:
            data_weights = {}
        tables = [problem.codes.table_UF for problem in self.problems]
        rows = [problem.codes.index_NS[problem.train] for problem in self.problems]
        data = data_weights | {
            "index": torch.as_tensor(padded(rows), device=self.device),
            "y": torch.as_tensor(padded([problem.y for problem in self.problems]), device=self.device),
        }
        if all(table is tables[0] or np.array_equal(table, tables[0]) for table in tables[1:]):
            data[SHARED] = torch.as_tensor(tables[0], device=self.device, dtype=self.dtype)
        else:
            data["table"] = torch.as_tensor(padded(tables), device=self.device, dtype=self.dtype)
        return data

    # Training

    def advance(self, step: int, replicas: Sequence[int]) -> None:
        """Train these replicas until ``step`` updates are done; others stay as they are."""
        wanted = set(replicas)
        divided = self.divided
        if divided:
            self._gather(wanted)
        if not divided or len(self.groups) == 1:  # a smaller group among equal ones would be in the way of moving
            self.groups = [g for group in self.groups for g in self._compacted(group, wanted, step)]
        back = [_alone(self.left.pop(r), r) for r in sorted(wanted & self.left.keys())]
        if back:  # a neighbour has caught up with those that were further already
            size = len(self.learners) // self.divisions
            self.groups += _divided(Group.join(back), len(back) // size if len(back) % size == 0 else 1)
            self._asked = None
        pending = list(self.groups)
        while pending:
            group = pending.pop()
            if not self._fits(group, partial(self._advance_group, group, step, wanted)):
                pending += self._halved(group)
        assert all(group.steps[row] >= step for group in self.groups for row, r in enumerate(group.ids) if r in wanted)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _fits(self, group: Group, work: Callable[[], None]) -> bool:
        """Do it, or say that memory does not suffice, with nothing left of the attempt but what it completed."""
        try:
            with self._here():
                work()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or len(group.ids) == 1:
                raise
        else:
            return True
        return False

    @contextmanager
    def _here(self) -> Iterator[None]:
        """On the right device, in the right arithmetic; no gradients but those that a step asks for."""
        device = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with device, tensor_cores(self.setting.precision), torch.no_grad():
            yield

    def _halved(self, group: Group) -> list[Group]:
        """Two groups of half the rows: less memory at a time, the same trajectories."""
        group.program = self._asked = None
        middle = len(group.ids) // 2
        halves = [group.select(range(middle)), group.select(range(middle, len(group.ids)))]
        self.groups = [g for g in self.groups if g is not group] + halves
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return halves

    def _compacted(self, group: Group, wanted: set[int], step: int) -> list[Group]:
        """Let rows that are not wanted leave once they are half, if that saves time: to a power of two, so that sizes
        are few.
        """
        staying = [row for row, r in enumerate(group.ids) if r in wanted]
        size = 1 << max(0, len(staying) - 1).bit_length()
        small = len(group.ids) <= SMALL[self.device.type] and staying
        if small or len(staying) == len(group.ids) or size > len(group.ids) // 2:
            return [group]
        if staying and not self._gives_way(group, staying, size, step):
            return [group]
        passengers = [row for row in range(len(group.ids)) if row not in set(staying)]
        kept = sorted(staying + passengers[: size - len(staying)]) if staying else []
        for row in set(range(len(group.ids))) - set(kept):
            self.left[group.ids[row]] = group.select([row])
        self._asked = None  # it would keep the larger group in memory beside the new one
        return [group.select(kept)] if kept else []

    def _gather(self, wanted: set[int]) -> None:
        """Let those that are wanted move into as few of the equal groups as hold them; who made way leaves."""
        while len(self.groups) > 1:
            staying = {id(g): [row for row, r in enumerate(g.ids) if r in wanted] for g in self.groups}
            source, *others = sorted(self.groups, key=lambda g: len(staying[id(g)]))
            level = len({int(g.steps[row]) for g in self.groups for row in staying[id(g)]}) <= 1
            moving, room = staying[id(source)], sum(len(g.ids) - len(staying[id(g)]) for g in others)
            if not level or len(moving) > room:
                return
            for group in reversed(others):
                free = sorted(set(range(len(group.ids))) - set(staying[id(group)]))
                with self._here():
                    group.swap(free[: len(moving)], source, moving[: len(free)])
                moving = moving[len(free) :]
            source.program = self._asked = None  # what is asked knows replicas by their rows
            self.groups = others
            self.left |= dict.fromkeys(source.ids, source)

    def _gives_way(self, group: Group, staying: list[int], size: int, step: int) -> bool:
        """Whether its program is to be left for one of so many replicas, or cannot go on for some of them at all."""
        program = group.program
        if program is None or not program.serves(all_move=False):
            return True
        compiled = program.compiled is not None
        if not compiled and self.device.type == "cpu":  # half of the replicas take half of the time
            return True
        to_come = max(self.setting.steps, step) - int(group.steps[staying].min())
        return self.compiler.gives_way(program.work, size / len(group.ids), to_come, compiled)

    def _advance_group(self, group: Group, step: int, wanted: set[int]) -> None:
        moving = np.array([r in wanted for r in group.ids])
        while (behind := moving & (group.steps < step)).any():
            low = int(group.steps[behind].min())
            movers = behind & (group.steps == low)
            ahead = group.steps[behind & (group.steps > low)]
            until = min(step, int(ahead.min())) if ahead.size else step
            self._run(group, movers, low, until - low)

    def _run(self, group: Group, movers: NDArray[np.bool_], first: int, count: int) -> None:
        group.clock["alive"].copy_(torch.as_tensor(movers))
        everyone = bool(movers.all())
        if group.program is not None and not group.program.serves(everyone):
            group.program = None
        if group.program is None:
            to_come = max(self.setting.steps - first, count)
            full = all(self.batches[r] == self.sizes[r] for r in group.ids)
            feed = Feed(partial(self._draw, group), len(group.ids), max(self.batches), full, self.device)
            leaving = self.setting.leaving and len(group.ids) > 1
            self.compiler.takers = self.takers(group)
            group.program = Stepper(self.rule, group, feed, to_come, self.compiler, everyone, leaving)
        last = first + count
        while first < last:
            until = min(last, (first // BLOCK + 1) * BLOCK)
            group.program.run(first, until - first, movers)
            first = until

    def _draw(self, group: Group, block: int, row: int, into_KB: NDArray[np.int32]) -> None:
        """Write the batches of one row's replica in a block of steps, padded to the longest batch of the fleet."""
        r = group.ids[row]
        rows = batch_rows(self.seeds[r], self.sizes[r], self.batches[r], block * BLOCK, BLOCK)
        into_KB[:, : rows.shape[1]] = rows

    # Looking

    def _find(self, replica: int) -> tuple[Group, int]:
        for group in (*self.groups, *([self.left[replica]] if replica in self.left else [])):
            if replica in group.ids:
                return group, group.ids.index(replica)
        raise AssertionError(replica)

    def look(self, replicas: Sequence[int], rows: Sequence[Rows]) -> Look:
        """Scores on the device, the norm of all weights, and the share of hidden units that are silent.

        Silent is a unit below 1 % of the largest of its example; asked are the first 512 rows.
        """
        seen: list[tuple[Tensor, Tensor, Tensor]] = []
        see = partial(self._see, replicas, rows, seen)
        while not self._fits(max(self.groups, key=_size, default=self._find(replicas[0])[0]), see):
            several = [group for group in self.groups if len(group.ids) > 1]
            if not several:
                raise MemoryError("What is asked does not fit into memory, even of one replica at a time.")
            for group in several:
                self._halved(group)
        [(scores, norm, silent)] = seen
        norms, shares = torch.stack([norm.double(), silent.double()]).cpu().numpy()
        return Look(scores, {"weight_norm": norms, "activation_sparsity": shares}, ~np.isfinite(norms))

    def _see(self, replicas: Sequence[int], rows: Sequence[Rows], seen: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        asked = self._asked
        if asked is None or not asked.covers(replicas, rows):
            asked = self._asked = Asked(self, list(replicas), list(rows))
        seen.append(asked.answer(replicas))

    # Keeping

    def state(self, replica: int) -> State:
        """Weights, the optimizer's memory and the step, as arrays: on a CPU those of the training itself, which go on
        changing with it.
        """
        group, row = self._find(replica)
        arrays = {f"w.{name}": x[row].cpu().numpy() for name, x in group.params.items()}
        arrays |= {f"o.{name}": x[row].cpu().numpy() for name, x in group.state.items()}
        return arrays | {"step": np.array(group.steps[row])}

    def restore(self, replica: int, state: State) -> None:
        """Inverse of `state`."""
        group, row = self._find(replica)
        for prefix, tensors in (("w.", group.params), ("o.", group.state)):
            for name, x in tensors.items():
                stored = torch.as_tensor(state[prefix + name])
                if stored.shape != x[row].shape:
                    raise ValueError(f"{prefix + name} has the shape {tuple(stored.shape)}")
                x[row] = stored
        group.steps[row] = int(state["step"])
        group.clock["step"][row] = int(state["step"])

    def learner(self, replica: int) -> Learner:
        """The learner with its weights as of now."""
        group, row = self._find(replica)
        problem, learner = self.problems[replica], self.learners[replica]
        weights = group.params | group.frozen
        learner.model_ = {name: x[row].float().to("cpu", copy=True).numpy() for name, x in weights.items()}
        learner.n_slots_ = problem.codes.n_slots
        if not hasattr(learner, "classes_"):
            learner.classes_ = np.arange(problem.n_classes)
            learner.n_features_in_ = problem.codes.n_slots * problem.codes.n_features
        return learner

    def parameters(self, replica: int) -> int:
        """Trainable numbers."""
        return sum(x.numel() for x in self.network.parameters() if x.requires_grad)

    def flops(self, replica: int, step: int) -> int | None:
        """Operations of a replica's updates, as it would do them by itself: see `operations_of_step`."""
        return operations_of_step(self.learners[replica], self.problems[replica]) * step

    @property
    def product_flops(self) -> int:
        """Floating-point operations of the products alone of a replica's step, as its program does them now; 0 before
        there is one.
        """
        made = [group for group in self.groups if group.program is not None]
        return made[0].program.work.flops // len(made[0].ids) if made else 0


def _divided(group: Group, count: int) -> list[Group]:
    """A group as so many equal ones."""
    size = len(group.ids) // count
    starts = range(0, count * size, size)
    return [group] if count == 1 else [group.select(range(first, first + size)) for first in starts]


def _alone(group: Group, replica: int) -> Group:
    """A group of one of its replicas."""
    return group if len(group.ids) == 1 else group.select([group.ids.index(replica)])


def _size(group: Group) -> int:
    return len(group.ids)
