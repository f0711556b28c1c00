"""The critical-difference diagram: mean ranks of rows over blocks, and which rows do not differ significantly."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from bench.errors import RequestError, optional_package, os_errors_as
from bench.ranking import Comparison

FORMATS = (".svg", ".png")
INCHES = (10.0, 1.5, 0.3)
"""Width, height without rows, and height of a row."""


def check_diagram(path: str) -> None:
    """Raise RequestError unless a diagram can be drawn to this path."""
    if Path(path).suffix.lower() not in FORMATS:
        raise RequestError(f"`diagram` must end in {' or '.join(FORMATS)}, got {path!r}.")
    if not Path(path).parent.is_dir():
        raise RequestError(f"`diagram` must be in a folder that exists, got {path!r}.")
    optional_package("scikit_posthocs", "diagram", "`diagram`")


def draw(labels: Sequence[str], comparison: Comparison, path: str) -> None:
    """Draw the critical-difference diagram: mean ranks on a line, bars over rows that do not differ significantly.

    :param labels: of the rows, in the order of their mean ranks.
    :raises RequestError: where it cannot be drawn to this path.
    """
    check_diagram(path)
    library, pandas, figures = map(import_module, ("scikit_posthocs", "pandas", "matplotlib.figure"))
    ranks_BM = np.array(comparison.ranks).T
    names = [f"{label} " if label in labels[:m] else label for m, label in enumerate(labels)]
    p_values = library.posthoc_nemenyi_friedman(ranks_BM)
    p_values.index = p_values.columns = names
    width, margin, height = INCHES
    figure = figures.Figure(figsize=(width, margin + height * len(labels) / 2))
    library.critical_difference_diagram(
        pandas.Series(ranks_BM.mean(0), names),
        p_values if comparison.differ else p_values.clip(lower=1.0),
        ax=figure.subplots(),
    )
    apart = f"those more than {comparison.critical_difference:.2f} apart differ (Nemenyi, 95 %)"
    told = apart if comparison.differ else "no difference (Friedman, 95 %)"
    figure.axes[0].set_title(f"mean rank over {len(ranks_BM)} blocks, 1 the best; {told}", fontsize=9, pad=18)
    dated = {"Date": None} if path.lower().endswith(".svg") else None
    with os_errors_as(RequestError, f"`diagram` cannot be written to {path!r}"):
        figure.savefig(path, bbox_inches="tight", metadata=dated)
