"""The importance of each parameter in a study."""

import math
import warnings
from collections.abc import Sequence

import optuna

from bench.reports.figures._elements import COLOURS, Figure, axis
from bench.reports.figures._layout import text_width
from bench.reports.figures._text import named_ticks
from bench.reports.figures.study._common import complete, drawn
from bench.results import many

KIND = "importances"
ID = "importances"
WANTS = "a study of two parameters or more, of which at least 20 trials are complete, with differing values"
FEWEST_TRIALS = 20
"""PED-ANOVA looks at the best tenth of the trials: with fewer trials than this it is a single one."""
MOST_PARAMETERS = 15
BAR = 26
"""Pixels of a bar, with the space around it."""


def draw(study: optuna.Study, names: Sequence[str], curve: str) -> Figure | None:
    """How much each parameter matters for reaching the best tenth of the trials; None where it is unknown.

    Source: Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
    arXiv:2304.10255, as Optuna computes it.
    """
    trials = complete(study.get_trials(deepcopy=False))
    settings = {key: {repr(t.params[key]) for t in trials if key in t.params} for t in trials for key in t.params}
    same = len({tuple(trial.values) for trial in trials}) < 2
    if len(trials) < FEWEST_TRIALS or same or sum(len(tried) > 1 for tried in settings.values()) < 2:
        return None
    with warnings.catch_warnings():  # on parameters that few trials have
        warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)
        found = optuna.importance.get_param_importances(study)
    if not all(map(math.isfinite, found.values())):
        return None
    top = sorted(found.items(), key=lambda item: item[1])[-MOST_PARAMETERS:]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(share, 4) for _, share in top],
        "y": list(range(len(top))),
        "text": [f"{share:.0%}" for _, share in top],
        "textposition": "outside",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
        "width": 0.7,
        "marker": {"color": COLOURS[0]},
    }
    picture = drawn(
        f"Parameter importances from {len(trials)} trials",
        f"for {'the Pareto front' if len(names) > 1 else names[0]} (n = {many(len(trials), 'trial')}, PED-ANOVA)",
        axis("share of importance", tickformat=".0%", range=[0, 1.08 * max(found.values())]),
        axis("", **named_ticks([name for name, _ in top]), showgrid=False, ticks=""),
        [bars],
        BAR * len(top),
    )
    picture["layout"]["meta"] |= {"left": round(max(text_width(name) for name, _ in top)) + 28, "right": 48}
    return picture
