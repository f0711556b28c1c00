"""Storages: a journal file that processes of one machine share, or a database that several machines share."""

import re
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy

from bench.errors import RequestError
from bench.tuning.storage.journal import JOURNAL, open_journal

HEARTBEAT = 10
"""Seconds between two heartbeats of a running trial in a database."""


STALE = 6
"""Missed heartbeats after which the process of a trial counts as dead."""


PATIENCE = 10
"""Seconds to wait for a database server to answer."""


PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds to wait before another attempt to make tables that other processes are making."""


_SCHEME = re.compile(r"[\w+.-]*:?/+")


_SECRET = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token|odbc_connect)[^=&]*=)[^&]*", re.IGNORECASE)


def default_url(results: str | Path) -> str:
    """The URL of the journal in a results folder.

    >>> default_url("results")
    'journal:///results/studies.journal'
    """
    return f"{JOURNAL}{Path(results) / 'studies.journal'}"


def journal_path(url: str) -> Path | None:
    """The file of a journal; None for a database. As in SQLite's URLs, an absolute path makes four slashes.

    >>> journal_path("journal:////tmp/studies.journal"), journal_path("sqlite:///studies.db")
    (PosixPath('/tmp/studies.journal'), None)
    """
    return Path(url.removeprefix(JOURNAL)) if url.startswith(JOURNAL) else None


def file_of(url: str) -> Path | None:
    """The file of a journal or of an SQLite database; None for other databases.

    >>> file_of("sqlite:///studies.db"), file_of("postgresql://bench@host/studies")
    (PosixPath('studies.db'), None)
    """
    journal = journal_path(url)
    if journal is not None:
        return journal
    try:
        parsed = sqlalchemy.engine.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return None
    name = (parsed.database or "").removeprefix("file:")
    return Path(name) if parsed.get_backend_name() == "sqlite" and name not in ("", ":memory:") else None


def open_storage(url: str, reading: bool = False) -> Any:
    """Open a storage, or make it.

    :param url: "journal:///PATH", or a database: "postgresql+psycopg://USER@HOST/NAME", "sqlite:///PATH".
    :param reading: whether it is only read: nothing is mended in a journal.
    :raises RequestError: if it cannot be used: the URL is wrong, the server does not answer, or the folder is missing.
    """
    path = journal_path(url)
    return _database(url) if path is None else open_journal(url, path, reading)


def open_existing(url: str, reading: bool = False) -> Any:
    """Open a storage; a missing file is an error rather than an empty storage.

    :param reading: as of `open_storage`.
    :raises RequestError: as `open_storage`, and if there is no file.
    """
    path = file_of(url)
    if path is not None and not path.exists():
        raise RequestError(f"`storage` {url}: there is no file {str(path.absolute())!r}; bench tune makes one.")
    return open_storage(url, reading)


def close_storage(storage: Any) -> None:
    """Close the connections to a database; a journal has none."""
    engine = getattr(storage, "engine", None)
    if engine is not None:
        storage.remove_session()
        engine.dispose()


def _database(url: str) -> Any:
    shown = shown_url(url)
    try:
        parsed = sqlalchemy.engine.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        rule = f"{JOURNAL}PATH or a database's URL, as postgresql+psycopg://USER@HOST/NAME"
        raise RequestError(f"`storage` must be {rule}, got {shown!r}.") from error
    if "@" in (parsed.host or ""):
        raise RequestError(f"`storage` {shown}: an @ in a password is written %40.")
    backend = parsed.get_backend_name()
    patience = {} if backend == "sqlite" else {"connect_args": {"connect_timeout": PATIENCE}}

    def connect() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(
                url,
                engine_kwargs={"pool_pre_ping": True, **patience},
                heartbeat_interval=HEARTBEAT,
                grace_period=STALE * HEARTBEAT,
            )

    try:
        for pause in PAUSES:
            try:
                return connect()
            except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
                if not _is_made_by_others(error):
                    raise
                time.sleep(pause)
        return connect()
    except sqlalchemy.exc.NoSuchModuleError as error:
        raise RequestError(f"`storage` {shown}: {backend!r} is no database that is known.") from error
    except ImportError as error:
        raise RequestError(f"`storage` {shown}: its driver is missing{_remedy(backend)}.") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RequestError(f"`storage` {shown} cannot be used: {why}.") from error


def _is_made_by_others(error: Exception) -> bool:
    """Whether another process may be making the same tables in the same moment, so that another attempt may help."""
    if isinstance(error, sqlalchemy.exc.OperationalError):
        return any(words in str(error) for words in ("already exists", "database is locked", "database schema"))
    known = (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError, optuna.exceptions.StorageInternalError)
    return isinstance(error, known)


def _remedy(backend: str) -> str:
    if backend != "postgresql":
        return ""
    if find_spec("psycopg"):
        return ": write postgresql+psycopg://"
    return ": pip install 'mod97[postgres]', and write postgresql+psycopg://"


def shown_url(url: str) -> str:
    """A URL without its passwords; of a malformed URL, without anything that may be one.

    >>> shown_url("postgresql://bench:secret@host/studies?sslpassword=secret")
    'postgresql://bench:***@host/studies?sslpassword=***'
    >>> shown_url("postgresql//bench:secret@host/studies")
    'postgresql//***@host/studies'
    """
    if journal_path(url) is not None:
        return url
    try:
        shown = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        shown = _hide_secrets(url)
    return _SECRET.sub(r"\1***", re.sub(r":\*\*\*@[^?]*@", ":***@", shown))  # an @ of the password


def _hide_secrets(url: str) -> str:
    """A malformed URL without the text before its @, or, if it has none, without the text after a colon."""
    scheme = found.group() if (found := _SCHEME.match(url)) else ""
    rest = url.removeprefix(scheme)
    if "@" in rest:
        return f"{scheme}***@{rest.rpartition('@')[2]}"
    name, colon, _ = rest.partition(":")
    return f"{scheme}{name}{colon}{'***' if colon else ''}"
