"""Training without gradients: evolution strategies on the weights of the quadratic net, against backpropagation.

Both arms start from the same weights and step by AdamW. They differ in the direction alone: the gradient of the
training loss, which takes one forward pass over the training pairs (and a backward pass, which is not counted), or the
estimate of evolution strategies, which takes as many forward passes as there are candidates, and nothing else.

Source: Salimans et al. 2017, "Evolution Strategies as a Scalable Alternative to Reinforcement Learning" (arXiv
1703.03864): mirrored candidates, fitness shaped by ranks, Adam with weight decay.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from bench.errors import RequestError
from bench.recipes.measurements._fleets import Observation, at_least, chosen_device, crossing, device_words, looks
from bench.results import settled
from bench.specs import Cell, Request, family, prepare
from learners import Quadratic

version = 1
UNITS = {"evaluations": "number", "accuracy": "share", "train_accuracy": "share"}
TARGET = 0.99

Fitness = Callable[[Tensor], Tensor]
"""From weights as one vector (D,) to a number; more is better."""
Direction = Callable[[Tensor], Tensor]
"""From weights (D,) to a direction in which fitness grows, (D,)."""


def shaped(fitness_N: Tensor) -> Tensor:
    """Ranks from −½ (worst) to ½ (best), (N,): how much better a candidate is makes no difference.

    >>> shaped(torch.tensor([3.0, 100.0, -7.0])).tolist()
    [0.0, 0.5, -0.5]
    """
    return fitness_N.argsort().argsort().to(fitness_N.dtype) / (len(fitness_N) - 1) - 0.5


def estimate(plus_N: Tensor, minus_N: Tensor, noise_ND: Tensor, sigma: float) -> Tensor:
    """Σᵢ (F(w + σ εᵢ) − F(w − σ εᵢ)) εᵢ / (2 n σ), (D,).

    Its mean is the gradient of E F(w + σ ε), ε standard normal: that of F where F is linear or quadratic.

    :param plus_N, minus_N: the fitness of n mirrored pairs of candidates.
    """
    return (plus_N - minus_N) @ noise_ND / (2 * len(noise_ND) * sigma)


def evolved(fitness: Fitness, pairs: int, sigma: float, generator: torch.Generator) -> Direction:
    """The direction of evolution strategies, by ``2 · pairs`` evaluations.

    :param generator: of the CPU, so that all devices draw alike.
    """
    of_all = vmap(fitness)

    def direction(w_D: Tensor) -> Tensor:
        noise_ND = torch.randn(pairs, len(w_D), generator=generator).to(w_D)
        shaped_2N = shaped(of_all(torch.cat([w_D + sigma * noise_ND, w_D - sigma * noise_ND])))
        return estimate(shaped_2N[:pairs], shaped_2N[pairs:], noise_ND, sigma)

    return direction


class Net:
    """The quadratic net of a cell, as a function of its weights in one vector."""

    def __init__(self, cell: Cell, width: int, device: str) -> None:
        codes, self.learner = cell.problem.codes, Quadratic(width=width)
        self.network = self.learner.network(codes.n_slots, codes.n_features, cell.task.n_classes).to(device)
        self.network.set_onehot(codes.onehot)
        self.table_UF = torch.as_tensor(codes.table_UF, device=device)
        self.index_NS = torch.as_tensor(codes.index_NS, device=device)
        self.answers_N = torch.as_tensor(cell.task.answers_N, device=device)
        self.rows = {part: torch.as_tensor(rows, device=device) for part, rows in cell.parts.items()}

    def first_weights(self, seed: int) -> Tensor:
        """Weights as a learner draws them, for one-hot codes, (D,)."""
        device, self.network = self.table_UF.device, self.network.cpu()
        self.network.reset(torch.Generator().manual_seed(seed), 1.0)
        self.network.to(device)
        return torch.cat([w.detach().flatten() for w in self.network.parameters()])

    def scores(self, w_D: Tensor, part: str) -> Tensor:
        """Scores of the pairs of a part, (N, C)."""
        shapes = {name: w.shape for name, w in self.network.named_parameters()}
        pieces = w_D.split([shape.numel() for shape in shapes.values()])
        weights = {name: w.view(shape) for (name, shape), w in zip(shapes.items(), pieces, strict=True)}
        return functional_call(self.network, weights, (self.table_UF, self.index_NS[self.rows[part]]))[0]

    def fitness(self, w_D: Tensor) -> Tensor:
        """Minus the mean loss of the training pairs."""
        return -self.learner.example_losses(self.scores(w_D, "train"), self.answers_N[self.rows["train"]]).mean()

    def accuracy(self, w_D: Tensor, part: str) -> float:
        """The share of right answers."""
        right = self.scores(w_D, part).argmax(-1) == self.answers_N[self.rows[part]]
        return float(right.double().mean())


def ascend(w_D: Tensor, direction: Direction, lr: float, weight_decay: float) -> Callable[[], None]:
    """A step of AdamW along a direction, in place."""
    optimizer = torch.optim.AdamW([w_D], lr=lr, betas=(0.9, 0.98), weight_decay=weight_decay)

    def step() -> None:
        w_D.grad = -direction(w_D)
        optimizer.step()

    return step


def observe(
    *,
    seed: int,
    device: str,
    quick: bool,
    evaluations: int,
    candidates: int = 0,
    sigma: float = 0.02,
    lr: float = 0.03,
    weight_decay: float = 3.0,
    width: int = 64,
    first_seed: int = 0,
    **request: Any,
) -> Observation:
    """Observes one seed of an arm: forward passes until 99 % of the test pairs are right, and how it ends.

    It ends with its budget, or at twice the step from which on the target has held.

    :param evaluations: the budget in forward passes over the training pairs.
    :param candidates: of each step, an even number; 0 takes the gradient instead.
    :param sigma: deviation of a candidate's weights.
    :param first_seed: is added to the seed, so that those by which a setting was chosen are not judged.
    :param request: keys of a request, for the task and its split.
    :raises RequestError: for an odd number of candidates, or fewer evaluations than one step takes.
    """
    for name in ("encoder", "learner"):
        if name in request:
            raise RequestError(
                f"evolution strategies train the quadratic net on one-hot codes: {name} cannot be chosen."
            )
    at_least(0, candidates=candidates)
    at_least(1, evaluations=evaluations, width=width)
    if evaluations < candidates:
        raise RequestError(f"evaluations must be at least the {candidates} candidates of a step, got {evaluations}.")
    if candidates % 2:
        raise RequestError(f"candidates must be even, since candidates are mirrored, got {candidates}.")
    began, device, seed = time.perf_counter(), chosen_device(device), first_seed + seed
    cell = prepare(family(Request.of(request | {"encoder": "onehot", "learner": "quadratic"}), seed).first)
    net, cost = Net(cell, width, device), candidates or 1
    w_D = net.first_weights(seed)
    noise = torch.Generator().manual_seed(seed)
    step = ascend(
        w_D, evolved(net.fitness, candidates // 2, sigma, noise) if candidates else grad(net.fitness), lr, weight_decay
    )
    at, test = list[int](), list[float]()
    for look in looks(evaluations // cost):
        for _ in range(look - (at[-1] if at else 0)):
            step()
        at.append(look)
        test.append(net.accuracy(w_D, "test"))
        if settled(at, test, TARGET):
            break
    return {
        **crossing("evaluations", [look * cost for look in at], test, TARGET),
        "accuracy": test[-1],
        "train_accuracy": net.accuracy(w_D, "train"),
        "seconds": time.perf_counter() - began,
        "device": device_words(device),
    }
