"""Sites: complete, the same each time, replaced whole, safe from names; or one line that says why not."""

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Finished
from records import Made, run, stored

import bench
from bench.errors import RequestError, StoreError
from bench.reports.page.packing import unpacked
from bench.results import open_store
from bench.showing import site_files, site_folder
from bench.tuning.storage.open import default_url, open_storage

Command = Callable[..., Finished]
HOSTILE = '</title><script>window.hacked=1</script><img src=x onerror="window.hacked=1">\n=1+1 "\'&'
ALWAYS = {".nojekyll", "index.html", "league.csv", "league.json", "records.pack", "report.html", "site.json"}


def some() -> Iterator[Made]:
    """Two configurations on two tasks, and on one of another modulus."""
    for seed in range(2):
        yield run("mlp", seed, [0.1] * 5 + [1.0] * 5)
        yield run("ridge", seed)
        yield run("mlp", seed, task="subtract")
        yield run("mlp", seed, modulus=7)


def folder_of(path: Path, *records: Made) -> Path:
    path.mkdir()
    return stored(path, records or some())


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Page(HTMLParser):
    """A page as a browser takes it: its tags, the addresses that it names, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags, self.addresses, self.attributes, self.text = list[str](), list[str](), set[str](), ""
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site, beside the folder that it is of."""
    place = tmp_path_factory.mktemp("site")
    bench.publish(place / "site", results=folder_of(place / "results"))
    return place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a results folder; reports have no pictures, which take the most time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.showing.pages._pictures", lambda league: ([], []))
    folder_of(tmp_path / "results")
    return tmp_path


# What is in a site


def test_a_site_is_complete_and_its_links_lead_to_its_files(made: Path) -> None:
    files = content(made / "site")
    reports = {"report-add-mod-5.html", "report-subtract-mod-5.html", "report-add-mod-7.html"}
    assert files.keys() == ALWAYS | reports
    assert files[".nojekyll"] == b""
    front = Page(made / "site" / "index.html")
    assert {"report.html", *reports, "records.pack", "league.csv", "league.json"} <= {*front.addresses}
    for name in files:
        if name.endswith(".html"):
            page = Page(made / "site" / name)
            assert {*page.addresses} <= files.keys()
            assert name == "index.html" or "index.html" in page.addresses
            assert "http-equiv" in page.attributes
            assert str(made) not in page.text
    assert "script" not in front.tags
    for name in ("records.pack", "league.csv", "league.json"):
        assert hashlib.sha256(files[name]).hexdigest() in front.text


def test_the_mark_tells_of_all_files(made: Path) -> None:
    files = content(made / "site")
    mark = json.loads(files.pop("site.json"))
    assert mark["format"] == "mod97 site"
    assert mark["files"] == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in sorted(files.items())
    }


def test_pack_and_league_hold_what_the_folder_holds(made: Path, command: Command) -> None:
    packed, folder = open_store(made / "site" / "records.pack"), open_store(made / "results")
    assert [*packed.records()] == [*folder.records()]
    ranked = command("rank", "--results", made / "results", "--json").json
    league = json.loads((made / "site" / "league.json").read_text())
    assert league == ranked
    csv = command("rank", "--results", made / "results", "--format", "csv").out
    assert (made / "site" / "league.csv").read_text() == csv
    text = Page(made / "site" / "index.html").text
    assert all(row["label"] in text for row in league["rows"])


def test_reports_are_those_that_their_commands_make(
    made: Path, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(made / "site")
    for name, runs in (("report.html", 8), ("report-add-mod-5.html", 4)):
        said = parts(made / "site" / name)
        assert len(said["runs"]["id"]) == runs
        words = shlex.split(said["league"]["command"])
        assert words[3:6] == ["report", "--results", "records.pack"]
        again = tmp_path / "again.html"
        assert command(*words[3:], "-o", again).code == 0
        found = parts(again)
        assert found["league"]["league"]["values"] == said["league"]["league"]["values"]
        assert found["runs"] == said["runs"]
        assert not any("--results" in line for lines in said["runs"]["commands"] for line in lines)
        assert found["pictures"] == said["pictures"]


def parts(page: Path) -> dict[str, Any]:
    found = re.findall(r'<script type="application/gzip" id="data-(\w+)">([\w+/=]*)</script>', page.read_text())
    return {name: unpacked(part) for name, part in found if name != "plotly"}


def test_studies_are_part_of_the_report_of_all_records(place: Path) -> None:
    """One of two values among them."""
    study = optuna.create_study(
        study_name="two", storage=open_storage(default_url("results")), directions=["maximize", "minimize"]
    )
    for share in (0.2, 0.4):
        trial = study.ask()
        study.tell(trial, [trial.suggest_float("train_fraction", share, 0.5), share])
    done = bench.publish("site", task=["subtract"])
    assert [one["name"] for one in parts(place / "site" / "report.html")["studies"]] == ["two"]
    assert "Studies, in the report of all records: 1." in Page(place / "site" / "index.html").text
    assert done.files.keys() == ALWAYS  # one task has no report beside that


def test_names_do_nothing(place: Path) -> None:
    hostile = [
        {**run(HOSTILE, seed, encoder={"name": HOSTILE}, task=HOSTILE, protocol=HOSTILE), "label": HOSTILE}
        for seed in range(2)
    ]
    others = [run(task=task) for task in ("../../x", "ÄÖ", "con", "a/b", "a b", "x" * 300)]
    bench.publish("site", results=folder_of(place / "odd", *hostile, *others), title=HOSTILE)
    assert all(re.fullmatch(r"\.nojekyll|[a-z0-9-]{1,70}\.[a-z]+", name) for name in content(place / "site"))
    assert len(content(place / "site")) == len(ALWAYS) + 7
    page = Page(place / "site" / "index.html")
    assert not {"script", "img"} & {*page.tags}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) >= 4
    assert {*page.addresses} <= content(place / "site").keys()
    league = (place / "site" / "league.csv").read_text()
    assert not re.search(r'(^|[,"])=1', league)


# What is asked


def test_a_site_of_several_sources_and_of_some_records(place: Path, command: Command) -> None:
    """Of the records of a cell the one that goes further is taken; of an incomplete curve no more is asked."""
    short = run("knn", 0, [0.1, 0.2], steps=(1, 2))
    long = {**run("knn", 0, [0.1, 0.2, 0.3], steps=(1, 2, 4)), "id": short["id"]}
    folder_of(place / "one", short, run("ridge", 0, [0.4] * 10))
    folder_of(place / "two", long, run("knn", 1, task="other"))
    bench.pack("two", output="two.pack", curves="accuracy")
    named = ("--results", "one", "--results", "two.pack", "--results", "results", "--learner", "knn,ridge")
    done = command("publish", "site", *named, "--task", "add", "--by", "steps", "--json", "--quiet")
    assert (done.code, len(done.err.splitlines())) == (0, 2)
    assert done.err.startswith("Note: 1 record of the same cell and step with other numbers on the curve:")
    document = done.json
    assert (document["output"], document["records"], document["configurations"]) == ("site", 3, 2)
    assert not document["replaced"]
    sizes = {name: len(data) for name, data in content(place / "site").items()}
    assert {name: one["bytes"] for name, one in document["files"].items()} == sizes
    assert document["bytes"] == sum(sizes.values())
    packed = open_store("site/records.pack")
    assert (packed.curves, [one["final"]["step"] for one in packed.records()]) == (
        "accuracy",
        [one["final"]["step"] for one in sorted([long, run("ridge", 0), run("ridge", 1)], key=lambda one: one["id"])],
    )
    assert json.loads((place / "site" / "league.json").read_text())["by"] == "steps"
    assert "rank --results records.pack --by steps\n" in Page(place / "site" / "index.html").text


def test_a_baseline_is_asked_of_the_tasks_that_have_it(place: Path) -> None:
    bench.publish("site", baseline="ridge", published=True, title="Mine")
    of_add, other = (parts(place / "site" / f"report-{name}.html")["league"] for name in ("add-mod-5", "add-mod-7"))
    assert "--baseline ridge" in of_add["command"]
    assert "difference" in of_add["league"]["values"]
    assert "--baseline" not in other["command"]
    assert of_add["title"] == "Mine: add mod 5"
    assert "Published, not ranked" in Page(place / "site" / "index.html").text


def test_a_table_has_its_best_rows(place: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setattr("bench.reports.page.site.MOST_ROWS", 1)
    monkeypatch.setattr(site_files, "MOST_REPORTS", 2)
    done = command("publish", "my site", "--quiet")
    assert done.out.splitlines()[1:] == ["Opened by: python -m http.server --directory 'my site'"]
    assert re.fullmatch(r"Published 8 records to 'my site': 9 files, [\d.]+ MB\.", done.out.splitlines()[0])
    page = Page(place / "my site" / "index.html")
    assert "And 1 more row, which the report has." in page.text
    assert "The first 2 of 3 tasks have a report of their own." in page.text


# The folder


def test_a_site_is_replaced_whole_and_other_files_stay(place: Path) -> None:
    (place / "site").mkdir()
    (place / "site" / ".git").mkdir()
    (place / "site" / ".git" / "HEAD").write_text("mine")
    first = bench.publish("site")
    bench.publish("fresh")
    assert content(place / "fresh") == {n: d for n, d in content(place / "site").items() if n != ".git/HEAD"}
    (place / "site" / "CNAME").write_text("mine")
    (place / "site" / ".publish-left.tmp").mkdir()  # by a process that was killed
    before = content(place / "site")
    again = bench.publish("site")
    assert content(place / "site") == before
    assert not (place / "site" / ".publish-left.tmp").exists()
    assert (first.replaced, again.replaced, again.files) == (False, True, first.files)
    bench.publish("site", task="subtract", title="Another")
    others = {".git/HEAD": b"mine", "CNAME": b"mine"}
    bench.publish("small", task="subtract", title="Another")
    assert content(place / "site") == {**content(place / "small"), **others}
    assert content(place / "small").keys() == ALWAYS
    assert oct((place / "fresh").stat().st_mode & 0o777) == "0o755"


MARK = {"format": "mod97 site", "version": 1, "files": {}}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"mine.txt": "x"}, "'site' holds files and is no site: name a new or an empty folder."),
        ({"site.json": "{"}, "'site/site.json' is damaged, which says what is of the site (Expecting"),
        ({"site.json": ""}, "'site/site.json' is damaged, which says what is of the site (it is empty)"),
        ({"site.json": "[1]"}, "'site/site.json' is damaged, which says what is of the site: name a new"),
        ({"site.json": json.dumps({**MARK, "version": 2})}, "'site/site.json' was written by a newer version of mod97"),
        (
            {"site.json": json.dumps({**MARK, "files": {"../mine.txt": None}}), "../mine.txt": "x"},
            "'site/site.json' is damaged, which says what is of the site: name a new",
        ),
        (
            {"site.json": json.dumps({**MARK, "files": {"a.html": None}}), "a.html/b": "x"},
            "'site/a.html' is a folder in place of a file of the site: move it away.",
        ),
        (
            {"site.json": json.dumps(MARK), "index.html": "mine"},
            "'site/index.html' is not of the site, which needs the name: rename it.",
        ),
    ],
)
def test_a_folder_of_other_files_is_not_touched(
    place: Path, command: Command, files: dict[str, str], message: str
) -> None:
    (place / "site").mkdir()
    for name, text in files.items():
        (place / "site" / name).parent.mkdir(exist_ok=True)
        (place / "site" / name).write_text(text)
    before = content(place)
    done = command("publish", "site", "--quiet")
    assert (done.code, done.out) == (2, "")
    assert message in done.error
    assert content(place) == before
    assert not any(place.rglob(".publish-*"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([""], 2, "A site must be a folder, got ''."),
        (["no/site"], 2, "A site must be in a folder that exists, got 'no/site'."),
        (["half.pack"], 2, "A site must be a folder, got 'half.pack'."),
        (["results"], 2, "'results' holds files and is no site: name a new or an empty folder."),
        (["x" * 300], 2, "File name too long"),
        (["site", "--results", "no"], 2, "A source of a site must be a results folder or a pack, got 'no'."),
        (["site", "--results", "empty"], 2, "The source 'empty' holds no records."),
        (["site", "--results", "half.pack"], 2, "The pack 'half.pack' is damaged: its end is missing"),
        (["site", "--results", "foreign.parquet"], 2, "'foreign.parquet' is no pack: it is no zip archive."),
        (["site", "--results", "none.pack"], 2, "The pack 'none.pack' holds no curves, and a site needs at least"),
        (["site", "--learner", "ridg"], 2, "Unknown --learner in 'results': 'ridg': did you mean 'ridge'?"),
        (["site", "--by", "luck"], 2, "Unknown --by 'luck'"),
        (["site", "--curves", "none"], 2, "Unknown --curves 'none'"),
        (["site", "--storage", "sqlite:///no.db"], 2, "no.db"),
        (["site", "--results", "bad"], 1, "is damaged: its status is 'odd'."),
    ],
)
def test_a_wrong_request_is_one_line_and_changes_nothing(
    place: Path, made: Path, command: Command, arguments: list[str], code: int, message: str
) -> None:
    (place / "empty").mkdir()
    folder_of(place / "bad", {**run("mlp", 0), "status": "odd"}, run("mlp", 1))
    (place / "half.pack").write_bytes((made / "site" / "records.pack").read_bytes()[:3000])
    if "none.pack" in arguments:
        bench.pack("results", output="none.pack", curves="none")
    pq.write_table(pa.table({"id": ["a"]}), "foreign.parquet")
    before = content(place)
    done = command("publish", *arguments, "--quiet")
    assert (done.code, done.out) == (code, "")
    assert message in done.error
    assert content(place) == before


def test_a_broken_record_is_left_out_and_told_of(place: Path, command: Command) -> None:
    folder_of(place / "bad", {**run("mlp", 0), "status": "odd"}, run("mlp", 1))
    done = command("publish", "site", "--results", "bad", "--skip-broken", "--quiet")
    assert done.code == 0
    assert "is damaged: its status is 'odd'" in done.err
    assert done.out.splitlines()[1] == "1 broken and left out."
    assert [one["id"] for one in open_store("site/records.pack").records()] == [run("mlp", 1)["id"]]
    assert "Left out, since they could not be read: 1 record." in Page(place / "site" / "index.html").text


def test_a_record_that_cannot_be_ranked_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise ValueError("its numbers are odd")

    monkeypatch.setattr("bench.ranking.reading.run_of", refuse)
    with pytest.raises(StoreError, match=r"^The record 'records\.pack/[0-9a-f]{16}' is damaged: its numbers are odd"):
        bench.publish("site")
    assert [path.name for path in place.iterdir()] == ["results"]


def test_what_does_not_apply_is_refused_from_python(place: Path) -> None:
    with pytest.raises(RequestError, match="`blocks` does not apply to a site"):
        bench.publish("site", blocks=True)
    with pytest.raises(RequestError, match="not of records in memory"):
        bench.publish("site", records=list(some()))
    with pytest.raises(TypeError, match="unexpected keyword argument 'encoders'"):
        bench.publish("site", encoders="onehot")
    assert [path.name for path in place.iterdir()] == ["results"]


@pytest.mark.parametrize(("at", "error"), [(0, OSError), (1, KeyboardInterrupt), (4, OSError), (7, KeyboardInterrupt)])
def test_what_goes_wrong_leaves_the_old_site(
    place: Path, monkeypatch: pytest.MonkeyPatch, at: int, error: type[BaseException]
) -> None:
    """As the new files get their places, one after the other."""
    bench.publish("site", task="add", modulus=5)
    before, replace, left = content(place), Path.replace, [at]

    def broken(self: Path, target: Path) -> Path:
        if target.parent == Path("site"):
            left[0] -= 1
            if left[0] < 0:
                left[0] = 1000
                raise error(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises((KeyboardInterrupt, StoreError), match="No space left"):
        bench.publish("site", task="add", modulus=5, title="Another")
    assert content(place) == before


def test_a_kill_among_the_new_files_costs_no_later_site(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is an old or a new one, and the mark tells of all."""
    bench.publish("site")
    replace, left = Path.replace, [4]

    def killed(self: Path, target: Path) -> Path:
        left[0] -= target.parent == Path("site")
        if left[0] < 0:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        patched.setattr(site_folder.SiteFolder, "_restore", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            bench.publish("site", task="subtract", title="Another")
    front = Page(place / "site" / "index.html")
    assert {*front.addresses} <= content(place / "site").keys()
    bench.publish("site", task="subtract", title="Another")
    bench.publish("fresh", task="subtract", title="Another")
    assert content(place / "site") == content(place / "fresh")
