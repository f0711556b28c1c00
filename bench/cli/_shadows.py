"""Files that stand in the way of a package: Python looks into the working folder before what is installed."""

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
    """What is wrong in one sentence, or None: a file that would be imported where a package of ours or another's is
    meant. Nothing is imported.
    """
    here = Path.cwd().resolve()
    for name in (*OURS, *OTHERS):
        found = _found(name)
        if found is None:
            continue
        astray = found.parent != HOME if name in OURS else found.parent == here
        if astray:
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
