"""The folder of a site: new, empty, or of an earlier site, whose files are replaced and no others."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.errors import RequestError, StoreError, os_errors_as
from bench.results import new_folder, read_regular

MARK = "site.json"
"""The file that says that a folder is a site, and which files are the site's."""
FORMAT = "mod97 site"
VERSION = 1
"""Of the mark."""
BEGIN, END = ".publish-", ".tmp"
"""How the name of a folder of files begins and ends that have not got their places yet."""
IGNORED = {".git"}
"""A folder that holds nothing else is empty: of a new branch of a repository."""

_NAME = re.compile(r"\.nojekyll|[a-z0-9][a-z0-9-]*\.[a-z]+")
"""Names of files of a site, which are safe on every host."""


class SiteFolder:
    """A folder in which a site can be put.

    :ivar files: the names of the files of the site that is there.
    :raises RequestError: where it cannot: it holds other files, or cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        shown = repr(str(path))
        if not str(path) or "\0" in str(path):
            raise RequestError(f"A site must be a folder, got {shown}.")
        with os_errors_as(RequestError, f"{shown} cannot be used for a site"):
            if not self.path.absolute().parent.is_dir():
                raise RequestError(f"A site must be in a folder that exists, got {shown}.")
            self.exists = _exists(self.path)
            if self.exists and not self.path.is_dir():
                raise RequestError(f"A site must be a folder, got {shown}.")
            if not os.access(self.path if self.exists else self.path.absolute().parent, os.W_OK | os.X_OK):
                raise RequestError(f"A site cannot be written to {shown}.")
            held = {entry.name for entry in self.path.iterdir()} if self.exists else set()
            others = {name for name in held - IGNORED if not _is_staging(name)}
            if others and MARK not in others:
                raise RequestError(f"{shown} holds files and is no site: name a new or an empty folder.")
            self.files = _marked(self.path / MARK) if others else []
            if odd := next(
                (n for n in self.files if (self.path / n).is_dir() and not (self.path / n).is_symlink()), ""
            ):
                raise RequestError(
                    f"{str(self.path / odd)!r} is a folder in place of a file of the site: move it away."
                )

    @contextmanager
    def written(self) -> Iterator[Path]:
        """A block that fills a temporary folder with all files of a site, which then take the places of the old ones.

        After an error the old site is there as before. What is not the site's stays.

        :raises RequestError: where another file has the name of one of the site's.
        :raises StoreError: where something cannot be written.
        """
        if not self.exists:
            with new_folder(self.path) as made:
                yield made
                _write_mark(made, [path.name for path in made.iterdir()])
            return
        with ExitStack() as undo, os_errors_as(StoreError, f"{str(self.path)!r} cannot be written"):
            made = Path(tempfile.mkdtemp(prefix=BEGIN, suffix=END, dir=self.path))
            undo.callback(shutil.rmtree, made, ignore_errors=True)
            yield made
            self._replace(made)
            for left in (path for path in self.path.iterdir() if _is_staging(path.name)):  # by a killed process
                shutil.rmtree(left, ignore_errors=True)

    def _replace(self, made: Path) -> None:
        """Give the new files their places, the front page last, and remove old files that the site no longer has."""
        names = sorted((path.name for path in made.iterdir()), key=lambda name: (name == "index.html", name))
        taken = [
            name for name in (*names, MARK) if name not in (*self.files, MARK) and os.path.lexists(self.path / name)
        ]
        if taken:
            raise RequestError(f"{str(self.path / taken[0])!r} is not of the site, which needs the name: rename it.")
        with tempfile.TemporaryDirectory(prefix=BEGIN, suffix=END, dir=self.path) as kept, ExitStack() as undo:
            for name in (*self.files, MARK):
                if os.path.lexists(self.path / name):
                    _copy(self.path / name, Path(kept) / name)
            undo.callback(self._restore, Path(kept), names)
            _write_mark(made, names, also=self.files)  # after a kill, the next site finds what is of which one
            (made / MARK).replace(self.path / MARK)
            final = _write_mark(made, names)
            for name in names:
                (made / name).replace(self.path / name)
            final.replace(self.path / MARK)
            undo.pop_all()
        for name in set(self.files) - set(names):
            with suppress(FileNotFoundError):
                (self.path / name).unlink()

    def _restore(self, kept: Path, names: list[str]) -> None:
        """Put the old files back."""
        for name in (*names, MARK):
            with suppress(OSError):
                if os.path.lexists(kept / name):
                    (kept / name).replace(self.path / name)
                else:
                    (self.path / name).unlink()


def _exists(path: Path) -> bool:
    """Whether there is anything of a name, which may be too long."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _is_staging(name: str) -> bool:
    return name.startswith(BEGIN) and name.endswith(END)


def _copy(path: Path, to: Path) -> None:
    """The same file under another name, or a copy where the file system has no links."""
    try:
        os.link(path, to, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, to, follow_symlinks=False)


def _marked(path: Path) -> list[str]:
    """The names of the files that a mark lists.

    :raises RequestError: where it is no mark, or of a later version.
    """
    problem = f"{str(path)!r} is damaged, which says what is of the site"
    try:
        mark: Any = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{problem} ({error}): name a new or an empty folder.") from error
    version = mark.get("version") if isinstance(mark, Mapping) and mark.get("format") == FORMAT else None
    if type(version) is int and version > VERSION:
        raise RequestError(f"{str(path)!r} was written by a newer version of mod97 (its version is {version}).")
    files = mark.get("files") if version == VERSION else None
    if not isinstance(files, Mapping) or not all(_NAME.fullmatch(name) and name != MARK for name in files):
        raise RequestError(f"{problem}: name a new or an empty folder.")
    return sorted(files)


def _write_mark(folder: Path, names: list[str], also: list[str] | None = None) -> Path:
    """Write the mark of the files of a folder.

    :param also: names of the files of an earlier site.
    """
    files: dict[str, Any] = dict.fromkeys(also or [])
    files |= {name: described(folder / name) for name in names}
    document = {"format": FORMAT, "version": VERSION, "files": dict(sorted(files.items()))}
    path = folder / MARK
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return path


def described(path: Path) -> dict[str, Any]:
    """The size and the digest of a file, as in the mark."""
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
