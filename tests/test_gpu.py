"""The fleet on a GPU: the same trajectories as on the CPU. Skipped where there is none."""

from typing import Any

import numpy as np
import pytest
import torch
from test_fleet import EVERY, configured, every_learner, problem, weights

import bench
from learners import Setting
from learners._fleet.training import FleetTraining

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@every_learner
def test_a_gpu_follows_the_cpu(name: str) -> None:
    learners, problems = [configured(name, s) for s in range(3)], [problem(s) for s in range(3)]
    devices = [FleetTraining(learners, problems, Setting(device), torch.float64) for device in ("cpu", "cuda")]
    for training in devices:
        training.advance(12, range(3))
    for r in range(3):
        on_cpu, on_gpu = (weights(training, r) for training in devices)
        assert all(np.allclose(on_cpu[k], on_gpu[k], rtol=1e-6, atol=1e-8) for k in on_cpu)


def test_leaving_and_going_on_under_captured_graphs() -> None:
    learners, problems = [configured("transformer", s) for s in range(8)], [problem(s) for s in range(8)]
    whole, shrinking = (FleetTraining(learners, problems, Setting("cuda"), torch.float64) for _ in range(2))
    whole.advance(30, range(8))
    shrinking.advance(10, range(8))
    shrinking.advance(20, range(3))
    shrinking.advance(30, [0])
    first, second = weights(whole, 0), weights(shrinking, 0)
    assert all(np.allclose(first[k], second[k], rtol=1e-6, atol=1e-8) for k in first)
    resumed = FleetTraining(learners[:1], problems[:1], Setting("cuda"), torch.float64)
    half = FleetTraining(learners[:1], problems[:1], Setting("cuda"), torch.float64)
    half.advance(13, [0])
    resumed.restore(0, half.state(0))
    resumed.advance(30, [0])
    assert all(np.allclose(first[k], weights(resumed, 0)[k], rtol=1e-6, atol=1e-8) for k in first)


def test_auto_takes_the_gpu() -> None:
    [record] = bench.run(encoder="onehot", learner="quadratic", steps=60, results=None)
    assert record["environment"]["device"] == "cuda"
    assert record["final"]["test_accuracy"] > 0.99
    assert record["peak_memory_bytes"] > 0


def test_every_kind_of_learner_is_here() -> None:
    kinds: set[Any] = {type(learner).__name__ for learner in EVERY.values()}
    assert kinds == {"Quadratic", "TorchMLP", "Transformer"}
