"""Median test accuracy of each encoder with each learner."""

from collections.abc import Sequence
from typing import NamedTuple

from bench.errors import RequestError
from bench.ranking import Ranking, Row, statistics
from bench.reports.figures._elements import Figure, axis, figure
from bench.reports.figures._groups import Group, check_one_block, groups_of, n_of, read
from bench.reports.figures._layout import TEXT, text_width
from bench.reports.figures._text import escaped, named_ticks
from bench.results import many, percent

KIND = "heatmap"
ONE_BLOCK = True
SCALE = [[0.0, "#f4f8fb"], [0.25, "#c6dbef"], [0.5, "#7fb3d5"], [0.75, "#2f7fb8"], [1.0, "#08306b"]]
"""From light to dark in one hue: the order is the same in grey print and for colour-blind readers."""
CELL = 34
"""Pixels of the height of a cell."""
MOST_SIDE = 40
"""Rows or columns that can still be read."""


class Cell(NamedTuple):
    """The best configuration of an encoder and a learner, and how many there are."""

    accuracy: float
    n: int
    label: str
    configurations: int


def draw(ranking: Ranking) -> Figure:
    """A cell for each encoder and learner, with the median test accuracy in percent over seeds.

    Of several configurations the one of the best median counts.

    :raises RequestError: where no run has a test accuracy, or the picture would have more than 40 rows or columns.
    """
    check_one_block(ranking, "A heat map")
    groups = groups_of(ranking, most=len(ranking.rows))
    cells = cells_of(groups.members, ranking)
    if not cells:
        raise RequestError("No run that could be drawn has a test accuracy.")
    encoders, learners = (_best_first(cells, side) for side in (0, 1))
    for side, names in (("encoders", encoders), ("learners", learners)):
        if len(names) > MOST_SIDE:
            raise RequestError(f"A heat map of {len(names)} {side} cannot be read: filters make it smaller.")
    table = [[cells.get((encoder, learner)) for learner in learners] for encoder in encoders]
    trace = {
        "type": "heatmap",
        "x": list(range(len(learners))),
        "y": list(range(len(encoders))),
        "z": [[None if cell is None else round(cell.accuracy, 5) for cell in row] for row in table],
        "text": [["" if cell is None else percent(cell.accuracy).removesuffix("%") for cell in row] for row in table],
        "hovertext": [[_hover(cell) for cell in row] for row in table],
        "hoverinfo": "text",
        "texttemplate": "%{text}",
        "colorscale": SCALE,
        "zmin": 0.0,
        "zmax": 1.0,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }
    plain_axis = {"showgrid": False, "showline": False, "ticklen": 6, "tickcolor": "rgba(0, 0, 0, 0)"}
    layout = {
        "xaxis": axis("learner", **named_ticks(learners), **plain_axis),
        "yaxis": axis("encoder", **named_ticks(encoders), **plain_axis, autorange="reversed"),
    }
    title = f"Test accuracy in percent: {groups.title}"
    drawn = figure(
        title, [*_caption(cells, len(groups.members)), *groups.notes], [trace], CELL * len(encoders), **layout
    )
    drawn["layout"]["meta"]["left"] = round(max(text_width(name, TEXT) for name in encoders) + 56)
    return drawn


def cells_of(groups: Sequence[Group], ranking: Ranking) -> dict[tuple[str, str], Cell]:
    """The cell of each encoder, with its combination, and learner that has a test accuracy."""
    cells: dict[tuple[str, str], Cell] = {}
    for group in groups:
        observed = read(group.runs, ranking.question, "accuracy")
        if not observed:
            continue
        key = code_of(group.row), group.row.learner
        cell = Cell(statistics.median([one.accuracy for one in observed]), len(observed), group.label, 1)
        before = cells.get(key)
        if before is None:
            cells[key] = cell
        else:
            better = max(before, cell, key=lambda one: one.accuracy)
            cells[key] = better._replace(configurations=before.configurations + 1)
    return cells


def code_of(row: Row) -> str:
    """The encoder with what is done with its codes, as "cycle+sum+sdr200"."""
    return row.label.partition(" → ")[0]


def _best_first(cells: dict[tuple[str, str], Cell], side: int) -> list[str]:
    """The encoders (0) or learners (1), those of the best mean first."""
    accuracies: dict[str, list[float]] = {}
    for key, cell in cells.items():
        accuracies.setdefault(key[side], []).append(cell.accuracy)
    return sorted(accuracies, key=lambda name: (-sum(accuracies[name]) / len(accuracies[name]), name))


def _hover(cell: Cell | None) -> str:
    if cell is None:
        return "no record"
    best = f"<br>the best of {cell.configurations} configurations" if cell.configurations > 1 else ""
    return f"{escaped(cell.label, 80)}<br>{percent(cell.accuracy)}, n = {cell.n}{best}"


def _caption(cells: dict[tuple[str, str], Cell], n_rows: int) -> list[str]:
    n = n_of(cell.n for cell in cells.values())
    told = [
        f"Median over {n} seeds, each at the end of its own budget: this compares encoders, and learners only where "
        "they were given the same."
    ]
    if len(cells) < len({encoder for encoder, _ in cells}) * len({learner for _, learner in cells}):
        told.append("Blank: no record.")
    if n_rows > len(cells):
        told.append(f"Of {many(n_rows, 'configuration')} the best of each cell, chosen by these same test pairs.")
    return told
