"""Spectacles: encoder and learner evolved in turns, against random search with as many trials.

A genome is an encoder with its parameters and a learner with its own. It is scored by its mean validation accuracy over
several operations, so that a code that has addition built in does not win by it. In turns, some generations of encoders
see with the best learner so far, then some generations of learners look through the best encoder so far. All searches
begin with the same pair, one-hot codes and the quadratic net, so that none has a better start. The winner alone is
tested: on pairs of a vault that no trial saw, with fresh seeds, on the same operations and on one more.

Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II" (doi:10.1109/4235.996017), here
with one objective.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import optuna

import bench
from bench.errors import RequestError, one_of
from bench.recipes.measurements._fleets import Observation, accuracies, at_least, chosen_device, device_words, share_of
from bench.recipes.measurements._genomes import Half, encoder_half, learner_half
from bench.specs import Request, family, prepare
from learners import Setting

version = 2
UNITS = dict.fromkeys(("accuracy", "add_accuracy", "held_out_accuracy", "validation_accuracy"), "share")
SCORED, HELD_OUT = ("add", "subtract", "multiply", "quad"), "sum-of-squares"
SEARCH_SEED = 1000
"""The first seed of trials. The winner is tested with seeds 0, 1, …"""

START: tuple[Mapping[str, Any], Mapping[str, Any]] = (
    {"encoder": "onehot", "combine": "concat"},
    {
        "learner": "quadratic",
        "quadratic.width": 128,
        "quadratic.init_scale": 0.02,
        "quadratic.tied": True,
        "quadratic.adamw.lr": 0.03,
        "quadratic.adamw.weight_decay": 3.0,
        "quadratic.adamw.beta2": 0.98,
    },
)
"""Genes of the two halves with which every search begins: the quadratic net as it comes, but for its width, of which
128 is the largest that is searched. Genes of other encoders and learners have no effect."""

Score = Callable[[Half], float]


def request_of(genome: Half, task: str, **more: Any) -> dict[str, Any]:
    """The arguments of `bench.run` for one operation."""
    fields = {name: value for name, value in genome.items() if "." not in name}
    settings = {name: value for name, value in genome.items() if "." in name}
    return {"task": task, "pairs": "grouped", "settings": settings} | fields | more


def score(genome: Half, *, seed: int, device: str, steps: int, **more: Any) -> float:
    """Mean validation accuracy over the operations; 0 of an encoder whose parameters or codes do not fit."""
    try:
        requests = [Request.of(request_of(genome, task, validation_fraction=0.2, **more)) for task in SCORED]
        cells = [prepare(family(request, seed).first) for request in requests]
    except RequestError:
        return 0.0
    problems = [cell.problem for cell in cells]
    training = type(cells[0].learner).begin([cell.learner for cell in cells], problems, Setting(device, steps=steps))
    training.advance(steps, range(len(cells)))
    validation = {"validation": [cell.split.validation for cell in cells]}
    return float(accuracies(training, validation, [cell.task.answers_N for cell in cells])["validation"].mean())


class Best(NamedTuple):
    """The best trial of a search: what was drawn, its genes and its score."""

    half: Half
    genes: Mapping[str, Any]
    value: float


def half_of(draw: Callable[[Any], Half], genes: Mapping[str, Any]) -> Half:
    """The half that these genes give."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(dict(genes))
    return draw(study.ask())


def search_of(
    draw: Callable[[Any], Half], fixed: Half, score: Score, sampler: Any, trials: int, first: Mapping[str, Any]
) -> Best:
    """The best of so many trials.

    :param draw: draws what is searched; the rest of a genome is ``fixed``.
    :param first: genes of the first trial; those that it lacks are drawn.
    """
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(dict(first))
    found: dict[int, Half] = {}

    def objective(trial: Any) -> float:
        found[trial.number] = draw(trial)
        return score(fixed | found[trial.number])

    study.optimize(objective, n_trials=trials)
    return Best(found[study.best_trial.number], study.best_params, study.best_value)


def in_turns(score: Score, seed: int, turns: int, generations: int, population: int) -> Best:
    """The best genome of searches of one half after the other, each beside the best other half so far."""
    draws, best = (encoder_half, learner_half), 0.0
    halves = [Best(half_of(draw, genes), genes, best) for draw, genes in zip(draws, START, strict=True)]
    for turn in range(turns):
        own, other = turn % 2, 1 - turn % 2
        sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=seed + turn)
        trials = generations * population
        found = search_of(draws[own], halves[other].half, score, sampler, trials, halves[own].genes)
        if found.value >= best:
            halves[own], best = found, found.value
    return Best(halves[0].half | halves[1].half, {**halves[0].genes, **halves[1].genes}, best)


def winner(how: str, score: Score, seed: int, turns: int, generations: int, population: int) -> Best:
    """The best genome by ``turns · generations · population`` trials.

    :param how: "turns", "joint" (a genetic search of whole genomes), or "random".
    :raises RequestError: for another.
    """
    samplers = {
        "joint": partial(optuna.samplers.NSGAIISampler, seed=seed + turns, population_size=population),
        "random": partial(optuna.samplers.RandomSampler, seed=seed + turns + 1),  # others would begin with its trials
    }
    if how == "turns":
        return in_turns(score, seed, turns, generations, population)
    if how not in samplers:
        raise RequestError(one_of("search", how, ("turns", *samplers)))
    trials = turns * generations * population
    first = {**START[0], **START[1]}
    return search_of(lambda trial: encoder_half(trial) | learner_half(trial), {}, score, samplers[how](), trials, first)


@contextmanager
def _quiet() -> Iterator[None]:
    """A block in which Optuna writes no line for each trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def observe(
    *,
    seed: int,
    device: str,
    quick: bool,
    search: str,
    steps: int = 200,
    modulus: int = 31,
    train_fraction: float = 0.4,
    vault: float = 0.3,
    fresh: int = 3,
    turns: int = 4,
    generations: int = 3,
    population: int = 8,
) -> Observation:
    """Observes one search: test accuracy of its winner, over all operations, of addition, and of the one held out.

    :param search: as ``how`` of `winner`.
    :param vault: share of the pairs that are kept for the test.
    :param fresh: seeds of the test.
    """
    at_least(1, steps=steps, modulus=modulus, fresh=fresh, turns=turns, generations=generations)
    at_least(2, population=population)
    share_of(train_fraction=train_fraction, vault=vault)
    began, device = time.perf_counter(), chosen_device(device)
    common: dict[str, Any] = {"modulus": modulus, "train_fraction": train_fraction}
    sealed = {"fraction": vault, "seed": seed, "open": False}
    of = partial(score, seed=SEARCH_SEED + seed, device=device, steps=steps, vault=sealed, **common)
    with _quiet():
        best = winner(search, of, SEARCH_SEED * (1 + seed), turns, generations, population)
    opened = {"vault": sealed | {"open": True}, "seeds": fresh, "steps": steps, "device": device, "results": None}
    tested = {}
    for task in (*SCORED, HELD_OUT):
        records = bench.run(**request_of(best.half, task, **common, **opened), jobs=1)
        tested[task] = float(np.mean([record["final"]["test_accuracy"] for record in records]))
    return {
        "accuracy": float(np.mean(list(tested.values()))),
        "add_accuracy": tested["add"],
        "held_out_accuracy": tested[HELD_OUT],
        "validation_accuracy": best.value,
        "winner": best.half,
        "seconds": time.perf_counter() - began,
        "device": device_words(device),
    }
