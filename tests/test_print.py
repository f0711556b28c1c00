"""Tables and messages: no word or number is broken on a narrow terminal, and fields of messages are options."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from inspect import signature
from pathlib import Path

import click
import pytest
from conftest import Finished

import bench
from bench.cli._commands import cli
from bench.cli._messages import FIELDS, OTHERS, with_options
from bench.cli._print import console, print_notes, print_table
from bench.reports.page.commands import with_options as on_page
from bench.reports.pictures import picture_kinds
from bench.results.numbers import significant
from bench.specs import Request
from bench.tuning import Search
from learners import Ridge

Command = Callable[..., Finished]
LABEL = "cycle+sum+sdr200 → mlp(hidden_layer_sizes=[400, 200, 200], learning_rate_init=0.003)"


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None) -> list[str]:
    monkeypatch.delenv("COLUMNS", raising=False)
    if width is not None:
        monkeypatch.setenv("COLUMNS", str(width))
    columns = ["", "cells", "test", "lowest", "steps", "≥99%", "not done"]
    rows = [[LABEL, "1,024", "98.76%", "9.8%", "12,345,678", "1,000 of 1,024", "24 failed"], ["ridge"] + ["–"] * 6]
    print_table("grid of encoders and learners: add mod 97, 50 % of unordered pairs", columns, rows)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [48, 60, 80, 100, 160])
def test_words_and_numbers_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    lines = printed(capsys, monkeypatch, width)
    assert max(map(len, lines)) <= width
    text = " ".join(lines)
    for whole in (*LABEL.split(), "1,024", "98.76%", "12,345,678", "encoders", "learners:", "unordered", "lowest"):
        assert whole in text
    assert any("1,000 of 1,024" in line for line in lines)  # a number and what it counts stay on one


def test_a_pipe_gets_one_line_a_row(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    [_, _, row, last] = printed(capsys, monkeypatch, None)
    assert row.startswith(LABEL)
    assert row.endswith("24 failed")
    assert last.startswith("ridge")


def test_columns_say_how_wide_a_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert console().width == 60
    assert console(at_least=90).width == 90


@pytest.mark.parametrize("width", [24, 40, 60])
def test_headings_and_names_of_the_list_stay_whole(
    command: Command, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = command("list").out.splitlines()
    for whole in ("encoders", "learners", "tasks"):
        assert whole in lines
    begun = {line.split()[0] for line in lines if line and not line.startswith(" ")}
    assert {"thermometer", "forward-forward", "even-add-odd-multiply"} <= begun


def test_measurements_have_three_digits() -> None:
    assert [significant(x) for x in (0.0123456, 9.999, 99.96, 123.4, 98765.0)] == [
        "0.0123",
        "10.0",
        "100",
        "123",
        "98,800",
    ]
    assert not re.search(r"\d{5}", significant(1234567.0))


# Messages


def texts(node: ast.AST) -> Iterator[str]:
    """The texts below a node of a program, without docstrings; what is filled in is a space."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else " " for part in child.values)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str) and not isinstance(node, ast.Expr):
            yield child.value
        yield from texts(child)


def written() -> set[str]:
    """The names that the library writes in backticks."""
    files = (Path(__file__).parent.parent / "bench").rglob("*.py")
    found = (text for file in files for text in texts(ast.parse(file.read_text())))
    return {name for text in found for name in re.findall(r"`(\w+)`", text)}


def test_every_field_that_a_message_names_is_an_option() -> None:
    named = written()
    assert {"train_fraction", "settings", "skip_broken"} <= named
    assert named <= FIELDS
    assert set(OTHERS) <= named | {name for kind in picture_kinds().values() for name in kind.options}
    of_requests = {field.name for request in (Request, Search) for field in fields(request)}
    assert not of_requests & set(OTHERS)
    parameters = [one for command in cli.commands.values() for one in command.params if isinstance(one, click.Option)]
    options = {option for parameter in parameters for option in parameter.opts}
    assert {with_options(f"`{name}`") for name in FIELDS} <= options


def test_arguments_of_rankings_and_pictures_are_options_in_texts_of_commands_and_of_pages() -> None:
    arguments = {*signature(bench.rank).parameters} - {"records", "watch", "published"}  # no message names the last
    arguments |= {name for kind in picture_kinds().values() for name in kind.options}
    assert arguments > {"by", "horizon", "skip_broken", "most", "band", "cost", "pairs"}
    for name in arguments:
        assert on_page(f"`{name}`") == with_options(f"`{name}`") == f"--{name.replace('_', '-')}"


def test_words_of_plugins_and_other_libraries_stay(capsys: pytest.CaptureFixture[str]) -> None:
    foreign = "a cell failed: use `foo_bar`, `np.array`, `learner.alpha` or ``steps``; `train fraction`"
    print_notes([foreign, "`at_once` and `settings` exclude each other."])
    assert capsys.readouterr().err.splitlines() == [
        f"Note: {foreign}",
        "Note: --round and --set exclude each other.",
    ]


@pytest.mark.parametrize(
    ("learner", "budget", "options"),
    [("mlp", "epochs", "--epochs or --steps"), ("torch-mlp", "steps", "--steps"), ("ridge", "alpha", "--steps")],
)
def test_a_budget_is_set_by_an_option_that_there_is(
    command: Command, monkeypatch: pytest.MonkeyPatch, learner: str, budget: str, options: str
) -> None:
    monkeypatch.setattr(Ridge, "budget_parameter", "alpha")
    done = command("run", "--encoder", "onehot", "--learner", learner, "--set", f"learner.{budget}=1", "--dry-run")
    assert done.error == f"learner.{budget} is the budget: set it by {options}."
