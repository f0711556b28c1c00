"""Messages of the library as the command line prints them: with options in place of fields."""

from dataclasses import fields

from bench import tuning
from bench.errors import as_options
from bench.specs import Request

OTHERS = (
    *("device", "results", "jobs", "force", "keep_states", "save_model"),
    *("by", "target", "crossing", "horizon", "parameters", "blocks", "baseline", "top", "skip_broken"),
    *("older_than", "host", "port", "output", "curves", "cost", "theme", "width", "most", "band", "format"),
)
"""What the library's messages name beside the fields of requests."""
FIELDS = frozenset([*OTHERS, *(field.name for request in (Request, tuning.Search) for field in fields(request))])


def with_options(message: str) -> str:
    """A message whose fields are written as options; words of plugins and of other libraries stay as they are.

    Every message that may be the library's is printed through here, once.

    >>> with_options("`steps` does not apply to mine: use `n_iter`.")
    '--steps does not apply to mine: use `n_iter`.'
    """
    return as_options(message, FIELDS)
