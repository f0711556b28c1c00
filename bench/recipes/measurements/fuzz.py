"""Random command lines and grids, valid and not: whether each ends as documented, without a traceback.

They run in this process and in a temporary folder. Cells are not trained: an executor makes their records up.
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bench.recipes.measurements._requests import command_lines, grids
from bench.recipes.measurements._study import parser_of, tell
from bench.recipes.measurements._workplace import Ended, Workplace, faults, workplace

GIBIBYTES = 16
"""Address space of the measurement: a value that asks for more is an error rather than the end of the machine."""


def fuzz(
    examples: int, check: Callable[[list[str], bytes | None], None], number: int = 0, ids: Sequence[str] = ()
) -> None:
    """Check so many examples, of which one in five is a grid for `sweep`.

    :param check: receives a command line, and the text of its grid where it has one.
    """
    shared = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    of_grids = st.tuples(
        st.sampled_from([["sweep", "grid.yaml", "--dry-run"], ["sweep", "grid.yaml", "--json", "--quiet"]]), grids()
    )
    either = st.integers(0, 4).flatmap(lambda n: of_grids if n == 0 else st.tuples(command_lines(ids), st.none()))

    @seed(number)
    @shared
    @given(either)
    def each(example: tuple[list[str], bytes | None]) -> None:
        check(*example)

    each()


def checked(place: Workplace, arguments: Sequence[str], grid: bytes | None) -> tuple[Ended, list[str]]:
    """Run an example; how it ended, and what is wrong about that."""
    ended = place.ended(arguments, {} if grid is None else {"grid.yaml": grid})
    return ended, list(faults(arguments, ended))


def main(arguments: Sequence[str] | None = None) -> None:
    """Try many examples, and print those that are not as documented."""
    options = parser_of("fuzz", __doc__, examples=(10_000, "how many"), seed=(0, "of the examples")).parse_args(
        arguments
    )
    resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTES * 2**30, resource.getrlimit(resource.RLIMIT_AS)[1]))
    counts: Counter[str] = Counter()
    wrong: list[Mapping[str, Any]] = []
    slowest: tuple[float, list[str]] = (0.0, [])
    start = time.monotonic()
    with workplace() as place:

        def check(line: list[str], grid: bytes | None) -> None:
            nonlocal slowest
            began = time.monotonic()
            ended, found = checked(place, line, grid)
            slowest = max(slowest, (time.monotonic() - began, line))
            counts[f"exit code {ended.code}"] += 1
            if found:
                wrong.append(
                    {"faults": found, "arguments": line, "grid": grid and repr(grid), "error": ended.err[-600:]}
                )
                tell(f"{'; '.join(found)}: {line} {grid!r}\n  {ended.err[-600:].strip()}")

        fuzz(options.examples, check, options.seed, place.ids)
    seconds = round(time.monotonic() - start)
    print(json.dumps({**counts, "faults": len(wrong), "seconds": seconds, "slowest": slowest}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
