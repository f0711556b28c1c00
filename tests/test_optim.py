"""Every gradient transformation beside its twin: torch.optim, or the paper's formula, step by step in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import learners.optim as optim
from learners._kernels.noise import key, normal, uniform
from learners.optim import (
    Context,
    Transformation,
    adam,
    chain,
    decay_coupled,
    decay_decoupled,
    decay_to_init,
    gradient_noise,
    grokfast_ema,
    grokfast_ma,
    momentum,
    muon,
    newton_schulz,
    orthograd,
    rate,
    scale_by_rate,
    where_matrix,
)

R = 3
SHAPES = {"matrix": (5, 4), "tall": (9, 2), "vector": (6,)}
HYPER = {
    "lr": [1e-2, 3e-2, 1e-3],
    "muon_rest_lr": [1e-3, 2e-3, 3e-3],
    "beta1": [0.9, 0.5, 0.0],
    "beta2": [0.98, 0.999, 0.9],
    "eps": [1e-8, 1e-4, 1e-12],
    "momentum": [0.9, 0.95, 0.0],
    "weight_decay": [0.1, 1.0, 0.0],
    "grokfast_alpha": [0.98, 0.5, 0.0],
    "grokfast_lamb": [2.0, 5.0, 0.0],
    "gradient_noise": [0.1, 0.0, 1.0],
    "warmup": [0.0, 4.0, 10.0],
    "decay_steps": [20.0, 100.0, 7.0],
}


def hyper(**changes: list[float]) -> dict[str, Tensor]:
    return {name: torch.tensor(v, dtype=torch.float64) for name, v in (HYPER | changes).items()}


def gradients(step: int) -> dict[str, Tensor]:
    """Stacked gradients that change from step to step and from replica to replica."""
    rng = np.random.default_rng(step)
    return {name: torch.tensor(rng.normal(size=(R, *shape))) for name, shape in SHAPES.items()}


def start() -> dict[str, Tensor]:
    return gradients(10_000)


def steps(rule: Transformation, h: dict[str, Tensor], n: int = 25) -> list[dict[str, Tensor]]:
    """Parameters after each of n steps of a whole chain."""
    params = start()
    state, seed, path = rule.init(params), torch.arange(R), []
    for t in range(n):
        context = Context(params, h, torch.full((R,), t), seed)
        updates, state = rule.update(gradients(t), state, context)
        params = {name: x + updates[name] for name, x in params.items()}
        path.append(params)
    return path


def updates(rule: Transformation, grads: list[dict[str, Tensor]], h: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """What a filter makes of a sequence of gradients."""
    params = {name: torch.ones_like(g) for name, g in grads[0].items()}
    state, out = rule.init(params), []
    for t, g in enumerate(grads):
        n = len(next(iter(g.values())))
        changed, state = rule.update(g, state, Context(params, h, torch.full((n,), t), torch.arange(n)))
        out.append(changed)
    return out


def alone(make: Callable[[list[Tensor], dict[str, float]], Any], h: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The same steps by an ordinary optimizer, one replica after another."""
    paths = []
    for r in range(R):
        params = {name: x[r].clone().requires_grad_() for name, x in start().items()}
        own = {name: float(v[r]) for name, v in h.items()}
        optimizer, path = make(list(params.values()), own), []
        for t in range(25):
            for group in optimizer.param_groups:
                group["lr"] = own["lr"] * min(1.0, (t + 1) / max(1.0, own["warmup"]))
            for name, x in params.items():
                x.grad = gradients(t)[name][r].clone()
            optimizer.step()
            path.append({name: x.detach().clone() for name, x in params.items()})
        paths.append(path)
    return [{name: torch.stack([path[t][name] for path in paths]) for name in SHAPES} for t in range(25)]


def torch_adam(params: list[Tensor], h: dict[str, float]) -> Any:
    betas = (h["beta1"], h["beta2"])
    return torch.optim.Adam(params, lr=h["lr"], betas=betas, eps=h["eps"], weight_decay=h["weight_decay"])


def torch_adamw(params: list[Tensor], h: dict[str, float]) -> Any:
    betas = (h["beta1"], h["beta2"])
    return torch.optim.AdamW(params, lr=h["lr"], betas=betas, eps=h["eps"], weight_decay=h["weight_decay"])


def torch_sgd(nesterov: bool) -> Callable[[list[Tensor], dict[str, float]], Any]:
    def make(params: list[Tensor], h: dict[str, float]) -> Any:
        ahead = nesterov and h["momentum"] > 0
        return torch.optim.SGD(
            params, lr=h["lr"], momentum=h["momentum"], weight_decay=h["weight_decay"], nesterov=ahead
        )

    return make


TWINS = {
    "adam": (chain(decay_coupled(), adam(), scale_by_rate()), torch_adam),
    "adamw": (chain(adam(), decay_decoupled(), scale_by_rate()), torch_adamw),
    "sgd": (chain(decay_coupled(), momentum(), scale_by_rate()), torch_sgd(False)),
    "nesterov": (chain(decay_coupled(), momentum(nesterov=True), scale_by_rate()), torch_sgd(True)),
}


@pytest.mark.parametrize("name", TWINS)
def test_beside_torch_optim(name: str) -> None:
    rule, make = TWINS[name]
    h = hyper()
    for ours, theirs in zip(steps(rule, h), alone(make, h), strict=True):
        for parameter in SHAPES:
            assert torch.allclose(ours[parameter], theirs[parameter], rtol=1e-10, atol=1e-12)


def test_muon_beside_its_formula() -> None:
    rule = chain(
        where_matrix(muon(), adam()),
        decay_decoupled(),
        where_matrix(scale_by_rate(), scale_by_rate(name="muon_rest_lr")),
    )
    h = hyper(warmup=[0.0] * R)
    path = steps(rule, h, 6)
    for r in range(R):
        lr, wd, mu = (float(h[k][r]) for k in ("lr", "weight_decay", "momentum"))
        for name in ("matrix", "tall"):
            w, b = start()[name][r].numpy(), 0.0
            for t in range(6):
                g = gradients(t)[name][r].numpy()
                b = mu * b + (1 - mu) * g
                x = mu * b + (1 - mu) * g
                x = x / np.linalg.norm(x)
                x = x.T if x.shape[0] > x.shape[1] else x
                for _ in range(5):
                    a = x @ x.T
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                x = x.T if g.shape[0] > g.shape[1] else x
                w = w - lr * (max(1, g.shape[0] / g.shape[1]) ** 0.5 * x + wd * w)
                assert np.allclose(path[t][name][r].numpy(), w, atol=1e-12)
    # The vector goes by Adam at its own rate.
    h["lr"] = h["muon_rest_lr"]
    plain = steps(chain(adam(), decay_decoupled(), scale_by_rate()), h, 6)
    assert torch.allclose(path[-1]["vector"], plain[-1]["vector"], atol=1e-12)


def test_newton_schulz_is_nearly_orthogonal() -> None:
    G = torch.tensor(np.random.default_rng(0).normal(size=(4, 12, 30)))
    values = torch.linalg.svdvals(newton_schulz(G))
    assert values.min() > 0.5
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(G, full_matrices=False)
    cosine = (newton_schulz(G) * (u @ v)).sum((1, 2)) / newton_schulz(G).norm(dim=(1, 2)) / (u @ v).norm(dim=(1, 2))
    assert cosine.min() > 0.97


def constant(n: int) -> list[dict[str, Tensor]]:
    return [{"w": torch.ones(1, 1, dtype=torch.float64)}] * n


def test_grokfast_on_a_constant_gradient() -> None:
    h = {"grokfast_alpha": torch.tensor([0.98]), "grokfast_lamb": torch.tensor([2.0])}
    assert [u["w"].item() for u in updates(grokfast_ema(), constant(5), h)] == pytest.approx([3.0] * 5)
    h = {"grokfast_lamb": torch.tensor([5.0])}
    assert [u["w"].item() for u in updates(grokfast_ma(2), constant(4), h)] == [1.0, 6.0, 6.0, 6.0]


def test_grokfast_ema_beside_its_formula() -> None:
    h, sequence = hyper(), [gradients(t) for t in range(12)]
    out = updates(grokfast_ema(), sequence, h)
    for r in range(R):
        alpha, lamb = float(h["grokfast_alpha"][r]), float(h["grokfast_lamb"][r])
        mu = sequence[0]["matrix"][r]
        for t, g in enumerate(sequence):
            mu = alpha * mu + (1 - alpha) * g["matrix"][r]
            assert torch.allclose(out[t]["matrix"][r], g["matrix"][r] + lamb * mu, atol=1e-12)


@pytest.mark.parametrize("window", [1, 3, 5])
def test_grokfast_ma_beside_its_formula(window: int) -> None:
    h, sequence = hyper(), [gradients(t) for t in range(14)]
    out = updates(grokfast_ma(window), sequence, h)
    for t, g in enumerate(sequence):
        expected = g["tall"]
        if t + 1 >= window:
            mean = torch.stack([s["tall"] for s in sequence[t + 1 - window : t + 1]]).mean(0)
            expected = expected + h["grokfast_lamb"].reshape(-1, 1, 1) * mean
        assert torch.allclose(out[t]["tall"], expected, atol=1e-12)


def test_grokfast_ma_forgets_large_gradients_in_float32() -> None:
    """A running sum that lost digits to early gradients would keep the error for ever."""
    rng = np.random.default_rng(0)
    sizes = [1e3] * 10 + [1e-6] * 30
    sequence = [{"w": torch.tensor(s * rng.normal(size=(1, 50)), dtype=torch.float32)} for s in sizes]
    out = updates(grokfast_ma(5), sequence, {"grokfast_lamb": torch.tensor([5.0])})
    mean = torch.stack([g["w"] for g in sequence[-5:]]).double().mean(0)
    expected = sequence[-1]["w"].double() + 5 * mean
    assert torch.allclose(out[-1]["w"].double(), expected, rtol=1e-4, atol=1e-10)


def test_orthograd_is_orthogonal_and_keeps_the_length() -> None:
    params, grads = start(), gradients(0)
    out, _ = orthograd().update(grads, {}, Context(params, {}, torch.zeros(R), torch.zeros(R)))
    for name, u in out.items():
        flat, g, w = u.flatten(1), grads[name].flatten(1), params[name].flatten(1)
        assert torch.allclose((flat * w).sum(1), torch.zeros(R, dtype=torch.float64), atol=1e-12)
        assert torch.allclose(flat.norm(dim=1), g.norm(dim=1))
        across = g - (g * w).sum(1, keepdim=True) / (w * w).sum(1, keepdim=True) * w
        assert torch.allclose(flat / flat.norm(dim=1, keepdim=True), across / across.norm(dim=1, keepdim=True))


def test_decay_to_init_pulls_to_where_weights_began() -> None:
    h = hyper(lr=[0.1] * R, weight_decay=[1.0] * R, warmup=[0.0] * R)
    rule = chain(decay_to_init(), scale_by_rate())
    first = start()
    state = rule.init(first)
    away = {name: x + 1 for name, x in first.items()}
    for _ in range(200):
        zero = {name: torch.zeros_like(x) for name, x in away.items()}
        moved, state = rule.update(zero, state, Context(away, h, torch.zeros(R), torch.zeros(R)))
        away = {name: x + moved[name] for name, x in away.items()}
    assert all(torch.allclose(away[name], first[name], atol=1e-6) for name in first)


def test_schedules() -> None:
    h = {k: torch.tensor([v], dtype=torch.float64) for k, v in (("lr", 2.0), ("warmup", 4), ("decay_steps", 10))}
    warm = [rate(h, torch.tensor([t]), "constant").item() for t in range(6)]
    assert warm == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    cosine = [rate(h, torch.tensor([t]), "cosine").item() for t in (5, 10, 30)]
    assert cosine == pytest.approx([1.0, 0.0, 0.0])


RULES: dict[str, Transformation] = {
    "adam": adam(),
    "momentum": momentum(),
    "muon": where_matrix(muon(), adam()),
    "grokfast-ema": grokfast_ema(),
    "grokfast-ma": grokfast_ma(3),
    "orthograd": orthograd(),
    "decay-coupled": decay_coupled(),
    "decay-decoupled": decay_decoupled(),
    "decay-to-init": decay_to_init(),
    "gradient-noise": gradient_noise(),
    "rate": scale_by_rate("cosine"),
}


@pytest.mark.parametrize("name", RULES)
def test_hyperparameters_of_one_replica_never_reach_another(name: str) -> None:
    """Change everything about replica 1 and watch the others."""
    plain = steps(RULES[name], hyper(), 8)
    changed = {k: torch.tensor([v[0], 0.37 * v[1] + 0.011, v[2]], dtype=torch.float64) for k, v in HYPER.items()}
    other = steps(RULES[name], changed, 8)
    for parameter in SHAPES:
        assert torch.equal(plain[-1][parameter][[0, 2]], other[-1][parameter][[0, 2]])


@pytest.mark.parametrize("name", RULES)
def test_a_transformation_is_pure_and_remembers_by_replica(name: str) -> None:
    rule, params, grads = RULES[name], start(), gradients(0)
    state = rule.init(params)
    before = {k: v.clone() for k, v in (params | grads | state).items()}
    out, after = rule.update(grads, state, Context(params, hyper(), torch.zeros(R, dtype=torch.int64), torch.arange(R)))
    assert all(torch.equal(before[k], v) for k, v in (params | grads | state).items())
    assert set(out) == set(grads)
    assert set(after) == set(state)
    assert all(len(v) == R for v in after.values())
    # A replica selected out of the stack goes on alone as it would have among others.
    [a] = [rule.update(grads, state, Context(params, hyper(), torch.zeros(R, dtype=torch.int64), torch.arange(R)))[0]]
    one = {k: v[1:2] for k, v in hyper().items()}
    picked = Context(
        {k: v[1:2] for k, v in params.items()}, one, torch.zeros(1, dtype=torch.int64), torch.arange(R)[1:2]
    )
    b, _ = rule.update({k: v[1:2] for k, v in grads.items()}, {k: v[1:2] for k, v in state.items()}, picked)
    assert all(torch.allclose(a[k][1:2], b[k], atol=1e-12) for k in grads)


def test_everything_exported_was_stepped_here() -> None:
    import sys

    missing = [name for name in optim.__all__ if not hasattr(sys.modules[__name__], name) and name != "per_replica"]
    assert not missing


def test_hash_noise_is_uniform_normal_and_repeatable() -> None:
    seed, step = torch.tensor([1, 2]), torch.tensor([7, 7])
    k = key(seed, step, "here")
    u = uniform(k, (2, 50_000))
    assert u.min() > 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 0.005
    assert abs(u.var() - 1 / 12) < 0.002
    z = normal(k, (2, 50_000))
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.01
    assert torch.equal(z, normal(k, (2, 50_000)))
    other = [key(seed, step + 1, "here"), key(seed, step, "there"), key(seed + 2, step, "here")]
    for k2 in other:
        correlation = torch.corrcoef(torch.stack([u[0], uniform(k2, (2, 50_000))[0]]))[0, 1]
        assert abs(correlation) < 0.02
    assert abs(torch.corrcoef(u)[0, 1]) < 0.02
