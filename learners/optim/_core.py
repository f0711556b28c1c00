"""Gradient transformations: pure functions of stacked tensors, ``init`` and ``update``, and how they chain.

Every tensor carries the replica axis R in front: parameters and gradients (R, …), hyperparameters (R,), step counts
(R,). A transformation never mixes replicas. Its state is a flat dictionary of tensors with the same axis, so that
replicas can be selected, split off and stored by indexing.

The form is optax's (Babuschkin et al. 2020, "The DeepMind JAX Ecosystem"): gradients go in, updates come out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

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
    :param loss: the loss of the batch whose gradient this is, (R,): a mean, or for layers with losses of their own the
        sum of theirs; None in ``seen``, which comes before it.
    """

    params: Gradients
    hyper: Hyper
    step: Tensor
    seed: Tensor
    loss: Tensor | None = None


@dataclass(frozen=True)
class Transformation:
    """How gradients become updates.

    :param init: parameters → state before the first step.
    :param update: gradients, state, context → updates, next state.
    :param seen: parameters, state, context → the parameters at which the gradient is taken; None for the parameters
        themselves. Evaluations always use the parameters.
    """

    init: Callable[[Gradients], State]
    update: Callable[[Gradients, State, Context], tuple[Gradients, State]]
    seen: Callable[[Gradients, State, Context], Gradients] | None = None


def stateless(update: Callable[[Gradients, Context], Gradients]) -> Transformation:
    """A transformation without state."""
    return Transformation(lambda params: {}, lambda grads, state, context: (update(grads, context), state))


IDENTITY: Final = stateless(lambda grads, context: grads)
"""Changes nothing."""


def chain(*parts: Transformation) -> Transformation:
    """Apply transformations one after another; the state of each is stored under its number."""

    def init(params: Gradients) -> State:
        return {f"{i}.{name}": x for i, part in enumerate(parts) for name, x in part.init(params).items()}

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        after: State = {}
        for i, part in enumerate(parts):
            prefix = f"{i}."
            grads, own = part.update(grads, _below(prefix, state), context)
            after |= {prefix + name: x for name, x in own.items()}
        return grads, after

    def seen(params: Gradients, state: State, context: Context) -> Gradients:
        for i, part in enumerate(parts):
            if part.seen is not None:
                params = part.seen(params, _below(f"{i}.", state), context)
        return params

    return Transformation(init, update, seen if any(part.seen for part in parts) else None)


def scoped(prefix: str, part: Transformation) -> Transformation:
    """A transformation whose hyperparameters are those whose names begin with the prefix, without it."""

    def own(context: Context) -> Context:
        return replace(context, hyper=_below(prefix, context.hyper))

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        return part.update(grads, state, own(context))

    def seen(params: Gradients, state: State, context: Context) -> Gradients:
        assert part.seen is not None
        return part.seen(params, state, own(context))

    return Transformation(part.init, update, part.seen and seen)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


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
            changed, own = rule.update(part(grads, context.params, prefix == "yes."), _below(prefix, state), context)
            updates |= changed
            after |= {prefix + name: x for name, x in own.items()}
        return {name: updates[name] for name in grads}, after

    def seen(params: Gradients, state: State, context: Context) -> Gradients:
        found: Gradients = {}
        for prefix, rule in (("yes.", yes), ("no.", no)):
            some = part(params, context.params, prefix == "yes.")
            found |= some if rule.seen is None else rule.seen(some, _below(prefix, state), context)
        return {name: found[name] for name in params}

    return Transformation(init, update, seen if yes.seen or no.seen else None)


def where_matrix(
    yes: Transformation, no: Transformation | None = None, except_for: frozenset[str] = frozenset()
) -> Transformation:
    """One transformation for matrices (R, …, rows, columns), stacks of them included, another or none for the rest."""
    return where(lambda name, x: x.ndim >= 3 and name not in except_for, yes, no or IDENTITY)


def per_replica(value: Tensor, like: Tensor) -> Tensor:
    """A hyperparameter (R,) shaped so that it multiplies a tensor (R, …)."""
    return value.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def zeros_like(params: Gradients, prefix: str) -> State:
    """A zero for every parameter."""
    return {prefix + name: torch.zeros_like(x) for name, x in params.items()}
