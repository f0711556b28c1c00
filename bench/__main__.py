"""``python -m bench``."""

import sys

from bench.cli._shadows import shadow


def main() -> int:
    """Run the command line, unless a file stands in the way of what it imports."""
    if found := shadow():
        print(f"Error: {found}", file=sys.stderr)
        return 2
    from bench.cli import main

    main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
