"""The command line: click and the terminal, nothing else."""

import sys

from bench.cli._shadows import shadow

TYPE_CHECKING = False  # as `typing` has it, in whose place a file of the user may stand
if TYPE_CHECKING:
    from typing import Any

__all__ = ["cli", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 all is well, 1 something failed, 2 the request was wrong, 130 interrupted."""
    if found := shadow():  # before anything is imported that may be shadowed
        print(f"Error: {found}", file=sys.stderr)
        sys.exit(2)
    from bench.cli._commands import main

    main(arguments)


def __getattr__(name: str) -> "Any":
    if name == "cli":  # the group of all commands, for those who document or extend it
        from bench.cli._commands import cli

        return cli
    raise AttributeError(f"module 'bench.cli' has no attribute {name!r}")
