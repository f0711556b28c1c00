"""A function of tensors as the plain sequence of operators that it performs, and what running it costs."""

import copy
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.utils._pytree as pytree
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

__all__ = ["REMEMBERED", "Work", "in_place", "trace"]

VIEWS = {"view", "expand", "transpose", "permute", "unsqueeze", "squeeze", "select", "slice", "split", "t", "detach"}
"""Operators that move nothing."""
PRODUCTS = {"bmm", "mm", "product"}
COPIES = {"_to_copy", "clone"}
ZEROS_AND_ONES = {"eq", "ones_like", "new_ones"}
REMEMBERED = 96
"""Fleets that shrink have a handful of programs for each of half a dozen sizes."""

_traces: dict[Hashable, GraphModule] = {}
_in_place: WeakKeyDictionary[GraphModule, GraphModule] = WeakKeyDictionary()


def trace(function: Callable[..., Any], key: Hashable, *arguments: Any) -> GraphModule:
    """The operators of a function, without the transforms and the Python around them.

    They are exactly those that the function performs by itself: results agree bit for bit. What `vmap`, `grad` and the
    dispatch of hundreds of small calls cost is paid once instead of in every step.

    :param key: equal for functions that do the same; with arguments of equal shapes too, the trace is the same.
    """
    leaves, structure = pytree.tree_flatten(arguments)
    known = (key, str(structure), *((tuple(x.shape), x.dtype, x.device) for x in leaves))
    if known not in _traces:
        with torch.no_grad():
            program = make_fx(function)(*arguments)
        program.graph.eliminate_dead_code()
        program.recompile()
        while len(_traces) >= REMEMBERED:
            del _traces[next(iter(_traces))]
        _traces[known] = program
    _traces[known] = found = _traces.pop(known)
    return found


def in_place(program: GraphModule, tensors: dict[str, dict[str, Tensor]], rows: Tensor) -> GraphModule:
    """The trace of an update, writing new parameters and state over the old ones.

    :param program: traces a function of (tensors, rows) that gives the new ``params`` and ``state``.
    """
    if program not in _in_place:
        leaves, structure = pytree.tree_flatten((tensors, rows))
        numbers, _ = pytree.tree_unflatten(list(range(len(leaves))), structure)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own use of what it has deprecated
            writing = copy.deepcopy(program)
        places = [node for node in writing.graph.nodes if node.op == "placeholder"]
        [output] = [node for node in writing.graph.nodes if node.op == "output"]
        new = pytree.tree_unflatten(list(output.args[0]), program._out_spec)
        with writing.graph.inserting_before(output):
            written = [
                writing.graph.call_function(torch.ops.aten.copy_.default, (places[numbers[kind][name]], value))
                for kind, values in zip(("params", "state"), new, strict=True)
                for name, value in values.items()
            ]
        output.args = (written,)
        writing.recompile()
        _in_place[program] = writing
    return _in_place[program]


@dataclass(frozen=True)
class Work:
    """What a program does.

    :param operators: those that compute anything.
    :param bytes: read and written by operators other than products.
    :param flops: of products, without those that stand for a gather or a sum: the model's arithmetic, whatever device
        and number of replicas its operators were chosen for.
    """

    operators: int
    bytes: int
    flops: int

    def of_fewer(self, share: float) -> "Work":
        """Of the program of a share of the replicas."""
        return Work(self.operators, round(share * self.bytes), round(share * self.flops))

    @classmethod
    def of(cls, program: GraphModule) -> "Work":
        """Counted from the shapes of a trace."""
        operators = moved = flops = 0
        for node in program.graph.nodes:
            name = _name(node)
            if not name or name in VIEWS or not isinstance(node.meta.get("val"), Tensor):
                continue
            operators += 1
            if name in PRODUCTS and not any(_zeros_and_ones(factor) for factor in node.all_input_nodes):
                flops += 2 * node.meta["val"].numel() * _inner(node)
            else:
                moved += sum(_size(x) for x in (node, *node.all_input_nodes))
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
