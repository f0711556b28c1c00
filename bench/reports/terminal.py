"""A small chart of curves in characters, for a terminal."""

import math
from collections.abc import Mapping, Sequence

MARGIN = 6
"""Characters left of the chart, for the shares."""


def text_chart(
    steps: Sequence[int], curves: Mapping[str, Sequence[float | None]], width: int = 64, height: int = 9
) -> list[str]:
    r"""Lines of text: shares from 0 to 100 % over steps on a logarithmic axis, which step 0 is not on.

    In a column stands the last value up to its step. Where curves meet, the last one is seen.

    :param curves: values by the character that draws them.

    >>> print("\n".join(text_chart([1, 10, 100], {"o": [0.0, 0.5, 1.0]}, width=16, height=3)))
     100% |        o
      50% |    oooo
       0% |oooo
           1   10  100
    """
    known = [step for step in steps if step > 0]
    if not known:
        return []
    columns = width - MARGIN - 1
    first, last = known[0], max(known[-1], known[0] + 1)
    grid = [[" "] * columns for _ in range(height)]
    for character, values in curves.items():
        for column in range(columns):
            step = first * (last / first) ** (column / (columns - 1))
            before = [value for s, value in zip(steps, values, strict=True) if s <= step * (1 + 1e-9)]
            if before and before[-1] is not None and math.isfinite(before[-1]):
                grid[round((1 - before[-1]) * (height - 1))][column] = character
    lines = []
    for row, cells in enumerate(grid):
        share = 1 - row / (height - 1)
        name = f"{share:.0%}" if row in (0, (height - 1) / 2, height - 1) else ""
        lines.append(f"{name:>{MARGIN - 1}} |{''.join(cells)}".rstrip())
    return [*lines, _ticks(first, last, columns)]


def _ticks(first: int, last: int, columns: int) -> str:
    """The first step, powers of ten as far as there is room, and the last step."""
    ticks = [first, *(10**power for power in range(12) if first < 10**power < last), last]
    line = [" "] * (MARGIN + 1 + columns + len(f"{last:,}"))
    for tick in (first, last, *ticks[1:-1]):
        words = f"{tick:,}"
        place = MARGIN + 1 + round((columns - 1) * math.log(tick / first) / math.log(last / first))
        taken = line[max(0, place - 1) : place + len(words) + 1]
        if not "".join(taken).strip():
            line[place : place + len(words)] = words
    return "".join(line).rstrip()
