"""Studies in optuna-dashboard: what they show there, the server, and a real browser that looks at it."""

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from browser import Tab, tab
from conftest import PATIENCE, Finished, wait_until
from optuna.trial import TrialState

from bench.errors import RequestError, StoreError
from bench.reports.figures import study as study_pictures
from bench.reports.figures.study import study_figures
from bench.reports.figures.study.trials import POINTS
from bench.tuning.dashboard.server import keep_figures_drawn, redraw
from bench.tuning.dashboard.study_page import attach_curve, update_page
from bench.tuning.optuna_internals import trial_for_note
from bench.tuning.storage.open import close_storage, default_url, open_storage

Command = Callable[..., Finished]

NOTE = "**onehot × quadratic**, half of the pairs train.\n\n```\npython -m bench tune --trials 12\n```\n"
METRIC = "steps to hold 99 % on validation"


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def studied(storage: Any, name: str = "one", trials: int = 28, **directions: Any) -> optuna.Study:
    """A study of trials that solve the task the sooner, the nearer their rate is to 0.01; each fourth one fails."""
    study = optuna.create_study(
        study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler(seed=0), **directions
    )
    for number in range(trials):
        trial = study.ask()
        rate, width = trial.suggest_float("lr", 1e-4, 1.0, log=True), trial.suggest_int("width", 8, 64)
        slow = 10 * max(rate / 0.01, 0.01 / rate) ** 0.5
        if len(study.directions) == 1:
            for step in range(0, 400, 40):
                trial.report(step / (step + slow), step)
        if number % 4 == 3:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, slow if len(study.directions) == 1 else [1 / slow, width * slow])
    return study


def shown(study: optuna.Study) -> dict[str, Any]:
    """What the dashboard's own server says of a study, its plots as documents by id."""
    dashboard = pytest.importorskip("optuna_dashboard")
    environment = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/api/studies/{study._study_id}", "QUERY_STRING": ""}
    statuses: list[str] = []
    app = dashboard.wsgi(study._storage)
    body = b"".join(app(environment, lambda status, headers, error=None: statuses.append(status)))
    assert statuses == ["200 OK"]
    found = json.loads(body)
    found["plots"] = {plot["id"]: json.loads(plot["graph_object"]) for plot in found["plotly_graph_objects"]}
    return dict(found)


def journal(folder: Path) -> Any:
    return open_storage(default_url(folder))


# What a study shows


def test_a_study_shows_names_a_note_figures_and_its_winner(tmp_path: Path) -> None:
    study, winner = studied(journal(tmp_path)), tmp_path / "0123456789abcdef.json"
    winner.write_text('{"id": "0123456789abcdef"}')
    update_page(study, note=NOTE, winner=winner, metrics=[METRIC], figures=True)
    seen = shown(study)
    assert seen["note"]["body"] == NOTE
    assert seen["objective_names"] == [METRIC]
    assert set(seen["plots"]) == {"learning-curves", "importances"}
    [artifact] = seen["artifacts"]
    assert artifact["filename"] == winner.name
    assert (tmp_path / "artifacts" / artifact["artifact_id"]).read_text() == winner.read_text()


def test_decorating_again_writes_nothing(tmp_path: Path) -> None:
    study, winner = studied(journal(tmp_path)), tmp_path / "0123456789abcdef.json"
    winner.write_text("{}")
    for _ in range(2):
        update_page(study, note=NOTE, winner=winner, metrics=[METRIC], figures=True)
    seen, size = shown(study), (tmp_path / "studies.journal").stat().st_size
    again = optuna.load_study(study_name="one", storage=journal(tmp_path))  # as another process would
    update_page(again, note=NOTE, winner=winner, metrics=["another name"], figures=True)
    assert shown(again) == seen
    assert (tmp_path / "studies.journal").stat().st_size == size
    assert len(list((tmp_path / "artifacts").iterdir())) == 1


def test_no_figure_is_drawn_unless_asked_for(tmp_path: Path) -> None:
    study = studied(journal(tmp_path))
    size = (tmp_path / "studies.journal").stat().st_size
    update_page(study, note=NOTE, metrics=[METRIC])
    assert shown(study)["plots"] == {}
    assert (tmp_path / "studies.journal").stat().st_size < size + 2000


def drawings(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What a reader would meet of the learning curves after each single write, while they are drawn."""
    prefix, whole = "dashboard:plot_data:learning-curves:", study._storage.set_study_system_attr
    met: list[str] = []

    def write(study_id: int, key: str, value: Any) -> None:
        whole(study_id, key, value)
        pieces = {k: v for k, v in study._storage.get_study_system_attrs(study_id).items() if k.startswith(prefix)}
        met.append("".join(pieces[f"{prefix}{i}"] for i in range(len(pieces))))

    monkeypatch.setattr(study._storage, "set_study_system_attr", write)
    update_page(study, note=NOTE, figures=True)
    yield from filter(None, met)


def test_nobody_meets_half_of_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    study = studied(None)
    for more in range(3):
        if more:
            trial = study.ask()
            for step in range(1, 1000 // more**3):
                trial.report(step / 1000, step)
            study.tell(trial, 20 - more)
        with monkeypatch.context() as patched:
            met = list(drawings(study, patched))
        assert met
        assert [json.loads(text)["layout"]["title"]["text"] for text in met]


def test_where_a_value_is_small_a_figure_has_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    study = studied(None)
    update_page(study, note=NOTE, figures=True)
    before = shown(study)["plots"]
    for dialect in ("mysql", ""):  # from one piece to many, and back
        monkeypatch.setattr("bench.tuning.dashboard.study_page.dialect_of", lambda study, dialect=dialect: dialect)
        update_page(study, note=NOTE, figures=True)
        found = study._storage.get_study_system_attrs(study._study_id)
        pieces = [v for k, v in found.items() if k.startswith("dashboard:plot_data:learning-curves:") and v]
        assert (max(map(len, pieces)) <= 2045 and len(pieces) > 2) if dialect else len(pieces) == 1
        assert shown(study)["plots"] == before


def test_decorating_later_replaces_what_has_changed(tmp_path: Path) -> None:
    study, winner = studied(journal(tmp_path)), tmp_path / "0123456789abcdef.json"
    winner.write_text("{}")
    update_page(study, note="A long note. " * 400, winner=winner, figures=True)
    trial = study.ask()
    trial.report(0.5, 3)
    study.tell(trial, 1.0)
    winner.write_text('{"final": {}}')
    update_page(study, note=NOTE, winner=winner, figures=True)
    seen = shown(study)
    assert seen["note"]["body"] == NOTE
    assert set(seen["plots"]) == {"learning-curves", "importances"}
    assert "29 trials" in seen["plots"]["learning-curves"]["layout"]["title"]["text"]
    [artifact] = seen["artifacts"]
    assert (tmp_path / "artifacts" / artifact["artifact_id"]).read_text() == winner.read_text()


def test_a_deleted_artifact_comes_back_and_an_edited_note_stays(tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    study, winner = studied(journal(tmp_path), trials=1), tmp_path / "0123456789abcdef.json"
    winner.write_text("{}")
    update_page(study, note=NOTE, winner=winner)
    [artifact] = shown(study)["artifacts"]
    (tmp_path / "artifacts" / artifact["artifact_id"]).unlink()
    study._storage.set_study_system_attr(study._study_id, f"artifacts:{artifact['artifact_id']}", "null")
    dashboard.save_note(study, "I saw something.")
    update_page(study, note=NOTE + "More.", winner=winner)
    seen = shown(study)
    assert seen["note"]["body"] == "I saw something."
    assert len(seen["artifacts"]) == 1


def test_a_picture_is_a_module_found_by_its_presence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_new_picture.py").write_text(
        "from bench.reports.figures._elements import figure\nID = 'new'\n"
        "def draw(study, names, curve): return figure(names[0], ['below'], [])"
    )
    monkeypatch.setattr(study_pictures, "__path__", [*study_pictures.__path__, str(tmp_path)])
    study = optuna.create_study()
    found = study_figures(study, ["<value>"], "accuracy")
    assert list(found) == ["new"]  # nothing else can be drawn yet
    assert found["new"]["layout"]["title"]["text"] == "<b>&lt;value&gt;</b><br><sup>below</sup>"


def test_figures_show_every_trial_and_the_best_ones_above() -> None:
    study = studied(None)
    drawn = study_figures(study, [METRIC], "validation accuracy")["learning-curves"]
    others, *best = drawn["data"]
    assert drawn["layout"]["xaxis"]["type"] == "log"
    assert drawn["layout"]["yaxis"]["title"]["text"] == "validation accuracy"
    assert others["x"].count(None) + len(best) == len(study.trials)
    done = sorted((t for t in study.trials if t.state == TrialState.COMPLETE), key=lambda t: t.value or 0)
    assert [trace["name"].split(":")[0] for trace in best[::-1]] == [f"trial {t.number}" for t in done[:5]]
    winner = done[0].intermediate_values
    assert best[-1]["x"] == [step for step in winner if step > 0]
    assert best[-1]["y"] == pytest.approx([value for step, value in winner.items() if step > 0], rel=1e-3)


def of_tune(trials: dict[int, tuple[float, dict[str, Any]]], seeds: int = 1) -> optuna.Study:
    """A study as tune makes it, of values and attributes by number."""
    study = optuna.create_study()
    study.set_user_attr("what", json.dumps({"unit": "steps and FLOPs", "seeds": seeds}))
    ends = "it ends at 99.8% (99.6% to 100.0%, n = 3 fresh seeds)"
    study.set_user_attr("tested", f"**On the vault** {ends}; 99 % reached by 3.")
    for value, attributes in trials.values():
        study.add_trial(optuna.trial.create_trial(value=value, user_attrs={"steps": 100, **attributes}))
    return study


HISTORY = {
    0: (1823.0, {}),
    1: (4500.0, {"status": "diverged"}),
    2: (1200.0, {"held_steps_to_99": 1200.0, "unconfirmed": 1}),
    3: (29.0, {"held_steps_to_99": 29.0, "unconfirmed": 0}),
}


def test_the_history_marks_what_was_not_reached_above_what_was() -> None:
    """1,823 is no number of steps that a trial took: it did not get there within its 1,500."""
    drawn = study_figures(of_tune(HISTORY), [METRIC], "validation accuracy")["b-history"]
    assert drawn["layout"]["yaxis"]["type"] == "log"
    traces = {trace["name"]: (trace["x"], trace["y"]) for trace in drawn["data"]}
    assert traces["held and confirmed"] == ([3], [29.0])
    assert traces["held, not confirmed yet"] == ([2], [1200.0])
    assert traces["not reached"] == ([0], [1800.0])
    assert traces["diverged"] == ([1], [1800.0])
    assert traces["best so far"] == ([2, 3], [1200.0, 29.0])


def test_the_first_page_says_what_came_of_it() -> None:
    [table] = study_figures(of_tune(HISTORY), [METRIC], "validation accuracy")["a-result"]["data"]
    said = " ".join(table["cells"]["values"][1])
    assert f"trial 3 of 4: {METRIC} 29" in said
    assert "On the vault it ends at 99.8%" in said


@pytest.mark.parametrize(("seeds", "who"), [(1, ""), (2, " by every seed")])
def test_where_no_trial_held_it_all_is_shown_as_it_counts(seeds: int, who: str) -> None:
    never = of_tune({0: HISTORY[0], 1: HISTORY[1]}, seeds)
    drawn = study_figures(never, [METRIC], "validation accuracy")
    [table] = drawn["a-result"]["data"]
    assert table["cells"]["values"][1][0] == f"trial 0 of 2: 99 % not held{who}; counts as 1,823 steps"
    traces = {trace["name"]: (trace["x"], trace["y"]) for trace in drawn["b-history"]["data"]}
    assert traces == {"not reached": ([0], [1823.0]), "diverged": ([1], [4500.0])}
    said = drawn["b-history"]["layout"]["title"]["text"]
    assert "none of 2 trials held 99 %: marks show what they count as" in said


def test_trials_have_a_note_once_and_a_picture(tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    study = studied(journal(tmp_path), trials=3)
    late = study.ask()
    attach_curve(late, {1: 0.0, 100: 1.0}, tmp_path / "artifacts")
    study.tell(late, 1.0)
    for text in ("of trial", "again of trial"):
        update_page(study, note=NOTE, of_trial=lambda trial, text=text: f"{text} {trial.number}")
    asked = [trial_for_note(study, trial) for trial in study.trials]
    assert [dashboard.get_note(one) for one in asked] == [f"of trial {number}" for number in range(4)]
    [picture] = [path.read_text() for path in (tmp_path / "artifacts").iterdir()]
    assert picture.startswith("<svg")
    assert "<polyline" in picture
    [attribute] = [v for k, v in study.trials[3].system_attrs.items() if k.startswith("artifacts:")]
    assert json.loads(attribute)["mimetype"] == "image/svg+xml"


def test_a_maximum_is_best_where_the_study_says_so() -> None:
    study = studied(None, direction="maximize")
    drawn = study_figures(study, ["accuracy"], "validation accuracy")["learning-curves"]
    assert drawn["data"][-1]["name"].startswith(f"trial {study.best_trial.number}:")


def test_many_curves_are_thinned_and_keep_their_ends() -> None:
    study = optuna.create_study()
    for _ in range(100):
        trial = study.ask()
        for step in range(1, 301):
            trial.report(step / 300, step)
        study.tell(trial, 1.0)
    traces = study_figures(study, ["value"], "validation accuracy")["learning-curves"]["data"]
    assert sum(len(trace["x"]) for trace in traces) <= POINTS + 100
    assert all(trace["x"][-1] == 300 for trace in traces[1:])


def test_importances_are_shares_of_what_varies() -> None:
    study = studied(None, trials=40)
    drawn = study_figures(study, [METRIC], "accuracy")["importances"]
    [bars] = drawn["data"]
    assert bars["y"] == drawn["layout"]["yaxis"]["tickvals"] == [0, 1]
    assert drawn["layout"]["yaxis"]["ticktext"] == ["width", "lr"]  # the largest one above
    assert sum(bars["x"]) == pytest.approx(1, abs=1e-3)


def test_parameters_of_few_trials_have_importances_too() -> None:
    study = studied(None, trials=40)
    trial = study.ask()
    trial.suggest_float("lr", 1e-4, 1.0, log=True)
    trial.suggest_float("momentum", 0, 1)
    study.tell(trial, 1000.0)
    axis = study_figures(study, [METRIC], "accuracy")["importances"]["layout"]["yaxis"]
    assert set(axis["ticktext"]) == {"lr", "width", "momentum"}


def constant(study: optuna.Study) -> None:
    for _ in range(30):
        trial = study.ask({"lr": optuna.distributions.FloatDistribution(0, 1)})
        trial.suggest_float("momentum", 0, 1)
        study.tell(trial, 1.0)


def fixed(study: optuna.Study) -> None:
    for number in range(30):
        trial = study.ask()
        trial.suggest_categorical("schedule", ["constant"])
        trial.suggest_float("lr", 0, 1)
        study.tell(trial, number)


def endless(study: optuna.Study) -> None:
    for _ in range(30):
        trial = study.ask()
        trial.report(float("nan"), 1)
        trial.report(float("inf"), 2)
        study.tell(trial, float("inf"))


def at_step_zero(study: optuna.Study) -> None:
    trial = study.ask()
    trial.report(0.1, 0)
    study.tell(trial, 1.0)


def failed(study: optuna.Study) -> None:
    for _ in range(12):
        study.tell(study.ask(), state=TrialState.FAIL)


def waiting(study: optuna.Study) -> None:
    study.enqueue_trial({"lr": 0.1})
    study.enqueue_trial({"lr": 0.2})
    study.ask()


@pytest.mark.parametrize("filled", [lambda study: None, constant, fixed, endless, at_step_zero, failed, waiting])
def test_where_nothing_can_be_drawn_nothing_is(filled: Callable[[optuna.Study], None]) -> None:
    study = optuna.create_study()
    filled(study)
    update_page(study, note=NOTE, metrics=[METRIC], figures=True)
    seen = shown(study)
    assert seen["note"]["body"] == NOTE
    assert seen["objective_names"] == [METRIC]
    assert not seen["plots"]
    assert not seen["artifacts"]


def test_one_trial_is_a_curve() -> None:
    study = studied(None, trials=1)
    update_page(study, note=NOTE, figures=True)
    plots = shown(study)["plots"]
    assert set(plots) == {"learning-curves"}
    assert len(plots["learning-curves"]["data"]) == 1


def test_running_and_failed_trials_are_drawn_too() -> None:
    study = studied(None, trials=4)
    trial = study.ask()
    trial.report(0.25, 1)
    drawn = study_figures(study, [METRIC], "accuracy")["learning-curves"]
    assert drawn["data"][0]["x"].count(None) == 2
    assert "5 trials" in drawn["layout"]["title"]["text"]


def test_two_objectives_have_a_front_instead_of_curves() -> None:
    study = studied(None, directions=["maximize", "minimize"])
    update_page(study, note=NOTE, metrics=["validation accuracy", "cost"], figures=True)
    seen = shown(study)
    assert seen["objective_names"] == ["validation accuracy", "cost"]
    assert set(seen["plots"]) == {"pareto-front", "importances"}
    beaten, front = seen["plots"]["pareto-front"]["data"]
    assert sorted(zip(front["x"], front["y"], strict=True)) == sorted(tuple(t.values) for t in study.best_trials)
    assert len(beaten["x"]) + len(front["x"]) == 21
    axes = [seen["plots"]["pareto-front"]["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
    assert axes == ["validation accuracy (higher is better)", "cost (lower is better)"]


@pytest.mark.parametrize("directions", [["minimize", "maximize"], ["minimize"] * 3])
def test_several_objectives_without_trials(directions: list[str]) -> None:
    study = optuna.create_study(directions=directions)
    update_page(study, note=NOTE, figures=True)
    assert not shown(study)["plots"]


@pytest.mark.parametrize("missing", ["optuna_dashboard", "plotly.graph_objects"])
def test_nothing_happens_where_it_is_not_installed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = studied(None)
    before = study._storage.get_study_system_attrs(study._study_id)
    monkeypatch.setitem(sys.modules, missing, None)
    update_page(study, note=NOTE, metrics=[METRIC], figures=True)
    assert study._storage.get_study_system_attrs(study._study_id) == before


def test_a_winner_that_cannot_be_copied_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"The winner's record '.*gone\.json' cannot be copied to '.*artifacts'"):
        update_page(studied(None, trials=1), note=NOTE, winner=tmp_path / "gone.json")


# The server


@dataclass
class Served:
    process: subprocess.Popen[str]
    line: str

    @property
    def address(self) -> str:
        """Of the page."""
        return next(word for word in self.line.split() if word.startswith("http://"))

    @property
    def root(self) -> str:
        return self.address.partition("/dashboard")[0]

    @property
    def port(self) -> int:
        return int(self.root.rpartition(":")[2])

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.root + path, timeout=PATIENCE) as answer:
            return bytes(answer.read())


@contextmanager
def serving(*arguments: object) -> Iterator[Served]:
    """The command in a process of its own, from its first line on."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # that a job of a shell ignores it is inherited
    try:
        command = [sys.executable, "-m", "bench", "dashboard", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    patience = threading.Timer(PATIENCE, process.kill)
    patience.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        patience.cancel()
        assert line, process.communicate()[1]
        yield Served(process, line)
    finally:
        patience.cancel()
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two studies, on a port that was taken."""
    folder = tmp_path_factory.mktemp("results")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage, winner = journal(folder), folder / "0123456789abcdef.json"
    winner.write_text('{"id": "0123456789abcdef"}')
    studied(storage, "zero")
    update_page(studied(storage, "onehot-quadratic"), note=NOTE, winner=winner, metrics=[METRIC], figures=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving("--results", folder, "--study", "onehot-quadratic", "--port", port) as server:
            assert f"port {port} is taken" in server.line
            assert server.port != port
            yield server


def test_the_server_gives_studies_and_artifacts(served: Served) -> None:
    assert served.address == f"{served.root}/dashboard/studies/1"
    names = [study["study_name"] for study in json.loads(served.get("/api/studies"))["study_summaries"]]
    assert names == ["zero", "onehot-quadratic"]
    study = json.loads(served.get("/api/studies/1"))
    [artifact] = study["artifacts"]
    assert json.loads(served.get(f"/artifacts/1/{artifact['artifact_id']}")) == {"id": "0123456789abcdef"}


def curves(study: dict[str, Any]) -> str:
    """The title of a study's learning curves."""
    plots = {plot["id"]: json.loads(plot["graph_object"]) for plot in study["plotly_graph_objects"]}
    return str(plots["learning-curves"]["layout"]["title"]["text"]) if "learning-curves" in plots else ""


def test_the_server_draws_what_tune_has_made_and_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    storage = journal(tmp_path)
    studied(storage, "another's")
    studied(storage, "tune's").set_user_attr("what", "{}")
    with serving("--results", tmp_path, "--port", 0, "--quiet") as server:
        assert server.line == f"http://127.0.0.1:{server.port}/dashboard\n"
        wait_until(lambda: "28 trials" in curves(json.loads(server.get("/api/studies/1"))))
        assert curves(json.loads(server.get("/api/studies/0"))) == ""
        server.process.send_signal(signal.SIGINT)
        out, err = server.process.communicate(timeout=PATIENCE)
        assert (server.process.returncode, out, err) == (0, "", "")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


@pytest.mark.parametrize("url", ["journal:///{}/s", "sqlite:///{}/s"])
def test_figures_follow_a_study_while_it_is_served(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While this test adds trials, none is drawn: a drawing that counts some of them shows some more."""
    pytest.importorskip("plotly")
    monkeypatch.setattr("bench.tuning.dashboard.server.REDRAW", 0.05)
    drawing, looks = threading.Lock(), 0

    def look(*arguments: Any) -> None:
        nonlocal looks
        with drawing:
            redraw(*arguments)
            looks += 1

    monkeypatch.setattr("bench.tuning.dashboard.server.redraw", look)
    storage, threads = open_storage(url.format(tmp_path)), threading.active_count()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)
        study = studied(storage)
        study.set_user_attr("what", "{}")
        with keep_figures_drawn(open_storage(url.format(tmp_path))):
            wait_until(lambda: "28 trials" in curves(shown(study)))
            with drawing:
                more(study, 12)
            wait_until(lambda: "40 trials" in curves(shown(study)))
            with drawing:
                more(study, 1)  # is less than a twentieth
                size, before = (tmp_path / "s").stat().st_size, looks
            wait_until(lambda: looks >= before + 5)
            assert "40 trials" in curves(shown(study))
            assert (tmp_path / "s").stat().st_size == size
    assert threading.active_count() == threads
    close_storage(storage)


def more(study: optuna.Study, trials: int) -> None:
    for _ in range(trials):
        trial = study.ask()
        trial.report(0.5, 3)
        study.tell(trial, 10.0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_the_server_listens_at_the_loopback_address_only(served: Served) -> None:
    assert served.root.startswith("http://127.0.0.1:")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", served.port), timeout=PATIENCE)


def test_bad_requests_get_one_line(command: Command, tmp_path: Path) -> None:
    optuna.create_study(study_name="onehot-mlp", storage=journal(tmp_path))
    here = ("dashboard", "--results", tmp_path)
    for arguments, message in {
        ("--study", "onehot-mpl"): "Unknown study 'onehot-mpl': did you mean 'onehot-mlp'?",
        ("--port", 70000): "--port must be an integer in [0, 65535], got 70000.",
        ("--port", -1): "--port must be an integer in [0, 65535], got -1.",
        ("--port", "x"): "Invalid value for '--port'",
        ("--host", "192.0.2.1"): "--host must be an address of this machine, got '192.0.2.1': ",
        ("--host", "a b"): "--host must be an address of this machine, got 'a b': ",
        ("--storage", "nonsense"): "--storage ",
        ("--storage", f"journal:///{tmp_path}/no.journal"): "--storage journal:///",
        ("--storage", f"sqlite:///{tmp_path}/none.db"): "--storage sqlite:///",
    }.items():
        done = command(*here, *arguments)
        assert done.code == 2
        assert done.error.startswith(message)
    assert not (tmp_path / "no.journal").exists()
    assert not (tmp_path / "none.db").exists()


def test_what_is_missing_is_named(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    done = command("dashboard", "--results", tmp_path)
    assert done.code == RequestError.exit_code
    assert "pip install 'mod97[dashboard]'" in done.error


# The browser


def seen(page: Tab, address: str, *texts: str) -> str:
    """A page as HTML, once it shows all of some texts."""
    page.send("Page.navigate", url=address)
    for text in texts:
        page.wait_for(f"document.documentElement?.outerHTML.includes({json.dumps(text)})")
    return str(page.run("document.documentElement.outerHTML"))


def test_a_browser_shows_the_study(served: Served) -> None:
    with tab() as page:
        page.resize(1500, 3400)
        shows = "onehot-quadratic", METRIC, "0123456789abcdef.json", "Learning curves of", "Parameter importances from"
        overview = seen(page, served.address, *shows)
        assert "Parameter importances from 21 trials" in overview
        assert "vault" not in overview
        assert "test accuracy" not in overview
        assert "step (optimizer updates)" in overview
        seen(page, f"{served.address}/note", "onehot × quadratic", "python -m bench tune --trials 12")
