"""Grids: what is written is what is asked for, and what is wrong is said in one line."""

import os
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.errors import RequestError
from bench.scheduling.documents import read_document
from bench.scheduling.grid import Grid, read
from bench.specs.resolve import resolve


def requests(document: Any) -> list[dict[str, Any]]:
    return [request.values for request in Grid.of(document)]


def test_lists_are_alternatives_the_last_key_fastest() -> None:
    found = requests({"encoder": ["onehot", "cycle"], "learner": "mlp", "train_fraction": [0.3, 0.5]})
    assert [(r["encoder"], r["train_fraction"]) for r in found] == [
        ("onehot", 0.3),
        ("onehot", 0.5),
        ("cycle", 0.3),
        ("cycle", 0.5),
    ]
    assert all(r["learner"] == "mlp" and r["settings"] == {} for r in found)


def test_unions_share_what_stands_above_them() -> None:
    document = {"encoder": "onehot", "seeds": 5, "grids": [{"learner": "ridge"}, {"learner": "mlp", "seeds": 2}]}
    assert [(r["encoder"], r["learner"], r["seeds"]) for r in requests(document)] == [
        ("onehot", "ridge", 5),
        ("onehot", "mlp", 2),
    ]


def test_settings_of_one_learner() -> None:
    document = {
        "encoder": [{"rdse": {"resolution": [1, 2], "sdr": False}}],
        "learner": ["ridge", {"transformer": {"grokfast": ["none", "ema"], "steps": 50, "betas": [[0.9, 0.99]]}}],
        "learner.lr": [0.1],
    }
    found = requests(document)
    assert len(found) == 2 * 3
    last = found[-1]
    assert last["settings"] == {
        "encoder.resolution": 2,
        "learner.grokfast": "ema",
        "learner.betas": [0.9, 0.99],
        "learner.lr": 0.1,
    }
    assert (last["encoder"], last["learner"], last["steps"]) == ("rdse", "transformer", 50)
    assert "steps" not in found[0]


def test_off_of_yaml_is_off(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text("encoder: cycle\nlearner: ridge\nsdr: [off, 20]\ntrain_fraction: 5e-1\n")
    assert [(r.values["sdr"], r.values["train_fraction"]) for r in read(path)] == [("off", 0.5), (20, 0.5)]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ({"from": 0.1, "to": 0.5, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"from": 0.1, "to": 0.45, "step": 0.1}, [0.1, 0.2, 0.3, 0.4]),
        ({"from": 1, "to": 5, "count": 3}, [1, 3, 5]),
        ({"from": 1e-4, "to": 1e-1, "count": 4, "log": True}, [1e-4, 1e-3, 1e-2, 1e-1]),
        ({"from": "1e-3", "to": 1, "count": 1}, [1e-3]),
        ({"from": 5, "to": 9, "step": 2}, [5, 7, 9]),
    ],
)
def test_ranges(written: dict[str, Any], values: list[float]) -> None:
    found = [r["settings"]["learner.lr"] for r in requests({"encoder": "a", "learner": "b", "learner.lr": written})]
    assert found == values
    if all(isinstance(x, int) for x in written.values()) and "step" in written:
        assert all(isinstance(x, int) for x in found)


def test_whole_numbers_however_written() -> None:
    document = {"encoder": [{"cycle": {"sdr": False}}], "modulus": {"from": 11, "to": 31, "count": 3}, "steps": "1e2"}
    found = requests(document)
    assert [r["modulus"] for r in found] == [11, 21, 31]
    assert all(isinstance(r["modulus"], int) and r["steps"] == 100 and r["sdr"] == "off" for r in found)


def test_all_names() -> None:
    found = {r["encoder"] for r in requests({"encoder": "all", "learner": "ridge"})}
    assert {"onehot", "cycle", "rdse"} <= found


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], "a grid is a mapping, got a list"),
        ({"grids": []}, "grids must be a list of at least one grid"),
        ({"grids": [3]}, "a grid is a mapping, got a int"),
        ({"encodr": "a"}, "Unknown key 'encodr': did you mean 'encoder'"),
        ({"encoder": []}, "encoder has no values: the grid is empty"),
        ({"train_fraction": {"from": 0.1, "to": 0.5}}, "a range has numbers from, to, and step or count"),
        ({"train_fraction": {"from": 0.1, "to": 0.5, "stap": 1}}, "Unknown key of a range 'stap': did you mean 'step'"),
        ({"train_fraction": {"from": 0.5, "to": 0.1, "step": 0.1}}, "goes up by a step above 0"),
        ({"learner.lr": {"from": -1, "to": 1, "count": 3, "log": True}}, "a range by ratio lies above 0"),
        ({"learner.lr": {"from": 1, "to": 2, "count": 0}}, "1 to 10,000,000 values, got 0"),
        ({"encoder": [{"a": {}, "b": {}}]}, "encoder takes names or"),
        ({"encoder": [{"a": 3}]}, "the parameters of a are a mapping, got a int"),
        ({1: 2}, "Unknown key '1'"),
        ({"learner.lr": {"from": -1e308, "to": 1e308, "count": 3}}, "numbers of a range are below 1e100"),
        ({"stop_when_solved": "no"}, "stop_when_solved is true or false, got 'no'"),
        ({"seeds": [3, 4]}, "seeds is how many, from 0 on; seed takes a list of them"),
    ],
)
def test_bad_grids_get_one_line(document: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        requests(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is no YAML document, line 1"),
        ("a: 1\na: 2\n", "line 2: 'a' stands there twice"),
        ("a: {<<: {b: 1, b: 2}}\n", "line 1: 'b' stands there twice"),
        ("a: {<<: {b: 1}, <<: {c: 2}}\n", "line 1: '<<' stands there twice"),
        ("\x00", "is no YAML document"),
        ("encoder: onehot\n" + "\x00" * 20, "is no YAML document"),
        ("[" * 20_000, "is nested too deeply"),
    ],
)
def test_files_that_are_no_yaml(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match=message):
        read(path)


def test_a_grid_of_another_encoding_or_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_bytes("encoder: größe".encode("latin-1"))
    with pytest.raises(RequestError, match=r"is no YAML document: .*utf-8"):
        read(tmp_path / "g.yaml")
    with pytest.raises(RequestError, match="it is a folder"):
        read(tmp_path)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        read("missing.yaml")


def test_a_parameter_without_its_owner_is_offered_with_it() -> None:
    with pytest.raises(RequestError, match=r"the grid: Unknown key 'lr': did you mean 'adamw.lr'\?"):
        list(Grid.of({"encoder": "onehot", "learner": ["mlp", {"transformer": {"depth": 1}}], "lr": 0.1}))
    with pytest.raises(RequestError, match=r"the grid: Unknown key 'encodr': did you mean 'encoder'"):
        list(Grid.of({"encodr": "onehot", "learner": "mlp"}))
    with pytest.raises(RequestError, match=r"got 30: did you mean 0.3\?"):
        bench.plan(encoder="onehot", learner="ridge", train_fraction=30)
    with pytest.raises(RequestError, match=r"got 20: did you mean 0.2\?"):
        resolve(encoder="onehot", learner="ridge", vault={"fraction": 20})


@pytest.mark.parametrize("value", ["!!bool foo", '!!int ""', '!!float ""', "!!timestamp x", "!!binary é"])
def test_a_value_with_a_wrong_tag_is_named_as_no_yaml(tmp_path: Path, value: str) -> None:
    (tmp_path / "g.yaml").write_text(f"encoder: onehot\nlearner: ridge\nmodulus: {value}\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"g.yaml' is no YAML document"):
        read(tmp_path / "g.yaml")


def test_a_mapping_may_take_over_the_keys_of_another(tmp_path: Path) -> None:
    lines = "encoder: onehot", "learner:", "- ridge: &b {alpha: [0.1]}", "- ridge: {<<: *b, alpha: [0.2]}"
    (tmp_path / "g.yaml").write_text("\n".join(lines))
    found = bench.plan_sweep(tmp_path / "g.yaml", results=None)
    assert sorted(found.spec(index).learner["alpha"] for index in range(len(found))) == [0.1, 0.2]


def test_a_mapping_that_was_merged_may_be_merged_again(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("a: {deep: &A {<<: {x: 1, y: 3}, x: 2}}\nc: {<<: *A, y: 4}\n")
    found = read_document(tmp_path / "g.yaml", "The grid")
    assert found == {"a": {"deep": {"x": 2, "y": 3}}, "c": {"x": 2, "y": 4}}


def test_a_grid_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """Reading a named pipe would wait for ever."""
    os.mkfifo(tmp_path / "g.yaml")
    with pytest.raises(RequestError, match="it is no file"):
        read(tmp_path / "g.yaml")
