"""How a search tells of itself: the best so far, the time left, what is in training."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

__all__ = ["search_display"]


@contextmanager
def search_display() -> Iterator[tuple[Callable[[str], None], Callable[[str], None] | None]]:
    """What a search tells its lines, and how far it is where stderr is a terminal: one line that is written over."""
    started = time.monotonic()
    console = Console(stderr=True)

    def stamped(text: str) -> str:
        return f"[{time.monotonic() - started:6.1f} s] {text}"

    if not sys.stderr.isatty():
        yield lambda text: print(stamped(text), file=sys.stderr, flush=True), None
        return
    with console.status("") as status:

        def say(text: str) -> None:
            console.print(stamped(text), markup=False, highlight=False, soft_wrap=True)

        yield say, lambda text: status.update(Text(text))
