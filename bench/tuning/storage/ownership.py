"""Which process works on which trial. Trials of dead processes are failed, and one process at a time asks for trials.

The processes of a journal, all on one machine, lease trials as sweeps lease cells: a lease ends with its process. The
processes of a database may be on several machines, so that each running trial has a heartbeat. A trial without one was
left by a process that died before the first heartbeat.
"""

import hashlib
import math
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy

from bench.results import Lease, leased
from bench.tuning.optuna_internals import trial_id_of, without_heartbeat
from bench.tuning.storage.open import HEARTBEAT, file_of, journal_path

FIRST_PAUSE = 0.05
"""Seconds between the first two attempts to get the turn; each pause is twice as long as the one before."""
LONG = 5.0
"""Seconds after which a process says that it waits for the turn."""
LONGEST_PAUSE = 0.5
"""Seconds between two attempts at most."""


class AdvisoryLocks:
    """PostgreSQL's advisory locks, taken as a `Lease` is; they end with the connection, also of another machine."""

    def __init__(self, engine: Any) -> None:
        self.connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def take(self, names: Iterable[str]) -> set[str]:
        """Lock names; returns those that no other process has locked."""
        return {name for name in names if self._ask("pg_try_advisory_lock", name)}

    def release(self, names: Iterable[str]) -> None:
        """Unlock names."""
        for name in names:
            self._ask("pg_advisory_unlock", name)

    def close(self) -> None:
        """Unlock all names."""
        self.connection.invalidate()  # not back to the pool: its locks end with it
        self.connection.close()

    def _ask(self, function: str, name: str) -> Any:
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        return self.connection.execute(sqlalchemy.text(f"SELECT {function}(:key)"), {"key": key}).scalar()


class Owner(ABC):
    """This process, as one of several that work on a study.

    :param locks: names that one process holds at a time; they are free when it ends.
    :param prefix: how names of this study begin.
    """

    def __init__(self, study: optuna.Study, storage: Any, locks: Lease | AdvisoryLocks, prefix: str) -> None:
        self.study, self.storage, self.locks, self.prefix = study, storage, locks, prefix

    @contextmanager
    def turn(
        self, stopped: Callable[[], bool] = lambda: False, waiting: Callable[[], object] = lambda: None
    ) -> Iterator[bool]:
        """A block in which only this process asks for trials; its value is False if it was stopped while it waited.

        :param waiting: is called once, where the turn of another process takes long.
        """
        name, pause, long = f"{self.prefix}turn", FIRST_PAUSE, LONG
        while not self.locks.take([name]):
            if stopped():
                yield False
                return
            time.sleep(pause)
            long -= pause
            if long < 0:
                waiting()
                long = math.inf
            pause = min(2 * pause, LONGEST_PAUSE)
        try:
            yield True
        finally:
            self.locks.release([name])

    @abstractmethod
    def claim(self, trial: optuna.Trial) -> None:
        """Mark a trial as one that this process works on."""

    @abstractmethod
    def release(self, trial: optuna.Trial) -> None:
        """Remove the mark: the trial is over."""

    @abstractmethod
    def fail_orphans(self) -> None:
        """Fail the trials of dead processes. Call it during a turn only."""

    def claim_vault(self) -> bool:
        """Whether this process may open the vault; no other process may until this one ends."""
        return bool(self.locks.take([f"{self.prefix}vault"]))

    def close(self) -> None:
        """Release everything."""
        self.locks.close()


def owner_of(study: optuna.Study, storage: Any, url: str, results: str | Path) -> Owner:
    """This process, as an owner of trials of a study."""
    path = journal_path(url)
    return _InDatabase(study, storage, url, Path(results)) if path is None else _InJournal(study, storage, path)


class _InJournal(Owner):
    """Leases in the folder of the journal."""

    def __init__(self, study: optuna.Study, storage: Any, path: Path) -> None:
        path = path.resolve()  # a journal with two names has one lease
        self.folder = path.parent
        super().__init__(study, storage, Lease(self.folder), f"{path.name}: {study.study_name}: ")

    def claim(self, trial: optuna.Trial) -> None:
        self.locks.take([f"{self.prefix}{trial.number}"])

    def release(self, trial: optuna.Trial) -> None:
        self.locks.release([f"{self.prefix}{trial.number}"])

    def fail_orphans(self) -> None:
        """Fail running trials that no living process has leased."""
        taken = leased(self.folder)
        for trial in self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            if f"{self.prefix}{trial.number}" not in taken:
                _fail(self.study, self.storage, trial_id_of(trial), trial.number)


class _InDatabase(Owner):
    """Heartbeats in the database, and locks that all of its processes see.

    These are PostgreSQL's advisory locks, or files beside SQLite's file. NOTE: for other servers they are files in the
    results folder, which processes that share a study there must share too.
    """

    def __init__(self, study: optuna.Study, storage: Any, url: str, results: Path) -> None:
        file, server = file_of(url), storage.engine.dialect.name == "postgresql"
        file = None if file is None else file.resolve()
        folder, of = (results, "") if file is None else (file.parent, f"{file.name}: ")
        locks = AdvisoryLocks(storage.engine) if server else Lease(folder)
        super().__init__(study, storage, locks, f"{of}{study.study_name}: ")
        self.alive: set[int] = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()

    def _beat(self) -> None:
        while not self.over.wait(HEARTBEAT):
            for trial_id in list(self.alive):
                with suppress(Exception):  # the server may be away for a moment
                    self.storage.record_heartbeat(trial_id)
        self.storage.remove_session()  # each thread has its own

    def claim(self, trial: optuna.Trial) -> None:
        self.storage.record_heartbeat(trial_id_of(trial))
        self.alive.add(trial_id_of(trial))

    def release(self, trial: optuna.Trial) -> None:
        self.alive.discard(trial_id_of(trial))

    def fail_orphans(self) -> None:
        """Fail running trials whose heartbeats are missing."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optuna.storages.fail_stale_trials(self.study)
        # A process sends the first heartbeat of a trial in the turn in which it asks for the trial.
        for trial_id, number in without_heartbeat(self.study, self.storage.engine):
            _fail(self.study, self.storage, trial_id, number)

    def close(self) -> None:
        """End the heartbeats and release everything."""
        self.over.set()
        self.thread.join()
        super().close()


def _fail(study: optuna.Study, storage: Any, trial_id: int, number: int) -> None:
    with suppress(optuna.exceptions.UpdateFinishedTrialError):  # its process was alive and has ended it
        storage.set_trial_user_attr(trial_id, "status", "orphaned")
        study.tell(number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
