"""The recursive feature machine: its gradients, its steps against a loop in the paper's notation, and its memory."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders import Codes
from learners import RFM, Problem
from learners import _feature_machines as machines
from learners._agop import AGOPS, KERNELS, metric_of, solve

kernels = pytest.mark.parametrize("kernel", ["quadratic", "gaussian"])

P = 11
PAIRS = np.stack(np.meshgrid(np.arange(P), np.arange(P)), axis=-1).reshape(-1, 2)
CODES = Codes(np.eye(P), PAIRS)
ANSWERS = PAIRS.sum(axis=1) % P
ORDER = np.random.default_rng(0).permutation(P * P)


def problem(count: int, first: int = 0) -> Problem:
    rows = ORDER[first : first + count]
    return Problem(CODES, rows, ANSWERS[rows], P)


def scores(training: Any, replica: int) -> NDArray[np.floating]:
    return np.asarray(training.look([replica], [np.arange(P * P)]).scores[0])


def random_machine(n: int = 7, d: int = 4, c: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    X, alpha, root = (torch.randn(1, *s, generator=generator, dtype=torch.float64) for s in ((n, d), (n, c), (d, d)))
    return X, alpha, root @ root.mT


@kernels
def test_the_agop_is_that_of_automatic_differentiation(kernel: str) -> None:
    X, alpha, M = random_machine()
    bandwidth = torch.tensor(3.0, dtype=torch.float64)

    def outputs(x: Tensor) -> Tensor:
        return (KERNELS[kernel](x[None, None], X, M, bandwidth) @ alpha)[0, 0]

    gradients_NCD = torch.stack([torch.autograd.functional.jacobian(outputs, x) for x in X[0]])  # type: ignore[no-untyped-call]
    centred_NCD = gradients_NCD - gradients_NCD.mean(dim=0)
    expected = torch.einsum("ncd,nce->de", centred_NCD, centred_NCD) / len(centred_NCD)
    assert torch.allclose(AGOPS[kernel](X, alpha, M, bandwidth)[0], expected, rtol=1e-10)


def naive(kernel: str, X: NDArray[Any], Y: NDArray[Any], rows: NDArray[Any], steps: int) -> NDArray[Any]:
    """Outputs of `RFM` with its default numbers for other rows, gradient by gradient."""
    ridge, bandwidth = 1e-6, 12.5
    n, d = X.shape
    M, alpha = np.eye(d), np.zeros_like(Y)

    def k(x: NDArray[Any], z: NDArray[Any]) -> float:
        return float((x @ M @ z) ** 2 if kernel == "quadratic" else np.exp(-(x - z) @ M @ (x - z) / bandwidth))

    def slope(x: NDArray[Any], z: NDArray[Any]) -> Any:
        return 2 * (x @ M @ z) * (M @ z) if kernel == "quadratic" else -2 / bandwidth * k(x, z) * (M @ (x - z))

    for step in range(steps):
        if step:
            gradients = np.array([sum(np.outer(a, slope(x, z)) for a, z in zip(alpha, X, strict=True)) for x in X])
            gradients -= gradients.mean(axis=0)
            values, vectors = np.linalg.eigh(sum(g.T @ g for g in gradients) / n)
            M = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
            M = M * d / np.trace(M)
        K = np.array([[k(x, z) for z in X] for x in X])
        alpha = np.linalg.solve(K + ridge * K.diagonal().mean() * np.eye(n), Y)
    return np.array([[k(x, z) for z in X] for x in rows]) @ alpha


@kernels
def test_steps_are_those_of_a_loop_over_pairs_of_rows(kernel: str) -> None:
    given = problem(40)
    training = RFM.begin([RFM(kernel=kernel)], [given])  # type: ignore[arg-type]
    X, rows = CODES.dense().astype(np.float64), ORDER[40:50]
    for steps in (1, 3):
        training.advance(steps, [0])
        found = training.look([0], [rows]).scores[0].numpy()
        expected = naive(kernel, X[given.train], np.eye(P)[given.y], X[rows], steps)
        assert np.allclose(found, expected, atol=1e-5)


def test_before_the_first_step_nothing_is_known() -> None:
    training = RFM.begin([RFM()], [problem(40)])
    assert not scores(training, 0).any()
    assert training.flops(0, 0) == 0


@kernels
def test_features_emerge_that_the_kernel_alone_lacks(kernel: str) -> None:
    """Kernel regression on half of the pairs mod 31 answers no other pair; ten or so metrics later it answers most."""
    p = 31
    pairs = np.random.default_rng(0).permutation([[a, b] for a in range(p) for b in range(p)])
    codes, y, train = Codes(np.eye(p), pairs), pairs.sum(axis=1) % p, np.arange(600)
    training = RFM.begin([RFM(kernel=kernel)], [Problem(codes, train, y[train], p)])  # type: ignore[arg-type]
    rows = np.arange(600, p * p)
    accuracy = []
    for step in (1, 20):
        training.advance(step, [0])
        accuracy.append((training.look([0], [rows]).scores[0].numpy().argmax(axis=1) == y[rows]).mean())
    assert accuracy[0] < 0.05
    assert accuracy[1] > 0.9


def test_replicas_of_different_sizes_and_numbers_train_as_each_alone() -> None:
    learners = [RFM(), RFM(ridge=0.1), RFM(power=1.0), RFM(power=0.3)]
    problems = [problem(40), problem(60), problem(40, first=20), problem(60, first=20)]
    training = RFM.begin(learners, problems)
    training.advance(2, [1, 3])
    training.advance(5, [0, 1, 2, 3])
    seen = training.look([3, 0], [np.arange(P * P), np.arange(9)])
    for r, (learner, given) in enumerate(zip(learners, problems, strict=True)):
        alone = RFM.begin([learner], [given])
        alone.advance(5, [0])
        assert np.allclose(scores(training, r), scores(alone, 0), atol=1e-5)
    assert np.allclose(seen.scores[0], scores(training, 3))
    assert np.allclose(seen.scores[1, :9], scores(training, 0)[:9])
    with pytest.raises(ValueError, match="must be of one kernel, got 2 different ones"):
        RFM.begin([RFM(), RFM(kernel="gaussian")], problems[:2])


def test_what_does_not_fit_into_memory_is_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def scarce(K: Tensor, Y: Tensor, ridge: Tensor) -> Tensor:
        tried.append(len(K))
        if len(K) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return solve(K, Y, ridge)

    problems = [problem(40, first) for first in range(5)]
    alone = RFM.begin([RFM()] * 5, problems)
    alone.advance(2, range(5))
    monkeypatch.setattr(machines, "solve", scarce)
    training = RFM.begin([RFM()] * 5, problems)
    training.advance(2, range(5))
    assert tried == [5, 2, 2, 1, 2, 2, 1]
    assert all(np.allclose(scores(training, r), scores(alone, r), atol=1e-6) for r in range(5))


def test_one_that_does_not_fit_alone_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: Any) -> Tensor:
        raise MemoryError

    monkeypatch.setattr(machines, "solve", never)
    with pytest.raises(MemoryError):
        RFM(steps=1).fit(np.eye(3), [0, 1, 2])


def test_a_singular_kernel_without_ridge_diverges_and_its_neighbours_go_on() -> None:
    twice = Problem(CODES, np.array([3, 3, *ORDER[:38]]), np.array([3, 4, *ANSWERS[ORDER[:38]]]), P)
    training = RFM.begin([RFM(ridge=0.0), RFM()], [twice, problem(40)])
    training.advance(3, [0, 1])
    assert training.look([0, 1], [np.arange(5)] * 2).diverged.tolist() == [True, False]
    assert [training.diverged(r) for r in (0, 1)] == [True, False]
    with pytest.raises(ValueError, match="RFM diverged"):
        RFM(ridge=0.0, steps=2).fit([[1.0, 0.0], [1.0, 0.0]], [0, 1])


def test_a_metric_has_the_trace_of_the_identity_and_stays_where_nothing_was_learned() -> None:
    _, _, agop = random_machine()
    power, before = torch.full((3, 1, 1), 0.5, dtype=torch.float64), torch.eye(4, dtype=torch.float64).expand(3, 4, 4)
    made = metric_of(torch.cat([agop, 0 * agop, agop / 0]), power, before)
    assert torch.allclose(made[0] @ made[0] / made[0].norm() ** 2, agop[0] / agop[0].trace())
    assert torch.isclose(made[0].trace(), torch.tensor(4.0, dtype=torch.float64))
    assert torch.equal(made[1], before[1])
    assert made[2].isnan().all()
    assert np.isfinite(RFM(steps=3).fit(np.eye(3), [7, 7, 7]).scores(np.eye(3))).all()


def test_it_embeds_codes_where_the_kernel_measures_distances() -> None:
    learner = RFM("gaussian", steps=4).fit(CODES[ORDER[:60]], ANSWERS[ORDER[:60]])
    embedded_SUD = learner.embed(CODES)
    first, second = (embedded_SUD[np.arange(2), PAIRS[row]].sum(axis=0) for row in (5, 80))
    difference = CODES.dense()[5] - CODES.dense()[80]
    assert np.isclose(((first - second) ** 2).sum(), difference @ learner.model_["metric"] @ difference)


def test_a_bandwidth_is_refused_where_it_does_nothing() -> None:
    with pytest.raises(ValueError, match=r"must be left at 12\.5 with the quadratic kernel, got bandwidth=3.0"):
        RFM(bandwidth=3.0).fit(np.eye(3), [0, 1, 2])


def test_what_is_kept_is_numpy() -> None:
    learner = RFM(steps=2).fit(CODES[ORDER[:40]], ANSWERS[ORDER[:40]])
    assert {type(array) for array in learner.model_.values()} == {np.ndarray}
    assert b"torch" not in pickle.dumps(learner)
    training = RFM.begin([RFM()], [problem(40)])
    training.advance(2, [0])
    with pytest.raises(ValueError, match="alpha has the shape"):
        RFM.begin([RFM()], [problem(30)]).restore(0, training.state(0))
