"""The only place that uses private names of Optuna and optuna-dashboard, which another version of either may change.

``tests/test_optuna_internals.py`` fails for a name that is gone, and says what depends on it.
"""

from types import SimpleNamespace
from typing import Any

import optuna
import sqlalchemy

NOTE_VERSION = "dashboard:{trial_id}:note_ver"
"""The attribute that a study has if optuna-dashboard has a note of a trial."""


FIGURE = "dashboard:plot_data:{figure}:"
"""How the attributes of a study begin that hold the numbered pieces of a figure of optuna-dashboard."""


def storage_of(study: optuna.Study) -> optuna.storages.BaseStorage:
    """The storage that a study reads and writes."""
    return study._storage


def study_id_of(study: Any) -> int:
    """The id by which a storage knows a study."""
    return int(study._study_id)


def trial_id_of(trial: Any) -> int:
    """The id by which a storage knows a trial, whose number counts within its study."""
    return int(trial._trial_id)


def dialect_of(study: optuna.Study) -> str:
    """The dialect of the study's database, as "mysql"; empty for a journal or a study in memory."""
    engine = getattr(getattr(study._storage, "_backend", None), "engine", None)  # Optuna caches a database
    return "" if engine is None else str(engine.dialect.name)


def without_heartbeat(study: optuna.Study, engine: sqlalchemy.Engine) -> list[tuple[int, int]]:
    """The ids and numbers of running trials that never had a heartbeat."""
    from optuna.storages._rdb.models import TrialHeartbeatModel, TrialModel  # here, so that journals do without it

    running = sqlalchemy.select(TrialModel.trial_id, TrialModel.number).where(
        TrialModel.study_id == study._study_id,
        TrialModel.state == optuna.trial.TrialState.RUNNING,
        TrialModel.trial_id.not_in(sqlalchemy.select(TrialHeartbeatModel.trial_id)),
    )
    with engine.connect() as connection:
        return [(trial_id, number) for trial_id, number in connection.execute(running)]


def trial_for_note(study: optuna.Study, trial: Any) -> Any:
    """A finished trial as optuna-dashboard's ``save_note`` takes it: Optuna's own ``Trial`` would start it again."""
    return SimpleNamespace(storage=study._storage, study=study, _trial_id=trial._trial_id)


OPERATIONS = range(11)
"""The numbers of a journal's operations."""


class Replay:
    """What the lines of a journal make, applied one at a time as Optuna does when it opens the journal."""

    def __init__(self) -> None:
        from optuna.storages.journal._storage import JournalStorageReplayResult  # here, so that others do without it

        self._result = JournalStorageReplayResult("nobody-")

    def refusal(self, log: Any) -> str:
        """Apply a line; why that is not possible, "" where it is."""
        try:
            self._result.apply_logs([log])
        except Exception as error:  # whatever a line that another program has written makes Optuna raise
            return f"Optuna cannot apply it: {type(error).__name__}: {error}"
        return ""

    @property
    def trials(self) -> int:
        """How many trials were created: the id of the next one."""
        return len(self._result._trials)

    @property
    def next_study(self) -> int:
        """The id of the next study."""
        return int(self._result._next_study_id)

    @property
    def studies(self) -> dict[int, str]:
        """The names of the studies that are not deleted, by id."""
        return {int(id): str(study.study_name) for id, study in self._result._studies.items()}

    def of_trial(self, trial_id: int) -> tuple[int, int]:
        """The study of a trial, and its number there."""
        return int(self._result._trial_id_to_study_id[trial_id]), int(self._result._trials[trial_id].number)
