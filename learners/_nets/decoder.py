"""The transformer's module: a causal decoder that computes every distinct state once.

With a causal mask the state at a position depends only on the tokens up to it. The first slot has U codes and hence U
distinct states, however large the batch; before the first attention a state depends on its own token only; and of the
last block only the last position is needed. States of a position are therefore kept as one row per distinct prefix.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from learners._kernels.hidden import fits, hidden_layer
from learners._kernels.products import gather_all, many, product, scale, shift
from learners._nets.modules import ACTIVATIONS, Embedding, Linear, Network, Noise
from learners._nets.router import Router, Routing

ALL, ONE = "all", "one"
SITE_BITS = 16
"""Sites of dropout are numbered by block, and by position within."""
NORM_FIRST = ("pre", "grokfast", "residual")
"""Forms that normalise before each branch."""
Kind = int | str
"""What the rows of a position stand for: each example (ALL), one for all (ONE), or the codes of a slot (its number)."""


@dataclass(frozen=True)
class _Batch:
    """The examples of a batch, and how rows of one kind become rows of another.

    :param index_BS: the code of each slot of each example.
    :param n_codes: U.
    """

    index_BS: Tensor
    n_codes: int

    def size(self, kind: Kind) -> int:
        """How many rows a position of this kind has."""
        return 1 if kind == ONE else len(self.index_BS) if kind == ALL else self.n_codes

    def sizes(self, kinds: Iterable[Kind]) -> list[int]:
        """Rows of positions of these kinds."""
        return [self.size(kind) for kind in kinds]

    def spread(self, fields: Sequence[Tensor], kind: Kind, to: Kind) -> Sequence[Tensor]:
        """Rows (n, ·) of ``kind`` as rows of ``to``, which distinguishes at least as many examples."""
        if kind == to:
            return fields
        if kind == ONE:
            return [x.expand(self.size(to), -1) for x in fields]
        assert isinstance(kind, int)
        return gather_all(fields, self.index_BS[:, kind])

    @staticmethod
    def join(kinds: Sequence[Kind]) -> Kind:
        """The kind that distinguishes all examples that any of these distinguishes."""
        known = set(kinds) - {ONE}
        return known.pop() if len(known) == 1 else ALL if known else ONE


@dataclass(frozen=True)
class _States:
    """States of some positions, one row for each distinct prefix.

    :param x: rows of all positions, concatenated, (Σ n, D).
    :param kinds: of each position.
    """

    x: Tensor
    kinds: Sequence[Kind]


class Decoder(Network):
    """From codes to scores of the read-out token. `Transformer` documents the formulas and the arguments.

    :param inner: hidden units of the MLP.
    """

    looks_up = True

    def __init__(
        self,
        n_slots: int,
        n_features: int,
        n_classes: int,
        *,
        depth: int,
        width: int,
        heads: int,
        inner: int,
        activation: str,
        norm: str,
        bias: bool,
        learned_positions: bool,
        equation: bool,
        tied: bool,
        tied_readout: bool,
        shared_blocks: bool,
        loops: int,
        router: Routing,
        init_scale: float,
        init_gain: float,
    ) -> None:
        super().__init__()
        self.equation = equation
        self.length = 2 * n_slots if equation else n_slots + 1
        self.embedding = Embedding(n_features, width, n_slots, tied, init_scale)
        self.tokens = nn.Parameter(torch.empty(self.length - n_slots, width))
        self.positions = nn.Parameter(torch.empty(self.length, width)) if learned_positions else None
        blocks = range(1 if shared_blocks else depth)
        self.blocks = nn.ModuleList([_Block(width, heads, inner, activation, norm, bias, init_gain) for _ in blocks])
        self.passes = (depth if shared_blocks else 1) * loops
        self.router = None if router == "none" else Router(width, depth, router == "top", init_gain)
        self.norm = _LayerNorm(width) if norm in NORM_FIRST else None
        self.readout = None if tied_readout else Linear(width, n_classes, bias=False, gain=init_gain)
        self.not_for_muon = frozenset(
            {"embedding.weight", "tokens", "positions", "router.scores.weight", "readout.weight"}
        )

    def reset(self, generator: Generator, code_norm: float) -> None:
        self.embedding.reset(generator, code_norm)
        nn.init.normal_(self.tokens, 0.0, self.embedding.std, generator=generator)
        if self.positions is not None:
            nn.init.normal_(self.positions, 0.0, self.embedding.std, generator=generator)
        for block in self.blocks:
            block.reset(generator)
        for module in (self.router, self.norm, self.readout):
            if module is not None:
                module.reset(generator)

    def forward(self, table_UF: Tensor, index_BS: Tensor, noise: Noise | None = None) -> tuple[Tensor, Tensor]:
        batch = _Batch(index_BS, len(table_UF))
        # Dropout differs from example to example: with it, nothing is shared.
        states = self._tokens(table_UF, batch, shared=noise is None and len(table_UF) < len(index_BS))
        turns = [*self.blocks] * self.passes if self.router is None else [self._routed] * self.passes
        for number, turn in enumerate(turns[:-1]):
            states, _ = turn(states, 0, batch, noise, number)
        states, hidden = turns[-1](states, self.length - 1, batch, noise, len(turns) - 1)
        last, hidden = batch.spread([states.x, hidden], states.kinds[-1], ALL)
        if self.norm is not None:
            last = self.norm(last)
        scores = product(last, self.embedding.weight) if self.readout is None else self.readout(last)
        return scores, hidden

    def _routed(
        self, states: _States, first: int, batch: _Batch, noise: Noise | None, number: int
    ) -> tuple[_States, Tensor]:
        """A pass through the bank: what a block returns, of the sums of its updates and units by the router's weights.

        A token's weights come from its own state, hence from its prefix alone, as all that is shared here.
        """
        assert self.router is not None
        made = [
            block(states, first, batch, noise, number * len(self.blocks) + e) for e, block in enumerate(self.blocks)
        ]
        before, kinds = states.kinds[first:], made[0][0].kinds
        x = states.x[sum(batch.sizes(states.kinds[:first])) :]
        sizes = batch.sizes(before)
        rows = zip(x.split(sizes), self.router(x).split(sizes), before, kinds, strict=True)
        spread = [batch.spread([x, w], kind, to) for x, w, kind, to in rows]
        h, weights = (torch.cat(parts) for parts in zip(*spread, strict=True))
        last = weights[-batch.size(kinds[-1]) :]
        moved, hidden = h, torch.zeros_like(made[0][1])
        for e, (after, units) in enumerate(made):
            moved = moved + weights[:, e : e + 1] * (after.x - h)
            hidden = hidden + last[:, e : e + 1] * units
        return _States(moved, kinds), hidden

    def _tokens(self, table_UF: Tensor, batch: _Batch, shared: bool) -> _States:
        """a b = or a ∘ b =, with their positions."""
        n_slots = batch.index_BS.shape[1]
        slots: list[tuple[Tensor, Kind]] = [
            (self.embedding.rows(table_UF, s), s)
            if shared
            else (self.embedding.rows(table_UF, s, batch.index_BS[:, s]), ALL)
            for s in range(n_slots)
        ]
        signs: list[tuple[Tensor, Kind]] = [(token.unsqueeze(0), ONE) for token in self.tokens.unbind(0)]
        woven = [x for pair in zip(slots, signs, strict=True) for x in pair] if self.equation else slots + signs
        places = _sinusoids(self.length, self.tokens) if self.positions is None else self.positions
        placed = [x + place for (x, _), place in zip(woven, places.unbind(0), strict=True)]
        return _States(torch.cat(placed), [kind for _, kind in woven])


class _Block(nn.Module):
    """Attention and an MLP, each with its residual connection and its normalisation."""

    def __init__(self, width: int, heads: int, inner: int, activation: str, norm: str, bias: bool, gain: float) -> None:
        super().__init__()
        self.heads, self.form = heads, norm
        self.query, self.key, self.value, self.out = (Linear(width, width, bias, gain=gain) for _ in range(4))
        self.up = Linear(width, inner, bias, gain=gain)
        self.down = Linear(inner, width, bias, gain=gain)
        self.norm1, self.norm2 = (_LayerNorm(width) if norm != "none" else None for _ in range(2))
        self.activation = ACTIVATIONS[activation]
        self.rectifies = activation == "relu"

    def reset(self, generator: Generator) -> None:
        """Draw all weights."""
        for module in self.children():
            module.reset(generator)

    def forward(
        self, states: _States, first: int, batch: _Batch, noise: Noise | None, site: int
    ) -> tuple[_States, Tensor]:
        """States after the block of the positions from ``first`` on, and the hidden units of the last position."""
        u = self._before(self.norm1, states.x)
        normed = self.form in ("grokfast", "residual")
        base, mixed, kinds = self._attend(u, u if normed else states.x, states.kinds, first, batch)
        sizes = [batch.size(kind) for kind in kinds]
        h = self._behind(self.norm1, base, self._dropped(self.out(mixed), noise, 2 * site, sizes))
        u = self._before(self.norm2, h)
        hidden, out = self._layer(u)
        out = self._dropped(out, noise, 2 * site + 1, sizes)
        h = self._behind(self.norm2, u if self.form == "residual" else h, out)
        return _States(h, kinds), hidden[-batch.size(kinds[-1]) :]

    def _layer(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden units of the MLP, and its output."""
        if self.rectifies and fits(u, len(self.up.weight)):
            out, hidden = hidden_layer(u, self.up.weight, self.down.weight, self.up.bias)
            return hidden, out if self.down.bias is None else shift(out, self.down.bias)
        hidden = self.activation(self.up(u))
        return hidden, self.down(hidden)

    def _before(self, norm: "_LayerNorm | None", h: Tensor) -> Tensor:
        return norm(h) if norm is not None and self.form in NORM_FIRST else h

    def _dropped(self, out: Tensor, noise: Noise | None, site: int, sizes: list[int]) -> Tensor:
        """Dropout of each position by itself, so that it does not depend on padding for a neighbouring replica."""
        if noise is None:
            return out
        parts = out.split(sizes)
        return torch.cat([noise.drop(part, site << SITE_BITS | position) for position, part in enumerate(parts)])

    def _behind(self, norm: "_LayerNorm | None", base: Tensor, out: Tensor) -> Tensor:
        h = base + out
        return norm(h) if norm is not None and self.form == "post" else h

    def _attend(
        self, u: Tensor, residual: Tensor, kinds: Sequence[Kind], first: int, batch: _Batch
    ) -> tuple[Tensor, Tensor, list[Kind]]:
        """Residual and mixed values of the positions from ``first`` on, and their kinds: those of their prefixes."""
        sizes = batch.sizes(kinds)
        querying = max(first, 1)  # the first position can attend to itself alone
        maps = (self.key, self.value) if first else (self.query, self.key, self.value)
        *own, key, value = [linear(u) for linear in maps] if many(u) else _at_once(maps, u)
        behind = sum(sizes[:querying])
        query = own[0][behind:] if own else self.query(u[behind:])
        keys, values, queries = key.split(sizes), value.split(sizes), query.split(sizes[querying:])
        residuals = residual.split(sizes)
        seen: dict[tuple[int, Kind], Sequence[Tensor]] = {}

        def fields(t: int, to: Kind) -> Sequence[Tensor]:
            """Key, value and, where it has one, query and residual of a position, in one gather."""
            if (t, to) not in seen:
                own = [keys[t], values[t]] + ([queries[t - querying], residuals[t]] if t >= querying else [])
                seen[t, to] = batch.spread(own, kinds[t], to)
            return seen[t, to]

        prefixes = [batch.join(kinds[: t + 1]) for t in range(first, len(kinds))]
        base, mixed = ([residuals[0]], [values[0]]) if first == 0 else ([], [])
        for t in range(querying, len(kinds)):
            to = prefixes[t - first]
            before = [fields(j, to) for j in range(t + 1)]
            query, rest = before[t][2:]
            base.append(rest)
            mixed.append(self._mix(query, [f[0] for f in before], [f[1] for f in before]))
        return torch.cat(base), torch.cat(mixed), prefixes

    def _mix(self, query_BD: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
        """Softmax attention, elementwise: for a handful of tokens matrix products are too small to pay."""
        split = (len(query_BD), self.heads, -1)
        scale = 1 / math.sqrt(query_BD.shape[1] // self.heads)
        scores = [(query_BD * key_BD).reshape(split).sum(-1, keepdim=True) * scale for key_BD in keys]
        parts = [
            weights_BH1 * value_BD.reshape(split)
            for weights_BH1, value_BD in zip(_softmax(scores), values, strict=True)
        ]
        return sum(parts[1:], start=parts[0]).reshape(query_BD.shape)


def _softmax(scores: Sequence[Tensor]) -> list[Tensor]:
    """Over a few tensors: compiled, it is part of the sums before it and of the products behind it, one kernel in all.

    In float32 at least; what is subtracted changes nothing, and has no gradient.
    """
    exact = torch.promote_types(scores[0].dtype, torch.float32)
    raised = [score.to(exact) for score in scores]
    largest = reduce(torch.maximum, raised).detach()
    powers = [torch.exp(score - largest) for score in raised]
    total = sum(powers[1:], start=powers[0])
    return [(power / total).to(scores[0].dtype) for power in powers]


def _at_once(maps: Sequence[Linear], x: Tensor) -> Sequence[Tensor]:
    """Several linear maps of the same rows by one product."""
    y = product(x, torch.cat([linear.weight for linear in maps]))
    if maps[0].bias is not None:
        y = shift(y, torch.cat([linear.bias for linear in maps if linear.bias is not None]))
    return y.chunk(len(maps), dim=1)


class _LayerNorm(nn.Module):
    """Layer normalisation with scale and shift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(width))

    def reset(self, generator: Generator) -> None:
        """Ones and zeros."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if many(x):
            return shift(scale(F.layer_norm(x, (x.shape[-1],)), self.weight), self.bias)
        return F.layer_norm(x, (x.shape[-1],), self.weight, self.bias)


def _sinusoids(length: int, like: Tensor) -> Tensor:
    """sin(t / 10000^(i/D)) for even i, cos(t / 10000^((i−1)/D)) for odd i, (T, D)."""
    i = torch.arange(like.shape[-1], device=like.device, dtype=torch.float64)
    t = torch.arange(length, device=like.device, dtype=torch.float64).unsqueeze(1)
    angles = t / 10_000 ** ((i - i % 2) / like.shape[-1])
    return torch.where(i % 2 == 0, angles.sin(), angles.cos()).to(like.dtype)
