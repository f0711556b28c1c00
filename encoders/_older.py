"""Encoders that were pickled when all columns of a table shared one code, as those of saved models."""

from collections.abc import Mapping
from typing import Any

import numpy as np

LEARNED = {"resolution_": "resolution", "moduli_": "moduli"}
"""What is learned today where it was a parameter alone."""


def upgraded(encoder: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of today for one of before: what was learned belongs to the encoder of each column."""
    parameters = {name: state[name] for name in encoder.get_params(deep=False) if name in state}
    older = "missing" in encoder.get_params(deep=False) and "missing" not in state
    parameters |= dict(encoder.integer_arguments(parameters)) if older else {}
    if "_feature_names" not in state:
        return dict(state) | parameters
    own = dict(state) | parameters
    for learned, parameter in LEARNED.items():
        if parameter in parameters:
            own.setdefault(learned, own[parameter])
    if "table_" in own:
        own["n_values_"] = len(own["table_"])
    own["_names"], own["seen_"] = own.pop("_feature_names"), _range_of(own)
    shape = {name: state[name] for name in ("n_features_in_", "feature_names_in_", "_sklearn_version") if name in state}
    return parameters | shape | {"columns_": [_column(encoder, own) for _ in range(state["n_features_in_"])]}


def _range_of(learned: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the greatest number that `fit` saw, as far as what was learned says; otherwise NaN."""
    if "minimum_" in learned:
        return learned["minimum_"], learned["maximum_"]
    if "n_values_" in learned:
        return 0.0, learned["n_values_"] - 1.0
    if "powers_" in learned:
        return 0.0, float(learned["powers_"][0] * learned["base"] - 1)
    return np.nan, np.nan


def _column(encoder: Any, learned: Mapping[str, Any]) -> Any:
    column = type(encoder)()
    vars(column).update(learned)
    return column
