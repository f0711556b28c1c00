"""The fleet: what one replica does does not depend on who trains beside it."""

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

import bench
from bench.errors import RequestError
from bench.executors import arithmetic
from bench.harness.outcome import Outcome
from bench.harness.train import train_cells
from bench.specs.cell import prepare
from bench.specs.resolve import resolve
from bench.specs.spec import Budget
from encoders import Codes
from learners import KAN, ForwardForward, Problem, Quadratic, Setting, TorchMLP, Transformer
from learners._fleet import occupancy
from learners._fleet.feed import ABSENT, batch_rows
from learners._fleet.look import EXAMPLES_AT_ONCE, WHOLE_GROUP
from learners._fleet.program import LookProgram, StepProgram
from learners._fleet.training import FleetTraining
from learners._hyperparameters import with_role
from learners._kernels.noise import key as noise_key
from learners._nets.losses import LOSSES, stablemax
from learners._nets.modules import Noise
from learners.optim import (
    SGD,
    AdamW,
    DelayedCompression,
    GradientNoise,
    Muon,
    OrthoGrad,
    WeightNoise,
    part_name,
)

P = 7
PAIRS = np.stack(np.meshgrid(np.arange(P), np.arange(P)), axis=-1).reshape(-1, 2)
ANSWERS = PAIRS.sum(axis=1) % P

QUADRATIC = Quadratic(width=12, optimizer=AdamW(lr=0.02, weight_decay=0.5), batch_size=9)
PERCEPTRON = TorchMLP(hidden_layer_sizes=(10, 8), batch_size=9)
ATTENTIVE = Transformer(width=8, heads=2, depth=1, batch_size=9)
EVERY = {
    "quadratic": QUADRATIC,
    "quadratic-untied": Quadratic(width=12, tied=False, batch_size=9),
    "quadratic-full-batch": Quadratic(width=12, batch_size=0),
    "mlp": PERCEPTRON,
    "mlp-embedding": TorchMLP(hidden_layer_sizes=(10, 8), embedding=6, batch_size=9),
    "mlp-lora": TorchMLP(hidden_layer_sizes=(10, 8), lora_rank=2, batch_size=9),
    "mlp-dropout": TorchMLP(hidden_layer_sizes=(10, 8), dropout=0.3, batch_size=9),
    "mlp-dropout-full-batch": TorchMLP(hidden_layer_sizes=(10, 8), dropout=0.3, batch_size=0),
    "transformer-dropout-full-batch": Transformer(width=8, heads=2, depth=2, dropout=0.3, batch_size=0),
    "mlp-noise": TorchMLP(
        hidden_layer_sizes=(10,), optimizer=[WeightNoise(sigma=0.02), GradientNoise(), AdamW()], batch_size=9
    ),
    "mlp-compression": TorchMLP(
        hidden_layer_sizes=(10,),
        optimizer=[DelayedCompression(lamb=0.1, delay=0, while_below=1.9), AdamW()],
        batch_size=9,
    ),
    "mlp-stablemax": TorchMLP(
        hidden_layer_sizes=(10,), loss="stablemax", optimizer=[OrthoGrad(), AdamW()], batch_size=9
    ),
    "mlp-scikit": TorchMLP.scikit(hidden_layer_sizes=(10, 8), batch_size=9),
    "kan": KAN((6,), width=4, grid=3, batch_size=9),
    "forward-forward": ForwardForward(width=10, n_negatives=2, batch_size=9),
    "forward-forward-deep": ForwardForward(width=10, depth=3, tied=False, label="every", norm="peer", batch_size=9),
    "forward-forward-full": ForwardForward(width=10, norm="peer", depth=2, negatives="all", batch_size=0),
    "forward-forward-hard": ForwardForward(width=10, negatives="hard", n_negatives=2, loss="threshold", batch_size=9),
    "forward-forward-softmax": ForwardForward(
        width=10, depth=2, norm="layer", loss="softmax", goodness="sum", activation="quadratic", alpha=0.3, batch_size=9
    ),
    "forward-forward-forum": ForwardForward.forum(
        2, width=10, k=3, batch_size=9, optimizer=AdamW(lr=0.01, weight_decay=0.1)
    ),
    "transformer": ATTENTIVE,
    "transformer-muon": Transformer(width=8, heads=2, depth=1, optimizer=Muon(), batch_size=9),
    "transformer-muon-frozen": Transformer(width=8, heads=2, depth=1, optimizer=Muon(freeze=True), batch_size=9),
    "transformer-pre": Transformer(width=8, heads=2, depth=1, norm="pre", activation="gelu", bias=True, batch_size=9),
    "transformer-grokfast": Transformer(width=8, heads=2, norm="grokfast", positions="learned", batch_size=9),
    "transformer-short-batch": Transformer(width=8, heads=2, depth=1, batch_size=9, last_batch="short"),
    "transformer-equation": Transformer(
        width=8, heads=2, depth=1, norm="none", layout="equation", tied=False, batch_size=9
    ),
    "transformer-loops": Transformer(width=8, heads=2, depth=1, shared_blocks=True, loops=3, batch_size=9),
    "transformer-router": Transformer(width=8, heads=2, depth=2, router="top", loops=2, batch_size=9),
    "transformer-tied-readout": Transformer(width=8, heads=2, depth=1, tied_readout=True, dropout=0.1, batch_size=9),
}
every_learner = pytest.mark.parametrize("name", EVERY)


def problem(seed: int, n: int = 25, table: np.ndarray | None = None) -> Problem:
    """A training set of its own, of n or a few more rows."""
    rows = np.sort(np.random.default_rng(seed).permutation(P * P)[: n + seed % 3])
    return Problem(Codes(np.eye(P) if table is None else table, PAIRS), rows, ANSWERS[rows], P)


def configured(name: str, seed: int, **changes: Any) -> Any:
    """A learner with hyperparameters of its own."""
    learner = clone(EVERY[name]).set_params(random_state=seed, **changes)
    key, rule = rule_of(learner)
    numbers = {"lr": rule.lr * (1 + 0.1 * seed), "weight_decay": rule.weight_decay * (1 + 0.2 * seed)}
    return learner.set_params(**{f"optimizer__{key}__{parameter}": value for parameter, value in numbers.items()})


def rule_of(learner: Any) -> tuple[str, Any]:
    """The rule of a learner's optimizer, with its name in nested parameters."""
    [rule] = [part for part in learner.parts if part.kind == "rule"]
    return part_name(rule), rule


def begin(name: str, seeds: Sequence[int], setting: Setting | None = None) -> FleetTraining:
    return FleetTraining([configured(name, s) for s in seeds], [problem(s) for s in seeds], setting, torch.float64)


def weights(training: FleetTraining, replica: int) -> dict[str, np.ndarray]:
    return {k: v.copy() for k, v in training.state(replica).items() if k.startswith("w.")}


def close(a: dict[str, np.ndarray], b: dict[str, np.ndarray], tolerance: float = 1e-9) -> bool:
    return all(np.allclose(a[k], b[k], rtol=tolerance, atol=tolerance) for k in a)


def test_equal_seeds_start_alike_only_where_all_that_draws_them_is_alike() -> None:
    tables = [np.eye(P), 3 * np.eye(P)]
    drawn = [
        (scale, Problem(Codes(table, PAIRS), np.arange(9), ANSWERS[:9], P)) for scale in (0.1, 0.5) for table in tables
    ]
    drawn.append(drawn[0])
    learners = [Quadratic(width=8, init_scale=scale, random_state=3) for scale, _ in drawn]
    together = FleetTraining(learners, [own for _, own in drawn])
    starts = [weights(together, r) for r in range(len(drawn))]
    for r, (_, own) in enumerate(drawn):
        assert close(starts[r], weights(FleetTraining([learners[r]], [own]), 0))
    alike = [[close(a, b) for b in starts] for a in starts]
    assert np.array_equal(np.array(alike).sum(1), [2, 1, 1, 1, 2])


@every_learner
def test_alone_in_three_and_in_eight(name: str) -> None:
    """The same batches, the same trajectory, whatever the company."""
    three, eight = begin(name, [4, 1, 2]), begin(name, range(8))
    three.advance(12, range(3))
    eight.advance(12, range(8))
    for place, seed in enumerate([4, 1, 2]):
        alone = begin(name, [seed])
        alone.advance(12, [0])
        assert close(weights(alone, 0), weights(three, place))
        assert close(weights(alone, 0), weights(eight, seed))


@every_learner
def test_the_same_company_gives_the_same_bits(name: str) -> None:
    first, second = begin(name, range(3)), begin(name, range(3))
    for training in (first, second):
        training.advance(7, range(3))
    assert all(np.array_equal(a, b) for a, b in zip(first.state(1).values(), second.state(1).values(), strict=True))


@every_learner
def test_extension_equals_an_uninterrupted_run(name: str) -> None:
    straight, stopped, resumed = (begin(name, [3, 5]) for _ in range(3))
    straight.advance(15, [0, 1])
    stopped.advance(6, [0, 1])
    for r in (0, 1):
        resumed.restore(r, stopped.state(r))
    resumed.advance(15, [0, 1])
    for r in (0, 1):
        assert all(np.array_equal(straight.state(r)[k], resumed.state(r)[k]) for k in straight.state(r))


@every_learner
def test_fleet_evaluation_equals_plain_evaluation(name: str) -> None:
    training = begin(name, range(3))
    training.advance(4, range(3))
    rows = [np.arange(5), np.arange(P * P), np.array([7, 3])]
    for r, scores in enumerate(training.look(range(3), rows).scores):
        learner = training.learner(r)
        plain = learner.scores(training.problems[r].codes.take(rows[r]))
        assert np.allclose(scores[: len(rows[r])].numpy(), plain, atol=1e-4)
        proba = learner.predict_proba(training.problems[r].codes.take(rows[r]))
        assert np.allclose(proba.sum(axis=1), 1, atol=1e-5)
        assert (proba.argmax(axis=1) == plain.argmax(axis=1)).all()


@every_learner
def test_hyperparameters_of_one_replica_never_reach_another(name: str) -> None:
    numbers: dict[str, Any] = {
        "lr": 0.5,
        "weight_decay": 0.01,
        "betas": (0.1, 0.2),
        "eps": 1e-3,
        "warmup": 1,
        "momentum": 0.1,
    }
    key, rule = rule_of(EVERY[name])
    if not rule.weight_decay:
        del numbers["weight_decay"]  # with and without decay are two programs
    own = {f"optimizer__{key}__{parameter}": n for parameter, n in numbers.items() if hasattr(rule, parameter)}
    learners = [configured(name, s) for s in range(3)]
    other = [configured(name, 0), configured(name, 1).set_params(**own), configured(name, 2)]
    paths = [FleetTraining(group, [problem(s) for s in range(3)], dtype=torch.float64) for group in (learners, other)]
    for training in paths:
        training.advance(8, range(3))
    for r in (0, 2):
        assert all(np.array_equal(weights(paths[0], r)[k], weights(paths[1], r)[k]) for k in weights(paths[0], r))
    if name != "quadratic-full-batch":
        assert not close(weights(paths[0], 1), weights(paths[1], 1))


@every_learner
def test_one_replica_by_plain_torch(name: str) -> None:
    """The fleet's gradient is autograd's of one ordinary module, on the batch that the stream says."""
    learner = configured(name, 3)
    learner.set_params(optimizer=rule_of(learner)[1])
    if "dropout" in learner.get_params():
        learner.set_params(dropout=0.0)
    training = FleetTraining([learner], [problem(3)], dtype=torch.float64)
    group = training.groups[0]
    params = {k: v[0].clone().requires_grad_() for k, v in group.params.items()}
    frozen = {k: v[0] for k, v in group.frozen.items()}
    rows = batch_rows(training.seeds[0], training.sizes[0], training.batches[0], 0, 1)[0]
    own = training.problems[0]
    table = torch.tensor(own.codes.table_UF, dtype=torch.float64)
    index = torch.tensor(own.codes.index_NS[own.train[rows]])
    y = torch.tensor(own.y[rows])
    if training.network.local:
        noise = Noise(noise_key(torch.tensor(training.seeds[0]), torch.tensor(0), "forward"), torch.tensor(0.0))
        loss, _ = functional_call(training.network, (params, frozen), (table, index, noise, y))
    else:
        scores, _ = functional_call(training.network, (params, frozen), (table, index, None))
        loss = LOSSES[learner.loss](scores, y).mean()
    gradient = torch.autograd.grad(loss, list(params.values()))
    seen: dict[str, torch.Tensor] = {}
    rule = training.rule.transformation

    def watch(grads: Any, state: Any, context: Any) -> Any:
        seen.update({k: v[0] for k, v in grads.items()})
        return rule.update(grads, state, context)

    watched = replace(training.rule, transformation=replace(rule, update=watch))
    watched.update(group.tensors, torch.tensor(rows).unsqueeze(0), True)
    for (key, g), plain in zip(seen.items(), gradient, strict=True):
        assert torch.allclose(g, plain, atol=1e-12), key


def test_evaluation_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    training, rows = begin("transformer", range(3)), [np.arange(P * P)] * 3
    whole = training.look(range(3), rows).scores
    monkeypatch.setitem(EXAMPLES_AT_ONCE, "cpu", 30)
    pieces = training.look(range(3), rows).scores
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(whole, pieces, strict=True))


def test_tables_of_different_encoders_in_one_fleet() -> None:
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(P, 5)) for _ in range(3)]
    learners = [configured("mlp", s) for s in range(3)]
    together = FleetTraining(learners, [problem(s, table=tables[s]) for s in range(3)], dtype=torch.float64)
    together.advance(6, range(3))
    for s in range(3):
        alone = FleetTraining([configured("mlp", s)], [problem(s, table=tables[s])], dtype=torch.float64)
        alone.advance(6, [0])
        assert close(weights(alone, 0), weights(together, s))


def test_a_fleet_that_shrinks_is_in_memory_once() -> None:
    training = begin("mlp", range(16))
    rows = [np.arange(5)] * 16
    training.advance(5, range(16))
    training.look(range(16), rows)
    larger = weakref.ref(training.groups[0])
    training.advance(10, range(4))
    gc.collect()
    assert [group.ids for group in training.groups] == [[0, 1, 2, 3]]
    assert larger() is None


def test_who_is_done_leaves_and_who_stays_does_not_notice() -> None:
    whole, shrinking = begin("transformer", range(8)), begin("transformer", range(8))
    whole.advance(20, range(8))
    staying = list(range(8))
    for step in range(1, 21):
        shrinking.advance(step, staying)
        if step in (3, 6, 9, 12):
            staying = staying[: max(1, len(staying) // 2)]
    assert [len(group.ids) for group in shrinking.groups] == [1]
    assert close(weights(whole, 0), weights(shrinking, 0))
    ends = {7: 3, 3: 6, 1: 9}
    for replica, step in ends.items():
        alone = begin("transformer", [replica])
        alone.advance(step, [0])
        assert int(shrinking.state(replica)["step"]) == step
        assert close(weights(alone, 0), weights(shrinking, replica))


@pytest.mark.parametrize("name", ["transformer", "mlp"])
def test_who_is_left_of_several_groups_moves_into_as_few_as_hold_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU; here the same is asked of a CPU."""
    monkeypatch.setitem(occupancy.DIVISIONS, "cpu", (4, 3, 2))
    monkeypatch.setattr(occupancy, "FILLING", 0)
    monkeypatch.setattr(FleetTraining, "_worth_shrinking", lambda *rest: False)
    whole, divided = begin(name, range(8)), begin(name, range(8), Setting(leaving=True))
    rows = [np.arange(9 + r) for r in range(8)]
    assert [group.ids for group in divided.groups] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    turns = [(range(8), 4), ([1, 2, 3, 4, 5, 6], 3), ([1, 2, 4, 5, 6], 3), ([2, 4, 6], 2), ([6, 2], 1), ([4, 6, 2], 2)]
    for turn, (some, groups) in enumerate(turns):
        for training in (whole, divided):
            training.advance(3 * turn + 3, some)
        looks = [training.look(some, [rows[r] for r in some]) for training in (whole, divided)]
        assert len(divided.groups) == groups
        for place, r in enumerate(some):
            one, other = (look.scores[place, : len(rows[r])] for look in looks)
            assert torch.allclose(one, other, atol=1e-9)
        assert np.allclose(looks[0].vitals["weight_norm"], looks[1].vitals["weight_norm"], atol=1e-9)
    for r in range(8):
        assert int(divided.state(r)["step"]) == int(whole.state(r)["step"])
        assert close(weights(whole, r), weights(divided, r))


@pytest.fixture
def dividing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU too, and looks at whole groups, as on a GPU."""
    monkeypatch.setitem(occupancy.DIVISIONS, "cpu", (4, 3, 2))
    monkeypatch.setitem(WHOLE_GROUP, "cpu", 0.0)
    monkeypatch.setattr(occupancy, "FILLING", 0)


@pytest.mark.usefixtures("dividing")
def test_a_look_finds_who_has_moved_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(occupancy.DIVISIONS, "cpu", (2,))
    whole, divided = begin("mlp", range(6)), begin("mlp", range(6), Setting(leaving=True))
    rows = [np.arange(r, 20 + r) for r in range(6)]
    for training in (whole, divided):
        training.look(range(6), rows)
        for turn, some in enumerate(([0, 3, 4], range(6), [4, 0, 5])):
            training.advance(3 * turn + 6, some)
    looks = [training.look([5, 4], [rows[5], rows[4]]) for training in (whole, divided)]
    assert torch.allclose(looks[0].scores, looks[1].scores, atol=1e-9)


@pytest.mark.usefixtures("dividing")
def test_who_comes_back_makes_groups_of_the_same_size() -> None:
    training, whole = begin("mlp", range(16), Setting(leaving=True)), begin("mlp", range(16))
    for some, sizes in ((range(16), [4] * 4), (range(0, 16, 2), [4] * 2), (range(16), [4] * 4), ([3, 8], [4])):
        step = 3 + max(int(whole.state(r)["step"]) for r in range(16))
        for one in (training, whole):
            one.advance(step, some)
        if len(some) > 2:  # a lone group may give way to a smaller one
            assert [len(group.ids) for group in training.groups] == sizes
    assert all(close(weights(training, r), weights(whole, r)) for r in range(16))


@pytest.mark.usefixtures("dividing")
def test_programs_of_equal_groups_are_worth_more() -> None:
    training = begin("mlp", range(8), Setting(leaving=True))
    assert [training.occupancy.sharers(group) for group in training.groups] == [4] * 4
    training.advance(2, range(8))
    assert training.occupancy.sharers(training.groups[0].select([0])) == 1
    assert training.compiler.repeats == 1


@pytest.mark.parametrize(("replicas", "leaving", "groups"), [(8, True, 4), (6, True, 3), (7, True, 1), (8, False, 1)])
def test_a_fleet_is_divided_where_replicas_leave_and_equal_parts_are_large_enough(
    replicas: int, leaving: bool, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(occupancy.DIVISIONS, "cpu", (4, 3, 2))
    weights = begin("mlp", [0]).parameters(0)
    for filling, expected in ((2 * weights, groups), (2 * weights + 1, {4: 2, 3: 2, 1: 1}[groups]), (10**9, 1)):
        monkeypatch.setattr(occupancy, "FILLING", filling)
        assert len(begin("mlp", range(replicas), Setting(leaving=leaving)).groups) == expected


def test_a_diverged_replica_hurts_no_neighbour() -> None:
    healthy, mixed = begin("mlp", range(3)), begin("mlp", range(3))
    mixed.groups[0].params["readout.weight"][1] = float("nan")
    for training in (healthy, mixed):
        training.advance(5, range(3))
    assert mixed.look(range(3), [np.arange(5)] * 3).diverged.tolist() == [False, True, False]
    for r in (0, 2):
        assert close(weights(healthy, r), weights(mixed, r), 0.0)


def test_a_learner_stays_what_it_was() -> None:
    training = begin("mlp", range(2))
    learner = training.learner(0)
    known = {name: x.copy() for name, x in learner.model_.items()}
    for x in training.groups[0].params.values():
        x.add_(1)  # as a compiled step does, where they lie
    assert all(np.array_equal(learner.model_[name], x) for name, x in known.items())


def test_running_out_of_memory_halves_the_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    original, sizes = StepProgram._step, []

    def small(self: StepProgram) -> None:
        sizes.append(len(self.group.ids))
        if len(self.group.ids) > 2 and (len(self.group.ids) == 8 or self.group.steps.max() == 4):
            raise torch.OutOfMemoryError("no more")
        original(self)

    whole = begin("mlp", range(8))
    whole.advance(9, range(8))
    monkeypatch.setattr(StepProgram, "_step", small)
    halved = begin("mlp", range(8))
    halved.advance(9, range(8))
    assert sorted(len(group.ids) for group in halved.groups) == [2, 2, 2, 2]
    assert {8, 4, 2} <= set(sizes)
    for r in range(8):
        assert close(weights(whole, r), weights(halved, r))


def test_running_out_of_memory_alone_loses_no_finished_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = resolve(encoder="onehot", learner="torch-mlp", modulus=7, seeds=range(3))
    kept: dict[int, Outcome] = {}
    original = StepProgram._step

    def failing(self: StepProgram) -> None:
        if int(self.group.steps.max()) >= 10:
            raise torch.OutOfMemoryError("no more")
        original(self)

    monkeypatch.setattr(StepProgram, "_step", failing)
    budgets = [Budget(5), Budget(10), Budget(50)]
    with pytest.raises(torch.OutOfMemoryError):
        train_cells([prepare(s) for s in specs], budgets, kept.update)
    assert {r: o.record["status"] for r, o in kept.items()} == {0: "done", 1: "done"}


def test_batches_are_a_stream_of_permutations() -> None:
    n, batch = 10, 4
    stream = batch_rows(7, n, batch, 0, 25).ravel()
    assert all(sorted(stream[i : i + n]) == list(range(n)) for i in range(0, 100, n))
    assert np.array_equal(batch_rows(7, n, batch, 11, 5), stream.reshape(25, 4)[11:16])
    assert not np.array_equal(batch_rows(8, n, batch, 0, 25).ravel(), stream)
    assert np.array_equal(batch_rows(7, n, 99, 3, 2), [np.arange(n)] * 2)


def test_short_batches_end_epochs() -> None:
    epochs = batch_rows(7, 10, 4, 0, 6, short=True).reshape(2, 12)
    assert all(sorted(epoch[:10]) == list(range(10)) and list(epoch[10:]) == [ABSENT] * 2 for epoch in epochs)
    assert np.array_equal(epochs[:, :10].ravel(), batch_rows(7, 10, 4, 0, 5).ravel()), "the same permutations"
    assert np.array_equal(batch_rows(7, 10, 4, 2, 3, short=True).ravel(), epochs.ravel()[8:20])
    assert np.array_equal(batch_rows(7, 8, 4, 0, 4, short=True), batch_rows(7, 8, 4, 0, 4)), "nothing is left"
    assert np.array_equal(batch_rows(7, 10, 99, 3, 2, short=True), [np.arange(10)] * 2)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_a_short_batch_is_the_mean_over_its_rows(weighted: bool) -> None:
    """Beside plain descent on the rows that are left, in a fleet whose replicas have different numbers left."""
    learner = TorchMLP((6,), optimizer=SGD(lr=0.1, momentum=0.0, warmup=0), batch_size=20, last_batch="short")
    learners = [clone(learner).set_params(random_state=r) for r in range(2)]
    problems = [problem(0, n=29), problem(1, n=24)]
    if weighted:
        problems = [replace(p, weight=np.linspace(0.5, 1.5, len(p.train))) for p in problems]
    training = FleetTraining(learners, problems, dtype=torch.float64)
    training.advance(1, range(2))
    before = weights(training, 0)
    training.advance(2, range(2))
    [rows] = batch_rows(training.seeds[0], 29, 20, 1, 1, short=True)
    rows, own = rows[rows != ABSENT], problems[0]
    assert len(rows) == 9
    params = {name.removeprefix("w."): torch.tensor(w, requires_grad=True) for name, w in before.items()}
    codes = torch.tensor(own.codes.table_UF, dtype=torch.float64), torch.tensor(own.codes.index_NS[own.train[rows]])
    scores, _ = functional_call(training.network, params, (*codes, None))
    losses = F.cross_entropy(scores, torch.tensor(own.y[rows]), reduction="none")
    if own.weight is not None:
        losses = losses * torch.tensor(own.weight[rows] / own.weight.mean())
    losses.mean().backward()
    for name, w in weights(training, 0).items():
        assert np.allclose(w, before[name] - 0.1 * params[name.removeprefix("w.")].grad.numpy(), atol=1e-12), name


def test_stablemax_beside_its_formula() -> None:
    x = torch.tensor([[2.0, -1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    s = np.array([3.0, 0.5, 1.0])
    assert stablemax(x, torch.tensor([1])).item() == pytest.approx(-np.log(0.5 / s.sum()))
    assert torch.autograd.gradcheck(lambda z: stablemax(z, torch.tensor([1])), (x + 0.1,))
    big = torch.tensor([[1.0, 1e30, -1e30]], requires_grad=True)
    stablemax(big, torch.tensor([0])).sum().backward()
    assert torch.isfinite(big.grad).all()


def test_embeddings_start_equal_whatever_the_scale_of_the_codes() -> None:
    def spread(table: np.ndarray) -> float:
        codes = Codes(table, np.arange(len(table))[:, np.newaxis])
        training = FleetTraining(
            [Transformer(width=512, init_scale=1.0, random_state=0)], [Problem(codes, np.arange(5), np.arange(5), 5)]
        )
        return float((torch.tensor(codes.table_UF) @ training.groups[0].params["embedding.weight"][0]).std())

    for table in (np.eye(97), 10 * np.eye(97), np.random.default_rng(0).normal(size=(97, 300))):
        assert spread(table) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", ["quadratic", "transformer", "forward-forward"])
def test_starts_of_their_own_do_not_part_a_fleet(name: str) -> None:
    """Of each kind of learner that has hyperparameters of its start."""
    starts = with_role(type(EVERY[name]), "start")
    assert starts
    learners = [configured(name, seed, **dict.fromkeys(starts, scale)) for seed, scale in enumerate((0.02, 0.3))]
    fleet = FleetTraining(learners, [problem(seed) for seed in range(2)], dtype=torch.float64)
    fleet.advance(4, range(2))
    for seed, learner in enumerate(learners):
        lone = FleetTraining([learner], [problem(seed)], dtype=torch.float64)
        lone.advance(4, [0])
        assert close(weights(fleet, seed), weights(lone, 0))


def test_structures_do_not_mix() -> None:
    learners = [configured("mlp", 0), configured("mlp", 1).set_params(activation="gelu")]
    with pytest.raises(ValueError, match="must be of one structure, got 2 different ones"):
        FleetTraining(learners, [problem(0), problem(1)])


def test_buffers_are_refused() -> None:
    class Normed(TorchMLP):
        def network(self, n_slots: int, n_features: int, n_classes: int) -> Any:
            network = super().network(n_slots, n_features, n_classes)
            network.norm = nn.BatchNorm1d(3)
            return network

    with pytest.raises(ValueError, match="Normed has buffers"):
        Normed().fit(np.eye(4), [0, 1, 0, 1])


def test_lora_trains_adapters_alone() -> None:
    training = begin("mlp-lora", [0])
    frozen = {k: v.clone() for k, v in training.groups[0].frozen.items()}
    assert set(frozen) == {f"hidden.{i}.base.{w}" for i in (0, 1) for w in ("weight", "bias")}
    training.advance(10, [0])
    assert all(torch.equal(v, training.groups[0].frozen[k]) for k, v in frozen.items())
    assert training.parameters(0) == 2 * 14 + 10 * 2 + 2 * 10 + 8 * 2 + P * 8 + P
    assert set(training.learner(0).model_) > set(frozen)


def test_not_for_muon() -> None:
    training = begin("transformer-muon-frozen", [0])
    before = {k: v.clone() for k, v in training.groups[0].params.items()}
    training.advance(5, [0])
    same = {k for k, v in before.items() if torch.equal(v, training.groups[0].params[k])}
    assert same == {"embedding.weight", "readout.weight", "tokens", "positions"}


def test_vitals() -> None:
    training = begin("mlp", [0, 1])
    vitals = training.look([0, 1], [np.arange(P * P)] * 2).vitals
    squares = sum(float((v[0] ** 2).sum()) for v in training.groups[0].params.values())
    assert vitals["weight_norm"][0] == pytest.approx(squares**0.5)
    assert all(0.2 < share < 0.8 for share in vitals["activation_sparsity"])  # half of ReLU's units are silent


def test_vitals_are_a_replica_s_own() -> None:
    """Of its own first rows, however many replicas and rows there are beside it."""
    rows = np.arange(P * P)
    alone = begin("mlp", [0]).look([0], [rows[:11]]).vitals["activation_sparsity"][0]
    for company in (2, 20, 300):
        many = begin("mlp", [0, *[1] * (company - 1)])
        seen = many.look(range(company), [rows[:11], *[rows] * (company - 1)]).vitals
        assert seen["activation_sparsity"][0] == pytest.approx(alone, abs=1e-12)


def test_who_left_comes_back() -> None:
    """Replicas that are further wait until others have caught up: with more behind than ahead, and fewer."""
    for ahead in (range(3), range(3, 4)):
        whole, mixed, stored = (begin("mlp", range(4)) for _ in range(3))
        whole.advance(20, range(4))
        stored.advance(7, ahead)
        for r in ahead:
            mixed.restore(r, stored.state(r))
        for step in (1, 4, 7, 9, 20):
            behind = [r for r in range(4) if r not in ahead or step > 7]
            mixed.advance(step, behind)
        for r in range(4):
            assert int(mixed.state(r)["step"]) == 20
            assert close(weights(whole, r), weights(mixed, r))


def test_more_seeds_and_steps_extend_what_there_is(tmp_path: Any) -> None:
    request: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "device": "cpu"}
    bench.run(**request, seeds=3, steps=20, results=tmp_path)
    extended = bench.run(**request, seeds=4, steps=60, results=tmp_path)
    straight = bench.run(**request, seeds=4, steps=60, results=None)
    for a, b in zip(extended, straight, strict=True):
        assert a["final"]["step"] == 60
        assert np.allclose(a["curve"]["train_loss"], b["curve"]["train_loss"], rtol=1e-3, atol=1e-5)


def test_one_bad_checkpoint_spoils_no_other(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    request: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "device": "cpu"}
    records = bench.run(**request, seeds=3, steps=20, results=tmp_path)
    [path] = (tmp_path / "checkpoints").glob(f"{records[1]['id']}*")
    arrays = dict(np.load(path))
    np.savez(path, **{k: v[:1] if k == "w.readout.weight" else v for k, v in arrays.items()})
    restored = []
    original = FleetTraining.restore

    def watch(self: FleetTraining, replica: int, state: Any) -> None:
        original(self, replica, state)
        restored.append(self.seeds[replica])

    monkeypatch.setattr(FleetTraining, "restore", watch)
    again = bench.run(**request, seeds=3, steps=30, results=tmp_path)
    assert [r["final"]["step"] for r in again] == [30] * 3
    assert len(set(restored)) == 2


def test_rerun_of_a_lone_torch_seed_has_the_same_numbers(tmp_path: Any) -> None:
    request: dict[str, Any] = {"encoder": "onehot", "learner": "torch-mlp", "modulus": 23, "device": "cpu"}
    [record] = bench.run(**request, steps=40, results=tmp_path)
    assert bench.rerun(record["id"], results=tmp_path).same


def test_threads_of_torch_are_the_job_s() -> None:
    [spec] = resolve(encoder="onehot", learner="quadratic", modulus=7)
    before = torch.get_num_threads()
    with arithmetic(spec, before + 2):
        assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before


def test_a_tied_readout_wants_the_codes_of_the_classes() -> None:
    settings = {"learner.tied_readout": True, "encoder.n": 7}
    with pytest.raises(RequestError, match="needs one-hot codes of the classes"):
        bench.run(encoder="cycle", learner="transformer", modulus=7, settings=settings, steps=2, results=None)


def test_a_look_out_of_memory_halves_the_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    original = LookProgram.__call__

    def small(self: LookProgram, group: Any) -> Any:
        if len(group.ids) > 2:
            raise torch.OutOfMemoryError("no more")
        return original(self, group)

    training, rows = begin("mlp", range(8)), [np.arange(P * P - r) for r in range(8)]
    whole = training.look(range(8), rows).scores
    monkeypatch.setattr(LookProgram, "__call__", small)
    halved = training.look(range(8), rows).scores
    assert all(torch.allclose(halved[r, : len(rows[r])], whole[r, : len(rows[r])], atol=1e-12) for r in range(8))
    assert [len(group.ids) for group in training.groups] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("learner", "settings", "message"),
    [
        (
            "transformer",
            {"learner.heads": 3},
            "'heads' parameter of Transformer must be a divisor of width=128",
        ),
        ("transformer", {"adamw.lr": -1}, "'lr' parameter of AdamW must be a number > 0"),
        ("transformer", {"learner.lr": 1}, "There is no parameter 'learner.lr': did you mean 'adamw.lr'?"),
        ("transformer", {"learner.loops": 2}, "1 unless blocks are shared or routed"),
        ("transformer", {"learner.router": "hard"}, "'router' parameter of Transformer must be one of"),
        ("transformer", {"learner.router": "top", "learner.shared_blocks": True}, "'none' with shared_blocks"),
        ("transformer", {"learner.dropout": 1}, "a number ≥ 0 and < 1"),
        ("transformer", {"grokfast-ema.lamb": 2}, "or adamw.NAME=VALUE, got 'grokfast-ema.lamb'"),
        ("transformer", {"adamw.schedule": "cosine"}, "given with the cosine schedule"),
        ("transformer", {"adamw.decay": "coupled"}, "'decay' parameter of AdamW must be one of 'decoupled', 'to-init'"),
        ("transformer", {"learner.steps": 5}, "set it by `steps`."),
        ("transformer", {"learner.slots": 2}, "for 'fit' alone"),
        ("quadratic", {"learner.width": 0}, "an integer ≥ 1"),
        ("torch-mlp", {"learner.activation": "rely"}, "'activation' parameter of TorchMLP"),
    ],
)
def test_bad_settings_get_one_clear_line(learner: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        bench.run(encoder="onehot", learner=learner, settings=settings, results=None)
    assert message in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_where_there_is_none() -> None:
    with pytest.raises(RequestError, match="`device` cuda: there is no GPU here"):
        bench.run(encoder="onehot", learner="quadratic", device="cuda", results=None)


def test_a_fleet_of_seeds_through_the_bench(tmp_path: Any) -> None:
    request: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 59, "results": tmp_path}
    records = bench.run(**request, seeds=4, steps=60)
    assert [r["replicas"] for r in records] == [4] * 4
    assert all(r["final"]["test_accuracy"] > 0.99 for r in records)
    assert all(len(r["curve"]["weight_norm"]) == len(r["curve"]["step"]) for r in records)
    extended = bench.run(**request, seeds=4, steps=80)
    straight = bench.run(**request | {"results": None}, seeds=4, steps=80)
    assert [r["curve"]["test_accuracy"] for r in extended] == [r["curve"]["test_accuracy"] for r in straight]
