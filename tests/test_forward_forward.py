"""Forward-forward: plain twins of what it computes, no gradient between layers, negatives that are what they say."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

import bench
from bench.errors import RequestError
from bench.specs.resolve import resolve
from learners import ForwardForward
from learners._nets.goodness import GoodnessNet, softmax, symba, threshold, winners
from learners._nets.modules import Noise

P, WIDTH = 5, 6
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "sum": {"goodness": "sum", "alpha": 0.1},
    "relu": {"activation": "relu"},
    "untied": {"tied": False},
    "threshold": {"loss": "threshold", "theta": 0.3},
    "softmax": {"loss": "softmax", "alpha": 3.0},
    "softmax-few": {"loss": "softmax", "negatives": "random", "n_negatives": 3},
    "all": {"negatives": "all", "activation": "relu"},
    "hard": {"negatives": "hard", "n_negatives": 2},
    "hard-relu": {"negatives": "hard", "n_negatives": 2, "activation": "relu", "depth": 2},
    "peer": {"norm": "peer", "peer_weight": 0.5},
    "peer-all": {"norm": "peer", "negatives": "all"},
    "peer-all-relu": {"norm": "peer", "negatives": "all", "activation": "relu"},
    "two": {"depth": 2},
    "four": {"depth": 4, "norm": "layer", "label": "every", "activation": "relu"},
    "raw": {"depth": 2, "norm": "none", "goodness": "sum", "alpha": 0.1},
    "winners": {"depth": 2, "activation": "k-wta", "k": 2},
    "reconstruction": {"goodness": "reconstruction", "activation": "relu", "alpha": 20.0},
    "reconstruction-tied": {"goodness": "reconstruction", "depth": 2, "label": "every", "negatives": "all"},
    "forum": {
        "depth": 2,
        "tied": False,
        "goodness": "reconstruction",
        "loss": "threshold",
        "activation": "k-wta",
        "k": 2,
    },
}
every_variant = pytest.mark.parametrize("name", VARIANTS)

TABLE = torch.tensor(np.random.default_rng(0).normal(size=(P, 4)))
INDEX = torch.tensor([[a, b] for a in range(P) for b in range(P)])
ANSWERS = INDEX.sum(1) % P
NOISE = Noise(torch.tensor(12345), torch.tensor(0.0))


def made(name: str) -> tuple[ForwardForward, GoodnessNet]:
    learner = ForwardForward(width=WIDTH, init_scale=0.6, **VARIANTS[name])
    learner.check()
    network = learner.network(2, TABLE.shape[1], P)
    assert isinstance(network, GoodnessNet)
    network.reset(torch.Generator().manual_seed(1), 2.0)
    return learner, network.double()


def plain_layers(learner: ForwardForward, network: GoodnessNet, pair: Tensor, label: int) -> list[tuple[Any, float]]:
    """Activity and goodness of every layer for one pair with one label, in the notation of the docstring."""
    found: list[tuple[Any, float]] = []
    x: Any = None
    for layer in network.layers:
        matrix = layer.below.weight.detach().numpy()
        if x is None:
            parts = [TABLE[z].numpy() for z in pair]
            matrices = [matrix if matrix.ndim == 2 else matrix[s] for s in range(2)]
        else:
            parts, matrices = [x], [matrix.T]
        onehot = np.eye(P)[label]
        if layer.labels is not None:
            parts, matrices = [*parts, onehot], [*matrices, layer.labels.detach().numpy()]
        u = sum(part @ m for part, m in zip(parts, matrices, strict=True))
        if learner.activation == "k-wta":
            h = np.where(np.argsort(np.argsort(-u)) < learner.k, np.maximum(u, 0), 0.0)
        else:
            h = np.maximum(u, 0) if learner.activation == "relu" else u**2
        if learner.goodness == "reconstruction":
            errors = np.concatenate([part - m @ h for part, m in zip(parts, matrices, strict=True)])
            goodness = 1 - float((errors**2).sum() / ((np.concatenate(parts) ** 2).sum() + 1e-6))
        else:
            goodness = float((h**2).mean() if learner.goodness == "mean" else (h**2).sum())
        found.append((h, goodness))
        x = h
        if learner.norm == "layer":
            x = (h - h.mean()) / math.sqrt(h.var() + 1e-6)
        elif learner.norm != "none":
            x = h / math.sqrt((h**2).mean() + 1e-6)
    return found


@every_variant
def test_scores_are_the_summed_goodness_of_every_label(name: str) -> None:
    learner, network = made(name)
    with torch.no_grad():
        scores, hidden = network(TABLE, INDEX)
    for row, pair in enumerate(INDEX):
        layers = [plain_layers(learner, network, pair, label) for label in range(P)]
        plain = [sum(goodness for _, goodness in found) for found in layers]
        assert np.allclose(scores[row], plain, rtol=1e-8)
        assert np.allclose(hidden[row], layers[int(np.argmax(plain))][-1][0])


def test_scores_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    _, network = made("four")
    whole = network(TABLE, INDEX)
    monkeypatch.setattr("learners._nets.goodness.LARGEST", 4 * P * WIDTH)
    pieces = network(TABLE, INDEX)
    # On some processors sums of another length are added in another order.
    for a, b in zip(whole, pieces, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@every_variant
def test_every_layer_has_the_loss_of_its_formula(name: str) -> None:
    learner, network = made(name)
    with torch.no_grad():
        losses = network.layer_losses(TABLE, INDEX, NOISE, ANSWERS)
        wrong = network._wrong(TABLE, INDEX, NOISE, ANSWERS)
    assert len(losses) == learner.depth
    right = [plain_layers(learner, network, pair, int(y)) for pair, y in zip(INDEX, ANSWERS, strict=True)]
    for number, loss in enumerate(losses):
        terms = []
        for row, pair in enumerate(INDEX):
            good = right[row][number][1]
            bad = np.array([plain_layers(learner, network, pair, int(c))[number][1] for c in wrong[row]])
            if learner.loss == "threshold":
                terms.append(np.log1p(np.exp(learner.scale - good)) + np.mean(np.log1p(np.exp(bad - learner.scale))))
            elif learner.loss == "symba":
                terms.append(np.mean(np.log1p(np.exp(-learner.scale * (good - bad)))))
            else:
                powers = np.exp(learner.scale * np.array([good, *bad]))
                terms.append(-np.log(powers[0] / powers.sum()))
        plain = float(np.mean(terms))
        if learner.norm == "peer":
            means = np.mean([layers[number][0] for layers in right], axis=0)
            plain += network.peer_weight * float(((means - means.mean()) ** 2).mean())
        assert float(loss) == pytest.approx(plain, rel=1e-8)


@pytest.mark.parametrize("name", [name for name, changes in VARIANTS.items() if changes.get("depth", 1) > 1])
def test_no_gradient_passes_between_layers(name: str) -> None:
    _, network = made(name)
    losses = network.layer_losses(TABLE, INDEX, NOISE, ANSWERS)
    for number, loss in enumerate(losses):
        for other, layer in enumerate(network.layers):
            gradients = torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True, allow_unused=True)
            if other == number:
                assert all(g is not None and bool((g != 0).any()) for g in gradients)
            else:
                assert all(g is None or bool((g == 0).all()) for g in gradients)


def test_losses_in_closed_form() -> None:
    equal = torch.full((3,), 0.7), torch.full((3, 4), 0.7)
    assert torch.allclose(threshold(*equal, 0.7), torch.full((3,), 2 * math.log(2)))
    assert torch.allclose(symba(*equal, 5.0), torch.full((3,), math.log(2)))
    assert torch.allclose(softmax(*equal, 5.0), torch.full((3,), math.log(5)))
    good, bad = torch.randn(8), torch.randn(8, 1)
    assert torch.allclose(softmax(good, bad, 3.0), symba(good, bad, 3.0), atol=1e-6)


def test_winners() -> None:
    x = torch.tensor([[3.0, -1.0, 2.0, 1.0], [-3.0, -1.0, -2.0, 4.0]])
    assert winners(x, 2).tolist() == [[3.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 4.0]]


def test_random_negatives_are_every_wrong_label_equally_often() -> None:
    _, network = made("default")
    wrong = torch.cat(
        [network._wrong(TABLE, INDEX, Noise(torch.tensor(k), torch.tensor(0.0)), ANSWERS) for k in range(400)], dim=1
    )
    assert wrong.shape == (len(INDEX), 1600)
    shares = torch.stack([(wrong == c).double().mean(1) for c in range(P)], dim=1)
    right = torch.arange(P) == ANSWERS.unsqueeze(1)
    assert (shares[right] == 0).all()
    assert (shares[~right] - 0.25).abs().max() < 0.06  # five deviations of 1,600 draws


def test_all_negatives_are_all_wrong_labels() -> None:
    _, network = made("all")
    wrong = network._wrong(TABLE, INDEX, None, ANSWERS)
    assert [sorted([int(y), *w.tolist()]) for y, w in zip(ANSWERS, wrong, strict=True)] == [list(range(P))] * len(INDEX)


def test_hard_negatives_are_drawn_by_their_goodness() -> None:
    _, network = made("hard")
    scores, _ = network(TABLE, INDEX)
    right = torch.arange(P) == ANSWERS.unsqueeze(1)
    expected = torch.softmax((network.sharpness * scores).masked_fill(right, -math.inf), dim=1)
    draws = 2000
    first = torch.stack(
        [network._wrong(TABLE, INDEX, Noise(torch.tensor(k), torch.tensor(0.0)), ANSWERS)[:, 0] for k in range(draws)]
    )
    shares = torch.stack([(first == c).double().mean(0) for c in range(P)], dim=1)
    assert expected.max() > 0.4  # or this would not tell it from a uniform draw
    assert (shares - expected).abs().max() < 5 * math.sqrt(0.25 / draws)
    both = network._wrong(TABLE, INDEX, NOISE, ANSWERS)
    assert (both[:, 0] != both[:, 1]).all()


def test_it_generalizes_with_decay_and_not_without() -> None:
    final = {}
    for decay in (0.5, 0.0):
        settings = {"adamw.lr": 0.05, "adamw.weight_decay": decay}
        cell = {"encoder": "onehot", "learner": "forward-forward", "modulus": 41, "train_fraction": 0.8, "seed": 1}
        [record] = bench.run(**cell, settings=settings, steps=250, results=None)
        final[decay] = record["final"]
    assert final[0.5]["train_accuracy"] > 0.99
    assert final[0.0]["train_accuracy"] > 0.7
    assert final[0.5]["test_accuracy"] > 0.4  # 55 to 66 % with three seeds, at a chance of 2 %
    assert final[0.0]["test_accuracy"] < 0.1  # at most 0.6 % with the same seeds


def test_the_forum_preset_gives_back_what_came_in() -> None:
    X, y = np.eye(4)[[0, 1, 2, 3] * 4], np.array([0, 1, 1, 0] * 4)
    learner = ForwardForward.forum(width=40, k=8, steps=1500, random_state=0).fit(X, y)
    goodness = learner.scores(X)
    assert goodness[np.arange(16), y].min() > 0.9  # silence is worth 0, and everything back 1
    assert goodness[np.arange(16), 1 - y].max() < 0.5


def test_the_grid_has_the_forum_preset() -> None:
    grid = yaml.safe_load((Path(__file__).parent.parent / "bench/grids/forward-forward.yaml").read_text())
    [[ours]] = [[one["forward-forward"] for one in part["learner"]] for part in grid["grids"][-1:]]
    preset = ForwardForward.forum().get_params()
    alike = {name: value for name, value in ours.items() if name not in ("depth", "adamw.weight_decay")}
    assert alike == {name: preset[name] for name in alike}
    decay = "optimizer__adamw__weight_decay"
    again = ForwardForward(**alike).set_params(**{decay: preset[decay]}).get_params()
    assert {**again, "optimizer": None} == {**preset, "optimizer": None}
    assert preset[decay] in ours["adamw.weight_decay"]


def test_probabilities_are_of_the_model_that_was_trained() -> None:
    X, y = np.eye(4)[[0, 1, 2, 3] * 4], np.array([0, 1, 1, 0] * 4)
    learner = ForwardForward(width=16, loss="softmax", alpha=3.0, steps=60, random_state=0).fit(X, y)
    proba = learner.predict_proba(X)[np.arange(16), y]
    assert np.allclose(-np.log(proba), learner.losses(learner.scores(X), y), atol=1e-5)
    powers = np.exp(3.0 * learner.scores(X))
    assert np.allclose(proba, powers[np.arange(16), y] / powers.sum(axis=1), atol=1e-5)


def test_a_sum_is_a_mean_with_a_larger_alpha() -> None:
    X, y = np.eye(4)[[0, 1, 2, 3] * 4], np.array([0, 1, 1, 0] * 4)
    ways: list[dict[str, Any]] = [{"goodness": "sum", "alpha": 0.25}, {"alpha": 4.0}]
    fits = [ForwardForward(width=16, steps=40, random_state=0, **way).fit(X, y) for way in ways]
    ours, theirs = (fit.model_ for fit in fits)
    assert all(np.allclose(ours[name], theirs[name], atol=1e-5) for name in ours)


def test_words_and_numbers_mean_one_setting_however_they_are_written() -> None:
    def id_of(**settings: Any) -> str:
        own = {f"learner.{name}": value for name, value in settings.items()}
        [spec] = resolve(encoder="onehot", learner="forward-forward", seeds=[0], settings=own)
        return spec.id

    assert id_of(alpha=3) == id_of(alpha=3.0)
    assert id_of(alpha=3) != id_of()
    assert id_of(depth=2, norm=None) == id_of(depth=2, norm="none")  # "none" on a command line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"theta": -1.0}, "must be a number > 0 or None, got theta=-1.0"),
        ({"theta": -1.0, "loss": "threshold"}, "'theta' parameter of ForwardForward must be a number > 0"),
        ({"theta": 0.0, "loss": "threshold"}, "'theta' parameter of ForwardForward must be a number > 0"),
        ({"theta": 1.0}, "must be None with loss='symba', got theta=1.0"),
        ({"alpha": 1.0, "loss": "threshold"}, "must be None with loss='threshold', got alpha=1.0"),
        ({"activation": "k-wta", "k": 257}, "must be in [1, width=256], got k=257"),
        ({"activation": "k-wta", "k": 0}, "must be an integer ≥ 1 or None, got k=0"),
        ({"activation": "k-wta"}, "must be given with activation='k-wta', only, got k=None"),
        ({"n_negatives": 0}, "must be an integer ≥ 1 or None, got n_negatives=0"),
        ({"n_negatives": 2, "loss": "softmax"}, "must be None with all negatives, got n_negatives=2"),
        ({"theta": 1.5, "loss": "threshold", "goodness": "reconstruction"}, "must be below 1 with goodness"),
        ({"norm": "layer"}, "must be 'length' or 'peer' with depth=1, got norm='layer'"),
        ({"label": "every"}, "must be 'input' with depth=1"),
        ({"peer_weight": 0.1}, "must be None without norm='peer'"),
        ({"tied": "maybe"}, "must be True or False, got tied='maybe'"),
        ({"depth": 0}, "must be an integer ≥ 1, got depth=0"),
        ({"loss": "squared"}, "'loss' parameter of ForwardForward must be"),
    ],
)
def test_bad_input_gets_one_line(settings: dict[str, Any], words: str) -> None:
    own = {f"learner.{name}": value for name, value in settings.items()}
    with pytest.raises(RequestError) as caught:
        bench.run(encoder="onehot", learner="forward-forward", settings=own, results=None)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
