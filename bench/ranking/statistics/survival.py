"""How many runs have not yet reached the target at a cost, where some ended before they could."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from bench.ranking.statistics.estimates import LEVEL, Floats


class Survival(NamedTuple):
    """A step function: from each of these costs on, the share of runs that have not reached the target.

    :param low, high: its pointwise 95 % interval; NaN where it is undefined, as for shares of 0 and 1.
    """

    at_K: Floats
    share_K: Floats
    low_K: Floats
    high_K: Floats


def kaplan_meier(times: ArrayLike, reached: ArrayLike) -> Survival:
    """The product-limit estimate S(t) = Π over events at tₖ ≤ t of (1 − dₖ / nₖ), with its log–log interval.

    nₖ runs are known not to have reached the target before tₖ, and dₖ reach it there. A run that ended without it
    counts in nₖ up to its end, as one that is not known after it.

    Source: Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452; interval: Kalbfleisch and Prentice 2002, The
    statistical analysis of failure time data, section 1.4; both as in `scipy.stats.ecdf`.

    :param times: (n,), when each run reached the target, or ended without it.
    :param reached: (n,), whether it reached it.

    >>> found = kaplan_meier([10, 20, 30], [True, False, True])
    >>> found.at_K.tolist(), found.share_K.round(3).tolist()
    ([10.0, 20.0, 30.0], [0.667, 0.667, 0.0])
    """
    t, event = np.asarray(times, float), np.asarray(reached, bool)
    if t.ndim != 1 or not len(t) or not np.isfinite(t).all() or t.shape != event.shape:
        raise ValueError(f"kaplan_meier takes as many finite times as outcomes, at least one, got {times!r}.")
    found = stats.ecdf(stats.CensoredData.right_censored(t, ~event)).sf
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.filterwarnings(
            "ignore", "The confidence interval is undefined", RuntimeWarning
        )  # of shares of 0 and 1
        interval = found.confidence_interval(LEVEL, method="log-log")
    return Survival(found.quantiles, found.probabilities, interval.low.probabilities, interval.high.probabilities)
