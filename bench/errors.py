"""Errors that a user can correct: each has a message of one line and an exit code."""

import re
import shlex
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = [
    "BenchError",
    "DamagedError",
    "FolderError",
    "Notice",
    "RequestError",
    "StoreError",
    "as_options",
    "doctor_command",
    "notify",
    "one_of",
    "optional_package",
    "os_errors_as",
]

FLAGS = {"at_once": "--round", "settings": "--set"}
"""Options that are not named as their fields."""


class BenchError(Exception):
    """An error whose message is printed without a traceback."""

    exit_code = 1


class RequestError(BenchError, ValueError):
    """The request is wrong; nothing ran."""

    exit_code = 2


class StoreError(BenchError):
    """The results folder or a record in it cannot be used.

    :ivar records: records that were computed and could not be stored.
    :ivar minor: whether the record itself is stored.
    """

    def __init__(self, message: str, records: Sequence[Mapping[str, Any]] = (), minor: bool = False) -> None:
        super().__init__(message)
        self.records: Sequence[Mapping[str, Any]] = list(records)
        self.minor = minor


class FolderError(StoreError, RequestError):
    """The results folder of the request does not exist, or cannot be read or written to."""

    exit_code = 2


class DamagedError(StoreError):
    """A file that can be read is not what was written: cut, empty, of another shape, a folder, a dangling link.

    :param what: what it is, as "record".
    :param remedy: a sentence; by default the command that sets the file aside.
    :ivar path: the file.
    :ivar aside: what it was renamed to, once it was.
    :ivar why: what is wrong with it, as "it is empty".
    """

    def __init__(self, what: str, path: Path, why: str, remedy: str | None = None) -> None:
        remedy = f"{doctor_command(path.parent)} sets it aside." if remedy is None else remedy
        super().__init__(f"The {what} {str(path)!r} is damaged: {why}. {remedy}".rstrip())
        self.path, self.why = path, why
        self.aside: Path | None = None


class Notice(UserWarning):
    """What a user should know, though the work goes on, as of a damaged record that was set aside."""


def notify(message: str) -> None:
    """Tell the user a notice: Python as a warning, the command line as a note."""
    warnings.warn(message, Notice, stacklevel=3)


def doctor_command(folder: str | Path) -> str:
    """The command that checks a results folder and puts right what it can.

    >>> doctor_command("my results")
    "python -m bench doctor --results 'my results' --mend"
    """
    return f"python -m bench doctor --results {shell_words(folder)} --mend"


def shell_words(*words: str | Path) -> str:
    r"""Words as a shell reads them, on one line: what cannot be printed is written as numbers of bytes.

    >>> print(shell_words("rank", "--results", "my results", "it's\n"))
    rank --results 'my results' $'it\'s\x0a'
    """
    return " ".join(_shell_word(str(word)) for word in words)


def _shell_word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_shell_letter, word))}'"


def _shell_letter(letter: str) -> str:
    if letter.isprintable():
        return f"\\{letter}" if letter in "'\\" else letter
    of_a_name = "\udc80" <= letter <= "\udcff"  # a byte of a file's name that is no UTF-8
    data = letter.encode("utf-8", "surrogateescape" if of_a_name else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in data)


@contextmanager
def os_errors_as(kind: type[BenchError], what: str) -> Iterator[None]:
    """A block whose OSError becomes an error of another kind.

    :param what: the beginning of its message, which the system's reason follows: "'results' cannot be used".
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror}.") from error


def optional_package(name: str, extra: str, what: str, kind: type[BenchError] = RequestError) -> Any:
    """A module of a package that not every installation has.

    :param name: the module, of which the first part names the package.
    :param extra: the extra of mod97 that brings it.
    :param what: what needs it, as in "The dashboard".
    :param kind: the error that is raised where it is missing.
    """
    try:
        return _with_modules(import_module(name))
    except ImportError as error:
        package = name.partition(".")[0].replace("_", "-")
        raise kind(f"{what} needs {package}: pip install 'mod97[{extra}]' ({error}).") from error


def _with_modules(package: Any) -> Any:
    """A package that was imported; Python takes any folder of its name for one, without modules."""
    if getattr(package.__spec__, "origin", None) is None:
        raise ImportError(f"{package.__name__!r} is a folder of data")
    return package


def one_of(kind: str, name: str, known: Iterable[str]) -> str:
    """The message about an unknown name, with similar known names or, if there are none, all of them."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=3, cutoff=0.6)
    if near:
        return f"Unknown {kind} {name!r}: did you mean {' or '.join(repr(n) for n in near)}?"
    return f"Unknown {kind} {name!r}: it must be one of {', '.join(names) or 'none'}."


def as_options(text: str, fields: Collection[str]) -> str:
    """A message whose fields, which the library writes in backticks, are written as options of the command line.

    :param fields: their names. Other words in backticks stay as they are: a plugin may have written them.

    >>> as_options("`train_fraction` must be in (0, 1), got 30.", {"train_fraction"})
    '--train-fraction must be in (0, 1), got 30.'
    """
    options = {name: FLAGS.get(name, f"--{name.replace('_', '-')}") for name in fields}
    return re.sub(r"(?<!`)`(\w+)`(?!`)", lambda found: options.get(found[1], found[0]), text)
