"""Files of recipes: what is refused and in which words, and what a command does with several recipes."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Finished

from bench.errors import RequestError
from bench.executors import count_gpus
from bench.ranking import all_published
from bench.recipes import Claim, Recipe, read_recipe
from bench.recipes.claims import OF_A_CLAIM
from bench.recipes.kept import Kept
from bench.recipes.measurements import evolution, images
from bench.recipes.measurements._fleets import Together, chosen_device
from bench.recipes.observations import measurement_of, observation_keys, observations_of, observe_arms
from bench.recipes.recipe import OF_A_RECIPE, OF_SEARCHES, Searches, recipe_of

Command = Callable[..., Finished]
Document = dict[str, Any]
ODD = [
    3,
    -1,
    2.5,
    True,
    "three",
    "",
    float("nan"),
    [1],
    [],
    [[1]],
    {},
    {"a": 1},
    {"x": [1]},
    {1: {2: 3}},
    [None],
    "1e3",
]


def sound() -> Document:
    """A recipe with all keys."""
    return {
        "title": "t",
        "source": "s",
        "setting": "x",
        "shared": {"modulus": 7, "encoder": "onehot", "learner": "quadratic", "steps": 40, "seeds": 5, "task": "add"},
        "arms": {"a": {}, "b": {"learner.tied": False}, "c": {"search": {"adamw.lr": "1e-2..1e-1:log"}}},
        "claims": [
            {"claim": "x", "arms": "a", "measure": "accuracy", "target": 0.95, "crossing": "first", "above": 0.5},
            {"claim": "y", "published": {"a": 100, "b": "clip-add"}, "within": 2, "where": {"task": "add"}},
            {"claim": "z", "arms": ["a", "b"], "below": 1, "why": "w", "settles": {"agrees": "yes", "differs": "no"}},
            {"claim": "v", "arms": ["a", "b"], "published": 2, "not_comparable": "another task"},
        ],
        "searches": {"count": 3, "trials": 2, "seeds": 1, "fresh": 2, "at_once": 2, "objective": "steps"},
        "quick": {"learner.width": 16},
        "picture": {"kind": "curves", "most": 5, "arms": ["a", "b"]},
        "curves": "all",
        "quarrel": "q?",
    }


def with_value(path: tuple[Any, ...], value: Any) -> Document:
    """The sound recipe with another value at a place."""
    document: Any = sound()
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return dict(document)


def refusal(document: Any) -> str:
    with pytest.raises(RequestError) as error:
        recipe_of("wrong", document)
    assert "\n" not in str(error.value)
    return str(error.value)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all values of a document."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def test_the_sound_recipe_is_sound() -> None:
    found = recipe_of("sound", sound())
    assert [one.arms for one in found.claims] == [("a",), ("a",), ("b",), ("a", "b"), ("a", "b")]
    assert found.claims[3].settles == {"agrees": "yes", "differs": "no"}
    assert found.path == ""


def test_each_field_has_a_form() -> None:
    assert {*OF_A_RECIPE, "name", "path"} == {*Recipe.__dataclass_fields__, "shared"}
    assert {*OF_A_CLAIM, "arms", "published", "rule"} == set(Claim.__dataclass_fields__)
    assert set(OF_SEARCHES) == set(Searches.__dataclass_fields__)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("title",), 3, "title must be text, got 3"),
        (("source",), ["s"], "source must be text, got ['s']"),
        (("claims",), 3, "claims must be a list, got 3"),
        (("claims", 0), "x", "claim 1 must be a mapping, got 'x'"),
        (("arms",), {True: {}}, "a key of arms must be text or a number, got True"),
        (("arms",), {1: {}, "1": {}}, "arms has a key twice"),
        (("arms", "a"), [1], "the arm a must be a mapping, got [1]"),
        (("arms", "a"), {"seeds": "two"}, "seeds of the arm a must be an integer ≥ 1, got 'two'"),
        (("shared", "seeds"), [1, 2], "seeds of the arm a must be an integer ≥ 1, got [1, 2]"),
        (("shared", "steps"), [100, 200], "steps of the arm a must be an integer ≥ 1, got [100, 200]"),
        (("shared", "task"), 3, "task of the arm a must be a name or a list of names, got 3"),
        (("arms", "c", "search"), 3, "search of the arm c must be a mapping from parameters to ranges, got 3"),
        (("arms", "c", "search"), {1: "1..2"}, "must be a mapping from parameters to ranges, got {1: '1..2'}"),
        (("arms", "c", "learner"), ["mlp", "ridge"], "learner of the arm c must be one name, got ['mlp', 'ridge']"),
        (("arms", "c", "optimizer"), 2.5, "optimizer of the arm c must be one name, got 2.5"),
        (("searches", "count"), "three", "count of searches must be an integer ≥ 1, got 'three'"),
        (("searches", "trials"), 0, "trials of searches must be an integer ≥ 1, got 0"),
        (("searches",), [1], "searches must be a mapping, got [1]"),
        (("quick",), [1], "quick must be a mapping, got [1]"),
        (("quick",), {"seeds": True}, "seeds of quick must be an integer ≥ 1, got True"),
        (("picture",), "curves", "picture must be a mapping, got 'curves'"),
        (("picture",), {"most": 5}, "picture has no kind"),
        (("picture", "kind"), "curvs", "Unknown picture 'curvs': did you mean 'curves'"),
        (("picture", "kind"), [1], "kind of picture must be text, got [1]"),
        (("picture", "arms"), ["d"], "Unknown arm 'd'"),
        (("picture", "mosst"), 3, "Unknown key of picture 'mosst': did you mean 'most'"),
        (("picture", "band"), "wide", "picture: Unknown band 'wide': it must be one of quartiles, range"),
        (("picture", "cost"), "steps", "cost does not apply to the picture 'curves', whose options are: most, band"),
        (("picture", "by"), "stepz", "picture: Unknown by 'stepz': did you mean 'steps'"),
        (("picture", "target"), 0.9, "picture: target must be one of 0.95, 0.99, got 0.9"),
        (("picture",), {"kind": "fraction", "by": "steps"}, "by does not apply to the picture 'fraction'"),
        (("picture",), {"kind": "importances"}, "The picture 'importances' shows a study alone"),
        (("picture",), {"kind": "spectrum"}, "The picture 'spectrum' shows one run alone"),
        (("picture", "most"), "many", "most of picture must be an integer ≥ 1, got 'many'"),
        (("curves",), "losses", "curves must be one of accuracy, all, got 'losses'"),
        (("measurement",), 3, "measurement must be text, got 3"),
        (("path",), "x.yaml", "Unknown key 'path'"),
        (("claims", 0, "measure"), [1], "claim 1, 'x': measure of the claim must be text, got [1]"),
        (("claims", 0, "target"), float("nan"), "target of the claim must be a finite number, got nan"),
        (("claims", 0, "above"), float("nan"), "above takes a number, got nan"),
        (("claims", 0, "abov"), 1, "claim 1, 'x': Unknown key of a claim 'abov': did you mean 'above'"),
        (("claims", 0, "published"), [1], "published must be a finite number, or words, got [1]"),
        (("claims", 0, "published"), float("inf"), "published must be a finite number, or words, got inf"),
        (("claims", 0, "published"), "clip-ad", "Unknown published figure 'clip-ad': did you mean 'clip-add'"),
        (("claims", 0, "published"), "Clip add", "did you mean 'clip-add'"),
        (("claims", 0, "published"), "1e3", "got the text '1e3'"),
        (("claims", 1, "published"), {}, "published must give numbers to arms, got {}"),
        (
            ("claims", 0, "published"),
            {"a": 3},
            "published gives numbers to arms, so that arms says nothing more, got 'a'",
        ),
        (("claims", 0, "arms"), ["a", "a"], "two different arms, got ['a', 'a']"),
        (("claims", 0, "arms"), [["a"]], "the name of an arm must be text or a number, got ['a']"),
        (("claims", 1, "where"), {"task": ["add"]}, "task of where must be text, a number or a truth value"),
        (("claims", 0, "settles"), True, "settles of the claim must be a mapping, got True"),
        (("claims", 2, "settles"), {"agrees": "yes"}, "settles has no differs"),
        (("claims", 2, "settles"), {"agrees": "yes", "differs": 3}, "differs of settles must be text, got 3"),
        (("claims", 2, "settles"), {"agree": "yes"}, "Unknown key of settles 'agree': did you mean 'agrees'"),
        (("claims", 3, "settles"), {"agrees": "a", "differs": "b"}, "not comparable settles nothing"),
        (("quarrel",), None, "settles a quarrel, but the recipe has no quarrel"),
    ],
)
def test_a_wrong_value_is_one_line(path: tuple[Any, ...], value: Any, said: str) -> None:
    assert said in refusal(with_value(path, value))


def test_searches_without_an_arm_that_is_tuned_are_refused() -> None:
    assert "no arm has a search" in refusal(with_value(("arms",), {"a": {}, "b": {}}))


@pytest.mark.parametrize("path", list(places(sound())))
def test_no_value_of_any_key_is_a_traceback(path: tuple[Any, ...]) -> None:
    for value in ODD:
        document, found, message = with_value(path, value), None, ""
        try:
            found = recipe_of("odd", document)
        except RequestError as error:
            message = str(error)
        assert "\n" not in message
        assert message or (found is not None and found.claims)


@pytest.mark.parametrize("value", [3, None, "x", [1], {"title": None}])
def test_a_document_that_is_no_recipe_is_one_line(value: Any) -> None:
    assert refusal(value).startswith(("a recipe must be a mapping", "it has no title"))


def test_names_of_figures_are_numbers_and_other_words_stay() -> None:
    for figure in all_published():
        assert recipe_of("one", with_value(("claims", 0, "published"), figure.name)).claims[0].published == figure.value
    for words in ("none", "no faster", "at once", "a few epochs"):
        assert recipe_of("one", with_value(("claims", 0, "published"), words)).claims[0].published == words


# Two arms of a share


@pytest.mark.parametrize("measure", ["accuracy", "best-accuracy", "solved"])
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"within": 1.5, "published": 0.5}, "within is a factor"),
        ({"above": 1}, "above is of the difference of two shares"),
        ({"below": -1.0}, "below is of the difference of two shares"),
        ({"between": [0.8, 1.25]}, "between is of the difference of two shares"),
        ({"above": 0, "published": 2}, "published is of the difference of two shares"),
    ],
)
def test_rules_of_a_ratio_do_not_apply_to_a_difference(measure: str, rule: Document, said: str) -> None:
    claim = {"claim": "x", "arms": ["a", "b"], "measure": measure, **rule}
    assert said in refusal(with_value(("claims", 0), claim))
    assert recipe_of("ratio", with_value(("claims", 0), claim | {"measure": "fraction"})).claims[0].rule is not None


def test_a_difference_has_ends_below_and_above_zero() -> None:
    claim = {"claim": "x", "arms": ["a", "b"], "measure": "solved", "between": [-1, 0.25], "published": -0.5}
    assert recipe_of("one", with_value(("claims", 0), claim)).claims[0].rule == (-1, 0.25)


# Measurements


def observed(**arm: Any) -> Recipe:
    """A recipe of a measurement with one arm."""
    claims = [{"claim": "x", "arms": "a", "measure": "accuracy", "above": 0}]
    document = {"title": "t", "source": "s", "measurement": "evolution", "arms": {"a": arm}, "claims": claims}
    return recipe_of("own", document | {"quick": {"modulus": 5, "width": 4}})


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"evaluations": "many"}, "evaluations of the arm a must be an integer, got 'many'"),
        ({"evaluations": 8, "lr": "fast"}, "lr of the arm a must be a finite number, got 'fast'"),
        ({"width": 8}, "the arm a has no evaluations, which the measurement evolution needs"),
        ({"evaluations": 8, "device": "cpu"}, "Unknown key of the measurement evolution 'device'"),
    ],
)
def test_an_arm_of_a_measurement_is_checked_before_anything_is_observed(arm: Document, said: str) -> None:
    with pytest.raises(RequestError) as error:
        measurement_of(observed(**arm))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"stps": 9}, "Unknown key of the measurement images 'stps': did you mean 'steps'"),
        ({"ema": 1}, "ema of the arm a must be true or false, got 1"),
        ({"together": "two"}, "together of the arm a must be an integer, got 'two'"),
    ],
)
def test_an_arm_of_a_fleet_is_checked_by_what_its_function_takes(arm: Document, said: str) -> None:
    claims = [Claim("x", ("a",), None, measure="accuracy")]
    with pytest.raises(RequestError) as error:
        measurement_of(Recipe("own", "t", "s", {"a": {"steps": 9, **arm}}, claims, measurement="images"))
    assert said in str(error.value)


def test_values_that_a_measurement_cannot_take_are_one_line() -> None:
    with pytest.raises(RequestError, match="steps must be an integer ≥ 1, got 0"):
        images.observe(seed=0, device="cpu", quick=True, steps=0)
    with pytest.raises(RequestError, match="together must be an integer ≥ 1, got 0"):
        Together(lambda seeds, **arm: [])(seed=0, device="cpu", quick=True, together=0)
    with pytest.raises(RequestError, match="learner cannot be chosen"):
        evolution.observe(seed=0, device="cpu", quick=True, evaluations=8, learner="mlp")
    with pytest.raises(RequestError, match="the arm a: Invalid learning rate"):
        observe_arms(observed(evaluations=2, lr=-1.0), True, ["a"], Kept(), "cpu", lambda text: None, lambda: None)


def test_a_quick_run_may_say_how_many_seeds_it_has() -> None:
    recipe = observed(evaluations=8, seeds=7)
    assert [len(observation_keys(recipe, quick)["a"]) for quick in (False, True)] == [7, 2]
    few = Recipe(**{**vars(recipe), "quick": {**recipe.quick, "seeds": 3}})
    assert [(seed, "seeds" in own) for _, seed, own in observation_keys(few, True)["a"]] == [
        (s, False) for s in range(3)
    ]


@pytest.mark.skipif(count_gpus() > 0, reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:3"])
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path, command: Command, name: str) -> None:
    with pytest.raises(RequestError, match="there is no GPU here"):
        chosen_device(name)
    where = ("--quick", "--device", name, "--results", tmp_path / "a")
    done = command("reproduce", "forum-without-gradients", *where, "--quiet")
    assert (done.code, "there is no GPU here" in done.error) == (2, True)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seconds": None}, "seconds must be a number ≥ 0, got None"),
        ({"device": None}, "device must be text, got None"),
        ({"accuracy": None}, "accuracy_until must be a finite number, got None"),
        ({"accuracy": "high"}, "accuracy must be a finite number, got 'high'"),
    ],
)
def test_an_observation_that_lacks_a_number_is_one_line(changed: Document, said: str) -> None:
    recipe = observed(evaluations=8, seeds=1)
    [(key, _, _)] = observation_keys(recipe, False)["a"]
    whole = {"accuracy": 0.5, "train_accuracy": 1.0, "evaluations": 8, "seconds": 1.0, "device": "cpu: x"}
    late = whole | {"evaluations": None, "evaluations_until": 8}
    assert observations_of(recipe, False, Kept(observed={key: late})) == {"a": [late]}
    assert observations_of(recipe, False, Kept()) == {"a": []}
    for damaged in (whole | changed, {k: v for k, v in whole.items() if k not in changed}, [1]):
        with pytest.raises(RequestError, match=rf"the observation {key} \(arm a, seed 0\) is damaged") as error:
            observations_of(recipe, False, Kept(observed={key: damaged}))  # type: ignore[dict-item]
    with pytest.raises(RequestError) as error:
        observations_of(recipe, False, Kept(observed={key: whole | changed}))
    assert said in str(error.value)


# Several recipes


SMALL: Document = {
    "title": "Small",
    "source": "nobody",
    "shared": {"modulus": 7, "encoder": "onehot", "learner": "quadratic", "learner.width": 16, "steps": 60, "seeds": 1},
    "arms": {"tied": {}, "untied": {"learner.tied": False}},
    "claims": [
        {"claim": "Above chance.", "arms": "tied", "measure": "accuracy", "above": 0},
        {"claim": "Faster.", "arms": ["untied", "tied"], "below": 1},
    ],
}


def written(folder: Path, name: str, **changed: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changed}, sort_keys=False))
    return path


def test_one_recipe_that_fails_does_not_end_the_others(tmp_path: Path, command: Command) -> None:
    files = [written(tmp_path, "first"), written(tmp_path, "wrong", shared={"stepps": 3}), written(tmp_path, "last")]
    page, where = tmp_path / "page.md", ("--no-run", "--results", tmp_path / "a")
    done = command("reproduce", *files, *where, "--page", page, "--json")
    assert done.code == 1
    first, wrong, last = done.json["recipes"]
    assert [(one["name"], "error" in one) for one in (first, wrong, last)] == [
        ("first", False),
        ("wrong", True),
        ("last", False),
    ]
    assert "Unknown key 'stepps'" in wrong["error"]
    assert done.err.strip() == f"Note: {wrong['error']}"
    assert [f"({name})=" in page.read_text() for name in ("first", "wrong", "last")] == [True, False, True]
    shown = command("reproduce", *files, *where)
    assert (shown.code, "first: Small" in shown.out, "last: Small" in shown.out) == (1, True, True)
    listed = command("reproduce", "--list", *files, "--results", tmp_path / "a")
    assert (listed.code, len(listed.out.splitlines()), "stepps" in listed.err) == (1, 3, True)


def test_an_interruption_keeps_what_is_done(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.recipes import reproduce

    made = reproduce.reproduce

    def interrupted(recipe: Recipe, **options: Any) -> Any:
        if recipe.name == "second":
            raise KeyboardInterrupt
        return made(recipe, **{**options, "run": False})

    monkeypatch.setattr(reproduce, "reproduce", interrupted)
    files, page = [written(tmp_path, name) for name in ("first", "second", "third")], tmp_path / "page.md"
    done = command("reproduce", *files, "--no-run", "--results", tmp_path / "a", "--page", page, "--json")
    assert (done.code, [one["name"] for one in done.json["recipes"]]) == (130, ["first"])
    assert "(first)=" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--list", "--page", "page.md"), "--list writes no page"),
        (("--list", "--no-run"), "--list runs nothing"),
        (("kernel", "--page", "missing/page.md"), "--page must be in a folder that exists"),
        (("kernel", "--page", "."), "is a directory"),
        (("kernel", "--packs", "file"), "--packs must be a folder that can be written to, got 'file'"),
        (("kernel", "--packs", "file/deeper"), "--packs must be a folder"),
        (("kernel", "--packs", "x" * 300), "--packs must be a folder"),
        (("kernel", "--no-run", "--packs", "file"), "--packs must be a folder that can be read"),
        (("small.yaml", "other/small.yaml"), "two recipes are named 'small'"),
    ],
)
def test_a_command_is_checked_before_anything_runs(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        written(folder, "small")
    done = command("reproduce", *arguments)
    assert (done.code, said in done.error) == (2, True), done.err
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_packs_that_cannot_be_written_are_refused_at_once(tmp_path: Path, command: Command) -> None:
    (tmp_path / "packs").mkdir(mode=0o500)
    done = command("reproduce", written(tmp_path, "small"), "--packs", tmp_path / "packs", "--results", tmp_path / "a")
    assert (done.code, "--packs must be a folder that can be written to" in done.error) == (2, True)


def test_a_list_of_quick_runs_counts_these(tmp_path: Path, command: Command) -> None:
    small = written(tmp_path, "small", shared={**SMALL["shared"], "seeds": 9})
    rows = [
        command("reproduce", "--list", *more, small, "--results", tmp_path / "a").out.split()[-1]
        for more in ((), ("--quick",))
    ]
    assert rows == ["18", "4"]


def test_a_recipe_knows_the_file_that_it_was_read_from(tmp_path: Path) -> None:
    small = written(tmp_path, "small")
    assert read_recipe(small).path == str(small)
    assert read_recipe("kernel").path == ""


def test_missing_runs_are_one_line_and_reasons_name_their_claims(
    tmp_path: Path, command: Command, inline: None
) -> None:
    small, where = written(tmp_path, "small"), ("--results", tmp_path / "a", "--quiet")
    before = command("reproduce", small, "--no-run", *where)
    assert [line for line in before.out.splitlines() if "missing" in line] == [
        "not run: runs of tied, untied are missing."
    ]
    after = command("reproduce", small, *where)
    assert after.code == 0, after.err
    assert (
        "undecided (tied; untied ÷ tied): there are too few runs, or too few that reach the target, for an interval."
        in after.out
    )
    claims = [*SMALL["claims"], {"claim": "Else.", "arms": "third", "below": 1}]
    more = written(tmp_path, "small", arms={**SMALL["arms"], "third": {"learner.width": 8}}, claims=claims)
    partly = command("reproduce", more, "--no-run", *where)
    assert "not run: runs of third are missing." in partly.out
    quick = command("reproduce", small, "--quick", "--no-run", *where)
    assert quick.out.count("not judged: a quick run checks the machinery") == 1


def test_documents_of_recipes_are_json(tmp_path: Path, command: Command) -> None:
    done = command("reproduce", written(tmp_path, "small"), "--no-run", "--results", tmp_path / "a", "--json")
    assert json.loads(done.out)["recipes"][0]["arms"] == {"tied": {"runs": 0, "of": 1}, "untied": {"runs": 0, "of": 1}}
