"""Private names of Optuna and optuna-dashboard: those that are used are there, and only one file uses them."""

import ast
import importlib
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import bench.tuning
from bench.tuning import optuna_internals as internals
from bench.tuning.storage.open import close_storage, open_storage

HERE = Path(bench.tuning.__file__).parent
PRIVATE = ("_storage", "_study_id", "_trial_id", "_backend")


def test_a_study_and_a_trial_have_a_storage_and_ids() -> None:
    study = optuna.create_study()
    trial = study.ask()
    for thing, name, user in (
        (study, "_storage", "notes, figures and artifacts, and telling a trial in one piece"),
        (study, "_study_id", "notes and figures of a study"),
        (trial, "_trial_id", "heartbeats, notes of trials, and telling a trial in one piece"),
    ):
        kind = type(thing).__name__
        assert hasattr(thing, name), f"Optuna's {kind} has no {name} any more, on which these depend: {user}."
    frozen = study.get_trials()[0]
    assert hasattr(frozen, "_trial_id"), "Optuna's FrozenTrial has no _trial_id any more: notes of trials depend on it."
    assert internals.storage_of(study).get_trial(internals.trial_id_of(trial)).number == trial.number
    assert internals.storage_of(study).get_study_name_from_id(internals.study_id_of(study)) == study.study_name
    assert internals.dialect_of(study) == ""


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_database_says_which_trials_have_no_heartbeat(tmp_path: Path) -> None:
    lost = "trials in a database, of processes that died before a first heartbeat, depend on it"
    try:
        models = importlib.import_module("optuna.storages._rdb.models")
    except ImportError:
        pytest.fail(f"Optuna has no module optuna.storages._rdb.models any more: {lost}.")
    for name in ("TrialModel", "TrialHeartbeatModel"):
        assert hasattr(models, name), f"Optuna's optuna.storages._rdb.models has no {name} any more: {lost}."
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    study = optuna.create_study(storage=storage)
    alive, left, over = (study.ask() for _ in range(3))
    storage.record_heartbeat(internals.trial_id_of(alive))
    study.tell(over, state=TrialState.FAIL)
    found = internals.without_heartbeat(study, storage.engine)
    assert found == [(internals.trial_id_of(left), left.number)]
    gone = "A study in a database has no _storage._backend.engine any more: MySQL gets figures that it cannot hold."
    assert internals.dialect_of(study) == "sqlite", gone
    close_storage(storage)


def test_the_dashboard_keeps_notes_and_figures_under_these_names() -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    plotly = pytest.importorskip("plotly.graph_objects")
    study = optuna.create_study()
    study.tell(study.ask(), 1.0)
    [trial] = study.get_trials()
    asked = internals.trial_for_note(study, trial)
    dashboard.save_note(asked, "of a trial")
    assert dashboard.get_note(asked) == "of a trial", "optuna-dashboard takes no stand-in for a trial any more."
    dashboard.save_plotly_graph_object(study, plotly.Figure(), graph_object_id="a")
    kept = internals.storage_of(study).get_study_system_attrs(internals.study_id_of(study))
    key = internals.NOTE_VERSION.format(trial_id=internals.trial_id_of(trial))
    assert key in kept, f"optuna-dashboard does not keep {key!r} any more: trials get their notes repeatedly."
    prefix = internals.FIGURE.format(figure="a")
    gone = f"optuna-dashboard does not keep figures under {prefix!r} any more: those that are stored are not shown."
    assert any(name.startswith(prefix) for name in kept), gone


def test_no_other_file_uses_private_names() -> None:
    used = []
    for path in HERE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            private = any(module.startswith("optuna") and "._" in module for module in modules)
            if private or (isinstance(node, ast.Attribute) and node.attr in PRIVATE):
                used.append(path.name)
    assert set(used) == {"optuna_internals.py"}
