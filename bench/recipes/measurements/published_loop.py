"""The loop of GrokFast's program, one model at a time, with two details that fleets do not have.

- *The last batch*: an epoch there is cut into batches of 512 pairs, and what is left, 48 of 4,656, is a batch and a
  step of its own, whose gradient is noisier. Batches of a fleet are all of one size.
- *A penalty behind a gate*: delayed compression adds λ Σ ‖W‖² to the loss, gains of normalization layers included, in
  the epochs that follow one in which 99 % of the training pairs were answered right. Optimizers here do not see
  accuracies, so that `learners.optim.DelayedCompression` begins after a number of steps and stays.

The network is `learners.Transformer` in GrokFast's form, the rule torch's Adam; b = 0 is left out, as there.

Source: Lee et al. 2024, "Grokfast" (arXiv 2405.20233) and its program; vuciv 2025, "Delayed Compression"
(github.com/vuciv/grokfast).
"""

import time
from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.recipes.measurements._fleets import Observation, at_least, crossing, device_words
from bench.recipes.measurements.plain_script import OfCodes
from bench.specs import registry
from learners import Transformer

version = 1
UNITS = {"steps": "steps", "train_steps": "steps", "accuracy": "share"}
TARGET = 0.95
LEARNED = 0.99
"""Accuracy on the training pairs after which the penalty is on."""


def network_of(seed: int, modulus: int, width: int) -> nn.Module:
    """GrokFast's transformer, which reads operands (B, 2) and gives scores (B, p)."""
    learner = Transformer(
        width=width, norm="grokfast", activation="gelu", bias=True, layout="equation", init_scale=1.0, init_gain=1.0
    )
    network = learner.network(2, modulus, modulus)
    network.reset(torch.Generator().manual_seed(seed), 1.0)
    return OfCodes(network, torch.eye(modulus))


def pairs_of(operation: str, modulus: int, device: str) -> tuple[Tensor, Tensor]:
    """The operands of all pairs with b ≥ 1, (N, 2), and their answers."""
    task = registry.task(operation)(modulus=modulus)
    kept = task.operands_NK[:, 1] != 0
    operands, answers = (torch.as_tensor(rows[kept]).long() for rows in (task.operands_NK, task.answers_N))
    return operands.to(device), answers.to(device)


class MovingAverage:
    """GrokFast's filter: g + λ · the mean of the last w gradients, once w have been seen."""

    def __init__(self, window: int, lamb: float) -> None:
        self.window, self.lamb = window, lamb
        self.seen: deque[list[Tensor]] = deque()
        self.sums: list[Tensor] = []

    def __call__(self, grads: list[Tensor]) -> list[Tensor]:
        """The filtered gradients; sums are in float64, so that large early gradients leave no error behind."""
        self.seen.append(grads)
        self.sums = [s + g for s, g in zip(self.sums, grads, strict=True)] if self.sums else [g.double() for g in grads]
        if len(self.seen) > self.window:
            self.sums = [s - g for s, g in zip(self.sums, self.seen.popleft(), strict=True)]
        if len(self.seen) < self.window:
            return grads
        return [g + (self.lamb / self.window) * s.to(g.dtype) for g, s in zip(grads, self.sums, strict=True)]


def batches(pairs: Tensor, size: int, short: bool) -> Iterator[Tensor]:
    """The rows of an epoch in a new order; what is left at its end is a batch where ``short`` is set."""
    order = pairs[torch.randperm(len(pairs)).to(pairs.device)]
    yield from (part for part in order.split(size) if short or len(part) == min(size, len(pairs)))


def observe(
    *,
    seed: int,
    device: str,
    quick: bool,
    operation: str = "multiply",
    modulus: int = 97,
    steps: int = 5000,
    batch_size: int = 512,
    short_batch: bool = True,
    window: int = 0,
    lamb: float = 5.0,
    penalty: float = 0.0,
    gate: bool = True,
    width: int = 128,
) -> Observation:
    """One seed: steps until an epoch ends with 95 % of the test pairs, and of the training pairs, and how it ends.

    :param short_batch: whether an epoch's last pairs are a batch of their own.
    :param window: w of GrokFast's moving average; 0 for no filter.
    :param penalty: λ of the penalty on all matrices and gains.
    :param gate: whether the penalty is on only after an epoch with 99 % of the training pairs; else always.
    """
    at_least(1, steps=steps, batch_size=batch_size, width=width)
    at_least(0, window=window)
    began = time.perf_counter()
    torch.manual_seed(seed)
    operands, answers = pairs_of(operation, modulus, device)
    train, test = torch.randperm(len(answers)).to(device).tensor_split(2)
    network = network_of(seed, modulus, width).to(device)
    params = list(network.parameters())
    rule = torch.optim.Adam(params, lr=1e-3, betas=(0.9, 0.98))
    rise = torch.optim.lr_scheduler.LambdaLR(rule, lambda step: min(1.0, step / 10))
    gains = [p for name, p in network.named_parameters() if "weight" in name]
    smooth = MovingAverage(window, lamb) if window else None
    step, on, at, seen = 0, not gate, list[int](), dict[str, list[float]](train=[], test=[])
    while step < steps:
        for rows in batches(train, batch_size, short_batch):
            loss = F.cross_entropy(network(operands[rows]), answers[rows])
            if penalty and on:
                loss = loss + penalty * torch.stack([p.square().sum() for p in gains]).sum()
            grads = list(torch.autograd.grad(loss, params))
            for parameter, grad in zip(params, grads if smooth is None else smooth(grads), strict=True):
                parameter.grad = grad
            rule.step()
            rise.step()
            step += 1
        at.append(step)
        for part, rows in (("train", train), ("test", test)):
            with torch.no_grad():
                right = network(operands[rows]).argmax(-1) == answers[rows]
            seen[part].append(right.double().mean().item())
        on = not gate or seen["train"][-1] >= LEARNED
    return {
        **crossing("steps", at, seen["test"], TARGET),
        **crossing("train_steps", at, seen["train"], TARGET),
        "accuracy": seen["test"][-1],
        "seconds": time.perf_counter() - began,
        "device": device_words(device),
    }
