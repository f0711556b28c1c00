"""Lazy packages of plugins: a class is found in the public module named after it, and imported on first use."""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any


def lazy(
    package: str, path: Sequence[str], helpers: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` for a package, so that a new file is all that a new plugin needs."""

    def modules() -> dict[str, str]:
        names = [m.name for m in iter_modules(path) if not m.name.startswith("_") and not m.ispkg]
        return {name.replace("_", ""): name for name in names}

    def get(name: str) -> Any:
        module = modules().get(name.lower()) if name[:1].isupper() else None
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{module}"), name)

    def classes() -> list[str]:
        return sorted([*helpers, *filter(None, map(class_of, modules().values()))])

    def class_of(module: str) -> str | None:
        """The name of the class that a module is named after, from its source: nothing is imported to list it."""
        wanted = module.replace("_", "")
        for folder in path:
            file = Path(folder, f"{module}.py")
            if file.exists():
                found = re.findall(r"^class (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
                return next((name for name in found if name.lower() == wanted), None)
        return None

    return get, classes
