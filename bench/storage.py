"""Where studies lie: a journal file that processes of one machine share, or a database that machines share."""

import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.errors import RequestError

__all__ = ["HEARTBEAT", "JOURNAL", "close_storage", "default_url", "journal_path", "open_storage", "shown_url"]

JOURNAL = "journal:///"
HEARTBEAT = 10
"""Seconds between two signs of life of a trial in a database."""
STALE = 6
"""So many heartbeats are missed before a trial counts as left by a dead process."""
PATIENCE = 10
"""Seconds to wait for a database server to answer."""


def default_url(results: str | Path) -> str:
    """The journal beside the records of a results folder.

    >>> default_url("results")
    'journal:///results/studies.journal'
    """
    return f"{JOURNAL}{Path(results) / 'studies.journal'}"


def journal_path(url: str) -> Path | None:
    """The file of a journal; None for a database. As in sqlite's URLs, an absolute path makes four slashes.

    >>> journal_path("journal:////tmp/studies.journal"), journal_path("sqlite:///studies.db")
    (PosixPath('/tmp/studies.journal'), None)
    """
    return Path(url.removeprefix(JOURNAL)) if url.startswith(JOURNAL) else None


def open_storage(url: str) -> Any:
    """An Optuna storage.

    :param url: "journal:///PATH", or a database: "postgresql+psycopg://USER@HOST/NAME", "sqlite:///PATH".
    :raises RequestError: where it cannot be used: a bad URL, a server that does not answer, a folder without a place.
    """
    path = journal_path(url)
    return _database(url) if path is None else _journal(url, path)


def close_storage(storage: Any) -> None:
    """Leave a storage: the connections of a database end."""
    engine = getattr(storage, "engine", None)
    if engine is not None:
        storage.remove_session()
        engine.dispose()


def _journal(url: str, path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if not url.removeprefix(JOURNAL) or path.is_dir():
        raise RequestError(f"--storage {JOURNAL}PATH must name a file, got {url!r}.")
    try:
        with path.open("ab"):
            pass
        return JournalStorage(JournalFileBackend(str(path)))
    except OSError as error:
        raise RequestError(f"--storage {url}: {str(path.absolute())!r} cannot be used: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:  # what its lines say is no journal
        raise RequestError(f"--storage {url}: {str(path.absolute())!r} is no journal of Optuna's.") from error


def _database(url: str) -> Any:
    import sqlalchemy
    from optuna.exceptions import ExperimentalWarning, StorageInternalError
    from optuna.storages import RDBStorage

    shown = shown_url(url)
    try:
        backend = sqlalchemy.engine.make_url(url).get_backend_name()
    except sqlalchemy.exc.ArgumentError as error:
        rule = f"{JOURNAL}PATH or a database's URL, as postgresql+psycopg://USER@HOST/NAME"
        raise RequestError(f"--storage must be {rule}, got {shown!r}.") from error
    patience = {} if backend == "sqlite" else {"connect_args": {"connect_timeout": PATIENCE}}

    def connect() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return RDBStorage(
                url,
                engine_kwargs={"pool_pre_ping": True, **patience},
                heartbeat_interval=HEARTBEAT,
                grace_period=STALE * HEARTBEAT,
            )

    try:
        try:
            return connect()
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError, StorageInternalError):
            time.sleep(1.0)  # another process made the same tables in the same moment
            return connect()
    except sqlalchemy.exc.NoSuchModuleError as error:
        raise RequestError(f"--storage {shown}: {backend!r} is no database that is known.") from error
    except ImportError as error:
        raise RequestError(f"--storage {shown}: its driver is missing{_remedy(backend)}.") from error
    except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RequestError(f"--storage {shown} cannot be used: {why}.") from error


def _remedy(backend: str) -> str:
    if backend != "postgresql":
        return ""
    if find_spec("psycopg"):
        return ": write postgresql+psycopg://"
    return ": pip install 'mod97[postgres]', and write postgresql+psycopg://"


def shown_url(url: str) -> str:
    """A URL without its password."""
    import sqlalchemy

    if journal_path(url) is not None:
        return url

    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url
