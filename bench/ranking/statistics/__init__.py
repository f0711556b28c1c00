"""What a few runs tell about a learner: medians with intervals, comparisons, ranks. All are pure functions of numbers.

`bench.recipes.measurements.coverage` measures how often each interval holds the truth.
"""

from bench.ranking.statistics.comparisons import (
    MOST_FLIPPED,
    SIGNIFICANCE,
    Bounds,
    Friedman,
    critical_difference,
    friedman,
    holm,
    improvement,
    sign_flip,
)
from bench.ranking.statistics.estimates import FEWEST, LEVEL, Estimate, median, median_interval, solved_interval
from bench.ranking.statistics.ranks import Sample, rank_intervals, rank_level
from bench.ranking.statistics.shifts import hodges_lehmann, mann_whitney, shift_interval
from bench.ranking.statistics.survival import Survival, kaplan_meier

__all__ = [
    "FEWEST",
    "LEVEL",
    "MOST_FLIPPED",
    "SIGNIFICANCE",
    "Bounds",
    "Estimate",
    "Friedman",
    "Sample",
    "Survival",
    "critical_difference",
    "friedman",
    "hodges_lehmann",
    "holm",
    "improvement",
    "kaplan_meier",
    "mann_whitney",
    "median",
    "median_interval",
    "rank_intervals",
    "rank_level",
    "shift_interval",
    "sign_flip",
    "solved_interval",
]
