"""Random command lines and grids end as documented. More of them: ``python -m bench.recipes.measurements.fuzz``."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import cli
from bench.recipes.measurements._workplace import Ended, Workplace, faults, workplace
from bench.recipes.measurements.fuzz import checked, fuzz

EXAMPLES = 500


@pytest.fixture(scope="module")
def place() -> Iterator[Workplace]:
    with workplace() as made:
        yield made


def test_random_requests_end_as_documented(place: Workplace) -> None:
    codes, commands, grids = Counter[int](), set[str](), 0

    def check(arguments: list[str], grid: bytes | None) -> None:
        nonlocal grids
        ended, found = checked(place, arguments, grid)
        assert not found, f"{'; '.join(found)}: {arguments} {grid!r}\n{ended.err}"
        codes[ended.code] += 1
        commands.add(arguments[0])
        grids += grid is not None

    fuzz(EXAMPLES, check, ids=place.ids)
    assert min(codes[0], codes[2], grids) > EXAMPLES / 20
    assert commands == set(cli.commands)


@pytest.mark.parametrize(
    ("arguments", "ended", "fault"),
    [
        (["list"], Ended(1, "", "Error: KeyError: 1. This is a bug in mod97: …", []), "a bug"),
        (["list"], Ended(1, "", "Traceback (most recent call last):\n", []), "a traceback"),
        (["list"], Ended(3, "", "", []), "exit code 3"),
        (["run"], Ended(2, "", "Error: no.", ["results"]), "refused, and yet there changed ['results']"),
        (["run"], Ended(2, "{}", "Error: no.", []), "refused, and yet there is output"),
        (["run"], Ended(2, "", "Note: a\nError: no.", []), "refused with other than one line"),
        (["list", "--json"], Ended(0, "{} {}", "", []), "other than one JSON document"),
    ],
)
def test_faults_are_found(arguments: list[str], ended: Ended, fault: str) -> None:
    assert list(faults(arguments, ended)) == [fault]


def test_json_is_expected_where_it_is_an_option() -> None:
    assert list(faults(["status", "--results", "--json"], Ended(0, "Nothing runs.", "", []))) == []


def test_what_a_command_changes_is_seen_and_undone(place: Workplace) -> None:
    before = place.contents
    ended = place.ended(["run", "--encoder", "onehot", "--learner", "ridge", "--modulus", "7", "--quiet"])
    assert ended.code == 0
    assert [Path(name).suffix for name in ended.changed if name.startswith("results/") and name.endswith("json")]
    assert place.ended(["status"]).changed == []
    assert place.contents is before
