"""Every part of an optimizer beside its twin: torch.optim, or the paper's formula, step by step in float64.

A chain of parts moves three replicas with hyperparameters of their own; its twin moves one replica after another.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from learners import Quadratic, TorchMLP
from learners._kernels.noise import key, normal, uniform
from learners._nets.modules import Network
from learners.optim import (
    EGD,
    SGD,
    Adam,
    AdamW,
    Context,
    DelayedCompression,
    GradientNoise,
    GradientNormalization,
    GrokFastEMA,
    GrokFastMA,
    Lion,
    Muon,
    NormCap,
    OrthoGrad,
    Part,
    Prodigy,
    RowClip,
    ScheduleFreeAdamW,
    Shampoo,
    SignSGD,
    SpectralCap,
    WeightNoise,
    check_chain,
    hyper_of,
    part_name,
    transformation_of,
)
from learners.optim._decay import decay_to_init
from learners.optim._schedule import rate, scale_by_rate
from learners.optim.egd import polar
from learners.optim.muon import newton_schulz
from learners.optim.shampoo import inverse_fourth_root
from learners.optim.spectral_cap import top_singular

R, STEPS = 3, 25
SHAPES = {"matrix": (5, 4), "tall": (9, 2), "embedding": (6, 3), "vector": (6,)}
HIDDEN = ("matrix", "tall")

Array = NDArray[np.floating]
Arrays = dict[str, Array]
Gradient = Callable[[int, str, Array], Array]
"""The gradient of one replica in a step, by the name of the parameter and where it is taken."""
Twin = Callable[[Sequence[Any], Arrays, Gradient], Iterator[Arrays]]
"""The parts of one replica, its first parameters and its gradient → its parameters after each step."""


class Named(Network):
    """Says what Muon leaves out, which is all that a part asks of a network."""

    not_for_muon = frozenset({"embedding"})

    def reset(self, generator: torch.Generator, code_norm: float) -> None:
        raise NotImplementedError

    def forward(self, table_UF: Tensor, index_BS: Tensor, noise: Any = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


NETWORK = Named()


def drawn(t: int) -> dict[str, Array]:
    """Numbers that change from step to step and from replica to replica."""
    rng = np.random.default_rng(t)
    return {name: rng.normal(size=(R, *shape)) for name, shape in SHAPES.items()}


def loss_at(t: int, delay: Any) -> Any:
    """A loss that rises and falls, at other times in replicas of another delay."""
    return (t + delay) % 3


def losses_at(t: int, hyper: dict[str, Tensor], n: int = R) -> Tensor:
    return loss_at(t, hyper.get("0.delay", torch.zeros(n)))


def start() -> dict[str, Array]:
    return drawn(10_000)


def three(cls: Any, **given: Any) -> list[Part]:
    """Three configurations of a part; a list holds one value for each."""
    return [cls(**{name: v[r] if isinstance(v, list) else v for name, v in given.items()}) for r in range(R)]


def chains(*parts: list[Part]) -> list[list[Part]]:
    """The chain of each replica."""
    return [list(own) for own in zip(*parts, strict=True)]


def stacked_hyper(several: Sequence[Sequence[Part]]) -> dict[str, Tensor]:
    hypers = [hyper_of(parts) for parts in several]
    return {name: torch.tensor([h[name] for h in hypers], dtype=torch.float64) for name in hypers[0]}


def moved(several: Sequence[Sequence[Part]], rows: Sequence[int] = range(R), n: int = STEPS) -> list[dict[str, Tensor]]:
    """Parameters of some replicas after each step of their chains; gradients are taken where the chain says."""
    chosen = list(rows)
    rule, hyper = transformation_of(several[0], NETWORK), stacked_hyper([several[r] for r in chosen])
    params = {name: torch.tensor(x[chosen]) for name, x in start().items()}
    state, seed, path = rule.init(params), torch.tensor(chosen), []
    for t in range(n):
        context = Context(params, hyper, torch.full((len(chosen),), t), seed, losses_at(t, hyper, len(chosen)))
        seen = params if rule.seen is None else rule.seen(params, state, context)
        grads = {name: torch.tensor(x[chosen]) + 0.2 * seen[name] for name, x in drawn(t).items()}
        updates, state = rule.update(grads, state, context)
        params = {name: x + updates[name] for name, x in params.items()}
        path.append(params)
    return path


def alone(several: Sequence[Sequence[Part]], twin: Twin, n: int = STEPS) -> list[dict[str, Array]]:
    """The same steps by the twin, one replica after another."""
    paths = []
    for r, parts in enumerate(several):

        def gradient(t: int, name: str, w: Array, r: int = r) -> Array:
            return drawn(t)[name][r] + 0.2 * w

        first = {name: x[r].copy() for name, x in start().items()}
        paths.append([own for own, _ in zip(twin(parts, first, gradient), range(n), strict=False)])
    return [{name: np.stack([path[t][name] for path in paths]) for name in SHAPES} for t in range(n)]


# Twins


def eta(rule: Any, t: int) -> float:
    """The step size of the step after t updates."""
    size = rule.lr * min(1.0, (t + 1) / max(1, rule.warmup))
    if rule.schedule == "cosine":
        size *= (1 + math.cos(math.pi * min(1.0, t / rule.decay_steps))) / 2
    return size


def arriving(waiting: list[Any]) -> Iterator[Any]:
    """What is put into a list, one after another."""
    while True:
        yield waiting.pop()


def each(direction: Callable[[Any, str, Iterator[Array]], Iterator[Array]]) -> Twin:
    """A twin of a rule that treats every parameter alike, from its directions as a stream of each parameter."""

    def twin(parts: Sequence[Any], first: Arrays, gradient: Gradient) -> Iterator[Arrays]:
        [rule] = parts
        paths = {name: descended(rule, name, w, gradient, direction) for name, w in first.items()}
        while True:
            yield {name: next(path) for name, path in paths.items()}

    return twin


def descended(rule: Any, name: str, first: Array, gradient: Gradient, direction: Any) -> Iterator[Array]:
    """w ← w − η(t) (u + λ w), or the other kinds of decay."""
    waiting: list[Array] = []
    w = first.copy()
    directions = direction(rule, name, arriving(waiting))
    t = 0
    while True:
        g = gradient(t, name, w)
        waiting.append(g + rule.weight_decay * w if rule.decay == "coupled" else g)
        u = next(directions)
        if rule.decay == "decoupled":
            u = u + rule.weight_decay * w
        elif rule.decay == "to-init":
            u = u + rule.weight_decay * (w - first)
        w = w - eta(rule, t) * u
        yield w
        t += 1


def by_torch(make: Callable[[list[Tensor], Any], torch.optim.Optimizer]) -> Twin:
    """An optimizer of torch.optim, whose step size is set in every step."""

    def twin(parts: Sequence[Any], first: Arrays, gradient: Gradient) -> Iterator[Arrays]:
        [rule] = parts
        params = {name: torch.tensor(w).requires_grad_() for name, w in first.items()}
        optimizer, t = make(list(params.values()), rule), 0
        while True:
            optimizer.param_groups[0]["lr"] = eta(rule, t)
            for name, w in params.items():
                w.grad = torch.tensor(gradient(t, name, w.detach().numpy()))
            optimizer.step()
            yield {name: w.detach().numpy().copy() for name, w in params.items()}
            t += 1

    return twin


def adam_of_torch(cls: Any, params: list[Tensor], rule: Any) -> torch.optim.Optimizer:
    return cls(params, lr=rule.lr, betas=rule.betas, eps=rule.eps, weight_decay=rule.weight_decay)


def sgd_of_torch(params: list[Tensor], rule: Any) -> torch.optim.Optimizer:
    given = {"momentum": rule.momentum, "weight_decay": rule.weight_decay, "nesterov": rule.nesterov}
    return torch.optim.SGD(params, lr=rule.lr, **given)


def adam_direction(rule: Any, name: str, gradients: Iterator[Array]) -> Iterator[Array]:
    """m̂ / (√v̂ + ε)."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = rule.betas[0] * m + (1 - rule.betas[0]) * g
        v = rule.betas[1] * v + (1 - rule.betas[1]) * g**2
        yield m / (1 - rule.betas[0] ** t) / (np.sqrt(v / (1 - rule.betas[1] ** t)) + rule.eps)


def sgd_direction(rule: Any, name: str, gradients: Iterator[Array]) -> Iterator[Array]:
    b = 0.0
    for g in gradients:
        b = rule.momentum * b + g
        yield g + rule.momentum * b if rule.nesterov else b


def muon_direction(rule: Any, name: str, gradients: Iterator[Array]) -> Iterator[Array]:
    """Five Newton–Schulz steps on Nesterov's look ahead."""
    b = 0.0
    for g in gradients:
        b = rule.momentum * b + (1 - rule.momentum) * g
        x = rule.momentum * b + (1 - rule.momentum) * g
        x = x / np.linalg.norm(x)
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        yield max(1, g.shape[0] / g.shape[1]) ** 0.5 * (x.T if tall else x)


def muon_beside(rest_direction: Any) -> Twin:
    """Hidden matrices by Muon, the rest by another rule, frozen embeddings not at all."""

    def twin(parts: Sequence[Any], first: Arrays, gradient: Gradient) -> Iterator[Arrays]:
        [muon] = parts
        rest = AdamW() if muon.rest is None else muon.rest
        paths = {
            name: descended(muon, name, w, gradient, muon_direction)
            if name in HIDDEN
            else descended(rest, name, w, gradient, rest_direction)
            for name, w in first.items()
        }
        while True:
            now = {name: next(path) for name, path in paths.items()}
            yield now | ({"embedding": first["embedding"]} if muon.freeze else {})

    return twin


def filtered(change: Callable[[Any, str, Iterator[tuple[Array, Array]]], Iterator[Array]]) -> Twin:
    """A filter in front of plain descent, from its outputs as a stream of each parameter: w ← w − η u.

    :param change: the filter, the name, and a stream of gradients with the weights at which they are.
    """

    def path(parts: Sequence[Any], name: str, w: Array, gradient: Gradient) -> Iterator[Array]:
        before, rule = parts
        waiting: list[tuple[Array, Array]] = []
        changed = change(before, name, arriving(waiting))
        t = 0
        while True:
            waiting.append((gradient(t, name, w), w))
            w = w - rule.lr * next(changed)
            yield w
            t += 1

    def twin(parts: Sequence[Any], first: Arrays, gradient: Gradient) -> Iterator[Arrays]:
        paths = {name: path(parts, name, w, gradient) for name, w in first.items()}
        while True:
            yield {name: next(one) for name, one in paths.items()}

    return twin


def ema_change(part: Any, name: str, gradients: Iterator[tuple[Array, Array]]) -> Iterator[Array]:
    """The running mean begins with the first gradient."""
    mu: Any = None
    for g, _ in gradients:
        mu = part.alpha * (g if mu is None else mu) + (1 - part.alpha) * g
        yield g + part.lamb * mu


def ma_change(part: Any, name: str, gradients: Iterator[tuple[Array, Array]]) -> Iterator[Array]:
    seen: list[Array] = []
    for g, _ in gradients:
        seen.append(g)
        full = len(seen) >= part.window
        yield g + part.lamb * np.mean(seen[-part.window :], axis=0) if full else g


def orthograd_change(part: Any, name: str, gradients: Iterator[tuple[Array, Array]]) -> Iterator[Array]:
    for g, w in gradients:
        across = g - np.vdot(w, g) / np.vdot(w, w) * w
        yield across * np.linalg.norm(g) / np.linalg.norm(across)


def egd_change(part: Any, name: str, gradients: Iterator[tuple[Array, Array]]) -> Iterator[Array]:
    """All singular values of a matrix are 1."""
    for g, _ in gradients:
        if g.ndim == 1:
            yield g
        else:
            u, _, v = np.linalg.svd(g, full_matrices=False)
            yield u @ v


def compression_change(part: Any, name: str, gradients: Iterator[tuple[Array, Array]]) -> Iterator[Array]:
    """The gradient of λ Σ ‖W‖², late, and while the loss is small."""
    for t, (g, w) in enumerate(gradients):
        late = t >= part.delay and (part.while_below is None or loss_at(t, part.delay) < part.while_below)
        yield g + 2 * part.lamb * w if g.ndim == 2 and late else g


def normalized(parts: Sequence[Any], w: Arrays, gradient: Gradient) -> Iterator[Arrays]:
    """One norm over all parameters."""
    normalization, rule = parts
    for t in range(STEPS):
        g = {name: gradient(t, name, x) for name, x in w.items()}
        norm = np.linalg.norm(np.concatenate([x.ravel() for x in g.values()]))
        w = {name: x - rule.lr * normalization.norm * g[name] / norm for name, x in w.items()}
        yield w


def lion_direction(rule: Any, name: str, gradients: Iterator[Array]) -> Iterator[Array]:
    m: Any = 0.0
    for g in gradients:
        yield np.sign(rule.betas[0] * m + (1 - rule.betas[0]) * g)
        m = rule.betas[1] * m + (1 - rule.betas[1]) * g


def sign_direction(rule: Any, name: str, gradients: Iterator[Array]) -> Iterator[Array]:
    m: Any = 0.0
    for g in gradients:
        m = rule.momentum * m + (1 - rule.momentum) * g
        yield np.sign(m)


def shampoo_direction(rule: Any, name: str, gradients: Iterator[Array]) -> Iterator[Array]:
    """Roots by eigenvalues, the length of Adam's step."""

    def root(a: Array) -> Array:
        values, vectors = np.linalg.eigh(a + rule.ridge * np.linalg.norm(a) * np.eye(len(a)))
        return (vectors * values**-0.25) @ vectors.T

    beta1, beta2 = rule.betas
    m, left, right = 0.0, 0.0, 0.0
    waiting: list[Array] = []
    grafts = adam_direction(rule, name, arriving(waiting))
    for g in gradients:
        waiting.append(g)
        graft = next(grafts)
        if g.ndim == 1:
            yield graft
            continue
        m = beta1 * m + (1 - beta1) * g
        left, right = beta2 * left + (1 - beta2) * g @ g.T, beta2 * right + (1 - beta2) * g.T @ g
        p = root(left) @ m @ root(right)
        yield p * np.linalg.norm(graft) / np.linalg.norm(p)


def schedule_free(parts: Sequence[Any], x: Arrays, gradient: Gradient) -> Iterator[Arrays]:
    """Algorithm 1 of the paper, line by line."""
    [rule] = parts
    beta1, beta2 = rule.betas
    z, v, sizes = dict(x), dict.fromkeys(x, 0.0), []
    for t in range(1, STEPS + 1):
        y = {k: (1 - beta1) * z[k] + beta1 * x[k] for k in x}
        g = {k: gradient(t - 1, k, y[k]) for k in x}
        v = {k: beta2 * v[k] + (1 - beta2) * g[k] ** 2 for k in x}
        size = rule.lr * math.sqrt(1 - beta2**t) * (min(1, t / rule.warmup) if rule.warmup else 1)
        sizes.append(size)
        z = {k: z[k] - size * g[k] / (np.sqrt(v[k]) + rule.eps) - size * rule.weight_decay * y[k] for k in x}
        c = size**2 / sum(s**2 for s in sizes)
        x = {k: (1 - c) * x[k] + c * z[k] for k in x}
        yield x


def prodigy(parts: Sequence[Any], w: Arrays, gradient: Gradient) -> Iterator[Arrays]:
    """Algorithm 4 of the paper on all parameters as one vector, with decoupled decay."""
    [rule] = parts
    beta1, beta2 = rule.betas
    flat = partial(np.concatenate, axis=None)
    x0 = x = flat(list(w.values()))
    d, r = rule.first, 0.0
    s = m = v = np.zeros_like(x)
    for k in range(STEPS):
        g = flat([gradient(k, name, own) for name, own in w.items()])
        root, scale = math.sqrt(beta2), (1 - math.sqrt(beta2)) * rule.lr * d**2
        r = root * r + scale * (g @ (x0 - x))
        s = root * s + scale * g
        m = beta1 * m + (1 - beta1) * d * g
        v = beta2 * v + (1 - beta2) * d**2 * g**2
        x = x - rule.lr * d * (m / (np.sqrt(v) + d * rule.eps) + rule.weight_decay * x)
        d = max(d, r / np.abs(s).sum())
        ends = np.cumsum([own.size for own in w.values()])[:-1]
        w = {name: piece.reshape(w[name].shape) for name, piece in zip(w, np.split(x, ends), strict=True)}
        yield w


def constrained(bounded: Callable[[Any, str, Array, Array], Array]) -> Twin:
    """Plain descent, then a bound on matrices.

    :param bounded: the constraint, the name, the matrix after the step and the first one → the bounded matrix.
    """

    def twin(parts: Sequence[Any], first: Arrays, gradient: Gradient) -> Iterator[Arrays]:
        rule, constraint = parts
        w = first
        for t in range(STEPS):
            w = {name: x - rule.lr * gradient(t, name, x) for name, x in w.items()}
            more = {"hidden": (), "all": ("embedding",), "hidden-and-vectors": ("vector",)}[constraint.matrices]
            chosen = (*HIDDEN, *more)
            w |= {name: bounded(constraint, name, w[name], first[name]) for name in chosen}
            yield w

    return twin


def rows_bounded(part: Any, name: str, w: Array, first: Array) -> Array:
    """Row by row."""
    return w * np.minimum(1, part.norm / np.linalg.norm(w, axis=-1, keepdims=True))


def norm_bounded(part: Any, name: str, w: Array, first: Array) -> Array:
    return w * min(1, part.factor * np.linalg.norm(first) / np.linalg.norm(w))


def spectral(parts: Sequence[Any], first: Arrays, gradient: Gradient) -> Iterator[Arrays]:
    """Thirty rounds of power iteration with Wᵀ W from the same first vector, then four a step."""
    rule, constraint = parts
    zero, w = torch.zeros(1, dtype=torch.int64), first
    names = HIDDEN if constraint.matrices == "hidden" else (*HIDDEN, "embedding")
    vectors = {k: normal(key(zero, zero, f"spectral.{k}"), (1, SHAPES[k][1]))[0].double().numpy() for k in names}

    def followed(W: Array, v: Array, rounds: int) -> Array:
        v = np.linalg.matrix_power(W.T @ W / np.linalg.norm(W) ** 2, rounds) @ v
        return v / np.linalg.norm(v)

    vectors = {name: followed(w[name], v, 30) for name, v in vectors.items()}
    for t in range(STEPS):
        w = {name: x - rule.lr * gradient(t, name, x) for name, x in w.items()}
        for name in names:
            vectors[name] = followed(w[name], vectors[name], 4)
            w[name] = w[name] * min(1, constraint.norm / np.linalg.norm(w[name] @ vectors[name]))
        yield w


PLAIN = three(SGD, lr=[0.1, 0.2, 0.05], momentum=0.0, warmup=0)
"""Descent along what a filter gives, and nothing else."""
USUAL: dict[str, Any] = {"lr": [1e-2, 3e-2, 1e-3], "weight_decay": [0.1, 1.0, 0.3], "warmup": [0, 4, 10]}
MOMENTS = {"betas": [(0.9, 0.98), (0.5, 0.999), (0.0, 0.9)], "eps": [1e-8, 1e-4, 1e-12]}
COSINE = {"schedule": "cosine", "decay_steps": [20, 100, 7]}
MUON: dict[str, Any] = USUAL | {"momentum": [0.95, 0.5, 0.0]}
FOLLOWING = [SGD(lr=x, momentum=0.5, nesterov=True, weight_decay=0.2) for x in (0.1, 0.2, 0.3)]

CASES: dict[str, tuple[list[list[Part]], Twin]] = {
    "adamw": (chains(three(AdamW, **USUAL, **MOMENTS)), by_torch(partial(adam_of_torch, torch.optim.AdamW))),
    "adamw-cosine": (
        chains(three(AdamW, **USUAL, **COSINE)),
        by_torch(partial(adam_of_torch, torch.optim.AdamW)),
    ),
    "adamw-to-init": (chains(three(AdamW, **USUAL, **MOMENTS, decay="to-init")), each(adam_direction)),
    "adam": (chains(three(Adam, **USUAL, **MOMENTS)), by_torch(partial(adam_of_torch, torch.optim.Adam))),
    "adam-without-decay": (
        chains(three(Adam, lr=[1e-2, 3e-2, 1e-3])),
        by_torch(partial(adam_of_torch, torch.optim.Adam)),
    ),
    "sgd": (chains(three(SGD, **USUAL, momentum=[0.9, 0.95, 0.0])), by_torch(sgd_of_torch)),
    "sgd-nesterov": (chains(three(SGD, **USUAL, momentum=[0.9, 0.95, 0.1], nesterov=True)), by_torch(sgd_of_torch)),
    "sgd-decoupled": (chains(three(SGD, **USUAL, decay="decoupled")), each(sgd_direction)),
    "sgd-to-init": (chains(three(SGD, **USUAL, **COSINE, decay="to-init")), each(sgd_direction)),
    "muon": (chains(three(Muon, **MUON)), muon_beside(adam_direction)),
    "muon-coupled": (chains(three(Muon, **MUON, decay="coupled")), muon_beside(adam_direction)),
    "muon-rest-sgd": (chains(three(Muon, **MUON, rest=FOLLOWING)), muon_beside(sgd_direction)),
    "muon-frozen": (chains(three(Muon, **MUON, rest=FOLLOWING, freeze=True)), muon_beside(sgd_direction)),
    "grokfast-ema": (
        chains(three(GrokFastEMA, alpha=[0.98, 0.5, 0.0], lamb=[2.0, 5.0, 0.0]), PLAIN),
        filtered(ema_change),
    ),
    "grokfast-ma": (chains(three(GrokFastMA, window=5, lamb=[2.0, 5.0, 0.0]), PLAIN), filtered(ma_change)),
    "grokfast-ma-of-one": (chains(three(GrokFastMA, window=1, lamb=[2.0, 5.0, 0.0]), PLAIN), filtered(ma_change)),
    "orthograd": (chains(three(OrthoGrad), PLAIN), filtered(orthograd_change)),
    "egd": (chains(three(EGD), PLAIN), filtered(egd_change)),
    "delayed-compression": (
        chains(three(DelayedCompression, lamb=[0.1, 0.5, 0.0], delay=[0, 7, 3]), PLAIN),
        filtered(compression_change),
    ),
    "delayed-compression-of-small-loss": (
        chains(three(DelayedCompression, lamb=[0.1, 0.5, 0.0], delay=[0, 7, 3], while_below=2.0), PLAIN),
        filtered(compression_change),
    ),
    "gradient-normalization": (chains(three(GradientNormalization, norm=[0.5, 1.0, 3.0]), PLAIN), normalized),
    "lion": (chains(three(Lion, **USUAL, betas=[(0.9, 0.99), (0.5, 0.97), (0.0, 0.9)])), each(lion_direction)),
    "lion-to-init": (chains(three(Lion, **USUAL, **COSINE, decay="to-init")), each(lion_direction)),
    "signsgd": (chains(three(SignSGD, **USUAL, momentum=[0.9, 0.5, 0.0])), each(sign_direction)),
    "signsgd-coupled": (chains(three(SignSGD, **USUAL, **COSINE, decay="coupled")), each(sign_direction)),
    "shampoo": (chains(three(Shampoo, **USUAL, **MOMENTS, ridge=[1e-5, 1e-3, 1e-2])), each(shampoo_direction)),
    "schedule-free": (chains(three(ScheduleFreeAdamW, **USUAL, **MOMENTS)), schedule_free),
    "schedule-free-without-decay": (chains(three(ScheduleFreeAdamW, weight_decay=0.0, warmup=0)), schedule_free),
    "prodigy": (chains(three(Prodigy, lr=[1.0, 0.5, 2.0], weight_decay=[0.0, 0.3, 1.0], **MOMENTS)), prodigy),
    "prodigy-of-large-first": (chains(three(Prodigy, first=[0.1, 1e-3, 1e-9])), prodigy),
    "row-clip": (chains(PLAIN, three(RowClip, norm=[1.0, 2.0, 0.5])), constrained(rows_bounded)),
    "row-clip-all": (chains(PLAIN, three(RowClip, norm=[1.0, 2.0, 0.5], matrices="all")), constrained(rows_bounded)),
    "row-clip-vectors": (
        chains(PLAIN, three(RowClip, norm=[1.0, 2.0, 0.5], matrices="hidden-and-vectors")),
        constrained(rows_bounded),
    ),
    "norm-cap": (chains(PLAIN, three(NormCap, factor=[1.0, 0.5, 1.2])), constrained(norm_bounded)),
    "norm-cap-all": (chains(PLAIN, three(NormCap, factor=[1.0, 0.5, 1.2], matrices="all")), constrained(norm_bounded)),
    "spectral-cap": (chains(PLAIN, three(SpectralCap, norm=[1.0, 2.0, 0.5])), spectral),
    "spectral-cap-all": (chains(PLAIN, three(SpectralCap, norm=[1.0, 2.0, 0.5], matrices="all")), spectral),
}
every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_beside_its_twin(name: str) -> None:
    several, twin = CASES[name]
    for ours, theirs in zip(moved(several), alone(several, twin), strict=True):
        for parameter in SHAPES:
            assert np.allclose(ours[parameter].numpy(), theirs[parameter], rtol=1e-10, atol=1e-12), parameter


NOISY: dict[str, list[list[Part]]] = {
    "gradient-noise": chains(three(GradientNoise, sigma=[0.1, 0.0, 1.0]), PLAIN),
    "weight-noise": chains(three(WeightNoise, sigma=[0.1, 0.0, 1.0]), PLAIN),
}
"""Parts whose twin would need the same random numbers; their formulas are tested below."""
ALL = {name: several for name, (several, _) in CASES.items()} | NOISY
every_chain = pytest.mark.parametrize("name", ALL)


@every_chain
def test_a_replica_alone_moves_as_among_others(name: str) -> None:
    together = moved(ALL[name])
    for r in range(R):
        for a, b in zip(moved([[*parts] for parts in ALL[name]], [r]), together, strict=True):
            assert all(torch.allclose(a[k][0], b[k][r], rtol=1e-12, atol=1e-13) for k in SHAPES)


@every_chain
def test_hyperparameters_of_one_replica_never_reach_another(name: str) -> None:
    """Change everything about replica 1 and watch the others."""
    plain, rule = moved(ALL[name], n=8)[-1], transformation_of(ALL[name][0], NETWORK)
    changed = {key: x * torch.tensor([1.0, 0.37, 1.0]) for key, x in stacked_hyper(ALL[name]).items()}
    params = {key: torch.tensor(x) for key, x in start().items()}
    state = rule.init(params)
    for t in range(8):
        context = Context(params, changed, torch.full((R,), t), torch.arange(R), losses_at(t, changed))
        seen = params if rule.seen is None else rule.seen(params, state, context)
        grads = {key: torch.tensor(x) + 0.2 * seen[key] for key, x in drawn(t).items()}
        updates, state = rule.update(grads, state, context)
        params = {key: x + updates[key] for key, x in params.items()}
    for parameter in SHAPES:
        assert torch.equal(plain[parameter][[0, 2]], params[parameter][[0, 2]])
    assert not changed or any(not torch.equal(plain[k][1], params[k][1]) for k in SHAPES)


@every_chain
def test_an_update_is_pure_and_its_state_is_of_replicas(name: str) -> None:
    rule, hyper = transformation_of(ALL[name][0], NETWORK), stacked_hyper(ALL[name])
    params, grads = ({key: torch.tensor(x) for key, x in some.items()} for some in (start(), drawn(0)))
    state = rule.init(params)
    given = [params, grads, state, hyper]
    before = [{key: x.clone() for key, x in some.items()} for some in given]
    context = Context(params, hyper, torch.zeros(R, dtype=torch.int64), torch.arange(R), losses_at(0, hyper))
    updates, after = rule.update(grads, state, context)
    again, _ = rule.update(grads, state, context)
    for old, now in zip(before, given, strict=True):
        assert all(torch.equal(old[key], now[key]) for key in now)
    assert list(updates) == list(grads)
    assert all(torch.equal(updates[key], again[key]) for key in updates)
    assert after.keys() == state.keys()
    assert all(len(x) == R and x.shape == state[key].shape for key, x in after.items())


# What the formulas mean


def outputs(part: Part, sequence: list[Tensor]) -> list[Tensor]:
    """What a filter makes of a sequence of gradients (R, …) of one parameter, whose weights are 1."""
    rule, params, out = transformation_of([part], NETWORK), {"w": torch.ones_like(sequence[0])}, []
    state, hyper = rule.init(params), stacked_hyper([[part]] * len(sequence[0]))
    for t, g in enumerate(sequence):
        context = Context(params, hyper, torch.full((len(g),), t), torch.arange(len(g)))
        updates, state = rule.update({"w": g}, state, context)
        out.append(updates["w"])
    return out


def test_newton_schulz_is_nearly_orthogonal() -> None:
    G = torch.tensor(np.random.default_rng(0).normal(size=(4, 12, 30)))
    values = torch.linalg.svdvals(newton_schulz(G))
    assert values.min() > 0.5
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(G, full_matrices=False)
    cosine = (newton_schulz(G) * (u @ v)).sum((1, 2)) / newton_schulz(G).norm(dim=(1, 2)) / (u @ v).norm(dim=(1, 2))
    assert cosine.min() > 0.97


def matrices(rows: int, columns: int, lowest: float) -> tuple[Tensor, Tensor]:
    """Two matrices of Frobenius norm 1 with singular values down to a bound, and U Vᵀ of each, float64."""
    rng, found = np.random.default_rng(rows), []
    for _ in range(2):
        u, _, v = np.linalg.svd(rng.normal(size=(rows, columns)), full_matrices=False)
        values = np.geomspace(lowest, 0.3, min(rows, columns))
        values[-1] = math.sqrt(1 - (values[:-1] ** 2).sum()) if (values[:-1] ** 2).sum() < 1 else 0.3
        found.append(((u * values) @ v, u @ v))
    G, factor = (torch.tensor(np.stack(several)) for several in zip(*found, strict=True))
    return G / G.norm(dim=(1, 2), keepdim=True), factor


@pytest.mark.parametrize(("rows", "columns"), [(24, 60), (60, 24), (32, 32)])
def test_the_polar_factor_is_as_exact_as_its_docstring_says(rows: int, columns: int) -> None:
    G, factor = matrices(rows, columns, 2e-4)
    assert torch.allclose(polar(G), factor, atol=1e-11)
    rough = polar(G.float()).double()
    assert (torch.linalg.svdvals(rough) - 1).abs().max() < 2e-6
    assert ((rough - factor).norm(dim=(1, 2)) / factor.norm(dim=(1, 2))).max() < 1e-4
    assert torch.allclose(polar(torch.stack([G, 7 * G])), torch.stack([factor, factor]), atol=1e-11)


def test_the_polar_factor_keeps_the_rank() -> None:
    rng = np.random.default_rng(0)
    G = torch.tensor(rng.normal(size=(1, 30, 4)) @ rng.normal(size=(1, 4, 20)))
    values = torch.linalg.svdvals(polar(G))[0]
    assert torch.allclose(values[:4], torch.ones(4, dtype=torch.float64), atol=1e-11)
    assert values[4:].max() < 1e-8


@pytest.mark.parametrize(("ridge", "single"), [(1e-4, 1e-4), (1e-5, 1e-3), (1e-6, 1e-2)])
@pytest.mark.parametrize("lowest", [1.0, 1e-2, 1e-6, 0.0])
def test_the_inverse_fourth_root_is_as_exact_as_its_docstring_says(ridge: float, single: float, lowest: float) -> None:
    values, vectors = np.linspace(lowest, 1, 40) ** 3, np.linalg.qr(np.random.default_rng(0).normal(size=(40, 40)))[0]
    values[:10] = lowest
    A = (vectors * values) @ vectors.T
    exact = (vectors * (values + ridge * np.linalg.norm(A)) ** -0.25) @ vectors.T
    for dtype, error in ((torch.float64, 1e-7), (torch.float32, single)):
        stack = torch.tensor(np.stack([A, 1e-6 * A]), dtype=dtype)
        for X in inverse_fourth_root(stack, torch.full((2,), ridge, dtype=dtype)).double().numpy():
            X = X * (X * exact).sum() / (X * X).sum()
            assert np.linalg.norm(X - exact) < error * np.linalg.norm(exact)


def test_shampoo_without_memory_points_where_egd_does() -> None:
    part = Shampoo(betas=(0.0, 0.0), ridge=1e-6, lr=1.0, weight_decay=0.0, warmup=0)
    [g] = [torch.tensor(np.random.default_rng(0).normal(size=(2, 7, 7)))]
    [whitened], [equal] = outputs(part, [g]), outputs(EGD(), [g])
    cosine = -(whitened * equal).sum((1, 2)) / whitened.norm(dim=(1, 2)) / equal.norm(dim=(1, 2))
    assert cosine.min() > 0.999
    assert whitened.norm(dim=(1, 2)).numpy() == pytest.approx([7.0, 7.0], rel=1e-6)  # Adam's first step: all ±1


def test_power_iteration_finds_the_largest_singular_value_from_below() -> None:
    W = torch.tensor(np.random.default_rng(0).normal(size=(3, 20, 12)))
    v, before = torch.ones(3, 12, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    largest = torch.linalg.svdvals(W)[:, 0]
    for _ in range(60):
        sigma, v = top_singular(W, v)
        assert (sigma <= largest + 1e-12).all()
        assert (sigma >= before - 1e-12).all()
        before = sigma
    assert torch.allclose(sigma, largest, rtol=1e-6)


BOUNDS: dict[str, tuple[Any, Callable[[Tensor, Tensor], Tensor], float]] = {
    "row-clip": (RowClip(norm=0.8, matrices="all"), lambda w, first: w.norm(dim=-1).amax(-1) / 0.8, 1e-12),
    "norm-cap": (
        NormCap(factor=0.9, matrices="all"),
        lambda w, first: w.flatten(1).norm(dim=1) / first.flatten(1).norm(dim=1) / 0.9,
        1e-12,
    ),
    "spectral-cap": (SpectralCap(norm=0.8, matrices="all"), lambda w, first: torch.linalg.svdvals(w)[:, 0] / 0.8, 0.05),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_constraint_holds_after_every_step(name: str) -> None:
    part, size, excess = BOUNDS[name]
    path = moved([[SGD(lr=0.02, momentum=0.5, warmup=0), part]] * R, n=40)
    first = {key: torch.tensor(x) for key, x in start().items()}
    sizes = torch.stack([torch.stack([size(w[k], first[k]) for k in SHAPES if k != "vector"]) for w in path])
    assert sizes.max() < 1 + excess
    assert sizes.max() > 0.99, "it is reached"


@pytest.mark.parametrize("part", [RowClip(norm=99.0), NormCap(factor=99.0), SpectralCap(norm=99.0)])
def test_a_constraint_that_holds_anyway_changes_no_bit(part: Part) -> None:
    rule = SGD(lr=0.02)
    free, bounded = moved([[rule]] * R, n=8)[-1], moved([[rule, part]] * R, n=8)[-1]
    assert all(torch.equal(free[name], bounded[name]) for name in SHAPES)


def test_a_matrix_that_starts_at_zero_has_no_norm_cap() -> None:
    rule, zero = NormCap().transformation(NETWORK), {"w": torch.zeros(2, 3, 4)}
    updates, _ = rule.update(
        {"w": torch.ones(2, 3, 4)},
        rule.init(zero),
        Context(zero, {"factor": torch.ones(2)}, torch.zeros(2), torch.zeros(2)),
    )
    assert torch.equal(updates["w"], torch.ones(2, 3, 4))


def test_normalized_gradients_have_one_length_over_all_parameters() -> None:
    rule, hyper = GradientNormalization().transformation(NETWORK), {"norm": torch.tensor([1.0, 2.0, 3.0])}
    for size in (1e-9, 1.0, 1e6):
        grads = {name: size * torch.tensor(x, dtype=torch.float32) for name, x in drawn(0).items()}
        updates, _ = rule.update(grads, {}, Context(grads, hyper, torch.zeros(R), torch.zeros(R)))
        squares = sum(u.square().flatten(1).sum(1) for u in updates.values())
        assert torch.allclose(torch.as_tensor(squares).sqrt(), hyper["norm"])


def quadratic_bowl(rule: Any, n: int, far: float) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The path of one weight from ``far`` to the least |w|, and the last state."""
    made, hyper = rule.transformation(NETWORK), stacked_hyper([[rule]])
    hyper = {name.removeprefix("0."): x for name, x in hyper.items()}
    params, path = {"w": torch.full((1, 1), far, dtype=torch.float64)}, []
    state = made.init(params)
    for t in range(n):
        context = Context(params, hyper, torch.tensor([t]), torch.zeros(1))
        seen = params if made.seen is None else made.seen(params, state, context)
        updates, state = made.update({"w": seen["w"].sign()}, state, context)
        params = {"w": params["w"] + updates["w"]}
        path.append(params["w"])
    return path, state


@pytest.mark.parametrize("far", [0.03, 1.0, 40.0])
def test_prodigy_finds_how_far_it_is(far: float) -> None:
    """On |w| from w₀ the estimate never exceeds |w₀| and comes near to it (theorem of the paper)."""
    path, state = quadratic_bowl(Prodigy(weight_decay=0.0, betas=(0.0, 0.999)), 300, far)
    assert far / 20 < float(state["d"]) <= far
    assert min(float(w.abs()) for w in path) < far / 10


def test_schedule_free_weights_are_a_mean_of_its_steps() -> None:
    """With β₁ = 0 the gradient is taken at z, and x is the mean of z with equal weights once v is warm."""
    rule = ScheduleFreeAdamW(lr=0.1, betas=(0.0, 0.0), weight_decay=0.0, warmup=0)
    path, _ = quadratic_bowl(rule, 10, 5.0)
    steps = [5.0 - 0.1 * (t + 1) for t in range(10)]
    assert [float(x) for x in path] == pytest.approx([np.mean(steps[: t + 1]) for t in range(10)], rel=1e-6)


def test_frozen_weights_are_not_moved_for_the_gradient_either() -> None:
    part = Muon(rest=ScheduleFreeAdamW(), freeze=True)
    rule, hyper = transformation_of([part], NETWORK), stacked_hyper([[part]] * R)
    params = {name: torch.tensor(x) for name, x in start().items()}
    state, first = rule.init(params), dict(params)
    for t in range(3):
        context = Context(params, hyper, torch.full((R,), t), torch.arange(R))
        assert rule.seen is not None
        seen = rule.seen(params, state, context)
        assert torch.equal(seen["embedding"], first["embedding"])
        grads = {name: torch.tensor(x) for name, x in drawn(t).items()}
        updates, state = rule.update(grads, state, context)
        params = {name: x + updates[name] for name, x in params.items()}
    assert not torch.equal(seen["vector"], params["vector"])
    assert torch.equal(params["embedding"], first["embedding"])


def test_grokfast_on_a_constant_gradient() -> None:
    ones = [torch.ones(1, 1, dtype=torch.float64)] * 5
    assert [u.item() for u in outputs(GrokFastEMA(alpha=0.98, lamb=2.0), ones)] == pytest.approx([3.0] * 5)
    assert [u.item() for u in outputs(GrokFastMA(window=2, lamb=5.0), ones)] == [1.0, 6.0, 6.0, 6.0, 6.0]
    assert [u.item() for u in outputs(GrokFastEMA(alpha=0.98, lamb=-1.0), ones)] == pytest.approx([0.0] * 5)
    assert [u.item() for u in outputs(GrokFastMA(window=2, lamb=-1.0), ones)] == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_grokfast_ma_forgets_large_gradients_in_float32() -> None:
    """A running sum that lost digits to early gradients would keep the error for ever."""
    rng = np.random.default_rng(0)
    sizes = [1e3] * 10 + [1e-6] * 30
    sequence = [torch.tensor(s * rng.normal(size=(1, 50)), dtype=torch.float32) for s in sizes]
    out = outputs(GrokFastMA(window=5, lamb=5.0), sequence)
    mean = torch.stack(sequence[-5:]).double().mean(0)
    assert torch.allclose(out[-1].double(), sequence[-1].double() + 5 * mean, rtol=1e-4, atol=1e-10)


def test_orthograd_is_orthogonal_and_keeps_the_length() -> None:
    params, grads = ({key: torch.tensor(x) for key, x in some.items()} for some in (start(), drawn(0)))
    rule = OrthoGrad().transformation(NETWORK)
    out, _ = rule.update(grads, {}, Context(params, {}, torch.zeros(R), torch.zeros(R)))
    for name, u in out.items():
        flat, g, w = u.flatten(1), grads[name].flatten(1), params[name].flatten(1)
        assert torch.allclose((flat * w).sum(1), torch.zeros(R, dtype=torch.float64), atol=1e-12)
        assert torch.allclose(flat.norm(dim=1), g.norm(dim=1))


def test_decay_to_init_pulls_to_where_weights_began() -> None:
    hyper = {"lr": torch.full((R,), 0.1), "weight_decay": torch.ones(R), "warmup": torch.zeros(R)}
    first = {name: torch.tensor(x) for name, x in start().items()}
    decay, step = decay_to_init(), scale_by_rate()
    state, away = decay.init(first), {name: x + 1 for name, x in first.items()}
    for _ in range(200):
        context = Context(away, hyper, torch.zeros(R), torch.zeros(R))
        pulled, state = decay.update({name: torch.zeros_like(x) for name, x in away.items()}, state, context)
        updates, _ = step.update(pulled, {}, context)
        away = {name: x + updates[name] for name, x in away.items()}
    assert all(torch.allclose(away[name], first[name], atol=1e-6) for name in first)


def test_schedules() -> None:
    h = {k: torch.tensor([v], dtype=torch.float64) for k, v in (("lr", 2.0), ("warmup", 4), ("decay_steps", 10))}
    warm = [rate(h, torch.tensor([t]), "constant").item() for t in range(6)]
    assert warm == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    cosine = [rate(h, torch.tensor([t]), "cosine").item() for t in (5, 10, 30)]
    assert cosine == pytest.approx([1.0, 0.0, 0.0])


# Noise


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


def differences(part: Part, where: str) -> list[Tensor]:
    """What a noisy part adds to a gradient of zeros, or to the weights at which it is taken, in three steps."""
    rule, zeros = transformation_of([part], NETWORK), {"w": torch.zeros(R, 400, 100)}
    hyper, seed, found = stacked_hyper([[part]] * R), torch.arange(R), []
    for t in range(3):
        context = Context(zeros, hyper, torch.full((R,), t), seed)
        if where == "weights":
            assert rule.seen is not None
            found.append(rule.seen(zeros, {}, context)["w"])
            assert torch.equal(rule.update({"w": torch.ones(R, 400, 100)}, {}, context)[0]["w"], zeros["w"] + 1)
        else:
            assert rule.seen is None
            found.append(rule.update(zeros, {}, context)[0]["w"])
    return found


@pytest.mark.parametrize(
    ("part", "where"), [(GradientNoise(sigma=0.3), "gradient"), (WeightNoise(sigma=0.3), "weights")]
)
def test_noise_has_its_deviation_and_is_new_in_every_step_and_replica(part: Part, where: str) -> None:
    noise = torch.stack(differences(part, where)).flatten(0, 1).flatten(1)
    assert noise.std(dim=1).numpy() == pytest.approx([0.3] * len(noise), rel=0.02)
    assert noise.mean(dim=1).abs().max() < 0.01
    assert (torch.corrcoef(noise) - torch.eye(len(noise))).abs().max() < 0.03


def test_weight_noise_moves_the_gradient_and_leaves_the_weights() -> None:
    """The gradient here is 0.2 w + a constant, so that noise on the weights enters it times 0.2."""
    quiet, loud = (chains(three(WeightNoise, sigma=s), PLAIN) for s in (0.0, 0.5))
    silent, noisy = moved(quiet, n=1)[0], moved(loud, n=1)[0]
    for name, shape in SHAPES.items():
        noise = normal(key(torch.arange(R), torch.zeros(R, dtype=torch.int64), name), (R, *shape)).double()
        size = torch.tensor([parts[1].lr for parts in loud]).reshape(-1, *[1] * len(shape))
        assert torch.allclose(noisy[name], silent[name] - size * 0.2 * 0.5 * noise, atol=1e-7)


# Chains


LEARNER = TorchMLP(hidden_layer_sizes=(8, 8))
WRONG: dict[str, tuple[Sequence[Any], Any, str]] = {
    "unknown": (["adamw"], LEARNER, r"The 'optimizer' parameter of TorchMLP takes parts of optimizers, got 'adamw'\."),
    "a-class": ([AdamW], LEARNER, r"takes parts of optimizers, got <class '.*AdamW'>\."),
    "two-rules": (
        [GrokFastEMA(), AdamW(), SGD()],
        LEARNER,
        r"An optimizer has one rule, got adamw and sgd in grokfast-ema\+adamw\+sgd\.",
    ),
    "no-rule": ([OrthoGrad()], LEARNER, r"An optimizer has one rule, got none in orthograd\."),
    "nothing": ([], LEARNER, r"An optimizer has one rule, got none in nothing\."),
    "filter-behind": (
        [AdamW(), GrokFastMA()],
        LEARNER,
        r"grokfast-ma is a filter, which stands in front of the rule, got adamw\+grokfast-ma\.",
    ),
    "constraint-in-front": (
        [RowClip(), AdamW()],
        LEARNER,
        r"row-clip is a constraint, which stands behind the rule, got row-clip\+adamw\.",
    ),
    "twice": (
        [OrthoGrad(), OrthoGrad(), AdamW()],
        LEARNER,
        r"An optimizer has each part once, got orthograd\+orthograd\+adamw\.",
    ),
    "cannot-act": (
        [Muon()],
        Quadratic(),
        r"muon moves hidden matrices; Quadratic as it is set has none\.",
    ),
    "constraint-cannot-act": (
        [AdamW(), RowClip()],
        Quadratic(),
        r"row-clip bounds hidden matrices; Quadratic as it is set has none, matrices='all' takes all\.",
    ),
    "inner-value": ([Muon(rest=SGD(lr=-1))], LEARNER, r"The 'lr' parameter of SGD must be a number > 0, got lr=-1\."),
    "inner-kind": (
        [Muon(rest=OrthoGrad())],
        LEARNER,
        r"The 'rest' parameter of Muon must be a rule other than Muon, or None, got rest=OrthoGrad\(\)\.",
    ),
    "value": ([AdamW(eps=0)], LEARNER, r"The 'eps' parameter of AdamW must be a number > 0, got eps=0\."),
    "decay-without": (
        [AdamW(weight_decay=0, decay="to-init")],
        LEARNER,
        r"The 'decay' parameter of AdamW must be left at 'decoupled' without weight_decay, got decay='to-init'\.",
    ),
    "cosine-without-end": (
        [AdamW(schedule="cosine")],
        LEARNER,
        r"The 'decay_steps' parameter of AdamW must be given with the cosine schedule, only, got decay_steps=None\.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_chain_that_cannot_be_is_refused(name: str) -> None:
    parts, learner, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        check_chain(parts, learner)


@every_chain
def test_a_chain_that_can_be_passes(name: str) -> None:
    for parts in ALL[name]:
        check_chain(parts, LEARNER)
        assert len({part_name(part) for part in parts}) == len(parts)
