"""The plan of the house: which wing may import which, how large a room may be, and that a newcomer finds the door.

Arrows are read from the source text, those inside functions and for type checkers included.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import pytest

HOUSE = Path(__file__).parent.parent
WINGS = (
    *("cli", "recipes", "showing", "tuning", "scheduling", "executors", "reports"),
    *("ranking", "harness", "specs", "results", "tasks", "errors"),
)
"""From above to below: each may import those after it."""
UNKNOWN_TO = {
    "encoders": ("learners", "bench", "torch", "optuna", "click", "rich"),
    "learners": ("bench", "optuna", "click", "rich"),
}
DOORS = ("encoders", "learners", "learners.fleet", "learners.optim")
"""What bench may import of the other packages."""
LONGEST_MODULE, LONGEST_FUNCTION, LARGEST_CLASS = 350, 60, 250
EXCEPTIONS: dict[str, str] = {}
"""Rooms, functions and classes that are larger, each with its reason."""

NAMED = r"(?<!`)`~?((?:bench|encoders|learners)(?:\.\w+)+)`"
"""A name with its module, as docstrings write it."""

Arrows = Mapping[str, set[str]]


def modules() -> dict[str, Path]:
    files = [path for package in ("encoders", "learners", "bench") for path in (HOUSE / package).rglob("*.py")]
    return {".".join(p.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__"): p for p in files}


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in inner)


def arrows() -> dict[str, set[str]]:
    known = modules()
    return {name: set(imported(path, known)) - {name} for name, path in known.items()}


def wing(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "bench" and len(parts) > 1 and parts[1] in WINGS else None


def faults(found: Arrows) -> Iterator[str]:
    """What is wrong with some arrows, in words."""
    for name, targets in found.items():
        for target in sorted(targets):
            yield from _faults(name, target)
    inner = {n: {t for t in targets if t in found and not n.startswith(f"{t}.")} for n, targets in found.items()}
    try:
        TopologicalSorter(inner).prepare()
    except CycleError as error:
        yield f"a circle: {' → '.join(reversed(error.args[1]))}"


def _faults(name: str, target: str) -> Iterator[str]:
    package, of = name.split(".")[0], target.split(".")[0]
    if of in UNKNOWN_TO.get(package, ()):
        yield f"{package} must not know {of}: {name} imports {target}"
    if package == "bench" and of in ("encoders", "learners") and target not in DOORS:
        yield f"a private door: {name} imports {target}"
    here, there = wing(name), wing(target)
    if here and there and here != there:
        if WINGS.index(there) < WINGS.index(here):
            yield f"{here} is below {there}: {name} imports {target}"
        elif there not in ("errors", "recipes") and target.count(".") > 1 and not _is_room_of_face(target):
            yield f"a wing is entered by its face: {name} imports {target}"


def _is_room_of_face(target: str) -> bool:
    """Whether a wing's face hands out this room as a whole: ``from bench.specs import registry``."""
    package, _, room = target.rpartition(".")
    return package.count(".") == 1 and room in getattr(import_module(package), "__all__", ())


def test_arrows_point_down_without_circles_and_through_the_doors() -> None:
    assert list(faults(arrows())) == []


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("bench.tasks.modular", "bench.cli", "tasks is below cli"),
        ("bench.ranking.league", "bench.scheduling", "ranking is below scheduling"),
        ("bench.ranking.league", "bench.results.store", "entered by its face"),
        ("bench.harness.train", "learners.transformer", "a private door"),
        ("learners.mlp", "bench.specs", "learners must not know bench"),
        ("encoders.cycle", "torch", "encoders must not know torch"),
        ("learners.optim._part", "learners.transformer", "a circle"),
    ],
)
def test_an_arrow_that_is_turned_is_found(name: str, target: str, said: str) -> None:
    turned = arrows()
    turned[name] = turned[name] | {target}
    assert said in " ".join(faults(turned))


def test_the_house_has_twelve_wings_and_four_files_at_its_top() -> None:
    inside = [path for path in (HOUSE / "bench").iterdir() if path.name != "__pycache__"]
    folders = {path.name for path in inside if path.is_dir()}
    assert folders == {*WINGS, "grids"} - {"errors"}
    assert {path.name for path in inside if path.is_file()} == {"__init__.py", "__main__.py", "errors.py", "py.typed"}


def sizes() -> Iterator[tuple[str, int, int]]:
    """Name, lines and the most lines there should be of each module, class and function."""
    for name, path in modules().items():
        text = path.read_text()
        yield name, text.count("\n"), LONGEST_MODULE
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                most = LARGEST_CLASS if isinstance(node, ast.ClassDef) else LONGEST_FUNCTION
                yield f"{name}.{node.name}", (node.end_lineno or 0) - node.lineno + 1, most


def test_rooms_are_of_a_size_that_is_read_at_once() -> None:
    large = {name: lines for name, lines, most in sizes() if lines > most}
    assert large.keys() == EXCEPTIONS.keys(), large
    assert len(EXCEPTIONS) <= 5


def test_faces_hand_out_what_they_say() -> None:
    for name in WINGS[:-1]:
        face = import_module(f"bench.{name}")
        assert (face.__doc__ or "").strip()
        rooms = {path.stem for path in (HOUSE / "bench" / name).iterdir()}
        for public in getattr(face, "__all__", ()):
            value = getattr(face, public)
            assert public not in rooms or getattr(value, "__name__", "") == f"bench.{name}.{public}"


def _exists(name: str) -> bool:
    """Whether a dotted name is a module, something in one, or a field of a class."""
    owner, _, last = name.rpartition(".")
    try:
        resolve_name(name)
    except (ImportError, AttributeError):
        return bool(owner) and last in getattr(resolve_name(owner), "__annotations__", ())
    return True


def test_what_docstrings_name_exists() -> None:
    named = {(n, found) for n, path in modules().items() for found in re.findall(NAMED, path.read_text())}
    assert {found for _, found in named} >= {"bench.run", "bench.executors.Executor"}
    assert [(module, found) for module, found in sorted(named) if not _exists(found)] == []
    assert not _exists("bench.executors.local.Slots")
