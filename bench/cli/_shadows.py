"""Files of the user that Python imports in place of packages that mod97 needs: it looks into the working folder first.

This module is imported before all others, and imports nothing that a file could stand in for already.
"""

import os
import sys
from importlib.machinery import PathFinder

OURS = frozenset({"encoders", "learners"})
OTHERS = frozenset(
    {
        *("PIL", "bottleneck", "cloudpickle", "contourpy", "cycler", "dateutil", "fontTools", "kiwisolver", "narwhals"),
        *("numexpr", "psutil", "pyparsing", "pytz", "six", "tzdata"),
        *(
            "dask",
            "distributed",
            "importlib_metadata",
            "locket",
            "msgpack",
            "partd",
            "tblib",
            "toolz",
            "tornado",
            "zict",
        ),
        *("alembic", "click", "cmaes", "colorlog", "filelock", "fsspec", "greenlet", "jinja2", "joblib", "lazy_loader"),
        *("loky", "mako", "markupsafe", "matplotlib", "mpmath", "networkx", "numpy", "optuna", "optuna_dashboard"),
        *("packaging", "pandas", "plotly", "psycopg", "pyarrow", "rich", "scipy", "sklearn", "sqlalchemy", "sympy"),
        *("threadpoolctl", "torch", "tqdm", "triton", "typing_extensions", "yaml"),
    }
)
"""Packages of others that mod97 imports, and those that these import."""
NEVER_IMPORTED = frozenset(
    {
        *("aifc", "antigravity", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "curses", "dbm"),
        *("distutils", "ensurepip", "getopt", "idlelib", "imaplib", "imghdr", "imp", "lib2to3", "mailbox", "mailcap"),
        *("msilib", "nis", "nntplib", "ossaudiodev", "pipes", "poplib", "sched", "shelve", "smtpd", "sndhdr", "spwd"),
        *("sunau", "syslog", "tabnanny", "telnetlib", "this", "tkinter", "trace", "turtle", "turtledemo", "uu", "venv"),
        *("wave", "winsound", "xdrlib", "zipapp"),
    }
)
"""Modules of the standard library that none of these packages imports, so that a file of this name harms nothing."""
PARENT = os.path.dirname
HOME = os.path.realpath(PARENT(PARENT(PARENT(os.path.abspath(__file__)))))
"""The folder that `bench` lies in, and with it `encoders` and `learners`."""
STANDARD = os.path.realpath(PARENT(os.__file__))
"""The folder of the standard library."""
INSTALLED = ("site-packages", "dist-packages", "lib-dynload")


def shadow() -> str | None:
    """An error message if a file would be imported in place of a package that mod97 needs, else None.

    Nothing is imported. Only what Python would find counts: a file that comes after the installed package on the path
    stands in nobody's way, nor does a folder of data, without an ``__init__.py``.
    """
    for number, entry in enumerate(sys.path):
        folder = os.path.realpath(entry)  # of "" the working folder
        if folder != STANDARD and os.path.basename(folder) not in INSTALLED:
            for name in _known_names(folder):
                if found := _imported_from(folder, name, sys.path[number + 1 :]):
                    return (
                        f"{found!r} stands in the way of the {_kind(name)} {name!r}, which mod97 needs: rename it, or "
                        "run mod97 from another folder."
                    )
    return None


def _known_names(folder: str) -> list[str]:
    """The packages that mod97 needs of which a folder may have a file; none where packages are installed in it."""
    try:
        entries = os.listdir(folder)
    except OSError:  # a zip archive, or nothing
        return []
    if any(entry.endswith(".dist-info") for entry in entries):
        return []
    needed = OURS | OTHERS | (sys.stdlib_module_names - NEVER_IMPORTED)
    return sorted(needed.intersection(entry.partition(".")[0] for entry in entries))


def _imported_from(folder: str, name: str, later: list[str]) -> str | None:
    """The file or folder from which a package is imported, if that is one of this folder and not the package itself.

    :param later: where Python would look next.
    """
    loaded = sys.modules.get(name)
    spec = PathFinder.find_spec(name) if loaded is None else getattr(loaded, "__spec__", None)
    if name in sys.builtin_module_names or spec is None or not spec.has_location:
        return None
    found = str(spec.origin)
    found = PARENT(found) if os.path.basename(found).partition(".")[0] == "__init__" else found
    if os.path.realpath(PARENT(found)) != folder or (name in OURS and folder == HOME):
        return None
    only_one = name in OTHERS and folder != os.path.realpath("") and PathFinder.find_spec(name, later) is None
    return None if only_one else os.path.join(folder, os.path.basename(found))


def _kind(name: str) -> str:
    return "package" if name in OURS | OTHERS else "module"
