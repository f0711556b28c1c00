"""Train R replicas of one module side by side: stacked parameters, `torch.func.vmap`, one program a step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners._base import Learner, Look, Setting, Training
from learners._exclusive import exclusive
from learners._fleet.compiler import Compiler
from learners._fleet.counting import operations_of_step
from learners._fleet.feed import BLOCK, Feed, batch_rows
from learners._fleet.group import Group
from learners._fleet.look import PreparedLook
from learners._fleet.occupancy import Occupancy, divisions
from learners._fleet.out_of_memory import out_of_memory
from learners._fleet.program import LookProgram, StepProgram
from learners._fleet.program_cache import sources_known
from learners._fleet.start import first_group
from learners._fleet.update_rule import FleetLearner, Rule
from learners._kernels.products import LARGEST_TABLE, tensor_cores
from learners._problem import Problem, Rows, State


@exclusive("__init__", "advance", "look", "diverged", "state", "restore", "learner", "parameters", "flops")
class FleetTraining(Training):
    """R replicas of one torch learner.

    A replica's trajectory depends on its own seed, problem and hyperparameters alone: batches, dropout and noise are
    functions of (seed, step). Replicas that are no longer advanced leave once at most half of their group goes on, if
    that saves time. On a GPU a large fleet is divided into groups of one size, and the remaining replicas move into the
    places of those that stopped.

    :param learners: learners of equal structure; numeric hyperparameters may differ.
    :param problems: one for each learner.
    :param setting: the device, the precision and the expected length.
    :param dtype: float32, or float64 for comparisons.
    :raises ValueError: for learners of different structures, or a module with buffers.
    """

    def __init__(
        self,
        learners: Sequence[FleetLearner],
        problems: Sequence[Problem],
        setting: Setting | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.learners, self.problems = list(learners), list(problems)
        self.setting = setting or Setting()
        self.device = torch.device(self.setting.device)
        self.sizes = [len(problem.train) for problem in self.problems]
        self.batches = [learner.resolved_batch(n) for learner, n in zip(self.learners, self.sizes, strict=True)]
        self.seeds = [learner.seed() for learner in self.learners]
        self.rule = self._rule()
        self.network = self.rule.network
        self.compiler = Compiler(
            self.device.type,
            self.setting.announce,
            self.setting.repeats,
            self.setting.precision,
            keeps=sources_known(self.learners[0], self.network),
        )
        everyone = first_group(self.learners, self.problems, self.seeds, self.batches, self.rule, self.device, dtype)
        count = divisions(len(self.learners), self.parameters(0), self.device.type) if self.setting.leaving else 1
        self.occupancy = Occupancy(everyone, count)

    def _rule(self) -> Rule:
        """How one replica learns, which is the same for all."""
        structures = {learner.structure(n) for learner, n in zip(self.learners, self.sizes, strict=True)}
        if len(structures) > 1:
            raise ValueError(f"The learners of a fleet must be of one structure, got {len(structures)} different ones.")
        for learner, problem in zip(self.learners, self.problems, strict=True):
            learner.check_codes(problem.codes, problem.n_classes)
        first, codes, n_classes = self.learners[0], self.problems[0].codes, self.problems[0].n_classes
        network = first.network(codes.n_slots, codes.n_features, n_classes)
        if any(True for _ in network.buffers()):
            raise ValueError(
                f"{type(first).__name__} has buffers: a fleet trains parameters alone, no running statistics."
            )
        all_codes = [problem.codes for problem in self.problems]
        onehot = network.looks_up and all(own.onehot and len(own.table_UF) <= LARGEST_TABLE for own in all_codes)
        network.set_onehot(onehot)
        key = (*structures, n_classes, onehot, self.setting.precision)
        return Rule(first, network, first.transformation(network), self.setting.precision, key)

    @property
    def groups(self) -> Sequence[Group]:
        """Replicas that advance together."""
        return self.occupancy.groups

    @property
    def compile_seconds(self) -> float:
        """Seconds spent so far on tracing, compiling and capturing programs."""
        return self.compiler.seconds

    @property
    def notices(self) -> Sequence[str]:
        """Messages for the user, a line each."""
        return [self.compiler.notice] if self.compiler.notice else []

    @property
    def compiled(self) -> bool:
        """Whether a step is a compiled program now."""
        return any(group.program is not None and group.program.compiled is not None for group in self.groups)

    # Training

    def advance(self, step: int, replicas: Sequence[int]) -> None:
        """Train these replicas until ``step`` updates are done; others stay as they are."""
        wanted = set(replicas)
        with self._here():
            self.occupancy.arrange(wanted, partial(self._worth_shrinking, step))
        pending = list(self.groups)
        while pending:
            group = pending.pop()
            if not self._fits(group, partial(self._advance_group, group, step, wanted)):
                pending += self.occupancy.halve(group)
        assert all(group.steps[row] >= step for group in self.groups for row, r in enumerate(group.ids) if r in wanted)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _fits(self, group: Group, work: Callable[[], None]) -> bool:
        """Do some work; False where memory does not suffice, which undoes the step that failed and no other."""
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
        """On the fleet's device, in its precision, without gradients other than those that a step computes."""
        device = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with device, tensor_cores(self.setting.precision), torch.no_grad():
            yield

    def _worth_shrinking(self, step: int, group: Group, staying: list[int], size: int) -> bool:
        """Whether a program for ``size`` replicas pays, or the present one cannot advance only some of its replicas."""
        program = group.program
        if program is None or not program.serves(all_move=False):
            return True
        compiled = program.compiled is not None
        if not compiled and self.device.type == "cpu":  # half of the replicas take half of the time
            return True
        to_come = max(self.setting.steps, step) - int(group.steps[staying].min())
        return self.compiler.worth_replacing(program.work, size / len(group.ids), to_come, compiled)

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
        if group.program is None or not group.program.serves(everyone):
            group.program = None  # frees its memory before another is made
            group.program = self._step_program(group, max(self.setting.steps - first, count), everyone)
        last = first + count
        while first < last:
            until = min(last, (first // BLOCK + 1) * BLOCK)
            group.program.run(first, until - first, movers)
            first = until

    def _step_program(self, group: Group, to_come: int, everyone: bool) -> StepProgram:
        full = all(self.batches[r] == self.sizes[r] for r in group.ids)
        feed = Feed(partial(self._draw, group), len(group.ids), max(self.batches), full, self.device)
        leaving = self.setting.leaving and len(group.ids) > 1
        self.compiler.sharers = self.occupancy.sharers(group)
        return StepProgram(self.rule, group, feed, to_come, self.compiler, everyone, leaving)

    def _draw(self, group: Group, block: int, row: int, into_KB: NDArray[np.int32]) -> None:
        """Write the batches of one row's replica in a block of steps, padded to the longest batch of the fleet."""
        r = group.ids[row]
        rows = batch_rows(
            self.seeds[r], self.sizes[r], self.batches[r], block * BLOCK, BLOCK, self.rule.learner.short_batches
        )
        into_KB[:, : rows.shape[1]] = rows

    # Looking

    def look(self, replicas: Sequence[int], rows: Sequence[Rows]) -> Look:
        """Scores on the device, the norm of all weights, and the share of hidden units that are silent.

        A unit is silent on an example where its activation is below 1 % of the example's largest; the share is over the
        first 512 rows.
        """
        seen: list[tuple[Tensor, Tensor, Tensor]] = []
        see = partial(self._see, replicas, rows, seen)
        while not self._fits(self.occupancy.largest(replicas[0]), see):
            several = [group for group in self.groups if len(group.ids) > 1]
            if not several:
                raise MemoryError("Scores of the requested rows do not fit into memory, even of one replica at a time.")
            for group in several:
                self.occupancy.halve(group)
        [(scores, norm, silent)] = seen
        norms, shares = torch.stack([norm.double(), silent.double()]).cpu().numpy()
        return Look(scores, {"weight_norm": norms, "activation_sparsity": shares}, ~np.isfinite(norms))

    def _see(self, replicas: Sequence[int], rows: Sequence[Rows], seen: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        prepared = self.occupancy.prepared
        if prepared is None or not prepared.covers(replicas, rows):
            prepared = PreparedLook(
                self.occupancy, self.problems, self.network.rows_per_example, list(replicas), list(rows)
            )
            self.occupancy.prepared = prepared
        seen.append(prepared.results(replicas, self._look_program))

    def _look_program(self, group: Group, pieces_RNS: list[Tensor], lengths: Tensor, whole: bool) -> LookProgram:
        self.compiler.sharers = self.occupancy.sharers(group)
        return LookProgram(self.rule, group, pieces_RNS, lengths, self.setting.looks, whole, self.compiler)

    def diverged(self, replica: int) -> bool:
        """Whether weights are no longer finite, without the program of a look."""
        group, row = self.occupancy.find(replica)
        return not all(bool(x[row].isfinite().all()) for x in group.params.values())

    # Keeping

    def state(self, replica: int) -> State:
        """Weights, the optimizer's state and the step, as arrays. On a CPU they share memory with the training, and go
        on changing with it.
        """
        group, row = self.occupancy.find(replica)
        arrays = {f"w.{name}": x[row].cpu().numpy() for name, x in group.params.items()}
        arrays |= {f"o.{name}": x[row].cpu().numpy() for name, x in group.state.items()}
        return arrays | {"step": np.array(group.steps[row])}

    def restore(self, replica: int, state: State) -> None:
        """Inverse of `state`."""
        group, row = self.occupancy.find(replica)
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
        group, row = self.occupancy.find(replica)
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
        """Floating-point operations of the matrix products in one replica's step, as its program computes them; 0
        before there is a program.
        """
        made = [group for group in self.groups if group.program is not None]
        return made[0].program.work.flops // len(made[0].ids) if made else 0
