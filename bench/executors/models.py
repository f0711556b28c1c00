"""Files of fitted models."""

import os
from contextlib import suppress
from pathlib import Path
from pickle import PicklingError

import joblib
from sklearn.pipeline import Pipeline

from bench.errors import RequestError
from bench.specs import Cell
from learners import Learner


def save_model(cell: Cell, learner: Learner, path: Path) -> str | None:
    """Save a scikit-learn pipeline from pairs to answers, for `joblib.load`; returns an error message or None."""
    model = Pipeline([("encoder", cell.encoder), ("learner", learner)])
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        joblib.dump(model, temporary, compress=3)
        temporary.replace(path)
    except (OSError, PicklingError) as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return f"The model {str(path)!r} cannot be written: {getattr(error, 'strerror', None) or error}."
    return None


def check_model_path(path: str, n_seeds: int) -> None:
    """Raise RequestError unless the models of all seeds can be saved at this path."""
    if n_seeds > 1 and "{seed}" not in path:
        raise RequestError(f"`save_model` needs {{seed}} in its path for {n_seeds} seeds, got {path!r}.")
    folder = Path(path).parent
    if (
        not Path(path).name
        or "\0" in path
        or Path(path).is_dir()
        or not folder.is_dir()
        or not os.access(folder, os.W_OK)
    ):
        raise RequestError(f"`save_model` must name a file in a folder that can be written to, got {path!r}.")
