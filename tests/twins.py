"""Plain twins of fast paths, in the paper's notation: every state of every example computed for itself."""

import math
from typing import Any

import torch
from torch import Tensor

from learners._nets.decoder import Decoder, _sinusoids


def plain_decoder(network: Decoder, table_UF: Tensor, index_BS: Tensor) -> tuple[Tensor, Tensor]:
    """What `Decoder` computes, with the whole (T, T) attention of all B examples; scores and last hidden units."""
    slots_BSD = torch.stack(
        [
            table_UF[index_BS[:, s]]
            @ (network.embedding.weight if network.embedding.weight.ndim == 2 else network.embedding.weight[s])
            for s in range(index_BS.shape[1])
        ],
        dim=1,
    )
    h_BTD = _with_signs(slots_BSD, network.tokens, network.equation)
    h_BTD = h_BTD + (_sinusoids(network.length, network.tokens) if network.positions is None else network.positions)
    hidden = h_BTD
    for _ in range(network.passes):
        if network.router is not None:
            h_BTD, hidden = _mixture(h_BTD, network)
            continue
        for block in network.blocks:
            h_BTD, hidden = plain_block(h_BTD, block)
    last = h_BTD[:, -1]
    if network.norm is not None:
        last = network.norm(last)
    scores = last @ network.embedding.weight.T if network.readout is None else network.readout(last)
    return scores, hidden[:, -1]


def plain_block(h_BTD: Tensor, block: Any) -> tuple[Tensor, Tensor]:
    """States after a block, and its hidden units."""
    first, second = ("residual", "pre") if block.form == "grokfast" else (block.form, block.form)
    h_BTD = _branch(h_BTD, block.norm1, first, lambda u: _attention(u, block))
    hidden = block.activation(block.up(block.norm2(h_BTD) if second in ("pre", "residual") else h_BTD))
    return _branch(h_BTD, block.norm2, second, lambda u: block.down(block.activation(block.up(u)))), hidden


def _mixture(h_BTD: Tensor, network: Decoder) -> tuple[Tensor, Tensor]:
    """h + Σₑ wₑ (blockₑ(h) − h), and Σₑ wₑ of the hidden units."""
    assert network.router is not None
    w_BTE = torch.softmax(h_BTD @ network.router.scores.weight.T, dim=-1)
    if network.router.top:
        w_BTE = torch.where(w_BTE == w_BTE.amax(dim=-1, keepdim=True), w_BTE, 0.0)
    made = [plain_block(h_BTD, block) for block in network.blocks]
    updates_BTED = torch.stack([after - h_BTD for after, _ in made], dim=2)
    hidden_BTEH = torch.stack([hidden for _, hidden in made], dim=2)
    return h_BTD + (w_BTE.unsqueeze(-1) * updates_BTED).sum(2), (w_BTE.unsqueeze(-1) * hidden_BTEH).sum(2)


def _with_signs(slots_BSD: Tensor, tokens: Tensor, equation: bool) -> Tensor:
    batch, slots, width = slots_BSD.shape
    signs = tokens.expand(batch, -1, width)
    if not equation:
        return torch.cat([slots_BSD, signs], dim=1)
    return torch.stack([slots_BSD, signs], dim=2).reshape(batch, 2 * slots, width)


def _branch(h: Tensor, norm: Any, form: str, branch: Any) -> Tensor:
    if form == "post":
        return norm(h + branch(h))
    if form == "pre":
        return h + branch(norm(h))
    if form == "residual":
        u = norm(h)
        return u + branch(u)
    return h + branch(h)


def _attention(u_BTD: Tensor, block: Any) -> Tensor:
    """softmax(q kᵀ/√d + causal mask) v, head by head."""
    batch, length, width = u_BTD.shape
    heads = (batch, length, block.heads, width // block.heads)
    q, k, v = (m(u_BTD).reshape(heads).transpose(1, 2) for m in (block.query, block.key, block.value))
    scores = q @ k.mT / math.sqrt(width // block.heads)
    scores = scores + torch.full((length, length), -math.inf, dtype=u_BTD.dtype).triu(1)
    mixed = torch.softmax(scores, dim=-1) @ v
    return block.out(mixed.transpose(1, 2).reshape(batch, length, width))
