"""Shared parts of measurements that train fleets themselves: the device, accuracies along a training, several seeds."""

import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.errors import RequestError
from bench.results import describe, evaluation_steps, first_crossing
from bench.scheduling import THREADS, resolve_device
from bench.specs import Request, family
from learners import Training

Rows = NDArray[np.intp]
Accuracies = dict[str, NDArray[np.float64]]
"""The accuracy of each replica by part, (R,); along a training (T, R)."""
Observation = dict[str, Any]


def chosen_device(name: str) -> str:
    """The device of a request, as a grid resolves it: a GPU for "auto" where there is one.

    :raises RequestError: for one that does not exist.
    """
    return resolve_device(name, family(Request(encoder="onehot", learner="quadratic"), 0).first)


def at_least(least: int, **numbers: int) -> None:
    """Raise RequestError for an integer that is smaller.

    :param numbers: by the key of an arm.
    """
    for name, number in numbers.items():
        if number < least:
            raise RequestError(f"{name} must be an integer ≥ {least}, got {number}.")


def share_of(**numbers: float) -> None:
    """Raise RequestError for a number that is not between 0 and 1.

    :param numbers: by the key of an arm.
    """
    for name, number in numbers.items():
        if not 0 <= number <= 1:
            raise RequestError(f"{name} must be in [0, 1], got {number}.")


def device_words(device: str) -> str:
    """As "cpu: AMD EPYC", or the name of the GPU."""
    processor = str(describe(device, THREADS)["processor"])
    return f"cpu: {processor}" if device == "cpu" else processor


def accuracies(
    training: Training, parts: Mapping[str, Sequence[Rows]], answers: Sequence[NDArray[np.integer]]
) -> Accuracies:
    """The share of rows of each part that each replica answers right, by one look.

    :param parts: by name, the rows of each replica.
    :param answers: of each replica, the answers of all rows of its codes.
    """
    replicas = range(len(answers))
    rows = [np.concatenate([parts[name][r] for name in parts]) for r in replicas]
    guessed_RN = torch.as_tensor(training.look(replicas, rows).scores).argmax(-1).cpu().numpy()
    found: Accuracies = {name: np.empty(len(answers)) for name in parts}
    for r in replicas:
        right = guessed_RN[r, : len(rows[r])] == answers[r][rows[r]]
        ends = np.cumsum([len(parts[name][r]) for name in parts])
        for name, own in zip(parts, np.split(right, ends[:-1]), strict=True):
            found[name][r] = own.mean()
    return found


def watch(
    training: Training, steps: Sequence[int], parts: Mapping[str, Sequence[Rows]], answers: Sequence[Any]
) -> Accuracies:
    """Train all replicas, and look at each of these steps; (T, R)."""
    seen = []
    for step in steps:
        training.advance(step, range(len(answers)))
        seen.append(accuracies(training, parts, answers))
    return {name: np.stack([one[name] for one in seen]) for name in parts}


def crossing(name: str, steps: Sequence[int], values: Sequence[float], target: float) -> Observation:
    """The first of these steps at which the target is reached; None, and the last step, where it is not.

    >>> crossing("steps", [1, 2, 3], [0.1, 0.96, 0.5], 0.95)
    {'steps': 2}
    >>> crossing("steps", [1, 2, 3], [0.1, 0.2, 0.5], 0.95)
    {'steps': None, 'steps_until': 3}
    """
    found = first_crossing(steps, list(values), target)
    return {name: found} if found is not None else {name: None, f"{name}_until": steps[-1]}


def looks(budget: int) -> list[int]:
    """The steps of a training at which it is looked at: those of a run."""
    return evaluation_steps(budget, 1)


class Together:
    """Observes several seeds as one fleet, and hands out what was found of them one by one.

    The last fleet is kept in memory, since the seeds of an arm are asked for one after another. Its signature has the
    arguments of an arm, so that recipes are checked by it.

    :param observe: observes some seeds of an arm; the observations stand in the order of the seeds.
    """

    def __init__(self, observe: Callable[..., Sequence[Observation]]) -> None:
        self.observe = observe
        self.known: dict[str, Sequence[Observation]] = {}
        own, arm = inspect.signature(type(self).__call__).parameters, inspect.signature(observe).parameters
        taken = [one for name, one in own.items() if name not in ("self", "arm")]
        self.__signature__ = inspect.Signature(
            [*taken, *(one for name, one in arm.items() if name not in ("seeds", *own))]
        )

    def __call__(self, *, seed: int, device: str, quick: bool, together: int = 1, **arm: Any) -> Observation:
        """What was found of one seed, with its share of the seconds, and the device.

        :param together: seeds of a fleet.
        """
        at_least(1, together=together)
        first, device = seed - seed % together, chosen_device(device)
        key = json.dumps([first, device, quick, together, arm], sort_keys=True)
        if key not in self.known:
            began = time.perf_counter()
            found = self.observe(range(first, first + together), device=device, quick=quick, **arm)
            share = {"seconds": (time.perf_counter() - began) / together, "device": device_words(device)}
            self.known = {key: [one | share for one in found]}
        return self.known[key][seed - first]
