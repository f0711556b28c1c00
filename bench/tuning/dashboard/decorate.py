"""What a dashboard shows of a study: names, notes, pictures and results of trials."""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from bench.errors import StoreError
from bench.reports.figures.trial_curve import curve_picture
from bench.tuning.storage.journal import together

__all__ = ["CURVE", "artifacts_folder", "decorate", "draw", "keep_picture"]

NOTE_SHOWN = "mod97:note"


CURVE = "validation accuracy"
"""What intermediate values are, where tune reports them."""


CRAMPED = ("mysql", "mariadb")
"""Databases of which a value holds 64 kB."""


PIECE = 2045
"""Characters of a figure that a value of theirs surely holds."""


def artifacts_folder(results: str | Path) -> Path:
    """Where artifacts of the studies of a results folder lie."""
    return Path(results) / "artifacts"


def decorate(
    study: Study,
    *,
    note: str,
    winner: Path | None = None,
    artifacts: Path | None = None,
    metrics: Sequence[str] = (),
    curve: str = CURVE,
    figures: bool = False,
    of_trial: Callable[[FrozenTrial], str] | None = None,
) -> None:
    """Give a study names, a note, its winner's record and figures, as optuna-dashboard shows them.

    It may be called as often as wished: what is there already is replaced or left alone. Figures come from the values
    of the trials alone, so that nothing of a vault is shown before the winner's record is. Does nothing where
    optuna-dashboard or plotly is not installed (``mod97[dashboard]``).

    :param note: Markdown: what is tuned under which rules, and the command. One that was edited in the dashboard stays.
    :param winner: the record of the winner; an artifact of the study from then on.
    :param artifacts: the folder of artifacts; by default that of the winner's results folder.
    :param metrics: names of the study's values, where it has none yet.
    :param curve: what the trials' intermediate values are.
    :param of_trial: makes the note of a trial that is over, which gets it once.
    :param figures: whether they are drawn, which is worth its while at the end; a server draws them while it runs.
    :raises StoreError: where the winner's record cannot be copied to the artifacts.
    """
    try:
        dashboard, plotly = import_module("optuna_dashboard"), import_module("plotly.graph_objects")
    except ImportError:
        return
    _name(study, metrics)
    _note(study, note, dashboard)
    if of_trial is not None:
        _tell_of_trials(study, of_trial, dashboard)
    if figures:
        draw(study, curve, plotly)
    if winner is not None:
        _keep(study, winner, artifacts or artifacts_folder(winner.parent))


def _attributes(study: Study) -> dict[str, Any]:
    return study._storage.get_study_system_attrs(study._study_id)


def _name(study: Study, metrics: Sequence[str]) -> None:
    if metrics and not study.metric_names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(metrics))


def _note(study: Study, note: str, dashboard: Any) -> None:
    """Write it, unless what is there is not what was written last: then somebody has edited it."""
    there, shown = dashboard.get_note(study), _attributes(study).get(NOTE_SHOWN)
    if there not in ("", note) and _digest(there) != shown:
        return
    if there != note:
        dashboard.save_note(study, note)
    if shown != _digest(note):
        study._storage.set_study_system_attr(study._study_id, NOTE_SHOWN, _digest(note))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def keep_picture(study: Study, trial_id: int, number: int, curve: Mapping[int, float], artifacts: Path) -> None:
    """Make a picture of a learning curve an artifact of a trial, which must not be over yet.

    Does nothing where optuna-dashboard is not installed, or nothing can be written: a trial is as good without.
    """
    if find_spec("optuna_dashboard") is None or not curve:
        return
    with suppress(OSError), tempfile.TemporaryDirectory() as folder:
        artifacts.mkdir(exist_ok=True)
        path = Path(folder) / f"trial-{number}.svg"
        path.write_text(curve_picture(curve, f"trial {number}: {CURVE}, the mean over its seeds"))
        store = FileSystemArtifactStore(artifacts)
        trial = create_trial(state=TrialState.RUNNING)
        trial._trial_id = trial_id
        upload_artifact(artifact_store=store, file_path=str(path), study_or_trial=trial, storage=study._storage)


def _tell_of_trials(study: Study, of_trial: Callable[[FrozenTrial], str], dashboard: Any) -> None:
    """Give trials that are over a note, where they have none."""
    known = _attributes(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if f"dashboard:{trial._trial_id}:note_ver" not in known:
            # A Trial of Optuna's would begin it once more.
            asked = SimpleNamespace(storage=study._storage, study=study, _trial_id=trial._trial_id)
            with together(study._storage):
                dashboard.save_note(asked, of_trial(trial))


def draw(study: Study, curve: str, plotly: Any) -> None:
    """Keep the figures of a study for its page in optuna-dashboard."""
    from bench.reports.figures.study import figures

    names = study.metric_names or [f"value {i}" if i else "value" for i in range(len(study.directions))]
    for id, figure in figures(study, names, curve).items():
        layout = {"template": "none", **figure["layout"]}
        _save(study, id, plotly.Figure({**figure, "layout": layout}).to_json())


def _save(study: Study, id: str, drawn: str) -> None:
    """Store a figure, where optuna-dashboard joins numbered pieces of it, as one piece.

    A piece is written at once, so that nobody meets half of a figure. What is there already is not written again, since
    a journal only grows.
    """
    prefix, size = f"dashboard:plot_data:{id}:", PIECE if _dialect(study) in CRAMPED else len(drawn)
    there = {key: piece for key, piece in _attributes(study).items() if key.startswith(prefix)}
    pieces = [drawn[first : first + size] for first in range(0, len(drawn), size)]
    pieces += [""] * (len(there) - len(pieces))
    for key, piece in {f"{prefix}{i}": piece for i, piece in enumerate(pieces)}.items():
        if there.get(key) != piece:
            study._storage.set_study_system_attr(study._study_id, key, piece)


def _dialect(study: Study) -> str:
    """Of the database; empty for what is none."""
    engine = getattr(getattr(study._storage, "_backend", None), "engine", None)  # Optuna caches a database
    return "" if engine is None else str(engine.dialect.name)


def _keep(study: Study, winner: Path, artifacts: Path) -> None:
    """Make a file an artifact, or bring the artifact of its name up to date."""
    try:
        artifacts.mkdir(exist_ok=True)
        store, id = FileSystemArtifactStore(artifacts), _artifact(study, winner.name)
        if id is None:
            upload_artifact(artifact_store=store, file_path=str(winner), study_or_trial=study)
        elif not (artifacts / id).is_file() or (artifacts / id).read_bytes() != winner.read_bytes():
            with winner.open("rb") as file:
                store.write(id, file)
    except OSError as error:
        message = f"The winner's record {str(winner)!r} cannot be copied to {str(artifacts)!r}: {error.strerror}."
        raise StoreError(message) from error


def _artifact(study: Study, name: str) -> str | None:
    """The id of a study's artifact of that name. One that was deleted in the dashboard is null."""
    for key, text in _attributes(study).items():
        kept = json.loads(text) if key.startswith("artifacts:") else None
        if kept and kept["filename"] == name:
            return str(kept["artifact_id"])
    return None
