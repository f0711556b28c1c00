"""The folder in which compiled programs are kept: the first one that can be used, since a cache never ends a run."""

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "MOD97_CACHE_DIR"
"""The environment variable that names the folder."""

NOWHERE: Final = Path(os.devnull)
"""The folder where none can be used: compiling fails there, once and with a notice."""

TEMPORARY: Final = ("/tmp", "/var/tmp")
"""Places of temporary folders where the system's choice cannot be used."""

_PLAIN = re.compile(r"[\w./+@,~-]+", re.ASCII)
"""Paths that compilers understand: PyTorch passes them to a C++ compiler as part of a command line."""


def keep_programs() -> None:
    """Tell PyTorch where compiled programs are kept, unless ``TORCHINDUCTOR_CACHE_DIR`` says so and can be used.

    Call it before anything is traced: tracing imports parts of PyTorch that otherwise choose a folder by the name of
    the user, who has none in some containers.
    """
    given = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    if given is None or not usable(Path(given).absolute()):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(next(filter(usable, _wanted()), NOWHERE) / "programs")


def usable(folder: Path) -> bool:
    """Whether files can be written to a folder, which is made, and loaded from there as programs."""
    if not _PLAIN.fullmatch(str(folder)):
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
        return not (hasattr(os, "statvfs") and os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))
    except OSError:
        return False


def _wanted() -> Iterator[Path]:
    """Folders in the order in which they are tried: of this package's variable, of the user's caches, and temporary."""
    with suppress(RuntimeError):  # no home
        if own := os.environ.get(VARIABLE):
            yield Path(own).expanduser().absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():
        yield base / "mod97"
    with suppress(RuntimeError):
        if (home := Path.home()).is_absolute():
            yield home / ".cache" / "mod97"
    for place in (None, *TEMPORARY):
        with suppress(OSError):
            yield _private(Path(tempfile.gettempdir() if place is None else place))


def _private(place: Path) -> Path:
    """A folder of this user alone, since what is in it is run.

    :raises OSError: where it cannot be made, or another user may write to it.
    """
    folder = place / f"mod97-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    if not (ours and stat.S_ISDIR(found.st_mode)):
        raise PermissionError(f"{folder} is not private.")
    return folder
