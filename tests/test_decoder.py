"""The decoder that shares prefixes beside its plain twin."""

from itertools import product
from typing import Any

import pytest
import torch
from torch.func import grad, vmap
from torch.nn import functional as F
from twins import plain_block, plain_decoder

from learners import Transformer
from learners._kernels import products as kernels
from learners._kernels.hidden import hidden_layer
from learners._kernels.products import LARGEST_TABLE, gather
from learners._nets.router import routing_weights

BATCH = 40

LAYOUTS = [
    pytest.param({"layout": layout, "norm": norm, "positions": positions}, id=f"{layout}-{norm}-{positions}")
    for layout, norm, positions in product(
        ("slots", "equation"), ("pre", "post", "grokfast", "residual", "none"), ("learned", "sinusoidal")
    )
]
SHAPES = [
    {"depth": 1},
    {"depth": 3},
    {"depth": 2, "shared_blocks": True, "loops": 2},
    {"depth": 3, "router": "soft", "loops": 2},
    {"depth": 2, "router": "top", "loops": 3, "layout": "equation"},
    {"depth": 2, "router": "soft", "norm": "post"},
    {"depth": 3, "router": "top", "norm": "grokfast"},
    {"tied": False},
    {"tied_readout": True},
    {"bias": True, "activation": "gelu"},
]


def compare(config: dict[str, Any], n_codes: int, slots: int = 2, features: int = 7, whole: bool = True) -> None:
    """Scores, hidden units and all gradients of both, in float64.

    :param whole: hidden units have gradients of their own, and none is summed in float32.
    """
    transformer = Transformer(**({"width": 12, "heads": 3, "init_scale": 0.7} | config))
    transformer.check()
    network = transformer.network(slots, features, 7).double()
    generator = torch.Generator().manual_seed(0)
    network.reset(generator, 1.0)
    table = torch.randn(n_codes, features, generator=generator, dtype=torch.float64)
    index = torch.randint(n_codes, (BATCH, slots), generator=generator)
    weight = torch.randn(BATCH, 7, generator=generator, dtype=torch.float64)
    results = []
    for forward in (network, lambda table, index: plain_decoder(network, table, index)):
        scores, hidden = forward(table, index)
        loss = (scores * weight).sum() + (hidden.square().sum() if whole else 0)
        results.append((scores, hidden, *torch.autograd.grad(loss, list(network.parameters()))))
    for fast, plain in zip(*results, strict=True):
        assert torch.allclose(fast, plain, rtol=1e-9 if whole else 1e-5, atol=1e-10 if whole else 1e-6)


@pytest.mark.parametrize("config", LAYOUTS)
def test_shared_prefixes_change_nothing(config: dict[str, Any]) -> None:
    compare(config, n_codes=9)


@pytest.mark.parametrize("config", LAYOUTS[::3])
def test_nor_where_codes_are_more_than_examples(config: dict[str, Any]) -> None:
    compare(config, n_codes=60)


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_nor_in_other_shapes(config: dict[str, Any]) -> None:
    compare(config, n_codes=9)


@pytest.mark.parametrize("config", [*SHAPES, {"norm": "post", "layout": "equation"}, {"norm": "none"}], ids=str)
def test_nor_do_the_operators_of_many_replicas(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kernels.MANY, "cpu", 0)
    compare(config, n_codes=9)
    compare(config, n_codes=60)


def test_nor_does_a_hidden_layer_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learners._nets.decoder.fits", lambda x, width: True)
    for bias in (False, True):
        compare({"bias": bias, "activation": "relu"}, n_codes=9, whole=False)


def test_a_hidden_layer_beside_its_plain_twin() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 150, 20), (3, 33, 20), (3, 33), (3, 20, 33)]
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]

    def fused(x: torch.Tensor, up: torch.Tensor, bias: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        return hidden_layer(x, up, down, bias)[0].square().sum()

    def plain(x: torch.Tensor, up: torch.Tensor, bias: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        return (torch.relu(x @ up.T + bias) @ down.T).square().sum()

    gradients = [vmap(grad(layer, argnums=(0, 1, 2, 3)))(*drawn) for layer in (fused, plain)]
    for one, other in zip(*gradients, strict=True):  # the bias' is summed in float32
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-6 * float(other.abs().max()))


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_nor_with_other_numbers_of_slots(slots: int) -> None:
    compare({}, n_codes=9, slots=slots)
    compare({"layout": "equation"}, n_codes=9, slots=slots)


@pytest.mark.parametrize("n_codes", [5, LARGEST_TABLE + 1])
def test_gather_beside_indexing(n_codes: int) -> None:
    table = torch.randn(n_codes, 3, dtype=torch.float64, requires_grad=True)
    index = torch.randint(n_codes, (4, 6))
    weight = torch.randn(4, 6, 3, dtype=torch.float64)
    gradients = [torch.autograd.grad((rows * weight).sum(), table)[0] for rows in (gather(table, index), table[index])]
    assert torch.equal(gather(table, index), table[index])
    assert torch.allclose(*gradients, atol=1e-12)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_router_without_preference_takes_the_mean_of_the_blocks_updates(norm: str) -> None:
    network = Transformer(width=12, heads=3, depth=3, norm=norm, router="soft", init_scale=0.7).network(2, 7, 7)
    network.double().reset(torch.Generator().manual_seed(0), 1.0)
    torch.nn.init.zeros_(network.router.scores.weight)
    table, index = torch.randn(9, 7, dtype=torch.float64), torch.randint(9, (BATCH, 2))
    h_BTD = torch.cat([table[index] @ network.embedding.weight, network.tokens.expand(BATCH, 1, 12)], dim=1)
    h_BTD = h_BTD + network.positions
    updates = [plain_block(h_BTD, block)[0] - h_BTD for block in network.blocks]
    last = (h_BTD + (updates[0] + updates[1] + updates[2]) / 3)[:, -1]
    scores = network.readout(last if network.norm is None else network.norm(last))
    assert torch.allclose(network(table, index)[0], scores, atol=1e-12)


def test_a_router_takes_one_block_by_its_weight() -> None:
    scores = torch.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, -1.0], [0.0, 0.0, 0.0]])
    soft, top = (routing_weights(scores, top) for top in (False, True))
    assert torch.allclose(soft, torch.softmax(scores, dim=1))
    assert torch.equal(top.ne(0), torch.tensor([[0, 0, 1], [1, 0, 0], [1, 0, 0]]).bool())
    assert torch.equal(top.amax(1), soft.amax(1))


@pytest.mark.parametrize("router", ["soft", "top"])
def test_a_routed_bank_learns_addition(router: str) -> None:
    network = Transformer(2, 32, 2, router=router, loops=2).network(2, 11, 11)
    network.reset(torch.Generator().manual_seed(0), 1.0)
    index = torch.cartesian_prod(torch.arange(11), torch.arange(11))
    answers, optimizer = index.sum(1) % 11, torch.optim.Adam(network.parameters(), lr=0.005)
    for _ in range(150):
        scores = network(torch.eye(11), index)[0]
        if (scores.argmax(1) == answers).all():
            return
        optimizer.zero_grad()
        F.cross_entropy(scores, answers).backward()
        optimizer.step()
    pytest.fail("not all pairs are learned in 150 steps")
