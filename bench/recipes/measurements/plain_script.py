"""What the fleet is compared with: one model, an `nn.Module`, `torch.optim`, a Python loop.

Two scripts, both written plainly and without anything that would slow them down on purpose. The *usual* one does what
public scripts for this task do: it reads loss and accuracy in every step and evaluates the held-out pairs every epoch.
The *lean* one only trains.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learners import Problem
from learners.fleet import ACTIVATIONS, Network, Noise, TorchLearner
from learners.optim import Adam, AdamW

HELD_OUT_BATCH = 512
FORM = {
    "norm": "pre",
    "layout": "slots",
    "positions": "learned",
    "tied": True,
    "tied_readout": False,
    "shared_blocks": False,
    "router": "none",
}
"""The form of the transformer that is written out."""
PLAIN = {"dropout": 0.0, "lora_rank": 0}
"""What neither script has."""


class Block(nn.Module):
    """Attention and MLP, each in a branch that begins with a layer norm. Attention is PyTorch's own."""

    def __init__(self, width: int, heads: int, inner: int, activation: Callable[[Tensor], Tensor], bias: bool) -> None:
        super().__init__()
        self.heads, self.activation = heads, activation
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias) for _ in range(4))
        self.up, self.down = nn.Linear(width, inner, bias), nn.Linear(inner, width, bias)

    def forward(self, h: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        h = h + self._attention(self.norm1(h))
        return h + self.down(self.activation(self.up(self.norm2(h))))

    def _attention(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = (batch, length, self.heads, width // self.heads)
        q, k, v = (linear(x).view(split).transpose(1, 2) for linear in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class PlainTransformer(nn.Module):
    """`learners.Transformer` with ``norm="pre"``, ``layout="slots"`` and learned positions, as one would write it.

    Every position of every example is computed in every layer. Its parameters have the names of the
    learner's.
    """

    def __init__(self, config: Any, n_slots: int, n_features: int, n_classes: int) -> None:
        super().__init__()
        width = config.width
        self.embedding = nn.Embedding(n_features, width)
        self.tokens = nn.Parameter(torch.empty(1, width))
        self.positions = nn.Parameter(torch.empty(n_slots + 1, width))
        activation = ACTIVATIONS[config.activation]
        inner = round(config.mlp_ratio * width)
        self.blocks = nn.ModuleList(
            [Block(width, config.heads, inner, activation, config.bias) for _ in range(config.depth)]
        )
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, n_classes, bias=False)

    def forward(self, tokens_BS: Tensor) -> Tensor:
        """Tokens (B, S) → scores (B, C)."""
        h = torch.cat([self.embedding(tokens_BS), self.tokens.expand(len(tokens_BS), 1, -1)], dim=1) + self.positions
        for block in self.blocks:
            h = block(h)
        return self.readout(self.norm(h[:, -1]))


class OfCodes(nn.Module):
    """Any other learner's module, which is an ordinary one: given the codes of a batch."""

    def __init__(self, network: Network, table_UF: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("table", table_UF)

    def forward(self, tokens_BS: Tensor) -> Tensor:
        """Tokens (B, S) → scores (B, C)."""
        return self.network(self.table, tokens_BS)[0]


def plain_module(learner: TorchLearner, problem: Problem) -> nn.Module:
    """One model as a public script would have it, its weights drawn as the learner's.

    :raises ValueError: for a form of the transformer that `PlainTransformer` does not have.
    """
    codes = problem.codes
    network = learner.network(codes.n_slots, codes.n_features, problem.n_classes)
    table = torch.as_tensor(codes.table_UF)
    norm = math.sqrt(float((table.double() ** 2).sum(1).mean()))
    network.reset(torch.Generator().manual_seed(learner.seed()), norm)
    if type(learner).__name__ != "Transformer":
        return OfCodes(network, table)
    if not codes.onehot or any(getattr(learner, name) != value for name, value in FORM.items()):
        raise ValueError("The usual script is written for the default form of the transformer and one-hot codes.")
    module = PlainTransformer(learner, codes.n_slots, codes.n_features, problem.n_classes)
    module.load_state_dict({name: x.detach() for name, x in network.named_parameters()})
    return module


def plain_rule(learner: TorchLearner) -> Adam | AdamW:
    """The rule of a learner that a script has.

    :raises ValueError: for an optimizer that is not Adam or AdamW with constant steps and usual decay alone.
    """
    rule: Any = learner.parts[0]
    others = learner.parts[1:]
    plain = type(rule) in (Adam, AdamW) and not others
    if not plain or rule.schedule != "constant" or rule.decay != type(rule).decay:
        raise ValueError(f"The usual script is written for adam and adamw as they come, got {learner.parts}.")
    return rule


class Script:
    """Trains one model in a Python loop.

    :param problem: what is learned.
    :param held_out: rows and answers that the usual script evaluates.
    :param usual: read loss and accuracy in every step, evaluate every epoch.
    """

    def __init__(
        self, learner: TorchLearner, problem: Problem, held_out: tuple[Any, Any], device: str, usual: bool
    ) -> None:
        self.usual = usual
        self.batch = learner.resolved_batch(len(problem.train))
        self.module = plain_module(learner, problem).to(device)
        tokens = torch.as_tensor(problem.codes.index_NS)
        self.x, self.y = tokens[problem.train].to(device), torch.as_tensor(problem.y).to(device)
        self.held_x, self.held_y = tokens[held_out[0]].to(device), torch.as_tensor(held_out[1]).to(device)
        for name, value in PLAIN.items():
            if getattr(learner, name, value) != value:
                raise ValueError(f"The usual script is written for {name}={value!r}, got {getattr(learner, name)!r}.")
        rule = plain_rule(learner)
        kind = torch.optim.AdamW if isinstance(rule, AdamW) else torch.optim.Adam
        self.optimizer = kind(self.module.parameters(), rule.lr, rule.betas, rule.eps, rule.weight_decay)
        warmup = max(1, rule.warmup)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda t: min(1.0, (t + 1) / warmup))
        self.loss = learner.example_losses
        self.local = isinstance(self.module, OfCodes) and self.module.network.local
        self.log: list[tuple[float, float]] = []
        self._steps = self._forever()

    def run(self, steps: int) -> None:
        """Do so many steps, with what belongs to them."""
        for _ in range(steps):
            next(self._steps)

    def _forever(self) -> Iterator[None]:
        while True:
            for rows in torch.randperm(len(self.x), device=self.x.device).split(self.batch):
                scores, loss = self._forward(self.x[rows], self.y[rows])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.schedule.step()
                if self.usual:
                    scores = self._scores(self.x[rows]) if scores is None else scores
                    self.log.append((loss.item(), (scores.argmax(1) == self.y[rows]).float().mean().item()))
                yield
            if self.usual:
                self.log.append(self._evaluate())

    def _forward(self, x: Tensor, y: Tensor) -> tuple[Tensor | None, Tensor]:
        """Scores, where they come with it, and the loss of a batch."""
        if self.local:
            key = torch.randint(1 << 32, (), device=x.device)
            return None, self.module.network(self.module.table, x, Noise(key, torch.zeros((), device=x.device)), y)[0]
        scores = self.module(x)
        return scores, self.loss(scores, y).mean()

    @torch.no_grad()
    def _scores(self, x: Tensor) -> Tensor:
        return self.module(x)

    @torch.no_grad()
    def _evaluate(self) -> tuple[float, float]:
        loss, right = 0.0, 0.0
        for x, y in zip(self.held_x.split(HELD_OUT_BATCH), self.held_y.split(HELD_OUT_BATCH), strict=True):
            scores = self.module(x)
            loss += self.loss(scores, y).sum().item()
            right += (scores.argmax(1) == y).sum().item()
        return loss / len(self.held_y), right / len(self.held_y)
