"""The last test: everything discovered went through its contract."""

import ast
import re
from pathlib import Path
from typing import ClassVar

import pytest

from bench.specs import registry

HERE = Path(__file__).parent
ROOT = HERE.parent


class Collected:
    """A plugin of pytest that keeps what a run would test, as file::test[parameter]."""

    items: ClassVar[set[str]] = set()

    @staticmethod
    def pytest_collection_finish(session: pytest.Session) -> None:
        Collected.items = {item.nodeid.rpartition("/")[2] for item in session.items}


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """All tests of contracts that pytest finds: a run within this one, since a process would import torch."""
    options = ["--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    suites = [str(HERE / f"test_{kind}_contract.py") for kind in ("encoder", "learner")]
    assert pytest.main([*options, *suites], plugins=[Collected]) == 0
    return Collected.items


@pytest.mark.parametrize("kind", ["encoder", "learner"])
def test_everything_discovered_was_covered(kind: registry.Kind, collected: set[str]) -> None:
    suite = HERE / f"test_{kind}_contract.py"
    tests = [
        node.name
        for node in ast.parse(suite.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id == f"every_{kind}" for d in node.decorator_list)
    ]
    assert len(tests) >= 15
    names = set(registry.listings(kind))
    modules = {p.stem.replace("_", "-") for p in (ROOT / f"{kind}s").glob("[!_]*.py")}
    assert modules <= names
    for name in names:
        for test in tests:
            pattern = re.compile(rf"{suite.name}::{test}\[(.*-)?{name}(-.*)?\]")
            assert any(pattern.fullmatch(item) for item in collected), f"{test} does not run over {kind} {name}"


@pytest.mark.parametrize("kind", ["encoder", "learner"])
def test_nothing_is_skipped_or_excused_in_a_contract(kind: str) -> None:
    text = (HERE / f"test_{kind}_contract.py").read_text()
    assert "skip" not in text
    assert "xfail" not in text
