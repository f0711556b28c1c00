"""What happens inside a learner: spectra against the transform over both operands, and states along training."""

import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished
from numpy.typing import NDArray

import bench
from bench import results, showing
from bench.errors import RequestError
from bench.reports.views.grid import Grid, grid_of
from bench.reports.views.inside import Inside, Look, look_inside
from bench.reports.views.spectrum import Part, averages, by_key_frequencies, spectrum_of, spectrum_of_embedding
from bench.results import Store
from bench.tasks import TASKS
from encoders import Codes
from learners import MLP, ForwardForward, Learner, Quadratic, Ridge, TorchMLP, Transformer

Command = Callable[..., Finished]
SMALL: dict[str, Any] = {"encoder": "onehot", "learner": "quadratic", "modulus": 7, "jobs": 1}
SMALL |= {"settings": {"learner.width": 16}, "steps": 60}
C = 5


def grid(A: int) -> Grid:
    return Grid(np.arange(A))


def scores_of(A: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(A * A, C)) * np.arange(1, C + 1)


def transform(scores_NC: NDArray[np.float64], A: int) -> NDArray[np.complex128]:
    """The transform over both operands, (A, A, C)."""
    return np.fft.fft2(scores_NC.reshape(A, A, -1), axes=(0, 1))


# Spectra


@pytest.mark.parametrize("A", [7, 8])
@pytest.mark.parametrize("of_sum", [True, False])
def test_shares_are_those_of_the_transform_over_both_operands(A: int, of_sum: bool) -> None:
    scores = scores_of(A)
    power_AA = (np.abs(transform(scores - scores.mean(1, keepdims=True), A)) ** 2).sum(-1)
    variance = power_AA.sum() - power_AA[0, 0]
    sign = 1 if of_sum else -1
    cells = [{(k, sign * k % A), (-k % A, -sign * k % A)} for k in range(1, A // 2 + 1)]
    expected = [sum(power_AA[cell] for cell in both) / variance for both in cells]
    found = spectrum_of(scores, grid(A))
    assert (found.sum_K if of_sum else found.difference_K) == pytest.approx(expected)


@pytest.mark.parametrize("A", [7, 8])
@pytest.mark.parametrize("of_sum", [True, False])
def test_restricted_and_excluded_scores_are_those_of_a_mask_on_the_transform(A: int, of_sum: bool) -> None:
    scores, keys, sign = scores_of(A), [1, 3, 4][: 3 if A == 8 else 2], 1 if of_sum else -1
    waves = np.zeros((A, A, 1))
    for k in keys:
        waves[k, sign * k % A] = waves[-k % A, -sign * k % A] = 1
    constant = np.zeros((A, A, 1))
    constant[0, 0] = 1

    def masked(mask: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.fft.ifft2(transform(scores, A) * mask, axes=(0, 1)).real.reshape(A * A, C)

    restricted, excluded = by_key_frequencies(scores, grid(A), keys, of_sum)
    assert np.allclose(restricted, masked(waves + constant))
    assert np.allclose(excluded, masked(1 - waves))


@pytest.mark.parametrize("of_sum", [True, False])
def test_averages_are_over_the_pairs_of_one_sum_or_difference(of_sum: bool) -> None:
    A, scores = 6, scores_of(6)
    i, j = np.divmod(np.arange(A * A), A)
    for s, mean_C in enumerate(averages(scores, A, of_sum)):
        assert np.allclose(mean_C, scores[(i + j if of_sum else i - j) % A == s].mean(axis=0))


def test_a_clock_has_one_key_frequency_and_knows_nothing_without_it() -> None:
    """Scores cos(2π k (a + b − c) / p), as Nanda et al. find them, with noise that is too small to matter."""
    p, k, pairs = 11, 4, grid(11).pairs()
    a, b = pairs.T
    clock = np.cos(2 * np.pi * k * ((a + b)[:, np.newaxis] - np.arange(p)) / p)
    noise = 1e-3 * np.random.default_rng(0).normal(size=(p * p, p))
    answers = (a + b) % p
    train, held_out = (Part(rows, answers[rows]) for rows in (np.arange(0, p * p, 2), np.arange(1, p * p, 2)))
    losses = Quadratic().losses
    looks = [Look(9, clock + noise, None), Look(1, noise, None)]
    found = look_inside("clock", grid(p), looks, train, held_out, losses)
    assert (found.key_frequencies, found.main, [view.step for view in found.views]) == ([k], "a + b", [1, 9])
    assert found.end.spectrum.sum_K[k - 1] == pytest.approx(1, abs=1e-4)
    assert found.end.held_out.accuracy == found.end.restricted.accuracy == 1
    assert found.end.excluded.accuracy is not None
    assert found.end.excluded.accuracy < 0.3
    assert found.end.restricted.loss is not None
    assert found.end.held_out.loss == pytest.approx(found.end.restricted.loss, rel=1e-2)
    assert found.views[0].restricted.accuracy is not None
    assert found.views[0].restricted.accuracy < 0.5


def test_scores_that_are_all_alike_have_no_key_frequencies() -> None:
    found = look_inside("", grid(5), [Look(1, np.ones((25, C)), None)], *[Part(*np.zeros((2, 1), int))] * 2, _squares)
    assert found.key_frequencies == []
    assert found.end.spectrum.sum_K.sum() == 0
    assert found.end.restricted == found.end.held_out


def _squares(scores: NDArray[np.floating], y: NDArray[np.integer]) -> NDArray[np.floating]:
    return ((scores - np.eye(C)[y]) ** 2).sum(axis=1)


def test_the_spectrum_of_an_embedding_of_one_wave_is_that_wave() -> None:
    a = np.arange(9)
    waves = np.stack([np.cos(2 * np.pi * 2 * a / 9), 3 + np.sin(2 * np.pi * 2 * a / 9)], axis=-1)
    assert spectrum_of_embedding(np.stack([waves, -waves])) == pytest.approx([0, 1, 0, 0])
    assert spectrum_of_embedding(np.ones((2, 8, 3))).sum() == 0


# Orders of operands


@pytest.mark.parametrize(("task", "words"), [("multiply", "log a + log b"), ("divide", "log a − log b")])
def test_products_are_sums_of_exponents(task: str, words: str) -> None:
    found = TASKS[task](modulus=13)
    order = grid_of(found)
    a, b = order.pairs().T
    answers = a * b % 13 if task == "multiply" else a * np.array([pow(int(x), -1, 13) for x in b]) % 13
    spectrum = spectrum_of(np.eye(13)[answers], order)
    inside = look_inside("", order, [Look(1, np.eye(13)[answers], None)], *[Part(a[:1] * 0, a[:1])] * 2, _first)
    assert inside.main == words
    assert spectrum.main.sum() == pytest.approx(1)
    places = order.places(found.operands_NK)
    assert ((places < 0) == (found.operands_NK == 0).any(1)).all()
    assert (order.pairs()[places[places >= 0]] == found.operands_NK[places >= 0]).all()


def _first(scores: NDArray[np.floating], y: NDArray[np.integer]) -> NDArray[np.floating]:
    return scores[:, 0]


@pytest.mark.parametrize("task", ["add", "subtract", "cube", "multiply"])
def test_other_operands_are_their_own_coordinates(task: str) -> None:
    modulus = 12 if task == "multiply" else 11  # of a composite modulus, products have no such order
    assert grid_of(TASKS[task](modulus=modulus)).operands_A.tolist() == list(range(modulus))


@pytest.mark.parametrize(
    ("name", "settings", "why"),
    [
        ("s5-compose", {}, "has no modulus"),
        ("add", {"modulus": 7, "operand_max": 9}, "has 10 operands and the modulus 7"),
        ("add", {"modulus": 401}, "401 × 401 pairs are too many"),
        ("multiply", {"modulus": 2}, "takes a modulus of 3 and more, got 2"),
    ],
)
def test_a_task_without_a_spectrum_is_refused(name: str, settings: dict[str, Any], why: str) -> None:
    name = next(task for task in TASKS if task.startswith(name[:2])) if name not in TASKS else name
    with pytest.raises(RequestError, match=why):
        grid_of(TASKS[name](**settings))


# Embeddings


@pytest.mark.parametrize(
    "learner",
    [
        Quadratic(width=8, steps=3, slots=2),
        Quadratic(width=8, tied=False, steps=3, slots=2),
        Transformer(width=8, heads=2, depth=1, steps=3, slots=2),
        TorchMLP(hidden_layer_sizes=(8,), steps=3, slots=2),
        TorchMLP(hidden_layer_sizes=(8,), lora_rank=2, steps=3, slots=2),
        ForwardForward(width=8, depth=1, steps=3, slots=2),
        MLP(hidden_layer_sizes=(8,), epochs=2),
    ],
    ids=lambda learner: repr(learner)[:60],
)
def test_the_embedding_is_a_linear_map_of_the_codes_of_each_slot(learner: Learner) -> None:
    table = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    index = np.stack(np.meshgrid(range(6), range(6)), axis=-1).reshape(-1, 2)
    codes = Codes(table, index)
    learner.fit(codes, index.sum(1) % 3)
    found = learner.embed(codes)
    assert found is not None
    assert found.shape == (2, 6, 8)
    assert np.ptp(found) > 0
    mixed = np.array([[1, 2, 0, 0, 0, 0], [0, 0, 0, -1, 0, 3]], np.float32)
    again = learner.embed(Codes(mixed @ table, index % 2))
    assert again is not None
    assert np.allclose(again, mixed @ found, atol=1e-5)
    assert np.allclose(found[0], found[1]) == (
        getattr(learner, "tied", type(learner) is not MLP) is True
    ) or isinstance(learner, TorchMLP | ForwardForward)


def test_the_quadratic_net_computes_from_its_embedding() -> None:
    table, index = np.eye(5, dtype=np.float32), np.stack(np.meshgrid(range(5), range(5)), axis=-1).reshape(-1, 2)
    codes = Codes(table, index)
    learner = Quadratic(width=8, steps=3, tied=False, slots=2).fit(codes, index.sum(1) % 5)
    embedded = learner.embed(codes)
    assert embedded is not None
    hidden = (embedded[0][index[:, 0]] + embedded[1][index[:, 1]]) ** 2
    assert np.allclose(hidden @ learner.model_["readout.weight"].T, learner.scores(codes), atol=1e-5)


def test_a_learner_without_a_first_layer_has_no_embedding() -> None:
    codes = Codes(np.eye(3, dtype=np.float32), np.array([[0, 1], [1, 2], [2, 0]]))
    assert Ridge().fit(codes, [0, 1, 2]).embed(codes) is None


def test_changed_probabilities_of_the_classifier_are_made_probabilities_again() -> None:
    scores = np.array([[0.5, 0.7, -0.2], [0.5, 0.5, 0.0]])
    assert MLP(head="classifier").losses(scores, np.array([0, 1])) == pytest.approx(-np.log([0.5 / 1.2, 0.5]))


# States along training


def kept(folder: Path) -> dict[str, list[int]]:
    store = Store(folder)
    return {id: store.states.steps(id) for id in store.ids()}


def test_states_are_kept_at_evaluations_spread_over_the_logarithm(tmp_path: Path) -> None:
    bench.run(**SMALL, results=tmp_path, keep_states=6, seeds=2)
    plain = bench.run(**SMALL, results=None, seeds=2)
    for record in plain:
        stored = Store(tmp_path).find(record["id"])
        assert stored["curve"] == record["curve"]
        steps, all_steps = kept(tmp_path)[record["id"]], record["curve"]["step"]
        assert steps == np.array(all_steps)[results.evenly(all_steps[:-1], 6)].tolist()
        assert 4 <= len(steps) <= 6
        assert int(Store(tmp_path).states.read(record["id"], steps[1])["step"]) == steps[1]  # type: ignore[index]


def test_views_from_states_are_those_of_training_anew(tmp_path: Path) -> None:
    [record] = bench.run(**SMALL, results=tmp_path, keep_states=40)
    restored = showing.inside_of(record["id"], results=tmp_path, along=True)
    assert "from its checkpoint at 60 steps, and 27 states along training." in restored.told[0]
    store = Store(tmp_path)
    middle = store.states.steps(record["id"])[5]
    store.states.path(record["id"], middle).write_bytes(b"damaged")
    os.utime(store.states.path(record["id"], middle), ns=(0, 0))
    _assert_alike(showing.inside_of(record["id"], results=tmp_path, along=True), restored)
    results.clean_folder(tmp_path)
    assert kept(tmp_path) == {record["id"]: []}
    again = showing.inside_of(record["id"], results=tmp_path, along=True)
    assert "trained anew for want of a checkpoint" in again.told[0]
    _assert_alike(again, restored)
    assert kept(tmp_path) == {record["id"]: []}


def _assert_alike(one: Inside, other: Inside) -> None:
    assert one.key_frequencies == other.key_frequencies
    assert [view.step for view in one.views] == [view.step for view in other.views]
    for mine, theirs in zip(one.views, other.views, strict=True):
        assert np.allclose(mine.spectrum.sum_K, theirs.spectrum.sum_K, atol=1e-6)
        for name in ("train", "held_out", "restricted", "excluded"):
            assert getattr(mine, name).loss == pytest.approx(getattr(theirs, name).loss, rel=1e-4)


def test_the_end_is_that_of_the_record(tmp_path: Path) -> None:
    for learner in ("quadratic", "mlp"):
        asked: dict[str, Any] = SMALL | {"learner": learner, "settings": {}}
        [record] = bench.run(**asked, results=tmp_path)
        end = showing.inside_of(record["id"], results=tmp_path).end
        assert end.train.loss == pytest.approx(record["final"]["train_loss"], rel=1e-4)
        assert end.held_out.loss == pytest.approx(record["final"]["test_loss"], rel=1e-4)
        assert end.held_out.accuracy == pytest.approx(record["final"]["test_accuracy"])


def test_an_extension_adds_states_and_a_new_run_replaces_them(tmp_path: Path) -> None:
    [record] = bench.run(**SMALL, results=tmp_path, keep_states=4)
    before = kept(tmp_path)[record["id"]]
    bench.run(**SMALL | {"steps": 240}, results=tmp_path, keep_states=12)
    extended = kept(tmp_path)[record["id"]]
    assert set(before) < set(extended)
    assert max(extended) > 60
    bench.run(**SMALL, results=tmp_path, force=True)
    assert kept(tmp_path)[record["id"]] == []


def test_where_states_begin_late_the_steps_before_are_trained_anew(tmp_path: Path) -> None:
    [record] = bench.run(**SMALL | {"steps": 20}, results=tmp_path)
    bench.run(**SMALL, results=tmp_path, keep_states=40)
    found = showing.inside_of(record["id"], results=tmp_path, along=True)
    assert min(kept(tmp_path)[record["id"]]) > 20
    assert "trained anew for want of a checkpoint or states along training: 60 steps" in found.told[0]
    plain = showing.inside_of(record["id"], results=tmp_path)
    assert found.views[0].step == 1
    assert found.end.spectrum.sum_K == pytest.approx(plain.end.spectrum.sum_K)


@pytest.mark.usefixtures("inline")
def test_a_sweep_keeps_states(tmp_path: Path, command: Command) -> None:
    options = ("--encoder", "onehot", "--learner", "quadratic,ridge", "--modulus", "5,7", "--steps", "20")
    done = command("sweep", *options, "--jobs", "1", "--keep-states", "3", "--results", tmp_path / "r", "--quiet")
    assert done.code == 0
    assert sorted(map(len, kept(tmp_path / "r").values())) == [0, 0, 3, 3]


def test_a_state_that_cannot_be_written_costs_no_record(tmp_path: Path, command: Command) -> None:
    (tmp_path / "states").write_text("in the way")
    options = ("--encoder", "onehot", "--learner", "quadratic", "--modulus", "7", "--steps", "20")
    done = command("run", *options, "--keep-states", "3", "--results", tmp_path)
    assert "Its state at step 1 is not kept: " in done.err
    assert "onehot → concat → no SDR → quadratic" in done.out
    assert len(Store(tmp_path).ids()) == 1


def test_clean_removes_states_but_not_of_cells_in_training(tmp_path: Path) -> None:
    [one, two] = bench.run(**SMALL, results=tmp_path, keep_states=4, seeds=2)
    (tmp_path / "states" / "mine.txt").write_text("not ours")
    with closing(results.Lease(tmp_path)) as lease:
        lease.take([one["id"]])
        planned = results.clean_folder(tmp_path, dry_run=True)
        cleaned = results.clean_folder(tmp_path)
    assert planned.removed == cleaned.removed
    assert {file.kind for file in cleaned.removed} == {"checkpoint", "state"}
    assert kept(tmp_path)[one["id"]]
    assert not (tmp_path / "states" / two["id"]).exists()
    assert (tmp_path / "states" / "mine.txt").exists()


def test_a_merge_drops_states_of_a_run_that_it_replaces(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    [record] = bench.run(**SMALL, results=here, keep_states=4)
    bench.run(**SMALL | {"steps": 90}, results=there, keep_states=4)
    results.merge_folders([there], here)
    assert kept(here)[record["id"]] == []


def test_states_of_a_run_that_has_not_replaced_the_record_are_not_taken_for_its_own(tmp_path: Path) -> None:
    """As those of a run by force that was killed."""
    [record] = bench.run(**SMALL, results=tmp_path, keep_states=4)
    store = Store(tmp_path)
    later = store.path(record["id"]).stat().st_mtime_ns + 10**9
    steps = store.states.steps(record["id"])
    for step in steps[1:]:
        os.utime(store.states.path(record["id"], step), ns=(later, later))
    found = showing.inside_of(record["id"], results=tmp_path, along=True)
    assert f"It has 1 state along training, of steps {steps[0]} to {steps[0]}." in found.told[0]
    store.states.remove(record["id"])
    _assert_alike(found, showing.inside_of(record["id"], results=tmp_path, along=True))


def test_a_state_of_another_step_or_shape_is_trained_anew(tmp_path: Path) -> None:
    [record] = bench.run(**SMALL, results=tmp_path, keep_states=6)
    sound = showing.inside_of(record["id"], results=tmp_path, along=True)
    store = Store(tmp_path)
    first, second, third, *_ = store.states.steps(record["id"])
    path = partial(store.states.path, record["id"])
    path(second).write_bytes(path(first).read_bytes())
    state = store.states.read(record["id"], third)
    assert state is not None
    last = [name for name, array in state.items() if array.ndim][-1]  # those before it fit, and are restored
    cut = {
        name: array[..., :1] if name == last else array * 2 if array.ndim else array for name, array in state.items()
    }
    store.states.write(record["id"], third, cut)
    os.utime(path(second), ns=(0, 0))
    os.utime(path(third), ns=(0, 0))
    _assert_alike(showing.inside_of(record["id"], results=tmp_path, along=True), sound)


def test_states_of_an_interrupted_cell_stay_as_its_checkpoint_does(tmp_path: Path) -> None:
    [record] = bench.run(**SMALL, results=tmp_path, keep_states=4)
    Store(tmp_path).write({**record, "status": "interrupted"})
    cleaned = results.clean_folder(tmp_path)
    assert not cleaned.removed
    assert {file.kind for file in cleaned.in_flight} == {"checkpoint", "state"}


def test_clean_follows_no_links(tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine", tmp_path / "results"
    mine.mkdir()
    (mine / "5.npz").write_text("not ours")
    (folder / "states").mkdir(parents=True)
    (folder / "states" / "0123456789abcdef").symlink_to(mine)
    assert not results.clean_folder(folder).removed
    assert (mine / "5.npz").exists()


def test_a_diverged_run_is_refused_before_it_is_trained_anew(real: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = next(Store(real).records())
    store.write({**record, "status": "diverged"})
    with pytest.raises(RequestError, match=r"The run .* diverged: there is no learner"):
        showing.inside_of(record["id"], results=tmp_path)


# Commands


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"keep_states": -1}, "`keep_states` must be an integer ≥ 0, got -1."),
        ({"keep_states": 1.5}, "`keep_states` must be an integer ≥ 0, got 1.5."),
        ({"keep_states": 3, "results": None}, "`keep_states` needs a results folder"),
    ],
)
def test_states_that_cannot_be_kept_are_refused(request_: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=why):
        bench.run(**{**SMALL, "results": tmp_path / "r", **request_})


@pytest.mark.parametrize("kind", ["spectrum", "embedding", "progress"])
def test_plot_looks_inside(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    [record] = bench.run(**SMALL, keep_states=9)
    done = command("plot", kind, record["id"])
    assert (done.code, done.out) == (0, f"{kind}.png\n")
    inside = showing.inside_of(record["id"])
    [first, *_] = inside.key_frequencies
    assert f"Key frequencies, the fewest with 95 % of what depends on a + b: {first}" in done.err
    drawn = bench.plot(kind, id=record["id"])
    if kind == "spectrum":
        assert drawn.data[0].y == pytest.approx(inside.end.spectrum.sum_K)
        assert drawn.data[1].y == pytest.approx(inside.end.spectrum.difference_K)
    elif kind == "embedding":
        assert sum(drawn.data[0].y) == pytest.approx(1)
    else:
        lines = {trace.name: trace for trace in drawn.data if trace.name}
        assert lines["held-out pairs"].y == pytest.approx([view.held_out.loss for view in inside_along(record).views])
        assert lines[f"k = {first}"].y[-1] == pytest.approx(inside.end.spectrum.sum_K[first - 1])


def inside_along(record: Any) -> Inside:
    return showing.inside_of(record["id"], along=True)


def test_pictures_that_a_run_has_not_are_refused(command: Command, real: Path) -> None:
    learners = {r["spec"]["learner"]["name"]: r["id"] for r in Store(real).records()}
    done = command("plot", "progress", learners["ridge"], "--results", real)
    assert (
        done.err.splitlines()[-1] == "Error: This learner takes no steps, or one: there is nothing along its training."
    )
    done = command("plot", "embedding", learners["knn"], "--results", real)
    assert "Error: This learner has no embedding of single operands" in done.err
    assert "needs the id of a record" in command("plot", "spectrum", "--results", real).err
