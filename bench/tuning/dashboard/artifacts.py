"""Artifacts of studies: pictures of the learning curves of trials, and the record of the winner."""

import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.study import Study
from optuna.trial import Trial

from bench.errors import StoreError
from bench.reports import curve_picture
from bench.tuning.optuna_internals import storage_of, study_id_of

CURVE = "validation accuracy"
"""The name of the intermediate values of trials."""


def artifacts_folder(results: str | Path) -> Path:
    """The folder of the artifacts of all studies of a results folder."""
    return Path(results) / "artifacts"


def attach_curve(trial: Trial, curve: Mapping[int, float], folder: Path) -> None:
    """Make a picture of a learning curve an artifact of a trial, which must still be running.

    Does nothing if optuna-dashboard is not installed or the folder cannot be written: the trial is valid without it.
    """
    if find_spec("optuna_dashboard") is None or not curve:
        return
    with suppress(OSError), tempfile.TemporaryDirectory() as temporary:
        folder.mkdir(exist_ok=True)
        path = Path(temporary) / f"trial-{trial.number}.svg"
        path.write_text(curve_picture(curve, f"trial {trial.number}: {CURVE}, the mean over its seeds"))
        upload_artifact(artifact_store=FileSystemArtifactStore(folder), file_path=str(path), study_or_trial=trial)


def attach_record(study: Study, record: Path, folder: Path) -> None:
    """Make a record an artifact of a study, or bring the artifact of its name up to date.

    :raises StoreError: if it cannot be copied.
    """
    try:
        folder.mkdir(exist_ok=True)
        store, id = FileSystemArtifactStore(folder), _find(study, record.name)
        if id is None:
            upload_artifact(artifact_store=store, file_path=str(record), study_or_trial=study)
        elif not (folder / id).is_file() or (folder / id).read_bytes() != record.read_bytes():
            with record.open("rb") as file:
                store.write(id, file)
    except OSError as error:
        message = f"The winner's record {str(record)!r} cannot be copied to {str(folder)!r}: {error.strerror}."
        raise StoreError(message) from error


def _find(study: Study, name: str) -> str | None:
    """The id of a study's artifact of that name. One that was deleted in the dashboard is null."""
    attributes = storage_of(study).get_study_system_attrs(study_id_of(study))
    kept = (json.loads(text) for key, text in attributes.items() if key.startswith("artifacts:"))
    return next((str(one["artifact_id"]) for one in kept if one and one["filename"] == name), None)
