"""What the command line says of an exception that is no message to its user: whose it is, and what would help.

A bug of ours is told as one, with its traceback in a file. What the system refuses, what a library lacks and what the
plugin of another package does wrong are no bugs of ours, and are told in one line each.
"""

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

from bench.cli._shadows import INSTALLED

OURS = ("bench", "encoders", "learners")
LONGEST = 300
"""Letters of an error's own message that are printed; the traceback has all of it."""
DATABASES = ("sqlalchemy", "sqlite3", "psycopg")
"""Packages whose errors come from a database, as does what Optuna calls an internal error of a storage."""
REMEDIES = {
    errno.EMFILE: "`ulimit -n` raises the limit of this shell",
    errno.ENFILE: "the whole system has too many open",
    errno.ENOSPC: "what was stored before is kept; with more room, the same command goes on",
    errno.EDQUOT: "what was stored before is kept; with more room, the same command goes on",
}


def described(error: Exception, keep_traceback: bool = True) -> str:
    """The message about an exception that the command line did not expect, in one line.

    :param keep_traceback: whether the traceback of a bug is kept in a file, which the message names.
    """
    lacks = isinstance(error, OSError) and error.errno in REMEDIES
    if (isinstance(error, MemoryError) or lacks or _is_lack_of_memory(error)) and (said := _of_system(error)):
        return said
    if users := _file_of_user(error):
        return users
    if whose := _plugin(error):
        return f"{whose} fails with {_words(error)}. That is a fault of the plugin: its authors can mend it."
    return _of_system(error) or _of_library(error) or _bug(error, keep_traceback)


def _file_of_user(error: Exception) -> str | None:
    """The message about a file that is no Python and was imported in place of a module, or None."""
    if not isinstance(error, SyntaxError) or not error.filename:
        return None
    file = error.filename
    if not os.path.exists(file) or os.path.basename(os.path.dirname(file)) in OURS or _is_installed(file):
        return None
    return f"{file!r} is no Python ({_shortened(str(error.msg))}), and is imported in place of a module: rename it."


def _is_installed(file: str) -> bool:
    return any(f"{os.sep}{folder}{os.sep}" in file for folder in INSTALLED)


def _of_system(error: Exception) -> str | None:
    """The message about what the system refuses, or None."""
    if isinstance(error, MemoryError) or _is_lack_of_memory(error):
        amount = f": {_shortened(str(error))}" if str(error) else ""
        return (
            f"There is not enough memory{amount.rstrip('.')}. A smaller modulus, encoder, learner or --jobs needs less."
        )
    if isinstance(error, OSError):
        reason, name = error.strerror or str(error) or type(error).__name__, error.filename
        reason = _shortened(reason).rstrip(".")
        remedy = f" ({REMEDIES[error.errno]})" if error.errno in REMEDIES else ""
        path = None if name is None or isinstance(name, int) else os.fsdecode(name)
        return f"The system refuses: {reason}{remedy}." if path is None else f"{path!r}: {reason}{remedy}."
    return None


def _is_lack_of_memory(error: Exception) -> bool:
    """Whether PyTorch, which raises RuntimeError, or the system lacked memory."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    )


def _of_library(error: Exception) -> str | None:
    """The message about what another library lacks or complains of, or None."""
    root = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ImportError) and root not in OURS:
        named = f"The package {root!r}" if root else "A library"
        return (
            f"{named} cannot be imported: {_shortened(str(error)).rstrip('.')}. python -m bench doctor looks further."
        )
    if isinstance(error, Warning):
        source = next(reversed([name for name in _packages(error.__traceback__) if name not in OURS]), "a library")
        return f"{source} warns, which PYTHONWARNINGS or -W makes an error: {_words(error)}."
    module = type(error).__module__
    if module.partition(".")[0] in DATABASES or type(error).__name__ == "StorageInternalError":
        cause = getattr(error, "orig", None) or error.__cause__ or error
        return f"The storage of studies fails: {_shortened(str(cause)).rstrip('.')}."
    return None


def _plugin(error: Exception) -> str | None:
    """The plugin of another package in which an exception arose, with its distribution, or None."""
    registry = sys.modules.get("bench.specs.registry")
    if registry is None:
        return None
    modules = list(_modules(error.__traceback__))
    with suppress(Exception):  # where listing plugins is what failed
        for kind in registry.KINDS:
            for listing in registry.listings(kind).values():
                module = listing.target.partition(":")[0]
                if listing.registered and any(name == module or name.startswith(f"{module}.") for name in modules):
                    return f"The {kind} {listing.name!r} {listing.summary}"  # "from DISTRIBUTION"
    return None


def _modules(found: TracebackType | None) -> Iterator[str]:
    """The modules of a traceback's frames, the innermost last."""
    for frame, _ in traceback.walk_tb(found):
        yield str(frame.f_globals.get("__name__", ""))


def _packages(found: TracebackType | None) -> Iterator[str]:
    return (name.partition(".")[0] for name in _modules(found))


def _bug(error: Exception, keep_traceback: bool) -> str:
    file = _kept(error) if keep_traceback else None
    where = "" if file is None else f" and the traceback in {file!r}"
    return (
        f"{_words(error)}. This is a bug in mod97: please report it with the output of `python -m bench doctor`{where}."
    )


def _kept(error: Exception) -> str | None:
    """The name of a new file of the user's own with the traceback; None where none can be written."""
    with suppress(OSError, ImportError):
        import tempfile

        descriptor, name = tempfile.mkstemp(prefix="mod97-traceback-", suffix=".txt")  # with mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.writelines(traceback.format_exception(error))
        return name
    return None


def _words(error: Exception) -> str:
    """Its type and its message."""
    message = _shortened(str(error)).rstrip(".")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
