"""Optuna's samplers, by name."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna

from bench.errors import RequestError, one_of
from bench.tuning.search import SAMPLERS


def make_sampler(name: str, entropy: Sequence[int], n_objectives: int = 1, at_once: int = 50) -> Any:
    """One of Optuna's samplers.

    :param entropy: its seed, which must differ between rounds: otherwise a resumed study draws its first trials again.
    :param at_once: trials of a round, which are a generation of a genetic sampler.
    :raises RequestError: if it is unknown, lacks a package, or does not fit the number of objectives.
    """
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
    """Raise RequestError if a sampler cannot be used."""
    if name not in SAMPLERS:
        raise RequestError(one_of("sampler", name, SAMPLERS))
    if name == "cmaes" and n_objectives > 1:
        raise RequestError("`sampler` cmaes takes one objective: use nsgaii for two.")
    if name == "cmaes" and find_spec("cmaes") is None:
        raise RequestError("`sampler` cmaes needs the package 'cmaes': pip install 'mod97[cmaes]'.")
