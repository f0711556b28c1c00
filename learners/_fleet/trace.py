"""Trace a function of tensors into the sequence of operators that it performs, and count what running it costs."""

import copy
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from learners._torch_internals import (
    FakeTensorMode,
    TracingContext,
    structures,
    tracing,
    tree_flatten,
    tree_unflatten,
)

VIEWS = {"view", "expand", "transpose", "permute", "unsqueeze", "squeeze", "select", "slice", "split", "t", "detach"}
"""Operators that move no data."""
PRODUCTS = {"bmm", "mm", "product", "rectified", "masked"}
COPIES = {"_to_copy", "clone"}
KERNELS = {"lowbias32": 10}
"""Kernels of operators that are several where nothing is compiled."""
ZEROS_AND_ONES = {"eq", "ones_like", "new_ones"}
REMEMBERED = 96
"""Entries of a cache. A fleet that shrinks needs several programs for each of about six sizes."""

_traces: dict[Hashable, GraphModule] = {}
_in_place: WeakKeyDictionary[GraphModule, GraphModule] = WeakKeyDictionary()


def remember(known: dict[Any, Any], key: Hashable, value: Any) -> None:
    """Keep an entry among those used last, and forget the oldest ones."""
    while len(known) >= REMEMBERED:
        del known[next(iter(known))]
    known[key] = value


def recall(known: dict[Any, Any], key: Hashable) -> Any:
    """An entry, which becomes the one used last; None where there is none."""
    if key in known:
        known[key] = known.pop(key)
    return known.get(key)


def trace(function: Callable[..., Any], key: Hashable, *arguments: Any) -> GraphModule:
    """The operators of a function, without the transforms and the Python around them.

    The operators are those of the function itself, so that results agree bit for bit. The overhead of `vmap`, `grad`
    and Python is paid once instead of in every step.

    :param key: equal for functions that do the same; with arguments of equal shapes too, the trace is the same.
    """
    leaves, structure = tree_flatten(arguments)
    known = (key, str(structure), *((tuple(x.shape), x.stride(), x.dtype, x.device) for x in leaves))
    if known not in _traces:
        # One mode for all operators: creating one for each would take half of the time of tracing.
        with torch.no_grad(), tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
            program = make_fx(function)(*arguments)
        program.graph.eliminate_dead_code()
        program.recompile()
        remember(_traces, known, program)
    return recall(_traces, known)


def in_place(program: GraphModule, tensors: dict[str, dict[str, Tensor]]) -> GraphModule:
    """The trace of a function that returns new values of some tensors, changed to write them over the old ones."""
    if program not in _in_place:
        leaves, structure = tree_flatten((tensors,))
        [numbers] = tree_unflatten(list(range(len(leaves))), structure)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own use of what it has deprecated
            writing = copy.deepcopy(program)
        places = [node for node in writing.graph.nodes if node.op == "placeholder"]
        [output] = [node for node in writing.graph.nodes if node.op == "output"]
        new = tree_unflatten(list(output.args[0]), structures(program)[1])
        with writing.graph.inserting_before(output):
            written = [
                writing.graph.call_function(torch.ops.aten.copy_.default, (places[numbers[kind][name]], value))
                for kind, values in new.items()
                for name, value in values.items()
            ]
        output.args = (written,)
        writing.recompile()
        _in_place[program] = writing
    return _in_place[program]


def aligned(program: GraphModule) -> GraphModule:
    """The same program with matrices padded so that all rows begin at multiples of 16 bytes, which a GPU's fast kernels
    require.

    Zeros are appended to rows and columns, and their results are cut off: 97 classes are computed as 104.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own use of what it has deprecated
        made = copy.deepcopy(program)
    for node in [node for node in made.graph.nodes if node.target is torch.ops.aten.bmm.default]:
        _align(node)
    made.graph.eliminate_dead_code()
    made.recompile()
    return made


def _align(product: Node) -> None:
    """Pad one product of (R, M, K) and (R, K, N) along the contiguous dimension of each matrix."""
    a, b = product.all_input_nodes if len(product.all_input_nodes) == 2 else product.all_input_nodes * 2
    x, y = a.meta["val"], b.meta["val"]
    unit = 16 // x.element_size()
    (m, k), n = x.shape[1:], y.shape[2]
    rows = -m % unit if x.stride(2) != 1 else 0
    columns = -n % unit
    inner = -k % unit if x.stride(2) == 1 or y.stride(2) != 1 else 0
    if not (rows or columns or inner):
        return
    graph, aten = product.graph, torch.ops.aten
    with graph.inserting_before(product):
        left = graph.call_function(aten.constant_pad_nd.default, (a, [0, inner, 0, rows])) if inner or rows else a
        right = (
            graph.call_function(aten.constant_pad_nd.default, (b, [0, columns, 0, inner])) if inner or columns else b
        )
        found = graph.call_function(aten.bmm.default, (left, right))
        if rows:
            found = graph.call_function(aten.slice.Tensor, (found, 1, 0, m))
        if columns:
            found = graph.call_function(aten.slice.Tensor, (found, 2, 0, n))
    found.meta["val"] = product.meta["val"]
    product.replace_all_uses_with(found)
    graph.erase_node(product)


@dataclass(frozen=True)
class Work:
    """The cost of running a program once, from which follows whether compiling it pays.

    It is not the cost that records state, which `operations_of_step` counts.

    :param operators: that compute anything.
    :param bytes: read and written by operators other than products.
    :param flops: of products, without those that stand for a gather or a sum.
    """

    operators: int
    bytes: int
    flops: int

    def of_fewer(self, share: float) -> "Work":
        """The cost for a share of the replicas."""
        return Work(self.operators, round(share * self.bytes), round(share * self.flops))

    @classmethod
    def of(cls, program: GraphModule) -> "Work":
        """Counted from the shapes of a trace."""
        operators = moved = flops = 0
        for node in program.graph.nodes:
            name, made = _name(node), node.meta.get("val")
            if name == "masked":  # its sums over rows come with it
                made = made[0]
            if not name or name in VIEWS or not isinstance(made, Tensor):
                continue
            kernels = KERNELS.get(name, 1)
            operators += kernels
            if name in PRODUCTS and not any(_zeros_and_ones(factor) for factor in node.all_input_nodes):
                flops += 2 * made.numel() * _inner(node)
            else:
                moved += kernels * sum(_size(x) for x in (node, *node.all_input_nodes))
                if name == "index_select":  # one batch of a block is read
                    moved -= max(0, _size(node.all_input_nodes[0]) - _size(node))
        return cls(operators, moved, flops)


def _name(node: Node) -> str:
    return str(node.target).split(".")[1] if node.op == "call_function" and "." in str(node.target) else ""


def _zeros_and_ones(node: Node) -> bool:
    """Whether a matrix selects or adds rows."""
    while _name(node) in VIEWS | COPIES:
        node = node.all_input_nodes[0]
    return _name(node) in ZEROS_AND_ONES


def _inner(node: Node) -> int:
    first = node.args[0]
    assert isinstance(first, Node)
    return int(first.meta["val"].shape[-1])


def _size(node: Node) -> int:
    value = node.meta.get("val")
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0
