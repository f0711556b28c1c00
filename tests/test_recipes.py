"""Recipes: what their files may say, what is measured, when a claim agrees, and that nothing is run twice."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished
from records import ending, run, solving

import bench
from bench.errors import RequestError
from bench.ranking.statistics import Bounds, Estimate
from bench.recipes import Claim, catalogue, read_recipe
from bench.recipes.comparison import described
from bench.recipes.measures import MEASURES, Quantity, Sample, measured, quantity
from bench.recipes.page import answer
from bench.recipes.recipe import CATALOG, recipe_of
from bench.recipes.searches import searches_of
from bench.recipes.verdicts import Region, judge, region_of
from bench.tuning import plan_tune

Command = Callable[..., Finished]
PACKS = Path(__file__).parent.parent / "docs" / "records" / "claims"
SMALL = """
title: Small
source: nobody
shared: {modulus: 7, encoder: onehot, learner: quadratic, learner.width: 16, steps: 60, seeds: 5}
arms:
  tied: {}
  untied: {learner.tied: false}
claims:
  - {claim: Both are at chance or above., arms: tied, measure: accuracy, above: 0}
  - {claim: A ratio., arms: [untied, tied], measure: best-accuracy, published: 1, within: 100}
"""


def written(folder: Path, text: str = SMALL, name: str = "small.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# The catalogue


def test_a_recipe_is_short() -> None:
    assert max(len(path.read_text().splitlines()) for path in CATALOG.iterdir()) <= 60


def test_all_recipes_can_be_planned_and_the_page_is_what_is_stored(tmp_path: Path, command: Command) -> None:
    page = tmp_path / "claims.md"
    done = command("reproduce", "--all", "--no-run", "--packs", PACKS, "--results", tmp_path / "no", "--page", page)
    assert done.code == 0, done.err
    assert page.read_text() == (PACKS.parent.parent / "claims.md").read_text()
    drawn = {path.name for path in (tmp_path / "pictures" / "claims").iterdir()}
    assert drawn == {path.name for path in (PACKS.parent.parent / "pictures" / "claims").iterdir()}


def test_all_searches_can_be_planned(tmp_path: Path) -> None:
    for name in catalogue():
        for one in {one.arm: one for one in searches_of(read_recipe(name), quick=False)}.values():
            plan_tune(**one.request, results=str(tmp_path), device="cpu")


def test_arms_of_a_recipe_are_searched_equally() -> None:
    searches = searches_of(read_recipe("muon-against-adamw"), quick=False)
    assert [(one.arm, one.number) for one in searches] == [(a, n) for n in (1, 2, 3) for a in ("muon", "adamw")]
    assert len({one.key for one in searches}) == len(searches)
    assert len({one.request["study"] for one in searches}) == len(searches)


# What a file may say


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"title": None}, "it has no title"),
        ({"clams": []}, "Unknown key 'clams': did you mean 'claims'"),
        ({"arms": [1]}, "arms must be a mapping"),
        ({"claims": [{"claim": "x", "arms": "b", "above": 1}]}, "Unknown arm 'b'"),
        ({"claims": [{"claim": "x", "arms": "a"}]}, "one of within, above, below and between, got none"),
        ({"claims": [{"claim": "x", "arms": "a", "above": 1, "below": 2}]}, "got above, below"),
        ({"claims": [{"claim": "x", "arms": "a", "within": 2}]}, "needs a published number"),
        ({"claims": [{"claim": "x", "arms": "a", "within": 0.5, "published": 3}]}, "a factor above 1"),
        ({"claims": [{"claim": "x", "arms": "a", "between": [2, 1]}]}, "the lower one first"),
        ({"claims": [{"claim": "x", "arms": "a", "measure": "stepps", "above": 1}]}, "Unknown measure 'stepps'"),
        ({"claims": [{"claim": "x", "arms": "a", "target": 0.9, "above": 1}]}, "target must be one of 0.95, 0.99"),
        ({"claims": [{"claim": "x", "arms": "a", "where": {"tusk": 1}, "above": 1}]}, "Unknown key of where 'tusk'"),
        ({"claims": [{"claim": "x", "arms": "a", "not_comparable": "y", "above": 1}]}, "has no rule, got above"),
        ({"claims": [{"arms": "a", "above": 1}]}, "has no sentence"),
        ({"claims": [{"claim": "x", "above": 1}]}, "of one arm, or of the ratio of two"),
        ({"searches": {"count": 3, "trial": 9}}, "Unknown key of searches 'trial'"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said(changed: dict[str, Any], said: str) -> None:
    sound = {"title": "t", "source": "s", "arms": {"a": {}}, "claims": [{"claim": "x", "arms": "a", "above": 1}]}
    assert len(recipe_of("sound", sound).claims) == 1
    with pytest.raises(RequestError) as error:
        recipe_of("wrong", {**sound, **changed})
    assert said in str(error.value)


def test_a_mapping_of_published_numbers_is_a_claim_for_each_arm() -> None:
    entry = {"claim": "So many.", "published": {"a": 100, "b": "clip-add"}, "within": 2}
    recipe = recipe_of("two", {"title": "t", "source": "s", "arms": {"a": {}, "b": {}}, "claims": [entry]})
    assert [(one.arms, one.published, one.rule) for one in recipe.claims] == [
        (("a",), 100, Region(50, 200)),
        (("b",), 570, Region(285, 1140)),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: [", "is no YAML document"),
        (SMALL.replace("quadratic", "quadratik"), "Unknown learner 'quadratik'"),
        (SMALL.replace("steps: 60", "stepps: 60"), "Unknown key 'stepps'"),
        (SMALL.replace("untied: {", "untied: {search: 3, "), "must be a mapping from parameters to ranges"),
        (SMALL.replace("title: Small", "measurement: nothing\ntitle: Small"), "there is no measurement 'nothing'"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, command: Command, text: str, said: str) -> None:
    done = command("reproduce", written(tmp_path, text), "--results", tmp_path / "results")
    assert done.code == 2
    assert said in done.error
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing a NAME, --all or --list"),
        (("grokfist",), "Unknown recipe 'grokfist': did you mean 'grokfast' or"),
        (("--all", "grokfast"), "--all takes no names"),
        (("nowhere.yaml",), "cannot be read"),
    ],
)
def test_a_wrong_command_is_one_line(command: Command, arguments: tuple[str, ...], said: str) -> None:
    done = command("reproduce", *arguments)
    assert (done.code, said in done.error) == (2, True), done.err


# What is measured


def claim(measure: str = "steps", arms: int = 1, **more: Any) -> Claim:
    return Claim("x", ("a", "b")[:arms], None, measure=measure, **{"target": 0.99, **more})


def value(measure: str, *records: Any, **more: Any) -> float | None:
    found = measured(claim(measure, **more), [list(records)])
    return None if found is None else found.estimate.value


def test_steps_are_the_median_over_all_runs_those_included_that_do_not_arrive() -> None:
    found = measured(claim(), [solving("mlp", 200, 300, 400, 500, 600)])
    assert found is not None
    assert (found.n, found.estimate.value, found.estimate.high) == ((5,), 400, 600)
    late = measured(claim(), [solving("mlp", 200, None, None, None, None)])
    assert late is not None
    assert late.estimate.value is None
    assert (late.least, late.most) == (1000, math.inf)
    assert described(late, "steps") == "> 1,000 (> 100)"


def test_a_ratio_is_of_all_pairs_of_runs() -> None:
    slow, fast = solving("mlp", 400, 400, 400, 400, 400), solving("ridge", 200, 200, 200, 200, 200)
    found = measured(claim(arms=2), [slow, fast])
    assert found is not None
    assert found.estimate.value == pytest.approx(2)
    assert found.n == (5, 5)


def test_runs_are_read_up_to_the_budget_of_their_arm() -> None:
    records = solving("mlp", 800, 800, 800, 800, 800)
    assert value("accuracy", *records) == 1.0
    found = measured(claim("accuracy"), [records], [500])
    assert found is not None
    assert found.estimate.value == 0.2


def test_numbers_of_single_curves() -> None:
    rising = [0.1, 0.2, 0.995, 0.5, 0.995, 0.4, 0.995, 0.995, 0.995, 0.97]
    one = run("mlp", 0, rising, train=[1.0] * 10, seconds=20.0)
    one["curve"]["test_loss"] = [4.0, 2.0, 8.0, 6.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]
    one["peak_memory_bytes"], one["replicas"] = 4 * 2**20, 2
    assert value("best-accuracy", one) == 0.995
    assert value("train-steps", one) == 100
    assert value("delay", one) == 3.0
    assert value("relapses", one) == 3
    assert value("loss-rise", one) == 4.0
    assert value("loss-fall", one) == 16.0
    assert value("step-seconds", one) == 0.02
    assert value("memory", one) == 2 * 2**20
    assert value("delay", run("mlp", 0, [0.1] * 10, train=[1.0] * 10)) is None  # not known: infinite


def test_every_measure_is_tested_or_read_by_rank() -> None:
    tested = {"best-accuracy", "train-steps", "delay", "relapses", "loss-rise", "loss-fall", "step-seconds", "memory"}
    assert set(MEASURES) == tested | {"steps", "seconds", "flops", "accuracy", "solved", "fraction"}


def test_the_share_of_runs_that_arrive() -> None:
    found = measured(claim("solved"), [solving("mlp", 200, 300, None, None, None)])
    assert found is not None
    assert found.estimate.value == 0.4


def test_the_smallest_fraction_that_suffices() -> None:
    few = [r for f, a in ((0.1, 0.5), (0.2, 1.0), (0.3, 1.0)) for r in ending("mlp", *[a] * 5, train_fraction=f)]
    many = [r for f, a in ((0.2, 0.5), (0.4, 1.0)) for r in ending("ridge", *[a] * 5, train_fraction=f)]
    found = measured(claim("fraction", arms=2), [many, few])
    assert found is not None
    assert found.estimate.value == pytest.approx(2)


def test_a_search_counts_as_one_by_the_median_of_its_winner() -> None:
    def searched(name: str, *medians: int) -> list[Any]:
        return [
            {**record, "tuning": {"study": f"{name} #{number}", "rule": {"trials": 2, "compute": None}}}
            for number, middle in enumerate(medians)
            for record in solving("mlp", middle - 100, middle, middle + 100, learning=f"{name}{number}")
        ]

    one = measured(claim(arms=2), [searched("a", 600, 600, 600), searched("b", 300, 300, 300)])
    assert one is not None
    assert (one.n, one.estimate.value) == ((3, 3), pytest.approx(2))
    assert one.estimate.level == pytest.approx(0.9)


def test_what_was_not_reached_lies_above() -> None:
    sample = Sample(*(Bounds(np.array([5.0, 6, 7, 100, 100]), np.array([5.0, 6, 7, math.inf, math.inf])),) * 2)
    assert quantity([sample]).estimate.value == 7
    assert quantity([sample]).estimate.high is None


# Verdicts


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        *((60, 150, "agrees"), (50, 200, "agrees"), (20, 49, "differs"), (201, None, "differs"), (None, 49, "differs")),
        *((20, 100, "undecided"), (100, None, "undecided"), (20, 400, "undecided")),
    ],
)
def test_a_claim_agrees_where_its_whole_interval_lies_in_the_region(
    low: float | None, high: float | None, word: str
) -> None:
    assert judge(Estimate(99.0, low, high, 0.95), region_of({"within": 2}, 100)).word == word


def test_without_an_interval_nothing_is_decided() -> None:
    assert judge(Estimate(100.0), Region(50, 200)).word == "undecided"


# Running


def test_nothing_is_run_twice_from_a_folder_or_a_pack(tmp_path: Path, command: Command, inline: None) -> None:
    file, packs = written(tmp_path), tmp_path / "packs"
    first = command("reproduce", file, "--results", tmp_path / "a", "--packs", packs, "--json")
    assert first.code == 0, first.err
    [found] = first.json["recipes"]
    assert found["whole"]
    assert found["arms"] == {"tied": {"runs": 5, "of": 5}, "untied": {"runs": 5, "of": 5}}
    assert [one["verdict"] for one in found["claims"]] == ["agrees", "agrees"]
    before = {path: path.stat().st_mtime_ns for path in (*(tmp_path / "a").glob("*.json"), *packs.iterdir())}
    again = command("reproduce", file, "--results", tmp_path / "a", "--packs", packs, "--json")
    assert again.json == first.json
    assert before == {path: path.stat().st_mtime_ns for path in before}
    packed = command("reproduce", file, "--results", tmp_path / "b", "--packs", packs, "--json")
    assert packed.json == first.json
    assert not list((tmp_path / "b").glob("*.json"))


def test_a_quick_run_is_small_and_judges_nothing(tmp_path: Path, command: Command, inline: None) -> None:
    done = command("reproduce", written(tmp_path), "--quick", "--results", tmp_path / "a", "--json")
    [found] = done.json["recipes"]
    assert {one["verdict"] for one in found["claims"]} == {"not judged"}
    assert found["arms"]["tied"] == {"runs": 2, "of": 2}
    records = [json.loads(path.read_text()) for path in (tmp_path / "a").glob("*.json")]
    assert {(r["spec"]["modulus"], r["final"]["step"]) for r in records} == {(11, 20)}


def test_a_tuned_arm_is_searched_and_kept(tmp_path: Path, inline: None) -> None:
    text = SMALL.replace("untied: {learner.tied: false}", "tuned: {search: {adamw.lr: '1e-2..1e-1:log'}}")
    text = (
        text.replace("[untied, tied]", "[tuned, tied]")
        + "searches: {count: 2, trials: 2, seeds: 1, fresh: 2, precision: float32}\n"
    )
    file, packs = written(tmp_path, text), tmp_path / "packs"
    first = bench.reproduce(file, results=tmp_path / "a", packs=packs, jobs=1)
    assert first.whole
    assert first.arms["tuned"] == (4, 4)
    kept = json.loads((packs / "small.json").read_text())["searches"].values()
    assert sorted((one["arm"], one["search"], len(one["trials"])) for one in kept) == [("tuned", 1, 2), ("tuned", 2, 2)]
    assert all(set(trial[0]) >= {"adamw.lr"} and len(trial[1]) == 1 for one in kept for trial in one["trials"])
    again = bench.reproduce(file, results=tmp_path / "b", packs=packs, jobs=1)
    assert again.to_dict() == first.to_dict()
    assert not (tmp_path / "b" / "studies.journal").exists()


def test_without_runs_nothing_is_run(tmp_path: Path, command: Command) -> None:
    done = command("reproduce", written(tmp_path), "--no-run", "--results", tmp_path / "a", "--json")
    [found] = done.json["recipes"]
    assert done.code == 0
    assert {one["verdict"] for one in found["claims"]} == {"not run"}
    assert not (tmp_path / "a").exists()


def test_a_run_that_has_not_reached_its_budget_is_not_there(tmp_path: Path, command: Command, inline: None) -> None:
    short = written(tmp_path, SMALL.replace("steps: 60", "steps: 20"), "short.yaml")
    assert command("reproduce", short, "--results", tmp_path / "a").code == 0
    found = bench.reproduce(written(tmp_path), results=tmp_path / "a", run=False)
    assert found.arms == {"tied": (0, 5), "untied": (0, 5)}
    assert {one.verdict.word for one in found.compared} == {"not run"}


def test_a_list_says_what_is_stored(command: Command, tmp_path: Path) -> None:
    done = command("reproduce", "--list", written(tmp_path), "--results", tmp_path / "a")
    assert done.out.split() == ["recipe", "what", "runs", "stored", "small", "Small", "0", "of", "10"]


# The page


def test_a_quarrel_is_answered_by_the_claim_that_settles_it(tmp_path: Path, inline: None) -> None:
    text = SMALL.replace("title: Small", "title: Small\nquarrel: Is it so?").replace(
        "above: 0}", "above: 0, settles: true}"
    )
    done = bench.reproduce(written(tmp_path, text), results=tmp_path / "a", jobs=1)
    assert answer(done).startswith("Settled, yes. “Both are at chance or above.” agrees (tied: ")
    before = bench.reproduce(written(tmp_path, text), results=tmp_path / "b", run=False)
    assert answer(before) == "Open. “Both are at chance or above.”: runs of tied are missing."


def test_a_quantity_in_words() -> None:
    assert described(Quantity((5, 5), Estimate(2.0, 1.5, None, 0.9), 2.0, 2.0), "fold") == "× 2 (> 1.5)"
    assert described(Quantity((5,), Estimate(None), 0.0, math.inf), "fold") == "unknown"
    assert described(Quantity((2,), Estimate(0.5), 0.5, 0.5), "share") == "50 %"
