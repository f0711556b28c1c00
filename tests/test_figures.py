"""Pictures: a contract over every kind that is found, the numbers in them, and labels that would like to be markup."""

import json
import math
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browser_path
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from records import STEPS, Made, blocks, ending, run, solving
from scipy.stats import studentized_range

from bench import reports, showing
from bench.errors import RequestError
from bench.ranking import Question, Ranking, rank, statistics
from bench.reports.figures import _matplotlib, cost, curves, errors, fraction, heatmap, survival, weights
from bench.reports.figures._elements import Style, figure, line, log_axis
from bench.reports.figures._groups import groups_of, read
from bench.reports.figures._layout import laid_out
from bench.reports.figures._over_seeds import curve_of, gap_of
from bench.reports.figures._text import escaped, plain
from bench.showing.pictures import SOURCES

KINDS = sorted(reports.picture_kinds())
ADD = {"task": "add", "train_fraction": 0.5}
REQUESTS: dict[str, dict[str, Any]] = {
    "cost": ADD,
    "heatmap": ADD,
    "cd": {"train_fraction": 0.5},
    **{name: {"study": "one"} for name in ("history", "importances", "slices", "trials")},
    "pareto-front": {"study": "two"},
}
"""What a picture of the real folder is asked; nothing by default."""
HOSTILE = (
    "<script>window.hacked = 1</script><b>&amp;",
    "$x^2$ and $y$",
    "_hidden_ label",
    "漢字 и кириллица",
    "%{x} {y}",
)

Figure = dict[str, Any]


@pytest.fixture
def drawn(real: Path) -> Callable[[str], Figure]:
    """Draw a picture of the real folder."""

    def draw(kind: str) -> Figure:
        request = dict(REQUESTS.get(kind, {}))
        if SOURCES[reports.kind_of(kind).needs] == ("id",):
            request["id"] = next(run.id for run in rank(results=str(real), learner="quadratic").rows[0].runs)
        return showing.picture(kind, results=str(real), **request)

    return draw


def texts(figure: Figure) -> Iterator[str]:
    """Every string that a reader may see."""
    layout = figure["layout"]
    for trace in figure["data"]:
        for key in ("name", "text", "hovertext"):
            yield from strings(trace.get(key, ()))
    for name, axis in layout.items():
        if name[1:5] == "axis":
            yield from strings([axis["title"]["text"], axis.get("ticktext", ())])
    yield from strings([layout["title"]["text"], [one["text"] for one in layout["annotations"]]])


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    else:
        for one in value:
            yield from strings(one)


# The contract


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_one_json_document_with_named_axes_and_a_caption(drawn: Any, kind: str) -> None:
    picture = drawn(kind)
    assert json.loads(json.dumps(picture, allow_nan=False)) == picture
    layout = picture["layout"]
    assert picture["data"]
    assert layout["meta"]["title"]
    assert any(re.search(r"\bn = \d|\d+ of \d+ trials", line) for line in layout["meta"]["caption"])
    named = {axis["title"]["text"] for name, axis in layout.items() if name[1:5] == "axis"}
    assert len(named - {""}) >= (1 if kind in ("cd", "importances") else 2)
    for trace in picture["data"]:
        for letter in "xy":
            assert f"{letter}axis{trace.get(f'{letter}axis', letter)[1:]}" in layout


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_by_both_renderers(drawn: Any, kind: str, tmp_path: Path) -> None:
    picture = drawn(kind)
    for width, theme in ((800, "light"), (400, "dark")):
        shown = reports.as_plotly(picture, width, theme)  # plotly refuses what it does not know
        assert (shown.layout.width, len(shown.data)) == (width, len(picture["data"]))
    path = tmp_path / "picture.svg"
    reports.write_picture(picture, path, 400, "dark")
    first = path.read_bytes()
    reports.write_picture(picture, path, 400, "dark")
    assert path.read_bytes() == first
    assert b"<svg" in first
    assert b"dc:date" not in first


def test_every_kind_says_in_a_sentence_what_it_is() -> None:
    for kind in reports.picture_kinds().values():
        assert kind.summary.endswith(".")
        assert kind.module.draw.__doc__
        assert kind.needs in SOURCES
        assert kind.needs != "study" or kind.module.WANTS


def test_the_renderer_for_print_refuses_what_it_does_not_know() -> None:
    picture = laid_out(figure("", [], [{"type": "pie"}], xaxis={}, yaxis={}))
    with pytest.raises(ValueError, match=r"scatter, bar, heatmap, got 'pie'"), _matplotlib.settings():
        _matplotlib.render(picture)


def test_twenty_four_groups_are_told_apart() -> None:
    assert len({Style.of(place)[:2] for place in range(24)}) == 24


@pytest.mark.parametrize(
    ("width", "theme", "said"), [(200, "light", "`width` must be at least 320"), (800, "drak", "'dark'")]
)
def test_a_page_that_cannot_be(width: int, theme: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        laid_out(figure("", [], []), width, theme)


# Labels


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=60))
def test_text_is_shown_letter_by_letter(text: str) -> None:
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    assert plain(escaped(text)) == shown
    assert not set("<>$") & set(escaped(text))


def labelled(records: list[Made], label: str) -> list[Made]:
    return [{**record, "label": label} for record in records]


def hostile() -> list[Made]:
    """Five configurations whose labels are markup in some language, and a very long one."""
    labels = [*HOSTILE, "very " * 80 + "long"]
    found = [labelled(solving(f"learner-{place}", 300, 500), label) for place, label in enumerate(labels)]
    return [record for some in found for record in some]


RANKING_KINDS = [
    name for name, kind in reports.picture_kinds().items() if kind.needs == "ranking" and name not in ("cd", "weights")
]


@pytest.mark.parametrize("kind", RANKING_KINDS)
def test_hostile_labels_are_drawn_literally(kind: str) -> None:
    picture = laid_out(showing.picture(kind, records=hostile()), width=2000)
    seen = [plain(text).replace("\n", " ") for text in texts(picture)]
    for label in HOSTILE if kind != "heatmap" else ():
        assert any(label in text for text in seen), label
    for text in texts(picture):
        assert not re.search(r"<(?!/?(b|br|sup)>)", text)
        assert "$" not in text
    with _matplotlib.settings():
        page = _matplotlib.render(picture)
        page.draw_without_rendering()
    written = [text for text in page.findobj(Text) if text.get_text()]
    assert not any(text.get_parse_math() for text in written)
    if kind in ("curves", "survival", "fraction"):
        whole = " ".join(text.get_text() for text in written).replace("\n", " ")
        assert all(label in whole for label in HOSTILE)


def test_a_browser_shows_hostile_labels_and_runs_none(tmp_path: Path) -> None:
    browser = browser_path()
    path = tmp_path / "page.html"
    reports.write_picture(showing.picture("curves", records=hostile()), path)
    assert "<script>window.hacked" not in path.read_text("utf-8")
    probe = "<script>document.title = 'hacked: ' + (window.hacked || 'no')</script></body>"
    path.write_text(path.read_text("utf-8").replace("</body>", probe), "utf-8")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    done = subprocess.run(
        [browser, *options, "--virtual-time-budget=10000", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "<title>hacked: no</title>" in done.stdout
    assert "_hidden_ label" in done.stdout
    assert "&lt;script&gt;window.hacked" in done.stdout
    assert "$x^2$ and $y$" in done.stdout


def test_more_configurations_than_colours_are_left_out_and_counted() -> None:
    records = [record for place in range(9) for record in solving(f"learner-{place}", 100 * place + 100)]
    picture = showing.picture("curves", records=records)
    assert any("6 of 9 configurations are drawn" in line for line in picture["layout"]["meta"]["caption"])
    assert len(picture["layout"]["annotations"]) == 6
    assert len(showing.picture("curves", records=records, most=9)["layout"]["annotations"]) == 9
    with pytest.raises(RequestError, match="`most` must be an integer ≥ 1, got 0"):
        showing.picture("curves", records=records, most=0)


# Numbers over seeds


def runs_of(records: list[Made], **request: Any) -> Any:
    [group] = groups_of(rank(records=records, **request)).members
    return group.runs


def trained(record: Made, accuracies: list[float | None]) -> Made:
    record["curve"]["train_accuracy"] = accuracies
    return record


def test_the_line_is_the_median_over_seeds_and_the_band_its_quartiles() -> None:
    values_NT = np.random.default_rng(0).random((5, len(STEPS)))
    runs = runs_of([run("mlp", seed, list(values)) for seed, values in enumerate(values_NT.tolist())])
    found = curve_of(runs, "test", Question())
    assert found.steps_T.tolist() == list(STEPS)
    ordered_NT = np.sort(values_NT, axis=0)
    assert found.middle_T == pytest.approx(ordered_NT[2])
    assert found.low_T == pytest.approx(ordered_NT[1])  # of five runs the second, and the fourth
    assert found.high_T == pytest.approx(ordered_NT[3])
    whole = curve_of(runs, "test", Question(), (0, 100))
    assert whole.low_T == pytest.approx(ordered_NT[0])
    assert whole.high_T == pytest.approx(ordered_NT[4])
    until = curve_of(runs, "test", Question(horizon=300))
    assert until.steps_T.tolist() == [100, 200, 300]


def test_the_figure_has_the_line_and_the_band_of_the_numbers() -> None:
    records = [run("mlp", seed, [0.1 * seed + s / 2000 for s in STEPS]) for seed in range(4)]
    data = showing.picture("curves", records=records)["data"]
    band = next(trace for trace in data if trace.get("fill") == "toself")
    solid = next(
        trace
        for trace in data
        if trace["mode"] == "lines" and trace["line"]["dash"] == "solid" and len(trace["x"]) == 10
    )
    values_NT = np.array([record["curve"]["test_accuracy"] for record in records])
    low_T, middle_T, high_T = np.percentile(values_NT, [25, 50, 75], axis=0)
    assert solid["y"] == pytest.approx(middle_T.tolist())
    assert band["x"] == [*STEPS, *reversed(STEPS)]
    assert band["y"] == pytest.approx([*low_T, *reversed(high_T)])


def test_between_its_evaluations_and_after_its_end_a_run_shows_its_last_one() -> None:
    records = [run("mlp", 0, [0.1, 0.2, 0.4, 0.8], steps=(1, 2, 4, 8)), run("mlp", 1, [0.5, 0.6, 0.7], steps=(1, 3, 9))]
    found = curve_of(runs_of(records), "test", Question())
    assert found.steps_T.tolist() == [1, 2, 3, 4, 8, 9]
    one, other = [0.1, 0.2, 0.2, 0.4, 0.8, 0.8], [0.5, 0.5, 0.6, 0.6, 0.6, 0.7]
    assert found.middle_T == pytest.approx([(a + b) / 2 for a, b in zip(one, other, strict=True)])
    caption = showing.picture("curves", records=records)["layout"]["meta"]["caption"]
    assert "1 run ended before others of the same configuration: the last value is carried on." in caption


def test_a_diverged_run_counts_as_zero_from_there_on_and_a_gap_stays_a_gap() -> None:
    diverged = run("mlp", 0, [0.9, 0.8, None, None], steps=STEPS[:4], status="diverged", budget=1000)  # type: ignore[list-item]
    found = curve_of(runs_of([diverged]), "test", Question())
    assert found.middle_T.tolist() == [0.9, 0.8, 0.0, 0.0]
    unknown = trained(run("mlp", 0, [0.1, 0.2] + [0.3] * 8), [None] * 10)
    assert np.isnan(curve_of(runs_of([unknown]), "train", Question()).middle_T).all()
    picture = showing.picture("curves", records=[unknown])
    assert json.dumps(picture, allow_nan=False)


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    steps = range(1, 5001)
    found = curve_of(runs_of([run("mlp", 0, [s / 5000 for s in steps], steps=steps)]), "test", Question())
    assert 100 < len(found.steps_T) <= 400
    assert (found.steps_T[0], found.steps_T[-1]) == (1, 5000)
    assert found.middle_T == pytest.approx(found.steps_T / 5000)


def grokking(*seeds: tuple[int, int | None]) -> list[Made]:
    """Runs that memorize at a step, and generalize at a later one or never."""
    records = solving("mlp", *(later for _, later in seeds))
    return [
        trained(r, [1.0 if s >= first else 0.3 for s in STEPS]) for r, (first, _) in zip(records, seeds, strict=True)
    ]


def marks(picture: Figure) -> dict[str, list[float]]:
    """Where the marks below the curves stand, by their symbols."""
    found = (trace for trace in picture["data"] if trace.get("xaxis") == "x2" and "markers" in trace["mode"])
    return {trace["marker"]["symbol"]: trace["x"] for trace in found if trace["marker"]["size"] == 10}


def test_marks_stand_where_the_middle_seed_memorizes_and_generalizes() -> None:
    records = grokking((100, 400), (200, 500), (300, None))
    gap = gap_of(runs_of(records), Question())
    assert (gap.memorized, gap.generalized, gap.doubt) == (200, 500, "")
    picture = showing.picture("curves", records=records)
    assert marks(picture) == {"circle-open": [200], "circle": [500]}
    assert picture["layout"]["annotations"][0]["text"].endswith("n = 3 · 200 → 500 (× 2.5)")


def test_marks_say_what_is_not_reached_or_not_confirmed() -> None:
    picture = showing.picture("curves", records=grokking((100, 400), (200, None), (300, None)))
    assert marks(picture) == {"circle-open": [200], "triangle-right": [1000]}
    assert picture["layout"]["annotations"][0]["text"].endswith("200 → not reached")
    picture = showing.picture("curves", records=grokking((100, 800), (200, 900), (300, None)))
    assert picture["layout"]["annotations"][0]["text"].endswith("200 → unconfirmed")
    first = showing.picture("curves", records=grokking((100, 800), (200, 900), (300, None)), crossing="first")
    assert marks(first)["circle"] == [900]


def test_a_learner_without_steps_is_a_level_line() -> None:
    closed = [run("ridge", seed, [0.5 + seed / 10], steps=(0,), budget=0) for seed in range(3)]
    picture = showing.picture("curves", records=[*closed, *solving("mlp", 300)])
    level = next(
        trace for trace in picture["data"] if trace["y"] and set(trace["y"]) == {0.6} and trace["mode"] == "lines"
    )
    assert (level["x"][0], level["x"][-1]) == (100, 1000)
    assert any("takes no steps: train 60.0%, test 60.0%" in one["text"] for one in picture["layout"]["annotations"])
    for kind in ("curves", "survival"):
        with pytest.raises(RequestError, match="steps"):
            showing.picture(kind, records=closed)


def test_one_seed_is_called_one_seed() -> None:
    for kind in ("curves", "survival", "heatmap", "cost", "fraction"):
        caption = " ".join(showing.picture(kind, records=solving("mlp", 300))["layout"]["meta"]["caption"])
        assert "n = 1" in caption
        assert "band" not in caption


def test_failed_records_are_counted_and_alone_are_one_line() -> None:
    failed = [run("mlp", seed, [], steps=(), status="failed") for seed in (7, 8)]
    picture = showing.picture("curves", records=[*solving("mlp", 300, 400), *failed])
    assert "Not drawn: 2 runs that failed before an evaluation." in picture["layout"]["meta"]["caption"]
    for kind in RANKING_KINDS:
        with pytest.raises(RequestError, match=r"evaluated|accuracy"):
            showing.picture(kind, records=failed)


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    for kind in RANKING_KINDS:
        with pytest.raises(RequestError, match="There are no records"):
            showing.picture(kind, results=str(tmp_path))


# Survival


def test_kaplan_meier_of_a_known_example() -> None:
    """Remission of leukaemia under 6-mercaptopurine, weeks: Freireich et al. 1963, as in Kalbfleisch and Prentice."""
    told = [
        "6",
        "6",
        "6",
        "6+",
        "7",
        "9+",
        "10",
        "10+",
        "11+",
        "13",
        "16",
        "17+",
        "19+",
        "20+",
        "22",
        "23",
        "25+",
        "32+",
        "32+",
        "34+",
        "35+",
    ]
    found = statistics.kaplan_meier([int(t.rstrip("+")) for t in told], [not t.endswith("+") for t in told])
    shares = dict(zip(found.at_K.tolist(), found.share_K.round(3).tolist(), strict=True))
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448, 35: 0.448}
    assert {week: shares[week] for week in published} == published
    inside = ~np.isnan(found.low_K)
    assert (found.low_K <= found.share_K)[inside].all()
    assert (found.share_K <= found.high_K)[inside].all()


def test_kaplan_meier_by_hand() -> None:
    """S = (1 − 1/4) (1 − 1/2) (1 − 1/1): of four, one leaves without an event after the first."""
    found = statistics.kaplan_meier([10, 15, 20, 30], [True, False, True, True])
    assert found.share_K.tolist() == pytest.approx([0.75, 0.75, 0.375, 0.0])
    with pytest.raises(ValueError, match="kaplan_meier takes"):
        statistics.kaplan_meier([1.0, math.inf], [True, True])


def times(records: list[Made], **question: Any) -> survival.Times:
    asked = Question(**question)
    return survival.times_of(read(runs_of(records), asked, "steps"), "steps")


def test_an_unconfirmed_crossing_is_neither_an_event_nor_censored_there() -> None:
    found = times(solving("mlp", 300, None, 800))
    assert found.lost == [(300, True), (1000, False), (1000, False)]
    assert found.kept == [(300, True), (1000, False), (800, True)]
    assert times(solving("mlp", 300, None, 800), crossing="first").lost == [(300, True), (1000, False), (800, True)]
    lost_again = times(solving("mlp", 300, held=False))
    assert lost_again.lost == lost_again.kept == [(1000, False)]


def test_who_stops_early_is_censored_there_and_who_diverges_at_the_end_of_its_budget() -> None:
    stopped = run("mlp", 0, [0.2] * 3, steps=STEPS[:3], status="timeout", budget=1000)
    diverged = run("mlp", 1, [0.2, 0.2, None], steps=STEPS[:3], status="diverged", budget=1000)  # type: ignore[list-item]
    assert times([stopped, diverged]).lost == [(300, False), (1000, False)]


def test_the_survival_picture_has_the_estimate_and_its_ticks() -> None:
    records = [
        *solving("mlp", 100, 300, None),
        run("mlp", 3, [0.2] * 5, steps=STEPS[:5], status="timeout", budget=1000),
    ]
    data = showing.picture("survival", records=records)["data"]
    drops = next(trace for trace in data if trace["mode"] == "markers" and trace["marker"]["symbol"] == "circle")
    assert (drops["x"], drops["y"]) == ([100, 300], pytest.approx([0.75, 0.5]))
    ticks = next(trace for trace in data if trace["mode"] == "markers" and trace["marker"]["symbol"] == "line-ns-open")
    assert sorted(ticks["x"]) == [500, 1000]
    assert ticks["y"] == pytest.approx([0.5, 0.5])
    assert data[-1]["name"] == "onehot → mlp · n = 4: 2 solved"


# Other pictures


def test_the_pareto_front_has_what_no_other_beats() -> None:
    def at(cost_of: float, accuracy: float) -> cost.Point:
        return cost.Point(None, 1, cost_of, statistics.Estimate(accuracy))  # type: ignore[arg-type]

    points = [at(1, 0.1), at(2, 0.5), at(2, 0.4), at(3, 0.5), at(4, 0.9), at(9, 0.2)]
    assert cost.pareto_front(points) == [at(1, 0.1), at(2, 0.5), at(4, 0.9)]
    for point in points:
        beaten = any(
            other.cost <= point.cost
            and (other.accuracy.value or 0) >= (point.accuracy.value or 0)
            and other[2:] != point[2:]
            for other in points
        )
        assert (point in cost.pareto_front(points)) is not beaten


def test_cost_is_the_median_at_the_end_of_each_budget() -> None:
    cheap, dear = ending("knn", 0.2, 0.4, 0.3, seconds=2.0), ending("mlp", 0.9, 0.8, 0.7, seconds=6.0)
    data = showing.picture("cost", records=[*cheap, *dear])["data"]
    named = {trace["name"]: (trace["x"], trace["y"]) for trace in data if trace["mode"] == "markers+text"}
    assert named == {
        "1 · onehot → knn · 30.0% for 2s, n = 3": ([2.0], [0.3]),
        "2 · onehot → mlp · 80.0% for 6s, n = 3": ([6.0], [0.8]),
    }
    steps = showing.picture("cost", records=[*cheap, *dear], cost="steps")
    assert steps["layout"]["xaxis"]["title"]["text"] == "steps (optimizer updates)"
    with pytest.raises(RequestError, match="Unknown `cost` 'dollars'"):
        showing.picture("cost", records=cheap, cost="dollars")


def test_a_label_that_is_shortened_is_whole_under_the_pointer() -> None:
    records = [run("mlp", seed) | {"label": f"onehot → mlp(alpha={'x' * 30})"} for seed in range(2)]
    drawn = showing.picture("curves", records=records)
    [given] = [one for one in drawn["layout"]["annotations"] if one["name"] == "label"]
    narrow, wide = (
        next(one for one in laid_out(drawn, width)["layout"]["annotations"] if one["name"] == "label")
        for width in (400, 1100)
    )
    assert "…" in narrow["text"]
    assert plain(narrow["hovertext"]).replace("\n", "").replace(" ", "") == given["text"].replace(" ", "")
    assert plain(wide["text"]) == given["text"]
    assert "hovertext" not in wide


def test_learners_without_steps_are_told_apart_in_a_narrow_picture() -> None:
    records = [one for learner in ("ridge", "knn") for one in ending(learner, 0.5, 0.5, encoder="phasor+product")]
    for one in records:
        one |= {"curve": {name: values[-1:] for name, values in one["curve"].items()}}
        one["budget"]["steps"] = one["curve"]["step"][0] = one["final"]["step"] = 0
    drawn = laid_out(showing.picture("curves", records=[*records, *solving("mlp", 100, 200)]), 400)
    labels = [plain(one["text"]) for one in drawn["layout"]["annotations"] if one["name"] == "label"]
    for learner in ("ridge", "knn"):
        assert any(learner in label and "n = 2" in label for label in labels)


def test_one_configuration_whose_seeds_are_alike_is_drawn_without_a_warning(tmp_path: Path) -> None:
    alike = [run("mlp", seed, [0.0] * len(STEPS), seconds=0.0009049813343153801) for seed in range(6)]
    reports.write_picture(showing.picture("cost", records=alike), tmp_path / "cost.png")
    assert (tmp_path / "cost.png").stat().st_size > 1000


def test_a_cell_of_the_heat_map_is_the_best_median_of_its_configurations() -> None:
    wide = ending("mlp", 0.9, 0.8, 0.1)
    for record in wide:
        record["spec"]["learner"]["width"] = 9
    records = [*ending("mlp", 0.2, 0.3, 0.4), *wide, *ending("knn", 0.5, encoder="cycle")]
    ranking = rank(records=records)
    cells = heatmap.cells_of(groups_of(ranking).members, ranking)
    assert {key: (cell.accuracy, cell.n, cell.configurations) for key, cell in cells.items()} == {
        ("onehot", "mlp"): (0.8, 3, 2),
        ("cycle", "knn"): (0.5, 1, 1),
    }
    trace = showing.picture("heatmap", records=records)["data"][0]
    assert trace["z"] == [[0.8, None], [None, 0.5]]
    assert trace["text"] == [["80.0", ""], ["", "50.0"]]
    with pytest.raises(RequestError, match="A heat map is of one task"):
        showing.picture("heatmap", records=[*records, *ending("mlp", 0.5, task="cube")])


def test_little_data_has_a_point_for_each_share() -> None:
    records = [
        *solving("mlp", 300, 500, 400, train_fraction=0.5),
        *solving("mlp", 300, None, None, train_fraction=0.3),
        *solving("mlp", None, None, 900, train_fraction=0.1),
    ]
    ranking: Ranking = rank(records=records, by="fraction")
    points = fraction.points_of(ranking.rows[0].runs, ranking.question)
    assert [(p.share, p.n, p.accuracy.value, p.steps, p.doubt) for p in points] == [
        (0.1, 3, 0.2, math.inf, ""),
        (0.3, 3, 0.2, math.inf, ""),
        (0.5, 3, 1.0, 400, ""),
    ]
    data = showing.picture("fraction", records=records)["data"]
    beyond = next(
        trace for trace in data if trace["mode"] == "markers" and trace["marker"]["symbol"] == "triangle-up-open"
    )
    assert beyond["x"] == [0.1, 0.3]


def test_little_data_that_nobody_generalizes_from_has_one_pair_of_axes() -> None:
    picture = showing.picture("fraction", records=solving("mlp", None, None, 900, train_fraction=0.3))
    assert "yaxis2" not in picture["layout"]
    assert "With no share is it confirmed for half of the seeds that 99 % of the test pairs" in str(picture)


def test_grey_bars_join_what_nemenyis_test_does_not_tell_apart() -> None:
    """Its p-value is the tail of the studentized range at |Rᵢ − Rⱼ| / √(M (M + 1) / 12 B)."""
    tasks = ("add", "cube", "quad", "subtract", "cube-y", "sum-of-squares")
    scores = {name: [0.9 - 0.1 * place] * 6 for place, name in enumerate("abcde")}
    scores["a"][0], scores["b"][0] = scores["b"][0], scores["a"][0]
    ranking = rank(records=blocks(tasks, **scores), blocks=True)
    comparison = ranking.comparison
    assert comparison is not None
    means = [float(np.mean(ranks)) for ranks in comparison.ranks]
    m, b = len(means), len(comparison.blocks)
    scale = (m * (m + 1) / (12 * b)) ** 0.5
    alike = [[bool(studentized_range.sf(abs(x - y) / scale, m, np.inf) > 0.05) for y in means] for x in means]
    for i in range(m):
        for j in range(m):
            assert alike[i][j] == (i == j or any({i, j} <= set(group) for group in comparison.groups))
    data = reports.draw_picture(reports.kind_of("cd"), ranking)["data"]
    bars = [trace["x"] for trace in data if trace.get("line", {}).get("width") == 5]
    assert bars == [[means[group[0]], means[group[-1]]] for group in comparison.groups if len(group) > 1]
    assert [trace["x"][0] for trace in data if trace["mode"] == "markers"] == means


def table(predicted: list[int], trained_on: list[bool]) -> errors.Predictions:
    pairs = np.array([[0, 0], [0, 1], [1, 1]])
    return errors.Predictions("", pairs, np.array([0, 1, 0]), np.array(predicted), np.array(trained_on), 2, 2)


def test_errors_by_pair_and_by_answer() -> None:
    found = table([0, 0, 1], [True, False, False])
    assert errors.kinds_of(found).tolist() == [errors.TRAINED, errors.WRONG, errors.WRONG]
    assert [counts.tolist() for counts in errors.wrong_by_answer(found)] == [[1, 1], [1, 1]]
    picture = errors.draw(found)
    assert picture["data"][0]["z"] == [[0, 2], [None, 2]]
    assert "2 wrong (100.0%)" in picture["layout"]["meta"]["caption"][0]
    assert errors.kinds_of(table([1, 1, 0], [True, False, False])).tolist() == [
        errors.TRAINED_WRONG,
        errors.RIGHT,
        errors.RIGHT,
    ]
    with pytest.raises(RequestError, match="no held-out pairs"):
        errors.draw(table([0, 1, 0], [True] * 3))


def test_weights_are_medians_of_what_the_records_keep(real: Path) -> None:
    ranking = rank(results=str(real), learner="quadratic", train_fraction=0.5)
    paths = [real / f"{run.id}.json" for run in ranking.rows[0].runs]
    kept = np.array([json.loads(path.read_text())["curve"]["weight_norm"] for path in paths])
    data = weights.draw(ranking)["data"]
    drawn = next(trace for trace in data if trace["mode"] == "lines" and "fill" not in trace)
    assert drawn["y"] == pytest.approx(np.median(kept, axis=0).tolist(), rel=1e-4)
    with pytest.raises(RequestError, match="No run here has its weight norm"):
        weights.draw(rank(results=str(real), learner="ridge", task="add"))


def test_a_logarithmic_axis_has_ticks_however_short_it_is() -> None:
    assert log_axis("", 1, 1000)["dtick"] == 1
    short = log_axis("", 30, 31)
    assert short["dtick"] == "D2"
    assert short["range"][1] - short["range"][0] >= 0.7
    page = figure("", [], [line([30, 31], [0, 1], "#000000")], xaxis=short, yaxis={"title": {"text": ""}})
    with _matplotlib.settings():
        drawn = _matplotlib.render(laid_out(page))
        drawn.draw_without_rendering()
        ticks = [label.get_text() for label in drawn.axes[0].get_xticklabels()]
    assert {"20", "50"} <= set(ticks)


def test_names_below_a_narrow_heat_map_are_turned() -> None:
    picture = showing.picture("heatmap", records=[r for n in range(8) for r in ending(f"long-learner-{n}", 0.5)])
    assert laid_out(picture, 400)["layout"]["xaxis"]["tickangle"] < 0
    assert "tickangle" not in laid_out(picture, 1600)["layout"]["xaxis"]


def test_curves_takes_a_band_by_name() -> None:
    with pytest.raises(RequestError, match="Unknown `band` 'deviation'"):
        showing.picture("curves", records=solving("mlp", 300), band="deviation")
    assert set(curves.BANDS) == {"quartiles", "range"}


def test_an_unsolved_configuration_points_on_from_its_own_last_step() -> None:
    short = [run("knn", seed, [0.2] * 4, steps=STEPS[:4]) for seed in range(2)]
    picture = showing.picture("curves", records=[*solving("mlp", 300), *short])
    assert marks(picture)["triangle-right"] == [400]


def test_a_horizon_before_the_first_evaluation_is_one_line() -> None:
    with pytest.raises(RequestError, match="no evaluation after step 0 up to the horizon"):
        showing.picture("curves", records=solving("mlp", 300), horizon=1)


def test_little_data_of_learners_without_steps_has_one_pair_of_axes() -> None:
    closed = [
        run("ridge", seed, [0.5], steps=(0,), budget=0, train_fraction=f) for seed in range(2) for f in (0.3, 0.5)
    ]
    layout = showing.picture("fraction", records=closed)["layout"]
    assert "yaxis2" not in layout
    assert layout["xaxis"]["title"]["text"] == "share of the pairs that train"
