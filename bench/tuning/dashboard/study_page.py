"""The page of a study in optuna-dashboard: names of its values, notes, figures, and the record of its winner."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from bench.reports import study_figures as study_figures
from bench.tuning.dashboard.artifacts import CURVE, artifacts_folder, attach_record
from bench.tuning.optuna_internals import (
    FIGURE,
    NOTE_VERSION,
    dialect_of,
    storage_of,
    study_id_of,
    trial_for_note,
    trial_id_of,
)
from bench.tuning.storage.batches import batch_writes

LAST_NOTE = "mod97:note"
"""The attribute of a study with the digest of the note that was written last."""


SMALL_VALUES = ("mysql", "mariadb")
"""Databases of which a value holds 64 kB."""


PIECE = 2045
"""Characters of a figure that one of their values surely holds."""


def update_page(
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
    """Write what optuna-dashboard shows of a study: names, notes, figures, and the record of the winner.

    It may be called repeatedly, and writes only what has changed. Figures show values of trials only: nothing about the
    vault is on the page before the winner's record. Does nothing if optuna-dashboard or plotly is not installed
    (``mod97[dashboard]``).

    :param note: Markdown: what is tuned, the stopping rule, the command. A note that a user has edited is kept.
    :param winner: the record of the winner, which becomes an artifact of the study.
    :param artifacts: the folder of artifacts; None takes that of the winner's results folder.
    :param metrics: names of the study's values, used if it has none yet.
    :param curve: the name of the intermediate values of trials.
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
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(metrics))
    _write_note(study, note, dashboard)
    if of_trial is not None:
        _write_trial_notes(study, of_trial, dashboard)
    if figures:
        draw_figures(study, curve, plotly)
    if winner is not None:
        attach_record(study, winner, artifacts or artifacts_folder(winner.parent))


def _attributes(study: Study) -> dict[str, Any]:
    return storage_of(study).get_study_system_attrs(study_id_of(study))


def _set_attribute(study: Study, name: str, value: str) -> None:
    storage_of(study).set_study_system_attr(study_id_of(study), name, value)


def _write_note(study: Study, note: str, dashboard: Any) -> None:
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


def _write_trial_notes(study: Study, of_trial: Callable[[FrozenTrial], str], dashboard: Any) -> None:
    """Write the notes of complete trials that have none."""
    known = _attributes(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if NOTE_VERSION.format(trial_id=trial_id_of(trial)) not in known:
            with batch_writes(storage_of(study)):
                dashboard.save_note(trial_for_note(study, trial), of_trial(trial))


def draw_figures(study: Study, curve: str, plotly: Any) -> None:
    """Draw the figures of a study and store them for its page."""
    names = study.metric_names or [f"value {i}" if i else "value" for i in range(len(study.directions))]
    for id, figure in study_figures(study, names, curve).items():
        layout = {"template": "none", **figure["layout"]}
        _store_figure(study, id, plotly.Figure({**figure, "layout": layout}).to_json())


def _store_figure(study: Study, id: str, drawn: str) -> None:
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
