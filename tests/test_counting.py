"""Operations of a step, against the learners' formulas counted by hand."""

from typing import Any

import numpy as np
import pytest
import torch

from bench.specs.cell import Cell, prepare
from bench.specs.resolve import resolve
from encoders import Codes
from learners import MLP, Problem, Ridge
from learners._base import Setting
from learners._fleet.counting import Operations, operations_of_step
from learners._kernels.noise import uniform

ADAM = 16
"""Of each weight: two running means of 3 and 4, a quotient of 4, decay of 2, step of 3."""


def made(
    learner: str, encoder: str = "onehot", precision: str = "float32", optimizer: str | None = None, **settings: Any
) -> Cell:
    named = {f"learner.{name}": value for name, value in settings.items()}
    [spec] = resolve(encoder=encoder, learner=learner, optimizer=optimizer, precision=precision, settings=named)
    return prepare(spec)


def counted(cell: Cell) -> float:
    """Operations of one update."""
    training = type(cell.learner).begin([cell.learner], [cell.problem])
    granule = cell.learner.granularity(cell.n_train)
    found = training.flops(0, granule)
    assert found is not None
    return found / granule


def test_uniform_numbers_by_hand() -> None:
    """Two hashes of 10, the first with a sum and its mask; between them one exclusive or; shift, sum and product."""
    with Operations() as counter:
        uniform(torch.arange(3), (3, 50), 1)
    assert counter.total == 50 * 12 + 150 * (1 + 10) + 150 * 3


def test_quadratic_by_hand() -> None:
    """f = W (E z(a) + E z(b))² of all 2,376 pairs, one half of the sum of squared errors, AdamW."""
    n, d, c, slots = 2376, 256, 97, 2
    products = 3 * 2 * n * d * c  # scores, the gradient of W, the gradient of the hidden units
    look_ups = 2 * n * slots * d  # rows of E, and their gradients into it
    hidden = n * slots * d + 4 * n * d  # sum over slots, square, and its gradient 2 h g
    errors = 8 * n * c  # one-hot answers, differences, squares, their sum, and the gradient
    weights = ADAM * (97 * d + c * d)
    found = counted(made("quadratic"))
    assert found == pytest.approx(products + look_ups + hidden + errors + weights, rel=0.005)
    assert found - products == pytest.approx(look_ups + hidden + errors + weights, rel=0.1)


def test_forward_forward_by_hand() -> None:
    """One layer h = (E z(a) + E z(b) + V c)², mean of h², of the right and four wrong labels: no product at all."""
    b, m, d, slots = 512, 5, 256, 2
    look_ups = 2 * b * d * (slots + m)  # rows of E and V, and their gradients
    there = b * slots * d + 4 * b * m * d  # sum of slots; adding, squaring, squaring and averaging for each label
    back = 7 * b * m * d  # 1/D, 2 h g, 2 x g with their powers, the sum over labels
    weights = ADAM * 2 * 97 * d
    contrast = 30 * b * m  # drawing negatives, softplus, and its gradient
    assert counted(made("forward-forward")) == pytest.approx(look_ups + there + back + weights + contrast, rel=0.05)


def test_one_net_of_two_libraries_takes_the_same() -> None:
    """scikit-learn's, by formula, and PyTorch's, by counting."""
    by_formula = counted(made("mlp", hidden_layer_sizes=(300, 200), head="classifier", batch_size=512))
    by_counting = counted(made("torch-mlp", hidden_layer_sizes=(300, 200), optimizer="adam", batch_size=512))
    assert by_formula == pytest.approx(by_counting, rel=0.1)  # its last batch of an epoch is smaller


def test_scikit_learns_net_by_hand() -> None:
    rows, classes = np.eye(6, 3, dtype=np.float32), np.array([0, 1, 2, 3, 0, 1])
    problem = Problem(Codes(rows, np.arange(6)[:, np.newaxis]), np.arange(6), classes, 4)
    learner = MLP((5,), batch_size=4)
    training = MLP.begin([learner], [problem])
    products = 6 * (2 * 2 * 3 * 5 + 3 * 2 * 5 * 4)  # no gradient is asked of the inputs
    assert training.flops(0, 4) == 2 * (products + 6 * 5 * (5 + 4) + 2 * (17 * (15 + 20) + 12 * (5 + 4)))


@pytest.mark.parametrize(("n", "features", "side"), [(100, 7, 7), (5, 40, 5)])
def test_ridge_solves_the_smaller_system(n: int, features: int, side: int) -> None:
    c = 3
    gram, factor, solves, centre = 2 * n * features * side, side**3 // 3, 2 * side**2 * c, 2 * n * (features + c)
    expected = gram + factor + solves + centre + 2 * n * features * c + 2 * features * c
    assert Ridge().operations(n, features, c) == expected


def test_onehot_tables_count_as_look_ups() -> None:
    """Of a table of 97 codes that is none, the product counts: 2 · 97 · F · D forward and for the gradient."""
    onehot, dense = counted(made("quadratic")), counted(made("quadratic", encoder="random"))
    d, features = 256, 128
    more = 2 * 2 * 97 * features * d + ADAM * (features - 97) * d
    assert dense - onehot == pytest.approx(more, rel=0.02)


@pytest.mark.parametrize("learner", ["quadratic", "forward-forward", "transformer", "torch-mlp"])
def test_counts_depend_on_the_learner_alone(learner: str) -> None:
    small: dict[str, Any] = {"hidden_layer_sizes": (32,)} if learner == "torch-mlp" else {"width": 32}
    cell = made(learner, **small)
    alone = counted(cell)
    coarsest = cell.learner.precisions[-1]
    rounded = made(learner, precision=coarsest, **small)
    many = type(cell.learner).begin([cell.learner] * 3, [cell.problem] * 3, Setting(precision=coarsest))
    many.advance(1, range(3))
    assert {many.flops(r, 1) for r in range(3)} == {alone} == {counted(rounded)}


def test_elementwise_operators_count_what_comes_out_and_sums_what_goes_in() -> None:
    x, y = torch.ones(4, 5), torch.ones(5, 6)

    def cost(work: Any) -> int:
        with Operations() as counter:
            work()
        return counter.total

    assert cost(lambda: x @ y) == 2 * 4 * 5 * 6
    assert cost(lambda: torch.relu(x)) == 20
    assert cost(lambda: x.sum(1)) == 20
    assert cost(lambda: x[torch.tensor([0, 0, 3])]) == 15
    assert cost(lambda: x.mT.reshape(-1).clone()) == 0
    assert cost(lambda: torch.addmm(torch.ones(6), x, y)) == 2 * 4 * 5 * 6 + 24


@pytest.mark.parametrize(
    "learner",
    ["kan", "knn", "mlp", "ridge", "rfm", "linear-floor", "quadratic", "torch-mlp", "transformer", "forward-forward"],
)
def test_every_learner_of_ours_is_counted(learner: str) -> None:
    cell = made(learner)
    assert type(cell.learner).begin([cell.learner], [cell.problem]).flops(0, 60) > 0  # type: ignore[operator]


def test_counting_leaves_no_trace_in_the_learner() -> None:
    cell = made("quadratic", width=16)
    before = cell.learner.get_params()
    first = operations_of_step(cell.learner, cell.problem)  # type: ignore[arg-type]
    assert operations_of_step(cell.learner, cell.problem) == first  # type: ignore[arg-type]
    assert cell.learner.get_params() == before
