"""Read from the source of a plugin its name, summary, imports and missing methods, without importing it."""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("encoders", "learners")
"""The packages in which base classes are searched."""
ABSTRACT = "abstractmethod"


@dataclass(frozen=True)
class ClassSource:
    """The class of a plugin, as its source describes it.

    :param imports: the top-level packages that the module imports when it is loaded.
    :param lacks: abstract methods and declared attributes that neither the class nor its bases define; empty where a
        base cannot be read.
    """

    name: str
    summary: str
    imports: list[str]
    lacks: set[str] = field(default_factory=set)


def read_class(path: Path, plain: str, base: str) -> ClassSource | None:
    """The class of a module whose name is ``plain`` in lower case, or None where it defines none.

    :param base: the name of the class of which it must be a subclass. Bases above that class are not read.
    :raises ValueError: where the text cannot be parsed.
    :raises OSError: where it cannot be read.
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
    """The message about missing methods and attributes, as the end of a sentence."""
    *others, last = sorted(names)
    return f"it lacks {', '.join(others)} and {last}" if others else f"it lacks {last}"


def _lacks(chain: list[ast.ClassDef | None]) -> set[str]:
    """Names that some class of the chain declares and no class defines."""
    members = [_members(node) for node in chain if node is not None]
    return {name for declared, _ in members for name in declared} - {name for _, own in members for name in own}


def _members(node: ast.ClassDef) -> tuple[set[str], set[str]]:
    """Names that the body of a class only declares, as abstract methods or class variables, and those it defines."""
    declared: set[str] = set()
    defined: set[str] = set()
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            is_abstract = any(ast.unparse(d).endswith(ABSTRACT) for d in item.decorator_list)
            (declared if is_abstract else defined).add(item.name)
        elif isinstance(item, ast.Assign):
            defined |= {target.id for target in item.targets if isinstance(target, ast.Name)}
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            if item.value is not None:
                defined.add(item.target.id)
            elif ast.unparse(item.annotation).startswith("ClassVar"):
                declared.add(item.target.id)
    return declared, defined


def _chain(tree: ast.Module, node: ast.ClassDef, base: str) -> Iterator[ast.ClassDef | None]:
    """A class and all its bases up to ``base``; None for a base whose source is not found."""
    yield node
    if node.name == base:
        return
    for parent in node.bases:
        name = ast.unparse(parent)
        if name in ("ABC", "object"):
            continue
        place = _find(tree, name.partition("[")[0])
        yield from [None] if place is None else _chain(*place, base)


def _find(tree: ast.Module, name: str) -> tuple[ast.Module, ast.ClassDef] | None:
    """The module and the node of a class that a module defines or imports by name."""
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
    """By name, the modules from which the module imports names without renaming them."""
    return {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
        if alias.asname in (None, alias.name)
    }


def _imported_roots(tree: ast.Module) -> list[str]:
    """The top-level packages that a module imports when it is loaded."""
    modules = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.append(node.module)
    return list(dict.fromkeys(module.partition(".")[0] for module in modules))
