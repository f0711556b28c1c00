"""Who works on which trial: what a process that died left behind is found, and nobody asks at another's elbow.

In a journal, processes of one machine lease trials as sweeps lease cells: a lease ends with its process, and no clock
is compared. In a database, whose processes may be on several machines, each trial has a heartbeat; one that has none
was left between a question and its first heartbeat.
"""

import hashlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from bench.results.leases import Lease, leased
from bench.tuning.storage.open import HEARTBEAT, file_of, journal_path

__all__ = ["Owner", "owner_of"]

ELBOW = 0.05
"""Seconds between the first two attempts to be the one that asks; they grow apart."""
FARTHEST = 0.5
"""Seconds between two attempts at most."""

Stopped = Callable[[], bool]


def _never() -> bool:
    return False


class Owner(Protocol):
    """This process, as one of those that work on a study."""

    def asking(self, stopped: Stopped = _never) -> AbstractContextManager[bool]:
        """A block in which this process alone asks for trials; its value is False where it was stopped before."""

    def takes(self, trial: Any) -> None:
        """It works on a trial from now on."""

    def leaves(self, trial: Any) -> None:
        """A trial is over."""

    def fail_orphans(self) -> None:
        """Fail the trials of processes that are gone; only while asking."""

    def opens(self) -> bool:
        """Whether it may open the vault, as nobody else does."""

    def close(self) -> None:
        """It works no more."""


def owner_of(study: Any, storage: Any, url: str, results: str | Path) -> Owner:
    """This process, for a study in a storage."""
    path = journal_path(url)
    return _InDatabase(study, storage, url, Path(results)) if path is None else _InJournal(study, storage, path)


class _InJournal:
    """Leases beside the journal."""

    def __init__(self, study: Any, storage: Any, path: Path) -> None:
        path = path.resolve()  # two names of one journal have one lease
        self.study, self.storage, self.folder = study, storage, path.parent
        self.locks = _OfFolder(self.folder)
        self.prefix = f"{path.name}: {study.study_name}: "

    def asking(self, stopped: Stopped = _never) -> AbstractContextManager[bool]:
        return _alone(self.locks, f"{self.prefix}turn", stopped)

    def takes(self, trial: Any) -> None:
        self.locks.take(f"{self.prefix}{trial.number}")

    def leaves(self, trial: Any) -> None:
        self.locks.release(f"{self.prefix}{trial.number}")

    def fail_orphans(self) -> None:
        """A trial without a lease is of a process that has ended, since trials are asked for and leased in one turn."""
        from optuna.trial import TrialState

        taken = leased(self.folder)
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if f"{self.prefix}{trial.number}" not in taken:
                _fail(self.study, self.storage, trial._trial_id, trial.number)

    def opens(self) -> bool:
        return self.locks.take(f"{self.prefix}vault")

    def close(self) -> None:
        self.locks.close()


class _InDatabase:
    """Heartbeats in the database, and locks where all of its processes meet.

    Those are PostgreSQL's own, or lie beside SQLite's file. NOTE: for other servers they are those of the results
    folder, which processes that share a study there must share too.
    """

    def __init__(self, study: Any, storage: Any, url: str, results: Path) -> None:
        self.study, self.storage = study, storage
        file, server = file_of(url), storage.engine.dialect.name == "postgresql"
        file = None if file is None else file.resolve()
        folder, of = (results, "") if file is None else (file.parent, f"{file.name}: ")
        self.prefix = f"{of}{study.study_name}: "
        self.locks: _Locks = _OfPostgres(storage.engine) if server else _OfFolder(folder)
        self.alive: set[int] = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()

    def _beat(self) -> None:
        while not self.over.wait(HEARTBEAT):
            for trial_id in list(self.alive):
                with suppress(Exception):  # a server that is away for a moment is no reason to stop
                    self.storage.record_heartbeat(trial_id)
        self.storage.remove_session()  # each thread has its own

    def asking(self, stopped: Stopped = _never) -> AbstractContextManager[bool]:
        return _alone(self.locks, f"{self.prefix}turn", stopped)

    def takes(self, trial: Any) -> None:
        self.storage.record_heartbeat(trial._trial_id)
        self.alive.add(trial._trial_id)

    def leaves(self, trial: Any) -> None:
        self.alive.discard(trial._trial_id)

    def fail_orphans(self) -> None:
        from optuna.storages import fail_stale_trials

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fail_stale_trials(self.study)
        for trial_id, number in self._without_heartbeat():  # whoever asks takes before another may ask
            _fail(self.study, self.storage, trial_id, number)

    def _without_heartbeat(self) -> list[tuple[int, int]]:
        """Ids and numbers of trials in work that nobody has taken."""
        import sqlalchemy
        from optuna.storages._rdb.models import TrialHeartbeatModel, TrialModel
        from optuna.trial import TrialState

        running = sqlalchemy.select(TrialModel.trial_id, TrialModel.number).where(
            TrialModel.study_id == self.study._study_id,
            TrialModel.state == TrialState.RUNNING,
            TrialModel.trial_id.not_in(sqlalchemy.select(TrialHeartbeatModel.trial_id)),
        )
        with self.storage.engine.connect() as connection:
            return [(trial_id, number) for trial_id, number in connection.execute(running)]

    def opens(self) -> bool:
        return self.locks.take(f"{self.prefix}vault")

    def close(self) -> None:
        self.over.set()
        self.thread.join()
        self.locks.close()


def _fail(study: Any, storage: Any, trial_id: int, number: int) -> None:
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    with suppress(UpdateFinishedTrialError):  # it is over all the same
        storage.set_trial_user_attr(trial_id, "status", "orphaned")
        study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


class _Locks(Protocol):
    """Names that one process has at a time, and that are free when it dies."""

    def take(self, name: str) -> bool: ...

    def release(self, name: str) -> None: ...

    def close(self) -> None: ...


@contextmanager
def _alone(locks: _Locks, name: str, stopped: Stopped) -> Iterator[bool]:
    pause = ELBOW
    while not locks.take(name):
        if stopped():
            yield False
            return
        time.sleep(pause)
        pause = min(2 * pause, FARTHEST)
    try:
        yield True
    finally:
        locks.release(name)


class _OfFolder:
    """Leases, as sweeps take them."""

    def __init__(self, folder: Path) -> None:
        self.lease = Lease(folder)

    def take(self, name: str) -> bool:
        return bool(self.lease.take([name]))

    def release(self, name: str) -> None:
        self.lease.release([name])

    def close(self) -> None:
        self.lease.close()


class _OfPostgres:
    """Advisory locks, which end with the connection: for processes of several machines."""

    def __init__(self, engine: Any) -> None:
        self.connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def take(self, name: str) -> bool:
        return bool(self._ask("pg_try_advisory_lock", name))

    def release(self, name: str) -> None:
        self._ask("pg_advisory_unlock", name)

    def close(self) -> None:
        self.connection.invalidate()  # not back to the pool: its locks end with it
        self.connection.close()

    def _ask(self, function: str, name: str) -> Any:
        import sqlalchemy

        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        return self.connection.execute(sqlalchemy.text(f"SELECT {function}(:key)"), {"key": key}).scalar()
