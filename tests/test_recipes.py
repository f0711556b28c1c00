"""Recipes: what their files may say, what is measured, when a claim agrees, and that nothing is run twice."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
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
from bench.recipes.arms import Arms, check_quick, cut, grid_of
from bench.recipes.comparison import ArmRuns, compare_records, described
from bench.recipes.kept import Kept
from bench.recipes.measures import MEASURES, Quantity, Sample, measured, quantity
from bench.recipes.page import answers
from bench.recipes.recipe import CATALOG, recipe_of
from bench.recipes.reproduce import Place
from bench.recipes.searches import searches_of
from bench.recipes.verdicts import Region, Verdict, judge, more_needed, region_of
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
  - {claim: The tied net memorizes within 60 steps., arms: tied, measure: train-steps, below: 60}
  - {claim: The untied one takes about as long., arms: [untied, tied], measure: train-steps, published: 1, within: 3}
  - {claim: The tied net memorizes at once., arms: tied, measure: train-steps, below: 1}
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


def test_a_search_is_planned_for_its_device_which_is_no_part_of_its_key() -> None:
    recipe = read_recipe("muon-against-adamw")
    with pytest.raises(RequestError, match="the arm muon: device cuda:99"):
        searches_of(recipe, quick=True, device="cuda:99")
    assert searches_of(recipe, quick=True, device="auto") == searches_of(recipe, quick=True)


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
        (SMALL.replace("modulus: 7", "modulus: 7, modulus: 9"), "small.yaml' is no YAML document, line 4: 'modulus'"),
        (SMALL.replace("quadratic", "quadratik"), "Unknown learner 'quadratik'"),
        (SMALL.replace("steps: 60", "stepps: 60"), "Unknown key 'stepps'"),
        (SMALL.replace("untied: {", "untied: {search: 3, "), "must be a mapping from parameters to ranges"),
        (SMALL.replace("untied: {", "untied: {search: {adamw.rate: 1..2}, "), "arm untied: Unknown parameter of the"),
        (
            SMALL.replace("untied: {", "untied: {search: {adamw.lr: 2..1}, "),
            "the arm untied: space adamw.lr must go from",
        ),
        (
            SMALL.replace("untied: {", "untied: {search: {}, learner.width: 0, "),
            "the arm untied: The 'width' parameter",
        ),
        (SMALL.replace("arms: tied,", "arms: tied, where: {task: ad},", 1), "the arm tied has no run of task ad"),
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
        (("--measures", "grokfast"), "--measures lists what claims measure, and nothing else: leave out grokfast"),
        (("--measures", "--all"), "nothing else: leave out --all"),
        (("nowhere.yaml",), "cannot be read"),
        (("kernel", "--arm", "gausian"), "Unknown arm 'gausian': did you mean 'gaussian'?"),
        (("kernel", "kan", "--arm", "gaussian"), "--arm runs an arm of one recipe"),
        (("kernel", "--arm", "gaussian", "--no-run"), "neither --no-run nor --list"),
    ],
)
def test_a_wrong_command_is_one_line(command: Command, arguments: tuple[str, ...], said: str) -> None:
    done = command("reproduce", *arguments)
    assert (done.code, said in done.error) == (2, True), done.err


# What is measured


def claim(measure: str = "steps", arms: int = 1, **more: Any) -> Claim:
    return Claim("x", ("a", "b")[:arms], None, measure=measure, **{"target": 0.99, **more})


def value(measure: str, *records: Any, **more: Any) -> float | None:
    found = measured(claim(measure, **more), [[records]])
    return None if found is None else found.estimate.value


def test_steps_are_the_median_over_all_runs_those_included_that_do_not_arrive() -> None:
    found = measured(claim(), [[solving("mlp", 200, 300, 400, 500, 600)]])
    assert found is not None
    assert (found.n, found.estimate.value, found.estimate.high) == ((5,), 400, 600)
    late = measured(claim(), [[solving("mlp", 200, None, None, None, None)]])
    assert late is not None
    assert late.estimate.value is None
    assert (late.least, late.most) == (1000, math.inf)
    assert described(late, "steps") == "> 1,000 (> 100; 94 %)"


def test_a_ratio_is_of_all_pairs_of_runs() -> None:
    slow, fast = solving("mlp", 400, 400, 400, 400, 400), solving("ridge", 200, 200, 200, 200, 200)
    found = measured(claim(arms=2), [[slow], [fast]])
    assert found is not None
    assert found.estimate.value == pytest.approx(2)
    assert found.n == (5, 5)


def test_runs_are_read_up_to_the_budget_of_their_arm() -> None:
    records = solving("mlp", 800, 800, 800, 800, 800)
    assert value("accuracy", *records) == 1.0
    early = [cut(record, 500) for record in records]
    assert value("accuracy", *early) == 0.2
    assert value("best-accuracy", *early) == 0.2
    assert [one["steps_to"]["test"]["0.99"] for one in early] == [None] * 5
    assert {(one["final"]["step"], one["seconds"]["train"], one["flops"]) for one in early} == {(500, 1.0, 5000)}
    assert [cut(record, 1000) for record in records] == records


NUMBERS = {
    "steps": 300,
    "seconds": 6.0,
    "flops": 3000,
    "solved": 1.0,
    "accuracy": 0.97,
    "fraction": None,
    "best-accuracy": 0.995,
    "train-steps": 100,
    "delay": 3.0,
    "relapses": 3,
    "loss-rise": 4.0,
    "loss-fall": 16.0,
    "step-seconds": 0.02,
    "memory": 2 * 2**20,
}
"""What each measure finds in one run, which ends below the target: no fraction suffices."""


@pytest.mark.parametrize("measure", MEASURES)
def test_the_number_of_a_run(measure: str) -> None:
    rising = [0.1, 0.2, 0.995, 0.5, 0.995, 0.4, 0.995, 0.995, 0.995, 0.97]
    one = run("mlp", 0, rising, train=[1.0] * 10, seconds=20.0)
    one["curve"]["test_loss"] = [4.0, 2.0, 8.0, 6.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]
    one["peak_memory_bytes"], one["replicas"] = 4 * 2**20, 2
    assert value(measure, one) == NUMBERS[measure]


def test_measures_are_listed(command: Command) -> None:
    assert [one["measure"] for one in command("reproduce", "--measures", "--json").json["measures"]] == list(MEASURES)
    printed = " ".join(command("reproduce", "--measures").out.split())
    assert "loss-fall the largest test loss over the last fold ratio" in printed


def test_the_share_of_runs_that_arrive() -> None:
    found = measured(claim("solved"), [[solving("mlp", 200, 300, None, None, None)]])
    assert found is not None
    assert found.estimate.value == 0.4


def test_the_smallest_fraction_that_suffices() -> None:
    few = [r for f, a in ((0.1, 0.5), (0.2, 1.0), (0.3, 1.0)) for r in ending("mlp", *[a] * 5, train_fraction=f)]
    many = [r for f, a in ((0.2, 0.5), (0.4, 1.0)) for r in ending("ridge", *[a] * 5, train_fraction=f)]
    found = measured(claim("fraction", arms=2), [[many], [few]])
    assert found is not None
    assert found.estimate.value == pytest.approx(2)


def test_a_search_counts_as_one_by_the_median_of_its_winner() -> None:
    def searched(*medians: int) -> list[list[Any]]:
        return [solving("mlp", middle - 100, middle, middle + 100) for middle in medians]

    three = measured(claim(arms=2), [searched(600, 600, 600), searched(300, 300, 300)])
    assert three is not None
    assert (three.n, three.estimate.value) == ((3, 3), pytest.approx(2))
    assert three.estimate.level == pytest.approx(0.9)
    for few in (
        measured(claim(arms=2), [searched(600, 600), searched(300, 300)]),
        measured(claim(), [searched(500, 500, 500)]),
    ):
        assert few is not None
        assert few.estimate.level is None


def test_a_search_that_is_still_to_be_made_is_left_out() -> None:
    claims = [{"claim": "Faster.", "arms": ["b", "a"], "below": 1}]
    recipe = recipe_of("some", {"title": "t", "source": "s", "arms": {"a": {}, "b": {}}, "claims": claims})
    slow, fast = solving("mlp", 600, 600, 600), solving("mlp", 300, 300, 300)
    arms = {"a": ArmRuns([slow, slow, []], 9), "b": ArmRuns([fast, fast, fast], 9)}
    [found] = compare_records(recipe, arms, quick=False)
    assert (found.ours, found.n, found.verdict.word) == ("× 0.5", "3 and 2", "not run")


def test_shares_of_two_arms_are_compared_by_their_difference() -> None:
    low, high = ending("mlp", *[0.0] * 5), ending("ridge", *[0.25] * 5)
    found = measured(claim("accuracy", arms=2), [[high], [low]])
    assert found is not None
    assert (found.estimate.value, found.estimate.low) == (0.25, 0.25)
    assert described(found, "points") == "+25.0 points (+25.0)"
    same = measured(claim("solved", arms=2), [[solving("mlp", *[200] * 5)], [solving("mlp", *[None] * 5)]])
    assert same is not None
    assert same.estimate.value == 1.0


def test_what_was_not_reached_is_known_to_lie_above() -> None:
    never = [run("mlp", seed, [0.1] * 10, train=[1.0] * 10) for seed in range(5)]
    found = measured(claim("delay"), [[never]])
    assert found is not None
    assert (found.least, found.most, found.estimate.low) == (10.0, math.inf, 10.0)
    assert judge(found.estimate, Region(5, math.inf)).word == "agrees"
    untrained = measured(claim("train-steps"), [[[run("mlp", seed, [0.1] * 10) for seed in range(5)]]])
    assert untrained is not None
    assert judge(untrained.estimate, Region(-math.inf, 500)).word == "differs"


def test_a_run_that_diverges_after_its_crossing_has_relapsed() -> None:
    one = run("mlp", 0, [1.0] * 10)
    one["curve"]["test_accuracy"][5:] = [None] * 5
    assert value("relapses", one) == 5


def test_what_all_runs_of_a_fleet_share_counts_once() -> None:
    fleet = [{**run("mlp", seed), "replicas": 5, "peak_memory_bytes": 100} for seed in range(5)]
    found = measured(claim("step-seconds"), [[fleet]])
    assert found is not None
    assert (found.n, found.estimate.level) == ((1,), None)


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


@pytest.mark.parametrize(
    ("low", "high", "rule", "tie", "word"),
    [
        (0.0, 0.0, {"above": 0}, 0.0, "differs"),
        (0.0, 0.0, {"below": 0}, 0.0, "differs"),
        (0.0, 0.1, {"above": 0}, 0.0, "undecided"),
        (-0.1, 0.0, {"above": 0}, 0.0, "differs"),
        (0.01, 0.1, {"above": 0}, 0.0, "agrees"),
        (0.0, 0.0, {"between": [0, 0.1]}, 0.0, "agrees"),
        (0.0, 0.0, {"above": -0.05}, 0.0, "agrees"),
        (1.0, 1.0, {"below": 1}, 1.0, "differs"),
        (0.5, 1.0, {"below": 1}, 1.0, "undecided"),
        (2.0, 2.0, {"above": 2}, 1.0, "agrees"),
        (0.0, 1.0, {"below": 1}, None, "agrees"),
    ],
)
def test_a_tie_of_two_arms_is_neither_above_nor_below(
    low: float, high: float, rule: dict[str, Any], tie: float | None, word: str
) -> None:
    found = judge(Estimate(low, low, high, 0.95), region_of(rule, None), tie)
    assert (found.word, "it is a tie" in found.why) == (word, word == "differs" and low == high)


def test_two_arms_that_are_always_right_are_no_better_than_each_other() -> None:
    claims = [
        {"claim": "Better.", "arms": ["a", "b"], "measure": "accuracy", "above": 0},
        {"claim": "Faster.", "arms": ["a", "b"], "below": 1},
        {"claim": "Right.", "arms": "a", "measure": "accuracy", "above": 1},
    ]
    recipe = recipe_of("tie", {"title": "t", "source": "s", "arms": {"a": {}, "b": {}}, "claims": claims})
    same = ArmRuns([solving("mlp", *[200] * 5)], 5)
    found = compare_records(recipe, {"a": same, "b": same}, quick=False)
    assert [one.verdict.word for one in found] == ["differs", "undecided", "agrees"]
    assert found[0].verdict.why == "it is a tie: the two arms are equal"


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
    assert [one["verdict"] for one in found["claims"]] == ["agrees", "agrees", "differs"]
    before = {path: path.stat().st_mtime_ns for path in (*(tmp_path / "a").glob("*.json"), *packs.iterdir())}
    again = command("reproduce", file, "--results", tmp_path / "a", "--packs", packs, "--json")
    assert again.json == first.json
    assert before == {path: path.stat().st_mtime_ns for path in before}
    packed = command("reproduce", file, "--results", tmp_path / "b", "--packs", packs, "--json")
    assert packed.json == first.json
    assert not list((tmp_path / "b").glob("*.json"))


def test_some_arms_are_run_and_several_processes_fill_one_pack(tmp_path: Path, command: Command, inline: None) -> None:
    file, folder, packs = written(tmp_path), tmp_path / "a", tmp_path / "packs"
    before = Place(read_recipe(file), folder, packs, quick=False)  # of a process that began first
    first = command("reproduce", file, "--arm", "tied", "--results", folder, "--packs", packs, "--json")
    [one] = first.json["recipes"]
    assert (one["arms"]["tied"]["runs"], one["arms"]["untied"]["runs"], one["whole"]) == (5, 0, False)
    second = bench.reproduce(file, arms=["untied"], results=folder, jobs=1)
    assert second.whole
    before.write_pack([record["id"] for record in second.records["untied"]])
    again = bench.reproduce(file, results=tmp_path / "b", packs=packs, run=False)
    assert again.whole


def test_a_quick_run_is_small_and_judges_nothing(tmp_path: Path, command: Command, inline: None) -> None:
    done = command("reproduce", written(tmp_path), "--quick", "--results", tmp_path / "a", "--json")
    [found] = done.json["recipes"]
    assert {one["verdict"] for one in found["claims"]} == {"not judged"}
    assert found["arms"]["tied"] == {"runs": 2, "of": 2}
    records = [json.loads(path.read_text()) for path in (tmp_path / "a-quick").glob("*.json")]
    assert {(r["spec"]["modulus"], r["final"]["step"]) for r in records} == {(11, 20)}


def test_a_tuned_arm_is_searched_and_kept(tmp_path: Path, inline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, records = list[Arms](), Arms.records

    def counted(arms: Arms) -> Any:
        reads.append(arms)
        return records(arms)

    monkeypatch.setattr(Arms, "records", counted)
    text = SMALL.replace("untied: {learner.tied: false}", "tuned: {search: {adamw.lr: '1e-2..1e-1:log'}}")
    text = (
        text.replace("[untied, tied]", "[tuned, tied]")
        + "searches: {count: 2, trials: 2, seeds: 1, fresh: 2, precision: float32}\n"
    )
    file, packs = written(tmp_path, text), tmp_path / "packs"
    first = bench.reproduce(file, results=tmp_path / "a", packs=packs, jobs=1)
    assert first.whole
    assert first.arms == {"tied": (5, 5), "tuned": (4, 4)}
    assert len(reads) == 1  # the folder is read once, after all ran
    kept = json.loads((packs / "small.json").read_text())["searches"].values()
    assert sorted((one["arm"], one["search"], len(one["trials"])) for one in kept) == [("tuned", 1, 2), ("tuned", 2, 2)]
    assert all(set(trial[0]) >= {"adamw.lr"} and len(trial[1]) == 1 for one in kept for trial in one["trials"])
    again = bench.reproduce(file, results=tmp_path / "b", packs=packs, jobs=1)
    assert again.to_dict() == first.to_dict()
    assert not (tmp_path / "b" / "studies.journal").exists()


def test_a_short_run_in_the_folder_hides_none_of_the_pack(tmp_path: Path, command: Command, inline: None) -> None:
    file, packs = written(tmp_path), tmp_path / "packs"
    first = command("reproduce", file, "--results", tmp_path / "a", "--packs", packs, "--json")
    short = written(tmp_path, SMALL.replace("steps: 60", "steps: 20"), "short.yaml")
    assert command("reproduce", short, "--results", tmp_path / "b").code == 0
    again = command("reproduce", file, "--results", tmp_path / "b", "--packs", packs, "--no-run", "--json")
    assert again.json == first.json


def test_a_quick_run_touches_no_pack(tmp_path: Path, command: Command, inline: None) -> None:
    file, packs = written(tmp_path), tmp_path / "packs"
    assert command("reproduce", file, "--results", tmp_path / "a", "--packs", packs).code == 0
    before = (packs / "small.pack").read_bytes()
    assert command("reproduce", file, "--quick", "--results", tmp_path / "a", "--packs", packs).code == 0
    assert (packs / "small.pack").read_bytes() == before


def test_what_a_pack_had_stays_where_packing_is_interrupted(
    tmp_path: Path, command: Command, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    file, packs = written(tmp_path), tmp_path / "packs"
    assert command("reproduce", file, "--results", tmp_path / "a", "--packs", packs).code == 0
    before = {path: path.read_bytes() for path in packs.iterdir()}
    monkeypatch.setattr("bench.recipes.reproduce.pack", interrupted)
    more = written(tmp_path, SMALL.replace("seeds: 5", "seeds: 6"))
    assert command("reproduce", more, "--results", tmp_path / "a", "--packs", packs).code == 130
    assert {path: path.read_bytes() for path in packs.iterdir()} == before


@pytest.mark.parametrize("name", catalogue())
def test_a_quick_run_is_small_whatever_the_recipe(name: str) -> None:
    recipe = read_recipe(name)
    if recipe.measurement:
        return
    check_quick(recipe)
    for arm in recipe.arms:
        small = grid_of(recipe, arm, quick=True)
        assert small["seeds"] <= 2
        assert small.get("steps", 0) <= 20


def test_a_quick_key_goes_wherever_an_arm_has_it_and_must_be_somewhere() -> None:
    document = {"title": "t", "source": "s", "claims": [{"claim": "x", "arms": "a", "above": 1}]}
    arms = {"a": {"encoder": "onehot", "learner": "quadratic"}, "b": {"encoder": "onehot", "learner": "ridge"}}
    recipe = recipe_of("two", {**document, "arms": arms, "quick": {"learner.width": 8}})
    assert [grid_of(recipe, arm, quick=True).get("learner.width") for arm in arms] == [8, None]
    with pytest.raises(RequestError, match=r"quick has learner\.widht, which no arm has"):
        check_quick(recipe_of("two", {**document, "arms": arms, "quick": {"learner.widht": 8}}))


def test_two_commands_add_to_what_is_kept(tmp_path: Path) -> None:
    one, other = Kept.read([tmp_path / "k.json"]), Kept.read([tmp_path / "k.json"])
    one.observed["a"], other.observed["b"] = {"x": 1}, {"x": 2}
    one.write(tmp_path / "k.json")
    other.write(tmp_path / "k.json")
    assert Kept.read([tmp_path / "k.json"]).observed == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize("text", ["[]", '{"searches": 3}', '{"observed": {"a": 1}}', "{", '{"schema": 9}'])
def test_a_kept_file_of_another_kind_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "k.json").write_text(text)
    with pytest.raises(RequestError, match=r"k\.json"):
        Kept.read([tmp_path / "k.json"])


def test_searches_of_an_arm_have_seeds_of_their_own() -> None:
    searches = searches_of(read_recipe("muon-against-adamw"), quick=False)
    assert {one.number: one.request["first_seed"] for one in searches} == {1: 0, 2: 100, 3: 200}


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


def test_a_list_of_all_is_the_list(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "catalog").mkdir()
    for name in ("one.yaml", "two.yaml"):
        written(tmp_path / "catalog", name=name)
    monkeypatch.setattr("bench.recipes.recipe.CATALOG", tmp_path / "catalog")
    shown = [
        command("reproduce", "--list", *more, "--results", tmp_path / "a").out
        for more in ((), ("--all",), ("one", "two"), ("two",))
    ]
    assert shown[0] == shown[1] == shown[2]
    assert [("one" in text, "two" in text) for text in (shown[0], shown[3])] == [(True, True), (False, True)]


# The page


def test_a_quarrel_is_answered_by_the_claim_that_settles_it(tmp_path: Path, inline: None) -> None:
    text = SMALL.replace("title: Small", "title: Small\nquarrel: Is it so?").replace(
        "below: 60}", "below: 60, settles: {agrees: It is so, differs: It is not}}"
    )
    done = bench.reproduce(written(tmp_path, text), results=tmp_path / "a", jobs=1)
    assert answers(done)[0].startswith("Settled. It is so (tied: ")
    before = bench.reproduce(written(tmp_path, text), results=tmp_path / "b", run=False)
    assert answers(before) == [
        "Open: “The tied net memorizes within 60 steps.” is not run, since there are 0 of 5 runs of tied."
    ]


def test_an_open_quarrel_says_how_many_runs_would_settle_it(tmp_path: Path, inline: None) -> None:
    text = SMALL.replace("title: Small", "title: Small\nquarrel: Is it so?").replace(
        "below: 60}", "below: 60, settles: {agrees: It is so, differs: It is not}}"
    )
    done = bench.reproduce(written(tmp_path, text), results=tmp_path / "a", jobs=1)
    [one] = [one for one in done.compared if one.claim.settles]
    wide = replace(
        one, found=Quantity((5,), Estimate(55.0, 45.0, 65.0, 0.95), 55, 55), verdict=Verdict("undecided", "x")
    )
    assert answers(replace(done, compared=[wide]))[0].endswith(
        "since x. Some 20 runs an arm would settle it, if they scatter as these do and the median stays."
    )
    assert wide.found is not None
    open_end = replace(wide, found=replace(wide.found, estimate=Estimate(55.0, 45.0, None, 0.95)))
    assert answers(replace(done, compared=[open_end, wide]))[0].endswith(
        "More runs would settle it, or larger budgets."
    )


@pytest.mark.parametrize(
    ("low", "value", "high", "region", "times"),
    [
        (0.25, 0.5, 1.0, Region(0.7, math.inf), (math.log(2) / math.log(1.4)) ** 2),  # all but its upper end is outside
        (0.5, 1.0, 2.0, Region(0.8, 1.25), (math.log(2) / math.log(1.25)) ** 2),  # both ends are outside
        (0.5, 1.0, 2.0, Region(-math.inf, 1.0), None),  # the median lies on the limit
        (2.0, 3.0, 4.0, Region(-math.inf, 1.0), None),  # it is decided
    ],
)
def test_how_many_times_the_runs_would_decide(
    low: float, value: float, high: float, region: Region, times: float | None
) -> None:
    assert more_needed(Estimate(value, low, high, 0.9), region, ratio=True) == (times and pytest.approx(times))


def test_a_quantity_in_words() -> None:
    assert described(Quantity((5, 5), Estimate(2.0, 1.5, None, 0.9), 2.0, 2.0), "fold") == "× 2 (> 1.5; 90 %)"
    assert described(Quantity((5,), Estimate(None), 0.0, math.inf), "fold") == "unknown"
    assert described(Quantity((2,), Estimate(0.5), 0.5, 0.5), "share") == "50 %"
