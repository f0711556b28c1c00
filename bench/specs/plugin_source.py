"""Read plugins from their source text: name, summary, what they import, what they lack. Nothing is imported."""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("encoders", "learners")
"""Where base classes are looked for."""
ABSTRACT = "abstractmethod"


@dataclass(frozen=True)
class ClassSource:
    """What the text of a plugin's module says of its class.

    :param imports: top-level packages that the module imports as it is loaded.
    :param lacks: what its bases ask for and neither it nor they have; empty where a base cannot be read.
    """

    name: str
    summary: str
    imports: list[str]
    lacks: set[str] = field(default_factory=set)


def read_class(path: Path, plain: str, base: str) -> ClassSource | None:
    """The class of a module whose name is ``plain`` in lower case, or None where it defines none.

    :param base: what it must be a subclass of, by name: bases of that one ask for nothing.
    :raises ValueError: where the text cannot be parsed. OSError where it cannot be read.
    """
    tree = _parse(path)
    found = next((node for name, node in _classes(tree).items() if name.lower() == plain), None)
    if found is None:
        return None
    summary = (ast.get_docstring(found) or "").partition("\n")[0]
    chain = list(_chain(tree, found, base))
    known = None not in chain and any(node is not None and node.name == base for node in chain)
    return ClassSource(found.name, summary, _imported_roots(tree), _lacks(chain) if known else set())


def lacking(names: Collection[str]) -> str:
    """The sentence for parts of the contract that are not there."""
    *others, last = sorted(names)
    return f"it lacks {', '.join(others)} and {last}" if others else f"it lacks {last}"


def _lacks(chain: list[ast.ClassDef | None]) -> set[str]:
    """Names that some class asks for and no class has, as the first class of the chain sees it."""
    asked: set[str] = set()
    had: set[str] = set()
    for node in chain:
        if node is not None:
            asks, has = _members(node)
            asked |= asks
            had |= has
    return asked - had


def _members(node: ast.ClassDef) -> tuple[set[str], set[str]]:
    """Names that the body of a class asks for, and those that it has."""
    asks: set[str] = set()
    has: set[str] = set()
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            (asks if any(ast.unparse(d).endswith(ABSTRACT) for d in item.decorator_list) else has).add(item.name)
        elif isinstance(item, ast.Assign):
            has |= {target.id for target in item.targets if isinstance(target, ast.Name)}
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            declared = item.value is None
            if not declared:
                has.add(item.target.id)
            elif ast.unparse(item.annotation).startswith("ClassVar"):
                asks.add(item.target.id)
    return asks, has


def _chain(tree: ast.Module, node: ast.ClassDef, base: str) -> Iterator[ast.ClassDef | None]:
    """A class and all classes above it up to ``base``; None for one whose text is not found."""
    yield node
    if node.name == base:
        return
    for parent in node.bases:
        name = ast.unparse(parent)
        if name in ("ABC", "object"):
            continue
        place = _find(tree, name.partition("[")[0])
        if place is None:
            yield None
        else:
            yield from _chain(*place, base)


def _find(tree: ast.Module, name: str) -> tuple[ast.Module, ast.ClassDef] | None:
    """Where a class is defined that a module defines or imports by name."""
    if name in (here := _classes(tree)):
        return tree, here[name]
    module = _imported_names(tree).get(name)
    path = None if module is None else _file(module)
    try:
        return None if path is None else _find(_parse(path), name)
    except (OSError, ValueError):
        return None


def _file(module: str) -> Path | None:
    root, *rest = module.split(".")
    spec = find_spec(root) if root in PACKAGES else None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*rest)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _parse_as_of(path: Path, changed: int) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ValueError(error) from error


def _parse(path: Path) -> ast.Module:
    return _parse_as_of(path, path.stat().st_mtime_ns)


def _classes(tree: ast.Module) -> Mapping[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Module of each name that is imported as it is called there."""
    return {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
        if alias.asname in (None, alias.name)
    }


def _imported_roots(tree: ast.Module) -> list[str]:
    """Top-level packages that a module imports as it is loaded."""
    roots: dict[str, None] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0]: None for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots[node.module.partition(".")[0]] = None
    return list(roots)
