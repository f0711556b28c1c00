"""Count the operations of one step of a learner, from the operators of its formulas."""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

from learners._fleet.group import SHARED, Tensors
from learners._fleet.update_rule import FleetLearner, Rule
from learners._problem import Problem
from learners._torch_internals import FakeTensorMode, TorchDispatchMode, arithmetic_decompositions

FREE = frozenset(
    {
        "view", "_unsafe_view", "reshape", "expand", "transpose", "permute", "unsqueeze", "squeeze", "select",
        "slice", "split", "split_with_sizes", "unbind", "t", "detach", "alias", "as_strided", "diagonal",
        "lift_fresh", "lift_fresh_copy", "clone", "copy", "copy_", "_to_copy", "cat", "stack", "repeat", "flip",
        "constant_pad_nd", "select_scatter", "slice_scatter", "settled", "arange", "empty", "empty_like", "full",
        "full_like", "zeros", "zeros_like", "ones", "ones_like", "new_zeros", "new_ones", "new_empty", "new_full",
        "scalar_tensor", "fill",
    }
)  # fmt: skip
"""Operators that move, copy, convert or fill."""
SCATTERS = {"rows_gradient": 0, "index_put": 2, "_unsafe_index_put": 2, "index_add": 3, "scatter_add": 3, "scatter": 3}
"""The position of the argument that is added."""
OVER_ALL = frozenset(
    {
        "sum", "mean", "amax", "amin", "max", "min", "argmax", "argmin", "any", "all", "prod", "var", "cumsum",
        "logsumexp", "topk", "sort", "linalg_vector_norm",
    }
)  # fmt: skip
PRODUCTS = frozenset(["product", "rectified", "masked"])
"""Operators of this package; PyTorch has counters for its own."""
OPERATIONS_OF_HASH = 10
"""Shifts, exclusive ors, products and masks for each number; with a sum two more, see `learners._kernels.noise`."""

_counted: dict[Hashable, int] = {}


def operations_of_step(learner: FleetLearner, problem: Problem) -> int:
    """Operations on numbers that one update of one replica takes, forward, backward and optimizer.

    The operators of the learner's formulas count as follows:

    - products of matrices: 2 M N K;
    - elementwise arithmetic, comparisons, roots and exponentials: one for each number that comes out;
    - sums and other reductions: one for each number that goes in;
    - look-ups in tables and sums into their rows: one for each number that is read or added.

    Moving, copying, converting and filling cost none. The count is always that of a single replica on a CPU, in
    float32, with its own batch. It depends on no device, precision, neighbour or compiler. Embeddings of one-hot codes
    count as look-ups even where a program multiplies by the table.

    NOTE: a layer that is defined as a matrix counts as a product for any code, as it does in scikit-learn: the first
    layer of a multilayer perceptron counts in full on one-hot codes.

    NOTE: operations are not seconds. Elementwise operations are limited by memory: on one core of a Xeon,
    forward-forward, all elementwise, makes 1.7 billion a second, and the other learners, mostly products, 40 to 65
    billion (defaults, n = 1).
    """
    codes, n_classes, n = problem.codes, problem.n_classes, len(problem.train)
    batch = learner.resolved_batch(n)
    key = (learner.structure(n), batch, codes.table_UF.shape, codes.n_slots, codes.onehot, n_classes)
    if key not in _counted:
        network = learner.network(codes.n_slots, codes.n_features, n_classes)
        network.set_onehot(codes.onehot)
        rule = Rule(learner, network, learner.transformation(network))
        with torch.no_grad(), FakeTensorMode():  # only shapes are propagated
            tensors, rows = _blank(rule, problem, batch), torch.zeros((1, batch), dtype=torch.int64)
            with Operations() as counter:
                rule.update(tensors, rows, all_move=True)
        _counted[key] = counter.total
    return _counted[key]


def _blank(rule: Rule, problem: Problem, batch: int) -> dict[str, Tensors]:
    """Tensors of one replica, of the right shapes."""
    codes = problem.codes
    weights = {name: (w.requires_grad, torch.empty(1, *w.shape)) for name, w in rule.network.named_parameters()}
    params = {name: w for name, (trained, w) in weights.items() if trained}
    integers = partial(torch.zeros, dtype=torch.int64)
    return {
        "params": params,
        "frozen": {name: w for name, (trained, w) in weights.items() if not trained},
        "state": rule.transformation.init(params),
        "hyper": {name: torch.empty(1) for name in rule.learner.hyper()},
        "data": {
            SHARED: torch.empty(codes.table_UF.shape),
            "index": integers((1, batch, codes.n_slots)),
            "y": integers((1, batch)),
        },
        "clock": {"seed": integers(1), "step": integers(1), "alive": torch.ones(1, dtype=torch.bool)},
    }


class Operations(TorchDispatchMode):
    """Counts the operations of a block, as `operations_of_step` says.

    :ivar total: operations so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Perform an operator, decomposed where it combines several, and count it."""
        given = kwargs or {}
        if operator in (decompositions := arithmetic_decompositions()):
            with self:
                made = decompositions[operator](*args, **given)
            if made is not NotImplemented:
                return made
        made = operator(*args, **given)
        self.total += _cost(operator.overloadpacket, args, made)
        return made


def _cost(operator: Any, args: Sequence[Any], made: Any) -> int:
    name = operator.__name__
    result = made[0] if isinstance(made, tuple | list) else made
    if name in FREE:
        return 0
    if operator in flop_registry:
        added = _numel(result) if name in ("addmm", "baddbmm") else 0
        return int(flop_registry[operator](*args, out_val=result)) + added
    if name in PRODUCTS:
        return 2 * _numel(result) * int(args[0].shape[-1])
    if name == "lowbias32":
        return (OPERATIONS_OF_HASH + 2 * bool(args[1])) * _numel(result)
    if name in SCATTERS:
        return _numel(args[SCATTERS[name]])
    return _numel(args[0] if name in OVER_ALL else result)


def _numel(value: Any) -> int:
    return int(value.numel()) if isinstance(value, torch.Tensor) else 0
