"""Rows beside a baseline: the interval against brute force and by hand, which row is meant, and where it is shown."""

import csv
import io
import itertools
import json
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Finished
from records import STEPS, Made, blocks, ending, run, solving, stored
from scipy import stats

import bench
from bench.errors import RequestError
from bench.ranking.baseline import against_text
from bench.ranking.league import Ranking, rank
from bench.ranking.rows import Against
from bench.ranking.statistics import FEWEST, Bounds, hodges_lehmann, mann_whitney, shift_interval
from bench.ranking.statistics.shifts import MOST_COUNTED
from bench.recipes.measurements.coverage import EQUAL_ROWS, baseline_line
from bench.reports.page.league import league_data

Command = Callable[..., Finished]
INF = math.inf


def known(*values: float) -> Bounds:
    x = np.array(values, float)
    return Bounds(x, x)


def against(ranking: Ranking, learner: str) -> Against:
    [row] = [row for row in ranking.rows if row.learner == learner]
    assert row.against is not None
    return row.against


# --- statistics


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (3, 3), (4, 5), (5, 5)])
def test_the_null_distribution_is_counted_over_all_orders(n: int, m: int) -> None:
    counts = [0] * (n * m + 1)
    for chosen in itertools.combinations(range(n + m), n):
        counts[sum(place - number for number, place in enumerate(chosen))] += 1
    total = math.comb(n + m, n)
    assert mann_whitney(n, m).tolist() == pytest.approx([float(Fraction(count, total)) for count in counts])


def test_the_null_distribution_is_that_of_scipy_and_symmetric() -> None:
    p = mann_whitney(20, 17)
    assert p.sum() == pytest.approx(1)
    assert p.tolist() == pytest.approx(p[::-1].tolist())
    x, y = np.arange(20) * 1.0, np.arange(17) + 3.5
    found = stats.mannwhitneyu(x, y, method="exact", alternative="less")
    assert p[: int(found.statistic) + 1].sum() == pytest.approx(found.pvalue)


def test_where_pairs_are_too_many_to_be_counted_the_normal_distribution_says_the_same() -> None:
    """On both sides of the border the k-th difference is the same share of all, and the level is 95 %."""
    rng, widths = np.random.default_rng(0), []
    x, y = rng.standard_normal(101), rng.standard_normal(101)
    for n in (100, 101):
        assert (n * n > MOST_COUNTED) == (n == 101)
        found = shift_interval(known(*x[:n]), known(*y[:n]))
        assert found.level == pytest.approx(0.95, abs=1e-3)
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[0] == pytest.approx(widths[1], rel=0.02)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 9), (8, 6)])
def test_the_interval_is_what_the_test_does_not_reject(n: int, m: int) -> None:
    """Brute force: scipy's exact test at shifts on both sides of each end."""
    rng = np.random.default_rng(n * m)
    for _ in range(20):
        x, y = rng.standard_normal(n), rng.standard_normal(m) + 1
        found = shift_interval(known(*x), known(*y))
        assert found.low is not None
        assert found.high is not None
        for end, inwards in ((found.low, 1), (found.high, -1)):
            inside, outside = (
                stats.mannwhitneyu(x - (end + step * inwards * 1e-9), y, method="exact").pvalue for step in (1, -1)
            )
            assert outside <= 0.05 < inside
        assert found.level == pytest.approx(1 - stats.mannwhitneyu(x - found.low + 1e-9, y, method="exact").pvalue)


def test_five_against_five_by_hand() -> None:
    """Of 252 orders 4 have U < 3: the third of the 25 differences from either end, at 1 − 2 · 4 / 252."""
    x, y = known(0, 10, 20, 30, 40), known(1, 2, 3, 4, 5)
    found = shift_interval(x, y)
    assert (found.low, found.high) == (-3, 37)
    assert found.level == pytest.approx(1 - 8 / 252)
    assert hodges_lehmann(x, y) == (17, 17)


@pytest.mark.parametrize("n", range(1, FEWEST))
def test_below_five_runs_on_either_side_there_is_no_interval(n: int) -> None:
    few, enough = known(*range(n)), known(*range(9))
    assert shift_interval(few, enough).level is None
    assert shift_interval(enough, few).level is None
    assert hodges_lehmann(few, enough) == ((n - 1) / 2 - 4,) * 2


def spans(rng: np.random.Generator, n: int) -> Bounds:
    """Values of which some are known to lie above a bound only, and some between two numbers."""
    low = rng.integers(0, 9, n).astype(float)
    return Bounds(low, low + rng.choice([0.0, 0.0, 2.0, INF], n))


def test_swapped_rows_have_the_ends_swapped_and_turned() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        x, y = spans(rng, int(rng.integers(5, 9))), spans(rng, int(rng.integers(5, 9)))
        one, other = shift_interval(x, y), shift_interval(y, x)
        assert (one.low, one.high) == tuple(None if e is None else -e for e in (other.high, other.low))
        assert one.level == other.level
        assert hodges_lehmann(x, y) == tuple(-e for e in hodges_lehmann(y, x)[::-1])


def test_bounds_hold_the_interval_of_all_values_that_are_possible() -> None:
    """Whatever the censored runs turn out to be, their own interval lies within, and its ends are attained."""
    rng = np.random.default_rng(4)
    for _ in range(100):
        x, y = spans(rng, 6), spans(rng, 6)
        whole, least, most = shift_interval(x, y), *hodges_lehmann(x, y)
        for _ in range(20):
            drawn = [known(*np.where(rng.random(6) < 0.5, b.low, np.minimum(b.high, b.low + 50))) for b in (x, y)]
            found, (value, _) = shift_interval(*drawn), hodges_lehmann(*drawn)
            assert found.low is not None
            assert found.high is not None
            assert whole.low is None or whole.low <= found.low
            assert whole.high is None or whole.high >= found.high
            assert least <= value <= most
        lowest = shift_interval(known(*x.low), known(*np.minimum(y.high, 1e9)))
        assert whole.level is None or whole.low in (None, lowest.low)


@pytest.mark.parametrize(
    ("x", "y", "middle"),
    [
        ([1, 2, INF], [1], (1.0, 1.0)),  # one of three never gets there
        ([1, INF, INF], [1], (7.0, INF)),  # seen up to 8
        ([1], [1, INF, INF], (-INF, -7.0)),
        ([INF], [INF], (-INF, INF)),
        ([1, INF], [1], (3.5, INF)),  # the midpoint of 0 and something above 7
    ],
)
def test_censored_differences_by_hand(x: Sequence[float], y: Sequence[float], middle: tuple[float, float]) -> None:
    """Runs that never get there were watched up to 8."""
    sides = [Bounds(np.minimum(values, 8.0), np.array(values, float)) for values in (x, y)]
    assert hodges_lehmann(*sides) == middle


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("shape", EQUAL_ROWS)
def test_the_interval_covers(shape: str, n: int) -> None:
    for correlation in (0.0, 0.9):
        line = baseline_line(shape, n, correlation, 300)
        assert (line.level is None) == (n < FEWEST)
        assert not line.short, line


def test_without_ties_the_interval_covers_as_often_as_it_says() -> None:
    """Not more often either: 20,000 samples, within three Monte Carlo errors."""
    line = baseline_line("accuracy, uniform 0 … 1", 5, 0.0, 20_000)
    assert line.level == pytest.approx(1 - 8 / 252)
    assert line.coverage == pytest.approx(line.level, abs=3 * math.sqrt(line.level * (1 - line.level) / 20_000))


# --- rows


def three(**more: Any) -> list[Made]:
    quick, slow = solving("quick", 100, 100, 200, 200, 200, **more), solving("slow", 400, 400, 800, 800, 800, **more)
    return [*quick, *slow, *solving("never", *[None] * 5, **more)]


@pytest.mark.parametrize("by", ["steps", "seconds", "flops"])
def test_the_ratio_is_the_row_divided_by_the_baseline(by: str) -> None:
    ranking = rank(records=three(), by=by, crossing="first", baseline="quick")
    assert ranking.baseline == "onehot → quick"
    one = against(ranking, "slow")
    assert (one.measure, one.value, one.least, one.most) == ("ratio", *[pytest.approx(4)] * 3)
    ratios = sorted(a / b for a in (400, 400, 800, 800, 800) for b in (100, 100, 200, 200, 200))
    assert ratios[12] == 4
    # the third of 25 in order, from the evaluation before to the one of the crossing
    lows = sorted(a / b for a in (300, 300, 700, 700, 700) for b in (100, 100, 200, 200, 200))
    assert one.low == pytest.approx(lows[2])
    assert one.level == pytest.approx(1 - 8 / 252)
    same = against(ranking, "quick")
    assert (same.value, same.least, same.most, same.low, same.high, same.level) == (1, 1, 1, None, None, None)
    turned = against(rank(records=three(), by=by, crossing="first", baseline="slow"), "quick")
    assert turned.value == pytest.approx(1 / 4)
    assert turned.low == (None if one.high is None else pytest.approx(1 / one.high))
    assert turned.high == pytest.approx(1 / (one.low or 0))


def test_a_run_that_never_gets_there_is_beyond_its_horizon() -> None:
    one = against(rank(records=three(), by="steps", baseline="quick"), "never")
    assert (one.value, one.least, one.most) == (None, pytest.approx(1000 / 200), None)
    assert (one.low, one.high) == (pytest.approx(1000 / 200), None)
    turned = against(rank(records=three(), by="steps", baseline="never"), "quick")
    assert (turned.value, turned.least, turned.most) == (None, None, pytest.approx(0.2))
    assert (turned.low, turned.high) == (None, pytest.approx(0.2))
    both = rank(records=[*three(), *solving("nor", *[None] * 5)], by="steps", baseline="never")
    assert against(both, "nor") == Against("ratio")
    assert against_text(against(both, "nor")) == "–"


def test_the_ratio_does_not_depend_on_the_unit() -> None:
    one, other = (
        against(rank(records=three(seconds=seconds), by="seconds", crossing="first", baseline="quick"), "slow")
        for seconds in (2.0, 7200.0)
    )
    assert list(one[1:]) == pytest.approx(list(other[1:]))


def test_an_unconfirmed_run_is_known_from_its_crossing_on() -> None:
    late = [run("late", seed, [1.0 if s >= 800 else 0.2 for s in STEPS]) for seed in range(5)]
    one = against(rank(records=[*three(), *late], by="steps", baseline="quick"), "late")
    assert (one.value, one.least, one.most) == (None, pytest.approx(4), None)


def test_a_cost_below_one_step_counts_as_one() -> None:
    ridge = [run("ridge", seed, [1.0], steps=[0], budget=0) for seed in range(5)]
    one = against(rank(records=[*three(), *ridge], by="steps", crossing="first", baseline="ridge"), "quick")
    assert one.value == pytest.approx(200)
    assert one.low == pytest.approx(1)  # two runs of five cross at step 100 at the latest


def test_accuracies_are_compared_by_their_difference() -> None:
    records = [*ending("good", 0.91, 0.92, 0.93, 0.94, 0.95), *ending("bad", 0.51, 0.52, 0.53, 0.54, 0.55)]
    ranking = rank(records=records, baseline="good")
    one = against(ranking, "bad")
    assert (one.measure, one.value) == ("difference", pytest.approx(-0.4))
    assert (one.low, one.high) == (pytest.approx(-0.43), pytest.approx(-0.37))
    assert against_text(one) == "-40.0 (-43.0 to -37.0)"
    assert against_text(against(ranking, "good")) == "+0.0"


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (None, ""),
        (Against("ratio"), "–"),
        (Against("ratio", 8.314, 8.314, 8.314, 7.1, 9.6, 0.95), "8.31 (7.10–9.60)"),
        (Against("ratio", 8.314, 8.314, 8.314), "8.31"),
        (Against("ratio", None, 34.0, None, 27.0, None, 0.95), "≥34.0 (≥27.0)"),
        (Against("ratio", None, None, 0.5, None, 0.75, 0.95), "≤0.500 (≤0.750)"),
        (Against("ratio", None, 2.0, 4.0, 1.0, None, 0.95), "2.00–4.00 (≥1.00)"),
    ],
)
def test_cells(one: Against | None, text: str) -> None:
    assert against_text(one) == text


def test_few_runs_have_a_ratio_without_an_interval() -> None:
    records = [*solving("quick", 100, 200, 100, 200), *solving("slow", *[400] * 6)]
    ranking = rank(records=records, by="steps", crossing="first", baseline="quick")
    one = against(ranking, "slow")
    assert (one.value, one.low, one.high, one.level) == (pytest.approx(2 * 2**0.5), None, None, None)
    assert "none below 5 runs" in " ".join(ranking.caption)


# --- which row


def labelled() -> list[Made]:
    def named(label: str, *made: Made) -> list[Made]:
        return [{**one, "label": label} for one in made]

    return [
        *named("onehot+concat → mlp", *ending("mlp", 0.5)),
        *named("onehot+concat → mlp(lr=0.020961900543150613)", *ending("mlp", 0.6, combine="concat2")),
        *named("cycle+sum → mlp", *ending("mlp", 0.7, encoder="cycle")),
        *named("cycle+sum → torch-mlp(init=glorot)", *ending("torch-mlp", 0.8, encoder="cycle")),
    ]


@pytest.mark.parametrize(
    ("wanted", "label"),
    [
        ("onehot+concat → mlp", "onehot+concat → mlp"),
        ("OneHot+Concat -> MLP", "onehot+concat → mlp"),
        ("  onehot+concat   mlp ", "onehot+concat → mlp"),
        ("onehot+concat→mlp", "onehot+concat → mlp"),
        ("onehot mlp", "onehot+concat → mlp"),
        ("onehot+concat → mlp(lr=0.02096)", "onehot+concat → mlp(lr=0.020961900543150613)"),
        ("mlp(lr=0.020961900543150613)", "onehot+concat → mlp(lr=0.020961900543150613)"),
        ("cycle mlp", "cycle+sum → mlp"),
        ("torch-mlp", "cycle+sum → torch-mlp(init=glorot)"),
        ("torch_mlp", "cycle+sum → torch-mlp(init=glorot)"),
        ("cycle => torch-mlp", "cycle+sum → torch-mlp(init=glorot)"),
    ],
)
def test_a_baseline_is_named_by_its_label_or_its_learner(wanted: str, label: str) -> None:
    assert rank(records=labelled(), baseline=wanted).baseline == label


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("mlp", "`baseline` 'mlp' could be one of 2 rows: 'cycle+sum → mlp', 'onehot+concat → mlp'."),
        ("cycle mpl", "Unknown `baseline` 'cycle mpl': did you mean 'cycle+sum → mlp'"),
        ("zebra", "Unknown `baseline` 'zebra': it must be one of mlp, torch-mlp."),
        ("", "Unknown `baseline` '': it must be one of mlp, torch-mlp."),
    ],
)
def test_a_baseline_that_is_no_row_or_several_is_refused(wanted: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        rank(records=labelled(), baseline=wanted)
    found = str(refused.value)
    assert "\n" not in found
    assert found.startswith(said) or sorted(found.split("'")) == sorted(said.split("'"))


def test_each_block_is_compared_with_its_own_row() -> None:
    records = [*blocks(("add", "cube"), a=(0.9, 0.4), b=(0.5, 0.5)), *ending("b", 0.7, task="quad")]
    ranking = rank(records=records, baseline="a")
    found = [(row.task, row.learner, row.against and row.against.value) for row in ranking.rows]
    close = [None if value is None else round(value, 6) for _, _, value in found]
    assert close == [0.0, -0.4, 0.1, 0.0, None]
    assert "Nothing to compare with: no row of this label in quad mod 5" in " ".join(ranking.caption)


def test_a_baseline_without_a_score_is_refused() -> None:
    records = [*ending("good", 0.9, 0.8), *ending("broken", 0.1, status="failed")]
    with pytest.raises(
        RequestError, match=r"`baseline` 'onehot → broken' cannot be compared with: in add .*1 failed\."
    ):
        rank(records=records, baseline="broken")
    short = [run("short", 0, [0.5], steps=[100])]
    with pytest.raises(RequestError, match="given 100 steps only"):
        rank(records=[*records, *short], horizon=1000, baseline="short")


def test_rows_of_one_label_are_no_baseline() -> None:
    twice = [*ending("mlp", 0.5), *ending("mlp", 0.6, combine="other")]
    with pytest.raises(RequestError, match="2 rows of this label in add"):
        rank(records=twice, baseline="mlp")


# --- where it is shown


def test_every_table_has_the_column_by_one_definition(command: Command, tmp_path: Path) -> None:
    folder = stored(tmp_path, three())
    asked = ("rank", "--results", folder, "--by", "steps", "--crossing", "first", "--baseline", "Onehot -> Quick")
    name = "steps ÷ baseline's"
    ranking = rank(results=str(folder), by="steps", crossing="first", baseline="quick")
    texts = {against_text(row.against) for row in ranking.rows}
    assert {"1.00", "≥5.00 (≥5.00)"} < texts
    assert any(text.startswith("4.00 (") for text in texts)
    table, markdown = command(*asked).out, command(*asked, "--format", "markdown").out
    [column] = [c for c in league_data(ranking)["columns"] if c["name"] == name]
    html = ranking._repr_html_()
    for cell in texts:
        assert cell in table
        assert f"| {cell} |" in markdown
        assert cell in column["cells"]
        assert f"<td>{cell}</td>" in html
    assert (column["key"], column["shown"], column["rising"]) == ("ratio", True, True)
    assert "divided by those of the baseline" in column["meaning"]
    for text in (table, markdown, html):
        assert name in text.replace("&#x27;", "'")
        assert "Baseline: onehot → quick." in " ".join(text.split())
        assert "96.8 % for 5 against 5 runs" in " ".join(text.split())


def test_documents_and_frames_have_the_values(command: Command, tmp_path: Path) -> None:
    folder = stored(tmp_path, three())
    asked = ("rank", "--results", folder, "--by", "steps", "--crossing", "first")
    keys = {"ratio", "ratio_least", "ratio_most", "ratio_low", "ratio_high", "ratio_level"}
    found = command(*asked, "--baseline", "quick", "--json").json
    assert found["baseline"] == "onehot → quick"
    rows = {row["learner"]: row for row in found["rows"]}
    assert (rows["slow"]["ratio"], rows["quick"]["ratio"], rows["never"]["ratio"]) == (pytest.approx(4), 1, None)
    assert rows["never"]["ratio_least"] == pytest.approx(5)
    plain = command(*asked, "--json").json
    assert "baseline" not in plain
    assert not keys & set(plain["rows"][0])
    lines = list(csv.DictReader(io.StringIO(command(*asked, "--baseline", "quick", "--format", "csv").out)))
    assert keys <= set(lines[0])
    frame = bench.rank(results=str(folder), by="steps", crossing="first", baseline="quick").to_frame()
    assert list(frame.columns) == list(lines[0])
    assert frame.set_index("learner").loc["slow", "ratio"] == pytest.approx(4)
    values = league_data(bench.rank(results=str(folder), by="steps", crossing="first", baseline="quick"))["values"]
    assert values["ratio"] == [1, pytest.approx(4), None]
    differences = command("rank", "--results", folder, "--baseline", "quick", "--json").json["rows"][0]
    assert {key.replace("ratio", "difference") for key in keys} <= set(differences)
    assert json.dumps(differences)


def test_a_report_has_the_column_and_its_command(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    folder = tmp_path / "records"
    folder.mkdir()
    stored(folder, three())
    path = bench.report(tmp_path / "report.md", results=str(folder), by="steps", crossing="first", baseline="quick")
    text = path.read_text("utf-8")
    assert "steps ÷ baseline's" in text
    assert "≥5.00 (≥5.00)" in text
    assert "--baseline quick" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--baseline", "mpl"), "Unknown --baseline 'mpl': did you mean 'onehot → mlp'?"),
        (("--baseline", "a"), "Unknown --baseline 'a': it must be one of mlp."),
        (("--baseline", "mlp", "--blocks"), "--baseline and --blocks exclude each other: a mean rank over blocks"),
        (("--baseline", "mlp", "--by", "fraction"), "--baseline does not apply to --by fraction"),
    ],
)
def test_bad_baselines_are_one_line(command: Command, tmp_path: Path, arguments: Any, message: str) -> None:
    done = command("rank", "--results", stored(tmp_path, ending("mlp", 0.5)), *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.error


def test_pictures_take_no_baseline() -> None:
    with pytest.raises(RequestError, match="`baseline` does not apply to the picture 'curves'"):
        bench.plot("curves", records=three(), baseline="quick")
