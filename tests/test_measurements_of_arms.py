"""Measurements that observe the arms of recipes: small observations of each, and the mathematics behind them."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import bench
from bench.errors import RequestError
from bench.recipes import read_recipe
from bench.recipes.measurements import curriculum, evolution, images, spectacles
from bench.recipes.measurements._fleets import Together, accuracies
from bench.recipes.measurements._genomes import ENCODERS, encoder_half, learner_half
from bench.recipes.observations import measurement_of, observation_keys
from bench.specs import RandomTrial, Request, family, prepare
from encoders import Codes
from learners import Problem, Setting

RECIPES = {
    "grokfast-images": ("ema", "decay-lora"),
    "forum-curriculum": ("add-cube-y", "three-cube-y-kept"),
    "forum-spectacles": ("turns", "random"),
    "forum-without-gradients": ("evolution-1024", "gradient"),
    "forum-split": ("200", "50"),
}
"""Two arms of each."""


@pytest.mark.parametrize(("name", "arm"), [(name, arm) for name, arms in RECIPES.items() for arm in arms])
def test_a_quick_observation_has_the_numbers_that_claims_compare(name: str, arm: str) -> None:
    recipe = read_recipe(name)
    module = measurement_of(recipe)
    _, seed, own = observation_keys(recipe, quick=True)[arm][-1]
    found = module.observe(seed=seed, device="cpu", quick=True, **own)
    for number, unit in module.UNITS.items():
        value = found[number]
        assert found[f"{number}_until"] > 0 if value is None else 0 <= value <= (1 if unit == "share" else np.inf)
    assert found["device"].startswith("cpu: ")
    assert found["seconds"] > 0


def test_a_claim_of_a_number_that_is_not_found_is_refused() -> None:
    recipe = read_recipe("forum-without-gradients")
    claims = [bench.recipes.Claim(claim="c", arms=("gradient",), rule=None, measure="evaluation")]
    with pytest.raises(RequestError, match=r"evaluation.*did you mean.*evaluations"):
        measurement_of(bench.recipes.Recipe("r", "t", "s", recipe.arms, claims, measurement="evolution"))


def test_seeds_of_a_fleet_are_observed_once() -> None:
    calls = []

    def observe(seeds: range, **arm: Any) -> list[dict[str, Any]]:
        calls.append((list(seeds), arm["steps"]))
        return [{"seed": seed} for seed in seeds]

    together = Together(observe)
    found = [together(seed=s, device="cpu", quick=False, together=2, steps=7)["seed"] for s in range(4)]
    assert found == [0, 1, 2, 3]
    together(seed=3, device="cpu", quick=False, together=2, steps=8)
    assert calls == [([0, 1], 7), ([2, 3], 7), ([2, 3], 8)]


def test_accuracies_are_of_each_replicas_own_rows() -> None:
    cells = [prepare(family(Request(encoder="phasor", learner="ridge", modulus=11), seed).first) for seed in (0, 1)]
    problems = [cell.problem for cell in cells]
    training = type(cells[0].learner).begin([cell.learner for cell in cells], problems)
    training.advance(0, range(2))
    right = [cell.task.answers_N for cell in cells]
    parts = {"test": [cell.split.test for cell in cells], "few": [cells[0].split.test[:1], cells[1].split.test[:2]]}
    found = accuracies(training, parts, [right[0], (right[1] + 1) % 11])
    assert {name: values.tolist() for name, values in found.items()} == {"test": [1.0, 0.0], "few": [1.0, 0.0]}


# Images


@pytest.mark.parametrize("rank", [0, 2])
def test_a_network_starts_eight_times_too_large(rank: int) -> None:
    codes = Codes(np.eye(6), np.arange(6)[:, np.newaxis])
    problem = Problem(codes, np.arange(4), np.array([0, 1, 0, 1]), 2)
    of = partial(images.network_of, 3, depth=3, width=5, weight_decay=2.0, ema=True, alpha=0.8, lamb=0.1)
    usual, large = (
        images.begin([of(lora_rank=rank)], [problem], scale, Setting()).learner(0).model_ for scale in (1.0, 8.0)
    )
    assert len(usual) == (6 if rank == 0 else 10)
    assert any(weights.any() for weights in usual.values())
    for name, weights in usual.items():
        np.testing.assert_array_equal(large[name], 8 * weights)


def test_images_that_train_are_not_tested() -> None:
    train, test = images.split(0, 1797)
    assert (len(train), len(test)) == (1000, 797)
    assert len(np.union1d(train, test)) == 1797
    assert set(train) != set(images.split(1, 1797)[0])


# A curriculum

SMALL = {
    "encoder": "onehot",
    "learner": "transformer",
    "pairs": "ordered",
    "modulus": 11,
    "learner.width": 16,
    "learner.depth": 1,
}


def test_one_stage_is_plain_training() -> None:
    settings = {name: value for name, value in SMALL.items() if "." in name}
    plain = {name: value for name, value in SMALL.items() if "." not in name}
    [record] = bench.run(task="quad", settings=settings, seed=1, steps=60, device="cpu", results=None, **plain)
    found = curriculum.observe(seed=1, device="cpu", quick=True, stages=["quad"], steps=60, **SMALL)
    assert found["accuracy"] == record["final"]["test_accuracy"]
    assert found["train_accuracy"] == record["final"]["train_accuracy"]
    assert found["steps"] == record["steps_to"]["test"]["0.95"]


def test_two_stages_of_one_operation_are_one_where_the_optimizer_goes_on() -> None:
    cells = curriculum.cells_of(SMALL, "add", [0])
    whole = curriculum.begin(cells, "cpu", 20, None, keep_optimizer=True)
    whole.advance(20, [0])
    first = curriculum.begin(cells, "cpu", 8, None, keep_optimizer=True)
    first.advance(8, [0])
    second = curriculum.begin(cells, "cpu", 12, first, keep_optimizer=True)
    second.advance(20, [0])
    for name, values in whole.state(0).items():
        np.testing.assert_array_equal(second.state(0)[name], values, err_msg=name)


def test_an_optimizer_that_begins_anew_has_the_weights_alone() -> None:
    [cell] = cells = curriculum.cells_of(SMALL, "add", [0])
    first = curriculum.begin(cells, "cpu", 5, None, keep_optimizer=False)
    first.advance(5, [0])
    second = curriculum.begin(curriculum.cells_of(SMALL, "cube-y", [0]), "cpu", 5, first, keep_optimizer=False)
    fresh = curriculum.begin(cells, "cpu", 5, None, keep_optimizer=False).state(0)
    for name, values in second.state(0).items():
        of = first.state(0) if name.startswith(curriculum.WEIGHTS) else fresh
        np.testing.assert_array_equal(values, of[name], err_msg=name)
    assert any((fresh[name] != values).any() for name, values in first.state(0).items())
    assert cell.split.train.tolist() == curriculum.cells_of(SMALL, "cube-y", [0])[0].split.train.tolist()


def test_an_operation_of_another_size_cannot_follow() -> None:
    with pytest.raises(RequestError, match="s5 cannot follow in stages"):
        curriculum.observe(
            seed=0,
            device="cpu",
            quick=True,
            stages=["add", "s5"],
            steps=2,
            **{key: value for key, value in SMALL.items() if key != "modulus"},
        )


@pytest.mark.parametrize(("stages", "share"), [(1, 0.5), (2, 0.5), (4, 0.7)])
def test_a_curriculum_takes_no_more_updates_than_direct_training(stages: int, share: float) -> None:
    assert sum(curriculum.lengths(stages, 1001, share)) == 1001


# Evolution strategies


def test_the_estimate_is_the_gradient_of_a_quadratic_bowl() -> None:
    noise_ND = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bottom, w = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64), torch.zeros(4, dtype=torch.float64)

    def fitness(w_ND: torch.Tensor) -> torch.Tensor:
        return -0.5 * ((w_ND - bottom) ** 2).sum(-1)

    found = evolution.estimate(fitness(w + 0.1 * noise_ND), fitness(w - 0.1 * noise_ND), noise_ND, 0.1)
    # The deviation of an entry is √((|g|² + gᵢ²) / n), at most 0.035 here.
    torch.testing.assert_close(found, bottom - w, atol=0.14, rtol=0)


def test_evolution_strategies_reach_the_bottom_of_a_bowl() -> None:
    bottom, w = torch.tensor([1.0, -2.0, 0.5]), torch.zeros(3)
    scales = torch.tensor([1.0, 100.0, 10.0])
    direction = evolution.evolved(
        lambda w: -(scales * (w - bottom) ** 2).sum(), 32, 0.05, torch.Generator().manual_seed(0)
    )
    assert direction(w) @ (scales * (bottom - w)) > 0
    step = evolution.ascend(w, direction, lr=0.05, weight_decay=0.0)
    for _ in range(300):
        step()
    torch.testing.assert_close(w, bottom, atol=0.3, rtol=0)


def test_candidates_are_mirrored() -> None:
    with pytest.raises(RequestError, match=r"candidates must be even.*got 3"):
        evolution.observe(seed=0, device="cpu", quick=True, evaluations=6, candidates=3)
    with pytest.raises(RequestError, match="evaluations must be at least the 8 candidates of a step, got 6"):
        evolution.observe(seed=0, device="cpu", quick=True, evaluations=6, candidates=8)


def test_ranks_do_not_depend_on_the_scale_of_fitness() -> None:
    fitness = torch.tensor([0.3, -1.0, 2.0, 0.0])
    assert torch.equal(evolution.shaped(fitness), evolution.shaped(1000 * fitness**3))
    assert evolution.shaped(fitness).sum().abs() < 1e-6


def test_the_net_of_evolution_is_the_quadratic_net() -> None:
    cell = prepare(family(Request(encoder="onehot", learner="quadratic", modulus=7), 0).first)
    net = evolution.Net(cell, width=5, device="cpu")
    w = net.first_weights(0)
    E, W = w[:35].view(7, 5), w[35:].view(7, 5)
    a, b = torch.as_tensor(cell.task.operands_NK[cell.split.train]).T
    torch.testing.assert_close(net.scores(w, "train"), (E[a] + E[b]).square() @ W.T)
    error = net.scores(w, "train") - torch.eye(7)[torch.as_tensor(cell.problem.y)]
    torch.testing.assert_close(net.fitness(w), -0.5 * error.square().sum(-1).mean())


# Spectacles


def test_every_genome_makes_a_request() -> None:
    trial, seen = RandomTrial(np.random.default_rng(0)), set()
    for _ in range(40):
        genome = encoder_half(trial) | learner_half(trial)
        spec = family(Request.of(spectacles.request_of(genome, "add", modulus=11))).first
        seen.add((spec.encoder["name"], spec.learner["name"]))
        assert spec.make_learner().resolved_batch(30) == 30  # type: ignore[attr-defined]
    assert {encoder for encoder, _ in seen} == set(ENCODERS)
    assert {learner for _, learner in seen} == {"quadratic", "torch-mlp"}


@pytest.mark.parametrize("how", ["turns", "joint", "random"])
def test_searches_have_equal_trials_and_hand_back_their_best(how: str) -> None:
    scores = []

    def score(genome: dict[str, Any]) -> float:
        scores.append((genome["encoder"] == "cycle") + genome.get("adamw.lr", 0.0))
        return scores[-1]

    best = spectacles.winner(how, score, 0, turns=4, generations=2, population=4)
    assert len(scores) == 4 * 2 * 4
    assert best.value == max(scores) == score(best.half)


def test_an_unknown_search_is_refused() -> None:
    with pytest.raises(RequestError, match="Unknown search 'turn': did you mean 'turns'"):
        spectacles.winner("turn", lambda genome: 0.0, 0, 1, 1, 2)


def test_no_trial_sees_pairs_of_the_test() -> None:
    genome = {"encoder": "onehot", "learner": "quadratic"}
    vault = {"fraction": 0.3, "seed": 5, "open": False}
    of = partial(spectacles.request_of, genome, "quad", modulus=11, train_fraction=0.4)
    sealed = prepare(family(Request.of(of(vault=vault, validation_fraction=0.2)), 1000).first).split
    tested = prepare(family(Request.of(of(vault=vault | {"open": True})), 0).first).split
    assert not sealed.test.size
    assert tested.test.size
    assert not np.intersect1d(tested.test, [*sealed.train, *sealed.validation]).size


def test_a_code_that_cannot_be_made_scores_nothing() -> None:
    genome = {"encoder": "cycle", "encoder.n": 10, "sdr": 11, "learner": "quadratic"}
    assert spectacles.score(genome, seed=0, device="cpu", steps=1, modulus=11) == 0.0
