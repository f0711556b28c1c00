"""Exports: what folders and packs hold, the same from both, as other tools read it; or one line that says why not."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import Finished
from frozen.make import HERE
from records import Made, run, stored

import bench
from bench.errors import RequestError, StoreError
from bench.ranking import FILTERS
from bench.recipes.measurements import export as measurement
from bench.results import columns_of, open_store
from bench.results.columns import CURVE_COLUMNS, RUN_COLUMNS
from bench.results.columns import FILTERS as COMPARED
from bench.results.exports import batches, from_pack, spool, to_table
from bench.results.packs import to_parquet

Command = Callable[..., Finished]
FROZEN = HERE / "results"
TABLES = ("cells", "evaluations")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: its name in messages is short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def folder_of(path: Path, *records: Made) -> Path:
    path.mkdir()
    return stored(path, records)


def table(*sources: Path | str, rows: str = "cells", **more: Any) -> pa.Table:
    """The table of some sources, without the names of these."""
    bench.export(sources, output="some.parquet", rows=rows, force=True, **more)
    found = pq.read_table("some.parquet")
    return found.drop_columns("results") if rows == "cells" else found


def with_setting(id: int, **learner: Any) -> Made:
    made = {**run(seed=id), "schema": 2, "id": f"{id:016x}"}
    made["spec"] |= {"learner": {"name": "mine", **learner}, "optimizer": None, "precision": "float32"}
    return made


# What is in the tables


@pytest.mark.parametrize("rows", TABLES)
@pytest.mark.parametrize("folder", ["results", "results-1"])
def test_a_pack_gives_the_table_of_its_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch, folder: str, rows: str
) -> None:
    """Records of every kind; those of schema 1 are brought up to date one by one, all others read column by column."""
    monkeypatch.setattr(to_parquet, "GROUP", 5)
    monkeypatch.setattr(from_pack, "ROWS", 7)
    monkeypatch.setattr(batches, "GROUP", 3)
    bench.pack(HERE / folder, output="some.pack")
    assert from_pack.is_plain(open_store("some.pack")) == (folder == "results")  # type: ignore[arg-type]
    of_folder = table(HERE / folder, rows=rows)
    assert of_folder.equals(table("some.pack", rows=rows))
    assert len(of_folder) >= 22
    chosen = {"learner": ["ridge", "Torch_MLP"], "modulus": 5}
    assert table(HERE / folder, rows=rows, **chosen).equals(table("some.pack", rows=rows, **chosen))


def test_tables_have_what_load_has(place: Path) -> None:
    cells, points = table(FROZEN), table(FROZEN, rows="evaluations")
    runs, curves = bench.load(FROZEN)
    assert cells.column_names == [name for name in runs.columns if name != "results"]
    for name in cells.column_names:
        values = [json.dumps(one) if isinstance(one, tuple) else one for one in runs[name]]
        assert [None if pd.isna(one) else one for one in values] == cells[name].to_pylist()
    assert points.column_names == list(curves.columns)
    for name in points.column_names[1:]:
        assert np.array_equal(points[name].to_numpy(), curves[name].to_numpy(), equal_nan=True)
    assert points["id"].to_pylist() == curves["id"].astype(str).tolist()


def test_columns_are_documented_and_the_same_in_a_table_without_values(place: Path) -> None:
    failed = run(accuracies=(), steps=(), status="failed", parameters=None, flops=None)
    failed["curve"] = {name: [] for name in failed["curve"]}
    folder_of(place / "failed", failed)
    for rows, columns in (("cells", RUN_COLUMNS), ("evaluations", CURVE_COLUMNS)):
        bench.export("failed", output="a.parquet", rows=rows, force=True)
        empty, full = pq.read_table("a.parquet"), table(FROZEN, rows=rows)
        types = {name: kind for name, kind, *_ in columns_of(rows)}
        assert list(types) == list(columns)
        assert len(empty) == (rows == "cells")
        bench.export("failed", output="a.csv", rows=rows, force=True)
        assert len((place / "a.csv").read_text().splitlines()) == 1 + len(empty)
        for name, kind in types.items():
            assert str(empty.schema.field(name).type) == kind
            assert name == "results" or str(full.schema.field(name).type) == kind


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([128, None, 64], pa.int64(), [128, None, 64]),
        ([1, 0.001], pa.float64(), [1.0, 0.001]),
        ([None, None], pa.float64(), [None, None]),
        ([True, False], pa.bool_(), [True, False]),
        ([1, "auto", 1e-05, [400, 200], True], pa.string(), ["1", "auto", "1e-05", "[400, 200]", "true"]),
        ([2**63, 1], pa.string(), [str(2**63), "1"]),
        (["half \ud800", "κ"], pa.string(), ["half ?", "κ"]),
    ],
)
def test_the_type_of_a_parameter(
    place: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any], kind: Any, expected: list[Any]
) -> None:
    """From a folder whose records are never read together, and from a pack; a filter leaves out one of another type."""
    monkeypatch.setattr(batches, "GROUP", 1)
    others = [{**with_setting(100, width="x", other=3)}]
    others[0]["spec"]["task"] = "another"
    folder_of(place / "one", *(with_setting(i, width=value, empty={}) for i, value in enumerate(values)), *others)
    bench.pack("one", output="one.pack")
    for source in ("one", "one.pack"):
        found = table(source, task="add")
        assert found.schema.field("learner.width").type == kind
        assert found["learner.width"].to_pylist() == expected
        assert not {"learner.empty", "learner.other", "learner.name"} & {*found.column_names}


def test_what_a_learner_keeps_besides_is_a_column(place: Path) -> None:
    known = {**run(seed=1), "schema": 2}
    known["curve"] |= {"neurons": [3] * 10, "rank": [0.5, None] * 5, "is_stable": [True] * 10}
    folder_of(place / "one", {**run(seed=0), "schema": 2}, known)
    bench.pack("one", output="one.pack")
    found = table("one", rows="evaluations")
    assert found.column_names[len(CURVE_COLUMNS) :] == ["is_stable", "neurons", "rank"]
    assert found.filter(pc.equal(found["id"], known["id"]))["rank"].to_pylist() == [0.5, None] * 5
    assert found.equals(table("one.pack", rows="evaluations"))


def test_filters_are_those_of_rank(place: Path) -> None:
    assert COMPARED.keys() == FILTERS.keys()
    records = list(open_store(FROZEN).records())
    for name, value_of in FILTERS.items():
        values = [value_of(record["spec"]) for record in records]
        assert values == [RUN_COLUMNS[COMPARED[name]].value(record) for record in records]
        some = next(value for value in values if value is not None)
        assert len(table(FROZEN, **{name: some})) == values.count(some)
    with pytest.raises(RequestError, match=r"Unknown `learner` in '.*results': 'rigde': did you mean 'ridge'\?"):
        table(FROZEN, learner=["mlp", "rigde"])
    with pytest.raises(RequestError, match=r"No record in .* is left"):
        table(FROZEN, learner="knn", task="add")


def test_of_several_sources_the_record_that_goes_further_is_taken(place: Path) -> None:
    short = run("mlp", 0, [0.1, 0.2], steps=(1, 2))
    long = {**run("mlp", 0, [0.1, 0.2, 0.3], steps=(1, 2, 4)), "id": short["id"]}
    equal = {**long, "label": "another"}
    broken = run("mlp", 1)
    folder_of(place / "one", short, broken)
    folder_of(place / "two", long)
    folder_of(place / "three", equal)
    (place / "one" / f"{broken['id']}.json").write_text("{")
    stored(place / "three", [broken])
    bench.pack("two", output="two.pack")
    bench.export(["one", "two.pack", "three"], output="a.parquet")
    found = pq.read_table("a.parquet").select(["id", "results", "label", "step"]).to_pylist()
    assert found == [
        {"id": short["id"], "results": "two.pack", "label": long["label"], "step": 4},
        {"id": broken["id"], "results": "three", "label": broken["label"], "step": 1000},
    ]


# Many records


def test_rows_are_written_in_groups(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table(FROZEN, rows="evaluations")
    monkeypatch.setattr(batches, "GROUP", 4)
    monkeypatch.setattr(spool, "ROWS", 50)
    assert table(FROZEN, rows="evaluations").equals(whole)
    file = pq.ParquetFile("some.parquet")
    assert file.num_row_groups > 2
    assert [file.metadata.row_group(i).num_rows >= 50 for i in range(file.num_row_groups - 1)]


@pytest.mark.parametrize("rows", TABLES)
def test_several_processes_read_a_large_folder(place: Path, monkeypatch: pytest.MonkeyPatch, rows: str) -> None:
    """Threads stand for them. A damaged record is told of by the process that was asked."""
    expected, told = table(FROZEN, rows=rows, task="add"), list[tuple[int, int]]()
    monkeypatch.setattr(batches, "MANY", 1)
    monkeypatch.setattr(batches, "GROUP", 4)
    shutil.copytree(FROZEN, "copy")
    (place / "copy" / "ffffffffffffffff.json").write_text("{")
    with joblib.parallel_config(backend="threading"):
        assert table(FROZEN, rows=rows, task="add").equals(expected)
        done = bench.export("copy", output="a.csv", rows=rows, skip_broken=True, progress=lambda *n: told.append(n))
    n = len(open_store("copy").ids())
    assert (done.records, len(done.broken), told[-1]) == (n - 1, 1, (n, n))


def test_the_measurement_exports_what_it_makes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "REQUEST", {"encoder": "onehot", "learner": "ridge", "modulus": 5})
    (place / "some").mkdir()
    measurement.fill(place / "some", 70)
    found = measurement.exported("some", "a.parquet", "cells")
    assert found["rows"] == 70
    assert found["bytes"] == (place / "a.parquet").stat().st_size


# CSV, and what people write into names


HOSTILE = "=1+1,\n'\"../../\x07 🙂"


def test_hostile_names_in_csv(place: Path) -> None:
    record = {**run(), "label": HOSTILE, "tuning": {"study": "../../evil"}, "error": None}
    folder_of(place / "=one", record)
    assert bench.export("=one", output="a.csv").rows == 1
    with open("a.csv", encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["results"], row["label"], row["study"]) == ("'=one", f"'{HOSTILE}", "../../evil")
    assert (row["test_accuracy"], row["sdr"], row["stop_when_solved"]) == ("0.5", "", "false")
    bench.export("=one", output="a.parquet")
    assert pq.read_table("a.parquet")["label"].to_pylist() == [HOSTILE]
    assert sorted(path.name for path in place.iterdir()) == ["=one", "a.csv", "a.parquet"]


def test_a_csv_file_has_the_values_of_the_parquet_file(place: Path) -> None:
    for rows in TABLES:
        bench.export(FROZEN, output="a.csv", rows=rows, force=True)
        found, expected = pyarrow.csv.read_csv("a.csv"), table(FROZEN, rows=rows)
        assert found.column_names == columns_and_others(rows, expected)
        for name in ("step", "train_loss", "id"):
            assert found[name].to_pylist() == expected[name].to_pylist()


def columns_and_others(rows: str, found: pa.Table) -> list[str]:
    fixed = [name for name, *_ in columns_of(rows)]
    return [*fixed, *(name for name in found.column_names if name not in fixed)]


# Runs


def test_event_files_open_in_tensorboard(place: Path, command: Command) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install 'mod97[tensorboard]'")
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.plugins.hparams import metadata

    record = {**run("mlp", 3, train=[0.25] * 10), "label": HOSTILE}
    record["curve"] |= {"weight_norm": [float(step) for step in range(10)]}
    record["spec"]["learner"]["width"] = 7
    folder_of(place / "one", record, run("knn", 0))
    done = command("export", "--results", "one", "--tensorboard", "runs")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1:] == ["Opened by: tensorboard --logdir runs"]
    opened = EventMultiplexer().AddRunsFromDirectory("runs")
    opened.Reload()
    name = f"=1+1, '_.._..__ 🙂 seed 3 {record['id'][:8]}"
    assert {*opened.Runs()} == {name, f"onehot → knn seed 0 {run('knn', 0)['id'][:8]}"}
    tags = {"accuracy/train": "train_accuracy", "accuracy/test": "test_accuracy", "weight_norm": "weight_norm"}
    assert {*opened.Runs()[name]["scalars"]} == {*tags}
    for tag, series in tags.items():
        expected = [*zip(record["curve"]["step"], record["curve"][series], strict=True)]
        assert [(one.step, one.value) for one in opened.Scalars(name, tag)] == expected
    about = opened.PluginRunToTagToContent("hparams")[name][metadata.SESSION_START_INFO_TAG]
    settings = metadata.parse_session_start_info_plugin_data(about).hparams
    assert (settings["learner"].string_value, settings["learner.width"].number_value) == ("mlp", 7)
    assert settings["task.operand_max"].number_value == record["spec"]["task_parameters"]["operand_max"]


@pytest.mark.filterwarnings("default")  # MLflow's own
def test_runs_open_in_mlflow(place: Path, command: Command) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed: pip install 'mod97[mlflow]'")
    from mlflow import MlflowClient

    record = {**run("mlp", 3, train=[0.25] * 10), "label": HOSTILE}
    record["spec"]["learner"] |= {"width": 7, "odd=name": "x" * 9000}
    folder_of(place / "one", record, run("knn", 0, status="failed"))
    done = command("export", "--results", "one", "--mlflow", "runs", "--quiet")
    assert (done.code, done.err) == (0, "")
    client = MlflowClient("sqlite:///runs/mlflow.db")
    experiment = client.get_experiment_by_name("mod97")
    assert experiment.artifact_location == (place / "runs" / "artifacts").as_uri()
    found = {one.data.tags["id"]: one for one in client.search_runs([experiment.experiment_id])}
    assert {one.info.status for one in found.values()} == {"FINISHED", "FAILED"}
    one = found[record["id"]]
    assert one.info.run_name == f"=1+1, '_.._..__ 🙂 seed 3 {record['id'][:8]}"
    assert (one.data.params["learner.width"], one.data.params["seed"], one.data.tags["label"]) == ("7", "3", HOSTILE)
    assert len(one.data.params["learner.odd_name"]) == 5000
    history = client.get_metric_history(one.info.run_id, "train_accuracy")
    assert [(point.step, point.value) for point in history] == [(step, 0.25) for step in record["curve"]["step"]]


# Wrong requests, damaged files


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "An export needs one of --output, --mlflow and --tensorboard."),
        (["-o", "a.csv", "--tensorboard", "new"], "An export needs one of --output, --mlflow and --tensorboard."),
        (["-o", "runs.xlsx"], "--output must end in .parquet or .csv, got 'runs.xlsx'."),
        (["-o", "no/a.csv"], "--output must be in a folder that exists, got 'no/a.csv'."),
        (["-o", "there.csv"], "'there.csv' exists: --force replaces it."),
        (["-o", "a.csv", "--rows", "cell"], "Unknown --rows 'cell': did you mean 'cells'?"),
        (["-o", f"{'x' * 300}.csv"], "--output cannot be written to "),
        (["-o", "a.csv", "--learner", "knm"], "Unknown --learner in 'one': 'knm': did you mean 'knn'?"),
        (["-o", "a.csv", "--results", "empty"], "The source 'empty' holds no records."),
        (["-o", "a.csv", "--results", "no"], "A source of a data export must be a results folder or a pack, got 'no'."),
        (["-o", "a.csv", "--results", "half.pack"], "The pack 'half.pack' is damaged: its end is missing"),
        (["-o", "a.csv", "--results", "foreign.parquet"], "'foreign.parquet' is no pack: it is no zip archive."),
        (["-o", "there.csv", "--results", "there.csv", "--force"], "The target of a data export must be none of its"),
        (["-o", "a.csv", "--rows", "evaluations", "--results", "none.pack"], "an export of evaluations needs at least"),
        (["--tensorboard", "no/new"], "--tensorboard must be in a folder that exists, got 'no/new'."),
        (["--tensorboard", "one"], "--tensorboard must be a new folder or an empty one, got 'one'."),
        (["--mlflow", "there.csv"], "--mlflow must be a new folder or an empty one, got 'there.csv'."),
        (["--mlflow", ""], "--mlflow must be in a folder that exists, got ''."),
        (["--mlflow", "new", "--rows", "evaluations"], "--rows does not apply to --mlflow, which makes a new folder"),
        (["--tensorboard", "new", "--force"], "--force does not apply to --tensorboard"),
    ],
)
def test_a_wrong_request_is_one_line_and_changes_nothing(
    place: Path, command: Command, arguments: list[str], message: str
) -> None:
    folder_of(place / "one", run("knn"))
    (place / "empty").mkdir()
    bench.pack("one", output="half.pack")
    bench.pack("one", output="none.pack", curves="none")
    half(place / "half.pack")
    (place / "there.csv").write_text("mine")
    pq.write_table(pa.table({"id": ["a"]}), "foreign.parquet")
    before = {path: path.is_file() and path.read_bytes() for path in place.rglob("*")}
    sources = [] if "--results" in arguments else ["--results", "one"]
    done = command("export", *sources, *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.error
    assert {path: path.is_file() and path.read_bytes() for path in place.rglob("*")} == before


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("status", "odd", "its status is 'odd'"),
        ("tuning", {"study": 3}, "its study is 3"),
        ("error", {"type": "X"}, "it lacks 'message'"),
    ],
)
def test_a_damaged_record_is_one_line_or_left_out(
    place: Path, command: Command, where: str, value: Any, said: str
) -> None:
    bad = {**run("mlp", 0), where: value}
    folder_of(place / "one", bad, run("mlp", 1))
    done = command("export", "--results", "one", "-o", "a.parquet")
    assert (done.code, done.out) == (1, "")
    assert f"The record 'one/{bad['id']}.json' is damaged" in done.error
    assert said in done.error
    assert "--skip-broken leaves it out." in done.error
    assert [path.name for path in place.iterdir()] == ["one"]
    done = command("export", "--results", "one", "-o", "a.parquet", "--skip-broken", "--json")
    assert (done.code, done.json["records"], done.json["rows"], len(done.json["broken"])) == (0, 1, 1, 1)
    assert pq.read_table("a.parquet")["id"].to_pylist() == [run("mlp", 1)["id"]]


def test_a_pack_that_is_damaged_inside_is_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.pack(FROZEN, output="some.pack")

    def fail(*_: Any) -> Any:
        raise ValueError("its table of curves has other groups than its layout")

    monkeypatch.setattr("bench.results.packs.from_parquet.Tables.series", fail)
    with pytest.raises(StoreError, match=r"The pack 'some\.pack' is damaged: its table of curves has other groups"):
        bench.export("some.pack", output="a.csv", rows="evaluations")
    assert [path.name for path in place.iterdir()] == ["some.pack"]


@pytest.mark.parametrize("output", ["there.parquet", "there.csv"])
def test_an_interruption_leaves_the_old_file(place: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    def interrupt(file: Any, _: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    (place / output).write_text("mine")
    monkeypatch.setitem(to_table.WRITERS, output.partition(".")[2], interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.export(FROZEN, output=output, force=True)
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [(output, "mine")]
    monkeypatch.undo()
    monkeypatch.chdir(place)
    bench.export(FROZEN, output=output, force=True)
    assert (place / output).stat().st_size > 1000
    assert (place / output).stat().st_mode & 0o777 == 0o644


def test_a_fault_leaves_no_folder_of_runs(place: Path, command: Command) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install 'mod97[tensorboard]'")
    folder_of(place / "one", {**run("mlp", 0), "status": "odd"}, run("mlp", 1))
    (place / "runs").mkdir()
    assert command("export", "--results", "one", "--tensorboard", "runs").code == 1
    assert sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_dir()) == ["one", "runs"]
    assert command("export", "--results", "one", "--tensorboard", "runs", "--skip-broken").code == 0
    assert len(list((place / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("pyarrow", ["-o", "a.csv"], "A table needs pyarrow: pip install 'mod97[pack]'"),
        (
            "tensorboard",
            ["--tensorboard", "new"],
            "An export to TensorBoard needs tensorboard: pip install 'mod97[tens",
        ),
        ("mlflow", ["--mlflow", "new"], "An export to MLflow needs mlflow: pip install 'mod97[mlflow]'"),
    ],
)
def test_a_missing_package_is_one_line(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch, package: str, arguments: list[str], extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    done = command("export", "--results", FROZEN, *arguments)
    assert (done.code, done.out) == (2, "")
    assert extra in done.error


def test_packs_without_losses_are_told_of(place: Path, command: Command) -> None:
    bench.pack(FROZEN, output="small.pack", curves="accuracy")
    done = command("export", "--results", "small.pack", "--rows", "evaluations", "-o", "a.parquet")
    assert done.err == "Note: The pack 'small.pack' holds only the accuracies of its curves: all else is missing.\n"
    assert pq.read_table("a.parquet")["test_loss"].null_count == pq.read_table("a.parquet").num_rows > 200
    assert command("export", "--results", "small.pack", "-o", "b.parquet").err == ""


# Other tools


def test_the_queries_of_the_page_run_in_duckdb(place: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed, and no part of mod97[dev]")
    page = (HERE.parent.parent / "docs" / "export.md").read_text("utf-8")
    first, second, *_ = page.partition("```sql\n")[2].partition("```")[0].split(";")
    pack = HERE.parent.parent / "docs" / "records" / "grokking.pack"
    bench.export(pack, output="runs.parquet")
    bench.export(pack, output="curves.parquet", rows="evaluations")
    assert duckdb.sql(first).fetchall() == [("quadratic", 0.03, 28.0, 5), ("transformer", 0.001, 1353.0, 5)]
    assert [learner for learner, _ in duckdb.sql(second).fetchall()] == ["quadratic", "transformer"]
