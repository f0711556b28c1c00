"""Every part of an optimizer keeps the contract. A new one joins by existing."""

import inspect
import json
import pickle
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

import learners.optim
from bench.recipes import golden
from bench.specs.docstrings import documentation
from bench.specs.fake_trials import RandomTrial, RecordingTrial
from encoders import Codes
from learners import Problem, Quadratic, TorchMLP
from learners._fleet.training import FleetTraining
from learners._hyperparameters import defaults, with_role
from learners._torch import TorchLearner
from learners.optim import SGD, AdamW, Constraint, Context, Filter, Muon, Part, Rule, check_chain, part_name


def discovered() -> dict[str, type[Part]]:
    """The class of each public module of `learners.optim`, by the module's name."""
    found = {}
    for module in iter_modules(learners.optim.__path__):
        if not module.name.startswith("_"):
            home = import_module(f"learners.optim.{module.name}")
            [found[module.name]] = [
                cls
                for name, cls in vars(home).items()
                if isinstance(cls, type) and name.lower() == module.name.replace("_", "")
            ]
    return found


PARTS = discovered()
every_part = pytest.mark.parametrize("name", PARTS)

P = 5
GOLDEN = Path(__file__).parent / "golden"
PAIRS = np.stack(np.meshgrid(np.arange(P), np.arange(P)), axis=-1).reshape(-1, 2)
CODES, ANSWERS = Codes(np.eye(P), PAIRS), PAIRS.sum(axis=1) % P
LEARNERS: dict[str, Any] = {
    "hidden": TorchMLP(hidden_layer_sizes=(6, 8), batch_size=7),
    "quadratic": Quadratic(width=6, init_scale=0.3, tied=False),
}


def example(name: str, **changes: Any) -> Any:
    cls: Any = PARTS[name]
    return cls(**(cls.example | changes))


def chain_of(part: Part) -> list[Part]:
    """A part in a whole chain: its rule is plain descent, to which the size of a gradient matters."""
    rule = SGD(lr=0.05, momentum=0.5)
    return {"filter": [part, rule], "rule": [part], "constraint": [rule, part]}[part.kind]


def fits(part: Part, learner: str) -> bool:
    return not part.fault(LEARNERS[learner])


cases = pytest.mark.parametrize(
    ("name", "learner"),
    [(name, learner) for name in PARTS for learner in LEARNERS if fits(example(name), learner)],
)


def numbers(cls: type[Part]) -> list[str]:
    """The fields that are numbers or pairs of numbers."""
    kinds = (int, float, tuple)
    return [name for name, value in defaults(cls).items() if isinstance(value, kinds) and not isinstance(value, bool)]


def differing(part: Part, seed: int) -> Part:
    """The same structure with other numbers."""
    numbers_of_replicas = [
        name for name in with_role(type(part), "replica") if isinstance(getattr(part, name), int | float)
    ]
    changes = {}
    for name in numbers_of_replicas:
        value = getattr(part, name)
        changes[name] = value + seed if isinstance(value, int) else value * 0.9**seed
    inner = {name: differing(own, seed) for name, own in part.inner().items()}
    return clone(part).set_params(**changes, **inner)


def problem(seed: int) -> Problem:
    rows = np.sort(np.random.default_rng(seed).permutation(P * P)[: 14 + seed % 3])
    return Problem(CODES, rows, ANSWERS[rows], P)


def begin(name: str, learner: str, seeds: list[int]) -> FleetTraining:
    several = [
        clone(LEARNERS[learner]).set_params(optimizer=chain_of(differing(example(name), s)), random_state=s)
        for s in seeds
    ]
    for own in several:
        own.check()
    return FleetTraining(several, [problem(s) for s in seeds], dtype=torch.float64)


def state_of(training: FleetTraining, replica: int) -> dict[str, np.ndarray]:
    return {key: np.array(x) for key, x in training.state(replica).items()}


# The class


def test_parts_are_discovered() -> None:
    assert {"adamw", "grokfast_ema", "muon", "weight_noise"} <= PARTS.keys()
    assert {cls.kind for cls in PARTS.values()} == {"filter", "rule", "constraint"}


@every_part
def test_a_part_is_named_by_its_module_and_handed_out(name: str) -> None:
    cls = PARTS[name]
    assert getattr(learners.optim, cls.__name__) is cls
    assert part_name(example(name)) == name
    assert cls.__name__ in dir(learners.optim)


@every_part
def test_kind_and_version(name: str) -> None:
    cls, base = PARTS[name], {"filter": Filter, "rule": Rule, "constraint": Constraint}
    assert issubclass(cls, base[cls.kind])
    assert isinstance(cls.version, int)
    assert cls.version >= 1
    assert set(cls.example) <= set(defaults(cls))


@every_part
def test_documentation(name: str) -> None:
    text = documentation(PARTS[name])
    assert "Source:" in text
    assert any(sign in text for sign in ("←", " = ")), "a formula"
    for parameter in defaults(PARTS[name]):
        assert f":param {parameter}:" in text, f"{parameter} is not documented"
    for hook in ("suggest", "check", "transformation"):
        assert inspect.getdoc(getattr(PARTS[name], hook))


@every_part
def test_constructor_only_assigns(name: str) -> None:
    cls: Any = PARTS[name]
    marks = {parameter: object() for parameter in defaults(cls)}
    part = cls(**marks)
    assert all(getattr(part, parameter) is mark for parameter, mark in marks.items())
    with pytest.raises(TypeError):
        cls(*marks.values(), 1)


@every_part
def test_clone_pickle_and_parameters_round_trip(name: str) -> None:
    part = example(name)
    part.check()
    given = part.get_params(deep=False)
    for copy in (clone(part), pickle.loads(pickle.dumps(part)), type(part)(**given)):
        assert type(copy) is type(part)
        assert repr(copy.get_params()) == repr(part.get_params())
        assert copy.structure() == part.structure()
        assert copy.hyper() == part.hyper()
    other = type(part)().set_params(**given)
    assert repr(other.get_params(deep=False)) == repr(given)


@every_part
def test_a_number_out_of_range_is_refused_by_name(name: str) -> None:
    for parameter in numbers(PARTS[name]):
        usual = getattr(example(name), parameter)
        for bad in (float("nan"), -2.0, "3"):
            changed = (usual[0], bad) if isinstance(usual, tuple) else bad
            with pytest.raises(ValueError, match=f"The '{parameter}' parameter of {PARTS[name].__name__} must be"):
                example(name, **{parameter: changed}).check()


@every_part
def test_flags_and_words_are_checked(name: str) -> None:
    for field in fields(PARTS[name]):  # type: ignore[arg-type]
        if isinstance(field.default, bool | str):
            with pytest.raises(ValueError, match=f"The '{field.name}' parameter of {PARTS[name].__name__} must be"):
                example(name, **{field.name: "nonsense"}).check()


def with_draw(part: Part, drawn: Mapping[str, Any]) -> Part:
    """A part with what its search space drew; a dot leads to a part inside."""
    own = {name: value for name, value in drawn.items() if "." not in name}
    changed = clone(part).set_params(**own)
    for name, value in drawn.items():
        outer, dot, inner = name.partition(".")
        if dot:
            changed.set_params(**{outer: clone(changed.inner()[outer]).set_params(**{inner: value})})
    return changed


@every_part
def test_search_space(name: str) -> None:
    part, trial = example(name), RecordingTrial()
    middle = part.suggest(trial)
    assert all(own.partition(".")[0] in defaults(type(part)) for own in middle)
    assert bool(middle) == bool(trial.ranges)
    assert middle or not numbers(type(part)), "numbers, of which none is searched"
    for seed in range(30):
        with_draw(part, part.suggest(RandomTrial(np.random.default_rng(seed)))).check()
    for last in trial.ranges:
        with_draw(part, part.suggest(RecordingTrial(last))).check()
    assert part.get_params(deep=False) == example(name).get_params(deep=False)


# Every parameter has an effect

Change = tuple[Mapping[str, Any], Mapping[str, Any]]
"""A setting of a part, and what is changed in it."""

DECAYED: Mapping[str, Any] = {"weight_decay": 0.5}
COSINE: Mapping[str, Any] = {"schedule": "cosine", "decay_steps": 50}
DESCENT: dict[str, Change] = {
    "lr": ({}, {"lr": 0.02}),
    "weight_decay": ({}, {"weight_decay": 5.0}),
    "warmup": ({}, {"warmup": 40}),
    "schedule": ({}, COSINE),
    "decay_steps": (COSINE, {"decay_steps": 4}),
}
DECAY: dict[str, Change] = {"decay": (DECAYED, {"decay": "to-init"})}
MOMENTS: dict[str, Change] = {"betas": ({}, {"betas": (0.5, 0.6)}), "eps": ({}, {"eps": 0.1})}
EFFECTS: dict[str, dict[str, Change]] = {
    "adam": DESCENT | MOMENTS,
    "adamw": DESCENT | DECAY | MOMENTS,
    "sgd": DESCENT | DECAY | {"momentum": ({}, {"momentum": 0.1}), "nesterov": ({}, {"nesterov": True})},
    "muon": DESCENT
    | DECAY
    | {
        "lr": ({}, {"lr": 0.03}),
        "momentum": ({}, {"momentum": 0.1}),
        "rest": ({}, {"rest": SGD(lr=0.1)}),
        "freeze": ({}, {"freeze": True}),
    },
    "grokfast_ema": {"alpha": ({}, {"alpha": 0.3}), "lamb": ({}, {"lamb": 9.0})},
    "grokfast_ma": {"window": ({}, {"window": 2}), "lamb": ({}, {"lamb": 9.0})},
    "orthograd": {},
    "gradient_noise": {"sigma": ({}, {"sigma": 0.5})},
    "weight_noise": {"sigma": ({}, {"sigma": 0.5})},
    "egd": {},
    "delayed_compression": {
        "lamb": ({"delay": 2}, {"lamb": 0.5}),
        "delay": ({"delay": 2, "lamb": 0.5}, {"delay": 4}),
        "while_below": ({"delay": 2, "lamb": 0.5}, {"while_below": 0.1}),
    },
    "gradient_normalization": {"norm": ({}, {"norm": 2.0})},
    "lion": DESCENT | DECAY | {"betas": ({}, {"betas": (0.5, 0.6)})},
    "signsgd": DESCENT | DECAY | {"momentum": ({}, {"momentum": 0.1})},
    "shampoo": DESCENT | DECAY | MOMENTS | {"ridge": ({}, {"ridge": 0.1})},
    "schedule_free_adamw": {name: DESCENT[name] for name in ("lr", "weight_decay", "warmup")} | MOMENTS,
    "prodigy": {name: DESCENT[name] for name in ("lr", "weight_decay")} | MOMENTS | {"first": ({}, {"first": 0.01})},
    "row_clip": {"norm": ({}, {"norm": 0.3}), "matrices": ({}, {"matrices": "all"})},
    "norm_cap": {"factor": ({}, {"factor": 0.5}), "matrices": ({}, {"matrices": "all"})},
    "spectral_cap": {"norm": ({}, {"norm": 0.3}), "matrices": ({}, {"matrices": "all"})},
}


@cache
def trained(name: str, setting: tuple[tuple[str, Any], ...]) -> dict[str, np.ndarray]:
    """The weights after six steps of a part with a setting."""
    return weights_after(chain_of(example(name, **dict(setting))))


def weights_after(chain: list[Part]) -> dict[str, np.ndarray]:
    """The weights after six steps, operator by operator: tracing would take longer."""
    learner = clone(LEARNERS["hidden"]).set_params(optimizer=chain, random_state=0)
    learner.check()
    training = FleetTraining([learner], [problem(0)])
    [group], rng = training.groups, np.random.default_rng(0)
    tensors = dict(group.tensors)
    with torch.no_grad():
        for step in range(6):
            tensors["clock"] = {**group.clock, "step": torch.tensor([step])}
            rows = torch.as_tensor(rng.permutation(training.sizes[0])[np.newaxis, :7])
            tensors["params"], tensors["state"] = training.rule.update(tensors, rows, all_move=True)
    return {key: x.numpy() for key, x in tensors["params"].items()}


@pytest.mark.parametrize(("name", "parameter"), [(name, own) for name, changes in EFFECTS.items() for own in changes])
def test_every_parameter_changes_what_is_learned(name: str, parameter: str) -> None:
    setting, change = EFFECTS[name][parameter]
    plain, changed = (trained(name, tuple(given.items())) for given in (setting, {**setting, **change}))
    assert all(np.isfinite(x).all() for x in changed.values())
    assert any(not np.array_equal(plain[key], changed[key]) for key in plain)


@every_part
def test_no_parameter_is_left_out(name: str) -> None:
    assert EFFECTS[name].keys() == defaults(PARTS[name]).keys()


@every_part
def test_later_parameters_are_arguments_and_no_parts(name: str) -> None:
    cls = PARTS[name]
    assert cls.later_parameters <= defaults(cls).keys() - example(name).inner().keys()


@every_part
def test_a_part_changes_what_is_learned(name: str) -> None:
    plain, changed = weights_after([SGD(lr=0.05, momentum=0.5)]), trained(name, ())
    assert any(not np.array_equal(plain[key], changed[key]) for key in changed)


# The transformation


@every_part
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_updates_and_state_keep_replicas_shapes_and_types(name: str, dtype: torch.dtype) -> None:
    part, learner = example(name), LEARNERS["hidden"]
    assert isinstance(learner, TorchLearner)
    network = learner.network(2, P, P)
    rule, rng = part.transformation(network), np.random.default_rng(0)
    params, grads = (
        {key: torch.tensor(rng.normal(size=(3, *w.shape)), dtype=dtype) for key, w in network.named_parameters()}
        for _ in range(2)
    )
    hyper = {key: torch.full((3,), value, dtype=dtype) for key, value in part.hyper().items()}
    state, step = rule.init(params), torch.tensor([0, 1, 40])
    for _ in range(3):
        given = {**params, **{f"g.{k}": x for k, x in grads.items()}, **{f"s.{k}": x for k, x in state.items()}}
        before = {key: x.clone() for key, x in given.items()}
        context = Context(params, hyper, step, torch.arange(3))
        seen = params if rule.seen is None else rule.seen(params, state, context)
        updates, after = rule.update(grads, state, context)
        assert all(torch.equal(x, before[key]) for key, x in given.items()), "an update is pure"
        for made, like in ((updates, grads), (seen, params)):
            assert list(made) == list(like)
            assert all((made[key].shape, made[key].dtype) == (x.shape, dtype) for key, x in like.items())
            assert all(torch.isfinite(x).all() for x in made.values())
        assert after.keys() == state.keys()
        for key, x in after.items():
            assert (x.shape, x.dtype) == (state[key].shape, state[key].dtype), key
            assert x.shape[0] == 3, key
            assert x.dtype in (dtype, torch.int64), key
        state, step = after, step + 1
        params = {key: x + updates[key] if part.kind != "filter" else x for key, x in params.items()}


@every_part
def test_gradients_of_zero_give_finite_updates(name: str) -> None:
    part, network = example(name), LEARNERS["hidden"].network(2, P, P)
    zeros = {key: torch.zeros(2, *w.shape) for key, w in network.named_parameters()}
    rule, hyper = part.transformation(network), {key: torch.full((2,), x) for key, x in part.hyper().items()}
    state = rule.init(zeros)
    for t in range(3):
        context = Context(zeros, hyper, torch.full((2,), t), torch.arange(2))
        updates, state = rule.update(zeros, state, context)
        assert all(torch.isfinite(x).all() for x in (*updates.values(), *state.values()))


# In a fleet


WAITING = ("_local_scalar_dense", "nonzero", "linalg_qr", "linalg_eig", "linalg_svd", "linalg_inv", "linalg_solve")
"""In names of operators for whose results a GPU's host waits, or that a captured graph cannot hold."""


@every_part
def test_three_replicas_of_a_fleet_are_each_alone(name: str) -> None:
    """Each as by itself, one of them while the others go on without it, and from a state as without a break.

    In one test, since tracing programs is what takes the time.
    """
    together = begin(name, "hidden", [0, 1, 2])
    together.advance(3, range(3))
    operators = {str(node.target) for node in together.groups[0].program.traced.graph.nodes}
    assert any("mul" in operator for operator in operators)
    assert [operator for operator in operators if any(word in operator for word in WAITING)] == []
    waiting = state_of(together, 1)
    together.advance(6, [0, 2])
    assert all(np.array_equal(x, state_of(together, 1)[key]) for key, x in waiting.items())
    together.advance(12, range(3))
    straight, resumed = (begin(name, "hidden", [0, 1, 2]) for _ in range(2))
    straight.advance(6, range(3))
    for r in range(3):
        resumed.restore(r, state_of(straight, r))
    for training in (straight, resumed):
        training.advance(12, range(3))
    for r in range(3):
        assert all(np.array_equal(x, state_of(resumed, r)[key]) for key, x in state_of(straight, r).items())
        alone = begin(name, "hidden", [r])
        alone.advance(12, [0])
        for key, x in state_of(alone, 0).items():
            assert np.allclose(x, state_of(together, r)[key], rtol=1e-10, atol=1e-10), key


@cases
def test_thirty_steps_diverge_nowhere(name: str, learner: str) -> None:
    own = clone(LEARNERS[learner])
    rule: list[Part] = [] if PARTS[name].kind == "rule" else [AdamW()]
    part = example(name)
    own.set_params(optimizer=[part, *rule] if part.kind == "filter" else [*rule, part], random_state=0)
    check_chain(own.parts, own)
    training = FleetTraining([own] * 2, [problem(0), problem(1)])
    training.advance(30, [0, 1])
    look = training.look([0, 1], [np.arange(P * P)] * 2)
    assert not look.diverged.any()
    assert (look.vitals["weight_norm"] < 100).all()


@every_part
def test_a_part_that_cannot_act_says_so(name: str) -> None:
    """What has no effect on any learner of this list is refused by a sentence that names the part and the learner."""
    reached = [learner for learner in LEARNERS if fits(example(name), learner)]
    assert "hidden" in reached
    for learner in LEARNERS.keys() - set(reached):
        said = example(name).fault(LEARNERS[learner])
        assert name.replace("_", "-") in said
        assert type(LEARNERS[learner]).__name__ in said
        assert said.endswith(".")


def test_a_part_inside_another_is_checked_and_copied() -> None:
    outer = Muon(rest=SGD(lr=0.5))
    inner = clone(outer).rest
    assert isinstance(inner, SGD)
    assert inner is not outer.rest
    assert inner.lr == 0.5
    with pytest.raises(ValueError, match="'momentum' parameter of SGD"):
        Muon(rest=SGD(momentum=1.0)).check()
    assert outer.structure() != Muon(rest=AdamW()).structure()
    assert outer.structure() == Muon(rest=SGD(lr=0.7)).structure()


def test_everything_discovered_is_covered() -> None:
    """By every test of this suite that runs over parts, and by the table of effects."""
    modules = {m.name for m in iter_modules(learners.optim.__path__) if not m.name.startswith("_")}
    assert PARTS.keys() == modules == EFFECTS.keys()
    suite = [test for own, test in globals().items() if own.startswith("test_") and hasattr(test, "pytestmark")]
    covering = 0
    for test in suite:
        for mark in test.pytestmark:
            names, values = mark.args[:2]
            first = names if isinstance(names, str) else names[0]
            if (
                mark.name == "parametrize"
                and first == "name"
                and test.__name__ != "test_every_parameter_changes_what_is_learned"
            ):
                assert {value if isinstance(value, str) else value[0] for value in values} == modules, test.__name__
                covering += 1
    assert covering >= 13


@every_part
def test_golden(name: str) -> None:
    path = golden.path("optimizer", name.replace("_", "-"), GOLDEN)
    assert path.exists(), "a new plugin: `make golden` keeps its first trajectory"
    stored, now = json.loads(path.read_text()), golden.trajectory("optimizer", name)
    assert stored["version"] == now["version"], "a new version: `make golden` keeps its trajectory"
    assert np.allclose(stored["numbers"], now["numbers"], atol=2e-3), "results changed: raise `version`, `make golden`"
