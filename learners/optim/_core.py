"""Gradient transformations: pure pairs of ``init`` and ``update`` over stacked tensors, and how they chain.

Every tensor carries the replica axis R in front: parameters and gradients (R, …), hyperparameters (R,), step counts
(R,). A transformation never mixes replicas. Its state is a flat dictionary of tensors with the same axis, so that
replicas can be selected, split off and stored by indexing.

The form is optax's (Babuschkin et al. 2020, "The DeepMind JAX Ecosystem"): gradients go in, updates come out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Gradients = dict[str, Tensor]
"""Tensors (R, …) by the name of their parameter."""
State = dict[str, Tensor]
"""The state of a transformation, tensors (R, …) by name."""
Hyper = Mapping[str, Tensor]
"""Hyperparameters by name, (R,) each."""


@dataclass(frozen=True)
class Context:
    """What an update may use besides the gradients.

    :param params: the parameters before the update.
    :param hyper: hyperparameters, (R,) each.
    :param step: updates done before this one, (R,) integers.
    :param seed: a key for randomness, (R,) integers, the same in all steps.
    """

    params: Gradients
    hyper: Hyper
    step: Tensor
    seed: Tensor


@dataclass(frozen=True)
class Transformation:
    """How gradients become updates.

    :param init: parameters → state before the first step.
    :param update: gradients, state, context → updates, next state.
    """

    init: Callable[[Gradients], State]
    update: Callable[[Gradients, State, Context], tuple[Gradients, State]]


def stateless(update: Callable[[Gradients, Context], Gradients]) -> Transformation:
    """A transformation without state."""
    return Transformation(lambda params: {}, lambda grads, state, context: (update(grads, context), state))


def chain(*parts: Transformation) -> Transformation:
    """Apply transformations one after another; the state of each is stored under its number."""

    def init(params: Gradients) -> State:
        return {f"{i}.{name}": x for i, part in enumerate(parts) for name, x in part.init(params).items()}

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        after: State = {}
        for i, part in enumerate(parts):
            prefix = f"{i}."
            own = {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
            grads, own = part.update(grads, own, context)
            after |= {prefix + name: x for name, x in own.items()}
        return grads, after

    return Transformation(init, update)


def where(chosen: Callable[[str, Tensor], bool], yes: Transformation, no: Transformation) -> Transformation:
    """One transformation for the chosen parameters, another for the rest; chosen by name and stacked tensor."""

    def part(tensors: Gradients, params: Gradients, want: bool) -> Gradients:
        return {name: x for name, x in tensors.items() if chosen(name, params[name]) is want}

    def init(params: Gradients) -> State:
        own = [("yes.", yes.init(part(params, params, True))), ("no.", no.init(part(params, params, False)))]
        return {prefix + name: x for prefix, state in own for name, x in state.items()}

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        updates: Gradients = {}
        after: State = {}
        for prefix, rule in (("yes.", yes), ("no.", no)):
            own = {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
            changed, own = rule.update(part(grads, context.params, prefix == "yes."), own, context)
            updates |= changed
            after |= {prefix + name: x for name, x in own.items()}
        return {name: updates[name] for name in grads}, after

    return Transformation(init, update)


def where_matrix(yes: Transformation, no: Transformation, except_for: frozenset[str] = frozenset()) -> Transformation:
    """One transformation for hidden matrices, decided by the unstacked shape, another for the rest."""
    return where(lambda name, x: x.ndim == 3 and name not in except_for, yes, no)


def per_replica(value: Tensor, like: Tensor) -> Tensor:
    """A hyperparameter (R,) shaped so that it multiplies a tensor (R, …)."""
    return value.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def zeros_like(params: Gradients, prefix: str) -> State:
    """A zero for every parameter."""
    return {prefix + name: torch.zeros_like(x) for name, x in params.items()}
