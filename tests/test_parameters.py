"""No parameter is idle: each changes the result in some setting, and is refused where it cannot."""

from functools import cache
from typing import Any, Final

import numpy as np
import pytest

from bench.specs import registry
from bench.specs.parameters import defaults_of
from encoders import Codes
from learners import Problem
from learners._torch import TorchLearner
from learners.optim import AdamW, Muon

Setting = dict[str, Any]
Change = tuple[Setting, Setting]
"""A setting, and what is changed in it."""

SAME_CODE: Final = {"sparse_output"}
"""Only how codes are stored."""

ENCODERS: dict[str, dict[str, Change]] = {
    "binary": {"base": ({}, {"base": 4}), "gray": ({}, {"gray": True}), "n_digits": ({}, {"n_digits": 7})},
    "cycle": {
        "n": ({}, {"n": 50}),
        "period": ({}, {"period": 3.0}),
        "wave": ({}, {"wave": "square"}),
        "random_state": ({}, {"random_state": 1}),
    },
    "fourier": {
        "modulus": ({}, {"modulus": 11}),
        "harmonics": ({}, {"harmonics": (1, 5)}),
        "smoothness": ({}, {"smoothness": 1.0}),
    },
    "onehot": {"n_values": ({}, {"n_values": 20})},
    "phasor": {
        "n": ({}, {"n": 13}),
        "modulus": ({}, {"modulus": 11}),
        "highest": ({}, {"highest": 2}),
        "random_state": ({}, {"random_state": 1}),
    },
    "random": {
        "n": ({}, {"n": 25}),
        "distribution": ({}, {"distribution": "bipolar"}),
        "random_state": ({}, {"random_state": 1}),
        "active_bits": ({"distribution": "k-of-n"}, {"active_bits": 3}),
    },
    "rdse": {
        "size": ({}, {"size": 301}),
        "active_bits": ({}, {"active_bits": 13}),
        "resolution": ({}, {"resolution": 2.0}),
        "random_state": ({}, {"random_state": 1}),
    },
    "residue": {"moduli": ({}, {"moduli": (3, 4, 7)})},
    "scalar": {
        "size": ({"resolution": None}, {"size": 60}),
        "radius": ({"resolution": None}, {"radius": 4.0}),
        "resolution": ({}, {"resolution": 0.25}),
        "active_bits": ({}, {"active_bits": 6}),
        "sparsity": ({"resolution": None, "size": 60, "active_bits": None}, {"sparsity": 0.3}),
        "minimum": ({}, {"minimum": -3.0}),
        "maximum": ({}, {"maximum": 15.0}),
        "periodic": ({"minimum": 0.0, "maximum": 12.0}, {"periodic": True}),
    },
    "thermometer": {
        "size": ({}, {"size": 13}),
        "minimum": ({}, {"minimum": 2}),
        "maximum": ({}, {"maximum": 15}),
        "resolution": ({"size": None}, {"resolution": 2.0}),
    },
}

TORCH: dict[str, Change] = {
    "loss": ({}, {"loss": "stablemax"}),
    "batch_size": ({}, {"batch_size": 5}),
    "random_state": ({}, {"random_state": 1}),
    "last_batch": ({"batch_size": 5}, {"last_batch": "short"}),
}
DEEP = {"depth": 2}
LEARNERS: dict[str, dict[str, Change]] = {
    "knn": {"n_neighbors": ({}, {"n_neighbors": 3})},
    "ridge": {"alpha": ({}, {"alpha": 9.0})},
    "linear-floor": {"shared": ({}, {"shared": "none"}), "field": ({}, {"field": 7})},
    "rfm": {
        "kernel": ({}, {"kernel": "gaussian"}),
        "ridge": ({}, {"ridge": 9.0}),
        "bandwidth": ({"kernel": "gaussian"}, {"bandwidth": 50.0}),
        "power": ({}, {"power": 1.0}),
    },
    "mlp": {
        "hidden_layer_sizes": ({}, {"hidden_layer_sizes": (31,)}),
        "head": ({}, {"head": "classifier"}),
        "activation": ({}, {"activation": "tanh"}),
        "alpha": ({}, {"alpha": 9.0}),
        "learning_rate_init": ({}, {"learning_rate_init": 0.02}),
        "batch_size": ({}, {"batch_size": 5}),
        "random_state": ({}, {"random_state": 1}),
    },
    "kan": TORCH
    | {
        "hidden_layer_sizes": ({}, {"hidden_layer_sizes": (31,)}),
        "width": ({}, {"width": 31}),
        "tied": ({}, {"tied": False}),
        "grid": ({}, {"grid": 4}),
        "order": ({}, {"order": 2}),
        "init_scale": ({}, {"init_scale": 0.1}),
    },
    "quadratic": TORCH
    | {"width": ({}, {"width": 31}), "tied": ({}, {"tied": False}), "init_scale": ({}, {"init_scale": 0.5})},
    "torch-mlp": TORCH
    | {
        "hidden_layer_sizes": ({}, {"hidden_layer_sizes": (31, 8)}),
        "activation": ({}, {"activation": "tanh"}),
        "init": ({}, {"init": "glorot"}),
        "lora_rank": ({}, {"lora_rank": 2}),
        "lora_scale": ({"lora_rank": 2}, {"lora_scale": 9.0}),
        "dropout": ({}, {"dropout": 0.5}),
        "embedding": ({}, {"embedding": 6}),
    },
    "transformer": TORCH
    | {
        "depth": ({}, DEEP),
        "width": ({}, {"width": 8}),
        "heads": ({}, {"heads": 1}),
        "mlp_ratio": ({}, {"mlp_ratio": 2.0}),
        "activation": ({}, {"activation": "gelu"}),
        "norm": ({}, {"norm": "post"}),
        "bias": ({}, {"bias": True}),
        "positions": ({}, {"positions": "sinusoidal"}),
        "layout": ({}, {"layout": "equation"}),
        "tied": ({}, {"tied": False}),
        "tied_readout": ({}, {"tied_readout": True}),
        "shared_blocks": (DEEP, {"shared_blocks": True}),
        "loops": (DEEP | {"shared_blocks": True}, {"loops": 2}),
        "router": (DEEP, {"router": "soft"}),
        "dropout": ({}, {"dropout": 0.5}),
        "init_scale": ({}, {"init_scale": 0.5}),
        "init_gain": ({}, {"init_gain": 2.0}),
    },
    "forward-forward": TORCH
    | {
        "loss": ({}, {"loss": "softmax"}),
        "depth": ({}, DEEP),
        "width": ({}, {"width": 31}),
        "tied": ({}, {"tied": False}),
        "label": (DEEP, {"label": "every"}),
        "goodness": ({}, {"goodness": "sum"}),
        "theta": ({"loss": "threshold"}, {"theta": 0.3}),
        "alpha": ({}, {"alpha": 30.0}),
        "negatives": ({}, {"negatives": "hard"}),
        "n_negatives": ({}, {"n_negatives": 2}),
        "norm": (DEEP, {"norm": "layer"}),
        "peer_weight": ({"norm": "peer"}, {"peer_weight": 30.0}),
        "activation": ({}, {"activation": "relu"}),
        "k": ({"activation": "k-wta", "k": 9}, {"k": 3}),
        "init_scale": ({}, {"init_scale": 0.5}),
    },
}
PAIRS = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2)
PROBLEM = Problem(Codes(np.eye(5), PAIRS), np.arange(0, 25, 2), PAIRS.sum(axis=1)[::2] % 5, 5)


def cases(changes: dict[str, dict[str, Change]]) -> list[Any]:
    named = [(name, parameter) for name, own in changes.items() for parameter in own]
    return [pytest.param(*case, id="-".join(case)) for case in named]


def scores(name: str, setting: Setting) -> np.ndarray:
    cls: Any = registry.learner(name)
    learner = cls(**cls.example).set_params(**setting)
    learner.check()
    learner.check_codes(PROBLEM.codes, PROBLEM.n_classes)
    training = cls.begin([learner], [PROBLEM])
    training.advance(6 * learner.granularity(len(PROBLEM.train)), [0])
    return np.asarray(training.look([0], [np.arange(25)]).scores[0])


@cache
def plainly(name: str, setting: tuple[tuple[str, Any], ...]) -> np.ndarray:
    """Scores of a setting that several tests compare with."""
    return scores(name, dict(setting))


@pytest.mark.parametrize(("name", "parameter"), cases(LEARNERS))
def test_every_parameter_of_a_learner_changes_what_it_learns(name: str, parameter: str) -> None:
    setting, change = LEARNERS[name][parameter]
    plain, changed = plainly(name, tuple(setting.items())), scores(name, setting | change)
    assert np.isfinite(changed).all()
    assert not np.array_equal(plain, changed)


@pytest.mark.parametrize(("name", "parameter"), cases(ENCODERS))
def test_every_parameter_of_an_encoder_changes_its_codes(name: str, parameter: str) -> None:
    cls: Any = registry.encoder(name)
    setting, change = ENCODERS[name][parameter]
    values = np.arange(12.0)[:, np.newaxis]
    plain, changed = (
        cls(**cls.example).set_params(**given).fit_transform(values) for given in (setting, setting | change)
    )
    assert not np.array_equal(plain, changed)


def test_nothing_is_left_out() -> None:
    for kind, changes in (("encoder", ENCODERS), ("learner", LEARNERS)):
        for name, listing in registry.listings(kind).items():  # type: ignore[arg-type]
            if not listing.target.startswith(("encoders", "learners")):
                continue
            cls: Any = getattr(registry, kind)(name)
            fit = {*getattr(cls, "fit_parameters", ()), getattr(cls, "budget_parameter", None)}
            assert set(changes[name]) == set(defaults_of(cls)) - SAME_CODE - fit, name


WITHOUT_EFFECT: list[tuple[str, Setting, str]] = [
    ("quadratic", {"optimizer": AdamW(weight_decay=0.0, decay="to-init")}, "'decay' .* without weight_decay"),
    ("quadratic", {"batch_size": 0, "last_batch": "short"}, "'last_batch' .* full batch"),
    ("torch-mlp", {"lora_scale": 2.0}, "'lora_scale' .* without lora_rank"),
    ("transformer", {"depth": 1, "shared_blocks": True}, "'shared_blocks' .* single block"),
    ("transformer", {"depth": 1, "router": "soft"}, "'router' .* single block"),
]


@pytest.mark.parametrize(("name", "setting", "rule"), WITHOUT_EFFECT)
def test_what_can_have_no_effect_is_refused(name: str, setting: Setting, rule: str) -> None:
    cls: Any = registry.learner(name)
    with pytest.raises(ValueError, match=rule):
        cls(**setting).check()


MATRICES: list[tuple[str, Setting]] = [
    ("quadratic", {}),
    ("torch-mlp", {"hidden_layer_sizes": (8,)}),
    ("torch-mlp", {"hidden_layer_sizes": (8, 8)}),
    ("torch-mlp", {"hidden_layer_sizes": (8,), "lora_rank": 2}),
    ("transformer", {"depth": 1, "width": 8}),
    ("kan", {"hidden_layer_sizes": (8,)}),
    ("kan", {"hidden_layer_sizes": (8, 8)}),
    ("forward-forward", {"width": 8}),
    ("forward-forward", {"width": 8, "depth": 2, "label": "every"}),
]


@pytest.mark.parametrize(("name", "setting"), MATRICES)
def test_muon_is_for_learners_with_hidden_matrices(name: str, setting: Setting) -> None:
    """Without one its lr changes nothing: runs at 0.002 and 0.01 were equal."""
    learner = registry.learner(name)(**setting)
    assert isinstance(learner, TorchLearner)
    network = learner.network(2, 5, 5)
    trained = [n for n, w in network.named_parameters() if w.requires_grad and w.ndim == 2]
    assert learner.has_hidden_matrices == bool(set(trained) - network.not_for_muon)
    learner.set_params(optimizer=Muon())
    if learner.has_hidden_matrices:
        learner.check()
        return
    with pytest.raises(ValueError, match=r"muon moves hidden matrices; \w+ as it is set has none"):
        learner.check()
