"""The command line: click and the terminal, nothing else."""

import sys
from typing import Any

from bench.cli._shadows import shadow

__all__ = ["cli", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 all is well, 1 something failed, 2 the request was wrong, 130 interrupted."""
    if found := shadow():  # before anything is imported that may be shadowed
        print(f"Error: {found}", file=sys.stderr)
        sys.exit(2)
    from bench.cli._commands import main

    main(arguments)


def __getattr__(name: str) -> Any:
    if name == "cli":  # the group of all commands, for those who document or extend it
        from bench.cli._commands import cli

        return cli
    raise AttributeError(f"module 'bench.cli' has no attribute {name!r}")
