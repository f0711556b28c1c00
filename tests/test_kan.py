"""The Kolmogorov-Arnold network beside its formulas."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from learners import KAN
from learners.kan import _Basis, splines

GRIDS = [(5, 3), (1, 3), (8, 2), (4, 1)]


def drawn(learner: KAN, slots: int, features: int, classes: int) -> Any:
    network = learner.network(slots, features, classes).double()
    network.reset(torch.Generator().manual_seed(0), 1.0)
    return network


@pytest.mark.parametrize(("grid", "order"), GRIDS)
def test_splines_beside_scipy(grid: int, order: int) -> None:
    x = np.linspace(-1, 1, 101)
    basis = splines(torch.tensor(x), grid, order).numpy()
    knots = -1 + (np.arange(grid + 2 * order + 1) - order) * 2 / grid
    assert basis.shape == (101, grid + order)
    assert np.allclose(basis.sum(1), 1, atol=1e-12)
    inside = x[:-1]  # at the last knot of the range SciPy takes the limit from below
    assert np.allclose(basis[:-1], BSpline.design_matrix(inside, knots, order).toarray(), atol=1e-12)


def test_splines_run_out_beyond_the_range() -> None:
    beyond = splines(torch.tensor([-2.21, -2.19, 2.19, 2.21], dtype=torch.float64), 5, 3)
    assert beyond[[0, 3]].eq(0).all()  # k h = 1.2
    assert beyond[[1, 2]].gt(0).any(1).all()


@pytest.mark.parametrize(("grid", "order"), GRIDS)
def test_slopes_of_splines_beside_autograd(grid: int, order: int) -> None:
    x = torch.linspace(-2.03, 2.03, 57, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(57, grid + order, dtype=torch.float64)
    slopes = [
        torch.autograd.grad((basis * weight).sum(), x)[0]
        for basis in (splines(x, grid, order), _Basis.apply(x, grid, order))
    ]
    assert torch.allclose(*slopes, atol=1e-12)


def test_splines_of_coarse_numbers_are_computed_in_fine_ones() -> None:
    x = torch.linspace(-1, 1, 33).bfloat16()
    made = _Basis.apply(x, 5, 3)
    assert made.dtype is torch.bfloat16
    assert torch.equal(made, splines(x.double(), 5, 3).float().bfloat16())


@pytest.mark.parametrize("n_codes", [5, 40])
@pytest.mark.parametrize("tied", [True, False])
def test_beside_a_function_on_every_edge(n_codes: int, tied: bool) -> None:
    """Its first layer, which is computed for each code, is the sum over all edges of each example."""
    grid, order = 4, 3
    network = drawn(KAN((6, 5), width=3, tied=tied, grid=grid, order=order), 2, 7, 4)
    table = torch.randn(n_codes, 7, dtype=torch.float64)
    index = torch.randint(n_codes, (20, 2))
    knots = -1 + (np.arange(grid + 2 * order + 1) - order) * 2 / grid
    maps = [network.embedding.weight if tied else network.embedding.weight[s] for s in range(2)]
    h = torch.cat([table[index[:, s]] @ maps[s] for s in range(2)], dim=1).detach().numpy()
    for layer in network.layers:
        base = layer.base.weight.detach().numpy()
        coefficients = layer.spline.weight.detach().numpy().reshape(*base.shape, grid + order)
        curve = BSpline(
            np.pad(knots, 9, "linear_ramp", end_values=(-9, 9)), np.zeros(len(knots) + 18 - order - 1), order
        )
        out = np.zeros((20, len(base)))
        for j, i in np.ndindex(*base.shape):
            x = h[:, i]
            curve.c[9:-9] = coefficients[j, i]
            out[:, j] += base[j, i] * x / (1 + np.exp(-x)) + curve(x)
        hidden, h = h, out
    scores, last = network(table, index)
    assert np.allclose(scores.detach().numpy(), h, atol=1e-10)
    assert np.allclose(last.detach().numpy(), hidden, atol=1e-10)
