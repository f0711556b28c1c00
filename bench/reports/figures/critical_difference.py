"""Rows over several blocks: which cannot be told apart, and the diagram that shows it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import studentized_range

from bench.errors import RequestError
from bench.ranking.statistics import Friedman

__all__ = ["Comparison", "check_diagram", "compare", "draw"]

SIGNIFICANCE = 0.05
FORMATS = (".svg", ".png")
INCHES = (10.0, 1.5, 0.3)
"""Width, height without rows, and height of a row."""


@dataclass(frozen=True)
class Comparison:
    """Rows compared over blocks, best mean rank first.

    :param blocks: their titles.
    :param critical_difference: of two mean ranks, from which on their rows can be told apart.
    :param groups: sets of rows, by place from 0, that cannot be told apart.
    :param ranks: of each row in each block.
    """

    blocks: list[str]
    statistic: float
    p_value: float
    critical_difference: float
    groups: list[list[int]]
    ranks: list[list[float]]

    @property
    def differ(self) -> bool:
        """Whether Friedman's test finds any difference."""
        return self.p_value < SIGNIFICANCE

    @property
    def apart(self) -> float:
        """The difference of mean ranks that counts: without one found by Friedman's test none does."""
        return self.critical_difference if self.differ else math.inf

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON document."""
        return dict(vars(self))


def critical_difference(n_rows: int, n_blocks: int) -> float:
    """Nemenyi's test: CD = q √(M(M + 1) / 6B), q = Q(M, ∞) / √2 the studentized range at 95 %.

    Source: Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.

    >>> round(critical_difference(n_rows=4, n_blocks=14), 2)
    1.25
    """
    q = float(studentized_range.ppf(1 - SIGNIFICANCE, n_rows, np.inf)) / math.sqrt(2)
    return q * math.sqrt(n_rows * (n_rows + 1) / (6 * n_blocks))


def compare(blocks: list[str], tested: Friedman, ranks_BM: NDArray[np.float64]) -> Comparison:
    """Groups of rows, which are in the order of their mean ranks."""
    difference = critical_difference(ranks_BM.shape[1], ranks_BM.shape[0])
    apart = difference if tested.p_value < SIGNIFICANCE else math.inf
    means_M = ranks_BM.mean(0)
    ends = [int((means_M < mean + apart).sum()) for mean in means_M]
    groups = [list(range(m, end)) for m, end in enumerate(ends) if m == 0 or end > ends[m - 1]]
    return Comparison(blocks, float(tested.statistic), float(tested.p_value), difference, groups, ranks_BM.T.tolist())


def check_diagram(path: str) -> None:
    """Raise RequestError unless a diagram can be drawn there."""
    if Path(path).suffix.lower() not in FORMATS:
        raise RequestError(f"--diagram must end in {' or '.join(FORMATS)}, got {path!r}.")
    if not Path(path).parent.is_dir():
        raise RequestError(f"--diagram must be in a folder that exists, got {path!r}.")
    _library()


def _library() -> Any:
    try:
        return import_module("scikit_posthocs")
    except ImportError as error:
        raise RequestError(f"--diagram needs scikit-posthocs: pip install 'mod97[diagram]' ({error}).") from error


def draw(labels: Sequence[str], comparison: Comparison, path: str) -> None:
    """Draw the critical-difference diagram: mean ranks on a line, bars over rows that cannot be told apart.

    :param labels: of the rows, in the order of their mean ranks.
    :raises RequestError: where it cannot be drawn there.
    """
    check_diagram(path)
    library, pandas, figures = _library(), import_module("pandas"), import_module("matplotlib.figure")
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
    try:
        figure.savefig(path, bbox_inches="tight", metadata=dated)
    except OSError as error:
        raise RequestError(f"--diagram cannot be written to {path!r}: {error.strerror}.") from error
