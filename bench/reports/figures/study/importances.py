"""The importance of each parameter in a study."""

import math
import warnings
from collections.abc import Sequence

import optuna

from bench.reports.figures.study._common import COLOURS, Figure, complete, layout

ID = "importances"
FEWEST_TRIALS = 20
"""PED-ANOVA looks at the best tenth of the trials: with fewer trials than this it is a single one."""
MOST_PARAMETERS = 15


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
        "y": [name for name, _ in top],
        "texttemplate": "%{x:.0%}",
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": COLOURS[0]},
    }
    shape = layout(
        f"Parameter importances from {len(trials)} trials",
        f"for {'the Pareto front' if len(names) > 1 else names[0]} (PED-ANOVA)",
        x={"title": {"text": "share of importance"}, "tickformat": ".0%", "rangemode": "tozero"},
        y={"automargin": True},
    )
    return {"data": [bars], "layout": shape | {"showlegend": False}}
