"""Samplers of Optuna's, by name."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.errors import RequestError, one_of

__all__ = ["SAMPLERS", "check_sampler", "make_sampler"]

SAMPLERS = ("tpe", "random", "gp", "cmaes", "nsgaii")


def make_sampler(name: str, entropy: Sequence[int], n_objectives: int = 1, at_once: int = 50) -> Any:
    """A sampler of Optuna's.

    :param entropy: what it is seeded by; to be different in every round, or a study that resumes draws its first
        trials once more.
    :param at_once: trials of a round, which are a generation where a sampler has such.
    :raises RequestError: where it is unknown, lacks a package, or does not fit the objectives.
    """
    import optuna

    check_sampler(name, n_objectives)
    seed = int(np.random.SeedSequence(list(entropy)).generate_state(1)[0])
    makers: Mapping[str, Any] = {
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
        "gp": optuna.samplers.GPSampler,
        "cmaes": optuna.samplers.CmaEsSampler,
        "nsgaii": partial(optuna.samplers.NSGAIISampler, population_size=max(2, at_once)),
    }
    return makers[name](seed=seed)


def check_sampler(name: str, n_objectives: int) -> None:
    """Raise RequestError where a sampler cannot be used."""
    from importlib.util import find_spec

    if name not in SAMPLERS:
        raise RequestError(one_of("sampler", name, SAMPLERS))
    if name == "cmaes" and n_objectives > 1:
        raise RequestError("--sampler cmaes takes one objective: use nsgaii for two.")
    if name == "cmaes" and find_spec("cmaes") is None:
        raise RequestError("--sampler cmaes needs the package 'cmaes': pip install 'mod97[cmaes]'.")
