"""Files in the working folder that hide a package of the same name: Python looks there before installed packages."""

from importlib.util import find_spec
from pathlib import Path

OURS = ("encoders", "learners")
OTHERS = (
    "click",
    "filelock",
    "joblib",
    "lazy_loader",
    "loky",
    "numpy",
    "optuna",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "threadpoolctl",
    "torch",
    "yaml",
)
HOME = Path(__file__).resolve().parents[2]
"""The folder that `bench` lies in, and with it `encoders` and `learners`."""


def shadow() -> str | None:
    """An error message if a file would be imported in place of a package that mod97 needs, else None.

    Nothing is imported.
    """
    here = Path.cwd().resolve()
    for name in (*OURS, *OTHERS):
        found = _found(name)
        if found is not None and (found.parent != HOME if name in OURS else found.parent == here):
            return (
                f"{str(found)!r} stands in the way of the package {name!r}, which mod97 needs: rename it, or run mod97 "
                "from another folder."
            )
    return None


def _found(name: str) -> Path | None:
    """The file or folder that a package would be imported from."""
    try:
        spec = find_spec(name)
    except ValueError:  # something put into sys.modules by hand
        return None
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin).resolve()
    return origin.parent if origin.stem == "__init__" else origin
