"""Published figures: the file that ships with the package, and where they stand beside a ranking."""

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Finished
from records import Made, ending, stored

import bench
from bench.errors import RequestError
from bench.ranking import league, published
from bench.ranking.league import rank
from bench.ranking.published import READ, UNITS, Published, all_published
from bench.reports.page.league import league_data
from bench.specs import registry
from bench.specs.splits import PROTOCOLS

Command = Callable[..., Finished]
FIGURES = all_published()
SOURCE = (
    r"arXiv \d{4}\.\d{5}( \(.+\))?|doi:10\.\d+/\S+( \(.+\))?|github\.com/\S+/\S+( \(20\d\d\))?|"
    r".+ \(20\d\d\)|HTM forum, .+"
)

each = pytest.mark.parametrize("one", FIGURES, ids=lambda one: one.name)


def test_the_file_has_figures_of_different_names() -> None:
    assert len({one.name for one in FIGURES}) == len(FIGURES) > 20


@each
def test_a_figure_has_a_source_and_known_names(one: Published) -> None:
    assert re.fullmatch(SOURCE, one.source)
    assert one.read in READ
    assert one.task in registry.listings("task")
    assert one.pairs is None or one.pairs in PROTOCOLS
    assert one.crossing in (None, "first", "sustained")
    assert one.learner
    assert re.fullmatch(r"[a-z0-9-]+", one.name)
    assert one.differs == ()


@each
def test_a_figure_is_a_sane_number_in_a_known_unit(one: Published) -> None:
    assert one.unit in UNITS
    assert one.bound in ("", "above")
    values = [value for value in (one.value, one.low, one.high) if value is not None]
    assert values
    assert (one.low is None) == (one.high is None)
    assert values[1:] == sorted(values[1:])
    for value in values:
        assert 0 < value <= {"steps": 1e7, "epochs": 1e6, "fold": 1e3, "accuracy": 1}[one.unit]
    for share in (one.train_fraction, one.target):
        assert share is None or 0 < share <= 1
    assert one.modulus is None or 2 <= one.modulus < 1000
    assert one.task != "s5" or one.modulus is None
    assert isinstance(one.seeds, str) or one.seeds is None or one.seeds >= 1


def test_only_what_was_read_in_an_abstract_says_so() -> None:
    assert {one.name for one in FIGURES if one.read == "abstract"} == {"architecture"}
    [one] = [one for one in FIGURES if one.name == "architecture"]
    assert one.cited.endswith("its abstract alone was read")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"value": 100, "statistic": "median"}, "100 steps, median"),
        ({"value": 20_000, "bound": "above"}, "> 20,000 steps"),
        ({"low": 5300, "high": 5400}, "5,300–5,400 steps"),
        ({"value": 50, "low": 40, "high": 75}, "50 (40–75) steps"),
        ({"value": 1.11, "unit": "fold"}, "× 1.11"),
        ({"value": 0.994, "unit": "accuracy"}, "99.4%"),
        ({"value": 102.89, "unit": "epochs"}, "102.9 epochs"),
    ],
)
def test_figures_in_words(more: dict[str, float], text: str) -> None:
    assert (
        Published(**{"name": "a", "task": "add", "learner": "b", "unit": "steps", "source": "c", **more}).figure == text
    )


def records(**more: object) -> list[Made]:
    return [*ending("mlp", 0.5, 0.6, **more), *ending("ridge", 0.4, 0.3, **more)]


def test_only_figures_of_the_task_stand_below_it_those_of_its_modulus_first() -> None:
    found = rank(records=records(task="add", modulus=113), published=True).published
    assert found is not None
    assert {one.task for one in found} == {"add"}
    assert len(found) == sum(one.task == "add" for one in FIGURES)
    same = [one.modulus == 113 for one in found]
    assert same == sorted(same, reverse=True)
    assert any(same)
    assert rank(records=records(), published=False).published is None


def test_what_differs_is_what_the_ranking_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Published(
        name="a", task="add", learner="b", unit="steps", source="c", modulus=5, pairs="unordered", train_fraction=0.5,
        target=0.99, crossing="sustained", value=1, note="a note",
    )  # fmt: skip

    def differs(changed: Published, **asked: object) -> tuple[str, ...]:
        monkeypatch.setattr(published, "all_published", lambda: [changed])
        [found] = rank(records=records(), published=True, **asked).published or []  # type: ignore[arg-type]
        return found.differs

    assert differs(one) == ("a note",)
    other = replace(one, modulus=97, pairs="ordered", train_fraction=0.4, target=0.95, note="")
    assert differs(other) == ("mod 97", "ordered pairs", "40 % train", "target 95 %")
    assert differs(other, target=0.95, crossing="first") == (
        *("mod 97", "ordered pairs", "40 % train", "sustained crossing"),
    )
    assert differs(other, by="fraction") == ("mod 97", "ordered pairs", "target 95 %")
    unknown = replace(one, modulus=None, pairs=None, train_fraction=None, target=None, crossing=None, note="")
    assert differs(unknown) == ("not stated: modulus, pairs, fraction, target",)
    assert differs(replace(unknown, unit="accuracy", value=0.9)) == ("not stated: modulus, pairs, fraction",)


def test_every_form_shows_them_apart_from_the_rows(command: Command, tmp_path: Path) -> None:
    folder = stored(tmp_path, records())
    asked = ("rank", "--results", folder, "--published")
    text, markdown = command(*asked).out, command(*asked, "--format", "markdown").out
    document = command(*asked, "--json").json
    html = rank(results=str(folder), published=True)._repr_html_()
    page = league_data(rank(results=str(folder), published=True))["published"]
    for shown in (text, markdown, html):
        before, heading, after = shown.partition("Published, not ranked")
        assert heading
        assert "clock-codes" in after
        assert "99.4%" in after
        assert "clock-codes" not in before
        assert "have no rank" in " ".join(after.split())
    assert "| clock-codes | 99.4% |" in markdown
    assert page["title"] == "Published, not ranked"
    assert any(row[:2] == ["clock-codes", "99.4%"] for row in page["rows"])
    assert len(document["rows"]) == 2
    named = {one["name"]: one for one in document["published"]}
    assert named["clock-codes"]["source"].startswith("HTM forum")
    assert named["clock-codes"]["differs"][:2] == ["mod 97", "distinct pairs"]
    assert json.dumps(document)
    plain = command("rank", "--results", folder, "--json").json
    assert "published" not in plain
    assert "Published" not in command("rank", "--results", folder).out


def test_a_task_of_which_nothing_is_published(command: Command, tmp_path: Path) -> None:
    folder = stored(tmp_path, records(task="cube"))
    for form in ("table", "markdown"):
        out = command("rank", "--results", folder, "--published", "--format", form).out
        assert "No published figure of these tasks is listed." in out
    assert command("rank", "--results", folder, "--published", "--json").json["published"] == []


def test_names_from_the_file_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = replace(FIGURES[0], task="add", learner="<script>x</script>|", source="<b>")
    monkeypatch.setattr(league, "published_beside", lambda blocks, question: [hostile])
    html = rank(records=records(), published=True)._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html.replace("<caption><b>", "")


def test_a_report_has_them_and_names_the_option(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    folder = tmp_path / "records"
    folder.mkdir()
    stored(folder, records())
    text = bench.report(tmp_path / "report.md", results=str(folder), published=True).read_text("utf-8")
    assert "Published, not ranked" in text
    assert "| clock-codes |" in text
    assert "&gt;" in text or "> 400 steps" in text
    assert "--published" in text
    assert "Published" not in bench.report(tmp_path / "plain.md", results=str(folder)).read_text("utf-8")


def test_csv_and_pictures_take_no_published_figures(command: Command, tmp_path: Path) -> None:
    done = command("rank", "--results", stored(tmp_path, records()), "--published", "--format", "csv")
    assert (done.code, done.out) == (2, "")
    assert "--published does not go with --format csv" in done.error
    with pytest.raises(RequestError, match="`published` does not apply to the picture 'curves'"):
        bench.plot("curves", records=records(), published=True)


def test_the_wheel_has_the_file() -> None:
    """All of `bench` is packed: it is enough that the file lies in it and is not ignored."""
    root = Path(bench.__file__).parents[1]
    wheel = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert published.FILE.relative_to(root).parts[0] in wheel["packages"]
    ignored = [line.strip("/") for line in (root / ".gitignore").read_text().splitlines() if not line.startswith("#")]
    assert not any(published.FILE.match(pattern) for pattern in ignored)
