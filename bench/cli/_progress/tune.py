"""Progress of a search on stderr: lines, and a status line on a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from bench.cli._messages import with_options


@contextmanager
def search_display() -> Iterator[tuple[Callable[[str], None], Callable[[str], None] | None]]:
    """Two functions: one prints a line, the other updates the status line (None if stderr is not a terminal)."""
    started = time.monotonic()
    console = Console(stderr=True)

    def stamped(text: str) -> str:
        message = text if "\n" in text else with_options(text)  # a traceback is printed as it is
        return f"[{time.monotonic() - started:6.1f} s] {message}"

    if not sys.stderr.isatty():
        yield lambda text: print(stamped(text), file=sys.stderr, flush=True), None
        return
    with console.status("") as status:

        def write(text: str) -> None:
            console.print(stamped(text), markup=False, highlight=False, soft_wrap=True)

        yield write, lambda text: status.update(Text(text))
