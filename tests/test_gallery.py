"""The gallery of encoders and the comparison with other libraries: pages show what was measured, of all."""

import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.linear_model import Ridge

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "comparison"
MODULES = ("parts", "compare", "gallery", "gallery_entries", "gallery_pictures")


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """The modules of the folder, imported as its scripts import each other."""
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in MODULES:
            sys.modules.pop(name, None)


# Pages


@pytest.mark.parametrize("name", ["compare", "gallery"])
def test_pages_show_what_was_measured(scripts: dict[str, ModuleType], name: str) -> None:
    script, part_of = scripts[name], scripts["parts"].part_of
    page = script.PAGE.read_text("utf-8")
    written = script.tables(json.loads(script.RESULTS.read_text("utf-8")))
    for part, text in written.items():
        assert part_of(page, part).strip() == text, f"{script.PAGE.name}, {part}: run {FOLDER.name}/{name}.py --tables"
    assert len(written) == len(re.findall(r"<!-- /", page))


def test_every_encoder_has_its_place_and_its_picture_with_words(scripts: dict[str, ModuleType]) -> None:
    page = scripts["gallery"].PAGE.read_text("utf-8")
    shown = re.findall(r"!\[([^\]]*)\]\(pictures/encoders/([\w-]+)\.svg\)", page)
    names = set(scripts["gallery_entries"].entries())
    assert names >= set(scripts["gallery_entries"].own_encoders())
    assert {name for _, name in shown} == names, "make gallery draws them"
    assert all(len(words) > 20 for words, _ in shown)
    pictures = list((ROOT / "docs/pictures/encoders").iterdir())
    assert {path.stem for path in pictures} == names
    assert sum(path.stat().st_size for path in pictures) < 1_500_000


def test_an_encoder_that_is_not_described_joins_with_its_defaults(scripts: dict[str, ModuleType]) -> None:
    made = scripts["gallery_entries"].by_default("fourier")
    assert (made.words, made.single.modulus) == ("Fourier(modulus=24)", 24)
    assert made.about == "A point on one circle for each harmonic of the modulus."


def test_a_part_of_a_page_is_replaced_alone(scripts: dict[str, ModuleType]) -> None:
    parts = scripts["parts"]
    page = "# A\n<!-- one -->\nold\n<!-- /one -->\n<!-- two -->kept<!-- /two -->\n"
    changed = parts.with_part(page, "one", r"\1 new")
    assert parts.part_of(changed, "one").strip() == r"\1 new"
    assert parts.part_of(changed, "two") == "kept"
    with pytest.raises(ValueError, match="three"):
        parts.part_of(page, "three")


# The gallery


def test_similarities_are_cosines(scripts: dict[str, ModuleType]) -> None:
    found = scripts["gallery"].similarities(np.array([[1.0, 0], [3, 0], [1, 1], [-2, 0], [0, 0]]))
    assert np.allclose(found[:4, 0], [1, 1, np.sqrt(0.5), -1])
    assert np.isnan(found[4]).all()


def test_tasks_tell_encoders_apart(scripts: dict[str, ModuleType]) -> None:
    """One-hot codes learn tables alone, a point on the circle the period alone, and a product of phasors the sum."""
    entries, measure = scripts["gallery_entries"].entries(), scripts["gallery"].measure
    scores = {name: measure(entries[name], seeds=2)["scores"] for name in ("onehot", "fourier", "phasor")}
    read = {name: {task: np.mean(one["ridge"]) for task, one in found.items()} for name, found in scores.items()}
    assert read["onehot"]["lookup"] > 0.9 > 0.1 > read["onehot"]["periodic"]
    assert read["fourier"]["periodic"] > 0.9 > 0.3 > read["fourier"]["lookup"]
    assert read["phasor"]["sum"] > 0.9 > 0.1 > read["fourier"]["sum"]


def test_what_is_held_out_is_not_trained_on(scripts: dict[str, ModuleType]) -> None:
    gallery = scripts["gallery"]
    for name, make in gallery.REGRESSIONS.items():
        task = make(np.random.default_rng(0))
        assert len(task.y_N) == gallery.VALUES
        assert bool({*task.train} & {*task.test}) == (name == "lookup")
    pairs, task = gallery.pairs_of_sum(np.random.default_rng(0))
    assert not {*task.train} & {*task.test}
    assert len(task.train) + len(task.test) == len({*map(tuple, pairs)}) == 300
    x = np.arange(gallery.VALUES)
    wave = gallery.periodic(np.random.default_rng(1)).y_N
    assert np.allclose(wave, wave[x % gallery.PERIOD])


def test_a_picture_is_drawn_and_is_the_same_each_time(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    scores = {task: {"ridge": [0.5, 0.7], "nearest": [0.1, 0.1]} for task in scripts["gallery"].TASKS}
    for name in "ab":
        scripts["gallery_pictures"].draw(tmp_path / name, "words of a title", np.eye(5), scores)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_text("utf-8").count("<image") == 3  # similarities, their scale, codes


# The comparison


def test_the_path_of_ridge_is_ridge(scripts: dict[str, ModuleType]) -> None:
    random = np.random.default_rng(0)
    X, y, T = random.normal(1, 2, (30, 4)), random.normal(3, 1, 30), random.normal(0, 1, (5, 4))
    alphas = np.array([0.1, 10.0, 1e3])
    path = scripts["compare"].ridge_path(X, y, T, alphas)
    assert np.allclose(path, [Ridge(alpha).fit(X, y).predict(T) for alpha in alphas])


def test_the_path_of_neighbours_is_means_of_the_nearest(scripts: dict[str, ModuleType]) -> None:
    X, y = np.array([[0.0], [1], [2], [10]]), np.array([1.0, 3, 8, 100])
    found = scripts["compare"].neighbours_path(X, y, np.array([[0.4]]), counts=(1, 2, 3))
    assert found.tolist() == [[1], [2], [4]]


def test_a_setting_is_chosen_on_groups_of_the_training_rows(scripts: dict[str, ModuleType]) -> None:
    """Rows of a group are equal: a fold by rows would choose the nearest row, a fold by groups the mean of many."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    X, y = random.normal(size=60)[groups][:, np.newaxis], random.normal(size=60)[groups]
    read, chosen = scripts["compare"].neighbours_path, []

    def both(train: np.ndarray, y_N: np.ndarray, test: np.ndarray) -> np.ndarray:
        path = read(train, y_N, test, counts=(1, 150))
        chosen.append(path)
        return path

    told = scripts["compare"].held_out(both, X, y, groups, X[:3])
    assert np.array_equal(told, chosen[-1][1])


def test_a_way_is_measured_on_weeks_that_were_held_out(scripts: dict[str, ModuleType]) -> None:
    compare = scripts["compare"]
    data = compare.synthetic(n=600)
    assert len(set(data.weeks)) > 80
    rows = [
        compare.measure(compare.Way("mod97", "", compare.fourier(h)), data, folds=2) for h in ((1, 1, 1), (8, 3, 2))
    ]
    assert [(row["columns"], row["form"]) for row in rows] == [(6, "dense"), (26, "dense")]
    assert np.mean(rows[0]["ridge"]) + 0.1 < np.mean(rows[1]["ridge"]) < 0.9
    assert {len(row[name]) for row in rows for name in compare.READERS} == {2}


def test_every_way_of_this_project_makes_columns(scripts: dict[str, ModuleType]) -> None:
    compare = scripts["compare"]
    times = compare.synthetic(n=50).times
    for way in compare.of_mod97():
        codes = compare.matrix(way.transformer.fit_transform(times))
        assert codes.shape[0] == 50, way.words
        assert np.isfinite(codes.sum()), way.words
    smooth, plain = (compare.fourier((3, 1, 1), smoothness=s).fit_transform(times) for s in (1, 0))
    assert np.allclose(smooth * [1, 1, 2, 2, 3, 3, 1, 1, 1, 1], plain, atol=1e-6)
