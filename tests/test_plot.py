"""What users ask to see: `plot`, `show` and `load`, on the command line and from Python."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Finished
from frozen import make
from records import Made, blocks, ending, run, solving, stored

import bench
from bench import reports, showing
from bench.errors import RequestError, StoreError
from bench.reports.figures._layout import THEMES
from bench.reports.terminal import text_chart
from bench.results import Store
from bench.results.columns import CURVE_COLUMNS, RUN_COLUMNS
from bench.specs import Spec, command_of, exact_request, run_request

Command = Callable[..., Finished]
ADD = {"task": "add", "train_fraction": 0.5}
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "html": b"<!DOCTYPE html>"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ids(folder: Path, learner: str) -> list[str]:
    return [record["id"] for record in Store(folder).records() if record["spec"]["learner"]["name"] == learner]


# plot


def test_plot_names_the_file_that_it_has_written(command: Command, real: Path, place: Path) -> None:
    done = command("plot", "curves", "--results", real, "--task", "add", "--train-fraction", "0.5")
    assert (done.code, done.out) == (0, "curves.png\n")
    assert (place / "curves.png").read_bytes().startswith(STARTS["png"])
    assert "median of n = 2 to 3 seeds" in done.err


@pytest.mark.parametrize("form", STARTS)
def test_plot_writes_four_formats(command: Command, real: Path, place: Path, form: str) -> None:
    done = command("plot", "heatmap", "--results", real, "--task", "add", "--train-fraction", "0.5", "-o", f"a.{form}")
    assert done.out == f"a.{form}\n"
    written = (place / f"a.{form}").read_bytes()
    assert written.startswith(STARTS[form])
    bench.plot("heatmap", results=str(real), **ADD, output=f"again.{form}")
    assert (place / f"again.{form}").read_bytes() == written
    if form == "html":
        page = (place / "a.html").read_text("utf-8")
        assert "src=" not in page.partition("<body>")[0]
        assert "<p>Median over n = 2 to 3 seeds" in page


def test_plot_of_one_run_and_of_a_study(command: Command, real: Path, place: Path) -> None:
    [id, *_] = ids(real, "quadratic")
    done = command("plot", "errors", id[:6], "--results", real)
    assert done.out == "errors.png\n"
    assert f"Record {id[:8]}, from its checkpoint at 40 steps." in done.err
    assert command("plot", "history", "--results", real, "--study", "one").out == "history.png\n"
    url = f"journal:///{real / 'studies.journal'}"
    assert command("plot", "slices", "--storage", url, "--study", "one").out == "slices.png\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("curvs",), "Unknown picture 'curvs': did you mean 'curves'?"),
        (("curves", "-o", "a.gif"), "--output must end in .png, .svg, .pdf, .html, got 'a.gif'."),
        (("curves", "-o", "nowhere/a.png"), "--output must be in a folder that exists, got 'nowhere/a.png'."),
        (("curves", "-o", "folder.png"), "--output cannot be written to 'folder.png'."),
        (("curves", "--results", "nowhere"), "There is no results folder 'nowhere'."),
        (
            ("curves", "--cost", "steps"),
            "--cost does not apply to the picture 'curves', whose options are: most, band.",
        ),
        (("curves", "--study", "one"), "--study does not apply to the picture 'curves'."),
        (("curves", "--theme", "drak"), "Unknown --theme 'drak': did you mean 'dark'?"),
        (("curves", "--width", "9"), "--width must be at least 320 pixels, got 9."),
        (("fraction", "--by", "steps"), "--by does not apply to the picture 'fraction'."),
        (("errors",), "The picture 'errors' shows one run: it needs the id of a record."),
        (("errors", "ffff", "--learner", "mlp"), "--learner does not apply to the picture 'errors'."),
        (("history", "--study", "tow"), "Unknown study 'tow': did you mean 'two'?"),
        (("history",), "--study must name one of the 2 in the storage: one, two."),
        (("history", "--study", "two"), "The picture 'history' cannot be drawn: it needs a study of one value"),
        (("history", "--storage", "journal:///none"), "--storage journal:///none: there is no file"),
    ],
)
def test_a_wrong_request_is_one_line(
    command: Command, real: Path, place: Path, arguments: tuple[str, ...], said: str
) -> None:
    (place / "folder.png").mkdir()
    folder = () if "--results" in arguments else ("--results", real)
    done = command("plot", *arguments, *folder)
    assert done.code == 2
    assert done.error.startswith(said)
    assert [path.name for path in place.iterdir()] == ["folder.png"]


def test_without_its_libraries_plot_names_the_extra(
    command: Command, real: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "needs matplotlib: pip install 'mod97[plot]'" in command("plot", "curves", "--results", real).error
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    assert "needs plotly: pip install 'mod97[plot]'" in command("plot", "curves", "-o", "a.html").error
    with pytest.raises(RequestError, match="needs plotly"):
        bench.plot("curves", results=str(real))


def test_plot_from_python(real: Path, place: Path) -> None:
    drawn = bench.plot("curves", results=str(real), task="add", train_fraction=0.5, theme="dark", output="a.svg")
    assert type(drawn).__name__ == "Figure"
    assert drawn.layout.paper_bgcolor == THEMES["dark"].paper
    assert (place / "a.svg").read_bytes().startswith(STARTS["svg"])
    with pytest.raises(RequestError, match="Unknown argument 'lerner': did you mean 'learner'"):
        bench.plot("curves", results=str(real), lerner="mlp")


def test_the_help_of_plot_names_every_kind_and_loads_nothing_heavy() -> None:
    heavy = ("numpy", "matplotlib", "plotly", "pandas", "optuna", "torch")
    run_it = "from bench.cli._commands import exit_code\nexit_code(['plot', '--help'])"
    code = f"import sys\n{run_it}\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for kind in reports.picture_kinds():
        assert f"\n  {kind} " in done.stdout


# Where a run errs


@pytest.mark.parametrize("learner", ["quadratic", "ridge"])
def test_predictions_are_those_of_the_record(real: Path, learner: str) -> None:
    for id in ids(real, learner)[:2]:
        record, found = Store(real).find(id), showing.predictions_of(id, results=real)
        accuracy = 1 - found.wrong[~found.trained_N].mean()
        assert accuracy == pytest.approx(record["final"]["test_accuracy"])
        assert 1 - found.wrong[found.trained_N].mean() == pytest.approx(record["final"]["train_accuracy"])
        assert not any("the record says" in line for line in found.told)


def test_without_its_checkpoint_a_run_is_trained_anew(place: Path) -> None:
    make.lay_out(place)
    [id] = [r["id"] for r in Store("results").records() if r["label"].endswith("torch-mlp(hidden_layer_sizes=[8])")][:1]
    said: list[str] = []
    found = showing.predictions_of(id, say=said.append)
    steps = Store("results").find(id)["final"]["step"]
    assert said[0].startswith(
        f"Record {id[:8]}, trained anew for want of a checkpoint: {steps} steps, which took about"
    )
    assert found.told[0] == said[0]
    assert sorted(p.name for p in Path("results/checkpoints").iterdir()) == sorted(
        p.name for p in (make.HERE / "results" / "checkpoints").iterdir()
    )


# show


def test_show_ends_with_the_command_that_computes_the_record(command: Command, real: Path) -> None:
    [id, *_] = ids(real, "quadratic")
    done = command("show", id, "--results", real)
    assert done.code == 0
    line = done.out.splitlines()[-1].strip()
    assert line.startswith("python -m bench run --encoder onehot --learner quadratic --set learner.width=16")
    [planned] = command(*shlex.split(line)[3:], "--dry-run", "--json").json["cells"]
    assert (planned["id"], planned["action"]) == (id, "done")


def test_show_says_settings_milestones_and_errors(command: Command, real: Path) -> None:
    [id, *_] = ids(real, "quadratic")
    record = Store(real).find(id)
    done = command("show", id[:7], "--results", real)
    assert "learner.width     16      256" in done.out
    assert "Accuracy over steps" in done.out
    held_out = showing.predictions_of(id, results=real)
    wrong = int(held_out.wrong[~held_out.trained_N].sum())
    assert f"Wrong: {wrong} of {int((~held_out.trained_N).sum())} held-out pairs" in done.out
    document = command("show", id, "--results", real, "--no-errors", "--json").json
    assert (document["record"], document["errors"]) == (record, None)
    for one in document["milestones"]:
        assert one["first"] == record["steps_to"][one["part"]][one["target"]]
        assert (one["held"] if one["confirmed"] else None) == record["sustained_steps_to"][one["part"]][one["target"]]


def test_show_of_every_frozen_record(command: Command, place: Path) -> None:
    """Of other versions, of a study, of a package that is not there, interrupted and failed."""
    make.lay_out(place)
    for record in Store("results").records():
        done = command("show", record["id"], "--no-errors")
        assert done.code == 0, done.err
        assert record["id"][:8] in done.out


def test_every_frozen_record_of_no_study_has_a_request_that_makes_it(place: Path) -> None:
    make.lay_out(place)
    made = 0
    for record in Store("results").records():
        if record["status"] != "failed":
            request = exact_request(Spec.from_dict(record["spec"]))
            assert (request is None) == ("vault" in record["spec"])
            made += request is not None and "--seed" in command_of(request)
    assert made > 15


def test_a_chart_in_characters() -> None:
    lines = text_chart([1, 10, 100], {"t": [1.0, 1.0, 1.0], "o": [0.0, None, 1.0]}, width=27, height=5)
    assert lines[0] == f" 100% |{'t' * 19}o"
    assert lines[4] == "   0% |oooooooooo"
    assert lines[-1].split() == ["1", "10", "100"]
    assert text_chart([0], {"o": [1.0]}) == []


# load


def test_load_has_a_row_for_each_record_and_for_each_evaluation(real: Path) -> None:
    runs, curves = bench.load(real)
    records = {record["id"]: record for record in Store(real).records()}
    assert runs["id"].tolist() == list(records)
    assert list(runs.columns)[: len(RUN_COLUMNS)] == list(RUN_COLUMNS)
    for name, column in RUN_COLUMNS.items():
        assert str(runs[name].dtype) in (column.kind, "str")
    by_id = runs.set_index("id")
    for id, record in records.items():
        row, spec = by_id.loc[id], record["spec"]
        assert [row["encoder"], row["learner"]] == [spec[owner]["name"] for owner in ("encoder", "learner")]
        assert row["seed"] == spec["seed"]
        assert row["test_accuracy"] == record["final"]["test_accuracy"]
        assert row["seconds_train"] == record["seconds"]["train"]
        crossing = record["sustained_steps_to"]["test"]["0.99"]
        assert (
            pd.isna(row["test_sustained_steps_to_99"])
            if crossing is None
            else row["test_sustained_steps_to_99"] == crossing
        )
        own = curves[curves["id"] == id]
        assert own["step"].tolist() == record["curve"]["step"]
        assert np.allclose(own["train_loss"], np.array(record["curve"]["train_loss"], float), equal_nan=True)
    assert by_id["learner.width"].dropna().unique().tolist() == [16]
    assert set(CURVE_COLUMNS) <= set(curves.columns)


def test_the_columns_of_load_are_in_its_docstring() -> None:
    for name in [*RUN_COLUMNS, *CURVE_COLUMNS]:
        assert f"- ``{name}``" in (bench.load.__doc__ or "")
    assert all(column.meaning and (column.kind != "Float64" or column.unit) for column in RUN_COLUMNS.values())


def test_load_of_several_folders_takes_the_record_that_goes_further(tmp_path: Path) -> None:
    short = run("mlp", 0, [0.1, 0.2], steps=(1, 2))
    long = {**run("mlp", 0, [0.1, 0.2, 0.3], steps=(1, 2, 4)), "id": short["id"]}
    for name, records in (("a", [long]), ("b", [short, run("mlp", 1)])):
        (tmp_path / name).mkdir()
        stored(tmp_path / name, records)
    for order in (("a", "b"), ("b", "a")):
        runs, curves = bench.load([tmp_path / name for name in order])
        assert len(runs) == 2
        assert runs.set_index("id").loc[short["id"], "step"] == 4
        assert len(curves) == 3 + 10


def broken(record: Made, where: str, value: Any) -> Made:
    *keys, last = where.split(".")
    place = record
    for key in keys:
        place = place[key]
    place[last] = value
    return record


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("final.test_accuracy", "half", "its final.test_accuracy is 'half'"),
        ("spec.seed", True, "its spec.seed is True"),
        ("curve.test_accuracy", [0.5], "of different lengths"),
        ("curve.test_accuracy", ["x"] * 10, "its curve.test_accuracy is 'x'"),
    ],
)
def test_a_damaged_record_is_one_line_or_left_out(tmp_path: Path, where: str, value: Any, said: str) -> None:
    bad = broken(run("mlp", 0), where, value)
    stored(tmp_path, [bad, run("mlp", 1)])
    with pytest.raises(StoreError, match=said) as caught:
        bench.load(tmp_path)
    assert "`skip_broken` leaves it out" in str(caught.value)
    runs, _ = bench.load(tmp_path, skip_broken=True)
    assert len(runs) == 1
    assert runs.attrs["broken"] == [bad["id"]]


def test_load_of_nothing_and_without_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, curves = bench.load(tmp_path)
    assert (len(runs), len(curves)) == (0, 0)
    assert list(runs.columns) == list(RUN_COLUMNS)
    with pytest.raises(StoreError, match="There is no results folder"):
        bench.load(tmp_path / "nowhere")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(RequestError, match=r"needs pandas: pip install 'mod97\[frames\]'"):
        bench.load(tmp_path)


# Rankings in a notebook


def test_a_ranking_as_a_table_has_what_its_csv_has(command: Command, tmp_path: Path) -> None:
    folder = stored(tmp_path, [*ending("mlp", 0.9, 0.8, 0.7), *solving("knn", 300, None)])
    frame = bench.rank(results=str(folder)).to_frame()
    header = command("rank", "--results", folder, "--format", "csv").out.partition("\n")[0]
    assert list(frame.columns) == header.split(",")
    assert frame.set_index("learner").loc["mlp", "estimate"] == 0.8


def test_a_ranking_shows_itself_in_a_notebook_and_escapes_labels() -> None:
    records = [{**record, "label": "<script>x</script>"} for record in ending("mlp", 0.9, 0.8, 0.7)]
    html = bench.rank(records=records)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html
    assert "<td>80.0%</td>" in html
    over = bench.rank(records=blocks(("add", "cube", "quad"), a=(0.9,) * 3, b=(0.8,) * 3, c=(0.4,) * 3), blocks=True)
    assert "Mean rank over 3 blocks" in over._repr_html_()
    many = [record for n in range(120) for record in ending(f"learner-{n}", n / 120)]
    assert "… and 20 more rows" in bench.rank(records=many)._repr_html_()


def test_frames_and_documents_agree_on_the_record(real: Path, command: Command) -> None:
    """One record, four ways: the folder, the table, the JSON of show, the row of rank."""
    [id, *_] = ids(real, "quadratic")
    record = Store(real).find(id)
    runs, _ = bench.load(real)
    shown = command("show", id, "--results", real, "--json").json
    row = runs.set_index("id").loc[id]
    assert json.loads(json.dumps(shown["record"])) == record
    assert row["label"] == record["label"]
    assert row["flops"] == record["flops"]


def test_an_option_is_refused_before_a_learner_is_made_again() -> None:
    said: list[str] = []
    with pytest.raises(RequestError, match="`most` does not apply to the picture 'errors'"):
        showing.picture("errors", id="0", most=3, say=said.append)
    with pytest.raises(RequestError, match="Unknown `theme` 'drak'"):
        bench.plot("errors", id="0", theme="drak")
    assert said == []


def test_of_equal_records_load_takes_the_first_as_a_merge_does(tmp_path: Path) -> None:
    one = bench.run(encoder="onehot", learner="ridge", modulus=7, results=tmp_path / "a")[0]
    other = {**one, "final": {**one["final"], "test_accuracy": 0.123}}
    Store(tmp_path / "b", create=True).write(other)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / f"{one['id']}.json").write_text("no record")
    runs, _ = bench.load([tmp_path / "a", tmp_path / "b", tmp_path / "c"], skip_broken=True)
    assert runs.test_accuracy.tolist() == [one["final"]["test_accuracy"]]
    assert runs.attrs["broken"] == []


def test_a_modulus_that_the_task_gives_is_no_setting(tmp_path: Path) -> None:
    for task in ("add", "s5"):
        [record] = bench.run(encoder="phasor", learner="ridge", task=task, results=tmp_path, train_fraction=0.1)
        shown = bench.show(record["id"], results=tmp_path)
        assert "encoder.modulus" not in (shown.changed or {})
        assert shown.command is not None
        assert "encoder.modulus" not in shown.command


def test_settings_of_the_task_are_shown_and_trained_again(tmp_path: Path) -> None:
    asked = {"pairs": "ordered", "sdr": "off", "settings": {"task.operand_max": 5, "encoder.n": 40}}
    [record] = bench.run(encoder="cycle", learner="ridge", modulus=7, results=tmp_path, **asked)
    shown = bench.show(record["id"], results=tmp_path)
    changed = {"modulus": 7, "pairs": "ordered", "sdr": "off", "task.operand_max": 5, "encoder.n": 40}
    assert {name: value for name, (value, _) in (shown.changed or {}).items()} == changed
    request = run_request(Spec.from_dict(record["spec"]))
    assert request == {"encoder": "cycle", "learner": "ridge", "modulus": 7, **asked}


def test_a_damaged_checkpoint_makes_show_train_nothing(tmp_path: Path) -> None:
    [record] = bench.run(encoder="onehot", learner="quadratic", modulus=7, steps=3, results=tmp_path)
    [checkpoint] = (tmp_path / "checkpoints").iterdir()
    checkpoint.write_bytes(b"damaged")
    said: list[str] = []
    assert bench.show(record["id"], results=tmp_path, say=said.append).errors is None
    assert said == []
