"""Go on with a learner outside of the benchmark: with its weights, on rows that may be others."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from learners._fleet.training import FleetTraining
from learners._problem import State

OF_OPTIMIZER = "o."
"""How names of the optimizer's state begin."""


def kept(training: FleetTraining) -> State:
    """What the only replica needs beside its weights to go on: its seed, the updates done, the optimizer's state."""
    [group] = training.groups
    arrays = {OF_OPTIMIZER + name: x[0].to("cpu", copy=True).numpy() for name, x in group.state.items()}
    return arrays | {name: group.clock[name][0].cpu().numpy() for name in ("seed", "step")}


def go_on(training: FleetTraining, weights: Mapping[str, NDArray[Any]], state: State | None) -> None:
    """Give the only replica of a training that has not begun these weights, and what `kept` kept.

    Schedules and noise depend on all updates that were ever done; batches are those of a new training, whose seed
    follows from the replica's own and those updates. Without a state the optimizer begins anew.

    :raises ValueError: for arrays of other names or shapes than the training has.
    """
    [group] = training.groups
    _fill(training, group.params | group.frozen, weights)
    if state is None:
        group.tensors["state"] = training.rule.transformation.init(group.params)
        return
    own = {name.removeprefix(OF_OPTIMIZER): x for name, x in state.items() if name.startswith(OF_OPTIMIZER)}
    _fill(training, group.state, own)
    seed, step = int(state["seed"]), int(state["step"])
    group.clock["seed"][0], group.clock["step"][0] = seed, step
    training.seeds[0] = int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


def _fill(training: FleetTraining, tensors: Mapping[str, torch.Tensor], arrays: Mapping[str, NDArray[Any]]) -> None:
    wanted = {name: tuple(x.shape[1:]) for name, x in tensors.items()}
    found = {name: tuple(x.shape) for name, x in arrays.items()}
    if wanted != found:
        [name, *_] = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise ValueError(
            f"The parameters of {type(training.learners[0]).__name__} must be those of its weights to go on with them: "
            f"{name} must have the shape {wanted.get(name)}, got {found.get(name)}."
        )
    for name, x in tensors.items():
        x[0] = torch.tensor(arrays[name])
