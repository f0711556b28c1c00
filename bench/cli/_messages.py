"""Messages of the library as the command line prints them: with options in place of fields."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import click

from bench import tuning
from bench.errors import Notice, as_options
from bench.specs import Request

OTHERS = (
    *("device", "results", "jobs", "force", "keep_states", "save_model", "executor", "scheduler", "shard"),
    *("by", "target", "crossing", "horizon", "parameters", "blocks", "baseline", "top", "skip_broken"),
    *("older_than", "host", "port", "output", "curves", "cost", "theme", "width", "most", "band", "format"),
    *("rows", "mlflow", "tensorboard"),
)
"""What the library's messages name beside the fields of requests."""
FIELDS = frozenset([*OTHERS, *(field.name for request in (Request, tuning.Search) for field in fields(request))])


def with_options(message: str) -> str:
    """A message whose fields are written as options; words of plugins and of other libraries stay as they are.

    Every message that may be the library's is printed through here, once.

    >>> with_options("`steps` does not apply to mine: use `n_iter`.")
    '--steps does not apply to mine: use `n_iter`.'
    """
    return "\n".join(map(printable, as_options(message, FIELDS).split("\n")))


def printable(text: str) -> str:
    r"""A text of one line, all of whose letters are seen: a terminal obeys those that it does not print.

    >>> printable("a\x1b[31mb\tc")
    'a\\x1b[31mb\\tc'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


@contextmanager
def printed_notices() -> Iterator[None]:
    """A block in which each notice of the library is printed as a line, once."""
    known: set[str] = set()
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **details: Any) -> None:
        if not issubclass(category, Notice):
            others(message, category, *rest, **details)
        elif (line := with_options(str(message))) not in known:
            known.add(line)
            click.echo(f"Note: {line}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        warnings.filterwarnings("ignore", message=".*joblib will operate in serial mode")  # the library says it, too
        warnings.showwarning = show
        yield
