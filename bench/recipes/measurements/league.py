"""The league of docs/results/league.md: a row for each encoder, a column for each learner, from a results folder.

    python -m bench sweep bench/grids/league.yaml
    python -m bench.recipes.measurements.league [--results results]

A cell is the median of the final test accuracy over seeds, in percent, with the lowest and the highest run where they
differ by more than 0.1. Each learner is read at its own budget, so that encodings can be compared, but not learners.
Rows are ordered by the mean of their medians.
"""

import sys
from collections import defaultdict

from bench.errors import BenchError, RequestError
from bench.ranking import PROBES, Row, rank
from bench.recipes.measurements._study import message_of, parser_of
from bench.reports import markdown_table
from bench.results import percent

NARROW = 0.001
"""Where runs differ by less than this, their median is shown alone."""


def cell(row: Row) -> str:
    """The median with the lowest and the highest run, as "98.7 (97.9–99.0)"."""
    if row.test_accuracy is None or row.lowest is None or row.highest is None:
        return "–"
    middle, low, high = (percent(x).removesuffix("%") for x in (row.test_accuracy, row.lowest, row.highest))
    return middle if row.highest - row.lowest <= NARROW else f"{middle} ({low}–{high})"


def table(results: str) -> list[list[str]]:
    """Header and rows of the league of a results folder.

    :raises RequestError: where it holds several tasks, protocols, fractions or label noise, or nothing.
    :raises StoreError: where the folder or a record in it cannot be used.
    """
    found = rank(results=results).rows
    titles = list(dict.fromkeys(row.title for row in found))
    if len(titles) > 1:
        raise RequestError(f"A league is of one task, protocol, fraction and label noise, got {'; '.join(titles)}.")
    learners = list(dict.fromkeys(row.learner for row in found))
    rows = [row for learner in learners for row in rank(results=results, learner=learner).rows]
    cells: dict[str, dict[str, str]] = defaultdict(dict)
    medians: dict[str, list[float]] = defaultdict(list)
    budgets: dict[str, int] = {}
    for row in rows:
        encoding, _, learner = row.label.partition(" → ")
        cells[encoding] |= {PROBES[name]: _share(value) for name, value in row.probes.items()}
        if row.learner in PROBES:
            continue
        cells[encoding][learner] = cell(row)
        medians[encoding].append(row.test_accuracy or 0.0)
        budgets[learner] = max(budgets.get(learner, 0), *(row.steps or [0]))
    columns = [*PROBES.values(), *sorted(budgets, key=lambda name: (budgets[name], name))]
    order = sorted(medians, key=lambda name: -sum(medians[name]))
    header = ["encoding", *(f"{c}, {budgets[c]:,} steps" if c in budgets else c for c in columns)]
    return [header, *([name, *(cells[name].get(c, "–") for c in columns)] for name in order)]


def _share(value: float | None) -> str:
    return percent(value).removesuffix("%")


def main(arguments: list[str] | None = None) -> int:
    """Print the table as markdown."""
    options = parser_of("league", __doc__, results=("results", "folder of the sweep")).parse_args(arguments)
    try:
        header, *rows = table(options.results)
    except BenchError as error:
        print(f"Error: {message_of(error)}", file=sys.stderr)
        return error.exit_code
    print("\n".join(markdown_table(header, rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
