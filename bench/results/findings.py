"""What is found of one kind of files in a results folder, in words and file by file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import StoreError
from bench.results.words import few_of


@dataclass(frozen=True)
class FileFinding:
    """A file that is not as it should be, or was not.

    :param name: within the results folder.
    :param what: what is wrong with it, and what was done or can be done about it.
    """

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name} ({self.what})"


@dataclass(frozen=True)
class Finding:
    """What was found of one kind of files.

    :param check: the kind.
    :param found: how many there are, and which are not as they should be, the first few by name.
    :param ok: whether all are as they should be, after mending where that was asked for.
    :param mendable: whether mending would put something right.
    :param files: all that are not or were not as they should be.
    """

    check: str
    found: str
    ok: bool = True
    mendable: bool = False
    files: tuple[FileFinding, ...] = ()


@dataclass
class Kind:
    """The files of one kind, counted one after the other.

    :param check: what they are called.
    :param mend: whether what is wrong is put right.
    :param whole: what is said of all of them where none is wrong.
    :ivar files: how many there are.
    :ivar bad: those that are not as they should be.
    :ivar mended: those that were not.
    """

    check: str
    mend: bool = False
    whole: str = "all whole"
    files: int = 0
    bad: list[FileFinding] = field(default_factory=list)
    mended: list[FileFinding] = field(default_factory=list)
    mendable: bool = False

    def take(self, name: str, why: str, mend: Callable[[], str]) -> None:
        """Count a file that can be put right, and do that where it is asked for.

        :param mend: puts it right and says how.
        """
        if not self.mend:
            self.mendable = True
            self.leave(name, why)
            return
        try:
            self.mended.append(FileFinding(name, f"{why}; {mend()}"))
        except (OSError, StoreError) as error:
            self.leave(name, why, _short(error))

    def leave(self, name: str, why: str, remedy: str = "") -> None:
        """Count a file that is not as it should be and that nobody but the user can put right.

        :param remedy: how, or why nothing was done.
        """
        self.bad.append(FileFinding(name, "; ".join(filter(None, (why, remedy)))))

    @contextmanager
    def each(self, name: str) -> Iterator[None]:
        """A block about one file or folder, which is counted as wrong where it cannot be read."""
        try:
            yield
        except FileNotFoundError:  # it is gone meanwhile
            return
        except (OSError, StoreError) as error:
            self.leave(name, f"it cannot be read: {_short(error)}", remedy_of(error))

    def finding(self) -> Finding:
        """The count in words."""
        parts = [f"{self.files:,}" if self.files else "none"]
        parts += [f"{len(self.bad):,} not as they should be: {_few(self.bad)}"] if self.bad else []
        parts += [f"{len(self.mended):,} put right: {_few(self.mended)}"] if self.mended else []
        all_right = f"{self.files:,}, {self.whole}" if self.files and len(parts) == 1 else None
        found = all_right or "; ".join(parts)
        return Finding(self.check, found, not self.bad, self.mendable, (*self.bad, *self.mended))


def remedy_of(error: BaseException | None) -> str:
    """What the user can do about a file that cannot be read, in a few words; "" where that is not known."""
    refused = isinstance(error, PermissionError) or isinstance(getattr(error, "__cause__", None), PermissionError)
    return "chmod u+rwX gives access to it" if refused else ""


def place_of(folder: Path) -> str:
    """What is wrong with a folder of the results folder that is in truth something else; "" if nothing is."""
    if folder.is_dir() or not (folder.exists() or folder.is_symlink()):
        return ""
    return "it is a file: rename it" if folder.exists() else "it is a link that leads nowhere: rename it"


def _few(files: list[FileFinding]) -> str:
    return few_of([str(file) for file in files])


def _short(error: OSError | StoreError) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return str(said or error).removesuffix(".")
