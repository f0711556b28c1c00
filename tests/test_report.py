"""The report: what is in the page, and what a real browser makes of it."""

import base64
import csv
import gzip
import hashlib
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from browser import Tab, tab
from conftest import Finished, wait_until
from frozen import make
from records import BASE, Made
from records import run as recorded

import bench
from bench.errors import RequestError, StoreError
from bench.ranking import Question, rank
from bench.reports.figures._over_seeds import curve_of
from bench.reports.page import document
from bench.reports.page.curves import MOST_POINTS, curve_data, thinned
from bench.reports.page.packing import unpacked
from bench.results.curves import TARGETS, first_crossing, held
from bench.results.store import Store
from bench.tuning.storage.open import default_url, open_storage

Command = Callable[..., Finished]
STEPS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
HOSTILE = (
    '<img src=x onerror="window.hacked=1">',
    "</script><script>window.hacked=1</script>",
    "\"'&\u2028<b>bold</b>",
    "=cmd()",
    "+1|2",
    "w" * 200,
)
IDS = r"[0-9a-f]{16}"
RESULTS = make.HERE / "results"
"""Records that earlier code has written."""


def run(encoder: str | Made, learner: str, seed: int, accuracies: Sequence[float], **more: Any) -> Made:
    """A record of these test accuracies, whose training pairs are memorized at once."""
    return recorded(learner, seed, accuracies, encoder=encoder, steps=STEPS, train=[1.0] * len(STEPS), **more)


def rising(at: int, top: float = 1.0) -> list[float]:
    """Accuracies that rise at one of the ten evaluations."""
    return [0.1 + 0.001 * i if i < at else top for i in range(len(STEPS))]


def kept(folder: Path, records: Iterable[Made]) -> Path:
    store = Store(folder, create=True)
    for record in records:
        store.write(record)  # type: ignore[arg-type]
    return folder


def some() -> Iterator[Made]:
    """Six configurations of three seeds each, on two tasks."""
    for seed in range(3):
        yield run("onehot", "mlp", seed, rising(5 + seed))
        yield run("onehot", "ridge", seed, rising(7, 0.8 + seed / 100))
        yield run("cycle", "mlp", seed, rising(3, 0.9))
        yield run("cycle", "ridge", seed, rising(9, 0.5))
        yield run("random", "mlp", seed, rising(8, 0.3 + seed / 10))
        yield run("onehot", "mlp", seed, rising(6, 0.7), task="subtract")


def data(page: Path) -> dict[str, Any]:
    """The parts of the data in a page, by their names; plotly is left out."""
    text = page.read_text("utf-8")
    found = re.findall(r'<script type="application/gzip" id="data-(\w+)">([\w+/=]*)</script>', text)
    return {name: unpacked(part) for name, part in found if name != "plotly"}


# Data


@pytest.mark.parametrize("seed", range(8))
def test_a_thinned_curve_has_the_same_crossings(seed: int) -> None:
    generator = np.random.default_rng(seed)
    steps_T = np.unique(generator.integers(1, 10**6, 400))
    parts = [np.clip(np.linspace(0.2, 1.1, len(steps_T)) + generator.normal(0, 0.05, len(steps_T)), 0, 1) for _ in "ab"]
    parts[1][generator.integers(0, len(steps_T), 30)] = np.nan
    places = thinned(steps_T, parts)
    assert len(places) <= MOST_POINTS
    assert (places[0], places[-1]) == (0, len(steps_T) - 1)
    for values_T in parts:
        for target in TARGETS:
            for crossing in (first_crossing, held):
                whole, thin = (
                    crossing(steps.tolist(), [None if np.isnan(v) else v for v in values.tolist()], target)
                    for steps, values in ((steps_T, values_T), (steps_T[places], values_T[places]))
                )
                assert whole == thin
            above = values_T >= target
            before = [int(i) for i in np.flatnonzero(above)[:1] - 1 if i >= 0]
            assert set(before) <= set(places.tolist())


def test_short_curves_are_whole_and_long_ones_are_even_over_the_logarithm() -> None:
    steps_T = np.arange(1, 10_001)
    flat_T = np.zeros(len(steps_T))
    assert len(thinned(steps_T[:MOST_POINTS], [flat_T[:MOST_POINTS]])) == MOST_POINTS
    kept_T = steps_T[thinned(steps_T, [flat_T])]
    counts = [((kept_T > 10**d) & (kept_T <= 10 ** (d + 1))).sum() for d in range(4)]
    assert max(counts[1:]) - min(counts[1:]) <= 2


def test_curves_survive_the_page(tmp_path: Path) -> None:
    league = rank(records=some())  # type: ignore[arg-type]
    runs = [run for row in league.rows for run in row.runs]
    found = unpacked_curves(json.loads(json.dumps(curve_data(runs))))
    for one, (steps, train, test) in zip(runs, found, strict=True):
        assert steps == one.curve.steps_T.tolist()
        np.testing.assert_allclose(train, one.curve.train_T, atol=5e-5)
        np.testing.assert_allclose(test, one.curve.test_T, atol=5e-5)


def unpacked_curves(curves: dict[str, Any]) -> Iterator[tuple[list[int], list[float], list[float]]]:
    """Steps and accuracies, as the page reads them."""
    for grid, gaps, *parts in curves["runs"]:
        steps = [curves["grids"][grid][place] for place in np.cumsum(gaps)]
        train, test = ([value / 10_000 for value in part] for part in parts)
        yield steps, train, test


def test_every_record_can_be_read_back_from_what_rows_share(tmp_path: Path) -> None:
    records = {record["id"]: record for record in map(json.loads, (p.read_text() for p in RESULTS.glob("*.json")))}
    page = bench.report(tmp_path / "report.html", results=RESULTS)
    parts = data(page)
    runs, shared = parts["runs"], parts["runs"]["settings"]
    seen = set()
    for row, (usual, own, absent) in enumerate(shared["places"]):
        settings = {**shared["defaults"][usual], **shared["changed"][own]}
        settings = {name: value for name, value in settings.items() if name not in shared["absent"][absent]}
        for place in range(runs["starts"][row], runs["starts"][row + 1]):
            record = records[runs["id"][place]]
            seen.add(record["id"])
            assert settings == flat(without_seeds(record["spec"]))
            assert runs["environments"][runs["environment"][place]] == flat(record["environment"])
            assert runs["all_notices"][runs["notices"][place]] == record.get("notices", [])
            assert (runs["seed"][place], runs["step"][place]) == (record["spec"]["seed"], record["final"]["step"])
            assert runs["test"][place] == pytest.approx(record["final"]["test_accuracy"], abs=1e-6)
            error = runs["errors"][runs["error"][place]]
            assert (error is None) == (record["error"] is None)
    assert seen == records.keys()
    assert len(runs["environments"]) < len(seen)


def flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def without_seeds(spec: dict[str, Any]) -> dict[str, Any]:
    left = {name: value for name, value in spec.items() if name not in ("seed", "split_seed")}
    for owner in ("encoder", "learner"):
        left[owner] = {name: value for name, value in spec[owner].items() if name != "random_state"}
    return left


def test_each_command_computes_the_runs_of_its_row(command: Command, tmp_path: Path) -> None:
    page = bench.report(tmp_path / "report.html", results=RESULTS)
    runs = data(page)["runs"]
    checked = 0
    for row, lines in enumerate(runs["commands"]):
        ids = set(runs["id"][runs["starts"][row] : runs["starts"][row + 1]])
        made = set()
        for line in lines:
            words = shlex.split(line)
            assert words[:3] == ["python", "-m", "bench"]
            if words[3] == "rerun":
                made.add(words[4])
                assert words[5:] == ["--results", str(RESULTS)]
                continue
            done = command(*words[3:], "--dry-run", "--json", "--results", tmp_path)
            assert done.code == 0, done.err
            made |= {cell["id"] for cell in done.json["cells"]}
            budgets = {cell["budget"]["steps"] for cell in done.json["cells"]}
            assert budgets == {runs["budget"][runs["id"].index(id)] for id in ids}
            checked += 1
        assert made == ids
    assert checked > 5


def test_records_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, reads, whole = kept(tmp_path / "results", some()), list[str](), Store.read

    def read(store: Store, id: str) -> Any:
        reads.append(id)
        return whole(store, id)

    monkeypatch.setattr(Store, "read", read)
    bench.report(tmp_path / "report.html", results=folder)
    assert sorted(reads) == Store(folder).ids()


def test_a_page_is_the_same_each_time_and_is_one_file(tmp_path: Path) -> None:
    folder = kept(tmp_path / "results", some())
    pages = [bench.report(tmp_path / "one.html", results=folder).read_text() for _ in range(2)]
    assert pages[0] == pages[1]
    assert "http://" not in pages[0].replace("http://www.w3.org", "")
    assert "https://" not in pages[0]
    assert not re.search(r"<(?:link|img|iframe|object|embed)\b|\bsrc=|@import|url\(", pages[0])


def test_the_policy_allows_the_programs_of_the_page_and_nothing_else(tmp_path: Path) -> None:
    text = bench.report(tmp_path / "one.html", records=some()).read_text()
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    allowed = re.findall(r"sha256-([\w+/=]+)", policy)
    program = text[text.index('<script type="module">') + 22 : text.rindex("</script>")]
    plotly = re.search(r'id="data-plotly">([\w+/=]*)<', text)
    assert plotly
    programs = [program, gzip.decompress(base64.b64decode(plotly[1])).decode()]
    assert allowed == [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in programs]
    assert "default-src 'none'" in policy.replace("&#x27;", "'")
    assert "unsafe-eval" not in policy
    assert "</script" not in program


# The command


def test_the_command_names_its_file(command: Command, tmp_path: Path) -> None:
    folder = kept(tmp_path / "results", some())
    done = command(
        "report", "--results", folder, "-o", tmp_path / "r.html", "--title", "A <title>", "--encoder", "onehot"
    )
    assert (done.code, done.out) == (0, f"{tmp_path / 'r.html'}\n")
    assert re.fullmatch(r"One file of [\d.]+ MB, which needs nothing else.\n", done.err)
    parts = data(tmp_path / "r.html")["league"]
    assert "<title>A &lt;title&gt;</title>" in (tmp_path / "r.html").read_text()
    assert set(parts["league"]["values"]["encoder"]) == {"onehot"}
    words = shlex.split(parts["command"])
    assert words[3:] == [
        *("report", "--results", str(folder), "--encoder", "onehot"),
        *("--output", str(tmp_path / "r.html"), "--title", "A <title>"),
    ]


def test_bad_requests_get_one_line(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    kept(tmp_path / "full", some())
    for arguments, message in {
        ("--results", "empty"): "There are no records in 'empty': python -m bench run makes some.",
        ("--results", "nowhere"): "There is no results folder 'nowhere'.",
        ("--results", "full", "--encoder", "onehto"): "--encoder in 'full': 'onehto'",
        ("--results", "full", "--by", "acuracy"): "Unknown --by 'acuracy': did you mean 'accuracy'?",
        ("--results", "full", "--format", "pdf"): "Unknown --format 'pdf'",
        ("--results", "full", "-o", "no/report.html"): "--output must be in a folder that exists",
        ("--results", "full", "-o", "empty"): "--output cannot be written to 'empty'.",
        (
            "--results",
            "full",
            "-o",
            "a.md",
            "--format",
            "html",
        ): "--output 'a.md' and --format 'html' exclude each other.",
        ("--results", "full", "--storage", "journal:///no"): "--storage journal:///no: there is no file",
    }.items():
        done = command("report", *arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert message in done.error
    assert not (tmp_path / "report.html").exists()


def test_broken_records_stop_it_unless_they_are_skipped(command: Command, tmp_path: Path) -> None:
    folder = kept(tmp_path / "results", some())
    whole = json.loads(Store(folder).path(Store(folder).ids()[0]).read_text())
    (folder / "0123456789abcdef.json").write_text("{")
    (folder / "0123456789abcde0.json").write_text(
        json.dumps({**whole, "id": "0123456789abcde0", "seconds": {"total": []}})
    )
    done = command("report", "--results", folder, "-o", tmp_path / "r.html")
    assert done.code == StoreError.exit_code
    assert "0123456789abcde0" in done.error
    assert "--skip-broken" in done.error
    assert command("report", "--results", folder, "-o", tmp_path / "r.html", "--skip-broken").code == 0
    league = data(tmp_path / "r.html")["league"]["league"]
    remedy = f"python -m bench doctor --results {folder} --mend sets aside those that are damaged."
    assert f"Broken records, left out: 0123456789abcde0, 0123456789abcdef. {remedy}" in league["notes"]
    assert len(data(tmp_path / "r.html")["runs"]["id"]) == 18


def test_what_is_missing_is_named(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kept(tmp_path / "results", some())
    document.plotly_program.cache_clear()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    done = command("report", "--results", folder, "-o", tmp_path / "r.html")
    assert done.code == RequestError.exit_code
    assert "pip install 'mod97[plot]'" in done.error


def study(folder: Path, name: str) -> None:
    """A study of 24 trials in the journal of a folder."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made = optuna.create_study(study_name=name, storage=open_storage(default_url(folder)))
    made.set_user_attr(
        "what", json.dumps({"encoder": ["onehot"], "learner": "mlp", "task": name, "objective": ["steps"]})
    )
    for number in range(24):
        trial = made.ask()
        rate, width = trial.suggest_float("lr", 1e-4, 1.0, log=True), trial.suggest_int("width", 8, 64)
        for step in (1, 10, 100):
            trial.report(min(1.0, step * width / 6400), step)
        made.tell(trial, abs(rate - 0.01) + width / 100 + number / 1000)


def test_studies_alone_make_a_report(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    study(tmp_path / "results", "one")
    parts = data(bench.report(tmp_path / "report.html", results=tmp_path / "results"))
    assert parts["league"]["league"] is None
    assert parts["league"]["title"] == "Study one"
    [found] = parts["studies"]
    assert found["name"] == "one"
    assert ["searched", "onehot × mlp on one"] in found["facts"]
    assert ["trials", "24 complete"] in found["facts"]
    assert {picture["title"].split()[0] for picture in found["pictures"]} >= {"Trials", "Parameter", "Values"}


def test_markdown_has_the_league_and_its_pictures(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = kept(tmp_path / "results", (r | {"label": HOSTILE[0]} for r in some() if r["spec"]["task"] == "add"))
    study(folder, HOSTILE[1])
    done = command("report", "--results", folder, "-o", tmp_path / "report.md")
    assert (done.code, done.out) == (0, f"{tmp_path / 'report.md'}\n")
    text = (tmp_path / "report.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((report_files/[\w.-]+\.png)\)", text)
    assert {Path(name).stem for name in pictures} >= {"curves", "heatmap", "survival"}
    assert {f"report_files/{path.name}" for path in (tmp_path / "report_files").iterdir()} == set(pictures)
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in pictures)
    assert "| row | n | median |" in text
    assert "<" not in text
    assert "&lt;img src=x" in text


def test_rows_are_ranked_by_the_fraction_they_need(tmp_path: Path) -> None:
    shares = {0.3: 0.5, 0.5: 1.0, 0.7: 1.0}
    records = [
        run("onehot", "mlp", seed, rising(5, top), train_fraction=share)
        for share, top in shares.items()
        for seed in range(3)
    ]
    parts = data(bench.report(tmp_path / "report.html", records=records, by="fraction"))
    assert parts["league"]["league"]["values"]["estimate"] == [0.5]
    assert parts["runs"]["starts"] == [0, 9]
    assert parts["runs"]["fraction"] == sorted(share for share in shares for _ in range(3))
    titles = [picture["title"] for picture in parts["pictures"]]
    assert any(title.startswith("Little data") for title in titles)
    assert parts["league"]["command"] == ""
    with pytest.raises(RequestError, match="`blocks` does not apply to a report"):
        bench.report(tmp_path / "report.html", records=records, blocks=True)


# The browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    with tab() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a folder with a study."""
    folder = kept(tmp_path_factory.mktemp("league") / "results", some())
    study(folder, "one")
    return bench.report(folder.parent / "report.html", results=folder)


def check_quiet(browser: Tab) -> None:
    """No error on the console, and no request but for the page itself and what is in it."""
    assert browser.named("Runtime.exceptionThrown") == []
    assert [entry for entry in browser.named("Log.entryAdded") if entry["entry"]["level"] != "verbose"] == []
    assert browser.named("Runtime.consoleAPICalled") == []
    addresses = [sent["request"]["url"] for sent in browser.named("Network.requestWillBeSent")]
    assert [address for address in addresses if not address.startswith(("file:", "data:", "blob:"))] == []
    assert sum(address.startswith("file:") for address in addresses) == 1


def rows(browser: Tab, column: int = 3) -> list[str]:
    """The cells of a column of the table, the one with the configurations by default."""
    return list(
        browser.run(f"[...document.querySelectorAll('#table tbody td:nth-child({column})')].map(c => c.innerText)")
    )


def set_filter(browser: Tab, id: str, value: str) -> None:
    kind = "input" if id == "query" else "change"
    browser.run(
        f"{{const i = document.getElementById({id!r}); i.value = {value!r}; i.dispatchEvent(new Event({kind!r}))}}"
    )


@pytest.mark.parametrize("width", [1400, 400])
def test_the_table_is_sorted_filtered_and_chosen_from(browser: Tab, page: Path, width: int) -> None:
    browser.open(page, width)
    whole = rows(browser)
    assert len(whole) == 6
    click = "[...document.querySelectorAll('#table thead button')].find(b => b.innerText.startsWith('{}')).click()"
    browser.run(click.format("configuration"))
    names = sorted(browser.run("[...document.querySelectorAll('button.name')].map(b => b.innerText)"))
    assert browser.run("[...document.querySelectorAll('button.name')].map(b => b.innerText)") == names
    assert browser.run("document.querySelector('#table th[aria-sort]').ariaSort") == "ascending"
    browser.run(click.format("configuration"))
    assert browser.run("[...document.querySelectorAll('button.name')].map(b => b.innerText)") == names[::-1]
    browser.run(click.format("configuration"))
    assert rows(browser) == whole
    set_filter(browser, "query", "CYCLE mlp")
    assert browser.run("document.querySelectorAll('button.name').length") == 1
    assert browser.run("document.getElementById('count').innerText") == "1 of 6 rows"
    set_filter(browser, "query", "nothing has this")
    assert browser.run("document.querySelector('#table tbody').innerText") == "No row has all of this."
    set_filter(browser, "query", "")
    set_filter(browser, "filter-learner", "1")
    assert all(
        "ridge" in name for name in browser.run("[...document.querySelectorAll('button.name')].map(b => b.innerText)")
    )
    set_filter(browser, "filter-learner", "")
    before = browser.run("document.querySelectorAll('#table th').length")
    browser.run("document.querySelector('#columns summary').click()")
    browser.run("[...document.querySelectorAll('#column-list input')].find(b => !b.checked).click()")
    assert browser.run("document.querySelectorAll('#table th').length") == before + 1
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    check_quiet(browser)


def test_the_table_is_used_by_keys(browser: Tab, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('#table thead button').focus()")
    browser.press("Enter")
    assert browser.run("document.activeElement.innerText") == "# ↑"
    browser.run("document.querySelector('#table tbody input').focus()")
    browser.press("ArrowDown")
    assert browser.run("document.activeElement.closest('tr').rowIndex") == 2
    checked = browser.run("document.activeElement.checked")
    browser.press(" ")
    assert browser.run("document.activeElement.checked") is not checked
    browser.run("document.querySelector('button.name').focus()")
    browser.press("Enter")
    browser.wait_for("document.getElementById('details').open")
    browser.press("Escape")
    browser.wait_for("!document.getElementById('details').open")
    check_quiet(browser)


def test_chosen_rows_show_their_curves(browser: Tab, page: Path) -> None:
    browser.open(page)
    browser.run("document.getElementById('clear').click()")
    browser.wait_for("document.getElementById('curves').data?.length === 0")
    assert "Tick rows" in browser.run("document.getElementById('curves-note').innerText")
    row = "[...document.querySelectorAll('#table tbody tr')].find(r => r.innerText.includes('random'))"
    tick = f"{row}.querySelector('input')"
    browser.run(f"{tick}.click()")
    browser.wait_for("document.getElementById('curves').data?.length === 3")
    traces = browser.run("document.getElementById('curves').data.map(t => [t.line.dash, t.fill, [...t.x], [...t.y]])")
    train, band, test = traces
    assert (train[0], test[0], band[1]) == ("5px,3px", "solid", "toself")
    league = rank(records=some(), encoder="random")  # type: ignore[arg-type]
    expected = curve_of(league.rows[0].runs, "test", Question())
    assert test[2] == expected.steps_T.tolist()
    np.testing.assert_allclose(test[3], expected.middle_T, atol=1e-4)
    np.testing.assert_allclose(band[3], [*expected.low_T, *expected.high_T[::-1]], atol=1e-4)
    assert browser.run("document.getElementById('chips').innerText").split("\n")[1].startswith("random → mlp")
    browser.run("document.getElementById('each').click()")
    browser.wait_for("document.getElementById('curves').data?.length === 6")  # train and test of three seeds
    browser.run("document.getElementById('each').click()")
    browser.run("document.querySelector('#chips button').click()")
    browser.wait_for("document.getElementById('curves').data?.length === 0")
    assert browser.run(f"{tick}.checked") is False
    check_quiet(browser)


@pytest.mark.parametrize("width", [1400, 400])
def test_details_have_settings_seeds_and_the_command(browser: Tab, page: Path, width: int) -> None:
    browser.open(page, width)
    browser.run(
        "[...document.querySelectorAll('button.name')].find(b => b.innerText.startsWith('cycle → mlp')).click()"
    )
    browser.wait_for("document.getElementById('details').open")
    text = browser.run("document.getElementById('details').innerText")
    command = next(line for line in text.split("\n") if line.startswith("python -m bench"))
    assert command.startswith("python -m bench run --encoder cycle --learner mlp")
    ids = {record["id"] for record in some() if record["label"] == "cycle → mlp"}
    assert set(re.findall(IDS, text)) == ids
    assert "Settings that differ from their defaults" in text
    assert BASE["environment"]["versions"]["numpy"] in text
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run("(d => d.scrollWidth <= d.clientWidth)(document.getElementById('details'))")
    browser.run("[...document.querySelectorAll('#details button')].find(b => b.innerText === 'Copy').click()")
    browser.wait_for("/Copied|Selected/.test(document.getElementById('details').innerText)")
    assert command in browser.run("getSelection().toString()")
    check_quiet(browser)


def test_csv_has_the_filtered_rows(browser: Tab, page: Path, tmp_path: Path) -> None:
    browser.open(page)
    browser.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    set_filter(browser, "query", "ridge")
    browser.run("document.getElementById('csv').click()")
    wait_until((tmp_path / "league.csv").exists)
    found = list(csv.DictReader(io.StringIO((tmp_path / "league.csv").read_text())))
    assert sorted((row["encoder"], row["learner"], row["n"]) for row in found) == [
        ("cycle", "ridge", "3"),
        ("onehot", "ridge", "3"),
    ]
    league = rank(records=some(), learner="ridge")  # type: ignore[arg-type]
    assert [float(row["estimate"]) for row in found] == [row.estimate for row in league.rows]
    assert all("train_fraction" in row for row in found)


@pytest.mark.parametrize("width", [1400, 400])
def test_all_pictures_are_drawn_in_both_themes(browser: Tab, page: Path, width: int) -> None:
    browser.open(page, width)
    parts = data(page)
    expected = len(parts["pictures"]) + sum(len(one["pictures"]) for one in parts["studies"])
    drawn = "[...document.querySelectorAll('figure .plot')].filter(p => p.data).length"
    assert browser.run("document.querySelectorAll('figure').length") == expected
    for place in range(expected):
        browser.run(f"document.querySelectorAll('figure')[{place}].scrollIntoView()")
        browser.wait_for(f"document.querySelectorAll('figure .plot')[{place}].data")
    assert browser.run(drawn) == expected
    before = browser.run("document.querySelector('figure .plot').layout.paper_bgcolor")
    browser.run("document.getElementById('theme').click()")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert browser.run(colour) == "rgb(22, 25, 29)"
    browser.wait_for(f"document.querySelector('figure .plot').layout.paper_bgcolor !== {before!r}")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(
        "[...document.querySelectorAll('.plot svg')].every(s => s.getBoundingClientRect().right <= innerWidth)"
    )
    browser.run("addEventListener('beforeprint', () => (window.printed = true))")
    browser.send("Page.printToPDF")
    assert browser.run("window.printed")
    check_quiet(browser)


def test_hostile_names_do_nothing_and_are_shown_as_they_are(browser: Tab, tmp_path: Path) -> None:
    records = []
    for place, name in enumerate(HOSTILE):
        records += [
            run({"name": name, name: name}, name, seed, rising(5), protocol=name)
            | {
                "label": name,
                "notices": [name],
                "error": {"type": name, "message": name, "traceback": name},
                "environment": {**BASE["environment"], "device": name, "processor": name, "git_commit": name},
            }
            for seed in range(2 + place % 2)
        ]
    folder = kept(tmp_path / "results", records)
    study(folder, HOSTILE[0])
    study(folder, HOSTILE[1])
    page = bench.report(tmp_path / "report.html", results=folder, title=HOSTILE[1])
    assert "window.hacked" not in page.read_text().replace(
        "&lt;/script&gt;&lt;script&gt;window.hacked=1&lt;/script&gt;", ""
    )
    browser.open(page)
    shown = [re.sub(r"\s+", " ", name) for name in HOSTILE]
    browser.run("[...document.querySelectorAll('#column-list input')].forEach(b => b.checked || b.click())")
    labels = browser.run("[...document.querySelectorAll('button.name')].map(b => b.textContent)")
    assert sorted(labels) == sorted(HOSTILE)
    for place in range(len(HOSTILE)):
        browser.run(f"document.querySelectorAll('#table tbody input')[{place}].click()")
        browser.run(f"document.querySelectorAll('button.name')[{place}].click()")
        browser.wait_for("document.getElementById('details').open")
        text = browser.run("document.getElementById('details').textContent")
        assert text.count(labels[place]) > 5
        browser.run("document.getElementById('details').close()")
    said = browser.run("document.getElementById('curves').data.flatMap(t => t.text ?? [])")
    assert said
    assert not [text for text in said if re.search(r"<(?!br>)", text)]
    for place in range(browser.run("document.querySelectorAll('figure').length")):
        browser.run(f"document.querySelectorAll('figure')[{place}].scrollIntoView()")
        browser.wait_for(f"document.querySelectorAll('figure .plot')[{place}].data")
    whole = re.sub(r"\s+", " ", browser.run("document.body.textContent"))
    assert all(name in whole for name in shown)
    assert browser.run("document.querySelectorAll('img, iframe, b').length") == 0
    assert browser.run("document.querySelector('h1').textContent") == HOSTILE[1]
    browser.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("document.getElementById('csv').click()")
    wait_until((tmp_path / "league.csv").exists)
    cells = [cell for row in csv.reader(io.StringIO((tmp_path / "league.csv").read_text())) for cell in row]
    assert "'=cmd()" in cells
    assert not [cell for cell in cells if re.match(r"[=+@]|-(?![\d.])", cell)]
    assert browser.run("window.hacked") is None
    browser.resize(400, 900)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    check_quiet(browser)


def test_a_report_tells_no_password(tmp_path: Path) -> None:
    from bench.showing.pages import asked_command

    asked = {"storage": "postgresql://bench:secret@host/studies", "results": "results", "blocks": False, "title": None}
    made = asked_command({**asked, "parameters": (1234567, None), "encoder": ("onehot", "cycle")}, "report")
    assert "secret" not in made
    assert made.startswith("python -m bench report --storage 'postgresql://bench:***@host/studies'")
    assert made.endswith("--parameters 1234567.. --encoder onehot,cycle")


def test_a_block_without_a_picture_costs_no_other_one_its_own(tmp_path: Path) -> None:
    records = [
        run("onehot", learner, 0, rising(5), modulus=modulus, task_parameters={"operand_max": modulus - 1})
        for modulus in (7, 11, 13, 17, 19)
        for learner in ("mlp", "ridge")
    ]
    for one in records[2:4]:
        one |= {"status": "failed", "final": dict.fromkeys(one["final"]), "curve": {k: [] for k in one["curve"]}}
    made = data(bench.report(tmp_path / "report.html", records=records))["league"]["undrawn"]
    assert [line.partition(":")[0] for line in made if "heatmap" in line] == [
        "Not drawn, heatmap of add mod 11 · unordered pairs · 50 % train",
        "Of 5 tables the first 4 have a picture heatmap.",
    ]


def test_a_site_is_looked_at(browser: Tab, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its front page to a report and back, without an error and without a request elsewhere."""
    monkeypatch.setattr("bench.showing.pages._pictures", lambda league: ([], []))
    bench.publish(page.parent / "site", results=page.parent / "results", title=HOSTILE[0])
    front = (page.parent / "site" / "index.html").as_uri()
    browser.resize(400, 900)
    browser.events.clear()
    for link in ("", "#reports tr:last-child a", "header a"):
        address = browser.run(f"document.querySelector({link!r}).href") if link else front
        browser.send("Page.navigate", url=address)
        ready = "document.readyState === 'complete'" if address == front else "document.documentElement?.dataset.ready"
        browser.wait_for(f"location.href === {address!r} && {ready}")
        assert browser.run("document.querySelector('h1').textContent").startswith(HOSTILE[0])
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert address == front
    assert browser.run("document.getElementById('league').innerText").count("random → mlp") == 1
    assert browser.run("window.hacked") is None
    assert browser.named("Runtime.exceptionThrown", "Runtime.consoleAPICalled") == []
    assert [entry for entry in browser.named("Log.entryAdded") if entry["entry"]["level"] != "verbose"] == []
    sent = [one["request"]["url"] for one in browser.named("Network.requestWillBeSent")]
    assert {address.partition(":")[0] for address in sent} <= {"file", "data", "blob"}
