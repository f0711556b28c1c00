"""Constraints that bound each matrix after the step."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor

from learners._nets.modules import Network
from learners.optim._chain import part_name
from learners.optim._core import IDENTITY, Context, Gradients, State, Transformation, where
from learners.optim._part import Constraint


@dataclass(kw_only=True, eq=False, repr=False)
class MatrixConstraint(Constraint):
    """A constraint that scales matrices down after the step: W ← s ⊙ (W + u), 0 ≤ s ≤ 1.

    :param matrices: "hidden", those between embedding and read-out, or "all".
    """

    matrices: Literal["hidden", "all"] = "hidden"

    @abstractmethod
    def init(self, params: Gradients) -> State:
        """The state before the first step, from the matrices (R, …, rows, columns)."""

    @abstractmethod
    def scale(self, name: str, W: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """The factor s of a matrix after the step, (R, …, 1 or rows, 1), and the part of the state that changes."""

    def fault(self, learner: Any) -> str:
        """It needs a matrix."""
        if self.matrices != "all" and not learner.has_hidden_matrices:
            owner, name = type(learner).__name__, part_name(self).replace("_", "-")
            return f"{name} bounds hidden matrices; {owner} as it is set has none, matrices='all' takes all."
        return ""

    def bounds(self, network: Network, name: str, x: Tensor) -> bool:
        """Whether it bounds a parameter, (R, …)."""
        return x.ndim >= 3 and (self.matrices == "all" or name not in network.not_for_muon)

    def transformation(self, network: Network) -> Transformation:
        """For what it bounds; all else moves as the rule says."""

        def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
            updates, after = {}, dict(state)
            for name, u in grads.items():
                w = context.params[name]
                factor, changed = self.scale(name, w + u, state, context)
                # Where the bound holds already the rule's step stays as it is, to the last bit.
                updates[name] = (factor * u) - (1 - factor) * w
                after |= changed
            return updates, after

        return where(partial(self.bounds, network), Transformation(self.init, update), IDENTITY)
