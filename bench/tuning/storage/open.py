"""Where studies lie: a journal file that processes of one machine share, or a database that machines share."""

import re
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.errors import RequestError
from bench.tuning.storage.journal import JOURNAL, open_journal

__all__ = ["HEARTBEAT", "close_storage", "default_url", "file_of", "journal_path", "open_storage", "shown_url"]


HEARTBEAT = 10
"""Seconds between two signs of life of a trial in a database."""


STALE = 6
"""So many heartbeats are missed before a trial counts as left by a dead process."""


PATIENCE = 10
"""Seconds to wait for a database server to answer."""


_SCHEME = re.compile(r"[\w+.-]*:?/+")


_SECRET = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token|odbc_connect)[^=&]*=)[^&]*", re.IGNORECASE)


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


def file_of(url: str) -> Path | None:
    """The file of a journal or of an SQLite database; None for what lies elsewhere.

    >>> file_of("sqlite:///studies.db"), file_of("postgresql://bench@host/studies")
    (PosixPath('studies.db'), None)
    """
    import sqlalchemy

    journal = journal_path(url)
    if journal is not None:
        return journal
    try:
        parsed = sqlalchemy.engine.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return None
    name = (parsed.database or "").removeprefix("file:")
    return Path(name) if parsed.get_backend_name() == "sqlite" and name not in ("", ":memory:") else None


def open_storage(url: str) -> Any:
    """An Optuna storage.

    :param url: "journal:///PATH", or a database: "postgresql+psycopg://USER@HOST/NAME", "sqlite:///PATH".
    :raises RequestError: where it cannot be used: a bad URL, a server that does not answer, a folder without a place.
    """
    path = journal_path(url)
    return _database(url) if path is None else open_journal(url, path)


def close_storage(storage: Any) -> None:
    """Leave a storage: the connections of a database end."""
    engine = getattr(storage, "engine", None)
    if engine is not None:
        storage.remove_session()
        engine.dispose()


def _database(url: str) -> Any:
    import sqlalchemy
    from optuna.exceptions import ExperimentalWarning, StorageInternalError
    from optuna.storages import RDBStorage

    shown = shown_url(url)
    try:
        parsed = sqlalchemy.engine.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        rule = f"{JOURNAL}PATH or a database's URL, as postgresql+psycopg://USER@HOST/NAME"
        raise RequestError(f"--storage must be {rule}, got {shown!r}.") from error
    if "@" in (parsed.host or ""):
        raise RequestError(f"--storage {shown}: an @ in a password is written %40.")
    backend = parsed.get_backend_name()
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
    """A URL without its passwords; without whatever may be one where it is malformed.

    >>> shown_url("postgresql://bench:secret@host/studies?sslpassword=secret")
    'postgresql://bench:***@host/studies?sslpassword=***'
    >>> shown_url("postgresql//bench:secret@host/studies")
    'postgresql//***@host/studies'
    """
    import sqlalchemy

    if journal_path(url) is not None:
        return url
    try:
        shown = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        shown = _veiled(url)
    return _SECRET.sub(r"\1***", re.sub(r":\*\*\*@[^?]*@", ":***@", shown))  # an @ of the password


def _veiled(url: str) -> str:
    """A malformed URL without all that stands before an @, and without what follows a colon where there is none."""
    scheme = found.group() if (found := _SCHEME.match(url)) else ""
    rest = url.removeprefix(scheme)
    if "@" in rest:
        return f"{scheme}***@{rest.rpartition('@')[2]}"
    name, colon, _ = rest.partition(":")
    return f"{scheme}{name}{colon}{'***' if colon else ''}"
