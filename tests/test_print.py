"""Tables: nothing is broken inside a word or a number, however narrow the terminal is."""

import re
from collections.abc import Callable

import pytest
from conftest import Finished

from bench.cli._print import console, print_table
from bench.results.numbers import significant

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
