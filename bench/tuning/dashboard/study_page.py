"""The page of a study in optuna-dashboard: names of its values, notes, figures, and artifacts.

Artifacts are pictures of the learning curves of trials, and the record of the winner.
"""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna

from bench.errors import StoreError, os_errors_as
from bench.reports import curve_picture, study_figures
from bench.tuning.optuna_internals import (
    FIGURE,
    NOTE_VERSION,
    dialect_of,
    storage_of,
    study_id_of,
    trial_for_note,
    trial_id_of,
)
from bench.tuning.storage.journal import batch_writes

CURVE = "validation accuracy"
"""The name of the intermediate values of trials."""
LAST_NOTE = "mod97:note"
"""The attribute of a study with the digest of the note that was written last."""


SMALL_VALUES = ("mysql", "mariadb")
"""Databases of which a value holds 64 kB."""


PIECE = 2045
"""Characters of a figure that one of their values surely holds."""


def update_page(
    study: optuna.Study,
    *,
    note: str,
    winner: Path | None = None,
    artifacts: Path | None = None,
    metrics: Sequence[str] = (),
    figures: bool = False,
    of_trial: Callable[[optuna.trial.FrozenTrial], str] | None = None,
) -> None:
    """Write what optuna-dashboard shows of a study: names, notes, figures, and the record of the winner.

    It may be called repeatedly, and writes only what has changed. Figures show values of trials only: nothing about the
    vault is on the page before the winner's record. Does nothing if optuna-dashboard or plotly is not installed
    (``mod97[dashboard]``).

    :param note: Markdown: what is tuned, the stopping rule, the command. A note that a user has edited is kept.
    :param winner: the record of the winner, which becomes an artifact of the study.
    :param artifacts: the folder of artifacts; None takes that of the winner's results folder.
    :param metrics: names of the study's values, used if it has none yet.
    :param of_trial: makes the note of a trial that is complete and has none.
    :param figures: whether to draw figures, which takes seconds; a server of the dashboard also draws them.
    :raises StoreError: if the winner's record cannot be copied to the artifacts.
    """
    try:
        dashboard, plotly = import_module("optuna_dashboard"), import_module("plotly.graph_objects")
    except ImportError:
        return
    if metrics and not study.metric_names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(metrics))
    _write_note(study, note, dashboard)
    if of_trial is not None:
        _write_trial_notes(study, of_trial, dashboard)
    if figures:
        draw_figures(study, plotly)
    if winner is not None:
        attach_record(study, winner, artifacts or artifacts_folder(winner.parent))


def _attributes(study: optuna.Study) -> dict[str, Any]:
    return storage_of(study).get_study_system_attrs(study_id_of(study))


def _set_attribute(study: optuna.Study, name: str, value: str) -> None:
    storage_of(study).set_study_system_attr(study_id_of(study), name, value)


def _write_note(study: optuna.Study, note: str, dashboard: Any) -> None:
    """Write a note, unless the study has one that was not written last by this function: a user has edited it."""
    there, last = dashboard.get_note(study), _attributes(study).get(LAST_NOTE)
    if there not in ("", note) and _digest(there) != last:
        return
    if there != note:
        dashboard.save_note(study, note)
    if last != _digest(note):
        _set_attribute(study, LAST_NOTE, _digest(note))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write_trial_notes(
    study: optuna.Study, of_trial: Callable[[optuna.trial.FrozenTrial], str], dashboard: Any
) -> None:
    """Write the notes of complete trials that have none."""
    known = _attributes(study)
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
        if NOTE_VERSION.format(trial_id=trial_id_of(trial)) not in known:
            with batch_writes(storage_of(study)):
                dashboard.save_note(trial_for_note(study, trial), of_trial(trial))


def value_names(study: optuna.Study) -> list[str]:
    """The names of a study's values."""
    return study.metric_names or [f"value {i}" if i else "value" for i in range(len(study.directions))]


def draw_figures(study: optuna.Study, plotly: Any) -> None:
    """Draw the figures of a study and store them for its page."""
    for id, figure in study_figures(study, value_names(study), CURVE).items():
        layout = {"template": "none", **figure["layout"]}
        _store_figure(study, id, plotly.Figure({**figure, "layout": layout}).to_json())


def _store_figure(study: optuna.Study, id: str, drawn: str) -> None:
    """Store a figure in as few pieces as the storage allows; optuna-dashboard joins numbered pieces.

    A single piece is written at once, so that no reader sees half of a figure. A piece that has not changed is not
    written again, since a journal only grows.
    """
    prefix, size = FIGURE.format(figure=id), PIECE if dialect_of(study) in SMALL_VALUES else len(drawn)
    there = {key: piece for key, piece in _attributes(study).items() if key.startswith(prefix)}
    pieces = [drawn[first : first + size] for first in range(0, len(drawn), size)]
    pieces += [""] * (len(there) - len(pieces))
    for key, piece in {f"{prefix}{i}": piece for i, piece in enumerate(pieces)}.items():
        if there.get(key) != piece:
            _set_attribute(study, key, piece)


def artifacts_folder(results: str | Path) -> Path:
    """The folder of the artifacts of all studies of a results folder."""
    return Path(results) / "artifacts"


def attach_curve(trial: optuna.Trial, curve: Mapping[int, float], folder: Path) -> None:
    """Make a picture of a learning curve an artifact of a trial, which must still be running.

    Does nothing if optuna-dashboard is not installed or the folder cannot be written: the trial is valid without it.
    """
    if find_spec("optuna_dashboard") is None or not curve:
        return
    with suppress(OSError), tempfile.TemporaryDirectory() as temporary:
        folder.mkdir(exist_ok=True)
        path = Path(temporary) / f"trial-{trial.number}.svg"
        path.write_text(curve_picture(curve, f"trial {trial.number}: {CURVE}, the mean over its seeds"))
        optuna.artifacts.upload_artifact(
            artifact_store=optuna.artifacts.FileSystemArtifactStore(folder), file_path=str(path), study_or_trial=trial
        )


def attach_record(study: optuna.Study, record: Path, folder: Path) -> None:
    """Make a record an artifact of a study, or bring the artifact of its name up to date.

    :raises StoreError: if it cannot be copied.
    """
    with os_errors_as(StoreError, f"The winner's record {str(record)!r} cannot be copied to {str(folder)!r}"):
        folder.mkdir(exist_ok=True)
        store, id = optuna.artifacts.FileSystemArtifactStore(folder), _find(study, record.name)
        if id is None:
            optuna.artifacts.upload_artifact(artifact_store=store, file_path=str(record), study_or_trial=study)
        elif not (folder / id).is_file() or (folder / id).read_bytes() != record.read_bytes():
            with record.open("rb") as file:
                store.write(id, file)


def _find(study: optuna.Study, name: str) -> str | None:
    """The id of a study's artifact of that name. One that was deleted in the dashboard is null."""
    kept = (json.loads(text) for key, text in _attributes(study).items() if key.startswith("artifacts:"))
    return next((str(one["artifact_id"]) for one in kept if one and one["filename"] == name), None)
