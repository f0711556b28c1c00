"""The private parts of PyTorch that the learners depend on, all in this file.

PyTorch may rename or remove them in any release. `INTERNALS` names each one and what depends on it; a test resolves
them all, and `internal` raises an error in the same words.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import resolve_name
from typing import Any, Final

import torch
from torch.fx import GraphModule

INTERNALS: Final = {
    "torch._decomp:core_aten_decompositions": "counting the operations of a step (learners._fleet.counting)",
    "torch._decomp:get_decompositions": "counting the operations of a step (learners._fleet.counting)",
    "torch._guards:TracingContext": "tracing a program (learners._fleet.trace)",
    "torch._guards:tracing": "tracing a program (learners._fleet.trace)",
    "torch._inductor:CompiledArtifact": "loading compiled programs from disk (learners._fleet.program_cache)",
    "torch._inductor:standalone_compile": "writing compiled programs to disk (learners._fleet.program_cache)",
    "torch._inductor.compile_fx:compile_fx": "importing the compiler ahead of its use (learners.fleet)",
    "torch._inductor.lowering:make_pointwise": "fast programs with noise (learners._kernels.noise)",
    "torch._inductor.lowering:register_lowering": "fast programs with noise (learners._kernels.noise)",
    "torch._inductor.virtualized:ops": "fast programs with noise (learners._kernels.noise)",
    "torch._subclasses:FakeTensorMode": "tracing a program and counting its operations (learners._fleet)",
    "torch.fx._pytree:tree_flatten_spec": "calling compiled programs from disk (learners._fleet.program_cache)",
    "torch.utils._pytree:tree_flatten": "naming the arguments of programs (learners._fleet)",
    "torch.utils._pytree:tree_structure": "calling compiled programs from disk (learners._fleet.program_cache)",
    "torch.utils._pytree:tree_unflatten": "programs that write in place (learners._fleet.trace)",
    "torch.utils._python_dispatch:TorchDispatchMode": "counting the operations of a step (learners._fleet.counting)",
}
"""What depends on each private name, as "module:name"."""


def internal(path: str) -> Any:
    """A private object of PyTorch.

    :param path: a key of `INTERNALS`.
    :raises ImportError: where this PyTorch has none of that name. The message says what depends on it.
    """
    try:
        return resolve_name(path)
    except (ImportError, AttributeError) as error:
        name = path.replace(":", ".")
        raise ImportError(f"PyTorch {torch.__version__} has no {name}: {INTERNALS[path]} depends on it.") from error


FakeTensorMode: Any = internal("torch._subclasses:FakeTensorMode")
TorchDispatchMode: Any = internal("torch.utils._python_dispatch:TorchDispatchMode")
TracingContext: Any = internal("torch._guards:TracingContext")
tracing: Any = internal("torch._guards:tracing")
tree_flatten: Any = internal("torch.utils._pytree:tree_flatten")
tree_unflatten: Any = internal("torch.utils._pytree:tree_unflatten")
structure_of: Any = internal("torch.utils._pytree:tree_structure")
flatten_as: Any = internal("torch.fx._pytree:tree_flatten_spec")


@cache
def arithmetic_decompositions() -> dict[Any, Any]:
    """PyTorch's core operators, and some that combine several operations, written as plain arithmetic."""
    aten = torch.ops.aten
    combined = [aten.native_layer_norm, aten._log_softmax, aten._softmax, aten.gelu, aten.gelu_backward]
    core, chosen = (internal(f"torch._decomp:{name}") for name in ("core_aten_decompositions", "get_decompositions"))
    return core() | chosen(combined)


def structures(program: GraphModule) -> tuple[Any, Any]:
    """How the arguments and the results of a traced program are nested."""
    return program._in_spec, program._out_spec


def standalone_compile(program: GraphModule, leaves: Any, options: dict[str, Any]) -> Any:
    """A traced program, compiled for flat arguments of these shapes, that can be written to disk."""
    how = {"dynamic_shapes": "from_example_inputs", "options": {"config_patches": options}}
    return internal("torch._inductor:standalone_compile")(program, leaves, **how)


def load_artifact(path: str) -> Any:
    """A compiled program from disk."""
    return internal("torch._inductor:CompiledArtifact").load(path=path, format="binary")


def load_compiler() -> None:
    """Import PyTorch's compiler, which takes seconds."""
    import_module("torch._inductor.compile_fx")


def lower(operator: Any, formula: Callable[..., Any]) -> None:
    """Let the compiler compute an elementwise operator of an int64 tensor and an integer inside of its kernels.

    :param formula: of the operands, the compiler's operators, and a function that makes constants of integers.
    """
    pointwise, register = (internal(f"torch._inductor.lowering:{x}") for x in ("make_pointwise", "register_lowering"))
    ops = internal("torch._inductor.virtualized:ops")

    def made(x: Any, integer: int) -> Any:
        return pointwise(lambda one: formula(one, integer, ops, lambda number: ops.constant(number, torch.int64)))(x)

    register(operator, type_promotion_kind=None)(made)


def onednn_linear() -> Any:
    """oneDNN's x wᵀ + b on a CPU; None where this PyTorch comes without it."""
    found = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
    return found and found.default
